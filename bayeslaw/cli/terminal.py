"""Print tables, fits and messages; write CSV files and figures."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from rich.console import Console
from rich.table import Table

import bayeslaw as bl
from bayeslaw.atomic import atomic_write
from bayeslaw.errors import SpecError, StorageError, visible

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


class Terminal(Console):
    """A console that prints text as it is: names and labels of a user's table are no markup, and no
    commands to the terminal.
    """

    def __init__(self, *, stderr: bool):
        stream = sys.stderr if stderr else sys.stdout
        # A pipe or a file has no width: 200 columns fold no table.
        width = None if stream.isatty() else 200
        super().__init__(
            stderr=stderr, soft_wrap=True, width=width, markup=False, highlight=False, emoji=False
        )

    def print(self, *objects: Any, **options: Any) -> None:
        """Print objects, texts without control characters."""
        super().print(*(visible(x) if isinstance(x, str) else x for x in objects), **options)


#: Standard output and standard error.
out, err = Terminal(stderr=False), Terminal(stderr=True)


def save_fit(fitted: bl.Fit, path: Path) -> Path:
    """Save a fit that took long; where that fails, in the folder of temporary files.

    Raises
    ------
    StorageError : it could not be saved there. The message says where it is.
    """
    try:
        return fitted.save(path)
    except StorageError as error:
        elsewhere = Path(tempfile.gettempdir()) / f"bayeslaw-{uuid4().hex[:8]}.nc"
        fitted.save(elsewhere)
        raise StorageError(f"{error} The fit is not lost: it was saved to {elsewhere}.") from error


def say_working(quiet: bool) -> None:
    """Say what takes time before the sampler's progress bar appears."""
    if not quiet and err.is_terminal:
        err.print("Compiling and sampling ...", style="dim")


def write_csv(table: pd.DataFrame, path: Path, raw: bool = False) -> None:
    """Write a table, whole or not at all; ``raw`` as in `bayeslaw.text.csv_of`."""
    from bayeslaw.text import csv_of

    text = csv_of(table, raw=raw)
    with atomic_write(path) as part:
        part.write_bytes(text.encode(errors="replace"))


def save_figure(draw: Callable[[ModuleType], np.ndarray], path: Path) -> None:
    """Write the figure that ``draw`` makes with `bayeslaw.plots`, without a display."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from bayeslaw import plots

    figure = draw(plots)[0].figure
    try:
        with atomic_write(path) as part:
            figure.savefig(part, dpi=180)
    except ValueError as error:  # matplotlib names the endings that it can write
        raise SpecError(f"{path} cannot be drawn: {error}") from error
    finally:
        plt.close(figure)


def print_fit(fitted: bl.Fit, checks: Sequence[bl.CheckResult] | None = None) -> None:
    """Print the summary of a fit, its checks (None: they are computed), and the retries."""
    table = fitted.summary().rename_axis("variable").reset_index()
    print_table(table.drop(columns="at", errors="ignore"))
    if "at" in table:
        where = next(filter(None, table["at"]))
        out.print(f"..._at_centre: at {where}, the geometric mean of each input.")
    colours = {True: None, False: "bold red", None: "yellow"}
    for result in bl.check(fitted) if checks is None else checks:
        out.print(str(result), style=colours[result.passed])
    for attempt in fitted.convergence.attempts[1:]:
        out.print(f"  tried again, {attempt}")


def print_table(table: pd.DataFrame) -> None:
    """Print a table, with four digits of each number."""
    from pandas.api.types import is_numeric_dtype

    shown = Table(box=None, header_style="bold", padding=(0, 1))
    for name, column in table.items():
        shown.add_column(
            visible(str(name)),
            justify="right" if is_numeric_dtype(column) else "left",
            overflow="fold",
        )
    for row in table.itertuples(index=False):
        shown.add_row(
            *(f"{value:.4g}" if isinstance(value, float) else visible(str(value)) for value in row)
        )
    out.print(shown)
