"""Statistical checks over many fits: parameters are recovered and bands cover, at their nominal rate."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from test_datasets import script  # noqa: F401  (a fixture)

import bayeslaw as bl
from bayeslaw import demo
from bayeslaw.laws.base import Law
from bayeslaw.model import build
from bayeslaw.sampling import Compiled, Effort
from bayeslaw.spec import resolve

pytestmark = pytest.mark.slow

#: A design with a little of everything: 24 runs, inputs over two decades each.
DESIGN = {
    "model_size": np.tile(np.geomspace(1e8, 1e10, 4), 6),
    "pretraining_data": np.tile(np.geomspace(1e10, 1e12, 4), 6),
    "finetuning_data": np.repeat(np.geomspace(1e4, 1e6, 6), 4),
    "data_size": np.repeat(np.geomspace(1e9, 1e11, 6), 4),
}
#: Fits for each law: one law in earnest, the others enough to see a gross error.
FITS = {"chinchilla": 120} | dict.fromkeys(
    ["finetuning_multiplicative", "finetuning_additive", "finetuning_rectified", "power", "shifted_power"], 40
)


def ranks_of_the_truth(law: Law, fits: int) -> Iterator[dict[str, float]]:
    """Where parameters drawn from the prior stand in their posteriors (0 to 1), over many simulated tables."""
    inputs = {name: DESIGN[name] for name in law.inputs}
    table = pd.DataFrame({**inputs, "loss": np.exp(np.linspace(0.5, -0.5, 24))})
    runs = bl.read_runs(table, law)
    spec = resolve(bl.ModelSpec(law, discrepancy="none"), runs)  # type: ignore[arg-type]
    model = build(spec, runs)
    compiled = Compiled(model, refit=True)
    names = list(spec.priors)
    with model:
        prior = pm.sample_prior_predictive(fits, random_seed=11, var_names=[*names, "response"])
    drawn, y = prior["prior"].to_dataset(), prior["prior_predictive"]["response"]
    # The unit of relative priors is held fixed: estimated from each table, it would make the prior depend on the data.
    fixed = {"typical_response": runs.typical_response}
    for i in range(fits):
        tree = compiled.sample(Effort(250, 500, 4, 0.95, i, progressbar=False), {"y": y[0, i].values, **fixed})
        posterior = tree["posterior"].to_dataset()
        yield {name: float((posterior[name] < drawn[name][0, i]).mean()) for name in names}


@pytest.mark.parametrize("name", sorted(FITS))
def test_intervals_of_parameters_cover(name: str) -> None:
    """Parameters drawn from the prior lie in 90 % intervals 90 % of the time (simulation-based calibration, Talts et al. 2018)."""
    ranks = pd.DataFrame(list(ranks_of_the_truth(bl.law(name), FITS[name])))
    n = len(ranks)
    covered = ((ranks > 0.05) & (ranks < 0.95)).mean()
    error = np.sqrt(0.9 * 0.1 / n)
    assert ((covered - 0.9).abs() < 3.5 * error).all(), covered.to_dict()
    # Ranks are uniform: their mean is 1/2 with variance 1/12.
    assert ((ranks.mean() - 0.5).abs() < 4 * np.sqrt(1 / 12 / n)).all(), ranks.mean().to_dict()


def test_the_demo_covers_16b(script) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    """Over 20 seeds, 90 % bands from 1B-8B hold the simulated 16B runs at their nominal rate, 50 % bands too.

    All runs of a base model share its 16B checkpoint's deviation, so there are some 40 independent cases; the error is taken
    from the spread over seeds.
    """
    compiled, inside = None, []
    for seed in range(20):
        table = script.simulate(1000 + seed)
        runs = demo.small_runs(table)
        if compiled is None:
            spec = resolve(demo.spec(), runs)
            compiled = Compiled(build(spec, runs), refit=True)
            centring = compiled.pilot(Effort(200, 400, 2, 0.95, 1, progressbar=False))
        data = {"y": np.log(runs.y), "typical_response": runs.typical_response, **centring}
        tree = compiled.sample(Effort(500, 700, 4, 0.95, seed, progressbar=False), data)
        fit = as_fit(spec, runs, tree, seed)
        big = table[table["heldout"]].reset_index(drop=True)
        bands = fit.bands(big[["task", "method", "llm", "model_size", "finetuning_data"]])
        inside.append({p: ((big["loss"] > bands[f"lower_{p}"]) & (big["loss"] < bands[f"upper_{p}"])).mean() for p in (50, 90)})
    coverage = pd.DataFrame(inside)
    for p, nominal in ((50, 0.5), (90, 0.9)):
        error = max(coverage[p].std() / np.sqrt(len(coverage)), np.sqrt(nominal * (1 - nominal) / 40))
        assert abs(coverage[p].mean() - nominal) < 2.5 * error, coverage.mean().to_dict()


def as_fit(spec: bl.ModelSpec, runs: bl.Runs, tree, seed: int) -> bl.Fit:  # type: ignore[no-untyped-def]
    """A Fit around draws that were sampled without compiling anew."""
    from bayeslaw.sampling import convergence

    return bl.Fit(spec, runs, tree, convergence(tree), seed, (), {})
