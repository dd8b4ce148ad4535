"""The verdict on a budget: probabilities from the draws, values against closed forms, and when
nothing is decided.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers import STORED

import bayeslaw as bl
from bayeslaw import defaults
from bayeslaw.decisions.utility import break_even_targets, evpi_along, expected_regret, met
from bayeslaw.errors import SpecError
from bayeslaw.validation.storage import load_backtest

pytestmark = pytest.mark.filterwarnings("ignore::bayeslaw.errors.BayeslawWarning")

AT = {"data_size": 5e9}
TASKS = {"task": ["task0", "task1", "task2"]}


def response(fit: bl.Fit) -> np.ndarray:
    """What the three options would log, (sample, option), by prediction."""
    return fit.predict({**TASKS, **AT}, "run").values.reshape(-1, 3)


def test_probabilities_are_those_of_the_predicted_runs(grouped_fit: bl.Fit) -> None:
    y = response(grouped_fit)
    target = float(np.quantile(y[:, 1], 0.6))
    found = bl.decide(grouped_fit, TASKS, target, at=AT, checks=[])
    np.testing.assert_array_equal(found.draws, y)
    np.testing.assert_allclose(found.table["p_target"], (y <= target).mean(axis=0))
    best = (y == y.min(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(found.table["p_best"], best)
    np.testing.assert_allclose(
        found.table["expected_regret"], (y - y.min(axis=1, keepdims=True)).mean(axis=0)
    )
    assert found.table["p_best"].sum() == pytest.approx(1)
    assert np.isnan(found.evpi)


def test_regret_of_losses_that_are_all_infinite_is_none() -> None:
    """A draw of noise may leave the numbers: of two options that do there is nothing to choose."""
    np.testing.assert_allclose(
        expected_regret(-np.array([[np.inf, np.inf], [1.0, 3.0]])), [0.0, 1.0]
    )
    assert expected_regret(-np.array([[np.inf]])) == 0


def test_verdicts_follow_the_thresholds(grouped_fit: bl.Fit) -> None:
    y = response(grouped_fit)
    easy, hard = float(y.max() + 0.1), float(y.min() - 0.1)
    go = bl.decide(grouped_fit, TASKS, easy, at=AT, cost=[3, 1, 2], checks=[])
    # all meet it: the cheapest
    assert go.verdict == "go"
    assert go.chosen == 1
    no = bl.decide(grouped_fit, TASKS, hard, at=AT, checks=[])
    assert no.verdict == "no-go"
    assert "no option has more than 20 %" in no.reasons[0]
    lowest = int(np.median(y, axis=0).argmin())
    even = float(np.median(y[:, lowest]))
    between = bl.decide(grouped_fit, TASKS, even, at=AT, checks=[])
    assert between.verdict == "inconclusive"
    assert "the runs do not say" in between.reasons[0]
    assert str(between).startswith("INCONCLUSIVE: task")
    # The stated targets are where the verdict flips.
    for target, verdict in (
        (between.flips["go"], "go"),
        (between.flips["no-go"] * 0.9999, "no-go"),
    ):
        assert (
            bl.decide(
                grouped_fit, TASKS, target * 1.0001 if verdict == "go" else target, at=AT, checks=[]
            ).verdict
            == verdict
        )


def test_values_and_perfect_information(grouped_fit: bl.Fit) -> None:
    y, costs, worth = response(grouped_fit), np.array([1.0, 3.0, 2.0]), 10.0
    target = float(np.median(y))
    found = bl.decide(
        grouped_fit,
        TASKS,
        target,
        at=AT,
        cost={"task0": 1, "task1": 3, "task2": 2},
        value=worth,
        checks=[],
    )
    value = worth * (y <= target) - costs
    np.testing.assert_allclose(found.table["expected_value"], value.mean(axis=0))
    np.testing.assert_allclose(found.table["highest_cost"], worth * found.table["p_target"])
    assert found.chosen == int(value.mean(axis=0).argmax())
    assert found.evpi == pytest.approx(
        np.maximum(value.max(axis=1), 0).mean() - max(value.mean(axis=0).max(), 0)
    )
    assert found.evpi >= 0
    assert (found.table["value_tail"] <= found.table["expected_value"]).all()
    # As a function of the response it is the same.
    same = bl.decide(
        grouped_fit,
        TASKS,
        target,
        at=AT,
        cost=costs,
        value=lambda response: worth * (response <= target),
        checks=[],
    )
    np.testing.assert_allclose(same.table["expected_value"], found.table["expected_value"])
    along, perfect = evpi_along(y <= target, costs, np.array([0.0, worth]))
    np.testing.assert_allclose(along, [-costs, found.table["expected_value"]])
    # nothing to gain: nothing is done, whatever is known
    assert perfect == pytest.approx([0, found.evpi])
    dear = bl.decide(
        grouped_fit, TASKS, float(y.max()) + 1, at=AT, cost=[20, 20, 20], value=worth, checks=[]
    )
    # it would be met for certain, and is not worth it
    assert dear.verdict == "no-go"
    assert "costs more than it is worth" in dear.reasons[0]


def test_perfect_information_by_hand_as_values_and_costs_vary() -> None:
    # Two options, of which just one meets the target, with probability 1/2 each.
    either = np.array([[True, False], [False, True]])
    expected, perfect = evpi_along(either, np.array([1.0, 1.0]), np.array([1.0, 10.0]))
    np.testing.assert_allclose(expected, [[-0.5, -0.5], [4, 4]])
    np.testing.assert_allclose(perfect, [0, 5])
    expected, perfect = evpi_along(either, np.array([[1.0, 1.0], [7.0, 7.0]]), 10.0)
    np.testing.assert_allclose(expected, [[4, 4], [-2, -2]])
    np.testing.assert_allclose(perfect, [5, 3])


def test_targets_flip_where_they_are_met_with_the_thresholds_probabilities() -> None:
    draws = np.linspace(0, 1, 1001)[:, None] + [0, 10]
    for lower_is_better in (True, False):
        for name, at in break_even_targets(draws, 0.8, 0.2, lower_is_better).items():
            np.testing.assert_allclose(
                met(draws, at, lower_is_better).mean(axis=0),
                {"go": 0.8, "no-go": 0.2}[name],
                atol=1e-3,
            )


def test_nothing_is_decided_on_doubt(grouped_fit: bl.Fit) -> None:
    easy = float(response(grouped_fit).max() + 1)
    failed = replace(grouped_fit, convergence=replace(grouped_fit.convergence, rhat=1.5))
    found = bl.decide(failed, TASKS, easy, at=AT)
    assert found.verdict == "inconclusive"
    assert found.reasons[0].startswith("A check failed: R-hat")
    assert "if the fit can be trusted" in found.reasons[1]
    far = bl.decide(grouped_fit, TASKS, easy, at={"data_size": 1e11}, checks=[])
    assert far.verdict == "inconclusive"
    assert "2.0 decades beyond the runs in data_size, more than 1.5" in far.reasons[0]
    assert (
        bl.decide(grouped_fit, TASKS, easy, at={"data_size": 1e11}, checks=[], far=3.0).verdict
        == "go"
    )


def test_a_group_of_no_run_is_named(grouped_fit: bl.Fit) -> None:
    easy = float(response(grouped_fit).max() * 100)
    slip = bl.decide(grouped_fit, {"task": ["taks0"]}, easy, at=AT, checks=[])
    assert "No run has task taks0" in slip.reasons[-1]
    assert "Did you mean 'task0'" in slip.reasons[-1]
    assert not any(
        "No run has" in reason
        for reason in bl.decide(grouped_fit, TASKS, easy, at=AT, checks=[]).reasons
    )


def test_a_backtest_that_missed_stops_a_decision(grouped_fit: bl.Fit) -> None:
    tested = load_backtest(STORED / "grouped_backtest.nc")
    easy = float(response(grouped_fit).max() + 1)
    shrunk = tested.points.assign(inside_90=False)
    assert (
        bl.decide(
            grouped_fit, TASKS, easy, at=AT, checks=[], backtest=replace(tested, points=shrunk)
        ).verdict
        == "inconclusive"
    )
    # How likely the coverage is decides, where the backtest has it.
    for p, verdict in ((0.2, "go"), (0.01, "inconclusive")):
        judged = replace(tested, points=shrunk, coverage_p={"one": p})
        decision = bl.decide(grouped_fit, TASKS, easy, at=AT, backtest=judged)
        assert decision.verdict == (verdict if tested.converged else "inconclusive")
        assert ("with probability 0.010" in " ".join(decision.reasons)) == (p == 0.01)
    covered = float(tested.scores().loc["bayeslaw", "coverage_90"])
    expected = "go" if tested.converged and covered >= defaults.COVERAGE_MIN else "inconclusive"
    assert (
        bl.decide(grouped_fit, TASKS, easy, at=AT, checks=[], backtest=tested).verdict == expected
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"target": np.nan}, "target is nan"),
        ({"go_at": 0.2, "no_go_at": 0.8}, "no_go_at below go_at"),
        ({"cost": [1.0]}, "1 values for 3 options"),
        ({"cost": {"a": 1, "b": 2}}, "no column of the options has only these values"),
        ({"cost": [1, -2, 3]}, "at least 0 for every option"),
        (
            {"value": lambda response: response[:, 0]},
            "must give a finite number for each draw and option",
        ),
        ({"options": {"task": []}}, "no options to decide between"),
    ],
)
def test_a_decision_that_cannot_be_meant(
    grouped_fit: bl.Fit, arguments: dict[str, Any], says: str
) -> None:
    meant = {"options": TASKS, "target": 1.0, "at": AT, **arguments}
    with pytest.raises(SpecError, match=says):
        bl.decide(grouped_fit, **meant)
