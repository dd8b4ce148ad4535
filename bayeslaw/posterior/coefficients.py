"""Parameters that are known: estimated by an earlier fit, or published."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw.errors import SpecError, UnknownNameError, suggest
from bayeslaw.laws.base import Law
from bayeslaw.posterior.draws import DIMS, NOT_SAMPLED, Draws
from bayeslaw.runs.arguments import is_number
from bayeslaw.runs.table import Runs
from bayeslaw.spec.centre import centred
from bayeslaw.spec.design import Design
from bayeslaw.spec.spec import ModelSpec, population_name
from bayeslaw.text import shown

if TYPE_CHECKING:
    import xarray as xr

#: The scale of noise where none is known: so small that it is lost in any response.
NO_NOISE = 1e-300
#: What a number must be, by the support of a parameter.
DOMAINS = {
    "real": (-np.inf, np.inf, "a finite number"),
    "positive": (0.0, np.inf, "a positive number"),
    "unit": (0.0, 1.0, "a number between 0 and 1"),
}
#: Where the runs of published coefficients are said to come from.
PUBLISHED = "published coefficients"


def known(fit: Draws, *params: str) -> dict[str, xr.DataArray]:
    """The posterior medians of every variable of some parameters, for ``fixed`` of `bayeslaw.fit`.

    Parameters
    ----------
    fit : the first fit.
    *params : names of parameters, such as "E" and "beta".

    Returns
    -------
    By variable of the model: a DataArray without dims, or (group,) for the deviations of groups.

    Raises
    ------
    UnknownNameError : the model has no such parameter.
    SpecError : the parameter is sampled relative to the centre of this table, so its value means
        something else for another table; or its groups are not pooled (``0 + group``).
    """
    posterior = fit.posterior
    medians: dict[str, xr.DataArray] = {}
    for name in params:
        if name not in fit.design.params:
            raise UnknownNameError("parameter", name, fit.design.params)
        param, formula = fit.design.params[name], fit.design.predictors[name].formula
        if param.at_centre or formula.by:
            why = f"has the formula {formula}, a value for each group"
            if param.at_centre:
                why = f"is sampled as {param.at_centre}, which depends on this table"
            raise SpecError(
                f"{name} of {fit.law.name} {why}, so another fit cannot take it as known."
            )
        variables = [name, *(f"{name}_{covariate}" for covariate in formula.covariates)]
        for term in formula.groups:
            variables += [f"{name}_{term}", f"{name}_{term}_sigma"]
        medians |= {variable: posterior[variable].median(DIMS) for variable in variables}
    return medians


def published(law: Law, coefficients: Mapping[str, float]) -> Draws:
    """One draw of a law's parameters, as published; see `bayeslaw.fitted.known`.

    Raises
    ------
    SpecError : coefficients that are missing, unknown, or out of their range.
    """
    import xarray as xr

    _require_coefficients(law, coefficients)
    groups = law.selector_columns
    columns = [*law.inputs, law.response.name]
    table = pd.DataFrame({name: pd.Series(dtype=float) for name in columns})
    table = table.assign(**{name: pd.Series(dtype=object) for name in groups})
    runs = Runs(law, table, groups, PUBLISHED)
    values = {name: float(x) for name, x in coefficients.items()}
    sampled = centred(law, values, runs.centre)
    priors = {population_name(name, param): sampled[name] for name, param in law.params.items()} | {
        "sigma": NO_NOISE
    }
    spec = ModelSpec(law, noise="normal", discrepancy="none", misfit="none", priors=priors)
    spec = spec.replaced(effects=dict.fromkeys(spec.params, "1"))
    posterior = xr.Dataset(
        {name: (DIMS, [[value]]) for name, value in (values | priors).items()},
        coords={"chain": [0], "draw": [0]},
    )
    note = (
        "The coefficients are published ones, and nothing was sampled: there is no uncertainty, and"
        " the ends of every band are its median."
    )
    return Draws(
        design=Design.of(spec, runs),
        runs=runs,
        idata=xr.DataTree.from_dict({"posterior": posterior}),
        convergence=NOT_SAMPLED,
        random_seed=0,
        warnings=(note,),
        versions={"bayeslaw": version("bayeslaw")},
    )


def _require_coefficients(law: Law, coefficients: Mapping[str, Any]) -> None:
    """Raise SpecError, with every fault, unless there is one number in its range for each parameter
    of the law.
    """
    faults = [
        f"{name} is not a parameter of {law.name}.{suggest(name, law.params)}"
        for name in coefficients
        if name not in law.params
    ]
    for name, param in law.params.items():
        if name not in coefficients:
            faults.append(f"{name} is missing: {param.meaning}.")
            continue
        value = coefficients[name]
        low, high, domain = DOMAINS["real" if param.at_centre else param.support]
        if not is_number(value) or not low < float(value) < high:
            faults.append(f"{name} is {shown(value)}, and it must be {domain}.")
    if faults:
        lines = "".join(f"\n  - {fault}" for fault in faults)
        raise SpecError(
            f"The coefficients of {law.name} ({', '.join(law.params)}) have {len(faults)}"
            f" fault{'s' * (len(faults) != 1)}:{lines}"
        )
