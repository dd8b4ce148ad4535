r"""A spec resolved for a table of runs: the linear predictor of each parameter, and the curves.

On the unconstrained scale of a parameter (the logarithm of a positive one),

.. math:: \theta_i = \mathrm{intercept} + \sum_t c_t \, (x_{t,i} - \bar x_t)
    + \sum_g u_{g[i]} \, (x_{g,i} - \bar x_g)

where a plain ``(1 | g)`` has the factor 1 in place of :math:`x_{g,i} - \bar x_g`. Covariates are
centred at the table's mean. The intercept is therefore the value at the centre of the table, where
its prior is. Group terms are independent of each other, as with lme4's ``||``.
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
    """A formula applied to a table of runs.

    Attributes
    ----------
    formula : the formula.
    levels : for each ``str(term)``, the labels of its groups.
    centres : for each ``str(covariate)``, its mean in the table.
    """

    formula: Formula
    levels: Mapping[str, tuple[str, ...]]
    centres: Mapping[str, float]

    @classmethod
    def of(cls, formula: Formula, table: pd.DataFrame) -> LinearPredictor:
        """The predictor of a formula, with the groups and the means of ``table``."""
        terms = [*formula.groups, *([formula.by_term] if formula.by_term else [])]
        levels = {str(term): tuple(sorted(set(term.labels(table)) - {""})) for term in terms}
        centres = {str(x): float(x.values(table).mean()) for x in formula.all_covariates}
        return cls(formula, levels, centres)

    def centred(self, covariate: Covariate, table: pd.DataFrame) -> np.ndarray:
        """A covariate less its mean in the table of runs."""
        return covariate.values(table) - self.centres[str(covariate)]

    def index(self, term: GroupTerm, table: pd.DataFrame) -> np.ndarray:
        """The position of each row's group among the levels, (row,); -1 for an unseen level."""
        positions = pd.Index(self.levels[str(term)]).get_indexer(term.labels(table))
        return np.asarray(positions)

    def unseen_levels(self, term: GroupTerm, table: pd.DataFrame) -> list[str]:
        """The levels of ``table`` that no run had; "" stands for a missing value."""
        return sorted(set(term.labels(table)) - set(self.levels[str(term)]))

    def value(
        self,
        intercept: Any,
        coefficients: Mapping[str, Any],
        deviations: Mapping[str, Any],
        table: pd.DataFrame,
    ) -> Any:
        """The formula's value for each row of ``table``, on the unconstrained scale.

        The arguments are PyTensor variables when the model is built, and NumPy arrays otherwise.

        Parameters
        ----------
        intercept : a scalar, or an array with the rows as its last dimension.
        coefficients : for each ``str(covariate)``, a scalar or (draw, 1).
        deviations : for each ``str(term)``, (level,) or (draw, level). The levels are those of
            `index`.
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
    predictors : the `LinearPredictor` of each parameter of the law, the noise and the discrepancy.
    """

    spec: ModelSpec
    predictors: Mapping[str, LinearPredictor]

    @classmethod
    def of(cls, spec: ModelSpec, runs: Runs) -> Design:
        """The design of a spec whose defaults are all written out already."""
        formulas = spec.formulas
        return cls(spec, {x: LinearPredictor.of(formulas[x], runs.table) for x in spec.effects})

    def for_runs(self, runs: Runs) -> Design:
        """The design of the same spec for other runs, with their groups and their means."""
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
        """The prior of each random variable that has one."""
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
        """The columns that are covariates of a formula in which they make no groups."""
        formulas = [predictor.formula for predictor in self.predictors.values()]
        return _distinct(x for f in formulas for x in f.columns if x not in f.factor_columns)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Every column that the model reads, inputs left out: groups, covariates, curves."""
        read = [*self.group_columns, *self.covariate_columns]
        if self.spec.discrepancy.along_curves:
            read += [*(self.spec.curve_by or ()), *self.spec.discrepancy.shared_by]
        read += self.law.selector_columns
        return _distinct(name for name in read if name not in self.law.inputs)

    @cached_property
    def law_group_columns(self) -> tuple[str, ...]:
        """The columns by which the law's parameters differ, inputs left out.

        They make the groups for which `bayeslaw.Fit.quantity` gives a quantity of the law.
        """
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
        """The curve of each row, a label made of the columns of ``curve_by``."""
        return joined_labels(self.spec.curve_by or (), table)

    def shared_labels(self, table: pd.DataFrame) -> np.ndarray:
        """A label for each row; curves with the same label share a discrepancy."""
        return joined_labels(self.spec.discrepancy.shared_by, table)


def joined_labels(columns: Sequence[str], table: pd.DataFrame) -> np.ndarray:
    """One label per row for the values of some columns, such as "mlsum:lora".

    It is "all" if there are no columns, and "" where a value is missing.
    """
    if not columns:
        return np.full(len(table), "all", object)
    return GroupTerm(tuple(columns)).labels(table)


def cells(table: pd.DataFrame, columns: Sequence[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """The distinct rows of a table in some columns, and the position of each row among them.

    Parameters that differ only by these columns are computed once per cell, not once per run.
    """
    if not columns:
        return table.iloc[:1], np.zeros(len(table), dtype=int)
    # Without its index, whose name a column may have.
    names = list(dict.fromkeys(columns))
    plain = table[names].reset_index(drop=True)
    index = plain.groupby(names, sort=False, dropna=False).ngroup().to_numpy()
    return table.iloc[np.unique(index, return_index=True)[1]], index


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    """The names without repetition, in order of appearance."""
    return tuple(dict.fromkeys(names))
