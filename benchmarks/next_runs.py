"""Whether buying the runs that `bl.next_runs` ranks first improves the forecast of a large run more
than other ways to spend as much, over simulated studies.

``uv run python benchmarks/next_runs.py [--studies 60] [--json FILE] [--seed 1]``. Each study: a
truth from the prior of `chinchilla`, 16 runs with noise, the loss to be predicted of a run with 40
times the largest model size and data, and candidates of all shapes between, at 6 N D FLOP each. One
compile for all: a table holds every candidate, and says which were bought.

- A batch, for 1/50 of what the large run costs: the ``budget`` of `bl.next_runs`; candidates at
  random, and the largest that is affordable, each again and again until nothing is affordable. Of
  several largest the one nearest to the large run's tokens a parameter is taken.
- A single run, for half of that: of candidates that cost the same, the first of `bl.next_runs`, one
  at random, and the one nearest to the large run's tokens a parameter.

The truth's curve at the large run is compared with the posterior of the curve, on the log scale.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from common import simulated_arguments, truths

import bayeslaw as bl
from bayeslaw.defaults import TARGET_ACCEPT
from bayeslaw.errors import BayeslawWarning
from bayeslaw.model.build import SEEN, build
from bayeslaw.model.convergence import convergence
from bayeslaw.model.sampling import Compiled
from bayeslaw.spec.design import Design
from bayeslaw.spec.resolve import resolve
from bayeslaw.spec.settings import SamplerSettings
from bayeslaw.validation.scores import score_draws

#: The unit of the simulated losses, in nats.
TYPICAL = 2.5
#: From one place of the grid to the next, both model size and data grow so much: places with the
#: same sum of steps cost the same.
STEP = 10**0.4
#: Steps: the most of the first runs, the most of candidates, the sum of a single run's, and those
#: of the large run.
SEEN_TO, WIDEST, SINGLE, LARGE = 3, 7, 9, 7
WAYS = (
    "batch: next_runs",
    "batch: random",
    "batch: largest",
    "single: next_runs",
    "single: random",
    "single: balanced",
)


def place(i: np.ndarray | float, j: np.ndarray | float) -> dict[str, np.ndarray]:
    """Model size and data, so many steps from the smallest."""
    return {"model_size": np.atleast_1d(5e7 * STEP**i), "data_size": np.atleast_1d(1e9 * STEP**j)}


def places() -> pd.DataFrame:
    """The places of runs and candidates: their steps, sizes, FLOP, and which were seen at first."""
    i, j = (x.ravel() for x in np.meshgrid(np.arange(WIDEST + 1.0), np.arange(WIDEST + 1.0)))
    seen = np.maximum(i, j) <= SEEN_TO
    kept = seen | (i + j <= SINGLE)
    table = pd.DataFrame({"i": i, "j": j, **place(i, j), "seen": seen})[kept].reset_index(drop=True)
    return table.assign(flop=6 * table["model_size"] * table["data_size"])


def spent(order: np.ndarray, cost: np.ndarray, budget: float) -> list[int]:
    """The candidates that are bought in this order: each that is still affordable."""
    bought = []
    for row in order:
        if cost[row] <= budget:
            bought.append(int(row))
            budget -= cost[row]
    return bought


def purchases(
    fit: bl.Fit, table: pd.DataFrame, rng: np.random.Generator, ways: tuple[str, ...]
) -> dict[str, list[int]]:
    """The rows that each way to spend buys."""
    new = table.index[~table["seen"]].to_numpy()
    candidates = table.loc[new, ["model_size", "data_size", "flop"]].reset_index(drop=True)
    target = pd.DataFrame(place(LARGE, LARGE))
    cost, lopsided = candidates["flop"].to_numpy(), abs(table["i"] - table["j"]).to_numpy()[new]
    single = np.flatnonzero(table.loc[new, "i"] + table.loc[new, "j"] == SINGLE)
    budget = 2.0001 * float(cost[single[0]])  # sums of equal costs differ in their last digit
    candidates["row"] = range(len(candidates))
    ranked = bl.next_runs(fit, candidates, target, cost="flop", budget=budget)
    largest_first = np.lexsort((lopsided, -np.round(np.log(cost), 6)))
    bought = {"batch: next_runs": list(ranked.loc[ranked["bought"] > 0, "row"])}
    bought["batch: random"] = spent(rng.permutation(len(candidates)), cost, budget)
    bought["batch: largest"] = spent(largest_first, cost, budget)
    best = bl.next_runs(fit, candidates.iloc[single], target, cost="flop")["row"].iloc[0]
    bought["single: next_runs"] = [int(best)]
    bought["single: random"] = [int(rng.choice(single))]
    bought["single: balanced"] = [int(single[lopsided[single].argmin()])]
    return {way: list(new[bought[way]]) for way in ways}


@dataclass(frozen=True, slots=True)
class Refits:
    """Fits of one study, by one compiled model, to the first runs and those that were bought."""

    compiled: Compiled
    design: Design
    runs: bl.Runs
    seen: np.ndarray
    draws: int
    seed: int

    def __call__(self, bought: Sequence[int]) -> bl.Fit:
        mask = self.seen.copy()
        mask[list(bought)] = True
        part = self.runs.rows(mask)
        data = {
            "y": np.log(self.runs.y),
            SEEN: mask.astype(float),
            "typical_response": part.typical_response,
        }
        data |= {f"centre_{name}": x for name, x in part.centre.items()}
        # Two chains, because each has a warm-up to pay for: as many draws as four of `draws` each.
        settings = SamplerSettings(
            2 * self.draws, self.draws, 2, TARGET_ACCEPT, self.seed, progressbar=False
        )
        tree = self.compiled.sample(settings, data)
        design = self.design.for_runs(part)
        return bl.Fit(design, part, tree, convergence(tree), self.seed, (), {})


def studies_of(
    studies: int, seed: int, draws: int, ways: tuple[str, ...] = WAYS
) -> Iterator[dict[str, object]]:
    """A row for each study and way ("before": the first runs alone): the error of the forecast, its
    CRPS and sd, the cost.
    """
    table, target, law = places(), pd.DataFrame(place(LARGE, LARGE)), bl.law("chinchilla")
    inputs, seen = table[["model_size", "data_size"]], table["seen"].to_numpy()
    at_first = bl.read_runs(inputs[seen].assign(loss=TYPICAL), law)
    truth = truths(resolve(bl.ModelSpec(law), at_first), at_first, studies, seed)
    outcomes = truth.predict(inputs, "run").values[0]
    wanted = np.log(truth.predict(target, "mean").values[0])
    every = bl.read_runs(inputs.assign(loss=outcomes[0]), law)
    design = resolve(bl.ModelSpec(law), every)
    compiled = Compiled(build(design, every, parts=True), refit=True)
    for study in range(studies):
        refit = Refits(
            compiled,
            design,
            bl.read_runs(inputs.assign(loss=outcomes[study]), law),
            seen,
            draws,
            seed + study,
        )
        before = refit(())
        fits: dict[tuple[int, ...], bl.Fit] = {(): before}
        bought_by = purchases(before, table, np.random.default_rng([seed, 8, study]), ways)
        for way, bought in {"before": [], **bought_by}.items():
            key = tuple(sorted(bought))
            if key not in fits:
                fits[key] = refit(key)
            fit = fits[key]
            drawn = np.log(fit.predict(target, "mean").values.reshape(-1, 1))
            scores = score_draws(drawn, wanted[study], ())
            yield {
                "study": study,
                "way": way,
                "error": float(scores["median"][0] - wanted[study, 0]),
                "crps": float(scores["crps"][0]),
                "sd": float(drawn.std()),
                "flop": float(table["flop"][list(bought)].sum()),
                "bought": len(bought),
                "rhat": fit.convergence.rhat,
                "converged": fit.convergence.passed,
            }


def measures(each: pd.DataFrame) -> pd.DataFrame:
    """(study, way) for each measure: squared error, CRPS and its log, and the log of the posterior
    variance.
    """
    each = each.assign(
        squared=each["error"] ** 2,
        log_crps=np.log(each["crps"]),
        log_variance=2 * np.log(each["sd"]),
    )
    return each.pivot(
        index="study", columns="way", values=["squared", "crps", "log_crps", "log_variance"]
    )


def ratio(values: pd.DataFrame, measure: str, way: str, to: str) -> float:
    """The RMSE, the mean CRPS, the geometric mean CRPS or the geometric mean sd of one way over
    that of another.
    """
    mine, other = values[measure][way], values[measure][to]
    if measure.startswith("log"):
        return float(np.exp((mine - other).mean() / (2 if measure == "log_variance" else 1)))
    means = mine.mean() / other.mean()
    return float(np.sqrt(means) if measure == "squared" else means)


def compared(each: pd.DataFrame, seed: int, resamples: int = 1000) -> list[dict[str, object]]:
    """Each way over before, and ours over the others: ratios with bootstrap standard errors over
    studies, and the paired difference of the log posterior variance in units of its error.
    """
    values = measures(each)
    rng = np.random.default_rng(seed)
    ways = [way for way in WAYS if way in set(each["way"])]
    pairs = [(way, "before") for way in ways] + [
        (f"{kind}: next_runs", way)
        for kind in ("batch", "single")
        for way in ways
        if way.startswith(kind) and not way.endswith("next_runs")
    ]
    rows = []
    n = len(values)
    samples = [values.iloc[rng.integers(n, size=n)] for _ in range(resamples)]
    for way, to in pairs:
        row: dict[str, object] = {"way": way, "over": to}
        for measure, name in {
            "squared": "rmse",
            "crps": "crps",
            "log_crps": "crps_typical",
            "log_variance": "sd",
        }.items():
            row |= {
                name: ratio(values, measure, way, to),
                f"{name}_error": float(
                    np.std([ratio(sample, measure, way, to) for sample in samples])
                ),
            }
        paired = values["log_variance"][way] - values["log_variance"][to]
        row["z_of_log_variance"] = (
            float(paired.mean() / (paired.std() / np.sqrt(len(paired))))
            if paired.std() > 0
            else 0.0
        )
        rows.append(row)
    return rows


def main() -> None:
    options: argparse.Namespace = simulated_arguments(__doc__, studies=60, draws=300).parse_args()
    warnings.simplefilter("ignore", BayeslawWarning)
    started = time.perf_counter()
    each = pd.DataFrame(list(studies_of(options.studies, options.seed, options.draws)))
    rows = compared(each, options.seed)
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda x: f"{x:.3f}"))
    by_way = each.groupby("way").agg(
        flop=("flop", "mean"),
        bought=("bought", "mean"),
        rmse=("error", lambda x: float(np.sqrt((x**2).mean()))),
        crps=("crps", "mean"),
        sd=("sd", "mean"),
        not_converged=("converged", lambda x: int((~x).sum())),
        stuck=("rhat", lambda x: int((x > 1.05).sum())),
    )
    print(by_way.to_string(float_format=lambda x: f"{x:.4g}"))
    seconds = time.perf_counter() - started
    print(f"{seconds:.0f} s")
    if options.json:
        options.json.write_text(
            json.dumps(
                {
                    "rows": rows,
                    "ways": by_way.reset_index().to_dict("records"),
                    "each": each.to_dict("records"),
                    "studies": options.studies,
                    "seconds": seconds,
                    "bayeslaw": bl.__version__,
                    "seed": options.seed,
                    "simulated": True,
                },
                indent=1,
            )
        )


if __name__ == "__main__":
    main()
