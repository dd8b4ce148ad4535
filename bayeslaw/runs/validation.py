"""Check a whole table: every fault at once, with its row, column, value and remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw.errors import Fault, RunsError, suggest
from bayeslaw.laws.base import Law
from bayeslaw.runs.columns import derive
from bayeslaw.runs.files import load_table
from bayeslaw.runs.measurement import AVERAGED, BASELINE_SE, se_column
from bayeslaw.text import label

if TYPE_CHECKING:
    import pandera.pandas as pa


def numbers_of(column: pd.Series) -> pd.Series:
    """The numbers in a column; NaN where there is none.

    Dates, booleans and complex numbers count as none.
    """
    types = pd.api.types
    may_hold_numbers = (
        types.is_numeric_dtype(column)
        or types.is_object_dtype(column)
        or types.is_string_dtype(column)
    )
    if not may_hold_numbers or types.is_bool_dtype(column) or types.is_complex_dtype(column):
        return pd.Series(np.nan, index=column.index)
    if types.is_object_dtype(column):
        column = column.where(column.map(_is_text_or_number))
    return pd.to_numeric(column, errors="coerce").astype(float)


def _is_text_or_number(value: object) -> bool:
    return isinstance(value, str | Real) and not isinstance(value, bool)


def is_text(column: pd.Series) -> pd.Series:
    """Whether each value is present and not a number."""
    return column.notna() & numbers_of(column).isna()


def all_numbers(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """The numbers in every column, by its name."""
    return {str(name): numbers_of(frame[name]) for name in frame.columns}


def validate_points(
    points: pd.DataFrame, law: Law, required: Sequence[str], source: str = "The points to predict"
) -> pd.DataFrame:
    """Points to predict, checked like runs.

    They must have the inputs (or the columns that inputs are derived from), in the law's domain,
    and the columns ``required``. A missing value in a grouping column stands for an unseen level.

    Raises
    ------
    RunsError : the points have faults; all are listed.
    """
    frame, _ = load_table(points)
    frame, _, faults = derive(frame, law, all_numbers(frame))
    return validated(frame, law, tuple(required), source, response=False, known=faults)


def validated(
    frame: pd.DataFrame,
    law: Law,
    groups: Sequence[str],
    source: str,
    *,
    response: bool = True,
    known: Sequence[Fault] = (),
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

    Raises
    ------
    RunsError : the table has faults; all are listed, with those found before.
    """
    units = _units(frame, law, response)
    needed = [*units, *(name for name in groups if name not in units)]
    faults = [*known, *_missing_columns(frame, needed, units, law)]
    if not len(frame):
        faults.append(Fault("there are no rows", "Check the file, and the filter (where)."))
    faults += _faulty_values(frame, schema(law, groups, response=response), units)
    if faults:
        raise RunsError(source, faults)
    text = {name: frame[name].astype(object).map(label) for name in groups if name not in units}
    numbers = {name: numbers_of(frame[name]) for name in units}
    ordered = [*needed, *(c for c in frame.columns if c not in needed)]
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
    frame: pd.DataFrame, needed: Sequence[str], units: Mapping[str, str], law: Law
) -> list[Fault]:
    """A fault for each column that the table does not have."""
    has = ", ".join(map(str, frame.columns))
    unread = [column for column in frame.columns if column not in units]
    faults = []
    for name in needed:
        if name in frame.columns:
            continue
        unit = " (an empty value stands for a group that no run had)"
        if name in units:
            unit = f" ({units[name]})"
        remedy = (
            f"Add it{unit}, or say which column it is: columns={{{name!r}: ...}}, on the command"
            f' line --column {name}="...".{suggest(name, unread)}{_chosen(name, law)} The table'
            f" has: {has}"
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


def _faulty_values(
    frame: pd.DataFrame, wanted: pa.DataFrameSchema, units: Mapping[str, str]
) -> list[Fault]:
    """A fault for each value that fails a check of its column."""
    import pandera.pandas as pa

    present = {name: column for name, column in wanted.columns.items() if name in frame.columns}
    try:
        pa.DataFrameSchema(present).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases.itertuples()
        return [_fault(x.column, x.index, x.failure_case, x.check, units) for x in cases]
    return []


def _fault(
    column: object, row: object, value: Any, check: object, units: Mapping[str, str]
) -> Fault:
    """The fault of a value that fails a check of `schema`."""
    problem, _, remedy = str(check).partition("|")
    shown = f"{value!r}: "
    if np.ndim(value) == 0 and pd.isna(value):
        shown = ""
    elif isinstance(value, Real) and not isinstance(value, bool):
        shown = f"{value:g}: "
    unit = f" (Unit: {units[str(column)]}.)" if column in units else ""
    return Fault(shown + problem.rstrip("."), remedy + unit, str(column), str(row), value)


def schema(law: Law, groups: Sequence[str] = (), *, response: bool = True) -> pa.DataFrameSchema:
    """The pandera schema of a table of runs, made from the law's inputs.

    The name of a check is the text of its fault: problem, "|", remedy. The schema does not say
    which columns a table must have; `validated` does.
    """
    import pandera.pandas as pa

    columns = {name: _numeric(spec.low) for name, spec in law.inputs.items()}
    for switch in law.switches.values():
        known = (switch.off, switch.on)
        remedy = "Write one of the two: they choose the form of the law."
        name = f"it is neither {known[0]!r} nor {known[1]!r}|{remedy}"
        check = pa.Check(lambda s, known=known: s.isin(known), ignore_na=False, name=name)
        columns[switch.column] = pa.Column(None, nullable=True, checks=check)
    if response:
        columns |= _response_columns(law)
        group = pa.Check(
            lambda s: s.notna() & (s.astype(object) != ""),
            ignore_na=False,
            name="the group is missing|Name the group, or leave the row out.",
        )
        for name in groups:
            columns.setdefault(name, pa.Column(None, nullable=True, checks=group))
    return pa.DataFrameSchema(columns)


def _response_columns(law: Law) -> dict[str, pa.Column]:
    """The columns of the response and of how well it was measured.

    The domain depends on the scale of the response: a loss of zero has no logarithm, and a rate of
    one no logit.
    """
    import pandera.pandas as pa

    response = _numeric(-np.inf if law.response.scale == "linear" else 0.0)
    if law.response.scale == "logit":
        below_one = (
            "it must be below 1|Write a rate as a fraction; if it is in per cent, scale it by 0.01."
        )
        response.checks.append(pa.Check(lambda s: ~(numbers_of(s) >= 1), name=below_one))
    columns = {law.response.name: response, AVERAGED: _numeric(0.0)}
    return columns | {x: _numeric(AT_LEAST_ZERO) for x in (se_column(law), BASELINE_SE)}


#: The excluded lower end of numbers that are at least 0.
AT_LEAST_ZERO = float(np.nextafter(0, -1))


def _numeric(low: float) -> pa.Column:
    """A column of finite numbers above ``low``."""
    import pandera.pandas as pa

    domain = "at least 0" if low == AT_LEAST_ZERO else f"above {low:g}"
    checks = [
        pa.Check(
            lambda s: ~is_text(s), name="it is not a number|Write a plain number, such as 7e9."
        ),
        pa.Check(
            lambda s: s.notna(),
            ignore_na=False,
            name="the value is missing|Fill it in, or leave the row out (where).",
        ),
        pa.Check(
            lambda s: ~np.isinf(numbers_of(s)),
            name="it is not finite|Leave the row out: a diverged run does not follow the law.",
        ),
        pa.Check(
            lambda s: ~(np.isfinite(numbers_of(s)) & (numbers_of(s) <= low)),
            name=f"it must be {domain}|Correct it, or leave the row out (where).",
        ),
    ]
    return pa.Column(None, checks=checks, nullable=True)
