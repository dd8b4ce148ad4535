r"""Scores of a prediction against what happened, point by point, on the response's scale (log for a
loss).

error : median less observed: on a log scale, relative error. Best near 0.
crps : :math:`E|X - y| - \frac12 E|X - X'|` (Gneiting and Raftery 2007, JASA 102(477), eq. 21); of a
    single value its absolute error. Lower is better.
log_density : log of the predictive density of the observed value, per unit of the response. Higher
    is better.
pit : predicted probability of at most the observed value. Uniform if the prediction is calibrated
    (Dawid 1984, JRSS A 147(2)).
coverage_P : share of observed values within the equal-tailed P % band. Best near P / 100.
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
    """Median, bands and scores of draws, (draw, point), without ties; the CRPS is the unbiased
    estimate from the draws.

    >>> scores = score_draws(np.array([[1.0], [2.0], [4.0]]), np.array([2.5]), (0.5,))
    >>> float(scores["pit"][0]), float(scores["crps"][0])
    (0.6666666666666666, 0.16666666666666663)
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

    >>> from scipy import stats
    >>> score_distribution(stats.norm([0.0]), np.array([0.0]), (0.5,))["pit"]
    array([0.5])
    """
    bands = {name: distribution.ppf(q) for name, q in quantile_columns(probs).items()}
    return {
        "median": distribution.median(),
        **bands,
        "crps": np.full(len(observed), np.nan),
        "pit": distribution.cdf(observed),
        "log_density": distribution.logpdf(observed),
    }


def score_value(
    value: np.ndarray, observed: np.ndarray, probs: Sequence[float]
) -> dict[str, np.ndarray]:
    """The same of a single predicted value, (point,): without bands and density.

    >>> score_value(np.array([2.0]), np.array([2.5]), (0.5,))["crps"]
    array([0.5])
    """
    missing = np.full(len(observed), np.nan)
    return {"median": value, "crps": abs(value - observed)} | dict.fromkeys(
        [*quantile_columns(probs), "pit", "log_density"], missing
    )


class Replicates:
    r"""Whether as few hidden runs lie in their bands as the model itself would give.

    .. math:: p = P(C^\mathrm{rep} \le C)

    C : share of hidden runs within their band. A replicate is one draw of all hidden runs together,
    from one draw of the parameters, with one path along each curve: errors that hidden runs share
    are in it. With 3 or 14 runs a share far below the band's probability is no rare event.

    Parameters
    ----------
    prob : the probability of the bands.

    Examples
    --------
    >>> replicates = Replicates(0.9)
    >>> replicates.add(draws, observed)  # (draw, run), (run,); once for each block of runs
    >>> replicates.p_of_coverage()
    0.43
    """

    def __init__(self, prob: float):
        self.prob = prob
        self._inside: list[tuple[np.ndarray, int]] = []

    def add(self, draws: np.ndarray, observed: np.ndarray) -> None:
        """Tell of some hidden runs: draws of them, (draw, run), in the order of the parameters'
        draws, and what happened, (run,).
        """
        low, high = np.quantile(draws, [(1 - self.prob) / 2, (1 + self.prob) / 2], axis=0)
        of_draws = ((draws >= low) & (draws <= high)).sum(axis=1)
        self._inside.append((of_draws, int(((observed >= low) & (observed <= high)).sum())))

    def p_of_coverage(self) -> float:
        """The p-value, of all hidden runs that were told of."""
        of_draws = np.sum([drawn for drawn, _ in self._inside], axis=0)
        return float((of_draws <= sum(count for _, count in self._inside)).mean())


def summarise(points: pd.DataFrame, by: Sequence[str], probs: Sequence[float]) -> pd.DataFrame:
    """Scores over points, per group of ``by``.

    Returns
    -------
    DataFrame, a row a group: ``runs``, the number of points; ``predicted``, the number that the
    method could predict. Over those: ``rmse`` and ``bias`` of the median and ``crps`` on the
    response's scale, ``relative_error`` (mean absolute error over the observed value),
    ``log_density``, and ``coverage_P``.

    Examples
    --------
    >>> summarise(backtest.points, ("method", "split"), (0.5, 0.9))
    """

    def scores_of(group: pd.DataFrame) -> pd.Series:
        known = group[group["error"].notna()]
        scores = {
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
            has_bands = len(known) and inside.notna().all()
            scores[f"coverage_{100 * p:g}"] = inside.astype(float).mean() if has_bands else np.nan
        return pd.Series(scores)

    groups = points.groupby(list(by), sort=False, dropna=False)
    table = groups.apply(scores_of, include_groups=False)
    return table.astype({"runs": int, "predicted": int})
