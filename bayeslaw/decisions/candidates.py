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

A batch moves the options' means together, by as many such z as there are options. Where candidates
have a price in the unit of v, only a batch that is worth more than it costs is bought, and of the
batches that were looked at the one that is worth most beyond its cost. With a target and no value,
nothing is bought where the verdict stands and would hardly change.

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

from bayeslaw import defaults
from bayeslaw.decisions.moments import Moments, batches_of, regret_reduction, variance_left
from bayeslaw.decisions.options import require_target
from bayeslaw.decisions.utility import standard_normal
from bayeslaw.decisions.worth import Advice, Worth
from bayeslaw.errors import SpecError
from bayeslaw.posterior.points import Points, checked_points, grid
from bayeslaw.runs.arguments import as_list, is_finite
from bayeslaw.runs.columns import TRAINING
from bayeslaw.runs.validation import numbers_of
from bayeslaw.text import named_rows, shown

if TYPE_CHECKING:
    from bayeslaw.posterior.draws import Draws

#: The cost that is training compute.
FLOP = "flop"
#: Columns that `next_runs` adds to those of the candidates.
ADDED = (
    "cost",
    "variance_reduction",
    "regret_reduction",
    "value_of_run",
    "net_value",
    "p_verdict_changes",
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
    go_at: float = defaults.GO_AT,
    no_go_at: float = defaults.NO_GO_AT,
    unit: str = "",
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
    cost : of each candidate: a list, or the name of a column of ``candidates``, in any unit but
        with a ``value``, whose unit it then has; or "flop", 6 model_size data_size, which is
        compared with no value. None: 1 each, which is no price either.
    budget : buys the best candidates, greedily, until it is spent: by variance reduction per unit
        of cost or by variance reduction, whichever leaves less variance in the end. With a target,
        what would not pay is not bought. None: candidates are ranked one by one.
    target, value, option_cost : as in `bayeslaw.decide`: the response to reach, what that is worth,
        and what each option costs (None: nothing), in one unit. They add what a run is worth before
        the decision. A target without a value adds how likely a run is to change the verdict.
    go_at, no_go_at : as in `bayeslaw.decide`; read with a target and no value.
    unit : of the value and the costs, for the advice.
    random_seed : for groups that no run had; None: the fit's.

    Returns
    -------
    DataFrame, the best first: the columns of ``candidates``, ``cost``; ``variance_reduction``, the
    share of the options' variance (on the response's scale, averaged over options) that the run is
    expected to take away; ``regret_reduction``, by how much it is expected to lower the regret of
    choosing among the options (0 for one option), on the response's scale; with a target and a
    value ``value_of_run``, the expected value of its information, before its own cost, and where it
    has a price ``net_value``, what is left after it; with a target alone ``p_verdict_changes``;
    ``per_cost``, variance reduction per unit of cost, by which they are ranked. With a budget also
    ``bought``, the order in which runs are bought (0: not bought), ``attrs["variance_left"]``, the
    share of variance that the whole batch leaves, and ``attrs["bought_by"]``, "variance_reduction"
    or "per_cost". With a target, ``attrs["pays"]``: whether more runs would pay, and
    ``attrs["advice"]``: the same as a sentence.

    Raises
    ------
    SpecError : no candidates; a cost or a budget that is not positive; a value without a target.
        As `bayeslaw.posterior.predict.predict`.

    Examples
    --------
    >>> candidates = {"data_size": [1e9, 3e9, 1e10]}
    >>> bl.next_runs(fit, candidates, {"data_size": 1e11}, cost=[1, 3, 10], budget=10)
    """
    table = grid(candidates)
    wanted = grid(options).assign(**dict(at or {})).drop(columns="cost", errors="ignore")
    by_compute = isinstance(cost, str) and cost == FLOP and FLOP not in table
    costs = _costs(fit, table, cost)
    _check(fit, budget, target, value)
    option_costs = _option_costs(option_cost, len(wanted))
    points = table.drop(columns=cost) if isinstance(cost, str) and cost in table else table
    moments = Moments.of(fit, points, wanted, random_seed)
    ranked = table.assign(cost=costs, variance_reduction=moments.reductions(), regret_reduction=0.0)
    z = standard_normal(len(wanted))
    effects = moments.effects()
    if len(wanted) > 1:
        better = moments.sign * moments.of_options
        ranked["regret_reduction"] = [regret_reduction(better, effect, z) for effect in effects]
    ranked["per_cost"] = ranked["variance_reduction"] / ranked["cost"]
    batches = batches_of(moments, costs, budget) if (budget, target) != (None, None) else {}
    by = min(batches, key=lambda name: variance_left(moments, batches[name]), default="")
    bought = batches.get(by, [])
    if target is not None:
        worth = Worth.of(moments, fit, target, value, option_costs, (no_go_at, go_at))
        priced = costs if value is not None and cost is not None and not by_compute else None
        singles = [worth.of_batch([i]) for i in range(len(table))]
        if value is None:
            ranked["p_verdict_changes"] = singles
        else:
            ranked["value_of_run"] = singles
        if priced is not None:
            ranked["net_value"] = ranked["value_of_run"] - priced
        affordable = costs <= (np.inf if budget is None else budget)
        bought_alone = np.where(affordable, singles, -np.inf).tolist()
        advice = Advice.of(worth, batches, bought_alone, priced, named_rows(points), unit)
        ranked.attrs |= {"pays": advice.pays, "advice": advice.text}
        bought, by = advice.bought(bought, by)
    if budget is not None:
        order = np.zeros(len(table), dtype=int)
        order[bought] = np.arange(1, len(bought) + 1)
        ranked["bought"] = order
        ranked.attrs |= {"variance_left": variance_left(moments, bought), "bought_by": by}
    best_first = ranked.sort_values("per_cost", ascending=False, ignore_index=True)
    return best_first.assign(converged=fit.convergence.passed)


def _check(fit: Draws, budget: float | None, target: float | None, value: float | None) -> None:
    """Raise SpecError for a budget, a target or a value that `next_runs` cannot use."""
    if budget is not None and not (is_finite(budget) and budget > 0):
        raise SpecError(f"budget is {shown(budget)}, and it must be positive.", key="budget")
    lacking = target is None and value is not None
    if lacking or not all(x is None or is_finite(x) for x in (target, value)):
        raise SpecError(
            f"target is {shown(target)} and value is {shown(value)}: what a run is worth before"
            " the decision needs both, as numbers."
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
        return require_costs(as_list(cost, "cost"), len(table))
    if cost in table:
        return require_costs(table[cost], len(table))
    if cost == FLOP:
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
    numbers = numbers_of(pd.Series(list(cost))).to_numpy(float)
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
    costs = numbers_of(pd.Series(as_list(option_cost, "option_cost"), dtype=object)).to_numpy(float)
    if len(costs) != options or not (np.isfinite(costs) & (costs >= 0)).all():
        raise SpecError(
            f"option_cost must be a number for each of the {options} options, of at least 0.",
            key="option_cost",
        )
    return np.asarray(costs)
