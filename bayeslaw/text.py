"""Numbers and labels as people write them."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd


def label(value: Any) -> str:
    """The label of a group, as text.

    Numbers are as short as they can be without losing digits (7e+09, 0.5); a missing value is "".
    """
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return ""
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        short = f"{value:g}"
        return short if float(short) == value else f"{value:.15g}"
    return str(value)


def canonical_label(value: Any) -> str:
    """The label of a number in any notation: 7e9, "7e9" and 7000000000 have the same one."""
    try:
        return label(float(value))
    except (TypeError, ValueError):
        return label(value)


def numeric_labels(labels: pd.Series) -> pd.Series:
    """Labels as numbers, so that sizes sort as sizes; unchanged unless all labels are numbers."""
    numbers = pd.to_numeric(labels, errors="coerce")
    if numbers.notna().all() and (numbers.map(label) == labels.map(label)).all():
        return numbers
    return labels


#: Powers of ten, and the letters for them.
PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))


def magnitude(x: float, _: Any = None) -> str:
    """A number as people write model sizes and token counts: 1.6e10 is "16B".

    Numbers from 1e18 on, such as FLOP, are powers of ten.
    """
    if x >= 1e18 or x < 1:
        return f"{x:.3g}"
    for size, letter in PREFIXES:
        if x >= size:
            return f"{x / size:.3g}{letter}"
    return f"{x:.3g}"


def named(column: str, value: Any) -> str:
    """A value in words: text by itself ("lora"), a number with its column ("data size 10K")."""
    if isinstance(value, Real):
        return f"{column.replace('_', ' ')} {magnitude(float(value))}"
    return str(value)


def named_rows(table: pd.DataFrame) -> list[str]:
    """Rows in words, by the columns in which they differ: "lora, data size 10K".

    Numbers have every digit if fewer would make two rows the same.
    """
    differing = [c for c in table if table[c].map(label).nunique() > 1] or list(table)
    rows = [
        [(str(c), x) for c, x in zip(differing, row, strict=True) if label(x)]
        for row in zip(*(table[c].tolist() for c in differing), strict=True)
    ]
    short = [", ".join(named(c, x) for c, x in row) for row in rows]
    if len(set(short)) == len(short):
        return short
    return [", ".join(f"{c.replace('_', ' ')} {label(x)}" for c, x in row) for row in rows]
