"""Draws summarised in a table: equal-tailed bands of predictions, and a row for each variable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.errors import SpecError, UnknownNameError
from bayeslaw.posterior.draws import DIMS, Draws, Kind, require_kind
from bayeslaw.posterior.points import Points, checked_points, extrapolation_distance, grid
from bayeslaw.posterior.predict import each_block_of_draws
from bayeslaw.runs.arguments import as_list, is_finite
from bayeslaw.spec.spec import population_name
from bayeslaw.text import magnitude, named, shown

if TYPE_CHECKING:
    import xarray as xr


def bands(
    fit: Draws,
    points: Points,
    kind: Kind = "run",
    probs: Sequence[float] = defaults.PROBS,
    *,
    random_seed: int | None = None,
) -> pd.DataFrame:
    """Equal-tailed bands of predictions at new points.

    Parameters
    ----------
    fit, points, kind, random_seed : as in `bayeslaw.posterior.predict.predict`. The draws are the
        same, except on a curve of more than `bayeslaw.defaults.POINTS_PER_CURVE` points; they are
        summarised block by block, so that memory stays small.
    probs : probabilities of the bands: .9 is the band between the 5 % and 95 % quantiles.

    Returns
    -------
    DataFrame, one row per point: the columns of ``points``; mean and median; ``lower_50``,
    ``upper_50`` and so on, in the response's unit; ``distance_<input>``, decades beyond the runs,
    and ``distance_joint``, that of all inputs together; ``unseen``, the grouping columns whose
    value no run had; ``converged``. With ``kind="run"`` the heavy tails of Student-t noise can pull
    the mean far off: quote the median.

    Raises
    ------
    SpecError : a probability outside (0, 1).
    Other errors : as `bayeslaw.posterior.predict.predict`.

    Examples
    --------
    ``bands(fit, {"model_size": [1e9, 7e10], "data_size": 1.4e12}, probs=(0.9,))`` has two rows,
    and the columns model_size, data_size, mean, median, lower_90, upper_90, distance_model_size,
    distance_data_size, distance_joint, unseen, converged.
    """
    quantiles = quantile_columns(probs)
    require_kind(kind)
    asked = grid(points)
    table = checked_points(fit.design, fit.runs, asked)
    summaries = np.empty((len(table), 2 + len(quantiles)))

    def summarise(rows: np.ndarray, drawn: np.ndarray) -> None:
        summaries[rows] = np.column_stack(list(summaries_of(drawn, probs).values()))

    each_block_of_draws(fit, table, kind, random_seed, summarise, joint=False)
    asked_columns = table[list(map(str, asked.columns))]
    summary_columns = pd.DataFrame(summaries, columns=["mean", "median", *quantiles])
    distance = extrapolation_distance(fit, table)
    joined = pd.concat([asked_columns, summary_columns, distance], axis=1)
    return joined.assign(converged=fit.convergence.passed)


def quantile_columns(probs: Sequence[float]) -> dict[str, float]:
    """The columns of equal-tailed bands, each with its quantile: ``{"lower_90": 0.05, ...}``.

    Raises
    ------
    SpecError : a probability outside (0, 1).
    """
    if bad := [p for p in as_list(probs, "probs") if not (is_finite(p) and 0 < p < 1)]:
        raise SpecError(
            f"probs has {shown(bad[0])}, and a band's probability must be between 0 and 1.",
            key="probs",
        )
    columns = {}
    for p in probs:
        columns[f"lower_{100 * p:g}"] = (1 - p) / 2
        columns[f"upper_{100 * p:g}"] = (1 + p) / 2
    return columns


def summaries_of(drawn: np.ndarray, probs: Sequence[float]) -> dict[str, np.ndarray]:
    """Mean, median and bands of draws, (sample, point): one array, (point,), by column."""
    columns = quantile_columns(probs)
    quantiles = np.quantile(drawn, [0.5, *columns.values()], axis=0)
    return {"mean": drawn.mean(axis=0)} | dict(zip(["median", *columns], quantiles, strict=True))


def intervals_of(name: str, drawn: np.ndarray, probs: Sequence[float]) -> dict[str, Any]:
    """The median of draws, (sample, ...), under ``name``, and their bands, ``lower_90_name`` etc.

    Draws may be infinite. Each quantile is therefore one of the draws: nothing can be interpolated
    between a finite draw and an infinite one.
    """
    columns = {name: 0.5} | {f"{side}_{name}": q for side, q in quantile_columns(probs).items()}
    quantiles = np.quantile(drawn, list(columns.values()), axis=0, method="inverted_cdf")
    return dict(zip(columns, quantiles, strict=True))


def summary(
    fit: Draws, var_names: Sequence[str] | None = None, *, ci_prob: float = 0.9
) -> pd.DataFrame:
    """Mean, interval and diagnostics of each variable of the posterior, not rounded.

    Parameters
    ----------
    fit : the posterior.
    var_names : names of variables, as in ArviZ. None: all but the deviations of groups; of
        published coefficients, these.
    ci_prob : probability of the equal-tailed interval.

    Returns
    -------
    DataFrame, one row per variable (or element of one): mean, sd, ``lower_90``, ``upper_90``,
    ess_bulk, ess_tail, r_hat. A pinned variable has no R-hat: NaN. Where a variable is sampled at
    the table's centre also ``at``: where that is, in words, and "" for the others.

    Raises
    ------
    UnknownNameError : there is no variable of that name.
    """
    import arviz_stats

    posterior = fit.posterior
    if var_names is None and not fit.convergence.sampled:
        var_names = list(fit.law.params)
    if var_names is None:
        var_names = [
            str(name) for name, x in posterior.items() if x.dims == DIMS or "|" not in str(name)
        ]
    known = set(map(str, posterior))
    if unknown := [x for x in map(str, as_list(var_names, "var_names")) if x not in known]:
        raise UnknownNameError("variable", unknown[0], map(str, posterior))
    if not fit.convergence.sampled:
        return _with_place(fit, _of_one_draw(posterior[list(var_names)], ci_prob))
    with np.errstate(invalid="ignore"):  # a pinned variable has no R-hat: NaN
        table = arviz_stats.summary(
            posterior[list(var_names)], ci_prob=ci_prob, ci_kind="eti", round_to="none"
        )
    ends = [column for column in table.columns if column.startswith("eti")]
    sides = [f"{side}_{100 * ci_prob:g}" for side in ("lower", "upper")]
    renamed = table.rename(columns=dict(zip(ends, sides, strict=True)))
    return _with_place(fit, renamed[["mean", "sd", *sides, "ess_bulk", "ess_tail", "r_hat"]])


def _of_one_draw(posterior: xr.Dataset, ci_prob: float) -> pd.DataFrame:
    """The summary of published coefficients: no spread, and no diagnostics."""
    values = {str(name): float(x.values.item()) for name, x in posterior.items()}
    table = pd.DataFrame({"mean": pd.Series(values, dtype=float)}).assign(sd=0.0)
    for side in ("lower", "upper"):
        table[f"{side}_{100 * ci_prob:g}"] = table["mean"]
    return table.assign(ess_bulk=np.nan, ess_tail=np.nan, r_hat=np.nan)


def _with_place(fit: Draws, table: pd.DataFrame) -> pd.DataFrame:
    """The summary, with the centre of the table where a variable is sampled there."""
    names = {
        population_name(name, param) for name, param in fit.law.params.items() if param.at_centre
    }
    here = [str(row).partition("[")[0] in names for row in table.index]
    return table.assign(at=np.where(here, centre_in_words(fit), "")) if any(here) else table


def centre_in_words(fit: Draws) -> str:
    """Where the centre of the table is: "model size 302M, data size 4.11B".

    An input with a selector column has a centre for each of its values.
    """
    runs, words = fit.runs, []
    for name, value in runs.centre.items():
        selector = fit.law.inputs[name].selector
        if selector and len(runs):
            of_groups = runs.table[[selector]].drop_duplicates()
            centres = runs.centre_of(of_groups)[name]
            several = zip(of_groups[selector], centres, strict=True)
            words.append(
                f"{name.replace('_', ' ')} "
                + " or ".join(f"{magnitude(x)} ({label})" for label, x in several)
            )
        else:
            words.append(named(name, value))
    return ", ".join(words)
