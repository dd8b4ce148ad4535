"""Commands for study files: write one, run it, lay out its report again."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

import bayeslaw as bl
from bayeslaw.atomic import atomic_write, require_writable
from bayeslaw.cli.app import app
from bayeslaw.cli.deciding import GATE
from bayeslaw.cli.options import AllowImport, AsJson, Quiet, RawCsv
from bayeslaw.cli.terminal import err, out
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
        help="Folder for the results. Default: beside the file, with its name.",
        show_default=False,
    ),
]
Template = Annotated[
    Path | None,
    typer.Option(
        help=(
            "A Jinja2 template that extends report.html.jinja and overrides its blocks. It runs in"
            " Jinja's sandbox: it reads the results, and neither writes files nor runs Python."
        ),
        show_default=False,
    ),
]


@app.command()
def init(
    journey: Annotated[Journey, typer.Argument(help="What the study is about.")] = "finetuning",
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the file.")] = Path(
        "study.toml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a study file to start from, with a comment for every key. You can run it unchanged: it
    uses simulated runs.

    Example: `bayeslaw init pretraining -o study.toml`
    """
    require_writable(output)
    if output.exists() and not force:
        raise SpecError(f"{output} exists already. Name another file, or replace it with --force.")
    with atomic_write(output) as part:
        part.write_text(template_of(journey), encoding="utf-8")
    out.print(f"Wrote {output}. Run it: bayeslaw run {output}")


def template_of(journey: Journey) -> str:
    """The text of the study file that `init` writes."""
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
            "--dry-run", help="Check the file and its runs, print what would be fitted, and stop."
        ),
    ] = False,
    template: Template = None,
    raw_csv: RawCsv = False,
    allow_import: AllowImport = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run a study from its file to its report: fit, checks, backtest, bands, decision, next runs.
    Results of an earlier run are not computed again.

    Example: `bayeslaw run study.toml -o out`
    """
    if gate or dry_run:
        from bayeslaw.study.prepare import prepare

        prepared = prepare(study, allow_import=allow_import)
        if gate and prepared.study.decision is None:
            raise SpecError(
                f"{study} has no [decision]: there is nothing to gate. Leave out --gate."
            )
        if dry_run:
            out.print(f"{study} has no fault.\n{prepared.runs}")
            return
    result = bl.run_study(
        study,
        output,
        template=template,
        allow_import=allow_import,
        progressbar=shows(as_json, quiet),
        say=sayer(as_json, quiet),
        raw_csv=raw_csv,
    )
    tell(result, output or study.with_suffix(""), as_json, quiet)
    if gate and result.decision is not None:
        raise typer.Exit(GATE[result.decision.verdict])


@app.command()
def report(
    study: StudyFile,
    output: Folder = None,
    template: Template = None,
    raw_csv: RawCsv = False,
    allow_import: AllowImport = False,
    quiet: Quiet = False,
) -> None:
    """Lay out the report of a finished study again, with another template for example. Nothing is
    sampled.

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
        raw_csv=raw_csv,
    )
    tell(result, output or study.with_suffix(""), False, quiet)


def tell(result: StudyResult, folder: Path, as_json: bool = False, quiet: bool = False) -> None:
    """Print the verdict, its reasons, and where the report is."""
    from bayeslaw.study.report import words

    if as_json:
        from bayeslaw.study.result import decision_file

        decided = result.decision is not None
        out.print_json(decision_file(result).model_dump_json() if decided else "null")
    elif quiet:
        out.print(words.verdict(result))
    else:
        _tell_in_full(result, folder)
    if not result.fit.convergence.passed:
        err.print("The chains did not converge:", style="bold red", end=" ")
        err.print("do not rely on these numbers.")


def _tell_in_full(result: StudyResult, folder: Path) -> None:
    from bayeslaw.study.report import words

    colours = {"GO": "bold green", "NO-GO": "bold red", "INCONCLUSIVE": "bold yellow"}
    verdict = words.verdict(result)
    out.print(verdict, style=colours.get(verdict, "bold"))
    lines = [words.sentence(result)]
    if result.decision is not None:
        lines += result.decision.reasons
    lines += [words.hindsight(result), words.next_run(result)]
    for line in filter(None, lines):
        out.print(f"- {line}")
    for check in result.checks:
        if check.passed is False:
            out.print(f"- {check}", style="red")
    out.print(f"Wrote {folder / 'report.html'}.")


def shows(as_json: bool, quiet: bool) -> bool:
    """Whether to show the sampler's progress bar."""
    return not (as_json or quiet) and err.is_terminal


def sayer(as_json: bool, quiet: bool) -> Callable[[str], None] | None:
    """A function that prints the stages of a study to standard error; None to print none."""
    if as_json or quiet:
        return None
    return lambda text: err.print(text, style="dim")
