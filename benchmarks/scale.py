"""Memory and time of large fits and predictions: ``uv run python benchmarks/scale.py [--runs
100000] [--json FILE] [--seed 1]``.

Everything is simulated: a Chinchilla-shaped table with the coefficients of Besiroglu et al. 2024
and 1 % noise. One process, one table: compile, seconds a draw (of one chain, tuning included), and
peak memory of the fit; seconds and peak memory of predicting 4,000 draws x 10,000 points, beside
evaluating the law alone, unchunked, on the same draws (the ratio is what can be compared between
machines).
"""

from __future__ import annotations

import argparse
import json
import resource
import time
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import bayeslaw as bl
from bayeslaw.errors import ConvergenceWarning
from bayeslaw.spec.settings import Sampling

TRUTH = {"A": 482.0, "B": 2085.0, "E": 1.82, "alpha": 0.348, "beta": 0.366}


def simulated(runs: int, seed: int) -> pd.DataFrame:
    """A simulated table of runs."""
    rng = np.random.default_rng(seed)
    inputs = {
        "model_size": 10 ** rng.uniform(8, 10.5, runs),
        "data_size": 10 ** rng.uniform(9, 12, runs),
    }
    return pd.DataFrame(inputs).assign(
        loss=bl.law("chinchilla").evaluate(inputs, TRUTH) * np.exp(rng.normal(0, 0.01, runs))
    )


def resident() -> float:
    """Peak resident memory of this process so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def timed[T](work: Callable[[], T]) -> tuple[float, T]:
    """Seconds, and the result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rows = []

    small = bl.read_runs(simulated(240, options.seed), "chinchilla")
    seconds, fit = timed(
        lambda: bl.fit("chinchilla", small, random_seed=options.seed, progressbar=False)
    )
    rows.append(
        {
            "what": "fit of 240 runs, 4 x (1000 + 1000), compile included",
            "seconds": seconds,
            "peak_gib": resident(),
        }
    )

    points = pd.DataFrame(
        {
            "model_size": np.geomspace(1e8, 1e12, 10_000),
            "data_size": np.geomspace(1e9, 1e13, 10_000),
        }
    )
    posterior = {name: fit.idata["posterior"][name].to_numpy().reshape(-1, 1) for name in TRUTH}
    inputs = {name: points[name].to_numpy() for name in points}
    for what, work in (
        (
            "the law alone, 4,000 draws x 10,000 points, unchunked",
            lambda: fit.law.evaluate(inputs, posterior),
        ),
        ("predict, kind mean", lambda: fit.predict(points, "mean")),
        ("predict, kind run", lambda: fit.predict(points, "run")),
        ("bands, kind run", lambda: fit.bands(points)),
    ):
        work()
        seconds = min(timed(work)[0] for _ in range(3))
        tracemalloc.start()
        work()
        rows.append(
            {
                "what": what,
                "seconds": seconds,
                "peak_gib": tracemalloc.get_traced_memory()[1] / 2**30,
            }
        )
        tracemalloc.stop()

    large = bl.read_runs(simulated(options.runs, options.seed), "chinchilla")
    settings: Sampling = {
        "draws": options.draws,
        "tune": options.draws,
        "chains": 2,
        "cores": 2,
        "attempts": 1,
        "progressbar": False,
        "random_seed": options.seed,
    }
    with warnings.catch_warnings():
        # too few draws to converge, enough to time
        warnings.simplefilter("ignore", ConvergenceWarning)
        seconds, fit = timed(lambda: bl.fit("chinchilla", large, **settings))
    steps = float(fit.idata["sample_stats"]["n_steps"].mean())
    rows.append(
        {
            "what": (
                f"fit of {options.runs:,} runs, 2 x ({options.draws} + {options.draws}),"
                f" {steps:.0f} steps a draw"
            ),
            "seconds": seconds,
            "peak_gib": resident(),
        }
    )
    rows.append(
        {
            "what": "  a draw of one chain, two at a time, compile included",
            "seconds": seconds / (2 * options.draws),
            "peak_gib": resident(),
        }
    )

    print(pd.DataFrame(rows).to_string(index=False, float_format="{:.3f}".format))
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
