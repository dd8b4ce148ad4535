"""Inverse problems: what an input, or a size behind the runs, must be for the response to reach a
target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw.errors import SpecError, UnknownNameError
from bayeslaw.posterior.parameters import Kind, Posterior, over_draws, samples_of
from bayeslaw.posterior.predict import check_table, predict
from bayeslaw.runs.table import label
from bayeslaw.spec.spec import all_covariates, columns_of, group_columns

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.fitting import Fit

#: Values tried between the bounds, evenly in the logarithm; between two of them the response is as
#: good as straight in it.
TRIED = 1025
#: How far beyond the runs is searched where no bounds are given: two decades.
BEYOND = 100.0


def solve_for(
    fit: Fit,
    name: str,
    target: float,
    at: dict[str, Any] | None = None,
    *,
    of: str | None = None,
    bounds: tuple[float, float] | None = None,
    kind: Kind = "mean",
) -> xr.DataArray:
    """The smallest value of an input or covariate at which the response reaches a target, over the
    draws.

    Parameters
    ----------
    fit : the posterior.
    name : an input of the law, or a numeric column that the model has a trend in, such as
        ``reward_model_size``.
    target : of the response, in its unit; or of the quantity ``of``.
    at : the other inputs and grouping columns, one value each; a grouping column that is left out
        is a group never seen.
    of : a quantity of the law that must reach the target in the response's place: ``"score_peak"``,
        "which reward model is good enough at its best". None: the response at ``at``.
    bounds : where to search, in the unit of ``name``. None: from `BEYOND` times below to `BEYOND`
        times above the runs.
    kind : "mean" (the law's curve, for ``name`` without the deviation of any of its groups) or
        "latent" (with the deviation of a group never seen and the discrepancy), which needs a
        ``name`` that makes neither groups nor curves: each tried value would be one of its own.

    Returns
    -------
    DataArray (chain, draw), in the unit of ``name``. NaN where there is no solution within the
    bounds: the attribute ``p_none`` says how likely that is, ``p_above`` the part of it in which
    the response is above the target at every value, and the bounds are there too. The response is
    taken to be straight in log x between 1,025 values: between the default bounds that is right to
    some 1e-5.

    Raises
    ------
    UnknownNameError : nothing of that name can be solved for, or no such quantity. SpecError :
        bounds or a target that cannot be meant.
    RunsError : ``at`` lacks an input.
    """
    spec, law = fit.spec, fit.spec.law
    known = [*law.inputs, *all_covariates(spec)]
    if name not in known:
        raise UnknownNameError("input or covariate to solve for", name, known)
    if of is not None and of not in law.quantities:
        raise UnknownNameError("quantity", of, law.quantities)
    if of is not None and name in law.inputs:
        raise SpecError(f"{of} does not depend on {name}.")
    if not np.isfinite(target):
        raise SpecError(f"target is {target}, and it must be a number.")
    if kind not in ("mean", "latent") or (of is not None and kind != "mean"):
        raise SpecError(
            f"kind is {kind!r}, and it must be"
            f" 'mean'{' for a quantity' if of is not None else ' or ' + repr('latent')}."
        )
    if kind == "latent" and name in (*group_columns(spec), *(spec.curve_by or ())):
        raise SpecError(
            f"kind is 'latent', and each value of {name} makes a group or a curve of its own in"
            " this model: use 'mean'."
        )
    own = fit.runs.table
    if name in law.inputs and (within := law.inputs[name].within):
        own = own[own[within].map(label) == label((at or {}).get(within))]
        if not len(own):
            raise SpecError(
                f"{name} is another input for each {within}: say which in at, one of"
                f" {', '.join(sorted(fit.runs.table[within].map(label).unique()))}."
            )
    seen = pd.to_numeric(own[name])
    low, high = bounds or (float(seen.min()) / BEYOND, float(seen.max()) * BEYOND)
    if not 0 < low < high < np.inf:
        raise SpecError(
            f"bounds are {low:g} and {high:g}, and they must be positive, the lower one first."
        )
    x = np.geomspace(low, high, TRIED)
    # A quantity is of the curve, not of a point on it: any value of the inputs will do.
    open_groups = dict.fromkeys(
        c for c in columns_of(spec) if c not in (*all_covariates(spec), *law.choosers)
    )
    anywhere = {
        **fit.runs.centre,
        **{switch.column: switch.off for switch in law.switches.values()},
    }
    fixed = {**open_groups, **({} if of is None else anywhere), **(at or {})}
    table = check_table(
        fit, pd.DataFrame({key: [value] * TRIED for key, value in fixed.items()} | {name: x}), kind
    )
    values = (
        predict(fit, table, kind).values.reshape(-1, TRIED)
        if kind == "latent"
        else _on_the_trend(fit, table, name, of)
    )
    solution = _first_crossing(np.log(x), values, target)
    none = np.isnan(solution)
    attrs = {
        "target": target,
        "p_none": float(none.mean()),
        "p_above": float((none & (values[:, 0] > target)).mean()),
        "lower_bound": low,
        "upper_bound": high,
        "kind": kind,
    }
    return over_draws(fit, {name: solution}, **attrs)[name]


def _on_the_trend(fit: Fit, table: pd.DataFrame, name: str, of: str | None) -> np.ndarray:
    """The law's curve, or a quantity of it, (sample, row): a row whose value happens to be that of
    a group seen does not deviate as that group does.
    """
    posterior, law = Posterior.of(fit, table, "mean").without(name), fit.spec.law
    values = (
        law.response.link.inverse(posterior.located(table))
        if of is None
        else law.value(of, **posterior.law_parameters(table))
    )
    return np.broadcast_to(values, (samples_of(fit), len(table)))


def _first_crossing(log_x: np.ndarray, values: np.ndarray, target: float) -> np.ndarray:
    """The first x at which each draw of ``values``, (sample, x), crosses the target, (sample,); NaN
    where it never does.
    """
    over = values - target
    crossed = over * over[:, :1] <= 0
    none = ~crossed.any(axis=1)
    i = crossed.argmax(axis=1).clip(1)
    rows = np.arange(len(values))
    before, after = over[rows, i - 1], over[rows, i]
    share = np.divide(
        before, before - after, out=np.zeros_like(before), where=~none & (before != after)
    )
    return np.where(none, np.nan, np.exp(log_x[i - 1] + share * (log_x[i] - log_x[i - 1])))
