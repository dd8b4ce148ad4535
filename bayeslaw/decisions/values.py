"""What the draws of several values say together: which is best, what choosing another costs, how far they spread."""

from __future__ import annotations

import numpy as np


def p_best(values: np.ndarray) -> np.ndarray:
    """How likely each is the highest, (value,), from draws (sample, value)."""
    return np.bincount(values.argmax(axis=1), minlength=values.shape[1]) / len(values)


def expected_regret(values: np.ndarray) -> np.ndarray:
    """How much lower each is than the highest of them all, on average, (value,). The highest is 0 below itself where all are infinite, too."""
    highest = np.broadcast_to(values.max(axis=1)[:, None], values.shape)
    return np.subtract(highest, values, out=np.zeros(values.shape), where=values != highest).mean(axis=0)


def spread(values: np.ndarray) -> np.ndarray:
    """The standard deviation of each, (value,), by quantiles: a Student-t may have none. Never 0."""
    low, high = np.quantile(values, [0.16, 0.84], axis=0)
    return np.maximum((high - low) / 2, 1e-12)
