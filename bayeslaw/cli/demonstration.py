"""The demos: whole studies on simulated runs, and whether what they said was true."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

import bayeslaw as bl
from bayeslaw.atomic import atomic_write
from bayeslaw.cli.app import app
from bayeslaw.cli.options import Quiet
from bayeslaw.cli.studying import sayer, shows, tell, template_of
from bayeslaw.cli.terminal import out, print_fit, print_table, save_figure, write_csv
from bayeslaw.errors import SpecError

Demo = Literal["finetuning", "overoptimization", "pretraining"]
QUESTIONS: dict[Demo, str] = {
    "finetuning": (
        "runs of 1B, 2B, 4B and 8B models: what will full finetuning and LoRA of 16B reach?"
    ),
    "overoptimization": (
        "gold scores of RL up to KL = 25 and best-of-n up to n = 1,000: which reward model buys the"
        " score that is needed, and where does it peak?"
    ),
    "pretraining": "runs of a ladder up to 2e20 FLOP: what will a 7B model log?",
}


@app.command()
def demo(
    study: Annotated[
        Demo,
        typer.Option(
            help=(
                "finetuning: what will 16B reach? overoptimization: which reward model?"
                " pretraining: what will 7B log?"
            )
        ),
    ] = "finetuning",
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder for the study, its report, pictures and tables."
        ),
    ] = Path("bayeslaw-demo"),
    seed: Annotated[int, typer.Option(help="Same seed, same numbers.")] = 1,
    quiet: Quiet = False,
) -> None:
    """A whole study on simulated runs, part of them hidden: its verdict, its report, and whether
    what it said was true.

    Example: `bayeslaw demo --study overoptimization -o peaks`
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpecError(f"The folder {output} cannot be made: {error.strerror}.") from error
    file = output / "study.toml"
    if file.exists() and not any(
        _seedless(file.read_text(encoding="utf-8")) == _seedless(template_of(each))
        for each in QUESTIONS
    ):
        raise SpecError(
            f"{file} is there already, and is not a demo's. Name another folder: -o FOLDER."
        )
    with atomic_write(file) as part:
        part.write_text(template_of(study).replace("seed = 1", f"seed = {seed}"), encoding="utf-8")
    if not quiet:
        out.print(f"[bold]Simulated[/bold] {QUESTIONS[study]}", highlight=False)
    outcome = bl.run_study(file, output, progressbar=shows(False, quiet), say=sayer(False, quiet))
    if not quiet:
        print_fit(outcome.fit, outcome.checks)
    tell(outcome, output, quiet=quiet)
    truth = {
        "finetuning": _finetuning,
        "overoptimization": _overoptimization,
        "pretraining": _pretraining,
    }[study]
    lines, written = truth(outcome.fit, output, quiet)
    out.print("What was hidden of the simulated runs says:", highlight=False)
    for line in lines:
        out.print(f"- {line}", highlight=False)
    out.print(
        f"Wrote {', '.join(str(output / name) for name in written)}. All of it rests on simulated"
        " runs.",
        highlight=False,
    )
    if not outcome.fit.convergence.passed:
        raise typer.Exit(1)


def _seedless(text: str) -> str:
    """A study file but for its seed."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("seed = "))


def _finetuning(fit: bl.Fit, output: Path, quiet: bool) -> tuple[list[str], list[str]]:
    """What was true, in words, and the files that show it; so the others."""
    from bayeslaw.demos import finetuning

    outcome = finetuning.hindsight(fit)
    write_csv(outcome.bands, output / "bands_16b.csv")
    save_figure(
        lambda plots: plots.bands(
            outcome.curves,
            x="model_size",
            response="loss",
            runs=outcome.largest[~outcome.largest["heldout"]],
            hidden=outcome.largest[outcome.largest["heldout"]],
            by=["task", "method"],
            x_unit="parameters",
            response_unit="nats per token",
            title=(
                "Simulated finetuning runs: 1B-8B seen, 16B predicted (largest finetuning set of"
                " each cell)"
            ),
        ),
        output / "bands_16b.png",
    )
    if not quiet:
        first = outcome.bands[outcome.bands["variant"] == next(iter(finetuning.VARIANTS))]
        cells = first.loc[first.groupby(["task", "method"])["finetuning_data"].idxmax()]
        out.print(
            "\n16B at the largest finetuning set, what 50 % and 90 % of runs would log, and the"
            " simulated run:"
        )
        print_table(
            cells[
                [
                    "task",
                    "method",
                    "finetuning_data",
                    "median",
                    "lower_50",
                    "upper_50",
                    "lower_90",
                    "upper_90",
                    "loss",
                ]
            ]
        )
    return finetuning.verdict(outcome.bands), ["bands_16b.png", "bands_16b.csv"]


def _overoptimization(fit: bl.Fit, output: Path, quiet: bool) -> tuple[list[str], list[str]]:
    import numpy as np

    from bayeslaw.demos import overoptimization

    outcome = overoptimization.hindsight(fit)
    write_csv(outcome.peaks, output / "peaks_and_truth.csv")
    write_csv(outcome.stopping, output / "stopping.csv")
    write_csv(outcome.hidden, output / "bands_hidden.csv")
    seen = ~outcome.table["hidden"]
    save_figure(
        lambda plots: plots.scores(
            outcome.curves,
            runs=outcome.table[seen],
            hidden=outcome.table[~seen],
            peaks=outcome.draws,
            by=["method", "reward_model_size"],
            unit="initial policy = 0",
            title="Simulated gold scores: seen (dots), hidden (crosses), and where the score peaks",
        ),
        output / "scores.png",
    )
    save_figure(
        lambda plots: np.array(
            [
                plots.peak_by_size(
                    outcome.peaks, by=["method"], title="Simulated: KL at the peak, by reward model"
                )
            ]
        ),
        output / "peaks.png",
    )
    if not quiet:
        out.print("\nKL at the peak, 90 % intervals, and the simulated truth:")
        print_table(
            outcome.peaks[
                [
                    "method",
                    "reward_model_size",
                    "kl_peak",
                    "lower_90_kl_peak",
                    "upper_90_kl_peak",
                    "simulated_truth",
                    "no_peak_below",
                    "p_no_peak",
                ]
            ]
        )
        out.print("\nRL stopped at KL = 25:")
        print_table(
            outcome.stopping[
                ["reward_model_size", "p_past_peak", "stop_at_kl", "expected_gain", "advice"]
            ]
        )
    return overoptimization.verdict(outcome), [
        "scores.png",
        "peaks.png",
        "peaks_and_truth.csv",
        "stopping.csv",
        "bands_hidden.csv",
    ]


def _pretraining(fit: bl.Fit, output: Path, quiet: bool) -> tuple[list[str], list[str]]:
    from bayeslaw.demos import pretraining

    bands = pretraining.hindsight(fit)
    write_csv(bands, output / "bands_heldout.csv")
    if not quiet:
        out.print("\nThe runs that were held out:")
        print_table(
            bands[
                [
                    "model_size",
                    "data_size",
                    "median",
                    "lower_50",
                    "upper_50",
                    "lower_90",
                    "upper_90",
                    "loss",
                ]
            ]
        )
    return pretraining.verdict(bands), ["bands_heldout.csv"]
