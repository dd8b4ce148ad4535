"""Numbers and labels as people write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.errors import LONGEST_NAME, shortened

#: Integers from here on have no float.
LARGEST_FLOAT = 10**308
#: Labels that a sentence names.
MOST_NAMED = 6
#: How text begins that is a name although it has only digits: with a zero, or so many digits that a
#: float does not keep them.
IDENTIFIER = r"\s*[+-]?(?:0\d|\d{16})"


def label(value: Any) -> str:
    """The label of a group, as text.

    Numbers are as short as they can be without losing digits (7e+09, 0.5), whatever their length:
    different numbers have different labels. A missing value is "".

    >>> label(7_000_000_000), label(0.5), label(12345678901234567)
    ('7e+09', '0.5', '12345678901234567')
    """
    if isinstance(value, str):
        return encodable(value)
    if np.ndim(value) == 0 and pd.isna(value):
        return ""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return str(value)
    number = type(value)
    if isinstance(value, int | np.integer):
        if abs(int(value)) >= LARGEST_FLOAT:
            return hex(value)  # Python writes no more than some 4,300 digits
        short = f"{value:g}"
        return short if float(short) == int(value) else str(value)
    for digits in (6, 15):
        short = f"{value:.{digits}g}"
        if number(short) == value:
            return short
    return str(value).removesuffix(".0")


def encodable(text: str) -> str:
    r"""Text that a file can hold: halves of surrogate pairs are written out.

    >>> print(encodable("a\ud800"))
    a\ud800
    """
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def labels(column: pd.Series) -> pd.Series:
    """The label of each value of a column; the column itself if it is all text."""
    if isinstance(column.dtype, pd.StringDtype) and not column.hasnans:
        return column
    if not (isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf"):
        return column.astype(object).map(label)
    places, distinct = pd.factorize(column)  # a missing value has the last place, -1
    names = np.array([*map(label, distinct.tolist()), ""], object)
    return pd.Series(names[places], index=column.index, name=column.name)


def first_of(labels: Iterable[str]) -> str:
    """At most `MOST_NAMED` labels, joined by commas, with dots for the others.

    >>> first_of("abcdefgh")
    'a, b, c, d, e, f, ...'
    """
    labels = list(labels)
    first = ", ".join(shortened(x, LONGEST_NAME) for x in labels[:MOST_NAMED])
    return first + ", ..." * (len(labels) > MOST_NAMED)


def shown(value: Any) -> str:
    """A value of a table as a message shows it: numbers short, text in quotes, nothing long.

    >>> shown(16_000_000_000), shown("7B"), shown(-10**400)
    ('1.6e+10', "'7B'", 'an integer of some 400 digits')
    """
    if isinstance(value, str):
        return repr(shortened(value, LONGEST_NAME))
    if isinstance(value, int) and abs(value) >= LARGEST_FLOAT:
        return f"an integer of some {int(value.bit_length() * np.log10(2))} digits"
    if isinstance(value, Real) and not isinstance(value, bool):
        return f"{value:g}"
    return shortened(repr(value), LONGEST_NAME)


def is_identifier(text: str) -> bool:
    """Whether text of digits is a name and no number, because a number would lose some of it.

    >>> is_identifier("007"), is_identifier("12345678901234567"), is_identifier("0.7")
    (True, True, False)
    """
    return re.match(IDENTIFIER, text) is not None


def canonical_label(value: Any) -> str:
    """The label of a number in any notation: 7e9, "7e9" and 7000000000 have the same one.

    >>> canonical_label("7e9"), canonical_label("007")
    ('7e+09', '007')
    """
    if not isinstance(value, str) or is_identifier(value):
        return label(value)
    try:
        return label(float(value))
    except ValueError:
        return value


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
        try:
            words = magnitude(float(value))
        except OverflowError:
            words = shown(value)
        return f"{column.replace('_', ' ')} {words}"
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


def number(x: Any) -> str:
    """A number with four digits: 1.024, 90,000, 7B, 5.88e+23. Text stays as it is, and a missing
    value is "".

    >>> number(1.02415), number(21600), number(7e9), number(None)
    ('1.024', '21,600', '7B', '')
    """
    if isinstance(x, str):
        return x
    if pd.isna(x):
        return ""
    x = float(x)
    if 1e9 <= x < 1e15:
        return magnitude(x)
    if abs(x) < 1e-12:  # rounding
        return "0"
    if not abs(x) < 1e9 or abs(x) < 1e-4:
        return f"{x:.3g}"
    whole_thousands = x == int(x) and abs(x) >= 1000
    return f"{x:,.0f}" if abs(x) >= 1e4 or whole_thousands else f"{x:.4g}"


def percent(p: float) -> str:
    """A probability in whole percent, halves rounded up, as the report's script rounds them. Never
    0 or 100, which no number of draws can show.

    >>> percent(0.965), percent(0.9649), percent(1.0), percent(0.0049)
    ('97 %', '96 %', 'more than 99 %', 'less than 1 %')
    """
    if not np.isfinite(p):
        return "unknown"
    whole = int(np.floor(100 * float(p) + 0.5))
    if whole < 1:
        return "less than 1 %"
    return f"{whole} %" if whole < 100 else "more than 99 %"


def named_run(row: pd.Series) -> str:
    """A whole run in words, every column of it: "lora, model size 16B, data size 10K".

    >>> named_run(pd.Series({"method": "lora", "model_size": 16e9, "task": None}))
    'lora, model size 16B'
    """
    return ", ".join(named(str(column), x) for column, x in row.items() if label(x))


#: How a text begins that a spreadsheet takes for a formula: OWASP, "CSV Injection".
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_of(table: pd.DataFrame, *, raw: bool = False) -> str:
    """A table as CSV.

    A text, or the name of a column, that a spreadsheet would take for a formula has an apostrophe
    in front, by which the spreadsheet knows it for a text; other programs read the apostrophe.
    Numbers are as they are. With ``raw`` all texts are.

    >>> print(csv_of(pd.DataFrame({"task": ["=1+1", "qa"], "x": [-1, 2]})), end="")
    task,x
    '=1+1,-1
    qa,2
    """
    if not raw:
        table = table.rename(columns=_no_formula)
        for i, (_, column) in enumerate(list(table.items())):
            if not pd.api.types.is_numeric_dtype(column):
                table.isetitem(i, column.map(_no_formula))
    return str(table.to_csv(index=False))


def _no_formula(value: Any) -> Any:
    """A value; a text that would be a formula with an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
