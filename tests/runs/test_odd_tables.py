"""Tables as programs write them: types, names and values that no scaling law expects. Each is read,
or refused with an error of the package's own.
"""

from __future__ import annotations

import contextlib
import datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayeslaw as bl
from bayeslaw.errors import BayeslawError, ExpressionError, Fault, RunsError, SpecError
from bayeslaw.runs.filters import select
from bayeslaw.runs.validation import numbers_of
from bayeslaw.spec.resolve import resolve

HUGE = 10**400


def table(**columns: Any) -> pd.DataFrame:
    """Four good runs, with columns replaced or added."""
    good = {
        "model_size": [1e9, 2e9, 4e9, 8e9],
        "data_size": [2e10, 2e10, 4e10, 8e10],
        "loss": [2.9, 2.7, 2.5, 2.4],
    }
    return pd.DataFrame({**good, **columns})


def faults(runs: Any, law: str = "chinchilla", **options: Any) -> tuple[Fault, ...]:
    with pytest.raises(RunsError) as caught:
        bl.read_runs(runs, law, **options)
    return caught.value.faults


# Names
# ----------------------------------------------------------------------------------------------


def test_columns_of_several_levels_are_refused() -> None:
    frame = table()
    frame.columns = pd.MultiIndex.from_tuples([("a", x) for x in frame.columns])
    (fault,) = faults(frame)
    assert "2 levels" in fault.problem
    assert "table.columns = " in fault.remedy


def test_names_that_are_no_text_become_text() -> None:
    frame = table().rename(columns={"model_size": 7, "loss": ("a", 1)}).assign(**{"0": "x"})
    columns = {"model_size": "7", "loss": "('a', 1)"}
    assert len(bl.read_runs(frame, "chinchilla", columns=columns)) == 4
    two = pd.DataFrame({1: [1.0], "1": [2.0]})
    assert [fault.column for fault in faults(two)] == ["1"]


def test_any_index_names_the_rows() -> None:
    index = pd.MultiIndex.from_tuples([("a", 1), ("a", 1), ("b", 2), ("c", 3)])
    (fault,) = faults(table(loss=[2.9, 2.7, -1.0, 2.4]).set_index(index))
    assert fault.row == "row ('b', 2)"


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_a_header_that_stands_twice_is_refused(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"runs.{ending}"
    twice = pd.concat([table(), table()[["loss", "model_size"]], table()[["loss"]]], axis=1)
    if ending == "parquet":
        pytest.importorskip("pyarrow")
        import pyarrow as pa
        import pyarrow.parquet as pq

        arrays = [pa.array(twice.iloc[:, i]) for i in range(twice.shape[1])]
        pq.write_table(pa.Table.from_arrays(arrays, names=list(twice.columns)), path)
    else:
        twice.to_csv(path, index=False, sep="\t" if ending == "tsv" else ",")
    found = {fault.column: fault.problem for fault in faults(path)}
    assert found == {
        "model_size": "two columns have this name",
        "loss": "3 columns have this name",
    }


def test_a_column_may_be_called_as_pandas_would_rename_a_second_one(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    table(**{"loss.1": 1.0, "": 2.0}).to_csv(path, index=False)
    assert "loss.1" in bl.read_runs(path, "chinchilla").table


def test_a_column_of_the_index_name_may_group() -> None:
    frame = table(row=["a", "a", "b", "b"], task=["x", "y", "x", "y"])
    runs = bl.read_runs(frame, "chinchilla", groups=["row", "task"])
    with pytest.raises(SpecError, match="named 'row'"):
        resolve(bl.ModelSpec("chinchilla"), runs)


@pytest.mark.parametrize("name", ["x" * 300 + ".csv", "a\0b.csv", "x" * 5000, "a/" * 3000])
def test_a_path_that_no_file_can_have(name: str) -> None:
    faults(Path(name))
    with pytest.raises(BayeslawError):
        bl.load(name)


# Arguments
# ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"groups": ["loss"]}, "groups names loss, which is what is predicted"),
        ({"groups": ["loss_se"]}, "groups names loss_se, which is how well it is known"),
        ({"groups": ["task", "task"]}, "groups names task twice"),
        ({"groups": "task"}, r"must be a list of columns: \['task'\]"),
        ({"groups": 5}, "groups is 5"),
        ({"columns": ["model_size"]}, "columns is .*dictionary"),
        ({"scale": 1e9}, r"scale is 1e\+09.*dictionary"),
        ({"scale": {"task": 2.0}}, "task, which has no number to multiply, but values such as 'a'"),
        ({"scale": {"kind": 2.0}}, "kind, which has no number"),
        ({"scale": {"loss": "2"}}, "loss = '2': it must be a positive number"),
        ({"scale": {"loss": True}}, "positive number"),
        ({"scale": {"loss": HUGE}}, "an integer of some 400 digits: it must be a positive"),
        ({"scale": {"loss": 1j}}, "positive number"),
        ({"scale": {"loss": None}}, "positive number"),
        ({"where": 5}, "where is 5"),
        ({"melt_into": 5}, "melt_into is 5"),
        ({"melt_into": ["loss"]}, "melt_into is"),
    ],
)
def test_arguments_that_cannot_be_meant(options: dict[str, Any], says: str) -> None:
    kinds = pd.Categorical(["u", "v", "u", "v"])
    frame = table(task=["a", "a", "b", "b"], loss_se=0.1, kind=kinds)
    with pytest.raises(SpecError, match=says):
        bl.read_runs(frame, "chinchilla", **options)


@pytest.mark.parametrize("given", [None, 5, [1, 2], {"loss": [1.0]}])
def test_what_is_no_table(given: Any) -> None:
    with pytest.raises(SpecError, match="must be a DataFrame or the path"):
        bl.read_runs(given, "chinchilla")


def test_columns_of_numbers_of_any_type_are_scaled() -> None:
    sizes = pd.Categorical([1, 2, 4, 8])
    for column in (sizes, ["1", "2", "4", "8"], pd.array([1, 2, 4, 8], dtype="Int64")):
        runs = bl.read_runs(table(model_size=column), "chinchilla", scale={"model_size": 1e9})
        assert runs.inputs["model_size"].tolist() == [1e9, 2e9, 4e9, 8e9]


# Values
# ----------------------------------------------------------------------------------------------

NUMBERS: dict[str, tuple[Any, list[float]]] = {
    "decimals": ([Decimal("1.5"), Decimal("NaN"), Decimal("sNaN"), None], [1.5, *[np.nan] * 3]),
    "fractions": ([Fraction(3, 2), 2, "3", b"4"], [1.5, 2, 3, np.nan]),
    "huge": ([HUGE, -HUGE, 1, "1e400"], [np.inf, -np.inf, 1, np.inf]),
    "complex": ([1j, 1 + 0j, 2, 3.0], [np.nan] * 4),
    "mixed complex": (np.array([1j, 1.0, "x", None], object), [np.nan, 1, np.nan, np.nan]),
    "categories": (pd.Categorical(["1", "2", None, "x"]), [1, 2, np.nan, np.nan]),
    "nullable": (pd.array([1, None, 3, 4], dtype="Int64"), [1, np.nan, 3, 4]),
    "truth": ([True, False, True, True], [np.nan] * 4),
    "nullable truth": (pd.array([True, None, True, True], dtype="boolean"), [np.nan] * 4),
    "dates": (pd.date_range("2024", periods=4), [np.nan] * 4),
    "periods": (pd.period_range("2024", periods=4, freq="D"), [np.nan] * 4),
    "differences": (pd.timedelta_range("1D", periods=4), [np.nan] * 4),
    "intervals": (pd.interval_range(0, 4), [np.nan] * 4),
    "sparse": (pd.arrays.SparseArray([0.0, 0, 1, np.nan]), [0, 0, 1, np.nan]),
    "lists": ([[1], {2: 3}, (4,), np.array([5])], [np.nan] * 4),
    "days": ([datetime.date(2024, 1, 1)] * 4, [np.nan] * 4),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_the_numbers_of_columns_of_any_type(kind: str) -> None:
    values, expected = NUMBERS[kind]
    np.testing.assert_array_equal(numbers_of(pd.Series(values)), expected)


ARROW = ("int64", "double", "string", "bool", "timestamp[ns]", "decimal128(5, 2)", "large_string")


@pytest.mark.filterwarnings("ignore::bayeslaw.errors.RunsWarning")
@pytest.mark.parametrize("kind", ARROW)
def test_columns_of_arrow(kind: str) -> None:
    pa = pytest.importorskip("pyarrow")
    types = {"decimal128(5, 2)": pa.decimal128(5, 2), "timestamp[ns]": pa.timestamp("ns")}
    values: list[Any] = [1, 2, None, 4]
    if "string" in kind:
        values = ["1", "2", None, "x"]
    if kind == "bool":
        values = [True, False, None, True]
    if kind.startswith("decimal"):
        values = [Decimal(1), Decimal(2), None, Decimal(4)]
    arrow = (
        types[kind]
        if kind in types
        else getattr(pa, {"double": "float64", "bool": "bool_"}.get(kind, kind))()
    )
    column = pd.Series(pd.array(values, dtype=pd.ArrowDtype(arrow)))
    expected = [1, 2, np.nan, np.nan if "string" in kind else 4]
    if kind in ("bool", "timestamp[ns]"):
        expected = [np.nan] * 4
    np.testing.assert_array_equal(numbers_of(column), expected)
    runs = (
        bl.read_runs(table(model_size=column), "chinchilla", where="model_size < 3")
        if (kind in ("int64", "double", "decimal128(5, 2)"))
        else None
    )
    assert runs is None or runs.inputs["model_size"].tolist() == [1, 2]


@pytest.mark.filterwarnings("ignore::bayeslaw.errors.RunsWarning")
@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("column", ["loss", "model_size", "task", "note"])
def test_any_value_in_any_column_is_read_or_refused(kind: str, column: str) -> None:
    """Used as an input, as the response, as a group, and not at all."""
    frame = table(**{column: pd.Series(NUMBERS[kind][0])})
    try:
        runs = bl.read_runs(frame, "chinchilla", where="model_size > 0 or model_size <= 0")
        resolve(bl.ModelSpec("chinchilla"), runs)
        str(runs)
    except BayeslawError as error:
        assert column != "note", error


def test_a_huge_number_is_not_finite() -> None:
    (fault,) = faults(table(model_size=[1e9, HUGE, 4e9, 8e9]))
    assert fault.problem == "an integer of some 400 digits: it is not finite"


# One fault a column
# ----------------------------------------------------------------------------------------------


def test_what_all_values_of_a_column_have_is_one_fault() -> None:
    n = 1200
    frame = pd.DataFrame(
        {"model_size": 1e9, "data_size": np.geomspace(1e9, 1e12, n), "loss": -np.arange(1.0, n + 1)}
    )
    (fault,) = faults(frame)
    assert fault.problem == (
        "all 1,200 values must be above 0, such as -1 (row 0), -2 (row 1), -3 (row 2)"
    )
    assert (fault.column, fault.row) == ("loss", "")
    assert "difference" in fault.remedy
    assert "nats per token" in fault.remedy
    frame.loc[0, "loss"] = 1.0
    assert len(faults(frame)) == n - 1
    text, gaps = faults(frame.assign(loss="2,5", data_size=None))[::-1]
    assert text.problem.startswith("all 1,200 values are not numbers, such as '2,5' (row 0)")
    assert gaps.problem == "all 1,200 values are missing, such as row 0, row 1, row 2"


def test_a_covariate_of_text_is_one_fault() -> None:
    runs = bl.read_runs(table(depth=["a", "b", "c", "d"]), "chinchilla")
    with pytest.raises(RunsError) as caught:
        resolve(bl.ModelSpec("chinchilla", effects={"alpha": "1 + depth"}), runs)
    (fault,) = caught.value.faults
    assert "all 4 values cannot serve as depth in the formula of alpha" in fault.problem
    assert caught.value.key == ("effects", "alpha")


@pytest.mark.parametrize("gap", [None, "", np.nan, pd.NA])
def test_a_gap_in_a_column_that_groups_is_a_fault_of_the_table(gap: Any) -> None:
    """Also in a column that only a formula, or the spec, takes as groups."""
    runs = bl.read_runs(table(kind=["a", gap, "b", "b"]), "chinchilla")
    kind = {"kind": "curve", "shared": ["kind"]}
    for options in (
        {"effects": {"E": "1 + (1 | kind)"}},
        {"effects": {"E": "0 + kind"}},
        {"curve_by": ["kind"], "discrepancy": "curve"},
        {"curve_by": ["model_size"], "discrepancy": kind},
    ):
        with pytest.raises(RunsError) as caught:
            resolve(bl.ModelSpec("chinchilla", **options), runs)
        (fault,) = caught.value.faults
        assert (fault.row, fault.column) == ("row 1", "kind")


# Messages
# ----------------------------------------------------------------------------------------------


def test_messages_are_bounded() -> None:
    long = "x" * 100_000
    many = pd.DataFrame(1.0, index=range(4), columns=[f"column_{i}" for i in range(2_000)])
    wide = pd.concat([table(), many], axis=1)
    frames: list[tuple[pd.DataFrame, dict[str, Any]]] = [
        (wide.drop(columns="loss"), {}),
        (wide, {"columns": {f"a{i}": f"b{i}" for i in range(2_000)}}),
        (wide, {"where": "missing > 1"}),
        (wide, {"groups": [f"group_{i}" for i in range(2_000)]}),
        (table(loss=[long, 1, 1, 1]), {}),
        (table(loss=[long, 1, 1, 1]), {"scale": {long: 1.0}}),
        (table(**{long: 1.0}).drop(columns="loss"), {}),
        (table().set_index([[long] * 4]).assign(loss=-1.0), {}),
        (table(loss=[[0] * 100_000, 1, 1, 1]), {}),
    ]
    for frame, options in frames:
        with pytest.raises(BayeslawError) as caught:
            bl.read_runs(frame, "chinchilla", **options)
        assert len(str(caught.value)) < 20_100


# Filters
# ----------------------------------------------------------------------------------------------

LONG = 2**53


@pytest.mark.parametrize(
    "dtype", ["int64", "Int64", "object", pytest.param("int64[pyarrow]", id="arrow")]
)
@pytest.mark.parametrize(
    ("expression", "kept"),
    [
        (f"x == {LONG + 1}", [LONG + 1]),
        (f"x > {LONG}", [LONG + 1]),
        (f"x > {LONG}.0", [LONG + 1]),
        (f"x in [{LONG + 1}, 3]", [3, LONG + 1]),
        (f"x not in [{LONG + 1}]", [3, LONG]),
        (f"x < {HUGE}", [3, LONG, LONG + 1]),
        (f"{LONG} <= x < {LONG + 1}", [LONG]),
        ("x == y", [LONG]),
    ],
)
def test_long_integers_are_compared_exactly(dtype: str, expression: str, kept: list[int]) -> None:
    values: list[int | None] = [3, LONG, LONG + 1]
    if dtype != "int64":
        values.append(None)
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"x": pd.Series(values, dtype=dtype), "y": float(LONG)})
    assert frame["x"][select(frame, expression)].tolist() == kept


def test_floats_are_compared_with_huge_integers() -> None:
    frame = pd.DataFrame({"x": [1.0, 1e300, np.inf, np.nan]})
    assert select(frame, f"x < {HUGE}").tolist() == [True, True, False, False]


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("comparison", ["> 2", "== 'x'", "in [1, 'x']", "< y", f"<= {HUGE}"])
def test_any_column_is_compared_or_refused(kind: str, comparison: str) -> None:
    frame = pd.DataFrame({"x": pd.Series(NUMBERS[kind][0]), "y": [1.0, 2.0, 3.0, np.nan]})
    with contextlib.suppress(ExpressionError):
        assert len(select(frame, f"x {comparison}")) == 4


# Labels
# ----------------------------------------------------------------------------------------------

TEXTS = ("a\0b", "a", "\x1b[31m", "b\x07", "c\n", " a", "tab\t", "\u202e", "é", "")


def test_labels_of_a_file_are_those_of_the_table(tmp_path: Path) -> None:
    labels = [x for x in TEXTS if x and "\0" not in x]
    frame = pd.DataFrame(
        {
            "data_size": np.geomspace(1e6, 1e9, 9),
            "loss": np.linspace(3, 2, 9),
            "task": [*labels, "z"],
        }
    )
    frame.to_csv(tmp_path / "runs.csv", index=False)
    frame.to_parquet(tmp_path / "runs.parquet")
    for given in (frame, tmp_path / "runs.csv", tmp_path / "runs.parquet"):
        runs = bl.read_runs(given, "power", groups=[])
        assert runs.table["task"].tolist() == frame["task"].tolist()


@pytest.mark.filterwarnings("ignore::bayeslaw.errors.RunsWarning")
def test_halves_of_surrogate_pairs_are_written_out() -> None:
    labels = pd.Series(["a\ud800", "a\ud801", "a\ud800", "b"], dtype=object)
    frame = table(task=labels, n=1)
    frame.columns = pd.Index([*frame.columns[:-1], "n\ud800"], dtype=object)
    runs = bl.read_runs(frame, "chinchilla", groups=["task"])
    assert runs.table["task"].tolist() == ["a\\ud800", "a\\ud801", "a\\ud800", "b"]
    assert "n\\ud800" in runs.table


# What only odd values show
# ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1e308, 5e-324, -1e200])
def test_a_number_that_cannot_be_calculated_with(value: float) -> None:
    frame = pd.DataFrame({"kl": [1.0, 2.0, 3.0], "gold_score": [0.1, value, 0.3]})
    (fault,) = faults(frame, "overoptimization_rl")
    assert "too large or too small to calculate with" in fault.problem


def test_scores_that_are_all_zero() -> None:
    frame = pd.DataFrame({"kl": [1.0, 2.0, 3.0], "gold_score": 0})
    (fault,) = faults(frame, "overoptimization_rl")
    assert (fault.problem, fault.column) == ("all 3 values are 0", "gold_score")


def test_a_switch_of_any_type_is_read_or_refused() -> None:
    frame = pd.DataFrame({"kl": [1.0, 2.0], "gold_score": [0.1, 0.2], "method": [1, 2]})
    for kind in ("int64", "category", "Int64", "object"):
        assert len(faults(frame.astype({"method": kind}), "overoptimization")) == 2
    cells = pd.Series([pd.Series([1, 2]), "rl"])
    assert len(faults(frame.assign(method=cells), "overoptimization")) == 1


def test_a_signalling_gap_beside_text_that_no_file_holds() -> None:
    note = pd.Series([Decimal("sNaN"), "\ud800", "a", None], dtype=object)
    runs = bl.read_runs(table(note=note), "chinchilla")
    assert runs.table["note"].isna().tolist() == [True, False, False, True]
