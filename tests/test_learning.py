"""What is learnt from ladders: populations and misfits of simulated families with known truth, and
that no family is judged by what was learnt from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import honest
import numpy as np
import pandas as pd
import pytest
from public_sets import Grid

import bayeslaw as bl
from bayeslaw.errors import SpecError
from bayeslaw.learning import (
    WIDE,
    Forecast,
    Ladder,
    Studied,
    learn,
    populations,
    record_from,
    weights,
)
from bayeslaw.learnt.misfit import Distances, Misfit
from bayeslaw.learnt.record import record_of

#: The true populations: location and sd of the logarithm.
TRUE = {"alpha_at_centre": (np.log(0.3), 0.25), "k": (np.log(0.5), 0.3)}


@pytest.fixture(scope="module")
def runs() -> bl.Runs:
    table = pd.DataFrame({"model_size": [1e8, 2e8, 4e8], "data_size": [1e9, 4e9, 8e9]})
    return bl.read_runs(table.assign(loss=[3.0, 2.8, 2.6]), "pretraining")


def draws_around(
    truth: Mapping[str, float], width: float, rng: np.random.Generator, n: int = 400
) -> dict[str, np.ndarray]:
    """Posterior draws, under the wide priors, of parameters that a ladder determines up to a normal
    error of the logarithm of this width; of the others, the wide prior.
    """
    drawn = {}
    for name, prior in WIDE.items():
        if name not in truth:
            drawn[name] = prior.in_scipy(1.0).rvs(n, random_state=rng)
            continue
        values = dict(prior.parameters)
        precision = 1 / width**2 + 1 / values["sigma"] ** 2
        seen = np.log(truth[name]) + rng.normal(0, width)
        mean = (seen / width**2 + values["mu"] / values["sigma"] ** 2) / precision
        drawn[name] = np.exp(rng.normal(mean, precision**-0.5, n))
    return drawn


def simulated(
    families: int, runs: bl.Runs, seed: int, misfit: Misfit | None = None
) -> list[Studied]:
    """Ladders of families whose parameters are draws of the true populations, each with a split of
    twelve hidden runs up to two decades of compute and one of tokens per parameter away.
    """
    rng, studied = np.random.default_rng(seed), []
    compute, ratio = np.tile([0.5, 1.0, 2.0], 4), np.repeat([0.0, 0.3, -0.3, 1.0], 3)
    distance = Distances(compute, ratio)
    for i in range(families):
        truth = {name: np.exp(rng.normal(*where)) for name, where in TRUE.items()}
        variables = draws_around(truth, 0.15, rng)
        n = len(next(iter(variables.values())))
        error = rng.normal(0, 0.004, (1, 12))
        if misfit is not None:
            loadings = misfit.loadings(distance)
            standard = rng.standard_normal(4) / np.sqrt(rng.gamma(misfit.nu / 2, 2 / misfit.nu))
            error = error + loadings @ standard
        noise = {"sigma": np.full((n, 1), 0.004), "nu": np.full((n, 1), 30.0)}
        forecast = Forecast(variables, np.broadcast_to(error, (n, 12)), noise, distance)
        ladder = Ladder(f"family {i}", "simulated", runs, [])
        studied.append(Studied(ladder, variables, [forecast], [(3, 12)], [True, True]))
    return studied


def test_populations_are_those_of_the_families(runs: bl.Runs) -> None:
    """Of 60 simulated families: location within four standard errors, spread within a fifth; what
    no ladder says anything about keeps the middle of its wide prior.
    """
    learnt = populations(simulated(60, runs, seed=1))
    for name, (location, spread) in TRUE.items():
        found = dict(learnt[name].parameters)
        assert abs(found["mu"] - location) < 4 * np.hypot(spread, 0.15) / np.sqrt(60), name
        assert found["sigma"] == pytest.approx(spread, rel=0.2), name
    untold = dict(learnt["beta_at_centre"].parameters)
    assert abs(untold["mu"]) < 0.15


def test_with_few_families_a_new_one_may_be_farther_out(runs: bl.Runs) -> None:
    """The widening for the uncertainty of the population: that of a Student-t's variance."""
    many, few = (
        np.mean(
            [
                dict(populations(simulated(n, runs, seed=s))["k"].parameters)["sigma"]
                for s in range(6)
            ]
        )
        for n in (30, 5)
    )
    assert few > 1.15 * many


def test_weights_make_draws_of_one_prior_draws_of_another(runs: bl.Runs) -> None:
    (one,) = simulated(1, runs, seed=2)
    rng = np.random.default_rng(3)
    n = 200_000
    variables = {name: prior.in_scipy(1.0).rvs(n, random_state=rng) for name, prior in WIDE.items()}
    (forecast,) = one.forecasts
    wide = Forecast(variables, forecast.error, forecast.noise, forecast.distance)
    record = record_of("pretraining")
    assert record is not None
    of_draws = weights(wide, record.priors)
    effective = 1 / (of_draws**2).sum()
    assert effective > 1000
    for name, prior in record.priors.items():
        expected = prior.in_scipy(1.0)
        error = expected.std() / np.sqrt(effective)
        assert abs((of_draws * variables[name]).sum() - expected.mean()) < 5 * error, name


@pytest.mark.slow
def test_the_misfit_is_found_again(runs: bl.Runs) -> None:
    """Of 24 simulated families, whose misfit is common to the hidden runs of each: within .4; and
    where there is none, next to none.
    """
    true = Misfit(compute=0.02, tokens_per_parameter=0.03)
    found = record_from(simulated(24, runs, seed=4, misfit=true)).misfit
    assert found.compute == pytest.approx(true.compute, rel=0.4)
    assert found.tokens_per_parameter == pytest.approx(true.tokens_per_parameter, rel=0.4)
    none = record_from(simulated(24, runs, seed=5)).misfit
    assert none.compute < 0.004 and none.tokens_per_parameter < 0.01


def test_a_population_needs_families(runs: bl.Runs) -> None:
    studied = simulated(4, runs, seed=6)
    with pytest.raises(SpecError, match=r"There are 4 families of ladders .* needs 5"):
        record_from(studied)
    with pytest.raises(SpecError, match="There are 0 families of ladders"):
        learn([])


@pytest.mark.parametrize(
    ("splits", "says"),
    [
        ([], "has no split"),
        ([([True, False, False], [False, True])], "two masks, true or false, of its 3 runs"),
        ([([1, 0, 0], [0, 1, 1])], "two masks, true or false, of its 3 runs"),
        ([(np.ones(3, bool),)], "two masks, true or false, of its 3 runs"),
        ([(np.ones(3, bool), np.ones(3, bool))], "hides one that it sees"),
        ([(np.ones(3, bool), np.zeros(3, bool))], "hides none"),
        ([(np.zeros(3, bool), np.ones(3, bool))], "sees no run"),
    ],
)
def test_a_split_that_is_none_is_refused_before_anything_is_sampled(
    splits: Any, says: str, runs: bl.Runs
) -> None:
    with pytest.raises(SpecError, match=says):
        learn([Ladder(f"family {i}", "simulated", runs, splits) for i in range(5)])


def test_no_family_is_judged_by_what_was_learnt_from_it(runs: bl.Runs) -> None:
    """The benchmark leaves the family of a set out, and refuses otherwise; what is learnt does not
    depend on the family that was left out.
    """
    studied = simulated(6, runs, seed=7)
    table = runs.table.assign(hidden=[0, 0, 1])
    families = [one.ladder.family for one in studied]
    tasks = list(honest.grid_tasks([Grid(name, "simulated", table) for name in families], studied))
    assert [task.family for task in tasks] == families
    for i, task in list(enumerate(tasks))[:2]:
        others = record_from([*studied[:i], *studied[i + 1 :]])
        assert families[i] not in others.families
        spec = task.specs["bayeslaw"]
        assert spec.misfit == others.misfit
        assert {name: spec.priors[name] for name in others.priors} == others.priors
    with pytest.raises(ValueError, match="learnt from family 2"):
        honest.require_left_out("family 2", record_from(studied))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayeslaw.errors.BayeslawWarning")
def test_learning_from_ladders_of_ones_own() -> None:
    """Five simulated families of 24 runs, sampled: the record's priors and misfit fit a new one."""
    ladders = [Ladder(f"family {i}", "simulated", *_ladder(i)) for i in range(5)]
    record = learn(ladders, draws=300, tune=300, random_seed=1, progressbar=False)
    assert record.families == [f"family {i}" for i in range(5)]
    assert set(record.priors) == set(WIDE)
    assert record.misfit.compute < 0.02
    spec = bl.ModelSpec("pretraining", priors=record.priors, misfit=record.misfit)
    runs, ((seen, hidden),) = _ladder(9)
    fit = bl.fit(spec, runs.rows(seen), random_seed=1, progressbar=False)
    bands = fit.bands(runs.table.loc[hidden, ["model_size", "data_size"]])
    loss = runs.table.loc[hidden, "loss"].to_numpy()
    assert np.mean((bands["lower_90"] <= loss) & (loss <= bands["upper_90"])) >= 0.75


def _ladder(seed: int) -> tuple[bl.Runs, Sequence[tuple[np.ndarray, np.ndarray]]]:
    """Simulated runs of a Chinchilla law with a coupling; those of most compute are hidden."""
    rng = np.random.default_rng(seed)
    sizes = np.repeat(10 ** np.linspace(7.5, 9.5, 8), 3)
    table = pd.DataFrame({"model_size": sizes, "data_size": sizes * np.tile([8.0, 20.0, 50.0], 8)})
    k = np.exp(rng.normal(np.log(0.6), 0.2))
    loss = 1.7 + (40 / table["model_size"] ** 0.35 + 60 / table["data_size"] ** 0.35) ** k
    table["loss"] = loss * np.exp(rng.normal(0, 0.003, len(table)))
    compute = table["model_size"] * table["data_size"]
    hidden = (compute > compute.max() / 10).to_numpy()
    return bl.read_runs(table, "pretraining"), [(~hidden, hidden)]
