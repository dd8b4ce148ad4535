"""What a study file asks of a fit: points, options, candidates and budgets, checked against the
law, the runs and the model before anything is fitted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.decisions.candidates import require_costs, training_compute
from bayeslaw.decisions.options import checked_options, require_distinct, require_target
from bayeslaw.errors import BayeslawError, RunsError, SpecError, suggest
from bayeslaw.laws.base import Law
from bayeslaw.posterior.points import checked_points, grid
from bayeslaw.runs.columns import DERIVED_FROM
from bayeslaw.runs.table import Runs
from bayeslaw.runs.validation import validate_points
from bayeslaw.spec.design import Design
from bayeslaw.study.schema import DecisionSection, NextRuns, Rows
from bayeslaw.text import canonical_label

#: Rows that options or candidates may have: more than anybody chooses between.
MOST_ROWS = 1000
#: Points that a study may ask to predict.
MOST_POINTS = 1_000_000


@dataclass(frozen=True, slots=True)
class Ground:
    """What the questions of a study are checked against.

    Attributes
    ----------
    law : the law.
    runs, design : the runs and the model; None where not even a stand-in for them is known.
    sure : whether the two are those of the study. If its table or its model has faults, they stand
        in for them, and only what is wrong in any case is a fault of a question.
    """

    law: Law
    runs: Runs | None = None
    design: Design | None = None
    sure: bool = False

    def points(self, points: pd.DataFrame) -> pd.DataFrame:
        """Checked points, with every input of the law.

        Raises
        ------
        SpecError, RunsError : the first of `faults_of`.
        """
        for error in self.faults_of(points):
            raise error
        return self._checked(points)

    def faults_of(self, points: pd.DataFrame) -> Iterator[BayeslawError]:
        """All that is wrong with points. A column that the model does not know is: options that
        differ in it alone would have equal predictions.
        """
        unknown = [str(name) for name in points if name not in self._known()]
        if self.design is not None and self.runs is not None:
            for name in unknown:
                yield self._unknown(name)
        try:
            checked = self._checked(points.drop(columns=unknown))
        except RunsError as error:
            yield error
            return
        if self.sure:
            yield from self._unseen(checked)

    def _known(self) -> list[str]:
        """The columns that points may have."""
        known = [*self.law.inputs, *DERIVED_FROM]
        if self.design is not None:
            known += self.design.columns
        if self.runs is not None and not self.sure:
            known += map(str, self.runs.table.columns)
        return known

    def _unknown(self, name: str) -> SpecError:
        """The fault of a column that the model does not know."""
        assert self.runs is not None
        remedy = suggest(name, self._known())
        if name in self.runs.table:
            remedy = " It is a column of the runs: name it in groups of [runs]."
        return SpecError(
            f"{name} is neither an input of {self.law.name} nor a group of the model, and would"
            f" change nothing.{remedy}",
            key=name,
        )

    def _checked(self, points: pd.DataFrame) -> pd.DataFrame:
        """Points with the inputs of the law, in its domain."""
        if self.design is None or self.runs is None:
            known = [name for name in points if name in self._known()]
            return validate_points(points[known], self.law, ())
        if self.sure:
            return checked_points(self.design, self.runs, points)
        lacking = [name for name in self.design.columns if name not in points]
        table = self.runs.table
        any_group = {name: table[name].iloc[0] for name in lacking if name in table}
        return checked_points(self.design, self.runs, points.assign(**any_group))

    def _unseen(self, points: pd.DataFrame) -> Iterator[SpecError]:
        """The faults of groups that no run has, where groups are not pooled."""
        assert self.design is not None and self.runs is not None
        for name, predictor in self.design.predictors.items():
            column = predictor.formula.by
            if column is None:
                continue
            levels = set(self.runs.table[column].map(canonical_label))
            unseen = sorted(set(points[column].map(canonical_label)) - levels)
            if unseen:
                yield SpecError(
                    f"{column} has {', '.join(unseen)}, which no run has. It cannot be predicted,"
                    f" because the groups of {name} are not pooled ({predictor.formula}). Give"
                    f" {name} the formula 1 + (1 | {column}) in [model.effects].",
                    key=column,
                )


def target_of(decision: DecisionSection, law: Law) -> float:
    """The target, which must be a value of the law's response."""
    response = law.response.name
    if list(decision.target) != [response]:
        names = ", ".join(decision.target) or "nothing"
        raise SpecError(
            f"It is a target for {names}, and the response of the law is {response}: target ="
            f" {{ {response} = ... }}."
        )
    require_target(decision.target[response], law)
    return decision.target[response]


def options_of(decision: DecisionSection, ground: Ground) -> pd.DataFrame | None:
    """The options as the file gives them: its ``options``, the names in ``cost``, or else a single
    option, ``at``. None if that cannot be told without the runs.

    Raises
    ------
    SpecError : a column in two places, or names in ``cost`` that are of no column.
    """
    if decision.options is None and isinstance(decision.cost, Mapping):
        require_distinct(decision.cost)
        if ground.runs is None or ground.design is None:
            return None
        return _named_by(decision.cost, ground.design, ground.runs, decision.at)
    options = pd.DataFrame(index=[0]) if decision.options is None else rows_of(decision.options)
    if both := [str(name) for name in options if name in decision.at]:
        raise SpecError(
            f"{both[0]} is in options and in at. If options differ in it, leave it out of at; if"
            " they share it, leave it out of options.",
            key=("at", both[0]),
        )
    if "cost" in options and decision.cost is not None:
        raise SpecError(
            "cost is both a key of [decision] and a column of the options: leave one out.",
            key="cost",
        )
    spelt = options.drop(columns="cost", errors="ignore").map(canonical_label)
    if (same := spelt.duplicated()).any():
        named = ", ".join(spelt[same].iloc[0])
        raise SpecError(f"Two options are the same, {named}: give it once.", key="options")
    return options


def costs_of(decision: DecisionSection, options: pd.DataFrame, law: Law) -> np.ndarray:
    """The cost of each option, (option,).

    Raises
    ------
    SpecError : no options, or costs that do not fit them.
    """
    cost = decision.cost
    any_target = 0.5  # every response may have it
    _, costs = checked_options(
        law,
        options,
        any_target,
        at=decision.at,
        cost=[cost] * len(options) if isinstance(cost, float) else cost,
    )
    return costs


def _named_by(
    cost: Mapping[str, float], design: Design, runs: Runs, at: Mapping[str, Any]
) -> pd.DataFrame:
    """Options that differ in one column: the column that has all names in ``cost`` among its
    values."""
    names = {canonical_label(name) for name in cost}
    columns = [
        column
        for column in dict.fromkeys((*design.law.inputs, *design.columns, *runs.groups))
        if column not in at
        and column in runs.table
        and names <= {canonical_label(value) for value in runs.table[column]}
    ]
    if len(columns) == 1:
        return pd.DataFrame({columns[0]: list(cost)})
    if columns:
        problem = f"several columns have all of these names as values ({', '.join(columns)})."
    else:
        known = {canonical_label(value) for name in runs.groups for value in runs.table[name]}
        unknown = next((name for name in cost if canonical_label(name) not in known), "")
        problem = (
            "no input and no group of the model has all of these names as"
            f" values.{suggest(unknown, known)}"
        )
    raise SpecError(
        f"cost names {', '.join(cost)}, and {problem} Say what the options are: options ="
        " { method = [...] }.",
        key="cost",
    )


def candidates_of(wanted: NextRuns, decision: DecisionSection) -> tuple[pd.DataFrame, Any]:
    """The candidates, and the costs that they have in the file: numbers, "flop" or None. A column
    that they do not have is that of ``at`` of the decision.

    Raises
    ------
    SpecError : rows that lack a column, or costs in two places.
    """
    table = rows_of(wanted.candidates)
    if "cost" in table and wanted.cost is not None:
        raise SpecError(
            "cost is both a key of [next_runs] and a column of the candidates: leave one out.",
            key="cost",
        )
    cost = table.get("cost", wanted.cost)
    shared = {name: value for name, value in decision.at.items() if name not in table}
    return table.assign(**shared).drop(columns="cost", errors="ignore"), cost


def costs_of_candidates(points: pd.DataFrame, cost: Any, checked: pd.DataFrame) -> np.ndarray:
    """The cost of each candidate, (candidate,); ``checked`` has the inputs of the law.

    Raises
    ------
    SpecError : not a positive number for each.
    """
    if isinstance(cost, str):
        return training_compute(checked)
    return np.ones(len(points)) if cost is None else require_costs(cost, len(points))


def rows_of(rows: Rows) -> pd.DataFrame:
    """The rows of a study file as a table: every combination of the lists of one table, or a row
    for each of several tables."""
    if isinstance(rows, dict):
        if isinstance(rows.get("cost"), list):
            raise SpecError(
                "cost is a list inside a table whose lists are combined in all ways. Move cost out"
                " of that table, or write a list of tables, one for each row."
            )
        return product_of(rows, MOST_ROWS)
    if len(rows) > MOST_ROWS:
        raise SpecError(f"They are {len(rows):,} rows, and at most {MOST_ROWS:,} are compared.")
    if not rows:
        raise SpecError("It is an empty list: there is no row.")
    keys: list[set[str]] = [set(row) - {"cost"} for row in rows]
    if lacking := sorted(set[str]().union(*keys) - set[str].intersection(*keys)):
        raise SpecError(
            f"Some rows have no {', '.join(lacking)}, which others have: give it in each."
        )
    return pd.DataFrame(rows)


def product_of(rows: Mapping[str, Any], most: int) -> pd.DataFrame:
    """Every combination of the lists of one table, a row each.

    Raises
    ------
    SpecError : an empty list, or more combinations than ``most``.

    Examples
    --------
    >>> len(product_of({"data_size": [1e9, 2e9], "task": "qa"}, 10))
    2
    """
    lists = {name: value if isinstance(value, list) else [value] for name, value in rows.items()}
    if empty := [name for name, value in lists.items() if not value]:
        raise SpecError(f"{empty[0]} is an empty list: there is no combination.", key=empty[0])
    if (count := math.prod(map(len, lists.values()))) > most:
        raise SpecError(f"They are {count:,} combinations, and at most {most:,} are taken.")
    return grid(lists)
