"""From a spec and runs to a PyMC model.

.. math:: g(y_i) = g(f(x_i; \\theta_i)) + \\delta_i + \\varepsilon_i, \\quad g = \\log \\text{ for losses, identity for scores, logit for rates}

with each parameter given by its formula (`bayeslaw.spec.formula`), and the discrepancy delta as
`bayeslaw.spec.discrepancy` has it: a curve's own process is integrated out (`bayeslaw.curves.filter`), what
runs have in common is sampled. The posterior of a built model holds, for a parameter ``alpha``:
``alpha``, its population value in the paper's units; ``alpha_1|method``, the groups' deviations on
the unconstrained scale; ``alpha_1|method_sigma``, their standard deviation; ``alpha_log10(size)``,
a trend. A parameter sampled at the table's centre also has ``A_at_centre`` (see
`bayeslaw.laws.base.Param`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt

from bayeslaw.defaults import PILOT_CENTRING
from bayeslaw.laws.base import Param
from bayeslaw.model.semivariance import sampled_together
from bayeslaw.priors import Prior
from bayeslaw.runs.scores import BASELINE, BASELINE_ERROR, BASELINE_SE, baseline_labels, noise_scale
from bayeslaw.runs.table import Runs
from bayeslaw.spec.discrepancy import (
    knots,
    middle,
    runs_in_sequence,
    shared_basis,
    shared_factor,
    state_space,
)
from bayeslaw.spec.formula import Design, cells, linear_predictor
from bayeslaw.spec.identifiability import first_centring
from bayeslaw.spec.spec import (
    ModelSpec,
    covariate_columns,
    curve_labels,
    designs,
    group_columns,
    population_name,
    resolve,
    shared_labels,
)

#: Suffix of what is sampled in place of a group's deviations, or of other parameters.
RAW = "_raw"
#: The ``pm.Data`` that says how far each deviation is centred: one vector for all, because each
#: ``pm.Data`` slows the compiler.
CENTRING = "centring"
#: Its dimension, whose coordinate names each entry's variable.
DEVIATION = "deviation"


#: Standard deviation of a Normal prior below which chains start at its mean; others start up to one
#: unit off.
NARROW = 0.5

#: What runs have in common along an input: weights of the process's basis, named by the input.
IN_COMMON = "{}|in_common"
#: 1 for a run that counts, 0 for one that is hidden, where a model is made to be fitted to parts of
#: its table.
SEEN = "seen"


def build(
    spec: ModelSpec,
    runs: Runs,
    *,
    parts: bool = False,
    fixed: Mapping[str, Mapping[str, float]] | None = None,
) -> pm.Model:
    """The PyMC model of a spec for a table of runs.

    Parameters
    ----------
    spec : what to fit; defaults are filled in by `resolve`.
    runs : the table. The response ``y``, the inputs ``x_<input>``, their ``centre_<input>``,
        ``typical_response`` and ``centring`` are ``pm.Data``, so that a compiled model can be given
        other values.
    fixed : group deviations that are known: ``"E_1|task:method"`` -> the value of each of its
        groups.
    parts : the model is to be fitted to parts of the table: `SEEN` is a ``pm.Data`` too, and says
        which runs count.

    Returns
    -------
    pm.Model, with dims ``run`` and one per group factor.

    Raises
    ------
    SpecError : see `resolve`.
    """
    spec = resolve(spec, runs)
    law = spec.law
    met = designs(spec, runs.table)
    coords: dict[str, Any] = {"run": np.arange(len(runs))}
    for design in met.values():
        coords |= {term.split("|")[-1]: list(levels) for term, levels in design.levels.items()}

    first = first_centring(spec, runs)
    of = np.array([variable for variable, values in first.items() for _ in values])
    coords |= {DEVIATION: of} if first else {}

    with pm.Model(coords=coords) as model:
        unit = pm.Data("typical_response", runs.typical_response)
        centre = {
            name: pm.Data(f"centre_{name}", value, dims="run" if np.ndim(value) else None)
            for name, value in runs.centre_of(runs.table).items()
        }
        inputs = {
            name: pm.Data(f"x_{name}", x, dims="run") for name, x in law.given(runs.table).items()
        }
        y = pm.Data("y", law.response.link.forward(runs.y), dims="run")

        centring = {}
        if first:
            vector = pm.Data(
                CENTRING,
                np.clip(np.concatenate(list(first.values())), *PILOT_CENTRING),
                dims=DEVIATION,
            )
            centring = {variable: vector[np.flatnonzero(of == variable)] for variable in first}

        together = sampled_together(f"semivariance{RAW}", spec, runs, met, unit)
        population = {
            name: (
                together[name]
                if name in together
                else _population(name, param, met[name], spec.priors, unit)
            )
            for name, param in spec.params.items()
        }
        distinct, cell = cells(runs.table, [*group_columns(spec), *covariate_columns(spec)])
        by_cell = {
            name: _by_cell(
                name,
                param,
                met[name],
                population[name],
                spec.priors,
                unit,
                distinct,
                centring,
                fixed or {},
                _law_at_groups(spec, runs, name, met, population, centre),
            )
            for name, param in spec.params.items()
        }
        for name, value in law.from_centre(
            {name: population[name] for name in law.params}, centre
        ).items():
            if law.params[name].at_centre and population[name].ndim == 0 and value.ndim == 0:
                pm.Deterministic(name, value)

        by_cell |= law.in_units_of_centre({name: by_cell[name] for name in law.params})
        by_run = {
            name: value if value.ndim == 0 else value[cell] for name, value in by_cell.items()
        }
        mean = law.response.link.forward(
            law.at_centred(inputs, {name: by_run[name] for name in law.params}, centre)
        )
        mean = mean + _in_common(spec, runs, by_run, population, centre)
        mean = mean + _baseline_error(runs)
        scale = noise_scale(by_run["sigma"], runs.table, law)
        if spec.departs.kind == "curve":
            seen = pm.Data(SEEN, np.ones(len(runs)), dims="run")
            pm.Potential("response", _along_curves(spec, runs, y - mean, scale**2, seen, by_run))
            return model
        family, shape = _noise(spec, by_run, scale)
        if parts:
            seen = pm.Data(SEEN, np.ones(len(runs)), dims="run")
            pm.Potential("response", (seen * pm.logp(family.dist(mu=mean, **shape), y)).sum())
        else:
            family("response", mu=mean, **shape, observed=y, dims="run")
    return model


def _noise(spec: ModelSpec, by_run: Mapping[str, Any], scale: Any) -> tuple[Any, dict[str, Any]]:
    """The noise's distribution and its parameters but for the mean."""
    match spec.noise_family:
        case "student_t":
            return pm.StudentT, {"nu": by_run["nu"], "sigma": scale}
        case "laplace":
            return pm.Laplace, {"b": scale}
    return pm.Normal, {"sigma": scale}


def _baseline_error(runs: Runs) -> Any:
    """The error of the baselines that responses are measured from, (run,): one for all runs of a
    baseline; 0 where none is given.
    """
    if BASELINE_SE not in runs.table:
        return 0.0
    labels, index = np.unique(baseline_labels(runs.table), return_inverse=True)
    pm.modelcontext(None).add_coords({BASELINE: labels})
    return pm.Normal(BASELINE_ERROR, dims=BASELINE)[index] * runs.table[BASELINE_SE].to_numpy(float)


def _in_common(
    spec: ModelSpec,
    runs: Runs,
    by_run: Mapping[str, Any],
    population: Mapping[str, Any],
    centre: Mapping[str, Any],
) -> Any:
    """What runs depart by together, (run,); 0 where the discrepancy has no such part.

    What is sampled is the whole curve that runs have in common, law and departure, which they
    determine; the law is where its prior is centred. The departure alone would be tied to the law's
    parameters as tightly as the runs tie their sum.
    """
    along = spec.strays_along(runs.inputs)
    if not along:
        return 0.0
    model = pm.modelcontext(None)
    labels = shared_labels(spec, runs.table)
    model.add_coords({"in_common": sorted(set(labels))})
    group = pd.Index(model.coords["in_common"]).get_indexer(labels)
    law, total = spec.law, 0.0
    natural = law.in_units_of_centre({name: population[name] for name in law.params})
    for name, x in along.items():
        t, sigma = spec.axis.forward(x), by_run[spec.stray_sigma(name)]
        at = knots(t)
        dims = ("in_common", f"{name}_knot")
        model.add_coords({dims[1]: at[1:]})
        of_law = 0.0
        if name in law.inputs:
            curve = law.response.link.forward(
                law.at_centred({**centre, name: spec.axis.inverse(at)}, natural, centre)
            )
            # the level is that of the law, at the middle
            of_law = pt.dot(np.linalg.inv(shared_factor(at)), curve[1:] - curve[0])
        # Where the table has one value there is nothing to determine, and only the departure in
        # units of its sigma samples well.
        unit = sigma if np.ptp(t) > 1e-6 else 1.0
        departure = (
            pm.Normal(IN_COMMON.format(name) + RAW, of_law / sigma * unit, unit, dims=dims)
            * (sigma / unit)
            - of_law
        )
        pm.Deterministic(IN_COMMON.format(name), departure / sigma, dims=dims)
        basis = shared_basis(t, at) - shared_basis(middle(at), at)
        total = total + (basis * departure[group]).sum(axis=-1)
    return total


def _along_curves(
    spec: ModelSpec, runs: Runs, residual: Any, variance: Any, seen: Any, by_run: Mapping[str, Any]
) -> Any:
    """The log density of the residuals of all curves, each with a process of its own: one sequence,
    sorted by curve and input.
    """
    from bayeslaw.curves.filter import Filtered

    run, is_run, step, first = runs_in_sequence(
        spec.axis.forward(runs.inputs[spec.along]), curve_labels(spec, runs.table), spec.axis.origin
    )
    own = {
        name: pt.broadcast_to(by_run[name], (len(runs),))[run]
        for name in spec.params
        if name in by_run and name not in spec.law.params
    }
    Phi, Q, h = state_space(spec.departs.own, step, first, own, pt.stack)
    variance = pt.broadcast_to(variance, (len(runs),))[run]
    log_density, *_ = (
        Filtered(len(h)).make_node(residual[run], variance, seen[run] * is_run, Phi, Q, h).outputs
    )
    return log_density


def _population(
    name: str, param: Param, design: Design, priors: Mapping[str, Prior], unit: Any
) -> Any:
    """The population value of a parameter: one, or one a group where its formula has no intercept."""
    variable = population_name(name, param)
    return _random_variable(variable, priors[variable], unit, dims=design.formula.by)


def _law_at_groups(
    spec: ModelSpec,
    runs: Runs,
    name: str,
    met: Mapping[str, Design],
    population: Mapping[str, Any],
    centre: Mapping[str, Any],
) -> dict[str, Any]:
    """By how much the law's log loss at the inputs of each group, their geometric means, differs
    from that at the table's centre: (level,) by ``str(term)``, for terms of the law's level whose
    groups are made by an input, as checkpoints are by their size.

    Only where the law's other parameters are the same in all runs. Elsewhere a checkpoint's runs
    determine the exponents of their tasks and methods, not the population's: on the README's model,
    following the latter left a quarter of the effective draws, or fewer.
    """
    law, design = spec.law, met[name]
    terms = [
        term
        for term in design.formula.groups
        if term.covariate is None and not law.inputs.keys().isdisjoint(term.factor)
    ]
    others_differ = any(met[other].formula.columns for other in law.params if other != name)
    one_centre = all(np.ndim(value) == 0 for value in runs.centre_of(runs.table).values())
    if (
        not terms
        or others_differ
        or design.formula.by
        or not one_centre
        or law.switches
        or not spec.params[name].is_level
    ):
        return {}
    natural = law.in_units_of_centre({other: population[other] for other in law.params})
    logs, found = np.log(pd.DataFrame(runs.inputs)), {}
    for term in terms:
        inputs = np.exp(logs.groupby(design.index(term, runs.table)).mean())
        at = law.at_centred(
            {column: inputs[column].to_numpy() for column in law.inputs}, natural, centre
        )
        found[str(term)] = law.response.link.forward(at) - spec.params[name].link.forward(
            population[name]
        )
    return found


def _by_cell(
    name: str,
    param: Param,
    design: Design,
    population: Any,
    priors: Mapping[str, Prior],
    unit: Any,
    table: pd.DataFrame,
    centring: Mapping[str, Any],
    fixed: Mapping[str, Mapping[str, float]],
    law_at: Mapping[str, Any],
) -> Any:
    """A parameter's value for each row of ``table``, on its own scale: a scalar where no effect
    makes it differ.
    """
    by = design.formula.by_term
    if by is None and not design.formula.covariates and not design.formula.groups:
        return population
    intercept = param.link.forward(population)
    index = np.zeros(len(table), dtype=int) if by is None else design.index(by, table)
    coefficients = {
        str(x): _random_variable(f"{name}_{x}", priors[f"{name}_{x}"], unit)
        for x in design.formula.covariates
    }
    deviations = _deviations(
        name,
        design,
        pt.atleast_1d(intercept),
        index,
        coefficients,
        priors,
        unit,
        table,
        centring,
        fixed,
        law_at,
    )
    at_rows = intercept if by is None else intercept[index]
    return param.link.inverse(linear_predictor(at_rows, design, coefficients, deviations, table))


def _deviations(
    name: str,
    design: Design,
    value: Any,
    index: np.ndarray,
    coefficients: Mapping[str, Any],
    priors: Mapping[str, Prior],
    unit: Any,
    table: pd.DataFrame,
    centring: Mapping[str, Any],
    fixed: Mapping[str, Mapping[str, float]],
    law_at: Mapping[str, Any],
) -> dict[str, Any]:
    """The deviations u of each group term, by ``str(term)``, as (level,).

    A term whose groups each lie within one group of what came before, as models lie in families,
    inherits the value m of that group; others inherit nothing. Where the groups are made by an
    input, m has what the law's log loss differs by from the table's centre to the group's inputs
    too (``law_at``): there is what the group's runs determine, and were it left out, every
    checkpoint would move with each exponent. What is sampled for a group is v, with a centring c
    between 0 and 1:

    .. math:: v \\sim N(c \\, m, \\sigma^c), \\qquad u = \\sigma^{1-c} (v - c \\, m)

    c = 1 samples the group's own value, best where its runs determine it; c = 0 a standardised
    deviation, best where they do not (Papaspiliopoulos et al. 2007, Statistical Science 22(1),
    section 4). u has the same prior under every c.
    """
    found = {}  # value and index: what there is to inherit, and each row's place in it
    for term in sorted(design.formula.groups, key=lambda term: len(design.levels[str(term)])):
        variable = f"{name}_{term}"
        own = design.index(term, table)
        scale = _random_variable(f"{variable}_sigma", priors[f"{variable}_sigma"], unit)
        dims = ":".join(term.factor)
        parent = index[np.unique(own, return_index=True)[1]]
        nested = term.covariate is None and bool((index == parent[own]).all())
        inherited = value[parent] if nested else coefficients.get(str(term.covariate), 0.0)
        if variable in fixed:
            found[str(term)] = pm.Deterministic(
                variable,
                pt.as_tensor([fixed[variable][level] for level in design.levels[str(term)]]),
                dims=dims,
            )
            continue
        c = centring[variable]
        expected = inherited + law_at.get(str(term), 0.0)
        raw = pm.Normal(f"{variable}{RAW}", c * expected, scale**c, dims=dims)
        deviation = scale ** (1 - c) * (raw - c * expected)
        found[str(term)] = pm.Deterministic(variable, deviation, dims=dims)
        if nested:
            value, index = inherited + deviation, own
    return found


def _random_variable(name: str, prior: Prior, unit: Any, dims: str | None = None) -> Any:
    parameters = prior.in_units(unit)
    if prior.distribution == "Constant":
        value = (
            parameters["value"]
            if dims is None
            else pt.full(len(pm.modelcontext(None).coords[dims]), parameters["value"])
        )
        return pm.Deterministic(name, pt.as_tensor(value), dims=dims)
    variable = getattr(pm, prior.distribution)(name, **parameters, dims=dims)
    # An exponent of either sign is known to a few tenths: chains that start a whole unit off may
    # end in another mode.
    variable.tag.starts_at_prior = (
        prior.distribution == "Normal" and dict(prior.parameters)["sigma"] < NARROW
    )
    return variable
