"""Speed of answers from a fit that is there: ``uv run python benchmarks/allocation.py [--data FILE]
[--json FILE] [--seed S]``.

Hoffmann et al.'s public runs, 4,000 draws. Each answer is timed ``--repeats`` times in turn, and
given as its median and as a ratio to the closed form of the compute-optimal split, which was
computed beside it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from common import arguments

import bayeslaw as bl


def main() -> None:
    parser = arguments(__doc__, ["chinchilla/svg_extracted_data.csv"])
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    table = pd.read_csv(options.data[0]).nsmallest(240, "loss")
    runs = bl.read_runs(
        table, "chinchilla", columns={"model_size": "Model Size", "compute": "Training FLOP"}
    )
    fit = bl.fit(
        "chinchilla",
        runs,
        draws=options.draws,
        tune=options.draws,
        random_seed=options.seed,
        progressbar=False,
    )
    sizes = [float(size) for size in np.geomspace(1e9, 1e12, 40)]
    answers: dict[str, Callable[[], object]] = {
        "allocate, closed form": lambda: bl.allocate(fit, compute=5.9e23),
        "allocate, with inference tokens (numeric)": lambda: bl.allocate(
            fit, compute=5.9e23, inference_tokens=2e12
        ),
        "allocate, for a target (numeric, nested)": lambda: bl.allocate(fit, target=2.1),
        "allocation_penalty, one point": lambda: bl.allocation_penalty(
            fit, {"model_size": 7e9, "data_size": 2e12}
        ),
        "isoflop, 40 sizes": lambda: bl.isoflop(fit, 1e23, sizes),
        "isoloss, 40 sizes": lambda: bl.isoloss(fit, 2.1, sizes),
        "solve_for data_size": lambda: bl.solve_for(fit, "data_size", 2.1, {"model_size": 7e10}),
    }
    seconds: dict[str, list[float]] = {name: [] for name in answers}
    for _ in range(options.repeats):
        for name, answer in answers.items():
            start = time.perf_counter()
            answer()
            seconds[name].append(time.perf_counter() - start)
    median = {name: float(np.median(times)) for name, times in seconds.items()}
    base = median["allocate, closed form"]
    rows = [
        {"answer": name, "seconds": value, "ratio": value / base} for name, value in median.items()
    ]
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.3g}"))
    ratio = (
        bl.allocate(fit, compute=5.9e23)["tokens_per_parameter"]
        .quantile([0.025, 0.5, 0.975])
        .values
    )
    exponent = fit.quantity("size_exponent")
    print(
        f"a = {float(exponent.mean()):.3f} (sd {float(exponent.std()):.3f}); tokens a parameter at"
        f" 5.9e23 FLOP {ratio[1]:.1f}, 95 % {ratio[0]:.1f} to {ratio[2]:.1f}"
    )
    if options.json:
        options.json.write_text(
            json.dumps(
                {
                    "rows": rows,
                    "tokens_per_parameter": list(ratio),
                    "a": float(exponent.mean()),
                    "seed": options.seed,
                },
                indent=1,
            )
        )


if __name__ == "__main__":
    main()
