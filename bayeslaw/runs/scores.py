"""Scores relative to the initial policy, from raw scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from bayeslaw.errors import Fault, RunsError
from bayeslaw.runs import filters
from bayeslaw.runs.arguments import as_columns, is_finite
from bayeslaw.runs.faults import faults_of_values
from bayeslaw.runs.files import load_table
from bayeslaw.runs.measurement import BASELINE, BASELINE_SE
from bayeslaw.runs.validation import numbers_of
from bayeslaw.text import shown


def relative_scores(
    table: pd.DataFrame,
    score: str = "gold_score",
    *,
    initial: str = "kl == 0",
    by: str | list[str] | None = None,
    unit: float = 1.0,
) -> pd.DataFrame:
    r"""Scores relative to the initial policy, in units of ``unit``, from raw scores.

    .. math:: R = (r - r_0) / u, \qquad \mathrm{se}(R) = \mathrm{se}(r) / u

    where r_0 is the mean score of the initial policy, and u the unit. The laws of over-optimisation
    assume R = 0 at KL = 0. An error of r_0 moves all scores that are measured from it together:
    ``baseline_se`` records its size, and the fit estimates it as one variable. Gao et al. 2022
    (arXiv 2210.10760, section 2.2) use for u the standard deviation of gold scores over the
    samples of the initial policy.

    Parameters
    ----------
    table : a table with the column ``score``, and ``<score>_se`` if standard errors are known.
    score : the column of raw scores.
    initial : a filter that holds for the rows of the initial policy. Several rows are averaged: by
        the inverse of their squared standard errors if these are known; otherwise equally, with
        the standard error from their spread.
    by : column or columns whose groups each have an initial policy, such as ``policy_size``.
    unit : u, in the unit of the raw scores.

    Returns
    -------
    DataFrame without the rows of the initial policy. ``score`` and ``<score>_se`` are relative, in
    units of u. Two columns are added: ``baseline``, a label of the group and r_0; and
    ``baseline_se``, the standard error of r_0 in units of u.

    Raises
    ------
    RunsError : a group has no row of the initial policy, or a single one without a standard error;
        the unit is not positive; a score or a standard error is not a finite number; a group is
        missing. All faults are listed.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> import pandas as pd
    >>> raw = pd.DataFrame({"kl": [0, 0, 4, 9], "gold_score": [0.9, 1.1, 2.0, 2.5]})
    >>> bl.relative_scores(raw)
       kl  gold_score  baseline_se  baseline
    2   4         1.0          0.1       1.0
    3   9         1.5          0.1       1.0
    """
    frame, source = load_table(table)
    rows, frame = frame.index, frame.reset_index(drop=True)
    columns = [by] if isinstance(by, str) else list(as_columns(by or [], "by"))
    errors = f"{score}_se"
    if faults := [*_missing(frame, (score, *columns)), *_bad_unit(unit)]:
        raise RunsError(source, faults)
    numbers = {name: numbers_of(frame[name]) for name in (score, errors) if name in frame}
    faults = [*_not_measured(frame, numbers, score, errors, rows), *_gaps(frame, columns, rows)]
    frame = frame.assign(**numbers)
    is_initial = filters.select(frame, initial)
    parts = []
    for whose, group in _groups(frame, columns):
        first, later = group[is_initial[group.index]], group[~is_initial[group.index]]
        if not len(first):
            faults.append(_no_initial(whose, initial))
            continue
        mean, error = _mean_of_initial(first, score, errors)
        if np.isnan(error):
            faults.append(_unknown_error(whose, errors, str(rows[first.index[0]])))
            continue
        relative = {score: (later[score] - mean) / unit, BASELINE_SE: error / unit}
        relative[BASELINE] = f"{whose}: {mean:.12g}" if whose else mean
        if errors in frame:
            relative[errors] = later[errors] / unit
        parts.append(later.assign(**relative))
    if faults:
        raise RunsError(source, faults)
    relative_to_initial = pd.concat(parts).sort_index()
    return relative_to_initial.set_axis(table.index[relative_to_initial.index], axis=0)


def _groups(frame: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """For each initial policy, the name of its group ("" for the whole table) and its rows."""
    if not columns:
        yield "", frame
        return
    for key, group in frame.groupby(list(columns)):
        yield ", ".join(f"{x} = {value}" for x, value in zip(columns, key, strict=True)), group


def _mean_of_initial(first: pd.DataFrame, score: str, errors: str) -> tuple[float, float]:
    """The mean score of the initial policy and its standard error, NaN if that is not known."""
    r = first[score].to_numpy(float)
    if errors in first and (first[errors] > 0).all():
        weight = 1 / first[errors].to_numpy(float) ** 2
        return float(np.average(r, weights=weight)), float(weight.sum() ** -0.5)
    if len(r) > 1:
        return float(r.mean()), float(r.std(ddof=1) / np.sqrt(len(r)))
    return float(r[0]), float("nan")


def _missing(frame: pd.DataFrame, needed: Sequence[str]) -> list[Fault]:
    """A fault for each column that the table lacks."""
    remedy = "Name the column of raw scores (score), and of groups (by)."
    return [Fault("the column is missing", remedy, name) for name in needed if name not in frame]


def _bad_unit(unit: float) -> list[Fault]:
    """A fault if the unit is not a positive number."""
    if is_finite(unit) and unit > 0:
        return []
    remedy = (
        "Give a positive number, such as the standard deviation of the initial policy's scores."
    )
    return [Fault(f"unit is {shown(unit)}", remedy)]


def _not_measured(
    frame: pd.DataFrame, numbers: dict[str, pd.Series], score: str, errors: str, rows: pd.Index
) -> list[Fault]:
    """A fault for each score that is not finite, and for each invalid standard error."""
    bad = {score: ~np.isfinite(numbers[score])}
    words = {
        score: ("it is not a finite number", "Correct it, or leave the row out.", "are no numbers")
    }
    if errors in numbers:
        bad[errors] = ~(np.isfinite(numbers[errors]) & (numbers[errors] >= 0))
        remedy = "Give a number of at least 0."
        words[errors] = ("it is not a standard error", remedy, "are no standard errors")
    faults = []
    for name, where in bad.items():
        problem, remedy, of_all = words[name]
        values = frame[name].set_axis(rows)
        failing = values[where.to_numpy()]
        faults += faults_of_values(name, failing, len(values), problem, remedy, of_all=of_all)
    return faults


def _gaps(frame: pd.DataFrame, columns: Sequence[str], rows: pd.Index) -> list[Fault]:
    """A fault for each row without a group."""
    remedy = "Name the group, or leave the row out."
    return [
        Fault("the group is missing", remedy, name, str(rows[i]), frame[name][i])
        for name in columns
        for i in np.flatnonzero(frame[name].isna())
    ]


def _no_initial(whose: str, initial: str) -> Fault:
    """The fault of a group without the initial policy."""
    return Fault(
        f"{whose or 'the table'} has no row with {initial}",
        "Add the score of the initial policy, or name its rows by a filter (initial).",
    )


def _unknown_error(whose: str, errors: str, row: str) -> Fault:
    """The fault of an initial policy with one score and no standard error."""
    remedy = (
        f"Add its standard error as {errors} (other rows may have 0.0), or evaluate the initial"
        " policy more than once."
    )
    problem = f"{whose or 'the table'} has one row of the initial policy, of unknown error"
    return Fault(problem, remedy, errors, row)
