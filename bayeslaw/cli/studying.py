"""Commands of a study file: write one, run it, lay its report out again."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

import bayeslaw as bl
from bayeslaw.atomic import atomic_write
from bayeslaw.cli.app import app
from bayeslaw.cli.deciding import GATE
from bayeslaw.cli.options import AllowImport, AsJson, Quiet
from bayeslaw.cli.terminal import err, out, parent_exists
from bayeslaw.errors import SpecError

if TYPE_CHECKING:
    from bayeslaw.study.result import StudyResult

Journey = Literal["finetuning", "overoptimization", "pretraining", "go-no-go"]

StudyFile = Annotated[
    Path, typer.Argument(metavar="STUDY", help="A study file (TOML).", show_default=False)
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Folder for what it finds. Default: the file's name, beside it.",
        show_default=False,
    ),
]
Template = Annotated[
    Path | None,
    typer.Option(
        help="A Jinja2 template that extends report.html.jinja and overrides its blocks.",
        show_default=False,
    ),
]


@app.command()
def init(
    journey: Annotated[Journey, typer.Argument(help="What it is about.")] = "finetuning",
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write it.")] = Path(
        "study.toml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a study file to start from, with a comment to every key. It runs as it stands, on
    simulated runs.

    Example: `bayeslaw init pretraining -o study.toml`
    """
    parent_exists(output)
    if output.exists() and not force:
        raise SpecError(f"{output} is there already. Name another, or replace it with --force.")
    with atomic_write(output) as part:
        part.write_text(template_of(journey), encoding="utf-8")
    out.print(f"Wrote {output}. Run it: bayeslaw run {output}", highlight=False)


def template_of(journey: Journey) -> str:
    """The study file that `init` writes."""
    return (files("bayeslaw.study") / "templates" / f"{journey.replace('-', '_')}.toml").read_text(
        encoding="utf-8"
    )


@app.command()
def run(
    study: StudyFile,
    output: Folder = None,
    gate: Annotated[
        bool, typer.Option("--gate", help="Exit code 0 for go, 10 for no-go, 11 for inconclusive.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Check the file and its runs, say what would be fitted, and stop."
        ),
    ] = False,
    template: Template = None,
    allow_import: AllowImport = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run a study from its file to its report: fit, checks, backtest, bands, decision, next runs.
    What an earlier run found is not computed again.

    Example: `bayeslaw run study.toml -o out`
    """
    from bayeslaw.study.schema import read_study

    asked, _ = read_study(study)  # before all that it takes to do more is loaded
    if gate and asked.decision is None:
        raise SpecError(f"{study} has no [decision]: there is nothing to gate.")
    if dry_run:
        from bayeslaw.study.prepare import prepare

        prepared = prepare(study, allow_import=allow_import)
        out.print(f"{study} has no fault.\n{prepared.runs}", markup=False, highlight=False)
        return
    result = bl.run_study(
        study,
        output,
        template=template,
        allow_import=allow_import,
        progressbar=shows(as_json, quiet),
        say=sayer(as_json, quiet),
    )
    tell(result, output or study.with_suffix(""), as_json, quiet)
    if gate and result.decision is not None:
        raise typer.Exit(GATE[result.decision.verdict])


@app.command()
def report(
    study: StudyFile,
    output: Folder = None,
    template: Template = None,
    allow_import: AllowImport = False,
    quiet: Quiet = False,
) -> None:
    """Lay out the report of a study that was run, with another template say; nothing is sampled.

    Example: `bayeslaw report study.toml -o out --template house_style.html.jinja`
    """
    result = bl.run_study(
        study,
        output,
        template=template,
        allow_import=allow_import,
        progressbar=False,
        say=sayer(False, quiet),
        stored=True,
    )
    tell(result, output or study.with_suffix(""), False, quiet)


def tell(result: StudyResult, folder: Path, as_json: bool = False, quiet: bool = False) -> None:
    """The verdict, why, and where the report is."""
    from bayeslaw.study.report import words

    if as_json:
        from bayeslaw.study.result import decision_file

        out.print_json(
            "null" if result.decision is None else decision_file(result).model_dump_json()
        )
    elif quiet:
        out.print(words.verdict(result), markup=False, highlight=False)
    else:
        colour = {"GO": "bold green", "NO-GO": "bold red", "INCONCLUSIVE": "bold yellow"}.get(
            words.verdict(result), "bold"
        )
        out.print(words.verdict(result), style=colour, markup=False, highlight=False)
        lines = [
            words.sentence(result),
            *(result.decision.reasons if result.decision else ()),
            words.hindsight(result),
            words.next_run(result),
        ]
        for line in filter(None, lines):
            out.print(f"- {line}", markup=False, highlight=False)
        for check in result.checks:
            if check.passed is False:
                out.print(f"- {check}", style="red", markup=False, highlight=False)
        out.print(f"Wrote {folder / 'report.html'}.", markup=False, highlight=False)
    if not result.fit.convergence.passed:
        err.print(
            "[bold red]The chains did not converge:[/bold red] these numbers are not to be"
            " relied on."
        )


def shows(as_json: bool, quiet: bool) -> bool:
    """Whether the sampler's bar is of use."""
    return not (as_json or quiet) and err.is_terminal


def sayer(as_json: bool, quiet: bool) -> Callable[[str], None] | None:
    """What tells the stages of a study, beside what a script reads."""
    return (
        None
        if as_json or quiet
        else lambda text: err.print(text, style="dim", markup=False, highlight=False)
    )
