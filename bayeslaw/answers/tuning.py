"""Which learning rate and batch size to train with at a scale that was never run, and what a choice
is expected to lose.
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

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.posterior.draws import Draws

#: Choices looked at along each axis where none are given, over the central 98 % of the optimum's
#: draws.
TRIED = 41


def optimum(fit: Draws, at: Mapping[str, Any]) -> xr.Dataset:
    """The best learning rate and batch size at a scale, and the loss there, over the draws.

    Parameters
    ----------
    fit : of `learning_rate_batch_size` or `step_law`.
    at : the law's other inputs (``compute``, or ``model_size`` and ``data_size``), and grouping
        columns; one that is left out is a group never seen. A scale never run has the deviation of
        a population's member (as kind "latent" has it).

    Returns
    -------
    Dataset, dims (chain, draw): ``learning_rate``, ``batch_size`` (tokens), ``loss``. Attributes:
    ``converged``.

    Raises
    ------
    SpecError : another law, or an input to be tuned among those given. RunsError : inputs that are
        missing or out of domain.
    """
    law, params, scale = _at(fit, at)
    names = dict(zip(OPTIMA, (*TUNED, "loss"), strict=True))
    drawn = {
        names[key]: np.broadcast_to(law.value(key, **scale, **params), fit.samples)
        for key in OPTIMA
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
    """What each choice of learning rate and batch size is expected to lose at a scale: a row a
    choice, the best one named.

    Parameters
    ----------
    fit, at : as in `optimum`.
    choices : ``learning_rate`` and ``batch_size`` (tokens), a DataFrame or a mapping whose values
        are multiplied out. None: a grid over the central 98 % of the optimum's draws.
    within : a choice is near-optimal where it loses at most this share of the least loss. The
        default is DeepSeek's .25 %.
    probs : probabilities of the intervals.

    Returns
    -------
    DataFrame: the columns of ``choices``; ``loss`` (median of the law's curve there) with its
    bands; ``excess``, the share of the least loss that is given up, on average, with its bands;
    ``p_near_optimal``; ``converged``. ``attrs["best"]`` is the row with the least expected excess,
    which weighs how much worse it is to err on one side than on the other: it is not the median of
    the optimum.

    Raises
    ------
    As `optimum`; SpecError for choices that are not positive, or a share that is not.
    """
    law, params, scale = _at(fit, at)
    if not (np.isfinite(within) and within > 0):
        raise SpecError(f"within is {within}, and it must be a positive share of the loss.")
    if choices is None:
        optima = {name: law.value(f"{name}_opt", **scale, **params) for name in TUNED}
        axes = {
            name: np.geomspace(np.quantile(x, 0.01), np.quantile(x, 0.99), TRIED)
            for name, x in optima.items()
        }
        table = pd.DataFrame(list(product(*axes.values())), columns=list(axes))
    else:
        table = grid(choices)
    for name in TUNED:
        numbers = (
            pd.to_numeric(table[name], errors="coerce") if name in table else pd.Series([np.nan])
        )
        if not len(table) or not (np.isfinite(numbers) & (numbers > 0)).all():
            raise SpecError(f"choices need {name}, a positive number in every row.")
    deep = {name: x[:, None] for name, x in params.items()}
    chosen = {name: table[name].to_numpy(float) for name in TUNED}
    excess = law.value("excess", **scale, **chosen, **deep)
    loss = law.expected(**scale, **chosen, **deep)
    bands: dict[str, np.ndarray] = {}
    for name, drawn, middle in (("loss", loss, "median"), ("excess", excess, "mean")):
        of = summaries_of(drawn, probs)
        bands |= {name: of[middle]} | {f"{end}_{name}": of[end] for end in quantile_columns(probs)}
    found = table.assign(
        **bands, p_near_optimal=(excess <= within).mean(axis=0), converged=fit.convergence.passed
    )
    found.attrs |= {"best": int(np.argmin(found["excess"])), "within": within, **scale}
    return found


def _at(
    fit: Draws, at: Mapping[str, Any]
) -> tuple[TunedLaw, dict[str, np.ndarray], dict[str, float]]:
    """The law, its parameters (sample,) at a scale, and the scale by the formula's argument names."""
    law = fit.spec.law
    if not isinstance(law, TunedLaw):
        raise SpecError(
            f"{law.name} has no learning rate and batch size to tune. Laws that have:"
            " learning_rate_batch_size, step_law."
        )
    if taken := [name for name in TUNED if name in at]:
        raise SpecError(
            f"at has {', '.join(taken)}, which is what is looked for; give choices instead."
        )
    anywhere = {name: fit.runs.centre[name] for name in TUNED}
    table = points_at(fit, at, [anywhere])
    params = {
        name: x[:, 0] for name, x in Parameters.at(fit, table, "latent").of_law(table).items()
    }
    return (
        law,
        params,
        {name: float(table[name].iloc[0]) for name in law.inputs if name not in TUNED},
    )
