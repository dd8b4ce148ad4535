"""The value of each parameter at each point of a table, over a fit's draws.

Points may be in groups that no run had: their deviations are drawn from the population of groups.
"""

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
from bayeslaw.spec.noise import WEIGHT
from bayeslaw.spec.spec import population_name


@dataclass(frozen=True, slots=True)
class Parameters:
    """A fit's draws prepared for a table of points; chains and draws are joined as ``sample``.

    Attributes
    ----------
    draws : the fit's draws.
    predictors : each parameter's linear predictor. Its levels are those of the fit, followed by
        the table's unseen levels.
    variables : the draws of each variable, (sample, ...).
    deviations : by the variable of a group term, the deviations of its groups, (sample, level).
        For ``kind="mean"`` they are 0 at unseen levels.
    seed : the seed for unseen groups and baselines.
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
        SpecError : an unseen level of a parameter whose groups are not pooled.
        SamplingError : draws that are not finite numbers.
        """
        draws.require_finite()
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
                of_unseen = [np.zeros(samples) for _ in unseen]
                if kind != "mean":
                    of_unseen = [_unseen_deviation(variable, x, seed, variables) for x in unseen]
                deviations[variable] = np.column_stack([variables[variable], *of_unseen])
            predictors[name] = replace(predictor, levels=levels)
        return cls(draws, predictors, variables, deviations, seed)

    def without_effects_of(self, column: str) -> Parameters:
        """The same parameters without the deviations of the groups that a column makes.

        Along that column the curve is then the law's, without the deviation of any one setting.
        """
        without = [
            f"{name}_{term}"
            for name, predictor in self.predictors.items()
            for term in predictor.formula.groups
            if column in term.factor
        ]
        zeros = {variable: 0 * self.deviations[variable] for variable in without}
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
        response = law.at_centred(law.given(table), at_rows, centre)
        return np.asarray(law.response.link.forward(response))

    def sampled(self, table: pd.DataFrame) -> dict[str, Any]:
        """The law's parameters as they are sampled, (sample, row).

        A parameter that is the same in every row is (sample, 1).
        """
        return {name: self._parameter(name, table) for name in self.draws.law.params}

    def of_law(self, table: pd.DataFrame) -> dict[str, Any]:
        """The law's parameters in the paper's units, in the shapes of `sampled`."""
        centre = self.draws.runs.centre_of(table)
        return self.draws.law.from_centre(self.sampled(table), centre)

    def of_noise(self, table: pd.DataFrame) -> dict[str, Any]:
        """The parameters of noise and discrepancy, (sample, row) or (sample, 1).

        ``sigma`` is that of each row, with the standard error of its response included.
        """
        law, names = self.draws.law, self.draws.design.params
        params = {name: self._parameter(name, table) for name in names if name not in law.params}
        return params | {"sigma": noise_scale(params["sigma"], table, law)}

    def variance_of_runs(self, rows: np.ndarray) -> np.ndarray:
        """The variance of the noise of some of the fit's runs, (sample, row); with Student-t noise
        along curves, that of the normal which each run's weight gives.
        """
        variance = self.of_noise(self.draws.runs.table.iloc[rows])["sigma"] ** 2
        if WEIGHT in self.variables:
            variance = variance / self.variables[WEIGHT][:, rows]
        return np.asarray(variance)

    def baseline_error(self, table: pd.DataFrame) -> np.ndarray | float:
        """The error of the baseline of each row, (sample, row); 0 if the table has none."""
        if BASELINE_SE not in table:
            return 0.0
        fitted = self.draws.idata["posterior"].coords.get(BASELINE)
        baselines = [] if fitted is None else [str(baseline) for baseline in fitted.values]
        labels = baseline_labels(table)
        standardised: dict[str, np.ndarray] = {}
        for label in set(labels):
            if label in baselines:
                standardised[label] = self.variables[BASELINE_ERROR][:, baselines.index(label)]
            else:
                rng = stream(self.seed, f"baseline {label}")
                standardised[label] = rng.standard_normal(self.draws.samples)
        errors = table[BASELINE_SE].to_numpy(float)
        return np.asarray(np.column_stack([standardised[label] for label in labels]) * errors)

    def _parameter(self, name: str, table: pd.DataFrame) -> np.ndarray:
        """A parameter as it is sampled, on its own scale, in the shape of `sampled`."""
        predictor, param = self.predictors[name], self.draws.design.params[name]
        population = self.variables[population_name(name, param)]
        intercept = param.link.forward(population)[:, None]
        if by := predictor.formula.by_term:
            intercept = param.link.forward(population)[:, predictor.index(by, table)]
        covariates, terms = predictor.formula.covariates, predictor.formula.groups
        coefficients = {str(x): self.variables[f"{name}_{x}"][:, None] for x in covariates}
        deviations = {str(term): self.deviations[f"{name}_{term}"] for term in terms}
        on_link = predictor.value(intercept, coefficients, deviations, table)
        return np.asarray(param.link.inverse(on_link))


def _refuse_unpooled(name: str, predictor: LinearPredictor, table: pd.DataFrame) -> None:
    """Raise if the table has an unseen level of a parameter whose groups are not pooled."""
    by = predictor.formula.by_term
    if by and (unseen := predictor.unseen_levels(by, table)):
        raise SpecError(
            f"{name} has the formula {predictor.formula}: its groups are not pooled, so"
            f" {', '.join(unseen)}, which no run has, cannot be predicted. Give {name} the formula"
            f" 1 + (1 | {predictor.formula.by}) in effects, and fit again."
        )


def _unseen_deviation(
    variable: str, level: str, seed: int, variables: Mapping[str, np.ndarray]
) -> np.ndarray:
    """The deviation of an unseen level, (sample,), drawn from the population of levels."""
    scale = variables[f"{variable}_sigma"]
    return scale * stream(seed, f"{variable} {level}").standard_normal(len(scale))
