"""Parameters estimated by one fit, handed to a second fit that takes them as known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayeslaw.errors import SpecError, UnknownNameError
from bayeslaw.posterior.draws import DIMS, Draws

if TYPE_CHECKING:
    import xarray as xr


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
