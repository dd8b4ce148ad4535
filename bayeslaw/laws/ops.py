"""Functions that run unchanged on NumPy arrays, xarray and PyTensor variables.

NumPy's ``where, maximum, clip, logaddexp`` fail on PyTensor; what a law needs of them is built here from functions that
do not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

exp, log, log1p, expm1, sqrt = np.exp, np.log, np.log1p, np.expm1, np.sqrt


def logaddexp(a: Any, b: Any) -> Any:
    """``log(exp(a) + exp(b))`` without overflow."""
    return (a + b + abs(a - b)) / 2 + log1p(exp(-abs(a - b)))


def sigmoid(x: Any) -> Any:
    """``1 / (1 + exp(-x))``, to full precision in both tails."""
    return exp(-logaddexp(0.0, -x))


def logit(p: Any) -> Any:
    """``log(p / (1 - p))``."""
    return log(p) - log1p(-p)
