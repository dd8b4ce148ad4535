"""Simulated finetuning runs of 1B to 8B models: what was said of 16B, and what it logged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayeslaw.fitted import Fit
from bayeslaw.runs.datasets import dataset

VARIANTS = {
    "finetuning_simulated": "16B from the same population",
    "finetuning_simulated_inferior_16b": "an inferior 16B En-Zh checkpoint",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: bands at every simulated 16B run, and bands along model size for the figure."""

    bands: pd.DataFrame
    curves: pd.DataFrame
    largest: pd.DataFrame


def hindsight(fitted: Fit) -> Outcome:
    """Both variants' simulated 16B runs, held against the bands of a fit to 1B to 8B.

    Returns
    -------
    Outcome; its ``bands`` has a row for each 16B run, with columns ``loss`` and ``variant`` beside
    those of ``Fit.bands``.
    """
    tables = {name: dataset(name) for name in VARIANTS}
    first = tables["finetuning_simulated"]
    points = first.loc[
        first["heldout"], ["task", "method", "llm", "model_size", "finetuning_data"]
    ].reset_index(drop=True)
    forecast = fitted.bands(points)
    seen = [
        forecast.assign(variant=name, loss=table.loc[table["heldout"], "loss"].to_numpy())
        for name, table in tables.items()
    ]
    # The figure follows model size at each cell's largest finetuning set.
    largest = first[
        first["finetuning_data"]
        == first.groupby(["task", "method"])["finetuning_data"].transform("max")
    ]
    cells = largest[["task", "method", "llm", "finetuning_data"]].drop_duplicates()
    sizes = pd.DataFrame({"model_size": np.geomspace(1.001e9, 2e10, 40)})
    return Outcome(
        pd.concat(seen, ignore_index=True), fitted.bands(cells.merge(sizes, how="cross")), largest
    )


def verdict(bands: pd.DataFrame, prob: float = 0.9) -> list[str]:
    """In words, per variant and base model: how many simulated 16B runs fell inside their band, and
    by how much the rest missed.
    """
    lines = []
    lower, upper = f"lower_{100 * prob:g}", f"upper_{100 * prob:g}"
    for (variant, llm), part in bands.groupby(["variant", "llm"], sort=False):
        inside = ((part["loss"] >= part[lower]) & (part["loss"] <= part[upper])).sum()
        above = (part["loss"] > part[upper]).sum()
        off = float(np.exp(np.log(part["loss"] / part["median"]).mean()) - 1)
        text = (
            f"{VARIANTS[str(variant)]}, base model {llm}: {inside} of {len(part)} simulated 16B"
            f" runs inside their {100 * prob:g} % band"
        )
        if above > len(part) / 2:
            excess = float(np.exp(np.log(part["loss"] / part[upper]).clip(0).mean()) - 1)
            text += (
                f". 16B fell short: its losses lie {off:+.1%} from the forecast median, and on"
                f" average {excess:.1%} above the band's upper end"
            )
        else:
            text += f"; losses {off:+.1%} from the forecast median on average"
        lines.append(text + ".")
    return lines
