r"""What to run next: which cheaper runs say most about the one that is to be decided.

All draws are of the same posterior, so that a candidate's response g (before noise) and that of the
option f are jointly known. Taken as normal on the response's scale, observing a candidate with
noise s leaves

.. math:: \mathrm{Var}(f \mid y) = \mathrm{Var} f - \frac{\mathrm{Cov}(f, g)^2}{\mathrm{Var} g + s^2}

of the variance, whatever is observed: nothing is refitted. A batch is chosen greedily, each further
run given the ones before it, so that two runs that say the same are not both bought. Twice: by what
a run says per unit of cost, and by what it says; the batch that leaves less is bought. The first
alone can spend on small runs what would have bought one that says far more, and the second on one
dear run what would have bought many.

With a target, what meeting it is worth (v) and what options cost (c), a run is also worth something
before the decision: once it has moved an option's mean by :math:`e_i z`, z standard normal, that
option meets the target with probability :math:`P_i(z)`, and the expected value of the run's
information is

.. math:: \mathrm{E}_z \max(0, \max_i v P_i(z) - c_i) - \max(0, \max_i \mathrm{E}_z v P_i(z) - c_i)

References
----------
Raiffa and Schlaifer 1961, Applied Statistical Decision Theory, chapter 5 (preposterior analysis).
Nemhauser, Wolsey, Fisher 1978 (Mathematical Programming 14): how far greedy batches can be from the
best one. Leskovec et al. 2007 (KDD), section 3.2: why the better of the two is taken where costs
differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw.decisions.checkpoints import standard_normal
from bayeslaw.decisions.options import require_target
from bayeslaw.decisions.utility import spread
from bayeslaw.errors import SpecError
from bayeslaw.posterior.points import Points, grid
from bayeslaw.posterior.predict import predict

if TYPE_CHECKING:
    from bayeslaw.posterior.draws import Draws

#: Columns that `next_runs` adds to those of the candidates.
ADDED = (
    "cost",
    "variance_reduction",
    "regret_reduction",
    "value_of_run",
    "per_cost",
    "bought",
    "converged",
)


def next_runs(
    fit: Draws,
    candidates: Points,
    options: Points,
    *,
    at: Mapping[str, Any] | None = None,
    cost: Sequence[float] | str | None = None,
    budget: float | None = None,
    target: float | None = None,
    value: float | None = None,
    option_cost: Sequence[float] | None = None,
    random_seed: int | None = None,
) -> pd.DataFrame:
    """Candidate runs ranked by how much they are expected to say about the options, per unit of
    cost.

    Parameters
    ----------
    fit : the posterior.
    candidates : runs that could be made, a row each, as `bayeslaw.posterior.predict.predict` takes points.
    options : the run, or runs, to be decided about, as in `bayeslaw.decide`.
    at : inputs and grouping columns that all options share.
    cost : of each candidate, in any unit: a list, or the name of a column of ``candidates``. None:
        1 each.
    budget : buys the best of them, greedily, until it is spent: by variance reduction per unit of
        cost or by variance reduction, whichever leaves less variance in the end. None: candidates
        are ranked one by one.
    target, value, option_cost : as in `bayeslaw.decide`: the response to reach, what that is worth,
        and what each option costs (None: nothing), in one unit. They add what a run is worth before
        the decision.
    random_seed : for groups never seen; None: the fit's.

    Returns
    -------
    DataFrame, the best first: the columns of ``candidates``, ``cost``; ``variance_reduction``, the
    share of the options' variance (on the response's scale, averaged over options) that the run is
    expected to take away; ``regret_reduction``, by how much it is expected to lower the regret of
    choosing among the options (0 for one option), on the response's scale; with a target and a
    value ``value_of_run``, the expected value of its information, before its own cost;
    ``per_cost``, variance reduction per unit of cost, by which they are ranked. With a budget also
    ``bought``, the order in which runs are bought (0: not), ``attrs["variance_left"]``, the share
    of variance that the whole batch leaves, and ``attrs["bought_by"]``, "variance_reduction" or
    "per_cost".

    Raises
    ------
    SpecError : no candidates; a cost, a budget, a target or a value that cannot be meant. As
        `bayeslaw.posterior.predict.predict`.
    """
    table, wanted = (
        grid(candidates),
        grid(options).assign(**dict(at or {})).drop(columns="cost", errors="ignore"),
    )
    costs = _costs(table, cost)
    points = table.drop(columns=cost) if isinstance(cost, str) else table
    if budget is not None and not (np.isfinite(budget) and budget > 0):
        raise SpecError(f"budget is {budget}, and it must be positive.")
    if (target is None) != (value is None) or not np.isfinite([target or 0.0, value or 0.0]).all():
        raise SpecError(
            f"target is {target} and value is {value}: what a run is worth before the decision"
            " needs both, as numbers."
        )
    if target is not None:
        require_target(target, fit.spec.law)
    spent = (
        np.zeros(len(wanted)) if option_cost is None else np.asarray(list(option_cost), dtype=float)
    )
    if len(spent) != len(wanted) or not np.isfinite(spent).all():
        raise SpecError(f"option_cost must be a number for each of the {len(wanted)} options.")
    n, link = len(table), fit.law.response.link
    both = pd.concat([points, wanted], ignore_index=True)
    latent = np.asarray(
        link.forward(
            predict(fit, both, "latent", random_seed=random_seed).values.reshape(fit.samples, -1)
        )
    )
    # a Student-t leaves the numbers now and then: a loss that rounds to 0 is infinitely far, and
    # the spread is by quantiles
    with np.errstate(divide="ignore"):
        logged = np.asarray(
            link.forward(
                predict(fit, both, "run", random_seed=random_seed).values.reshape(fit.samples, -1)
            )
        )
    noise = spread(logged - latent) ** 2
    noise, option_noise = noise[:n], noise[n:]
    mean, covariance = latent.mean(axis=0), np.cov(latent.T)
    sign = -1.0 if fit.law.response.lower_is_better else 1.0
    at_first = np.diag(covariance)[n:].copy()
    found = table.assign(
        cost=costs,
        variance_reduction=_reductions(covariance, noise, n, at_first),
        regret_reduction=0.0,
    )
    effects = [covariance[n:, i] / np.sqrt(covariance[i, i] + noise[i]) for i in range(n)]
    z = standard_normal(len(wanted))
    if len(wanted) > 1:
        found["regret_reduction"] = [
            _regret_reduction(sign * mean[n:], effect, z) for effect in effects
        ]
    if target is not None and value is not None:
        above = sign * (mean[n:] - float(link.forward(np.asarray(target))))
        variance = np.diag(covariance)[n:] + option_noise
        found["value_of_run"] = [
            _value_of_run(above, variance, sign * effect, value, spent, z) for effect in effects
        ]
    found["per_cost"] = found["variance_reduction"] / found["cost"]
    if budget is not None:
        batches = {
            "per_cost": _batch(covariance, noise, n, costs, budget, costs),
            "variance_reduction": _batch(covariance, noise, n, costs, budget, np.ones(n)),
        }
        by = min(batches, key=lambda name: batches[name][1])
        bought, left = batches[by]
        found["bought"] = bought
        found.attrs |= {"variance_left": left, "bought_by": by}
    return found.sort_values("per_cost", ascending=False, ignore_index=True).assign(
        converged=fit.convergence.passed
    )


def _reductions(
    covariance: np.ndarray, noise: np.ndarray, n: int, at_first: np.ndarray
) -> np.ndarray:
    """The share of the options' first variance that each of the n candidates takes away, averaged
    over options.
    """
    return (covariance[:n, n:] ** 2 / (np.diag(covariance)[:n] + noise)[:, None] / at_first).mean(
        axis=1
    )


def _batch(
    covariance: np.ndarray,
    noise: np.ndarray,
    n: int,
    costs: np.ndarray,
    budget: float,
    per: np.ndarray,
) -> tuple[np.ndarray, float]:
    """The greedy batch by variance reduction per ``per``: the order in which candidates are bought,
    (candidate,), 0 where not; and the share of variance left.
    """
    bought, at_first = np.zeros(n, dtype=int), np.diag(covariance)[n:].copy()
    while True:
        gain = np.where(
            (costs <= budget) & (bought == 0),
            _reductions(covariance, noise, n, at_first) / per,
            -1.0,
        )
        best = int(gain.argmax())
        if gain[best] <= 0:
            return bought, float((np.diag(covariance)[n:] / at_first).mean())
        bought[best] = bought.max() + 1
        budget -= costs[best]
        column = covariance[:, best]
        covariance = covariance - np.outer(column, column) / (covariance[best, best] + noise[best])


def _regret_reduction(value: np.ndarray, effect: np.ndarray, z: np.ndarray) -> float:
    """By how much the expected best of the options grows when each moves by ``effect`` standard
    normal units together.
    """
    moved = value + np.outer(z[:, 0], effect)
    return max(float(moved.max(axis=1).mean() - moved.mean(axis=0).max()), 0.0)


def _value_of_run(
    above: np.ndarray,
    variance: np.ndarray,
    effect: np.ndarray,
    value: float,
    cost: np.ndarray,
    z: np.ndarray,
) -> float:
    """The expected value of a run's information: ``above`` is how far each option's mean lies
    beyond the target, on the side where it is met; ``variance`` that of a run of it; ``effect`` by
    how much a standard normal unit moves it.
    """
    from scipy.special import ndtr

    left = np.sqrt(np.maximum(variance - effect**2, 1e-24))
    worth = value * ndtr((above + np.outer(z[:, 0], effect)) / left) - cost
    return max(
        float(np.maximum(worth.max(axis=1), 0).mean() - max(worth.mean(axis=0).max(), 0.0)), 0.0
    )


def _costs(table: pd.DataFrame, cost: Sequence[float] | str | None) -> np.ndarray:
    if not len(table):
        raise SpecError("There are no candidates.")
    if isinstance(cost, str) and cost not in table:
        raise SpecError(f"cost is {cost!r}, and candidates have no such column.")
    numbers = (
        np.ones(len(table))
        if cost is None
        else pd.to_numeric(
            table[cost] if isinstance(cost, str) else pd.Series(list(cost)), errors="coerce"
        ).to_numpy(float)
    )
    if len(numbers) != len(table) or not (np.isfinite(numbers) & (numbers > 0)).all():
        raise SpecError(f"cost must be a positive number for each of the {len(table)} candidates.")
    return numbers
