r"""Build the PyMC model of a design for a table of runs.

.. math:: g(y_i) = g(f(x_i; \theta_i)) + \delta_i + \varepsilon_i, \quad
    g = \log \text{ for losses, identity for scores, logit for rates}

Each parameter is given by its formula (`bayeslaw.model.effects`), and delta is the discrepancy of
`bayeslaw.spec.discrepancy`. A curve's own process is integrated out (`bayeslaw.model.filter_op`);
the process that runs share is sampled.

The posterior has these variables for a parameter ``alpha``: ``alpha``, its population value in the
paper's units; ``alpha_1|method``, the deviations of groups on the unconstrained scale;
``alpha_1|method_sigma``, their standard deviation; ``alpha_log10(size)``, a trend. Student-t noise
along curves has a weight for each run (`bayeslaw.spec.noise.WEIGHT`). A parameter
sampled at the table's centre also has ``A_at_centre`` (see `bayeslaw.laws.base.Param`).
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
from bayeslaw.model.noise_weights import noise_weights
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

#: The ``pm.Data`` that says how far each deviation is centred. It is one vector for all deviations,
#: because each ``pm.Data`` slows the compiler.
CENTRING = "centring"
#: The dimension of that vector, whose coordinate names the variable of each entry.
DEVIATION = "deviation"

#: The weights of the shared process along an input, named by the input.
IN_COMMON = "{}|in_common"
#: The ``pm.Data`` of a model that is fitted to parts of its table: 1 for a run that counts, else 0.
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
    parts : whether the model will be fitted to parts of the table. If so, `SEEN` is a ``pm.Data``
        too, and says which runs count.
    fixed : known deviations of groups: for a variable such as ``"E_1|task:method"``, the value of
        each group.
    sensitivity : that of the same design and runs, for the first guess of ``centring``. None: it
        is computed.

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
            variance = scale**2
            if design.spec.noise == "student_t":
                variance = variance / noise_weights(by_run["nu"], len(runs))
            log_density = _along_curves(design, runs, y - mean, variance, seen, by_run)
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
    """The coordinates of the model: runs, the groups of each factor, and all deviations."""
    coords: dict[str, Any] = {"run": np.arange(len(runs))}
    for predictor in design.predictors.values():
        coords |= {term.split("|")[-1]: list(levels) for term, levels in predictor.levels.items()}
    if first:
        coords[DEVIATION] = np.array([name for name, values in first.items() for _ in values])
    return coords


def _centring(first: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """How far each group is centred, by the deviations' variable: parts of one ``pm.Data``."""
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
    """Record, in the paper's units too, the parameters that are sampled at the table's centre."""
    law = design.law
    sampled = {name: population[name] for name in law.params}
    for name, value in law.from_centre(sampled, centre).items():
        if law.params[name].at_centre and population[name].ndim == 0 and value.ndim == 0:
            pm.Deterministic(name, value)


def _noise(spec: ModelSpec, by_run: Mapping[str, Any], scale: Any) -> tuple[Any, dict[str, Any]]:
    """The distribution of the noise, and its parameters without the mean."""
    match spec.noise:
        case "student_t":
            return pm.StudentT, {"nu": by_run["nu"], "sigma": scale}
        case "laplace":
            return pm.Laplace, {"b": scale}
    return pm.Normal, {"sigma": scale}


def _baseline_error(runs: Runs) -> Any:
    """The error of the baseline that each response is measured from, (run,); 0 without baselines.

    All runs measured from one baseline have the same error.
    """
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
    """The discrepancy that runs share, (run,); 0 without one.

    What is sampled is the sum of law and shared discrepancy, because that is what the runs
    determine. Its prior is centred at the law. If the discrepancy were sampled alone, it would be
    strongly correlated with the law's parameters.
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
        knots = shared.knots(t)
        dims = ("in_common", f"{name}_knot")
        model.add_coords({dims[1]: knots[1:]})
        law_weights = 0.0
        if name in law.inputs:
            at_knots = {**centre, name: spec.axis.inverse(knots)}
            curve = law.response.link.forward(law.at_centred(at_knots, natural, centre))
            law_weights = pt.dot(np.linalg.inv(shared.knot_factor(knots)), curve[1:] - curve[0])
        # If the table has one value of the input, the runs determine nothing along it, and only the
        # discrepancy in units of its sigma samples well.
        unit = sigma if np.ptp(t) > 1e-6 else 1.0
        variable = IN_COMMON.format(name)
        raw = pm.Normal(variable + RAW, law_weights / sigma * unit, unit, dims=dims)
        weights = raw * (sigma / unit) - law_weights
        pm.Deterministic(variable, weights / sigma, dims=dims)
        # The process is zero at the reference, where the level is the law's.
        basis = shared.basis(t, knots) - shared.basis(shared.reference(knots), knots)
        total = total + (basis * weights[group]).sum(axis=-1)
    return total


def _along_curves(
    design: Design, runs: Runs, residual: Any, variance: Any, seen: Any, by_run: Mapping[str, Any]
) -> Any:
    """The joint log density of residuals where each curve has a process of its own.

    All curves are one sequence of points, sorted by curve and input.
    """
    spec = design.spec
    t = spec.axis.forward(runs.inputs[spec.along])
    labels = design.curve_labels(runs.table)
    run, is_run, step, first = runs_in_sequence(t, labels, spec.axis.origin)
    names = [name for name in design.params if name in by_run and name not in spec.law.params]
    at_points = {name: pt.broadcast_to(by_run[name], (len(runs),))[run] for name in names}
    Phi, Q, h = state_space(spec.discrepancy.own, step, first, at_points, pt.stack)
    variance = pt.broadcast_to(variance, (len(runs),))[run]
    filtered = Filtered(len(h)).make_node(residual[run], variance, seen[run] * is_run, Phi, Q, h)
    log_density, *_ = filtered.outputs
    return log_density
