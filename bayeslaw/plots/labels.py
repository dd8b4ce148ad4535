"""Words on figures of options: names of rows, units, numbers, notes above the axes, legends."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayeslaw.decisions import go_no_go
from bayeslaw.decisions.candidates import ADDED as ADDED_BY_NEXT_RUNS
from bayeslaw.errors import SpecError
from bayeslaw.plots.rows import LETTER, inches, wrapped
from bayeslaw.plots.style import RUN, SERIES
from bayeslaw.text import magnitude, named_rows, percent

#: Options, or candidates, that a figure may have before it is unreadable.
MOST_OPTIONS = 12
#: Inches: the width of a letter of a figure's title.
TITLE_LETTER = 0.083
#: Inches of a legend: what stands left and right of it, what an entry takes beside its words, the
#: height of a line, and what stands above and below.
MARGIN, MARKER, LINE, PADDING = 0.4, 0.5, 0.17, 0.2


def row_names(
    table: pd.DataFrame, labels: Sequence[str] | None, most: int | None = MOST_OPTIONS
) -> list[str]:
    """What rows of a table are called: as given, or by the columns in which they differ.

    Raises
    ------
    SpecError : labels that are not one a row, no rows, or more than ``most``.
    """
    if not len(table) or (most and len(table) > most):
        limit = f", at most {most}" if most else ""
        raise SpecError(f"{len(table)} rows cannot be drawn: at least 1{limit}.")
    if labels is not None:
        if len(labels) != len(table):
            raise SpecError(f"There are {len(labels)} labels for {len(table)} rows.")
        return [str(name) for name in labels]
    added = (*go_no_go.ADDED, *ADDED_BY_NEXT_RUNS)
    columns = [
        name
        for name in table.columns
        if name not in added and not str(name).startswith(("lower_", "upper_"))
    ]
    return named_rows(table[columns]) if columns else option_names(None, len(table))


def option_names(labels: Sequence[str] | None, options: int) -> list[str]:
    """What options are called: as given, or option 1, option 2."""
    if labels is not None:
        return list(labels)
    return [f"option {i + 1}" for i in range(options)]


def require_draws(draws: np.ndarray, options: int) -> None:
    """Raise SpecError unless there is a finite number for each draw and option, and not too many
    options.
    """
    shape = np.shape(draws)
    if len(shape) != 2 or shape[1] != options or not len(draws) or not np.isfinite(draws).all():
        raise SpecError(
            f"The draws have the shape {shape}, and must be a finite number for each"
            f" sample and each of {options} options."
        )
    if not 1 <= options <= MOST_OPTIONS:
        raise SpecError(f"{options} options would be unreadable; draw at most {MOST_OPTIONS}.")


def line_style(i: int) -> tuple[str, str]:
    """Colour and dashes of the i-th of several lines."""
    return SERIES[i % len(SERIES)], ("-", "--")[i // len(SERIES) % 2]


def new_axes(ax: Axes | None, width: float, title: str) -> Axes:
    """The Axes that were given, or those of a new figure, with room for a note above."""
    axis = ax
    if axis is None:
        _, axis = plt.subplots(figsize=(width, 1.0 + 0.42 * width), layout="constrained")
    axis.set_title(wrapped(title, inches(axis), TITLE_LETTER), fontsize=10, pad=15)
    return axis


def note_at_top(axis: Axes, x: float, text: str) -> None:
    """A note above the axes, where a vertical line meets their edge; near an end of the axis it is
    aligned inwards.
    """
    on_screen = axis.transData.transform((x, axis.get_ylim()[0]))
    share = axis.transAxes.inverted().transform(on_screen)[0]
    side = "center"
    if share < 0.1:
        side = "left"
    elif share > 0.9:
        side = "right"
    axis.annotate(
        text,
        (x, 1),
        xycoords=axis.get_xaxis_transform(),
        xytext=(0, 2),
        textcoords="offset points",
        ha=side,
        va="bottom",
        fontsize=8,
        color=RUN,
    )


def legend_below(axis: Axes, new_figure: bool, title: str = "") -> None:
    """The legend below the axes and their label, in as many columns as fit, four at most. A new
    figure grows by the height of the legend.
    """
    handles, names = axis.get_legend_handles_labels()
    if not handles:
        return
    lines = [name.split("\n") for name in names]
    longest = max(len(line) for entry in lines for line in entry)
    fitting = int((inches(axis) - MARGIN) / (LETTER * longest + MARKER))
    columns = max(1, min(4, len(names), fitting))
    axis.legend(
        handles,
        names,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        borderaxespad=4.4,
        ncols=columns,
        title=title,
        title_fontsize=8,
        columnspacing=1.4,
    )
    figure = axis.get_figure(root=True)
    if new_figure and figure is not None:
        entries_of_columns = np.array_split(np.arange(len(names)), columns)
        heights = [sum(len(lines[i]) for i in entries) for entries in entries_of_columns]
        words = LINE * (max(heights) + bool(title))
        figure.set_figheight(figure.get_figheight() + PADDING + words)


def spaced(name: str) -> str:
    """A column's name in words."""
    return name.replace("_", " ")


def in_brackets(unit: str) -> str:
    """A unit, to stand behind a name; nothing where there is none."""
    return f" ({unit})" if unit else ""


def chance(p: float) -> str:
    """A probability as `bayeslaw.text.percent` has it, in the few letters of a column."""
    return percent(p).replace("less than ", "<").replace("more than ", ">")


def amount(x: float) -> str:
    """A value, which may be a loss, as people write it."""
    if abs(x) <= 1e-12:
        return "0"
    sign = "−" if x < 0 else ""
    return f"{sign}{magnitude(abs(x))}"
