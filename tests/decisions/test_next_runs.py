"""What to run next: linearised gains against refits with outcomes drawn from the posterior, and
against closed forms.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import stored
from scipy import stats

import bayeslaw as bl
from bayeslaw.decisions.moments import Moments, regret_reduction
from bayeslaw.decisions.utility import standard_normal
from bayeslaw.decisions.worth import Worth, value_of_run
from bayeslaw.errors import SpecError
from bayeslaw.model.build import build
from bayeslaw.model.sampling import Compiled
from bayeslaw.spec.resolve import resolve
from bayeslaw.spec.settings import SamplerSettings

pytestmark = pytest.mark.filterwarnings("ignore::bayeslaw.errors.BayeslawWarning")

SPEC = bl.ModelSpec("power", discrepancy="none", noise="normal")
OPTION = {"data_size": [3e10]}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """A simulated power law, 14 runs up to 1e9."""
    rng = np.random.default_rng(3)
    x = np.geomspace(1e7, 1e9, 14)
    loss = bl.law("power").evaluate(
        {"data_size": x}, {"A": 3.0 * 1e8**0.15, "alpha": 0.15, "E": 1.0}
    )
    return pd.DataFrame({"data_size": x, "loss": loss * np.exp(rng.normal(0, 0.01, 14))})


@pytest.fixture(scope="module")
def fit(table: pd.DataFrame) -> bl.Fit:
    return bl.fit(
        SPEC, bl.read_runs(table, "power"), draws=1000, tune=1000, random_seed=1, progressbar=False
    )


@pytest.mark.slow
def test_expected_reduction_against_refits(table: pd.DataFrame, fit: bl.Fit) -> None:
    """Brute force: the candidate's outcome is drawn from the posterior predictive 24 times, the law
    refitted to it, and the variance left averaged.
    """
    candidate = {"data_size": [6e9]}
    predicted = bl.next_runs(fit, candidate, OPTION)["variance_reduction"].iloc[0]
    outcomes = fit.predict(candidate, "run").values.ravel()[::167][:24]
    runs = bl.read_runs(
        pd.concat([table, pd.DataFrame({"data_size": [6e9], "loss": [2.0]})], ignore_index=True),
        "power",
    )
    compiled = Compiled(build(resolve(SPEC, runs), runs), refit=True)
    # The same prior as before: the unit of relative priors and the centre are those of the fit.
    kept = {
        "typical_response": fit.runs.typical_response,
        "centre_data_size": fit.runs.centre["data_size"],
    }
    before = np.log(fit.predict(OPTION, "mean").values.ravel()).var()
    left = []
    for i, y in enumerate(outcomes):
        tree = compiled.sample(
            SamplerSettings(400, 500, 4, 0.95, i, progressbar=False),
            {"y": np.log([*table["loss"], y]), **kept},
        )
        posterior = tree["posterior"].to_dataset()
        law, natural = (
            fit.spec.law,
            {name: posterior[f"{name}_at_centre"].values.ravel() for name in fit.law.params},
        )
        after = np.log(law.evaluate({"data_size": 3e10}, law.from_centre(natural, fit.runs.centre)))
        left.append(after.var() / before)
    error = np.std(left) / np.sqrt(len(left))
    # .1: the posterior is not quite normal
    assert 1 - predicted == pytest.approx(np.mean(left), abs=3 * error + 0.1)
    assert predicted > 0.2


def test_a_run_at_the_option_says_most_and_one_among_many_least(fit: bl.Fit) -> None:
    found = bl.next_runs(fit, {"data_size": [1e8, 3e9, 3e10]}, OPTION)
    assert list(found["data_size"]) == [3e10, 3e9, 1e8]
    assert found["variance_reduction"].is_monotonic_decreasing
    priced = bl.next_runs(
        fit,
        pd.DataFrame({"data_size": [1e8, 3e9, 3e10], "flop": [1.0, 30.0, 3000.0]}),
        OPTION,
        cost="flop",
    )
    assert priced["data_size"].iloc[0] != 3e10
    assert (priced["per_cost"] == priced["variance_reduction"] / priced["cost"]).all()


def test_a_batch_respects_what_runs_have_in_common(fit: bl.Fit) -> None:
    """Two runs at one place say less than twice what one says; the batch stops at its budget."""
    found = bl.next_runs(fit, {"data_size": [6e9, 6.1e9, 1e8]}, OPTION, budget=2.0)
    assert sorted(found["bought"]) == [0, 1, 2]
    single = found["variance_reduction"].max()
    assert 1 - found.attrs["variance_left"] < 2 * single
    assert 1 - found.attrs["variance_left"] > single
    broke = bl.next_runs(fit, {"data_size": [6e9]}, OPTION, cost=[5.0], budget=1.0)
    assert list(broke["bought"]) == [0]
    assert broke.attrs["variance_left"] == 1


def test_a_batch_is_not_spent_on_small_runs_where_a_dear_one_says_more(fit: bl.Fit) -> None:
    """A cheap run says most per unit of cost, and having bought it one cannot afford the run that
    says nearly all; the other way round, many runs that are cheap.
    """
    small, dear = ({"data_size": [x]} for x in (3e9, 3e10))
    said = {
        x: bl.next_runs(fit, point, OPTION)["variance_reduction"].iloc[0]
        for x, point in (("small", small), ("dear", dear))
    }
    assert said["dear"] > 1.2 * said["small"]
    found = bl.next_runs(
        fit,
        pd.DataFrame({"data_size": [3e9, 3e10], "flop": [1.0, 10.0]}),
        OPTION,
        cost="flop",
        budget=10.0,
    )
    assert found["data_size"].iloc[0] == 3e9
    assert found.set_index("data_size")["bought"].to_dict() == {3e9: 0, 3e10: 1}
    assert found.attrs["bought_by"] == "variance_reduction"
    assert found.attrs["variance_left"] == pytest.approx(1 - found["variance_reduction"].max())
    many = pd.DataFrame({"data_size": [2.9e10, *[1.5e10] * 9], "flop": [10.0, *[1.0] * 9]})
    found = bl.next_runs(fit, many, OPTION, cost="flop", budget=10.0)
    assert found.attrs["bought_by"] == "per_cost"
    assert (found["bought"] > 0).sum() == 9
    assert not found.loc[found["flop"] == 10, "bought"].any()


def test_regret_of_two_options_is_the_closed_form() -> None:
    """Two options of equal mean, one of which a run moves by s: the expected best grows by s /
    sqrt(2 pi).
    """
    z = standard_normal(2)
    assert regret_reduction(np.array([1.0, 1.0]), np.array([0.5, 0.0]), z) == pytest.approx(
        0.5 / np.sqrt(2 * np.pi), rel=0.01
    )
    # both move together: nothing to choose
    assert regret_reduction(np.array([1.0, 1.0]), np.array([0.5, 0.5]), z) == pytest.approx(
        0, abs=1e-12
    )
    assert regret_reduction(np.array([5.0, 1.0]), np.array([0.5, 0.0]), z) < 1e-6


def test_the_value_of_a_run_is_that_of_brute_force() -> None:
    """Two options and a candidate, jointly normal: outcomes of the candidate are drawn, the options
    conditioned on each, the better one chosen.
    """
    rng = np.random.default_rng(2)
    # candidate (noise and all), and the options' runs
    covariance = np.array([[1.0, 0.6, 0.2], [0.6, 0.9, 0.3], [0.2, 0.3, 1.2]])
    # to be reached from below
    mean, target, value, cost = np.array([0.0, 0.1, -0.2]), 0.3, 10.0, np.array([3.0, 4.5])
    outcomes = rng.normal(0, 1, 4000)
    given = mean[1:] + np.outer(outcomes, covariance[1:, 0])
    left = covariance[1:, 1:] - np.outer(covariance[1:, 0], covariance[1:, 0])
    inner = rng.multivariate_normal([0, 0], left, 4000)
    worth = np.array([value * (m + inner >= target).mean(axis=0) - cost for m in given])
    chosen = np.maximum(worth.max(axis=1), 0)
    expected = chosen.mean() - max(worth.mean(axis=0).max(), 0)
    found = value_of_run(
        mean[1:] - target,
        np.diag(covariance)[1:],
        covariance[1:, 0],
        value,
        cost,
        standard_normal(2),
    )
    assert found == pytest.approx(expected, abs=4 * chosen.std() / np.sqrt(4000))
    assert expected > 0.3
    # What moves nothing is worth nothing; to know the outcome is worth most.
    assert value_of_run(
        mean[1:] - target, np.diag(covariance)[1:], np.zeros(2), value, cost, standard_normal(2)
    ) == pytest.approx(0, abs=1e-12)


def test_draws_whose_losses_leave_the_numbers_are_no_fault(fit: bl.Fit) -> None:
    """As a Student-t of few degrees of freedom has them: of two draws in 4,000 the loss is 0 or
    infinite.
    """
    tree = fit.idata.copy(deep=True)
    tree["posterior"]["sigma"][0, :2] = 1e6
    candidates = {"data_size": [2e9, 6e9]}
    expected, found = (
        bl.next_runs(x, candidates, OPTION, budget=1.0) for x in (fit, replace(fit, idata=tree))
    )
    assert {0.0, np.inf} & set(replace(fit, idata=tree).predict(candidates, "run").values.ravel())
    numbers = ["variance_reduction", "per_cost", "bought"]
    np.testing.assert_allclose(found[numbers], expected[numbers], rtol=0.02)


def test_a_run_is_worth_at_most_perfect_information(fit: bl.Fit) -> None:
    y = fit.predict(OPTION, "run").values.ravel()
    target = float(np.median(y))
    perfect = bl.decide(fit, OPTION, target, cost=[40.0], value=100.0, checks=[]).evpi
    found = bl.next_runs(
        fit, {"data_size": [1e8, 3e9, 3e10]}, OPTION, target=target, value=100.0, option_cost=[40.0]
    )
    assert found["value_of_run"].is_monotonic_decreasing
    assert 0 < found["value_of_run"].iloc[0] < 1.05 * perfect


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"cost": [1.0, 2.0]}, "a positive number for each of the 1 candidates"),
        ({"cost": "flop"}, "the candidates have no model_size"),
        ({"cost": "gpu"}, "candidates have no such column"),
        ({"budget": 0}, "budget is 0"),
        ({"value": 1.0}, "needs both"),
        (
            {"target": 1.0, "value": 2.0, "option_cost": [1.0, 2.0]},
            "a number for each of the 1 options, of at least 0",
        ),
        ({"candidates": {"data_size": []}}, "There are no candidates"),
    ],
)
def test_candidates_that_cannot_be_meant(fit: bl.Fit, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        bl.next_runs(fit, **{"candidates": {"data_size": [6e9]}, "options": OPTION, **arguments})


# ---- Whether more runs pay, of a stored fit

TASK = {"data_size": [4e9], "task": ["task0"]}
CANDIDATES = {"data_size": [1e9, 2e9, 4e9], "task": ["task0"]}


@cache
def grouped() -> bl.Fit:
    return stored("grouped")


def advised(target: float, **terms: Any) -> pd.DataFrame:
    return bl.next_runs(grouped(), CANDIDATES, TASK, target=target, **terms)


def middle() -> float:
    """A target that a run of the option meets with probability 1/2."""
    return float(np.median(grouped().predict(TASK).values))


def test_a_run_that_costs_more_than_it_is_worth_is_not_bought() -> None:
    """What a batch is worth goes against its price; only what pays is bought."""
    terms = {"value": 1000.0, "option_cost": [500.0], "budget": 1e5, "unit": "USD"}
    dear = advised(middle(), cost=[21600.0] * 3, **terms)
    assert not dear.attrs["pays"]
    assert (dear["bought"] == 0).all()
    assert dear.attrs["variance_left"] == 1
    assert (dear["net_value"] == dear["value_of_run"] - 21600).all()
    worth = dear["value_of_run"].max()
    assert 0 < worth < 500
    assert dear.attrs["advice"] == (
        "More runs would not pay: decide now. The nearest to paying is data size 4B: it costs"
        f" 21,600 USD and is worth {worth:.4g} USD before the decision."
    )
    cheap = advised(middle(), cost=[1.0] * 3, **terms)
    assert cheap.attrs["pays"]
    assert cheap["bought"].max() >= 1
    assert cheap.attrs["advice"].startswith("More runs pay. Best is ")
    assert "USD before the decision." in cheap.attrs["advice"]


def test_nothing_is_bought_where_nothing_can_be_gained() -> None:
    """Everybody meets the target already."""
    easy = 10 * middle()
    for terms in (
        {"value": 1000.0, "option_cost": [1.0], "cost": [1.0] * 3},
        {"value": 1000.0, "option_cost": [1.0]},
        {},
    ):
        found = advised(easy, budget=3.0, **terms)
        assert found.attrs["pays"] is False
        assert (found["bought"] == 0).all()
        assert found.attrs["advice"].startswith("More runs would not pay: decide now.")
    assert "change the verdict go" in found.attrs["advice"]
    assert (found["p_verdict_changes"] < 0.01).all()
    open_ = advised(middle(), budget=3.0)
    assert open_.attrs["pays"]
    assert (open_["bought"] > 0).all()
    assert 0 < open_["p_verdict_changes"].max() <= 1


def test_a_budget_that_buys_nothing_is_told() -> None:
    for terms in ({}, {"value": 1000.0}):
        found = advised(middle(), cost=[5.0] * 3, budget=1.0, **terms)
        assert found.attrs["advice"] == "The budget buys no candidate: decide now."
        assert (found["bought"] == 0).all()


def test_costs_in_flop_are_no_price() -> None:
    fit = stored("chinchilla")
    large, candidates = (
        {"model_size": 7e10, "data_size": 1.4e12},
        {
            "model_size": [1e9, 3e9],
            "data_size": [1e11],
        },
    )
    target = float(np.median(fit.predict(large).values))
    terms = {"target": target, "value": 1e6, "option_cost": [5e5]}
    found = bl.next_runs(fit, candidates, large, cost="flop", budget=1e22, **terms)
    assert sorted(found["cost"]) == [6e20, 1.8e21]
    assert "net_value" not in found
    assert found.attrs["pays"]


def test_a_batch_is_worth_what_brute_force_says() -> None:
    """Two candidates and two options, jointly normal: outcomes are drawn, and options conditioned
    on both.
    """
    rng = np.random.default_rng(4)
    root = rng.normal(size=(4, 4))
    covariance = root @ root.T
    mean, noise, target = np.array([0.0, 0.0, 0.3, -0.2]), np.array([0.3, 0.5, 0.2, 0.4]), 0.4
    moments = Moments(2, mean, covariance, noise, sign=1.0)
    worth = Worth(
        moments,
        mean[2:] - target,
        np.diag(covariance)[2:] + noise[2:],
        10.0,
        np.array([3.0, 2.0]),
        (0.2, 0.8),
        standard_normal(2),
    )
    of_candidates = covariance[:2, :2] + np.diag(noise[:2])
    gain = covariance[2:, :2] @ np.linalg.inv(of_candidates)
    left = np.diag(covariance[2:, 2:] - gain @ covariance[:2, 2:]) + noise[2:]
    outcomes = rng.multivariate_normal([0, 0], of_candidates, 40_000)
    p = stats.norm.cdf((mean[2:] + outcomes @ gain.T - target) / np.sqrt(left))
    chosen = np.maximum((10 * p - [3.0, 2.0]).max(axis=1), 0)
    expected = chosen.mean() - max((10 * p - [3.0, 2.0]).mean(axis=0).max(), 0)
    assert worth.of_batch([0, 1]) == pytest.approx(expected, abs=0.05)
    assert worth.of_batch([0, 1]) > max(worth.of_batch([0]), worth.of_batch([1]))
    assert worth.of_batch([]) == 0
