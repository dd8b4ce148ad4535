"""Tables and files of any kind are read rightly or refused, soon and in few words."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from attack.strategies import attack, broken, lanes, names, numbers, outcome, sound, texts
from hypothesis import strategies as st

import bayeslaw as bl
from bayeslaw.errors import BayeslawError
from bayeslaw.spec.identifiability import identifiability_warnings, sensitivity
from bayeslaw.spec.resolve import resolve

LAWS = {name: bl.law(name) for name in bl.laws()}
COMMON = ("power", "chinchilla", "overoptimization", "sigmoid_compute", "finetuning_multiplicative")

#: Letters for powers of ten, as people write them.
LETTERS = {"K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12, "P": 1e15}


@st.composite
def asked(draw: st.DrawFn) -> tuple[bl.Law, pd.DataFrame, dict[str, Any]]:
    """A law, a table, and some of the other arguments of `read_runs`."""
    name = draw(st.sampled_from(COMMON) | st.sampled_from(sorted(LAWS)))
    law = LAWS[name]
    table = draw(broken(law))
    known = [*law.inputs, law.response.name, "task", "method", "no_such_column", ""]
    columns = st.sampled_from(known) | st.sampled_from([str(x) for x in table.columns] or [""])
    filters = [f"{law.response.name} > 0", "task == 'task0'", "", "loss", "task in [", "1 < 2"]
    options = {
        "groups": st.lists(columns, max_size=3),
        "columns": st.dictionaries(columns, columns, max_size=2),
        "scale": st.dictionaries(columns, numbers, max_size=2),
        "where": st.sampled_from(filters),
        "melt_into": columns,
    }
    chosen = draw(st.sets(st.sampled_from(sorted(options)), max_size=2) | st.just(set()))
    return law, table, {name: draw(options[name]) for name in sorted(chosen)}


def checked(runs: bl.Runs) -> str:
    """What ``bayeslaw check`` does with runs, and prints of them."""
    design = resolve(bl.ModelSpec(runs.law), runs)
    warned = identifiability_warnings(design, runs, sensitivity(design, runs))
    return "\n".join([str(runs), *warned])


def number_of(cell: Any) -> float | None:
    """The number that a cell means to a reader; None if it means none."""
    if isinstance(cell, str):
        text = cell.strip().upper().replace("_", "x")
        if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", text):
            text = text.replace(",", "")
        factor = LETTERS.get(text[-1:], 1.0)
        text = text[:-1] if text[-1:] in LETTERS else text
        text = re.sub(r"^([+-]?\d+),(\d{1,2})$", r"\1.\2", text)
        try:
            return float(text) * factor
        except ValueError:
            return None
    if isinstance(cell, bool | np.bool_) or not isinstance(cell, Real | Decimal | Fraction):
        return None
    try:
        return float(cell)
    except (OverflowError, ValueError):
        return None


def require_true(runs: bl.Runs, table: pd.DataFrame, law: bl.Law) -> None:
    """Runs have the numbers and the labels of the table that they were read from."""
    assert not table.columns.duplicated().any(), "a name that two columns have was accepted"
    rows = {f"row {label}": i for i, label in enumerate(table.index)}
    assert len(rows) == len(table) or len(runs) <= len(table)
    for name in (*law.inputs, law.response.name):
        if name not in table or len(rows) < len(table):
            continue
        for row, number in runs.table[name].items():
            cell = table[name].iloc[rows[row]]
            meant = number_of(cell)
            if name == "kl" and (meant is None or meant == 0 or math.isnan(meant)):
                continue  # from n, or that of the initial policy
            if name == "data_size" and "compute" in table:
                continue
            assert meant is not None, f"{name} {cell!r} was read as {number}"
            assert number == pytest.approx(meant, rel=1e-12), f"{name} {cell!r}: {number}"
    for name in runs.groups:
        if name in table and name not in law.inputs and len(rows) == len(table):
            cells = [table[name].iloc[rows[row]] for row in runs.table.index]
            require_labels(runs.table[name].tolist(), cells)


def require_labels(labels: list[Any], cells: list[Any]) -> None:
    """Labels are the texts of cells: equal where these are, and only there."""
    for label, cell in zip(labels, cells, strict=True):
        assert isinstance(label, str) and label, f"the label of {cell!r} is {label!r}"
        if isinstance(cell, str) and not is_number(cell):
            exact = re.fullmatch(r"[1-9]\d{15,18}", cell) and is_number(label)
            assert label == cell or (exact and int(float(label)) == int(cell))
    for i, j in combinations(range(len(labels)), 2):
        equal = same(cells[i], cells[j])
        if equal is not None:
            told_apart = f"{cells[i]!r} and {cells[j]!r} are {labels[i]!r} and {labels[j]!r}"
            assert (labels[i] == labels[j]) == equal, told_apart


def is_number(text: str) -> bool:
    """Whether text is a number of so few digits that no label is lost when it is read as one."""
    if re.match(r"\s*[+-]?(0\d|\d{16})", text):
        return False
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def same(a: Any, b: Any) -> bool | None:
    """Whether two cells name one group; None if that is a matter of taste (1, 1.0 and "1")."""
    if type(a) is not type(b) or not isinstance(a, str | int):
        return None
    if isinstance(a, str) and is_number(a) and is_number(b) and float(a) == float(b):
        return None if a != b else True
    return bool(a == b)


def require_sound(runs: bl.Runs, law: bl.Law) -> None:
    """Every number of the runs is in the law's domain, and every group has a name."""
    assert len(runs)
    for name, spec in law.inputs.items():
        x = runs.table[name].to_numpy(float)
        assert np.isfinite(x).all()
        assert ((x > spec.low) | (x == spec.none)).all()
    y = runs.y
    assert np.isfinite(y).all()
    assert law.response.scale == "linear" or (y > 0).all()
    assert law.response.scale != "logit" or (y < 1).all()


def read_or_refused(case: tuple[bl.Law, pd.DataFrame, dict[str, Any]]) -> None:
    law, table, options = case
    before = table.copy(deep=True)
    runs = outcome(lambda: bl.read_runs(table, law, **options))
    assert before.columns.equals(table.columns) and before.index.equals(table.index)
    if isinstance(runs, BayeslawError):
        return
    require_sound(runs, law)
    if not set(options) & {"columns", "scale", "melt_into"}:
        require_true(runs, table, law)
    said = outcome(lambda: checked(runs))
    assert len(str(said)) <= 20_000


@lanes
def test_a_table_is_read_rightly_or_refused(tries: int) -> None:
    attack(tries, asked(), read_or_refused)


@pytest.mark.parametrize("name", COMMON)
def test_the_tables_before_they_are_broken_are_read(name: str) -> None:
    law = LAWS[name]
    runs = outcome(lambda: bl.read_runs(sound(law, 8), law))
    assert isinstance(runs, bl.Runs)
    require_true(runs, sound(law, 8), law)


labels = st.lists(
    texts.filter(lambda x: x.strip() and len(x) < 100 and "\r" not in x and "\0" not in x)
    | st.integers(0, 10**18).map(str)
    | st.integers(0, 99).map("{:04d}".format)
    | st.integers(10**15, 10**15 + 3).map(str)
    | st.integers(10**16, 10**16 + 3).map(str),
    min_size=2,
    max_size=6,
)


def labels_are_kept(case: tuple[list[str], bool], folder: Path) -> None:
    chosen, as_frame = case
    table = sound(LAWS["power"], 2 * len(chosen)).assign(task=chosen * 2)
    source: pd.DataFrame | Path = table
    if not as_frame:
        source = folder / "runs.csv"
        table.to_csv(source, index=False, quoting=csv.QUOTE_NONNUMERIC)
    runs = outcome(lambda: bl.read_runs(source, "power", groups=["task"]))
    if not isinstance(runs, BayeslawError):
        require_labels(runs.table["task"].tolist(), chosen * 2)


@lanes
def test_labels_of_a_file_are_text_exactly(tries: int, tmp_path: Path) -> None:
    attack(
        tries, st.tuples(labels, st.booleans()), lambda case: labels_are_kept(case, tmp_path), 0.5
    )


ENDINGS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet", ".CSV", "", ".xlsx")


@st.composite
def files(draw: st.DrawFn) -> tuple[str, bytes]:
    """The ending and the bytes of a file of runs, most of them damaged."""
    law = LAWS["power"]
    cells = [list(map(str, row)) for row in sound(law, 8).to_numpy().tolist()]
    rows = [list(sound(law, 8).columns), *cells]
    for _ in range(draw(st.integers(0, 2))):
        row = rows[draw(st.integers(0, len(rows) - 1))]
        match draw(st.sampled_from(["cell", "more", "less", "header", "blank", "again"])):
            case "cell":
                if row:
                    row[draw(st.integers(0, len(row) - 1))] = draw(texts)
            case "more":
                row.append(draw(texts))
            case "less":
                del row[-1:]
            case "header":
                rows.insert(draw(st.integers(0, len(rows))), list(rows[0]))
            case "blank":
                rows.insert(draw(st.integers(0, len(rows))), [])
            case "again":
                at = draw(st.integers(0, 2))
                rows = [[*row, *row[at : at + 1]] for row in rows]
    ending = draw(st.sampled_from(ENDINGS))
    match ending:
        case ".json":
            data = json.dumps([dict(zip(rows[0], row, strict=False)) for row in cells]).encode()
        case ".jsonl":
            lines = [json.dumps(dict(zip(rows[0], row, strict=False))) for row in cells]
            data = "\n".join(lines).encode()
        case ".parquet":
            buffer = io.BytesIO()
            sound(law, 8).to_parquet(buffer)
            data = buffer.getvalue()
        case _:
            text = io.StringIO()
            separator = draw(st.sampled_from([",", ",", "\t", ";", "|", " "]))
            end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
            quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
            csv.writer(text, delimiter=separator, lineterminator=end, quoting=quoting).writerows(
                rows
            )
            encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]))
            data = text.getvalue().encode(encoding, errors="replace")
    for _ in range(draw(st.integers(0, 2))):
        data = draw(damaged(data))
    return ending, data


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes of which some were changed, lost, or added."""
    at = draw(st.integers(0, max(len(data) - 1, 0)))
    some = draw(st.sampled_from([b"\0", b'"', b"\n", b"\xff", b"\x1b[31m", b",,,", b"[" * 5000]))
    return draw(
        st.sampled_from(
            [
                data[:at],
                data[:at] + some + data[at:],
                data[:at] + some + data[at + 1 :],
                data + some,
            ]
        )
    )


def file_is_read_or_refused(case: tuple[str, bytes], folder: Path) -> None:
    ending, data = case
    path = folder / f"runs{ending}"
    path.write_bytes(data)
    law = LAWS["power"]
    runs = outcome(lambda: bl.read_runs(path, law))
    if isinstance(runs, BayeslawError):
        return
    require_sound(runs, law)
    outcome(lambda: checked(runs))
    if ending.lower() != ".csv" or b"\0" in data:
        return
    header = data.decode("utf-8-sig", errors="replace").splitlines()[0]
    names_in_header = next(csv.reader([header]))
    assert len(set(names_in_header)) == len(names_in_header), "two columns of one name"


@lanes
def test_a_file_is_read_or_refused(tries: int, tmp_path: Path) -> None:
    attack(tries, files(), lambda case: file_is_read_or_refused(case, tmp_path), 0.5)


@lanes
def test_a_parquet_file_is_read_or_refused(tries: int, tmp_path: Path) -> None:

    def read(case: pd.DataFrame) -> None:
        path = tmp_path / "runs.parquet"
        try:
            case.to_parquet(path)
        except Exception:  # not every table can be written
            return
        runs = outcome(lambda: bl.read_runs(path, LAWS["power"]))
        if not isinstance(runs, BayeslawError):
            require_sound(runs, LAWS["power"])

    attack(tries, broken(LAWS["power"]), read, share=0.2)


#: Faulty columns of many rows or of long names, of which a message tells little.
LARGE = {
    "all rows below 0": lambda: sound(LAWS["power"], 3000).assign(loss=-1.0),
    "a long cell": lambda: sound(LAWS["power"], 8).assign(loss="x" * 10**6),
    "a long name": lambda: sound(LAWS["power"], 8).rename(columns={"loss": "x" * 10**6}),
    "many columns": lambda: (
        sound(LAWS["power"], 8)
        .drop(columns="loss")
        .join(pd.DataFrame(1.0, index=range(8), columns=[f"column{i}" for i in range(20_000)]))
    ),
    "many unused columns": lambda: sound(LAWS["power"], 8).join(
        pd.DataFrame(1.0, index=range(8), columns=[f"column{i}" for i in range(20_000)])
    ),
    "many groups": lambda: sound(LAWS["power"], 5000).assign(
        task=[f"task {i // 2} {'x' * 50}" for i in range(5000)]
    ),
}


@pytest.mark.parametrize("kind", LARGE)
def test_what_is_said_of_a_large_table_is_short(kind: str) -> None:
    table = LARGE[kind]()
    runs = outcome(lambda: bl.read_runs(table, "power"))
    if not isinstance(runs, BayeslawError):
        assert len(str(runs)) <= 10_000


def test_a_name_of_any_kind_is_no_obstacle() -> None:
    """A column that nothing reads may have any name that a data frame can have."""

    def read(name: Any) -> None:
        table = sound(LAWS["power"], 8)
        table[name] = 1.0
        runs = outcome(lambda: bl.read_runs(table, "power"))
        if isinstance(name, str) and name not in (*table.columns[:3], "loss_se", "averaged"):
            assert isinstance(runs, bl.Runs), str(runs)[:300]

    attack(40, names.filter(lambda name: name not in ("n", "kl", "compute")), read)
