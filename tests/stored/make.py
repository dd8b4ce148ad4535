"""Write the stored fits that tests of logic read.

``uv run python tests/stored/make.py [NAME ...]`` writes all of them, or those of the names.

Each is a real fit to simulated runs, saved as a user saves it. What a test says of decisions,
figures, commands or files holds for any posterior: such a test reads one of these with
`helpers.stored` and compiles nothing. A test that says something of the sampler, or of what a
posterior holds, samples. Make all of them anew when a model's variables, what a spec resolves to or
the format of saved fits change; ``tests/test_stored.py`` fails when that is due. Draws are few, so
that a file stays below 300 kB.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

if __name__ == "__main__":  # tests find their helpers by pytest's settings
    sys.path.insert(0, str(Path(__file__).parents[1]))

import grids
from helpers import POWER, grouped_table
from sweeps import simulated

import bayeslaw as bl
from bayeslaw.errors import BayeslawWarning
from bayeslaw.validation.storage import save_backtest

FOLDER = Path(__file__).parent
#: Of the same fit as "grouped": what lies beyond 3e8 tokens, foretold from the rest.
BACKTEST = "grouped_backtest"


@dataclass(frozen=True, slots=True)
class Stored:
    """What is fitted, to which simulated runs, and how much is sampled."""

    spec: bl.ModelSpec
    runs: Callable[[], bl.Runs]
    effort: dict[str, int] = field(
        default_factory=lambda: {"draws": 150, "tune": 500, "chains": 2, "attempts": 1}
    )


def grouped() -> bl.Runs:
    """Learning curves of six tasks."""
    return bl.read_runs(grouped_table(), "power")


def chinchilla() -> bl.Runs:
    """A grid of 36 runs with the coefficients of Besiroglu et al. 2024, table 1."""
    rng = np.random.default_rng(0)
    size, data = map(np.ravel, np.meshgrid(np.geomspace(1e8, 1e10, 6), np.geomspace(2e9, 2e11, 6)))
    params = {"A": 482.01, "B": 2085.43, "E": 1.8172, "alpha": 0.3478, "beta": 0.3658}
    loss = bl.law("chinchilla").evaluate({"model_size": size, "data_size": data}, params)
    noise = np.exp(rng.normal(0, 0.005, len(size)))
    table = pd.DataFrame({"model_size": size, "data_size": data, "loss": loss * noise})
    return bl.read_runs(table, "chinchilla")


def sweeps_of_two_factors() -> bl.Runs:
    """The sweeps of model size and of pretraining data, without those of the adapter's size."""
    runs = bl.read_runs(simulated(), "finetuning_factors")
    return runs.rows((runs.table["factor"] != "pet_size").to_numpy())


def curves(*methods: str) -> pd.DataFrame:
    """Simulated gold scores against nine reward models, of a policy of 1.2e9 parameters."""
    table = bl.dataset("overoptimization_simulated")
    return table[table["method"].isin(methods) & (table["policy_size"] == 1.2e9)]


def models_named_by_numbers() -> bl.Runs:
    """RL against reward models whose names look like numbers."""
    table = curves("rl")
    names = {size: f"{i:03d}" for i, size in enumerate(sorted(table["reward_model_size"].unique()))}
    table = table.assign(model=table["reward_model_size"].map(names))
    return bl.read_runs(
        table.drop(columns=["reward_model_size", "policy_size", "method"]), "overoptimization_rl"
    )


def sizes_that_make_no_groups() -> bl.Runs:
    """RL with the reward model's size in a column that makes no groups."""
    table = curves("rl").drop(columns=["policy_size", "method"])
    return bl.read_runs(table.rename(columns={"reward_model_size": "size"}), "overoptimization_rl")


def a_group_without_a_method() -> bl.Runs:
    """Both methods, of which the smallest reward model has no best-of-n."""
    table = curves("rl", "bon")
    table = table[(table["method"] == "rl") | (table["reward_model_size"] != 3e6)]
    return bl.read_runs(table, "overoptimization", groups=["method", "reward_model_size"])


def scores_with_errors() -> bl.Runs:
    """A best-of-n curve whose points have a standard error far beyond their scatter."""
    d = np.linspace(0.3, 3, 14)
    noise = np.random.default_rng(8).normal(0, 0.002, len(d))
    score = d * (0.6 - 0.12 * d) + noise
    return bl.read_runs(
        pd.DataFrame({"kl": d**2, "gold_score": score, "gold_score_se": 0.2}),
        "overoptimization_bon",
    )


def learning_rates_and_batch_sizes() -> bl.Runs:
    """Grids around the optimum of five computes."""
    return bl.read_runs(grids.simulated(), "learning_rate_batch_size")


def three_losses() -> bl.Runs:
    """Three runs of a power law."""
    return bl.read_runs(
        pd.DataFrame({"data_size": [1e6, 1e7, 1e8], "loss": [3.0, 2.5, 2.2]}), "power"
    )


def spec(law: str, **options: object) -> bl.ModelSpec:
    """A spec of runs that scatter independently around the law."""
    return bl.ModelSpec(law, discrepancy="none", **options)


STORED = {
    "grouped": Stored(POWER, grouped, {"draws": 250, "tune": 1000, "chains": 4}),
    "chinchilla": Stored(
        bl.ModelSpec("chinchilla"), chinchilla, {"draws": 500, "tune": 1000, "chains": 4}
    ),
    "sweeps_of_two_factors": Stored(
        bl.ModelSpec("finetuning_factors"),
        sweeps_of_two_factors,
        {"draws": 170, "tune": 1500, "chains": 4},
    ),
    "models_named_by_numbers": Stored(spec("overoptimization_rl"), models_named_by_numbers),
    "sizes_that_make_no_groups": Stored(
        spec("overoptimization_rl", effects={"beta": "1 + log10(size)"}), sizes_that_make_no_groups
    ),
    "a_group_without_a_method": Stored(spec("overoptimization"), a_group_without_a_method),
    "scores_with_errors": Stored(spec("overoptimization_bon"), scores_with_errors),
    "three_losses": Stored(spec("power"), three_losses),
    "hyperparameters": Stored(
        bl.ModelSpec("learning_rate_batch_size"),
        learning_rates_and_batch_sizes,
        {"draws": 250, "tune": 1000, "chains": 2, "attempts": 1},
    ),
}


def lean(fit: bl.Fit) -> bl.Fit:
    """The fit without the statistics of the sampler, which take more room than the draws."""
    groups = {name: node.to_dataset() for name, node in fit.idata.children.items()}
    groups["sample_stats"] = groups["sample_stats"][["diverging"]]
    return replace(fit, idata=xr.DataTree.from_dict(groups))


def make(name: str) -> None:
    """Fit and save."""
    path = FOLDER / f"{name}.nc"
    if name == BACKTEST:
        found = bl.backtest(
            POWER,
            grouped(),
            "data_size > 3e8",
            baselines=False,
            draws=250,
            tune=1000,
            random_seed=1,
            progressbar=False,
        )
        fits = {split: fit.thinned(50) for split, fit in found.fits.items()}
        save_backtest(replace(found, fits=fits), path)
    else:
        of = STORED[name]
        fit = bl.fit(of.spec, of.runs(), random_seed=3, progressbar=False, **of.effort)
        lean(fit).save(path)


if __name__ == "__main__":
    warnings.simplefilter("ignore", BayeslawWarning)
    for name in sys.argv[1:] or [*STORED, BACKTEST]:
        make(name)
