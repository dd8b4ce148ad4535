"""Points to predict at: made into a table, checked, and measured for their distance to the runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.errors import Fault, RunsError, SpecError, suggest
from bayeslaw.posterior.draws import Draws
from bayeslaw.runs.table import Runs
from bayeslaw.runs.validation import validate_points
from bayeslaw.spec.design import Design
from bayeslaw.spec.formula import GroupTerm
from bayeslaw.text import label

type Points = pd.DataFrame | Mapping[str, Any]


def grid(points: Points) -> pd.DataFrame:
    """Points as a table: a DataFrame as it is; a mapping as the product of its values.

    >>> grid({"model_size": [1e9, 2e9], "method": "lora"})
         model_size method
    0  1.000000e+09   lora
    1  2.000000e+09   lora
    """
    if isinstance(points, pd.DataFrame):
        return points.reset_index(drop=True)
    axes = [
        [value] if value is None or np.ndim(value) == 0 else list(value)
        for value in points.values()
    ]
    return pd.DataFrame(list(product(*axes)), columns=list(points))


def checked_points(design: Design, runs: Runs, points: Points) -> pd.DataFrame:
    """Points as a table with every column that the model reads, in the law's units.

    A column that has one value in all runs may be left out. Inputs that follow from others (data
    from compute, KL from n) are derived.

    Raises
    ------
    RunsError : points outside the law's domain, or columns missing: all faults at once.
    """
    asked, known = grid(points), runs.table
    constant = {
        name: known[name].iloc[0]
        for name in design.columns
        if name not in asked and name in known and known[name].nunique() == 1
    }
    table = validate_points(asked.assign(**constant), design.law, design.columns)
    faults = [*_without_unit(design, known, table), *_not_numbers(design, table)]
    if faults:
        raise RunsError("The points to predict", faults)
    return table.reset_index(drop=True)


def _without_unit(design: Design, known: pd.DataFrame, table: pd.DataFrame) -> list[Fault]:
    """A fault for each row whose selector column, which gives an input its unit, is in no run."""
    faults = []
    for name, spec in design.law.inputs.items():
        if not (column := spec.selector):
            continue
        labels = known[column].map(label)
        remedy = f"Use one of {', '.join(sorted(labels.unique()))}."
        for row in table.index[~table[column].map(label).isin(labels)]:
            value = table[column][row]
            problem = f"no run has {value!r}, so the unit of {name} is not known"
            faults.append(Fault(problem, remedy, column, str(row), value))
    return faults


def _not_numbers(design: Design, table: pd.DataFrame) -> list[Fault]:
    """A fault for each row in which a covariate is not a number."""
    problem, remedy = "a covariate of the model must be a number", "Give its value."
    return [
        Fault(problem, remedy, name, str(row))
        for name in design.numeric_columns
        for row in table.index[pd.to_numeric(table[name], errors="coerce").isna()]
    ]


def points_at(
    fit: Draws, at: Mapping[str, Any] | None, rows: Sequence[Mapping[str, Any]]
) -> pd.DataFrame:
    """Checked points of a fit: see `points_of_design`."""
    return points_of_design(fit.design, fit.runs, at, rows)


def points_of_design(
    design: Design,
    known_runs: Runs,
    at: Mapping[str, Any] | None,
    rows: Sequence[Mapping[str, Any]],
) -> pd.DataFrame:
    """Checked points: ``rows``, each with the values that ``at`` gives to all of them.

    A grouping column that neither gives stands for an unseen level, unless all runs have one value.

    Raises
    ------
    SpecError : ``at`` has a column that neither the model nor the runs have, or several values of
        one column.
    RunsError : as `checked_points`.
    """
    runs, shared = known_runs.table, dict(at or {})
    known = dict.fromkeys([*design.law.inputs, *design.columns, *map(str, runs.columns)])
    if unknown := [name for name in shared if name not in known]:
        raise SpecError(
            f"at has {unknown[0]}, which is in neither the model nor its"
            f" runs.{suggest(unknown[0], known)}",
            key=("at", unknown[0]),
        )
    if several := [name for name, value in shared.items() if np.ndim(value) > 0]:
        name = several[0]
        raise SpecError(f"at has several values of {name}: give one.", key=("at", name))
    unseen = [
        name for name in open_columns(design) if not (name in runs and runs[name].nunique() == 1)
    ]
    table = pd.DataFrame([{**dict.fromkeys(unseen), **shared, **row} for row in rows])
    return checked_points(design, known_runs, table)


def open_columns(design: Design) -> list[str]:
    """The columns that points may lack: a missing value stands for an unseen level."""
    needed = (*design.numeric_columns, *design.law.selector_columns)
    return [name for name in design.columns if name not in needed]


def extrapolation_distance(fit: Draws, table: pd.DataFrame) -> pd.DataFrame:
    """How far each point lies beyond the runs of its own groups.

    Returns
    -------
    DataFrame, one row per point. ``distance_<input>``, in decades: 1 at ten times the largest
    input of the runs, negative below the smallest, 0 between. ``unseen``: the grouping columns
    whose value no run had.
    """
    law, runs = fit.law, fit.runs.table
    grouping = dict.fromkeys((*fit.design.group_columns, *(fit.spec.curve_by or ())))
    columns = [name for name in grouping if name not in law.inputs]
    of_points, of_runs = _keys(table, columns), _keys(runs, columns)
    distance = {}
    for name in law.inputs:
        ranges = runs[name].groupby(of_runs).agg(["min", "max"])
        low = of_points.map(ranges["min"]).fillna(runs[name].min()).to_numpy(float)
        high = of_points.map(ranges["max"]).fillna(runs[name].max()).to_numpy(float)
        x = table[name].to_numpy(float)
        distance[f"distance_{name}"] = np.log10(x / np.clip(x, low, high))
    return pd.DataFrame({**distance, "unseen": _unseen_factors(fit, table)})


def _unseen_factors(fit: Draws, table: pd.DataFrame) -> list[str]:
    """For each point, the columns of its unseen levels: "task:method, model", say."""
    unseen = {
        ":".join(term.factor): predictor.index(term, table) < 0
        for predictor in fit.design.predictors.values()
        for term in predictor.formula.groups
    }
    if fit.spec.curve_by:
        curves = fit.design.curve_labels(fit.runs.table)
        unseen[":".join(fit.spec.curve_by)] = ~np.isin(fit.design.curve_labels(table), curves)
    by_row: list[list[str]] = [[] for _ in range(len(table))]
    for factor, rows in unseen.items():
        for row in np.flatnonzero(rows):
            by_row[row].append(factor)
    return [", ".join(factors) for factors in by_row]


def _keys(frame: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """One label per row for the values of some columns."""
    if not columns:
        return pd.Series("", index=frame.index, dtype=object)
    return pd.Series(GroupTerm(tuple(columns)).labels(frame), index=frame.index)
