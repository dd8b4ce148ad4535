r"""What to run next: which cheaper runs say most about the one that is to be decided.

All draws are of the same posterior, so that a candidate's response g (before noise) and that of the
option f are jointly known. Taken as normal on the response's scale, observing a candidate with
noise s leaves

.. math::
    \mathrm{Var}(f \mid y) = \mathrm{Var} f - \frac{\mathrm{Cov}(f, g)^2}{\mathrm{Var} g + s^2}

of the variance, whatever is observed: nothing is refitted. A batch is chosen greedily, each further
run given the ones before it, so that two runs that say the same are not both bought. Two batches
are compared, one by what a run says per unit of cost and one by what it says, and the batch that
leaves less variance is bought. The first alone can spend on small runs what would have bought one
that says far more; the second can spend on one dear run what would have bought many.

With a target, the value of meeting it (v) and the costs of options (c), a run is also worth
something before the decision: once it has moved an option's mean by :math:`e_i z`, z standard
normal, that option meets the target with probability :math:`P_i(z)`, and the expected value of the
run's information is

.. math::
    \mathrm{E}_z \max(0, \max_i v P_i(z) - c_i) - \max(0, \max_i \mathrm{E}_z v P_i(z) - c_i)

References
----------
Raiffa and Schlaifer 1961, Applied Statistical Decision Theory, chapter 5 (preposterior analysis).
Nemhauser, Wolsey, Fisher 1978 (Mathematical Programming 14): how far greedy batches can be from the
best one. Leskovec et al. 2007 (KDD), section 3.2: why the better of the two is taken where costs
differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from bayeslaw.decisions.options import require_target
from bayeslaw.decisions.utility import spread, standard_normal
from bayeslaw.errors import SpecError
from bayeslaw.posterior.points import Points, checked_points, grid
from bayeslaw.posterior.predict import predict
from bayeslaw.runs.columns import TRAINING

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
    """Candidate runs, ranked by how much each is expected to reduce the variance of the options per
    unit of cost.

    Parameters
    ----------
    fit : the posterior.
    candidates : runs that could be made, a row each, as `bayeslaw.posterior.predict.predict` takes
        points.
    options : the run, or runs, to be decided about, as in `bayeslaw.decide`.
    at : inputs and grouping columns that all options share.
    cost : of each candidate, in any unit: a list, or the name of a column of ``candidates``;
        "flop": 6 model_size data_size, in FLOP. None: 1 each.
    budget : buys the best candidates, greedily, until it is spent: by variance reduction per unit
        of cost or by variance reduction, whichever leaves less variance in the end. None:
        candidates are ranked one by one.
    target, value, option_cost : as in `bayeslaw.decide`: the response to reach, what that is worth,
        and what each option costs (None: nothing), in one unit. They add what a run is worth before
        the decision.
    random_seed : for groups that no run had; None: the fit's.

    Returns
    -------
    DataFrame, the best first: the columns of ``candidates``, ``cost``; ``variance_reduction``, the
    share of the options' variance (on the response's scale, averaged over options) that the run is
    expected to take away; ``regret_reduction``, by how much it is expected to lower the regret of
    choosing among the options (0 for one option), on the response's scale; with a target and a
    value ``value_of_run``, the expected value of its information, before its own cost;
    ``per_cost``, variance reduction per unit of cost, by which they are ranked. With a budget also
    ``bought``, the order in which runs are bought (0: not bought), ``attrs["variance_left"]``, the
    share of variance that the whole batch leaves, and ``attrs["bought_by"]``, "variance_reduction"
    or "per_cost".

    Raises
    ------
    SpecError : no candidates; a cost or a budget that is not positive; a target without a value.
        As `bayeslaw.posterior.predict.predict`.

    Examples
    --------
    >>> candidates = {"data_size": [1e9, 3e9, 1e10]}
    >>> bl.next_runs(fit, candidates, {"data_size": 1e11}, cost=[1, 3, 10], budget=10)
    """
    table = grid(candidates)
    wanted = grid(options).assign(**dict(at or {})).drop(columns="cost", errors="ignore")
    costs = _costs(fit, table, cost)
    _check(fit, budget, target, value)
    option_costs = _option_costs(option_cost, len(wanted))
    points = table.drop(columns=cost, errors="ignore") if isinstance(cost, str) else table
    moments = _Moments.of(fit, points, wanted, random_seed)
    ranked = table.assign(cost=costs, variance_reduction=moments.reductions(), regret_reduction=0.0)
    z = standard_normal(len(wanted))
    effects = moments.effects()
    if len(wanted) > 1:
        better = moments.sign * moments.of_options
        ranked["regret_reduction"] = [_regret_reduction(better, effect, z) for effect in effects]
    if target is not None and value is not None:
        above, variance = moments.beyond(fit, target), moments.variance_of_runs()
        ranked["value_of_run"] = [
            _value_of_run(above, variance, moments.sign * effect, value, option_costs, z)
            for effect in effects
        ]
    ranked["per_cost"] = ranked["variance_reduction"] / ranked["cost"]
    if budget is not None:
        ranked["bought"], left, by = _better_batch(moments, costs, budget)
        ranked.attrs |= {"variance_left": left, "bought_by": by}
    best_first = ranked.sort_values("per_cost", ascending=False, ignore_index=True)
    return best_first.assign(converged=fit.convergence.passed)


def _check(fit: Draws, budget: float | None, target: float | None, value: float | None) -> None:
    """Raise SpecError for a budget, a target or a value that `next_runs` cannot use."""
    if budget is not None and not (np.isfinite(budget) and budget > 0):
        raise SpecError(f"budget is {budget}, and it must be positive.", key="budget")
    if (target is None) != (value is None) or not np.isfinite([target or 0.0, value or 0.0]).all():
        raise SpecError(
            f"target is {target} and value is {value}: what a run is worth before the decision"
            " needs both, as numbers."
        )
    if target is not None:
        require_target(target, fit.law)


def _costs(fit: Draws, table: pd.DataFrame, cost: Sequence[float] | str | None) -> np.ndarray:
    """The cost of each candidate, (candidate,).

    Raises
    ------
    SpecError : there are no candidates, or not a positive number for each.
    """
    if not len(table):
        raise SpecError("There are no candidates.", key="candidates")
    if cost is None:
        return np.ones(len(table))
    if not isinstance(cost, str):
        return require_costs(list(cost), len(table))
    if cost in table:
        return require_costs(table[cost], len(table))
    if cost == "flop":
        return training_compute(checked_points(fit.design, fit.runs, table))
    raise SpecError(
        f"cost is {cost!r}, and candidates have no such column. 'flop' is 6 model_size data_size.",
        key="cost",
    )


def require_costs(cost: Any, candidates: int) -> np.ndarray:
    """Costs as positive numbers, (candidate,).

    Raises
    ------
    SpecError : they are not positive numbers, or not one for each candidate.

    Examples
    --------
    >>> require_costs([1, 2.5], 2)
    array([1. , 2.5])
    """
    numbers = pd.to_numeric(pd.Series(list(cost)), errors="coerce").to_numpy(float)
    if len(numbers) != candidates or not (np.isfinite(numbers) & (numbers > 0)).all():
        wrong = [x for x, number in zip(cost, numbers, strict=True) if not 0 < number < np.inf]
        has = f"one is {wrong[0]!r}" if wrong else f"it has {len(numbers)}"
        raise SpecError(
            f"cost must be a positive number for each of the {candidates} candidates; {has}.",
            key="cost",
        )
    return np.asarray(numbers)


def training_compute(points: pd.DataFrame) -> np.ndarray:
    """The training compute of each point, 6 model_size data_size, in FLOP, (point,).

    Raises
    ------
    SpecError : the points have no such sizes, or their product is beyond the range of numbers.

    Examples
    --------
    >>> training_compute(pd.DataFrame({"model_size": [7e9], "data_size": [1.4e11]}))
    array([5.88e+21])
    """
    sizes = ("model_size", "data_size")
    if lacking := [name for name in sizes if name not in points]:
        raise SpecError(
            "cost = 'flop' is 6 model_size data_size, and the candidates have no"
            f" {lacking[0]}: list their costs.",
            key="cost",
        )
    model_size, data_size = (np.asarray(points[name], dtype=float) for name in sizes)
    with np.errstate(over="ignore"):
        return require_costs(TRAINING * model_size * data_size, len(points))


def _option_costs(option_cost: Sequence[float] | None, options: int) -> np.ndarray:
    """The cost of each option, (option,)."""
    if option_cost is None:
        return np.zeros(options)
    costs = pd.to_numeric(pd.Series(list(option_cost)), errors="coerce").to_numpy(float)
    if len(costs) != options or not (np.isfinite(costs) & (costs >= 0)).all():
        raise SpecError(
            f"option_cost must be a number for each of the {options} options, of at least 0.",
            key="option_cost",
        )
    return np.asarray(costs)


@dataclass(frozen=True, slots=True)
class _Moments:
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


def _better_batch(
    moments: _Moments, costs: np.ndarray, budget: float
) -> tuple[np.ndarray, float, str]:
    """The order in which candidates are bought, (candidate,), 0 where not; the share of variance
    left; and by what they were chosen: whichever leaves less variance."""
    batches = {
        "per_cost": _batch(moments, costs, budget, per=costs),
        "variance_reduction": _batch(moments, costs, budget, per=np.ones(len(costs))),
    }
    by = min(batches, key=lambda name: batches[name][1])
    return *batches[by], by


def _batch(
    moments: _Moments, costs: np.ndarray, budget: float, per: np.ndarray
) -> tuple[np.ndarray, float]:
    """The greedy batch by variance reduction per ``per``: the order in which candidates are bought,
    (candidate,), 0 where not; and the share of variance left.
    """
    n, covariance = moments.candidates, moments.covariance
    noise, at_first = moments.noise[:n], np.diag(covariance)[n:].copy()
    bought = np.zeros(n, dtype=int)
    while True:
        affordable = (costs <= budget) & (bought == 0)
        gain = np.where(affordable, _reductions(covariance, noise, n, at_first) / per, -1.0)
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
    """The expected value of a run's information.

    Parameters
    ----------
    above : how far each option's mean lies beyond the target, on the side where it is met.
    variance : of a run of each option.
    effect : by how much a standard normal unit moves each option.
    value, cost : of meeting the target, and of each option.
    z : standard normal draws, (sample, ...), of which the first column is used.
    """
    from scipy.special import ndtr

    sd = np.sqrt(np.maximum(variance - effect**2, 1e-24))
    worth = value * ndtr((above + np.outer(z[:, 0], effect)) / sd) - cost
    informed, uninformed = np.maximum(worth.max(axis=1), 0).mean(), worth.mean(axis=0).max()
    return max(float(informed - max(uninformed, 0.0)), 0.0)
