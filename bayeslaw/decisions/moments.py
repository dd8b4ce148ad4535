"""What candidate runs say about options, jointly normal on the response's scale: how much of the
options' variance each takes away, and greedy batches. `bayeslaw.decisions.candidates` has the
formula.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from bayeslaw.decisions.utility import spread
from bayeslaw.posterior.points import checked_points
from bayeslaw.posterior.predict import predict

if TYPE_CHECKING:
    from bayeslaw.posterior.draws import Draws

#: The longest batch of which every beginning is looked at.
LONGEST = 40


@dataclass(frozen=True, slots=True)
class Moments:
    """Responses of candidates, then of options, on the response's scale, taken as jointly normal.

    Attributes
    ----------
    candidates : how many of the values are candidates: the first ones.
    mean, covariance : of the responses before noise, (value,) and (value, value).
    noise : the variance of the noise of each, (value,).
    sign : -1 where the lower response is better, else 1.
    """

    candidates: int
    mean: np.ndarray
    covariance: np.ndarray
    noise: np.ndarray
    sign: float

    @classmethod
    def of(
        cls, fit: Draws, candidates: pd.DataFrame, options: pd.DataFrame, random_seed: int | None
    ) -> Self:
        """The moments of the draws."""
        both = [_with_inputs(fit, table) for table in (candidates, options)]
        points = pd.concat(both, ignore_index=True)
        link = fit.law.response.link
        latent = predict(fit, points, "latent", random_seed=random_seed).values
        before_noise = np.asarray(link.forward(latent.reshape(fit.samples, -1)))
        runs = predict(fit, points, "run", random_seed=random_seed).values
        # A draw of a Student-t may be out of the range of numbers: a loss that rounds to 0 is
        # infinitely far, and so the spread is by quantiles.
        with np.errstate(divide="ignore"):
            with_noise = np.asarray(link.forward(runs.reshape(fit.samples, -1)))
        return cls(
            candidates=len(candidates),
            mean=before_noise.mean(axis=0),
            covariance=np.cov(before_noise.T),
            noise=spread(with_noise - before_noise) ** 2,
            sign=-1.0 if fit.law.response.lower_is_better else 1.0,
        )

    @property
    def of_options(self) -> np.ndarray:
        """The mean of each option, (option,)."""
        return self.mean[self.candidates :]

    def reductions(self) -> np.ndarray:
        """The share of the options' variance that each candidate takes away, (candidate,)."""
        n = self.candidates
        return _reductions(self.covariance, self.noise[:n], n, np.diag(self.covariance)[n:])

    def effects(self) -> list[np.ndarray]:
        """For each candidate, by how much a standard normal unit of what it shows moves each
        option, (option,)."""
        n, covariance = self.candidates, self.covariance
        return [covariance[n:, i] / np.sqrt(covariance[i, i] + self.noise[i]) for i in range(n)]

    def beyond(self, fit: Draws, target: float) -> np.ndarray:
        """How far each option's mean lies beyond a target, (option,): above 0 where it is met."""
        on_scale = float(fit.law.response.link.forward(np.asarray(target)))
        return self.sign * (self.of_options - on_scale)

    def variance_of_runs(self) -> np.ndarray:
        """The variance of a run of each option, with its noise, (option,)."""
        n = self.candidates
        return np.asarray(np.diag(self.covariance)[n:] + self.noise[n:])


def _with_inputs(fit: Draws, table: pd.DataFrame) -> pd.DataFrame:
    """A table of points with every input of the law: the one may have data where the other has
    compute."""
    if all(name in table for name in fit.law.inputs):
        return table
    return checked_points(fit.design, fit.runs, table)


def _reductions(
    covariance: np.ndarray, noise: np.ndarray, n: int, at_first: np.ndarray
) -> np.ndarray:
    """The share of the options' first variance that each of the n candidates takes away, averaged
    over options.
    """
    variance = np.diag(covariance)[:n] + noise
    shares = covariance[:n, n:] ** 2 / variance[:, None] / at_first
    return np.asarray(shares.mean(axis=1))


def batches_of(moments: Moments, costs: np.ndarray, budget: float | None) -> dict[str, list[int]]:
    """Two greedy batches, each the candidates in the order in which they are bought: by what a run
    says per unit of cost, and by what it says. Without a budget they hold the first `LONGEST`
    candidates.
    """
    return {
        "per_cost": _batch(moments, costs, budget, per=costs),
        "variance_reduction": _batch(moments, costs, budget, per=np.ones(len(costs))),
    }


def _batch(moments: Moments, costs: np.ndarray, budget: float | None, per: np.ndarray) -> list[int]:
    """The greedy batch by variance reduction per ``per``: candidates in the order in which they are
    bought; without a budget the first `LONGEST` of them.
    """
    longest = len(costs) if budget is not None else min(LONGEST, len(costs))
    budget = np.inf if budget is None else budget
    n, covariance = moments.candidates, moments.covariance
    noise, at_first = moments.noise[:n], np.diag(covariance)[n:].copy()
    bought: list[int] = []
    while len(bought) < longest:
        affordable = costs <= budget
        affordable[bought] = False
        gain = np.where(affordable, _reductions(covariance, noise, n, at_first) / per, -1.0)
        best = int(gain.argmax())
        if gain[best] <= 0:
            break
        bought.append(best)
        budget -= costs[best]
        column = covariance[:, best]
        covariance = covariance - np.outer(column, column) / (covariance[best, best] + noise[best])
    return bought


def shown_by(moments: Moments, batch: Sequence[int]) -> np.ndarray:
    """The covariance of the options' means that a batch of candidates is expected to show, (option,
    option): by how much it reduces theirs.
    """
    n, rows = moments.candidates, list(batch)
    observed = moments.covariance[np.ix_(rows, rows)] + np.diag(moments.noise[rows])
    with_options = moments.covariance[n:, rows]
    return np.asarray(with_options @ np.linalg.lstsq(observed, with_options.T, rcond=None)[0])


def variance_left(moments: Moments, batch: Sequence[int]) -> float:
    """The share of the options' variance that a batch leaves."""
    before = np.diag(moments.covariance)[moments.candidates :]
    return float(1 - (np.diag(shown_by(moments, batch)) / before).mean()) if batch else 1.0


def regret_reduction(value: np.ndarray, effect: np.ndarray, z: np.ndarray) -> float:
    """By how much the expected best of the options grows when each moves by ``effect`` standard
    normal units together.
    """
    moved = value + np.outer(z[:, 0], effect)
    return max(float(moved.max(axis=1).mean() - moved.mean(axis=0).max()), 0.0)
