"""The options that several commands have."""

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
            "Name of a law (see `bayeslaw laws`), with options as name:option=value, such as"
            " finetuning_multiplicative:factor=pet_size. A law of your own is my_module:MyLaw (with"
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
        help="The fit's law, if it is your own: my_module:MyLaw, with --allow-import.",
        show_default=False,
    ),
]
Columns = Annotated[
    list[str],
    typer.Option(
        "--column",
        "-c",
        help='Your name of a column: model_size="Model Size". Repeatable.',
        show_default=False,
    ),
]
Groups = Annotated[
    list[str],
    typer.Option(
        "--group",
        "-g",
        help=(
            "A grouping column. Repeatable. Default: the columns with well-known names (task,"
            " method, model, ...)."
        ),
        show_default=False,
    ),
]
Where = Annotated[
    str | None,
    typer.Option(help='Use only the rows where this is true: "loss < 3.5".', show_default=False),
]
Melt = Annotated[
    str | None,
    typer.Option(
        help="For a wide table: the input whose values are the headers of columns.",
        show_default=False,
    ),
]
Scale = Annotated[
    list[str],
    typer.Option(
        help="Factor to the unit of the law: model_size=1e9 for billions. Repeatable.",
        show_default=False,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress and no summary.")]
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
            "student_t, normal or laplace. Default: student_t, but normal with a discrepancy along"
            " curves."
        ),
        show_default=False,
    ),
]
DiscrepancyKind = Annotated[
    str | None,
    typer.Option(
        help="How runs may deviate from the law: none, curve or grid. Default: that of the law.",
        show_default=False,
    ),
]
MisfitKind = Annotated[
    str | None,
    typer.Option(
        "--misfit",
        help=(
            "How wrong the law may be beyond the runs and their usual tokens per parameter: learnt"
            " (from public ladders) or none. Default: learnt, for a law that has a record."
        ),
        show_default=False,
    ),
]
CurveBy = Annotated[
    list[str],
    typer.Option(
        help=(
            "Runs with equal values of this column are one curve. Repeatable. Default: the column"
            " run, or else all grouping columns and other inputs."
        ),
        show_default=False,
    ),
]
Draws = Annotated[int, typer.Option(help="Draws of each chain.")]
Tune = Annotated[int, typer.Option(help="Tuning steps of each chain.")]
Chains = Annotated[int, typer.Option(help="Number of chains.")]
Seed = Annotated[
    int | None,
    typer.Option(help="Random seed. The same seed gives the same numbers.", show_default=False),
]
RawCsv = Annotated[
    bool,
    typer.Option(
        "--raw-csv",
        help=(
            "Write texts to CSV files as they are. By default an apostrophe stands before one that"
            " begins with = + - @, a tab or a carriage return, so that a spreadsheet takes it for a"
            " text and not for a formula."
        ),
    ),
]
