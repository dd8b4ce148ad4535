"""Faults of values: one for each value, or one for a column all of whose values have it."""

from __future__ import annotations

import pandas as pd

from bayeslaw.errors import Fault
from bayeslaw.text import shown

#: With at least so many values, a fault that all of them have is one fault of the column.
MANY = 4
#: The first values that such a fault shows, each with its row.
EXAMPLES = 3


def faults_of_values(
    column: str,
    faulty: pd.Series,
    of: int,
    problem: str,
    remedy: str,
    *,
    of_all: str = "",
    remedy_of_all: str = "",
) -> list[Fault]:
    """The faults of some values of a column.

    Parameters
    ----------
    column : its name.
    faulty : the faulty values, indexed by the place of their row.
    of : how many values there are that could have this fault.
    problem, remedy : of one value: "it must be above 0". The value stands before it, unless it is
        missing.
    of_all, remedy_of_all : of all values together: "must be above 0". "": each value has a fault
        of its own.
    """
    if of_all and len(faulty) >= MANY and len(faulty) == of:
        first = zip(faulty.index[:EXAMPLES], faulty.iloc[:EXAMPLES], strict=True)
        examples = [f"{shown(x)} ({row})" if _present(x) else str(row) for row, x in first]
        such_as = f"all {of:,} values {of_all}, such as {', '.join(examples)}"
        return [Fault(such_as, remedy_of_all or remedy, column)]
    return [
        Fault(f"{shown(x)}: {problem}" if _present(x) else problem, remedy, column, str(row), x)
        for row, x in zip(faulty.index, faulty, strict=True)
    ]


def _present(value: object) -> bool:
    """Whether a cell has a value."""
    return not (pd.api.types.is_scalar(value) and pd.isna(value))
