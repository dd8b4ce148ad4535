"""The demos: from simulated runs to a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

import bayeslaw as bl
from bayeslaw.cli.app import app
from bayeslaw.cli.options import Quiet
from bayeslaw.cli.terminal import out, print_fit, print_table, save_figure, say_working, write_csv
from bayeslaw.errors import SpecError

Study = Literal["finetuning", "overoptimization"]


@app.command()
def demo(
    study: Annotated[Study, typer.Option(help="finetuning: what will 16B reach? overoptimization: where does the true score peak?")] = "finetuning",
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the pictures, the tables and the fit.")] = Path("bayeslaw-demo"),
    seed: Annotated[int, typer.Option(help="Same seed, same numbers.")] = 1,
    quiet: Quiet = False,
) -> None:
    """A whole study on simulated runs, part of them hidden: what was said of them, and whether it was true.

    Example: `bayeslaw demo --study overoptimization -o peaks`
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpecError(f"The folder {output} cannot be made: {error.strerror}.") from error
    fitted, verdict, written = (_overoptimization if study == "overoptimization" else _finetuning)(output, seed, quiet)
    for line in verdict:
        out.print(f"- {line}", highlight=False)
    out.print(f"Wrote {', '.join(str(output / name) for name in written)}. All of it rests on simulated runs.", highlight=False)
    if not fitted.convergence.passed:
        raise typer.Exit(1)


def _finetuning(output: Path, seed: int, quiet: bool) -> tuple[bl.Fit, list[str], list[str]]:
    from bayeslaw.demos import finetuning

    out.print("Fitting [bold]simulated[/bold] finetuning runs of 1B, 2B, 4B and 8B models (3 tasks, 3 methods); predicting 16B.")
    say_working(quiet)
    outcome = finetuning.demo(seed, progressbar=not quiet)
    outcome.fit.save(output / "fit.nc")
    write_csv(outcome.bands, output / "bands_16b.csv")
    save_figure(
        lambda plots: plots.bands(
            outcome.curves, x="model_size", response="loss", runs=outcome.largest[~outcome.largest["heldout"]], hidden=outcome.largest[outcome.largest["heldout"]],
            by=["task", "method"], x_unit="parameters", response_unit="nats per token", title="Simulated finetuning runs: 1B-8B seen, 16B predicted (largest finetuning set of each cell)",
        ),
        output / "bands_16b.png",
    )  # fmt: skip
    if not quiet:
        print_fit(outcome.fit)
        first = outcome.bands[outcome.bands["variant"] == next(iter(finetuning.VARIANTS))]
        cells = first.loc[first.groupby(["task", "method"])["finetuning_data"].idxmax()]
        out.print("\n16B at the largest finetuning set, what 50 % and 90 % of runs would log, and the simulated run:")
        print_table(cells[["task", "method", "finetuning_data", "median", "lower_50", "upper_50", "lower_90", "upper_90", "loss"]])
    return outcome.fit, finetuning.verdict(outcome.bands), ["bands_16b.png", "bands_16b.csv", "fit.nc"]


def _overoptimization(output: Path, seed: int, quiet: bool) -> tuple[bl.Fit, list[str], list[str]]:
    from bayeslaw.demos import overoptimization

    out.print("Fitting [bold]simulated[/bold] gold scores of RL up to KL = 25 and best-of-n up to n = 1,000, against nine reward models; foretelling the rest.")
    say_working(quiet)
    outcome = overoptimization.demo(seed, progressbar=not quiet)
    outcome.fit.save(output / "fit.nc")
    write_csv(outcome.peaks, output / "peaks.csv")
    write_csv(outcome.stopping, output / "stopping.csv")
    write_csv(outcome.hidden, output / "bands_hidden.csv")
    seen = ~outcome.table["hidden"]
    save_figure(
        lambda plots: plots.scores(
            outcome.curves, runs=outcome.table[seen], hidden=outcome.table[~seen], peaks=outcome.draws, by=["method", "reward_model_size"],
            unit="initial policy = 0", title="Simulated gold scores: seen (dots), hidden (crosses), and where the score peaks",
        ),
        output / "scores.png",
    )  # fmt: skip
    save_figure(lambda plots: np.array([plots.peak_by_size(outcome.peaks, by=["method"], title="Simulated: KL at the peak, by reward model")]), output / "peaks.png")
    if not quiet:
        print_fit(outcome.fit)
        out.print("\nKL at the peak, 90 % intervals, and the simulated truth:")
        print_table(outcome.peaks[["method", "reward_model_size", "kl_peak", "lower_90_kl_peak", "upper_90_kl_peak", "simulated_truth", "no_peak_below", "p_no_peak"]])
        out.print("\nRL stopped at KL = 25:")
        print_table(outcome.stopping[["reward_model_size", "p_past_peak", "stop_at_kl", "expected_gain", "advice"]])
    return outcome.fit, overoptimization.verdict(outcome), ["scores.png", "peaks.png", "peaks.csv", "stopping.csv", "bands_hidden.csv", "fit.nc"]
