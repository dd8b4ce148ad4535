"""The command that hides runs, predicts them, and says how true the predictions were."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import bayeslaw as bl
from bayeslaw import defaults
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
    NoiseName,
    Priors,
    Quiet,
    RunsFile,
    Scale,
    Seed,
    Tune,
    Where,
)
from bayeslaw.cli.terminal import (
    err,
    out,
    parent_exists,
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
            help='The runs to hide: "model_size >= 16e9". Repeatable: a split each.',
            show_default=False,
        ),
    ] = [],
    largest: Annotated[
        list[str],
        typer.Option(
            help="Hide the runs at an input's k largest values: model_size=2.", show_default=False
        ),
    ] = [],
    rolling: Annotated[
        list[str],
        typer.Option(
            help="k splits, each hiding more of an input's largest values: data_size=3.",
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
    curve_by: CurveBy = [],
    baselines: Annotated[
        bool,
        typer.Option(
            help="Score Huber least squares, the line, the best so far and the law alone too."
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
        typer.Option(help="Where to draw coverage and PIT (PNG, SVG, PDF).", show_default=False),
    ] = None,
    panels: Annotated[
        Path | None,
        typer.Option(
            help="Where to draw the hidden runs with their bands, the first split (PNG, SVG, PDF).",
            show_default=False,
        ),
    ] = None,
    draws: Draws = defaults.DRAWS,
    tune: Tune = defaults.TUNE,
    chains: Chains = defaults.CHAINS,
    seed: Seed = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Hide runs, fit the others, predict the hidden ones, score the predictions. Exit code 1 if the
    chains did not converge.

    Example: `bayeslaw backtest runs.csv --law skaling --column model_size=params --holdout
    "model_size >= 16e9"`
    """
    for path in (output, plot, panels):
        if path is not None:
            parent_exists(path)
    table = arguments.runs(runs, law, column, group, where, melt, scale, allow_import)
    spec = arguments.spec(table.law, effect, prior, noise, discrepancy, curve_by)
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
        write_csv(result.points, output)
    title = "simulated runs" if table.simulated else ""
    if plot is not None:
        save_figure(lambda plots: plots.calibration(result.points, title=title), plot)
    if panels is not None:
        from bayeslaw.plots.bands import MOST_PANELS
        from bayeslaw.study.report.figures import first_split

        save_figure(
            lambda plots: plots.hindsight(**first_split(result, MOST_PANELS), title=title), panels
        )
    if as_json:
        out.print_json(scores.astype(object).where(scores.notna(), None).to_json(orient="records"))
    elif not quiet:
        print_table(
            scores.assign(
                seconds=scores["method"].map(result.seconds).where(~scores["method"].duplicated())
            )
        )
        _print_misses(result)
        for path in (output, plot, panels):
            if path is not None:
                out.print(f"Wrote {path}.", highlight=False)
    if not result.converged:
        for split, fitted in result.fits.items():
            if not fitted.convergence.passed:
                err.print(
                    f"[bold red]{split} did not converge[/bold red]: {fitted.convergence}",
                    highlight=False,
                )
        raise typer.Exit(1)


def _print_misses(result: bl.Backtest) -> None:
    """The hidden runs that lie outside their 90 % band, the first ten."""
    own = result.points[result.points["method"] == "bayeslaw"]
    missed: pd.DataFrame = own[~own["inside_90"].astype(bool)]
    out.print(
        f"\n{len(own) - len(missed)} of {len(own)} hidden runs lie within their 90 % band.",
        highlight=False,
    )
    if len(missed):
        shown = [
            c
            for c in own.columns
            if c
            in (
                *result.inputs,
                *result.groups,
                "row",
                "observed",
                "median",
                "lower_90",
                "upper_90",
            )
        ]
        print_table(missed[shown].head(10))
        if len(missed) > 10:
            out.print(
                f"... and {len(missed) - 10} more; all of them: --output FILE.", highlight=False
            )
