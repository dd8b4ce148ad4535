"""What the draws of several values say together: which is best, what choosing another costs, how
far they spread.
"""

from __future__ import annotations

import numpy as np

#: Draws for the expectations of normal values, a power of two (Sobol). They are the same ones every
#: time, so that expectations compare without noise.
SIMULATED = 4096


def p_best(values: np.ndarray) -> np.ndarray:
    """How likely each is the highest, (value,), from draws (sample, value).

    >>> p_best(np.array([[1.0, 2.0], [3.0, 1.0], [0.0, 1.0], [2.0, 5.0]]))
    array([0.25, 0.75])
    """
    wins = np.bincount(values.argmax(axis=1), minlength=values.shape[1])
    return np.asarray(wins / len(values))


def expected_regret(values: np.ndarray) -> np.ndarray:
    """How much lower each is than the highest of them all, on average, (value,), from draws
    (sample, value). Of values that are all infinite none is lower.

    >>> expected_regret(np.array([[1.0, 2.0], [3.0, 1.0]]))
    array([0.5, 1. ])
    """
    highest = np.broadcast_to(values.max(axis=1)[:, None], values.shape)
    lower, out = values != highest, np.zeros(values.shape)
    return np.asarray(np.subtract(highest, values, out=out, where=lower).mean(axis=0))


def met(response: np.ndarray, target: float | np.ndarray, lower_is_better: bool) -> np.ndarray:
    """Whether a target is met: at or below it for a loss, at or above it for a score.

    >>> met(np.array([1.9, 2.0, 2.1]), 2.0, lower_is_better=True)
    array([ True,  True, False])
    """
    return response <= target if lower_is_better else response >= target


def break_even_targets(
    response: np.ndarray, go_at: float, no_go_at: float, lower_is_better: bool
) -> dict[str, np.ndarray]:
    """The targets that are met with probability ``go_at`` and ``no_go_at``, keys "go" and "no-go",
    from draws (sample, ...).

    >>> draws = np.linspace(0.0, 1.0, 11)
    >>> targets = break_even_targets(draws, 0.8, 0.2, lower_is_better=True)
    >>> {name: float(x) for name, x in targets.items()}
    {'go': 0.8, 'no-go': 0.2}
    """
    probs = (go_at, no_go_at) if lower_is_better else (1 - go_at, 1 - no_go_at)
    return dict(zip(("go", "no-go"), np.quantile(response, probs, axis=0), strict=True))


def expected_shortfall(values: np.ndarray) -> np.ndarray:
    """The mean of the worst 5 % of the draws of each, (value,), from draws (sample, value).

    >>> expected_shortfall(np.arange(40.0)[:, None])
    array([0.5])
    """
    worst = np.sort(values, axis=0)[: max(1, len(values) // 20)]
    return np.asarray(worst.mean(axis=0))


def evpi(values: np.ndarray) -> float:
    """Expected value of perfect information, from draws (sample, value): the expected regret of the
    best choice, where doing nothing (value 0) is one of the choices.

    >>> evpi(np.array([[2.0], [-1.0]]))
    0.5
    """
    with_nothing = np.column_stack([values, np.zeros(len(values))])
    return float(expected_regret(with_nothing).min())


def evpi_along(
    response_met: np.ndarray, costs: np.ndarray, values: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The expected value of each option, and of perfect information, as the value of meeting the
    target varies, or the costs do.

    Parameters
    ----------
    response_met : whether the target is met, (sample, option).
    costs : (option,), or (step, option) where they vary.
    values : of meeting the target, in the unit of cost: a number, or (step,) where it varies.

    Returns
    -------
    expected values, (step, option), and `evpi`, (step,).

    Examples
    --------
    >>> met = np.array([[True, False], [False, True]])
    >>> expected, perfect = evpi_along(met, [1.0, 1.0], [1.0, 10.0])
    >>> perfect
    array([0., 5.])
    """
    costs = np.atleast_2d(np.asarray(costs, dtype=float))
    worth = np.atleast_1d(np.asarray(values, dtype=float))
    steps = max(len(costs), len(worth))
    expected, perfect = np.empty((steps, response_met.shape[1])), np.empty(steps)
    costs, worth = np.broadcast_to(costs, expected.shape), np.broadcast_to(worth, steps)
    for i, (cost, value) in enumerate(zip(costs, worth, strict=True)):
        utility = value * response_met - cost
        expected[i], perfect[i] = utility.mean(axis=0), evpi(utility)
    return expected, perfect


def spread(values: np.ndarray) -> np.ndarray:
    """The standard deviation of each, (value,), by quantiles: that of a Student-t may be infinite.
    Never 0.

    >>> spread(np.linspace(-1.0, 1.0, 101)[:, None])
    array([0.68])
    """
    low, high = np.quantile(values, [0.16, 0.84], axis=0)
    return np.asarray(np.maximum((high - low) / 2, 1e-12))


def standard_normal(size: int) -> np.ndarray:
    """Evenly spread standard normal draws, (SIMULATED, size).

    >>> standard_normal(2).shape
    (4096, 2)
    """
    from scipy import stats

    uniform = stats.qmc.Sobol(size, rng=np.random.default_rng(0)).random(SIMULATED)
    return np.asarray(stats.norm.ppf(uniform.clip(1e-12, 1 - 1e-12)))
