"""The options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RunsFile = Annotated[
    Path, typer.Argument(help="Table of runs: CSV, TSV or Parquet.", show_default=False)
]
LawName = Annotated[
    str,
    typer.Option(
        "--law",
        "-l",
        help=(
            "Name of a law (see `bayeslaw laws`); options as name:option=value, e.g."
            " finetuning_multiplicative:factor=pet_size; a law of your own as my_module:MyLaw (with"
            " --allow-import)."
        ),
        show_default=False,
    ),
]
AllowImport = Annotated[
    bool,
    typer.Option(
        "--allow-import",
        help="Import the module of --law my_module:MyLaw, which runs its code.",
        show_default=False,
    ),
]
OwnLaw = Annotated[
    str | None,
    typer.Option(
        "--law",
        help="A law of your own that the fit is of: my_module:MyLaw, with --allow-import.",
        show_default=False,
    ),
]
Columns = Annotated[
    list[str],
    typer.Option(
        "--column",
        "-c",
        help='Which column is what: model_size="Model Size". Repeatable.',
        show_default=False,
    ),
]
Groups = Annotated[
    list[str],
    typer.Option(
        "--group",
        "-g",
        help=(
            "A grouping column. Repeatable. Default: those known by name (task, method, model,"
            " ...)."
        ),
        show_default=False,
    ),
]
Where = Annotated[
    str | None,
    typer.Option(help='Keep rows for which this holds: "loss < 3.5".', show_default=False),
]
Melt = Annotated[
    str | None,
    typer.Option(
        help="For a wide table: the input whose values are the column headers.", show_default=False
    ),
]
Scale = Annotated[
    list[str],
    typer.Option(
        help="Factor to the canonical unit: model_size=1e9 for billions. Repeatable.",
        show_default=False,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]

Effects = Annotated[
    list[str],
    typer.Option(
        "--effect",
        "-e",
        help='Formula of a parameter: alpha="1 + (1 | method)". Repeatable.',
        show_default=False,
    ),
]
Priors = Annotated[
    list[str],
    typer.Option(
        "--prior",
        help="Prior of a variable: alpha=LogNormal:median=0.3,sigma=0.1, or a number. Repeatable.",
        show_default=False,
    ),
]
NoiseName = Annotated[
    str | None,
    typer.Option(
        help=(
            "student_t, normal or laplace. Default: student_t; normal with a discrepancy along"
            " curves."
        ),
        show_default=False,
    ),
]
DiscrepancyKind = Annotated[
    str | None,
    typer.Option(
        help="How reality may stray from the law: none, curve or grid. Default: the law's own.",
        show_default=False,
    ),
]
CurveBy = Annotated[
    list[str],
    typer.Option(
        help=(
            "A column that makes one curve. Repeatable. Default: run, or all grouping columns and"
            " other inputs."
        ),
        show_default=False,
    ),
]
Draws = Annotated[int, typer.Option(help="Draws a chain.")]
Tune = Annotated[int, typer.Option(help="Tuning steps a chain.")]
Chains = Annotated[int, typer.Option(help="Chains.")]
Seed = Annotated[int | None, typer.Option(help="Same seed, same numbers.", show_default=False)]
