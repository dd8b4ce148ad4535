"""Colours and axes of every figure, in one place."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, cast
from xml.etree import ElementTree

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from bayeslaw.errors import SpecError, visible
from bayeslaw.text import magnitude

#: Okabe and Ito's palette, told apart by colour-blind readers.
BAND, RUN, HIDDEN, BEYOND = "#0072B2", "#222222", "#D55E00", "#999999"
#: One colour a series, where there may be many: of the same palette, the package's own first. Past
#: their number lines are dashed.
SERIES = (BAND, HIDDEN, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
#: Text that explains, and grid lines.
NOTE, GRID = "#666666", "#e5e5e5"


@contextmanager
def style() -> Iterator[None]:
    """The look of bayeslaw's figures, undone on leaving: nothing global is changed."""
    settings: dict[str, Any] = {
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
        "font.size": 9,
        "axes.titlesize": 9,
        "legend.frameon": False,
        "legend.fontsize": 8,
        "savefig.dpi": 150,
    }
    with settings_of_matplotlib(settings):
        yield


@contextmanager
def settings_of_matplotlib(settings: Mapping[str, Any]) -> Iterator[None]:
    """Settings, each of which is what it was before on leaving.

    ``matplotlib.rc_context`` restores all others too. In a notebook, the first figure switches the
    display of figures on, and would have it switched off again.
    """
    current = cast(MutableMapping[str, Any], mpl.rcParams)
    before = {name: current[name] for name in settings}
    current.update(settings)
    try:
        yield
    finally:
        current.update(before)


def plain(text: Any) -> str:
    r"""Text from data, as it is: matplotlib would set what is between two dollar signs as a
    formula. Characters that cannot be seen are written out, because an SVG file cannot have them.

    >>> print(plain("USD 1 = $1"))
    USD 1 = \$1
    """
    return visible(str(text)).replace("$", r"\$")


def log_x(axes: Axes) -> None:
    """A logarithmic x axis with few, readable ticks."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    subs: tuple[float, ...] = (1.0,)
    if high / low < 50:
        subs = (1.0, 2.0, 5.0)
    elif high / low < 500:
        subs = (1.0, 3.0)
    axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=7))
    axes.xaxis.set_major_formatter(FuncFormatter(magnitude))
    axes.xaxis.set_minor_formatter(NullFormatter())


def log_y(axes: Axes) -> None:
    """A logarithmic y axis with plain numbers at its ticks, even if it spans less than a decade."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(
        MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10])
        if high / low < 8
        else LogLocator(subs=(1.0, 2.0, 5.0), numticks=8)
    )
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:.4g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_locator(NullLocator())


#: Colours that become the colour of the page's text, which may be light on dark, and the opacity of
#: each.
INKS = {"#000000": "", RUN: "", NOTE: "0.7", GRID: "0.18"}


def svg(axes: Axes | np.ndarray, *, title: str, salt: str = "bayeslaw") -> str:
    """The figure of these Axes as an SVG element to stand in a page, and the figure closed.

    Text stays text. Text, axes and grid have the page's colour and there is no background, so that
    the figure suits a light and a dark page. It is as wide as the element that holds it. The same
    figure gives the same string.

    Parameters
    ----------
    axes : of one figure.
    title : what the figure shows, for readers who do not see it.
    salt : the beginning of every id. Each figure of a page needs its own.

    Returns
    -------
    the element, without XML declaration or doctype.

    Raises
    ------
    SpecError : a salt that cannot begin an id.

    Examples
    --------
    >>> axis = bl.plots.pit(backtest.points)
    >>> bl.plots.svg(axis, title="PIT of the backtest", salt="pit")[:4]
    '<svg'
    """
    if not re.fullmatch(r"[A-Za-z][\w.-]*", salt):
        raise SpecError(
            f"salt is {salt!r}, and must be a letter, then letters, digits, '.', '-' or '_': ids"
            " begin with it."
        )
    figure = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()[0].get_figure(root=True)
    root = _drawn(figure, salt)
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            if name == "id":
                element.set(name, f"{salt}-{value}")
            elif name == "xlink:href" and value.startswith("#"):
                element.set(name, f"#{salt}-{value[1:]}")
            else:
                styled = _inked(value) if name == "style" else value
                element.set(name, styled.replace("url(#", f"url(#{salt}-"))
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    # matplotlib leaves out black, its default, and sets joins and caps once for the whole page.
    root.attrib |= {
        "role": "img",
        "aria-label": title,
        "style": "fill: currentColor; stroke-linejoin: round; stroke-linecap: butt",
    }
    heading = ElementTree.Element("title")
    heading.text = title
    root.insert(0, heading)
    return ElementTree.tostring(root, encoding="unicode")


def _drawn(figure: Figure, salt: str) -> ElementTree.Element:
    """The figure as matplotlib writes it, parsed: names without namespaces, no metadata, no rules
    for the whole page.
    """
    page = io.StringIO()
    for text in figure.findobj(Text):
        text.set_text(visible(text.get_text()))
    with settings_of_matplotlib({"svg.fonttype": "none", "svg.hashsalt": salt}):
        figure.savefig(page, format="svg", transparent=True, metadata={"Date": None})
    plt.close(figure)
    root = ElementTree.fromstring(visible(page.getvalue()))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {
            name.replace("{http://www.w3.org/1999/xlink}", "xlink:"): value
            for name, value in element.attrib.items()
        }
    root.attrib |= {
        "xmlns": "http://www.w3.org/2000/svg",
        "xmlns:xlink": "http://www.w3.org/1999/xlink",
    }
    return root


def _inked(declarations: str) -> str:
    """Declarations of a style, in which the page's colour replaces each colour of `INKS`."""
    for ink, share in INKS.items():
        for what in ("fill", "stroke"):
            paler = f"; {what}-opacity: {share}" if share else ""
            declarations = re.sub(
                rf"\b{what}: {ink}\b", f"{what}: currentColor{paler}", declarations
            )
    return declarations
