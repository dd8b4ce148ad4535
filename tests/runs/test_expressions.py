"""Filters: what they select, held against pandas' own boolean indexing; what they refuse, without
running any of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from bayeslaw.errors import ExpressionError
from bayeslaw.runs.filters import names, select


@pytest.fixture
def table() -> pd.DataFrame:
    """Index labels are no positions, so that a mask by position would show."""
    return pd.DataFrame(
        {
            "model_size": [1e9, 2e9, 4e9, 8e9, 8e9, 16e9],
            "limit": [2e9, 2e9, 2e9, 9e9, 9e9, 9e9],
            "shift": [-3, -2, -1, 0, 1, 2],
            "method": ["lora", "prompt", "full", "lora", "full", "prompt"],
        },
        index=[f"line {i}" for i in (2, 3, 5, 8, 9, 11)],
    )


@pytest.fixture
def gaps() -> pd.DataFrame:
    return pd.DataFrame(
        {"x": [1.0, np.nan, 3.0], "y": [1.0, np.nan, np.nan], "method": ["lora", None, "full"]},
        index=["a", "b", "c"],
    )


EXPRESSIONS: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "model_size >= 8e9": lambda t: t.model_size >= 8e9,
    "model_size < 8000000000": lambda t: t.model_size < 8e9,
    "model_size <= 2e9": lambda t: t.model_size <= 2e9,
    "model_size > limit": lambda t: t.model_size > t.limit,
    "model_size != 8e9": lambda t: t.model_size != 8e9,
    "4e9 > model_size": lambda t: t.model_size < 4e9,
    "method == 'lora'": lambda t: t.method == "lora",
    'method != "lora"': lambda t: t.method != "lora",
    "1e9 < model_size <= 8e9": lambda t: (t.model_size > 1e9) & (t.model_size <= 8e9),
    "1e9 < model_size < limit <= 9e9": (
        lambda t: (t.model_size > 1e9) & (t.model_size < t.limit) & (t.limit <= 9e9)
    ),
    "method in ['lora', 'full']": lambda t: t.method.isin(["lora", "full"]),
    "method not in ('lora', 'full')": lambda t: ~t.method.isin(["lora", "full"]),
    "model_size in [1e9, 16e9]": lambda t: t.model_size.isin([1e9, 16e9]),
    "shift >= -1": lambda t: t["shift"] >= -1,
    "shift in [-3, 2]": lambda t: t["shift"].isin([-3, 2]),
    "model_size > 2e9 and method == 'lora'": lambda t: (t.model_size > 2e9) & (t.method == "lora"),
    "model_size < 2e9 or method == 'full'": lambda t: (t.model_size < 2e9) | (t.method == "full"),
    "not method == 'lora'": lambda t: ~(t.method == "lora"),
    "not not shift > 0": lambda t: t["shift"] > 0,
    "not (model_size > 2e9 and method == 'lora')": lambda t: (
        ~((t.model_size > 2e9) & (t.method == "lora"))
    ),
    # `and` binds tighter than `or`, `not` tighter than both.
    "shift > 1 or shift < 0 and method == 'full'": (
        lambda t: (t["shift"] > 1) | ((t["shift"] < 0) & (t.method == "full"))
    ),
    "(shift > 1 or shift < 0) and method == 'full'": (
        lambda t: ((t["shift"] > 1) | (t["shift"] < 0)) & (t.method == "full")
    ),
    "not shift > 1 and shift > -1": lambda t: ~(t["shift"] > 1) & (t["shift"] > -1),
    "shift > -3 and shift < 2 and method != 'full'": (
        lambda t: t["shift"].between(-2, 1) & (t.method != "full")
    ),
    "  shift > 0  ": lambda t: t["shift"] > 0,
    "model_size > 1e12": lambda t: t.model_size > 1e12,
    "1 < 2": lambda t: pd.Series(True, index=t.index),
}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_it_selects_what_pandas_selects(table: pd.DataFrame, expression: str) -> None:
    before = table.copy(deep=True)
    chosen = select(table, expression)
    assert chosen.dtype == bool
    assert chosen.index.equals(table.index)
    pd.testing.assert_frame_equal(table[chosen], table[EXPRESSIONS[expression](table)])
    pd.testing.assert_frame_equal(table, before)


NULLABLE = {
    "a > 1": [False, False, True],
    "not a > 1": [True, True, False],
    "a in [1]": [True, False, False],
    "b <= 3": [True, False, True],
    "s == 'x'": [True, False, False],
    "s < 'y'": [True, False, False],
    "o == 1": [True, False, False],
    "1 < a in [3]": [False, False, True],
    "1 < c < 3 < 4": [False, True, False],
    "c == 1 == 1": [True, False, False],
    "c < 1" + "0" * 30: [True, True, True],
    "1 < 2 and c > 1": [False, True, True],
}


@pytest.mark.parametrize("expression", NULLABLE)
def test_columns_with_gaps_of_any_type_are_compared(expression: str) -> None:
    """Pandas' nullable types, whose NA is neither true nor false."""
    table = pd.DataFrame(
        {
            "a": pd.array([1, None, 3], dtype="Int64"),
            "b": pd.array([1.5, None, 3], dtype="Float64"),
            "c": [1, 2, 3],
            "s": pd.array(["x", None, "y"], dtype="string"),
            "o": pd.array([True, None, False], dtype="boolean"),
        }
    )
    assert select(table, expression).tolist() == NULLABLE[expression]


def test_a_number_that_no_float_holds_is_compared_exactly() -> None:
    table = pd.DataFrame({"a": pd.array([1, None, 3], dtype="Int64"), "c": [1.0, 2.0, 3.0]})
    huge = "1" + "0" * 400
    assert select(table, f"a < {huge}").tolist() == [True, False, True]
    assert select(table, f"c < {huge}").all()
    with pytest.raises(ExpressionError):
        select(table, f"{huge} in [c]")


def test_the_expressions_tell_rows_apart(table: pd.DataFrame) -> None:
    """Guards the test above: nearly every expression keeps some rows and drops others."""
    kept = {text: int(select(table, text).sum()) for text in EXPRESSIONS}
    assert {text for text, count in kept.items() if count in (0, len(table))} == {
        "model_size > 1e12",
        "1 < 2",
    }


def test_an_empty_table_gives_an_empty_mask(table: pd.DataFrame) -> None:
    assert select(table.iloc[:0], "model_size > 1e9").tolist() == []


def test_names_are_the_columns_it_speaks_of() -> None:
    assert names("a < b <= 3 and not c in ['d', 'e']") == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("expression", "kept"),
    [
        ("x > 0", "ac"),
        ("x < 2", "a"),
        ("x <= 3", "ac"),
        ("x == x", "ac"),
        ("x == y", "a"),
        ("method == 'lora'", "a"),
        ("method in ['lora', 'full']", "ac"),
        ("method < 'm'", "ac"),
        ("not x > 0", "b"),  # the comparison does not hold, so its negation does
        ("x != 1", "c"),
        ("x != y", ""),
        ("method != 'lora'", "c"),
        ("method not in ['lora']", "c"),
    ],
)
def test_a_comparison_with_a_missing_value_does_not_hold(
    gaps: pd.DataFrame, expression: str, kept: str
) -> None:
    chosen = select(gaps, expression)
    assert "".join(chosen.index[chosen]) == kept


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        (
            "model_sise >= 8e9",
            (
                r"no column 'model_sise'\. Did you mean 'model_size'.* Columns: model_size, limit,"
                r" shift, method"
            ),
        ),
        ("method == lora", r"no column 'lora'.* Text needs quotes"),
        ("method == 'lora' and methd == 'full'", r"Did you mean 'method'"),
        ("method > 3", "compares text with a number"),
        ("model_size >= '8e9'", "compares text with a number"),
        ("model_size", r"'model_size' is not a comparison"),
        ("1", "is not a comparison"),
        ("model_size >= 8e9 and method", "'method' is not a comparison"),
        ("model_size is 8e9", r"use <, <=, >, >=, ==, !=, in, not in"),
        ("model_size == None", "'None' is not a column"),
        ("model_size = 8e9", "cannot be read"),
        ("model_size >= ", "cannot be read"),
        ("model_size => 8e9", "cannot be read"),
        ("model_size >= 8B", "cannot be read"),
        ("", "cannot be read"),
        ("model_size * 2 > 8e9", r"'model_size \* 2' is not a column"),
        ("model_size > 2 ** 30", r"'2 \*\* 30' is not a column"),
        ("model_size.size > 3", r"'model_size\.size' is not a column"),
        ("model_size[0] > 3", "is not a column"),
        ("model_size.max() > 3", "is not a column"),
        ("(x := 3) > 2", "is not a column"),
        ("[s for s in model_size] == 3", "is not a column"),
        ("lambda: 1", "is not a comparison"),
        ("method == f'{model_size}'", "is not a column"),
    ],
)
def test_what_it_refuses_and_why(table: pd.DataFrame, expression: str, says: str) -> None:
    with pytest.raises(ExpressionError, match=says) as caught:
        select(table, expression)
    assert repr(expression) in str(caught.value)


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "__import__('os').system('true') == 0",
        "model_size > 0 or __import__('os').system('true')",
        "model_size in [__import__('os').system('true')]",
        "not __import__('os').system('true')",
        'eval(\'__import__("os").system("true")\') == 0',
        "().__class__.__base__.__subclasses__() == 1",
    ],
)
def test_calls_are_refused_without_being_run(
    table: pd.DataFrame, expression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(os, "system", lambda command: ran.append(command) or 0)
    with pytest.raises(ExpressionError, match=r"is not a (column|comparison)"):
        select(table, expression)
    assert ran == []


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param("method == -'lora'", id="minus text"),
        pytest.param("method > -method", id="minus a column of text"),
        pytest.param("model_size == [1, 2]", id="equal to a list of another length"),
        pytest.param("not " * 3000 + "model_size > 1", id="nested too deep"),
    ],
)
def test_every_unreadable_expression_is_an_expression_error(
    table: pd.DataFrame, expression: str
) -> None:
    with pytest.raises(ExpressionError):
        select(table, expression)
