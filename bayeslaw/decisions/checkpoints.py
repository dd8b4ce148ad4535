r"""Which of several checkpoints to take, what a wrong choice costs, and where further evaluations
are worth most.

A budget of evaluations is worth the expected score of the checkpoint that will be chosen once they
are made,

.. math::
    V(n) = \mathrm{E} \max_j m_j, \qquad
    m \sim N\big(\mu, \; \Sigma - (\Sigma^{-1} + \mathrm{diag}(n_i / s_i^2))^{-1}\big)

where :math:`\mu` and :math:`\Sigma` are the mean and covariance of the draws, taken as normal, and
m the means after n_i evaluations of error s_i each. The budget is spent in lots: each goes where it
raises V most, and then lots are moved while that raises V further.

References
----------
Raiffa and Schlaifer 1961, Applied Statistical Decision Theory, chapter 5 (preposterior analysis).
Frazier and Powell 2010, Decision Analysis 7(4): V is not concave, so that one lot may gain nothing
where several would; what counts is the gain per lot of the best number of lots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from bayeslaw.decisions.utility import expected_regret, p_best, spread, standard_normal
from bayeslaw.errors import SpecError
from bayeslaw.posterior.points import Points, grid
from bayeslaw.posterior.predict import predict
from bayeslaw.runs.arguments import is_finite
from bayeslaw.runs.measurement import se_column
from bayeslaw.text import shown

if TYPE_CHECKING:
    from bayeslaw.posterior.draws import Draws

#: Lots into which a budget is cut.
LOTS = 24
#: Contenders are the checkpoints that may be the best: at most so many, each with at least this
#: probability of being the best.
CONTENDERS, CONTENDS = 12, 0.002
#: Powers of two up to which a number of lots at once is tried.
DOUBLINGS = 6
#: A gain below this share of the values' own uncertainty is rounding: what is left of the budget
#: stays unspent.
WORTHLESS = 1e-6


def best_checkpoint(
    fit: Draws,
    checkpoints: Points,
    *,
    evaluations: int = 0,
    evaluation_sd: float | None = None,
    random_seed: int | None = None,
) -> pd.DataFrame:
    """How likely each checkpoint has the highest true score, the regret of choosing it, and how
    many evaluations to spend on it.

    Parameters
    ----------
    fit : of a gold score, or a gold rate.
    checkpoints : points as `bayeslaw.posterior.predict.predict` takes them, a row a checkpoint: its
        KL, and the grouping columns. What was measured of a checkpoint already is known from the
        runs.
    evaluations : a budget to allot: how many single evaluations (prompts, say) can be paid for. 0:
        none.
    evaluation_sd : error (standard deviation) of a single evaluation, in the response's unit. None:
        that of one row of the runs.
    random_seed : for what is drawn; None: the fit's.

    Returns
    -------
    DataFrame, a row a checkpoint: the columns of ``checkpoints``, ``mean``, ``p_best``,
    ``expected_regret`` (how much lower its score is than the highest of them all, on average),
    ``evaluations`` (of the budget; what could change no choice stays unspent) and ``converged``.
    ``attrs``: ``best`` (the row with the least expected regret), ``regret`` (its regret),
    ``regret_after`` (the expected regret once the budget is spent).

    Raises
    ------
    SpecError : a law of a loss, fewer than two checkpoints, a budget that is not a whole number, an
        error that is not positive. As `bayeslaw.posterior.predict.predict`.

    Examples
    --------
    >>> bl.best_checkpoint(fit, {"kl": [10.0, 20.0, 40.0]}, evaluations=500)
    """
    table = grid(checkpoints)
    _check(fit, table, evaluations, evaluation_sd)
    predicted = predict(fit, table, "latent", random_seed=random_seed)
    score = predicted.values.reshape(-1, len(table))
    regret = expected_regret(score)
    best = int(regret.argmin())
    least = float(regret[best])
    ranked = table.assign(
        mean=score.mean(axis=0), p_best=p_best(score), expected_regret=regret, evaluations=0
    )
    ranked.attrs |= {"best": best, "regret": least, "regret_after": least}
    if evaluations:
        if evaluation_sd is None:
            sd = _noise(fit, table, score, random_seed)
        else:
            sd = np.full(len(table), evaluation_sd)
        allotted, left = allot(score.mean(axis=0), np.cov(score.T), sd, int(evaluations))
        ranked["evaluations"], ranked.attrs["regret_after"] = allotted, left
    return ranked.assign(converged=fit.convergence.passed)


def _check(fit: Draws, table: pd.DataFrame, evaluations: int, evaluation_sd: float | None) -> None:
    """Raise SpecError for what is wrong with a question of `best_checkpoint`."""
    if fit.law.response.lower_is_better:
        raise SpecError(
            f"{fit.law.name} is of a {fit.law.response.name}, of which the lowest is"
            " best: best_checkpoint is for scores and rates."
        )
    if len(table) < 2:
        raise SpecError(f"{len(table)} checkpoint was given: there is nothing to choose from.")
    if not (is_finite(evaluations) and evaluations >= 0 and int(evaluations) == evaluations):
        raise SpecError(
            f"evaluations is {shown(evaluations)}, and it must be a whole number of at least 0.",
            key="evaluations",
        )
    if evaluation_sd is not None and not (is_finite(evaluation_sd) and evaluation_sd > 0):
        raise SpecError(
            f"evaluation_sd is {shown(evaluation_sd)}, and it must be positive.",
            key="evaluation_sd",
        )


def _noise(
    fit: Draws, table: pd.DataFrame, score: np.ndarray, random_seed: int | None
) -> np.ndarray:
    """The error of one row at each checkpoint, in the response's unit: its noise, and the standard
    error that rows of the runs have.
    """
    errors, response = se_column(fit.spec.law), fit.law.response.name
    if errors in fit.runs.table and errors not in table:
        typical = float(fit.runs.table[errors].median())
        table = table.assign(**{response: np.median(score, axis=0), errors: typical})
    logged = predict(fit, table, "run", random_seed=random_seed).values.reshape(-1, len(table))
    return spread(logged - score)


def allot(
    mean: np.ndarray, covariance: np.ndarray, sd: np.ndarray, evaluations: int
) -> tuple[np.ndarray, float]:
    """How many evaluations each of several uncertain values gets, (value,), and the expected regret
    after them.

    Parameters
    ----------
    mean, covariance : of the values, (value,) and (value, value).
    sd : error of a single evaluation of each, (value,).
    evaluations : how many to allot.

    Examples
    --------
    Two values are equally uncertain, and a third cannot be the best:

    >>> spent, regret = allot(np.array([1.0, 1.0, -9.0]), np.eye(3) * 0.1, np.ones(3), 48)
    >>> spent
    array([24, 24,  0])
    """
    parts = np.array_split(np.arange(evaluations), min(LOTS, evaluations))
    lots = np.array([len(part) for part in parts])
    z = standard_normal(len(mean))
    chosen = _contenders(mean, mean + z @ root(covariance))
    values = _Values.of(mean, covariance, sd, chosen, z, lot=lots.mean())
    count, worth = _greedy(values, len(lots))
    count, worth = _improved(values, count, worth)
    spent = np.zeros(len(mean), dtype=int)
    owner = np.repeat(np.arange(len(chosen)), count)
    np.add.at(spent, chosen[owner], lots[: len(owner)])
    return spent, max(values.worth_of_certainty() - worth, 0.0)


def _contenders(mean: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """The values that may be the highest, by their places, from draws (sample, value)."""
    wins = p_best(drawn)
    likeliest = np.sort(np.argsort(-wins)[:CONTENDERS])
    return np.asarray(likeliest[(wins[likeliest] >= CONTENDS) | (likeliest == mean.argmax())])


@dataclass(frozen=True, slots=True)
class _Values:
    """Uncertain values, taken as jointly normal, of which evaluations can be bought in lots.

    Attributes
    ----------
    mean, covariance : of the values, (value,) and (value, value).
    variance : of a single evaluation of each, (value,).
    z : standard normal draws, (sample, value).
    lot : evaluations of a lot.
    least_gain : a smaller gain is rounding.
    """

    mean: np.ndarray
    covariance: np.ndarray
    variance: np.ndarray
    z: np.ndarray
    lot: float
    least_gain: float

    @classmethod
    def of(
        cls,
        mean: np.ndarray,
        covariance: np.ndarray,
        sd: np.ndarray,
        chosen: np.ndarray,
        z: np.ndarray,
        lot: float,
    ) -> Self:
        """The chosen ones of some values."""
        part = covariance[np.ix_(chosen, chosen)]
        least_gain = WORTHLESS * float(np.sqrt(np.diag(part).max()))
        return cls(mean[chosen], part, sd[chosen] ** 2, z[:, : len(chosen)], lot, least_gain)

    def worth(self, count: np.ndarray) -> float:
        """V after so many lots of each."""
        seen = count > 0
        if not seen.any():
            return float(self.mean.max())
        error = self.variance[seen] / (count[seen] * self.lot)
        of_means = self.covariance[np.ix_(seen, seen)] + np.diag(error)
        gain = np.linalg.solve(of_means, self.covariance[seen])
        return self._expected_highest(self.covariance[:, seen] @ gain)

    def worth_of_certainty(self) -> float:
        """V if every value were known."""
        return self._expected_highest(self.covariance)

    def _expected_highest(self, covariance: np.ndarray) -> float:
        """The expected highest of normal values with this covariance."""
        return float((self.mean + self.z @ root(covariance)).max(axis=1).mean())


def _greedy(values: _Values, lots: int) -> tuple[np.ndarray, float]:
    """How many lots each value gets, and V after them: one lot after the other goes where it raises
    V most, by the gain per lot of the best number of lots."""
    each = np.eye(len(values.mean), dtype=int)
    count, worth = np.zeros(len(each), dtype=int), float(values.mean.max())
    while (left := lots - count.sum()) > 0:
        numbers = sorted({min(2**k, left) for k in range(DOUBLINGS)})
        rates = [max((values.worth(count + n * one) - worth) / n for n in numbers) for one in each]
        if max(rates) <= values.least_gain:
            break
        count = count + each[int(np.argmax(rates))]
        worth = values.worth(count)
    return count, worth


def _improved(values: _Values, count: np.ndarray, worth: float) -> tuple[np.ndarray, float]:
    """The lots moved from one value to another while that raises V, and V after them."""
    each = np.eye(len(values.mean), dtype=int)
    for _ in range(2 * LOTS):
        moves = [
            (values.worth(count - each[giver] + each[taker]), giver, taker)
            for giver in np.flatnonzero(count)
            for taker in range(len(each))
            if giver != taker
        ]
        if not moves or max(moves)[0] <= worth + values.least_gain:
            break
        worth, giver, taker = max(moves)
        count = count - each[giver] + each[taker]
    return count, worth


def root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root, which moves little where the covariance does; the covariance may
    be singular.

    >>> root(np.array([[4.0, 0.0], [0.0, 9.0]]))
    array([[2., 0.],
           [0., 3.]])
    """
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return np.asarray((vectors * np.sqrt(values.clip(0))) @ vectors.T)
