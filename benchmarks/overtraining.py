"""Overtraining: five small runs of each corpus seen, all others hidden: ``uv run python
benchmarks/overtraining.py [--data FILE] [--json FILE]``.

The runs that Gadre et al. 2024 (arXiv 2403.08540) fit: 20 tokens a parameter at four sizes, and 320
at the smallest. Response: ``loss_c4_val``. The baselines fit Hoffmann et al.'s law.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from common import arguments, report, rows, run

import bayeslaw as bl

SIZES = (10.6e6, 78.9e6, 153.7e6, 411.6e6)


def main() -> None:
    options = arguments(__doc__, ["pretraining/overtraining_models.csv"]).parse_args()
    results = []
    for path in options.data:
        table = pd.read_csv(path)
        small = np.isclose(table["params"].to_numpy()[:, None], SIZES, rtol=0.01)
        seen = (small.any(axis=1) & (table["M"] == 1)) | (small[:, 0] & (table["M"] == 16))
        columns = {"model_size": "params", "data_size": "tokens", "loss": "loss_c4_val"}
        runs = bl.read_runs(
            table.assign(hidden=(~seen).astype(int)), "skaling", columns=columns, groups=["dataset"]
        )
        results += rows(
            run(bl.ModelSpec("skaling"), runs, "hidden == 1", options, baseline_law="chinchilla"),
            "five runs a corpus",
            path,
        )
    report(results, options)


if __name__ == "__main__":
    main()
