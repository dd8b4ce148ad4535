"""The command that hides runs, predicts them, and scores the predictions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import bayeslaw as bl
from bayeslaw import defaults
from bayeslaw.atomic import require_writable
from bayeslaw.cli import arguments
from bayeslaw.cli.app import app
from bayeslaw.cli.options import (
    AllowImport,
    AsJson,
    Chains,
    Columns,
    CurveBy,
    DiscrepancyKind,
    Draws,
    Effects,
    Groups,
    LawName,
    Melt,
    MisfitKind,
    NoiseName,
    Priors,
    Quiet,
    RawCsv,
    RunsFile,
    Scale,
    Seed,
    Tune,
    Where,
)
from bayeslaw.cli.terminal import (
    err,
    out,
    print_table,
    save_figure,
    say_working,
    write_csv,
)

if TYPE_CHECKING:
    import pandas as pd


@app.command()
def backtest(
    runs: RunsFile,
    law: LawName,
    holdout: Annotated[
        list[str],
        typer.Option(
            help='The runs to hide: "model_size >= 16e9". Repeatable: each is a split of its own.',
            show_default=False,
        ),
    ] = [],
    largest: Annotated[
        list[str],
        typer.Option(
            help="Hide the runs at the k largest values of an input: model_size=2.",
            show_default=False,
        ),
    ] = [],
    rolling: Annotated[
        list[str],
        typer.Option(
            help="Make k splits, each of which hides more of the largest values: data_size=3.",
            show_default=False,
        ),
    ] = [],
    column: Columns = [],
    group: Groups = [],
    where: Where = None,
    melt: Melt = None,
    scale: Scale = [],
    allow_import: AllowImport = False,
    effect: Effects = [],
    prior: Priors = [],
    noise: NoiseName = None,
    discrepancy: DiscrepancyKind = None,
    misfit: MisfitKind = None,
    curve_by: CurveBy = [],
    baselines: Annotated[
        bool,
        typer.Option(
            help="Also score Huber least squares, a line, the best run so far, and the law alone."
        ),
    ] = True,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where to write every hidden run with its bands and scores (CSV).",
            show_default=False,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Where to draw coverage and PIT values (PNG, SVG, PDF).", show_default=False
        ),
    ] = None,
    panels: Annotated[
        Path | None,
        typer.Option(
            help="Where to draw the first split's hidden runs and their bands (PNG, SVG, PDF).",
            show_default=False,
        ),
    ] = None,
    draws: Draws = defaults.DRAWS,
    tune: Tune = defaults.TUNE,
    chains: Chains = defaults.CHAINS,
    seed: Seed = None,
    raw_csv: RawCsv = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Hide runs, fit the others, predict the hidden ones, score the predictions. The exit code is 1
    if the chains did not converge.

    Example: `bayeslaw backtest runs.csv --law skaling --column model_size=params --holdout
    "model_size >= 16e9"`
    """
    for path in (output, plot, panels):
        if path is not None:
            require_writable(path)
    table = arguments.runs(runs, law, column, group, where, melt, scale, allow_import)
    spec = arguments.spec(table.law, effect, prior, noise, discrepancy, misfit, curve_by)
    say_working(quiet)
    result = bl.backtest(
        spec,
        table,
        holdout or None,
        largest=arguments.counts(largest, "--largest"),
        rolling=arguments.counts(rolling, "--rolling"),
        baselines=baselines,
        draws=draws,
        tune=tune,
        chains=chains,
        random_seed=seed,
        progressbar=not quiet and not as_json,
    )
    by = ["method", "split"] if len(result.fits) > 1 else ["method"]
    scores = result.scores(by).reset_index()
    if output is not None:
        write_csv(result.points, output, raw_csv)
    _draw(result, plot, panels)
    if as_json:
        plain = scores.astype(object).where(scores.notna(), None)
        out.print_json(plain.to_json(orient="records"))
    elif not quiet:
        first_of_method = ~scores["method"].duplicated()
        seconds = scores["method"].map(result.seconds).where(first_of_method)
        print_table(scores.assign(seconds=seconds))
        _print_misses(result)
        for path in (output, plot, panels):
            if path is not None:
                out.print(f"Wrote {path}.")
    if not result.converged:
        _print_not_converged(result)
        raise typer.Exit(1)


def _draw(result: bl.Backtest, plot: Path | None, panels: Path | None) -> None:
    """Draw coverage and PIT values to ``plot``, hidden runs of the first split to ``panels``."""
    title = "simulated runs" if next(iter(result.fits.values())).runs.simulated else ""
    if plot is not None:
        save_figure(
            lambda plots: plots.calibration(result.points, title=title, regions=result.regions),
            plot,
        )
    if panels is not None:
        from bayeslaw.plots.bands import MOST_PANELS
        from bayeslaw.study.report.figures import first_split

        arguments = first_split(result, MOST_PANELS)
        save_figure(lambda plots: plots.hindsight(**arguments, title=title), panels)


def _print_not_converged(result: bl.Backtest) -> None:
    """Print the convergence of each split that did not converge."""
    for split, fitted in result.fits.items():
        if not fitted.convergence.passed:
            err.print(f"{split} did not converge:", style="bold red", end=" ")
            err.print(str(fitted.convergence))


#: Columns of a hidden run that are printed beside its inputs and groups.
SHOWN = ("row", "observed", "median", "lower_90", "upper_90")


def _print_misses(result: bl.Backtest) -> None:
    """Print how many hidden runs are inside their 90 % band, and the first ten that are not."""
    hidden = result.points[result.points["method"] == "bayeslaw"]
    missed: pd.DataFrame = hidden[~hidden["inside_90"].astype(bool)]
    inside = len(hidden) - len(missed)
    out.print(f"\n{inside} of {len(hidden)} hidden runs lie within their 90 % band.")
    if len(missed):
        columns = (*result.inputs, *result.groups, *SHOWN)
        print_table(missed[[c for c in hidden.columns if c in columns]].head(10))
    if len(missed) > 10:
        out.print(
            f"... and {len(missed) - 10} more. Write all of them with --output FILE.",
        )
