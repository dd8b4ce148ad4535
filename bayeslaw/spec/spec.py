"""What to fit: a law, the effects on its parameters, priors, noise. A value, with a JSON form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Self, get_args

from bayeslaw.errors import SpecError, suggest
from bayeslaw.laws.base import DECADES, Axis, Law, Param
from bayeslaw.laws.registry import law as find_law
from bayeslaw.priors import Prior
from bayeslaw.spec.discrepancy import Discrepancy, discrepancy_params
from bayeslaw.spec.formula import Formula
from bayeslaw.spec.noise import Noise, noise_params


@dataclass(frozen=True, init=False)
class ModelSpec:
    """What to fit.

    Parameters
    ----------
    law : a law's name, a law, or a table of name and options.
    effects : parameter -> formula, such as ``{"alpha": "1 + (1 | method)"}``
        (`bayeslaw.spec.formula`). A parameter without one gets ``(1 | g)`` for each grouping column
        of the table (`bayeslaw.spec.effects`). ``sigma``, the noise's scale, takes one too.
    noise : "student_t", "normal" or "laplace" (`bayeslaw.spec.noise`), on the response's scale.
        None: Student-t, but normal with a discrepancy along curves, whose exact likelihood needs
        it.
    discrepancy : how the law may be wrong: "none" (runs scatter independently around it), "curve",
        "grid", or a table of options (`bayeslaw.spec.discrepancy.Discrepancy`). None: the law's own
        default, which is also what the name of its kind stands for.
    curve_by : columns that make one curve for the discrepancy. None: the column ``run`` if the
        table has it, else all its grouping columns, and the inputs that a curve does not run along.
    priors : name of a variable of the model -> `Prior`, its JSON form, or a number that pins it.
        The names are those of ``fit.summary()``: "alpha", "A_at_centre", "sigma",
        "alpha_1|method_sigma" for the scale of a group effect, "beta_log10(size)" for a trend.

    Attributes
    ----------
    The parameters, each as a value: the law, the noise, the discrepancy and the priors that they
    stand for; ``effects`` as text, and the same formulas parsed, as ``formulas``.

    Raises
    ------
    SpecError, FormulaError, UnknownNameError : there is no such model.

    Examples
    --------
    >>> ModelSpec("chinchilla", effects={"E": "1 + (1 | dataset)"}, priors={"alpha": 0.34}).noise
    'student_t'
    """

    law: Law
    effects: Mapping[str, str]
    noise: Noise
    discrepancy: Discrepancy
    curve_by: tuple[str, ...] | None
    priors: Mapping[str, Prior]
    formulas: Mapping[str, Formula] = field(init=False, repr=False, compare=False)

    def __init__(
        self,
        law: str | Law | Mapping[str, Any],
        effects: Mapping[str, str] | Mapping[str, Formula] | None = None,
        noise: Noise | None = None,
        discrepancy: str | Mapping[str, Any] | Discrepancy | None = None,
        curve_by: Sequence[str] | None = None,
        priors: Mapping[str, Prior | Mapping[str, Any] | float] | None = None,
    ):
        law = find_law(law)
        default = Discrepancy.of(law.discrepancy)
        if discrepancy is None or discrepancy == default.kind:
            discrepancy = default
        discrepancy = Discrepancy.of(discrepancy)
        if noise is None:
            noise = "normal" if discrepancy.along_curves else "student_t"
        values = {
            "law": law,
            "noise": noise,
            "discrepancy": discrepancy,
            "curve_by": curve_by
            if curve_by is None or isinstance(curve_by, str)
            else tuple(curve_by),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._check_noise()
        self._check_curves()
        self._check_effects(effects or {})
        formulas = {name: Formula.of(value) for name, value in (effects or {}).items()}
        object.__setattr__(self, "formulas", formulas)
        object.__setattr__(self, "effects", {name: str(x) for name, x in formulas.items()})
        object.__setattr__(
            self, "priors", {x: Prior.of(prior) for x, prior in (priors or {}).items()}
        )

    def _check_noise(self) -> None:
        if self.noise not in get_args(Noise):
            known = ", ".join(get_args(Noise))
            raise SpecError(f"noise is {self.noise!r}, and it must be one of {known}.", key="noise")
        if self.discrepancy.along_curves and self.noise != "normal":
            raise SpecError(
                "A discrepancy along curves needs noise 'normal', for its exact likelihood; noise is"
                f" {self.noise!r}. Leave noise out, or set discrepancy to 'none'.",
                key="noise",
            )

    def _check_curves(self) -> None:
        discrepancy, inputs = self.discrepancy, self.law.inputs
        if self.curve_by is not None and not discrepancy.along_curves:
            raise SpecError(
                "curve_by says what one curve is for the discrepancy, and discrepancy is"
                f" {discrepancy.kind!r}. Leave it out.",
                key="curve_by",
            )
        if isinstance(self.curve_by, str):
            raise SpecError(
                f"curve_by is {self.curve_by!r}, and it must be a list of columns:"
                f" [{self.curve_by!r}].",
                key="curve_by",
            )
        if discrepancy.along_curves and discrepancy.along not in (None, *inputs):
            raise SpecError(
                f"discrepancy runs along {discrepancy.along!r}, and it must be an input of"
                f" {self.law.name}: {', '.join(inputs)}.",
                key=("discrepancy", "along"),
            )

    def _check_effects(self, effects: Mapping[str, Any]) -> None:
        if unknown := [name for name in effects if name not in self.params]:
            known = list(self.params)
            raise SpecError(
                f"effects has {', '.join(unknown)}, which {self.law.name} does not"
                f" have.{suggest(unknown[0], known)} It has: {', '.join(known)}.",
                key=("effects", unknown[0]),
            )

    @cached_property
    def params(self) -> Mapping[str, Param]:
        """The parameters of the law, of the noise and of the discrepancy."""
        scale = self.law.response.scale
        inputs = list(self.discrepancy_inputs(dict.fromkeys(self.law.inputs, 1.0)))
        of_discrepancy = discrepancy_params(self.discrepancy, scale, inputs, self.axis)
        return {**self.law.params, **noise_params(self.noise, scale), **of_discrepancy}

    @property
    def along(self) -> str:
        """The input along which a curve runs."""
        return self.discrepancy.along or list(self.law.inputs)[-1]

    @property
    def axis(self) -> Axis:
        """How a discrepancy measures distance: along curves as the law has it, over a grid in
        decades."""
        return self.law.axis if self.discrepancy.along_curves else DECADES

    def discrepancy_inputs(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """What the discrepancy that runs have in common runs along: inputs, or what is made of
        them, by name."""
        if self.discrepancy.kind == "grid":
            return self.law.discrepancy_inputs(inputs)
        return {self.along: inputs[self.along]} if self.discrepancy.has_shared else {}

    def discrepancy_sigma(self, name: str) -> str:
        """The parameter that is the scale of the discrepancy along ``name``."""
        return "shared_sigma" if self.discrepancy.along_curves else f"{name}_stray_sigma"

    def replaced(self, **changes: Any) -> Self:
        """The spec with other values in place of some, its formulas as they were parsed."""
        return replace(self, **{"effects": self.formulas, **changes})

    def to_json(self) -> dict[str, Any]:
        """The spec as plain data; `from_json` reads it back."""
        return {
            "law": self.law.to_json(),
            "effects": dict(self.effects),
            "noise": self.noise,
            "discrepancy": self.discrepancy.to_json(),
            "curve_by": None if self.curve_by is None else list(self.curve_by),
            "priors": {name: prior.to_json() for name, prior in self.priors.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The spec that `to_json` made plain data of.

        Raises
        ------
        SpecError : the data have keys that a spec does not have.
        """
        known = [x.name for x in fields(cls) if x.init]
        if unknown := sorted(set(data) - set(known)):
            raise SpecError(f"A spec has no {', '.join(unknown)}.{suggest(unknown[0], known)}")
        return cls(**data)


def population_name(name: str, param: Param) -> str:
    """The variable that is a parameter's population value: ``A_at_centre`` where it is sampled at
    the table's centre."""
    return f"{name}_at_centre" if param.at_centre else name
