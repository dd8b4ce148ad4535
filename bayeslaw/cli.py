"""The command line. The only file that prints or exits."""

from __future__ import annotations

import gc
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

import bayeslaw as bl
from bayeslaw import arguments, defaults
from bayeslaw.errors import BayeslawError, BayeslawWarning, SpecError
from bayeslaw.files import whole
from bayeslaw.laws.base import Law
from bayeslaw.runs import label
from bayeslaw.tables import load_table

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Bayesian scaling laws: posterior bands for the runs that you have not paid for yet.",
)
#: A pipe or a file has no width: wide enough that no table is folded.
out, err = (
    Console(stderr=stderr, soft_wrap=True, width=None if stream.isatty() else 200)
    for stderr, stream in ((False, sys.stdout), (True, sys.stderr))
)

#: Exit code after Ctrl-C, as shells have it; Typer returns it too.
STOPPED = 130

RunsFile = Annotated[Path, typer.Argument(help="Table of runs: CSV, TSV or Parquet.", show_default=False)]
LawName = Annotated[
    str,
    typer.Option(
        "--law",
        "-l",
        help="Name of a law (see `bayeslaw laws`); options as name:option=value, e.g. finetuning_multiplicative:factor=pet_size.",
        show_default=False,
    ),
]
Columns = Annotated[
    list[str], typer.Option("--column", "-c", help='Which column is what: model_size="Model Size". Repeatable.', show_default=False)
]
Groups = Annotated[
    list[str],
    typer.Option(
        "--group", "-g", help="A grouping column. Repeatable. Default: those known by name (task, method, model, ...).", show_default=False
    ),
]
Where = Annotated[str | None, typer.Option(help='Keep rows for which this holds: "loss < 3.5".', show_default=False)]
Melt = Annotated[str | None, typer.Option(help="For a wide table: the input whose values are the column headers.", show_default=False)]
Scale = Annotated[
    list[str], typer.Option(help="Factor to the canonical unit: model_size=1e9 for billions. Repeatable.", show_default=False)
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def main() -> None:
    """Run the command line; errors of bayeslaw become one message and exit code 2, Ctrl-C exit code 130."""
    # A command lives for seconds: sweeping the millions of objects that imports and the compiler make costs more than it frees.
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
            err.print("[bold red]Error:[/bold red]", end=" ")
            err.print(str(error), markup=False, highlight=False)
            return 2
        except (KeyboardInterrupt, typer.Abort):
            code = STOPPED
        except typer.Exit as stop:
            return int(stop.exit_code)
        except Exception as error:
            if not hasattr(error, "format_message"):  # Typer's and Click's usage errors have it; anything else is a fault of ours
                raise
            err.print("[bold red]Error:[/bold red]", end=" ")
            err.print(error.format_message(), markup=False, highlight=False)
            return 2
    if code == STOPPED:
        err.print("Stopped. Nothing was written.")
    return int(code or 0)


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: str | None = None
) -> None:
    if issubclass(category, BayeslawWarning):
        err.print("[yellow]Warning:[/yellow]", end=" ")
        err.print(str(message), markup=False, highlight=False)


@app.command()
def laws(name: Annotated[str | None, typer.Argument(help="One law, in full.", show_default=False)] = None, as_json: AsJson = False) -> None:
    """Every law: formula, inputs with units, parameters, source.

    Example: `bayeslaw laws chinchilla`
    """
    chosen = [bl.law(name)] if name else [cls() for cls in bl.laws().values()]
    if as_json:
        out.print_json(json.dumps([_law_json(law) for law in chosen]))
        return
    for law in chosen:
        table = Table(
            title=f"[bold]{law.name}[/bold]   {law.response.name} = {law.formula}",
            title_justify="left",
            box=None,
            show_header=False,
            padding=(0, 2),
        )
        for column, spec in law.inputs.items():
            table.add_row("input", column, spec.unit, spec.meaning)
        for parameter, param in law.params.items():
            sampled = f"sampled as {param.at_centre}; " if param.at_centre else ""
            table.add_row("parameter", f"{parameter} ({param.symbol})", param.meaning, f"{sampled}prior {param.prior}" if name else "")
        for quantity, meaning in law.quantities.items():
            table.add_row("quantity", quantity, meaning, "")
        out.print(table)
        out.print(f"  source       {law.source}", highlight=False)
        if name:
            out.print()
            out.print(type(law).__doc__ or "", markup=False, highlight=False)
        out.print()


@app.command()
def check(
    runs: RunsFile, law: LawName, column: Columns = [], group: Groups = [], where: Where = None, melt: Melt = None, scale: Scale = []
) -> None:  # fmt: skip
    """Check a table of runs: its faults, or a summary. Nothing is compiled.

    Example: `bayeslaw check runs.csv --law chinchilla --column model_size=params --column data_size=tokens`
    """
    from bayeslaw.identifiability import identifiability_warnings, sensitivity
    from bayeslaw.spec import resolve

    table = arguments.runs(runs, law, column, group, where, melt, scale)
    out.print(str(table), markup=False, highlight=False)
    spec = resolve(bl.ModelSpec(table.law), table)
    for name, formula in spec.effects.items():
        if name in table.law.params:
            out.print(f"  {name:<18} {formula}   (default effects)", markup=False, highlight=False)
    for text in identifiability_warnings(spec, table, sensitivity(spec, table)):
        out.print(f"  warning: {text}", markup=False, highlight=False)


@app.command()
def fit(
    runs: RunsFile,
    law: LawName,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to save the fit (NetCDF).", show_default=False)],
    column: Columns = [],
    group: Groups = [],
    where: Where = None,
    melt: Melt = None,
    scale: Scale = [],
    effect: Annotated[
        list[str], typer.Option("--effect", "-e", help='Formula of a parameter: alpha="1 + (1 | method)". Repeatable.', show_default=False)
    ] = [],
    prior: Annotated[
        list[str],
        typer.Option(
            "--prior", help="Prior of a variable: alpha=LogNormal:median=0.3,sigma=0.1, or a number. Repeatable.", show_default=False
        ),
    ] = [],
    noise: Annotated[str, typer.Option(help="student_t or normal.")] = "student_t",
    draws: Annotated[int, typer.Option(help="Draws a chain.")] = defaults.DRAWS,
    tune: Annotated[int, typer.Option(help="Tuning steps a chain.")] = defaults.TUNE,
    chains: Annotated[int, typer.Option(help="Chains.")] = defaults.CHAINS,
    seed: Annotated[int | None, typer.Option(help="Same seed, same numbers.", show_default=False)] = None,
    sampler: Annotated[str, typer.Option(help="nutpie, pymc or numpyro.")] = "nutpie",
    quiet: Quiet = False,
) -> None:
    """Fit a law to runs, print the summary and the checks, save the fit.

    Example: `bayeslaw fit runs.csv --law chinchilla --column model_size=params -o chinchilla.nc --seed 1`
    """
    _parent_exists(output)
    table = arguments.runs(runs, law, column, group, where, melt, scale)
    spec = bl.ModelSpec(
        table.law,
        effects=arguments.pairs(effect, "--effect"),
        noise=noise,  # type: ignore[arg-type]
        priors={name: arguments.prior(text) for name, text in arguments.pairs(prior, "--prior").items()},
    )
    _say_working(quiet)
    fitted = bl.fit(spec, table, draws=draws, tune=tune, chains=chains, random_seed=seed, sampler=sampler, progressbar=not quiet)  # type: ignore[arg-type]
    path = fitted.save(output)
    if not quiet:
        _print_fit(fitted)
        out.print(f"Saved to {path} (seed {fitted.random_seed}).", highlight=False)
    if not fitted.convergence.passed:
        raise typer.Exit(1)


@app.command()
def predict(
    fitted: Annotated[Path, typer.Argument(metavar="FIT", help="A saved fit.", show_default=False)],
    at: Annotated[
        list[str],
        typer.Option("--at", help="Where: model_size=70e9; several values with commas are multiplied out. Repeatable.", show_default=False),
    ] = [],
    points: Annotated[Path | None, typer.Option(help="Table of points, instead of --at.", show_default=False)] = None,
    kind: Annotated[str, typer.Option(help="run (what a new run would log) or mean (the law's curve).")] = "run",
    prob: Annotated[list[float], typer.Option(help="Probability of a band. Repeatable.")] = list(defaults.PROBS),
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to write the bands (CSV).", show_default=False)] = None,
    plot: Annotated[Path | None, typer.Option(help="Where to draw the bands (PNG, SVG, PDF).", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(help="Default: the fit's.", show_default=False)] = None,
    quiet: Quiet = False,
) -> None:
    """Bands at scales that nobody has run.

    Example: `bayeslaw predict chinchilla.nc --at model_size=70e9 --at data_size=1.4e12 -o bands.csv --plot bands.png`
    """
    for path in (output, plot):
        if path is not None:
            _parent_exists(path)
    fit_ = bl.load(fitted)
    if (points is None) == (not at):
        raise SpecError("Say where to predict: either --at model_size=70e9 for each input, or --points FILE.")
    where = arguments.points(at) if points is None else load_table(points)[0]
    bands = fit_.bands(where, kind, prob, random_seed=seed)  # type: ignore[arg-type]
    if output is not None:
        _write_csv(bands, output)
    if plot is not None:
        _plot(fit_, bands, plot, kind, prob, seed)
    if not quiet:
        _print_table(bands.drop(columns=[c for c in ("converged", "unseen") if c in bands and not (c == "unseen" and bands[c].any())]))
        if not fit_.convergence.passed:
            err.print("[bold red]The fit behind these bands did not converge:[/bold red] they are not to be relied on.")
        for path in (output, plot):
            if path is not None:
                out.print(f"Wrote {path}.", highlight=False)


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the picture, the table and the fit.")] = Path("bayeslaw-demo"),
    seed: Annotated[int, typer.Option(help="Same seed, same numbers.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Simulated finetuning runs of 1B to 8B models: what will 16B reach, and did it?"""
    from bayeslaw.demo import VARIANTS, verdict
    from bayeslaw.demo import demo as run_demo

    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpecError(f"The folder {output} cannot be made: {error.strerror}.") from error
    out.print("Fitting [bold]simulated[/bold] finetuning runs of 1B, 2B, 4B and 8B models (3 tasks, 3 methods); predicting 16B.")
    _say_working(quiet)
    outcome = run_demo(seed, progressbar=not quiet)
    outcome.fit.save(output / "fit.nc")
    _write_csv(outcome.bands, output / "bands_16b.csv")
    picture = output / "bands_16b.png"
    _save_figure(
        lambda plots: plots.bands(
            outcome.curves, x="model_size", response="loss", runs=outcome.largest[~outcome.largest["heldout"]], hidden=outcome.largest[outcome.largest["heldout"]],
            by=["task", "method"], x_unit="parameters", response_unit="nats per token", title="Simulated finetuning runs: 1B-8B seen, 16B predicted (largest finetuning set of each cell)",
        ),
        picture,
    )  # fmt: skip
    if not quiet:
        _print_fit(outcome.fit)
        first = outcome.bands[outcome.bands["variant"] == next(iter(VARIANTS))]
        cells = first.loc[first.groupby(["task", "method"])["finetuning_data"].idxmax()]
        out.print("\n16B at the largest finetuning set, what 50 % and 90 % of runs would log, and the simulated run:")
        _print_table(cells[["task", "method", "finetuning_data", "median", "lower_50", "upper_50", "lower_90", "upper_90", "loss"]])
    for line in verdict(outcome.bands):
        out.print(f"- {line}", highlight=False)
    out.print(
        f"Picture {picture}, table {output / 'bands_16b.csv'}, fit {output / 'fit.nc'}. All of it rests on simulated runs.", highlight=False
    )
    if not outcome.fit.convergence.passed:
        raise typer.Exit(1)


def _parent_exists(path: Path) -> None:
    if not path.parent.is_dir():
        raise SpecError(f"{path} cannot be written: there is no folder {path.parent}.")


def _say_working(quiet: bool) -> None:
    """Say what takes time, where the sampler's own bar does not show yet."""
    if not quiet and err.is_terminal:
        err.print("Compiling and sampling ...", style="dim")


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    with whole(path) as part:
        table.to_csv(part, index=False)


def _save_figure(draw: Callable[[ModuleType], np.ndarray], path: Path) -> None:
    """Write the figure that ``draw`` makes with `bayeslaw.plots`, without a display."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from bayeslaw import plots

    figure = draw(plots)[0].figure
    try:
        with whole(path) as part:
            figure.savefig(part, dpi=180)
    except ValueError as error:  # matplotlib names the endings that it can write
        raise SpecError(f"{path} cannot be drawn: {error}") from error
    finally:
        plt.close(figure)


def _plot(fit_: bl.Fit, bands: pd.DataFrame, path: Path, kind: str, prob: Sequence[float], seed: int | None) -> None:
    """Bands along the first input, from the runs to the farthest point asked for, at the points' other inputs and groups."""
    from bayeslaw.plots.style import named

    law, runs = fit_.spec.law, fit_.runs.table
    x = next(iter(law.inputs))
    others = bands[[c for c in bands.columns if c != x and (c in law.inputs or c in runs.columns)]].drop_duplicates()
    ends = [*runs[x], *bands[x]]
    # A hair above the smallest size: at a size that was trained, the checkpoint's own deviation would make a kink.
    along = pd.DataFrame({x: np.geomspace(1.0001 * min(ends), max(ends), 80)})
    curves = fit_.bands(others.merge(along, how="cross") if len(others.columns) else along, kind, prob, random_seed=seed)  # type: ignore[arg-type]
    same = [c for c in others.columns if others[c].nunique(dropna=False) == 1]
    for column in same:
        runs = runs[runs[column].map(label) == label(others[column].iloc[0])]
    title = ["simulated runs"] * ("simulated" in fit_.runs.source) + [named(c, others[c].iloc[0]) for c in same]
    _save_figure(
        lambda plots: plots.bands(
            curves, x=x, response=law.response.name, by=[c for c in others.columns if c not in same], runs=runs, x_unit=law.inputs[x].unit,
            response_unit=law.response.unit, log=law.response.scale == "log", title=", ".join(title),
        ),
        path,
    )  # fmt: skip


def _print_fit(fitted: bl.Fit) -> None:
    _print_table(fitted.summary().rename_axis("variable").reset_index())
    for result in bl.check(fitted):
        colour = {True: "green", False: "bold red", None: "yellow"}[result.passed]
        out.print(str(result), style=colour if result.passed is not True else None, markup=False, highlight=False)
    for attempt in fitted.convergence.attempts[1:]:
        out.print(f"  tried again, {attempt}", markup=False, highlight=False)


def _print_table(table: pd.DataFrame) -> None:
    shown = Table(box=None, header_style="bold", padding=(0, 1))
    for name, column in table.items():
        shown.add_column(str(name), justify="right" if pd.api.types.is_numeric_dtype(column) else "left", overflow="fold")
    for row in table.itertuples(index=False):
        shown.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row))
    out.print(shown)


def _law_json(law: Law) -> dict[str, Any]:
    return {
        "name": law.name,
        "formula": law.formula,
        "response": {"name": law.response.name, "unit": law.response.unit},
        "inputs": {name: {"unit": spec.unit, "meaning": spec.meaning} for name, spec in law.inputs.items()},
        "parameters": {
            name: {"symbol": param.symbol, "meaning": param.meaning, "prior": param.prior.to_json()} for name, param in law.params.items()
        },
        "quantities": dict(law.quantities),
        "source": law.source,
    }
