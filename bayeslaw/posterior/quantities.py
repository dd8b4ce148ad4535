"""Parameters and quantities of a law over the draws, for each group."""

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
    """A parameter in the paper's units, or a quantity of the law, for each group.

    The groups are those of the runs, by the columns in which the law's parameters differ. Inputs
    are not among these columns: a quantity describes the law, without the deviation of any one
    checkpoint and without a discrepancy. Answers such as `bayeslaw.peaks`, `bayeslaw.crossover` and
    `bayeslaw.allocate` are of the expected curve, which has the latter. Covariates are at each
    group's mean.

    Parameters
    ----------
    fit : the posterior.
    name : a parameter ("alpha"), a quantity ("size_exponent"), or a quantity at some inputs
        ("kl_gap").
    **at : these inputs, in their units.

    Returns
    -------
    DataArray, dims (chain, draw), and group if the model has groups. The coordinate ``group`` is a
    label such as "mlsum:lora"; each grouping column is a coordinate too. Attributes: ``meaning``,
    and ``converged``, 1 if the chains agree.

    Raises
    ------
    UnknownNameError : the law has neither a parameter nor a quantity of that name.
    SpecError : inputs that are missing, too many, or not positive numbers.

    Examples
    --------
    ``quantity(fit, "past_peak", kl=20.0).mean()`` is the probability that KL = 20 is past the
    peak.
    """
    law = fit.law
    known = {key: param.meaning for key, param in law.params.items()} | dict(law.quantities)
    known |= {key: quantity.meaning for key, quantity in law.quantities_at.items()}
    if not (isinstance(name, str) and name in known):
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
    labels = groups[first]
    if others:
        labels = labels.str.cat([groups[c] for c in others], sep=":")
    coords = {"group": labels.to_numpy(object)}
    coords |= {c: ("group", groups[c].to_numpy(object)) for c in columns}
    return fit.dataset({name: values}, ["group"], coords, meaning=known[name])[name]


def _inputs_of(law: Law, name: str, at: Mapping[str, float]) -> dict[str, float]:
    """The inputs of a quantity, by the names of the formula's arguments."""
    arguments = law.quantities_at[name].inputs if name in law.quantities_at else ()
    needed = {law.columns.get(argument, argument): argument for argument in arguments}
    if sorted(at) != sorted(needed):
        raise SpecError(
            f"{name} of {law.name} needs {', '.join(needed) or 'no input'}; it was given"
            f" {', '.join(at) or 'none'}."
        )
    if bad := [key for key, x in at.items() if not (np.isfinite(x) and x > 0)]:
        raise SpecError(f"{name}: {bad[0]} is {at[bad[0]]}, and it must be a positive number.")
    return {needed[key]: x for key, x in at.items()}


def group_table(fit: Draws) -> pd.DataFrame:
    """The groups of `quantity`, one row each, in the same order.

    The columns are the grouping columns that are not inputs, and the covariates.
    """
    columns = fit.design.law_group_columns
    covariates = [name for name in fit.design.numeric_columns if name not in columns]
    return _groups(fit)[[*columns, *covariates]]


def _groups(fit: Draws) -> pd.DataFrame:
    """One row per group of the runs, with its covariates at their means.

    Columns that make groups otherwise, such as inputs, are None: an unseen level.
    """
    table, columns = fit.runs.table, list(fit.design.law_group_columns)
    covariates = [name for name in fit.design.numeric_columns if name not in columns]
    # A size that makes groups elsewhere in the model is text in the table; as a covariate it is a
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
