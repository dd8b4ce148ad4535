"""Simulated finetuning runs of 1B to 8B models: the forecast for 16B, and what 16B logged."""

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
class Hindsight:
    """The forecast and the simulated 16B runs.

    Attributes
    ----------
    bands : at every simulated 16B run, of each variant, with its ``loss``.
    curves : bands along model size, for the figure.
    largest : the runs at each cell's largest finetuning set, for the figure.
    """

    bands: pd.DataFrame
    curves: pd.DataFrame
    largest: pd.DataFrame


def hindsight(fitted: Fit) -> Hindsight:
    """The simulated 16B runs of both variants, beside the bands of a fit to 1B to 8B.

    Returns
    -------
    Hindsight; its ``bands`` has a row for each 16B run, with the columns of ``Fit.bands``, ``loss``
    and ``variant``.
    """
    tables = {name: dataset(name) for name in VARIANTS}
    first = tables["finetuning_simulated"]
    points = first.loc[
        first["heldout"], ["task", "method", "llm", "model_size", "finetuning_data"]
    ].reset_index(drop=True)
    forecast = fitted.bands(points)
    compared = [
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
    return Hindsight(
        bands=pd.concat(compared, ignore_index=True),
        curves=fitted.bands(cells.merge(sizes, how="cross")),
        largest=largest,
    )


def verdict(bands: pd.DataFrame, prob: float = 0.9) -> list[str]:
    """Sentences, for each variant and base model: how many simulated 16B runs are inside their
    band, and how far the others are from it.
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
