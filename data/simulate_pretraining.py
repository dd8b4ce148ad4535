"""Write the simulated pretraining runs of this folder: ``uv run python
data/simulate_pretraining.py``.

Losses follow the law of Hoffmann et al. 2022 with the coefficients that Besiroglu et al. 2024
(arXiv 2404.10102) found for its public runs, over a ladder of sizes and tokens per parameter, with
noise. Nothing here was measured.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

import bayeslaw as bl

SEED = 20220329
#: Besiroglu et al. 2024, table 1.
TRUTH = {"A": 482.01, "alpha": 0.3478, "B": 2085.43, "beta": 0.3658, "E": 1.8172}
MODEL_SIZES = (5e7, 1e8, 2e8, 4e8, 8e8, 1.5e9, 3e9)
TOKENS_PER_PARAMETER = (5, 10, 20, 40, 80)
#: Runs above this training compute are held out: what the ladder is to foretell.
SEEN_FLOP = 2e20
#: Larger runs, all held out.
LARGE = ((7e9, 1.4e11), (7e9, 2.8e11), (1.3e10, 2.6e11), (7e9, 1.4e12), (1.3e10, 1.3e12))
#: Standard deviation of the noise of the log loss.
NOISE = 0.004


def simulate(seed: int) -> pd.DataFrame:
    """Simulated runs, a row a run."""
    rng = np.random.default_rng(seed)
    places = [(n, n * ratio) for n in MODEL_SIZES for ratio in TOKENS_PER_PARAMETER] + list(LARGE)
    table = pd.DataFrame(places, columns=["model_size", "data_size"])
    expected = bl.law("chinchilla").evaluate({c: table[c].to_numpy() for c in table}, TRUTH)
    compute = 6 * table["model_size"] * table["data_size"]
    loss = expected * np.exp(rng.normal(0, NOISE, len(table)))
    return table.assign(compute=compute, loss=loss.round(6), heldout=compute > SEEN_FLOP)


def main() -> None:
    table = simulate(SEED)
    here = Path(__file__).parent
    manifest = {
        "name": "pretraining_simulated",
        "simulated": True,
        "description": (
            "Simulated pretraining losses of a ladder of 50M to 3B models and of larger runs; those"
            " above 2e20 FLOP are marked heldout. Nothing was measured."
        ),
        "script": "data/simulate_pretraining.py",
        "seed": SEED,
        "rows": len(table),
        "source": (
            "Hoffmann et al. 2022, arXiv 2203.15556, eq. 2; coefficients of Besiroglu et al. 2024,"
            " arXiv 2404.10102, table 1"
        ),
        "truth": {"law": "chinchilla", "parameters": TRUTH, "noise_log_sd": NOISE},
        "columns": {
            "model_size": "parameters",
            "data_size": "tokens",
            "compute": "FLOP, 6 N D",
            "loss": "nats per token",
            "heldout": "above 2e20 FLOP",
        },
    }
    table.to_csv(here / "pretraining_simulated.csv", index=False)
    (here / "pretraining_simulated.json").write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main()
