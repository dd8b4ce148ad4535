"""From a spec and runs to a PyMC model.

.. math:: g(y_i) = g(f(x_i; \\theta_i)) + \\varepsilon_i, \\qquad g = \\log \\text{ for losses, identity for scores, logit for rates}

with each parameter given by its formula (`bayeslaw.effects`). The posterior of a built model holds, for a parameter
``alpha``: ``alpha``, its population value in the paper's units; ``alpha_1|method``, the groups' deviations on the
unconstrained scale; ``alpha_1|method_sigma``, their standard deviation; ``alpha_log10(size)``, a trend. A parameter
sampled at the table's centre also has ``A_at_centre`` (see `bayeslaw.laws.base.Param`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayeslaw.defaults import PILOT_CENTRING
from bayeslaw.effects import Design, linear_predictor
from bayeslaw.identifiability import first_centring
from bayeslaw.laws.base import Param
from bayeslaw.priors import Prior
from bayeslaw.runs import Runs
from bayeslaw.spec import ModelSpec, designs, population_name, resolve

#: Suffix of what is sampled in place of a group's deviations.
RAW = "_raw"
#: The ``pm.Data`` that says how far each deviation is centred: one vector for all, because each ``pm.Data`` slows the compiler.
CENTRING = "centring"
#: Its dimension, whose coordinate names each entry's variable.
DEVIATION = "deviation"


def build(spec: ModelSpec, runs: Runs) -> pm.Model:
    """The PyMC model of a spec for a table of runs.

    Parameters
    ----------
    spec : what to fit; defaults are filled in by `resolve`.
    runs : the table. The response ``y``, the inputs ``x_<input>``, their ``centre_<input>``, ``typical_response`` and ``centring`` are
        ``pm.Data``, so that a compiled model can be given other values.

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
        centre = {name: pm.Data(f"centre_{name}", value) for name, value in runs.centre.items()}
        inputs = {name: pm.Data(f"x_{name}", x, dims="run") for name, x in runs.inputs.items()}
        y = pm.Data("y", law.response.link.forward(runs.y), dims="run")

        centring = {}
        if first:
            vector = pm.Data(CENTRING, np.clip(np.concatenate(list(first.values())), *PILOT_CENTRING), dims=DEVIATION)
            centring = {variable: vector[np.flatnonzero(of == variable)] for variable in first}

        population, by_run = {}, {}
        for name, param in spec.params.items():
            population[name], by_run[name] = _parameter(name, param, met[name], spec.priors, unit, runs, centring)
        for name, value in law.from_centre({name: population[name] for name in law.params}, centre).items():
            if law.params[name].at_centre and population[name].ndim == 0:
                pm.Deterministic(name, value)

        mean = law.response.link.forward(law.at_sampled(inputs, {name: by_run[name] for name in law.params}, centre))
        if spec.noise == "student_t":
            pm.StudentT("response", nu=by_run["nu"], mu=mean, sigma=by_run["sigma"], observed=y, dims="run")
        else:
            pm.Normal("response", mu=mean, sigma=by_run["sigma"], observed=y, dims="run")
    return model


def _parameter(
    name: str, param: Param, design: Design, priors: Mapping[str, Prior], unit: Any, runs: Runs, centring: Mapping[str, Any]
) -> tuple[Any, Any]:
    """The population value of a parameter, and its value for each run (a scalar where no effect makes it differ)."""
    variable = population_name(name, param)
    by = design.formula.by_term
    population = _random_variable(variable, priors[variable], unit, dims=design.formula.by)
    if by is None and not design.formula.covariates and not design.formula.groups:
        return population, population
    intercept = param.link.forward(population)
    index = np.zeros(len(runs), dtype=int) if by is None else design.index(by, runs.table)
    coefficients = {str(x): _random_variable(f"{name}_{x}", priors[f"{name}_{x}"], unit) for x in design.formula.covariates}
    deviations = _deviations(name, design, pt.atleast_1d(intercept), index, coefficients, priors, unit, runs, centring)
    at_runs = intercept if by is None else intercept[index]
    return population, param.link.inverse(linear_predictor(at_runs, design, coefficients, deviations, runs.table))


def _deviations(
    name: str, design: Design, value: Any, index: np.ndarray, coefficients: Mapping[str, Any],
    priors: Mapping[str, Prior], unit: Any, runs: Runs, centring: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """The deviations u of each group term, by ``str(term)``, as (level,).

    A term whose groups each lie within one group of what came before, as models lie in families, inherits the value m of
    that group; others inherit nothing. What is sampled for a group is v, with a centring c between 0 and 1:

    .. math:: v \\sim N(c \\, m, \\sigma^c), \\qquad u = \\sigma^{1-c} (v - c \\, m)

    c = 1 samples the group's own value, best where its runs determine it; c = 0 a standardised deviation, best where they
    do not (Papaspiliopoulos et al. 2007, Statistical Science 22(1), section 4). u has the same prior under every c.
    """
    found = {}  # value and index: what there is to inherit, and each run's place in it
    for term in sorted(design.formula.groups, key=lambda term: len(design.levels[str(term)])):
        variable = f"{name}_{term}"
        own = design.index(term, runs.table)
        scale = _random_variable(f"{variable}_sigma", priors[f"{variable}_sigma"], unit)
        dims = ":".join(term.factor)
        parent = index[np.unique(own, return_index=True)[1]]
        nested = term.covariate is None and bool((index == parent[own]).all())
        inherited = value[parent] if nested else coefficients.get(str(term.covariate), 0.0)
        c = centring[variable]
        raw = pm.Normal(f"{variable}{RAW}", c * inherited, scale**c, dims=dims)
        deviation = scale ** (1 - c) * (raw - c * inherited)
        found[str(term)] = pm.Deterministic(variable, deviation, dims=dims)
        if nested:
            value, index = inherited + deviation, own
    return found


def _random_variable(name: str, prior: Prior, unit: Any, dims: str | None = None) -> Any:
    parameters = prior.in_units(unit)
    if prior.distribution == "Constant":
        value = parameters["value"] if dims is None else pt.full(len(pm.modelcontext(None).coords[dims]), parameters["value"])
        return pm.Deterministic(name, pt.as_tensor(value), dims=dims)
    return getattr(pm, prior.distribution)(name, **parameters, dims=dims)
