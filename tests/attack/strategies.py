"""Broken tables, texts and arguments, and what a call may do with them.

A property is tried with a number of inputs that are the same on every run: few in the default lane,
many in the slow one.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import bayeslaw as bl
from bayeslaw.errors import BayeslawError, BayeslawWarning

#: Inputs that a property is tried with, in the default lane and in the slow one. A property that is
#: dear to try has a share of them.
SHORT, LONG = 20, 60
#: Seconds that a call may take, and characters that a message may have.
SLOWEST, LONGEST = 2.0, 10_000

lanes = pytest.mark.parametrize(
    "tries",
    [pytest.param(SHORT, id="short"), pytest.param(LONG, id="long", marks=pytest.mark.slow)],
)


def attack[T](
    tries: int,
    inputs: st.SearchStrategy[T],
    property_of: Callable[[T], object],
    share: float = 1.0,
) -> None:
    """Try a property with inputs that are the same on every run; none of them is kept on disk, and
    the first that fails is shown as it is: to look for a simpler one could take minutes.
    """
    times = settings(
        max_examples=math.ceil(tries * share),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    times(given(inputs)(property_of))()


def outcome[T](call: Callable[[], T]) -> T | BayeslawError:
    """What a call gives, or the error of bayeslaw that it raises, which may be no other.

    The call must be quick, by the clock or by the time that the processor was busy with it, and
    what it says must be short. A warning of another library is an error.
    """
    began = perf_counter(), process_time()
    said: list[object] = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("error")
        warnings.simplefilter("always", BayeslawWarning)
        try:
            result: T | BayeslawError = call()
        except BayeslawError as error:
            result = error
            said.append(error)
    seconds = min(perf_counter() - began[0], process_time() - began[1])
    assert seconds <= SLOWEST, f"the call took {seconds:.1f} s"
    said += [warning.message for warning in warned]
    for message in said:
        assert len(str(message)) <= LONGEST, f"a message of {len(str(message))} characters"
    return result


#: Text that some programs obey, and some cannot hold.
ODD_TEXTS = (
    "",
    " ",
    ".",
    "nan",
    "NA",
    "None",
    "null",
    "inf",
    "001",
    "0",
    "-1",
    "1e400",
    "12345678901234567",
    "12345678901234568",
    "7B",
    "0.20M",
    "110,678,115",
    "1,5",
    "1_000",
    "1e9",
    "\0",
    "a\0b",
    "\x07",
    "\x1b[31m",
    "[/red]",
    "[bold]",
    "=1+1",
    "a:b",
    "a\\:b",
    "a\nb",
    "\u2028",
    "\u202e",
    "\ufeff",
    "漢字",
    "True",
    "'",
    '"',
    "{x}",
    "%s",
    "`",
    "x" * 300,
    "x" * 20_000,
)
texts = st.sampled_from(ODD_TEXTS) | st.text(max_size=8)
#: Numbers of all kinds, most of them not to be had as a size or a loss.
ODD_NUMBERS = (
    0,
    -1,
    1,
    0.0,
    -0.0,
    math.nan,
    math.inf,
    -math.inf,
    5e-324,
    1e-320,
    1e308,
    -1e308,
    2**63,
    -(2**63) - 1,
    2**64,
    2**1024,
    10**400,
    -(10**400),
    10**5000,
    True,
    False,
    1 + 2j,
    complex(math.nan, 0),
    Decimal("1.5"),
    Decimal("NaN"),
    Decimal("sNaN"),
    Decimal("Infinity"),
    Decimal("1e999999"),
    Fraction(1, 3),
    Fraction(10**400, 3),
    np.float16(65504),
    np.float32(1.5),
    np.longdouble("1e4000"),
    np.int8(-1),
    np.uint64(2**64 - 1),
    np.bool_(True),
    np.complex64(1j),
)
numbers = st.sampled_from(ODD_NUMBERS) | st.floats() | st.integers()
#: What is neither a number nor text.
ODD_OBJECTS: tuple[Any, ...] = (
    None,
    pd.NaT,
    pd.NA,
    b"1",
    b"\xff",
    date(2024, 1, 1),
    timedelta(1),
    np.datetime64("2024-01-01"),
    pd.Timestamp("2024-01-01", tz="UTC"),
    pd.Interval(0, 1),
    pd.Period("2024-01"),
    (1, 2),
    [1],
    [],
    {"a": 1},
    {1},
    np.array([1.0, 2.0]),
    np.array(1.0),
    pd.Series([1.0]),
    object,
    str,
)
values = numbers | texts | st.sampled_from(range(len(ODD_OBJECTS))).map(ODD_OBJECTS.__getitem__)

#: Names of columns: those that trackers and people write, and those that the model or a file has.
ODD_NAMES: tuple[Any, ...] = (
    *ODD_TEXTS,
    "train/loss",
    "row",
    "row_",
    "chain",
    "draw",
    "E",
    "alpha",
    "sigma",
    "A_at_centre",
    "run",
    "seed",
    "unseen",
    "converged",
    "median",
    "mean",
    "cost",
    "distance_data_size",
    "data_size",
    "loss",
    "loss_se",
    "averaged",
    "baseline",
    "baseline_se",
    "n",
    "kl",
    "sqrt_kl",
    "compute",
    "lambda",
    "1",
    1,
    1.5,
    math.nan,
    None,
    True,
    ("a", "b"),
    pd.Timestamp("2024-01-01"),
)
names = st.sampled_from(range(len(ODD_NAMES))).map(ODD_NAMES.__getitem__)

#: Types that a column may be cast to.
DTYPES: tuple[Any, ...] = (
    "category",
    "string",
    "str",
    "object",
    "Int64",
    "Float64",
    "boolean",
    "float16",
    "float32",
    "int8",
    "uint64",
    "complex128",
    "bool",
    "datetime64[ns]",
    "timedelta64[ns]",
    "Sparse[float64]",
    "string[pyarrow]",
    pd.ArrowDtype(pa.float64()),
    pd.ArrowDtype(pa.int64()),
    pd.ArrowDtype(pa.large_string()),
    pd.ArrowDtype(pa.decimal128(38, 10)),
    pd.ArrowDtype(pa.bool_()),
    pd.ArrowDtype(pa.binary()),
    pd.ArrowDtype(pa.null()),
)


def sound(law: bl.Law, rows: int) -> pd.DataFrame:
    """Simulated runs that a law takes: inputs over two decades, in four groups."""
    i = np.arange(rows)
    columns: dict[str, Any] = {}
    for k, (name, spec) in enumerate(law.inputs.items()):
        low, high = (max(x, 1e-3) for x in spec.plausible)
        middle = math.sqrt(low * high)
        columns[name] = middle * 10.0 ** ((i * (k + 3)) % 7 / 3 - 1)
    away = (i % 7) / 7
    match law.response.scale:
        case "log":
            columns[law.response.name] = 3 - away
        case "logit":
            columns[law.response.name] = 0.2 + 0.5 * away
        case _:
            columns[law.response.name] = 0.1 + away
    for name in law.selector_columns:
        columns[name] = np.where(i % 2, "model_size", "pretraining_data")
    for switch in law.switches.values():
        columns[switch.column] = np.where(i % 2, switch.off, switch.on)
    columns.setdefault("task", np.array([f"task{k % 4}" for k in i], dtype=object))
    return pd.DataFrame(columns)


@dataclass
class Draft:
    """A table in parts, so that it may have names that a DataFrame would refuse or merge."""

    names: list[Any]
    columns: list[pd.Series]
    index: pd.Index | None = None
    in_levels: bool = False

    @classmethod
    def of(cls, table: pd.DataFrame) -> Draft:
        return cls(list(table.columns), [table[name] for name in table.columns])

    def table(self) -> pd.DataFrame:
        """The table; the mutation is left out that pandas does not allow."""
        frame = pd.DataFrame(dict(enumerate(self.columns)))
        frame.columns = pd.Index(self.names, tupleize_cols=False)
        if self.in_levels:
            frame.columns = pd.MultiIndex.from_tuples([(str(x), "value") for x in self.names])
        if self.index is not None and len(self.index) == len(frame):
            frame.index = self.index
        return frame


def with_cells(draw: st.DrawFn, draft: Draft, at: int) -> None:
    """Odd values in some cells of a column."""
    cells = draft.columns[at].tolist()
    for _ in range(draw(st.integers(1, 3))):
        if cells:
            cells[draw(st.integers(0, len(cells) - 1))] = draw(values)
    column = pd.Series(np.empty(len(cells), object))
    for i, cell in enumerate(cells):
        column.iat[i] = cell
    draft.columns[at] = column.infer_objects() if draw(st.booleans()) else column


def with_one_value(draw: st.DrawFn, draft: Draft, at: int) -> None:
    """One value in all rows of a column."""
    cell = draw(numbers | texts)
    column = pd.Series(np.empty(len(draft.columns[at]), object))
    for i in range(len(column)):
        column.iat[i] = cell
    draft.columns[at] = column.infer_objects()


def with_type(draw: st.DrawFn, draft: Draft, at: int) -> None:
    """A column of another type."""
    dtype = DTYPES[draw(st.integers(0, len(DTYPES) - 1))]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            draft.columns[at] = draft.columns[at].astype(dtype)
    except Exception:  # pandas does not cast all to all
        return


def with_name(draw: st.DrawFn, draft: Draft, at: int) -> None:
    """A column of another name, perhaps that of another column."""
    draft.names[at] = draw(names | st.sampled_from(draft.names))


def with_column(draw: st.DrawFn, draft: Draft, at: int) -> None:
    """Another column."""
    draft.names.append(draw(names))
    draft.columns.append(draft.columns[at])
    with_cells(draw, draft, len(draft.columns) - 1)


def without_column(draw: st.DrawFn, draft: Draft, at: int) -> None:
    """A column less."""
    if len(draft.columns) > 1:
        del draft.names[at], draft.columns[at]


def with_factor(draw: st.DrawFn, draft: Draft, at: int) -> None:
    """A column in another unit, or a response that rises where it should fall."""
    factor = draw(st.sampled_from([-1, 0, 1e-9, 1e9, 1e300, 1e-300, math.inf]))
    with np.errstate(all="ignore"):
        if draft.columns[at].dtype.kind == "f":
            draft.columns[at] = draft.columns[at] * factor


def with_index(draw: st.DrawFn, draft: Draft, at: int) -> None:
    """Rows of other names, perhaps all of one."""
    rows = len(draft.columns[0])
    kinds = [
        pd.Index([0] * rows),
        pd.Index([math.nan] * rows),
        pd.Index([draw(texts)] * rows),
        pd.MultiIndex.from_arrays([range(rows), range(rows)]) if rows else pd.RangeIndex(0),
        pd.date_range("2024", periods=rows),
        pd.RangeIndex(10, 10 + rows),
    ]
    draft.index = kinds[draw(st.integers(0, len(kinds) - 1))]
    draft.in_levels = draft.in_levels or draw(st.integers(0, 3)) == 0


MUTATIONS = (
    with_cells,
    with_one_value,
    with_type,
    with_name,
    with_column,
    without_column,
    with_factor,
    with_index,
)


@st.composite
def broken(draw: st.DrawFn, law: bl.Law, most: int = 3) -> pd.DataFrame:
    """A table of runs that a law takes, with up to ``most`` things changed."""
    rows = draw(st.sampled_from([8, 8, 8, 30, 3, 2, 1, 0]))
    draft = Draft.of(sound(law, rows))
    for _ in range(draw(st.integers(0, most))):
        mutate = MUTATIONS[draw(st.integers(0, len(MUTATIONS) - 1))]
        mutate(draw, draft, draw(st.integers(0, len(draft.columns) - 1)))
    return draft.table()


def as_text(value: Any) -> str:
    """A value for a message of a test, shortened."""
    return repr(value)[:200]
