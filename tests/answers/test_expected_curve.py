"""Answers are of the curve that predictions are of: the law and the expected discrepancy.

Each is held against the predictions (kind "mean") at many values of the input. The fits hold draws
of the prior, under which curves differ from the law by more than after sampling.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers import from_the_prior

import bayeslaw as bl
from bayeslaw.curves.paths import Curve
from bayeslaw.errors import SpecError
from bayeslaw.posterior.parameters import Parameters
from bayeslaw.posterior.predict import joint_log_density, log_density

DRAWS = 200


def draws_of(x: object) -> np.ndarray:
    """Draws as (sample, point)."""
    values = np.asarray(getattr(x, "values", x))
    return values.reshape(DRAWS, -1)


@pytest.fixture(scope="module")
def curves() -> bl.Fit:
    """Three simulated learning curves of one law, whose processes alone differ."""
    rng = np.random.default_rng(3)
    x = np.geomspace(1e4, 1e7, 12)
    table = pd.DataFrame(
        [
            (task, a, level * (a / 1e4) ** -slope * np.exp(rng.normal(0, 0.01)))
            for task, level, slope in [("a", 3, 0.14), ("b", 4.6, 0.2), ("c", 3, 0.17)]
            for a in x
        ],
        columns=["task", "data_size", "loss"],
    )
    spec = bl.ModelSpec(
        "power",
        effects=dict.fromkeys(("A", "alpha", "E"), "1"),
        discrepancy={"kind": "curve", "own": ("wiener", "local"), "shared": False},
    )
    return from_the_prior(spec, bl.read_runs(table, "power"), DRAWS)


@pytest.fixture(scope="module")
def grid() -> bl.Fit:
    """A simulated grid of runs, with a discrepancy along model size and along data."""
    size, data = map(np.ravel, np.meshgrid(np.geomspace(1e8, 1e10, 5), np.geomspace(1e9, 1e12, 5)))
    loss = 1.7 + 400 * size**-0.34 + 410 * data**-0.28
    table = pd.DataFrame({"model_size": size, "data_size": data, "loss": loss})
    spec = bl.ModelSpec("chinchilla", discrepancy="grid")
    return from_the_prior(spec, bl.read_runs(table, "chinchilla"), DRAWS)


@pytest.fixture(scope="module")
def scores() -> bl.Fit:
    """A simulated best-of-n curve, which bends away from the quadratic form."""
    d = np.linspace(0.2, 3, 16)
    table = pd.DataFrame({"kl": d**2, "gold_score": d * (0.6 - 0.12 * d) + 0.02 * np.sin(2 * d)})
    runs = bl.read_runs(table, "overoptimization_bon")
    return from_the_prior(bl.ModelSpec("overoptimization_bon"), runs, DRAWS)


def test_the_expected_curve_is_the_conditional_mean_of_the_lasting_process(curves: bl.Fit) -> None:
    """In a textbook's notation, with dense covariances: the integrated Wiener process given runs
    that have noise and errors in common, which are no part of the curve.
    """
    runs = curves.runs.table[curves.runs.table["task"] == "b"]
    new = pd.DataFrame({"data_size": [3e4, 2e6, 3e7, 1e9], "task": "b"})
    predicted = np.log(draws_of(curves.predict(new, "mean")))
    # On a curve without runs the law is expected.
    of_law, at_runs = (
        np.log(
            draws_of(
                curves.predict(points[["data_size"]].assign(task="new"), "mean", new_groups=True)
            )
        )
        for points in (new, runs)
    )
    start = np.log10(curves.runs.table["data_size"].min())
    t = np.log10(np.concatenate([runs["data_size"], new["data_size"]])) - start
    early, late = np.minimum.outer(t, t), np.maximum.outer(t, t)
    seen, ahead = slice(0, len(runs)), slice(len(runs), None)
    noise = Parameters.at(curves, runs, "mean").of_noise(runs)
    for draw in range(0, DRAWS, 23):
        sigma, slope = (noise[name][draw, 0] for name in ("trend_sigma", "trend_slope"))
        wiener = slope**2 * early * late + 3 * sigma**2 * early**2 * (3 * late - early) / 6
        length = noise["local_length"][draw, 0]
        local = noise["local_sigma"][draw, 0] ** 2 * np.exp(-abs(np.subtract.outer(t, t)) / length)
        observed = wiener + local + np.eye(len(t)) * noise["sigma"][draw, 0] ** 2
        residual = np.log(runs["loss"].to_numpy()) - at_runs[draw]
        mean = wiener[ahead, seen] @ np.linalg.solve(observed[seen, seen], residual)
        np.testing.assert_allclose(predicted[draw] - of_law[draw], mean, rtol=1e-6, atol=1e-9)


def test_ties_are_those_of_the_predictions(curves: bl.Fit) -> None:
    """Where the expected curves of two tasks change places, draw by draw, on a grid of our own."""
    tie = bl.crossover(curves, "data_size", ("a", "b"), bounds=(3e5, 1e9))
    x = np.geomspace(3e5, 1e9, 2001)
    a, b = (draws_of(curves.predict({"data_size": x, "task": task}, "mean")) for task in "ab")
    changes = np.diff(np.sign(a - b), axis=1) != 0
    found = draws_of(tie["crossover"])[:, 0]
    crosses = changes.any(axis=1)
    assert 0.1 < crosses.mean() < 0.999
    assert (np.isfinite(found) == crosses).mean() > 0.98  # two ties within a step are not seen
    both = np.isfinite(found) & crosses
    first = x[changes.argmax(axis=1)]
    np.testing.assert_allclose(np.log(found[both]), np.log(first[both]), atol=0.01)
    # the law alone is one for all tasks: its curves have no tie
    assert tie.attrs["p_crossover"] == pytest.approx(crosses.mean(), abs=0.02)


def test_predictions_at_a_solution_reach_the_target(curves: bl.Fit) -> None:
    target = 0.9
    solution = draws_of(bl.solve_for(curves, "data_size", target, {"task": "b"}))[:, 0]
    known = np.flatnonzero(np.isfinite(solution))[:12]
    assert len(known) == 12
    reached = draws_of(curves.predict({"data_size": solution[known], "task": "b"}, "mean"))
    np.testing.assert_allclose(reached[known, np.arange(12)], target, rtol=1e-4)


def test_what_pays_is_the_gain_in_the_predictions(grid: bl.Fit) -> None:
    table = bl.which_pays(grid, {"model_size": 2e9, "data_size": 3e10}, 2.0).set_index("input")
    at = pd.DataFrame({"model_size": [2e9, 4e9, 2e9], "data_size": [3e10, 3e10, 6e10]})
    before, larger, longer = draws_of(grid.predict(at, "mean")).T
    assert table.loc["model_size", "gain"] == pytest.approx((before - larger).mean())
    assert table.loc["data_size", "gain"] == pytest.approx((before - longer).mean())


def test_the_best_split_is_that_of_the_predictions(grid: bl.Fit) -> None:
    """Within the runs' range, where the discrepancy is known at all places."""
    compute = 6e20
    best = bl.allocate(grid, compute)
    size = np.geomspace(1e7, 1e11, 1201)
    points = pd.DataFrame({"model_size": size, "data_size": compute / 6 / size})
    loss = draws_of(grid.predict(points, "mean"))
    least, at = loss.min(axis=1), size[loss.argmin(axis=1)]
    found = draws_of(best["model_size"])[:, 0]
    inside = (found > 1e7) & (found < 1e11) & (at > 2e7) & (at < 5e10)
    assert inside.sum() > DRAWS / 2
    np.testing.assert_allclose(draws_of(best["loss"])[inside, 0], least[inside], rtol=2e-5)
    assert np.median(abs(np.log(found[inside] / at[inside]))) < 0.02


def test_losses_along_a_budget_are_the_predictions(grid: bl.Fit) -> None:
    sizes = [3e8, 1e9, 3e9]
    table = bl.isoflop(grid, 1e21, sizes)
    points = table[["model_size", "data_size"]]
    predicted = np.median(draws_of(grid.predict(points, "mean")), axis=0)
    np.testing.assert_allclose(table["median"], predicted, rtol=1e-5)


def test_peaks_are_those_of_the_predictions(scores: bl.Fit) -> None:
    current = 4.0
    table = bl.peaks(scores, current_kl=current).iloc[0]
    limit = table["no_peak_below"]
    kl = np.linspace(1e-4, np.sqrt(limit), 2001) ** 2
    score = draws_of(scores.predict({"kl": kl}, "mean"))
    at = kl[score.argmax(axis=1)]
    beyond = score.argmax(axis=1) == len(kl) - 1
    assert table["p_no_peak"] == pytest.approx(beyond.mean(), abs=0.006)
    assert table["kl_peak"] == pytest.approx(np.median(np.where(beyond, np.inf, at)), rel=0.01)
    assert table["score_peak"] == pytest.approx(np.median(score.max(axis=1)), rel=1e-3)
    assert table["p_past_peak"] == pytest.approx((at < current).mean(), abs=0.006)
    now = draws_of(scores.predict({"kl": current}, "mean"))[:, 0]
    lost = np.where(~beyond & (at < current), score.max(axis=1) - now, 0)
    assert table["overoptimization_loss"] == pytest.approx(lost.mean(), rel=0.01)
    law = scores.quantity("kl_peak").median()
    assert abs(np.log(table["kl_peak"] / float(law))) > 0.01


def test_an_optimum_in_closed_form_is_refused_where_the_curve_is_not_the_law() -> None:
    rows = [
        (1e18 * 10**i, lr, bs, 3.0 - 0.1 * i)
        for i in range(3)
        for lr in (1e-4, 1e-3)
        for bs in (1e5, 1e6)
    ]
    table = pd.DataFrame(rows, columns=["compute", "learning_rate", "batch_size", "loss"])
    runs = bl.read_runs(table, "learning_rate_batch_size")
    spec = bl.ModelSpec("learning_rate_batch_size", discrepancy="grid")
    fit = from_the_prior(spec, runs, 20)
    with pytest.raises(SpecError, match="discrepancy='none'"):
        bl.optimum(fit, {"compute": 1e20})


def test_joint_densities_are_those_of_the_dense_normal(curves: bl.Fit) -> None:
    """The hidden end of a curve, draw by draw, against the covariance of its process."""
    hidden = pd.DataFrame({"task": "a", "data_size": [2e7, 5e7, 2e8], "loss": [1.1, 1.0, 0.9]})
    joint = joint_log_density(curves, hidden, np.zeros(3))
    assert joint.shape == (1,)
    apart = log_density(curves, hidden) + np.log(hidden["loss"])  # per unit of log loss
    assert joint[0] != pytest.approx(apart.sum(), abs=0.1)
    # a unit of one run is that run's own density
    alone = joint_log_density(curves, hidden[:1], np.zeros(1))
    assert alone[0] == pytest.approx(apart[0], abs=1e-9)


def test_a_path_has_the_density_of_the_dense_normal() -> None:
    rng = np.random.default_rng(1)
    t, seen = rng.uniform(2, 6, 8), np.repeat([1.0, 0.0], 4)
    residual, variance = rng.normal(0, 0.1, (1, 8)), rng.uniform(1e-4, 1e-3, (1, 8))
    params = {"local_sigma": np.full((1, 1), 0.05), "local_length": np.full((1, 1), 0.7)}
    curve = Curve(("local",), None, t, params, residual, variance, seen)
    K = 0.05**2 * np.exp(-abs(t[:4, None] - t[None, :4]) / 0.7) + np.diag(variance[0, :4])
    r = residual[0, :4]
    dense = -0.5 * (np.linalg.slogdet(2 * np.pi * K)[1] + r @ np.linalg.solve(K, r))
    assert curve.log_density()[0] == pytest.approx(dense)
