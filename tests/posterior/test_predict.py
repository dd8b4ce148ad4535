"""Predictions and quantities: against the law on xarray, exact distributions, plain arithmetic."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from helpers import stored
from scipy import optimize, stats

import bayeslaw as bl
from bayeslaw.decisions.doubts import distance_doubts
from bayeslaw.errors import RunsError, RunsWarning, SpecError, UnknownNameError
from bayeslaw.posterior.draws import Convergence
from bayeslaw.posterior.parameters import Parameters
from bayeslaw.posterior.points import (
    beyond_hull,
    checked_points,
    extrapolation_distance,
    grid,
    points_at,
)
from bayeslaw.spec.noise import draw
from bayeslaw.spec.resolve import resolve

POINT = {"data_size": 1e11, "task": "task0"}


@pytest.fixture(scope="module")
def chinchilla_fit() -> bl.Fit:
    """To a simulated grid: whatever the draws, predictions are made of them in one way."""
    return stored("chinchilla")


def test_mean_is_the_law_at_the_posterior(chinchilla_fit: bl.Fit) -> None:
    """The same formula on xarray, from the posterior's own variables."""
    predicted = chinchilla_fit.predict({"model_size": [70e9, 1e9], "data_size": 1.4e12}, "mean")
    posterior = chinchilla_fit.posterior
    for i, size in enumerate((70e9, 1e9)):
        expected = chinchilla_fit.law.evaluate({"model_size": size, "data_size": 1.4e12}, posterior)
        np.testing.assert_allclose(predicted[..., i], expected, rtol=1e-12)
    assert predicted.dims == ("chain", "draw", "point")
    assert predicted.attrs["unit"] == "nats per token"


def test_run_adds_the_noise_of_the_posterior(chinchilla_fit: bl.Fit) -> None:
    """Log run less log mean is Student-t with each draw's own scale and degrees of freedom: its
    transform is uniform.
    """
    at = {"model_size": [1e9] * 4, "data_size": [2e10, 3e10, 4e10, 5e10]}
    log_ratio = np.log(chinchilla_fit.predict(at, "run")) - np.log(
        chinchilla_fit.predict(at, "mean")
    )
    posterior = chinchilla_fit.idata["posterior"]
    uniform = stats.t.cdf(
        (log_ratio / posterior["sigma"]).values, posterior["nu"].values[..., None]
    )
    assert stats.kstest(uniform.ravel()[::16], "uniform").pvalue > 1e-3


def test_noise_has_its_quantiles() -> None:
    rng = np.random.default_rng(0)
    drawn = draw("student_t", {"nu": np.full((200_000, 1), 4.0), "sigma": 0.5}, (200_000, 1), rng)
    assert stats.kstest(drawn.ravel() / 0.5, stats.t(4.0).cdf).pvalue > 1e-3
    assert (
        stats.kstest(
            draw("laplace", {"sigma": 2.0}, (50_000, 1), rng).ravel() / 2, "laplace"
        ).pvalue
        > 1e-3
    )
    assert (
        stats.kstest(draw("normal", {"sigma": 2.0}, (50_000, 1), rng).ravel() / 2, "norm").pvalue
        > 1e-3
    )


def test_bands_are_the_quantiles_of_the_draws(grouped_fit: bl.Fit) -> None:
    # several blocks
    points = pd.DataFrame({"data_size": np.geomspace(1e6, 1e12, 600), "task": "task1"})
    bands, drawn = grouped_fit.bands(points, probs=(0.5, 0.8)), grouped_fit.predict(points)
    assert list(bands.columns[:8]) == [
        "data_size",
        "task",
        "mean",
        "median",
        "lower_50",
        "upper_50",
        "lower_80",
        "upper_80",
    ]
    np.testing.assert_allclose(bands["upper_80"], drawn.quantile(0.9, ("chain", "draw")))
    np.testing.assert_allclose(bands["mean"], drawn.mean(("chain", "draw")))
    assert ((bands["lower_80"] < bands["lower_50"]) & (bands["upper_50"] < bands["upper_80"])).all()


def test_distance_counts_decades_beyond_the_group(grouped_fit: bl.Fit) -> None:
    distance = grouped_fit.predict({"data_size": [1e5, 1e7, 1e11], "task": ["task0"]})[
        "distance_data_size"
    ]
    np.testing.assert_allclose(distance, [-1, 0, 2], atol=1e-12)


def test_distance_is_from_the_points_own_group() -> None:
    """LoRA ran to 1e5 examples and full finetuning to 1e7: 1e6 is ten times beyond for the one,
    within for the other.
    """
    rows = [("lora", d, d**-0.1) for d in (1e3, 1e4, 1e5)]
    rows += [("fmt", d, d**-0.1) for d in (1e4, 1e6, 1e7)]
    runs = bl.read_runs(pd.DataFrame(rows, columns=["method", "data_size", "loss"]), "power")
    design = resolve(bl.ModelSpec("power"), runs)
    verdict = Convergence(1.0, "", 1e9, "", 1e9, "", 0)
    nothing_drawn = bl.Fit(design, runs, xr.DataTree(), verdict, 1, (), {})
    found = extrapolation_distance(
        nothing_drawn, pd.DataFrame({"data_size": [1e6] * 3, "method": ["lora", "fmt", "prompt"]})
    )
    np.testing.assert_allclose(found["distance_data_size"], [1, 0, 0])
    assert list(found["unseen"]) == ["", "", "method"]


def by_programming(point: np.ndarray, runs: np.ndarray) -> float:
    """The least sum of absolute differences from a mixture of runs, by linear programming."""
    n, size = runs.shape
    differences = np.hstack([runs.T, np.eye(size), -np.eye(size)])
    shares = np.concatenate([np.ones(n), np.zeros(2 * size)])
    cost = np.concatenate([np.zeros(n), np.ones(2 * size)])
    both = np.vstack([differences, shares])
    return float(optimize.linprog(cost, A_eq=both, b_eq=np.append(point, 1)).fun)


@pytest.mark.parametrize(("runs", "size"), [(1, 2), (2, 3), (5, 2), (50, 2), (50, 4)])
def test_the_joint_distance_is_that_to_the_nearest_mixture_of_runs(runs: int, size: int) -> None:
    rng = np.random.default_rng(runs)
    table = rng.uniform(7, 10, (runs, size))
    points = 8.5 + 2 * rng.standard_normal((20, size))
    expected = [by_programming(point, table) for point in points]
    np.testing.assert_allclose(beyond_hull(points, table), expected, atol=1e-6)
    mixtures = rng.dirichlet(np.ones(runs), 20) @ table
    np.testing.assert_array_equal(beyond_hull(np.vstack([mixtures, table]), table), 0)


def test_runs_of_one_ratio_leave_every_other_ratio_outside() -> None:
    size = np.linspace(8, 10, 40)
    runs = np.column_stack([size, size + 1.3])
    points = np.array([[9.0, 10.3], [9.0, 11.3], [11.0, 12.3]])
    np.testing.assert_allclose(beyond_hull(points, runs), [0, 1, 2], atol=1e-6)
    np.testing.assert_allclose(beyond_hull(points, runs[:1]), [2, 3, 6])


def test_new_data_count_once() -> None:
    """Ten times the data, all of it new, is one decade, and ten epochs of what was seen are one."""
    law = bl.law("data_constrained")
    inputs = {"model_size": [1e9] * 3, "data_size": [1e10, 1e11, 1e11]}
    inputs["unique_data"] = [1e10, 1e11, 1e10]
    given = {name: np.array(x) for name, x in inputs.items()}
    logs = np.log10(np.column_stack(list(law.joint_inputs(given).values())))
    np.testing.assert_allclose(beyond_hull(logs, logs[:1]), [0, 1, 2], atol=1e-9)


def test_a_corner_that_no_run_was_near_is_far_although_each_input_is_in_range() -> None:
    """Runs of equal compute, three budgets: the largest model saw few tokens, the smallest many.
    A group has the runs of its own, and a group never seen those of all.
    """
    budget, size = np.meshgrid([1e18, 1e19, 1e20], np.geomspace(0.1, 10, 5))
    n = np.sqrt(budget / 120).ravel() * size.ravel()
    table = pd.DataFrame({"model_size": n, "data_size": budget.ravel() / 6 / n})
    table = table.assign(loss=10 * budget.ravel() ** -0.05)
    both = pd.concat([table.assign(task="a"), table[budget.ravel() < 5e19].assign(task="b")])
    runs = bl.read_runs(both.reset_index(drop=True), "chinchilla", groups=["task"])
    design = resolve(bl.ModelSpec("chinchilla"), runs)
    verdict = Convergence(1.0, "", 1e9, "", 1e9, "", 0)
    nothing_drawn = bl.Fit(design, runs, xr.DataTree(), verdict, 1, (), {})
    corner = {"model_size": n.max(), "data_size": table["data_size"].max()}
    found = extrapolation_distance(
        nothing_drawn, pd.DataFrame([corner | {"task": task} for task in ("a", "b", "new")])
    )
    np.testing.assert_allclose(found["distance_model_size"][[0, 2]], 0)
    np.testing.assert_allclose(found["distance_data_size"][[0, 2]], 0)
    # Compute is a hundred times the largest budget.
    np.testing.assert_allclose(found["distance_joint"][[0, 2]], 2, rtol=1e-6)
    np.testing.assert_allclose(found["distance_joint"][1], 3, rtol=1e-6)
    (doubt,) = distance_doubts({"model_size": 0.0, "data_size": 0.0, "joint": 1.6}, 1.5)
    assert "1.6 decades beyond the runs in model_size and data_size together" in doubt
    assert len(distance_doubts({"model_size": 2.0, "data_size": 0.0, "joint": 2.1}, 1.5)) == 1
    assert distance_doubts({"data_size": 0.3}, 1.5) == []


def test_a_group_never_seen_is_drawn_from_its_population(grouped_fit: bl.Fit) -> None:
    """Its log level is the population's plus a normal of the groups' own scale; a group of the fit
    keeps its own.
    """
    table = pd.DataFrame({"data_size": [1e8, 1e8], "task": ["brand new", "task2"]})
    posterior = Parameters.at(grouped_fit, table, "run")
    deviations = posterior.deviations["A_1|task"]
    scaled = deviations[:, -1] / posterior.variables["A_1|task_sigma"]
    assert stats.kstest(scaled, "norm").pvalue > 1e-3
    level = grouped_fit.law.evaluate(
        {"data_size": grouped_fit.runs.centre["data_size"]}, posterior.of_law(table)
    )
    np.testing.assert_allclose(
        np.log(level[:, 0]),
        np.log(posterior.variables["A_at_centre"]) + deviations[:, -1],
        rtol=1e-10,
    )
    np.testing.assert_allclose(
        np.log(level[:, 1]),
        np.log(posterior.variables["A_at_centre"]) + posterior.variables["A_1|task"][:, 2],
        rtol=1e-10,
    )
    run = np.log(grouped_fit.predict(table.assign(task="brand new"), "run", new_groups=True)).std(
        ("chain", "draw")
    )
    known = np.log(grouped_fit.predict(table.assign(task="task2"), "run")).std(("chain", "draw"))
    assert (run > 3 * known).all()


def test_a_new_group_is_the_same_whatever_stands_beside_it(grouped_fit: bl.Fit) -> None:
    two = pd.DataFrame({"data_size": [1e8, 1e8], "task": ["new", "other"]})
    alone = grouped_fit.predict({"data_size": [1e8], "task": "new"}, new_groups=True)
    beside = grouped_fit.predict(two, new_groups=True)
    together = grouped_fit.predict({"data_size": [1e8, 1e10], "task": "new"}, new_groups=True)
    corr = np.corrcoef(
        np.log(together[..., 0].values.ravel()), np.log(together[..., 1].values.ravel())
    )[0, 1]
    assert corr > 0.7  # the two points share the group's deviations
    a, b = np.log(alone[..., 0].values.ravel()), np.log(beside[..., 0].values.ravel())
    assert np.corrcoef(a, b)[0, 1] > 0.99  # only the noise differs
    missing = grouped_fit.predict(pd.DataFrame({"data_size": [1e8], "task": [None]}))
    assert missing["unseen"].item() == "task"
    # "mean" is the law's curve at the population's value
    at_mean = grouped_fit.predict({"data_size": [1e8], "task": "new"}, "mean", new_groups=True)
    assert float(np.log(at_mean).std()) < 0.6 * float(np.log(alone).std())


def test_same_seed_same_prediction_other_seed_other_noise(grouped_fit: bl.Fit) -> None:
    assert grouped_fit.predict(POINT).identical(grouped_fit.predict(POINT))
    assert not grouped_fit.predict(POINT, random_seed=99).equals(grouped_fit.predict(POINT))


def test_the_seed_reaches_the_error_of_a_baseline_that_no_run_had() -> None:
    fit = stored("scores_with_errors")
    points = pd.DataFrame({"kl": [2.0, 4.0], "baseline": "new", "baseline_se": 0.5})
    table = checked_points(fit.design, fit.runs, points)

    def error(random_seed: int | None) -> np.ndarray:
        return np.asarray(Parameters.at(fit, table, "run", random_seed).baseline_error(table))

    assert (error(5) == error(5)).all()
    assert (error(None) == error(fit.random_seed)).all()
    assert (error(5) != error(6)).any()
    assert (error(5)[:, 0] == error(5)[:, 1]).all()  # one for both points


def test_quantities_are_per_group_and_natural(grouped_fit: bl.Fit) -> None:
    alpha = grouped_fit.quantity("alpha")
    assert alpha.dims == ("chain", "draw", "group")
    assert list(alpha["group"].values) == [f"task{i}" for i in range(6)]
    halve = grouped_fit.quantity("x_to_halve")
    np.testing.assert_allclose(halve, 2 ** (1 / alpha))
    # The law at the group's own parameters is its mean curve.
    i = list(alpha["task"].values).index("task3")
    at = {name: grouped_fit.quantity(name)[..., i] for name in grouped_fit.law.params}
    expected = grouped_fit.law.evaluate({"data_size": 1e8}, at)
    np.testing.assert_allclose(
        expected,
        grouped_fit.predict({"data_size": 1e8, "task": "task3"}, "mean")[..., 0],
        rtol=1e-12,
    )
    with pytest.raises(UnknownNameError, match="Did you mean 'alpha'"):
        grouped_fit.quantity("alhpa")


def test_summary_states_its_interval(chinchilla_fit: bl.Fit) -> None:
    summary = chinchilla_fit.summary(["alpha"], ci_prob=0.8)
    low, high = np.quantile(chinchilla_fit.idata["posterior"]["alpha"], [0.1, 0.9])
    np.testing.assert_allclose(
        summary.loc["alpha", ["lower_80", "upper_80"]].to_numpy(float), [low, high]
    )
    with pytest.raises(UnknownNameError, match="alpha"):
        chinchilla_fit.summary(["alpa"])


@pytest.mark.parametrize(
    ("points", "match"),
    [
        ({"data_size": 1e9}, "column 'model_size': the column is missing"),
        ({"model_size": [1e9, 0, -1], "data_size": 1e9}, "has 2 faults"),
        ({"model_size": "big", "data_size": 1e9}, "'big': it is not a number"),
    ],
)
def test_wrong_points_are_refused(points: dict, match: str, chinchilla_fit: bl.Fit) -> None:
    with pytest.raises(RunsError, match=match):
        chinchilla_fit.predict(points)


def test_wrong_arguments_are_refused(chinchilla_fit: bl.Fit) -> None:
    point = {"model_size": 1e9, "data_size": 1e10}
    with pytest.raises(SpecError, match="kind"):
        chinchilla_fit.predict(point, "new-run")
    with pytest.raises(SpecError, match="probs"):
        chinchilla_fit.bands(point, probs=(90,))


def test_grid_multiplies_out() -> None:
    assert grid({"a": [1, 2], "b": "x", "c": None}).values.tolist() == [
        [1, "x", None],
        [2, "x", None],
    ]


def test_many_points_stay_in_memory(chinchilla_fit: bl.Fit) -> None:
    """4,000 draws x 10,000 points are 320 MB of result; a block's temporaries must not add its
    multiple. The time is in benchmarks/.
    """
    import tracemalloc

    points = pd.DataFrame(
        {
            "model_size": np.geomspace(1e8, 1e12, 10_000),
            "data_size": np.geomspace(1e9, 1e13, 10_000),
        }
    )
    tracemalloc.start()
    chinchilla_fit.bands(points)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.3 * 2**30


def test_a_group_of_no_run_is_said_once_unless_it_is_meant(grouped_fit: bl.Fit) -> None:
    points = pd.DataFrame({"data_size": [1e8, 1e9, 1e9], "task": ["taks1", "taks1", "task0"]})
    for ask in (grouped_fit.predict, grouped_fit.bands):
        with pytest.warns(RunsWarning) as caught:
            ask(points)
        (warning,) = caught
        text = str(warning.message)
        assert text.startswith("No run has task taks1. Did you mean 'task1'")
        assert "new_groups=True" in text
        assert "--new-group" in text
        assert warning.filename == __file__
    with pytest.warns(RunsWarning, match="No run has task xyz. The runs have task0, task1, "):
        grouped_fit.bands({"data_size": 1e8, "task": "xyz"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grouped_fit.bands(points, new_groups=True)
        grouped_fit.predict(points, new_groups=True)
        grouped_fit.bands({"data_size": 1e8, "task": None})
        bl.decide(grouped_fit, points, 1.0)  # its reasons say so
        bl.next_runs(grouped_fit, points, points)
    with pytest.warns(RunsWarning, match="leave its column out"):
        points_at(grouped_fit, {"task": "taks1"}, [{"data_size": 1e9}])


def test_a_missing_input_is_asked_for_by_an_option_that_there_is(grouped_fit: bl.Fit) -> None:
    with pytest.raises(RunsError) as caught:
        grouped_fit.bands({"data_sise": [1e8]})
    size, task = caught.value.faults
    assert (size.column, task.column) == ("data_size", "task")
    assert "on the command line --at data_size=... Did you mean 'data_sise'?" in size.remedy
    assert "The runs have 1e+06 to 1e+09" in size.remedy
    assert "The runs have task0, task1, task2, task3, task4, task5" in task.remedy
    assert "--column" not in str(caught.value)


def test_a_variable_at_the_centre_says_where_that_is(chinchilla_fit: bl.Fit) -> None:
    summary = chinchilla_fit.summary()
    assert summary.loc["A_at_centre", "at"] == "model size 1B, data size 20B"
    assert summary.loc["alpha", "at"] == ""
    assert "..._at_centre: at model size 1B, data size 20B" in str(chinchilla_fit)
    assert repr(chinchilla_fit).startswith("<chinchilla fitted to 36 runs from ")
    assert "at" not in chinchilla_fit.summary(["alpha"])
    assert " (" in stored("sweeps_of_two_factors").summary()["at"].max()  # a centre a factor
