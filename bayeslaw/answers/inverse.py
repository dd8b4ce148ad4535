"""Inverse problems: what an input, or a covariate, must be for the response to reach a target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw.answers.bounds import runs_selected, search_bounds
from bayeslaw.errors import SpecError, UnknownNameError
from bayeslaw.posterior.draws import Draws, Kind, require_kind
from bayeslaw.posterior.parameters import Parameters
from bayeslaw.posterior.points import checked_points, open_columns
from bayeslaw.posterior.predict import along
from bayeslaw.runs.arguments import as_mapping, is_finite
from bayeslaw.text import label, shown

if TYPE_CHECKING:
    import xarray as xr

#: Values tried between the bounds, evenly in the logarithm; between two of them the response is
#: nearly straight in the logarithm.
TRIED = 1025


def solve_for(
    fit: Draws,
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
    at : the other inputs and grouping columns, one value each; for a grouping column that is left
        out the group is one that no run had.
    of : a quantity of the law that must reach the target instead of the response, such as
        ``"score_peak"``: which reward model is good enough at its best? None: the response at
        ``at``.
    bounds : where to search, in the unit of ``name``. None: from 100 times below to 100 times above
        the runs.
    kind : "mean" (the expected curve, without what single values of ``name`` have of their own) or
        "latent" (with the deviation of a group that no run had, and draws of the discrepancy).
        "latent" needs a ``name`` that makes neither groups nor curves: each tried value would be
        one of its own.

    Returns
    -------
    DataArray (chain, draw), in the unit of ``name``. NaN where there is no solution within the
    bounds: the attribute ``p_none`` is the probability of that, and ``p_above`` that of a response
    above the target at every value; ``lower_bound`` and ``upper_bound`` are the bounds. The
    response is taken to be straight in log x between 1,025 values: between the default bounds that
    is right to some 1e-5.

    Raises
    ------
    UnknownNameError : nothing of that name can be solved for, or no such quantity. SpecError :
        bounds that are not positive and rising, a target that is no number. RunsError : ``at``
        lacks an input.

    Examples
    --------
    >>> bl.solve_for(fit, "data_size", target=2.1, at={"model_size": 1e9}).median()
    """
    _check(fit, name, target, of, kind)
    at = as_mapping(at, "at")
    of_runs = pd.to_numeric(_runs_of(fit, name, at or {})[name])
    if name in fit.law.inputs:
        of_runs = fit.law.inputs[name].present(of_runs)
    low, high = search_bounds(of_runs, bounds)
    x = np.geomspace(low, high, TRIED)
    shared = {**dict.fromkeys(open_columns(fit.design)), **_anywhere(fit, of), **(at or {})}
    tried = pd.DataFrame({key: [value] * TRIED for key, value in shared.items()} | {name: x})
    table = checked_points(fit.design, fit.runs, tried)
    values = along(fit, table, kind, name) if of is None else _of_law(fit, table, name, of)
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
    return fit.dataset({name: solution}, **attrs)[name]


def _check(fit: Draws, name: str, target: float, of: str | None, kind: Kind) -> None:
    """Raise for what is wrong with a question of `solve_for`."""
    law, design = fit.law, fit.design
    known = [*law.inputs, *design.numeric_columns]
    if not (isinstance(name, str) and name in known):
        raise UnknownNameError("input or covariate to solve for", name, known, key="name")
    if of is not None and not (isinstance(of, str) and of in law.quantities):
        raise UnknownNameError("quantity", of, law.quantities, key="of")
    if of is not None and name in law.inputs:
        raise SpecError(f"{of} does not depend on {name}.", key="of")
    if not is_finite(target):
        raise SpecError(f"target is {shown(target)}, and it must be a number.", key="target")
    if of is not None and kind != "mean":
        raise SpecError(
            f"kind is {kind!r}, and it must be 'mean' where a quantity is given (of).", key="kind"
        )
    require_kind(kind, ("mean", "latent"))
    if kind == "latent" and name in (*design.group_columns, *(fit.spec.curve_by or ())):
        raise SpecError(
            f"kind is 'latent', and in this model each value of {name} is a group or a curve with a"
            " random deviation of its own: use 'mean'.",
            key="kind",
        )


def _runs_of(fit: Draws, name: str, at: Mapping[str, Any]) -> pd.DataFrame:
    """The runs in which an input means what it means at ``at``.

    Raises
    ------
    SpecError : ``at`` does not say what the input means.
    """
    selector = fit.law.inputs[name].selector if name in fit.law.inputs else ""
    known = fit.runs.table[selector].map(label) if selector else pd.Series(dtype=str)
    if selector and label(at.get(selector)) not in set(known):
        raise SpecError(
            f"{name} is a different input for each {selector}: give {selector} in at, one of"
            f" {', '.join(sorted(known.unique()))}.",
            key=("at", selector),
        )
    return runs_selected(fit, name, at)


def _anywhere(fit: Draws, of: str | None) -> dict[str, Any]:
    """Inputs and switches at which a quantity is evaluated: it is the same at all of them. Empty
    for the response itself, whose inputs must be given."""
    if of is None:
        return {}
    switches = {switch.column: switch.off for switch in fit.law.switches.values()}
    return {**fit.runs.centre, **switches}


def _of_law(fit: Draws, table: pd.DataFrame, name: str, of: str) -> np.ndarray:
    """A quantity of the law along a trend, (sample, row), without deviations: those of a group of
    the runs do not count where a row happens to have its value."""
    parameters = Parameters.at(fit, table, "mean").without_effects_of(name)
    values = fit.law.value(of, **parameters.of_law(table))
    return np.broadcast_to(values, (fit.samples, len(table)))


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
