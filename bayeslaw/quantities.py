"""Parameters and quantities of a law over the draws, per group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import UnknownNameError
from bayeslaw.predict import DIMS, Posterior
from bayeslaw.runs import label
from bayeslaw.spec import covariate_columns, group_columns

if TYPE_CHECKING:
    from bayeslaw.fit import Fit


def quantity(fit: Fit, name: str) -> xr.DataArray:
    """A parameter ("alpha") in the paper's units, or a closed form of the law ("size_exponent"), for each group.

    Groups are those of the runs, by the columns that make groups in the model; inputs are not among them: a quantity is of
    the law, without the deviation of a single checkpoint. Covariates are at each group's mean.

    Returns
    -------
    DataArray, dims (chain, draw), and group where the model has groups. The coordinate ``group`` is "mlsum:lora"; each
    grouping column is a coordinate too. Attributes say the meaning, and whether the fit had converged.

    Raises
    ------
    UnknownNameError : neither a parameter nor a quantity of the law.
    """
    law = fit.spec.law
    known = {**{key: param.meaning for key, param in law.params.items()}, **law.quantities}
    if name not in known:
        raise UnknownNameError("parameter or quantity", name, known)
    groups = _groups(fit)
    posterior = Posterior.of(fit, groups, "mean")
    params = posterior.law_parameters(groups)
    values = params[name] if name in params else getattr(law, name)(**params)
    sizes = fit.idata["posterior"].sizes
    values = np.broadcast_to(values, (sizes["chain"] * sizes["draw"], len(groups)))
    columns = [column for column in group_columns(fit.spec) if column not in law.inputs]
    coords: dict[str, Any] = {dim: fit.idata["posterior"][dim].values for dim in DIMS}
    attrs = {"meaning": known[name], "converged": int(fit.convergence.passed)}
    if not columns:
        return xr.DataArray(values[:, 0].reshape(sizes["chain"], sizes["draw"]), dims=DIMS, coords=coords, name=name, attrs=attrs)
    labels = groups[columns[0]].str.cat([groups[c] for c in columns[1:]], sep=":") if columns[1:] else groups[columns[0]]
    coords |= {"group": labels.to_numpy(object)} | {c: ("group", groups[c].to_numpy(object)) for c in columns}
    return xr.DataArray(values.reshape(sizes["chain"], sizes["draw"], -1), dims=(*DIMS, "group"), coords=coords, name=name, attrs=attrs)


def _groups(fit: Fit) -> pd.DataFrame:
    """A row for each group of the runs, with inputs that make groups set to none of their values."""
    table = fit.runs.table
    columns = [c for c in group_columns(fit.spec) if c not in fit.spec.law.inputs]
    covariates = list(covariate_columns(fit.spec))
    labelled = table.assign(**{c: table[c].map(label) for c in columns})
    if columns:
        groups = (
            labelled.groupby(columns, sort=True)[covariates].mean().reset_index()
            if covariates
            else labelled[columns].drop_duplicates().sort_values(columns)
        )
    else:
        groups = pd.DataFrame({c: [table[c].mean()] for c in covariates}, index=[0])
    return groups.reset_index(drop=True).assign(**{c: None for c in group_columns(fit.spec) if c in fit.spec.law.inputs})
