"""What to fit: a law, the effects on its parameters, priors, noise. A value, with a JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, get_args

import numpy as np
import pandas as pd

from bayeslaw.effects import Covariate, Design, Formula, default_formula, factor_columns
from bayeslaw.errors import Fault, RunsError, SpecError, suggest
from bayeslaw.laws.base import Law, Param, scale_of_groups
from bayeslaw.laws.registry import law as find_law
from bayeslaw.noise import Noise, noise_params
from bayeslaw.priors import REAL_LINE, Prior
from bayeslaw.runs import Runs

#: Prior of the change of a parameter, on its unconstrained scale, per unit of a covariate.
COEFFICIENT = Prior("Normal", mu=0.0, sigma=0.5)

#: Prior of the deviation scale of single checkpoints from a law: ``(1 | model_size)`` and the like, on the log of a loss.
#: Few sizes identify it poorly, so it matters: it says that a checkpoint's loss is mostly within some 2 % of the law's,
#: and its tail (5 % above .05) allows a bad pretraining run.
CHECKPOINT_SCALE = scale_of_groups(0.02)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What to fit.

    Parameters
    ----------
    law : a law's name, a law, or a table of name and options.
    effects : parameter -> formula, such as ``{"alpha": "1 + (1 | method)"}`` (`bayeslaw.effects`). A parameter without one
        gets `default_formula`: ``(1 | g)`` for each grouping column of the table. ``sigma``, the noise's scale, takes one too.
    noise : "student_t" or "normal", on the response's scale.
    discrepancy : "none": runs scatter independently around the law.
    curve_by : columns that make one curve for the discrepancy; None while that is "none".
    priors : name of a variable of the model -> `Prior`, its JSON form, or a number that pins it. The names are those of
        ``fit.summary()``: "alpha", "A_at_centre", "sigma", "alpha_1|method_sigma" for the scale of a group effect,
        "beta_log10(size)" for a trend.

    Raises
    ------
    SpecError, FormulaError, UnknownNameError : it cannot be meant.
    """

    law: Law
    effects: Mapping[str, str] = field(default_factory=dict)
    noise: Noise = "student_t"
    discrepancy: str = "none"
    curve_by: tuple[str, ...] | None = None
    priors: Mapping[str, Prior] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "law", find_law(self.law))
        if self.noise not in get_args(Noise):
            raise SpecError(f"noise is {self.noise!r}, and it must be one of {', '.join(get_args(Noise))}.")
        if self.discrepancy != "none":
            raise SpecError(f"discrepancy is {self.discrepancy!r}, and it must be 'none'.")
        if self.curve_by is not None:
            raise SpecError("curve_by says what one curve is for the discrepancy, and discrepancy is 'none'. Leave it out.")
        if unknown := [name for name in self.effects if name not in self.params]:
            known = list(self.params)
            raise SpecError(
                f"effects has {', '.join(unknown)}, which {self.law.name} does not have.{suggest(unknown[0], known)} It has: {', '.join(known)}."
            )
        object.__setattr__(self, "effects", {name: str(Formula.parse(text)) for name, text in self.effects.items()})
        object.__setattr__(self, "priors", {name: Prior.of(prior) for name, prior in self.priors.items()})
        object.__setattr__(self, "curve_by", None if self.curve_by is None else tuple(self.curve_by))

    @property
    def params(self) -> dict[str, Param]:
        """The law's parameters and the noise's."""
        return {**self.law.params, **noise_params(self.noise, self.law.response.scale)}

    def to_json(self) -> dict[str, Any]:
        """The spec as plain data; `from_json` reads it back."""
        return {
            "law": self.law.to_json(),
            "effects": dict(self.effects),
            "noise": self.noise,
            "discrepancy": self.discrepancy,
            "curve_by": None if self.curve_by is None else list(self.curve_by),
            "priors": {name: prior.to_json() for name, prior in self.priors.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelSpec:
        if unknown := sorted(set(data) - {f.name for f in fields(cls)}):
            raise SpecError(f"A spec has no {', '.join(unknown)}.{suggest(unknown[0], [f.name for f in fields(cls)])}")
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Variable:
    """A random variable of the model: its name, its prior, and which parameter it belongs to."""

    name: str
    prior: Prior
    param: str


def population_name(name: str, param: Param) -> str:
    """The variable that is a parameter's population value: ``A_at_centre`` where it is sampled at the table's centre."""
    return f"{name}_at_centre" if param.at_centre else name


def resolve(spec: ModelSpec, runs: Runs) -> ModelSpec:
    """The spec with nothing left to a default: every formula and every prior written out, and checked against the table.

    Raises
    ------
    SpecError : the runs are for another law, a formula names a column that the table does not have or that is not a
        number, a prior is for no variable of the model or puts its mass outside the parameter's support.
    """
    if runs.law != spec.law:
        raise SpecError(
            f"The runs were read for the law {runs.law.to_json()}, and the spec is for {spec.law.to_json()}. Read them for the spec's law."
        )
    formulas = {
        name: Formula.parse(spec.effects[name]) if name in spec.effects else default_formula(runs, varies=param.varies)
        for name, param in spec.params.items()
    }
    for name, formula in formulas.items():
        _check_columns(name, formula, runs)
    known = {variable.name: variable for variable in variables(spec, formulas)}
    if unknown := [name for name in spec.priors if name not in known]:
        param = spec.params.get(unknown[0])
        hint = (
            f" {unknown[0]} is sampled as {population_name(unknown[0], param)}: {param.at_centre}." if param else suggest(unknown[0], known)
        )
        raise SpecError(f"priors has {', '.join(unknown)}, and the model has no such variable.{hint} It has: {', '.join(known)}.")
    priors = {name: spec.priors.get(name, variable.prior) for name, variable in known.items()}
    for name, prior in priors.items():
        _check_support(name, prior, "positive" if name.endswith("_sigma") else spec.params[known[name].param].support, known[name])
    return replace(spec, effects={name: str(formula) for name, formula in formulas.items()}, priors=priors)


def variables(spec: ModelSpec, formulas: Mapping[str, Formula]) -> list[Variable]:
    """The random variables that have a prior, with the default one of each."""
    found = []
    for name, param in spec.params.items():
        found.append(Variable(population_name(name, param), param.prior, name))
        found += [Variable(f"{name}_{covariate}", COEFFICIENT, name) for covariate in formulas[name].covariates]
        for term in formulas[name].groups:
            # A group made by an input is a checkpoint, or another single setting, not a population of tasks or methods.
            checkpoint = any(column in spec.law.inputs for column in term.factor)
            found.append(Variable(f"{name}_{term}_sigma", CHECKPOINT_SCALE if checkpoint else param.group_scale, name))
    return found


def designs(resolved: ModelSpec, table: pd.DataFrame) -> dict[str, Design]:
    """Each parameter's formula met with the table of runs."""
    return {name: Design.of(Formula.parse(text), table) for name, text in resolved.effects.items()}


def group_columns(resolved: ModelSpec) -> tuple[str, ...]:
    """The columns that make groups in the model."""
    return factor_columns([Formula.parse(text) for text in resolved.effects.values()])


def covariate_columns(resolved: ModelSpec) -> tuple[str, ...]:
    """The columns that are covariates in the model."""
    formulas = [Formula.parse(text) for text in resolved.effects.values()]
    return tuple(dict.fromkeys(c for formula in formulas for c in formula.columns if c not in formula.factor_columns))


def _check_columns(name: str, formula: Formula, runs: Runs) -> None:
    if missing := [column for column in formula.columns if column not in runs.table.columns]:
        raise SpecError(
            f"The formula of {name}, {formula}, needs {', '.join(missing)}, which the runs do not have.{suggest(missing[0], runs.table.columns)} "
            f"They have: {', '.join(map(str, runs.table.columns))}."
        )
    for group in formula.factor_columns:
        if (missing_rows := runs.table.index[runs.table[group].isna()]).size:
            raise RunsError(
                runs.source,
                [
                    Fault(
                        f"the group is missing; the formula of {name} is {formula}",
                        "Name the group, or leave the row out.",
                        group,
                        str(row),
                    )
                    for row in missing_rows
                ],
            )
    covariates: list[Covariate] = [*formula.covariates, *(term.covariate for term in formula.groups if term.covariate)]
    for covariate in covariates:
        column = runs.table[covariate.column]
        bad = column[~np.isfinite(covariate.values(runs.table))]
        if len(bad):
            remedy = "A covariate must be a finite number in every row; write (1 | column) for groups."
            raise RunsError(
                runs.source,
                [
                    Fault(f"{value!r} cannot serve as {covariate} in the formula of {name}", remedy, covariate.column, str(row), value)
                    for row, value in bad.items()
                ],
            )


def _check_support(name: str, prior: Prior, support: str, variable: Variable) -> None:
    parameters = dict(prior.parameters)
    trend = name.startswith(f"{variable.param}_") and not name.endswith(("_sigma", "_at_centre"))
    if trend or support == "real":
        return
    outside = (
        prior.distribution in REAL_LINE
        or (prior.distribution == "Uniform" and parameters["lower"] < 0)
        or (prior.distribution == "Constant" and not parameters["value"] > 0)
        or (support == "unit" and prior.distribution not in ("Beta", "Uniform", "Constant"))
        or (support == "unit" and max(parameters.get("upper", 0), parameters.get("value", 0)) > 1)
        or (support == "unit" and parameters.get("value") == 1)
    )
    if outside:
        raise SpecError(
            f"The prior of {name} is {prior}, and {name} must be {'positive' if support == 'positive' else 'between 0 and 1'}. Use {'LogNormal, HalfNormal or Gamma' if support == 'positive' else 'Beta'}."
        )
