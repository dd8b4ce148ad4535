"""What to fit: a law, the effects on its parameters, priors, noise. A value, with a JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, get_args

import numpy as np
import pandas as pd

from bayeslaw.errors import Fault, RunsError, SpecError, suggest
from bayeslaw.laws.base import DECADES, Axis, Law, Param, scale_of_groups
from bayeslaw.laws.registry import law as find_law
from bayeslaw.priors import REAL_LINE, Prior
from bayeslaw.runs.table import Runs
from bayeslaw.spec.discrepancy import SHARED_BY, SHARED_CURVES, Discrepancy, discrepancy_params
from bayeslaw.spec.formula import (
    Covariate,
    Design,
    Formula,
    GroupTerm,
    default_formula,
    factor_columns,
)
from bayeslaw.spec.noise import Noise, noise_params

#: Prior of the change of a parameter, on its unconstrained scale, per unit of a covariate.
COEFFICIENT = Prior("Normal", mu=0.0, sigma=0.5)

#: Prior of the deviation scale of single checkpoints from a law: ``(1 | model_size)`` and the like,
#: on the log of a loss. Few sizes identify it poorly, so it matters: it says that a checkpoint's
#: loss is mostly within some 2 % of the law's, and its tail (5 % above .05) allows a bad
#: pretraining run.
CHECKPOINT_SCALE = scale_of_groups(0.02)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What to fit.

    Parameters
    ----------
    law : a law's name, a law, or a table of name and options.
    effects : parameter -> formula, such as ``{"alpha": "1 + (1 | method)"}`` (`bayeslaw.spec.formula`).
        A parameter without one gets `default_formula`: ``(1 | g)`` for each grouping column of the
        table. ``sigma``, the noise's scale, takes one too.
    noise : "student_t", "normal" or "laplace" (`bayeslaw.spec.noise`), on the response's scale. None:
        Student-t, but normal with a discrepancy along curves, whose exact likelihood needs it.
    discrepancy : how far reality strays from the law: "none" (runs scatter independently around
        it), "curve", "grid", or a table of options (`bayeslaw.spec.discrepancy.Discrepancy`). None: the
        law's own default, which is also meant by the name of its kind.
    curve_by : columns that make one curve for the discrepancy. None: the column ``run`` if the
        table has it, else all its grouping columns, and the inputs that a curve does not run along.
    priors : name of a variable of the model -> `Prior`, its JSON form, or a number that pins it.
        The names are those of ``fit.summary()``: "alpha", "A_at_centre", "sigma",
        "alpha_1|method_sigma" for the scale of a group effect, "beta_log10(size)" for a trend.

    Raises
    ------
    SpecError, FormulaError, UnknownNameError : it cannot be meant.
    """

    law: Law
    effects: Mapping[str, str] = field(default_factory=dict)
    noise: Noise | None = None
    discrepancy: Discrepancy | None = None
    curve_by: tuple[str, ...] | None = None
    priors: Mapping[str, Prior] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "law", find_law(self.law))
        default = Discrepancy.of(self.law.discrepancy)
        object.__setattr__(
            self,
            "discrepancy",
            (
                default
                if self.discrepancy in (None, default.kind)
                else Discrepancy.of(self.discrepancy)
            ),
        )
        curves = self.departs.kind == "curve"
        if self.noise is None:
            object.__setattr__(self, "noise", "normal" if curves else "student_t")
        if self.noise not in get_args(Noise):
            raise SpecError(
                f"noise is {self.noise!r}, and it must be one of {', '.join(get_args(Noise))}."
            )
        if curves and self.noise != "normal":
            raise SpecError(
                "A discrepancy along curves needs noise 'normal', for its exact likelihood; noise"
                f" is {self.noise!r}. Leave noise out, or set discrepancy to 'none'."
            )
        if self.curve_by is not None and not curves:
            raise SpecError(
                "curve_by says what one curve is for the discrepancy, and discrepancy is"
                f" {self.departs.kind!r}. Leave it out."
            )
        if isinstance(self.curve_by, str):
            raise SpecError(
                f"curve_by is {self.curve_by!r}, and it must be a list of columns:"
                f" [{self.curve_by!r}]."
            )
        if curves and self.departs.along not in (None, *self.law.inputs):
            raise SpecError(
                f"discrepancy runs along {self.departs.along!r}, and it must be an input of"
                f" {self.law.name}: {', '.join(self.law.inputs)}."
            )
        if unknown := [name for name in self.effects if name not in self.params]:
            known = list(self.params)
            raise SpecError(
                f"effects has {', '.join(unknown)}, which {self.law.name} does not"
                f" have.{suggest(unknown[0], known)} It has: {', '.join(known)}."
            )
        object.__setattr__(
            self, "effects", {name: str(Formula.parse(text)) for name, text in self.effects.items()}
        )
        object.__setattr__(
            self, "priors", {name: Prior.of(prior) for name, prior in self.priors.items()}
        )
        object.__setattr__(
            self, "curve_by", None if self.curve_by is None else tuple(self.curve_by)
        )

    @property
    def departs(self) -> Discrepancy:
        """The discrepancy, never None."""
        assert self.discrepancy is not None
        return self.discrepancy

    @property
    def params(self) -> dict[str, Param]:
        """The parameters of the law, of the noise and of the discrepancy."""
        scale = self.law.response.scale
        departing = discrepancy_params(
            self.departs,
            scale,
            list(self.strays_along(dict.fromkeys(self.law.inputs, 1.0))),
            self.axis,
        )
        return {**self.law.params, **noise_params(self.noise_family, scale), **departing}

    @property
    def noise_family(self) -> Noise:
        """The noise, never None."""
        assert self.noise is not None
        return self.noise

    @property
    def along(self) -> str:
        """The input along which a curve runs."""
        return self.departs.along or list(self.law.inputs)[-1]

    @property
    def axis(self) -> Axis:
        """How a discrepancy measures distance: along curves as the law has it, over a grid in
        decades.
        """
        return self.law.axis if self.departs.kind == "curve" else DECADES

    def strays_along(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """What runs depart along together, by its name: an input, or something made of them."""
        match self.departs.kind:
            case "grid":
                return self.law.strays_along(inputs)
            case "curve" if self.departs.has_shared:
                return {self.along: inputs[self.along]}
        return {}

    def stray_sigma(self, name: str) -> str:
        """The parameter that says how far."""
        return "shared_sigma" if self.departs.kind == "curve" else f"{name}_stray_sigma"

    def to_json(self) -> dict[str, Any]:
        """The spec as plain data; `from_json` reads it back."""
        return {
            "law": self.law.to_json(),
            "effects": dict(self.effects),
            "noise": self.noise,
            "discrepancy": self.departs.to_json(),
            "curve_by": None if self.curve_by is None else list(self.curve_by),
            "priors": {name: prior.to_json() for name, prior in self.priors.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelSpec:
        if unknown := sorted(set(data) - {f.name for f in fields(cls)}):
            raise SpecError(
                "A spec has no"
                f" {', '.join(unknown)}.{suggest(unknown[0], [f.name for f in fields(cls)])}"
            )
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Variable:
    """A random variable of the model: its name, its prior, and which parameter it belongs to."""

    name: str
    prior: Prior
    param: str


def population_name(name: str, param: Param) -> str:
    """The variable that is a parameter's population value: ``A_at_centre`` where it is sampled at
    the table's centre.
    """
    return f"{name}_at_centre" if param.at_centre else name


def resolve(spec: ModelSpec, runs: Runs) -> ModelSpec:
    """The spec with nothing left to a default: every formula and every prior written out, and
    checked against the table.

    Raises
    ------
    SpecError : the runs are for another law, a formula names a column that the table does not have
        or that is not a number, a prior is for no variable of the model or puts its mass outside
        the parameter's support.
    """
    if runs.law != spec.law:
        raise SpecError(
            f"The runs were read for the law {runs.law.to_json()}, and the spec is for"
            f" {spec.law.to_json()}. Read them for the spec's law."
        )
    spec = _resolve_curves(spec, runs)
    if spec.strays_along(runs.inputs) and (
        several := [name for name, x in spec.law.inputs.items() if x.within]
    ):
        raise SpecError(
            f"A discrepancy that runs have in common needs inputs with one unit, and {several[0]}"
            f" has one for each {spec.law.inputs[several[0]].within}. Set discrepancy to 'none'."
        )
    formulas = {
        name: (
            Formula.parse(spec.effects[name])
            if name in spec.effects
            else _default_formula(name, param, spec, runs)
        )
        for name, param in spec.params.items()
    }
    for name, formula in formulas.items():
        _check_columns(name, formula, runs)
    known = {variable.name: variable for variable in variables(spec, formulas)}
    if unknown := [name for name in spec.priors if name not in known]:
        param = spec.params.get(unknown[0])
        hint = (
            f" {unknown[0]} is sampled as {population_name(unknown[0], param)}: {param.at_centre}."
            if param
            else suggest(unknown[0], known)
        )
        raise SpecError(
            f"priors has {', '.join(unknown)}, and the model has no such variable.{hint} It has:"
            f" {', '.join(known)}."
        )
    priors = {name: spec.priors.get(name, variable.prior) for name, variable in known.items()}
    for name, prior in priors.items():
        _check_support(
            name,
            prior,
            "positive" if name.endswith("_sigma") else spec.params[known[name].param].support,
            known[name],
        )
    return replace(
        spec, effects={name: str(formula) for name, formula in formulas.items()}, priors=priors
    )


#: What differs by curve unless the user says otherwise: some curves are noisier than others, some
#: smoother.
BY_CURVE = ("sigma", "delta_sigma")


def _resolve_curves(spec: ModelSpec, runs: Runs) -> ModelSpec:
    """The spec with its curves and what they share written out."""
    if spec.departs.kind != "curve":
        return spec
    groups = ("run",) if "run" in runs.groups else runs.groups
    by = spec.curve_by
    if by is None:
        by = (*groups, *(name for name in spec.law.inputs if name != spec.along))
    elif missing := [name for name in by if name not in runs.table.columns]:
        raise SpecError(
            f"curve_by has {', '.join(missing)}, which the runs do not"
            f" have.{suggest(missing[0], runs.table.columns)}"
        )
    spec = replace(spec, curve_by=by)
    shared = spec.departs.shared
    if shared is not False and spec.law.switches:
        raise SpecError(
            f"{spec.law.name} has two forms in one table, which depart in no common way: set shared"
            " to False."
        )
    if shared is True:
        columns = tuple(name for name in SHARED_BY if name in runs.groups)
        curves = pd.DataFrame(
            {"curve": curve_labels(spec, runs.table), "task": label_by(columns, runs.table)}
        )
        enough = curves.groupby("task")["curve"].nunique().max() >= SHARED_CURVES
        shared = columns if enough else False
    elif missing := [name for name in shared or () if name not in runs.table.columns]:
        raise SpecError(
            f"discrepancy is shared by {', '.join(missing)}, which the runs do not"
            f" have.{suggest(missing[0], runs.table.columns)}"
        )
    return replace(spec, discrepancy=replace(spec.departs, shared=shared, along=spec.along))


def label_by(columns: tuple[str, ...], table: pd.DataFrame) -> np.ndarray:
    """One label a row for the values of some columns; "all" where there are none, "" where one is
    missing.
    """
    return GroupTerm(columns).labels(table) if columns else np.full(len(table), "all", dtype=object)


def curve_labels(resolved: ModelSpec, table: pd.DataFrame) -> np.ndarray:
    """The curve of each row, by the columns of ``curve_by``."""
    return label_by(resolved.curve_by or (), table)


def shared_labels(resolved: ModelSpec, table: pd.DataFrame) -> np.ndarray:
    """What each row departs together with."""
    shared = resolved.departs.shared
    return label_by(() if isinstance(shared, bool) else shared, table)


def _default_formula(name: str, param: Param, spec: ModelSpec, runs: Runs) -> Formula:
    if name in BY_CURVE and spec.departs.kind == "curve" and spec.curve_by:
        term = GroupTerm(spec.curve_by)
        if len(set(term.labels(runs.table)) - {""}) >= SHARED_CURVES:
            return Formula(groups=(term,))
    if spec.departs.kind == "curve" and any(other.is_level for other in spec.law.params.values()):
        # A curve's own process carries what else it differs by; parameters of its own beside it
        # would be told apart by their priors alone, and chains would wander between them.
        return default_formula(runs, varies=param.is_level)
    return default_formula(
        runs, varies=param.varies, shared_over=param.shared_over, deviates_by=param.deviates_by
    )


def variables(spec: ModelSpec, formulas: Mapping[str, Formula]) -> list[Variable]:
    """The random variables that have a prior, with the default one of each."""
    found = []
    for name, param in spec.params.items():
        found.append(Variable(population_name(name, param), param.prior, name))
        found += [
            Variable(f"{name}_{covariate}", COEFFICIENT, name)
            for covariate in formulas[name].covariates
        ]
        for term in formulas[name].groups:
            # A group made by an input is a checkpoint, or another single setting, not a population
            # of tasks or methods; a parameter that is known to deviate so has a scale for it.
            checkpoint = (
                name in spec.law.params
                and term.factor != param.deviates_by
                and any(column in spec.law.inputs for column in term.factor)
            )
            found.append(
                Variable(
                    f"{name}_{term}_sigma",
                    CHECKPOINT_SCALE if checkpoint else param.group_scale,
                    name,
                )
            )
    return found


def designs(resolved: ModelSpec, table: pd.DataFrame) -> dict[str, Design]:
    """Each parameter's formula met with the table of runs."""
    return {name: Design.of(Formula.parse(text), table) for name, text in resolved.effects.items()}


def group_columns(resolved: ModelSpec) -> tuple[str, ...]:
    """The columns that make groups in the model."""
    return factor_columns([Formula.parse(text) for text in resolved.effects.values()])


def columns_of(resolved: ModelSpec) -> tuple[str, ...]:
    """Every column beside the inputs that the model reads: groups, covariates, and what makes
    curves.
    """
    shared = resolved.departs.shared
    curves = (
        (*(resolved.curve_by or ()), *(() if isinstance(shared, bool) else shared))
        if resolved.departs.kind == "curve"
        else ()
    )
    columns = [
        *group_columns(resolved),
        *covariate_columns(resolved),
        *curves,
        *resolved.law.choosers,
    ]
    return tuple(dict.fromkeys(name for name in columns if name not in resolved.law.inputs))


def law_group_columns(resolved: ModelSpec) -> tuple[str, ...]:
    """The columns in which groups differ in the law itself, inputs left out: what a quantity of the
    law has groups of.
    """
    columns = factor_columns(
        [
            Formula.parse(text)
            for name, text in resolved.effects.items()
            if name in resolved.law.params
        ]
    )
    within = (spec.within for spec in resolved.law.inputs.values() if spec.within)
    return tuple(
        dict.fromkeys(name for name in (*columns, *within) if name not in resolved.law.inputs)
    )


def covariate_columns(resolved: ModelSpec) -> tuple[str, ...]:
    """The columns that are covariates in the model."""
    formulas = [Formula.parse(text) for text in resolved.effects.values()]
    return tuple(
        dict.fromkeys(
            c for formula in formulas for c in formula.columns if c not in formula.factor_columns
        )
    )


def all_covariates(resolved: ModelSpec) -> tuple[str, ...]:
    """The columns whose numbers the model reads, whether or not they make groups too."""
    formulas = [Formula.parse(text) for text in resolved.effects.values()]
    covariates = [
        c
        for formula in formulas
        for c in (*formula.covariates, *(term.covariate for term in formula.groups))
        if c is not None
    ]
    return tuple(dict.fromkeys(c.column for c in covariates))


def _check_columns(name: str, formula: Formula, runs: Runs) -> None:
    if missing := [column for column in formula.columns if column not in runs.table.columns]:
        raise SpecError(
            f"The formula of {name}, {formula}, needs {', '.join(missing)}, which the runs do not"
            f" have.{suggest(missing[0], runs.table.columns)} They have:"
            f" {', '.join(map(str, runs.table.columns))}."
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
    covariates: list[Covariate] = [
        *formula.covariates,
        *(term.covariate for term in formula.groups if term.covariate),
    ]
    for covariate in covariates:
        column = runs.table[covariate.column]
        bad = column[~np.isfinite(covariate.values(runs.table))]
        if len(bad):
            remedy = (
                "A covariate must be a finite number in every row; write (1 | column) for groups."
            )
            raise RunsError(
                runs.source,
                [
                    Fault(
                        f"{value!r} cannot serve as {covariate} in the formula of {name}",
                        remedy,
                        covariate.column,
                        str(row),
                        value,
                    )
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
            f"The prior of {name} is {prior}, and {name} must be"
            f" {'positive' if support == 'positive' else 'between 0 and 1'}. Use"
            f" {'LogNormal, HalfNormal or Gamma' if support == 'positive' else 'Beta'}."
        )
