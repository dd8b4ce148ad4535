"""From a name to a law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from bayeslaw.errors import SpecError, UnknownNameError
from bayeslaw.laws.base import Law
from bayeslaw.laws.allocation import Allocation, IsoFLOP
from bayeslaw.laws.curves import BrokenPower, Power, SaturatingPower, ShiftedPower, SigmoidCompute
from bayeslaw.laws.finetuning import FinetuningAdditive, FinetuningFactors, FinetuningMultiplicative, FinetuningRectified
from bayeslaw.laws.hyperparameters import LearningRateBatchSize, StepLaw
from bayeslaw.laws.overoptimization import (
    Overoptimization,
    OveroptimizationBestOfN,
    OveroptimizationRL,
    OveroptimizationRLIterated,
    ProxyScoreBestOfN,
    ProxyScoreRL,
    RateBestOfN,
    RateRL,
)
from bayeslaw.laws.pretraining import Chinchilla, DataConstrained, Kaplan, Skaling

_LAWS: dict[str, type[Law]] = {}


def register(law: type[Law]) -> type[Law]:
    """Add a law to the registry, under its ``name``; usable as a class decorator.

    Raises
    ------
    SpecError : another law has that name already, or the class is not a frozen dataclass.
    """
    if _LAWS.get(law.name, law) is not law:
        raise SpecError(f"A law named {law.name!r} is registered already: {_LAWS[law.name].__qualname__}.")
    if "__dataclass_params__" not in vars(law) or not law.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise SpecError(f"The law {law.__qualname__} must be a frozen dataclass: put @dataclass(frozen=True) above the class.")
    _LAWS[law.name] = law
    return law


def laws() -> dict[str, type[Law]]:
    """Every registered law, by name."""
    return dict(_LAWS)


def law(which: str | Law | Mapping[str, Any], **options: Any) -> Law:
    """A law by its name and options: ``law("finetuning_multiplicative", factor="model_size")``.

    Parameters
    ----------
    which : a name, a law (returned as it is), or a table of a name and options, as in a study file.
    **options : the law's options.

    Raises
    ------
    UnknownNameError : no law of that name; near names are offered.
    SpecError : an option that the law does not have, or a value that it cannot take.
    """
    if isinstance(which, Law):
        return which
    if isinstance(which, Mapping):
        if "name" not in which:
            raise SpecError(f"A law needs a 'name'; it was given {dict(which)!r}.")
        options = {**{key: value for key, value in which.items() if key != "name"}, **options}
        which = which["name"]
    if which not in _LAWS:
        raise UnknownNameError("law", str(which), _LAWS)
    cls = _LAWS[which]
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    if surplus := sorted(set(options) - known):
        raise SpecError(f"{which} has no option {', '.join(surplus)}; its options: {', '.join(sorted(known)) or 'none'}.")
    return cls(**options)


for _law in (
    Chinchilla,
    Skaling,
    Kaplan,
    DataConstrained,
    Allocation,
    IsoFLOP,
    LearningRateBatchSize,
    StepLaw,
    FinetuningMultiplicative,
    FinetuningAdditive,
    FinetuningFactors,
    FinetuningRectified,
    Power,
    ShiftedPower,
    SaturatingPower,
    BrokenPower,
    SigmoidCompute,
    OveroptimizationBestOfN,
    OveroptimizationRL,
    OveroptimizationRLIterated,
    Overoptimization,
    RateBestOfN,
    RateRL,
    ProxyScoreBestOfN,
    ProxyScoreRL,
):
    register(_law)
