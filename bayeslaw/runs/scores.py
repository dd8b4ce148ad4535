"""How well each row of a table was measured: averages, standard errors, and baselines that scores
are relative to.

| column | what it says of a row |
|---|---|
| ``averaged`` | how many logged values it is the mean of |
| ``<response>_se`` | the standard error of its response, in the response's unit; noise comes on top |
| ``baseline``, ``baseline_se`` | what its score is measured from, and the standard error of that, which all rows of a baseline share |
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.errors import Fault, RunsError
from bayeslaw.laws.base import Law
from bayeslaw.runs import filters
from bayeslaw.runs.files import load_table

AVERAGED = "averaged"
BASELINE, BASELINE_SE = "baseline", "baseline_se"
#: The model's variable for the error of each baseline, in its standard errors.
BASELINE_ERROR = "baseline_error"


def se_column(law: Law) -> str:
    """The column of the response's standard errors."""
    return f"{law.response.name}_se"


def noise_scale(sigma: Any, table: pd.DataFrame, law: Law) -> Any:
    r"""The standard deviation of each row's noise, on the response's scale: :math:`\sqrt{\sigma^2 /
    m + s^2}`.

    sigma : noise of one logged value, a number or with rows last, of any kind of array. m : how
        many values the row averages. s : its
    standard error, brought to the response's scale by the slope there.
    """
    scale = sigma
    if AVERAGED in table:
        scale = scale / np.sqrt(table[AVERAGED].to_numpy(float))
    errors, response = se_column(law), law.response.name
    if errors in table and response in table:
        on_scale = table[errors].to_numpy(float) * abs(
            law.response.link.slope(table[response].to_numpy(float))
        )
        scale = (scale**2 + on_scale**2) ** 0.5
    return scale


def baseline_labels(table: pd.DataFrame) -> np.ndarray:
    """The baseline of each row, as text: rows of one baseline share its error."""
    return np.array(
        [
            f"{value:.12g}" if isinstance(value, float | int) else str(value)
            for value in table.get(BASELINE, pd.Series(0, table.index))
        ]
    )


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
    faults = [
        Fault(
            "the column is missing",
            "Name the column of raw scores (score), and of groups (by).",
            name,
        )
        for name in (score, *columns)
        if name not in frame
    ]
    if not (np.isfinite(unit) and unit > 0):
        faults.append(
            Fault(
                f"unit is {unit}",
                "Give a positive number, such as the standard deviation of the initial policy's"
                " scores.",
            )
        )
    if faults:
        raise RunsError(source, faults)
    numbers = {
        name: pd.to_numeric(frame[name], errors="coerce")
        for name in (score, errors)
        if name in frame
    }
    wrong = {
        score: (
            ~np.isfinite(numbers[score]),
            "it is not a number",
            "Correct it, or leave the row out.",
        ),
        **(
            {
                errors: (
                    ~(np.isfinite(numbers[errors]) & (numbers[errors] >= 0)),
                    "it is not a standard error",
                    "Give a number of at least 0.",
                )
            }
            if errors in frame
            else {}
        ),
        **{
            name: (
                frame[name].isna(),
                "the group is missing",
                "Name the group, or leave the row out.",
            )
            for name in columns
        },
    }
    faults = [
        Fault(problem, remedy, name, str(rows[i]), frame[name][i])
        for name, (bad, problem, remedy) in wrong.items()
        for i in np.flatnonzero(bad)
    ]
    frame = frame.assign(**numbers)
    start = filters.select(frame, initial)
    parts = []
    for key, own in frame.groupby(columns) if columns else [((), frame)]:
        whose = ", ".join(f"{name} = {value}" for name, value in zip(columns, key, strict=True))
        first, later = own[start[own.index]], own[~start[own.index]]
        r = first[score].to_numpy(float)
        if not len(first):
            faults.append(
                Fault(
                    f"{whose or 'the table'} has no row with {initial}",
                    "Add the score of the initial policy, or say which rows are its (initial).",
                )
            )
            continue
        if errors in frame and (first[errors] > 0).all():
            weight = 1 / first[errors].to_numpy(float) ** 2
            mean, error = float(np.average(r, weights=weight)), float(weight.sum() ** -0.5)
        elif len(r) > 1:
            mean, error = float(r.mean()), float(r.std(ddof=1) / np.sqrt(len(r)))
        else:
            remedy = (
                f"Add its standard error as {errors} (0.0 on other rows is fine), or evaluate it"
                " more than once."
            )
            faults.append(
                Fault(
                    f"{whose or 'the table'} has one row of the initial policy, of unknown error",
                    remedy,
                    errors,
                    str(rows[first.index[0]]),
                )
            )
            continue
        relative = {
            score: (later[score] - mean) / unit,
            BASELINE: f"{whose}: {mean:.12g}" if whose else mean,
            BASELINE_SE: error / unit,
        }
        parts.append(
            later.assign(**relative, **({errors: later[errors] / unit} if errors in frame else {}))
        )
    if faults:
        raise RunsError(source, faults)
    found = pd.concat(parts).sort_index()
    return found.set_axis(table.index[found.index], axis=0)
