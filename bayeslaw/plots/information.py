"""Figures of what knowing more is worth: the value of information, and what to run next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayeslaw.errors import SpecError
from bayeslaw.plots.bands import require
from bayeslaw.plots.labels import (
    MOST_OPTIONS,
    amount,
    in_brackets,
    legend_below,
    line_style,
    new_axes,
    note_at_top,
    option_names,
    require_draws,
    row_names,
)
from bayeslaw.plots.rows import LETTER, Rows, inches, wrapped
from bayeslaw.plots.style import BAND, BEYOND, NOTE, RUN, log_x, plain, style
from bayeslaw.text import magnitude

#: Inches: the height of a bar.
BAR = 0.13
#: Share of the axis's height below the strip that names the best option.
STRIP = 0.94


def value_of_information(
    at: np.ndarray,
    expected: np.ndarray,
    evpi: np.ndarray,
    *,
    x: str = "value of meeting the target",
    unit: str = "",
    now: float | None = None,
    labels: Sequence[str] | None = None,
    log: bool = False,
    ax: Axes | None = None,
    title: str = "",
    width: float = 9.0,
) -> Axes:
    """What each option is worth as the value of meeting the target, or a cost, varies; which is the
    best; and what it would be worth to know for certain.

    Parameters
    ----------
    at : the values, or costs, (step,), rising.
    expected, evpi : what `bayeslaw.decisions.utility.evpi_along` returned: (step, option) and
        (step,). Doing nothing, which is worth 0, is drawn too.
    x : what varies.
    unit : of ``x``, and of the expected values.
    now : the present value of ``x``, marked.
    labels : what options are called; None: option 1, option 2.
    log : logarithmic horizontal axis.
    ax, title, width : as in `bayeslaw.plots.options`.

    Raises
    ------
    SpecError : arrays whose shapes do not agree, or options that are too many.

    Examples
    --------
    >>> values = np.array([1.0, 5.0, 10.0])
    >>> met = np.array([[True, False], [True, True], [False, True]])
    >>> expected, evpi = evpi_along(met, [1.0, 2.0], values)
    >>> bl.plots.value_of_information(values, expected, evpi, unit="USD").get_ylabel()
    'expected value (USD)'
    """
    at, expected, evpi = (np.asarray(numbers, dtype=float) for numbers in (at, expected, evpi))
    _require_steps(at, expected, evpi)
    names = option_names(labels, expected.shape[1])
    require_draws(expected, len(names))
    worth = np.column_stack([np.zeros(len(at)), expected])
    known = worth.max(axis=1) + evpi
    with style():
        axis = new_axes(ax, width, title)
        axis.set_xscale("log" if log else "linear")
        axis.set_xlim(at[0], at[-1])
        _draw_worth(axis, at, worth, known, names)
        low, high = _vertical_ends(worth, known)
        span = (high - low) or 1.0
        # room above for the strip that names the best option
        axis.set_ylim(low - 0.04 * span, high + 0.16 * span)
        _draw_strip(axis, at, worth, ["nothing", *names])
        if now is not None:
            axis.axvline(now, ymax=STRIP, color=RUN, linewidth=1.1, linestyle=":")
            note_at_top(axis, now, f"now {magnitude(now)}")
        if log:
            log_x(axis)
        else:
            axis.xaxis.set_major_formatter(lambda number, _: amount(number))
        axis.yaxis.set_major_formatter(lambda number, _: amount(number))
        axis.set_xlabel(plain(x + in_brackets(unit)))
        axis.set_ylabel(plain("expected value" + in_brackets(unit)))
        legend_below(axis, new_figure=ax is None)
    return axis


def _require_steps(at: np.ndarray, expected: np.ndarray, evpi: np.ndarray) -> None:
    """Raise SpecError unless ``at`` rises, and the others have a row for each of its steps."""
    agree = expected.ndim == 2 and at.shape == evpi.shape == expected.shape[:1]
    if not agree or len(at) < 2 or not (np.diff(at) > 0).all():
        raise SpecError(
            f"at must rise, with a row of expected and an evpi for each: the shapes are {at.shape},"
            f" {expected.shape} and {evpi.shape}."
        )


def _draw_worth(
    axis: Axes, at: np.ndarray, worth: np.ndarray, known: np.ndarray, names: Sequence[str]
) -> None:
    """A line for doing nothing and for each option, (step, 1 + option), and what perfect
    information adds to the best of them."""
    best, words = worth.max(axis=1), "value of perfect information"
    axis.fill_between(at, best, known, color=BEYOND, alpha=0.3, linewidth=0, label=words)
    axis.plot(at, known, color=BEYOND, linewidth=1.2)
    axis.plot(at, worth[:, 0], color=RUN, linewidth=1, linestyle="--", label="doing nothing")
    for i, name in enumerate(names):
        colour, dashes = line_style(i)
        label = wrapped(name, inches(axis) - 0.9)
        axis.plot(at, worth[:, 1 + i], dashes, color=colour, linewidth=1.4, label=label)


def _vertical_ends(worth: np.ndarray, known: np.ndarray) -> tuple[float, float]:
    """The lowest and the highest value to show: an option that is worth far less than nothing may
    leave the axis."""
    of_options = np.maximum(worth[:, 1:].min(axis=0), -0.4 * known.max())
    return min(0.0, float(worth.max(axis=1).min()), *of_options), float(known.max())


def _draw_strip(axis: Axes, at: np.ndarray, worth: np.ndarray, names: Sequence[str]) -> None:
    """A strip at the top in the colour of the option that is best there, with its name where it has
    room, and the values at which the best option changes.
    """
    best = worth.argmax(axis=1)
    turns = np.flatnonzero(np.diff(best))
    crossings = [_crossing(at, worth, best, step) for step in map(int, turns)]
    edges = np.array([at[0], *crossings, at[-1]])
    logarithmic = axis.get_xscale() == "log"
    place = np.log(edges) if logarithmic else edges
    room = 0.85 * inches(axis) * np.diff(place) / (place[-1] - place[0])
    for i, winner in enumerate(map(int, [*best[turns], best[-1]])):
        left, right = edges[i], edges[i + 1]
        colour = line_style(winner - 1)[0] if winner else BEYOND
        axis.axvspan(left, right, ymin=STRIP, ymax=1, facecolor=colour, alpha=0.35, linewidth=0)
        middle = np.sqrt(left * right) if logarithmic else edges[i : i + 2].mean()
        _name_winner(axis, float(middle), names[winner], room[i])
    for i, x in enumerate(crossings):
        axis.axvline(x, ymax=STRIP, color=NOTE, linewidth=0.8, linestyle=":")
        # The number of the next crossing may stand in the room to the right.
        needed_on_right = 1.0 if i + 1 < len(crossings) else 0.5
        if room[i] > 0.5:
            _name_crossing(axis, x, "right")
        elif room[i + 1] > needed_on_right:
            _name_crossing(axis, x, "left")


def _crossing(at: np.ndarray, worth: np.ndarray, best: np.ndarray, step: int) -> float:
    """Where the best option changes between a step and the next, by a straight line."""
    gap = worth[step : step + 2, best[step]] - worth[step : step + 2, best[step + 1]]
    return float(at[step] + (at[step + 1] - at[step]) * gap[0] / (gap[0] - gap[1]))


def _name_winner(axis: Axes, x: float, name: str, room: float) -> None:
    """The name of the best option in the strip, as far as there is room, in inches."""
    texts = (f"best: {name}", name)
    text = next((text for text in texts if room > LETTER * len(text) + 0.1), "")
    if text:
        axis.text(
            x,
            0.97,
            plain(text),
            transform=axis.get_xaxis_transform(),
            ha="center",
            va="center",
            fontsize=7.5,
            color=RUN,
        )


def _name_crossing(axis: Axes, x: float, alignment: str) -> None:
    """The value at which the best option changes, beside its line."""
    axis.annotate(
        amount(x),
        (x, 0.93),
        xycoords=axis.get_xaxis_transform(),
        xytext=(-2 if alignment == "right" else 2, 0),
        textcoords="offset points",
        ha=alignment,
        va="top",
        fontsize=7.5,
        color=NOTE,
    )


def next_runs(
    table: pd.DataFrame,
    *,
    labels: Sequence[str] | None = None,
    most: int = MOST_OPTIONS,
    cost_unit: str = "",
    regret_unit: str = "",
    axes: Axes | Sequence[Axes] | None = None,
    title: str = "",
    width: float = 9.0,
) -> np.ndarray:
    """Expected reduction of variance and of regret by each candidate; bought runs first.

    Parameters
    ----------
    table : what ``bl.next_runs`` returned.
    labels : what candidates are called, in the order of the table; None: by the columns in which
        they differ.
    most : how many candidates are drawn.
    cost_unit, regret_unit : for the labels.
    axes : one, and another for the reduction of regret where there is any; None: a new figure,
        ``width`` inches wide.
    title : of the figure. A plot of simulated runs must say so here.

    Returns
    -------
    array of the one or two Axes.

    Raises
    ------
    SpecError : a column is missing, no candidates, or too few Axes.

    Examples
    --------
    >>> table = pd.DataFrame(
    ...     {"data_size": [1e10, 1e9], "cost": [10.0, 1.0], "variance_reduction": [0.6, 0.1]}
    ... )
    >>> (axis,) = bl.plots.next_runs(table)
    >>> axis.get_xlabel()
    'variance taken away (%)'
    """
    require(table, ("cost", "variance_reduction"), "table of candidates")
    names = pd.Series(row_names(table, labels, most=None))
    order = _bought_first(table)[:most]
    shown, names = table.iloc[order], names.iloc[order]
    bought = shown["bought"].to_numpy() if "bought" in shown else np.zeros(len(shown), dtype=int)
    # rounding leaves some 1e-15
    regrets = "regret_reduction" in table and bool((table["regret_reduction"] > 1e-9).any())
    with style():
        rows, drawn = _rows_of_candidates(list(names), axes, width, title, panels=1 + regrets)
        panels = zip(drawn, ("variance_reduction", "regret_reduction"), (100, 1), strict=False)
        for axis, column, scale in panels:
            values = scale * shown[column].to_numpy(float)
            _draw_bars(axis, rows, values, bought, named=axis is drawn[0])
            axis.set_xlim(0, max(1.08 * scale * float(shown[column].max()), 1e-12))
        for i, cost in enumerate(shown["cost"]):
            place = f"{bought[i]}. " if bought[i] else ""
            rows.write(i, [magnitude(cost)], before=place, bold=bool(bought[i]))
        part = f" ({len(shown)} of {len(table)})" if len(shown) < len(table) else ""
        rows.head(f"candidate{part}", [f"cost{in_brackets(cost_unit)}"])
        taken = ("variance taken away (%)", f"regret taken away{in_brackets(regret_unit)}")
        for axis, words in zip(drawn, taken, strict=False):
            axis.set_xlabel(wrapped(words, 0.9 * inches(axis), 0.075))
        if bought.any():
            left = table.attrs.get("variance_left")
            words = "" if left is None else f"all that are bought leave {left:.0%} of the variance"
            legend_below(drawn[0], axes is None, words)
    return drawn


def _bought_first(table: pd.DataFrame) -> np.ndarray:
    """The rows of candidates: those that are bought in their order, then the others."""
    if "bought" not in table:
        return np.arange(len(table))
    place = table["bought"].where(table["bought"] > 0, np.inf)
    return np.asarray(place.argsort(kind="stable"))


def _rows_of_candidates(
    names: Sequence[str],
    axes: Axes | Sequence[Axes] | None,
    width: float,
    title: str,
    panels: int,
) -> tuple[Rows, np.ndarray]:
    """Rows of candidates, and the Axes of the panels: those given, or of a new figure."""
    if axes is None:
        rows = Rows(names, None, width, BAR, numbers=1, title=title, panels=panels)
        return rows, rows.axes
    given = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
    if len(given) < panels:
        raise SpecError("There are 2 panels and 1 Axes: candidates also lower the regret.")
    rows = Rows(names, given[0], width, BAR, numbers=1, title=title, panels=panels)
    if panels > 1:
        rows.lay(given[1])
    return rows, given[:panels]


def _draw_bars(
    axis: Axes, rows: Rows, values: np.ndarray, bought: np.ndarray, *, named: bool
) -> None:
    """A bar for each candidate, in another colour where it is bought; ``named`` ones have entries
    in the legend."""
    middle = rows.top + rows.text + BAR / 2
    others, words = (BEYOND, "not bought") if bought.any() else (BAND, "")
    parts = ((bought > 0, BAND, "bought, in this order"), (bought == 0, others, words))
    for part, colour, name in parts:
        if part.any():
            axis.barh(
                middle[part],
                values[part],
                height=BAR,
                color=colour,
                alpha=0.85,
                label=name if named else "",
            )
