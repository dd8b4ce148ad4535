"""Figures of options: what each would log, and P(target) as the target varies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayeslaw.decisions import utility
from bayeslaw.plots.bands import probs_of, require
from bayeslaw.plots.labels import (
    chance,
    in_brackets,
    legend_below,
    line_style,
    new_axes,
    note_at_top,
    option_names,
    require_draws,
    row_names,
    spaced,
)
from bayeslaw.plots.rows import Rows, inches, wrapped
from bayeslaw.plots.style import BAND, BEYOND, HIDDEN, RUN, plain, style
from bayeslaw.text import magnitude

#: Inches: the height of a density.
DENSITY = 0.34
#: Opacity of the parts of a density that meet the target, and that do not.
MEETS, MISSES = 0.85, 0.55


def options(
    table: pd.DataFrame,
    draws: np.ndarray,
    *,
    target: float,
    response: str = "loss",
    lower_is_better: bool = True,
    chosen: int | None = None,
    labels: Sequence[str] | None = None,
    response_unit: str = "",
    cost_unit: str = "",
    ax: Axes | None = None,
    title: str = "",
    width: float = 9.0,
) -> Axes:
    """What a run of each option would log, and how much of it meets the target: a row an option.

    Every density is as high as its row: heights of two options cannot be compared. Below it are the
    median and the bands of the table.

    Parameters
    ----------
    table : ``Decision.table``: p_target, median, ``lower_P`` and ``upper_P``, and cost where any is
        above 0.
    draws : ``Decision.draws``, (sample, option).
    target, lower_is_better : the target, and on which side of it it is met.
    response : what is logged.
    chosen : the row of ``Decision.chosen``, marked.
    labels : what options are called; None: by the columns in which they differ.
    response_unit, cost_unit : for the labels.
    ax : where to draw; None: a new figure, ``width`` inches wide.
    title : of the axes. A plot of simulated runs must say so here.

    Raises
    ------
    SpecError : a column is missing, the draws are not those of the table, or the options too many.

    Examples
    --------
    >>> decision = bl.decide(fit, {"data_size": [1e11, 1e12]}, target=2.1)
    >>> bl.plots.options(decision.table, decision.draws, target=2.1)
    """
    require(table, ("p_target", "median"), "table of options")
    names = row_names(table, labels)
    require_draws(draws, len(names))
    priced = "cost" in table and bool((table["cost"] > 0).any())
    with style():
        rows = Rows(names, ax, width, DENSITY + 0.07, numbers=1 + priced, title=title)
        axis = rows.axis
        bases = rows.top + rows.text + DENSITY
        for i, base in enumerate(bases):
            row = table.iloc[i]
            _draw_density(axis, draws[:, i], base, target, lower_is_better)
            _draw_intervals(axis, row, base + 0.05, probs_of(table))
            costs = [magnitude(row["cost"])] if priced else []
            rows.write(i, [chance(row["p_target"]), *costs], bold=i == chosen)
            if i == chosen:
                _mark_chosen(rows, i)
        cost_heading = [f"cost{in_brackets(cost_unit)}"] if priced else []
        rows.head("option", ["P(target)", *cost_heading])
        _draw_target(rows, draws, target)
        _explain(axis, target, lower_is_better, probs_of(table))
        axis.set_xlabel(plain(spaced(response) + in_brackets(response_unit)))
        legend_below(axis, new_figure=ax is None)
    return axis


def _draw_density(
    axis: Axes, draws: np.ndarray, base: float, target: float, lower_is_better: bool
) -> None:
    """The density of one option's draws above ``base``, in two colours that meet at the target."""
    x, height = _density(draws)
    # Both parts share the point at the target, so that nothing is left between them.
    x, height = np.append(x, target), np.append(height, np.interp(target, x, height))
    order = np.argsort(x)
    x, height = x[order], height[order]
    meets = utility.met(x, target, lower_is_better)
    misses = ~meets | (x == target)
    for part, colour, alpha in ((misses, BEYOND, MISSES), (meets, BAND, MEETS)):
        top = base - DENSITY * height[part]
        axis.fill_between(x[part], base, top, color=colour, alpha=alpha, linewidth=0)


def _draw_intervals(axis: Axes, row: pd.Series, y: float, probs: Sequence[float]) -> None:
    """The median and the bands of one option."""
    for p in probs:
        thickness = 2.6 if p <= 50 else 1
        low, high = row[f"lower_{p:g}"], row[f"upper_{p:g}"]
        axis.hlines(y, low, high, color=RUN, linewidth=thickness)
    axis.plot(row["median"], y, "o", color=RUN, markersize=3.6)


def _mark_chosen(rows: Rows, i: int) -> None:
    """Shade the row of the option that was chosen."""
    rows.axis.axhspan(
        rows.top[i] - 0.05,
        rows.top[i] + rows.height - 0.11,
        facecolor=BAND,
        alpha=0.16,
        linewidth=0,
        label="chosen",
        zorder=0,
    )


def _draw_target(rows: Rows, draws: np.ndarray, target: float) -> None:
    """The target, and limits of the axis that hold it and nearly all draws."""
    axis, above = rows.axis, rows.top + rows.text
    axis.axvline(target, color=HIDDEN, linewidth=0.8, alpha=0.35)  # pale where it crosses words
    axis.vlines(
        np.full(len(rows.names), target),
        above - 0.03,
        above + DENSITY + 0.1,
        color=HIDDEN,
        linewidth=1.5,
    )
    of_all = np.quantile(draws, [0.003, 0.997])
    of_each = np.quantile(draws, [0.01, 0.99], axis=0).ravel()
    low, high = _ends(np.append(of_all, [target, *of_each]), margin=0.03)
    axis.set_xlim(low, high)
    note_at_top(axis, target, f"target {target:.4g}")


def _ends(x: np.ndarray, margin: float) -> tuple[float, float]:
    """The smallest and the largest value, and a share of their distance beyond each."""
    beyond = margin * ((x.max() - x.min()) or 1.0)
    return x.min() - beyond, x.max() + beyond


def _explain(axis: Axes, target: float, lower_is_better: bool, probs: Sequence[float]) -> None:
    """Entries of the legend for what every row has."""
    side = "at or below" if lower_is_better else "at or above"
    meets = f"meets the target ({side} {target:.4g})"
    for colour, alpha, name in ((BAND, MEETS, meets), (BEYOND, MISSES, "does not")):
        axis.fill_between([], [], [], color=colour, alpha=alpha, linewidth=0, label=name)
    intervals = "median"
    if probs:
        intervals += f", {' and '.join(f'{p:g} %' for p in reversed(probs))} of runs"
    axis.plot([], [], "o-", color=RUN, markersize=3.6, label=intervals)


def _density(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A grid of values, and the density of the draws at each, relative to the highest: a histogram
    smoothed by a normal kernel (Silverman 1986, equation 3.31).
    """
    low, high = np.quantile(draws, [0.003, 0.997])
    scale = utility.spread(draws[:, None])[0]
    # No finer than the bins, nor than digits: draws may all be one number, or lie very far apart.
    bandwidth = max(0.9 * scale * len(draws) ** -0.2, (high - low) / 200, 1e-6 * abs(low), 1e-9)
    bins = np.linspace(low - 3 * bandwidth, high + 3 * bandwidth, 401)
    count, edges = np.histogram(draws, bins=bins)
    step = edges[1] - edges[0]
    reach = int(np.clip(np.ceil(4 * bandwidth / step), 1, 199))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / bandwidth) ** 2)
    smooth = np.convolve(count, kernel, mode="same")
    return (edges[:-1] + edges[1:]) / 2, smooth / smooth.max()


def target_curve(
    draws: np.ndarray,
    *,
    target: float,
    lower_is_better: bool = True,
    go_at: float,
    no_go_at: float,
    labels: Sequence[str] | None = None,
    chosen: int | None = None,
    response: str = "loss",
    response_unit: str = "",
    ax: Axes | None = None,
    title: str = "",
    width: float = 9.0,
) -> Axes:
    """The probability that each option meets a target, as the target varies, and the targets at
    which its verdict changes.

    Parameters
    ----------
    draws : ``Decision.draws``, (sample, option).
    target : the target of the decision, marked.
    go_at, no_go_at : the thresholds of the verdict, shaded.
    labels : what options are called; None: option 1, option 2.
    chosen : the option of the verdict, drawn thicker.
    lower_is_better, response, response_unit, ax, title, width : as in `options`.

    Raises
    ------
    SpecError : draws that are not a number for each sample and option, or options that are too
        many.

    Examples
    --------
    >>> draws = np.random.default_rng(0).normal([2.0, 2.1], 0.1, size=(1000, 2))
    >>> bl.plots.target_curve(draws, target=2.05, go_at=0.8, no_go_at=0.2).get_xlabel()
    'target: loss'
    """
    names = option_names(labels, np.shape(draws)[-1])
    require_draws(draws, len(names))
    quantiles = np.quantile(draws, [0.005, 0.995], axis=0).ravel()
    low, high = _ends(np.append(quantiles, target), margin=0.04)
    targets = np.linspace(low, high, 400)
    with style():
        axis = new_axes(ax, width, title)
        _shade_verdicts(axis, go_at, no_go_at)
        turns = utility.break_even_targets(draws, go_at, no_go_at, lower_is_better)
        for i, name in enumerate(names):
            shares = [utility.met(draws[:, i], x, lower_is_better).mean() for x in targets]
            colour, dashes = line_style(i)
            go, no_go = turns["go"][i], turns["no-go"][i]
            words = f"{name}{' (chosen)' * (i == chosen)}: {_turns(go, no_go, lower_is_better)}"
            axis.plot(
                targets,
                np.array(shares),
                dashes,
                color=colour,
                linewidth=2.4 if i == chosen else 1.3,
                label=wrapped(words, inches(axis) - 0.9),
            )
            size = 5 if i == chosen else 3.5
            axis.plot([go, no_go], [go_at, no_go_at], "o", color=colour, markersize=size)
        axis.axvline(target, color=RUN, linewidth=1.1, linestyle=":")
        axis.set(
            xlim=(targets[0], targets[-1]),
            ylim=(-0.015, 1.015),
            ylabel="probability of meeting the target",
            xlabel=plain(f"target: {spaced(response)}{in_brackets(response_unit)}"),
        )
        note_at_top(axis, target, f"target {target:.4g}")
        legend_below(axis, new_figure=ax is None)
    return axis


def _shade_verdicts(axis: Axes, go_at: float, no_go_at: float) -> None:
    """Shade the probabilities at which the verdict is go, and no-go."""
    go, no_go = f"go (at least {go_at:g})", f"no-go (at most {no_go_at:g})"
    axis.axhspan(go_at, 1, facecolor=BAND, alpha=0.1, linewidth=0, label=go)
    axis.axhspan(0, no_go_at, facecolor=BEYOND, alpha=0.2, linewidth=0, label=no_go)


def _turns(go: float, no_go: float, lower_is_better: bool) -> str:
    """From which target on an option is a go, and up to which it is not."""
    go_from, no_go_from = ("from", "up to") if lower_is_better else ("up to", "from")
    return f"go {go_from} {go:.4g}, no-go {no_go_from} {no_go:.4g}"
