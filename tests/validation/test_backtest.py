"""Backtests: what is hidden, how it is scored, and what the baselines say, against closed forms and
published fits.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import nutpie
import pandas as pd
import pytest
from helpers import POWER, REPOSITORY, grouped_table, unsampled
from scipy import stats

import bayeslaw as bl
from bayeslaw.errors import BayeslawWarning, SpecError
from bayeslaw.fitting import fit_each
from bayeslaw.spec.resolve import resolve
from bayeslaw.validation.baselines import point_scores
from bayeslaw.validation.scores import score_draws, score_value, summarise
from bayeslaw.validation.splits import splits
from bayeslaw.validation.storage import load_backtest

# Scores
# ----------------------------------------------------------------------------------------------


def test_scores_of_a_normal_have_their_closed_forms() -> None:
    """100,000 draws of normals; CRPS in closed form: Gneiting and Raftery 2007, eq. 21 and the
    normal case below it.
    """
    rng = np.random.default_rng(1)
    mean, sd, y = np.array([0.0, 1.0, -2.0]), np.array([1.0, 0.1, 3.0]), np.array([0.4, 1.25, -2.0])
    found = score_draws(mean + sd * rng.standard_normal((100_000, 3)), y, (0.5, 0.9))
    z = (y - mean) / sd
    crps = sd * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    np.testing.assert_allclose(found["crps"], crps, atol=4.5 * 0.6 / np.sqrt(100_000) * sd.max())
    np.testing.assert_allclose(found["pit"], stats.norm.cdf(z), atol=4.5 * 0.5 / np.sqrt(100_000))
    np.testing.assert_allclose(found["upper_90"], mean + 1.6449 * sd, atol=0.03 * sd.max())


def test_the_crps_of_two_draws_is_unbiased() -> None:
    """The estimate from few draws is right on average: over 20,000 pairs of draws, within 4.5
    standard errors.
    """
    rng = np.random.default_rng(2)
    draws = rng.standard_normal((2, 20_000))
    crps = score_draws(draws, np.full(20_000, 0.3), (0.9,))["crps"]
    truth = 0.3 * (2 * stats.norm.cdf(0.3) - 1) + 2 * stats.norm.pdf(0.3) - 1 / np.sqrt(np.pi)
    assert abs(crps.mean() - truth) < 4.5 * crps.std() / np.sqrt(20_000)


def test_a_value_without_width_has_its_absolute_error_as_crps() -> None:
    found = score_value(np.array([1.0, 2.0]), np.array([1.5, 2.0]), (0.9,))
    assert list(found["crps"]) == [0.5, 0.0]
    assert np.isnan(found["lower_90"]).all()
    assert np.isnan(found["log_density"]).all()


def test_summary_by_hand() -> None:
    points = pd.DataFrame(
        {
            "method": ["a"] * 3 + ["b"],
            "error": [0.1, -0.1, np.nan, 0.2],
            "relative_error": [0.1, 0.1, np.nan, 0.2],
            "crps": [0.05, 0.07, np.nan, 0.2],
            "log_density": [1.0, 2.0, np.nan, np.nan],
            "inside_90": [True, False, np.nan, np.nan],
        }
    )
    table = summarise(points, ["method"], [0.9])
    assert table.loc["a", "runs"] == 3
    assert table.loc["a", "predicted"] == 2
    np.testing.assert_allclose(
        table.loc["a", ["rmse", "bias", "crps", "log_density", "coverage_90"]].astype(float),
        [0.1, 0.0, 0.06, 1.5, 0.5],
        atol=1e-12,
    )
    assert np.isnan(table.loc["b", "coverage_90"])


# Splits
# ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs() -> bl.Runs:
    return bl.read_runs(grouped_table(), "power")


def test_splits_hide_what_they_say(runs: bl.Runs) -> None:
    x = runs.inputs["data_size"]
    none, curve = (
        resolve(bl.ModelSpec("power", discrepancy=kind), runs) for kind in ("none", "curve")
    )
    (hidden,) = splits(none, runs, "data_size > 1e8", None, None).values()
    np.testing.assert_array_equal(hidden, x > 1e8)
    assert list(splits(none, runs, ["data_size > 1e8", "task == 'task0'"], None, None)) == [
        "data_size > 1e8",
        "task == 'task0'",
    ]
    (hidden,) = splits(none, runs, None, {"data_size": 2}, None).values()
    np.testing.assert_array_equal(hidden, x > 4e8)
    rolling = splits(none, runs, None, None, {"data_size": 3})
    assert [int(rows.sum()) for rows in rolling.values()] == [6 * 2, 6 * 4, 6 * 6]
    shorter = bl.Runs(
        runs.law,
        runs.table[(runs.table["task"] != "task1") | (runs.table["data_size"] < 1e8)],
        runs.groups,
        runs.source,
    )
    # along curves: the last of each
    (hidden,) = splits(curve, shorter, None, {"data_size": 1}, None).values()
    assert hidden.sum() == 6
    assert hidden[shorter.table["task"] == "task1"].sum() == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "one of holdout, largest and rolling"),
        (
            {"holdout": "data_size > 1", "largest": {"data_size": 1}},
            "one of holdout, largest and rolling",
        ),
        ({"holdout": "data_size > 1e12"}, "none of the 72 runs would be hidden"),
        ({"holdout": "data_size > 1"}, "all of the 72 runs would be hidden"),
        ({"largest": {"model_size": 1}}, "must be an input of power: data_size"),
        ({"largest": {"data_size": 0}}, "whole number of at least 1"),
        ({"holdout": "data_size > 1e8", "baselines": ["hubber"]}, "Did you mean 'huber'"),
        (
            {"holdout": "data_size > 1e8", "baseline_law": "chinchilla"},
            "its inputs and response are not those of power",
        ),
    ],
)
def test_a_backtest_that_cannot_be_meant(arguments: dict, says: str, runs: bl.Runs) -> None:
    with pytest.raises(SpecError, match=says):
        bl.backtest(POWER, runs, **arguments)


# Baselines
# ----------------------------------------------------------------------------------------------


def test_the_line_is_that_of_textbooks() -> None:
    """The prediction interval of a regression on three points: Draper and Smith, Applied Regression
    Analysis, eq. 1.4.12.
    """
    x, loss = np.array([1e5, 1e6, 2e6, 8e6]), np.array([4.0, 3.0, 2.8, 2.45])
    table = pd.DataFrame({"data_size": [*x, 3e7], "loss": [*loss, 2.2]})
    runs = bl.read_runs(table, "power")
    scores = point_scores(
        "line", runs.law, runs.rows(np.arange(5) < 4), runs.table[4:], (0.9,), 1
    ).iloc[0]
    t, y = np.log(x[1:]), np.log(loss[1:])
    fitted = stats.linregress(t, y)
    at = fitted.intercept + fitted.slope * np.log(3e7)
    s = np.sqrt(((y - fitted.intercept - fitted.slope * t) ** 2).sum() / 1)
    width = (
        stats.t.ppf(0.95, 1)
        * s
        * np.sqrt(1 + 1 / 3 + (np.log(3e7) - t.mean()) ** 2 / ((t - t.mean()) ** 2).sum())
    )
    np.testing.assert_allclose(
        scores[["median", "lower_90", "upper_90"]].astype(float), [at, at - width, at + width]
    )


def test_huber_finds_the_published_fit(chinchilla_runs: bl.Runs) -> None:
    """Besiroglu et al. 2024, table 1: the fit to all 240 runs predicts what their parameters
    predict, to a tenth of a per cent.
    """
    published = {"A": 482.01, "B": 2085.43, "E": 1.8172, "alpha": 0.3478, "beta": 0.3658}
    points = pd.DataFrame(
        {"model_size": [1e8, 1e9, 1e10], "data_size": [1e10, 1e11, 2e11], "loss": 2.0}
    )
    scores = point_scores("huber", chinchilla_runs.law, chinchilla_runs, points, (0.9,), 1)
    np.testing.assert_allclose(
        scores["median"], np.log(chinchilla_runs.law.evaluate(points, published)), atol=1e-3
    )


def test_the_best_so_far_is_of_the_group(runs: bl.Runs) -> None:
    seen = runs.rows(runs.inputs["data_size"] < 1e8)
    hidden = runs.table[runs.inputs["data_size"] > 1e8]
    scores = point_scores("best_so_far", runs.law, seen, hidden, (0.9,), 1)
    best = seen.table.groupby("task")["loss"].min()
    np.testing.assert_allclose(np.exp(scores["median"]), hidden["task"].map(best))


def test_the_best_optimum_so_far_is_the_largest() -> None:
    """An optimal model size is no loss, although its scale is the logarithm."""
    table = pd.DataFrame({"compute": [1e18, 1e19, 1e20], "optimal_model_size": [1e8, 3e8, 9e8]})
    runs = bl.read_runs(table, "allocation")
    hidden = runs.inputs["compute"] > 5e19
    scores = point_scores(
        "best_so_far", runs.law, runs.rows(~hidden), runs.table[hidden], (0.9,), 1
    )
    np.testing.assert_allclose(np.exp(scores["median"]), [3e8])


def test_what_least_squares_cannot_tell_starts_at_the_priors_median() -> None:
    """No run repeats its data, so that none says what a repeat is worth: the forecast of those that
    do is that of the prior's median, and the scores say so. Simulated without noise.
    """
    law = bl.law("data_constrained")
    truth = {"A": 480.0, "B": 2000.0, "E": 1.8, "alpha": 0.35, "beta": 0.35, "R_D": 15.0}
    sizes, data = np.meshgrid(np.geomspace(1e8, 3e9, 5), np.geomspace(1e9, 5e10, 5))
    table = pd.DataFrame({"model_size": sizes.ravel(), "data_size": data.ravel()})
    table = table.assign(unique_data=table["data_size"])
    repeats = pd.DataFrame({"model_size": 1e9, "data_size": 1e11, "unique_data": [1e10, 2e9]})
    both = pd.concat([table, repeats], ignore_index=True)
    inputs = {name: both[name].to_numpy() for name in law.inputs}
    # excess parameters are worth what they count, so that they are not in question
    params = {**truth, "R_N": 1e6}
    runs = bl.read_runs(both.assign(loss=law.evaluate(inputs, params)), law)
    hidden = np.asarray(both["data_size"] > both["unique_data"])
    scores = point_scores("huber", law, runs.rows(~hidden), runs.table[hidden], (0.9,), 1)
    at_median = law.evaluate(
        {name: x[hidden] for name, x in inputs.items()}, {**params, "R_D": 10.0}
    )
    np.testing.assert_allclose(np.exp(scores["median"]), at_median, rtol=3e-3)
    (note,) = scores.attrs["notes"]
    assert note.startswith("huber: the runs seen say next to nothing about R_D")


# All of it
# ----------------------------------------------------------------------------------------------


# few draws, and a baseline that need not converge
pytestmark = pytest.mark.filterwarnings("ignore::bayeslaw.errors.BayeslawWarning")


@pytest.fixture(scope="module")
def result(runs: bl.Runs) -> bl.Backtest:
    with warnings.catch_warnings():  # marks do not reach fixtures
        warnings.simplefilter("ignore", BayeslawWarning)
        return bl.backtest(
            POWER,
            runs,
            rolling={"data_size": 2},
            draws=250,
            tune=300,
            attempts=1,
            random_seed=1,
            progressbar=False,
        )


def test_a_backtest_scores_every_method_on_every_split(result: bl.Backtest) -> None:
    table = result.scores(("method", "split"))
    assert set(table.index.get_level_values("method")) == {
        "bayeslaw",
        "huber",
        "line",
        "best_so_far",
        "alone",
    }
    assert (table["runs"] == table["predicted"]).all()
    assert len(table) == 10
    own = result.scores().loc["bayeslaw"]
    assert own["rmse"] < 0.03
    assert 0.75 <= own["coverage_90"] <= 1
    assert own["crps"] < result.scores().loc["best_so_far", "crps"] / 3
    assert set(result.seconds) == {"bayeslaw", "huber", "line", "best_so_far", "alone"}
    assert "coverage_90" in str(result)
    assert "2 splits" in str(result)
    with pytest.raises(SpecError, match="no column tsk"):
        result.scores(("method", "tsk"))


def test_fits_to_parts_are_fits_to_their_runs(runs: bl.Runs, result: bl.Backtest) -> None:
    """One compile for two parts gives what a fit of each part alone gives, within Monte Carlo
    error.
    """
    fit = result.fits["data_size: last 2/4"]
    assert len(fit.runs) == 36
    assert fit.runs.inputs["data_size"].max() < 4e7
    alone = bl.fit(POWER, fit.runs, draws=300, tune=400, random_seed=5, progressbar=False)
    a, b = fit.summary(), alone.summary()
    assert set(a.index) == set(b.index)
    b = b.loc[a.index]
    error = np.hypot(a["sd"] / np.sqrt(a["ess_bulk"]), b["sd"] / np.sqrt(b["ess_bulk"]))
    assert ((a["mean"] - b["mean"]).abs() < 4.5 * error).all()
    assert fit.idata["observed_data"].sizes["run"] == 36


def test_parts_share_a_compile_and_a_part_without_a_group_knows_nothing_of_it(
    runs: bl.Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiles, compile_model = [], nutpie.compile_pymc_model
    monkeypatch.setattr(
        nutpie,
        "compile_pymc_model",
        lambda *args, **options: compiles.append(1) or compile_model(*args, **options),
    )
    parts = [(runs.table["task"] != "task0").to_numpy(), (runs.table["task"] != "task1").to_numpy()]
    fits = fit_each(
        replace(POWER, effects={"A": "1 + (1 | task)", "alpha": "1", "E": "1"}),
        runs,
        parts,
        draws=50,
        tune=200,
        chains=2,
        attempts=1,
        random_seed=1,
        progressbar=False,
    )
    assert len(compiles) == 1
    assert "task0" not in fits[0].idata["posterior"]["task"]
    assert "task0" in fits[1].idata["posterior"]["task"]
    bands = fits[0].bands({"data_size": 1e9, "task": "task0"}, new_groups=True)
    assert bands["unseen"].iloc[0] == "task"


def test_chinchilla_is_foretold_from_a_fifth_of_its_compute(chinchilla_runs: bl.Runs) -> None:
    """Public runs: up to 1e20 FLOP seen, beyond 3e20 hidden. Every tool measured covers .44 to .49
    at 90 %, by about 1 % error.
    """
    kept = (chinchilla_runs.table["compute"] < 1e20) | (chinchilla_runs.table["compute"] > 3e20)
    runs = chinchilla_runs.rows(kept.to_numpy()).with_law(bl.law("skaling"))
    result = bl.backtest(
        "skaling", runs, "compute > 3e20", baselines=False, random_seed=1, progressbar=False
    )
    scores = result.scores().loc["bayeslaw"]
    assert result.converged
    assert scores["runs"] == 63
    assert 0.85 <= scores["coverage_90"] <= 0.97
    assert scores["crps"] < 0.0072
    assert scores["relative_error"] < 0.0095


def test_a_column_of_runs_named_method_does_not_hide_the_methods_that_are_scored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unsampled(monkeypatch)
    table = grouped_table().rename(columns={"task": "method"})
    runs = bl.read_runs(table, "power")
    result = bl.backtest(
        bl.ModelSpec("power", discrepancy="none", effects={"E": "1"}),
        runs,
        largest={"data_size": 3},
        baselines=["best_so_far"],
        draws=300,
        tune=400,
        random_seed=1,
        progressbar=False,
    )
    assert result.groups == ("runs_method",)
    assert set(result.points["method"]) == {
        "bayeslaw",
        "best_so_far",
    }
    assert set(result.points["runs_method"]) == set(table["method"])
    assert "runs_method" in result.seen
    assert len(result.scores(("method", "runs_method"))) == 12


def test_a_backtest_saved_before_modules_moved_still_loads() -> None:
    """Its points, and the bands of its fit, are those that the version that saved it printed."""
    tested = load_backtest(REPOSITORY / "tests" / "golden" / "backtest_simulated_0.1.0.nc")
    assert len(tested.points) == 12
    assert tested.points["median"].iloc[0] == pytest.approx(0.9356748481859178, rel=1e-12)
    (fitted,) = tested.fits.values()
    bands = fitted.bands({"data_size": [1e10], "task": ["task0"]})
    assert bands["lower_90"].iloc[0] == pytest.approx(0.6811012707381474, rel=1e-12)
