"""Which learning rate and batch size to train with at a scale that no run had, and how much loss a
choice is expected to cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.errors import SpecError
from bayeslaw.laws.tuning import OPTIMA, TUNED, TunedLaw
from bayeslaw.posterior.bands import quantile_columns, summaries_of
from bayeslaw.posterior.parameters import Parameters
from bayeslaw.posterior.points import Points, grid, points_at
from bayeslaw.runs.validation import numbers_of

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.posterior.draws import Draws

#: Values of each axis if no choices are given, over this central range of the optimum's draws.
TRIED, RANGE = 41, (0.01, 0.99)


def optimum(fit: Draws, at: Mapping[str, Any]) -> xr.Dataset:
    """The best learning rate and batch size at a scale, and the loss there, over the draws.

    Parameters
    ----------
    fit : of `learning_rate_batch_size` or `step_law`.
    at : the law's other inputs (``compute``, or ``model_size`` and ``data_size``), and grouping
        columns; for one that is left out the group is one that no run had. A scale that no run had
        deviates like a member of the population (as with kind "latent").

    Returns
    -------
    Dataset, dims (chain, draw): ``learning_rate``, ``batch_size`` (tokens), ``loss``. Attributes:
    ``converged``.

    Raises
    ------
    SpecError : another law, a model with a discrepancy, or an input to be tuned among those given.
    RunsError : inputs that are
        missing or out of domain.

    Examples
    --------
    >>> bl.optimum(fit, {"compute": 1e20})["learning_rate"].quantile([0.05, 0.5, 0.95])
    """
    law, params, scale = _law_at(fit, at)
    drawn = {
        name: np.broadcast_to(law.value(quantity, **scale, **params), fit.samples)
        for quantity, name in zip(OPTIMA, (*TUNED, "loss"), strict=True)
    }
    return fit.dataset(drawn, **scale)


def hyperparameters(
    fit: Draws,
    at: Mapping[str, Any],
    choices: Points | None = None,
    *,
    within: float = defaults.NEAR_OPTIMAL,
    probs: Sequence[float] = defaults.PROBS,
) -> pd.DataFrame:
    """How much loss each choice of learning rate and batch size is expected to cost at a scale: a
    row a choice, and which one is best.

    Parameters
    ----------
    fit, at : as in `optimum`.
    choices : ``learning_rate`` and ``batch_size`` (tokens), a DataFrame or a mapping whose values
        are multiplied out. None: a grid over the central 98 % of the optimum's draws.
    within : a choice is near-optimal if its loss exceeds the least loss by at most this share. The
        default is DeepSeek's .25 %.
    probs : probabilities of the intervals.

    Returns
    -------
    DataFrame: the columns of ``choices``; ``loss`` (median of the law's curve there) with its
    bands; ``excess``, by which share its loss exceeds the least loss, on average, with its bands;
    ``p_near_optimal``; ``converged``. ``attrs["best"]`` is the row with the least expected excess.
    It is not the median of the optimum: it accounts for errors on one side costing more than errors
    on the other.

    Raises
    ------
    As `optimum`; SpecError for choices that are not positive, or a share that is not.

    Examples
    --------
    >>> table = bl.hyperparameters(fit, {"compute": 1e20})
    >>> table.loc[table.attrs["best"], ["learning_rate", "batch_size", "p_near_optimal"]]
    """
    law, params, scale = _law_at(fit, at)
    if not (np.isfinite(within) and within > 0):
        raise SpecError(
            f"within is {within}, and it must be a positive share of the loss.", key="within"
        )
    if choices is None:
        table = _around_optimum(
            {name: law.value(f"{name}_opt", **scale, **params) for name in TUNED}
        )
    else:
        table = grid(choices)
    _check_choices(table)
    of_draws = {name: x[:, None] for name, x in params.items()}
    chosen = {name: table[name].to_numpy(float) for name in TUNED}
    excess = law.value("excess", **scale, **chosen, **of_draws)
    loss = law.expected(**scale, **chosen, **of_draws)
    ranked = table.assign(
        **_bands("loss", "median", loss, probs),
        **_bands("excess", "mean", excess, probs),
        p_near_optimal=(excess <= within).mean(axis=0),
        converged=fit.convergence.passed,
    )
    ranked.attrs |= {"best": int(np.argmin(ranked["excess"])), "within": within, **scale}
    return ranked


def _around_optimum(optima: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """A grid of choices over most draws of the optimum, evenly in the logarithm."""
    ends = [np.quantile(x, RANGE) for x in optima.values()]
    axes = [np.geomspace(low, high, TRIED) for low, high in ends]
    return pd.DataFrame(list(product(*axes)), columns=list(optima))


def _check_choices(table: pd.DataFrame) -> None:
    """Raise SpecError unless every choice has a positive learning rate and batch size."""
    for name in TUNED:
        if name in table:
            numbers = numbers_of(table[name])
            if len(table) and (np.isfinite(numbers) & (numbers > 0)).all():
                continue
        raise SpecError(f"choices need {name}, a positive number in every row.", key="choices")


def _bands(
    name: str, middle: str, drawn: np.ndarray, probs: Sequence[float]
) -> dict[str, np.ndarray]:
    """The mean or the median of draws, (sample, choice), and their bands ``lower_90_name`` ..."""
    summaries = summaries_of(drawn, probs)
    ends = {f"{end}_{name}": summaries[end] for end in quantile_columns(probs)}
    return {name: summaries[middle], **ends}


def _law_at(
    fit: Draws, at: Mapping[str, Any]
) -> tuple[TunedLaw, dict[str, np.ndarray], dict[str, float]]:
    """The law, its parameters at a scale, (sample,), and the scale by the names of the formula's
    arguments."""
    law = fit.law
    if not isinstance(law, TunedLaw):
        raise SpecError(
            f"{law.name} has no learning rate and batch size to tune. Laws that have:"
            " learning_rate_batch_size, step_law."
        )
    if fit.spec.discrepancy.changes_the_curve:
        raise SpecError(
            f"The optimum is that of the law {law.name}, and this model's expected loss is not the"
            " law's: it has a discrepancy. Fit with discrepancy='none', or compare choices with"
            " bands."
        )
    if taken := [name for name in TUNED if name in at]:
        raise SpecError(
            f"at has {', '.join(taken)}, which this call solves for: give choices instead.",
            key=("at", taken[0]),
        )
    anywhere = {name: fit.runs.centre[name] for name in TUNED}
    table = points_at(fit, at, [anywhere])
    drawn = Parameters.at(fit, table, "latent").of_law(table)
    params = {name: x[:, 0] for name, x in drawn.items()}
    scale = {name: float(table[name].iloc[0]) for name in law.inputs if name not in TUNED}
    return law, params, scale
