"""The demo: from simulated runs to a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayeslaw.cli.app import app
from bayeslaw.cli.options import Quiet
from bayeslaw.cli.terminal import out, print_fit, print_table, save_figure, say_working, write_csv
from bayeslaw.errors import SpecError


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
    say_working(quiet)
    outcome = run_demo(seed, progressbar=not quiet)
    outcome.fit.save(output / "fit.nc")
    write_csv(outcome.bands, output / "bands_16b.csv")
    picture = output / "bands_16b.png"
    save_figure(
        lambda plots: plots.bands(
            outcome.curves, x="model_size", response="loss", runs=outcome.largest[~outcome.largest["heldout"]], hidden=outcome.largest[outcome.largest["heldout"]],
            by=["task", "method"], x_unit="parameters", response_unit="nats per token", title="Simulated finetuning runs: 1B-8B seen, 16B predicted (largest finetuning set of each cell)",
        ),
        picture,
    )  # fmt: skip
    if not quiet:
        print_fit(outcome.fit)
        first = outcome.bands[outcome.bands["variant"] == next(iter(VARIANTS))]
        cells = first.loc[first.groupby(["task", "method"])["finetuning_data"].idxmax()]
        out.print("\n16B at the largest finetuning set, what 50 % and 90 % of runs would log, and the simulated run:")
        print_table(cells[["task", "method", "finetuning_data", "median", "lower_50", "upper_50", "lower_90", "upper_90", "loss"]])
    for line in verdict(outcome.bands):
        out.print(f"- {line}", highlight=False)
    out.print(
        f"Picture {picture}, table {output / 'bands_16b.csv'}, fit {output / 'fit.nc'}. All of it rests on simulated runs.", highlight=False
    )
    if not outcome.fit.convergence.passed:
        raise typer.Exit(1)
