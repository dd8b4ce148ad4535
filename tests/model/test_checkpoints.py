"""The deviation of a single checkpoint: drawn at sizes that were never trained, and how much of it
is the prior's answer.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from helpers import once
from scipy import stats

import bayeslaw as bl
from bayeslaw.model.build import CENTRING, build
from bayeslaw.model.effects import RAW
from bayeslaw.priors import lognormal
from bayeslaw.spec.resolve import resolve

SIZES = np.array([1e9, 2e9, 4e9, 8e9, 1.6e10])


def simulated() -> bl.Runs:
    """Simulated finetuning of five checkpoints, each off the law by its own 3 %."""
    rng = np.random.default_rng(3)
    rows = []
    for size, deviation in zip(SIZES, rng.normal(0, 0.03, len(SIZES)), strict=True):
        for data in np.geomspace(1e4, 1e6, 6):
            loss = 25 * size**-0.12 * data**-0.05 * np.exp(deviation + rng.normal(0, 0.004))
            rows.append((size, data, loss))
    return bl.read_runs(
        pd.DataFrame(rows, columns=["model_size", "finetuning_data", "loss"]),
        "finetuning_multiplicative",
    )


def deviating(scale: float) -> bl.ModelSpec:
    return bl.ModelSpec(
        "finetuning_multiplicative",
        effects={"A": "1 + (1 | model_size)", "alpha": "1", "beta": "1", "E": "1"},
        priors={"E_at_centre": 1e-9, "A_1|model_size_sigma": lognormal(scale, 0.6)},
    )


def fitted(scale: float) -> bl.Fit:
    return bl.fit(deviating(scale), simulated(), random_seed=1, progressbar=False)


@pytest.mark.parametrize("centring", [0.0, 0.4, 1.0])
def test_where_a_checkpoint_is_sampled_leaves_its_prior(centring: float) -> None:
    """The density of what is sampled, times the Jacobian sigma^(c - 1), is that of deviations from
    N(0, sigma); and at c = 1 what is sampled follows the exponent, so that a checkpoint's own loss
    stays where its runs have it.
    """
    name = "A_1|model_size"
    runs = simulated()
    model = build(resolve(deviating(0.02), runs), runs)
    raw = model[f"{name}{RAW}"]
    with model:
        pm.set_data({CENTRING: np.full(len(SIZES), centring)})
    of = model.replace_rvs_by_values(
        [model[variable] for variable in (name, f"{name}_sigma", "A_at_centre", "alpha_at_centre")]
    )
    told = model.compile_fn(
        [model.logp(vars=[raw], jacobian=False), *of],
        inputs=model.value_vars,
        on_unused_input="ignore",
        mode=once(),
    )
    point = {
        **model.initial_point(),
        model.rvs_to_values[raw].name: np.array([0.1, -0.3, 0.2, 0.4, -0.1]),
    }
    density, deviation, scale, level, alpha = told(point)
    # Levels are labels in the order of text.
    distance = np.log(
        np.array([float(size) for size in model.coords["model_size"]])
        / np.exp(np.log(SIZES).mean())
    )
    expected = np.log(level) - alpha * distance
    np.testing.assert_allclose(
        deviation,
        scale ** (1 - centring) * (point[model.rvs_to_values[raw].name] - centring * expected),
        rtol=1e-9,
    )
    assert density + (centring - 1) * np.log(scale) * len(SIZES) == pytest.approx(
        stats.norm(0, scale).logpdf(deviation).sum()
    )


@pytest.fixture(scope="module")
def fit() -> bl.Fit:
    return fitted(0.02)


def test_the_band_at_an_unseen_size_contains_the_checkpoint_scale(fit: bl.Fit) -> None:
    """At a new size the law's log loss is spread by the scale's posterior, draw by draw; at a size
    that was trained it is not.
    """
    new, old = ({"model_size": size, "finetuning_data": 1e5} for size in (3e9, 4e9))
    scale = fit.idata["posterior"]["A_1|model_size_sigma"].values.ravel()
    noise = fit.idata["posterior"]["sigma"].values.ravel()
    deviation = (np.log(fit.predict(new)) - np.log(fit.predict(new, "mean"))).values.ravel()
    # the Student-t of the noise has wider tails, which the quantiles below leave out
    expected = scale**2 + noise**2
    z = deviation / np.sqrt(expected)
    inside = (abs(z) < 1).mean()
    assert abs(inside - 0.6827) < 4.5 * np.sqrt(0.25 / len(z)) + 0.01, inside
    widths = [
        np.log(b["upper_90"] / b["lower_90"]).iloc[0] for b in (fit.bands(new), fit.bands(old))
    ]
    assert widths[0] > 2 * 1.6449 * np.median(scale)
    assert widths[0] > 2 * widths[1]


def test_checkpoints_mix_at_the_first_attempt(fit: bl.Fit) -> None:
    """A checkpoint is sampled at its own size: at the table's centre each would move with the
    exponent, and 4,000 draws be worth 450.
    """
    assert len(fit.convergence.attempts) == 1, fit.convergence
    assert min(fit.convergence.ess_bulk, fit.convergence.ess_tail) > 800, fit.convergence


def test_the_effect_of_the_prior_is_told_and_true(fit: bl.Fit) -> None:
    """What reweighting says of a doubled prior is what a fit with it says."""
    (told,) = [result for result in bl.check(fit) if result.name.startswith("checkpoint scale")]
    assert told.passed is None
    assert "if the prior's median were doubled" in told.message
    now, doubled = (
        float(np.median(each.idata["posterior"]["A_1|model_size_sigma"]))
        for each in (fit, fitted(0.04))
    )
    assert doubled > 1.05 * now
    assert abs(told.value / (doubled / now) - 1) < 0.08
