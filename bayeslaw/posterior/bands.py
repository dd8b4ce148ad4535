"""Draws in a table: equal-tailed bands of predictions, and a summary of the variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.errors import SpecError, UnknownNameError
from bayeslaw.posterior.draws import DIMS, Draws, Kind, require_kind
from bayeslaw.posterior.points import Points, checked_points, extrapolation_distance, grid
from bayeslaw.posterior.predict import each_block_of_draws


def bands(
    fit: Draws,
    points: Points,
    kind: Kind = "run",
    probs: Sequence[float] = defaults.PROBS,
    *,
    random_seed: int | None = None,
) -> pd.DataFrame:
    """Equal-tailed bands at new points: the columns of ``points``, then mean, median, ``lower_50``,
    ``upper_50``, ...

    Parameters
    ----------
    fit, points, kind, random_seed : as in `bayeslaw.posterior.predict.predict`; the same draws,
        summarised block by block, so that memory stays small.
    probs : probabilities of the bands: .9 is the band between the 5 % and 95 % quantiles.

    Returns
    -------
    DataFrame, a row a point; then the columns ``distance_<input>`` (decades beyond the runs),
    ``unseen`` and ``converged``. The mean of ``kind="run"`` can be pulled by the tails of a
    Student-t; quote the median.

    Raises
    ------
    As `bayeslaw.posterior.predict.predict`; SpecError for a probability outside (0, 1).
    """
    quantiles = quantile_columns(probs)
    require_kind(kind)
    given = grid(points)
    table = checked_points(fit.design, fit.runs, given)
    summaries = np.empty((len(table), 2 + len(quantiles)))

    def summarise(rows: np.ndarray, drawn: np.ndarray) -> None:
        summaries[rows] = np.column_stack(list(summaries_of(drawn, probs).values()))

    each_block_of_draws(fit, table, kind, random_seed, summarise)
    columns = pd.DataFrame(summaries, columns=["mean", "median", *quantiles])
    own, distance = table[list(map(str, given.columns))], extrapolation_distance(fit, table)
    return pd.concat([own, columns, distance], axis=1).assign(converged=fit.convergence.passed)


def quantile_columns(probs: Sequence[float]) -> dict[str, float]:
    """The columns of equal-tailed bands, and the quantile of each: ``lower_90`` is the 5 % one.

    Raises
    ------
    SpecError : a probability outside (0, 1).
    """
    if bad := [p for p in probs if not 0 < p < 1]:
        raise SpecError(
            f"probs has {bad[0]}, and a band's probability must be between 0 and 1.", key="probs"
        )
    sides = ("lower", "upper")
    return {
        f"{side}_{100 * p:g}": (1 - p) / 2 if side == "lower" else (1 + p) / 2
        for p in probs
        for side in sides
    }


def summaries_of(drawn: np.ndarray, probs: Sequence[float]) -> dict[str, np.ndarray]:
    """Mean, median and bands of draws, (sample, point)."""
    columns = quantile_columns(probs)
    quantiles = np.quantile(drawn, [0.5, *columns.values()], axis=0)
    return {"mean": drawn.mean(axis=0)} | dict(zip(["median", *columns], quantiles, strict=True))


def intervals_of(name: str, drawn: np.ndarray, probs: Sequence[float]) -> dict[str, Any]:
    """Median ``name`` and bands ``lower_90_name`` ... of draws, (sample, ...), some of which may be
    infinite: between a finite and an infinite one there is nothing to interpolate."""
    columns = {name: 0.5} | {f"{side}_{name}": q for side, q in quantile_columns(probs).items()}
    quantiles = np.quantile(drawn, list(columns.values()), axis=0, method="inverted_cdf")
    return dict(zip(columns, quantiles, strict=True))


def summary(
    fit: Draws, var_names: Sequence[str] | None = None, *, ci_prob: float = 0.9
) -> pd.DataFrame:
    """A row a variable of the posterior: mean, sd, equal-tailed interval, bulk and tail ESS, R-hat,
    unrounded.

    Parameters
    ----------
    var_names : variables, as in ArviZ. None: all but the groups' deviations.
    ci_prob : probability of the interval.

    Raises
    ------
    UnknownNameError : no variable of that name.
    """
    import arviz_stats

    posterior = fit.posterior
    if var_names is None:
        var_names = [
            str(name) for name, x in posterior.items() if x.dims == DIMS or "|" not in str(name)
        ]
    if unknown := [name for name in var_names if name not in posterior]:
        raise UnknownNameError("variable", unknown[0], map(str, posterior))
    with np.errstate(invalid="ignore"):  # a pinned variable has no R-hat: NaN
        table = arviz_stats.summary(
            posterior[list(var_names)], ci_prob=ci_prob, ci_kind="eti", round_to="none"
        )
    ends = [column for column in table.columns if column.startswith("eti")]
    sides = [f"{side}_{100 * ci_prob:g}" for side in ("lower", "upper")]
    renamed = table.rename(columns=dict(zip(ends, sides, strict=True)))
    return renamed[["mean", "sd", *sides, "ess_bulk", "ess_tail", "r_hat"]]
