"""Numbers and labels as people write them."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd


def label(value: Any) -> str:
    """A group's label: numbers as short as they can be told apart (7e+09, 0.5), else text; a
    missing value is ''.
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
    """A label of a number, however it is written: 7e9, "7e9" and 7000000000 are one."""
    try:
        return label(float(value))
    except (TypeError, ValueError):
        return label(value)


def numeric_labels(labels: pd.Series) -> pd.Series:
    """Labels of groups as the numbers that they are, where all of them are and give the same labels
    again: sizes sort as sizes.
    """
    numbers = pd.to_numeric(labels, errors="coerce")
    return (
        numbers
        if numbers.notna().all() and (numbers.map(label) == labels.map(label)).all()
        else labels
    )


PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))


def magnitude(x: float, _: Any = None) -> str:
    """1.6e10 as ``16B``: how people write model sizes and token counts. FLOP and other giants as a
    power of ten.
    """
    if x >= 1e18 or x < 1:
        return f"{x:.3g}"
    for size, letter in PREFIXES:
        if x >= size:
            return f"{x / size:.3g}{letter}"
    return f"{x:.3g}"


def named(column: str, value: Any) -> str:
    """A value in words: a word stands for itself, a number needs its name."""
    return (
        f"{column.replace('_', ' ')} {magnitude(float(value))}"
        if isinstance(value, Real)
        else str(value)
    )


def named_rows(table: pd.DataFrame) -> list[str]:
    """Rows by the columns in which they differ: "lora, data size 10K"; with every digit where fewer
    would not tell them apart.
    """
    differing = [c for c in table if table[c].map(label).nunique() > 1] or list(table)
    rows = [
        [(str(c), x) for c, x in zip(differing, row, strict=True) if label(x)]
        for row in zip(*(table[c].tolist() for c in differing), strict=True)
    ]
    short = [", ".join(named(c, x) for c, x in row) for row in rows]
    return (
        short
        if len(set(short)) == len(short)
        else [", ".join(f"{c.replace('_', ' ')} {label(x)}" for c, x in row) for row in rows]
    )
