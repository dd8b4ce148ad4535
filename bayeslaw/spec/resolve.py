"""From what was asked and a table of runs to a `Design`: defaults written out, all of it checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
import pandas as pd

from bayeslaw.errors import Fault, RunsError, SpecError, suggest
from bayeslaw.laws.base import Param, scale_of_groups
from bayeslaw.priors import REAL_LINE, Prior
from bayeslaw.runs.table import Runs
from bayeslaw.spec.design import Design, joined_labels
from bayeslaw.spec.discrepancy import SHARED_BY, SHARED_CURVES
from bayeslaw.spec.effects import default_formula
from bayeslaw.spec.formula import Formula, GroupTerm
from bayeslaw.spec.spec import ModelSpec, population_name

#: Prior of the change of a parameter, on its unconstrained scale, per unit of a covariate.
COEFFICIENT = Prior("Normal", mu=0.0, sigma=0.5)

#: Prior of the scale by which single checkpoints deviate from a law: ``(1 | model_size)`` and the
#: like, on the log of a loss. Few sizes identify it poorly, so it matters: it says that a
#: checkpoint's loss is mostly within some 2 % of the law's, and its tail (5 % above .05) allows a
#: bad pretraining run.
CHECKPOINT_SCALE = scale_of_groups(0.02)

#: What differs by curve unless the user says otherwise: some curves are noisier than others, some
#: smoother.
BY_CURVE = ("sigma", "delta_sigma")


@dataclass(frozen=True, slots=True)
class Variable:
    """A random variable of the model: its name, its default prior, and whose it is.

    ``role`` is "population", "coefficient" (of a covariate) or "scale" (of a group effect).
    """

    name: str
    prior: Prior
    param: str
    role: str


def resolve(spec: ModelSpec, runs: Runs) -> Design:
    """The design of a spec for a table of runs: every formula and prior written out, and checked.

    Raises
    ------
    SpecError : the runs are for another law, a formula names a column that the table does not have
        or that is not a number, a prior is for no variable of the model or puts its mass outside
        the parameter's support.
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
    for name, formula in formulas.items():
        _check_columns(name, formula, runs)
    priors = _priors(spec, variables(spec, formulas))
    return Design.of(spec.replaced(effects=formulas, priors=priors), runs)


def variables(spec: ModelSpec, formulas: Mapping[str, Formula]) -> list[Variable]:
    """The random variables that have a prior, with the default one of each."""
    found = []
    for name, param in spec.params.items():
        found.append(Variable(population_name(name, param), param.prior, name, "population"))
        for covariate in formulas[name].covariates:
            found.append(Variable(f"{name}_{covariate}", COEFFICIENT, name, "coefficient"))
        for term in formulas[name].groups:
            # A group made by an input is a checkpoint, or another single setting, not a population
            # of tasks or methods; a parameter that is known to deviate so has a scale for it.
            checkpoint = (
                name in spec.law.params
                and term.factor != param.deviates_by
                and any(column in spec.law.inputs for column in term.factor)
            )
            prior = CHECKPOINT_SCALE if checkpoint else param.group_scale
            found.append(Variable(f"{name}_{term}_sigma", prior, name, "scale"))
    return found


def _with_curves(spec: ModelSpec, runs: Runs) -> ModelSpec:
    """The spec with its curves, and what they have in common, written out."""
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
    shared = _shared(spec, by, runs)
    discrepancy = replace(spec.discrepancy, shared=shared, along=spec.along)
    return spec.replaced(curve_by=by, discrepancy=discrepancy)


def _shared(spec: ModelSpec, curve_by: tuple[str, ...], runs: Runs) -> bool | tuple[str, ...]:
    """The columns whose values make curves have a discrepancy in common; False where there are
    too few curves to show one."""
    shared = spec.discrepancy.shared
    if shared is not False and spec.law.switches:
        raise SpecError(
            f"{spec.law.name} has two forms in one table, which have no discrepancy in common: set"
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
    return shared


def _check_shared_inputs(spec: ModelSpec, runs: Runs) -> None:
    """A discrepancy that runs have in common needs inputs that mean one thing in all of them."""
    selected = [name for name, x in spec.law.inputs.items() if x.selector]
    if selected and spec.discrepancy_inputs(runs.inputs):
        name = selected[0]
        raise SpecError(
            f"A discrepancy that runs have in common needs inputs with one unit, and {name} has one"
            f" for each {spec.law.inputs[name].selector}. Set discrepancy to 'none'.",
            key="discrepancy",
        )


def _formula(name: str, param: Param, spec: ModelSpec, runs: Runs) -> Formula:
    """The formula of a parameter that the user said nothing of."""
    curves = spec.discrepancy.along_curves
    if name in BY_CURVE and curves and spec.curve_by:
        term = GroupTerm(spec.curve_by)
        if len(set(term.labels(runs.table)) - {""}) >= SHARED_CURVES:
            return Formula(groups=(term,))
    if curves and any(other.is_level for other in spec.law.params.values()):
        # A curve's own process carries what else it differs by; parameters of its own beside it
        # would be told apart by their priors alone, and chains would wander between them.
        return default_formula(runs, varies=param.is_level)
    return default_formula(
        runs, varies=param.varies, shared_over=param.shared_over, deviates_by=param.deviates_by
    )


def _check_columns(name: str, formula: Formula, runs: Runs) -> None:
    """Raise unless the table has what a formula reads: groups in every row, numbers for
    covariates."""
    table = runs.table
    if missing := [column for column in formula.columns if column not in table.columns]:
        raise SpecError(
            f"The formula of {name}, {formula}, needs {', '.join(missing)}, which the runs do not"
            f" have.{suggest(missing[0], table.columns)} They have:"
            f" {', '.join(map(str, table.columns))}.",
            key=("effects", name),
        )
    for group in formula.factor_columns:
        problem = f"the group is missing; the formula of {name} is {formula}"
        remedy = "Name the group, or leave the row out."
        _refuse(
            runs, name, [Fault(problem, remedy, group, str(row)) for row in _gaps(table[group])]
        )
    for covariate in formula.all_covariates:
        column = table[covariate.column]
        bad = column[~np.isfinite(covariate.values(table))]
        remedy = "A covariate must be a finite number in every row; write (1 | column) for groups."
        faults = [
            Fault(
                f"{value!r} cannot serve as {covariate} in the formula of {name}",
                remedy,
                covariate.column,
                str(row),
                value,
            )
            for row, value in bad.items()
        ]
        _refuse(runs, name, faults)


def _gaps(column: pd.Series) -> pd.Index:
    """The rows in which a column has no value."""
    return column.index[column.isna()]


def _refuse(runs: Runs, name: str, faults: list[Fault]) -> None:
    """Raise the faults of the table that the formula of a parameter finds, if there are any."""
    if faults:
        raise RunsError(runs.source, faults, key=("effects", name))


def _priors(spec: ModelSpec, random: list[Variable]) -> dict[str, Prior]:
    """The prior of each random variable: what was asked, or its default."""
    known = {variable.name: variable for variable in random}
    if unknown := [name for name in spec.priors if name not in known]:
        _refuse_prior(spec, unknown, known)
    priors = {name: spec.priors.get(name, variable.prior) for name, variable in known.items()}
    for name, prior in priors.items():
        _check_support(spec, known[name], prior)
    return priors


def _refuse_prior(spec: ModelSpec, unknown: list[str], known: Mapping[str, Variable]) -> NoReturn:
    """Raise the error of a prior for what is no variable of the model."""
    first = unknown[0]
    hint = suggest(first, known)
    if first in spec.params:
        param = spec.params[first]
        hint = f" {first} is sampled as {population_name(first, param)}: {param.at_centre}."
    raise SpecError(
        f"priors has {', '.join(unknown)}, and the model has no such variable.{hint} It has:"
        f" {', '.join(known)}.",
        key=("priors", first),
    )


def _check_support(spec: ModelSpec, variable: Variable, prior: Prior) -> None:
    """Raise unless a prior puts its mass where its variable can be."""
    support = "positive" if variable.role == "scale" else spec.params[variable.param].support
    if variable.role == "coefficient" or support == "real":
        return
    name, value = variable.name, dict(prior.parameters)
    outside = (
        prior.distribution in REAL_LINE
        or (prior.distribution == "Uniform" and value["lower"] < 0)
        or (prior.distribution == "Constant" and not value["value"] > 0)
        or (support == "unit" and prior.distribution not in ("Beta", "Uniform", "Constant"))
        or (support == "unit" and max(value.get("upper", 0), value.get("value", 0)) > 1)
        or (support == "unit" and value.get("value") == 1)
    )
    if outside:
        where, use = {
            "positive": ("positive", "LogNormal, HalfNormal or Gamma"),
            "unit": ("between 0 and 1", "Beta"),
        }[support]
        raise SpecError(
            f"The prior of {name} is {prior}, and {name} must be {where}. Use {use}.",
            key=("priors", name),
        )
