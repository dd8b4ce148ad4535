"""Parameters and quantities of a law over the draws, per group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayeslaw.errors import SpecError, UnknownNameError
from bayeslaw.posterior.parameters import Posterior, over_draws, samples_of
from bayeslaw.runs.table import label
from bayeslaw.spec.spec import all_covariates, group_columns, law_group_columns

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.fitting import Fit


def quantity(fit: Fit, name: str, **at: float) -> xr.DataArray:
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
    law = fit.spec.law
    known = {
        **{key: param.meaning for key, param in law.params.items()},
        **law.quantities,
        **{key: at.meaning for key, at in law.quantities_at.items()},
    }
    if name not in known:
        raise UnknownNameError("parameter or quantity", name, known)
    needed = {
        law.columns.get(argument, argument): argument
        for argument in (law.quantities_at[name].inputs if name in law.quantities_at else ())
    }
    if sorted(at) != sorted(needed):
        raise SpecError(
            f"{name} of {law.name} is at {', '.join(needed) or 'no input'}; it was given"
            f" {', '.join(at) or 'none'}."
        )
    if bad := [key for key, x in at.items() if not (np.isfinite(x) and x > 0)]:
        raise SpecError(f"{name}: {bad[0]} is {at[bad[0]]}, and it must be a positive number.")
    groups = _groups(fit)
    posterior = Posterior.of(fit, groups, "mean")
    params = posterior.law_parameters(groups)
    values = (
        params[name]
        if name in params
        else law.value(name, **params, **{needed[key]: x for key, x in at.items()})
    )
    values = np.broadcast_to(values, (samples_of(fit), len(groups)))
    columns = list(law_group_columns(fit.spec))
    if not columns:
        return over_draws(fit, {name: values[:, 0]}, meaning=known[name])[name]
    labels = (
        groups[columns[0]].str.cat([groups[c] for c in columns[1:]], sep=":")
        if columns[1:]
        else groups[columns[0]]
    )
    coords = {"group": labels.to_numpy(object)} | {
        c: ("group", groups[c].to_numpy(object)) for c in columns
    }
    return over_draws(fit, {name: values}, ["group"], coords, meaning=known[name])[name]


def group_table(fit: Fit) -> pd.DataFrame:
    """The groups of `quantity`, a row each, in its order: their grouping columns but for those that
    are inputs, and their covariates.
    """
    columns = law_group_columns(fit.spec)
    return _groups(fit)[
        [*columns, *(name for name in all_covariates(fit.spec) if name not in columns)]
    ]


def _groups(fit: Fit) -> pd.DataFrame:
    """A row for each group of the runs, with inputs and whatever else makes groups set to none of
    their values.
    """
    table = fit.runs.table
    columns = list(law_group_columns(fit.spec))
    covariates = [c for c in all_covariates(fit.spec) if c not in columns]
    # A size that makes groups elsewhere in the model is text in the table: as a covariate it is the
    # number.
    labelled = table.assign(
        **{c: table[c].map(label) for c in columns},
        **{c: pd.to_numeric(table[c]) for c in covariates},
    )
    if columns:
        groups = (
            labelled.groupby(columns, sort=True)[covariates].mean().reset_index()
            if covariates
            else labelled[columns].drop_duplicates().sort_values(columns)
        )
    else:
        groups = pd.DataFrame({c: [labelled[c].mean()] for c in covariates}, index=[0])
    return groups.reset_index(drop=True).assign(
        **{c: None for c in group_columns(fit.spec) if c not in (*columns, *covariates)}
    )
