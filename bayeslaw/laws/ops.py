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


def softplus(x: Any) -> Any:
    """``log(1 + exp(x))``."""
    return logaddexp(x, 0.0)


def minimum(a: Any, b: Any) -> Any:
    """The smaller of two positive numbers; by their logarithms, so that neither is lost in the other's rounding."""
    return exp((log(a) + log(b) - abs(log(a) - log(b))) / 2)


def sigmoid(x: Any) -> Any:
    """``1 / (1 + exp(-x))``, to full precision in both tails."""
    return exp(-logaddexp(0.0, -x))


def logit(p: Any) -> Any:
    """``log(p / (1 - p))``."""
    return log(p) - log1p(-p)


def saturation(log_ratio: Any, alpha: Any) -> Any:
    """The u between 0 and 1 with ``log(u) - alpha log(1 - u) = log_ratio``: a sigmoid, where alpha is 1.

    Halley's method on the logit s of u, where the left side is ``alpha softplus(s) - softplus(-s)``: monotone, with slopes
    between 1 and alpha and curvature of one sign. It starts from a curve that is right in both tails; four steps leave an error
    of 1e-14 for alpha from .1 to 20 (5e-6 at .05), and are a fixed graph that a sampler can differentiate.
    """
    s = softplus(log_ratio) / alpha - softplus(-log_ratio)
    for _ in range(4):
        high = softplus(s)
        u = sigmoid(s)
        error = alpha * high - (high - s) - log_ratio
        slope = 1 - u + alpha * u
        s = s - 2 * error * slope / (2 * slope**2 - error * (alpha - 1) * u * (1 - u))
    return sigmoid(s)
