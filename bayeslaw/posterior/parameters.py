"""A fit's draws laid out for a table of points: each parameter at each point, with groups that no
run had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.errors import SpecError
from bayeslaw.posterior.draws import Draws, Kind, stream
from bayeslaw.runs.measurement import (
    BASELINE,
    BASELINE_ERROR,
    BASELINE_SE,
    baseline_labels,
    noise_scale,
)
from bayeslaw.spec.design import LinearPredictor, cells
from bayeslaw.spec.spec import population_name


@dataclass(frozen=True, slots=True)
class Parameters:
    """A fit's draws laid out for a table of points, chains and draws joined as ``sample``.

    Attributes
    ----------
    draws : the fit's.
    predictors : know every group of the table; those that no run had stand after the fit's own.
    variables : the draws of each variable, (sample, ...).
    deviations : of the groups of each term, (sample, level) by the term's variable; 0 for groups
        that no run had, for ``kind="mean"``.
    seed : of what is drawn for groups and baselines that no run had.
    """

    draws: Draws
    predictors: Mapping[str, LinearPredictor]
    variables: Mapping[str, np.ndarray]
    deviations: Mapping[str, np.ndarray]
    seed: int

    @classmethod
    def at(
        cls, draws: Draws, table: pd.DataFrame, kind: Kind, random_seed: int | None = None
    ) -> Parameters:
        """The parameters at the rows of a table.

        Raises
        ------
        SpecError : a group that no run had, of a parameter whose groups are not pooled.
        """
        samples = draws.samples
        variables = {
            str(name): x.values.reshape(samples, *x.shape[2:])
            for name, x in draws.posterior.items()
        }
        seed = draws.seed(random_seed)
        predictors, deviations = {}, {}
        for name, predictor in draws.design.predictors.items():
            _refuse_unpooled(name, predictor, table)
            levels = dict(predictor.levels)
            for term in predictor.formula.groups:
                variable = f"{name}_{term}"
                unseen = predictor.unseen_levels(term, table)
                levels[str(term)] = (*levels[str(term)], *unseen)
                new = [
                    np.zeros(samples)
                    if kind == "mean"
                    else _unseen_deviation(variable, level, seed, variables)
                    for level in unseen
                ]
                deviations[variable] = np.column_stack([variables[variable], *new])
            predictors[name] = replace(predictor, levels=levels)
        return cls(draws, predictors, variables, deviations, seed)

    def without_effects_of(self, column: str) -> Parameters:
        """The same without the deviations of the groups that a column makes: along it, the curve is
        the law's, and not that of single settings."""
        own = [
            f"{name}_{term}"
            for name, predictor in self.predictors.items()
            for term in predictor.formula.groups
            if column in term.factor
        ]
        zeros = {variable: 0 * self.deviations[variable] for variable in own}
        return replace(self, deviations={**self.deviations, **zeros})

    def mu_on_link(self, table: pd.DataFrame) -> np.ndarray:
        """The law's curve at rows of a table, (sample, row), on the response's scale."""
        law, design = self.draws.law, self.draws.design
        distinct, cell = cells(table, [*design.group_columns, *design.covariate_columns])
        natural = law.in_units_of_centre(self.sampled(distinct))
        at_rows = {
            name: x if x.shape[1] == 1 else x[:, cell]
            for name, x in natural.items()
            if name in law.params
        }
        centre = self.draws.runs.centre_of(table)
        return law.response.link.forward(law.at_centred(law.given(table), at_rows, centre))

    def sampled(self, table: pd.DataFrame) -> dict[str, Any]:
        """The law's parameters as they are sampled, (sample, row), or (sample, 1) where no effect
        makes them differ."""
        return {name: self._parameter(name, table) for name in self.draws.law.params}

    def of_law(self, table: pd.DataFrame) -> dict[str, Any]:
        """The law's parameters in the paper's units, shaped as `sampled`."""
        centre = self.draws.runs.centre_of(table)
        return self.draws.law.from_centre(self.sampled(table), centre)

    def of_noise(self, table: pd.DataFrame) -> dict[str, Any]:
        """The parameters of noise and discrepancy, (sample, row) or (sample, 1); sigma is that of
        each row, its standard error included."""
        law, names = self.draws.law, self.draws.design.params
        found = {name: self._parameter(name, table) for name in names if name not in law.params}
        return found | {"sigma": noise_scale(found["sigma"], table, law)}

    def baseline_error(self, table: pd.DataFrame) -> np.ndarray | float:
        """What the error of a baseline adds to the rows that are measured from it, (sample, row); 0
        where the table has none."""
        if BASELINE_SE not in table:
            return 0.0
        known = self.draws.idata["posterior"].coords.get(BASELINE)
        levels = [] if known is None else [str(level) for level in known.values]
        labels = baseline_labels(table)
        drawn: dict[str, np.ndarray] = {}
        for level in set(labels):
            if level in levels:
                drawn[level] = self.variables[BASELINE_ERROR][:, levels.index(level)]
            else:
                rng = stream(self.seed, f"baseline {level}")
                drawn[level] = rng.standard_normal(self.draws.samples)
        errors = table[BASELINE_SE].to_numpy(float)
        return np.column_stack([drawn[level] for level in labels]) * errors

    def _parameter(self, name: str, table: pd.DataFrame) -> np.ndarray:
        predictor, param = self.predictors[name], self.draws.design.params[name]
        population = self.variables[population_name(name, param)]
        intercept = param.link.forward(population)[:, None]
        if by := predictor.formula.by_term:
            intercept = param.link.forward(population)[:, predictor.index(by, table)]
        covariates, terms = predictor.formula.covariates, predictor.formula.groups
        coefficients = {str(x): self.variables[f"{name}_{x}"][:, None] for x in covariates}
        deviations = {str(term): self.deviations[f"{name}_{term}"] for term in terms}
        return param.link.inverse(predictor.value(intercept, coefficients, deviations, table))


def _refuse_unpooled(name: str, predictor: LinearPredictor, table: pd.DataFrame) -> None:
    """Raise where the groups of a parameter are not pooled and no run had one of the table's."""
    by = predictor.formula.by_term
    if by and (unseen := predictor.unseen_levels(by, table)):
        raise SpecError(
            f"{name} has the formula {predictor.formula}: its groups are not pooled, so"
            f" {', '.join(unseen)} cannot be predicted. Use 1 + (1 | {predictor.formula.by})."
        )


def _unseen_deviation(
    variable: str, level: str, seed: int, variables: Mapping[str, np.ndarray]
) -> np.ndarray:
    """The deviation of a group that no run had, (sample,), from its population."""
    scale = variables[f"{variable}_sigma"]
    return scale * stream(seed, f"{variable} {level}").standard_normal(len(scale))
