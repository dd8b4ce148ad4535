"""Arguments that no call can mean: each is refused with a SpecError, before anything slow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import stored

import bayeslaw as bl
from bayeslaw.errors import BayeslawError, FormulaError, RunsError, SpecError
from bayeslaw.spec.formula import Formula
from bayeslaw.spec.settings import LARGEST_SEED, SamplerSettings, checked_seed

#: A group that no run had is told of.
pytestmark = pytest.mark.filterwarnings("ignore::bayeslaw.errors.RunsWarning")

POINT = {"data_size": 1e10, "task": "task0"}

SEEDS = (-1, 2**64, 10**400, 1.5, 1.0, "1", True, np.nan, [1], 1j)


@pytest.mark.parametrize("seed", SEEDS, ids=range(len(SEEDS)))
@pytest.mark.parametrize(
    "call",
    [
        lambda fit, seed: fit.predict(POINT, random_seed=seed),
        lambda fit, seed: fit.bands(POINT, random_seed=seed),
        lambda fit, seed: bl.decide(fit, POINT, 1.0, random_seed=seed),
        lambda fit, seed: bl.next_runs(fit, POINT, POINT, random_seed=seed),
        lambda fit, seed: bl.fit("power", fit.runs, random_seed=seed),
        lambda fit, seed: bl.backtest("power", fit.runs, "data_size > 1e8", random_seed=seed),
        lambda fit, seed: bl.average(["power", "shifted_power"], fit.runs, random_seed=seed),
    ],
    ids=["predict", "bands", "decide", "next_runs", "fit", "backtest", "average"],
)
def test_a_seed_that_no_generator_takes(call: Callable[[bl.Fit, Any], Any], seed: Any) -> None:
    with pytest.raises(SpecError, match=r"random_seed is .* whole number from 0 to 18446744073709"):
        call(stored("grouped"), seed)


@pytest.mark.parametrize("seed", [0, LARGEST_SEED, np.int64(3), np.uint64(LARGEST_SEED)])
def test_every_other_seed_is_taken(seed: int) -> None:
    assert checked_seed(seed) == seed
    assert np.isfinite(stored("grouped").predict(POINT, random_seed=seed)).all()


@pytest.mark.parametrize("name", ["draws", "tune", "chains", "attempts", "cores"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True, 10**30, np.nan])
def test_a_count_that_is_none(name: str, value: Any) -> None:
    with pytest.raises(SpecError, match=f"{name} is .*whole number"):
        SamplerSettings.of({name: value}, bl.ModelSpec("power"))


@pytest.mark.parametrize("value", ["0.9", np.nan, 0, 1j, 10**400])
def test_an_acceptance_rate_that_is_none(value: Any) -> None:
    with pytest.raises(SpecError, match="target_accept is"):
        SamplerSettings.of({"target_accept": value}, bl.ModelSpec("power"))


SPECS: list[dict[str, Any]] = [
    {"effects": "1 + (x | 0 + y)"},
    {"effects": ["1"]},
    {"effects": {"A": 1}},
    {"effects": {"A": None}},
    {"effects": {7: "1"}},
    {"priors": [0.3]},
    {"priors": {"alpha": None}},
    {"priors": {"alpha": 1j}},
    {"priors": {"alpha": {"distribution": ["Normal"]}}},
    {"noise": 5},
    {"noise": ["normal"]},
    {"discrepancy": 5},
    {"discrepancy": ["curve"]},
    {"discrepancy": {"kind": "curve", "own": 5}},
    {"discrepancy": {"kind": "curve", "own": [["matern"]]}},
    {"discrepancy": {"kind": "curve", "shared": 5}},
    {"discrepancy": {"kind": "curve", "shared": "task"}},
    {"discrepancy": {"kind": "curve", "shared": None}},
    {"discrepancy": {"kind": "curve", "unit": "x"}},
    {"discrepancy": {"kind": "curve", "unit": True}},
    {"discrepancy": {"kind": "curve", "start": np.nan}},
    {"discrepancy": {"kind": "curve", "start": 10**400}},
    {"discrepancy": {"kind": "curve", "along": ["data_size"]}},
    {"discrepancy": {"kind": "curve", 7: 1}},
    {"discrepancy": "curve", "curve_by": 5},
    {"discrepancy": "curve", "curve_by": "task"},
    {"discrepancy": "curve", "curve_by": ["task", "task"]},
]


@pytest.mark.parametrize("options", SPECS, ids=str)
def test_a_spec_of_other_types(options: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        bl.ModelSpec("power", **options)


@pytest.mark.parametrize("law", [5, None, ["power"], {"name": 5}, {"name": ["power"]}, {7: 1}])
def test_a_law_of_another_type(law: Any) -> None:
    with pytest.raises(BayeslawError):
        bl.law(law)


FORMULAS = [
    "1 + (x | 0 + y)",
    "1 + (x | y + z)",
    "1 + (x | (y))",
    "1 + ((x | y) | z)",
    "1 + (1 | x | y)",
    "(" * 200 + "x" + ")" * 200,
    "1 + " + "log(" * 120 + "x" + ")" * 120,
    "1" + " + x" * 120,
    "1" + " - 1" * 120,
    "-" * 400 + "1",
    "1 + (1 | " + ":".join("x" * 100) + ")",
    "1 + (1 | " + "/".join("abcdefghij") + ")",
    "1 + log(x, y)",
    "1 + log()",
    "1 + x:",
    "1 + 10 * x",
    "0 + 0",
    "0",
    "",
    "1 + (1 | 1)",
    "1 + (1 | log(x))",
    "1 + \x00",
    "1 + 1e400",
]


@pytest.mark.parametrize("text", FORMULAS, ids=range(len(FORMULAS)))
def test_a_formula_is_read_or_refused(text: str) -> None:
    try:
        formula = Formula.parse(text)
    except FormulaError:
        return
    assert Formula.parse(str(formula)) == formula


@pytest.mark.parametrize(
    "points",
    [None, 5, [POINT], "x", {"data_size": 10**400, "task": "a"}, {"data_size": [], "task": "a"}],
    ids=range(6),
)
def test_points_of_other_types(points: Any) -> None:
    with pytest.raises((SpecError, RunsError)):
        stored("grouped").predict(points)


def test_points_of_odd_columns() -> None:
    fit, good = stored("grouped"), pd.DataFrame({"data_size": [1e9, 2e9], "task": "task0"})
    expected = fit.bands(good)["median"]
    for odd in (
        good.astype({"data_size": "Int64"}),
        good.astype({"data_size": "category", "task": "category"}),
        good.astype(str),
        good.set_index(pd.MultiIndex.from_tuples([("a", 1), ("a", 1)])),
    ):
        pd.testing.assert_series_equal(fit.bands(odd)["median"], expected)
    several = good.copy()
    several.columns = pd.MultiIndex.from_tuples([("a", x) for x in good.columns])
    with pytest.raises(RunsError, match="levels"):
        fit.bands(several)
    with pytest.raises(RunsError, match="two columns"):
        fit.bands(pd.concat([good, good[["task"]]], axis=1))


def test_draws_that_no_memory_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    points = pd.DataFrame({"data_size": np.full(10, 1e9), "task": "task0"})
    fit = stored("grouped")
    monkeypatch.setattr("os.sysconf", lambda _: 80)
    with pytest.raises(SpecError, match=r"1,000 draws of 10 points .* Ask for bands"):
        fit.predict(points)


@pytest.mark.parametrize(
    "call",
    [
        lambda fit, odd: bl.decide(fit, POINT, odd),
        lambda fit, odd: bl.decide(fit, POINT, 1.0, cost=[odd]),
        lambda fit, odd: bl.decide(fit, POINT, 1.0, cost={"task0": odd}),
        lambda fit, odd: bl.decide(fit, POINT, 1.0, value=odd),
        lambda fit, odd: bl.decide(fit, POINT, 1.0, go_at=odd),
        lambda fit, odd: bl.next_runs(fit, POINT, POINT, budget=odd),
        lambda fit, odd: bl.next_runs(fit, POINT, POINT, cost=[odd]),
        lambda fit, odd: bl.next_runs(fit, POINT, POINT, target=1.0, value=odd),
        lambda fit, odd: bl.solve_for(fit, "data_size", odd, at={"task": "task0"}),
        lambda fit, odd: bl.solve_for(fit, odd, 1.0),
        lambda fit, odd: bl.crossover(fit, over=odd, between=("task0", "task1")),
        lambda fit, odd: bl.crossover(fit, over="data_size", between=odd),
        lambda fit, odd: bl.backtest("power", fit.runs, largest={"data_size": odd}),
        lambda fit, odd: bl.backtest("power", fit.runs, [odd]),
        lambda fit, odd: fit.bands(POINT, probs=(odd,)),
        lambda fit, odd: fit.bands(POINT, probs=odd),
        lambda fit, odd: fit.bands(POINT, odd),
        lambda fit, odd: fit.quantity(odd),
        lambda fit, odd: fit.summary([odd]),
    ],
)
@pytest.mark.parametrize("odd", [10**400, np.nan, [[1], 2], {"a": 1}, 1j, b"x"], ids=range(6))
def test_values_that_no_question_has(call: Callable[[bl.Fit, Any], Any], odd: Any) -> None:
    with pytest.raises(BayeslawError):
        call(stored("grouped"), odd)


def test_points_of_ragged_values() -> None:
    with pytest.raises(RunsError, match="it is not a number"):
        stored("grouped").bands({"data_size": [1e9, [2e9]], "task": "task0"})
    odd = stored("grouped").bands({"data_size": 1e9, "task": ["a\ud800", "b"]})
    assert len(odd) == 2
