r"""The noise of runs around the law, on the scale of the response.

| family | density of z = residual / sigma | use |
|---|---|---|
| ``"student_t"`` | Student-t with nu degrees of freedom | the default; allows outliers |
| ``"normal"`` | Gaussian | the default with a discrepancy along curves; its likelihood is exact |
| ``"laplace"`` | exp(-abs(z)) / 2 | absolute errors, as in published fits |

A Student-t is a normal of uncertain variance,

.. math:: \varepsilon_i \sim N(0, \sigma^2 / w_i), \qquad w_i \sim \Gamma(\nu / 2, \nu / 2)

With a discrepancy along curves the weight w of each run is sampled (`WEIGHT`). Given the weights
the likelihood of curves is exact again: a run that lies far off gets a small weight, and its curve
passes it by. Measured on simulated curves of 24 points, a decade beyond them: one point that is off
by ten standard deviations doubles the error of log loss under normal noise (from .008 to .016), and
leaves it at .010 under Student-t noise, which without such points has the same error and costs a
fifth more time. It is not the default because each run adds a variable.

Published laws are often fitted by Huber's objective with delta = 1e-3 on the log loss, which is
nearly the Laplace likelihood.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from bayeslaw.laws.base import Param, scale_of_groups
from bayeslaw.priors import Prior, lognormal

Noise = Literal["student_t", "normal", "laplace"]

#: The variable with the weight of each run's noise, where weights are sampled, and its dimension.
WEIGHT, RUN = "noise_weight|row", "row"
#: The logits of the quantiles at which an average over weights is taken. Outliers come from the
#: lowest: the farthest that these describe is one run in 1e14.
LOGITS = np.arange(-32.0, 12.0, 0.75)

#: Scale of the noise. On a log response it is a relative error: reruns of one setting differ by .1
#: to 4 % of the loss (Choshen et al. 2024, arXiv 2410.11840: up to 3.5 % between seeds). It may
#: have an effects formula, like a parameter of the law.
SIGMA = Param(
    "σ",
    "scale of the noise, on the response's scale",
    lognormal(0.02, 1.0),
    group_scale=scale_of_groups(0.3),
    varies=False,
)
#: The same on a linear response, in units of the typical response.
SIGMA_LINEAR = Param(
    "σ",
    "scale of the noise",
    lognormal(0.1, 1.0, relative=True),
    group_scale=scale_of_groups(0.3),
    varies=False,
)
#: The same on a logit response.
SIGMA_LOGIT = Param(
    "σ",
    "scale of the noise, in logits",
    lognormal(0.1, 1.0),
    group_scale=scale_of_groups(0.3),
    varies=False,
)
#: Degrees of freedom of the Student-t: Juárez and Steel 2010 (Journal of Applied Econometrics
#: 25(7)), Gamma(2, rate .1).
NU = Param(
    "ν",
    "degrees of freedom of the noise; below 10 the tails are heavy",
    Prior("Gamma", mu=20.0, sigma=200.0**0.5),
    varies=False,
)

#: Scale of the noise, by the response's scale.
SIGMAS: Mapping[str, Param] = {"log": SIGMA, "linear": SIGMA_LINEAR, "logit": SIGMA_LOGIT}


def noise_params(noise: Noise, scale: str) -> dict[str, Param]:
    """The parameters of a noise family on a response scale."""
    return {"sigma": SIGMAS[scale]} | ({"nu": NU} if noise == "student_t" else {})


def draw(
    noise: Noise, params: Mapping[str, Any], shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    """Noise of new runs, of ``shape`` (draw, point), on the response's scale."""
    sigma = np.asarray(params["sigma"])
    if noise == "laplace":
        return np.asarray(rng.laplace(size=shape) * sigma)
    z = rng.standard_normal(shape)
    if noise == "student_t":
        nu = np.asarray(params["nu"])
        z /= np.sqrt(rng.standard_gamma(np.broadcast_to(nu / 2, shape)) / (nu / 2))
    z *= sigma
    return z


def log_density(
    noise: Noise, params: Mapping[str, Any], residual: np.ndarray, variance: Any = 0.0
) -> np.ndarray:
    """The log density of residuals, (draw, point), on the response's scale.

    Parameters
    ----------
    noise, params : the family and its parameters, each (draw, point) or (draw, 1).
    residual : (draw, point).
    variance : of an independent normal error on top of the noise, such as that of a curve's path;
        a number, or (draw, point). Not for Laplace noise.
    """
    if noise == "normal":
        params = {**params, "sigma": np.sqrt(np.asarray(params["sigma"]) ** 2 + variance)}
    elif noise == "student_t" and np.any(variance):
        return _log_density_of_mixture(params, residual, variance)
    return _log_density(noise, params, residual)


def _log_density_of_mixture(
    params: Mapping[str, Any], residual: np.ndarray, variance: Any
) -> np.ndarray:
    """The log density of Student-t noise plus a normal error: normals of the variances that the
    weights give, averaged over the weights.

    The average is the trapezoid rule in the logit of a weight's quantile, whose integrand falls off
    exponentially to both sides.
    """
    from scipy.special import expit, gammaincinv

    half_nu, sigma = np.asarray(params["nu"]) / 2, np.asarray(params["sigma"])
    quantiles = expit(LOGITS)
    shares = quantiles * (1 - quantiles)
    total = np.full(np.broadcast_shapes(residual.shape, half_nu.shape), -np.inf)
    for quantile, share in zip(quantiles, shares / shares.sum(), strict=True):
        weight = gammaincinv(half_nu, quantile) / half_nu
        sd = np.sqrt(sigma**2 / weight + variance)
        of_weight = _log_density("normal", {"sigma": sd}, residual) + np.log(share)
        total = np.logaddexp(total, of_weight)
    return total


def _log_density(noise: Noise, params: Mapping[str, Any], residual: np.ndarray) -> np.ndarray:
    """`log_density` of the noise alone."""
    from scipy import stats

    match noise:
        case "student_t":
            family = stats.t(np.asarray(params["nu"]))
        case "laplace":
            family = stats.laplace
        case "normal":
            family = stats.norm
    sigma = np.asarray(params["sigma"])
    return np.asarray(family.logpdf(residual / sigma) - np.log(sigma))
