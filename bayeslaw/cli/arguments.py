"""Read the command line's arguments: ``name=value`` pairs, numbers, priors, points, choices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import bayeslaw as bl
from bayeslaw.errors import SpecError

if TYPE_CHECKING:
    from bayeslaw.laws.base import Law
    from bayeslaw.posterior.draws import Kind
    from bayeslaw.spec.noise import Noise
    from bayeslaw.spec.settings import Sampler


def pairs(items: Sequence[str], option: str) -> dict[str, str]:
    """``["a=b"]`` as ``{"a": "b"}``.

    Raises
    ------
    SpecError : a pair that cannot be read, or two with one name.
    """
    values: dict[str, str] = {}
    for item in items:
        name, equals, value = (part.strip() for part in item.partition("="))
        if not (equals and name and value):
            raise SpecError(f"{option} {item!r}: write name=value.")
        if name in values:
            raise SpecError(
                f"{option} has {name} twice, as {values[name]!r} and {value!r}: give it once."
            )
        values[name] = value
    return values


def counts(items: Sequence[str], option: str) -> dict[str, int] | None:
    """``["model_size=2"]`` as ``{"model_size": 2}``; None for an empty list."""
    values = {}
    for name, text in pairs(items, option).items():
        value = number(text, name)
        if not math.isfinite(value) or value != int(value):
            raise SpecError(f"{option} {name}={text}: write a whole number.")
        values[name] = int(value)
    return values or None


def number(text: str, what: str) -> float:
    """Text as a number; ``what`` names it in the error."""
    try:
        return float(text)
    except ValueError:
        raise SpecError(f"{what}={text!r}: {text!r} is not a number.") from None


def law(text: str, allow_import: bool = False) -> Law:
    """``chinchilla``, ``finetuning_multiplicative:factor=pet_size``, ``my_module:MyLaw`` or
    ``my_module:MyLaw:option=value``.
    """
    name, _, rest = text.partition(":")
    class_name, _, options = rest.partition(":")
    if rest and "=" not in class_name:
        name = f"{name}:{class_name}"
    else:
        options = rest
    return bl.law(
        name,
        allow_import=allow_import,
        **pairs([part for part in options.split(",") if part], "--law"),
    )


def saved(path: Path, own_law: str | None, allow_import: bool) -> bl.Fit:
    """A saved fit. A user's own law is imported first, so that its name in the fit is known."""
    if own_law is not None:
        law(own_law, allow_import)
    return bl.load(path)


def prior(text: str) -> bl.Prior:
    """``LogNormal:median=0.3,sigma=0.1``, or a number, which pins the parameter."""
    distribution, _, rest = text.partition(":")
    if not rest:
        return bl.Prior.of(number(text, "--prior"))
    parameters: dict[str, Any] = {
        name: number(value, f"--prior {name}")
        for name, value in pairs(rest.split(","), "--prior").items()
    }
    return bl.Prior(distribution, **parameters)


def points(at: Sequence[str], option: str = "--at") -> dict[str, list[Any]]:
    """``["model_size=1e9,2e9", "method=lora"]`` as a list of values for each name. Values that are
    not numbers stay text.
    """

    from bayeslaw.text import is_identifier

    def value(text: str) -> Any:
        if is_identifier(text):  # a float would not keep its digits
            return text
        try:
            return float(text)
        except ValueError:
            return text

    return {
        name: [value(part.strip()) for part in values.split(",")]
        for name, values in pairs(at, option).items()
    }


def runs(
    path: Path,
    law_name: str,
    column: Sequence[str],
    group: Sequence[str],
    where: str | None,
    melt: str | None,
    scale: Sequence[str],
    allow_import: bool = False,
) -> bl.Runs:
    """Read the table of runs that a command's options describe."""
    factors = {
        name: number(text, f"--scale {name}") for name, text in pairs(scale, "--scale").items()
    }
    columns = pairs(column, "--column")
    return bl.read_runs(
        path,
        law(law_name, allow_import),
        columns=columns,
        groups=list(group) or None,
        where=where,
        melt_into=melt,
        scale=factors,
    )


def spec(
    law: Law,
    effects: Sequence[str],
    priors: Sequence[str],
    noise: str | None,
    discrepancy: str | None,
    misfit: str | None,
    curve_by: Sequence[str],
) -> bl.ModelSpec:
    """The spec that a command's options describe."""
    return bl.ModelSpec(
        law,
        effects=pairs(effects, "--effect"),
        priors={name: prior(text) for name, text in pairs(priors, "--prior").items()},
        noise=None if noise is None else as_noise(noise),
        discrepancy=discrepancy,
        misfit=misfit,
        curve_by=tuple(curve_by) or None,
    )


def as_noise(text: str) -> Noise:
    """The name of a noise."""
    from bayeslaw.spec.noise import Noise

    return cast("Noise", _one_of(text, get_args(Noise), "noise"))


def as_sampler(text: str) -> Sampler:
    """The name of a sampler."""
    from bayeslaw.spec.settings import Sampler

    return cast("Sampler", _one_of(text, get_args(Sampler), "sampler"))


def as_kind(text: str) -> Kind:
    """The name of a kind of prediction."""
    from bayeslaw.posterior.draws import Kind

    return cast("Kind", _one_of(text, get_args(Kind), "kind"))


def _one_of(text: str, known: Sequence[str], option: str) -> str:
    if text not in known:
        raise SpecError(f"--{option} {text}: it must be one of {', '.join(known)}.")
    return text
