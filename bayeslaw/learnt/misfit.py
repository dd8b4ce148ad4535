r"""How wrong a law is beyond its runs: a misfit that grows with the distance from them.

On the response's scale, at a point h decades of compute beyond the runs and r decades of tokens per
parameter outside their central 80 %, the misfit is

.. math:: \delta = (c \, h \, z_1 + \rho \, r \, z_2) / \sqrt{w}, \qquad
    z_1, z_2 \sim N(0, 1), \quad w \sim \Gamma(\nu / 2, \nu / 2)

It is a Student-t with nu degrees of freedom and scale :math:`\sqrt{(c h)^2 + (\rho r)^2}`. z and w
are common to all points: the runs of one table that are not made yet err together. Each side has
its own z, above and below in compute, with more and with fewer tokens per parameter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from bayeslaw.errors import SpecError

#: Degrees of freedom of the misfit: a few tables are far worse than most.
NU = 4.0
#: The runs' quantiles of tokens per parameter between which there is no misfit.
CENTRAL = (0.1, 0.9)


@dataclass(frozen=True, slots=True)
class Misfit:
    """The scales of a misfit.

    Attributes
    ----------
    compute : c, per decade of compute beyond the runs.
    tokens_per_parameter : rho, per decade outside the central 80 % of the runs.
    nu : degrees of freedom.

    Raises
    ------
    SpecError : a scale below 0, or degrees of freedom that are not above 0.
    """

    compute: float
    tokens_per_parameter: float
    nu: float = NU

    def __post_init__(self) -> None:
        scales = (self.compute, self.tokens_per_parameter)
        numbers = all(isinstance(x, int | float) for x in (*scales, self.nu))
        if not (numbers and all(0 <= x <= 10 for x in scales) and 0 < self.nu <= 1e6):
            raise SpecError(
                f"misfit is {asdict(self)}: compute and tokens_per_parameter must be between 0 and"
                " 10 per decade, and nu above 0.",
                key="misfit",
            )

    @classmethod
    def of(cls, value: Misfit | Mapping[str, Any]) -> Self | Misfit:
        """A misfit, from itself or from its plain data.

        >>> Misfit.of({"compute": 0.005, "tokens_per_parameter": 0.006})
        Misfit(compute=0.005, tokens_per_parameter=0.006, nu=4.0)
        """
        if isinstance(value, Misfit):
            return value
        known = ("compute", "tokens_per_parameter", "nu")
        if not isinstance(value, Mapping) or not {*known[:2]} <= {*value} <= {*known}:
            raise SpecError(
                f"misfit is {value!r}, and it must be 'learnt', 'none', or have"
                f" {', '.join(known)}.",
                key="misfit",
            )
        return cls(**value)

    def __str__(self) -> str:
        return (
            f"{self.compute:.2g} per decade of compute beyond the runs,"
            f" {self.tokens_per_parameter:.2g} per decade of tokens per parameter"
        )

    def to_json(self) -> dict[str, float]:
        """The misfit as plain data."""
        return asdict(self)

    def loadings(self, points: Distances) -> np.ndarray:
        """What multiplies each standard normal of the misfit, (point, side)."""
        compute, ratio = points.compute, points.tokens_per_parameter
        sides = [np.maximum(compute, 0), np.maximum(-compute, 0)]
        sides += [np.maximum(ratio, 0), np.maximum(-ratio, 0)]
        scale = [self.compute, self.compute, self.tokens_per_parameter, self.tokens_per_parameter]
        return np.asarray(np.column_stack(sides) * scale)


@dataclass(frozen=True, slots=True)
class Distances:
    """How far points lie from runs, in decades, each (point,): 0 among them, negative below.

    Attributes
    ----------
    compute : beyond the largest or below the smallest compute of the runs.
    tokens_per_parameter : outside the runs' central 80 %.
    """

    compute: np.ndarray
    tokens_per_parameter: np.ndarray

    @classmethod
    def between(
        cls, points: tuple[np.ndarray, np.ndarray], runs: tuple[np.ndarray, np.ndarray]
    ) -> Distances:
        """The distances from model sizes and data sizes of runs, (run,), to those of points,
        (point,).
        """
        (size, data), (size_of_runs, data_of_runs) = (np.log10(x) for x in (points, runs))
        compute, ratio = size_of_runs + data_of_runs, data_of_runs - size_of_runs
        low, high = np.quantile(ratio, CENTRAL)
        return cls(
            _outside(size + data, compute.min(), compute.max()), _outside(data - size, low, high)
        )


def _outside(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """How far each value lies outside an interval; 0 inside."""
    return np.asarray(x - np.clip(x, low, high))
