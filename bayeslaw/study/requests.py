"""What a study file asks of a fit: points, options, candidates and budgets, checked against the
design before anything is fitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.decisions.candidates import training_compute
from bayeslaw.decisions.options import checked_options
from bayeslaw.errors import SpecError, suggest
from bayeslaw.laws.base import Law
from bayeslaw.posterior.points import checked_points, grid
from bayeslaw.runs.columns import DERIVED_FROM
from bayeslaw.runs.table import Runs
from bayeslaw.spec.design import Design
from bayeslaw.study.schema import DecisionSection, NextRuns, Rows
from bayeslaw.text import canonical_label


def target_of(decision: DecisionSection, law: Law) -> float:
    """The target, which must be a value of the law's response."""
    response = law.response.name
    if list(decision.target) != [response]:
        names = ", ".join(decision.target) or "nothing"
        raise SpecError(
            f"It is a target for {names}, and the response of the law is {response}: target ="
            f" {{ {response} = ... }}."
        )
    return decision.target[response]


def options_of(
    decision: DecisionSection, design: Design, runs: Runs
) -> tuple[pd.DataFrame, np.ndarray]:
    """The options, and the cost of each, (option,)."""
    options, cost = _options(decision, design, runs), decision.cost
    if both := [str(name) for name in options if name in decision.at]:
        raise SpecError(
            f"{both[0]} is in options and in at. If options differ in it, leave it out of at; if"
            " they share it, leave it out of options.",
            key=("at", both[0]),
        )
    if "cost" in options and cost is not None:
        raise SpecError(
            "cost is both a key of [decision] and a column of the options: leave one out.",
            key="cost",
        )
    points, costs = checked_options(
        design.law,
        options,
        decision.target.get(design.law.response.name, 0.5),
        at=decision.at,
        cost=[cost] * len(options) if isinstance(cost, float) else cost,
        go_at=decision.go_at,
        no_go_at=decision.no_go_at,
    )
    points_of(points, design, runs)
    return options.drop(columns="cost", errors="ignore"), costs


def _options(decision: DecisionSection, design: Design, runs: Runs) -> pd.DataFrame:
    """The options as the file gives them: its ``options``, the names in ``cost``, or else a single
    option, ``at``."""
    if decision.options is not None:
        return rows_of(decision.options)
    if isinstance(decision.cost, Mapping):
        return _named_by(decision.cost, design, runs, decision.at)
    return pd.DataFrame(index=[0])


def _named_by(
    cost: Mapping[str, float], design: Design, runs: Runs, at: Mapping[str, Any]
) -> pd.DataFrame:
    """Options that differ in one column: the column that has all names in ``cost`` among its
    values."""
    names = {canonical_label(name) for name in cost}
    columns = [
        column
        for column in (*design.law.inputs, *design.columns)
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


def candidates_of(
    wanted: NextRuns, decision: DecisionSection, design: Design, runs: Runs
) -> tuple[pd.DataFrame, np.ndarray]:
    """The candidates and the cost of each, (candidate,). A column that they do not have is that of
    ``at`` of the decision."""
    table = rows_of(wanted.candidates)
    shared = {name: value for name, value in decision.at.items() if name not in table}
    table = table.assign(**shared)
    points = table.drop(columns="cost", errors="ignore")
    checked = points_of(points, design, runs)
    if wanted.cost == "flop":
        costs = training_compute(checked)
    elif wanted.cost is not None:
        costs = np.array(wanted.cost)
    elif "cost" in table:
        costs = np.asarray(pd.to_numeric(table["cost"], errors="coerce"), dtype=float)
    else:
        costs = np.ones(len(table))
    if len(costs) != len(table) or not (costs > 0).all():
        raise SpecError(
            f"cost must be a positive number for each of the {len(table)} candidates; it has"
            f" {len(costs)}.",
            key="cost",
        )
    return points, costs


def points_of(points: pd.DataFrame, design: Design, runs: Runs) -> pd.DataFrame:
    """Checked points, with every input of the law. A column that the model does not know is
    refused: options that differ in it alone would have equal predictions."""
    known = (*design.law.inputs, *design.columns, *DERIVED_FROM)
    if unknown := [str(name) for name in points if name not in known]:
        name, remedy = unknown[0], suggest(unknown[0], known)
        if name in runs.table:
            remedy = " It is a column of the runs: name it in groups of [runs]."
        raise SpecError(
            f"{name} is neither an input of {design.law.name} nor a group of the model, and would"
            f" change nothing.{remedy}",
            key=name,
        )
    checked = checked_points(design, runs, points)
    for name, predictor in design.predictors.items():
        column = predictor.formula.by
        if column is None:
            continue
        levels = set(runs.table[column].map(canonical_label))
        unseen = sorted(set(checked[column].map(canonical_label)) - levels)
        if unseen:
            raise SpecError(
                f"{column} has {', '.join(unseen)}, which no run has. It cannot be predicted,"
                f" because the groups of {name} are not pooled ({predictor.formula}). Give {name}"
                f" the formula 1 + (1 | {column}) in [model.effects].",
                key=column,
            )
    return checked


def rows_of(rows: Rows) -> pd.DataFrame:
    """The rows of a study file as a table: every combination of the lists of one table, or a row
    for each of several tables."""
    if isinstance(rows, dict):
        if isinstance(rows.get("cost"), list):
            raise SpecError(
                "cost is a list inside a table whose lists are combined in all ways. Move cost out"
                " of that table, or write a list of tables, one for each row."
            )
        return grid(rows)
    keys: list[set[str]] = [set(row) - {"cost"} for row in rows]
    if lacking := sorted(set[str]().union(*keys) - set[str].intersection(*keys)):
        raise SpecError(
            f"Some rows have no {', '.join(lacking)}, which others have: give it in each."
        )
    return pd.DataFrame(rows)
