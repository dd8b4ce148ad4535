"""The command line's application: help, errors, exit codes."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import typer
from typer.core import TyperCommand

from bayeslaw.cli.terminal import err
from bayeslaw.errors import BayeslawError, BayeslawWarning, SpecError


class Once(TyperCommand):
    """A command whose options with one value are given at most once: the last would win without a
    word."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments.

        Raises
        ------
        SpecError : an option is given twice.
        """
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        single = [x for x in order if x.param_type_name == "option" and not x.multiple]
        for param in single:
            if single.count(param) > 1 and not param.is_eager:
                raise SpecError(
                    f"{param.opts[0]} is given twice, and takes one value: give it once."
                )
        return super().parse_args(ctx, args)


class App(typer.Typer):
    """An application all of whose commands are `Once`."""

    def command[F: Callable[..., Any]](self, *args: Any, **options: Any) -> Callable[[F], F]:
        """Register a command."""
        return super().command(*args, **{"cls": Once, **options})


app = App(
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
