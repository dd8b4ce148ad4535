"""What a batch of candidate runs is worth before the decision, against its price: do more runs pay?

`bayeslaw.decisions.candidates` has the formula.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from bayeslaw import defaults
from bayeslaw.decisions.moments import LONGEST, Moments, shown_by
from bayeslaw.decisions.utility import standard_normal
from bayeslaw.text import number, percent

if TYPE_CHECKING:
    from bayeslaw.posterior.draws import Draws

#: The share of the value below which a batch's worth counts as none.
NOTHING = 1e-3
#: The beginning of the advice where nothing is bought.
NO = "More runs would not pay: decide now."


@dataclass(frozen=True, slots=True)
class Worth:
    """What a batch of candidates is worth before the decision.

    Attributes
    ----------
    moments : of candidates and options.
    above : how far each option's mean lies beyond the target, on the side where it is met.
    variance : of a run of each option.
    value : of meeting the target; None: a batch's worth is the probability that it changes the
        verdict.
    cost : of each option.
    thresholds : up to which probability the verdict is no-go, and from which on it is go.
    z : standard normal draws, (draw, option).
    """

    moments: Moments
    above: np.ndarray
    variance: np.ndarray
    value: float | None
    cost: np.ndarray
    thresholds: tuple[float, float]
    z: np.ndarray

    @classmethod
    def of(
        cls,
        moments: Moments,
        fit: Draws,
        target: float,
        value: float | None,
        cost: np.ndarray,
        thresholds: tuple[float, float],
    ) -> Self:
        above, z = moments.beyond(fit, target), standard_normal(len(cost))
        return cls(moments, above, moments.variance_of_runs(), value, cost, thresholds, z)

    def of_batch(self, batch: Sequence[int]) -> float:
        """The expected value of its information, or the probability that it changes the verdict."""
        if not batch:
            return 0.0
        eigenvalues, vectors = np.linalg.eigh(shown_by(self.moments, batch))
        effect = self.moments.sign * vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
        if self.value is None:
            before = self._verdicts(np.zeros_like(effect))
            return float((self._verdicts(effect) != before[0]).mean())
        terms = (self.above, self.variance, effect, self.value, self.cost, self.z)
        return value_of_run(*terms)

    @property
    def verdict(self) -> str:
        """The verdict as it stands, by these moments."""
        standing = self._verdicts(np.zeros((len(self.cost), 1)))[0]
        return {-1: "no-go", 0: "inconclusive", 1: "go"}[int(standing)]

    def _verdicts(self, effect: np.ndarray) -> np.ndarray:
        """The verdict after each draw of what a batch shows: 1 go, -1 no-go, 0 neither."""
        no_go_at, go_at = self.thresholds
        best = _p_met(self.above, self.variance, effect, self.z).max(axis=1)
        return np.asarray((best >= go_at).astype(int) - (best <= no_go_at).astype(int))


@dataclass(frozen=True, slots=True)
class Advice:
    """Whether more runs pay, in words, and the batch that pays best.

    Attributes
    ----------
    pays : whether they do.
    text : the same in words.
    batch : the batch that is worth most beyond its cost, where candidates have a price.
    by : how it was chosen.
    """

    pays: bool
    text: str
    batch: list[int] | None = None
    by: str = ""

    def bought(self, batch: list[int], by: str) -> tuple[list[int], str]:
        """What is bought: nothing where it does not pay, and the batch that pays best where that is
        known; else the one that was chosen by variance.
        """
        if not self.pays:
            return [], by
        return (batch, by) if self.batch is None else (self.batch, self.by)

    @classmethod
    def of(
        cls,
        worth: Worth,
        batches: Mapping[str, list[int]],
        singles: Sequence[float],
        prices: np.ndarray | None,
        names: Sequence[str],
        unit: str,
    ) -> Self:
        """The advice on batches of candidates, whose beginnings and single runs are looked at."""
        if prices is not None:
            return cls._priced(worth, batches, singles, prices, names, unit)
        together = max([worth.of_batch(batch) for batch in batches.values()] + list(singles))
        best = int(np.argmax(singles))
        if worth.value is not None:
            if together < NOTHING * abs(worth.value):
                return cls(False, f"{NO} No candidate would change which option is best.")
            worth_most = _amount(singles[best], unit)
            return cls(True, f"Worth most is {names[best]}: {worth_most}, before its own cost.")
        verdict = worth.verdict
        says = (
            f"The likeliest to change the verdict {verdict} is {names[best]}, with probability"
            f" {percent(singles[best])}; all that can be bought: {percent(together)}."
        )
        stands = verdict != "inconclusive" and together < defaults.VERDICT_CHANGES_MIN
        return cls(False, f"{NO} {says}") if stands else cls(True, says)

    @classmethod
    def _priced(
        cls,
        worth: Worth,
        batches: Mapping[str, list[int]],
        singles: Sequence[float],
        prices: np.ndarray,
        names: Sequence[str],
        unit: str,
    ) -> Self:
        """The advice where candidates have a price in the unit of the value."""
        tried = [
            (worth.of_batch(batch[:size]) - prices[batch[:size]].sum(), batch[:size], by)
            for by, batch in batches.items()
            for size in range(1, min(len(batch), LONGEST) + 1)
        ]
        affordable = {i for batch in batches.values() for i in batch}
        tried += [(singles[i] - prices[i], [i], "per_cost") for i in sorted(affordable)]
        if not tried:
            return cls(False, f"{NO} The budget buys no candidate.")
        net, batch, by = max(tried, key=lambda each: each[0])
        which = names[batch[0]] if len(batch) == 1 else f"a batch of {len(batch)} runs"
        price = _amount(prices[batch].sum(), unit)
        says = (
            f"{which}: it costs {price} and is worth {_amount(worth.of_batch(batch), unit)} before"
            " the decision."
        )
        if net <= 0:
            return cls(False, f"{NO} The nearest to paying is {says}")
        return cls(True, f"More runs pay. Best is {says}", batch, by)


def _amount(x: float, unit: str) -> str:
    """A sum with its unit."""
    return f"{number(x)} {unit}".rstrip()


def value_of_run(
    above: np.ndarray,
    variance: np.ndarray,
    effect: np.ndarray,
    value: float,
    cost: np.ndarray,
    z: np.ndarray,
) -> float:
    """The expected value of a run's information.

    Parameters
    ----------
    above : how far each option's mean lies beyond the target, on the side where it is met.
    variance : of a run of each option.
    effect : by how much a standard normal unit moves each option, (option,); or, of several
        independent ones, (option, unit).
    value, cost : of meeting the target, and of each option.
    z : standard normal draws, (draw, ...), of which as many columns are used as there are units.
    """
    worth = value * _p_met(above, variance, effect, z) - cost
    informed, uninformed = np.maximum(worth.max(axis=1), 0).mean(), worth.mean(axis=0).max()
    return max(float(informed - max(uninformed, 0.0)), 0.0)


def _p_met(
    above: np.ndarray, variance: np.ndarray, effect: np.ndarray, z: np.ndarray
) -> np.ndarray:
    """The probability that each option meets the target, after each draw of what a run shows,
    (draw, option); the arguments are those of `value_of_run`.
    """
    from scipy.special import ndtr

    effect = effect.reshape(len(above), -1)
    sd = np.sqrt(np.maximum(variance - (effect**2).sum(axis=1), 1e-24))
    return np.asarray(ndtr((above + z[:, : effect.shape[1]] @ effect.T) / sd))
