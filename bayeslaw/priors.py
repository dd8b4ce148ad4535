"""Priors as values: a distribution and its parameters, named as in PyMC.

A prior is on the population value of one parameter, on the parameter's own scale (an exponent, a
loss in nats), never on a transformed one. With ``relative=True`` its location and scale are in
units of the table's typical response (geometric mean of a loss, root mean square of a score): .6
then means 60 % of the typical loss, whatever the unit of the loss.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from numbers import Real
from typing import Any

import numpy as np

from bayeslaw.defaults import LARGEST
from bayeslaw.errors import SpecError, suggest

#: For each distribution: its parameters, and those of them that scale with the response's unit.
DISTRIBUTIONS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Normal": (("mu", "sigma"), ("mu", "sigma")),
    "StudentT": (("nu", "mu", "sigma"), ("mu", "sigma")),
    "LogNormal": (("mu", "sigma"), ()),  # the unit is added to mu, as log(unit)
    "HalfNormal": (("sigma",), ("sigma",)),
    "Gamma": (("mu", "sigma"), ("mu", "sigma")),
    "Beta": (("alpha", "beta"), ()),
    "Uniform": (("lower", "upper"), ("lower", "upper")),
}
#: The parameter of the distribution that pins.
CONSTANT = ("value",)
#: Distributions with mass on the whole real line, which suit no positive parameter.
REAL_LINE = ("Normal", "StudentT")


@dataclass(frozen=True, slots=True, init=False)
class Prior:
    """The prior of one parameter.

    Parameters
    ----------
    distribution : one of `DISTRIBUTIONS`, named as in PyMC; or "Constant", with ``value``, which
        pins the parameter.
    relative : whether location and scale are in units of the table's typical response.
    **parameters : the distribution's parameters, named as in PyMC. A LogNormal may have ``median``
        in place of ``mu``.

    Raises
    ------
    SpecError : an unknown distribution, missing or surplus parameters, a scale that is not
        positive, or numbers so large or small that a computer cannot calculate with them.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> print(bl.Prior("LogNormal", median=0.3, sigma=0.6))
    LogNormal(median=0.3, sigma=0.6)
    >>> print(bl.Prior("Normal", mu=0.5, sigma=0.1, relative=True))
    Normal(mu=0.5, sigma=0.1) x typical response
    """

    distribution: str
    parameters: tuple[tuple[str, float], ...]
    relative: bool

    def __init__(self, distribution: str, *, relative: bool = False, **parameters: float):
        if distribution == "LogNormal" and "median" in parameters:
            parameters = _with_mu(parameters)
        names_of = {name: names for name, (names, _) in DISTRIBUTIONS.items()}
        names_of["Constant"] = CONSTANT
        if str(distribution) not in names_of:
            raise SpecError(
                f"There is no prior distribution {distribution!r}."
                f"{suggest(str(distribution), names_of)}"
                f" Known: {', '.join(names_of)}."
            )
        if not isinstance(relative, bool | np.bool_):
            raise SpecError(
                f"Prior {distribution}: relative is {relative!r}, and it must be true or false."
            )
        names = names_of[distribution]
        if set(parameters) != set(names):
            raise SpecError(
                f"Prior {distribution} takes {', '.join(names)}; it was given"
                f" {', '.join(parameters) or 'nothing'}."
            )
        for name, value in parameters.items():
            _check_value(distribution, name, value)
        if distribution == "Uniform" and not parameters["lower"] < parameters["upper"]:
            raise SpecError("Prior Uniform: lower must be below upper.")
        _check_reach(distribution, parameters)
        values = tuple((name, float(parameters[name])) for name in names)
        object.__setattr__(self, "distribution", distribution)
        object.__setattr__(self, "parameters", values)
        object.__setattr__(self, "relative", bool(relative))

    def in_units(self, unit: Any) -> dict[str, Any]:
        """The distribution's parameters, multiplied by ``unit`` where a relative prior needs it.

        ``unit`` is the typical response, a number or a PyTensor scalar; so are the values returned.
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
        """The frozen SciPy distribution; ``unit`` is the typical response.

        Raises
        ------
        SpecError : a Constant, which has no distribution.
        """
        return _frozen(self, float(unit))

    @classmethod
    def of(cls, value: Prior | Mapping[str, Any] | float) -> Prior:
        """A prior from a prior, from its JSON form, or from a number, which pins the parameter."""
        if isinstance(value, Prior):
            return value
        if isinstance(value, Mapping):
            if "distribution" not in value:
                raise SpecError(f"A prior needs a 'distribution'; it was given {dict(value)!r}.")
            return cls(**{str(name): x for name, x in value.items()})
        if isinstance(value, Real) and not isinstance(value, bool):
            return cls("Constant", value=value)
        raise SpecError(
            f"A prior is a Prior, a table with 'distribution', or a number; it was given {value!r}."
        )

    def to_json(self) -> dict[str, Any]:
        """The prior as plain data; `of` reads it back."""
        data = {"distribution": self.distribution, **dict(self.parameters)}
        return data | {"relative": True} if self.relative else data

    def __str__(self) -> str:
        shown = dict(self.parameters)
        if self.distribution == "LogNormal":
            shown = {"median": math.exp(shown["mu"]), "sigma": shown["sigma"]}
        inner = ", ".join(f"{name}={value:.3g}" for name, value in shown.items())
        unit = " x typical response" if self.relative else ""
        return f"{self.distribution}({inner}){unit}"


@lru_cache(maxsize=256)
def _frozen(prior: Prior, unit: float) -> Any:
    """`Prior.in_scipy`. Kept, because SciPy takes some 2 ms to freeze a distribution."""
    from scipy import stats

    p = prior.in_units(unit)
    match prior.distribution:
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
    raise SpecError(f"{prior} is no distribution.")


def _with_mu(parameters: dict[str, float]) -> dict[str, float]:
    """The parameters of a LogNormal with ``mu`` in place of ``median``."""
    if "mu" in parameters:
        raise SpecError("Prior LogNormal takes mu or median, not both.")
    median = parameters["median"]
    if not 0 < _number(median) <= LARGEST:
        raise SpecError(
            f"Prior LogNormal: the median is {_shown(median)}, and it must be a positive number of"
            f" at most {LARGEST:g}."
        )
    others = {name: value for name, value in parameters.items() if name != "median"}
    return {**others, "mu": math.log(median)}


def _check_value(distribution: str, name: str, value: Any) -> None:
    """Raise unless a parameter is a number that calculations can bear, and positive where it must
    be."""
    if not abs(_number(value)) <= LARGEST:
        raise SpecError(
            f"Prior {distribution}: {name} is {_shown(value)}, and it must be a finite number of at"
            f" most {LARGEST:g}."
        )
    must_be_positive = (
        name in ("sigma", "nu")
        or distribution == "Beta"
        or (distribution == "Gamma" and name == "mu")
    )
    if must_be_positive and not float(value) >= 1 / LARGEST:
        raise SpecError(
            f"Prior {distribution}: {name} is {value!r}, and it must be positive, and at least"
            f" {1 / LARGEST:g}."
        )


def _number(value: Any) -> float:
    """A value as a float: NaN if it is no number, infinite if it is beyond all floats."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _check_reach(distribution: str, parameters: Mapping[str, float]) -> None:
    """Raise if a prior reaches beyond the numbers that a computer has."""
    p = {name: float(value) for name, value in parameters.items()}
    reaches = abs(p["mu"]) + 4 * p["sigma"] if distribution == "LogNormal" else 0.0
    if reaches > math.log(LARGEST):
        raise SpecError(
            f"Prior LogNormal: with mu={p['mu']:g} and sigma={p['sigma']:g} it reaches beyond"
            f" {LARGEST:g}, or below {1 / LARGEST:g}: sigma is on the log scale, where 1 is a"
            " factor of 2.7."
        )
    if distribution == "Gamma" and not 1e-10 < p["mu"] / p["sigma"] < 1e10:
        raise SpecError(
            f"Prior Gamma: mu={p['mu']:g} and sigma={p['sigma']:g} differ by more than a computer"
            " can calculate with."
        )


def _shown(value: Any) -> str:
    """A value in a message, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return "an integer of thousands of digits"
    return text if len(text) <= 80 else f"{text[:80]}..."


def lognormal(median: float, sigma: float, *, relative: bool = False) -> Prior:
    """A LogNormal by its median and its standard deviation on the log scale.

    90 % of its mass lies within a factor exp(1.64 sigma) of the median.
    """
    return Prior("LogNormal", median=median, sigma=sigma, relative=relative)
