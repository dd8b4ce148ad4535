"""Formulas and filters mean what an independent reading says, or are refused."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from attack.strategies import attack, lanes, outcome
from hypothesis import strategies as st

from bayeslaw.errors import BayeslawError, ExpressionError, FormulaError
from bayeslaw.runs.filters import select
from bayeslaw.spec.formula import TRANSFORMS, Formula

NAMES = ("a", "b", "task", "method", "x1", "log_size", "データ")


@dataclass
class Written:
    """The text of a formula and the terms that it means: covariates, groups, and ``0 + column``."""

    text: str
    covariates: set[str] = field(default_factory=set)
    groups: set[tuple[str, frozenset[str]]] = field(default_factory=set)
    by: str | None = None


def spaces(draw: st.DrawFn) -> str:
    return draw(st.sampled_from(["", " ", " ", "  "]))


def covariate(draw: st.DrawFn) -> str:
    """A column, or transforms of one."""
    text = draw(st.sampled_from(NAMES))
    for name in draw(st.lists(st.sampled_from(["log", "log10", "log2", "sqrt"]), max_size=2)):
        text = f"{name}({text})"
    return f"center({text})" if draw(st.integers(0, 5)) == 0 else text


def factor(draw: st.DrawFn) -> tuple[str, list[frozenset[str]]]:
    """The text of what makes groups, and the sets of columns that make them."""
    columns = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    sign = draw(st.sampled_from([":", ":", "/", "*"])) if len(columns) == 2 else ":"
    text = f"{spaces(draw)}{sign}{spaces(draw)}".join(columns)
    together = frozenset(columns)
    match sign:
        case "/":
            return text, [frozenset(columns[:1]), together]
        case "*":
            return text, [*(frozenset({x}) for x in columns), together]
    return text, [together]


@st.composite
def written(draw: st.DrawFn) -> Written:
    """A formula, generated from its terms."""
    parts: list[str] = []
    meant = Written("")
    for _ in range(draw(st.integers(0, 3))):
        if draw(st.booleans()):
            text = covariate(draw)
            meant.covariates.add(text)
            parts.append(text)
            continue
        of_groups, factors = factor(draw)
        kind = draw(st.sampled_from(["1", "0 + x", "x", "1 + x"]))
        inside = "1"
        if kind != "1":
            slope = covariate(draw)
            inside = kind.replace("x", slope)
            meant.groups |= {(slope, columns) for columns in factors}
        if kind != "0 + x":
            meant.groups |= {("1", columns) for columns in factors}
        parts.append(f"({spaces(draw)}{inside}{spaces(draw)}|{spaces(draw)}{of_groups})")
    parts = draw(st.permutations(parts))
    first = "1"
    if not meant.covariates and draw(st.integers(0, 4)) == 0:
        meant.by = draw(st.sampled_from(NAMES))
        first = f"0 + {meant.by}"
    plus = f"{spaces(draw)}+{spaces(draw)}"
    meant.text = plus.join([first, *parts])
    return meant


def formula_means(meant: Written) -> None:
    read = outcome(lambda: Formula.parse(meant.text))
    if isinstance(read, BayeslawError):
        # A formula may ask for more than is offered, but not if it is of plain terms.
        odd = re.search(r"[*/]|center|データ", meant.text)
        repeated = len(re.findall(r"\|", meant.text)) > 1 or len(meant.covariates) > 1
        assert odd or repeated or meant.by, f"{meant.text!r} was refused: {read}"
        return
    assert {str(x) for x in read.covariates} == meant.covariates, meant.text
    groups = {(str(x.covariate or 1), frozenset(x.factor)) for x in read.groups}
    assert groups == meant.groups, meant.text
    assert read.by == meant.by, meant.text
    assert Formula.parse(str(read)) == read


@lanes
def test_a_formula_means_its_terms(tries: int) -> None:
    attack(tries, written(), formula_means)


TOKENS = (
    *("1", "0", "2", "1.5", "a", "b", "task", "log10", "center", "bs", "C", "in", "True", "None"),
    *(
        "+",
        "+",
        "-",
        "|",
        "||",
        "(",
        ")",
        "(1 | task)",
        "(1 | ",
        ":",
        "*",
        "/",
        ",",
        "~",
        "^",
        "**",
    ),
    *("`a`", "[", "]", "[y]", "'a'", "%", "=", "==", "<", ".", ";", "\n", "\t", "\0", "#", "\\"),
    *("é", "データ", "1e5", "{", "}", "@", "!", "?", "lambda", "__import__('os')", "...", "\u2028"),
)
tokens = st.lists(st.sampled_from(TOKENS), min_size=1, max_size=9)
jumbled = st.builds(lambda parts, between: between.join(parts), tokens, st.sampled_from(["", " "]))


def formula_is_consumed(text: str) -> None:
    read = outcome(lambda: Formula.parse(text))
    if isinstance(read, BayeslawError):
        assert isinstance(read, FormulaError)
        return
    # What is subtracted may be gone; anything else is in the terms.
    if not re.search(r"-", text):
        named = set(re.findall(r"[^\W\d][\w.]*", text))
        assert named == named & {*read.columns, *TRANSFORMS}, f"{text!r} was read as {read}"
        bars = text.count("|")
        assert bars <= 3 * len(read.groups) and len(read.groups) <= 6 * bars, text
    odd = set(text) - set("()+-|:*/, \t\r\n._") - {x for x in text if x.isalnum()}
    assert not odd, f"{text!r} was read as {read}"
    assert not set(re.findall(r"(?<![\w.])[\d.]+(?![\w.])", text)) - {"0", "1"}, f"{text!r}: {read}"
    assert Formula.parse(str(read)) == read


@lanes
def test_any_text_is_read_whole_as_a_formula_or_refused(tries: int) -> None:
    attack(tries, jumbled | st.text(max_size=20), formula_is_consumed, share=3)


def test_deep_and_long_formulas_are_refused() -> None:
    for text in ("(" * 10_000, "1" + " + (1 | a)" * 10_000, "log(" * 100 + "a" + ")" * 100):
        outcome(lambda text=text: Formula.parse(text))


#: A table with columns of every type that a comparison meets, and what each cell is; None is a gap.
CELLS: dict[str, list[Any]] = {
    "size": [1.0, 2.0, math.nan, 8e9, -3.0],
    "count": [1, 2, None, 2**60, -3],
    "whole": [1, 2, 3, 4, 5],
    "method": ["lora", "full", None, "", "1"],
    "label": ["a'b", 'a"b', "\\", None, "\n"],
    "kept": [True, False, None, True, False],
}
TABLE = pd.DataFrame(
    {
        "size": CELLS["size"],
        "count": pd.array(CELLS["count"], dtype="Int64"),
        "whole": CELLS["whole"],
        "method": CELLS["method"],
        "label": pd.array(CELLS["label"], dtype="string"),
        "kept": pd.array(CELLS["kept"], dtype="boolean"),
    },
    index=[f"line {i}" for i in (2, 3, 5, 7, 8)],
)
ROWS = range(len(TABLE))
CONSTANTS: tuple[Any, ...] = (0, 1, 2, -3, 2.0, 8e9, 1e-300, 2**60, 2**70, 10**30)
WORDS = ("lora", "full", "", "1", "a'b", 'a"b', "\\", "\n", "nan", "漢")
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}


class MixedError(Exception):
    """Text was compared with a number."""


@dataclass
class Condition:
    """The text of a condition, and whether it holds for a row."""

    text: str
    holds: Callable[[int], bool]


@dataclass
class Side:
    """The text of one side of a comparison, and its value in a row; None is a gap."""

    text: str
    value: Callable[[int], Any]


@st.composite
def sides(draw: st.DrawFn) -> Side:
    match draw(st.integers(0, 2)):
        case 0:
            name = draw(st.sampled_from(sorted(CELLS)))
            gap = (None,)
            return Side(name, lambda i: None if is_gap(CELLS[name][i], gap) else CELLS[name][i])
        case 1:
            constant = draw(st.sampled_from(CONSTANTS))
        case _:
            constant = draw(st.sampled_from(WORDS))
    return Side(repr(constant), lambda i: constant)


def is_gap(cell: Any, gap: tuple[Any, ...]) -> bool:
    return cell in gap or (isinstance(cell, float) and math.isnan(cell))


def compared(sign: str, a: Any, b: Any) -> bool:
    """A comparison of two cells; with a gap it does not hold."""
    if isinstance(a, str) != isinstance(b, str) and None not in (a, b):
        if sign in ("==", "!="):
            return sign == "!="
        raise MixedError
    return None not in (a, b) and COMPARE[sign](a, b)


@st.composite
def comparisons(draw: st.DrawFn) -> Condition:
    if draw(st.integers(0, 3)) == 0:
        name = draw(st.sampled_from(sorted(CELLS)))
        listed = draw(st.lists(st.sampled_from((*CONSTANTS, *WORDS)), max_size=3))
        sign = draw(st.sampled_from(["in", "not in"]))
        shown = draw(st.sampled_from([str(listed), str(tuple(listed))]))

        def contained(i: int) -> bool:
            cell = CELLS[name][i]
            return not is_gap(cell, (None,)) and (cell in listed) == (sign == "in")

        return Condition(f"{name} {sign} {shown}", contained)
    chain = draw(st.lists(sides(), min_size=2, max_size=4))
    signs = [draw(st.sampled_from(sorted(COMPARE))) for _ in chain[1:]]
    text = " ".join(
        [chain[0].text, *(f"{s} {x.text}" for s, x in zip(signs, chain[1:], strict=True))]
    )

    def holds(i: int) -> bool:
        cells = [side.value(i) for side in chain]
        pairs = zip(signs, pairwise(cells), strict=True)
        held = [compared(sign, *pair) for sign, pair in pairs]
        return all(held)

    return Condition(text, holds)


def joined(parts: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    def negated(part: Condition) -> Condition:
        return Condition(f"not ({part.text})", lambda i: not part.holds(i))

    def both(a: Condition, b: Condition) -> Condition:
        return Condition(f"({a.text}) and ({b.text})", lambda i: a.holds(i) & b.holds(i))

    def either(a: Condition, b: Condition) -> Condition:
        return Condition(f"{a.text} or ({b.text})", lambda i: a.holds(i) | b.holds(i))

    return parts.map(negated) | st.builds(both, parts, parts) | st.builds(either, parts, parts)


conditions = st.recursive(comparisons(), joined, max_leaves=4)


def filter_means(condition: Condition) -> None:
    chosen = outcome(lambda: select(TABLE, condition.text))
    if isinstance(chosen, BayeslawError):
        assert isinstance(chosen, ExpressionError)
        try:
            [condition.holds(i) for i in ROWS]
        except MixedError:
            return
        # A column of text is compared with a number, though a gap stands in every such row.
        assert re.search(r"method|label|'|\"", condition.text), f"{condition.text!r}: {chosen}"
        return
    assert chosen.index.equals(TABLE.index)
    try:
        expected = [condition.holds(i) for i in ROWS]
    except MixedError:
        raise AssertionError(f"{condition.text!r} compares text with a number") from None
    assert chosen.tolist() == expected, condition.text


@lanes
def test_a_filter_selects_what_its_comparisons_say(tries: int) -> None:
    attack(tries, conditions, filter_means)


FILTER_TOKENS = (
    *sorted(CELLS),
    *("1", "-1", "1e400", "1" + "0" * 400, "'lora'", "lora", "nan", "None", "True", "1j", "b'a'"),
    *(
        "<",
        "<=",
        ">",
        "==",
        "!=",
        "in",
        "not in",
        "is",
        "and",
        "or",
        "not",
        "(",
        ")",
        "[",
        "]",
        ",",
    ),
    *(
        "+",
        "-",
        "*",
        ":=",
        "lambda",
        ".",
        "f'{1}'",
        "[1, 2]",
        "['lora']",
        "()",
        "...",
        "\0",
        "#",
        ";",
    ),
    *("1 < 2", "size > 1", "if", "else", "for", "\n", "\t", "\\", "\u2028", "é", "~", "not" * 3),
)
jumbled_filters = st.builds(" ".join, st.lists(st.sampled_from(FILTER_TOKENS), max_size=9))


def filter_is_read_or_refused(text: str) -> None:
    chosen = outcome(lambda: select(TABLE, text))
    if isinstance(chosen, BayeslawError):
        assert isinstance(chosen, ExpressionError)
    else:
        assert chosen.dtype == np.dtype(bool)
        assert len(chosen) == len(TABLE)


@lanes
def test_any_text_is_read_as_a_filter_or_refused(tries: int) -> None:
    attack(tries, jumbled_filters | st.text(max_size=20), filter_is_read_or_refused, share=3)


def test_deep_filters_are_refused() -> None:
    for text in ("(" * 1000, "not " * 450 + "size > 1", "size in " + "[" * 900 + "]" * 900):
        outcome(lambda text=text: select(TABLE, text))
