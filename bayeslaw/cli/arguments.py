"""What the command line's arguments mean: ``name=value`` pairs, numbers, priors, points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bayeslaw as bl
from bayeslaw.errors import SpecError

if TYPE_CHECKING:
    from bayeslaw.laws.base import Law


def pairs(items: Sequence[str], option: str) -> dict[str, str]:
    """``["a=b"]`` as ``{"a": "b"}``."""
    found = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not (equals and name and value):
            raise SpecError(f"{option} {item!r}: write name=value.")
        found[name.strip()] = value.strip()
    return found


def counts(items: Sequence[str], option: str) -> dict[str, int] | None:
    """``["model_size=2"]`` as ``{"model_size": 2}``; None where there is none."""
    found = {}
    for name, text in pairs(items, option).items():
        value = number(text, name)
        if value != int(value):
            raise SpecError(f"{option} {name}={text}: write a whole number.")
        found[name] = int(value)
    return found or None


def number(text: str, what: str) -> float:
    """A number, or a word on what is not one."""
    try:
        return float(text)
    except ValueError:
        raise SpecError(f"{what}={text!r}: {text!r} is not a number.") from None


def law(text: str, allow_import: bool = False) -> Law:
    """``chinchilla``, ``finetuning_multiplicative:factor=pet_size``, ``my_module:MyLaw`` or
    ``my_module:MyLaw:option=value``.
    """
    name, _, rest = text.partition(":")
    own, _, options = rest.partition(":")
    if rest and "=" not in own:
        name = f"{name}:{own}"
    else:
        options = rest
    return bl.law(
        name,
        allow_import=allow_import,
        **pairs([part for part in options.split(",") if part], "--law"),
    )


def saved(path: Path, own_law: str | None, allow_import: bool) -> bl.Fit:
    """A saved fit; a law of one's own is imported first, and then found by the fit's name of it."""
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


def points(at: Sequence[str]) -> dict[str, list[Any]]:
    """``["model_size=1e9,2e9", "method=lora"]`` as lists to multiply out; what is not a number
    stays text.
    """

    def value(text: str) -> Any:
        try:
            return float(text)
        except ValueError:
            return text

    return {
        name: [value(part.strip()) for part in values.split(",")]
        for name, values in pairs(at, "--at").items()
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
    """The table of runs that the options of a command describe."""
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
    curve_by: Sequence[str],
) -> bl.ModelSpec:
    """What to fit, from the options that say so."""
    return bl.ModelSpec(
        law,
        effects=pairs(effects, "--effect"),
        priors={name: prior(text) for name, text in pairs(priors, "--prior").items()},
        noise=noise,  # type: ignore[arg-type]
        discrepancy=discrepancy,
        curve_by=tuple(curve_by) or None,
    )
