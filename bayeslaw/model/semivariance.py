r"""Noise, and the errors that neighbours on a curve share, sampled by what the points determine of
them.

.. math:: \gamma = \sigma^2 + \sigma_o^2 \, (1 - e^{-h / \tau_o})

is half the mean squared difference of two neighbours, h decades apart: the exponential
semivariogram with a nugget (Cressie 1993, Statistics for Spatial Data, section 2.3). Every pair of
neighbours bears on gamma; how much of it is noise, sigma, and how much the ``local`` component of
`bayeslaw.spec.discrepancy`, few curves can tell. As sigma and sigma_o the posterior is a thin arc, a
unit or more long, which chains creep along or never leave; as gamma and their ratio it is wide in
the ratio and narrow in gamma, whatever tau_o is.
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

#: sigma, sigma_o and tau_o.
TOGETHER = ("sigma", "local_sigma", "local_length")
#: Priors of positive values without an upper end.
POSITIVE = ("LogNormal", "HalfNormal", "Gamma")


class Semivariance(Transform):
    r"""(sigma, sigma_o, tau_o) as (log gamma / 2, log(sigma_o / sigma), log tau_o), which are
    unconstrained.

    Given tau_o, the two first are a sum and a difference of log sigma and log sigma_o with weights
    that add to one, so that volume on the log scale is kept.

    Parameters
    ----------
    step : h, decades between neighbours.
    """

    name = "semivariance"
    ndim_supp = 1

    def __init__(self, step: float):
        self.step = step

    def forward(self, value: Any, *inputs: Any) -> Any:
        sigma, shared, length = (pt.log(value[..., i]) for i in range(3))
        return pt.stack(
            [sigma + self._of_shared(shared - sigma, length), shared - sigma, length], axis=-1
        )

    def backward(self, value: Any, *inputs: Any) -> Any:
        return pt.exp(self._logs(value))

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        return self._logs(value).sum(axis=-1)

    def _logs(self, value: Any) -> Any:
        total, ratio, length = (value[..., i] for i in range(3))
        sigma = total - self._of_shared(ratio, length)
        return pt.stack([sigma, sigma + ratio, length], axis=-1)

    def _of_shared(self, ratio: Any, length: Any) -> Any:
        """log(gamma) / 2 - log(sigma)."""
        return pt.softplus(2 * ratio + pt.log(-pt.expm1(-self.step * pt.exp(-length)))) / 2


def reparametrised(name: str, design: Design, runs: Runs, unit: Any) -> dict[str, Any]:
    """The population values of `TOGETHER`, as Deterministics of the model in context, from one
    random variable that is called ``name``.

    Empty where they are better sampled one by one: without a ``local`` component, where no curve
    has neighbours, where one of them is pinned or has a prior with an upper end, or is another in
    each group.
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

    def each(unit: Any) -> list[Any]:
        return [getattr(pm, prior.distribution).dist(**prior.in_units(unit)) for prior in priors]

    sampled = pm.CustomDist(
        name,
        unit,
        dist=lambda unit, size: pt.stack(each(unit)),
        logp=lambda value, unit: sum(pm.logp(x, value[i]) for i, x in enumerate(each(unit))),
        signature="()->(n)",
        transform=Semivariance(float(np.median(between))),
    )
    return {
        parameter: pm.Deterministic(parameter, sampled[i]) for i, parameter in enumerate(TOGETHER)
    }
