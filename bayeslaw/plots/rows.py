"""Rows of a figure that have a line of text above what is drawn: names as long as they are, at any
width.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from bayeslaw.plots.style import NOTE, RUN, plain

#: Inches: a line of a row's text, the gap below a row; the width of a letter, and of a column of
#: numbers.
LINE, GAP, LETTER, NUMBERS = 0.16, 0.16, 0.065, 0.8
#: Inches: the width of a letter of a panel's title, and of what stands left of its axes, about
#: whose middle the title is centred.
TITLE_LETTER, LABELS = 0.073, 0.45


def inches(axis: Axes) -> float:
    """How wide the part of its figure is that belongs to these Axes."""
    figure, place = axis.get_figure(root=True), axis.get_subplotspec()
    whole = figure.get_figwidth() if figure is not None else 9.0
    if place is None:
        return whole * min(1.0, axis.get_position().width + 0.1)
    ratios = np.asarray(place.get_gridspec().get_width_ratios(), dtype=float)
    return whole * float(ratios[place.colspan.start : place.colspan.stop].sum() / ratios.sum())


def wrapped(text: str, wide: float, letter: float = LETTER) -> str:
    """Text from data as it stands, in lines that so many inches hold."""
    return plain("\n".join(textwrap.wrap(text, max(int(wide / letter), 14))))


def entitle(axis: Axes, *parts: str) -> None:
    """The title of one panel of several, in lines that do not reach into the next panel or past the
    figure: one part a line, where one line does not hold all.
    """
    wide = inches(axis) - LABELS
    title = wrapped(": ".join(filter(None, parts)), wide, TITLE_LETTER)
    axis.set_title(
        "\n".join(wrapped(part, wide, TITLE_LETTER) for part in parts if part)
        if "\n" in title
        else title
    )


class Rows:
    """Axes whose rows have a line of text above what is drawn: vertical positions are inches from
    the top, so that text and drawing do not meet.
    """

    def __init__(
        self,
        names: Sequence[str],
        ax: Axes | None,
        width: float,
        drawing: float,
        numbers: int,
        title: str,
        panels: int = 1,
    ) -> None:
        wide = width if ax is None else inches(ax)
        letters = max(14, int((wide - 0.4 - NUMBERS * numbers) / LETTER))
        self.names = [textwrap.wrap(str(name), letters) or [""] for name in names]
        self.text = LINE * max(map(len, self.names)) + 0.02
        self.height = self.text + drawing + GAP
        self.top = 0.3 + self.height * np.arange(len(names))
        if ax is None:
            size = (width, 0.3 + self.height * len(names) + 0.6 + 0.3 * bool(title))
            figure, grid = plt.subplots(
                1,
                panels,
                figsize=size,
                squeeze=False,
                layout="constrained",
                width_ratios=[2, 1][:panels],
            )
            self.axes = grid.ravel()
            if title:
                figure.suptitle(wrapped(title, width, 0.083), fontsize=10)
        else:
            self.axes = np.array([ax], dtype=object)
            if title:
                ax.set_title(wrapped(title, wide, 0.083), fontsize=10, pad=15)
        self.axis: Axes = self.axes[0]
        for axis in self.axes:
            self.lay(axis)

    def lay(self, axis: Axes) -> None:
        """Vertical positions without ticks; no background, which would hide the text of the axes to
        the left.
        """
        axis.set_ylim(0.3 + self.height * len(self.names), 0)
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
        axis.patch.set_visible(False)

    def head(self, first: str, numbers: Sequence[str]) -> None:
        """What the columns of text are, above the first row."""
        self._line(0.08, plain(first), [plain(number) for number in numbers], NOTE, "normal", 7.5)

    def write(self, i: int, numbers: Sequence[str], before: str = "", bold: bool = False) -> None:
        """A row's name, and its numbers at the right."""
        for j, part in enumerate(self.names[i]):
            self._line(
                self.top[i] + LINE * (j + 0.5),
                before * (j == 0) + plain(part),
                numbers if j == 0 else (),
                RUN,
                "bold" if bold else "normal",
                8.5,
            )

    def _line(
        self, y: float, first: str, numbers: Sequence[str], colour: str, weight: str, size: float
    ) -> None:
        ways: dict[str, Any] = {
            "va": "center",
            "color": colour,
            "fontweight": weight,
            "fontsize": size,
            "annotation_clip": False,
            "textcoords": "offset points",
        }
        self.axis.annotate(
            first,
            (0, y),
            xycoords=self.axis.get_yaxis_transform(),
            xytext=(2, 0),
            ha="left",
            **ways,
        )
        last = self.axes[-1]
        for j, number in enumerate(numbers):
            last.annotate(
                number,
                (1, y),
                xycoords=last.get_yaxis_transform(),
                xytext=(-2 - 72 * NUMBERS * j, 0),
                ha="right",
                **ways,
            )
