"""The command line's application: help, errors, exit codes."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import typer

from bayeslaw.cli.terminal import err
from bayeslaw.errors import BayeslawError, BayeslawWarning

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Bayesian scaling laws: posterior bands for the runs that you have not paid for yet.",
)

#: Exit code after Ctrl-C, as shells have it; Typer returns it too.
STOPPED = 130


def main() -> None:
    """Run the command line. An error of bayeslaw becomes one message and exit code 2, Ctrl-C exit
    code 130.
    """
    # A command lives for seconds. Imports and the compiler make millions of objects, and collecting
    # them would cost more than it frees.
    gc.set_threshold(200_000)
    sys.exit(run(sys.argv[1:]))


def run(argv: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    with warnings.catch_warnings():
        warnings.simplefilter("default", BayeslawWarning)
        warnings.showwarning = _show_warning
        try:
            code = app(list(argv), standalone_mode=False)
        except BayeslawError as error:
            err.print("Error:", style="bold red", end=" ")
            err.print(str(error))
            return 2
        except (KeyboardInterrupt, typer.Abort):
            code = STOPPED
        except typer.Exit as stop:
            return int(stop.exit_code)
        except Exception as error:
            # Usage errors of Typer and Click have this method; other errors are bugs.
            if not hasattr(error, "format_message"):
                raise
            err.print("Error:", style="bold red", end=" ")
            err.print(error.format_message())
            return 2
    if code == STOPPED:
        err.print("Stopped. Nothing was left half-written.")
    return int(code or 0)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    if issubclass(category, BayeslawWarning):
        err.print("Warning:", style="yellow", end=" ")
        err.print(str(message))
