"""Simulated sweeps of several factors, whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd

#: Of simulated runs: E and beta of each method; then alpha of each factor, and the loss at the base
#: model (1B, 2.1e11 tokens, rank 4) on 1e5 examples.
TRUTH = {"fmt": {"E": 0.75, "beta": 0.15}, "lora": {"E": 0.62, "beta": 0.08}}
ALPHA = {"model_size": 0.4, "pretraining_data": 0.2, "pet_size": 0.0}
BASE = {"model_size": 1e9, "pretraining_data": 2.1e11, "pet_size": 4.0}
SIZES = {
    "model_size": [1e9, 2e9, 4e9, 8e9],
    "pretraining_data": [8.4e10, 1.26e11, 1.67e11, 2.1e11],
    "pet_size": [4.0, 16.0, 64.0],
}
REDUCIBLE = 0.5  # at the base, of both methods
EXAMPLES = np.array([1e4, 3e4, 1e5, 3e5])


def simulated(seed: int = 1, noise: float = 0.002) -> pd.DataFrame:
    """Runs of two methods, one factor varied at a time."""
    rng = np.random.default_rng(seed)
    rows = []
    for method, known in TRUTH.items():
        for factor, sizes in SIZES.items():
            if factor == "pet_size" and method == "fmt":
                continue
            for size in sizes:
                loss = (
                    known["E"]
                    + REDUCIBLE
                    * (size / BASE[factor]) ** -ALPHA[factor]
                    * (EXAMPLES / 1e5) ** -known["beta"]
                )
                loss = loss * np.exp(rng.normal(0, noise, len(EXAMPLES)))
                rows += [
                    (method, factor, size, data, y) for data, y in zip(EXAMPLES, loss, strict=True)
                ]
    return pd.DataFrame(
        rows, columns=["method", "factor", "factor_size", "finetuning_data", "loss"]
    )
