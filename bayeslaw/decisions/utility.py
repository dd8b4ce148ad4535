"""What the draws of several values say together: which is best, what choosing another costs, how
far they spread.
"""

from __future__ import annotations

import numpy as np


def p_best(values: np.ndarray) -> np.ndarray:
    """How likely each is the highest, (value,), from draws (sample, value)."""
    return np.bincount(values.argmax(axis=1), minlength=values.shape[1]) / len(values)


def expected_regret(values: np.ndarray) -> np.ndarray:
    """How much lower each is than the highest of them all, on average, (value,). The highest is 0
    below itself where all are infinite, too.
    """
    highest = np.broadcast_to(values.max(axis=1)[:, None], values.shape)
    return np.subtract(highest, values, out=np.zeros(values.shape), where=values != highest).mean(
        axis=0
    )


def met(response: np.ndarray, target: float | np.ndarray, lower_is_better: bool) -> np.ndarray:
    """Whether a target is met: at or below it for a loss, at or above it for a score."""
    return response <= target if lower_is_better else response >= target


def break_even_targets(
    response: np.ndarray, go_at: float, no_go_at: float, lower_is_better: bool
) -> dict[str, np.ndarray]:
    """The targets that are met with probability ``go_at`` and ``no_go_at``, keys "go" and "no-go",
    from draws (sample, ...).
    """
    probs = (go_at, no_go_at) if lower_is_better else (1 - go_at, 1 - no_go_at)
    return dict(zip(("go", "no-go"), np.quantile(response, probs, axis=0), strict=True))


def expected_shortfall(values: np.ndarray) -> np.ndarray:
    """The mean of the worst 5 % of the draws of each, (value,), from draws (sample, value)."""
    return np.sort(values, axis=0)[: max(1, len(values) // 20)].mean(axis=0)


def evpi(values: np.ndarray) -> float:
    """Expected value of perfect information, from draws (sample, value): what the best choice
    regrets, doing nothing (value 0) being one.
    """
    return float(expected_regret(np.column_stack([values, np.zeros(len(values))])).min())


def evpi_along(
    response_met: np.ndarray, costs: np.ndarray, values: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What each option is worth on average, and perfect information, as what meeting the target is
    worth varies, or as costs do.

    Parameters
    ----------
    response_met : whether the target is met, (sample, option).
    costs : (option,), or (step, option) where they vary.
    values : of meeting the target, in the unit of cost: a number, or (step,) where it varies.

    Returns
    -------
    expected values, (step, option), and `evpi`, (step,).
    """
    costs = np.atleast_2d(np.asarray(costs, dtype=float))
    worth = np.atleast_1d(np.asarray(values, dtype=float))
    steps = max(len(costs), len(worth))
    expected, perfect = np.empty((steps, response_met.shape[1])), np.empty(steps)
    for i, (cost, value) in enumerate(
        zip(np.broadcast_to(costs, expected.shape), np.broadcast_to(worth, steps), strict=True)
    ):
        utility = value * response_met - cost
        expected[i], perfect[i] = utility.mean(axis=0), evpi(utility)
    return expected, perfect


def spread(values: np.ndarray) -> np.ndarray:
    """The standard deviation of each, (value,), by quantiles: a Student-t may have none. Never 0."""
    low, high = np.quantile(values, [0.16, 0.84], axis=0)
    return np.maximum((high - low) / 2, 1e-12)
