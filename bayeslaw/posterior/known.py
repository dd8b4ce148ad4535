"""What a fit knows of parameters, for a second fit that takes them as fixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayeslaw.errors import SpecError, UnknownNameError
from bayeslaw.posterior.draws import DIMS, Draws

if TYPE_CHECKING:
    import xarray as xr


def known(fit: Draws, *params: str) -> dict[str, xr.DataArray]:
    """The posterior medians of all variables of parameters, as ``fixed`` of `bayeslaw.fit` takes
    them.

    Raises
    ------
    UnknownNameError : the model has no such parameter. SpecError : what is sampled of it is
        relative to this table's centre, and means another thing for another table; or its groups
        are not pooled (``0 + group``).
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
                why = f"is sampled as {param.at_centre}, which is of this table alone"
            raise SpecError(
                f"{name} of {fit.law.name} {why}: it cannot be taken as known elsewhere."
            )
        variables = [name, *(f"{name}_{covariate}" for covariate in formula.covariates)]
        for term in formula.groups:
            variables += [f"{name}_{term}", f"{name}_{term}_sigma"]
        medians |= {variable: posterior[variable].median(DIMS) for variable in variables}
    return medians
