r"""The weights of Student-t noise along curves, in a parametrisation in which chains move well.

.. math:: w_i \sim \Gamma(\nu / 2, \nu / 2), \qquad \log w_i = m(\nu) + s(\nu) \, z_i

What is sampled is z. As nu grows, all log w shrink towards 0 together; if they were sampled, nu
could not move without all of them. z has about the mean 0 and the standard deviation 1 whatever nu
is, because m and s are about those of log w: with a = nu / 2,

.. math:: m = \psi(a) - \log a \approx -\frac{1}{2a} - \frac{1}{12 a^2}, \qquad
    s^2 = \psi'(a) \approx \frac{1}{a} + \frac{1}{2 a^2} + \frac{1}{6 a^3}

The density is exact all the same: the approximations only say where z is 0 and 1.

References
----------
Abramowitz and Stegun 1964, Handbook of Mathematical Functions, 6.3.18 and 6.4.12.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.logprob.transforms import Transform

from bayeslaw.spec.noise import RUN, WEIGHT


class Standardised(Transform):
    """A gamma with mean 1 as its standardised logarithm."""

    name = "standardised"
    ndim_supp = 0

    def forward(self, value: Any, *inputs: Any) -> Any:
        centre, scale = self._moments(inputs)
        return (pt.log(value) - centre) / scale

    def backward(self, value: Any, *inputs: Any) -> Any:
        centre, scale = self._moments(inputs)
        return pt.exp(centre + scale * value)

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        centre, scale = self._moments(inputs)
        return centre + scale * value + pt.log(scale)

    def _moments(self, inputs: Any) -> tuple[Any, Any]:
        """About the mean and the standard deviation of the logarithm."""
        *_, a, _ = inputs  # the generator, the size, the shape and the scale
        return -1 / (2 * a) - 1 / (12 * a**2), pt.sqrt(1 / a + 1 / (2 * a**2) + 1 / (6 * a**3))


def noise_weights(nu: Any, runs: int) -> Any:
    """The weight of each run's noise, (run,), as a variable of the model in context."""
    pm.modelcontext(None).add_coords({RUN: np.arange(runs)})
    return pm.Gamma(WEIGHT, alpha=nu / 2, beta=nu / 2, dims=RUN, default_transform=Standardised())
