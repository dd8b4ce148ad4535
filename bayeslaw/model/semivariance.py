r"""A parametrisation of noise and ``local`` discrepancy in which chains move well.

.. math:: \gamma = \sigma^2 + \sigma_o^2 \, (1 - e^{-h / \tau_o})

is half the mean squared difference of two neighbours on a curve, h decades apart: the exponential
semivariogram with a nugget (Cressie 1993, Statistics for Spatial Data, section 2.3). Every pair of
neighbours is evidence about gamma. Few curves show how much of gamma is noise (sigma) and how much
is the ``local`` component of `bayeslaw.spec.discrepancy` (sigma_o).

In sigma and sigma_o the posterior is therefore a thin arc, a unit or more long, along which chains
move slowly or not at all. In gamma and the ratio of the two it is narrow in gamma and wide in the
ratio, whatever tau_o is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.logprob.transforms import Transform

from bayeslaw.curves.state_space import sequence
from bayeslaw.runs.table import Runs
from bayeslaw.spec.design import Design

#: The parameters that are sampled together: sigma, sigma_o and tau_o.
TOGETHER = ("sigma", "local_sigma", "local_length")
#: Priors of positive values without an upper end.
POSITIVE = ("LogNormal", "HalfNormal", "Gamma")


class Semivariance(Transform):
    r"""(sigma, sigma_o, tau_o) as unconstrained (log gamma / 2, log(sigma_o / sigma), log tau_o).

    Given tau_o, the transform of (log sigma, log sigma_o) to the first two keeps volumes, so the
    Jacobian is that of the logarithms alone.

    Parameters
    ----------
    step : h, decades between neighbours.
    """

    name = "semivariance"
    ndim_supp = 1

    def __init__(self, step: float):
        self.step = step

    def forward(self, value: Any, *inputs: Any) -> Any:
        log_sigma, log_local, log_length = (pt.log(value[..., i]) for i in range(3))
        ratio = log_local - log_sigma
        half_log_gamma = log_sigma + self._above_sigma(ratio, log_length)
        return pt.stack([half_log_gamma, ratio, log_length], axis=-1)

    def backward(self, value: Any, *inputs: Any) -> Any:
        return pt.exp(self._logs(value))

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        return self._logs(value).sum(axis=-1)

    def _logs(self, value: Any) -> Any:
        """The logarithms of sigma, sigma_o and tau_o, from the unconstrained values."""
        half_log_gamma, ratio, log_length = (value[..., i] for i in range(3))
        log_sigma = half_log_gamma - self._above_sigma(ratio, log_length)
        return pt.stack([log_sigma, log_sigma + ratio, log_length], axis=-1)

    def _above_sigma(self, ratio: Any, log_length: Any) -> Any:
        """log(gamma) / 2 - log(sigma)."""
        return pt.softplus(2 * ratio + pt.log(-pt.expm1(-self.step * pt.exp(-log_length)))) / 2


def reparametrised(name: str, design: Design, runs: Runs, unit: Any) -> dict[str, Any]:
    """The population values of `TOGETHER`, computed from one random variable named ``name``.

    They are Deterministics of the model in context. The result is empty if the parameters are
    sampled one by one: if there is no ``local`` component, if no curve has two points, if one of
    them is pinned or has a prior with an upper end, or if one has a separate value in each group.
    """
    spec = design.spec
    if not spec.discrepancy.along_curves or not set(TOGETHER) <= set(design.params):
        return {}
    priors = [design.priors[parameter] for parameter in TOGETHER]
    t = spec.axis.forward(runs.inputs[spec.along])
    _, step, first = sequence(t, design.curve_labels(runs.table))
    between = step[(first == 0) & (step > 0)]
    bounded = any(prior.distribution not in POSITIVE for prior in priors)
    by_group = any(design.predictors[parameter].formula.by for parameter in TOGETHER)
    if not len(between) or bounded or by_group:
        return {}

    def marginals(unit: Any) -> list[Any]:
        return [getattr(pm, prior.distribution).dist(**prior.in_units(unit)) for prior in priors]

    def log_density(value: Any, unit: Any) -> Any:
        return sum(pm.logp(x, value[i]) for i, x in enumerate(marginals(unit)))

    sampled = pm.CustomDist(
        name,
        unit,
        dist=lambda unit, size: pt.stack(marginals(unit)),
        logp=log_density,
        signature="()->(n)",
        transform=Semivariance(float(np.median(between))),
    )
    return {
        parameter: pm.Deterministic(parameter, sampled[i]) for i, parameter in enumerate(TOGETHER)
    }
