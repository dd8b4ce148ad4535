"""Raw scores as scores relative to the initial policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from bayeslaw.errors import Fault, RunsError
from bayeslaw.runs import filters
from bayeslaw.runs.files import load_table
from bayeslaw.runs.measurement import BASELINE, BASELINE_SE


def relative_scores(
    table: pd.DataFrame,
    score: str = "gold_score",
    *,
    initial: str = "kl == 0",
    by: str | list[str] | None = None,
    unit: float = 1.0,
) -> pd.DataFrame:
    r"""Raw scores as scores relative to the initial policy: 0 for it, and in units of ``unit``.

    .. math:: R = (r - r_0) / u, \qquad \mathrm{se}(R) = \mathrm{se}(r) / u, \qquad r_0 = \text{the initial policy's mean}

    The laws of over-optimisation know R = 0 at KL = 0. The error of :math:`r_0` moves all scores
    that are measured from it together: it is carried in ``baseline_se``, and the fit has one
    variable for it. Gao et al. 2022 (arXiv 2210.10760, section 2.2) take for u the standard
    deviation of gold scores over the initial policy's samples.

    Parameters
    ----------
    table : with a column ``score``, and ``<score>_se`` where standard errors are known.
    score : the column to rescale.
    initial : the rows of the initial policy, by an expression. Several are averaged: inversely to
        their squared standard errors where these are known, else equally, with the standard error
        from their spread.
    by : column or columns whose groups have initial policies of their own, such as ``policy_size``.
    unit : u.

    Returns
    -------
    DataFrame without the rows of the initial policy; ``score`` and ``<score>_se`` rescaled, with
    ``baseline`` (r_0, and whose) and ``baseline_se`` (in units of u) added.

    Raises
    ------
    RunsError : a group without a row of the initial policy, or with a single one whose standard
        error is not known; a unit that is not positive; a score or a standard error that is not a
        finite number; a missing group.
    """
    frame, source = load_table(table)
    rows, frame = frame.index, frame.reset_index(drop=True)
    columns = [by] if isinstance(by, str) else list(by or [])
    errors = f"{score}_se"
    if faults := [*_missing(frame, (score, *columns)), *_bad_unit(unit)]:
        raise RunsError(source, faults)
    numbers = {
        name: pd.to_numeric(frame[name], errors="coerce")
        for name in (score, errors)
        if name in frame
    }
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
    """The rows of each initial policy, and whose it is in words; "" for the whole table."""
    if not columns:
        yield "", frame
        return
    for key, group in frame.groupby(list(columns)):
        yield ", ".join(f"{x} = {value}" for x, value in zip(columns, key, strict=True)), group


def _mean_of_initial(first: pd.DataFrame, score: str, errors: str) -> tuple[float, float]:
    """The initial policy's mean score and its standard error; NaN where that is not known."""
    r = first[score].to_numpy(float)
    if errors in first and (first[errors] > 0).all():
        weight = 1 / first[errors].to_numpy(float) ** 2
        return float(np.average(r, weights=weight)), float(weight.sum() ** -0.5)
    if len(r) > 1:
        return float(r.mean()), float(r.std(ddof=1) / np.sqrt(len(r)))
    return float(r[0]), float("nan")


def _missing(frame: pd.DataFrame, needed: Sequence[str]) -> list[Fault]:
    remedy = "Name the column of raw scores (score), and of groups (by)."
    return [Fault("the column is missing", remedy, name) for name in needed if name not in frame]


def _bad_unit(unit: float) -> list[Fault]:
    if np.isfinite(unit) and unit > 0:
        return []
    remedy = (
        "Give a positive number, such as the standard deviation of the initial policy's scores."
    )
    return [Fault(f"unit is {unit}", remedy)]


def _not_measured(
    frame: pd.DataFrame, numbers: dict[str, pd.Series], score: str, errors: str, rows: pd.Index
) -> list[Fault]:
    """Faults of scores and standard errors that are no numbers, or not what they must be."""
    bad = {score: ~np.isfinite(numbers[score])}
    words = {score: ("it is not a number", "Correct it, or leave the row out.")}
    if errors in numbers:
        bad[errors] = ~(np.isfinite(numbers[errors]) & (numbers[errors] >= 0))
        words[errors] = ("it is not a standard error", "Give a number of at least 0.")
    return [
        Fault(*words[name], name, str(rows[i]), frame[name][i])
        for name, where in bad.items()
        for i in np.flatnonzero(where)
    ]


def _gaps(frame: pd.DataFrame, columns: Sequence[str], rows: pd.Index) -> list[Fault]:
    """Faults of rows without a group."""
    remedy = "Name the group, or leave the row out."
    return [
        Fault("the group is missing", remedy, name, str(rows[i]), frame[name][i])
        for name in columns
        for i in np.flatnonzero(frame[name].isna())
    ]


def _no_initial(whose: str, initial: str) -> Fault:
    return Fault(
        f"{whose or 'the table'} has no row with {initial}",
        "Add the score of the initial policy, or say which rows are its (initial).",
    )


def _unknown_error(whose: str, errors: str, row: str) -> Fault:
    remedy = (
        f"Add its standard error as {errors} (0.0 on other rows is fine), or evaluate it more than"
        " once."
    )
    problem = f"{whose or 'the table'} has one row of the initial policy, of unknown error"
    return Fault(problem, remedy, errors, row)
