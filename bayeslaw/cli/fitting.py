"""Commands that fit, and predict from a fit."""

from __future__ import annotations

from collections.abc import Sequence
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
    OwnLaw,
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
    print_fit,
    print_table,
    save_figure,
    save_fit,
    say_working,
    write_csv,
)
from bayeslaw.errors import SpecError

if TYPE_CHECKING:
    import pandas as pd

    from bayeslaw.posterior.draws import Kind


@app.command()
def fit(
    runs: RunsFile,
    law: LawName,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Where to save the fit (NetCDF).", show_default=False),
    ],
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
    draws: Draws = defaults.DRAWS,
    tune: Tune = defaults.TUNE,
    chains: Chains = defaults.CHAINS,
    seed: Seed = None,
    sampler: Annotated[str, typer.Option(help="nutpie, pymc or numpyro.")] = "nutpie",
    quiet: Quiet = False,
) -> None:
    """Fit a law to runs, print the summary and the checks, save the fit.

    Example: `bayeslaw fit runs.csv --law chinchilla --column model_size=params -o chinchilla.nc
    --seed 1`
    """
    require_writable(output)
    table = arguments.runs(runs, law, column, group, where, melt, scale, allow_import)
    spec = arguments.spec(table.law, effect, prior, noise, discrepancy, misfit, curve_by)
    say_working(quiet)
    fitted = bl.fit(
        spec,
        table,
        draws=draws,
        tune=tune,
        chains=chains,
        random_seed=seed,
        sampler=arguments.as_sampler(sampler),
        progressbar=not quiet,
    )
    path = save_fit(fitted, output)
    if not quiet:
        print_fit(fitted)
        out.print(f"Saved to {path} (seed {fitted.random_seed}).")
    if not fitted.convergence.passed:
        raise typer.Exit(1)


@app.command()
def predict(
    fitted: Annotated[Path, typer.Argument(metavar="FIT", help="A saved fit.", show_default=False)],
    at: Annotated[
        list[str],
        typer.Option(
            "--at",
            help=(
                "A value of an input or group: model_size=70e9. Repeatable. Several values, with"
                " commas between them: bands at every combination."
            ),
            show_default=False,
        ),
    ] = [],
    points: Annotated[
        Path | None, typer.Option(help="Table of points, instead of --at.", show_default=False)
    ] = None,
    kind: Annotated[
        str, typer.Option(help="run (what a new run would log) or mean (the expected curve).")
    ] = "run",
    prob: Annotated[list[float], typer.Option(help="Probability of a band. Repeatable.")] = list(
        defaults.PROBS
    ),
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to write the bands (CSV).", show_default=False),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Where to draw the bands (PNG, SVG, PDF).", show_default=False),
    ] = None,
    new_group: Annotated[
        bool,
        typer.Option("--new-group", help="A group that no run has is meant, and not misspelt."),
    ] = False,
    seed: Annotated[
        int | None, typer.Option(help="Random seed. Default: that of the fit.", show_default=False)
    ] = None,
    raw_csv: RawCsv = False,
    law: OwnLaw = None,
    allow_import: AllowImport = False,
    quiet: Quiet = False,
) -> None:
    """Bands at new points, such as scales that nobody has run.

    Example: `bayeslaw predict chinchilla.nc --at model_size=70e9 --at data_size=1.4e12 -o bands.csv
    --plot bands.png`
    """
    from bayeslaw.runs.files import load_table

    for path in (output, plot):
        if path is not None:
            require_writable(path)
    predicted = arguments.as_kind(kind)
    fit_ = arguments.saved(fitted, law, allow_import)
    if (points is None) == (not at):
        raise SpecError(
            "Say where to predict: either --at model_size=70e9 for each input, or --points FILE."
        )
    where = arguments.points(at) if points is None else load_table(points)[0]
    bands = fit_.bands(where, predicted, prob, new_groups=new_group, random_seed=seed)
    if output is not None:
        write_csv(bands, output, raw_csv)
    if plot is not None:
        _plot(fit_, bands, plot, predicted, prob, seed)
    if not quiet:
        hidden = ["converged"] if bands["unseen"].any() else ["converged", "unseen"]
        print_table(bands.drop(columns=hidden))
        if not fit_.convergence.passed:
            err.print("The fit of these bands did not converge:", style="bold red", end=" ")
            err.print("do not rely on them.")
        for path in (output, plot):
            if path is not None:
                out.print(f"Wrote {path}.")


def _plot(
    fit_: bl.Fit,
    bands: pd.DataFrame,
    path: Path,
    kind: Kind,
    prob: Sequence[float],
    seed: int | None,
) -> None:
    """Draw bands along the first input, from the runs to the farthest point, at the points' other
    inputs and groups.
    """
    from bayeslaw.posterior.sweep import sweep

    law = fit_.spec.law
    swept = sweep(fit_, bands, x=next(iter(law.inputs)), kind=kind, probs=prob, random_seed=seed)
    title = ["simulated runs"] if fit_.runs.simulated else []
    if swept.shared:
        title.append(swept.named_shared())
    save_figure(
        lambda plots: plots.bands(**swept.arguments(law), title=", ".join(title)),
        path,
    )
