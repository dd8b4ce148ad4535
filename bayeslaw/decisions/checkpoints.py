r"""Which of several checkpoints to take, what a wrong choice costs, and where further evaluations are worth most.

Evaluations are spent one lot at a time on the checkpoint whose lot raises the expected score of the one that will then be chosen most: the
knowledge gradient for correlated beliefs (Frazier, Powell, Dayanik 2009, INFORMS Journal on Computing 21(4)),

.. math:: \nu_i = \mathrm{E}_Z \max_j (\mu_j + \tilde\sigma_{ij} Z) - \max_j \mu_j, \qquad \tilde\sigma_i = \Sigma e_i / \sqrt{\Sigma_{ii} + s_i^2 / m}

with the posterior taken to be normal with the draws' mean and covariance, and a lot being m evaluations of error s each; and where several
lots gain more than as many times one, what counts is the gain per lot of the best number of them (Frazier and Powell 2010, Decision Analysis 7(4)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayeslaw.errors import SpecError
from bayeslaw.predict import Points, grid, predict

if TYPE_CHECKING:
    from bayeslaw.fit import Fit

#: Lots into which a budget of evaluations is cut.
LOTS = 40
#: Quantiles of the normal distribution at which the knowledge gradient is averaged, and draws for the regret that is left.
QUANTILES, SIMULATED = 400, 4000
#: A gain below this share of the values' own uncertainty is rounding: what is left of the budget stays unspent.
WORTHLESS = 1e-9


def best_checkpoint(
    fit: Fit, checkpoints: Points, *, evaluations: int = 0, evaluation_sd: float | None = None, random_seed: int | None = None
) -> pd.DataFrame:  # fmt: skip
    """How likely each checkpoint has the highest true score, the regret of choosing it, and how many evaluations to spend on it.

    Parameters
    ----------
    fit : of a gold score, or a gold rate.
    checkpoints : points as `bayeslaw.predict.predict` takes them, a row a checkpoint: its KL, and the grouping columns. What was measured of
        a checkpoint already is known from the runs.
    evaluations : a budget to allot: how many single evaluations (prompts, say) can be paid for. 0: none.
    evaluation_sd : error (standard deviation) of a single evaluation, in the response's unit. None: that of one row of the runs.
    random_seed : for what is drawn; None: the fit's.

    Returns
    -------
    DataFrame, a row a checkpoint: the columns of ``checkpoints``, ``mean``, ``p_best``, ``expected_regret`` (how much lower its score is than the
    highest of them all, on average), ``evaluations`` (of the budget; what could change no choice stays unspent) and ``converged``. ``attrs``: ``best`` (the row with the least expected
    regret), ``regret`` (its regret), ``regret_after`` (what is expected to be left of it once the budget is spent).

    Raises
    ------
    SpecError : fewer than two checkpoints, a budget or an error that cannot be meant. As `bayeslaw.predict.predict`.
    """
    table = grid(checkpoints)
    if len(table) < 2:
        raise SpecError(f"{len(table)} checkpoint was given: there is nothing to choose from.")
    if not (evaluations >= 0 and int(evaluations) == evaluations):
        raise SpecError(f"evaluations is {evaluations}, and it must be a whole number of at least 0.")
    if evaluation_sd is not None and not (np.isfinite(evaluation_sd) and evaluation_sd > 0):
        raise SpecError(f"evaluation_sd is {evaluation_sd}, and it must be positive.")
    true = predict(fit, table, "latent", random_seed=random_seed)
    score = true.values.reshape(-1, len(table))
    highest = score.max(axis=1)
    regret = (highest[:, None] - score).mean(axis=0)
    found = table.assign(
        mean=score.mean(axis=0), p_best=np.bincount(score.argmax(axis=1), minlength=len(table)) / len(score), expected_regret=regret, evaluations=0
    )
    best = int(regret.argmin())
    found.attrs |= {"best": best, "regret": float(regret[best]), "regret_after": float(regret[best])}
    if evaluations:
        sd = np.full(len(table), evaluation_sd) if evaluation_sd is not None else _noise(fit, table, score, random_seed)
        found["evaluations"], found.attrs["regret_after"] = allot(score.mean(axis=0), np.cov(score.T), sd, int(evaluations))
    return found.assign(converged=fit.convergence.passed)


def _noise(fit: Fit, table: pd.DataFrame, score: np.ndarray, random_seed: int | None) -> np.ndarray:
    """The error of one row at each checkpoint, in the response's unit."""
    logged = predict(fit, table, "run", random_seed=random_seed).values.reshape(-1, len(table))
    low, high = np.quantile(logged - score, [0.16, 0.84], axis=0)
    return np.maximum((high - low) / 2, 1e-12)


def allot(mean: np.ndarray, covariance: np.ndarray, sd: np.ndarray, evaluations: int) -> tuple[np.ndarray, float]:
    """How many evaluations each of several uncertain values gets, (value,), and the regret that is expected to be left.

    Parameters
    ----------
    mean, covariance : of the values, (value,) and (value, value).
    sd : error of a single evaluation of each, (value,).
    evaluations : how many to allot.
    """
    from scipy import stats

    z = stats.norm.ppf((np.arange(QUANTILES) + 0.5) / QUANTILES)
    lots = [len(lot) for lot in np.array_split(np.arange(evaluations), min(LOTS, evaluations))]
    spent, left = np.zeros(len(mean), dtype=int), np.atleast_2d(covariance).copy()
    for k, lot in enumerate(lots):
        # One lot may be too small to change a choice where several would: the gain per evaluation is that of the best number of lots.
        rate = np.zeros(len(mean))
        for many in sorted({min(2**j, len(lots) - k) for j in range(7)}):
            moved = left / np.sqrt(np.diag(left) + sd**2 / (lot * many))  # (value j, evaluated i)
            gain = np.maximum.reduce(mean[:, None, None] + moved[:, :, None] * z).mean(axis=-1) - mean.max()
            rate = np.maximum(rate, gain / many)
        if rate.max() <= WORTHLESS * np.sqrt(np.diag(covariance).max()):
            break
        i = int(rate.argmax())
        spent[i] += lot
        left = left - np.outer(left[:, i], left[:, i]) / (left[i, i] + sd[i] ** 2 / lot)
    rng = np.random.default_rng(0)
    learnt = _normal(mean, covariance - left, rng)
    true = learnt + _normal(np.zeros(len(mean)), left, rng)
    chosen = learnt.argmax(axis=1)
    return spent, float((true.max(axis=1) - true[np.arange(len(true)), chosen]).mean())


def _normal(mean: np.ndarray, covariance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Normal draws, (SIMULATED, value); the covariance may be singular."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return mean + (rng.standard_normal((SIMULATED, len(mean))) * np.sqrt(values.clip(0))) @ vectors.T
