"""The command that decides, from a saved fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import bayeslaw as bl
from bayeslaw import defaults
from bayeslaw.cli import arguments
from bayeslaw.cli.app import app
from bayeslaw.cli.options import AllowImport, AsJson, OwnLaw, Quiet
from bayeslaw.cli.terminal import out, print_table
from bayeslaw.errors import SpecError

if TYPE_CHECKING:
    from bayeslaw.posterior.points import Points

#: Exit codes of ``--gate``, for pipelines.
GATE = {"go": 0, "no-go": 10, "inconclusive": 11}


@app.command()
def decide(
    fitted: Annotated[Path, typer.Argument(metavar="FIT", help="A saved fit.", show_default=False)],
    target: Annotated[
        float,
        typer.Option(
            help="What the response must reach: at most for a loss, at least for a score.",
            show_default=False,
        ),
    ],
    option: Annotated[
        list[str],
        typer.Option(
            "--option",
            "-o",
            help=(
                "What the options differ in: method=lora,fmt. Repeatable; every combination is an"
                " option."
            ),
            show_default=False,
        ),
    ] = [],
    options: Annotated[
        Path | None,
        typer.Option(
            help="Table of options, instead of --option. It may have a column cost.",
            show_default=False,
        ),
    ] = None,
    at: Annotated[
        list[str],
        typer.Option(
            "--at", help="What all options share: model_size=16e9. Repeatable.", show_default=False
        ),
    ] = [],
    cost: Annotated[
        list[str],
        typer.Option(
            "--cost",
            help="Cost of the options with this value: lora=12000. Repeatable.",
            show_default=False,
        ),
    ] = [],
    value: Annotated[
        float | None,
        typer.Option(
            help="What meeting the target is worth, in the unit of cost.", show_default=False
        ),
    ] = None,
    go_at: Annotated[
        float, typer.Option(help="Go if the probability is at least this.")
    ] = defaults.GO_AT,
    no_go_at: Annotated[
        float, typer.Option(help="No-go if the probability is at most this.")
    ] = defaults.NO_GO_AT,
    gate: Annotated[
        bool, typer.Option("--gate", help="Exit code 0 for go, 10 for no-go, 11 for inconclusive.")
    ] = False,
    law: OwnLaw = None,
    allow_import: AllowImport = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Decide whether to spend the budget, on which option, and why.

    Example: `bayeslaw decide finetuning.nc --option method=lora,fmt --at model_size=16e9 --at
    finetuning_data=1e5 --target 1.05 --cost lora=12000 --cost fmt=90000`
    """
    from bayeslaw.runs.files import load_table

    if (options is None) == (not option):
        raise SpecError(
            "Say what the options are: either --option method=lora,fmt, or --options FILE."
        )
    fit = arguments.saved(fitted, law, allow_import)
    shared = arguments.points(at)
    if several := [name for name, values in shared.items() if len(values) > 1]:
        raise SpecError(
            f"--at {several[0]} has several values. Give what differs between options by --option."
        )
    if options is None:
        table: Points = arguments.points(option, "--option")
    else:
        table = load_table(options)[0].reset_index(drop=True)
    costs = {
        name: arguments.number(text, f"--cost {name}")
        for name, text in arguments.pairs(cost, "--cost").items()
    }
    decision = bl.decide(
        fit,
        table,
        target,
        at={name: values[0] for name, values in shared.items()},
        cost=costs or None,
        value=value,
        go_at=go_at,
        no_go_at=no_go_at,
    )
    if as_json:
        out.print_json(json.dumps(decision.to_json()))
    elif not quiet:
        out.print(str(decision))
        print_table(decision.table.drop(columns="converged"))
    if gate:
        raise typer.Exit(GATE[decision.verdict])
