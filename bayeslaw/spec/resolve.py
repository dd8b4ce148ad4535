"""Resolve a spec for a table of runs: write out its defaults, and check all of it."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
import pandas as pd

from bayeslaw.errors import RunsError, SpecError, listed, suggest
from bayeslaw.laws.base import Param, scale_of_groups
from bayeslaw.priors import REAL_LINE, Prior
from bayeslaw.runs.faults import faults_of_values
from bayeslaw.runs.table import Runs
from bayeslaw.spec.design import Design, joined_labels
from bayeslaw.spec.discrepancy import SHARED_BY, SHARED_CURVES
from bayeslaw.spec.effects import default_formula
from bayeslaw.spec.formula import Covariate, Formula, GroupTerm
from bayeslaw.spec.spec import ModelSpec, population_name
from bayeslaw.text import labels

#: Prior of the change of a parameter, on its unconstrained scale, per unit of a logarithm, such
#: as a decade, and per standard deviation of any other covariate (`_per_unit`).
COEFFICIENT = Prior("Normal", mu=0.0, sigma=0.5)

#: Prior of the scale by which single checkpoints deviate from a law, as in ``(1 | model_size)``, on
#: the log of a loss. A few sizes hardly identify that scale, so the prior matters: a checkpoint's
#: loss is mostly within 2 % of the law's, and the tail (5 % above .05) allows for a bad pretraining
#: run.
CHECKPOINT_SCALE = scale_of_groups(0.02)

#: A name that a formula can have.
PLAIN_NAME = r"[^\W\d]\w*"
#: Names of dimensions and variables that models and tables have whatever is fitted.
TAKEN = (
    "chain",
    "draw",
    "row",
    "response",
    "y",
    "seen",
    "typical_response",
    "centring",
    "deviation",
    "in_common",
    "baseline_error",
)

#: Parameters that differ by curve by default: some curves are noisier than others, some smoother.
BY_CURVE = ("sigma", "delta_sigma")


@dataclass(frozen=True, slots=True)
class Variable:
    """A random variable of the model that has a prior.

    Attributes
    ----------
    name : its name in the model.
    prior : its default prior.
    param : the parameter that it belongs to.
    role : "population", "coefficient" (of a covariate) or "scale" (of a group effect).
    """

    name: str
    prior: Prior
    param: str
    role: str


def resolve(spec: ModelSpec, runs: Runs) -> Design:
    """The design of a spec for a table of runs: every formula and prior written out and checked.

    Raises
    ------
    SpecError : the runs were read for another law; a formula names a column that the table does not
        have; a prior is for a variable that the model does not have, or puts mass outside the
        parameter's support.
    RunsError : a grouping column of a formula has gaps, or a covariate is not a finite number.
    """
    if runs.law != spec.law:
        raise SpecError(
            f"The runs were read for the law {runs.law.to_json()}, and the spec is for"
            f" {spec.law.to_json()}. Read them for the spec's law.",
            key="law",
        )
    spec = _with_curves(spec, runs)
    _check_shared_inputs(spec, runs)
    formulas = {
        name: spec.formulas[name] if name in spec.formulas else _formula(name, param, spec, runs)
        for name, param in spec.params.items()
    }
    _check_column_names(spec, formulas)
    for name, formula in formulas.items():
        _check_columns(name, formula, runs)
    priors = _priors(spec, variables(spec, formulas, runs))
    return Design.of(spec.replaced(effects=formulas, priors=priors), runs)


def variables(spec: ModelSpec, formulas: Mapping[str, Formula], runs: Runs) -> list[Variable]:
    """The random variables that have a prior, with the default one of each."""
    random = []
    for name, param in spec.params.items():
        random.append(Variable(population_name(name, param), param.prior, name, "population"))
        for covariate in formulas[name].covariates:
            prior = _per_unit(COEFFICIENT, covariate, runs)
            random.append(Variable(f"{name}_{covariate}", prior, name, "coefficient"))
        for term in formulas[name].groups:
            # A group made by an input is a single setting, such as a checkpoint, and not one of a
            # population of tasks or methods. A parameter that deviates by such settings by default
            # has a scale of its own for them.
            checkpoint = (
                name in spec.law.params
                and term.factor != param.deviates_by
                and any(column in spec.law.inputs for column in term.factor)
            )
            prior = CHECKPOINT_SCALE if checkpoint else param.group_scale
            if term.covariate is not None:
                prior = _per_unit(prior, term.covariate, runs)
            random.append(Variable(f"{name}_{term}_sigma", prior, name, "scale"))
    return random


def _per_unit(prior: Prior, covariate: Covariate, runs: Runs) -> Prior:
    """The default prior of the effect of a covariate, per unit of it.

    A unit of a logarithm is the same in every table. Any other covariate is as large as its unit is
    small, be it steps or shares, and so ``prior`` is per standard deviation of it over the runs.
    """
    if any(transform.startswith("log") for transform in covariate.transforms):
        return prior
    values = covariate.values(runs.table)
    largest = abs(values).max()
    spread = float((values / largest).std() * largest) if largest > 0 else 0.0
    # Rounding alone gives equal values a standard deviation.
    if not spread > 1e-12 * largest:
        return prior
    parameters = dict(prior.parameters)
    if prior.distribution == "LogNormal":
        parameters["mu"] -= float(np.log(spread))
    else:
        parameters["sigma"] /= spread
    return Prior(prior.distribution, relative=prior.relative, **parameters)


def _with_curves(spec: ModelSpec, runs: Runs) -> ModelSpec:
    """The spec with its curves and their shared discrepancy written out."""
    if not spec.discrepancy.along_curves:
        return spec
    groups = ("run",) if "run" in runs.groups else runs.groups
    by = spec.curve_by
    if by is None:
        by = (*groups, *(name for name in spec.law.inputs if name != spec.along))
    elif missing := [name for name in by if name not in runs.table.columns]:
        raise SpecError(
            f"curve_by has {', '.join(missing)}, which the runs do not"
            f" have.{suggest(missing[0], runs.table.columns)}",
            key="curve_by",
        )
    for name in by:
        _refuse_gaps(runs, name, f"a curve is named by {', '.join(by)}", ("curve_by",))
    shared = _shared(spec, by, runs)
    unit = spec.discrepancy.unit or spec.law.axis_unit(runs.centre)
    discrepancy = replace(spec.discrepancy, shared=shared, along=spec.along, unit=unit)
    spec = spec.replaced(curve_by=by, discrepancy=discrepancy)
    x = runs.inputs[spec.along]
    present = spec.law.inputs[spec.along].present(x)
    begins = discrepancy.begins_at_zero or len(present) < len(x)
    if not begins or not len(present) or spec.axis.origin is not None:
        return spec
    start = float(spec.axis.forward(present).min())
    return spec.replaced(discrepancy=replace(discrepancy, start=start))


def _shared(spec: ModelSpec, curve_by: tuple[str, ...], runs: Runs) -> bool | tuple[str, ...]:
    """The columns whose values make curves share a discrepancy; False with too few curves."""
    shared = spec.discrepancy.shared
    if shared is not False and spec.law.switches:
        raise SpecError(
            f"{spec.law.name} has two forms in one table, and they cannot share a discrepancy. Set"
            " shared to False.",
            key=("discrepancy", "shared"),
        )
    if shared is True:
        columns = tuple(name for name in SHARED_BY if name in runs.groups)
        labels = {
            "curve": joined_labels(curve_by, runs.table),
            "task": joined_labels(columns, runs.table),
        }
        curves = pd.DataFrame(labels).groupby("task")["curve"].nunique()
        return columns if curves.max() >= SHARED_CURVES else False
    if missing := [name for name in shared or () if name not in runs.table.columns]:
        raise SpecError(
            f"discrepancy is shared by {', '.join(missing)}, which the runs do not"
            f" have.{suggest(missing[0], runs.table.columns)}",
            key=("discrepancy", "shared"),
        )
    for name in shared or ():
        _refuse_gaps(runs, name, f"curves share a discrepancy by {name}", ("discrepancy", "shared"))
    return shared


def _check_shared_inputs(spec: ModelSpec, runs: Runs) -> None:
    """Raise if runs share a discrepancy along an input that has no single unit."""
    selected = [name for name, x in spec.law.inputs.items() if x.selector]
    if selected and spec.discrepancy_inputs(runs.inputs):
        name = selected[0]
        raise SpecError(
            f"A discrepancy that runs share needs inputs with one unit, and the unit of {name}"
            f" depends on {spec.law.inputs[name].selector}. Set discrepancy to 'none'.",
            key="discrepancy",
        )


def _formula(name: str, param: Param, spec: ModelSpec, runs: Runs) -> Formula:
    """The formula of a parameter for which the user gives none."""
    along_curves = spec.discrepancy.along_curves
    if name in BY_CURVE and along_curves and spec.curve_by:
        term = GroupTerm(spec.curve_by)
        if len(set(term.labels(runs.table)) - {""}) >= SHARED_CURVES:
            return Formula(groups=(term,))
    if along_curves and any(other.is_level for other in spec.law.params.values()):
        # Beyond its level, a curve differs by its own process. Only priors could tell the process
        # from other parameters that differ by curve, and chains would wander between the two.
        return default_formula(runs, varies=param.is_level)
    return default_formula(
        runs, varies=param.varies, shared_over=param.shared_over, deviates_by=param.deviates_by
    )


def _check_column_names(spec: ModelSpec, formulas: Mapping[str, Formula]) -> None:
    """Raise for columns whose names cannot stand in a formula, or are those of something else.

    The names of a saved fit's variables and dimensions are made of them.
    """
    columns = dict.fromkeys(
        [
            *(column for formula in formulas.values() for column in formula.columns),
            *(spec.curve_by or ()),
        ]
    )
    taken = {*spec.params, *(population_name(name, param) for name, param in spec.params.items())}
    taken |= {f"{what}_{name}" for what in ("x", "centre") for name in spec.law.inputs}
    taken |= {f"{name}_knot" for name in spec.law.inputs}
    taken |= {*TAKEN, *keyword.kwlist}
    faulty = [name for name in columns if name in taken or not re.fullmatch(PLAIN_NAME, name)]
    if faulty:
        name = faulty[0]
        why = (
            "which is the name of something else in it"
            if name in taken
            else "and a column that makes groups or is a covariate must have a name of letters,"
            " digits and '_'"
        )
        plain = re.sub(r"\W+", "_", f"{name}_group" if name in taken else name).strip("_")
        raise SpecError(
            f"The model would read a column named {name!r}, {why}. Rename it where the runs are"
            f" read, such as columns={{{plain or 'group'!r}: {name!r}}}, or choose other groups.",
            key="groups",
        )


def _check_columns(name: str, formula: Formula, runs: Runs) -> None:
    """Raise unless the table has the columns of a formula, without gaps or faulty covariates."""
    table = runs.table
    if missing := [column for column in formula.columns if column not in table.columns]:
        raise SpecError(
            f"The formula of {name}, {formula}, needs {', '.join(missing)}, which the runs do not"
            f" have.{suggest(missing[0], table.columns)} They have:"
            f" {listed(table.columns)}.",
            key=("effects", name),
        )
    for group in formula.factor_columns:
        _refuse_gaps(runs, group, f"the formula of {name} is {formula}", ("effects", name))
    for covariate in formula.all_covariates:
        column = table[covariate.column]
        faults = faults_of_values(
            covariate.column,
            column[~np.isfinite(covariate.values(table))],
            len(table),
            f"it cannot serve as {covariate} in the formula of {name}",
            "A covariate must be a finite number in every row; write (1 | column) for groups.",
            of_all=f"cannot serve as {covariate} in the formula of {name}",
        )
        if faults:
            raise RunsError(runs.source, faults, key=("effects", name))


def _refuse_gaps(runs: Runs, column: str, why: str, key: tuple[str, ...]) -> None:
    """Raise RunsError if a column that makes groups has gaps."""
    values = runs.table[column]
    faults = faults_of_values(
        column,
        values[labels(values) == ""],
        len(values),
        f"the group is missing; {why}",
        "Name the group, or leave the row out.",
        of_all=f"are missing; {why}",
    )
    if faults:
        raise RunsError(runs.source, faults, key=key)


def _priors(spec: ModelSpec, random: list[Variable]) -> dict[str, Prior]:
    """The prior of each random variable: the one that was asked for, or its default."""
    known = {variable.name: variable for variable in random}
    if unknown := [name for name in spec.priors if name not in known]:
        _refuse_prior(spec, unknown, known)
    priors = {name: spec.priors.get(name, variable.prior) for name, variable in known.items()}
    for name, prior in priors.items():
        _check_support(spec, known[name], prior)
    return priors


def _refuse_prior(spec: ModelSpec, unknown: list[str], known: Mapping[str, Variable]) -> NoReturn:
    """Raise the error about priors for variables that the model does not have."""
    first = unknown[0]
    hint = suggest(first, known)
    if first in spec.params:
        param = spec.params[first]
        hint = f" {first} is sampled as {population_name(first, param)}: {param.at_centre}."
    raise SpecError(
        f"priors has {listed(unknown)}, and the model has no such variable.{hint} It has:"
        f" {listed(known)}.",
        key=("priors", first),
    )


def _check_support(spec: ModelSpec, variable: Variable, prior: Prior) -> None:
    """Raise if a prior puts mass where its variable cannot be."""
    support = "positive" if variable.role == "scale" else spec.params[variable.param].support
    if variable.role == "coefficient" or support == "real":
        return
    outside = _reaches_below_zero(prior)
    domain, use = "positive", "LogNormal, HalfNormal or Gamma"
    if support == "unit":
        outside = outside or _reaches_above_one(prior)
        domain, use = "between 0 and 1", "Beta"
    if outside:
        name = variable.name
        raise SpecError(
            f"The prior of {name} is {prior}, and {name} must be {domain}. Use {use}.",
            key=("priors", name),
        )


def _reaches_below_zero(prior: Prior) -> bool:
    """Whether a prior has mass below 0, or is the constant 0."""
    value = dict(prior.parameters)
    match prior.distribution:
        case "Uniform":
            return value["lower"] < 0
        case "Constant":
            return not value["value"] > 0
    return prior.distribution in REAL_LINE


def _reaches_above_one(prior: Prior) -> bool:
    """Whether a prior has mass above 1, or is the constant 1."""
    value = dict(prior.parameters)
    match prior.distribution:
        case "Uniform":
            return value["upper"] > 1
        case "Constant":
            return value["value"] >= 1
    return prior.distribution != "Beta"
