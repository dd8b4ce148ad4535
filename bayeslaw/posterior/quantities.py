"""Parameters and quantities of a law over the draws, per group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayeslaw.errors import SpecError, UnknownNameError
from bayeslaw.laws.base import Law
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.parameters import Parameters
from bayeslaw.text import label

if TYPE_CHECKING:
    import xarray as xr


def quantity(fit: Draws, name: str, **at: float) -> xr.DataArray:
    """A parameter ("alpha") in the paper's units, or a closed form of the law ("size_exponent"),
    for each group.

    Parameters
    ----------
    fit : the posterior.
    name : a parameter, a quantity of the law, or one at given inputs ("kl_gap").
    **at : the inputs of the latter: ``quantity(fit, "past_peak", kl=20.0).mean()`` is the
        probability that KL = 20 is past the peak.

    Groups are those of the runs, by the columns in which the law's parameters differ; inputs are
    not among them: a quantity is of the law, without the deviation of a single checkpoint.
    Covariates are at each group's mean.

    Returns
    -------
    DataArray, dims (chain, draw), and group where the model has groups. The coordinate ``group`` is
    "mlsum:lora"; each grouping column is a coordinate too. Attributes say the meaning, and whether
    the fit had converged.

    Raises
    ------
    UnknownNameError : neither a parameter nor a quantity of the law.
    SpecError : inputs that are missing, surplus, or not positive numbers.
    """
    law = fit.law
    known = {key: param.meaning for key, param in law.params.items()} | dict(law.quantities)
    known |= {key: quantity.meaning for key, quantity in law.quantities_at.items()}
    if name not in known:
        raise UnknownNameError("parameter or quantity", name, known)
    inputs = _inputs_of(law, name, at)
    groups = _groups(fit)
    params = Parameters.at(fit, groups, "mean").of_law(groups)
    values = params[name] if name in params else law.value(name, **params, **inputs)
    values = np.broadcast_to(values, (fit.samples, len(groups)))
    columns = fit.design.law_group_columns
    if not columns:
        return fit.dataset({name: values[:, 0]}, meaning=known[name])[name]
    first, *others = columns
    labels = (
        groups[first].str.cat([groups[c] for c in others], sep=":") if others else groups[first]
    )
    coords = {"group": labels.to_numpy(object)}
    coords |= {c: ("group", groups[c].to_numpy(object)) for c in columns}
    return fit.dataset({name: values}, ["group"], coords, meaning=known[name])[name]


def _inputs_of(law: Law, name: str, at: Mapping[str, float]) -> dict[str, float]:
    """The inputs that a quantity is at, by the names of the formula's arguments."""
    arguments = law.quantities_at[name].inputs if name in law.quantities_at else ()
    needed = {law.columns.get(argument, argument): argument for argument in arguments}
    if sorted(at) != sorted(needed):
        raise SpecError(
            f"{name} of {law.name} is at {', '.join(needed) or 'no input'}; it was given"
            f" {', '.join(at) or 'none'}."
        )
    if bad := [key for key, x in at.items() if not (np.isfinite(x) and x > 0)]:
        raise SpecError(f"{name}: {bad[0]} is {at[bad[0]]}, and it must be a positive number.")
    return {needed[key]: x for key, x in at.items()}


def group_table(fit: Draws) -> pd.DataFrame:
    """The groups of `quantity`, a row each, in its order: their grouping columns but for those that
    are inputs, and their covariates."""
    columns = fit.design.law_group_columns
    covariates = [name for name in fit.design.numeric_columns if name not in columns]
    return _groups(fit)[[*columns, *covariates]]


def _groups(fit: Draws) -> pd.DataFrame:
    """A row for each group of the runs, with inputs and whatever else makes groups set to none of
    their values."""
    table, columns = fit.runs.table, list(fit.design.law_group_columns)
    covariates = [name for name in fit.design.numeric_columns if name not in columns]
    # A size that makes groups elsewhere in the model is text in the table: as a covariate it is the
    # number.
    labels = {name: table[name].map(label) for name in columns}
    labelled = table.assign(**labels, **{name: pd.to_numeric(table[name]) for name in covariates})
    if columns and covariates:
        groups = labelled.groupby(columns, sort=True)[covariates].mean().reset_index()
    elif columns:
        groups = labelled[columns].drop_duplicates().sort_values(columns)
    else:
        groups = pd.DataFrame({c: [labelled[c].mean()] for c in covariates}, index=[0])
    others = [c for c in fit.design.group_columns if c not in (*columns, *covariates)]
    return groups.reset_index(drop=True).assign(**dict.fromkeys(others))
