"""The misfit beyond the runs: its distances, its scales, and what it does to predictions."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import from_the_prior
from scipy import stats

import bayeslaw as bl
from bayeslaw.errors import SpecError, StorageError
from bayeslaw.learnt.misfit import Distances, Misfit
from bayeslaw.learnt.record import Record, record_of
from bayeslaw.posterior.misfit import distances
from bayeslaw.posterior.points import checked_points
from bayeslaw.posterior.predict import log_density

MISFIT = Misfit(compute=0.02, tokens_per_parameter=0.05)
SIZES = np.array([1e8, 2e8, 4e8, 8e8])


@pytest.fixture(scope="module")
def runs() -> bl.Runs:
    """Simulated runs of four sizes at 10 to 40 tokens per parameter."""
    table = pd.DataFrame(
        [(size, size * ratio) for size in SIZES for ratio in (10, 20, 40)],
        columns=["model_size", "data_size"],
    )
    loss = 1.8 + (1e4 / table["model_size"] ** 0.5 + 2e4 / table["data_size"] ** 0.5) ** 0.7 / 3
    rng = np.random.default_rng(1)
    table["loss"] = loss * np.exp(rng.normal(0, 0.002, len(table)))
    return bl.read_runs(table, "pretraining")


@pytest.fixture(scope="module")
def fit(runs: bl.Runs) -> bl.Fit:
    return from_the_prior(bl.ModelSpec("pretraining", misfit=MISFIT), runs, 4000)


def without(fit: bl.Fit) -> bl.Fit:
    """The same draws, without a misfit."""
    design = replace(fit.design, spec=fit.spec.replaced(misfit="none"))
    return replace(fit, design=design)


def test_distances_are_decades_of_compute_and_of_tokens_per_parameter(fit: bl.Fit) -> None:
    points = pd.DataFrame(
        {
            "model_size": [4e8, 8e9, 1e8, 8e8, 1e7],
            "data_size": [8e9, 3.2e11, 1e11, 8e8, 2e8],
        }
    )
    found = distances(fit, checked_points(fit.design, fit.runs, points))
    largest, smallest = 8e8 * 3.2e10, 1e8 * 1e9
    compute = [0, 2, 0, 0, np.log10(1e7 * 2e8 / smallest)]
    np.testing.assert_allclose(found.compute, compute, atol=1e-12)
    assert largest * 100 == 8e9 * 3.2e11
    # The central 80 % of 10, 20 and 40 tokens per parameter, four runs each, is all of them.
    np.testing.assert_allclose(
        found.tokens_per_parameter, [0, 0, np.log10(1000 / 40), -1, 0], atol=1e-12
    )


def test_runs_of_other_groups_are_not_near(runs: bl.Runs) -> None:
    table = runs.table[["model_size", "data_size", "loss"]]
    far = table.assign(model_size=table["model_size"] * 10, data_size=table["data_size"] * 10)
    both = pd.concat([table.assign(corpus="a"), far.assign(corpus="b")], ignore_index=True)
    grouped = bl.read_runs(both, "pretraining", groups=["corpus"])
    of_groups = from_the_prior(bl.ModelSpec("pretraining"), grouped, 50)
    point = {"model_size": [8e9], "data_size": 3.2e11}
    for corpus, compute in (("a", 2.0), ("b", 0.0)):
        table = checked_points(of_groups.design, of_groups.runs, {**point, "corpus": corpus})
        assert distances(of_groups, table).compute == pytest.approx([compute], abs=1e-9)


def test_predictions_where_runs_are_plentiful_are_the_same(fit: bl.Fit, runs: bl.Runs) -> None:
    at = runs.table[["model_size", "data_size"]]
    for kind in ("mean", "latent", "run"):
        np.testing.assert_array_equal(
            fit.predict(at, kind, random_seed=3).values,
            without(fit).predict(at, kind, random_seed=3).values,
        )


def test_beyond_them_it_is_a_student_t_common_to_all_points(fit: bl.Fit) -> None:
    """Two points at one and two decades of compute: the second errs twice as much, in every draw,
    by draws of a Student-t. The expected curve has no misfit.
    """
    points = pd.DataFrame(
        {"model_size": [8e8 * 10**0.5, 8e9], "data_size": [3.2e10 * 10**0.5, 3.2e11]}
    )
    assert fit.predict(points, "mean").equals(without(fit).predict(points, "mean"))
    drawn, plain = (
        np.log(one.predict(points, "latent", random_seed=3).values.reshape(-1, 2))
        for one in (fit, without(fit))
    )
    misfit = drawn - plain
    np.testing.assert_allclose(misfit[:, 1], 2 * misfit[:, 0], rtol=1e-9)
    assert stats.kstest(misfit[:, 0] / MISFIT.compute, stats.t(MISFIT.nu).cdf).pvalue > 0.001


def test_the_two_directions_err_apart_and_add_up(fit: bl.Fit) -> None:
    points = pd.DataFrame(
        {"model_size": [8e9, 8e8, 8e9, 8e9], "data_size": [3.2e11, 3.2e11, 3.2e12, 8e9]}
    )
    drawn, plain = (
        np.log(one.predict(points, "latent", random_seed=3).values.reshape(-1, 4))
        for one in (fit, without(fit))
    )
    misfit = drawn - plain
    compute, ratio = (
        np.array([2, 1, 3, np.log10(8e9 * 8e9 / (8e8 * 3.2e10))]),
        np.array([0, 1, 1, -1]),
    )
    scale = np.sqrt((MISFIT.compute * compute) ** 2 + (MISFIT.tokens_per_parameter * ratio) ** 2)
    for x, one in zip(misfit.T, scale, strict=True):
        assert stats.kstest(x / one, stats.t(MISFIT.nu).cdf).pvalue > 0.001
    # More and fewer tokens per parameter are apart: what is left of compute is in common.
    more, fewer = misfit[:, 2] - 1.5 * misfit[:, 0], misfit[:, 3] - compute[3] / 2 * misfit[:, 0]
    assert abs(stats.spearmanr(more, fewer).statistic) < 4 / np.sqrt(len(more))


def test_the_density_of_a_hidden_run_is_the_closed_form(runs: bl.Runs) -> None:
    """Of a single draw of the parameters: a Student-t misfit and normal noise, by quadrature."""
    spec = bl.ModelSpec("pretraining", noise="normal", misfit=MISFIT)
    some = from_the_prior(spec, runs, 8)
    one = some.with_draws(some.posterior.isel(chain=[0], draw=[0]))
    many = some.with_draws(some.posterior.isel(chain=[0], draw=np.zeros(20_000, dtype=int)))
    point = pd.DataFrame({"model_size": [8e9], "data_size": [3.2e11]})
    law = float(np.log(one.predict(point, "mean").values.item()))
    sigma = float(one.posterior["sigma"].values.item())
    x = np.linspace(-3, 3, 200_001)
    for error in (0.0, 0.1):
        density = stats.t(MISFIT.nu, scale=2 * MISFIT.compute).pdf(x)
        exact = np.log(np.trapezoid(density * stats.norm(x, sigma).pdf(error), x))
        table = point.assign(loss=np.exp(law + error))
        found = log_density(many, table, random_seed=1)[0] + law + error
        assert found == pytest.approx(exact, abs=0.05)


def test_laplace_noise_is_scored_with_draws_of_the_misfit(runs: bl.Runs) -> None:
    """Far out the density of a run that is far off is that of bands as wide as the misfit."""
    spec = bl.ModelSpec("pretraining", noise="laplace", misfit=Misfit(0.1, 0.1))
    fit = from_the_prior(spec, runs, 2000)
    table = pd.DataFrame({"model_size": [8e9], "data_size": [3.2e11]})
    table = table.assign(loss=float(np.median(fit.predict(table, "mean"))))
    narrow = fit.with_draws(fit.posterior.assign(sigma=fit.posterior["sigma"] * 0 + 0.01))
    alike = narrow.with_draws(narrow.posterior.isel(draw=np.zeros(4000, dtype=int)))
    law = float(np.median(alike.predict(table, "mean")))
    found = log_density(alike, table.assign(loss=law * np.exp(0.2)), random_seed=1)[0]
    density = stats.t(4, scale=0.2).pdf(0.2) / (law * np.exp(0.2))
    assert found == pytest.approx(np.log(density), abs=0.2)


def test_the_default_is_what_was_learnt_for_this_law() -> None:
    record = record_of("pretraining")
    assert record is not None
    assert bl.ModelSpec("pretraining").misfit == record.misfit
    assert bl.ModelSpec("pretraining", misfit="none").misfit is None
    for name in ("chinchilla", "power"):
        assert bl.ModelSpec(name).misfit is None
    assert bl.ModelSpec("chinchilla", misfit=MISFIT.to_json()).misfit == MISFIT


def test_a_spec_keeps_its_misfit_and_one_of_an_earlier_version_has_none() -> None:
    for misfit in (None, "none", MISFIT):
        spec = bl.ModelSpec("pretraining", misfit=misfit)
        plain = json.loads(json.dumps(spec.to_json()))
        assert bl.ModelSpec.from_json(plain) == spec
        assert spec.replaced(noise="normal").misfit == spec.misfit
        del plain["misfit"]
        assert bl.ModelSpec.from_json(plain).misfit is None


@pytest.mark.parametrize(
    ("law", "misfit", "says"),
    [
        ("power", "learnt", "no model_size and data_size"),
        ("power", {"compute": 0.1, "tokens_per_parameter": 0.1}, "no model_size and data_size"),
        ("kaplan", "learnt", "nothing was learnt about kaplan"),
        ("pretraining", "leart", "must be 'learnt', 'none', or"),
        ("pretraining", {"compute": 0.1}, "must be 'learnt', 'none', or"),
        ("pretraining", {"compute": -0.1, "tokens_per_parameter": 0.1}, "between 0 and 10"),
        ("pretraining", {"compute": "x", "tokens_per_parameter": 0.1}, "between 0 and 10"),
        ("pretraining", {"compute": float("nan"), "tokens_per_parameter": 0.1}, "between 0 and"),
        ("pretraining", {"compute": 0.1, "tokens_per_parameter": 0.1, "nu": 0}, "nu above 0"),
    ],
)
def test_what_is_no_misfit_is_refused(law: str, misfit: Any, says: str) -> None:
    with pytest.raises(SpecError, match=says) as caught:
        bl.ModelSpec(law, misfit=misfit)
    assert caught.value.key in ("misfit", ("misfit",))


def test_loadings_have_a_side_each() -> None:
    points = Distances(np.array([2.0, -1.0]), np.array([0.5, -0.25]))
    expected = [[0.04, 0, 0.025, 0], [0, 0.02, 0, 0.0125]]
    np.testing.assert_allclose(MISFIT.loadings(points), expected)


def test_the_record_that_ships_names_its_runs_and_survives_json() -> None:
    record = record_of("pretraining")
    assert record is not None
    assert len(record.families) >= 6
    assert all(one["converged"] for one in record.sets)
    assert set(record.provenance["sources"]) == set(record.families)
    assert {"date", "bayeslaw"} <= set(record.provenance)
    again = Record.from_json(json.loads(json.dumps(record.to_json())))
    assert again == record
    with pytest.raises(StorageError, match="lacks misfit, sets"):
        Record.from_json({"law": "x", "priors": {}, "provenance": {}})
