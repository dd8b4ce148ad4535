"""The demos: whole studies of simulated runs, and whether their forecasts came true."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

import bayeslaw as bl
from bayeslaw.atomic import atomic_write
from bayeslaw.cli.app import app
from bayeslaw.cli.options import Quiet
from bayeslaw.cli.studying import sayer, shows, tell, template_of
from bayeslaw.cli.terminal import out, print_fit, print_table, save_figure, write_csv
from bayeslaw.errors import SpecError

if TYPE_CHECKING:
    from bayeslaw.demos.overoptimization import Hindsight

Demo = Literal["finetuning", "overoptimization", "pretraining"]
#: Columns of bands that are printed.
BANDS = ("median", "lower_50", "upper_50", "lower_90", "upper_90")
QUESTIONS: dict[Demo, str] = {
    "finetuning": (
        "runs of 1B, 2B, 4B and 8B models: what will full finetuning and LoRA of 16B reach?"
    ),
    "overoptimization": (
        "gold scores of RL up to KL = 25 and best-of-n up to n = 1,000: which reward model reaches"
        " the target score, and where does the score peak?"
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
    seed: Annotated[
        int, typer.Option(help="Random seed. The same seed gives the same numbers.")
    ] = 1,
    quiet: Quiet = False,
) -> None:
    """Run a whole study of simulated runs, some of them hidden: its verdict, its report, and
    whether its forecasts came true.

    Example: `bayeslaw demo --study overoptimization -o peaks`
    """
    file = _study_file(study, output, seed)
    if not quiet:
        out.print("Simulated", style="bold", end=" ")
        out.print(QUESTIONS[study])
    result = bl.run_study(file, output, progressbar=shows(False, quiet), say=sayer(False, quiet))
    if not quiet:
        print_fit(result.fit, result.checks)
    tell(result, output, quiet=quiet)
    compare_with_hidden = {
        "finetuning": _finetuning,
        "overoptimization": _overoptimization,
        "pretraining": _pretraining,
    }[study]
    lines, written = compare_with_hidden(result.fit, output, quiet)
    out.print("Compared with the simulated runs that were hidden:")
    for line in lines:
        out.print(f"- {line}")
    out.print(
        f"Wrote {', '.join(str(output / name) for name in written)}. All runs are simulated.",
    )
    if not result.fit.convergence.passed:
        raise typer.Exit(1)


def _study_file(study: Demo, output: Path, seed: int) -> Path:
    """Write the study file of a demo, but never over a file that no demo wrote."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpecError(f"The folder {output} cannot be made: {error.strerror}.") from error
    file = output / "study.toml"
    if file.exists() and not any(
        _seedless(file.read_text(encoding="utf-8")) == _seedless(template_of(name))
        for name in QUESTIONS
    ):
        raise SpecError(
            f"{file} exists already, and no demo wrote it. Name another folder: -o FOLDER."
        )
    with atomic_write(file) as part:
        part.write_text(template_of(study).replace("seed = 1", f"seed = {seed}"), encoding="utf-8")
    return file


def _seedless(text: str) -> str:
    """The text of a study file without its seed."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("seed = "))


def _finetuning(fit: bl.Fit, output: Path, quiet: bool) -> tuple[list[str], list[str]]:
    """Compare the forecasts with the hidden runs: sentences, and the names of the files written."""
    from bayeslaw.demos import finetuning

    hindsight = finetuning.hindsight(fit)
    write_csv(hindsight.bands, output / "bands_16b.csv")
    save_figure(
        lambda plots: plots.bands(
            hindsight.curves,
            x="model_size",
            response="loss",
            runs=hindsight.largest[~hindsight.largest["heldout"]],
            hidden=hindsight.largest[hindsight.largest["heldout"]],
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
        first = hindsight.bands[hindsight.bands["variant"] == next(iter(finetuning.VARIANTS))]
        cells = first.loc[first.groupby(["task", "method"])["finetuning_data"].idxmax()]
        out.print(
            "\n16B at the largest finetuning set: what 50 % and 90 % of runs would log, and the"
            " loss of the simulated run:"
        )
        print_table(cells[["task", "method", "finetuning_data", *BANDS, "loss"]])
    return finetuning.verdict(hindsight.bands), ["bands_16b.png", "bands_16b.csv"]


def _overoptimization(fit: bl.Fit, output: Path, quiet: bool) -> tuple[list[str], list[str]]:
    from bayeslaw.demos import overoptimization

    hindsight = overoptimization.hindsight(fit)
    write_csv(hindsight.peaks, output / "peaks_and_truth.csv")
    write_csv(hindsight.stopping, output / "stopping.csv")
    write_csv(hindsight.hidden, output / "bands_hidden.csv")
    _draw_scores_and_peaks(hindsight, output)
    if not quiet:
        peaks = ["kl_peak", "lower_90_kl_peak", "upper_90_kl_peak", "simulated_truth"]
        no_peak = ["no_peak_below", "p_no_peak"]
        advice = ["p_past_peak", "stop_at_kl", "expected_gain", "advice"]
        out.print("\nKL at the peak, 90 % intervals, and the simulated truth:")
        print_table(hindsight.peaks[["method", "reward_model_size", *peaks, *no_peak]])
        out.print("\nRL stopped at KL = 25:")
        print_table(hindsight.stopping[["reward_model_size", *advice]])
    pictures = ["scores.png", "peaks.png"]
    tables = ["peaks_and_truth.csv", "stopping.csv", "bands_hidden.csv"]
    return overoptimization.verdict(hindsight), [*pictures, *tables]


def _draw_scores_and_peaks(hindsight: Hindsight, output: Path) -> None:
    import numpy as np

    hidden = hindsight.table["hidden"]
    save_figure(
        lambda plots: plots.scores(
            hindsight.curves,
            runs=hindsight.table[~hidden],
            hidden=hindsight.table[hidden],
            peaks=hindsight.draws,
            by=["method", "reward_model_size"],
            unit="initial policy = 0",
            title="Simulated gold scores: seen (dots), hidden (crosses), and where the score peaks",
        ),
        output / "scores.png",
    )
    title = "Simulated: KL at the peak, by reward model"
    save_figure(
        lambda plots: np.array([plots.peak_by_size(hindsight.peaks, by=["method"], title=title)]),
        output / "peaks.png",
    )


def _pretraining(fit: bl.Fit, output: Path, quiet: bool) -> tuple[list[str], list[str]]:
    from bayeslaw.demos import pretraining

    bands = pretraining.hindsight(fit)
    write_csv(bands, output / "bands_heldout.csv")
    if not quiet:
        out.print("\nThe hidden runs and their bands:")
        print_table(bands[["model_size", "data_size", *BANDS, "loss"]])
    return pretraining.verdict(bands), ["bands_heldout.csv"]
