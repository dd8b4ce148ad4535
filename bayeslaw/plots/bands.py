"""Posterior bands against an input, with the runs, one panel a group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayeslaw.errors import SpecError
from bayeslaw.plots.rows import entitle
from bayeslaw.plots.style import BAND, BEYOND, HIDDEN, RUN, log_x, log_y, style
from bayeslaw.text import label, named

#: Panels a figure may have before it is unreadable.
MOST_PANELS = 36
#: What stands for none of an input is below this (`bayeslaw.laws.base.Input.none`).
NEXT_TO_NONE = 1e-29


def bands(
    table: pd.DataFrame,
    *,
    x: str,
    response: str = "loss",
    runs: pd.DataFrame | None = None,
    hidden: pd.DataFrame | None = None,
    runs_are: str = "runs",
    target: float | None = None,
    marks: pd.DataFrame | None = None,
    marked: str = "asked for",
    by: Sequence[str] = (),
    axes: Axes | Sequence[Axes] | None = None,
    x_unit: str = "",
    response_unit: str = "",
    log: bool = True,
    title: str = "",
    width: float = 9.0,
) -> np.ndarray:
    """Median and bands against one input: what ``fit.bands`` returned, drawn.

    Parameters
    ----------
    table : the columns of ``fit.bands``: ``x``, the columns of ``by``, median, ``lower_P`` and
        ``upper_P`` for each band, and ``distance_<x>`` where the region beyond the runs is to be
        marked.
    x : the input on the horizontal axis.
    response : the column of ``runs`` on the vertical axis.
    runs : the runs that the fit saw, drawn as points.
    hidden : runs that it did not see, drawn as crosses.
    runs_are : what the legend calls the runs, such as "runs, moved here by the law".
    target : of the response, drawn as a line.
    marks : points to mark at their ``median``, with ``x`` and the columns of ``by``, and what the
        legend calls them: ``marked``.
    by : columns that make a panel each.
    axes : one Axes a panel; None: a new figure, ``width`` inches wide, is laid out (single column
        below 5 inches).
    x_unit, response_unit : for the labels.
    log : logarithmic vertical axis, for losses.
    title : of the figure. A plot of simulated runs must say so here.

    Returns
    -------
    array of Axes, one a panel.

    Raises
    ------
    SpecError : a column is missing, the panels are too many, or the Axes too few.

    Examples
    --------
    >>> table = fit.bands({"data_size": np.geomspace(1e6, 1e11, 50)})
    >>> bl.plots.bands(table, x="data_size", runs=fit.runs.table)
    """
    panels = panels_of(table, (x, "median"), by)
    with style():
        drawn = axes_of_panels(len(panels), axes, width, title)
        for axis, (chosen, part) in zip(drawn, panels, strict=False):
            seen, unseen = rows_of(runs, chosen), rows_of(hidden, chosen)
            _panel(axis, part.sort_values(x), x, response, seen, unseen, runs_are)
            _draw_target(axis, target)
            _draw_marks(axis, rows_of(marks, chosen), x, marked)
            entitle(axis, ", ".join(named(column, value) for column, value in chosen.items()))
            scale_and_name(axis, x, response, x_unit, response_unit, log)
        if axes is None:
            tidy(drawn)
    return drawn


def _panel(
    axis: Axes,
    part: pd.DataFrame,
    x: str,
    response: str,
    runs: pd.DataFrame | None,
    hidden: pd.DataFrame | None,
    runs_are: str,
) -> None:
    """Bands and runs of one group."""
    runs, hidden = on_log_axis(runs, x), on_log_axis(hidden, x)
    at = part[x].to_numpy(float)
    fill_bands(axis, at, part, BAND, "{:g} % of runs")
    axis.plot(at, part["median"], color=BAND, linewidth=1.4, label="median")
    if runs is not None and len(runs):
        axis.plot(
            runs[x],
            runs[response],
            "o",
            color=RUN,
            markersize=2.6,
            alpha=0.7,
            linestyle="none",
            label=runs_are,
        )
    if hidden is not None and len(hidden):
        axis.plot(
            hidden[x],
            hidden[response],
            "x",
            color=HIDDEN,
            markersize=5,
            markeredgewidth=1.3,
            linestyle="none",
            label="unseen runs",
        )
    if f"distance_{x}" in part:
        _mark_beyond(axis, at, part[f"distance_{x}"].to_numpy(float))


def _draw_target(axis: Axes, target: float | None) -> None:
    """The target, as a line across the panel."""
    if target is not None:
        words = f"target {target:.4g}"
        axis.axhline(target, color=HIDDEN, linewidth=1.2, linestyle="--", label=words, zorder=1.5)


def _draw_marks(axis: Axes, marks: pd.DataFrame | None, x: str, marked: str) -> None:
    """Points at their medians, as diamonds."""
    if marks is not None and len(marks):
        axis.plot(
            marks[x],
            marks["median"],
            "D",
            markerfacecolor="none",
            markeredgecolor=HIDDEN,
            markersize=6.5,
            markeredgewidth=1.6,
            linestyle="none",
            clip_on=False,
            label=marked,
            zorder=3,
        )


def _mark_beyond(axis: Axes, at: np.ndarray, distance: np.ndarray) -> None:
    """Shade where the curve is beyond the runs."""
    low, high = at.min(), at.max()
    for outside, edge in ((distance > 0, high), (distance < 0, low)):
        if not outside.any() or outside.all():
            start = low if outside.all() else None
        else:
            inside = at[~outside]
            start = inside.max() if edge == high else inside.min()
        if start is not None:
            axis.axvspan(
                min(start, edge),
                max(start, edge),
                facecolor=BEYOND,
                alpha=0.13,
                linewidth=0,
                label="beyond the runs",
            )


def require(table: pd.DataFrame, needed: Sequence[str], what: str = "table of bands") -> None:
    """Raise SpecError unless the table has these columns."""
    if missing := [c for c in needed if c not in table.columns]:
        raise SpecError(
            f"The {what} has no column {', '.join(missing)}; it has"
            f" {', '.join(map(str, table.columns))}."
        )


def panels_of(
    table: pd.DataFrame, needed: Sequence[str], by: Sequence[str]
) -> list[tuple[dict[str, object], pd.DataFrame]]:
    """The panels of a table of bands: what each shows, and its rows.

    Raises
    ------
    SpecError : a column is missing, or the panels are too many.
    """
    require(table, (*needed, *by))
    panels = (
        [
            (dict(zip(by, values, strict=True)), part)
            for values, part in table.groupby(list(by), sort=True)
        ]
        if by
        else [({}, table)]
    )
    if len(panels) > MOST_PANELS:
        raise SpecError(
            f"{len(panels)} panels would be unreadable; draw at most {MOST_PANELS} groups."
        )
    return panels


def probs_of(table: pd.DataFrame, of: str = "") -> list[float]:
    """The probabilities of a table's bands in per cent, the widest first: its columns ``lower_P``,
    or ``lower_P_<of>``.
    """
    ends = f"_{of}" * bool(of)
    lower = [str(c) for c in table.columns if str(c).startswith("lower_") and str(c).endswith(ends)]
    names = [name.removeprefix("lower_").removesuffix(ends) for name in lower]
    probs = [float(name) for name in names if name.replace(".", "", 1).isdigit()]
    return sorted(probs, reverse=True)


def fill_bands(
    axis: Axes, at: np.ndarray, table: pd.DataFrame, colour: Any, label: str, of: str = ""
) -> None:
    """A table's bands, the widest palest. ``label`` takes the probability in per cent; ``of`` as in
    `probs_of`.
    """
    ends = f"_{of}" * bool(of)
    for i, p in enumerate(probs_of(table, of)):
        low, high = table[f"lower_{p:g}{ends}"], table[f"upper_{p:g}{ends}"]
        axis.fill_between(
            at, low, high, color=colour, alpha=0.18 + 0.17 * i, linewidth=0, label=label.format(p)
        )


def rows_of(table: pd.DataFrame | None, chosen: dict[str, object]) -> pd.DataFrame | None:
    """The rows of one panel."""
    if table is None:
        return None
    for column, value in chosen.items():
        table = table[table[column].map(label) == label(value)]
    return table


def on_log_axis(table: pd.DataFrame | None, x: str) -> pd.DataFrame | None:
    """The rows for which a logarithmic axis has a place: those with some of the input x."""
    return None if table is None else table[table[x] > NEXT_TO_NONE]


def scale_and_name(
    axis: Axes, x: str, response: str, x_unit: str, response_unit: str, log: bool
) -> None:
    """Scales of both axes, and their names with units."""
    log_x(axis)
    if log:
        log_y(axis)
    axis.set_xlabel(x.replace("_", " ") + (f" ({x_unit})" if x_unit else ""))
    unit = f" ({response_unit})" if response_unit else ""
    axis.set_ylabel(response.replace("_", " ") + unit)


def axes_of_panels(
    panels: int, axes: Axes | Sequence[Axes] | None, width: float, title: str
) -> np.ndarray:
    """The Axes that were given, or those of a new figure.

    Raises
    ------
    SpecError : fewer were given than there are panels.
    """
    drawn = (
        _new_axes(panels, width, title)
        if axes is None
        else np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
    )
    if len(drawn) < panels:
        raise SpecError(f"There are {panels} panels and {len(drawn)} Axes.")
    return drawn


def _new_axes(panels: int, width: float, title: str) -> np.ndarray:
    """The Axes of a new figure, in as many columns as its width allows."""
    columns = 1 if panels == 1 else min(panels, max(1, math.floor(width / 2.7)), 4)
    if panels % 3 == 0 and columns > 3:
        columns = 3
    rows = math.ceil(panels / columns)
    height = width * 0.62 if panels == 1 else rows * max(2.2, 0.72 * width / columns) + 0.7
    figure, grid = plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained"
    )
    for axis in grid.ravel()[panels:]:
        axis.remove()
    if title:
        figure.suptitle(title, fontsize=10)
    return grid.ravel()[:panels]


def tidy(axes: np.ndarray) -> None:
    """One legend for the figure, and labels only on its outer axes."""
    figure = axes[0].figure
    entries: dict[str, object] = {}
    for axis in axes:
        for handle, name in zip(*axis.get_legend_handles_labels(), strict=True):
            entries.setdefault(name, handle)
    # an entry has some twenty letters, which take 1.35 inches
    columns = max(2, min(len(entries), int(figure.get_figwidth() / 1.35)))
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower center",
        ncols=columns,
        columnspacing=1.2,
    )
    for axis in axes:
        place = axis.get_subplotspec()
        if not place.is_first_col():
            axis.set_ylabel("")
        if (
            not place.is_last_row()
            and place.rowspan.stop * place.get_gridspec().ncols + place.colspan.start < len(axes)
        ):
            axis.set_xlabel("")
