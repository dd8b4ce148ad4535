r"""What a spec means for a table of runs: each parameter's linear predictor, and what makes curves.

On the unconstrained scale of a parameter (log of a positive one),

.. math:: \theta_i = \mathrm{intercept} + \sum_t c_t \, (x_{t,i} - \bar x_t)
    + \sum_g u_{g[i]} \, (x_{g,i} - \bar x_g)

with x = 1 for a plain ``(1 | g)``. Covariates are centred at the table's mean, so the intercept
stays the value at the centre of the table, where its prior is. Group terms are independent of each
other, as with lme4's ``||``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.laws.base import Law, Param
from bayeslaw.priors import Prior
from bayeslaw.runs.table import Runs
from bayeslaw.spec.formula import Covariate, Formula, GroupTerm
from bayeslaw.spec.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class LinearPredictor:
    """A formula for a table: the levels of its groups, and where its covariates are centred.

    ``levels`` maps ``str(term)`` to the labels of its groups; ``centres`` maps ``str(covariate)``
    to its mean in the table.
    """

    formula: Formula
    levels: Mapping[str, tuple[str, ...]]
    centres: Mapping[str, float]

    @classmethod
    def of(cls, formula: Formula, table: pd.DataFrame) -> LinearPredictor:
        """The predictor of a formula whose groups and centres are those of ``table``."""
        terms = [*formula.groups, *([formula.by_term] if formula.by_term else [])]
        levels = {str(term): tuple(sorted(set(term.labels(table)) - {""})) for term in terms}
        centres = {str(x): float(x.values(table).mean()) for x in formula.all_covariates}
        return cls(formula, levels, centres)

    def centred(self, covariate: Covariate, table: pd.DataFrame) -> np.ndarray:
        """A covariate less its mean in the table of runs."""
        return covariate.values(table) - self.centres[str(covariate)]

    def index(self, term: GroupTerm, table: pd.DataFrame) -> np.ndarray:
        """Position of each row's group among the levels; -1 for a group never seen."""
        return pd.Index(self.levels[str(term)]).get_indexer(term.labels(table))

    def unseen_levels(self, term: GroupTerm, table: pd.DataFrame) -> list[str]:
        """The groups of ``table`` that no run had; "" stands for a missing one."""
        return sorted(set(term.labels(table)) - set(self.levels[str(term)]))

    def value(
        self,
        intercept: Any,
        coefficients: Mapping[str, Any],
        deviations: Mapping[str, Any],
        table: pd.DataFrame,
    ) -> Any:
        """The formula's value for each row of ``table``, on the unconstrained scale.

        Parameters
        ----------
        intercept : scalar, or with the row as the last dimension.
        coefficients : ``str(covariate)`` -> scalar, or (draw, 1).
        deviations : ``str(term)`` -> (level,), or (draw, level), with any level that `index` names.

        The arguments are PyTensor variables where the model is built, NumPy arrays elsewhere.
        """
        total = intercept
        for covariate in self.formula.covariates:
            total = total + coefficients[str(covariate)] * self.centred(covariate, table)
        for term in self.formula.groups:
            deviation = deviations[str(term)][..., self.index(term, table)]
            if term.covariate is not None:
                deviation = deviation * self.centred(term.covariate, table)
            total = total + deviation
        return total


@dataclass(frozen=True)
class Design:
    """A spec resolved for a table of runs. Made by `bayeslaw.spec.resolve.resolve`, never changed.

    Attributes
    ----------
    spec : what was asked, with every default written out.
    predictors : each parameter's `LinearPredictor`: those of the law, the noise, the discrepancy.
    """

    spec: ModelSpec
    predictors: Mapping[str, LinearPredictor]

    @classmethod
    def of(cls, spec: ModelSpec, runs: Runs) -> Design:
        """The design of a spec in which nothing is left to a default."""
        formulas = spec.formulas
        return cls(spec, {x: LinearPredictor.of(formulas[x], runs.table) for x in spec.effects})

    def for_runs(self, runs: Runs) -> Design:
        """The same spec for other runs: their groups, and covariates centred at their means."""
        return Design.of(self.spec, runs)

    @property
    def law(self) -> Law:
        """The law that is fitted."""
        return self.spec.law

    @property
    def params(self) -> Mapping[str, Param]:
        """The parameters of the law, of the noise and of the discrepancy."""
        return self.spec.params

    @property
    def priors(self) -> Mapping[str, Prior]:
        """The prior of every random variable that has one."""
        return self.spec.priors

    @cached_property
    def group_columns(self) -> tuple[str, ...]:
        """The columns that make groups in the model."""
        return _distinct(x for p in self.predictors.values() for x in p.formula.factor_columns)

    @cached_property
    def numeric_columns(self) -> tuple[str, ...]:
        """The columns whose numbers the model reads, whether or not they make groups too."""
        formulas = [predictor.formula for predictor in self.predictors.values()]
        return _distinct(x.column for formula in formulas for x in formula.all_covariates)

    @cached_property
    def covariate_columns(self) -> tuple[str, ...]:
        """The columns that are covariates, and make no groups in the same formula."""
        formulas = [predictor.formula for predictor in self.predictors.values()]
        return _distinct(x for f in formulas for x in f.columns if x not in f.factor_columns)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Every column beside the inputs that the model reads: groups, covariates, and what makes
        curves."""
        read = [*self.group_columns, *self.covariate_columns]
        if self.spec.discrepancy.along_curves:
            read += [*(self.spec.curve_by or ()), *self.spec.discrepancy.shared_by]
        read += self.law.selector_columns
        return _distinct(name for name in read if name not in self.law.inputs)

    @cached_property
    def law_group_columns(self) -> tuple[str, ...]:
        """The columns in which groups differ in the law itself, inputs left out: what a quantity of
        the law has groups of."""
        predictors = [self.predictors[name] for name in self.law.params]
        columns = [x for predictor in predictors for x in predictor.formula.factor_columns]
        columns += [spec.selector for spec in self.law.inputs.values() if spec.selector]
        return _distinct(name for name in columns if name not in self.law.inputs)

    @cached_property
    def is_pooled(self) -> bool:
        """Whether no parameter differs between groups."""
        formulas = [predictor.formula for predictor in self.predictors.values()]
        return not any(formula.groups or formula.by for formula in formulas)

    def curve_labels(self, table: pd.DataFrame) -> np.ndarray:
        """The curve of each row, by the columns of ``curve_by``."""
        return joined_labels(self.spec.curve_by or (), table)

    def shared_labels(self, table: pd.DataFrame) -> np.ndarray:
        """The curves of one label have a discrepancy in common; here the label of each row."""
        return joined_labels(self.spec.discrepancy.shared_by, table)


def joined_labels(columns: Sequence[str], table: pd.DataFrame) -> np.ndarray:
    """One label a row for the values of some columns, ``"mlsum:lora"``; "all" where there are no
    columns, "" where a value is missing."""
    return (
        GroupTerm(tuple(columns)).labels(table) if columns else np.full(len(table), "all", object)
    )


def cells(table: pd.DataFrame, columns: Sequence[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """The distinct rows of a table in some columns, and which of them each row is.

    Parameters differ by these columns only: computed a cell at a time, they cost as much as there
    are groups, not runs.
    """
    if not columns:
        return table.iloc[:1], np.zeros(len(table), dtype=int)
    index = table.groupby(list(columns), sort=False, dropna=False).ngroup().to_numpy()
    return table.iloc[np.unique(index, return_index=True)[1]], index


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    """The names without repetition, in order of appearance."""
    return tuple(dict.fromkeys(names))
