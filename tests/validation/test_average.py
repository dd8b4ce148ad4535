"""Averages of law forms: the weights against a second optimiser, the mixture against its parts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers import POWER, unsampled
from scipy.optimize import minimize

import bayeslaw as bl
from bayeslaw.errors import SpecError
from bayeslaw.posterior.predict import log_density
from bayeslaw.validation.averaging import FEWEST, FUTURES, futures, stacked

#: A plain power law without an irreducible part.
STRAIGHT = bl.ModelSpec("power", discrepancy="none", priors={"E_at_centre": 1e-9})


def simulated(points: int = 24) -> bl.Runs:
    """A simulated curve with an irreducible part, without which its end is foretold too low."""
    rng = np.random.default_rng(4)
    x = np.geomspace(1e4, 1e8, points)
    return bl.read_runs(
        pd.DataFrame(
            {
                "data_size": x,
                "loss": (1.5 * (x / 1e4) ** -0.3 + 0.5) * np.exp(rng.normal(0, 0.005, points)),
            }
        ),
        "power",
    )


def test_stacking_finds_the_optimum() -> None:
    """Against SciPy's constrained optimiser, on 40 log densities of three forms."""
    rng = np.random.default_rng(3)
    density = rng.normal(0, 1, (3, 40)) + np.array([[0.5], [0.0], [-1.0]])

    def score(logits: np.ndarray) -> float:
        w = np.exp(logits - np.logaddexp.reduce(logits))
        return -float(
            np.logaddexp.reduce(density + np.log(w)[:, None], axis=0).sum() + np.log(w).sum()
        )

    best = minimize(score, np.zeros(3), method="BFGS", options={"gtol": 1e-9}).x
    np.testing.assert_allclose(
        stacked(density), np.exp(best - np.logaddexp.reduce(best)), atol=1e-5
    )


def test_forms_that_say_the_same_weigh_the_same() -> None:
    np.testing.assert_allclose(
        stacked(np.tile(np.random.default_rng(1).normal(size=12), (4, 1))), 0.25
    )


def test_a_form_that_is_always_right_has_all_but_a_run_each() -> None:
    density = np.array([np.zeros(50), np.full(50, -50.0), np.full(50, -50.0)])
    np.testing.assert_allclose(stacked(density), [51 / 53, 1 / 53, 1 / 53], atol=1e-9)


def test_the_future_is_the_larger_runs_of_each_group() -> None:
    table = pd.DataFrame(
        [(m, n, d, 1.0) for m in "ab" for n, d in [(1e8, 1e9), (1e9, 1e9), (1e8, 2e9), (1e9, 4e9)]],
        columns=["task", "model_size", "data_size", "loss"],
    )
    third, last = futures(bl.read_runs(table, "chinchilla"))
    assert FUTURES == ((0.5, 0.75), (0.75, 1.0))
    np.testing.assert_array_equal(third.seen, [True, False, True, False] * 2)
    np.testing.assert_array_equal(third.hidden, [False, True, False, False] * 2)
    np.testing.assert_array_equal(last.seen, [True, True, True, False] * 2)
    np.testing.assert_array_equal(last.hidden, [False, False, False, True] * 2)


@pytest.fixture(scope="module")
def mixed() -> bl.Average:
    return bl.average(
        [POWER, STRAIGHT], simulated(), draws=400, tune=400, random_seed=2, progressbar=False
    )


def test_the_right_form_wins(mixed: bl.Average) -> None:
    assert mixed.weights[0] > 0.8
    assert mixed.weights.sum() == pytest.approx(1)
    assert "12 runs predicted" in mixed.reason
    assert mixed.scores["log_density"].iloc[0] > mixed.scores["log_density"].iloc[1]
    assert mixed.converged
    assert "weight" in str(mixed)


def test_the_mixture_predicts_like_a_fit(mixed: bl.Average) -> None:
    points = {"data_size": [1e7, 1e9]}
    drawn = mixed.predict(points)
    assert drawn.dims == ("chain", "draw", "point")
    assert list(drawn["data_size"]) == [1e7, 1e9]
    form = drawn["form"].values
    assert abs((form == 0).mean() - mixed.weights[0]) <= 1 / form.size
    for k, fit in enumerate(mixed.fits):
        np.testing.assert_array_equal(
            drawn.values[form == k], fit.predict(points).values[form == k]
        )
    bands = mixed.bands(points)
    np.testing.assert_allclose(bands["median"], np.median(drawn.values.reshape(-1, 2), axis=0))
    assert {"lower_50", "upper_90", "distance_data_size", "unseen", "converged"} <= set(bands)
    table = pd.DataFrame({"data_size": [1e9], "loss": [0.5]})
    parts = np.array([log_density(fit, table)[0] for fit in mixed.fits])
    assert mixed.log_density(table)[0] == pytest.approx(
        np.log((mixed.weights * np.exp(parts)).sum())
    )


# few draws: what is looked at is the weights
@pytest.mark.filterwarnings("ignore::bayeslaw.errors.BayeslawWarning")
def test_too_little_future_gives_equal_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    unsampled(monkeypatch)
    runs = simulated(5)
    found = bl.average(
        [POWER, STRAIGHT],
        runs,
        draws=50,
        tune=300,
        chains=2,
        random_seed=2,
        progressbar=False,
        attempts=1,
    )
    assert list(found.weights) == [0.5, 0.5]
    assert f"fewer than {FEWEST}" in found.reason
    assert found.scores["log_density"].isna().all()


def test_an_average_that_cannot_be_meant() -> None:
    with pytest.raises(SpecError, match="given 1 spec"):
        bl.average(["power"], simulated())
    with pytest.raises(SpecError, match="chinchilla has other inputs"):
        bl.average(["power", "chinchilla"], simulated())
