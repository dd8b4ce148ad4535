r"""From a design and runs to a PyMC model.

.. math:: g(y_i) = g(f(x_i; \theta_i)) + \delta_i + \varepsilon_i, \quad
    g = \log \text{ for losses, identity for scores, logit for rates}

with each parameter given by its formula (`bayeslaw.model.effects`), and the discrepancy delta as
`bayeslaw.spec.discrepancy` has it: a curve's own process is integrated out
(`bayeslaw.model.filter_op`), what runs have in common is sampled. The posterior of a built model
holds, for a parameter ``alpha``: ``alpha``, its population value in the paper's units;
``alpha_1|method``, the groups' deviations on the unconstrained scale; ``alpha_1|method_sigma``,
their standard deviation; ``alpha_log10(size)``, a trend. A parameter sampled at the table's centre
also has ``A_at_centre`` (see `bayeslaw.laws.base.Param`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt

from bayeslaw.curves import shared
from bayeslaw.curves.state_space import runs_in_sequence, state_space
from bayeslaw.defaults import PILOT_CENTRING
from bayeslaw.model.effects import RAW, Effects, law_at_groups
from bayeslaw.model.filter_op import Filtered
from bayeslaw.model.semivariance import reparametrised
from bayeslaw.runs.measurement import (
    BASELINE,
    BASELINE_ERROR,
    BASELINE_SE,
    baseline_labels,
    noise_scale,
)
from bayeslaw.runs.table import Runs
from bayeslaw.spec.design import Design, cells
from bayeslaw.spec.identifiability import Sensitivity, first_centring
from bayeslaw.spec.spec import ModelSpec

#: The ``pm.Data`` that says how far each deviation is centred: one vector for all, because each
#: ``pm.Data`` slows the compiler.
CENTRING = "centring"
#: Its dimension, whose coordinate names each entry's variable.
DEVIATION = "deviation"

#: What runs have in common along an input: weights of the process's basis, named by the input.
IN_COMMON = "{}|in_common"
#: 1 for a run that counts, 0 for one that is hidden, where a model is made to be fitted to parts of
#: its table.
SEEN = "seen"


def build(
    design: Design,
    runs: Runs,
    *,
    parts: bool = False,
    fixed: Mapping[str, Mapping[str, float]] | None = None,
    sensitivity: Sensitivity | None = None,
) -> pm.Model:
    """The PyMC model of a design for a table of runs.

    Parameters
    ----------
    design : what to fit, resolved for these runs.
    runs : the table. The response ``y``, the inputs ``x_<input>``, their ``centre_<input>``,
        ``typical_response`` and ``centring`` are ``pm.Data``, so that a compiled model can be given
        other values.
    parts : the model is to be fitted to parts of the table: `SEEN` is a ``pm.Data`` too, and says
        which runs count.
    fixed : group deviations that are known: ``"E_1|task:method"`` -> the value of each of its
        groups.
    sensitivity : of the same design and runs, for the first guess of ``centring``; None: computed.

    Returns
    -------
    pm.Model, with dims ``run`` and one per group factor.
    """
    law, table = design.law, runs.table
    first = first_centring(design, runs, sensitivity)
    with pm.Model(coords=_coords(design, runs, first)) as model:
        unit = pm.Data("typical_response", runs.typical_response)
        centre = {
            name: pm.Data(f"centre_{name}", value, dims="run" if np.ndim(value) else None)
            for name, value in runs.centre_of(table).items()
        }
        inputs = {name: pm.Data(f"x_{name}", x, dims="run") for name, x in law.given(table).items()}
        y = pm.Data("y", law.response.link.forward(runs.y), dims="run")
        distinct, cell = cells(table, [*design.group_columns, *design.covariate_columns])
        effects = Effects(design, distinct, unit, _centring(first), fixed or {})
        population = _populations(design, runs, effects)
        by_cell = {
            name: effects.by_cell(
                name, population[name], law_at_groups(design, runs, name, population, centre)
            )
            for name in design.params
        }
        _in_papers_units(design, population, centre)
        by_cell |= law.in_units_of_centre({name: by_cell[name] for name in law.params})
        by_run = {name: x if x.ndim == 0 else x[cell] for name, x in by_cell.items()}
        mean = law.at_centred(inputs, {name: by_run[name] for name in law.params}, centre)
        mean = law.response.link.forward(mean)
        mean = mean + _shared_discrepancy(design, runs, by_run, population, centre)
        mean = mean + _baseline_error(runs)
        scale = noise_scale(by_run["sigma"], table, law)
        if design.spec.discrepancy.along_curves:
            seen = pm.Data(SEEN, np.ones(len(runs)), dims="run")
            log_density = _along_curves(design, runs, y - mean, scale**2, seen, by_run)
            pm.Potential("response", log_density)
            return model
        family, shape = _noise(design.spec, by_run, scale)
        if parts:
            seen = pm.Data(SEEN, np.ones(len(runs)), dims="run")
            log_densities = pm.logp(family.dist(mu=mean, **shape), y)
            pm.Potential("response", (seen * log_densities).sum())
        else:
            family("response", mu=mean, **shape, observed=y, dims="run")
    return model


def _coords(design: Design, runs: Runs, first: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The model's dimensions: runs, the groups of each factor, and the deviations of all groups."""
    coords: dict[str, Any] = {"run": np.arange(len(runs))}
    for predictor in design.predictors.values():
        coords |= {term.split("|")[-1]: list(levels) for term, levels in predictor.levels.items()}
    if first:
        coords[DEVIATION] = np.array([name for name, values in first.items() for _ in values])
    return coords


def _centring(first: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """How far each deviation is centred, by its variable: parts of the one vector of data."""
    if not first:
        return {}
    start = np.clip(np.concatenate(list(first.values())), *PILOT_CENTRING)
    vector = pm.Data(CENTRING, start, dims=DEVIATION)
    variable = np.asarray(pm.modelcontext(None).coords[DEVIATION])
    return {name: vector[np.flatnonzero(variable == name)] for name in first}


def _populations(design: Design, runs: Runs, effects: Effects) -> dict[str, Any]:
    """The population value of every parameter."""
    together = reparametrised(f"semivariance{RAW}", design, runs, effects.unit)
    return {
        name: together[name] if name in together else effects.population(name)
        for name in design.params
    }


def _in_papers_units(
    design: Design, population: Mapping[str, Any], centre: Mapping[str, Any]
) -> None:
    """Parameters that are sampled at the table's centre, recorded in the paper's units too."""
    law = design.law
    sampled = {name: population[name] for name in law.params}
    for name, value in law.from_centre(sampled, centre).items():
        if law.params[name].at_centre and population[name].ndim == 0 and value.ndim == 0:
            pm.Deterministic(name, value)


def _noise(spec: ModelSpec, by_run: Mapping[str, Any], scale: Any) -> tuple[Any, dict[str, Any]]:
    """The noise's distribution and its parameters but for the mean."""
    match spec.noise:
        case "student_t":
            return pm.StudentT, {"nu": by_run["nu"], "sigma": scale}
        case "laplace":
            return pm.Laplace, {"b": scale}
    return pm.Normal, {"sigma": scale}


def _baseline_error(runs: Runs) -> Any:
    """The error of the baselines that responses are measured from, (run,): one for all runs of a
    baseline; 0 where none is given."""
    if BASELINE_SE not in runs.table:
        return 0.0
    labels, index = np.unique(baseline_labels(runs.table), return_inverse=True)
    pm.modelcontext(None).add_coords({BASELINE: labels})
    errors = runs.table[BASELINE_SE].to_numpy(float)
    return pm.Normal(BASELINE_ERROR, dims=BASELINE)[index] * errors


def _shared_discrepancy(
    design: Design,
    runs: Runs,
    by_run: Mapping[str, Any],
    population: Mapping[str, Any],
    centre: Mapping[str, Any],
) -> Any:
    """The discrepancy that runs have in common, (run,); 0 where there is no such part.

    What is sampled is the whole curve that runs have in common, law and discrepancy, which they
    determine; the law is where its prior is centred. The discrepancy alone would be tied to the
    law's parameters as tightly as the runs tie their sum.
    """
    spec, law = design.spec, design.law
    along = spec.discrepancy_inputs(runs.inputs)
    if not along:
        return 0.0
    model = pm.modelcontext(None)
    labels = design.shared_labels(runs.table)
    model.add_coords({"in_common": sorted(set(labels))})
    group = pd.Index(model.coords["in_common"]).get_indexer(labels)
    natural = law.in_units_of_centre({name: population[name] for name in law.params})
    total = 0.0
    for name, x in along.items():
        t, sigma = spec.axis.forward(x), by_run[spec.discrepancy_sigma(name)]
        at = shared.knots(t)
        dims = ("in_common", f"{name}_knot")
        model.add_coords({dims[1]: at[1:]})
        of_law = 0.0
        if name in law.inputs:
            at_knots = {**centre, name: spec.axis.inverse(at)}
            curve = law.response.link.forward(law.at_centred(at_knots, natural, centre))
            # The level is that of the law, at the reference.
            of_law = pt.dot(np.linalg.inv(shared.knot_factor(at)), curve[1:] - curve[0])
        # Where the table has one value there is nothing to determine, and only the discrepancy in
        # units of its sigma samples well.
        unit = sigma if np.ptp(t) > 1e-6 else 1.0
        variable = IN_COMMON.format(name)
        raw = pm.Normal(variable + RAW, of_law / sigma * unit, unit, dims=dims)
        weights = raw * (sigma / unit) - of_law
        pm.Deterministic(variable, weights / sigma, dims=dims)
        basis = shared.basis(t, at) - shared.basis(shared.reference(at), at)
        total = total + (basis * weights[group]).sum(axis=-1)
    return total


def _along_curves(
    design: Design, runs: Runs, residual: Any, variance: Any, seen: Any, by_run: Mapping[str, Any]
) -> Any:
    """The log density of the residuals of all curves, each with a process of its own: one sequence,
    sorted by curve and input."""
    spec = design.spec
    t = spec.axis.forward(runs.inputs[spec.along])
    labels = design.curve_labels(runs.table)
    run, is_run, step, first = runs_in_sequence(t, labels, spec.axis.origin)
    names = [name for name in design.params if name in by_run and name not in spec.law.params]
    own = {name: pt.broadcast_to(by_run[name], (len(runs),))[run] for name in names}
    Phi, Q, h = state_space(spec.discrepancy.own, step, first, own, pt.stack)
    variance = pt.broadcast_to(variance, (len(runs),))[run]
    filtered = Filtered(len(h)).make_node(residual[run], variance, seen[run] * is_run, Phi, Q, h)
    log_density, *_ = filtered.outputs
    return log_density
