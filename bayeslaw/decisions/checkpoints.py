r"""Which of several checkpoints to take, what a wrong choice costs, and where further evaluations
are worth most.

A budget of evaluations is worth the expected score of the checkpoint that will be chosen once they
are made,

.. math:: V(n) = \mathrm{E} \max_j m_j, \qquad m \sim N\big(\mu, \; \Sigma - (\Sigma^{-1} + \mathrm{diag}(n_i / s_i^2))^{-1}\big)

where :math:`\mu` and :math:`\Sigma` are the draws' mean and covariance, taken as normal, and m the
means after n_i evaluations of error s_i each. It is spent lot by lot where a lot raises V most, and
lots are moved while that raises V further.

References
----------
Raiffa and Schlaifer 1961, Applied Statistical Decision Theory, chapter 5 (preposterior analysis).
Frazier and Powell 2010, Decision Analysis 7(4): V is not concave, so that one lot may gain nothing
where several would; what counts is the gain per lot of the best number of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayeslaw.decisions.utility import expected_regret, p_best, spread
from bayeslaw.errors import SpecError
from bayeslaw.posterior.points import Points, grid
from bayeslaw.posterior.predict import predict
from bayeslaw.runs.measurement import se_column

if TYPE_CHECKING:
    from bayeslaw.posterior.draws import Draws

#: Lots into which a budget is cut; contenders at most, and the probability of being the best from
#: which on a checkpoint is one.
LOTS, CONTENDERS, CONTENDS = 24, 12, 0.002
#: Draws for the expectations, a power of two (Sobol); the same ones for all allotments, so that
#: these compare without noise.
SIMULATED = 4096
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
    checkpoints : points as `bayeslaw.posterior.predict.predict` takes them, a row a checkpoint: its KL, and
        the grouping columns. What was measured of a checkpoint already is known from the runs.
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
    ``regret_after`` (what is expected to be left of it once the budget is spent).

    Raises
    ------
    SpecError : a law of a loss, fewer than two checkpoints, a budget or an error that cannot be
        meant. As `bayeslaw.posterior.predict.predict`.
    """
    table = grid(checkpoints)
    if fit.law.response.lower_is_better:
        raise SpecError(
            f"{fit.law.name} is of a {fit.law.response.name}, of which the lowest is"
            " best: best_checkpoint is for scores and rates."
        )
    if len(table) < 2:
        raise SpecError(f"{len(table)} checkpoint was given: there is nothing to choose from.")
    if not (evaluations >= 0 and int(evaluations) == evaluations):
        raise SpecError(
            f"evaluations is {evaluations}, and it must be a whole number of at least 0."
        )
    if evaluation_sd is not None and not (np.isfinite(evaluation_sd) and evaluation_sd > 0):
        raise SpecError(f"evaluation_sd is {evaluation_sd}, and it must be positive.")
    true = predict(fit, table, "latent", random_seed=random_seed)
    score = true.values.reshape(-1, len(table))
    regret = expected_regret(score)
    found = table.assign(
        mean=score.mean(axis=0), p_best=p_best(score), expected_regret=regret, evaluations=0
    )
    best = int(regret.argmin())
    found.attrs |= {
        "best": best,
        "regret": float(regret[best]),
        "regret_after": float(regret[best]),
    }
    if evaluations:
        sd = (
            np.full(len(table), evaluation_sd)
            if evaluation_sd is not None
            else _noise(fit, table, score, random_seed)
        )
        found["evaluations"], found.attrs["regret_after"] = allot(
            score.mean(axis=0), np.cov(score.T), sd, int(evaluations)
        )
    return found.assign(converged=fit.convergence.passed)


def _noise(
    fit: Draws, table: pd.DataFrame, score: np.ndarray, random_seed: int | None
) -> np.ndarray:
    """The error of one row at each checkpoint, in the response's unit: its noise, and the standard
    error that rows of the runs have.
    """
    errors, response = se_column(fit.spec.law), fit.law.response.name
    if errors in fit.runs.table and errors not in table:
        table = table.assign(
            **{response: np.median(score, axis=0), errors: float(fit.runs.table[errors].median())}
        )
    logged = predict(fit, table, "run", random_seed=random_seed).values.reshape(-1, len(table))
    return spread(logged - score)


def allot(
    mean: np.ndarray, covariance: np.ndarray, sd: np.ndarray, evaluations: int
) -> tuple[np.ndarray, float]:
    """How many evaluations each of several uncertain values gets, (value,), and the regret that is
    expected to be left.

    Parameters
    ----------
    mean, covariance : of the values, (value,) and (value, value).
    sd : error of a single evaluation of each, (value,).
    evaluations : how many to allot.
    """
    z = standard_normal(len(mean))
    true = mean + z @ root(covariance)
    wins = p_best(true)
    chosen = np.sort(np.argsort(-wins)[:CONTENDERS])
    chosen = chosen[(wins[chosen] >= CONTENDS) | (chosen == mean.argmax())]
    mu, sigma, error, z = (
        mean[chosen],
        covariance[np.ix_(chosen, chosen)],
        sd[chosen] ** 2,
        z[:, : len(chosen)],
    )
    lots = np.array(
        [len(lot) for lot in np.array_split(np.arange(evaluations), min(LOTS, evaluations))]
    )

    def worth(count: np.ndarray) -> float:
        """V at so many lots of each."""
        seen = count > 0
        if not seen.any():
            return float(mu.max())
        gain = np.linalg.solve(
            sigma[np.ix_(seen, seen)] + np.diag(error[seen] / (count[seen] * lots.mean())),
            sigma[seen],
        )
        return float((mu + z @ root(sigma[:, seen] @ gain)).max(axis=1).mean())

    count, here, least = (
        np.zeros(len(chosen), dtype=int),
        float(mu.max()),
        WORTHLESS * float(np.sqrt(np.diag(sigma).max())),
    )
    one = np.eye(len(chosen), dtype=int)
    while (left := len(lots) - count.sum()) > 0:
        many = sorted({min(2**k, left) for k in range(6)})
        rate = [
            max((worth(count + m * one[i]) - here) / m for m in many) for i in range(len(chosen))
        ]
        if max(rate) <= least:
            break
        count[int(np.argmax(rate))] += 1
        here = worth(count)
    for _ in range(2 * LOTS):
        moves = [
            (worth(count - one[i] + one[j]), i, j)
            for i in np.flatnonzero(count)
            for j in range(len(chosen))
            if i != j
        ]
        if not moves or max(moves)[0] <= here + least:
            break
        here, i, j = max(moves)
        count = count - one[i] + one[j]
    spent = np.zeros(len(mean), dtype=int)
    owner = np.repeat(np.arange(len(chosen)), count)
    np.add.at(spent, chosen[owner], lots[: len(owner)])
    return spent, max(float((mu + z @ root(sigma)).max(axis=1).mean()) - here, 0.0)


def standard_normal(size: int) -> np.ndarray:
    """Evenly spread standard normal draws, (SIMULATED, size)."""
    from scipy import stats

    return stats.norm.ppf(
        stats.qmc.Sobol(size, rng=np.random.default_rng(0)).random(SIMULATED).clip(1e-12, 1 - 1e-12)
    )


def root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root, which moves little where the covariance does; the covariance may
    be singular.
    """
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T
