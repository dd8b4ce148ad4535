"""Why `skaling` pins its exponents to each other, and has no discrepancy: ``uv run python
benchmarks/pretraining_choices.py [--json FILE]``.

Each choice on four splits of two public tables. Chinchilla's runs: below 1e20 FLOP seen, above 3e20
hidden; below 2e19 seen, above 6e19 hidden. Gadre et al.'s runs: the authors' five a corpus seen;
all runs of up to 420M parameters seen, the larger ones hidden.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from common import arguments, report, rows, run
from overtraining import SIZES

import bayeslaw as bl

FREE = {"beta_at_centre": {"distribution": "LogNormal", "median": 1.0, "sigma": 0.4}}
CHOICES: dict[str, dict[str, Any]] = {
    "chinchilla: exponents free, no coupling": {"priors": {**FREE, "k": 1.0}},
    "exponents the same, no coupling": {"priors": {"k": 1.0}},
    "exponents free, coupling": {"priors": FREE},
    "exponents the same, coupling": {},
    "the same, with a discrepancy over the grid": {"discrepancy": "grid"},
}


def splits(
    chinchilla: Path, overtraining: Path
) -> list[tuple[str, Path, pd.DataFrame, dict[str, str], list[str]]]:
    lowest = (
        pd.read_csv(chinchilla).nsmallest(240, "loss").rename(columns={"Training FLOP": "compute"})
    )
    corpora = pd.read_csv(overtraining)
    small = np.isclose(corpora["params"].to_numpy()[:, None], SIZES, rtol=0.01)
    five = (small.any(axis=1) & (corpora["M"] == 1)) | (small[:, 0] & (corpora["M"] == 16))
    sizes = {"model_size": "Model Size"}
    names = {"model_size": "params", "data_size": "tokens", "loss": "loss_c4_val"}
    compute = lowest["compute"]
    return [
        (
            "1e20 to 3e20 FLOP",
            chinchilla,
            lowest[(compute < 1e20) | (compute > 3e20)].assign(hidden=(compute > 3e20).astype(int)),
            sizes,
            [],
        ),
        (
            "2e19 to 6e19 FLOP",
            chinchilla,
            lowest[(compute < 2e19) | (compute > 6e19)].assign(hidden=(compute > 6e19).astype(int)),
            sizes,
            [],
        ),
        (
            "five runs a corpus",
            overtraining,
            corpora.assign(hidden=(~five).astype(int)),
            names,
            ["dataset"],
        ),
        (
            "above 420M",
            overtraining,
            corpora.assign(hidden=(corpora["params"] > 4.2e8).astype(int)),
            names,
            ["dataset"],
        ),
    ]


def main() -> None:
    parser = arguments(
        __doc__, ["chinchilla/svg_extracted_data.csv", "pretraining/overtraining_models.csv"]
    )
    parser.set_defaults(no_baselines=True)
    options = parser.parse_args()
    results = []
    for split, path, table, columns, groups in splits(*options.data):
        runs = bl.read_runs(table, "skaling", columns=columns, groups=groups)
        for name, choice in CHOICES.items():
            for row in rows(
                run(bl.ModelSpec("skaling", **choice), runs, "hidden == 1", options), split, path
            ):
                results.append(row | {"method": name})
    report(results, options)


if __name__ == "__main__":
    main()
