"""Tables of runs: every kind of broken one with its fault's place, value and remedy; derivations;
what data cannot identify.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import public_path

import bayeslaw as bl
from bayeslaw.cli import run
from bayeslaw.errors import (
    ExpressionError,
    Fault,
    RunsError,
    RunsWarning,
    SpecError,
    UnknownNameError,
)
from bayeslaw.spec.identifiability import identifiability_warnings, sensitivity
from bayeslaw.spec.resolve import resolve
from bayeslaw.text import label

HEAD = "model_size,data_size,loss\n"
GOOD = "1e9,2e10,2.9\n2e9,2e10,2.7\n"


def write(folder: Path, text: str | bytes, name: str = "runs.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def faults(table: Any, law: str = "chinchilla", **options: Any) -> tuple[Fault, ...]:
    """The faults of a table; each stands in the message, with its place."""
    with pytest.raises(RunsError) as caught:
        bl.read_runs(table, law, **options)
    message = str(caught.value)
    assert message.startswith(str(table) if isinstance(table, Path) else "The table")
    for fault in caught.value.faults[: RunsError.SHOWN]:
        assert all(
            part in message for part in (fault.row, fault.column, fault.problem, fault.remedy)
        )
    return caught.value.faults


def table(**columns: Any) -> pd.DataFrame:
    """Three good runs, with columns replaced or added."""
    good = {"model_size": [1e9, 2e9, 4e9], "data_size": [2e10, 2e10, 4e10], "loss": [2.9, 2.7, 2.5]}
    return pd.DataFrame({**good, **columns})


# Files that are no tables
# ----------------------------------------------------------------------------------------------


def test_a_missing_file(tmp_path: Path) -> None:
    write(tmp_path, HEAD + GOOD, "sweep_2024.csv")
    (fault,) = faults(tmp_path / "sweep_2023.csv")
    assert fault.problem == "there is no such file"
    assert "Did you mean 'sweep_2024.csv'?" in fault.remedy
    (elsewhere,) = faults(tmp_path / "nowhere" / "sweep_2024.csv")
    assert elsewhere.problem == "there is no such file"


def test_a_wrong_ending(tmp_path: Path) -> None:
    (fault,) = faults(write(tmp_path, HEAD + GOOD, "runs.xlsx"))
    assert "'.xlsx'" in fault.problem
    assert all(ending in fault.remedy for ending in (".csv", ".tsv", ".parquet", "DataFrame"))


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (bytes(range(256)) * 20, "runs.csv"),
        (bytes(range(255, -1, -1)) * 20, "runs.csv"),
        (bytes(range(256)) * 20, "runs.parquet"),
        (b"", "runs.parquet"),
        (b"PAR1" + b"\x07" * 200 + b"PAR1", "runs.parquet"),
        ((HEAD + GOOD).encode("utf-16"), "runs.csv"),
        (HEAD + '"1e9,2e10,2.9\n', "runs.csv"),
    ],
)
def test_a_file_that_is_no_table(tmp_path: Path, content: bytes | str, name: str) -> None:
    (fault,) = faults(write(tmp_path, content, name))
    assert fault.problem.startswith("it cannot be read as a table (")
    assert fault.remedy == "Check that it is what its ending says."


def test_a_ragged_row_is_named(tmp_path: Path) -> None:
    (fault,) = faults(write(tmp_path, HEAD + GOOD + "4e9,4e10,2.5,oops\n"))
    assert "Expected 3 fields in line 4, saw 4" in fault.problem


@pytest.mark.filterwarnings("ignore::bayeslaw.errors.RunsWarning")
def test_a_value_too_many_in_every_row_is_a_fault(tmp_path: Path) -> None:
    faults(write(tmp_path, HEAD + "1e9,2e10,2.9,2.8\n2e9,2e10,2.7,2.6\n"))


@pytest.mark.parametrize("content", [HEAD, HEAD + "\n\n"])
def test_an_empty_table(tmp_path: Path, content: str) -> None:
    (fault,) = faults(write(tmp_path, content))
    assert fault.problem == "there are no rows"
    assert "file" in fault.remedy
    assert "where" in fault.remedy


# Columns
# ----------------------------------------------------------------------------------------------


def test_missing_columns(tmp_path: Path) -> None:
    size, loss = faults(write(tmp_path, "modelsize,data_size,test_loss\n1e9,2e10,2.9\n"))
    assert (size.problem, size.column, size.row) == ("the column is missing", "model_size", "")
    assert "(parameters)" in size.remedy
    assert "columns={'model_size': ...}" in size.remedy
    assert '--column model_size="..."' in size.remedy
    assert "Did you mean 'modelsize'" in size.remedy
    assert "The table has: modelsize, data_size, test_loss" in size.remedy
    assert loss.column == "loss"
    assert "Did you mean 'test_loss'?" in loss.remedy


def test_a_missing_input_that_the_law_lets_choose() -> None:
    frame = pd.DataFrame({"draft": [1, 2, 4, 8], "loss": [1.0, 0.65, 0.47, 0.4]})
    with pytest.raises(RunsError, match=r"power reads data_size unless .* --law power:input=NAME"):
        bl.read_runs(frame, "power")
    runs = bl.read_runs(frame, bl.law("power", input="draft"))
    assert "draft              1 to 8 the table's unit, 4 values" in str(runs)
    (fault,) = faults(frame, "finetuning_rectified")
    assert "unless" not in fault.remedy


@pytest.mark.parametrize("law", ["sigmoid_compute", "shifted_power", "saturating_power"])
def test_a_row_at_zero_measures_where_a_curve_starts(law: str) -> None:
    """Whatever the column holds: whole numbers, decimals, or text."""
    response = bl.laws()[law].response.name
    steps = [0, 4, 8, 16, 0, 8]
    for column in (steps, [float(x) for x in steps], [str(x) for x in steps]):
        frame = pd.DataFrame({"step": column, response: [0.1, 0.2, 0.3, 0.4, 0.11, 0.31]})
        if law != "sigmoid_compute":
            frame[response] = 1 - frame[response]
        runs = bl.read_runs(frame, bl.law(law, input="step"))
        assert len(runs) == 6
        assert any(note.startswith("2 rows are") and "(step = 0)" in note for note in runs.notes)
        assert "0 to 16 steps, 4 values" in str(runs)
        assert runs.centre["step"] == pytest.approx((4 * 8 * 16 * 8) ** (1 / 4))
    with pytest.raises(RunsError, match="it must be above 0"):
        bl.read_runs(frame.rename(columns={response: "loss"}), bl.law("power", input="step"))
    text = frame.assign(step=["0", "7B", "8", "16", "0", "8"])
    with pytest.raises(RunsError, match="'7B': it is not a number"):
        bl.read_runs(text, bl.law(law, input="step"))


def test_a_mapped_column_that_does_not_exist(tmp_path: Path) -> None:
    path = write(tmp_path, "Params,tokens,loss\n1e9,2e10,2.9\n")
    size, data = faults(path, columns={"model_size": "params (B)", "data_size": "token"})
    assert (size.column, data.column) == ("params (B)", "token")
    assert "Set model_size=..." in size.remedy
    assert "Did you mean 'Params'?" in size.remedy
    assert "Did you mean 'tokens'?" in data.remedy
    assert "It has: Params, tokens, loss" in size.remedy


def test_columns_take_canonical_names(tmp_path: Path) -> None:
    path = write(tmp_path, "Model Size,tokens,loss,final\n1e9,2e10,9,2.9\n2e9,2e10,9,2.7\n")
    runs = bl.read_runs(
        path,
        "chinchilla",
        columns={"model_size": "Model Size", "data_size": "tokens", "loss": "final"},
    )
    assert runs.y.tolist() == [2.9, 2.7]  # the mapped column, not its namesake
    assert list(runs.table.columns) == ["model_size", "data_size", "loss"]


def test_one_column_may_serve_two_names() -> None:
    wide = pd.DataFrame({"tokens": [1e9, 2e9], "loss": [3.0, 2.0]})
    runs = bl.read_runs(wide, "chinchilla", columns={"model_size": "tokens", "data_size": "tokens"})
    assert runs.inputs["model_size"].tolist() == runs.inputs["data_size"].tolist() == [1e9, 2e9]


def test_columns_may_swap() -> None:
    runs = bl.read_runs(
        table(), "chinchilla", columns={"model_size": "data_size", "data_size": "model_size"}
    )
    assert runs.inputs["model_size"].tolist() == [2e10, 2e10, 4e10]
    assert runs.inputs["data_size"].tolist() == [1e9, 2e9, 4e9]


def test_a_column_that_stands_twice_is_a_fault() -> None:
    twice = pd.concat([table(), table()[["loss"]]], axis=1)
    assert faults(twice)[0].column == "loss"


# Values
# ----------------------------------------------------------------------------------------------

VALUES: dict[str, tuple[str, str, str, str, Any, str, str]] = {
    # what: (lines after the header, row, column, its text in the message, value, problem, remedy)
    "text": (
        "1e9,2e10,2.9\n7B,2e10,2.7\n",
        "line 3",
        "model_size",
        "'7B'",
        "7B",
        "it is not a number",
        "such as 7e9. (Unit: parameters.)",
    ),
    "text in the response": (
        "1e9,2e10,2.9\n2e9,2e10,OOM\n",
        "line 3",
        "loss",
        "'OOM'",
        "OOM",
        "it is not a number",
        "nats per token",
    ),
    "thousands": (
        '"1,000",2e10,2.9\n',
        "line 2",
        "model_size",
        "'1,000'",
        "1,000",
        "it is not a number",
        "plain number",
    ),
    "infinite": (
        "1e9,2e10,2.9\n2e9,2e10,inf\n",
        "line 3",
        "loss",
        "inf",
        np.inf,
        "it is not finite",
        "diverged",
    ),
    "minus infinity": (
        "-inf,2e10,2.9\n",
        "line 2",
        "model_size",
        "-inf",
        -np.inf,
        "it is not finite",
        "Leave the row out",
    ),
    "missing": (
        "1e9,2e10,2.9\n2e9,,2.7\n",
        "line 3",
        "data_size",
        "",
        None,
        "the value is missing",
        "tokens or examples",
    ),
    "nan": (
        "1e9,2e10,nan\n2e9,2e10,2.7\n",
        "line 2",
        "loss",
        "",
        None,
        "the value is missing",
        "where",
    ),
    "zero": (
        "0,2e10,2.9\n2e9,2e10,2.7\n",
        "line 2",
        "model_size",
        "0",
        0,
        "it must be above 0",
        "Correct it",
    ),
    "zero loss": (
        "1e9,2e10,2.9\n2e9,2e10,0.0\n",
        "line 3",
        "loss",
        "0",
        0,
        "it must be above 0",
        "where",
    ),
    "negative": (
        "1e9,2e10,2.9\n2e9,-2e10,2.7\n",
        "line 3",
        "data_size",
        "-2e+10",
        -2e10,
        "it must be above 0",
        "Correct it",
    ),
}


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_that_no_run_can_have(tmp_path: Path, kind: str) -> None:
    lines, row, column, shown, value, problem, remedy = VALUES[kind]
    (fault,) = faults(write(tmp_path, HEAD + lines))
    assert (fault.row, fault.column) == (row, column)
    assert fault.problem == (f"{shown}: {problem}" if shown else problem)
    assert pd.isna(fault.value) if value is None else fault.value == value
    assert remedy in fault.remedy


def test_a_missing_group(tmp_path: Path) -> None:
    (fault,) = faults(write(tmp_path, "method," + HEAD + "lora,1e9,2e10,2.9\n,2e9,2e10,2.7\n"))
    assert (fault.row, fault.column, fault.problem) == ("line 3", "method", "the group is missing")
    assert "Name the group" in fault.remedy


def test_all_faults_at_once(tmp_path: Path) -> None:
    found = faults(
        write(tmp_path, "task," + HEAD + "a,0,2e10,2.9\na,2e9,many,-1\n,4e9,,inf\nb,8e9,8e10,2.4\n")
    )
    places = {(fault.row, fault.column) for fault in found}
    assert len(found) == len(places) == 6
    assert places == {
        ("line 2", "model_size"),
        ("line 3", "data_size"),
        ("line 3", "loss"),
        ("line 4", "task"),
        ("line 4", "data_size"),
        ("line 4", "loss"),
    }


def test_missing_columns_and_bad_values_are_told_together() -> None:
    found = faults(table(loss=[2.9, "x", 2.5]).drop(columns="data_size"))
    assert [(fault.row, fault.column) for fault in found] == [("", "data_size"), ("row 1", "loss")]


def test_a_long_list_is_cut_in_the_message_only() -> None:
    frame = pd.DataFrame({"model_size": 1e9, "data_size": 2e10, "loss": [2.0, *[-1.0] * 30]})
    with pytest.raises(RunsError) as caught:
        bl.read_runs(frame, "chinchilla")
    assert len(caught.value.faults) == 30
    assert str(caught.value).startswith("The table has 30 faults:")
    assert str(caught.value).endswith("... and 10 more (all in the error's .faults)")
    assert str(caught.value).count("must be above 0") == 20


def test_blank_lines_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    text = HEAD + "\n1e9,2e10,2.9\n\n\n2e9,2e10,x\n,,\n4e9,4e10,-1\n"
    path = write(tmp_path, text)
    by_editor = {f"line {number}": line for number, line in enumerate(text.splitlines(), 1)}
    found = faults(path)
    assert [by_editor[fault.row] for fault in found] == ["2e9,2e10,x", "4e9,4e10,-1"]
    assert [fault.row for fault in found] == ["line 6", "line 8"]


def test_rows_of_a_dataframe_go_by_its_index() -> None:
    odd = table(loss=[2.9, -1.0, "x"]).set_axis(["r10", "r20", "r30"], axis=0)
    assert {fault.row: fault.value for fault in faults(odd)} == {"row r20": -1.0, "row r30": "x"}


def test_a_law_that_does_not_exist() -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean 'chinchilla'"):
        bl.read_runs(table(), "chinchila")


# Filters
# ----------------------------------------------------------------------------------------------


def test_where_keeps_what_it_says() -> None:
    runs = bl.read_runs(
        table(method=["lora", "full", "lora"]),
        "chinchilla",
        groups=[],
        where="loss < 2.8 and method == 'lora'",
    )
    assert runs.table.index.tolist() == ["row 2"]
    assert "1 of 3 rows satisfy loss < 2.8 and method == 'lora'" in runs.notes


def test_where_leaves_out_diverged_and_missing_runs() -> None:
    assert (
        len(bl.read_runs(table(loss=[2.9, np.inf, np.nan]), "chinchilla", where="loss < 100")) == 1
    )


def test_where_does_not_hide_text(tmp_path: Path) -> None:
    """'7B' > 2e9 is neither true nor false: the row stays, and its fault is told."""
    (fault,) = faults(
        write(tmp_path, HEAD + "1e9,2e10,2.9\n7B,2e10,2.7\n8e9,2e10,2.5\n"),
        where="model_size > 2e9",
    )
    assert (fault.row, fault.value) == ("line 3", "7B")


def test_where_with_an_unknown_column() -> None:
    with pytest.raises(ExpressionError, match=r"no column 'modelsize'\. Did you mean 'model_size'"):
        bl.read_runs(table(), "chinchilla", where="modelsize > 1e9")


def test_where_that_leaves_nothing() -> None:
    (fault,) = faults(table(), where="model_size > 1e12")
    assert fault.problem == "there are no rows"
    assert "where" in fault.remedy


# Warnings
# ----------------------------------------------------------------------------------------------


def warned(frame: pd.DataFrame, **options: Any) -> tuple[bl.Runs, str]:
    with pytest.warns(RunsWarning) as caught:
        runs = bl.read_runs(frame, "chinchilla", **options)
    (text,) = [str(warning.message) for warning in caught]
    assert runs.warnings == (text,)
    assert f"warning: {text}" in str(runs)
    return runs, text


def test_duplicate_rows() -> None:
    runs, text = warned(pd.concat([table(), table().iloc[[1]]], ignore_index=True))
    assert len(runs) == 4  # nothing is dropped on the quiet
    assert "2 rows are duplicates" in text
    assert "(row 1, row 3)" in text
    assert "'seed'" in text


def test_repeats_with_seeds_are_no_duplicates() -> None:
    twice = pd.concat([table(seed=1), table(seed=2)], ignore_index=True)
    assert bl.read_runs(twice, "chinchilla").warnings == ()


def test_a_group_with_a_single_run() -> None:
    _, text = warned(table(method=["lora", "lora", "prompt"]))
    assert text.startswith("method: 1 of 2 groups have a single run (prompt)")


@pytest.mark.parametrize("scale", [1e9, 1e6])
def test_an_implausible_unit(scale: float) -> None:
    other_unit = table(model_size=np.array([1e9, 2e9, 4e9]) / scale)
    _, text = warned(other_unit)
    assert (
        f"model_size runs from {1e9 / scale:g} to {4e9 / scale:g}, outside 10000 to 1e+14"
        " parameters" in text
    )
    assert "scale={'model_size': 1e9} for billions" in text
    runs = bl.read_runs(other_unit, "chinchilla", scale={"model_size": scale})
    assert runs.warnings == ()
    assert runs.inputs["model_size"].tolist() == [1e9, 2e9, 4e9]
    assert f"model_size was multiplied by {scale:g}" in runs.notes


# Scale, derivation, melting
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scale", "says"),
    [
        ({"model_sise": 1e9}, "Did you mean 'model_size'"),
        ({"loss": 0}, "positive"),
        ({"loss": np.nan}, "positive"),
    ],
)
def test_a_scale_that_cannot_be_meant(scale: Mapping[str, float], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        bl.read_runs(table(), "chinchilla", scale=scale)


def test_a_scaled_column_keeps_its_faults_as_written(tmp_path: Path) -> None:
    found = faults(write(tmp_path, HEAD + "1,2e10,2.9\n7B,2e10,2.7\n"), scale={"model_size": 1e9})
    assert [(fault.row, fault.value) for fault in found] == [("line 3", "7B")]


def test_data_size_from_compute() -> None:
    """Chinchilla itself: 70e9 parameters on 1.4e12 tokens is 5.88e23 FLOP."""
    frame = table(model_size=[70e9, 1e9, 2e9], compute=[5.88e23, 1.2e20, 2.4e20]).drop(
        columns="data_size"
    )
    runs = bl.read_runs(frame, "chinchilla")
    np.testing.assert_allclose(runs.inputs["data_size"], [1.4e12, 2e10, 2e10])
    assert "data_size = compute / (6 model_size)" in runs.notes


def test_data_size_is_not_derived_where_the_table_has_it() -> None:
    runs = bl.read_runs(table(compute=1e20), "chinchilla")
    assert runs.inputs["data_size"].tolist() == [2e10, 2e10, 4e10]
    assert not any("6 model_size" in note for note in runs.notes)


def test_scale_comes_before_the_derivation() -> None:
    billions = table(model_size=[1, 2, 4], compute=[1.2e20, 2.4e20, 9.6e20]).drop(
        columns="data_size"
    )
    runs = bl.read_runs(billions, "chinchilla", scale={"model_size": 1e9})
    np.testing.assert_allclose(runs.inputs["data_size"], [2e10, 2e10, 4e10])


def test_faults_of_what_data_size_is_derived_from() -> None:
    found = faults(
        table(model_size=[0, 1e9, 2e9], compute=[6e19, "lots", 6e19]).drop(columns="data_size")
    )
    assert ("row 0", "model_size") in {(fault.row, fault.column) for fault in found}
    assert [fault.row for fault in found if fault.value == "lots"] == ["row 1"]


WIDE = pd.DataFrame(
    {
        "config name": ["x-1B", "x-2B"],
        "200": [3.0, 2.8],
        "4e2": [2.7, np.nan],
        "size": [1e9, 2e9],
        "family": ["x", "x"],
    }
)
MELT: Mapping[str, Any] = {
    "columns": {"model_size": "size", "model": "config name"},
    "melt_into": "finetuning_data",
}


def test_a_wide_table_is_melted(tmp_path: Path) -> None:
    with pytest.warns(RunsWarning, match="single run"):
        runs = bl.read_runs(WIDE, "finetuning_multiplicative", **MELT)
    rows = runs.table[["model", "model_size", "finetuning_data", "loss", "family"]].itertuples(
        index=False, name=None
    )
    assert sorted(rows) == [
        ("x-1B", 1e9, 200.0, 3.0, "x"),
        ("x-1B", 1e9, 400.0, 2.7, "x"),
        ("x-2B", 2e9, 200.0, 2.8, "x"),
    ]
    assert sorted(runs.table.index) == ["row 0", "row 0", "row 1"]
    assert runs.groups == ("family", "model")
    WIDE.to_csv(tmp_path / "wide.csv", index=False)
    with pytest.warns(RunsWarning, match="single run"):
        from_file = bl.read_runs(tmp_path / "wide.csv", "finetuning_multiplicative", **MELT)
    assert sorted(set(from_file.table.index)) == ["line 2", "line 3"]


def test_numbers_as_headers_are_melted() -> None:
    frame = pd.DataFrame({200: [3.0, 2.8], 400: [2.7, 2.6], "model_size": [1e9, 2e9]})
    runs = bl.read_runs(frame, "finetuning_multiplicative", melt_into="finetuning_data")
    assert sorted(runs.inputs["finetuning_data"]) == [200, 200, 400, 400]


def test_what_cannot_be_melted() -> None:
    with pytest.raises(SpecError, match=r"melt_into is 'finetuning'.*model_size, finetuning_data"):
        bl.read_runs(WIDE, "finetuning_multiplicative", melt_into="finetuning")
    long = pd.DataFrame({"model_size": [1e9], "finetuning_data": [200], "loss": [3.0]})
    found = faults(long, "finetuning_multiplicative", melt_into="finetuning_data")
    assert [fault.column for fault in found] == ["finetuning_data", "loss", ""]
    assert "no column header is a number" in found[-1].problem
    text = WIDE.assign(**{"200": [3.0, "OOM"]})
    assert [
        (f.row, f.column, f.value) for f in faults(text, "finetuning_multiplicative", **MELT)
    ] == [("row 1", "loss", "OOM")]


def test_the_published_wide_table() -> None:
    path = public_path("finetuning/flan.csv")
    raw = pd.read_csv(path).set_index("config name")
    zero_shot = faults(path, "finetuning_multiplicative", **MELT)
    assert {fault.column for fault in zero_shot} == {"finetuning_data"}
    assert len(zero_shot) == raw["0"].notna().sum()
    runs = bl.read_runs(path, "finetuning_multiplicative", **MELT, where="finetuning_data > 0")
    sizes = [c for c in raw.columns if c.isdigit() and c != "0"]
    assert len(runs) == raw[sizes].notna().sum().sum() == 420
    row = runs.table[
        (runs.table["model"] == "facebook/bart-base") & (runs.table["finetuning_data"] == 400)
    ]
    assert row["loss"].tolist() == [raw.loc["facebook/bart-base", "400"]]
    lines = path.read_text().splitlines()
    assert row.index.tolist() == [
        f"line {i}" for i, text in enumerate(lines, 1) if text.startswith("facebook/bart-base,")
    ]


# Groups
# ----------------------------------------------------------------------------------------------


def test_groups_are_found_by_name_or_told() -> None:
    frame = table(task="a", optimiser="adam", seed=[1, 2, 3])
    found = bl.read_runs(frame, "chinchilla")
    assert found.groups == ("task", "seed")
    assert "other columns, which effects may name: optimiser" in found.notes
    assert bl.read_runs(frame, "chinchilla", groups=["optimiser"]).groups == ("optimiser",)
    with pytest.raises(SpecError, match=r"groups names optimizer.*Did you mean 'optimiser'"):
        bl.read_runs(frame, "chinchilla", groups=["optimizer"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7e9", "7e9"),
        ("007", "007"),
        (7e9, "7e+09"),
        (7_000_000_000, "7e+09"),
        (np.int64(7_000_000_000), "7e+09"),
        (7_000_000_001, "7000000001"),
        (3, "3"),
        (3.0, "3"),
        (np.float32(0.5), "0.5"),
        (0.1, "0.1"),
        (True, "True"),
        (None, ""),
        (np.nan, ""),
        (pd.NA, ""),
    ],
)
def test_a_groups_label(value: Any, expected: str) -> None:
    assert label(value) == expected


def test_groups_are_text_and_integers_equal_floats() -> None:
    ints = bl.read_runs(table(policy_size=[10, 10, 10]), "chinchilla").table["policy_size"]
    floats = bl.read_runs(table(policy_size=[10.0, 10.0, 10.0]), "chinchilla").table["policy_size"]
    assert ints.tolist() == floats.tolist() == ["10", "10", "10"]


def test_groups_of_a_categorical_are_text() -> None:
    runs = bl.read_runs(table(task=pd.Categorical(["a", "a", "a"])), "chinchilla")
    assert not isinstance(runs.table["task"].dtype, pd.CategoricalDtype)


# Where a table comes from
# ----------------------------------------------------------------------------------------------


def test_every_format_gives_the_same_runs(tmp_path: Path) -> None:
    frame = table(
        task=["mt", "mt", "mt"],
        policy_size=[7_000_000_000] * 3,
        seed=[1, 2, 3],
        note=["a", "b", "c"],
    )
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "a.parquet", index=False)
    expected = bl.read_runs(frame, "chinchilla")
    first = {"a.csv": "line 2", "a.tsv": "line 2", "a.parquet": "row 1"}
    for name, row in first.items():
        runs = bl.read_runs(tmp_path / name, "chinchilla")
        assert runs.table.index[0] == row
        assert runs.groups == expected.groups == ("task", "policy_size", "seed")
        pd.testing.assert_frame_equal(
            runs.table.reset_index(drop=True), expected.table.reset_index(drop=True)
        )


def test_faults_of_a_parquet_file(tmp_path: Path) -> None:
    table(loss=[2.9, -1.0, np.inf]).to_parquet(tmp_path / "runs.parquet")
    assert {fault.row: fault.value for fault in faults(tmp_path / "runs.parquet")} == {
        "row 2": -1.0,
        "row 3": np.inf,
    }


def test_the_users_table_is_left_alone() -> None:
    frame = pd.DataFrame(
        {"N": [1.0, 2.0], "compute": [6e19, 1.2e20], "loss": [3, 2], "policy_size": [1, 1]},
        index=[5, 7],
    )
    before = frame.copy(deep=True)
    bl.read_runs(
        frame,
        "chinchilla",
        columns={"model_size": "N"},
        scale={"model_size": 1e9},
        where="loss < 9",
    )
    pd.testing.assert_frame_equal(frame, before)
    wide = WIDE.copy(deep=True)
    with pytest.warns(RunsWarning):
        bl.read_runs(WIDE, "finetuning_multiplicative", **MELT)
    pd.testing.assert_frame_equal(wide, WIDE)


def test_centre_and_typical_response() -> None:
    runs = bl.read_runs(
        pd.DataFrame({"model_size": [1e8, 1e10], "data_size": [1e9, 1e11], "loss": [2.0, 8.0]}),
        "chinchilla",
    )
    assert runs.centre == pytest.approx({"model_size": 1e9, "data_size": 1e10})
    assert runs.typical_response == pytest.approx(4.0)


# What the data cannot identify
# ------------------------------------------------------------------------------------------


def chinchilla(model_size: np.ndarray, data_size: np.ndarray) -> bl.Runs:
    """Runs of Hoffmann et al.'s law with the coefficients of Besiroglu et al., with 1 % noise."""
    loss = 1.82 + 482 / model_size**0.348 + 2085 / data_size**0.366
    noise = np.random.default_rng(11).normal(0, 0.01, len(loss))
    return bl.read_runs(
        pd.DataFrame(
            {"model_size": model_size, "data_size": data_size, "loss": loss * np.exp(noise)}
        ),
        "chinchilla",
    )


def unidentified(runs: bl.Runs, **spec: Any) -> list[str]:
    resolved = resolve(bl.ModelSpec("chinchilla", **spec), runs)
    return identifiability_warnings(resolved, runs, sensitivity(resolved, runs))


SIZES, DATA = np.geomspace(5e7, 1e10, 6), np.geomspace(1e9, 5e11, 6)


def test_a_healthy_design_gives_no_warning() -> None:
    sizes, data = np.meshgrid(SIZES, DATA)
    assert unidentified(chinchilla(sizes.ravel(), data.ravel())) == []


def test_one_model_size() -> None:
    runs = chinchilla(np.full(12, 1e9), np.geomspace(1e9, 1e12, 12))
    constant, prior = unidentified(runs)
    assert constant.startswith("model_size has one value, 1e+09, in all 12 runs")
    assert "other values" in constant
    assert "alpha (100%)" in prior
    assert "beta" not in prior
    resolved = resolve(bl.ModelSpec("chinchilla"), runs)
    found = sensitivity(resolved, runs)
    # The exponent moves nothing: N over its centre is 1 in every run.
    assert np.abs(found.jacobian[:, found.names.index("alpha")]).max() < 1e-8


def test_one_loss_and_one_of_every_input() -> None:
    table = pd.DataFrame({"model_size": 1e9, "data_size": 2e10, "loss": 2.5, "seed": range(4)})
    texts = unidentified(bl.read_runs(table, "chinchilla"))
    assert texts[0].startswith("loss is 2.5 in all 4 runs, so they show no effect of any input")
    assert [text.split(" has one value")[0] for text in texts[1:3]] == ["model_size", "data_size"]


def test_fixed_tokens_per_parameter() -> None:
    sizes = np.geomspace(5e7, 1e10, 20)
    messages = unidentified(chinchilla(sizes, 20 * sizes))
    assert any(
        "correlation 1.000 over the 20 runs" in text and "other ratios" in text for text in messages
    )


def test_fewer_runs_than_parameters() -> None:
    messages = unidentified(chinchilla(np.array([1e8, 1e9, 1e10]), np.array([1e10, 1e9, 1e11])))
    assert any(
        "chinchilla has 5 free parameters, more than the 3 runs" in text for text in messages
    )


def test_a_pinned_parameter_is_nothing_to_identify() -> None:
    runs = chinchilla(np.full(12, 1e9), np.geomspace(1e9, 1e12, 12))
    resolved = resolve(bl.ModelSpec("chinchilla", priors={"alpha": 0.348}), runs)
    assert sensitivity(resolved, runs).names == ("A", "B", "E", "beta")
    assert not any("alpha" in text for text in unidentified(runs, priors={"alpha": 0.348}))


# The command line
# ----------------------------------------------------------------------------------------------

#: file name, its content, further arguments, what the message must say
COMMANDS: list[tuple[str, str | bytes | None, list[str], list[str]]] = [
    ("absent.csv", None, [], ["there is no such file"]),
    ("runs.xlsx", HEAD + GOOD, [], ["'.xlsx'", ".parquet"]),
    ("runs.csv", bytes(range(256)) * 20, [], ["cannot be read as a table"]),
    ("runs.parquet", b"junk" * 50, [], ["cannot be read as a table"]),
    ("runs.csv", "", [], ["the file is empty"]),
    ("runs.csv", HEAD, [], ["there are no rows"]),
    (
        "runs.csv",
        "modelsize,data_size,loss\n1e9,2e10,3\n",
        [],
        ["column 'model_size'", "Did you mean 'modelsize'"],
    ),
    (
        "runs.csv",
        HEAD + GOOD,
        ["--column", "model_size=params"],
        ["column 'params'", "Set model_size="],
    ),
    (
        "runs.csv",
        HEAD + "7B,2e10,3\n",
        [],
        ["line 2, column 'model_size': '7B': it is not a number"],
    ),
    (
        "runs.csv",
        HEAD + GOOD + "1e9,2e10,inf\n",
        [],
        ["line 4, column 'loss': inf: it is not finite"],
    ),
    (
        "runs.csv",
        HEAD + GOOD + "1e9,,3\n",
        [],
        ["line 4, column 'data_size': the value is missing"],
    ),
    (
        "runs.csv",
        HEAD + GOOD + "0,2e10,-3\n",
        [],
        ["has 2 faults", "0: it must be above 0", "-3: it must be above 0"],
    ),
    ("runs.csv", "method," + HEAD + ",1e9,2e10,3\n", [], ["the group is missing"]),
    ("runs.csv", HEAD + GOOD, ["--where", "modelsize > 1"], ["Did you mean 'model_size'"]),
    ("runs.csv", HEAD + GOOD, ["--scale", "model_size=big"], ["'big' is not a number"]),
]


def test_broken_tables_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i, (name, content, arguments, says) in enumerate(COMMANDS):
        path = tmp_path / str(i) / name
        path.parent.mkdir()
        if content is not None:
            write(path.parent, content, name)
        code = run(["check", str(path), "--law", "chinchilla", *arguments])
        printed = capsys.readouterr()
        assert code == 2, (name, arguments, printed)
        assert printed.out == ""
        assert printed.err.count("Error:") == 1
        assert "Traceback" not in printed.err
        assert all(text in printed.err for text in says), printed.err


def test_a_good_table_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", str(write(tmp_path, HEAD + GOOD + GOOD)), "--law", "chinchilla"]) == 0
    printed = capsys.readouterr()
    assert "4 runs from" in printed.out
    assert "4 rows are duplicates" in printed.err


def test_check_does_not_wait_for_pymc(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "7B,2e10,3\n", "broken.csv")
    program = (
        "import json, sys; from bayeslaw.cli import run; code ="
        " run(sys.argv[1:]);print(json.dumps([code, sorted({'pymc', 'pytensor', 'nutpie', 'numba',"
        " 'jax'} & set(sys.modules))]))"
    )
    command = [sys.executable, "-c", program, "check", str(path), "--law", "chinchilla"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [2, []]
    assert "'7B': it is not a number" in done.stderr


def test_the_installed_command(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "7B,2e10,3\n", "broken.csv")
    command = Path(sys.executable).with_name("bayeslaw")
    done = subprocess.run(
        [command, "check", path, "--law", "chinchilla"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"Error: {path} has 1 fault:")


def test_a_column_that_names_each_row_makes_no_groups_by_default() -> None:
    frame = pd.DataFrame(
        {
            "model_size": [1e8, 2e8, 4e8, 8e8],
            "data_size": 1e10,
            "loss": [3.0, 2.8, 2.6, 2.5],
            "model": list("abcd"),
            "task": list("aabb"),
            "seed": [1, 2, 3, 4],
        }
    )
    runs = bl.read_runs(frame, "chinchilla")
    assert runs.groups == ("task", "seed")
    assert any(note.startswith("model has a value of its own") for note in runs.notes)
    with pytest.warns(RunsWarning, match="single run"):
        assert bl.read_runs(frame, "chinchilla", groups=["model"]).groups == ("model",)
