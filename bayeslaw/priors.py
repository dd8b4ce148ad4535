"""Priors as values: a distribution's name and its parameters, in PyMC's words.

A prior is on the population value of one parameter, on the parameter's own scale (an exponent, a
loss in nats), never on a transformed one. ``relative=True`` says that its location and scale are in
units of the table's typical response (geometric mean of a loss, root mean square of a score): "0.6"
is then "60 % of the typical loss", in whatever unit the loss was logged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from bayeslaw.errors import SpecError, suggest

#: distribution -> (its parameters, those that scale with the unit of the response)
DISTRIBUTIONS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Normal": (("mu", "sigma"), ("mu", "sigma")),
    "StudentT": (("nu", "mu", "sigma"), ("mu", "sigma")),
    "LogNormal": (("mu", "sigma"), ()),  # its unit enters as mu + log(unit)
    "HalfNormal": (("sigma",), ("sigma",)),
    "Gamma": (("mu", "sigma"), ("mu", "sigma")),
    "Beta": (("alpha", "beta"), ()),
    "Uniform": (("lower", "upper"), ("lower", "upper")),
}
#: Where each distribution puts its mass, to be held against the parameter's support.
REAL_LINE = ("Normal", "StudentT")


@dataclass(frozen=True, slots=True, init=False)
class Prior:
    """The prior of one parameter: ``Prior("LogNormal", mu=-1.2, sigma=0.5)``.

    Parameters
    ----------
    distribution : one of `DISTRIBUTIONS`, named as in PyMC; "Constant" (with ``value``) pins the
        parameter.
    relative : location and scale are in units of the table's typical response.
    **parameters : the distribution's parameters, named as in PyMC. A LogNormal also takes
        ``median`` for ``mu``.

    Raises
    ------
    SpecError : unknown distribution, missing or surplus parameters, or a scale that is not
        positive.
    """

    distribution: str
    parameters: tuple[tuple[str, float], ...]
    relative: bool

    def __init__(self, distribution: str, *, relative: bool = False, **parameters: float):
        if distribution == "LogNormal" and "median" in parameters:
            median = parameters.pop("median")
            if "mu" in parameters:
                raise SpecError("Prior LogNormal takes mu or median, not both.")
            if not (isinstance(median, Real) and median > 0):
                raise SpecError(
                    f"Prior LogNormal: the median is {median!r}, and it must be a positive number."
                )
            parameters["mu"] = math.log(median)
        known = {
            **{name: names for name, (names, _) in DISTRIBUTIONS.items()},
            "Constant": ("value",),
        }
        if distribution not in known:
            raise SpecError(
                f"There is no prior distribution {distribution!r}.{suggest(distribution, known)}"
                f" Known: {', '.join(known)}."
            )
        if set(parameters) != set(known[distribution]):
            raise SpecError(
                f"Prior {distribution} takes {', '.join(known[distribution])}; it was given"
                f" {', '.join(parameters) or 'nothing'}."
            )
        for name, value in parameters.items():
            if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
                raise SpecError(
                    f"Prior {distribution}: {name} is {value!r}, and it must be a finite number."
                )
            positive = (
                name in ("sigma", "nu")
                or distribution == "Beta"
                or (distribution == "Gamma" and name == "mu")
            )
            if positive and not value > 0:
                raise SpecError(
                    f"Prior {distribution}: {name} is {value!r}, and it must be positive."
                )
        if distribution == "Uniform" and not parameters["lower"] < parameters["upper"]:
            raise SpecError("Prior Uniform: lower must be below upper.")
        object.__setattr__(self, "distribution", distribution)
        object.__setattr__(
            self,
            "parameters",
            tuple((name, float(parameters[name])) for name in known[distribution]),
        )
        object.__setattr__(self, "relative", bool(relative))

    def in_units(self, unit: Any) -> dict[str, Any]:
        """The distribution's parameters with ``unit``, the typical response, multiplied in where
        the prior is relative.

        ``unit`` is a number or a PyTensor scalar; so are the values returned.
        """
        parameters: dict[str, Any] = dict(self.parameters)
        if not self.relative:
            return parameters
        if self.distribution == "LogNormal":
            parameters["mu"] = parameters["mu"] + np.log(unit)
        elif self.distribution == "Constant":
            parameters["value"] = parameters["value"] * unit
        else:
            for name in DISTRIBUTIONS[self.distribution][1]:
                parameters[name] = parameters[name] * unit
        return parameters

    def in_scipy(self, unit: float) -> Any:
        """The frozen SciPy distribution, where ``unit`` is the typical response. A Constant has
        none.
        """
        from scipy import stats

        p = self.in_units(unit)
        match self.distribution:
            case "Normal":
                return stats.norm(p["mu"], p["sigma"])
            case "StudentT":
                return stats.t(p["nu"], p["mu"], p["sigma"])
            case "LogNormal":
                return stats.lognorm(p["sigma"], scale=np.exp(p["mu"]))
            case "HalfNormal":
                return stats.halfnorm(scale=p["sigma"])
            case "Gamma":
                return stats.gamma((p["mu"] / p["sigma"]) ** 2, scale=p["sigma"] ** 2 / p["mu"])
            case "Beta":
                return stats.beta(p["alpha"], p["beta"])
            case "Uniform":
                return stats.uniform(p["lower"], p["upper"] - p["lower"])
        raise SpecError(f"{self} is no distribution.")

    @classmethod
    def of(cls, value: Prior | Mapping[str, Any] | float) -> Prior:
        """A prior from a prior, from its JSON form, or from a number, which pins the parameter to
        it.
        """
        if isinstance(value, Prior):
            return value
        if isinstance(value, Mapping):
            if "distribution" not in value:
                raise SpecError(f"A prior needs a 'distribution'; it was given {dict(value)!r}.")
            return cls(**value)
        if isinstance(value, Real) and not isinstance(value, bool):
            return cls("Constant", value=float(value))
        raise SpecError(
            f"A prior is a Prior, a table with 'distribution', or a number; it was given {value!r}."
        )

    def to_json(self) -> dict[str, Any]:
        """The prior as plain data; `of` reads it back."""
        return {
            "distribution": self.distribution,
            **dict(self.parameters),
            **({"relative": True} if self.relative else {}),
        }

    def __str__(self) -> str:
        inner = ", ".join(
            (
                f"median={math.exp(value):.3g}"
                if self.distribution == "LogNormal" and name == "mu"
                else f"{name}={value:.3g}"
            )
            for name, value in self.parameters
        )
        return f"{self.distribution}({inner}){' x typical response' if self.relative else ''}"


def lognormal(median: float, sigma: float, *, relative: bool = False) -> Prior:
    """A LogNormal by its median and its standard deviation on the log scale: 90 % lie within a
    factor exp(1.64 sigma).
    """
    return Prior("LogNormal", median=median, sigma=sigma, relative=relative)
