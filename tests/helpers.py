"""What several test modules share and is no fixture: where files lie, simulated tables, specs,
textbook formulas.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayeslaw as bl

#: The checkout.
REPOSITORY = Path(__file__).parents[1]
README = REPOSITORY / "README.md"
#: Fits that tests of logic read.
STORED = REPOSITORY / "tests" / "stored"
#: Public runs lie beside the checkout.
PUBLIC = REPOSITORY.parent / "shared" / "data"


def public_path(name: str) -> Path:
    """A file of public runs; a test that needs them is skipped without, but never in CI."""
    path = PUBLIC / name
    if not path.is_file() and not os.environ.get("CI"):
        pytest.skip(f"public runs are not at {PUBLIC}")
    return path


def once() -> Any:
    """A PyTensor mode for what is evaluated a few times: in Python, where the compiler would take
    longer than it saves.
    """
    from pytensor.compile import Mode

    return Mode(linker="py", optimizer="merge")


def unsampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the test ends, fits hold draws of the prior in place of the posterior's: for tests of
    what a fit says and carries, which no sampler and no compiler has a part in.
    """
    from bayeslaw.model.sampling import Compiled, draw_prior
    from bayeslaw.spec.settings import SamplerSettings

    def draw(self: Compiled, settings: SamplerSettings, data: object = None) -> xr.DataTree:
        dims = self.model.named_vars_to_dims
        variables = [*self.model.free_RVs, *self.model.deterministics]
        names = [v.name for v in variables if v.ndim == len(dims.get(v.name) or ())]
        drawn = draw_prior(
            self.model, names, settings.chains * settings.draws, settings.random_seed
        )
        shape = {"chain": settings.chains, "draw": settings.draws}
        posterior = xr.Dataset(
            {
                name: (x.dims, x.values.reshape(*shape.values(), *x.shape[2:]))
                for name, x in drawn.items()
            },
            coords={name: x for name, x in drawn.coords.items() if name not in shape}
            | {dim: np.arange(size) for dim, size in shape.items()},
        )
        statistics = xr.Dataset(
            {"diverging": (("chain", "draw"), np.zeros(tuple(shape.values()), dtype=bool))}
        )
        return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": statistics})

    monkeypatch.setattr(Compiled, "draw", draw)


def stored(name: str) -> bl.Fit:
    """A fit to simulated runs that `tests/stored/make.py` saved: for tests of what is computed from
    draws, whatever they are.
    """
    return bl.load(STORED / f"{name}.nc")


def grouped_table(seed: int = 7, groups: int = 6, points: int = 12) -> pd.DataFrame:
    """Simulated learning curves of several tasks: power laws of different level and slope."""
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
POWER = bl.ModelSpec("power", discrepancy="none")


def pinned_power(effects: dict[str, str], priors: dict[str, object]) -> bl.ModelSpec:
    """A power law of which only the level is free: log loss is then linear in it, and the posterior
    has a closed form.
    """
    pinned = {"alpha_at_centre": 0.1, "E_at_centre": 1e-12, "sigma": 0.05}
    return bl.ModelSpec(
        "power",
        effects={"A": "1", "alpha": "1", "E": "1"} | effects,
        noise="normal",
        discrepancy="none",
        priors=pinned | priors,
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


#: Parameters of a curve's own process, for `covariance`.
PARAMS = {
    "delta_sigma": 0.05,
    "delta_memory": 0.8,
    "trend_sigma": 0.03,
    "trend_slope": 0.07,
    "local_sigma": 0.01,
    "local_length": 0.15,
    "smooth_sigma": 0.04,
}


def covariance(own: tuple[str, ...], t: np.ndarray, start: float) -> np.ndarray:
    """The textbook covariance of one curve's own process."""
    a, b = t[:, None], t[None, :]
    total = np.zeros((len(t), len(t)))
    # Rasmussen and Williams 2006, eq. 4.17; its curvature's density is 4 rate^3 times the variance
    if "matern" in own:
        rate = 1 / PARAMS["delta_memory"]
        variance = 3 * PARAMS["delta_sigma"] ** 2 / (4 * rate**3)
        total += variance * (1 + rate * abs(a - b)) * np.exp(-rate * abs(a - b))
    if "wiener" in own:
        low, high = np.minimum(a, b) - start, np.maximum(a, b) - start
        total += (
            3 * PARAMS["trend_sigma"] ** 2 * low**2 * (3 * high - low) / 6
            + PARAMS["trend_slope"] ** 2 * low * high
        )
    # the integral of (a - u)^2 (b - u)^2 / 4 over u, from the start to the lesser
    if "smooth" in own:
        low, more = np.minimum(a, b) - start, abs(a - b)
        total += (
            20
            * PARAMS["smooth_sigma"] ** 2
            * (low**5 / 5 + low**4 * more / 2 + low**3 * more**2 / 3)
            / 4
        )
    if "local" in own:
        total += PARAMS["local_sigma"] ** 2 * np.exp(-abs(a - b) / PARAMS["local_length"])
    return total


def from_the_prior(spec: bl.ModelSpec, runs: bl.Runs, draws: int) -> bl.Fit:
    """A fit whose draws are those of the prior: for tests of what follows from draws, which no
    sampler has a part in.
    """
    from bayeslaw.model.build import build
    from bayeslaw.model.convergence import Convergence
    from bayeslaw.model.sampling import draw_prior
    from bayeslaw.spec.resolve import resolve

    design = resolve(spec, runs)
    model = build(design, runs)
    variables = [*model.free_RVs, *model.deterministics]
    names = [x.name for x in variables if not x.name.endswith("_raw")]
    tree = xr.DataTree.from_dict({"posterior": draw_prior(model, names, draws, 1)})
    as_if = Convergence(1.0, "", 1e9, "", 1e9, "", 0)
    return bl.Fit(design, runs, tree, as_if, 1, (), {})
