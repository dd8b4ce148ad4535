"""The posterior: against published numbers, closed forms and other samplers."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import POWER, grouped_table, pinned_power, public_path, unsampled

import bayeslaw as bl
from bayeslaw.errors import ConvergenceWarning, SpecError
from bayeslaw.model.build import build
from bayeslaw.model.sampling import Compiled
from bayeslaw.spec.resolve import resolve
from bayeslaw.spec.settings import SamplerSettings


def test_chinchilla_agrees_with_the_published_refit(chinchilla_fit: bl.Fit) -> None:
    """Besiroglu et al. 2024, arXiv 2404.10102, table 1: estimate and bootstrap standard error."""
    for name, estimate, standard_error in (
        ("alpha", 0.348, 0.015),
        ("beta", 0.366, 0.021),
        ("E", 1.817, 0.026),
    ):
        draws = chinchilla_fit.quantity(name)
        assert abs(float(draws.mean()) - estimate) < standard_error, name
    summary = chinchilla_fit.summary()
    assert (summary.loc[["alpha", "beta", "E"], "ess_bulk"] >= 1000).all()
    assert (summary["r_hat"] <= 1.01).all()
    assert chinchilla_fit.convergence.divergences == 0
    # a = beta / (alpha + beta): .513 with standard error .020 (the same paper, section 4)
    assert abs(float(chinchilla_fit.quantity("size_exponent").mean()) - 0.513) < 0.020
    assert all(result.passed is not False for result in bl.check(chinchilla_fit))


@pytest.mark.slow
def test_a_seed_gives_the_same_draws_where_nothing_was_ever_compiled(tmp_path: Path) -> None:
    """In a process that fills the compiler's caches, and in one that reads them: draws along curves
    and of independent runs, to the last bit.
    """
    script = (
        "import sys, hashlib, warnings; warnings.simplefilter('ignore'); import bayeslaw as"
        " bl\nfrom helpers import grouped_table\nfor spec in (bl.ModelSpec('power',"
        " discrepancy='curve'), bl.ModelSpec('power', discrepancy='none')):\n    runs ="
        " bl.read_runs(grouped_table(), 'power', groups=['task'])\n    fit = bl.fit(spec, runs,"
        " draws=100, tune=150, chains=2, random_seed=1, attempts=1, progressbar=False)\n    draws ="
        " fit.idata['posterior'].to_dataset().to_array().values\n   "
        " print(hashlib.sha256(draws.tobytes()).hexdigest())"
    )
    environment = os.environ | {
        "PYTENSOR_FLAGS": f"base_compiledir={tmp_path / 'pytensor'}",
        "NUMBA_CACHE_DIR": str(tmp_path / "numba"),
    }
    run = [sys.executable, "-c", script]
    first, second = (
        subprocess.run(
            run,
            env=environment,
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    )
    assert len(set(first.split())) == 2
    assert first == second


@pytest.mark.slow
def test_thirty_models_pool_over_family_and_model() -> None:
    """Lin et al. 2024: FLAN losses of 30 models of 8 families, from the wide table."""
    runs = bl.read_runs(
        public_path("finetuning/flan.csv"),
        "finetuning_rectified",
        columns={"model": "config name"},
        melt_into="finetuning_data",
        where="finetuning_data > 0",
    )
    fit = bl.fit(
        bl.ModelSpec("finetuning_rectified", discrepancy="none"),
        runs,
        random_seed=1,
        progressbar=False,
    )
    assert fit.convergence.passed, str(fit.convergence)
    assert fit.quantity("beta").sizes["group"] == 30
    mean = fit.bands(runs.table[["finetuning_data", "family", "model"]], "mean")
    # Their per-model fits leave a root mean square log error of .0065 on FLAN with the same four
    # parameters a model.
    assert np.sqrt(np.mean(np.log(mean["median"].to_numpy() / runs.y) ** 2)) < 0.0085


def test_level_has_its_closed_form_posterior() -> None:
    """Normal noise of known scale on the log loss and a LogNormal prior: the posterior of the log
    level is normal.
    """
    rng = np.random.default_rng(0)
    x = np.geomspace(1e6, 1e9, 9)
    y = 2.0 * (x / 3e7) ** -0.1 * np.exp(rng.normal(0, 0.05, 9))
    runs = bl.read_runs(pd.DataFrame({"data_size": x, "loss": y}), "power")
    fit = bl.fit(
        pinned_power({}, {"A_at_centre": bl.Prior("LogNormal", median=1.5, sigma=0.02)}),
        runs,
        random_seed=1,
        progressbar=False,
    )
    level = np.log(y) + 0.1 * np.log(x / runs.centre["data_size"])
    precision = 1 / 0.02**2 + 9 / 0.05**2
    mean, sd = (np.log(1.5) / 0.02**2 + level.sum() / 0.05**2) / precision, precision**-0.5
    draws = np.log(fit.idata["posterior"]["A_at_centre"].values).ravel()
    mcse = sd / np.sqrt(fit.convergence.ess_bulk)
    assert abs(draws.mean() - mean) < 4 * mcse
    assert abs(draws.std() / sd - 1) < 4 / np.sqrt(2 * fit.convergence.ess_tail)


def test_group_effects_have_their_closed_form_posterior() -> None:
    """Nested groups of known scales: the posterior of the groups' levels is that of a Gaussian
    linear model.
    """
    rng = np.random.default_rng(1)
    family = np.repeat(["a", "a", "b", "b", "b"], [2, 7, 3, 2, 12])
    model = np.repeat(["a1", "a2", "b1", "b2", "b3"], [2, 7, 3, 2, 12])
    n = len(model)
    table = pd.DataFrame({"family": family, "model": model, "data_size": rng.uniform(1e6, 1e9, n)})
    table["loss"] = np.exp(rng.normal(0, 0.3, n)) * (table["data_size"] / 1e8) ** -0.1
    scales = {
        "A_1|family_sigma": 0.3,
        "A_1|model_sigma": 0.1,
        "A_at_centre": bl.Prior("LogNormal", mu=0.0, sigma=0.5),
    }
    runs = bl.read_runs(table, "power", where="data_size > 0")
    fit = bl.fit(
        pinned_power({"A": "1 + (1 | family) + (1 | model)"}, scales),
        runs,
        random_seed=1,
        draws=2000,
        progressbar=False,
    )

    design = np.column_stack(
        [np.ones(n), *(family == f for f in "ab"), *(model == m for m in sorted(set(model)))]
    )
    prior = np.diag(1 / np.array([0.5, *[0.3] * 2, *[0.1] * 5]) ** 2)
    level = np.log(runs.y) + 0.1 * np.log(runs.inputs["data_size"] / runs.centre["data_size"])
    covariance = np.linalg.inv(prior + design.T @ design / 0.05**2)
    mean, sd = covariance @ design.T @ level / 0.05**2, np.sqrt(np.diag(covariance))
    posterior = fit.idata["posterior"]
    columns = [
        np.log(posterior["A_at_centre"].values)[..., None],
        posterior["A_1|family"].values,
        posterior["A_1|model"].values,
    ]
    draws = np.concatenate(columns, axis=-1).reshape(-1, 8)
    mcse = sd / np.sqrt(fit.convergence.ess_bulk)
    assert (np.abs(draws.mean(axis=0) - mean) < 4.5 * mcse).all()
    np.testing.assert_allclose(
        draws.std(axis=0), sd, rtol=4.5 / np.sqrt(2 * fit.convergence.ess_tail)
    )


@pytest.mark.slow
# few draws: the means are compared within their error
@pytest.mark.filterwarnings("ignore::bayeslaw.errors.ConvergenceWarning")
@pytest.mark.parametrize("sampler", ["pymc", "numpyro"])
def test_other_samplers_agree(
    sampler: str, chinchilla_runs: bl.Runs, chinchilla_fit: bl.Fit
) -> None:
    other = bl.fit(
        "chinchilla",
        chinchilla_runs,
        random_seed=2,
        draws=500,
        chains=2,
        cores=1,
        sampler=sampler,
        progressbar=False,
        attempts=1,
    )
    a, b = chinchilla_fit.summary(), other.summary()
    error = np.hypot(a["sd"] / np.sqrt(a["ess_bulk"]), b["sd"] / np.sqrt(b["ess_bulk"]))
    assert ((a["mean"] - b["mean"]).abs() < 4.5 * error).all()
    assert other.versions["sampler"] == sampler


def test_same_seed_same_numbers(sampled_fit: bl.Fit) -> None:
    again = bl.fit(
        POWER,
        sampled_fit.runs,
        draws=300,
        tune=500,
        chains=4,
        random_seed=3,
        progressbar=False,
        attempts=2,
    )
    assert sampled_fit.posterior.identical(again.posterior)


def test_a_compiled_model_is_sampled_on_other_data(
    chinchilla_runs: bl.Runs, chinchilla_fit: bl.Fit
) -> None:
    """Losses 10 % higher give A, B, E 10 % higher, without a compile: the exponents stay."""
    compiled = Compiled(
        build(resolve(bl.ModelSpec("chinchilla"), chinchilla_runs), chinchilla_runs), refit=True
    )
    data = {
        "y": np.log(1.1 * chinchilla_runs.y),
        "typical_response": 1.1 * chinchilla_runs.typical_response,
    }
    tree = compiled.sample(SamplerSettings(500, 500, 2, 0.9, 1, progressbar=False), data)
    posterior, reference = tree["posterior"], chinchilla_fit.idata["posterior"]
    for name, factor in (("E", 1.1), ("A_at_centre", 1.1), ("alpha", 1.0)):
        assert abs(float(posterior[name].mean() / reference[name].mean()) / factor - 1) < 0.01, name


def test_failure_to_converge_is_carried_by_every_result(monkeypatch: pytest.MonkeyPatch) -> None:
    unsampled(monkeypatch)
    runs = bl.read_runs(grouped_table(groups=3, points=5), "power")
    with pytest.warns(ConvergenceWarning, match="did not converge after 1 attempts"):
        fit = bl.fit(
            POWER, runs, draws=10, tune=10, chains=2, random_seed=1, attempts=1, progressbar=False
        )
    assert not fit.convergence.passed
    assert any("did not converge" in text for text in fit.warnings)
    assert any(result.passed is False and result.advice for result in bl.check(fit))
    points = {"data_size": 1e10, "task": "task0"}
    assert not fit.bands(points)["converged"].any()
    assert fit.predict(points).attrs["converged"] == fit.quantity("alpha").attrs["converged"] == 0


def test_remedies_are_tried_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    unsampled(monkeypatch)
    runs = bl.read_runs(grouped_table(groups=3, points=8), "power")
    with pytest.warns(ConvergenceWarning):
        fit = bl.fit(
            POWER, runs, draws=20, tune=20, chains=2, random_seed=1, attempts=2, progressbar=False
        )
    assert fit.convergence.attempts[0].startswith("as asked")
    assert len(fit.convergence.attempts) == 2


@pytest.mark.parametrize(
    ("argument", "value"), [("draws", 0), ("chains", 0), ("tune", -1), ("target_accept", 1.5)]
)
def test_wrong_effort_is_refused(argument: str, value: float, chinchilla_runs: bl.Runs) -> None:
    with pytest.raises(SpecError, match=argument):
        bl.fit("chinchilla", chinchilla_runs, **{argument: value})


def test_runs_of_another_law_are_refused(chinchilla_runs: bl.Runs) -> None:
    with pytest.raises(SpecError, match="were read for chinchilla, whose columns are"):
        bl.fit(bl.ModelSpec("power"), chinchilla_runs)


def test_a_fit_is_frozen(chinchilla_fit: bl.Fit) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        chinchilla_fit.random_seed = 2


def test_an_unknown_sampler_is_refused(chinchilla_runs: bl.Runs) -> None:
    with pytest.raises(SpecError, match="nutpie, pymc or numpyro"):
        bl.fit("chinchilla", chinchilla_runs, sampler="stan")


@pytest.mark.filterwarnings("ignore::bayeslaw.errors.ConvergenceWarning")
def test_a_parameter_of_each_group_can_be_pinned() -> None:
    """``0 + task`` with a number gives every task that number, in the model and in predictions."""
    runs = bl.read_runs(grouped_table(groups=2, points=5), "power")
    spec = bl.ModelSpec(
        "power",
        discrepancy="none",
        effects={"E": "0 + task", "A": "0 + task", "alpha": "1"},
        priors={"E_at_centre": 0.2},
    )
    fit = bl.fit(
        spec, runs, draws=50, tune=200, chains=2, random_seed=1, attempts=1, progressbar=False
    )
    share = fit.quantity("E") / fit.idata["posterior"]["A_at_centre"].rename(
        task="group"
    ).drop_vars("group")
    np.testing.assert_allclose(share, 0.2)
