"""Chinchilla's runs, up to 1e20 FLOP seen, above 3e20 hidden: ``uv run python
benchmarks/chinchilla_holdout.py [--data FILE] [--json FILE]``.

The 240 lowest losses, as in Besiroglu et al. 2024 (arXiv 2404.10102). The baselines fit Hoffmann et
al.'s law.
"""

from __future__ import annotations

import pandas as pd
from common import arguments, report, rows, run

import bayeslaw as bl


def main() -> None:
    options = arguments(__doc__, ["chinchilla/svg_extracted_data.csv"]).parse_args()
    results = []
    for path in options.data:
        table = (
            pd.read_csv(path).nsmallest(240, "loss").rename(columns={"Training FLOP": "compute"})
        )
        table = table[(table["compute"] < 1e20) | (table["compute"] > 3e20)]
        runs = bl.read_runs(table, "skaling", columns={"model_size": "Model Size"})
        results += rows(
            run(
                bl.ModelSpec("skaling"), runs, "compute > 3e20", options, baseline_law="chinchilla"
            ),
            "> 3e20 FLOP",
            path,
        )
    report(results, options)


if __name__ == "__main__":
    main()
