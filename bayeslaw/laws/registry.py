"""From a name to a law."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from bayeslaw.errors import SpecError, UnknownNameError
from bayeslaw.laws.allocation import Allocation, IsoFLOP
from bayeslaw.laws.base import Law
from bayeslaw.laws.curves import BrokenPower, Power, SaturatingPower, ShiftedPower, SigmoidCompute
from bayeslaw.laws.finetuning import (
    FinetuningAdditive,
    FinetuningFactors,
    FinetuningMultiplicative,
    FinetuningRectified,
)
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
from bayeslaw.laws.tuning import LearningRateBatchSize, StepLaw

_LAWS: dict[str, type[Law]] = {}


def register(law: type[Law]) -> type[Law]:
    """Add a law to the registry, under its ``name``; usable as a class decorator.

    Raises
    ------
    SpecError : another law has that name already, or the class is not a frozen dataclass.
    """
    if _LAWS.get(law.name, law) is not law:
        raise SpecError(
            f"A law named {law.name!r} is registered already: {_LAWS[law.name].__qualname__}."
        )
    if "__dataclass_params__" not in vars(law) or not law.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise SpecError(
            f"The law {law.__qualname__} must be a frozen dataclass: put @dataclass(frozen=True)"
            " above the class."
        )
    _LAWS[law.name] = law
    return law


def laws() -> dict[str, type[Law]]:
    """Every registered law, by name."""
    return dict(_LAWS)


def law(which: str | Law | Mapping[str, Any], *, allow_import: bool = False, **options: Any) -> Law:
    """A law by its name and options: ``law("finetuning_multiplicative", factor="model_size")``.

    Parameters
    ----------
    which : a name, a law (returned as it is), a table of a name and options, as in a study file, or
        ``"my_module:MyLaw"``, a law of your own.
    allow_import : import ``my_module``, which runs its code, and register the law. Without it only
        a law that is registered already is found so.
    **options : the law's options.

    Raises
    ------
    UnknownNameError : no law of that name; near names are offered.
    SpecError : an option that the law does not have, or a value that it cannot take; a law to
        import that may not be, or is none.
    """
    if isinstance(which, Law):
        return which
    if isinstance(which, Mapping):
        if "name" not in which:
            raise SpecError(f"A law needs a 'name'; it was given {dict(which)!r}.")
        options = {**{key: value for key, value in which.items() if key != "name"}, **options}
        which = which["name"]
    if ":" in str(which):
        which = _imported(str(which), allow_import)
    if which not in _LAWS:
        raise UnknownNameError("law", str(which), _LAWS)
    cls = _LAWS[which]
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    if surplus := sorted(set(options) - known):
        raise SpecError(
            f"{which} has no option {', '.join(surplus)}; its options:"
            f" {', '.join(sorted(known)) or 'none'}."
        )
    return cls(**options)


def _imported(path: str, allowed: bool) -> str:
    """The name of the law ``module:Class``, registered."""
    module, _, attribute = path.partition(":")
    for name, cls in _LAWS.items():
        if (cls.__module__, cls.__qualname__) == (module, attribute):
            return name
    if not allowed:
        raise SpecError(
            f"{path} is a law to import, which runs the code of {module}. Say that you mean it:"
            " --allow-import on the command line, allow_import=True in Python, or import and"
            " register it there."
        )
    here = str(Path.cwd())  # where a user's module lies; a console script does not look there
    sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except (Exception, SystemExit) as error:  # whatever the module's code raises
        raise SpecError(f"{path} cannot be imported: {type(error).__name__}: {error}.") from error
    finally:
        sys.path.remove(here)
    if not (isinstance(found, type) and issubclass(found, Law)):
        raise SpecError(
            f"{path} is {'missing' if found is None else f'{found!r}'}: it must be a class made of"
            " bayeslaw.laws.Law."
        )
    if lacking := [
        *(
            name
            for name in ("name", "formula", "source", "response", "params")
            if not hasattr(found, name)
        ),
        *sorted(found.__abstractmethods__),
    ]:
        raise SpecError(f"{path} is a law without {', '.join(lacking)}.")
    return register(found).name


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
