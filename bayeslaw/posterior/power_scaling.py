r"""Power scaling: how the posterior would change with a weaker or stronger prior, without a refit.

.. math:: p_\alpha(\theta \mid y) \propto p(y \mid \theta) \, p(\theta)^\alpha, \qquad
    w_s \propto p(\theta_s)^{\alpha - 1}

alpha < 1 weakens the prior, alpha > 1 strengthens it. The power applies to the priors of
`ModelSpec.priors`: those of parameters, and those of the scales of groups. It does not apply to the
deviations of groups given their scale, to the paths of curves, or to the errors of baselines.

References
----------
Kallioinen, Paananen, Bürkner, Vehtari 2023, Statistics and Computing 34, arXiv 2107.14054.
Vehtari, Simpson, Gelman, Yao, Gabry 2024, JMLR 25(72): the smoothing of the weights, and the
k-hat of their tail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayeslaw.defaults import SMOOTHED_FROM
from bayeslaw.errors import SpecError
from bayeslaw.posterior.draws import DIMS, Draws

if TYPE_CHECKING:
    import xarray as xr

#: Log weights that differ by no more are the same, but for rounding.
SAME = 1e-9


def log_prior(fit: Draws) -> xr.Dataset:
    """The log prior density of each variable at the fit's draws, (chain, draw).

    It is on the variable's own scale, summed over its elements. Pinned variables are left out.
    """
    densities = {name: (DIMS, values) for name, values in _log_priors(fit).items()}
    return fit.posterior[[]].assign(densities)


def _log_priors(fit: Draws) -> dict[str, np.ndarray]:
    """The arrays of `log_prior`."""
    posterior, unit = fit.posterior, fit.runs.typical_response
    densities = {}
    for name, prior in fit.design.priors.items():
        if prior.distribution == "Constant":
            continue
        x = posterior[name].transpose(*DIMS, ...)
        of_elements = prior.in_scipy(unit).logpdf(x.values)
        densities[name] = of_elements.sum(axis=tuple(range(len(DIMS), x.ndim)))
    return densities


def prior_weights(fit: Draws, alpha: float) -> tuple[np.ndarray, float]:
    """The weight of each draw if the prior were raised to the power ``alpha``.

    Returns
    -------
    The weights, (sample,), chains joined as in `bayeslaw.posterior.parameters.Parameters`: smoothed
    and summing to 1. And the k-hat of their tail: above .7 the draws cannot stand for that
    posterior, and only another fit can. With fewer than `SMOOTHED_FROM` draws the weights are not
    smoothed, and k-hat is infinite.

    Raises
    ------
    SpecError : alpha is not a positive number.
    """
    return power_weights(total_log_prior(fit), alpha)


def total_log_prior(fit: Draws) -> np.ndarray:
    """The log prior density of all variables together at the fit's draws, (sample,)."""
    return sum((x.ravel() for x in _log_priors(fit).values()), start=np.zeros(fit.samples))


def power_weights(total: np.ndarray, alpha: float) -> tuple[np.ndarray, float]:
    """`prior_weights` from the result of `total_log_prior`, which serves every power."""
    if not (np.isfinite(alpha) and alpha > 0):
        raise SpecError(f"alpha is {alpha}, and the power of a prior must be a positive number.")
    log_weights, khat = smoothed((alpha - 1) * total)
    weights = np.exp(log_weights - np.max(log_weights))
    return weights / weights.sum(), khat


def smoothed(log_weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Log weights, (sample,), with a smoothed tail, and the k-hat of that tail.

    Weights that are all the same, as where every parameter is pinned, are exact: k-hat is 0. Where
    the tail cannot be fitted, because there are too few draws or its draws are the same, k-hat is
    infinite.
    """
    from arviz_stats.base import array_stats

    if not np.isfinite(log_weights).all():
        return np.zeros(len(log_weights)), np.inf
    if len(log_weights) < SMOOTHED_FROM:
        return log_weights, np.inf
    if np.ptp(log_weights) <= SAME:
        return log_weights, 0.0
    try:
        of_tail, khat = array_stats.psislw(-log_weights)
    except ValueError:  # all values of the tail are the same
        return log_weights, np.inf
    return (np.asarray(of_tail), float(khat)) if np.isfinite(khat) else (log_weights, np.inf)
