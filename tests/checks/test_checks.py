"""The checks of prior, sensitivity, influence and groups: against closed forms and dense algebra,
on draws that need no sampler.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from helpers import PARAMS, covariance, grouped_table, once, pinned_power, stored
from scipy import stats

import bayeslaw as bl
from bayeslaw.checks import CHECKS, CheckResult
from bayeslaw.checks.checkpoints import check_checkpoints
from bayeslaw.checks.groups import check_groups
from bayeslaw.checks.identifiability import check_identifiability
from bayeslaw.checks.influence import check_influence
from bayeslaw.checks.noise_by_scale import check_noise_by_scale
from bayeslaw.checks.prior_predictive import check_prior_predictive, from_prior
from bayeslaw.checks.residuals import check_residuals
from bayeslaw.checks.sensitivity import check_sensitivity
from bayeslaw.decisions.doubts import general_doubts
from bayeslaw.defaults import KHAT_MAX, MOVED_MAX, PRIOR_OUTSIDE_MAX
from bayeslaw.errors import SpecError
from bayeslaw.model.build import build
from bayeslaw.model.effects import RAW, random_variable
from bayeslaw.model.sampling import draw_prior
from bayeslaw.posterior.draws import Convergence
from bayeslaw.posterior.likelihood import log_likelihood
from bayeslaw.posterior.parameters import Parameters
from bayeslaw.posterior.power_scaling import (
    log_density_as_sampled,
    log_prior,
    power_weights,
    prior_weights,
)
from bayeslaw.spec.resolve import resolve
from bayeslaw.spec.spec import population_name

SIGMA = 0.05  # of `pinned_power`


def with_posterior(spec: bl.ModelSpec, runs: bl.Runs, posterior: xr.Dataset) -> bl.Fit:
    verdict = Convergence(1.0, "", 4000, "", 4000, "", 0)
    return bl.Fit(
        resolve(spec, runs),
        runs,
        xr.DataTree.from_dict({"posterior": posterior}),
        verdict,
        1,
        (),
        {},
    )


def believed(spec: bl.ModelSpec, runs: bl.Runs, draws: int = 5) -> bl.Fit:
    """A fit that has seen nothing: its draws are those of the prior."""
    model = build(resolve(spec, runs), runs)
    names = [x.name for x in model.unobserved_RVs if not x.name.endswith(RAW)]
    return with_posterior(spec, runs, draw_prior(model, names, draws, 1))


def level_table(n: int = 12, groups: str = "", seed: int = 0) -> pd.DataFrame:
    """Simulated runs of a power law, with the noise of `pinned_power`."""
    rng = np.random.default_rng(seed)
    x = np.geomspace(1e6, 1e9, n)
    table = pd.DataFrame(
        {"data_size": x, "loss": 2.0 * (x / 3e7) ** -0.1 * np.exp(rng.normal(0, SIGMA, n))}
    )
    return table.assign(task=[groups[i % len(groups)] for i in range(n)]) if groups else table


def conjugate(
    table: pd.DataFrame,
    median: float = 2.0,
    width: float = 0.5,
    draws: int = 4000,
    seed: int = 1,
    groups: Sequence[str] | None = None,
) -> tuple[bl.Fit, np.ndarray, float, float]:
    """Exact draws of the level's posterior; the runs' own levels, and mean and precision of the log
    level.
    """
    runs = bl.read_runs(table, "power", groups=groups)
    level = np.log(runs.y) + 0.1 * np.log(runs.inputs["data_size"] / runs.centre["data_size"])
    precision = 1 / width**2 + len(runs) / SIGMA**2
    mean = (np.log(median) / width**2 + level.sum() / SIGMA**2) / precision
    spec = pinned_power({}, {"A_at_centre": bl.Prior("LogNormal", median=median, sigma=width)})
    eta = np.random.default_rng(seed).normal(mean, precision**-0.5, (4, draws // 4))
    pinned = {"alpha_at_centre": 0.1, "E_at_centre": 1e-12, "sigma": SIGMA}
    posterior = xr.Dataset(
        {"A_at_centre": (("chain", "draw"), np.exp(eta))}
        | {name: (("chain", "draw"), np.full(eta.shape, x)) for name, x in pinned.items()}
    )
    return with_posterior(spec, runs, posterior), level, mean, precision


# ---- Prior predictive


def test_a_prior_that_holds_the_runs_passes_and_one_that_does_not_fails() -> None:
    for median, width, passed in ((2.0, 0.5, True), (9.0, 0.05, False)):
        fit, *_ = conjugate(level_table(), median, width)
        judged, told = check_prior_predictive(fit)
        assert judged.passed is passed
        assert judged.threshold == PRIOR_OUTSIDE_MAX
        assert told.passed is None
        assert (
            (judged.value == 1.0 and "below it" in judged.message)
            if not passed
            else judged.value == 0.0
        )


def test_draws_of_the_prior_are_the_priors(grouped_fit: bl.Fit) -> None:
    """PyMC's draws against SciPy's distribution functions; deviations in units of their scale are
    standard normal.
    """
    prior = from_prior(grouped_fit, 500)
    draws = prior.idata["posterior"].to_dataset()
    assert set(draws) == set(grouped_fit.posterior)
    for name, of in grouped_fit.spec.priors.items():
        assert (
            stats.kstest(
                draws[name].values.ravel(), of.in_scipy(grouped_fit.runs.typical_response).cdf
            ).pvalue
            > 1e-4
        ), name
    z = draws["A_1|task"] / draws["A_1|task_sigma"]
    assert stats.kstest(z.isel(task=2).values.ravel(), "norm").pvalue > 1e-4
    xr.testing.assert_equal(draws, from_prior(grouped_fit, 500).idata["posterior"].to_dataset())


def test_deviations_that_were_taken_as_known_stay_known() -> None:
    spec = bl.ModelSpec(
        "power", effects={"A": "1 + (1 | task)", "alpha": "1", "E": "1"}, discrepancy="none"
    )
    fit = believed(spec, bl.read_runs(grouped_table(), "power"))
    posterior = fit.posterior
    known = posterior["A_1|task"].isel(chain=0, draw=0)
    posterior["A_1|task"] = known.broadcast_like(posterior["A_1|task"]).transpose(
        "chain", "draw", ...
    )
    again = from_prior(with_posterior(spec, fit.runs, posterior), 50).idata["posterior"]["A_1|task"]
    assert (again == again.isel(chain=0, draw=0)).all()
    assert np.allclose(again.isel(chain=0, draw=0), known)


# ---- Sensitivity to the prior


@pytest.mark.parametrize("alpha", [0.8, 1.25])
def test_weights_give_the_posterior_under_the_scaled_prior(alpha: float) -> None:
    """The density of the log level, which is sampled, is scaled: the prior's median stays."""
    median, width = 2.3, 0.03
    fit, level, *_ = conjugate(level_table(), median, width, draws=20_000)
    weights, khat = prior_weights(fit, alpha)
    assert np.isclose(weights.sum(), 1)
    assert khat < 0.5
    precision = alpha / width**2 + len(level) / SIGMA**2
    mean = (alpha * np.log(median) / width**2 + level.sum() / SIGMA**2) / precision
    eta = np.log(fit.idata["posterior"]["A_at_centre"].values).ravel()
    effective = 1 / (weights**2).sum()
    found = weights @ eta
    assert abs(found - mean) < 4.5 * precision**-0.5 / np.sqrt(effective)
    assert abs(np.sqrt(weights @ (eta - found) ** 2) * precision**0.5 - 1) < 4.5 / np.sqrt(
        2 * effective
    )


def test_a_prior_that_holds_the_posterior_away_cannot_be_weighed_off() -> None:
    fit, *_ = conjugate(level_table(), median=9.0, width=0.01)
    _, khat = prior_weights(fit, 0.1)
    assert khat > KHAT_MAX
    with pytest.raises(SpecError, match="must be a positive number"):
        prior_weights(fit, 0.0)


@pytest.mark.parametrize(
    ("total", "khat"),
    [
        (np.zeros(400), 0.0),
        (np.full(400, 1e300), 0.0),
        (np.zeros(50), np.inf),
        (np.repeat([0.0, 1.0], 200), np.inf),
        (np.append(1e8, np.zeros(399)), np.inf),
        (np.append(-np.inf, np.arange(399.0)), np.inf),
        (np.full(400, np.nan), np.inf),
    ],
)
def test_weights_whose_tail_cannot_be_fitted_are_not_judged(total: np.ndarray, khat: float) -> None:
    """Unless they are all the same: then another power of the prior changes nothing."""
    for alpha in (0.8, 1.25):
        weights, found = power_weights(total, alpha)
        assert found == khat
        assert np.isclose(weights.sum(), 1)


def test_draws_that_are_the_same_are_not_judged() -> None:
    """As from chains that are stuck on runs without noise."""
    fit = stored("grouped")
    stuck = fit.with_draws(fit.posterior.isel(draw=[0] * fit.posterior.sizes["draw"]))
    require_not_run(check_sensitivity(stuck), ["prior sensitivity"], "same importance weight")
    _, told = check_influence(stuck)
    assert told.value == np.inf


def test_a_relative_prior_is_in_units_of_the_typical_response() -> None:
    fit = believed(bl.ModelSpec("power", discrepancy="none"), bl.read_runs(level_table(), "power"))
    found, unit = log_prior(fit), fit.runs.typical_response
    name, prior = next(
        (name, prior)
        for name, prior in fit.spec.priors.items()
        if prior.relative and prior.distribution == "LogNormal"
    )
    x = fit.idata["posterior"][name].values
    mu, sigma = (value for _, value in prior.parameters)
    np.testing.assert_allclose(found[name].values, stats.norm(mu, sigma).logpdf(np.log(x / unit)))


@pytest.mark.parametrize(
    "prior",
    [
        bl.Prior("Normal", mu=0.3, sigma=0.2),
        bl.Prior("StudentT", nu=4.0, mu=0.3, sigma=0.2),
        bl.Prior("LogNormal", median=0.3, sigma=0.6),
        bl.Prior("HalfNormal", sigma=0.5),
        bl.Prior("Gamma", mu=0.5, sigma=0.4),
        bl.Prior("Beta", alpha=1.5, beta=2.5),
        bl.Prior("Uniform", lower=0.1, upper=0.9),
    ],
    ids=lambda prior: prior.distribution,
)
def test_the_prior_is_scaled_where_pymc_samples(prior: bl.Prior) -> None:
    x = np.array([0.2, 0.45, 0.8])
    with pm.Model() as model:
        random_variable("theta", prior, 1.0)
    (value,) = model.value_vars
    transform = model.rvs_to_transforms[model.free_RVs[0]]
    inputs = model.free_RVs[0].owner.inputs
    at = [x_i if transform is None else transform.forward(x_i, *inputs).eval() for x_i in x]
    logp = model.compile_logp(mode=once(), jacobian=True)
    of_pymc = [float(logp({value.name: np.asarray(x_i)})) for x_i in at]
    np.testing.assert_allclose(log_density_as_sampled(prior, 1.0, x), of_pymc)


def test_values_rounded_to_an_end_of_the_support_have_a_density() -> None:
    for prior, x in (
        (bl.Prior("LogNormal", median=0.02, sigma=1.0), 0.0),
        (bl.Prior("Beta", alpha=1.5, beta=1.5), 1.0),
        (bl.Prior("Uniform", lower=0.1, upper=0.9), 0.1),
    ):
        assert np.isfinite(log_density_as_sampled(prior, 1.0, np.array([x]))).all()


def test_only_what_the_prior_decides_is_listed() -> None:
    (summary,) = check_sensitivity(conjugate(level_table(), width=0.5)[0])
    assert summary.passed is None
    assert "0 of 1 variables are sensitive to the prior" in summary.message
    assert summary.value < 0.05
    (told,) = check_sensitivity(conjugate(level_table(), median=2.6, width=0.02)[0])
    assert "1 of 1 variables are sensitive" in told.message
    assert "most of all A_at_centre" in told.message
    assert told.passed is None
    assert "On A_at_centre prior and runs may disagree" in told.advice


# ---- Influence of single runs


@pytest.mark.parametrize(
    ("law", "along", "own"),
    [("power", "data_size", ("matern", "local")), ("overoptimization_bon", "kl", ("smooth",))],
)
def test_each_run_given_the_others_is_the_dense_conditional(
    law: str, along: str, own: tuple[str, ...]
) -> None:
    """Joint normals of three curves, conditioned by solving the dense system; the second law has
    curves with an origin.
    """
    rng = np.random.default_rng(4)
    x = np.concatenate([10 ** rng.uniform(0, 2, n) for n in (6, 4, 8)]) * (
        1e5 if law == "power" else 1
    )
    y = 1 + rng.normal(0, 0.05, len(x))
    table = pd.DataFrame(
        {
            "task": np.repeat(["a", "b", "c"], [6, 4, 8]),
            along: x,
            {"power": "loss"}.get(law, "gold_score"): y,
        }
    )
    names = {
        "matern": ("delta_sigma", "delta_memory"),
        "local": ("local_sigma", "local_length"),
        "smooth": ("smooth_sigma",),
    }
    pinned = {name: PARAMS[name] for component in own for name in names[component]}
    spec = bl.ModelSpec(
        law,
        discrepancy={"kind": "curve", "own": own, "shared": False},
        priors=pinned,
        effects=dict.fromkeys(pinned, "1") | {"sigma": "1 + (1 | task)"},
    )
    fit = believed(spec, bl.read_runs(table.sample(frac=1, random_state=1), law, groups=["task"]))
    total, each = log_likelihood(fit)
    runs, axis = fit.runs, fit.spec.axis
    link = runs.law.response.link
    located = Parameters.at(fit, runs.table, "mean").mu_on_link(runs.table)
    sigma = fit.idata["posterior"]["sigma"].values[0]
    by_task = fit.idata["posterior"]["sigma_1|task"].transpose("chain", "draw", "task")[0]
    t = axis.forward(runs.inputs[along])
    for s in range(len(total)):
        dense = 0.0
        for task in "abc":
            rows = np.flatnonzero(runs.table["task"] == task)
            noise = sigma[s] * np.exp(float(by_task[s].sel(task=task)))
            start = t[rows].min() if axis.origin is None else axis.origin
            C = covariance(own, t[rows], start) + noise**2 * np.eye(len(rows))
            r = link.forward(runs.y[rows]) - located[s, rows]
            dense += stats.multivariate_normal(cov=C).logpdf(r)
            for i, row in enumerate(rows):
                others = np.delete(np.arange(len(rows)), i)
                across = np.linalg.solve(C[np.ix_(others, others)], C[others, i])
                spread = np.sqrt(C[i, i] - across @ C[others, i])
                np.testing.assert_allclose(
                    each[s, row],
                    stats.norm(across @ r[others], spread).logpdf(r[i]),
                    rtol=1e-6,
                    atol=1e-6,
                )
        np.testing.assert_allclose(total[s], dense, rtol=1e-8)


def test_what_leaving_out_a_run_moves_has_its_closed_form() -> None:
    fit, level, mean, precision = conjugate(level_table(), draws=20_000)
    without = precision - 1 / SIGMA**2
    moved = abs((mean * precision - level / SIGMA**2) / without - mean) * precision**0.5
    judged, told = check_influence(fit, 20_000)
    assert judged.passed
    assert (
        f"row {fit.runs.table.index[moved.argmax()]} ".replace("row row", "row") in judged.message
    )
    assert abs(judged.value - moved.max()) < 4.5 * np.sqrt(2 / 20_000) + 0.02
    # a run is a twelfth of what is known: the variance of the weights is finite
    assert told.passed is None
    assert told.value < 0.5


def test_a_run_that_decides_all_is_named() -> None:
    table = level_table()
    table.loc[4, "loss"] *= np.exp(20 * SIGMA)
    judged, told = check_influence(conjugate(table)[0])
    assert judged.passed is False
    assert judged.value > MOVED_MAX == judged.threshold
    assert "4 moves A_at_centre" in judged.message
    assert "4)" in told.message


# ---- Groups


def test_a_group_beside_the_law_is_named() -> None:
    table = level_table(30, groups="abc")
    table.loc[table["task"] == "b", "loss"] *= np.exp(3 * SIGMA)
    centre, _ = check_groups(conjugate(table)[0])
    assert centre.name == "centre of residuals by task"
    assert centre.passed is False
    assert centre.message.startswith("task b, the worst of 3 groups")


def test_a_group_that_scatters_otherwise_is_named() -> None:
    table = level_table(60, groups="abc")
    own = np.flatnonzero(table["task"] == "c")
    table.loc[own, "loss"] *= np.exp(
        np.random.default_rng(2).permutation(np.repeat([-3, 3], len(own) // 2)) * SIGMA
    )
    spread = check_groups(conjugate(table)[0])[1]
    assert spread.passed is False
    assert spread.message.startswith("task c, the worst of 3 groups")
    assert spread.threshold == 0.05 / 6


def test_a_right_model_is_seldom_called_wrong() -> None:
    """Levels from the prior, tables from the levels: one in twenty at most; 4.5 standard deviations
    of the count are 6.
    """
    rng = np.random.default_rng(6)
    failed = 0
    for seed in range(40):
        table = level_table(24, groups="abcd", seed=seed)
        table["loss"] *= np.exp(rng.normal(0, 0.5))
        results = check_groups(conjugate(table, seed=seed)[0])
        failed += any(result.passed is False for result in results)
    assert failed <= 8


def test_without_groups_all_runs_are_one() -> None:
    centre, spread = check_groups(conjugate(level_table())[0])
    assert centre.name == "centre of residuals"
    assert "all runs" in spread.message
    assert centre.threshold == 0.025


# ---- Noise by scale


def test_noise_that_shrinks_with_scale_is_noted_with_its_remedy() -> None:
    """A factor of 3 per decade less, over three decades of 40 runs; and none."""
    rng = np.random.default_rng(8)
    table = level_table(40).assign(loss=2.0)
    x = table["data_size"].to_numpy()
    law = 2.0 * (x / 3e7) ** -0.1
    for slope, noted in ((np.log(1 / 3), True), (0.0, False)):
        noise = rng.normal(0, SIGMA, 40) * np.exp(slope * np.log10(x / x.mean()))
        (told,) = check_noise_by_scale(conjugate(table.assign(loss=law * np.exp(noise)))[0])
        assert told.passed is None
        assert ("effects={'sigma': '1 + log10(data_size)'}" in told.advice) is noted
        assert (told.value < told.threshold) is noted


def test_noise_that_follows_the_scale_is_not_noted() -> None:
    """The remedy: the same runs, with the trend of the noise in the model."""
    rng = np.random.default_rng(8)
    table = level_table(40)
    x = table["data_size"].to_numpy()
    noise = rng.normal(0, SIGMA, 40) * 3.0 ** -np.log10(x / np.exp(np.log(x).mean()))
    table["loss"] = 2.0 * (x / 3e7) ** -0.1 * np.exp(noise)
    spec = pinned_power(
        {"sigma": "1 + log10(data_size)"},
        {"A_at_centre": bl.Prior("LogNormal", median=2.0, sigma=1e-6)}
        | {"sigma_log10(data_size)": -np.log(3.0)},
    )
    (told,) = check_noise_by_scale(believed(spec, bl.read_runs(table, "power"), 500))
    assert told.advice == ""


# ---- Checks that do not apply


def all_pinned() -> bl.Fit:
    """A power law of which every parameter is known, and draws that repeat them."""
    pinned = {"A_at_centre": 2.0, "alpha_at_centre": 0.1, "E_at_centre": 1e-12, "sigma": SIGMA}
    runs = bl.read_runs(level_table(), "power")
    posterior = {name: (("chain", "draw"), np.full((4, 250), x)) for name, x in pinned.items()}
    return with_posterior(pinned_power({}, {"A_at_centre": 2.0}), runs, xr.Dataset(posterior))


def require_not_run(results: list[CheckResult], names: list[str], reason: str) -> None:
    """Each result is neither passed nor failed, has no number, and says why."""
    assert [result.name for result in results] == names
    for result in results:
        assert result.passed is None and np.isnan(result.value)
        assert result.message.startswith("not run: ") and reason in result.message
        assert str(result) == f"note    {result.name}: {result.message}"


def test_a_check_that_does_not_apply_says_that_it_was_not_run() -> None:
    few, pinned = stored("grouped").thinned(99), all_pinned()
    along = ["residuals along curves", "residuals in common"]
    require_not_run(check_residuals(stored("three_losses")), along, "no curve has 4 runs")
    one_curve = check_residuals(conjugate(level_table())[0])
    assert one_curve[0].passed is True
    require_not_run(one_curve[1:], along[1:], "fewer than 3 curves")
    require_not_run(check_influence(few), ["one run", "k-hat"], "99 draws are too few")
    require_not_run(check_influence(pinned), ["one run", "k-hat"], "every parameter of the law")
    require_not_run(check_sensitivity(few), ["prior sensitivity"], "99 draws are too few")
    require_not_run(check_sensitivity(pinned), ["prior sensitivity"], "every parameter is pinned")
    require_not_run(
        check_checkpoints(few), ["checkpoint scale"], "no effect lets single values of an input"
    )
    require_not_run(check_identifiability(pinned), ["identified"], "no free parameter")


# ---- Residuals of laws of several inputs, and of curves that share a process


#: Tables of three kinds of law, whose every parameter is known, and what a bend of them runs along.
KNOWN: dict[str, tuple[dict[str, Any], dict[str, float], str]] = {
    "chinchilla": (
        {"model_size": np.geomspace(1e8, 1e10, 6), "data_size": np.geomspace(1e9, 1e11, 6)},
        {"A_at_centre": 0.3, "B_at_centre": 0.3, "E": 1.8, "alpha": 0.35, "beta": 0.35},
        "model_size",
    ),
    "data_constrained": (
        {
            "model_size": np.geomspace(1e8, 1e10, 5),
            "data_size": np.geomspace(1e9, 1e11, 5),
            "unique_data": np.array([1e8, 1e9, 1e12]),
        },
        {
            "A_at_centre": 0.3,
            "B_at_centre": 0.3,
            "E": 1.8,
            "alpha": 0.35,
            "R_D": 15.0,
            "R_N": 1e3,
            "epochs_stray_sigma": 1e-4,
        },
        "model_size",
    ),
    "finetuning_rectified": (
        {"finetuning_data": np.geomspace(1e3, 1e6, 8), "task": ["a"], "llm": list("abcd")},
        {
            "B_at_centre": 2.0,
            "D_pre_at_centre": 0.5,
            "beta_at_centre": 0.3,
            "E_at_centre": 0.3,
            "trend_sigma": 1e-4,
            "trend_slope": 1e-4,
            "shared_sigma": 1e-4,
        },
        "finetuning_data",
    ),
}


@cache
def of_known_law(name: str) -> bl.Fit:
    """A law whose every parameter is known, and runs that are on it."""
    columns, known, _ = KNOWN[name]
    grid = pd.DataFrame(itertools.product(*columns.values()), columns=list(columns))
    groups = [column for column in columns if column not in bl.law(name).inputs]
    runs = bl.read_runs(grid.assign(loss=2.0), name, groups=groups)
    law = runs.law
    params = {name: known.get(population_name(name, p), 1.0) for name, p in law.params.items()}
    loss = law.evaluate(runs.inputs, law.from_centre(params, runs.centre))
    spec = bl.ModelSpec(
        name,
        noise="normal",
        effects=dict.fromkeys(bl.ModelSpec(name, noise="normal").params, "1"),
        priors=known | {"sigma": 0.01},
    )
    return believed(spec, replace(runs, table=runs.table.assign(loss=loss)), 200)


def scattered(name: str, bend: float, seed: int) -> bl.Fit:
    """The same with simulated runs that scatter, bent along one of the inputs."""
    fit, along = of_known_law(name), KNOWN[name][2]
    x = np.log10(fit.runs.inputs[along])
    away = bend * ((x - x.mean()) ** 2 - x.var())
    noise = np.random.default_rng(seed).normal(0, 0.01, len(x))
    table = fit.runs.table.assign(loss=fit.runs.y * np.exp(away + noise))
    return replace(fit, runs=replace(fit.runs, table=table))


@pytest.mark.parametrize(
    "name",
    # the paths of curves are compiled
    [
        "chinchilla",
        "data_constrained",
        pytest.param("finetuning_rectified", marks=pytest.mark.slow),
    ],
)
@pytest.mark.filterwarnings("ignore::bayeslaw.errors.RunsWarning")  # of the simulated table
def test_every_law_has_its_residuals_tested(name: str) -> None:
    right, bent = scattered(name, 0.0, 1), scattered(name, 0.03, 1)
    assert all(result.advice == "" or result.passed for result in check_residuals(right))
    in_common = check_residuals(bent)[1]
    assert in_common.value < in_common.threshold
    surface = name != "finetuning_rectified"
    assert in_common.passed is (None if surface else False)
    if surface:
        assert f"at equal {KNOWN[name][2]}, the worst of" in in_common.message
        assert f"wrong along {KNOWN[name][2]}" in in_common.advice


def test_residuals_of_a_right_surface_seldom_fail() -> None:
    """Each of two checks fails one time in twenty at most; 4.5 standard deviations of the count
    above the 2 expected are 8.
    """
    failed = [
        [
            result.value < result.threshold
            for result in check_residuals(scattered("chinchilla", 0.0, seed))
        ]
        for seed in range(40)
    ]
    assert (np.sum(failed, axis=0) <= 8).all()


@pytest.mark.filterwarnings("ignore::bayeslaw.errors.BayeslawWarning")
def test_groups_of_single_runs_are_not_tested() -> None:
    table = level_table().assign(task=[f"task{i}" for i in range(12)])
    results = check_groups(conjugate(table, groups=["task"])[0])
    assert [result.name for result in results[:2]] == ["centre of residuals", "spread of residuals"]
    names = ["centre of residuals by task", "spread of residuals by task"]
    require_not_run(results[2:], names, "no group of task has 2 runs")


def test_every_check_answers_and_what_was_not_run_is_no_doubt() -> None:
    fit = all_pinned()
    for run_check in CHECKS:
        assert run_check(fit), run_check.__name__
    skipped = [result for result in bl.check(fit) if np.isnan(result.value)]
    assert len(skipped) >= 6 and general_doubts(fit, skipped, None) == []


# ---- All of them


def test_a_fit_with_groups_passes_every_check(sampled_fit: bl.Fit) -> None:
    results = bl.check(sampled_fit)
    names = [result.name for result in results]
    assert {
        "prior predictive",
        "prior sensitivity",
        "one run",
        "k-hat",
        "centre of residuals by task",
    } <= set(names)
    new = ("prior", "one run", "k-hat", "centre", "spread")
    assert not [
        result for result in results if result.passed is False and result.name.startswith(new)
    ]
    assert [result.passed is not False for result in results] == sorted(
        result.passed is not False for result in results
    )


def test_a_thinned_fit_has_some_of_the_draws(grouped_fit: bl.Fit) -> None:
    some, all_of = (
        grouped_fit.thinned(7).idata["posterior"]["A_1|task"],
        grouped_fit.idata["posterior"]["A_1|task"],
    )
    assert some.sizes["draw"] == 7
    assert np.isin(some.values, all_of.values).all()
    assert list(some["task"]) == list(all_of["task"])
