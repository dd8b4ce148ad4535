"""Check a whole table: every fault at once, with its row, column, value and remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real

import numpy as np
import pandas as pd

from bayeslaw.defaults import LARGEST
from bayeslaw.errors import Fault, RunsError, listed, suggest
from bayeslaw.laws.base import Law
from bayeslaw.runs.columns import DERIVED_FROM, derive
from bayeslaw.runs.faults import faults_of_values
from bayeslaw.runs.files import load_table
from bayeslaw.runs.measurement import AVERAGED, BASELINE_SE, se_column
from bayeslaw.text import encodable, labels


def numbers_of(column: pd.Series) -> pd.Series:
    """The numbers in a column; NaN where there is none.

    Dates, booleans and complex numbers count as none. An integer that no float holds is infinite.
    """
    types = pd.api.types
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf":
        return column.astype(float)
    holds_none = (
        types.is_bool_dtype(column)
        or types.is_complex_dtype(column)
        or types.is_datetime64_any_dtype(column)
        or types.is_timedelta64_dtype(column)
        or isinstance(column.dtype, pd.PeriodDtype | pd.IntervalDtype)
    )
    if holds_none:
        return pd.Series(np.nan, index=column.index)
    if not types.is_string_dtype(column) or types.is_object_dtype(column):
        # Categories, and the columns of pandas' and Arrow's own types, have values of any type.
        values = list(map(_text_or_float, column.astype(object)))
        column = pd.Series(values, index=column.index, dtype=object)
    return pd.to_numeric(column, errors="coerce").astype(float)


def _text_or_float(value: object) -> str | float:
    """Text as it is, a number as a float, and NaN for everything else."""
    if isinstance(value, str):
        return encodable(value)
    if not isinstance(value, Real | Decimal) or isinstance(value, bool | np.bool_):
        return np.nan
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf  # type: ignore[operator]
    except ValueError:  # a signalling NaN
        return np.nan


def is_text(column: pd.Series) -> pd.Series:
    """Whether each value is present and not a number."""
    return column.notna() & numbers_of(column).isna()


def numbers_for(frame: pd.DataFrame, law: Law) -> dict[str, pd.Series]:
    """The numbers in each column that the law reads, or that its inputs are derived from."""
    read = dict.fromkeys([*law.inputs, law.response.name, "model_size", *DERIVED_FROM])
    return {name: numbers_of(frame[name]) for name in read if name in frame}


def validate_points(
    points: pd.DataFrame,
    law: Law,
    required: Sequence[str],
    source: str = "The points to predict",
    *,
    known_values: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Points to predict, checked like runs.

    They must have the inputs (or the columns that inputs are derived from), in the law's domain,
    and the columns ``required``. A missing value in a grouping column stands for an unseen level.
    ``known_values`` says in words what the runs have in a column, for the message about a column
    that the points lack.

    Raises
    ------
    RunsError : the points have faults; all are listed.
    """
    frame, _ = load_table(points)
    frame, _, faults = derive(frame, law, numbers_for(frame, law))
    return validated(
        frame,
        law,
        tuple(required),
        source,
        response=False,
        known=faults,
        known_values=known_values or {},
    )


def validated(
    frame: pd.DataFrame,
    law: Law,
    groups: Sequence[str],
    source: str,
    *,
    response: bool = True,
    known: Sequence[Fault] = (),
    known_values: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """The table with inputs and response as float and groups as text, these columns first.

    Parameters
    ----------
    frame : the table.
    law : the law whose inputs it must have.
    groups : grouping columns that it must have.
    source : where it came from, for messages.
    response : whether it must have the law's response.
    known : faults that were found before.
    known_values : of points, what the runs have in a column, in words. None: a table of runs.

    Raises
    ------
    RunsError : the table has faults; all are listed, with those found before.
    """
    units = _units(frame, law, response)
    needed = [*units, *(name for name in groups if name not in units)]
    faults = [*known, *_missing_columns(frame, needed, units, law, known_values)]
    if not len(frame):
        faults.append(Fault("there are no rows", "Check the file, and the filter (where)."))
    numbers = {name: numbers_of(frame[name]) for name in units if name in frame}
    for name, checks in _checks(law, groups, response).items():
        if name in frame:
            faults += _faulty_values(name, frame[name], numbers.get(name), checks, units)
    if faults:
        raise RunsError(source, faults)
    text = {name: labels(frame[name]) for name in groups if name not in units}
    ordered = [*needed, *(c for c in frame.columns if c not in {*needed})]
    return frame[ordered].assign(**numbers, **text)


def _units(frame: pd.DataFrame, law: Law, response: bool) -> dict[str, str]:
    """The unit of each column that must be a number."""
    units = {name: spec.unit for name, spec in law.inputs.items()}
    if not response:
        return units
    unit = law.response.unit
    optional = {AVERAGED: "logged values", BASELINE_SE: unit, se_column(law): unit}
    present = {name: its_unit for name, its_unit in optional.items() if name in frame}
    return units | {law.response.name: unit} | present


def _missing_columns(
    frame: pd.DataFrame,
    needed: Sequence[str],
    units: Mapping[str, str],
    law: Law,
    known_values: Mapping[str, str] | None = None,
) -> list[Fault]:
    """A fault for each column that the table does not have; ``known_values`` as in `validated`."""
    has = listed(frame)
    unread = [column for column in frame.columns if column not in units]
    faults = []
    for name in needed:
        if name in frame.columns:
            continue
        unit = " (an empty value stands for a group that no run had)"
        if name in units:
            unit = f" ({units[name]})"
        near = suggest(name, unread)
        if known_values is not None:
            values = f" The runs have {known_values[name]}." if name in known_values else ""
            remedy = f"Give it{unit}, on the command line --at {name}=...{near}{values}"
            faults.append(Fault("the column is missing", remedy, name))
            continue
        remedy = (
            f"Add it{unit}, or say which column it is: columns={{{name!r}: ...}}, on the command"
            f' line --column {name}="...".{near}{_chosen(name, law)} The table has:'
            f" {has}"
        )
        faults.append(Fault("the column is missing", remedy, name))
    return faults


def _chosen(column: str, law: Law) -> str:
    """How to choose another input than ``column``, with a space before it; "" without a choice."""
    if not (option := law.option_of(column)):
        return ""
    return (
        f" {law.name} reads {column} unless another is chosen: --law {law.name}:{option}=NAME, in"
        f" Python bl.law({law.name!r}, {option}=NAME)."
    )


@dataclass(frozen=True, slots=True)
class _Check:
    """What values of a column must not be.

    Attributes
    ----------
    fails : whether each value fails, from the column and its numbers.
    problem, remedy : of one such value.
    of_all, remedy_of_all : of a column all of whose values fail.
    """

    fails: Callable[[pd.Series, pd.Series], pd.Series]
    problem: str
    remedy: str
    of_all: str
    remedy_of_all: str


def _faulty_values(
    name: str,
    column: pd.Series,
    numbers: pd.Series | None,
    checks: Iterable[_Check],
    units: Mapping[str, str],
) -> list[Fault]:
    """The faults of a column's values. ``numbers`` are those of a column that must have numbers."""
    unit = f" (Unit: {units[name]}.)" if name in units else ""
    faults = []
    for check in checks:
        fails = check.fails(column, column if numbers is None else numbers)
        if not fails.any():
            continue
        failing = column[fails]
        faults += faults_of_values(
            name,
            failing,
            # A value that is missing can have no other fault.
            len(column) if failing.isna().all() else int(column.notna().sum()),
            check.problem,
            check.remedy + unit,
            of_all=check.of_all,
            remedy_of_all=check.remedy_of_all + unit,
        )
    return faults


def _checks(law: Law, groups: Sequence[str], response: bool) -> dict[str, list[_Check]]:
    """The checks of each column, made from the law's inputs."""
    checks = {name: _of_numbers(spec.low) for name, spec in law.inputs.items()}
    for switch in law.switches.values():
        checks[switch.column] = [_is_one_of((switch.off, switch.on))]
    if response:
        checks |= _of_response(law)
        for name in groups:
            checks.setdefault(name, [_GROUP])
    return checks


#: The remedy of a column all of whose values fail.
ANOTHER_COLUMN = "Is it the right column (columns)?"

#: Groups of runs have names.
_GROUP = _Check(
    lambda column, _: labels(column) == "",
    "the group is missing",
    "Name the group, or leave the row out.",
    "are missing",
    f"Name the groups, or leave the column out of groups. {ANOTHER_COLUMN}",
)


def _is_one_of(known: tuple[str, str]) -> _Check:
    """The check of a column that switches the form of a law."""
    neither = f"neither {known[0]!r} nor {known[1]!r}"
    remedy = "Write one of the two: they choose the form of the law."
    return _Check(
        lambda column, _: ~labels(column).isin(known),
        f"it is {neither}",
        remedy,
        f"are {neither}",
        remedy,
    )


def _of_response(law: Law) -> dict[str, list[_Check]]:
    """The checks of the response and of how well it was measured.

    The domain depends on the scale of the response: a loss of zero has no logarithm, and a rate of
    one no logit.
    """
    response = _of_numbers(-np.inf if law.response.scale == "linear" else 0.0)
    if law.response.scale == "logit":
        response.append(
            _Check(
                lambda _, number: number >= 1,
                "it must be below 1",
                "Write a rate as a fraction.",
                "must be below 1",
                f"Write rates as fractions: scale={{{law.response.name!r}: 0.01}} for percent.",
            )
        )
    checks = {law.response.name: response, AVERAGED: _of_numbers(0.0)}
    return checks | {name: _of_numbers(AT_LEAST_ZERO) for name in (se_column(law), BASELINE_SE)}


def _is_extreme(number: pd.Series) -> pd.Series:
    """Whether each number is too large, or too near 0 without being 0, to calculate with."""
    size = number.abs()
    return (size > LARGEST) | ((size < 1 / LARGEST) & (size > 0))


#: The excluded lower end of numbers that are at least 0.
AT_LEAST_ZERO = float(np.nextafter(0, -1))


def _of_numbers(low: float) -> list[_Check]:
    """The checks of a column of finite numbers above ``low``."""
    domain = "at least 0" if low == AT_LEAST_ZERO else f"above {low:g}"
    return [
        _Check(
            lambda column, number: column.notna() & number.isna(),
            "it is not a number",
            "Write a plain number, such as 7e9.",
            "are not numbers",
            f"Write plain numbers, such as 7e9. {ANOTHER_COLUMN}",
        ),
        _Check(
            lambda column, _: column.isna(),
            "the value is missing",
            "Fill it in, or leave the row out (where).",
            "are missing",
            ANOTHER_COLUMN,
        ),
        _Check(
            lambda _, number: np.isinf(number),
            "it is not finite",
            "Leave the row out: a diverged run does not follow the law.",
            "are not finite",
            ANOTHER_COLUMN,
        ),
        _Check(
            lambda _, number: np.isfinite(number) & _is_extreme(number),
            "it is too large or too small to calculate with",
            "Correct it, or give it in another unit (scale).",
            "are too large or too small to calculate with",
            f"Give them in another unit (scale). {ANOTHER_COLUMN}",
        ),
        _Check(
            lambda _, number: np.isfinite(number) & (number <= low),
            f"it must be {domain}",
            "Correct it, or leave the row out (where).",
            f"must be {domain}",
            f"{ANOTHER_COLUMN} A difference of two such values follows no law of this form.",
        ),
    ]
