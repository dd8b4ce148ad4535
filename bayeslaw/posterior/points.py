"""Points to predict at: made into a table, checked, and measured for their distance to the runs."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.defaults import POINTS_PER_BLOCK
from bayeslaw.errors import Fault, RunsError, RunsWarning, SpecError, listed, suggest
from bayeslaw.posterior.draws import Draws
from bayeslaw.runs.arguments import as_mapping, as_shared
from bayeslaw.runs.faults import faults_of_values
from bayeslaw.runs.files import with_plain_names
from bayeslaw.runs.measurement import AVERAGED, BASELINE_SE, se_column
from bayeslaw.runs.table import REPEAT_COLUMNS, Runs
from bayeslaw.runs.validation import is_text, validate_points
from bayeslaw.spec.design import Design
from bayeslaw.spec.formula import GroupTerm
from bayeslaw.text import MOST_NAMED, first_of, is_identifier, label, shown

#: What `extrapolation_distance` calls the distance of all inputs together.
JOINT = "joint"
#: Decades below which a distance is rounding.
ROUNDING = 1e-6
#: Runs up to which a convex hull is not worth looking for.
FEW = 30

type Points = pd.DataFrame | Mapping[str, Any]


def grid(points: Points) -> pd.DataFrame:
    """Points as a table: a DataFrame as it is; a mapping as the product of its values.

    >>> grid({"model_size": [1e9, 2e9], "method": "lora"})
         model_size method
    0  1.000000e+09   lora
    1  2.000000e+09   lora

    Raises
    ------
    RunsError : its columns do not have one name each.
    SpecError : it is neither a DataFrame nor a dictionary.
    """
    if isinstance(points, pd.DataFrame):
        return with_plain_names(points, "The points").reset_index(drop=True)
    if not isinstance(points, Mapping):
        raise SpecError(
            f"The points are {shown(points)}, and they must be a DataFrame or a dictionary."
        )
    if not points:
        return pd.DataFrame(index=range(1))
    axes = [list(x) if _is_several(x) else [x] for x in points.values()]
    columns = zip(*product(*axes), strict=True)
    table = {str(name): _inferred(x) for name, x in zip(points, columns, strict=False)}
    return pd.DataFrame(table, columns=list(map(str, points)))


def _is_several(value: Any) -> bool:
    """Whether a value of a mapping is several values."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping)


def _inferred(values: Sequence[Any]) -> pd.Series:
    """A column of values; of objects where pandas has no type for them."""
    try:
        return pd.Series(values)
    except (ValueError, TypeError, OverflowError):  # text that no file can hold
        return pd.Series(values, dtype=object)


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
    known_values = {
        name: _values_of(known[name])
        for name in (*design.law.inputs, *design.columns)
        if len(known) and name in known and name not in asked and name not in constant
    }
    table = validate_points(
        asked.assign(**constant), design.law, design.columns, known_values=known_values
    )
    faults = [*_without_unit(design, known, table), *_not_numbers(design, table)]
    if faults:
        raise RunsError("The points to predict", faults)
    return table.reset_index(drop=True)


def _values_of(column: pd.Series) -> str:
    """What the runs have in a column, in words: the range of numbers, or the first labels."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        low, high = label(column.min()), label(column.max())
        return low if low == high else f"{low} to {high}"
    return first_of(sorted(set(column.drop_duplicates().map(label))))


def _without_unit(design: Design, known: pd.DataFrame, table: pd.DataFrame) -> list[Fault]:
    """A fault for each row whose selector column, which gives an input its unit, is in no run."""
    faults = []
    for name, spec in design.law.inputs.items():
        if not (column := spec.selector) or not len(known):
            continue
        labels = known[column].map(label)
        faults += faults_of_values(
            column,
            table[column][~table[column].map(label).isin(labels)],
            len(table),
            f"no run has it, so the unit of {name} is not known",
            f"Use one of {listed(sorted(labels.unique()))}.",
            of_all=f"are in no run, so the unit of {name} is not known",
        )
    return faults


def _not_numbers(design: Design, table: pd.DataFrame) -> list[Fault]:
    """A fault for each row in which a covariate is not a number, or the table has text for what was
    measured.
    """
    formulas = [predictor.formula for predictor in design.predictors.values()]
    faults = [
        fault
        for covariate in dict.fromkeys(x for formula in formulas for x in formula.all_covariates)
        for fault in faults_of_values(
            covariate.column,
            table[covariate.column][~np.isfinite(covariate.values(table))],
            len(table),
            f"{covariate} of the model must be a number",
            "Correct its value.",
            of_all=f"have no {covariate}, which the model takes",
        )
    ]
    law = design.law
    measured = [law.response.name, se_column(law), AVERAGED, BASELINE_SE]
    return faults + [
        fault
        for name in measured
        if name in table
        for fault in faults_of_values(
            name,
            table[name][is_text(table[name])],
            len(table),
            "it is not a number",
            "Give a number, or leave the column out.",
            of_all="are not numbers",
        )
    ]


def points_at(
    fit: Draws, at: Mapping[str, Any] | None, rows: Sequence[Mapping[str, Any]]
) -> pd.DataFrame:
    """Checked points of a fit: see `points_of_design`.

    Warns
    -----
    RunsWarning : a group that no run has, which may be misspelt.
    """
    warn_of_new_groups(fit, pd.DataFrame([as_mapping(at, "at")]), LEAVE_OUT)
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
    runs, shared = known_runs.table, as_shared(at)
    known = dict.fromkeys([*design.law.inputs, *design.columns, *map(str, runs.columns)])
    if unknown := [name for name in shared if name not in known]:
        raise SpecError(
            f"at has {unknown[0]}, which is in neither the model nor its"
            f" runs.{suggest(unknown[0], known)}",
            key=("at", unknown[0]),
        )
    unseen = [
        name for name in open_columns(design) if not (name in runs and runs[name].nunique() == 1)
    ]
    table = pd.DataFrame([{**dict.fromkeys(unseen), **shared, **row} for row in rows])
    return checked_points(design, known_runs, table)


def new_groups(fit: Draws, points: pd.DataFrame) -> list[str]:
    """A sentence for each grouping column with values that no run has: new groups, or misspelt
    ones. Inputs are left out, and so are seeds, names of runs, and numbers among numbers, such as
    sizes: new ones are what is predicted.

    >>> new_groups(fit, pd.DataFrame({"task": ["mlsun"]}))
    ["No run has task mlsun. Did you mean 'mlsum'?"]
    """
    runs, sentences = fit.runs.table, []
    for name in open_columns(fit.design):
        if name not in points or name not in runs or name in REPEAT_COLUMNS or not len(runs):
            continue
        known = sorted(set(runs[name].drop_duplicates().map(label)))
        asked = points[name].drop_duplicates().map(label)
        sizes = all(map(_is_size, known))
        new = [
            x for x in dict.fromkeys(asked) if x and x not in known and not (sizes and _is_size(x))
        ]
        if new:
            near = "".join(dict.fromkeys(suggest(x, known) for x in new[:MOST_NAMED]))
            the_known = near or f" The runs have {first_of(known)}."
            sentences.append(f"No run has {name} {first_of(new)}.{the_known}")
    return sentences


def _is_size(text: str) -> bool:
    """Whether a label is a number, and no name of digits."""
    return pd.notna(pd.to_numeric(text, errors="coerce")) and not is_identifier(text)


#: How to say that a new group is meant: of points, and of what they share (``at``).
SAY_SO = "If it is meant, say so: new_groups=True, or on the command line --new-group."
LEAVE_OUT = "If a new group is meant, leave its column out."


def warn_of_new_groups(fit: Draws, points: Points, remedy: str = SAY_SO) -> None:
    """Warn, once for all points, of groups that no run has."""
    if sentences := new_groups(fit, grid(points)):
        warnings.warn(
            f"{' '.join(sentences)} It is predicted as a new group from the same population, so"
            f" that its band is wider. {remedy}",
            RunsWarning,
            stacklevel=3,
        )


def open_columns(design: Design) -> list[str]:
    """The columns that points may lack: a missing value stands for an unseen level."""
    needed = (*design.numeric_columns, *design.law.selector_columns)
    return [name for name in design.columns if name not in needed]


def extrapolation_distance(fit: Draws, table: pd.DataFrame) -> pd.DataFrame:
    """How far each point lies beyond the runs of its own groups.

    Returns
    -------
    DataFrame, one row per point. ``distance_<input>``, in decades: 1 at ten times the largest
    input of the runs, negative below the smallest, 0 between; NaN where there are no runs.
    ``distance_joint``, for laws of several inputs: how far all of them together lie beyond the
    runs, in decades, 0 or more
    (`beyond_hull` of the logarithms of `bayeslaw.laws.base.Law.joint_inputs`). It sees what each
    alone cannot: a large model on much data, where runs had either. ``unseen``: the grouping
    columns whose value no run had.
    """
    law, runs = fit.law, fit.runs.table
    columns = _own_columns(fit)
    if not len(runs):
        nowhere = {f"distance_{name}": np.full(len(table), np.nan) for name in law.inputs}
        return pd.DataFrame({**nowhere, "unseen": [""] * len(table)})
    of_points, of_runs = _keys(table, columns), _keys(runs, columns)
    distance = {}
    for name in law.inputs:
        ranges = runs[name].groupby(of_runs).agg(["min", "max"])
        low = of_points.map(ranges["min"]).fillna(runs[name].min()).to_numpy(float)
        high = of_points.map(ranges["max"]).fillna(runs[name].max()).to_numpy(float)
        x = table[name].to_numpy(float)
        distance[f"distance_{name}"] = np.log10(x / np.clip(x, low, high))
    if len(law.inputs) > 1:
        together = _joint_distance(fit, table)
        distance[f"distance_{JOINT}"] = together
    return pd.DataFrame({**distance, "unseen": _unseen_factors(fit, table)})


def _own_columns(fit: Draws) -> list[str]:
    """The columns that say which runs a point is compared with: those of its groups."""
    grouping = dict.fromkeys((*fit.design.group_columns, *(fit.spec.curve_by or ())))
    return [name for name in grouping if name not in fit.law.inputs]


def rows_of_own_groups(fit: Draws, table: pd.DataFrame) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The positions of points, and of the runs that they are compared with: those of their own
    groups, or all where no run has their groups.

    >>> for of_points, of_runs in rows_of_own_groups(fit, table): ...
    """
    runs, columns = fit.runs.table, _own_columns(fit)
    of_points, of_runs = _keys(table, columns), _keys(runs, columns)
    rows_of_group = pd.Series(range(len(runs))).groupby(of_runs.to_numpy()).indices
    seen = of_points.isin(list(rows_of_group)).to_numpy()
    if not seen.all():
        yield np.flatnonzero(~seen), np.arange(len(runs))
    points_of_group = pd.Series(np.flatnonzero(seen)).groupby(of_points[seen].to_numpy())
    for group, points in points_of_group:
        yield points.to_numpy(), rows_of_group[group]


def _joint_distance(fit: Draws, table: pd.DataFrame) -> np.ndarray:
    """How far each point lies beyond the runs of its group, or beyond all where no run has its
    group, (point,)."""
    law = fit.law
    points, runs = (
        np.log10(np.column_stack(list(law.joint_inputs(law.given(x)).values())))
        for x in (table, fit.runs.table)
    )
    distance = np.zeros(len(table))
    for of_points, of_runs in rows_of_own_groups(fit, table):
        distance[of_points] = beyond_hull(points[of_points], runs[of_runs])
    return distance


def beyond_hull(points: np.ndarray, runs: np.ndarray) -> np.ndarray:
    r"""How far each point lies from the nearest mixture of runs, (point,), 0 within their convex
    hull.

    .. math:: d = \min_{\lambda \ge 0, \; \sum \lambda = 1}
        \Big\lVert x - \sum_i \lambda_i r_i \Big\rVert_1

    Differences of coordinates add up. In log10 inputs, :math:`10^d` is the product of the factors
    by which the inputs differ: along a single input, how many times the largest it is; and for a
    model size and its data, beyond runs of equal compute, how many times their compute.

    The runs with d = 0, and above each of them the points at a distance along one coordinate, span
    all pairs (x, d) that can be reached. The lowest d above x is given by the facets of that body.

    Parameters
    ----------
    points, runs : a row each, a column a coordinate.

    Examples
    --------
    >>> corner = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> beyond_hull(np.array([[0.2, 0.2], [1.0, 1.0], [2.0, 0.0]]), corner).round(3)
    array([0., 1., 1.])
    """
    from scipy.spatial import ConvexHull

    corners = _corners(runs)
    centre, size = corners.mean(axis=0), points.shape[1]
    reach = 1 + 4 * size * float(np.ptp(np.vstack([points, corners]), axis=0).max())
    ways = reach * np.vstack([np.eye(size), -np.eye(size)])
    away = (corners[:, None] - centre + ways).reshape(-1, size)
    body = np.vstack(
        [
            np.column_stack([corners - centre, np.zeros(len(corners))]),
            np.column_stack([away, np.full(len(away), reach)]),
        ]
    )
    facets = ConvexHull(body).equations
    below = facets[facets[:, size] < -ROUNDING]
    slopes, levels = (-below[:, part] / below[:, [size]] for part in (slice(size), [size + 1]))
    distance = np.empty(len(points))
    for start in range(0, len(points), POINTS_PER_BLOCK):
        block = slice(start, start + POINTS_PER_BLOCK)
        distance[block] = ((points[block] - centre) @ slopes.T + levels.T).max(axis=1)
    return np.where(distance < ROUNDING, 0.0, distance)


def _corners(runs: np.ndarray) -> np.ndarray:
    """The runs that span the convex hull of all; all of them, if they are few or all but flat."""
    if len(runs) <= FEW:
        return runs
    from scipy.spatial import ConvexHull, QhullError

    try:
        return np.asarray(runs[ConvexHull(runs).vertices])
    except QhullError:
        return np.unique(runs, axis=0)


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
