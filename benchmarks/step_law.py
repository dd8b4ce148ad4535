"""Learning rate and batch size at scales that were not run: ``uv run python benchmarks/step_law.py
[--data FILE] [--json FILE] [--seed S]``.

The public grid of Step Law (Li et al. 2025, arXiv 2503.04715): 17 pairs of model size and data. The
11 below 1.2e20 FLOP are seen, the 6 above are hidden. Of the runs seen, those within ``--within``
of the best of their pair are fitted: others diverge, or are of a curve that no bowl is. Printed:
what the choice with the least expected excess loses against the best of the grid, beside the
published law and the nearest seen pair's best, and how many hidden losses the bands hold: of all
hidden runs, whether they diverged or not, and of those as near to their pair's best as the fitted
ones (``coverage_90_near``), on which ``rmsle`` is too.
"""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from common import arguments

import bayeslaw as bl
from bayeslaw.errors import BayeslawWarning

#: Tokens of one sequence, and the smallest compute that is hidden.
SEQUENCE, HIDDEN = 2048, 1.2e20
COLUMNS = {
    "model_size": "N",
    "data_size": "D",
    "learning_rate": "lr",
    "batch_size": "bs",
    "loss": "smooth loss",
}


def published(size: float, data: float) -> tuple[float, float]:
    """Learning rate and batch size (tokens) of Step Law as published, eq. 1: fitted by its authors
    to all of these runs.
    """
    return 1.79 * size**-0.713 * data**0.307, 0.58 * data**0.571


def nearest(grid: pd.DataFrame, rate: float, batch: float) -> int:
    """The run of a grid that is nearest to a choice, in the logarithms."""
    return int(
        (np.log(grid["learning_rate"] / rate) ** 2 + np.log(grid["batch_size"] / batch) ** 2)
        .to_numpy()
        .argmin()
    )


def hidden_grids(
    path: Path, within: float, *, draws: int, attempts: int, seed: int
) -> tuple[pd.DataFrame, bl.Fit]:
    """A row a hidden grid: what choices lose there, and what the bands hold; and the fit to the
    others.
    """
    table = pd.read_csv(path)[["N", "D", "lr", "bs", "smooth loss"]]
    table = table[table["D"] < 1e13]
    compute = 6.0 * table["N"] * table["D"]
    near = table["smooth loss"] < (1 + within) * table.groupby(["N", "D"])["smooth loss"].transform(
        "min"
    )
    runs = bl.read_runs(
        table[(compute < HIDDEN) & near],
        "step_law",
        columns=COLUMNS,
        scale={"batch_size": SEQUENCE},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayeslawWarning)
        fit = bl.fit(
            "step_law",
            runs,
            draws=draws,
            tune=draws,
            attempts=attempts,
            random_seed=seed,
            progressbar=False,
        )
    hidden = table.rename(columns={theirs: ours for ours, theirs in COLUMNS.items()})[
        compute >= HIDDEN
    ].assign(near=near)
    hidden["batch_size"] *= SEQUENCE
    bests = runs.table.loc[runs.table.groupby(["model_size", "data_size"])["loss"].idxmin()]
    rows = []
    for (size, data), grid in hidden.groupby(["model_size", "data_size"]):
        grid = grid.reset_index(drop=True)
        excess = grid["loss"] / grid["loss"].min() - 1
        bands = fit.bands(grid[[*list(COLUMNS)[:4]]])
        used = grid["near"].to_numpy()
        inside = {
            p: (bands[f"lower_{p}"] <= grid["loss"]) & (grid["loss"] <= bands[f"upper_{p}"])
            for p in (50, 90)
        }
        chosen = bl.hyperparameters(
            fit, {"model_size": size, "data_size": data}, grid[["learning_rate", "batch_size"]]
        )
        seen = bests.iloc[
            int(
                (np.log(bests["model_size"] / size) ** 2 + np.log(bests["data_size"] / data) ** 2)
                .to_numpy()
                .argmin()
            )
        ]
        rows.append(
            {
                "model_size": size,
                "data_size": data,
                "runs": len(grid),
                "coverage_50": inside[50].mean(),
                "coverage_90": inside[90].mean(),
                "coverage_90_near": inside[90][used].mean(),
                "rmsle": float(np.sqrt(np.mean(np.log(grid["loss"] / bands["median"])[used] ** 2))),
                "loses": excess[chosen.attrs["best"]],
                "expected_to_lose": chosen["excess"][chosen.attrs["best"]],
                "published_law_loses": excess[nearest(grid, *published(size, data))],
                "nearest_pair_loses": excess[
                    nearest(grid, seen["learning_rate"], seen["batch_size"])
                ],
                "near_optimal": (excess <= 0.0025).mean(),
                "p_near_optimal": chosen["p_near_optimal"].mean(),
            }
        )
    return pd.DataFrame(rows), fit


def overall(grids: pd.DataFrame) -> dict[str, float]:
    """Coverage over all hidden runs, and what a choice loses over hidden grids."""
    weight = grids["runs"] / grids["runs"].sum()
    weighted = {
        name: float((grids[name] * weight).sum())
        for name in ("coverage_50", "coverage_90", "coverage_90_near")
    }
    return weighted | {
        name: float(grids[name].mean())
        for name in ("loses", "published_law_loses", "nearest_pair_loses")
    }


def main() -> None:
    parser = arguments(__doc__, ["hyperparameters/step_law_grid.csv"])
    parser.add_argument(
        "--within",
        type=float,
        default=0.02,
        help="share above the best of its pair up to which a run is used",
    )
    options = parser.parse_args()
    start = time.perf_counter()
    grids, fit = hidden_grids(
        options.data[0],
        options.within,
        draws=options.draws,
        attempts=options.attempts,
        seed=options.seed,
    )
    seconds = time.perf_counter() - start
    print(
        f"{len(fit.runs)} runs seen, {int(grids['runs'].sum())} hidden; {fit.convergence};"
        f" {seconds:.0f} s, compile included"
    )
    print(grids.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
    print("  ".join(f"{name} {value:.4f}" for name, value in overall(grids).items()))
    if options.json:
        rows = grids.to_dict("records")
        options.json.write_text(
            json.dumps(
                {
                    "rows": rows,
                    "overall": overall(grids),
                    "seconds": seconds,
                    "converged": bool(fit.convergence.passed),
                    "seed": options.seed,
                },
                indent=1,
            )
        )


if __name__ == "__main__":
    main()
