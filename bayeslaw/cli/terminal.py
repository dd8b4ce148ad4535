"""What commands print and write, and how."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

import bayeslaw as bl
from bayeslaw.atomic import atomic_write
from bayeslaw.errors import SpecError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

#: A pipe or a file has no width: wide enough that no table is folded.
out, err = (
    Console(stderr=stderr, soft_wrap=True, width=None if stream.isatty() else 200)
    for stderr, stream in ((False, sys.stdout), (True, sys.stderr))
)


def parent_exists(path: Path) -> None:
    """Refuse a path in a folder that does not exist, before anything slow."""
    if not path.parent.is_dir():
        raise SpecError(f"{path} cannot be written: there is no folder {path.parent}.")


def say_working(quiet: bool) -> None:
    """Say what takes time, where the sampler's own bar does not show yet."""
    if not quiet and err.is_terminal:
        err.print("Compiling and sampling ...", style="dim")


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table, whole or not at all."""
    with atomic_write(path) as part:
        table.to_csv(part, index=False)


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
    """The summary of a fit, its checks (None: they are made here), and what was tried."""
    print_table(fitted.summary().rename_axis("variable").reset_index())
    for result in bl.check(fitted) if checks is None else checks:
        colour = {True: "green", False: "bold red", None: "yellow"}[result.passed]
        out.print(
            str(result),
            style=colour if result.passed is not True else None,
            markup=False,
            highlight=False,
        )
    for attempt in fitted.convergence.attempts[1:]:
        out.print(f"  tried again, {attempt}", markup=False, highlight=False)


def print_table(table: pd.DataFrame) -> None:
    """A table with its numbers to four digits."""
    from pandas.api.types import is_numeric_dtype

    shown = Table(box=None, header_style="bold", padding=(0, 1))
    for name, column in table.items():
        shown.add_column(
            str(name), justify="right" if is_numeric_dtype(column) else "left", overflow="fold"
        )
    for row in table.itertuples(index=False):
        shown.add_row(
            *(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row)
        )
    out.print(shown)
