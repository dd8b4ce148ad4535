r"""How to split compute between model and data, over the draws: the optimum, the penalty off it,
and the contours around it.

Training on D tokens costs :math:`6 N D` FLOP and answering with T tokens :math:`2 N T` (Kaplan et
al. 2020, section 2.1). The optimum is

.. math::
    \min_N L(N, D), \quad 6 N D + 2 N T = C \qquad \text{or} \qquad
    \min_N 6 N D + 2 N T, \quad L(N, D) = L^*

in closed form where the law has one and T = 0 (`bayeslaw.laws.base.Law.optimal_size`), else by
golden section in log N, all draws at once.

References
----------
Hoffmann et al. 2022, arXiv 2203.15556, eq. 4. Sardana et al. 2024, arXiv 2401.00448, eq. 2:
inference tokens in the budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.answers.loss_curve import INFERENCE, LossCurve
from bayeslaw.errors import SpecError
from bayeslaw.posterior.bands import intervals_of, summaries_of
from bayeslaw.posterior.draws import DIMS
from bayeslaw.posterior.points import Points, grid
from bayeslaw.runs.columns import TRAINING, tokens_of
from bayeslaw.runs.validation import numbers_of

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.posterior.draws import Draws


def allocate(
    fit: Draws,
    compute: float | Sequence[float] | None = None,
    *,
    target: float | Sequence[float] | None = None,
    inference_tokens: float = 0.0,
    at: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """The compute-optimal model size and data, over the draws.

    Parameters
    ----------
    fit : of a law of model_size and data_size.
    compute : the whole budget in FLOP, of training and inference; or
    target : the loss to reach, at the least compute.
    inference_tokens : T, tokens that the model is expected to answer with in its life: a smaller
        model, trained longer, is then cheaper.
    at : other inputs of the law (``unique_data``) and grouping columns; for a grouping column that
        is left out the group is one that no run had.

    Returns
    -------
    Dataset, dims (chain, draw), and compute or target where several were given: ``model_size``
    (parameters), ``data_size`` (tokens), ``loss`` (the expected curve, kind "mean"),
    ``training_compute``, ``total_compute`` (FLOP), ``tokens_per_parameter``. NaN in draws without
    an optimum inside 1e3 to 1e20 parameters and tokens, such as a target below the irreducible
    loss: the attribute ``p_none`` says how likely that is (largest over the budgets).

    Raises
    ------
    SpecError : a law without these inputs; neither or both of compute and target; a value that is
        not positive. RunsError : as `bayeslaw.posterior.predict.predict`.

    Examples
    --------
    >>> best = bl.allocate(fit, compute=1e24)
    >>> best["model_size"].median(), best["data_size"].median()
    """
    curve = LossCurve.of(fit, at)
    if (compute is None) == (target is None):
        raise SpecError("allocate needs one of compute (FLOP) and target (loss).")
    given: Any = compute if target is None else target
    name, minimum = ("compute", curve.optimum) if target is None else ("target", curve.cheapest)
    values = _positive(name, given)
    _require_tokens(inference_tokens)
    splits = []
    for value in values:
        size, data = minimum(float(value), inference_tokens)
        training = TRAINING * size * data
        splits.append(
            {
                "model_size": size,
                "data_size": data,
                "loss": curve.loss(size, data),
                "training_compute": training,
                "total_compute": training + INFERENCE * size * inference_tokens,
                "tokens_per_parameter": data / size,
            }
        )
    none = max(float(np.isnan(split["model_size"]).mean()) for split in splits)
    variables = {key: np.stack([split[key] for split in splits], axis=-1) for key in splits[0]}
    allocated = fit.dataset(
        variables, [name], {name: values}, p_none=none, inference_tokens=inference_tokens
    )
    return allocated.isel({name: 0}) if np.ndim(given) == 0 else allocated


def _positive(name: str, given: Any) -> np.ndarray:
    """A positive number, or several, as an array.

    Raises
    ------
    SpecError : anything else.
    """
    flat = pd.Series(np.atleast_1d(given).ravel())
    values = numbers_of(flat).to_numpy(float)
    valid = len(values) and np.isfinite(values).all() and (values > 0).all()
    if np.ndim(given) > 1 or not valid:
        raise SpecError(
            f"{name} is {given}, and it must be a positive number, or several.", key=name
        )
    return np.asarray(values)


def _require_tokens(tokens: float) -> None:
    """Raise SpecError unless the number of inference tokens is finite and at least 0."""
    if not (isinstance(tokens, int | float) and np.isfinite(tokens) and tokens >= 0):
        raise SpecError(
            f"inference_tokens is {tokens}, and it must be a number of at least 0.",
            key="inference_tokens",
        )


def allocation_penalty(
    fit: Draws,
    points: Points,
    *,
    at: Mapping[str, Any] | None = None,
    probs: Sequence[float] = defaults.PROBS,
) -> pd.DataFrame:
    """The penalty of a choice of model size and data against the best split of the same training
    compute.

    Parameters
    ----------
    points : ``model_size`` and ``data_size`` (or ``compute``), a row or a product of values, as
        `bayeslaw.posterior.predict.predict` takes them.
    at, probs : as in `allocate`; probabilities of the intervals.

    Returns
    -------
    DataFrame, a row a point: ``compute``; ``p_none``, the probability that there is no optimum to
    compare with (what follows is of the other draws); ``loss``, ``penalty`` (its loss less the
    least loss for that compute) and ``compute_ratio`` (its compute over the least compute that
    reaches its loss: 1.2 is 20 % spent for nothing, or for cheap inference), medians with
    ``lower_90_...`` and the like; and ``converged``.

    Raises
    ------
    As `allocate`.

    Examples
    --------
    >>> bl.allocation_penalty(fit, {"model_size": [1e9, 1e10], "compute": 1e22})
    """
    curve, table = LossCurve.of(fit, at), grid(points)
    if "data_size" not in table and {"model_size", "compute"} <= set(table):
        compute, size = numbers_of(table["compute"]), numbers_of(table["model_size"])
        table = table.assign(data_size=tokens_of(compute, size))
    _check_sizes(table)
    sizes, tokens = table["model_size"].astype(float), table["data_size"].astype(float)
    penalties = [_penalty(curve, *choice, probs) for choice in zip(sizes, tokens, strict=True)]
    numbers = pd.DataFrame(penalties)
    about = table.drop(columns=[name for name in table if name in numbers])
    return pd.concat([about, numbers], axis=1).assign(converged=fit.convergence.passed)


def _penalty(curve: LossCurve, size: float, data: float, probs: Sequence[float]) -> dict[str, Any]:
    """A row of `allocation_penalty`, without the columns of the points."""
    compute = TRAINING * size * data
    loss = curve.loss(size, data)
    penalty = loss - curve.loss(*curve.optimum(compute))
    ratio = compute / curve.least_compute(loss, compute)
    none = np.isnan(penalty)
    row: dict[str, Any] = {"compute": compute, "p_none": float(none.mean())}
    for name, x in (("loss", loss), ("penalty", penalty), ("compute_ratio", ratio)):
        row |= intervals_of(name, x if none.all() else x[~none], probs)
    return row


def isoflop(
    fit: Draws,
    compute: float,
    model_size: Sequence[float],
    *,
    at: Mapping[str, Any] | None = None,
    probs: Sequence[float] = defaults.PROBS,
) -> pd.DataFrame:
    """The loss along a budget of training compute: a row a model size, with ``data_size`` and bands
    of the expected curve (kind "mean").

    >>> bl.isoflop(fit, 1e22, [1e9, 3e9, 1e10])[["model_size", "data_size", "median"]]
    """
    curve, size = LossCurve.of(fit, at), np.atleast_1d(np.asarray(model_size, dtype=float))
    data = tokens_of(compute, size)
    _check_sizes(pd.DataFrame({"model_size": size, "data_size": data}))
    bands = summaries_of(curve.evaluate(size[None, :], data[None, :]), probs)
    return pd.DataFrame(
        {"compute": compute, "model_size": size, "data_size": data, **bands}
    ).assign(converged=fit.convergence.passed)


def isoloss(
    fit: Draws,
    target: float,
    model_size: Sequence[float],
    *,
    at: Mapping[str, Any] | None = None,
    probs: Sequence[float] = defaults.PROBS,
) -> pd.DataFrame:
    """The data that each model size needs for a loss: a row a model size, with medians and
    intervals of ``data_size`` and of ``compute``.

    Data are searched from 1e3 to 1e20 tokens. Every draw counts: if the size never reaches the loss
    in a draw, its data are infinite, and ``p_none`` is the probability of that.

    >>> bl.isoloss(fit, 2.1, [1e9, 3e9, 1e10])[["model_size", "data_size", "p_none"]]
    """
    curve, size = LossCurve.of(fit, at), np.atleast_1d(np.asarray(model_size, dtype=float))
    if not (np.isfinite(target) and target > 0):
        raise SpecError(f"target is {target}, and it must be a positive loss.")
    _check_sizes(pd.DataFrame({"model_size": size, "data_size": 1.0}))
    data = curve.data_for(target, np.broadcast_to(size, (len(curve), len(size))))
    columns = {"p_none": np.isinf(data).mean(axis=0)}
    columns |= intervals_of("data_size", data, probs)
    columns |= intervals_of("compute", TRAINING * size * data, probs)
    return pd.DataFrame({"loss": target, "model_size": size, **columns}).assign(
        converged=fit.convergence.passed
    )


def summarised(allocated: xr.Dataset, probs: Sequence[float] = defaults.PROBS) -> pd.DataFrame:
    """A table of what `allocate` gave for several budgets or targets, a row each: the median of
    each variable, with ``lower_90_...`` and the like, of the draws that have an optimum.

    >>> summarised(bl.allocate(fit, [1e22, 1e23]))[["compute", "model_size", "data_size"]]
    """
    (over,) = [dim for dim in allocated.dims if dim not in DIMS]
    table = {str(over): allocated[over].values}
    for name, x in allocated.transpose(*DIMS, over).data_vars.items():
        drawn = x.values.reshape(-1, x.sizes[over])
        rows = [_intervals_of_known(str(name), draws, probs) for draws in drawn.T]
        columns = dict.fromkeys(column for row in rows for column in row)
        table |= {column: np.array([row.get(column, np.nan) for row in rows]) for column in columns}
    return pd.DataFrame(table).assign(p_none=allocated.attrs["p_none"])


def _intervals_of_known(name: str, draws: np.ndarray, probs: Sequence[float]) -> dict[str, Any]:
    """Median and intervals of the draws that are not NaN; empty where all are."""
    known = draws[~np.isnan(draws)]
    return intervals_of(name, known, probs) if len(known) else {}


def _check_sizes(table: pd.DataFrame) -> None:
    """Raise SpecError unless the table has model sizes and data sizes, all positive."""
    for name in ("model_size", "data_size"):
        if name not in table:
            raise SpecError(f"The points lack {name}.")
        numbers = numbers_of(table[name])
        if (bad := ~(np.isfinite(numbers) & (numbers > 0))).any():
            raise SpecError(
                f"{name} must be a positive number; it has {table[name][bad].iloc[0]!r}."
            )
