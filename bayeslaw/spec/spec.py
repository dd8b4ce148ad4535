"""What to fit: a law, the effects on its parameters, its priors and its noise, as one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Self, get_args

import numpy as np

from bayeslaw.errors import SpecError, listed, suggest
from bayeslaw.laws.base import DECADES, Axis, Law, Param
from bayeslaw.laws.registry import law as find_law
from bayeslaw.learnt.misfit import Misfit
from bayeslaw.learnt.record import record_of
from bayeslaw.priors import Prior
from bayeslaw.runs.arguments import as_columns
from bayeslaw.spec.discrepancy import Discrepancy, discrepancy_params
from bayeslaw.spec.formula import Formula
from bayeslaw.spec.noise import Noise, noise_params
from bayeslaw.text import shown


@dataclass(frozen=True, init=False)
class ModelSpec:
    """What to fit.

    Parameters
    ----------
    law : a law, the name of one, or a mapping with a name and options.
    effects : for each parameter, a formula, such as ``{"alpha": "1 + (1 | method)"}``
        (`bayeslaw.spec.formula`). A parameter without one gets group terms for the grouping columns
        of the table (`bayeslaw.spec.effects`). ``sigma``, the scale of the noise, may have one too.
    noise : "student_t", "normal" or "laplace" (`bayeslaw.spec.noise`), on the response's scale.
        None: Student-t; but normal with a discrepancy along curves, which takes Student-t noise on
        request, at a price in time.
    discrepancy : how the law may be wrong: "none" (runs scatter independently around it), "curve",
        "grid", or a mapping of options (`bayeslaw.spec.discrepancy.Discrepancy`). None, or the kind
        of the law's default: the law's default, with its options.
    misfit : how wrong the law may be beyond the runs: a `bayeslaw.learnt.misfit.Misfit` or its
        plain data, which widens predictions there; "learnt", what public ladders of runs show
        about this law; or "none". None: "learnt" for a law that has a record (`bayeslaw.learnt`).
    curve_by : columns whose values make one curve. None: the column ``run`` if the table has it,
        else all grouping columns; and the inputs along which a curve does not run.
    priors : for a variable of the model, a `Prior`, its JSON form, or a number that pins it. The
        names are those of ``fit.summary()``: "alpha", "A_at_centre", "sigma",
        "alpha_1|method_sigma" for the scale of a group effect, "beta_log10(size)" for a trend.

    Attributes
    ----------
    law, noise, discrepancy, misfit, curve_by, priors : the parameters, as the values they stand
        for; of no misfit, None.
    effects : the formulas as text.
    formulas : the same formulas, parsed.

    Raises
    ------
    SpecError, FormulaError, UnknownNameError : there is no such model.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> spec = bl.ModelSpec("chinchilla", effects={"E": "1 + (1 | dataset)"})
    >>> spec.noise
    'student_t'
    >>> bl.ModelSpec("chinchilla", priors={"alpha": 0.34}).priors["alpha"]
    Prior(distribution='Constant', parameters=(('value', 0.34),), relative=False)
    """

    law: Law
    effects: Mapping[str, str]
    noise: Noise
    discrepancy: Discrepancy
    curve_by: tuple[str, ...] | None
    priors: Mapping[str, Prior]
    misfit: Misfit | None
    formulas: Mapping[str, Formula] = field(init=False, repr=False, compare=False)

    def __init__(
        self,
        law: str | Law | Mapping[str, Any],
        effects: Mapping[str, str] | Mapping[str, Formula] | None = None,
        noise: Noise | None = None,
        discrepancy: str | Mapping[str, Any] | Discrepancy | None = None,
        curve_by: Sequence[str] | None = None,
        priors: Mapping[str, Prior | Mapping[str, Any] | float] | None = None,
        misfit: Misfit | Mapping[str, Any] | str | None = None,
    ):
        law = find_law(law)
        _require_mappings(effects=effects, priors=priors)
        default = Discrepancy.of(law.discrepancy)
        if discrepancy is None or discrepancy == default.kind:
            discrepancy = default
        discrepancy = Discrepancy.of(discrepancy)
        if noise is None:
            noise = "normal" if discrepancy.along_curves else "student_t"
        if curve_by is not None:
            curve_by = as_columns(curve_by, "curve_by")
        self._set(law=law, noise=noise, discrepancy=discrepancy, curve_by=curve_by)
        self._set(misfit=_misfit_of(law, misfit))
        self._check_noise()
        self._check_curves()
        self._check_effects(effects or {})
        formulas = {name: Formula.of(value) for name, value in (effects or {}).items()}
        self._set(
            formulas=formulas,
            effects={name: str(formula) for name, formula in formulas.items()},
            priors={name: Prior.of(prior) for name, prior in (priors or {}).items()},
        )

    def _set(self, **values: Any) -> None:
        """Set attributes of the frozen instance; for the constructor alone."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _check_noise(self) -> None:
        if self.noise not in get_args(Noise):
            known = ", ".join(get_args(Noise))
            raise SpecError(f"noise is {self.noise!r}, and it must be one of {known}.", key="noise")
        if self.discrepancy.along_curves and self.noise == "laplace":
            raise SpecError(
                "A discrepancy along curves needs noise 'normal' or 'student_t', and noise is"
                f" {self.noise!r}. Leave noise out, or set discrepancy to 'none'.",
                key="noise",
            )

    def _check_curves(self) -> None:
        discrepancy, inputs = self.discrepancy, self.law.inputs
        if self.curve_by is not None and not discrepancy.along_curves:
            raise SpecError(
                "curve_by says what one curve is for a discrepancy along curves, and discrepancy is"
                f" {discrepancy.kind!r}. Leave curve_by out.",
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
                f"effects has {listed(unknown)}, which {self.law.name} does not"
                f" have.{suggest(unknown[0], known)} It has: {listed(known)}.",
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
        """The input along which curves run."""
        return self.discrepancy.along or list(self.law.inputs)[-1]

    @property
    def axis(self) -> Axis:
        """The axis along which a discrepancy measures distance.

        It is the law's own axis along curves, and decades over a grid. Rows with none of the input
        lie where the curves start.
        """
        if not self.discrepancy.along_curves:
            return DECADES
        axis, unit, start = self.law.axis, self.discrepancy.unit, self.discrepancy.start
        if unit not in (None, 1.0):
            axis = axis.in_units_of(unit)
        if start is None:
            return axis
        none, forward = self.law.inputs[self.along].none, axis.forward
        if none is not None:
            axis = replace(axis, forward=lambda x: np.where(x == none, start, forward(x)))
        return replace(axis, origin=start)

    def discrepancy_inputs(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The quantities along which the shared discrepancy runs, by name.

        They are inputs, or are computed from inputs. Empty without a shared discrepancy.
        """
        if self.discrepancy.kind == "grid":
            return self.law.discrepancy_inputs(inputs)
        return {self.along: inputs[self.along]} if self.discrepancy.has_shared else {}

    def discrepancy_sigma(self, name: str) -> str:
        """The name of the parameter that is the scale of the shared discrepancy along ``name``."""
        return "shared_sigma" if self.discrepancy.along_curves else f"{name}_stray_sigma"

    def replaced(self, **changes: Any) -> Self:
        """The spec with some values replaced. Formulas are kept as they were parsed."""
        unchanged = {"effects": self.formulas, "misfit": self.misfit or "none"}
        return replace(self, **{**unchanged, **changes})

    def to_json(self) -> dict[str, Any]:
        """The spec as plain data; `from_json` reads it back."""
        return {
            "law": self.law.to_json(),
            "effects": dict(self.effects),
            "noise": self.noise,
            "discrepancy": self.discrepancy.to_json(),
            "curve_by": None if self.curve_by is None else list(self.curve_by),
            "priors": {name: prior.to_json() for name, prior in self.priors.items()},
            "misfit": "none" if self.misfit is None else self.misfit.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The spec from the plain data of `to_json`. Data of an earlier version have no misfit.

        Raises
        ------
        SpecError : the data have keys that a spec does not have.
        """
        known = [x.name for x in fields(cls) if x.init]
        if unknown := sorted(map(str, set(data) - set(known))):
            raise SpecError(f"A spec has no {listed(unknown)}.{suggest(unknown[0], known)}")
        return cls(**{"misfit": "none", **data})


def _misfit_of(law: Law, misfit: Misfit | Mapping[str, Any] | str | None) -> Misfit | None:
    """The misfit that was asked for, or the law's default."""
    record = record_of(law.name)
    if misfit is None:
        misfit = "learnt" if record else "none"
    if misfit == "none":
        return None
    if not {"model_size", "data_size"} <= set(law.inputs):
        raise SpecError(
            f"misfit is {shown(misfit)}, and {law.name} has no model_size and data_size, along"
            " which a misfit grows. Set misfit to 'none'.",
            key="misfit",
        )
    if misfit == "learnt":
        if record is None:
            raise SpecError(
                f"misfit is 'learnt', and nothing was learnt about {law.name}. Set misfit to"
                " 'none', or give its scales.",
                key="misfit",
            )
        return record.misfit
    return Misfit.of(misfit)  # type: ignore[arg-type]


def _require_mappings(**arguments: object) -> None:
    """Raise SpecError for an argument that is neither a dictionary nor None."""
    for name, value in arguments.items():
        if value is not None and not isinstance(value, Mapping):
            raise SpecError(
                f"{name} is {shown(value)}, and it must be a dictionary by parameters.", key=name
            )


def population_name(name: str, param: Param) -> str:
    """The variable that holds a parameter's population value.

    A parameter sampled at the table's centre has ``A_at_centre``, any other ``A``.
    """
    return f"{name}_at_centre" if param.at_centre else name
