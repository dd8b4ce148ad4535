r"""Scores of a prediction against what happened, point by point, on the response's scale (log for a
loss).

| score | what it is | better |
|---|---|---|
| ``error`` | median less observed: on a log scale, relative error | near 0 |
| ``crps`` | :math:`E|X - y| - \frac12 E|X - X'|` (Gneiting and Raftery 2007, JASA 102(477), eq. 21); of a single value its absolute error | lower |
| ``log_density`` | log of the predictive density of what was observed, per unit of the response | higher |
| ``pit`` | probability that the prediction gave to at most what was observed: uniform where it is calibrated (Dawid 1984, JRSS A 147(2)) | uniform |
| ``coverage_P`` | share of observed values within the equal-tailed P % band | P / 100 |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.posterior.bands import quantile_columns, summaries_of


def score_draws(
    draws: np.ndarray, observed: np.ndarray, probs: Sequence[float]
) -> dict[str, np.ndarray]:
    """Median, bands and scores of draws, (draw, point), that do not have ties; the CRPS is the
    unbiased estimate from the draws.
    """
    draws = np.sort(draws, axis=0)
    n = len(draws)
    rank = 2 * np.arange(1, n + 1) - n - 1
    spread = (rank[:, None] * draws).sum(axis=0) / (n * (n - 1))
    crps = abs(draws - observed).mean(axis=0) - spread
    return summaries_of(draws, probs) | {"crps": crps, "pit": (draws <= observed).mean(axis=0)}


def score_distribution(
    distribution: Any, observed: np.ndarray, probs: Sequence[float]
) -> dict[str, np.ndarray]:
    """The same of a frozen SciPy distribution of (point,). Its CRPS is left out: a t with one
    degree of freedom has none.
    """
    found = {"median": distribution.median()} | {
        name: distribution.ppf(q) for name, q in quantile_columns(probs).items()
    }
    missing = np.full(len(observed), np.nan)
    return found | {
        "crps": missing,
        "pit": distribution.cdf(observed),
        "log_density": distribution.logpdf(observed),
    }


def score_value(
    value: np.ndarray, observed: np.ndarray, probs: Sequence[float]
) -> dict[str, np.ndarray]:
    """The same of a prediction without any width, (point,): no bands, no density."""
    missing = np.full(len(observed), np.nan)
    return {"median": value, "crps": abs(value - observed)} | dict.fromkeys(
        [*quantile_columns(probs), "pit", "log_density"], missing
    )


def summarise(points: pd.DataFrame, by: Sequence[str], probs: Sequence[float]) -> pd.DataFrame:
    """Scores over points, per group of ``by``.

    ``runs`` counts them and ``predicted`` those that the method could predict, over which the
    others are: ``rmse`` and ``bias`` of the median and ``crps`` on the response's scale,
    ``relative_error`` the mean absolute error over what was observed, ``log_density``, and
    ``coverage_P``.
    """

    def of(group: pd.DataFrame) -> pd.Series:
        known = group[group["error"].notna()]
        found = {
            "runs": len(group),
            "predicted": len(known),
            "rmse": np.sqrt((known["error"] ** 2).mean()),
            "bias": known["error"].mean(),
            "relative_error": known["relative_error"].mean(),
            "crps": known["crps"].mean(),
            "log_density": known["log_density"].mean(),
        }
        for p in probs:
            inside = known[f"inside_{100 * p:g}"]
            found[f"coverage_{100 * p:g}"] = (
                inside.astype(float).mean() if inside.notna().all() and len(known) else np.nan
            )
        return pd.Series(found)

    table = points.groupby(list(by), sort=False, dropna=False).apply(of, include_groups=False)
    return table.astype({"runs": int, "predicted": int})
