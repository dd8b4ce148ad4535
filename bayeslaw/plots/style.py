"""Colours and axes of every figure, in one place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

#: Okabe and Ito's palette, told apart by colour-blind readers.
BAND, RUN, HIDDEN, BEYOND = "#0072B2", "#222222", "#D55E00", "#999999"

PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))


@contextmanager
def style() -> Iterator[None]:
    """The look of bayeslaw's figures, undone on leaving: nothing global is changed."""
    settings: dict[str, Any] = {
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#e5e5e5",
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
        "font.size": 9,
        "axes.titlesize": 9,
        "legend.frameon": False,
        "legend.fontsize": 8,
        "savefig.dpi": 150,
    }
    with mpl.rc_context(settings):  # type: ignore[arg-type]
        yield


def magnitude(x: float, _: Any = None) -> str:
    """1.6e10 as ``16B``: how people write model sizes and token counts. FLOP and other giants as a power of ten."""
    if x >= 1e18 or x < 1:
        return f"{x:.3g}"
    for size, letter in PREFIXES:
        if x >= size:
            return f"{x / size:.3g}{letter}"
    return f"{x:.3g}"


def named(column: str, value: Any) -> str:
    """A value in a title: a word stands for itself, a number needs its name."""
    return f"{column.replace('_', ' ')} {magnitude(float(value))}" if isinstance(value, int | float) else str(value)


def log_x(axes: Axes) -> None:
    """A logarithmic x axis with few, readable ticks."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    decades = high / low
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 50 else (1.0, 3.0) if decades < 500 else (1.0,), numticks=7))
    axes.xaxis.set_major_formatter(FuncFormatter(magnitude))
    axes.xaxis.set_minor_formatter(NullFormatter())


def log_y(axes: Axes) -> None:
    """A logarithmic y axis whose ticks are plain numbers, also where it spans less than a decade."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(
        MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]) if high / low < 8 else LogLocator(subs=(1.0, 2.0, 5.0), numticks=8)
    )
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:.4g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_locator(NullLocator())
