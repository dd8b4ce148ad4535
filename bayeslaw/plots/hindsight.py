"""What a backtest said of each hidden run, and what happened: hits and misses, one panel a group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayeslaw.errors import SpecError
from bayeslaw.plots.bands import MOST_PANELS, axes_of_panels, rows_of, scale_and_name, tidy
from bayeslaw.plots.rows import entitle
from bayeslaw.plots.style import BAND, HIDDEN, RUN, style
from bayeslaw.text import named


def hindsight(
    points: pd.DataFrame,
    seen: pd.DataFrame,
    *,
    x: str,
    response: str = "loss",
    by: Sequence[str] = (),
    prob: float = 0.9,
    method: str = "bayeslaw",
    axes: Axes | Sequence[Axes] | None = None,
    x_unit: str = "",
    response_unit: str = "",
    log: bool = True,
    title: str = "",
    width: float = 9.0,
) -> np.ndarray:
    """Hidden runs with their bands: filled where the band held, a cross where it did not, the runs
    that were seen as points.

    Parameters
    ----------
    points, seen : of a `Backtest`, of one split.
    x : the input on the horizontal axis. The bands are bars, one a hidden run, so that other inputs
        may differ.
    by : columns that make a panel each; its title counts the hits.
    prob : probability of the band that hits and misses are of; where there is a 50 % band, it is
        drawn inside.
    method : whose prediction.
    response, axes, x_unit, response_unit, log, title, width : as in `bayeslaw.plots.bands`.

    Returns
    -------
    array of Axes, one a panel.

    Raises
    ------
    SpecError : a column is missing, the panels are too many, or the Axes too few.
    """
    lower, upper, inside = (
        f"lower_{100 * prob:g}",
        f"upper_{100 * prob:g}",
        f"inside_{100 * prob:g}",
    )
    if missing := [
        c for c in ("method", x, "observed", lower, upper, inside, *by) if c not in points.columns
    ]:
        raise SpecError(
            f"The points have no column {', '.join(missing)}; they have"
            f" {', '.join(map(str, points.columns))}."
        )
    own = points[(points["method"] == method) & points[lower].notna()]
    panels = list(own.groupby(list(by), sort=True)) if by else [((), own)]
    if not len(own) or len(panels) > MOST_PANELS:
        raise SpecError(
            f"{len(panels)} panels of {len(own)} hidden runs cannot be drawn: at most {MOST_PANELS}"
            " groups, at least one run."
        )
    with style():
        drawn = axes_of_panels(len(panels), axes, width, title)
        for axis, (values, part) in zip(drawn, panels, strict=False):
            chosen = dict(zip(by, values, strict=True))
            runs = rows_of(seen, chosen)
            if runs is not None:
                axis.plot(
                    runs[x],
                    runs[response],
                    "o",
                    color=RUN,
                    markersize=2.6,
                    alpha=0.7,
                    linestyle="none",
                    label="runs that were seen",
                )
            axis.vlines(
                part[x],
                part[lower],
                part[upper],
                color=BAND,
                linewidth=1.6,
                alpha=0.35,
                label=f"{100 * prob:g} % band",
            )
            if "lower_50" in part:
                axis.vlines(
                    part[x],
                    part["lower_50"],
                    part["upper_50"],
                    color=BAND,
                    linewidth=3.2,
                    alpha=0.5,
                    label="50 % band",
                )
            hit = part[inside].astype(bool)
            axis.plot(
                part.loc[hit, x],
                part.loc[hit, "observed"],
                "o",
                color=BAND,
                markersize=4,
                linestyle="none",
                label="hidden run, within",
            )
            axis.plot(
                part.loc[~hit, x],
                part.loc[~hit, "observed"],
                "x",
                color=HIDDEN,
                markersize=5.5,
                markeredgewidth=1.5,
                linestyle="none",
                label="hidden run, outside",
            )
            name = ", ".join(named(column, value) for column, value in chosen.items())
            entitle(axis, name, f"{int(hit.sum())} of {len(part)} within")
            scale_and_name(axis, x, response, x_unit, response_unit, log)
        if axes is None:
            tidy(drawn)
    return drawn
