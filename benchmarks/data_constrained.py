"""Repeated data: runs on unique tokens seen, runs that repeat them hidden: ``uv run python
benchmarks/data_constrained.py [--data FILE] [--json FILE]``.

The 182 runs of the published fit of Muennighoff et al. 2023 (arXiv 2305.16264). What a repeat is
worth is then the prior's answer, and the bands must say so.
"""

from __future__ import annotations

import pandas as pd
from common import arguments, report, rows, run

import bayeslaw as bl


def main() -> None:
    options = arguments(__doc__, ["pretraining/data_constrained_losses.csv"]).parse_args()
    results = []
    for path in options.data:
        table = pd.read_csv(path)
        if "in_published_182" in table:
            table = table[table["in_published_182"]]
        table = table.assign(
            repeated=(table["tokens"] > 1.001 * table["unique_tokens"]).astype(int)
        )
        columns = {"model_size": "params", "data_size": "tokens", "unique_data": "unique_tokens"}
        runs = bl.read_runs(table, "data_constrained", columns=columns, groups=[])
        results += rows(
            run(bl.ModelSpec("data_constrained"), runs, "repeated == 1", options), "repeated", path
        )
    report(results, options)


if __name__ == "__main__":
    main()
