r"""Power scaling: how the posterior would change with a weaker or stronger prior, without a refit.

.. math:: p_\alpha(\eta \mid y) \propto p(y \mid \eta) \, p(\eta)^\alpha, \qquad
    w_s \propto p(\eta_s)^{\alpha - 1}

alpha < 1 weakens the prior, alpha > 1 strengthens it. eta is a variable on the scale on which it is
sampled: the logarithm of a positive one, the logit of one between two bounds. A power of a density
depends on the scale. There it widens or narrows the prior around its centre: the median of a
LogNormal or a Uniform, and the mean of a Normal, a Gamma or a Beta, stay where they are. On the
variable's own scale, the same power would also multiply a LogNormal's median by
exp((1 / alpha - 1) sigma^2).

The power applies to the priors of `ModelSpec.priors`: those of parameters, and those of the scales
of groups. It does not apply to the deviations of groups given their scale, to the paths of curves,
or to the errors of baselines.

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
from bayeslaw.priors import Prior

if TYPE_CHECKING:
    import xarray as xr

#: Log weights that differ by no more are the same, but for rounding.
SAME = 1e-9


def log_prior(fit: Draws) -> xr.Dataset:
    """The log prior density of each variable at the fit's draws, (chain, draw).

    It is on the scale on which the variable is sampled, summed over its elements. Pinned variables
    are left out.
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
        of_elements = log_density_as_sampled(prior, unit, x.values)
        densities[name] = of_elements.sum(axis=tuple(range(len(DIMS), x.ndim)))
    return densities


def log_density_as_sampled(prior: Prior, unit: float, x: np.ndarray) -> np.ndarray:
    r"""The log density of a prior on the scale on which PyMC samples its variable.

    .. math:: \log p(\eta) = \log p(x) + \log \left| \frac{dx}{d\eta} \right|

    Parameters
    ----------
    prior : the prior; not a Constant.
    unit : the typical response.
    x : values on the variable's own scale. One that was rounded to an end of the support counts as
        the number next to that end.

    Examples
    --------
    >>> prior = Prior("LogNormal", mu=0.0, sigma=1.0)
    >>> log_density_as_sampled(prior, 1.0, np.array([0.5, 2.0])).round(3)
    array([-1.159, -1.159])
    """
    distribution = prior.in_scipy(unit)
    low, high = distribution.support()
    if np.isfinite(low):
        x = np.maximum(x, low + np.finfo(float).tiny if low == 0 else np.nextafter(low, np.inf))
    if np.isfinite(high):
        x = np.minimum(x, np.nextafter(high, -np.inf))
    density = np.asarray(distribution.logpdf(x))
    if np.isfinite(low):
        density = density + np.log(x - low)
    if np.isfinite(high):
        density = density + np.log((high - x) / (high - low))
    return density


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
