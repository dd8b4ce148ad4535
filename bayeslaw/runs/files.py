"""Tables from files: read CSV, TSV and Parquet, rename columns, and melt wide tables."""

from __future__ import annotations

import csv
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.errors import Fault, RunsError, SpecError, listed, suggest
from bayeslaw.text import IDENTIFIER, encodable, shown

#: The separator of text files, by their ending.
SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}

#: What a file has where a cell begins with a zero that a number would lose.
LEADING_ZERO = rb'0\d(?:(?<=[\s,"]0\d)|(?<=[\s,"][+-]0\d))'
#: Numbers from here on may have so many digits that a float does not keep them (`IDENTIFIER`).
LONG = 1e15

#: Name of the index that holds the place of each row in the user's table.
ROW = "row"


def load_table(table: str | Path | pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """A table, and what to call it in messages.

    The index of the table names the place of each row: "line 17" of a text file, else "row 3". The
    names of its columns are text.

    Raises
    ------
    RunsError : there is no such file, its format is not supported, it cannot be read as a table, or
        its columns do not have one name each.
    SpecError : the table is neither a path nor a DataFrame.
    """
    if isinstance(table, pd.DataFrame):
        return _from_frame(table)
    if not isinstance(table, str | PathLike):
        raise SpecError(
            f"The table is {shown(table)}, and it must be a DataFrame or the path of a file."
        )
    path = Path(table)
    if not _is_file(path):
        raise RunsError(str(path), [_not_there(path)])
    if path.suffix.lower() not in (*SEPARATORS, ".parquet"):
        problem = f"the ending {path.suffix!r} is not one that is read"
        remedy = f"Use one of {', '.join([*SEPARATORS, '.parquet'])}, or pass a DataFrame."
        raise RunsError(str(path), [Fault(problem, remedy)])
    try:
        frame = _read(path)
    except pd.errors.EmptyDataError as error:
        fault = Fault("the file is empty", "Export the table again.")
        raise RunsError(str(path), [fault]) from error
    except pd.errors.ParserWarning as error:
        problem = "some rows have more values than the header has columns"
        fault = Fault(problem, "Correct the header, or the rows.")
        raise RunsError(str(path), [fault]) from error
    except RunsError:
        raise
    except Exception as error:  # what parsers raise of other files is not documented
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        problem = f"it cannot be read as a table ({reason})"
        fault = Fault(problem, "Check that it is what its ending says.")
        raise RunsError(str(path), [fault]) from error
    return with_plain_names(frame.dropna(how="all"), str(path)), str(path)


def _is_file(path: Path) -> bool:
    """Whether there is such a file.

    Raises
    ------
    RunsError : its name cannot be that of a file, or its folder may not be read.
    """
    try:
        return path.is_file()
    except OSError as error:
        fault = Fault(f"it cannot be read ({error.strerror})", "Check the path.")
        raise RunsError(str(path), [fault]) from error


def _not_there(path: Path) -> Fault:
    """The fault of a path that is no file."""
    if path.is_dir():
        return Fault("it is a folder", "Name the file in it.")
    try:
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    except OSError:
        siblings = []
    return Fault("there is no such file", f"Check the path.{suggest(path.name, siblings)}")


def _from_frame(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """`load_table` of a DataFrame."""
    # A data set that ships with bayeslaw keeps its name, so that figures of simulated runs say so.
    manifest = table.attrs.get("manifest")
    source = manifest.get("name") if isinstance(manifest, Mapping) else None
    source = str(source or "The table")
    rows = pd.Index([f"row {label}" for label in table.index], name=ROW, dtype=object)
    frame = with_plain_names(table.set_axis(rows, axis=0), source)
    try:
        frame.isna()
    except ArithmeticError:  # a signalling NaN, which cannot even be compared
        frame = frame.assign(
            **{
                name: pd.Series(list(map(_without_signal, x)), index=frame.index, dtype=object)
                for name, x in frame.items()
                if x.dtype == object
            }
        )
    return frame, source


def _without_signal(value: Any) -> Any:
    """A value; NaN for a signalling one."""
    return np.nan if isinstance(value, Decimal) and value.is_snan() else value


def with_plain_names(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """The table with its columns' names as text.

    Raises
    ------
    RunsError : the names have several levels, or one stands twice.
    """
    if frame.columns.nlevels > 1:
        problem = f"its columns have names of {frame.columns.nlevels} levels (a MultiIndex)"
        remedy = "Give each column one name: table.columns = ['_'.join(map(str, x)) for x in table]"
        raise RunsError(source, [Fault(problem, remedy)])
    names = [encodable(str(name)) for name in frame.columns]
    _refuse_repeated(names, source)
    return frame if names == list(frame.columns) else frame.set_axis(names, axis=1)


def _refuse_repeated(names: Iterable[str], source: str) -> None:
    """Raise RunsError for columns of one name: which of them is meant cannot be known."""
    repeated = {name: count for name, count in Counter(names).items() if count > 1}
    faults = [
        Fault(
            f"{'two' if count == 2 else count} columns have this name",
            "Rename them, or leave all but one out.",
            name,
        )
        for name, count in repeated.items()
    ]
    if faults:
        raise RunsError(source, faults)


def _read(path: Path) -> pd.DataFrame:
    """The table in a file, indexed by the place of each row."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        import pyarrow.parquet

        _refuse_repeated(pyarrow.parquet.read_schema(path).names, str(path))
        frame = pd.read_parquet(path)
        rows = [f"row {i}" for i in range(1, len(frame) + 1)]
    else:
        with warnings.catch_warnings():
            # pandas warns of rows that are longer than the header, and would cut them.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = _read_text(path).copy()  # in one piece, however many columns it has
            frame = frame.assign(**_identifiers(path, frame))
        # pandas calls the second column of a name "loss.1"; columns without a name it numbers.
        _refuse_repeated(filter(None, _header(path)), str(path))
        rows = [f"line {i}" for i in range(2, len(frame) + 2)]
    frame.index = pd.Index(rows, name=ROW, dtype=object)
    return frame


def _header(path: Path) -> list[str]:
    """The names in the first line of a CSV or TSV file, as they stand there."""
    with path.open(newline="", encoding="utf-8-sig") as lines:
        return next(csv.reader(lines, delimiter=SEPARATORS[path.suffix.lower()]), [])


def _read_text(path: Path, **options: Any) -> pd.DataFrame:
    """A CSV or TSV file; ``options`` of pandas."""
    # Blank lines are kept until the lines are numbered, as an editor numbers them.
    return pd.read_csv(
        path,
        sep=SEPARATORS[path.suffix.lower()],
        skip_blank_lines=False,
        low_memory=False,
        index_col=False,
        **options,
    )


def _identifiers(path: Path, frame: pd.DataFrame) -> dict[str, pd.Series]:
    """The columns whose names pandas took for numbers, as text: "007", and ids of so many digits
    that different ones would become one number.
    """
    numeric = [i for i, kind in enumerate(frame.dtypes) if kind.kind in "iuf"]
    is_long = bool((frame.iloc[:, numeric].abs().max() >= LONG).any())
    if not (is_long or re.search(LEADING_ZERO, path.read_bytes())):
        return {}
    texts = _read_text(path, usecols=numeric, dtype=str)
    columns = {}
    for name, text in texts.items():
        if not text.str.match(IDENTIFIER).any():
            continue
        digits = text[text.str.fullmatch(r"\s*\d+\s*", na=False)]
        has_zeros = text.str.match(r"\s*[+-]?0\d").any()
        if has_zeros or digits.nunique() > frame[name][digits.index].nunique():
            columns[str(name)] = text
    return columns


def rename(frame: pd.DataFrame, columns: Mapping[str, str], source: str) -> pd.DataFrame:
    """The table with the user's columns under canonical names.

    ``columns`` maps a canonical name to the user's. One column may serve two names.

    Raises
    ------
    RunsError : the table does not have a column; near names are offered.
    """
    missing = {name: user for name, user in columns.items() if user not in frame.columns}
    faults: list[Fault] = []
    has = listed(frame)
    for name, user in missing.items():
        # Near names are sought for faults that the message shows.
        near = suggest(user, frame.columns) if len(faults) < RunsError.SHOWN else ""
        remedy = f"Set {name}=... to one of its columns.{near} It has: {has}"
        faults.append(Fault("the table has no such column", remedy, user))
    if faults:
        raise RunsError(source, faults)
    # A column of the table that has a canonical name already, and is not mapped, is dropped.
    dropped = {*columns.values(), *columns}
    kept = frame.drop(columns=[c for c in frame.columns if c in dropped])
    return kept.assign(**{name: frame[user] for name, user in columns.items()})


def melt(frame: pd.DataFrame, into: str, response: str, source: str) -> pd.DataFrame:
    """A wide table as a long one.

    Each column whose header is a number becomes rows with that number in the column ``into``:
    ``model, 200, 400, family`` melted into ``finetuning_data`` gives ``model, family,
    finetuning_data, loss``. Empty cells are dropped: nothing was run there.

    Raises
    ------
    RunsError : no header is a number, or the table already has a column named ``into`` or
        ``response``.
    """
    headers = {column: pd.to_numeric(str(column), errors="coerce") for column in frame.columns}
    wide = [column for column, number in headers.items() if pd.notna(number)]
    faults = []
    for name in (into, response):
        if name in frame.columns:
            problem = f"the table has a column {name!r} already, so it is not wide in it"
            faults.append(Fault(problem, "Leave out melt.", name))
    if not wide:
        remedy = f"Melting needs headers that are values of {into}. It has: {listed(frame)}"
        faults.append(Fault("no column header is a number", remedy))
    if faults:
        raise RunsError(source, faults)
    long = frame.melt(
        id_vars=[c for c in frame.columns if c not in wide],
        value_vars=wide,
        var_name=into,
        value_name=response,
        ignore_index=False,
    )
    long[into] = long[into].map(headers).astype(float)
    return long.dropna(subset=[response])


def plain_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table as plain data, a dictionary per row; numbers that are not finite become None."""
    return [
        {str(name): _plain(value) for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def _plain(value: Any) -> Any:
    """A value of a table as JSON has it."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return finite(float(value))
    return None if value is None or (np.ndim(value) == 0 and pd.isna(value)) else str(value)


def finite(value: float) -> float | None:
    """A number as JSON has it: None if it is not finite."""
    return float(value) if np.isfinite(value) else None
