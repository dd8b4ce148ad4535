"""Columns that follow from others: data from compute, KL from n; and what is known of the initial
policy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.errors import Fault
from bayeslaw.laws.base import Law
from bayeslaw.laws.kl import BestOfN, kl_of_n

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
    """The table with what the law needs and the table has under another name; notes that say so,
    and faults of what it is derived from.

    ``number`` holds the numbers of the columns that are read here, NaN where there is none.
    """
    frame, notes = _data_size(frame, law, number)
    if "kl" not in law.inputs:
        return frame, notes, []
    frame, more, faults = _kl(frame, _best_of_n(frame, law), number)
    return frame, notes + more, faults


def _data_size(
    frame: pd.DataFrame, law: Law, number: dict[str, pd.Series]
) -> tuple[pd.DataFrame, list[str]]:
    """``data_size`` from ``compute`` and ``model_size`` (C = 6 N D), where the law needs it and the
    table lacks it.
    """
    if (
        "data_size" in law.inputs
        and "data_size" not in frame
        and {"compute", "model_size"} <= set(frame.columns)
    ):
        with np.errstate(divide="ignore"):  # a model_size of zero is reported as such later
            derived = tokens_of(number["compute"], number["model_size"])
        return frame.assign(data_size=derived.where(derived.notna(), frame["compute"])), [
            "data_size = compute / (6 model_size)"
        ]
    return frame, []


def _best_of_n(frame: pd.DataFrame, law: Law) -> pd.Series:
    """The rows that are of best-of-n: in others a column n counts something else."""
    if law.switches:
        return (
            frame["method"] == "bon" if "method" in frame else pd.Series(False, index=frame.index)
        )
    return pd.Series(isinstance(law, BestOfN), index=frame.index)


def _kl(
    frame: pd.DataFrame, best_of_n: pd.Series, number: dict[str, pd.Series]
) -> tuple[pd.DataFrame, list[str], list[Fault]]:
    """``kl`` from ``n`` of best-of-n or ``sqrt_kl``, in rows that lack it."""
    if not {"n", "sqrt_kl"} & set(frame.columns):
        return frame, [], []
    have = number["kl"] if "kl" in frame else pd.Series(np.nan, index=frame.index)
    given = frame["kl"].notna() if "kl" in frame else pd.Series(False, index=frame.index)
    notes, faults = [], []
    if "n" in frame:
        n = number["n"].where(best_of_n & ~given)
        faults = [
            Fault(
                f"{value:g}: n is below 1",
                "Best-of-n takes the best of one or more samples.",
                "n",
                str(row),
                value,
            )
            for row, value in n[n < 1].items()
        ]
        text = frame["n"][best_of_n & ~given & frame["n"].notna() & number["n"].isna()]
        faults += [
            Fault(
                "it is not a number",
                "Write how many samples the best was taken of.",
                "n",
                str(row),
                value,
            )
            for row, value in text.items()
        ]
        if (rows := n >= 1).any():
            have = have.where(~rows, pd.Series(kl_of_n(n.where(rows, 1.0)), index=frame.index))
            notes.append(
                "kl = log n - (n - 1) / n, the KL of best-of-n (an upper bound where the proxy has"
                " ties)"
            )
    if "sqrt_kl" in frame and (missing := have.isna() & ~given).any():
        have = have.where(~missing, number["sqrt_kl"].where(number["sqrt_kl"] >= 0) ** 2)
        notes.append("kl = sqrt_kl^2")
    if "kl" not in frame and have.isna().all() and not faults:
        return frame, notes, faults
    column = have.where(have.notna(), frame["kl"]) if "kl" in frame else have
    return frame.assign(kl=column), notes, faults


def initial_policy(
    frame: pd.DataFrame, law: Law, number: dict[str, pd.Series]
) -> tuple[pd.DataFrame, list[str], list[Fault]]:
    """Rows of the initial policy, KL = 0: a relative score is 0 there by definition, and says
    nothing; a rate is an observation.
    """
    if "kl" not in law.inputs or "kl" not in frame:
        return frame, [], []
    at_start = number["kl"] == 0
    if not at_start.any():
        return frame, [], []
    if law.response.scale == "logit":
        return (
            frame.assign(kl=frame["kl"].where(~at_start, law.inputs["kl"].none)),
            [f"{int(at_start.sum())} rows are of the initial policy (KL = 0)"],
            [],
        )
    response = law.response.name
    score = number[response][at_start] if response in frame else pd.Series(dtype=float)
    remedy = (
        "Scores are relative to the initial policy, which has 0: bayeslaw.relative_scores makes"
        " them of raw ones."
    )
    faults = [
        Fault(f"{value:g}: the score at KL = 0 is not 0", remedy, response, str(row), value)
        for row, value in score.items()
        if value != 0 and not pd.isna(value)
    ]
    return (
        frame[~at_start],
        [
            f"{int(at_start.sum())} rows of the initial policy (KL = 0) were left out: its score is"
            " 0 by definition"
        ],
        faults,
    )
