"""Simulated grids of learning rate and batch size, whose optimum is known."""

from __future__ import annotations

import numpy as np
import pandas as pd

import bayeslaw as bl

#: DeepSeek-AI 2024 (arXiv 2401.02954), eq. 1, and a bowl and a least loss of our own.
TRUTH = {
    "E": 1.7,
    "A": 60.0,
    "gamma": 0.1,
    "eta": 0.3118,
    "eta_C": -0.125,
    "batch": 0.292,
    "batch_C": 0.3271,
    "kappa_lr": 0.015,
    "kappa_bs": 0.01,
    "tilt": 0.25,
    "skew": 0.4,
}
LAW = bl.law("learning_rate_batch_size")


def simulated(seed: int = 1, noise: float = 0.001) -> pd.DataFrame:
    """Simulated grids around the optimum of five computes."""
    rng = np.random.default_rng(seed)
    rows = []
    for compute in (1e17, 3e17, 1e18, 3e18, 1e19):
        rate, batch = (
            LAW.learning_rate_opt(compute=compute, **TRUTH),
            LAW.batch_size_opt(compute=compute, **TRUTH),
        )
        for u in np.linspace(-1.2, 1.2, 6):
            for v in np.linspace(-1.0, 1.0, 5):
                point = {
                    "compute": compute,
                    "learning_rate": rate * np.exp(u),
                    "batch_size": batch * np.exp(v),
                }
                rows.append(
                    {
                        **point,
                        "loss": float(LAW.evaluate(point, TRUTH)) * np.exp(rng.normal(0, noise)),
                    }
                )
    return pd.DataFrame(rows)
