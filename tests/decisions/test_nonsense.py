"""Costs, limits and priors that are numbers and make no sense: each is refused in one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import stored

import bayeslaw as bl
from bayeslaw.decisions.candidates import training_compute
from bayeslaw.errors import SpecError

OPTIONS = {"task": ["task0", "task1"], "data_size": 5e9}
CANDIDATES = {"task": ["task0"], "data_size": [1e9, 2e9]}


@pytest.mark.parametrize("far", [float("nan"), 0, -1.0, "2", None, True])
def test_a_limit_that_is_none(far: Any) -> None:
    with pytest.raises(SpecError, match=r"far is .* must be a positive number of decades"):
        bl.decide(stored("grouped"), OPTIONS, 1.0, far=far, checks=[])


@pytest.mark.parametrize(
    ("cost", "says"),
    [
        ([1, -1], "at least 0"),
        ([1, float("nan")], "at least 0"),
        ([1, "x"], "at least 0"),
        ({"task0": -1, "task1": 2}, "at least 0"),
        ({"task0": 1, "task1": None}, "at least 0"),
        ({"task0": 1, "task1": 2, "7e9": 3, "7000000000": 4}, "one name in two spellings"),
    ],
)
def test_costs_of_options(cost: Any, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        bl.decide(stored("grouped"), OPTIONS, 1.0, cost=cost, checks=[])


@pytest.mark.parametrize(
    "terms",
    [
        {"cost": [1, -1]},
        {"cost": [1, float("inf")]},
        {"cost": "flops"},
        {"cost": [1]},
        {"target": 1.0, "value": 5.0, "option_cost": [1, -1]},
        {"target": 1.0, "value": 5.0, "option_cost": [1, "x"]},
        {"budget": float("nan")},
    ],
)
def test_costs_of_candidates(terms: Any) -> None:
    with pytest.raises(SpecError, match=r"cost|budget"):
        bl.next_runs(stored("grouped"), CANDIDATES, OPTIONS, **terms)


def test_the_cost_of_a_run_is_its_training_compute() -> None:
    """As in a study, also of candidates whose data follow from their compute; a column of that name
    is the candidates' own."""
    fit = stored("chinchilla")
    options = {"model_size": 7e9, "data_size": 1e12}
    sizes = {"model_size": [1e8, 1e9], "data_size": [1e10, 2e10]}
    ranked = bl.next_runs(fit, sizes, options, cost="flop")
    np.testing.assert_allclose(
        ranked["cost"], 6 * ranked["model_size"] * ranked["data_size"], rtol=1e-12
    )
    listed = bl.next_runs(fit, pd.DataFrame(sizes), options, cost=[6e18, 1.2e20])
    same = bl.next_runs(fit, pd.DataFrame(sizes), options, cost="flop")
    pd.testing.assert_frame_equal(same, listed)
    by_compute = {"model_size": [1e8, 1e9], "compute": [1e19, 1e20]}
    ranked = bl.next_runs(fit, by_compute, options, cost="flop")
    np.testing.assert_allclose(ranked["cost"], ranked["compute"])
    own = pd.DataFrame(sizes).assign(flop=[1.0, 2.0])
    assert set(bl.next_runs(fit, own, options, cost="flop")["cost"]) == {1.0, 2.0}
    with pytest.raises(SpecError, match="have no model_size"):
        bl.next_runs(stored("grouped"), CANDIDATES, OPTIONS, cost="flop")
    with pytest.raises(SpecError, match="positive number"):
        training_compute(pd.DataFrame({"model_size": [1e200], "data_size": [1e200]}))


@pytest.mark.parametrize(
    ("distribution", "parameters", "says"),
    [
        ("Normal", {"mu": 0.0, "sigma": 1.0, "relative": "no"}, "relative is 'no'"),
        ("Normal", {"mu": 0.0, "sigma": 1.0, "relative": 1}, "relative is 1"),
        ("Normal", {"mu": 1e308, "sigma": 1.0}, "at most 1e[+]100"),
        ("Normal", {"mu": 10**400, "sigma": 1.0}, "at most 1e[+]100"),
        ("Normal", {"mu": 10**5000, "sigma": 1.0}, "thousands of digits"),
        ("Normal", {"mu": 0.0, "sigma": 1e-320}, "at least 1e-100"),
        ("HalfNormal", {"sigma": float("inf")}, "a finite number"),
        ("Uniform", {"lower": -1e308, "upper": 1e308}, "at most 1e[+]100"),
        ("LogNormal", {"median": 10**400, "sigma": 1.0}, "the median is"),
        ("LogNormal", {"mu": 1000.0, "sigma": 1.0}, "it reaches beyond 1e[+]100"),
        ("LogNormal", {"median": 0.3, "sigma": 500.0}, "it reaches beyond 1e[+]100"),
        ("Gamma", {"mu": 1e50, "sigma": 1e-50}, "more than a computer"),
        ("Constant", {"value": 10**400}, "at most 1e[+]100"),
        (3, {"mu": 0.0}, "There is no prior distribution 3"),
    ],
)
def test_priors_beyond_what_a_computer_can_calculate(
    distribution: Any, parameters: dict[str, Any], says: str
) -> None:
    with pytest.raises(SpecError, match=says) as caught:
        bl.Prior(distribution, **parameters)
    assert len(str(caught.value)) < 300
    with pytest.raises(SpecError, match=says):
        bl.ModelSpec("power", priors={"sigma": {"distribution": distribution, **parameters}})


def test_a_number_that_pins_is_one() -> None:
    with pytest.raises(SpecError, match="at most"):
        bl.ModelSpec("power", priors={"sigma": 10**400})
