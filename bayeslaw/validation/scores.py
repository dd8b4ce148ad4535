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

#: Name of the package's own method in a table of scores.
OURS = "bayeslaw"
#: Bins of the PIT, and the probability of the regions in which a calibrated model's counts lie.
PIT_BINS, REGION = 10, 0.9


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
    r"""How many hidden runs lie in their bands, and what their PIT is, if the model is right.

    A replicate is one draw of all hidden runs together, from one draw of the parameters, with one
    path along each curve: errors that hidden runs share are in it. With 3 or 14 runs a share far
    below the band's probability is no rare event, and with errors in common it is less rare still.

    Parameters
    ----------
    prob : the probability of the bands that are judged.
    probs : the probabilities of all bands.

    Examples
    --------
    >>> replicates = Replicates(0.9, (0.5, 0.9))
    >>> replicates.add(draws, observed)  # (draw, run), (run,); once for each block of runs
    >>> replicates.p_of_coverage()
    0.43
    """

    def __init__(self, prob: float, probs: Sequence[float] = ()):
        self.prob = prob
        self.probs = tuple(dict.fromkeys((prob, *probs)))
        #: Of each block of runs: by band, how many runs of each draw are inside, (draw,), and how
        #: many of those observed; how many runs have their PIT in each bin, (draw, bin).
        self._inside: list[dict[float, np.ndarray]] = []
        self._observed: list[int] = []
        self._pit: list[np.ndarray] = []

    def add(self, draws: np.ndarray, observed: np.ndarray) -> None:
        """Tell of some hidden runs: draws of them, (draw, run), in the order of the parameters'
        draws, and what happened, (run,).
        """
        tails = [((1 - p) / 2, (1 + p) / 2) for p in self.probs]
        edges = np.arange(1, PIT_BINS) / PIT_BINS
        quantiles = np.quantile(draws, [*np.ravel(tails), *edges], axis=0)
        inside = {}
        for prob, low, high in zip(self.probs, quantiles[0::2], quantiles[1::2], strict=False):
            inside[prob] = ((draws >= low) & (draws <= high)).sum(axis=1)
            if prob == self.prob:
                self._observed.append(int(((observed >= low) & (observed <= high)).sum()))
        self._inside.append(inside)
        below = [(draws < edge).sum(axis=1) for edge in quantiles[2 * len(tails) :]]
        ends = np.zeros(len(draws), int), np.full(len(draws), draws.shape[1])
        self._pit.append(np.diff(np.column_stack([ends[0], *below, ends[1]]), axis=1))

    def p_of_coverage(self) -> float:
        r"""The p-value of the coverage of all hidden runs that were told of,

        .. math:: p = P(C^\mathrm{rep} \le C)

        where C is the share of them within their band.
        """
        of_draws = np.sum([inside[self.prob] for inside in self._inside], axis=0)
        return float((of_draws <= sum(self._observed)).mean())

    def counts(self) -> np.ndarray:
        """How many runs of each replicate are within each band, and have their PIT in each bin,
        (draw, band + bin).
        """
        within = [np.sum([each[p] for each in self._inside], axis=0) for p in self.probs]
        return np.column_stack([*within, np.sum(self._pit, axis=0)])


def regions(replicates: Sequence[Replicates]) -> pd.DataFrame:
    """Between what numbers of hidden runs a calibrated model's lie with probability `REGION`, over
    all splits.

    Returns
    -------
    DataFrame: ``measure``, "coverage" (runs within the band) or "pit" (runs in the bin); ``at``,
    the band's probability, or the lower end of the bin; ``low`` and ``high``, shares of the runs.

    Examples
    --------
    >>> regions([replicates]).columns.tolist()
    ['measure', 'at', 'low', 'high']
    """
    counts, probs = np.sum([each.counts() for each in replicates], axis=0), replicates[0].probs
    shares = counts / counts[:, len(probs) :].sum(axis=1, keepdims=True)
    low, high = np.quantile(shares, [(1 - REGION) / 2, (1 + REGION) / 2], axis=0)
    return pd.DataFrame(
        {
            "measure": ["coverage"] * len(probs) + ["pit"] * PIT_BINS,
            "at": [*probs, *(np.arange(PIT_BINS) / PIT_BINS)],
            "low": low,
            "high": high,
        }
    )


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
