"""Fixtures: public runs, and fits that many tests read."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayeslaw as bl
from bayeslaw.errors import BayeslawWarning
from bayeslaw.study.outcome import Outcome

PUBLIC = Path(__file__).parents[2] / "shared" / "data"


def public_path(name: str) -> Path:
    """A file of public runs; the test is skipped where they are not, but not in CI, which has them."""
    path = PUBLIC / name
    if not path.is_file() and not os.environ.get("CI"):
        pytest.skip(f"public runs are not at {PUBLIC}")
    return path


@pytest.fixture(scope="session")
def chinchilla_runs() -> bl.Runs:
    """The 240 lowest losses of Hoffmann et al. 2022, figure 4, as digitised and used by Besiroglu
    et al. 2024.
    """
    table = pd.read_csv(public_path("chinchilla/svg_extracted_data.csv")).nsmallest(240, "loss")
    return bl.read_runs(
        table, "chinchilla", columns={"model_size": "Model Size", "compute": "Training FLOP"}
    )


@pytest.fixture(scope="session")
def chinchilla_fit(chinchilla_runs: bl.Runs) -> bl.Fit:
    return bl.fit("chinchilla", chinchilla_runs, random_seed=1, progressbar=False)


def grouped_table(seed: int = 7, groups: int = 6, points: int = 12) -> pd.DataFrame:
    """Simulated learning curves of several tasks: a power law whose level and slope differ by task."""
    rng = np.random.default_rng(seed)
    x = np.geomspace(1e6, 1e9, points)
    rows = []
    for g in range(groups):
        level, slope = np.exp(rng.normal(0, 0.2)), 0.15 * np.exp(rng.normal(0, 0.2))
        loss = bl.law("power").evaluate(
            {"data_size": x}, {"A": level * 3e7**slope, "alpha": slope, "E": 0.3}
        )
        rows += [
            (f"task{g}", a, b)
            for a, b in zip(x, loss * np.exp(rng.normal(0, 0.01, points)), strict=True)
        ]
    return pd.DataFrame(rows, columns=["task", "data_size", "loss"])


#: Runs that scatter independently around the law: what tests of effects and of prediction reckon
#: with.
POWER = bl.ModelSpec("power", discrepancy="none")  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def grouped_fit() -> bl.Fit:
    """A small fit with groups, to simulated curves."""
    runs = bl.read_runs(grouped_table(), "power")
    return bl.fit(
        POWER, runs, draws=300, tune=500, chains=4, random_seed=3, progressbar=False, attempts=2
    )


#: A study of simulated runs that takes seconds.
SMALL = """
[study]
name = "Small <script>alert(1)</script> & co"
law = { name = "power" }
[runs]
path = "simulated.csv"
groups = ["task"]
[model]
discrepancy = "none"
[model.priors]
alpha_at_centre = { distribution = "LogNormal", median = 0.15, sigma = 0.5 }
[sampling]
draws = 250
tune = 300
chains = 4
[backtest]
holdout = "data_size > 3e8"
baselines = ["line"]
[[predict]]
data_size = [2e9, 4e9]
task = ["task0", "<b>bold</b>"]
[decision]
target = { loss = 0.75 }
at = { data_size = 4e9 }
cost = { task0 = 10, task1 = 20, "<b>bold</b>" = 30 }
unit = "USD"
value = 100
[next_runs]
candidates = { data_size = [1e9, 2e9], task = ["task0", "task1"] }
cost = [1, 2, 1, 2]
budget = 3
"""


def simulated_curves() -> pd.DataFrame:
    """Simulated learning curves of four tasks, one of them with a name that a page must not run."""
    rng = np.random.default_rng(7)
    x = np.geomspace(1e6, 1e9, 12)
    rows = []
    for task in ("task0", "task1", "task2", "<b>bold</b>"):
        level, slope = np.exp(rng.normal(0, 0.2)), 0.15 * np.exp(rng.normal(0, 0.2))
        loss = (level * 3e7**slope * x**-slope + 0.3) * np.exp(rng.normal(0, 0.01, len(x)))
        rows += [(task, a, b) for a, b in zip(x, loss, strict=True)]
    return pd.DataFrame(rows, columns=["task", "data_size", "loss"])


def written(folder: Path, text: str = SMALL) -> Path:
    """A study file and its runs in a folder."""
    simulated_curves().to_csv(folder / "simulated.csv", index=False)
    path = folder / "study.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="session")
def outcome(home: Path) -> Outcome:
    """The small study, run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayeslawWarning)
        return bl.run_study(written(home), home / "out", progressbar=False)
