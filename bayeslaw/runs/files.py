"""Tables from files: CSV, TSV and Parquet, renamed to canonical columns, wide ones melted."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.errors import Fault, RunsError, suggest

READERS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}

#: Name of the index that carries where a row stands in the user's table.
ROW = "row"


def load_table(table: str | Path | pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """A table and what to call it in messages. Its index says where each row stands: "line 17" of a
    text file, else "row 3".

    Raises
    ------
    RunsError : no such file, a format that is not read, or a file that is not such a table.
    """
    if isinstance(table, pd.DataFrame):
        # A set that ships with bayeslaw keeps its name, so that figures of simulated runs say so.
        source = table.attrs.get("manifest", {}).get("name", "The table")
        if (twice := table.columns[table.columns.duplicated()]).size:
            raise RunsError(
                source,
                [
                    Fault("the column stands twice", "Rename or drop one.", str(name))
                    for name in twice.unique()
                ],
            )
        return (
            table.set_axis(
                pd.Index([f"row {label}" for label in table.index], name=ROW, dtype=object), axis=0
            ),
            source,
        )
    path = Path(table)
    if path.is_dir():
        raise RunsError(str(path), [Fault("it is a folder", "Name the file in it.")])
    if not path.is_file():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise RunsError(
            str(path),
            [Fault("there is no such file", f"Check the path.{suggest(path.name, siblings)}")],
        )
    try:
        if path.suffix.lower() == ".parquet":
            frame = pd.read_parquet(path)
            rows = [f"row {i}" for i in range(1, len(frame) + 1)]
        elif path.suffix.lower() in READERS:
            # Blank lines are kept until the lines are numbered, so that a row is named as an editor
            # shows it.
            with warnings.catch_warnings():
                # rows longer than the header, which pandas would cut
                warnings.simplefilter("error", pd.errors.ParserWarning)
                frame = pd.read_csv(
                    path,
                    sep=READERS[path.suffix.lower()],
                    skip_blank_lines=False,
                    low_memory=False,
                    index_col=False,
                )
            rows = [f"line {i}" for i in range(2, len(frame) + 2)]
        else:
            known = ", ".join([*READERS, ".parquet"])
            raise RunsError(
                str(path),
                [
                    Fault(
                        f"the ending {path.suffix!r} is not one that is read",
                        f"Use one of {known}, or pass a DataFrame.",
                    )
                ],
            )
    except pd.errors.EmptyDataError as error:
        raise RunsError(
            str(path), [Fault("the file is empty", "Export the table again.")]
        ) from error
    except pd.errors.ParserWarning as error:
        raise RunsError(
            str(path),
            [
                Fault(
                    "some rows have more values than the header has columns",
                    "Correct the header, or the rows.",
                )
            ],
        ) from error
    except (
        ValueError,
        OSError,
    ) as error:  # pandas and pyarrow: parser errors, wrong encoding, not a Parquet file
        raise RunsError(
            str(path),
            [
                Fault(
                    f"it cannot be read as a table ({str(error).splitlines()[0]})",
                    "Check that it is what its ending says.",
                )
            ],
        ) from error
    frame.index = pd.Index(rows, name=ROW, dtype=object)
    return frame.dropna(how="all"), str(path)


def rename(frame: pd.DataFrame, columns: Mapping[str, str], source: str) -> pd.DataFrame:
    """The table with the user's columns under their canonical names: ``columns`` maps canonical
    name to the user's.

    Raises
    ------
    RunsError : a column that the table does not have, with near names, or two columns of one name.
    """
    faults = [
        Fault(
            "the table has no such column",
            f"Set {name}=... to one of its columns.{suggest(user, frame.columns)} It has:"
            f" {_listed(frame)}",
            user,
        )
        for name, user in columns.items()
        if user not in frame.columns
    ]
    if faults:
        raise RunsError(source, faults)
    # A mapped column takes the canonical name; a namesake that the user did not ask for makes way.
    # One column may serve two names.
    gone = {*columns.values(), *columns}
    return frame.drop(columns=[c for c in frame.columns if c in gone]).assign(
        **{name: frame[user] for name, user in columns.items()}
    )


def melt(frame: pd.DataFrame, into: str, response: str, source: str) -> pd.DataFrame:
    """A wide table as a long one: each column whose header is a number becomes rows with that
    number in column ``into``.

    ``model, 200, 400, family`` melted into ``finetuning_data`` gives ``model, family,
    finetuning_data, loss``. Empty cells are dropped: a wide table has them where nothing was run.

    Raises
    ------
    RunsError : no header is a number, or the table has a column named ``into`` or ``response``
        already.
    """
    headers = {column: pd.to_numeric(str(column), errors="coerce") for column in frame.columns}
    wide = [column for column, number in headers.items() if pd.notna(number)]
    faults = [
        Fault(
            f"the table has a column {name!r} already, so it is not wide in it",
            "Leave out melt.",
            name,
        )
        for name in (into, response)
        if name in frame.columns
    ]
    if not wide:
        faults.append(
            Fault(
                "no column header is a number",
                f"Melting needs headers that are values of {into}. It has: {_listed(frame)}",
            )
        )
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


def _listed(frame: pd.DataFrame) -> str:
    return ", ".join(map(str, frame.columns))


def plain_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table as plain data, a row each; what is not a finite number is null."""
    return [
        {str(name): _plain(value) for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return finite(float(value))
    return None if value is None or (np.ndim(value) == 0 and pd.isna(value)) else str(value)


def finite(value: float) -> float | None:
    """A number as JSON has it: none that is not finite."""
    return float(value) if np.isfinite(value) else None
