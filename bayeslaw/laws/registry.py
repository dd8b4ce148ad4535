"""The registry of laws: a law by its name and options."""

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
from bayeslaw.laws.general import Pretraining
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
    """Add a law to the registry under its ``name``. It can be used as a class decorator.

    Raises
    ------
    SpecError : another law already has that name, or the class is not a frozen dataclass.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> bl.register(bl.laws()["chinchilla"]).name  # a law may be registered again
    'chinchilla'
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
    """The class of every registered law, by name.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> bl.laws()["chinchilla"].formula
    'E + A / model_size^alpha + B / data_size^beta'
    """
    return dict(_LAWS)


def law(which: str | Law | Mapping[str, Any], *, allow_import: bool = False, **options: Any) -> Law:
    """A law by its name and options.

    Parameters
    ----------
    which : a name; a law, which is returned unchanged; a mapping with a name and options, as in a
        study file; or ``"my_module:MyLaw"``, a law of your own.
    allow_import : whether ``my_module`` may be imported, which runs its code, and the law be
        registered. If not, such a law must be registered already.
    **options : the law's options.

    Raises
    ------
    UnknownNameError : there is no law of that name; near names are offered.
    SpecError : the law does not have an option, or cannot take its value; or a law may not be
        imported, or what is imported is not a law.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> list(bl.law("finetuning_multiplicative", factor="model_size").inputs)
    ['model_size', 'finetuning_data']
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
    if not (isinstance(which, str) and which in _LAWS):
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
    folder = str(Path.cwd())  # a user's module lies here, and a console script does not look here
    sys.path.insert(0, folder)
    try:
        imported = getattr(importlib.import_module(module), attribute, None)
    except (Exception, SystemExit) as error:  # whatever the module's code raises
        raise SpecError(f"{path} cannot be imported: {type(error).__name__}: {error}.") from error
    finally:
        sys.path.remove(folder)
    if not (isinstance(imported, type) and issubclass(imported, Law)):
        raise SpecError(
            f"{path} is {'missing' if imported is None else f'{imported!r}'}: it must be a subclass"
            " of bayeslaw.laws.base.Law."
        )
    attributes = ("name", "formula", "source", "response", "params")
    lacking = [name for name in attributes if not hasattr(imported, name)]
    lacking += sorted(imported.__abstractmethods__)
    if lacking:
        raise SpecError(f"{path} is a law without {', '.join(lacking)}.")
    return register(imported).name


for _law in (
    Pretraining,
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
