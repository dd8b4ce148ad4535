r"""How a posterior would change were its prior weaker or stronger: power scaling, without another
fit.

.. math:: p_\alpha(\theta \mid y) \propto p(y \mid \theta) \, p(\theta)^\alpha, \qquad w_s \propto p(\theta_s)^{\alpha - 1}

alpha < 1 weakens the prior, alpha > 1 strengthens it. What is scaled are the priors of
`ModelSpec.priors`: of parameters, and of the scales of groups. The deviations of groups, given
their scale, are part of what is fitted, and so are paths and the errors of baselines.

References
----------
Kallioinen, Paananen, Bürkner, Vehtari 2023, Statistics and Computing 34, arXiv 2107.14054. Vehtari,
Simpson, Gelman, Yao, Gabry 2024, JMLR 25(72), for the smoothing of the weights, and what the shape
k-hat of their tail says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayeslaw.defaults import SMOOTHED_FROM
from bayeslaw.errors import SpecError
from bayeslaw.posterior.draws import Draws

if TYPE_CHECKING:
    import xarray as xr


def log_prior(fit: Draws) -> xr.Dataset:
    """The log prior density of each variable at the fit's draws, (chain, draw), on the variable's
    own scale. Constants have none.
    """
    posterior, unit = fit.posterior, fit.runs.typical_response
    found = {
        name: posterior[name].copy(data=prior.in_scipy(unit).logpdf(posterior[name].values))
        for name, prior in fit.design.priors.items()
        if prior.distribution != "Constant"
    }
    return posterior[[]].assign(
        {
            name: x.sum([dim for dim in x.dims if dim not in ("chain", "draw")])
            for name, x in found.items()
        }
    )


def prior_weights(fit: Draws, alpha: float) -> tuple[np.ndarray, float]:
    """What each draw would count for, were the prior raised to the power ``alpha``.

    Returns
    -------
    weights, (sample,), chains joined as in `bayeslaw.posterior.parameters.Posterior`: they sum to 1, and are
    smoothed; and the k-hat of their tail, above .7 of which the draws do not reach that posterior
    and a fit must. Of fewer than `SMOOTHED_FROM` draws the weights are raw, and k-hat is infinite.

    Raises
    ------
    SpecError : alpha is not a positive number.
    """
    return power_weights(total_log_prior(fit), alpha)


def total_log_prior(fit: Draws) -> np.ndarray:
    """The log prior density of all variables together at the fit's draws, (sample,)."""
    return np.asarray(
        log_prior(fit).to_dataarray().sum("variable").transpose("chain", "draw").values.ravel()
    )


def power_weights(total: np.ndarray, alpha: float) -> tuple[np.ndarray, float]:
    """`prior_weights` from what `total_log_prior` gives, which is the same for every power."""
    from arviz_stats.base import array_stats

    if not (np.isfinite(alpha) and alpha > 0):
        raise SpecError(f"alpha is {alpha}, and the power of a prior must be a positive number.")
    log_weights, khat = (
        array_stats.psislw((1 - alpha) * total)
        if len(total) >= SMOOTHED_FROM
        else ((alpha - 1) * total, np.inf)
    )
    weights = np.exp(log_weights - np.max(log_weights))
    return weights / weights.sum(), float(khat)
