"""How often intervals of the KL at the peak hold the truth, over simulated studies with errors that
are autocorrelated along each curve.

``uv run python benchmarks/peak_coverage.py [--studies 200] [--json FILE] [--seed 1]``. RL curves
against nine reward-model sizes, whole and cut at half of each peak's d; with the discrepancy along
curves and with independent noise. And Gao's advance prediction: best-of-n fitted to n up to 1,000,
predicted to 60,000. One compile for all studies of a line.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from common import from_data

import bayeslaw as bl
from bayeslaw.errors import BayeslawWarning
from bayeslaw.model.build import CENTRING, build
from bayeslaw.model.convergence import convergence
from bayeslaw.model.sampling import Compiled
from bayeslaw.spec.resolve import resolve
from bayeslaw.spec.settings import SamplerSettings

simulation = from_data("simulate_overoptimization")

#: Sampler settings of one study; the pilot is sampled once.
SETTINGS: dict[str, Any] = {"draws": 250, "tune": 250, "chains": 2}
PROB = 0.9
#: Seen of best-of-n, as in Gao et al. 2022, section 3.1.
SEEN_N = 1000

type Study = Callable[[int], tuple[pd.DataFrame, dict[str, float]]]


def rl_study(seed: int, *, cut: bool) -> tuple[pd.DataFrame, dict[str, float]]:
    """Simulated RL curves, a row a point, and the true KL at each reward model's peak."""
    rng = np.random.default_rng([77, seed])
    law, parts, truth = bl.law("overoptimization_rl"), [], {}
    for size in simulation.REWARD_MODELS:
        params = simulation.coefficients("gold", "rl", size)
        # of the trend, so that every study has the same points
        half = law.value("d_peak", **params) / 2
        params["beta"] *= np.exp(rng.normal(0, simulation.DEVIATION))
        score = simulation.curve("rl", simulation.D, params, rng)
        kept = half >= simulation.D if cut else np.full(len(simulation.D), True)
        truth[f"{size:g}"] = float(law.value("kl_peak", **params))
        parts.append(
            pd.DataFrame(
                {
                    "reward_model_size": size,
                    "kl": simulation.D[kept] ** 2,
                    "gold_score": score[kept],
                }
            )
        )
    return pd.concat(parts, ignore_index=True), truth


def bon_study(seed: int) -> tuple[pd.DataFrame, dict[str, float]]:
    """Simulated best-of-n scores, a row an n, and the true KL at each reward model's peak."""
    rng = np.random.default_rng([78, seed])
    law, parts, truth = bl.law("overoptimization_bon"), [], {}
    n = np.array(simulation.N, dtype=float)
    for size in simulation.REWARD_MODELS:
        params = simulation.coefficients("gold", "bon", size)
        params["beta"] *= np.exp(rng.normal(0, simulation.DEVIATION))
        kl = bl.kl_of_n(n)
        truth[f"{size:g}"] = float(law.value("kl_peak", **params))
        parts.append(
            pd.DataFrame(
                {
                    "reward_model_size": size,
                    "n": n,
                    "gold_score": simulation.curve("bon", np.sqrt(kl), params, rng),
                }
            )
        )
    return pd.concat(parts, ignore_index=True), truth


def fits(
    law: str,
    study: Study,
    studies: int,
    seed: int,
    discrepancy: str | None,
    where: str | None = None,
) -> Iterator[tuple[bl.Fit, pd.DataFrame, dict[str, float]]]:
    """The fit, the table and the truth of each study: one compile."""
    table, _ = study(seed)
    runs = bl.read_runs(table, law, where=where)
    design = resolve(bl.ModelSpec(law, discrepancy=discrepancy), runs)
    accept = 0.8 if design.spec.discrepancy.along_curves else 0.9
    compiled = Compiled(build(design, runs), refit=True)
    centring = (
        compiled.pilot(SamplerSettings(200, 400, 2, accept, seed, progressbar=False))
        if CENTRING in compiled.model
        else {}
    )
    for one in range(seed, seed + studies):
        table, truth = study(one)
        runs = bl.read_runs(table, law, where=where)
        data = {"y": runs.y, "typical_response": runs.typical_response, **centring}
        tree = compiled.sample(
            SamplerSettings(**SETTINGS, target_accept=accept, random_seed=one, progressbar=False),
            data,
        )
        yield bl.Fit(design, runs, tree, convergence(tree), one, (), {}), table, truth


def covered(fit: bl.Fit, truth: dict[str, float]) -> list[dict[str, float]]:
    """For each reward model, whether the interval of its KL at the peak holds the truth, and the
    interval's width as a ratio.
    """
    drawn = fit.quantity("kl_peak")
    low, high = drawn.quantile([(1 - PROB) / 2, (1 + PROB) / 2], ("chain", "draw")).values
    rows = []
    for group, a, b in zip(map(str, drawn["group"].values), low, high, strict=True):
        rows.append(
            {
                "inside": float(a <= truth[group] <= b),
                "width": b / a,
                "below": float(truth[group] < a),
                "rhat": fit.convergence.rhat,
            }
        )
    return rows


def peak_rows(
    studies: int, seed: int, discrepancies: tuple[str, ...] = ("curve", "none")
) -> Iterator[dict[str, object]]:
    """A row for each kind of curve and of noise."""
    for cut in (False, True):
        for discrepancy in discrepancies:
            started, covers, first = time.perf_counter(), [], 0.0
            for fit, _, truth in fits(
                "overoptimization_rl",
                partial(rl_study, cut=cut),
                studies,
                seed,
                discrepancy,
            ):
                first = first or time.perf_counter() - started
                covers += covered(fit, truth)
            table = pd.DataFrame(covers)
            # Peaks of one study share alpha: the error is that of the studies' means.
            error = table["inside"].groupby(
                np.arange(len(table)) // len(simulation.REWARD_MODELS)
            ).mean().std() / np.sqrt(studies)
            yield {
                "method": "bayeslaw" if discrepancy == "curve" else "independent noise",
                "split": "cut at half of the peak's d" if cut else "full curves",
                "coverage_90": table["inside"].mean(),
                "error": error,
                "below": table["below"].mean(),
                "width_ratio": table["width"].median(),
                "seconds": (time.perf_counter() - started - first) / max(studies - 1, 1),
                "first": first,
                "studies": studies,
                "rhat": table["rhat"].median(),
            }


def advance_rows(studies: int, seed: int) -> Iterator[dict[str, object]]:
    """Best-of-n fitted to n up to `SEEN_N` and predicted to 60,000."""
    started, inside, peaks, errors, first = time.perf_counter(), [], [], [], 0.0
    for fit, table, truth in fits(
        "overoptimization_bon", bon_study, studies, seed, None, where=f"n <= {SEEN_N}"
    ):
        first = first or time.perf_counter() - started
        hidden = table[table["n"] > SEEN_N].reset_index(drop=True)
        bands = fit.bands(hidden.assign(kl=bl.kl_of_n(hidden["n"]))[["reward_model_size", "kl"]])
        inside.append(
            (
                (hidden["gold_score"] >= bands["lower_90"])
                & (hidden["gold_score"] <= bands["upper_90"])
            ).mean()
        )
        errors.append(np.sqrt(((hidden["gold_score"] - bands["median"]) ** 2).mean()))
        peaks += covered(fit, truth)
    yield {
        "method": "bayeslaw",
        "split": f"best-of-n, n <= {SEEN_N:,} -> 60,000",
        "coverage_90": float(np.mean(inside)),
        "error": float(np.std(inside, ddof=1) / np.sqrt(studies)),
        "rmse": float(np.mean(errors)),
        "coverage_90_of_kl_peak": pd.DataFrame(peaks)["inside"].mean(),
        "seconds": (time.perf_counter() - started - first) / max(studies - 1, 1),
        "first": first,
        "studies": studies,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore", BayeslawWarning)
    rows = []
    for row in (
        *peak_rows(options.studies, options.seed),
        *advance_rows(options.studies, options.seed),
    ):
        rows.append(row)
        print(row, flush=True)
    print(
        pd.DataFrame(rows).to_string(
            index=False, float_format=lambda value: f"{value:.3f}", na_rep="-"
        )
    )
    if options.json:
        options.json.write_text(
            json.dumps(
                {
                    "rows": rows,
                    "bayeslaw": bl.__version__,
                    "seed": options.seed,
                    "simulated": True,
                },
                indent=1,
            )
        )


if __name__ == "__main__":
    main()
