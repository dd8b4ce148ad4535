"""Finetuning: the loss at 1,638,400 examples from at most 1/r of them.

``uv run python benchmarks/finetuning_holdout.py [--ratios 8 32 128] [--data FILE] [--json FILE]``.
One fit of all models; ``split`` is r.
"""

from __future__ import annotations

import pandas as pd
from common import arguments, report, rows, run

import bayeslaw as bl


def main() -> None:
    parser = arguments(
        __doc__, ["finetuning/flan.csv", "finetuning/wmt19.csv"], draws=500, attempts=1
    )
    parser.add_argument("--ratios", type=int, nargs="+", default=[8, 32, 128])
    options = parser.parse_args()
    results = []
    for path in options.data:
        wide = pd.read_csv(path).rename(columns={"config name": "model"})
        table = wide.melt(
            ["model", "size", "family"], var_name="finetuning_data", value_name="loss"
        ).astype({"finetuning_data": float})
        # before finetuning there is no scale to speak of
        table = table[table["finetuning_data"] > 0]
        largest = table["finetuning_data"].max()
        for ratio in options.ratios:
            kept = table[
                (table["finetuning_data"] <= largest / ratio)
                | (table["finetuning_data"] == largest)
            ]
            runs = bl.read_runs(kept, "finetuning_rectified", groups=["family", "model"])
            result = run(
                bl.ModelSpec("finetuning_rectified"), runs, f"finetuning_data == {largest}", options
            )
            results += rows(result, str(ratio), path)
    report(results, options)


if __name__ == "__main__":
    main()
