"""Bisection of many intervals at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def bisect(
    low: np.ndarray, high: np.ndarray, beyond: Callable[[np.ndarray], np.ndarray], steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Intervals halved ``steps`` times around where ``beyond`` turns true, which it is at ``high``
    and from there on.
    """
    for _ in range(steps):
        middle = (low + high) / 2
        there = beyond(middle)
        low, high = np.where(there, low, middle), np.where(there, middle, high)
    return low, high
