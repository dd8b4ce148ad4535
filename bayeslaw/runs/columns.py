"""Columns derived from others, such as data from compute; and rows of the initial policy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from bayeslaw.errors import Fault
from bayeslaw.laws.base import Law
from bayeslaw.laws.kl import BestOfN, kl_of_n
from bayeslaw.runs.faults import faults_of_values
from bayeslaw.text import labels

#: FLOP of training per parameter and token: Kaplan et al. 2020 (arXiv 2001.08361), section 2.1.
TRAINING = 6.0
#: Columns from which inputs of a law are derived.
DERIVED_FROM = ("compute", "n", "sqrt_kl")


def tokens_of(compute: Any, model_size: Any) -> Any:
    """The tokens that a training compute pays for: C = 6 N D."""
    return compute / (TRAINING * model_size)


def derive(
    frame: pd.DataFrame, law: Law, number: dict[str, pd.Series]
) -> tuple[pd.DataFrame, list[str], list[Fault]]:
    """Derive the law's inputs that a table lacks.

    Parameters
    ----------
    frame : the table.
    law : the law.
    number : the numbers of each column, NaN where there is none.

    Returns
    -------
    The table with the derived columns, notes on them, and faults of the columns they come from.
    """
    frame, notes = _data_size(frame, law, number)
    if "kl" not in law.inputs:
        return frame, notes, []
    frame, more, faults = _kl(frame, _best_of_n(frame, law), number)
    return frame, notes + more, faults


def _data_size(
    frame: pd.DataFrame, law: Law, number: dict[str, pd.Series]
) -> tuple[pd.DataFrame, list[str]]:
    """The table with ``data_size`` from ``compute`` and ``model_size``, if the law needs it."""
    needed = "data_size" in law.inputs and "data_size" not in frame
    if not needed or not {"compute", "model_size"} <= set(frame.columns):
        return frame, []
    with np.errstate(divide="ignore"):  # a model_size of zero is reported later
        tokens = tokens_of(number["compute"], number["model_size"])
    return frame.assign(data_size=or_as_given(tokens, frame["compute"])), [
        "data_size = compute / (6 model_size)"
    ]


def _best_of_n(frame: pd.DataFrame, law: Law) -> pd.Series:
    """Whether each row is of best-of-n; in other rows a column n counts something else."""
    if not law.switches:
        return pd.Series(isinstance(law, BestOfN), index=frame.index)
    if "method" not in frame:
        return pd.Series(False, index=frame.index)
    return labels(frame["method"]) == "bon"


def _kl(
    frame: pd.DataFrame, best_of_n: pd.Series, number: dict[str, pd.Series]
) -> tuple[pd.DataFrame, list[str], list[Fault]]:
    """The table with ``kl`` from ``n`` of best-of-n or from ``sqrt_kl``, in rows that lack it."""
    if not {"n", "sqrt_kl"} & set(frame.columns):
        return frame, [], []
    kl, given = pd.Series(np.nan, index=frame.index), pd.Series(False, index=frame.index)
    if "kl" in frame:
        kl, given = number["kl"], frame["kl"].notna()
    notes: list[str] = []
    faults: list[Fault] = []
    if "n" in frame:
        from_n = best_of_n & ~given
        n = number["n"].where(from_n)
        faults = _faults_of_n(frame["n"][from_n], number["n"][from_n])
        if (rows := n >= 1).any():
            kl = kl.where(~rows, pd.Series(kl_of_n(n.where(rows, 1.0)), index=frame.index))
            notes.append(
                "kl = log n - (n - 1) / n, the KL of best-of-n (an upper bound where the proxy has"
                " ties)"
            )
    if "sqrt_kl" in frame and (missing := kl.isna() & ~given).any():
        kl = kl.where(~missing, number["sqrt_kl"].where(number["sqrt_kl"] >= 0) ** 2)
        notes.append("kl = sqrt_kl^2")
    if "kl" not in frame and kl.isna().all() and not faults:
        return frame, notes, faults
    column = or_as_given(kl, frame["kl"]) if "kl" in frame else kl
    return frame.assign(kl=column), notes, faults


def or_as_given(numbers: pd.Series, given: pd.Series) -> pd.Series:
    """Numbers, and where there is none what is given, so that the fault of text is reported."""
    is_other = numbers.isna() & given.notna()
    if not is_other.any():
        return numbers
    return numbers.astype(object).where(~is_other, given.astype(object))


def _faults_of_n(n: pd.Series, number: pd.Series) -> list[Fault]:
    """A fault for each n that is below 1 or not a number; ``number`` has the numbers of ``n``."""
    text = n[n.notna() & number.isna()]
    return [
        *faults_of_values(
            "n",
            number[number < 1],
            int(number.notna().sum()),
            "n is below 1",
            "Best-of-n takes the best of one or more samples.",
            of_all="are below 1",
        ),
        *faults_of_values(
            "n",
            text,
            int(n.notna().sum()),
            "it is not a number",
            "Write the number of samples from which the best was taken.",
            of_all="are not numbers",
        ),
    ]


def initial_policy(
    frame: pd.DataFrame, law: Law, number: dict[str, pd.Series]
) -> tuple[pd.DataFrame, list[str], list[Fault]]:
    """Treat the rows with none of an input: those of the initial policy, or before training.

    Relative scores are 0 there by definition, so these rows say nothing and are left out. A rate or
    a loss there is an observation: the rows are kept, with `bayeslaw.laws.base.Input.none` for 0.

    Returns
    -------
    The table, notes, and faults of scores that are not 0.
    """
    notes: list[str] = []
    faults: list[Fault] = []
    for name, spec in law.inputs.items():
        if spec.none is None or name not in frame:
            continue
        at_start = number[name] == 0
        if not (count := int(at_start.sum())):
            continue
        if law.response.scale == "linear":
            faults += _faults_of_scores(law.response.name, number, at_start)
            frame = frame[~at_start]
            notes.append(
                f"{count} rows of the initial policy (KL = 0) were left out: its score is 0 by"
                " definition"
            )
            continue
        whose = "from before training" if law.response.scale == "log" else "of the initial policy"
        shown = "KL" if name == "kl" else name
        column = frame[name] if is_numeric_dtype(frame[name]) else frame[name].astype(object)
        frame = frame.assign(**{name: column.where(~at_start, spec.none)})
        notes.append(f"{count} rows are {whose} ({shown} = 0)")
    return frame, notes, faults


def _faults_of_scores(
    response: str, number: dict[str, pd.Series], at_start: pd.Series
) -> list[Fault]:
    """A fault for each score of the initial policy that is not 0."""
    score = number[response][at_start] if response in number else pd.Series(dtype=float)
    remedy = (
        "Scores must be relative to the initial policy, whose score is 0: bayeslaw.relative_scores"
        " computes them from raw scores."
    )
    return faults_of_values(
        response,
        score[score.notna() & (score != 0)],
        len(score),
        "the score at KL = 0 is not 0",
        remedy,
        of_all="at KL = 0 are not 0",
    )
