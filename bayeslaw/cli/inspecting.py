"""Commands that compile nothing: list the laws, check a table of runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

import bayeslaw as bl
from bayeslaw.cli import arguments
from bayeslaw.cli.app import app
from bayeslaw.cli.options import (
    AllowImport,
    AsJson,
    Columns,
    Groups,
    LawName,
    Melt,
    RunsFile,
    Scale,
    Where,
)
from bayeslaw.cli.terminal import out

if TYPE_CHECKING:
    from bayeslaw.laws.base import Law


@app.command()
def laws(
    name: Annotated[
        str | None, typer.Argument(help="Show only this law, in full.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    allow_import: AllowImport = False,
) -> None:
    """List every law: formula, options, inputs with units, parameters, source.

    Example: `bayeslaw laws chinchilla`
    """
    chosen = [arguments.law(name, allow_import)] if name else [cls() for cls in bl.laws().values()]
    if as_json:
        out.print_json(json.dumps([_law_json(law) for law in chosen]))
        return
    for law in chosen:
        table = Table(
            title=f"{law.name}   {law.response.name} = {law.formula}",
            title_style="bold",
            title_justify="left",
            box=None,
            show_header=False,
            padding=(0, 2),
        )
        for column, spec in law.inputs.items():
            table.add_row("input", column, spec.unit, spec.meaning)
        for parameter, param in law.params.items():
            sampled = f"sampled as {param.at_centre}; " if param.at_centre else ""
            table.add_row(
                "parameter",
                f"{parameter} ({param.symbol})",
                param.meaning,
                f"{sampled}prior {param.prior}" if name else "",
            )
        for quantity, meaning in law.quantities.items():
            table.add_row("quantity", quantity, meaning, "")
        for quantity, at in law.quantities_at.items():
            table.add_row(
                "quantity",
                quantity,
                at.meaning,
                f"at {', '.join(law.columns.get(x, x) for x in at.inputs)}",
            )
        out.print(table)
        for option, values in law.choices.items():
            given = f"{law.name}:{option}={getattr(law, option)}"
            out.print(f"  option       {given}   {option} is one of {', '.join(values)}")
        out.print(f"  source       {law.source}")
        if name:
            out.print()
            out.print(type(law).__doc__ or "")
        out.print()


@app.command()
def check(
    runs: RunsFile,
    law: LawName,
    column: Columns = [],
    group: Groups = [],
    where: Where = None,
    melt: Melt = None,
    scale: Scale = [],
    allow_import: AllowImport = False,
) -> None:
    """Check a table of runs: print all its faults, or else a summary. Nothing is compiled.

    Example: `bayeslaw check runs.csv --law chinchilla --column model_size=params --column
    data_size=tokens`
    """
    from bayeslaw.spec.identifiability import identifiability_warnings, sensitivity
    from bayeslaw.spec.resolve import resolve

    table = arguments.runs(runs, law, column, group, where, melt, scale, allow_import)
    out.print(str(table))
    design = resolve(bl.ModelSpec(table.law), table)
    for name, formula in design.spec.effects.items():
        if name in table.law.params:
            out.print(f"  {name:<18} {formula}   (default effects)")
    for text in identifiability_warnings(design, table, sensitivity(design, table)):
        out.print(f"  warning: {text}")


def _law_json(law: Law) -> dict[str, Any]:
    return {
        "name": law.name,
        "formula": law.formula,
        "options": {
            option: {"default": getattr(law, option), "values": list(values)}
            for option, values in law.choices.items()
        },
        "response": {"name": law.response.name, "unit": law.response.unit},
        "inputs": {
            name: {"unit": spec.unit, "meaning": spec.meaning} for name, spec in law.inputs.items()
        },
        "parameters": {
            name: {"symbol": param.symbol, "meaning": param.meaning, "prior": param.prior.to_json()}
            for name, param in law.params.items()
        },
        "quantities": {
            **law.quantities,
            **{name: at.meaning for name, at in law.quantities_at.items()},
        },
        "source": law.source,
    }
