"""Over-optimisation: KL of best-of-n, closed forms, relative scores, peaks, inverse problems,
checkpoints, stopping.
"""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import stored
from scipy import optimize, stats
from simulate_overoptimization import coefficients

import bayeslaw as bl
from bayeslaw.checks.residuals import check_residuals
from bayeslaw.curves.binning import binned
from bayeslaw.decisions.checkpoints import allot
from bayeslaw.errors import BayeslawWarning, RunsError, RunsWarning, SpecError, UnknownNameError
from bayeslaw.fitting import fit_each
from bayeslaw.laws.kl import BestOfN, ReinforcementLearning
from bayeslaw.runs.measurement import noise_scale
from bayeslaw.spec.identifiability import identifiability_warnings, sensitivity
from bayeslaw.spec.resolve import resolve
from bayeslaw.text import numeric_labels

# ---- KL of best-of-n


@pytest.mark.parametrize(
    ("n", "kl"),
    [
        (10, "1.403"),
        (16, "1.835"),
        (64, "3.175"),
        (128, "3.860"),
        (1000, "5.909"),
        (12_500, "8.434"),
        (60_000, "10.002"),
    ],
)
def test_kl_of_n_as_tabulated(n: int, kl: str) -> None:
    assert f"{bl.kl_of_n(n):.3f}" == kl


def test_n_and_kl_are_inverse_to_the_last_digits() -> None:
    n = np.concatenate([[1.0], 1 + np.geomspace(1e-8, 1, 50), np.geomspace(2, 1e300, 200)])
    np.testing.assert_allclose(bl.n_of_kl(bl.kl_of_n(n)), n, rtol=1e-12)
    kl = np.geomspace(1e-12, 600, 300)
    np.testing.assert_allclose(bl.kl_of_n(bl.n_of_kl(kl)), kl, rtol=1e-12, atol=1e-15)
    assert bl.n_of_kl(1e4) == math.inf


def test_kl_of_n_is_that_of_the_best_of_n_uniform_samples() -> None:
    """The best of n has the density n u^(n-1) where one has 1: the KL by integration."""
    from scipy.integrate import quad

    for n in (2, 5, 40):
        by_integration, _ = quad(
            lambda u, n=n: n * u ** (n - 1) * math.log(n * u ** (n - 1)), 0, 1, points=[0.5, 0.9]
        )
        assert bl.kl_of_n(n) == pytest.approx(by_integration, rel=1e-8)


# ---- Closed forms


def complex_step(form: Any, d: float, **params: float) -> float:
    """The derivative of a score by d, to the last digit: no difference is taken."""
    return float(form.expected(kl=(d + 1e-30j) ** 2, **params).imag / 1e-30)


@pytest.mark.parametrize("form", [BestOfN, ReinforcementLearning])
@pytest.mark.parametrize(("alpha", "beta"), [(0.36, 0.155), (0.41, 0.135), (0.9, 0.12), (2.0, 3.0)])
def test_peaks_are_those_of_numeric_maximisation(form: Any, alpha: float, beta: float) -> None:
    law = bl.law("overoptimization_bon" if form is BestOfN else "overoptimization_rl")
    params = {"alpha": alpha, "beta": beta}
    guess = law.value("d_peak", **params)
    found = optimize.brentq(
        lambda d: complex_step(form, d, **params), guess / 3, guess * 3, xtol=1e-15, rtol=1e-15
    )
    assert law.value("d_peak", **params) == pytest.approx(found, rel=1e-10)
    assert law.value("kl_peak", **params) == pytest.approx(found**2, rel=1e-10)
    assert law.value("score_peak", **params) == pytest.approx(
        law.evaluate({"kl": found**2}, params), rel=1e-10
    )


def test_a_law_that_hardly_bends_has_its_peak_out_of_reach() -> None:
    for law in map(bl.law, ("overoptimization_bon", "overoptimization_rl")):
        d = law.value("d_peak", alpha=np.array([0.5]), beta=np.array([1e-5]))
        assert d > 1e4
        assert law.value("past_peak", kl=100.0, alpha=np.array([0.5]), beta=np.array([1e-5])) == 0
        assert (
            law.value(
                "overoptimization_loss", kl=100.0, alpha=np.array([0.5]), beta=np.array([1e-5])
            )
            == 0
        )


def test_rounds_of_rlhf_add_up() -> None:
    """k rounds of d / k each give k times the gain of one, and beta d log k more than one round of
    d (Gao et al. 2022, section 4.3).
    """
    one, many = bl.law("overoptimization_rl"), bl.law("overoptimization_rl_iterated")
    params, d = {"alpha": 0.4, "beta": 0.15}, 6.0
    three = many.evaluate({"kl": d**2, "rounds": 3.0}, params)
    assert three == pytest.approx(3 * one.evaluate({"kl": (d / 3) ** 2}, params), rel=1e-14)
    assert three - one.evaluate({"kl": d**2}, params) == pytest.approx(
        0.15 * d * math.log(3), rel=1e-12
    )
    assert many.value("d_peak", rounds=3.0, kl=1.0, **params) == pytest.approx(
        3 * one.value("d_peak", **params), rel=1e-14
    )
    assert many.value("kl_peak", rounds=1.0, kl=1.0, **params) == one.value("kl_peak", **params)


def test_the_peaks_that_papers_md_computes() -> None:
    """Peaks of figure 1 as KL, and the coefficients that they imply: about 15 at .36, .155."""
    law = bl.law("overoptimization_rl")
    assert law.value("kl_peak", alpha=0.36, beta=0.155) == pytest.approx(
        math.exp(2 * 0.36 / 0.155 - 2)
    )
    assert law.value("kl_peak", **coefficients("gold", "rl", 3e9)) == pytest.approx(75.2, abs=0.1)


# ---- Tables


def rows(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_kl_follows_from_n_and_the_initial_policy_says_nothing() -> None:
    runs = bl.read_runs(rows(n=[1, 2, 16], gold_score=[0.0, 0.2, 0.5]), "overoptimization_bon")
    np.testing.assert_allclose(runs.table["kl"], bl.kl_of_n([2, 16]))
    assert any("upper bound" in note for note in runs.notes)
    assert any("left out" in note for note in runs.notes)
    with pytest.warns(RunsWarning, match="single run"):
        both = bl.read_runs(
            rows(method=["bon", "rl"], n=[4, None], kl=[None, 9.0], gold_score=[0.3, 0.6]),
            "overoptimization",
        )
    np.testing.assert_allclose(both.table["kl"], [bl.kl_of_n(4), 9.0])


def test_a_score_at_the_initial_policy_that_is_not_zero_is_a_fault_with_its_remedy() -> None:
    with pytest.raises(
        RunsError,
        match=r"row 0, column 'gold_score': 1.5: the score at KL = 0 is not 0.*relative_scores",
    ):
        bl.read_runs(rows(kl=[0.0, 4.0], gold_score=[1.5, 2.0]), "overoptimization_rl")
    with pytest.raises(RunsError) as raised:
        bl.read_runs(rows(n=[0.5, 2.0], gold_score=[0.1, "x"]), "overoptimization_bon")
    assert "n is below 1" in str(raised.value)
    assert "'x'" in str(raised.value)


def test_a_rate_is_observed_at_the_initial_policy_and_lies_between_0_and_1() -> None:
    runs = bl.read_runs(rows(kl=[0.0, 4.0], gold_rate=[0.5, 0.6]), "overoptimization_rl_rate")
    assert len(runs) == 2
    assert runs.table["kl"].iloc[0] < 1e-5
    with pytest.raises(RunsError, match="it must be below 1"):
        bl.read_runs(rows(kl=[1.0, 4.0], gold_rate=[50.0, 0.6]), "overoptimization_rl_rate")


def test_methods_other_than_the_two_are_named() -> None:
    with pytest.raises(
        RunsError, match=r"row 1, column 'method': 'ppo': it is neither 'bon' nor 'rl'"
    ):
        bl.read_runs(
            rows(method=["bon", "ppo"], kl=[1.0, 2.0], gold_score=[0.1, 0.2]), "overoptimization"
        )


def test_relative_scores_carry_the_error_of_the_baseline() -> None:
    raw = rows(
        kl=[0.0, 0.0, 1.0, 4.0], gold_score=[2.0, 2.2, 3.1, 4.1], gold_score_se=[0.1, 0.1, 0.2, 0.3]
    )
    found = bl.relative_scores(raw, unit=2.0)
    np.testing.assert_allclose(found["gold_score"], [(3.1 - 2.1) / 2, (4.1 - 2.1) / 2])
    np.testing.assert_allclose(found["gold_score_se"], [0.1, 0.15])
    # two values of error .1, averaged
    np.testing.assert_allclose(found["baseline_se"], 0.1 / math.sqrt(2) / 2)
    np.testing.assert_allclose(found["baseline"], 2.1)
    spread = bl.relative_scores(raw.drop(columns="gold_score_se"))
    np.testing.assert_allclose(spread["baseline_se"], np.std([2.0, 2.2], ddof=1) / math.sqrt(2))
    by = bl.relative_scores(
        pd.concat(
            [raw.assign(policy="a"), raw.assign(policy="b", gold_score=raw["gold_score"] + 5)],
            ignore_index=True,
        ),
        by="policy",
    )
    np.testing.assert_allclose(by["gold_score"].to_numpy()[:2], by["gold_score"].to_numpy()[2:])
    assert list(by.index) == [2, 3, 6, 7]
    assert by["baseline"].nunique() == 2
    # an index that repeats
    same = bl.relative_scores(
        pd.concat([raw.assign(policy="a"), raw.assign(policy="b")]), by="policy"
    )
    # equal scores of two policies are two baselines
    assert list(same.index) == [2, 3, 2, 3]
    assert same["baseline"].nunique() == 2


def test_n_is_of_best_of_n_only() -> None:
    table = rows(
        method=["bon", "rl"] * 2,
        n=[4, 4, 8, 8],
        kl=[np.nan, 9.0, np.nan, 16.0],
        gold_score=[0.4, 0.9, 0.5, 1.0],
    )
    np.testing.assert_allclose(
        bl.read_runs(table, "overoptimization").table["kl"],
        [bl.kl_of_n(4), 9.0, bl.kl_of_n(8), 16.0],
    )
    with pytest.raises(RunsError, match="row 1, column 'kl': the value is missing"):
        bl.read_runs(table.assign(kl=np.nan), "overoptimization")
    with pytest.raises(RunsError, match="column 'kl': the column is missing"):
        bl.read_runs(rows(n=[4, 8], gold_score=[0.4, 0.9]), "overoptimization_rl")
    with pytest.raises(RunsError, match="row 1, column 'n': 'many': it is not a number"):
        bl.read_runs(rows(n=[4, "many"], gold_score=[0.4, 0.9]), "overoptimization_bon")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayeslaw.errors.BayeslawWarning")
def test_parts_of_a_table_of_rates_are_fitted_with_one_compile() -> None:
    """No prior of a rate's law is in units of the typical response, so that the compiled model does
    not have it.
    """
    kl = np.tile(np.linspace(1, 20, 12), 2)
    rate = BestOfN.expected(kl=kl, alpha=0.6, beta=0.08)
    table = rows(kl=kl, gold_rate=1 / (1 + np.exp(-rate)), model=np.repeat(["a", "b"], 12))
    runs = bl.read_runs(table, "overoptimization_bon_rate")
    early = (runs.table["kl"] < 12).to_numpy()
    parts = fit_each(
        "overoptimization_bon_rate",
        runs,
        [early, early | True],
        draws=100,
        tune=200,
        chains=2,
        attempts=1,
        random_seed=1,
        progressbar=False,
    )
    assert [len(part.runs) for part in parts] == [int(early.sum()), 24]


def test_faults_of_rows_left_out_are_no_faults() -> None:
    runs = bl.read_runs(
        rows(n=[0.5, 4.0], gold_score=[0.1, 0.4]), "overoptimization_bon", where="n >= 1"
    )
    assert len(runs) == 1


def test_a_scaled_score_has_a_scaled_error() -> None:
    runs = bl.read_runs(
        rows(kl=[1.0, 4.0], gold_score=[1.0, 2.0], gold_score_se=[0.1, 0.1]),
        "overoptimization_rl",
        scale={"gold_score": 0.5},
    )
    np.testing.assert_allclose(runs.table["gold_score_se"], 0.05)


def test_relative_scores_names_every_fault() -> None:
    with pytest.raises(RunsError) as raised:
        bl.relative_scores(
            rows(kl=[0.0, 1.0, 1.0], policy=["a", "a", "b"], gold_score=[1.0, 2.0, "x"]),
            by="policy",
        )
    text = str(raised.value)
    assert "row 2, column 'gold_score': 'x': it is not a finite number" in text
    assert "policy = b has no row with kl == 0" in text
    assert "policy = a has one row of the initial policy, of unknown error" in text
    with pytest.raises(RunsError) as raised:
        bl.relative_scores(
            rows(
                kl=[0.0, 1.0],
                policy=["a", None],
                gold_score=[1.0, 2.0],
                gold_score_se=[0.1, np.inf],
            ),
            by="policy",
        )
    assert "row 1, column 'policy': the group is missing" in str(raised.value)
    assert "row 1, column 'gold_score_se'" in str(raised.value)
    with pytest.raises(RunsError, match="unit is -1"):
        bl.relative_scores(rows(kl=[0.0], gold_score=[1.0]), unit=-1)


def test_noise_of_a_row_adds_its_standard_error() -> None:
    law = bl.law("overoptimization_rl_rate")
    table = rows(gold_rate=[0.5, 0.9], gold_rate_se=[0.01, 0.01], averaged=[1.0, 4.0])
    expected = np.sqrt([0.2**2 + (0.01 / 0.25) ** 2, 0.2**2 / 4 + (0.01 / 0.09) ** 2])
    np.testing.assert_allclose(noise_scale(0.2, table, law), expected)
    assert noise_scale(0.2, rows(gold_rate=[0.5]), law) == pytest.approx(0.2)


# ---- Effects by default


def test_sizes_have_trends() -> None:
    table = bl.dataset("overoptimization_simulated")
    runs = bl.read_runs(table, "overoptimization")
    effects = resolve(bl.ModelSpec("overoptimization"), runs).spec.effects
    size = "1 + log10(reward_model_size) + (1 | reward_model_size)"
    assert (
        effects["alpha_bon"]
        == effects["beta_bon"]
        == effects["alpha_rl"]
        == effects["beta_rl"]
        == f"{size} + (1 | policy_size)"
    )
    one = resolve(bl.ModelSpec("overoptimization", effects={"alpha_rl": "1"}), runs).spec.effects
    assert one["alpha_rl"] == "1"
    data = bl.read_runs(
        table.rename(columns={"reward_model_size": "reward_model_data"}),
        "overoptimization_rl",
        where="method == 'rl'",
    )
    assert (
        "log10(reward_model_data)"
        in resolve(bl.ModelSpec("overoptimization_rl"), data).spec.effects["alpha"]
    )
    two = table[table["reward_model_size"] < 2e7]
    assert (
        "log10"
        not in resolve(
            bl.ModelSpec("overoptimization"), bl.read_runs(two, "overoptimization")
        ).spec.effects["beta_rl"]
    )


def test_curves_that_have_not_peaked_are_told_of_before_sampling() -> None:
    table = bl.dataset("overoptimization_simulated")
    runs = bl.read_runs(
        table[(table["policy_size"] == 1.2e9) & (table["kl"] < 9)], "overoptimization"
    )
    resolved = resolve(bl.ModelSpec("overoptimization"), runs)
    told = [
        text
        for text in identifiability_warnings(resolved, runs, sensitivity(resolved, runs))
        if "peak at KL" in text
    ]
    (text,) = told  # best-of-n peaks at 6 on the whole, RL at 35
    match = re.fullmatch(
        r"rl: taken together, the 99 runs reach KL = 7.56, but overoptimization puts their peak at"
        r" KL = ([\d.]+), where no run has been: .*",
        text,
    )
    assert match
    assert 15 < float(match[1]) < 80
    whole = bl.read_runs(table, "overoptimization")
    resolved = resolve(bl.ModelSpec("overoptimization"), whole)
    assert not any(
        "peak at KL" in text
        for text in identifiability_warnings(resolved, whole, sensitivity(resolved, whole))
    )


# ---- A fit to simulated curves


@pytest.fixture(scope="module")
def simulated() -> bl.Fit:
    """Simulated RL curves of one policy against nine reward models."""
    table = bl.dataset("overoptimization_simulated")
    runs = bl.read_runs(
        table, "overoptimization_rl", where="method == 'rl' and policy_size == 1.2e9"
    )
    return bl.fit(
        "overoptimization_rl", runs, draws=500, tune=500, random_seed=2, progressbar=False
    )


def test_the_peaks_of_simulated_curves_are_found(simulated: bl.Fit) -> None:
    found = bl.peaks(simulated)
    law = bl.law("overoptimization_rl")
    manifest = bl.dataset("overoptimization_simulated").attrs["manifest"]["truth"]
    truth = []
    for size in found["reward_model_size"]:
        params = coefficients("gold", "rl", size)
        params["beta"] *= math.exp(manifest["deviation_of_log_beta_gold"][f"{size:g}"])
        truth.append(law.value("kl_peak", **params))
    inside = (found["lower_90_kl_peak"] <= truth) & (truth <= found["upper_90_kl_peak"])
    assert inside.sum() >= 7  # of nine; 6 or fewer happen once in a hundred sets at 90 %
    assert list(found["reward_model_size"]) == sorted(found["reward_model_size"])
    assert simulated.convergence.passed
    assert found["converged"].all()


def test_quantities_agree_with_each_other_draw_by_draw(simulated: bl.Fit) -> None:
    kl = simulated.quantity("kl_peak")
    np.testing.assert_allclose(simulated.quantity("d_peak") ** 2, kl)
    np.testing.assert_allclose(simulated.quantity("kl_gap", kl=30.0), kl - 30)
    past, lost = (
        simulated.quantity("past_peak", kl=30.0),
        simulated.quantity("overoptimization_loss", kl=30.0),
    )
    np.testing.assert_array_equal(past, kl < 30)
    assert (lost.values[past.values == 1] >= 0).all()
    assert (lost.values[past.values == 0] == 0).all()
    table = bl.peaks(simulated, current_kl=30.0, reach=40.0)
    by_hand = (kl > 40).mean(("chain", "draw"))
    order = [f"{size:g}" for size in table["reward_model_size"]]
    np.testing.assert_allclose(
        table["p_no_peak"],
        (
            by_hand.sel(group=order)
            if "group" in kl.indexes
            else by_hand.values[[list(kl["group"].values).index(g) for g in order]]
        ),
    )
    with pytest.raises(
        SpecError, match="kl_gap of overoptimization_rl needs kl; it was given none"
    ):
        simulated.quantity("kl_gap")
    with pytest.raises(
        SpecError, match="kl_peak of overoptimization_rl needs no input; it was given kl"
    ):
        simulated.quantity("kl_peak", kl=3.0)
    with pytest.raises(SpecError, match="kl is -1, and it must be a positive number"):
        simulated.quantity("kl_gap", kl=-1)


def test_draws_without_a_peak_within_reach_stay_in_the_intervals(simulated: bl.Fit) -> None:
    drawn = (
        simulated.quantity("kl_peak")
        .sel(group=simulated.quantity("kl_peak")["group"] == "3e+09")
        .values.ravel()
    )
    table = bl.peaks(simulated, reach=float(np.median(drawn)))
    row = table[table["reward_model_size"] == 3e9].iloc[0]
    assert row["p_no_peak"] == pytest.approx(0.5, abs=0.01)
    assert row["upper_90_kl_peak"] == pytest.approx(np.quantile(drawn, 0.95), rel=0.01)


def test_stopping_says_stop_past_the_peak_and_go_on_before_it(simulated: bl.Fit) -> None:
    early, late = bl.stopping(simulated, 4.0), bl.stopping(simulated, 99.0)
    assert set(early["advice"]) == {"go on"}
    assert (early["expected_gain"] > 0).all()
    small = late[late["reward_model_size"] < 1e8]
    assert set(small["advice"]) == {"stop"}
    assert (small["stop_at_kl"] == 99.0).all()
    assert (small["expected_gain"] == 0).all()
    # The best KL of the expected score lies within the peak's own distribution.
    assert (
        (early["stop_at_kl"] > early["lower_90_kl_peak"])
        & (early["stop_at_kl"] < early["upper_90_kl_peak"])
    ).all()
    failed = replace(simulated, convergence=replace(simulated.convergence, rhat=2.0))
    assert set(bl.stopping(failed, 4.0)["advice"]) == {"not converged"}


def test_solving_for_an_input_and_for_a_size_inverts_the_law(simulated: bl.Fit) -> None:
    at = {"reward_model_size": 3e8}
    kl = bl.solve_for(simulated, "kl", 0.6, at)
    alpha, beta = (simulated.quantity(name).sel(group="3e+08") for name in ("alpha", "beta"))
    some = slice(None, None, 400)
    for k, a, b in zip(
        kl.values.ravel()[some],
        np.asarray(alpha.values).ravel()[some],
        beta.values.ravel()[some],
        strict=True,
    ):
        root = optimize.brentq(
            lambda d, a=a, b=b: d * (a - b * math.log(d)) - 0.6, 1e-3, math.exp(a / b - 1)
        )
        assert k == pytest.approx(root**2, rel=1e-4)
    size = bl.solve_for(simulated, "reward_model_size", 0.95, of="score_peak")
    assert size.attrs["p_none"] < 0.05
    posterior = simulated.posterior
    decades = np.log10(size.values.ravel())
    decades -= np.log10(simulated.runs.table["reward_model_size"].astype(float)).mean()
    there = {
        name: posterior[f"{name}_at_centre"].values.ravel()
        * np.exp(posterior[f"{name}_log10(reward_model_size)"].values.ravel() * decades)
        for name in ("alpha", "beta")
    }
    found = simulated.law.value(
        "score_peak", **simulated.law.from_centre(there, simulated.runs.centre)
    )
    known = np.isfinite(size.values.ravel())
    np.testing.assert_allclose(found[known], 0.95, rtol=1e-5)


def test_a_target_out_of_reach_is_a_probability(simulated: bl.Fit) -> None:
    never = bl.solve_for(simulated, "kl", 50.0, {"reward_model_size": 3e8})
    assert never.attrs["p_none"] == 1
    assert never.attrs["p_above"] == 0
    assert np.isnan(never).all()
    always = bl.solve_for(simulated, "reward_model_size", 0.01, of="score_peak")
    assert always.attrs["p_none"] == always.attrs["p_above"] == 1
    with pytest.raises(UnknownNameError, match="input or covariate to solve for named 'size'"):
        bl.solve_for(simulated, "size", 1.0)
    with pytest.raises(SpecError, match="bounds are 5 and 2"):
        bl.solve_for(simulated, "kl", 1.0, {"reward_model_size": 3e8}, bounds=(5, 2))


def test_what_a_run_is_worth_lies_within_what_it_would_log(simulated: bl.Fit) -> None:
    points = {"kl": [25.0, 150.0], "reward_model_size": 3e8, "policy_size": 1.2e9}
    width = {
        kind: simulated.predict(points, kind).std(("chain", "draw")).values
        for kind in ("mean", "latent", "run")
    }
    assert (width["latent"] < width["run"]).all()
    assert width["latent"][1] > width["latent"][0]


def test_the_best_of_checkpoints_is_the_one_that_wins_most_draws(simulated: bl.Fit) -> None:
    table = rows(kl=[4.0, 46.0, 51.0, 55.0], reward_model_size=3e8)
    found = bl.best_checkpoint(simulated, table, evaluations=2000, evaluation_sd=0.3)
    drawn = simulated.predict(table, "latent").values.reshape(-1, 4)
    np.testing.assert_allclose(
        found["p_best"], np.bincount(drawn.argmax(axis=1), minlength=4) / len(drawn)
    )
    np.testing.assert_allclose(
        found["expected_regret"], (drawn.max(axis=1, keepdims=True) - drawn).mean(axis=0)
    )
    assert found.attrs["best"] == found["expected_regret"].idxmin()
    assert found.attrs["regret_after"] <= found.attrs["regret"]
    assert found["evaluations"].sum() == 2000
    assert found["evaluations"].iloc[0] == 0
    with pytest.raises(SpecError, match="nothing to choose from"):
        bl.best_checkpoint(simulated, table.head(1))


def test_the_density_along_a_curve_is_that_of_the_dense_normal(simulated: bl.Fit) -> None:
    """The conditional mean at new points of one curve, by the textbook formula, for one draw of the
    parameters.
    """
    posterior = simulated.idata["posterior"].to_dataset().isel(chain=0, draw=0)
    one = replace(
        simulated,
        idata=type(simulated.idata).from_dict(
            {
                "posterior": (
                    simulated.idata["posterior"].to_dataset().isel(chain=[0], draw=[0] * 400)
                ),
                "sample_stats": simulated.idata["sample_stats"].to_dataset(),
            }
        ),
    )
    table = simulated.runs.table[simulated.runs.table["reward_model_size"] == "3e+08"]
    new = np.array([5.1, 10.5])
    points = rows(kl=new**2, reward_model_size=3e8, policy_size=1.2e9)
    drawn = one.predict(points, "latent").values.reshape(400, 2)
    located = one.predict(points, "mean").values.reshape(400, 2)[0]
    seen = one.predict(table[["kl", "reward_model_size", "policy_size"]], "mean").values.reshape(
        400, -1
    )[0]
    d, scale, length = (
        np.sqrt(table["kl"].to_numpy(float)),
        float(posterior["local_sigma"]),
        float(posterior["local_length"]),
    )
    deviation = float(
        posterior["sigma_1|method:policy_size:reward_model_size"].sel(
            {"method:policy_size:reward_model_size": "rl:1.2e+09:3e+08"}
        )
    )
    sigma = float(posterior["sigma"]) * math.exp(deviation)

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return scale**2 * np.exp(-abs(a[:, None] - b[None, :]) / length)

    gain = kernel(new, d) @ np.linalg.inv(kernel(d, d) + sigma**2 * np.eye(len(d)))
    mean = located + gain @ (table["gold_score"].to_numpy(float) - seen)
    covariance = kernel(new, new) - gain @ kernel(d, new)
    error = np.sqrt(np.diag(covariance) / 400)
    assert (abs(drawn.mean(axis=0) - mean) < 4 * error).all()
    assert drawn.var(axis=0) == pytest.approx(np.diag(covariance), rel=0.35)


# ---- Evaluations


def test_evaluations_go_where_a_choice_hangs_on_them() -> None:
    spent, _ = allot(np.array([1.0, 1.0, 0.0]), np.diag([0.01, 0.01, 0.01]), np.full(3, 0.5), 400)
    assert spent[2] == 0
    assert spent.sum() == 400
    assert abs(spent[0] - spent[1]) <= 20
    uneven, _ = allot(np.array([1.0, 1.0]), np.diag([0.04, 1e-6]), np.full(2, 0.5), 400)
    assert uneven[0] >= 380
    nothing, left = allot(np.array([9.0, 0.0]), np.diag([0.01, 0.01]), np.full(2, 0.5), 400)
    assert nothing.sum() == 0
    assert left == pytest.approx(0, abs=1e-6)


def test_the_regret_that_is_left_is_that_of_brute_force() -> None:
    mean, covariance, sd = (
        np.array([1.0, 1.05, 0.9]),
        np.array([[0.04, 0.02, 0.0], [0.02, 0.05, 0.01], [0.0, 0.01, 0.03]]),
        np.full(3, 0.4),
    )
    spent, left = allot(mean, covariance, sd, 120)
    rng = np.random.default_rng(3)
    true = rng.multivariate_normal(mean, covariance, 40_000)
    seen = spent > 0
    noise = rng.standard_normal((len(true), seen.sum())) * (sd[seen] / np.sqrt(spent[seen]))
    gain = covariance[:, seen] @ np.linalg.inv(
        covariance[np.ix_(seen, seen)] + np.diag(sd[seen] ** 2 / spent[seen])
    )
    updated = mean + (true[:, seen] + noise - mean[seen]) @ gain.T
    regret = true.max(axis=1) - true[np.arange(len(true)), updated.argmax(axis=1)]
    assert left == pytest.approx(regret.mean(), abs=5 * regret.std() / math.sqrt(4000))
    # No other way to spend the same does clearly better.
    even = np.full(3, 40)
    gain = covariance @ np.linalg.inv(covariance + np.diag(sd**2 / even))
    noise = rng.standard_normal(true.shape) * (sd / np.sqrt(even))
    updated = mean + (true + noise - mean) @ gain.T
    assert regret.mean() <= (
        true.max(axis=1) - true[np.arange(len(true)), updated.argmax(axis=1)]
    ).mean() + 3 * regret.std() / math.sqrt(40_000)


# ---- Baselines and proxies


def test_a_baselines_error_is_one_for_all_that_is_measured_from_it() -> None:
    """A baseline that is known to a tenth of the score widens the height of the curve; one that is
    known exactly does not.
    """
    rng = np.random.default_rng(4)
    d = np.linspace(0.3, 4, 25)
    score = d * (0.6 - 0.12 * d) + rng.normal(0, 0.01, len(d))
    width = {}
    for error in (1e-6, 0.1):
        runs = bl.read_runs(
            rows(kl=d**2, gold_score=score, baseline=1.0, baseline_se=error), "overoptimization_bon"
        )
        fit = bl.fit(
            bl.ModelSpec("overoptimization_bon", discrepancy="none"),
            runs,
            draws=300,
            tune=400,
            random_seed=1,
            progressbar=False,
        )
        width[error] = float(fit.quantity("score_peak").std())
        shift = fit.idata["posterior"]["baseline_error"]
        assert shift.sizes["baseline"] == 1
    assert width[0.1] > 3 * width[1e-6]


# a proxy that hardly bends has not peaked
@pytest.mark.filterwarnings("ignore::bayeslaw.errors.IdentifiabilityWarning")
def test_the_gap_is_proxy_less_gold_over_the_draws() -> None:
    d = np.linspace(0.3, 3, 14)
    noise = np.random.default_rng(5).normal(0, 0.01, (2, len(d)))
    table = rows(
        kl=d**2,
        gold_score=d * (0.6 - 0.1 * d) + noise[0],
        proxy_score=d * (0.8 - 0.02 * d) + noise[1],
    )
    effort = {"draws": 500, "tune": 500, "random_seed": 1, "progressbar": False}
    gold, proxy = (
        bl.fit(
            bl.ModelSpec(f"{law}_bon", discrepancy="none"),
            bl.read_runs(table, f"{law}_bon"),
            **effort,
        )
        for law in ("overoptimization", "proxy_score")
    )
    gap = bl.proxy_gold_gap(gold, proxy, {"kl": [1.0, 4.0, 9.0]})
    assert gap.median(("chain", "draw")).values == pytest.approx([0.28, 0.72, 1.32], abs=0.05)
    with pytest.raises(SpecError, match="it was given proxy_score and gold_score"):
        bl.proxy_gold_gap(proxy, gold, {"kl": [1.0]})


# ---- Residuals


@pytest.mark.parametrize(("wrong", "passes"), [(0.0, True), (0.15, False)])
def test_residuals_flag_a_form_that_is_wrong(wrong: float, passes: bool) -> None:
    rng = np.random.default_rng(6)
    parts = []
    for i, alpha in enumerate((0.5, 0.6, 0.7, 0.8)):
        d = np.linspace(0.3, 3, 14)
        score = d * (alpha - 0.1 * d) + wrong * np.sin(2.5 * d) + rng.normal(0, 0.03, len(d))
        parts.append(rows(kl=d**2, gold_score=score, reward_model_size=10.0 ** (7 + i)))
    runs = bl.read_runs(pd.concat(parts), "overoptimization_bon")
    fit = bl.fit(
        bl.ModelSpec("overoptimization_bon", discrepancy="none"),
        runs,
        draws=700,
        tune=700,
        random_seed=1,
        progressbar=False,
    )
    results = check_residuals(fit)
    assert [result.name for result in results] == ["residuals along curves", "residuals in common"]
    assert all(result.passed for result in results) is passes


def test_p_values_of_the_residuals_are_uniform_where_the_model_is_right() -> None:
    """From the prior of nothing but noise: the share of small p-values is what it says."""
    rng = np.random.default_rng(0)
    r = rng.standard_normal((2000, 40))
    t = (r[:, 1:] * r[:, :-1]).sum(axis=1) / (r**2).sum(axis=1)
    p = np.array([(t >= x).mean() for x in t])
    assert stats.kstest(p, "uniform").pvalue > 0.01


# ---- Found by an independent read


def test_parts_with_other_sizes_are_centred_where_they_are_read() -> None:
    """A trend whose column also makes groups is centred at each part's own mean: each part is
    fitted as if alone.
    """
    table = bl.dataset("overoptimization_simulated")
    runs = bl.read_runs(
        table, "overoptimization_rl", where="method == 'rl' and policy_size == 1.2e9 and kl < 30"
    )
    small = pd.to_numeric(runs.table["reward_model_size"]).to_numpy() < 1e8
    effort = {
        "draws": 100,
        "tune": 200,
        "chains": 2,
        "attempts": 1,
        "random_seed": 3,
        "progressbar": False,
    }
    spec = bl.ModelSpec("overoptimization_rl", discrepancy="none")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayeslawWarning)
        part, whole = fit_each(spec, runs, [small, np.full(len(runs), True)], **effort)
        alone = bl.fit(part.spec, runs.rows(small), **effort)
    np.testing.assert_allclose(
        part.quantity("beta").median(("chain", "draw")),
        alone.quantity("beta").median(("chain", "draw")),
        rtol=0.02,
    )
    assert len(whole.runs) == len(runs)


def test_a_trend_without_deviations_has_its_quantities() -> None:
    table = bl.dataset("overoptimization_simulated")
    runs = bl.read_runs(
        table, "overoptimization_rl", where="method == 'rl' and policy_size == 1.2e9"
    )
    spec = bl.ModelSpec(
        "overoptimization_rl", discrepancy="none", effects={"beta": "1 + log10(reward_model_size)"}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayeslawWarning)
        fit = bl.fit(
            spec, runs, draws=100, tune=200, chains=2, attempts=1, random_seed=3, progressbar=False
        )
    assert 20 < float(fit.quantity("kl_peak").median()) < 80
    assert np.isfinite(bl.peaks(fit)["kl_peak"]).all()


def test_a_row_of_the_initial_policy_does_not_move_the_centre() -> None:
    without = bl.read_runs(rows(kl=[1.0, 4.0], gold_rate=[0.55, 0.6]), "overoptimization_rl_rate")
    with_it = bl.read_runs(
        rows(kl=[0.0, 1.0, 4.0], gold_rate=[0.5, 0.55, 0.6]), "overoptimization_rl_rate"
    )
    assert with_it.centre == without.centre == {"kl": pytest.approx(2.0)}


def test_two_forms_have_no_departure_in_common() -> None:
    runs = bl.read_runs(bl.dataset("overoptimization_simulated"), "overoptimization")
    spec = bl.ModelSpec(
        "overoptimization", discrepancy={"kind": "curve", "own": ("local",), "shared": ()}
    )
    with pytest.raises(SpecError, match="Set shared to False"):
        resolve(spec, runs)


def test_a_tried_size_is_not_a_group_that_was_seen(simulated: bl.Fit) -> None:
    """Bounds that are sizes of the runs give what bounds beside them give: a size seen does not
    bring its own deviation along.
    """
    at = {"kl": 30.0}
    exact = bl.solve_for(simulated, "reward_model_size", 0.8, at, bounds=(3e6, 3e9))
    beside = bl.solve_for(
        simulated, "reward_model_size", 0.8, at, bounds=(3.0000001e6, 2.9999999e9)
    )
    both = np.isfinite(exact.values) & np.isfinite(beside.values)
    assert (np.isfinite(exact.values) != np.isfinite(beside.values)).mean() < 0.002
    assert both.mean() > 0.5
    np.testing.assert_allclose(exact.values[both], beside.values[both], rtol=1e-4)
    with pytest.raises(
        SpecError,
        match="each value of reward_model_size is a group or a curve with a random deviation",
    ):
        bl.solve_for(simulated, "reward_model_size", 0.8, at, kind="latent")
    latent = bl.solve_for(simulated, "kl", 0.6, {"reward_model_size": 3e8}, kind="latent")
    assert latent.attrs["p_none"] < 0.05
    assert np.nanmedian(latent) == pytest.approx(
        float(np.nanmedian(bl.solve_for(simulated, "kl", 0.6, {"reward_model_size": 3e8}))), rel=0.6
    )


def test_labels_become_numbers_only_where_these_give_the_labels_again() -> None:
    assert numeric_labels(pd.Series(["3e+06", "3e+09"])).tolist() == [3e6, 3e9]
    for kept in (["001", "002"], ["3000000", "12"], ["a", "1"]):
        assert numeric_labels(pd.Series(kept)).tolist() == kept


def test_advice_is_of_the_group_itself_whatever_its_name() -> None:
    named = stored("models_named_by_numbers")
    assert bl.peaks(named)["model"].tolist() == [f"{i:03d}" for i in range(9)]
    early = bl.stopping(named, 4.0)
    np.testing.assert_allclose(early["stop_at_kl"], early["kl_peak"], rtol=0.1)
    assert early["stop_at_kl"].nunique() > 6
    assert (early["runs"] == 40).all()


def test_a_trend_without_groups_has_advice() -> None:
    fit = stored("sizes_that_make_no_groups")
    advice = bl.stopping(fit, 4.0)
    assert len(advice) == 1
    assert np.isfinite(advice[["kl_peak", "stop_at_kl", "expected_gain"]]).all(axis=None)


def test_a_group_without_runs_of_a_method_says_so_and_reaches_as_far_as_the_method_was_seen() -> (
    None
):
    found = bl.peaks(stored("a_group_without_a_method"))
    (row,) = found[found["runs"] == 0].to_dict("records")
    assert (row["method"], row["reward_model_size"]) == ("bon", 3e6)
    np.testing.assert_allclose(
        found.loc[found["method"] == "bon", "no_peak_below"], 10 * bl.kl_of_n(60_000), rtol=1e-4
    )


def test_an_evaluation_errs_by_noise_and_standard_error() -> None:
    fit = stored("scores_with_errors")
    checkpoints = rows(kl=[4.0, 5.0, 6.0])
    by_default = bl.best_checkpoint(fit, checkpoints, evaluations=50)
    sigma = float(fit.idata["posterior"]["sigma"].median())
    given = bl.best_checkpoint(
        fit, checkpoints, evaluations=50, evaluation_sd=math.hypot(0.2, sigma)
    )
    assert by_default.attrs["regret_after"] == pytest.approx(given.attrs["regret_after"], rel=0.25)
    with pytest.raises(SpecError, match="power is of a loss, of which the lowest is best"):
        bl.best_checkpoint(stored("three_losses"), {"data_size": [1e6, 1e7]})


def test_kl_comes_from_what_each_row_has() -> None:
    with pytest.warns(RunsWarning, match="single run"):
        both = bl.read_runs(
            rows(method=["bon", "rl"], n=[4, None], sqrt_kl=[None, 3.0], gold_score=[0.3, 0.6]),
            "overoptimization",
        )
    np.testing.assert_allclose(both.table["kl"], [bl.kl_of_n(4), 9.0])
    with pytest.raises(RunsError, match="column 'kl'"):
        bl.read_runs(rows(sqrt_kl=[-2.0, 3.0], gold_score=[0.3, 0.6]), "overoptimization_rl")
    renamed = bl.read_runs(
        rows(kl=[1.0, 4.0], gold_score=[0.3, 0.6], error=[0.1, 0.2]),
        "overoptimization_rl",
        columns={"gold_score_se": "error"},
    )
    assert renamed.table["gold_score_se"].tolist() == [0.1, 0.2]
    assert bl.n_of_kl(math.inf) == math.inf
    assert bl.n_of_kl(0.0) == 1.0


def test_a_long_log_is_averaged_evenly_in_the_root_of_kl() -> None:
    d = np.linspace(0.02, 7, 500)
    runs = bl.read_runs(
        rows(kl=d**2, gold_score=d * (0.4 - 0.1 * np.log(d))), "overoptimization_rl"
    )
    averages, _ = binned(resolve(bl.ModelSpec("overoptimization_rl"), runs), runs)
    assert len(averages) == 100
    assert averages.averaged.min() >= 4
    assert averages.averaged.sum() == 500
    np.testing.assert_allclose(np.diff(np.sqrt(averages.table["kl"])), 0.07, rtol=0.25)
