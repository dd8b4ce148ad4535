"""A backtest's predictions of hidden runs, and what happened: hits and misses, a panel a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayeslaw.errors import SpecError
from bayeslaw.plots.bands import (
    MOST_PANELS,
    axes_of_panels,
    on_log_axis,
    rows_of,
    scale_and_name,
    tidy,
)
from bayeslaw.plots.rows import entitle
from bayeslaw.plots.style import BAND, HIDDEN, RUN, style
from bayeslaw.text import named

#: How runs that were seen, hits and misses are marked.
SEEN: dict[str, Any] = {"marker": "o", "color": RUN, "markersize": 2.6, "alpha": 0.7}
HIT: dict[str, Any] = {"marker": "o", "color": BAND, "markersize": 4}
MISS: dict[str, Any] = {
    "marker": "x",
    "color": HIDDEN,
    "markersize": 5.5,
    "markeredgewidth": 1.5,
}


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
    """Hidden runs with their bands: a dot where the band held the run, a cross where it did not;
    and the runs that were seen.

    Parameters
    ----------
    points, seen : of a `Backtest`, of one split.
    x : the input on the horizontal axis. The bands are bars, one a hidden run, so that other inputs
        may differ.
    by : columns that make a panel each; its title counts the hits.
    prob : probability of the band that a run hits or misses; where there is a 50 % band, it is
        drawn inside.
    method : the method whose predictions are drawn.
    response, axes, x_unit, response_unit, log, title, width : as in `bayeslaw.plots.bands`.

    Returns
    -------
    array of Axes, one a panel.

    Raises
    ------
    SpecError : a column is missing, the panels are too many, or the Axes too few.

    Examples
    --------
    >>> found = bl.backtest("power", runs, "data_size > 3e8")
    >>> bl.plots.hindsight(found.points, found.seen, x="data_size", by=["task"])
    """
    lower, upper, inside = (f"{name}_{100 * prob:g}" for name in ("lower", "upper", "inside"))
    needed = ("method", x, "observed", lower, upper, inside, *by)
    if missing := [column for column in needed if column not in points.columns]:
        raise SpecError(
            f"The points have no column {', '.join(missing)}; they have"
            f" {', '.join(map(str, points.columns))}."
        )
    predicted = points[(points["method"] == method) & points[lower].notna()]
    panels = list(predicted.groupby(list(by), sort=True)) if by else [((), predicted)]
    if not len(predicted) or len(panels) > MOST_PANELS:
        raise SpecError(
            f"{len(panels)} panels of {len(predicted)} hidden runs cannot be drawn: at most"
            f" {MOST_PANELS} groups, at least one run."
        )
    with style():
        drawn = axes_of_panels(len(panels), axes, width, title)
        for axis, (values, part) in zip(drawn, panels, strict=False):
            chosen = dict(zip(by, values, strict=True))
            runs = on_log_axis(rows_of(seen, chosen), x)
            if runs is not None:
                _draw_points(axis, runs, x, response, "runs that were seen", SEEN)
            _draw_bars(axis, part, x, prob)
            hit = part[inside].astype(bool)
            _draw_points(axis, part[hit], x, "observed", "hidden run, within", HIT)
            _draw_points(axis, part[~hit], x, "observed", "hidden run, outside", MISS)
            name = ", ".join(named(column, value) for column, value in chosen.items())
            entitle(axis, name, f"{int(hit.sum())} of {len(part)} within")
            scale_and_name(axis, x, response, x_unit, response_unit, log)
        if axes is None:
            tidy(drawn)
    return drawn


def _draw_points(
    axis: Axes, table: pd.DataFrame, x: str, y: str, name: str, marks: dict[str, Any]
) -> None:
    """The rows of a table as points."""
    axis.plot(table[x], table[y], linestyle="none", label=name, **marks)


def _draw_bars(axis: Axes, part: pd.DataFrame, x: str, prob: float) -> None:
    """The band of each hidden run, and its 50 % band where there is one."""
    low, high = part[f"lower_{100 * prob:g}"], part[f"upper_{100 * prob:g}"]
    name = f"{100 * prob:g} % band"
    axis.vlines(part[x], low, high, color=BAND, linewidth=1.6, alpha=0.35, label=name)
    if "lower_50" in part:
        low, high = part["lower_50"], part["upper_50"]
        axis.vlines(part[x], low, high, color=BAND, linewidth=3.2, alpha=0.5, label="50 % band")
