"""Learning rate and batch size: simulated grids whose optimum is known, against closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from grids import LAW, TRUTH, simulated
from helpers import stored

import bayeslaw as bl
from bayeslaw.errors import RunsError, SpecError

pytestmark = pytest.mark.filterwarnings("ignore::bayeslaw.errors.BayeslawWarning")

#: A fit that must find the truth is sampled; any fit serves to see what is computed from draws.
sampled = pytest.mark.slow


@pytest.fixture(scope="module")
def fit() -> bl.Fit:
    return stored("hyperparameters")


@pytest.fixture(scope="module")
def sampled_fit() -> bl.Fit:
    return bl.fit(
        LAW.name,
        bl.read_runs(simulated(), LAW),
        draws=2000,
        tune=1600,
        target_accept=0.99,  # what the remedies would come to, at once
        random_seed=1,
        progressbar=False,
    )


AT = {"compute": 1e20}  # ten times beyond the runs


def test_effects_by_default_are_of_each_compute(fit: bl.Fit) -> None:
    own = "1 + (1 | compute)"
    assert [name for name in LAW.params if fit.spec.effects[name] == own] == [
        "A",
        "eta",
        "kappa_lr",
    ]


@sampled
def test_optimum_of_a_compute_never_run(sampled_fit: bl.Fit) -> None:
    found = bl.optimum(sampled_fit, AT)
    assert found["learning_rate"].dims == ("chain", "draw")
    assert found.attrs["compute"] == 1e20
    for name, truth in (
        ("learning_rate", LAW.learning_rate_opt(**AT, **TRUTH)),
        ("batch_size", LAW.batch_size_opt(**AT, **TRUTH)),
        ("loss", LAW.loss_opt(**AT, **TRUTH)),
    ):
        low, high = found[name].quantile([0.005, 0.995])
        assert low <= truth <= high, name
    assert float(found["learning_rate"].std() / found["learning_rate"].mean()) < 0.3


def test_optimum_is_the_quantity_where_nothing_deviates(fit: bl.Fit) -> None:
    """Of the law, without the deviation of one compute: the population's."""
    of_law = fit.quantity("learning_rate_opt", compute=1e20)
    assert float(np.log(bl.optimum(fit, AT)["learning_rate"] / of_law).mean()) == pytest.approx(
        0, abs=0.02
    )
    np.testing.assert_allclose(
        of_law, fit.quantity("eta") * 1e20 ** fit.quantity("eta_C"), rtol=1e-12
    )


@sampled
def test_choices_are_scored_by_what_they_lose(sampled_fit: bl.Fit) -> None:
    rate, batch = LAW.learning_rate_opt(**AT, **TRUTH), LAW.batch_size_opt(**AT, **TRUTH)
    choices = pd.DataFrame({"learning_rate": rate * np.array([1, 0.3, 4.0]), "batch_size": batch})
    table = bl.hyperparameters(sampled_fit, AT, choices)
    assert table.attrs["best"] == 0
    assert table["p_near_optimal"].iloc[0] > 0.9
    assert table["p_near_optimal"].iloc[2] < 0.05
    for i in (1, 2):
        truth = float(
            LAW.excess(**AT, learning_rate=choices["learning_rate"][i], batch_size=batch, **TRUTH)
        )
        row = table.iloc[i]
        assert row["lower_90_excess"] / 1.3 < truth < row["upper_90_excess"] * 1.3
    # Near-optimal is within .25 % of the least loss, draw by draw.
    wide = bl.hyperparameters(sampled_fit, AT, choices, within=0.1)
    assert (wide["p_near_optimal"] >= table["p_near_optimal"]).all()


@sampled
def test_a_grid_of_its_own_finds_the_best(sampled_fit: bl.Fit) -> None:
    """The choice with the least expected excess is near the truth, and not beaten by the plug-in
    optimum.
    """
    table = bl.hyperparameters(sampled_fit, AT)
    best = table.loc[table.attrs["best"]]
    truth = LAW.excess(
        **AT, learning_rate=best["learning_rate"], batch_size=best["batch_size"], **TRUTH
    )
    assert truth < 0.0025  # near-optimal in truth
    medians = {
        name: [float(x.median())]
        for name, x in bl.optimum(sampled_fit, AT)[["learning_rate", "batch_size"]].items()
    }
    plug_in = bl.hyperparameters(sampled_fit, AT, medians)
    assert best["excess"] <= plug_in["excess"].iloc[0] * 1.05  # as far as 41 values an axis go


def test_an_excess_is_none_at_the_optimum_and_grows_around_it() -> None:
    rate, batch = LAW.learning_rate_opt(**AT, **TRUTH), LAW.batch_size_opt(**AT, **TRUTH)
    assert LAW.excess(**AT, learning_rate=rate, batch_size=batch, **TRUTH) == pytest.approx(
        0, abs=1e-15
    )
    lower, higher = (
        LAW.excess(**AT, learning_rate=rate * factor, batch_size=batch, **TRUTH)
        for factor in (1 / 8, 8)
    )
    assert higher > lower > 0.01  # skew: too large a rate is worse
    with_batch = LAW.excess(**AT, learning_rate=rate * 2**0.25, batch_size=batch * 2, **TRUTH)
    # along the tilt nothing is lost in the rate
    assert with_batch == pytest.approx(TRUTH["kappa_bs"] * np.log(2) ** 2 / 2)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"at": {}}, RunsError, "column 'compute': the column is missing"),
        ({"at": {"compute": -1.0}}, RunsError, "must be above 0"),
        ({"at": {**AT, "learning_rate": 1e-3}}, SpecError, "give choices instead"),
        ({"choices": {"learning_rate": [1e-3]}}, SpecError, "choices need batch_size"),
        (
            {"choices": {"learning_rate": [0.0], "batch_size": 1e6}},
            SpecError,
            "choices need learning_rate, a positive number",
        ),
        (
            {"choices": {"learning_rate": [np.inf], "batch_size": 1e6}},
            SpecError,
            "choices need learning_rate",
        ),
        (
            {"choices": {"learning_rate": [], "batch_size": []}},
            SpecError,
            "choices need learning_rate",
        ),
        (
            {"at": {"compute": 1e20, "corpus": "c4"}},
            SpecError,
            "at has corpus, which is in neither the model nor its runs",
        ),
        ({"within": 0}, SpecError, "within is 0"),
    ],
)
def test_choices_that_cannot_be_meant(
    fit: bl.Fit, arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        bl.hyperparameters(fit, **{"at": AT, **arguments})


def test_laws_without_hyperparameters_say_so(grouped_fit: bl.Fit) -> None:
    with pytest.raises(SpecError, match="Laws that have: learning_rate_batch_size, step_law"):
        bl.optimum(grouped_fit, {"data_size": 1e9})
