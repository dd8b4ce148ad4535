"""Were the predictions right? Coverage against nominal, and the PIT: both from the points of a
backtest.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from bayeslaw.errors import SpecError
from bayeslaw.plots.style import BAND, BEYOND, HIDDEN, RUN, style
from bayeslaw.validation.scores import OURS, REGION

#: One colour and marker a method, the package's own first.
METHODS = ((BAND, "o"), (HIDDEN, "s"), (RUN, "^"), ("#009E73", "D"), ("#CC79A7", "v"))
#: The ends of a region, by their columns.
ENDS = ("low", "high")


def coverage(
    points: pd.DataFrame,
    *,
    ax: Axes | None = None,
    title: str = "",
    regions: pd.DataFrame | None = None,
) -> Axes:
    """Share of hidden runs within each band against the band's probability, a line a method.

    Parameters
    ----------
    points : ``Backtest.points``: method, ``inside_P`` for each band. Methods without bands are left
        out.
    ax : where to draw; None: a new figure.
    title : of the axes. A plot of simulated runs must say so here.
    regions : ``Backtest.regions``: where a calibrated model's points lie with probability 90 %,
        with the errors that hidden runs share. None: where they would if the hidden runs were
        independent. Runs of one curve are not, so that a point outside is then a weaker sign than
        it seems.

    Raises
    ------
    SpecError : points has no bands.

    Examples
    --------
    >>> bl.plots.coverage(backtest.points).get_ylabel()
    'hidden runs within it (%)'
    """
    columns = {
        str(c): float(str(c).removeprefix("inside_")) / 100
        for c in points.columns
        if str(c).startswith("inside_")
    }
    if not columns or "method" not in points:
        raise SpecError(
            "The table has no columns method and inside_<P>: give it the points of a backtest."
        )
    with style():
        axis = plt.subplots(figsize=(4.6, 4.4), layout="constrained")[1] if ax is None else ax
        if regions is None:
            _independent(axis, points)
        else:
            region = regions[regions["measure"] == "coverage"]
            axis.vlines(
                100 * region["at"],
                100 * region["low"],
                100 * region["high"],
                color=BEYOND,
                alpha=0.35,
                linewidth=9,
                label="calibrated model",
            )
        axis.plot([0, 100], [0, 100], color=BEYOND, linewidth=1)
        methods = [
            (name, part)
            for name, part in points.groupby("method", sort=False)
            if part[list(columns)].notna().any(axis=None)
        ]
        for (name, part), (colour, marker) in zip(methods, METHODS, strict=False):
            known = part.dropna(subset=list(columns))
            shares = [100 * known[column].astype(float).mean() for column in columns]
            front = 3 if marker == "o" else 2
            axis.plot(
                [100 * p for p in columns.values()],
                shares,
                color=colour,
                marker=marker,
                markersize=4.5,
                linewidth=1.2,
                label=str(name),
                zorder=front,
            )
        axis.set(
            xlim=(0, 100),
            ylim=(0, 102),
            xlabel="probability of the band (%)",
            ylabel="hidden runs within it (%)",
            title=title,
        )
        # below: the lines may be anywhere within
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)
    return axis


def _independent(axis: Axes, points: pd.DataFrame) -> None:
    """Shade where the coverage of a calibrated method would lie if its hidden runs were
    independent.
    """
    grid = np.linspace(0.005, 0.995, 199)
    runs = points.groupby("method", sort=False).size().max()
    low, high = (
        stats.binom.ppf(q, runs, grid) / runs for q in ((1 - REGION) / 2, (1 + REGION) / 2)
    )
    axis.fill_between(
        100 * grid,
        100 * low,
        100 * high,
        color=BEYOND,
        alpha=0.25,
        linewidth=0,
        label=f"calibrated, {runs} independent runs",
    )


def pit(
    points: pd.DataFrame,
    *,
    method: str = OURS,
    bins: int = 10,
    ax: Axes | None = None,
    title: str = "",
    regions: pd.DataFrame | None = None,
) -> Axes:
    """Histogram of the PIT of one method: level where it is calibrated, a hump where its bands are
    too wide, a bowl where too narrow.

    Parameters
    ----------
    points : ``Backtest.points``: method, ``pit``.
    method : the method whose PIT is drawn.
    bins : how many bins the histogram has.
    ax, title, regions : as in `coverage`, of each bin; ``regions`` are of 10 bins of the package's
        own method, and with others the region is that of independent runs.

    Raises
    ------
    SpecError : no such method, or it has no PIT.

    Examples
    --------
    >>> bl.plots.pit(backtest.points, bins=5).get_ylabel()
    'hidden runs'
    """
    values = (
        points.loc[points["method"] == method, "pit"].dropna().to_numpy(float)
        if {"method", "pit"} <= set(points.columns)
        else np.array([])
    )
    if not len(values):
        raise SpecError(
            f"The table has no PIT of the method {method!r}: give it the points of a backtest."
        )
    with style():
        axis = plt.subplots(figsize=(4.6, 3.4), layout="constrained")[1] if ax is None else ax
        edges = np.linspace(0, 1, bins + 1)
        region = None if regions is None else regions[regions["measure"] == "pit"]
        if region is None or len(region) != bins or method != OURS:
            ends = ((1 - REGION) / 2, (1 + REGION) / 2)
            low, high = (stats.binom.ppf(q, len(values), 1 / bins) for q in ends)
            label = "calibrated, independent runs"
            axis.axhspan(low, high, color=BEYOND, alpha=0.25, linewidth=0, label=label)
        else:
            low, high = (len(values) * np.append(region[end], region[end].iloc[-1]) for end in ENDS)
            axis.fill_between(
                edges,
                low,
                high,
                step="post",
                color=BEYOND,
                alpha=0.25,
                linewidth=0,
                label="calibrated model",
            )
        axis.hist(
            values,
            bins=list(edges),
            color=BAND,
            alpha=0.75,
            edgecolor="white",
            label=f"{len(values)} hidden runs",
        )
        axis.set(
            xlim=(0, 1),
            xlabel="PIT: share of the prediction at or below what happened",
            ylabel="hidden runs",
            title=title,
        )
        axis.set_ylim(0, 1.2 * axis.get_ylim()[1])  # room for the legend
        axis.legend(loc="upper center", ncols=2)
    return axis


def calibration(
    points: pd.DataFrame,
    *,
    title: str = "",
    width: float = 9.0,
    regions: pd.DataFrame | None = None,
) -> np.ndarray:
    """`coverage` of all methods beside the `pit` of the package's own.

    Parameters
    ----------
    points : ``Backtest.points``.
    title, width : of the figure, width in inches; one column below 6.
    regions : as in `coverage`.

    Returns
    -------
    array of two Axes.

    Examples
    --------
    >>> bl.plots.calibration(backtest.points, title="simulated")
    """
    narrow = width < 6
    with style():
        size = (width, 2 * width) if narrow else (width, 0.5 * width)
        figure, axes = plt.subplots(
            2 if narrow else 1, 1 if narrow else 2, figsize=size, layout="constrained"
        )
        coverage(points, ax=axes[0], regions=regions)
        pit(points, ax=axes[1], regions=regions)
        if title:
            figure.suptitle(title, fontsize=10)
    return np.asarray(axes)
