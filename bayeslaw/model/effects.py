r"""The random variables of a parameter: its population value, trends, and groups' deviations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt

from bayeslaw.priors import Prior
from bayeslaw.runs.table import Runs
from bayeslaw.spec.design import Design, LinearPredictor
from bayeslaw.spec.formula import GroupTerm
from bayeslaw.spec.spec import population_name

#: Suffix of a variable that is sampled in place of the one it is named after.
RAW = "_raw"

#: Standard deviation of a Normal prior below which chains start at its mean. Other variables start
#: up to one unit away.
NARROW = 0.5


@dataclass(frozen=True, slots=True)
class Centring:
    r"""What is sampled in place of a group's deviation, with a centring c between 0 and 1.

    A group deviates by u, with standard deviation s, from a value m that it inherits. The variable
    that is sampled is v,

    .. math:: v \sim N(c \, m, s^c), \qquad u = s^{1-c} (v - c \, m)

    With c = 1, v is the group's own value, which is best if its runs determine that value. With
    c = 0, v is a standardised deviation, which is best if they do not. u has the same prior under
    every c.

    Parameters
    ----------
    scale : s, a PyTensor variable or a NumPy array with the groups as its last dimension.
    c : the centring, likewise.

    References
    ----------
    Papaspiliopoulos, Roberts, Sköld 2007, Statistical Science 22(1), section 4.
    """

    scale: Any
    c: Any

    def prior_of_raw(self, inherited: Any) -> tuple[Any, Any]:
        """Mean and standard deviation of v."""
        return self.c * inherited, self.scale**self.c

    def deviation(self, raw: Any, inherited: Any) -> Any:
        """u from v and m."""
        return self.scale ** (1 - self.c) * (raw - self.c * inherited)

    def value(self, raw: Any, deviation: Any) -> Any:
        """The group's value m + u from v and u; c must not be 0."""
        return (raw - deviation / self.scale ** (1 - self.c)) / self.c + deviation


@dataclass(frozen=True, slots=True)
class Effects:
    """Makes the random variables of the effects on parameters, in the model in context.

    Attributes
    ----------
    design : what is fitted.
    table : one row per cell (`bayeslaw.spec.design.cells`).
    unit : the typical response.
    centring : how far each group is centred, by the deviations' variable.
    fixed : the deviations that are known, by variable and group.
    """

    design: Design
    table: pd.DataFrame
    unit: Any
    centring: Mapping[str, Any]
    fixed: Mapping[str, Mapping[str, float]]

    def population(self, name: str) -> Any:
        """The population value of a parameter; one for each group if it has no intercept."""
        variable = population_name(name, self.design.params[name])
        by = self.design.predictors[name].formula.by
        return random_variable(variable, self.design.priors[variable], self.unit, dims=by)

    def by_cell(self, name: str, population: Any, law_at_groups: Mapping[str, Any]) -> Any:
        """A parameter's value in each cell, on its own scale; a scalar if it has no effects.

        ``law_at_groups`` is the result of `bayeslaw.model.effects.law_at_groups`.
        """
        param, predictor = self.design.params[name], self.design.predictors[name]
        formula = predictor.formula
        if formula.by is None and not formula.covariates and not formula.groups:
            return population
        intercept = param.link.forward(population)
        by = formula.by_term
        index = predictor.index(by, self.table) if by else np.zeros(len(self.table), dtype=int)
        coefficients = {
            str(x): self._variable(f"{name}_{x}", self.design.priors[f"{name}_{x}"])
            for x in formula.covariates
        }
        deviations = self._deviations(
            name, predictor, pt.atleast_1d(intercept), index, coefficients, law_at_groups
        )
        at_cells = intercept[index] if by else intercept
        return param.link.inverse(predictor.value(at_cells, coefficients, deviations, self.table))

    def _deviations(
        self,
        name: str,
        predictor: LinearPredictor,
        value: Any,
        cell_of: np.ndarray,
        coefficients: Mapping[str, Any],
        law_at_groups: Mapping[str, Any],
    ) -> dict[str, Any]:
        """The deviations of each group term, by ``str(term)``, (level,).

        If each group of a term lies within one group of the term before, as models lie in families,
        the group inherits the value of that group: ``value`` holds the values to inherit, and
        ``cell_of`` the position of each cell among them. Other terms inherit nothing. A group made
        by an input, such as a checkpoint, also inherits the difference of the law's log loss
        between its inputs and the table's centre. Its runs determine the loss at its inputs;
        without that difference, every checkpoint's deviation would change with each exponent.
        """
        deviations = {}
        terms = predictor.formula.groups
        for term in sorted(terms, key=lambda term: len(predictor.levels[str(term)])):
            variable = f"{name}_{term}"
            group_of = predictor.index(term, self.table)
            scale = self._variable(f"{variable}_sigma", self.design.priors[f"{variable}_sigma"])
            parent = cell_of[np.unique(group_of, return_index=True)[1]]
            nested = term.covariate is None and bool((cell_of == parent[group_of]).all())
            inherited = value[parent] if nested else coefficients.get(str(term.covariate), 0.0)
            if variable in self.fixed:
                deviations[str(term)] = self._known(variable, predictor, term)
                continue
            centring = Centring(scale, self.centring[variable])
            expected = inherited + law_at_groups.get(str(term), 0.0)
            dims = ":".join(term.factor)
            raw = pm.Normal(f"{variable}{RAW}", *centring.prior_of_raw(expected), dims=dims)
            deviation = centring.deviation(raw, expected)
            deviations[str(term)] = pm.Deterministic(variable, deviation, dims=dims)
            if nested:
                value, cell_of = inherited + deviation, group_of
        return deviations

    def _known(self, variable: str, predictor: LinearPredictor, term: GroupTerm) -> Any:
        """The known deviations of a group term, as a Deterministic."""
        known = [self.fixed[variable][level] for level in predictor.levels[str(term)]]
        return pm.Deterministic(variable, pt.as_tensor(known), dims=":".join(term.factor))

    def _variable(self, name: str, prior: Prior) -> Any:
        """A random variable whose prior is in the runs' units."""
        return random_variable(name, prior, self.unit)


def law_at_groups(
    design: Design,
    runs: Runs,
    name: str,
    population: Mapping[str, Any],
    centre: Mapping[str, Any],
) -> dict[str, Any]:
    """The difference of the law's log loss between each group's inputs and the table's centre.

    It is computed for the group terms of the law's level whose groups are made by an input, as
    checkpoints are made by model size. A group's inputs are the geometric means over its runs.

    It is left out unless the law's other parameters are the same in all runs. Otherwise the runs of
    a checkpoint determine the exponents of their own tasks and methods, not the population's; on
    the README's model, using the population's left at most a quarter of the effective draws.

    Returns
    -------
    By ``str(term)``, the difference for each group, (level,).
    """
    law, param, predictor = design.law, design.params[name], design.predictors[name]
    terms = [
        term
        for term in predictor.formula.groups
        if term.covariate is None and not law.inputs.keys().isdisjoint(term.factor)
    ]
    others = [design.predictors[other].formula.columns for other in law.params if other != name]
    one_centre = all(np.ndim(value) == 0 for value in runs.centre_of(runs.table).values())
    applies = terms and param.is_level and one_centre and not law.switches
    if not applies or any(others) or predictor.formula.by:
        return {}
    natural = law.in_units_of_centre({other: population[other] for other in law.params})
    logs = np.log(pd.DataFrame(runs.inputs))
    differences = {}
    for term in terms:
        inputs = np.exp(logs.groupby(predictor.index(term, runs.table)).mean())
        given = {column: inputs[column].to_numpy() for column in law.inputs}
        at_groups = law.response.link.forward(law.at_centred(given, natural, centre))
        differences[str(term)] = at_groups - param.link.forward(population[name])
    return differences


def random_variable(name: str, prior: Prior, unit: Any, dims: str | None = None) -> Any:
    """A variable of the model with a prior; a Deterministic if the prior pins it."""
    parameters = prior.in_units(unit)
    if prior.distribution == "Constant":
        value = parameters["value"]
        if dims is not None:
            value = pt.full(len(pm.modelcontext(None).coords[dims]), value)
        return pm.Deterministic(name, pt.as_tensor(value), dims=dims)
    variable = getattr(pm, prior.distribution)(name, **parameters, dims=dims)
    # An exponent of either sign is known to within a few tenths. Chains that start a whole unit
    # away may end in another mode.
    narrow = prior.distribution == "Normal" and dict(prior.parameters)["sigma"] < NARROW
    variable.tag.starts_at_prior = narrow
    return variable
