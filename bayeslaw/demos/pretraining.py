"""Simulated pretraining runs of a ladder up to 2e20 FLOP: the forecast for larger runs, and what
they logged.
"""

from __future__ import annotations

import pandas as pd

from bayeslaw.fitted import Fit
from bayeslaw.runs.datasets import dataset

SET = "pretraining_simulated"


def hindsight(fit: Fit) -> pd.DataFrame:
    """Bands at the simulated runs that were held out, with the ``loss`` that each logged."""
    table = dataset(SET)
    hidden = table[table["heldout"]].reset_index(drop=True)
    return fit.bands(hidden[["model_size", "data_size"]]).assign(loss=hidden["loss"])


def verdict(bands: pd.DataFrame, prob: float = 0.9) -> list[str]:
    """A sentence: how many of the held-out runs are inside their band."""
    p = f"{100 * prob:g}"
    inside = ((bands["loss"] >= bands[f"lower_{p}"]) & (bands["loss"] <= bands[f"upper_{p}"])).sum()
    error = (bands["median"] / bands["loss"] - 1).abs().mean()
    return [
        f"{inside} of {len(bands)} simulated runs above 2e20 FLOP inside their {p} % band; typical"
        f" error {error:.1%}."
    ]
