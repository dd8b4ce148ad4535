"""Bisection and golden section: roots and minima of many functions of one variable at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: Points that are tried before the golden section, evenly spread, and its steps: each leaves .618
#: of the interval.
TRIED, STEPS = 129, 45
GOLDEN = (5**0.5 - 1) / 2
#: Relative differences of a function that count as none.
FLAT = 1e-13


def bisect(
    low: np.ndarray, high: np.ndarray, beyond: Callable[[np.ndarray], np.ndarray], steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Intervals halved ``steps`` times around where ``beyond`` turns true. It must be true at
    ``high``, and from the turn on.

    >>> low, high = bisect(np.array([0.0]), np.array([8.0]), lambda x: x >= 3.3, 3)
    >>> float(low[0]), float(high[0])
    (3.0, 4.0)
    """
    for _ in range(steps):
        middle = (low + high) / 2
        is_beyond = beyond(middle)
        low, high = np.where(is_beyond, low, middle), np.where(is_beyond, middle, high)
    return low, high


def smallest_minimum(
    function: Callable[[np.ndarray], np.ndarray], low: float, high: float, samples: int
) -> np.ndarray:
    """Where a function with one valley is least, (sample,); NaN where that is an end of the
    interval. Of a valley whose floor is flat to rounding, its smallest point.

    ``function`` takes (sample, point), or (1, point) for the same points in all samples, and
    (sample,); it may be infinite.

    >>> smallest_minimum(lambda x: (x - 2.0) ** 2, 0.0, 5.0, samples=1).round(4)
    array([2.])
    """
    tried = np.linspace(low, high, TRIED)
    values = np.broadcast_to(function(tried[None, :]), (samples, TRIED))
    best = np.where(np.isfinite(values), values, np.inf).argmin(axis=1)
    inside = (best > 0) & (best < TRIED - 1) & np.isfinite(values.min(axis=1))
    x = _golden_section(function, tried[best.clip(1) - 1], tried[best.clip(0, TRIED - 2) + 1])
    # With data that are repeated for ever, models of many sizes have the least loss.
    floor = function(x)
    floor = floor + FLAT * abs(floor)
    start = np.full(samples, low)
    _, smallest = bisect(start, x, lambda point: function(point) <= floor, STEPS)
    return np.where(inside, smallest, np.nan)


def _golden_section(
    function: Callable[[np.ndarray], np.ndarray], a: np.ndarray, b: np.ndarray
) -> np.ndarray:
    """The minimum of a function between a and b, (sample,)."""
    c, d = b - GOLDEN * (b - a), a + GOLDEN * (b - a)
    at_c, at_d = function(c), function(d)
    for _ in range(STEPS):
        left = at_c <= at_d
        a, b = np.where(left, a, c), np.where(left, d, b)
        new = np.where(left, b - GOLDEN * (b - a), a + GOLDEN * (b - a))
        at_new = function(new)
        c, d = np.where(left, new, d), np.where(left, c, new)
        at_c, at_d = np.where(left, at_new, at_d), np.where(left, at_c, at_new)
    return np.asarray((a + b) / 2)
