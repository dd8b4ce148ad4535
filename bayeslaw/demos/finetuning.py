"""The demonstration: simulated finetuning runs of 1B to 8B models, and what 16B would reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayeslaw.datasets import dataset
from bayeslaw.fit import Fit, fit
from bayeslaw.runs import Runs, read_runs
from bayeslaw.spec import ModelSpec

LAW = {"name": "finetuning_multiplicative", "factor": "model_size"}
#: Nine cells of task and method, each with a law of its own that borrows from the others; and the deviation of each pretrained
#: checkpoint, shared by all its finetunings, which the band at a size never trained contains.
CELL = "(1 | task:method)"
EFFECTS = {"A": f"1 + {CELL} + (1 | llm:model_size)", "alpha": f"1 + {CELL}", "beta": f"1 + {CELL}", "E": f"1 + {CELL}"}
VARIANTS = {"finetuning_simulated": "16B from the same population", "finetuning_simulated_inferior_16b": "an inferior 16B En-Zh checkpoint"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the demonstration found: the fit, bands at every simulated 16B run, and bands along model size for the figure."""

    fit: Fit
    bands: pd.DataFrame
    curves: pd.DataFrame
    largest: pd.DataFrame


def small_runs(table: pd.DataFrame) -> Runs:
    """The runs up to 8B, which the fit sees."""
    return read_runs(table[~table["heldout"]], LAW, groups=["task", "method", "llm"])


def spec() -> ModelSpec:
    return ModelSpec(LAW, effects=EFFECTS)  # type: ignore[arg-type]


def demo(random_seed: int = 1, *, progressbar: bool = True) -> Outcome:
    """Fit 1B to 8B, predict 16B, and hold both variants' simulated 16B runs against the bands.

    Returns
    -------
    Outcome; its ``bands`` has a row for each 16B run, with columns ``loss`` and ``variant`` beside those of ``Fit.bands``.
    """
    tables = {name: dataset(name) for name in VARIANTS}
    first = tables["finetuning_simulated"]
    fitted = fit(spec(), small_runs(first), random_seed=random_seed, progressbar=progressbar)
    points = first.loc[first["heldout"], ["task", "method", "llm", "model_size", "finetuning_data"]].reset_index(drop=True)
    forecast = fitted.bands(points)
    seen = [forecast.assign(variant=name, loss=table.loc[table["heldout"], "loss"].to_numpy()) for name, table in tables.items()]
    # The figure follows model size at each cell's largest finetuning set.
    largest = first[first["finetuning_data"] == first.groupby(["task", "method"])["finetuning_data"].transform("max")]
    cells = largest[["task", "method", "llm", "finetuning_data"]].drop_duplicates()
    sizes = pd.DataFrame({"model_size": np.geomspace(1.001e9, 2e10, 40)})
    return Outcome(fitted, pd.concat(seen, ignore_index=True), fitted.bands(cells.merge(sizes, how="cross")), largest)


def verdict(bands: pd.DataFrame, prob: float = 0.9) -> list[str]:
    """In words, per variant and base model: how many simulated 16B runs fell inside their band, and by how much the rest missed."""
    lines = []
    lower, upper = f"lower_{100 * prob:g}", f"upper_{100 * prob:g}"
    for (variant, llm), part in bands.groupby(["variant", "llm"], sort=False):
        inside = ((part["loss"] >= part[lower]) & (part["loss"] <= part[upper])).sum()
        above = (part["loss"] > part[upper]).sum()
        off = float(np.exp(np.log(part["loss"] / part["median"]).mean()) - 1)
        text = f"{VARIANTS[str(variant)]}, base model {llm}: {inside} of {len(part)} simulated 16B runs inside their {100 * prob:g} % band"
        if above > len(part) / 2:
            excess = float(np.exp(np.log(part["loss"] / part[upper]).clip(0).mean()) - 1)
            text += f". 16B fell short: its losses lie {off:+.1%} from the forecast median, and on average {excess:.1%} above the band's upper end"
        else:
            text += f"; losses {off:+.1%} from the forecast median on average"
        lines.append(text + ".")
    return lines
