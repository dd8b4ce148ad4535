"""Public sets of runs, by use: what is seen, and what is hidden and predicted.

A set belongs to a family: the group that made the runs. (The Step Law and Farseer are parts I and
II of one group's "Predictable Scale".) Two sets of one family share models, data or a digitised
figure, so whatever is learnt for one of them leaves out the whole family.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

#: Where the runs of each family are from, and under which licence; none of them is shipped.
SOURCES = {
    "chinchilla": "Hoffmann et al. 2022, fig. 4, digitised: epoch-research/analyzing-chinchilla"
    " 9225883 and Open-Athena/scaling-law-analysis 3e0656e, no licence stated",
    "gadre": "mlfoundations/scaling a003c49, MIT",
    "llama_3": "Open-Athena/scaling-law-analysis 3e0656e, no licence stated",
    "marin": "Open-Athena/scaling-law-analysis 3e0656e, no licence stated",
    "muennighoff": "huggingface/datablations 1370131, Apache-2.0",
    "stepfun": "Farseer: PlanarG/active-sl e0a58ff, CC-BY-4.0; Step Law: linhaowei1/SLD 61c9d59,"
    " MIT (README)",
}
#: What a grid may have beside its numbers: groups that are fitted together.
GROUPS = ("dataset",)


@dataclass(frozen=True)
class Grid:
    """Runs over model size and data.

    Attributes
    ----------
    family, name : who made the runs, and which set of theirs it is.
    table : model_size, data_size, loss; ``hidden``, 1 for the runs to predict; perhaps a column of
        groups.
    headline : whether the set counts in the means over sets; the other splits of a ladder, nearer
        or farther, are there to learn from.
    """

    family: str
    name: str
    table: pd.DataFrame
    headline: bool = True

    @property
    def ladder(self) -> str:
        """The runs that the set is a split of."""
        return self.name.partition(" ")[0]

    @property
    def groups(self) -> list[str]:
        return [name for name in GROUPS if name in self.table]


def grids(public: Path) -> list[Grid]:
    """The public ladders, each family's together."""
    return [
        *_isoflops(public / "ladders" / "isoflops.csv"),
        *_chinchilla(public / "chinchilla" / "svg_extracted_data.csv"),
        *_farseer(public / "ladders"),
        *_overtraining(public / "pretraining" / "overtraining_models.csv"),
        *_data_constrained(public / "pretraining" / "data_constrained_losses.csv"),
        *_step_law(public / "hyperparameters" / "step_law_grid.csv"),
    ]


def grids_of_folder(folder: Path) -> list[Grid]:
    """Sets of one's own: ``FAMILY__SET.csv`` with model_size, data_size, loss, hidden."""
    sets = []
    for path in sorted(folder.glob("*.csv")):
        family, _, name = path.stem.partition("__")
        sets.append(Grid(family, name, pd.read_csv(path)))
    return sets


def _named(ladder: str, split: int) -> str:
    """The name of a split of a ladder: the first, which is the headline, has the ladder's."""
    return f"{ladder} {split + 1}" if split else ladder


def _split(table: pd.DataFrame, below: float, above: float) -> pd.DataFrame:
    """The runs up to one compute, and those from another, which are hidden."""
    compute = 6.0 * table["model_size"] * table["data_size"]
    kept = (compute <= below) | (compute >= above)
    return table.assign(hidden=(compute >= above).astype(int))[kept].reset_index(drop=True)


#: experiment -> family, name, and compute up to which runs are seen and from which they are
#: hidden: the headline split, then others.
ISOFLOPS = {
    "ml_scalefit__massivetext__chinchilla": (
        "chinchilla",
        "second_digitisation",
        [(4e19, 5e19), (1.5e19, 5e19), (8e19, 2e20)],
    ),
    "marin_202603__comma__llama_2": (
        "marin",
        "comma",
        [(5e19, 6e19), (2.4e19, 6e19), (1.4e20, 1.4e20)],
    ),
    "marin_202603__dclm__llama_2": (
        "marin",
        "dclm",
        [(5e19, 6e19), (2.4e19, 6e19), (1.4e20, 1.4e20)],
    ),
    "llama_3__raw_loss": ("llama_3", "raw_loss", [(8e19, 8e19), (2e19, 8e19), (2e20, 4.5e20)]),
    "llama_3__exp_loss": ("llama_3", "exp_loss", [(8e19, 8e19), (2e19, 8e19), (2e20, 4.5e20)]),
}


def _isoflops(path: Path) -> Iterator[Grid]:
    table = pd.read_csv(path)
    table = table[~table["outlier"]].rename(columns={"params": "model_size", "tokens": "data_size"})
    for experiment, (family, name, cuts) in ISOFLOPS.items():
        runs = table[table["experiment"] == experiment]
        for i, (below, above) in enumerate(cuts):
            hidden = (runs["budget"] >= above).astype(int)
            kept = (runs["budget"] <= below) | (hidden == 1)
            split = runs.assign(hidden=hidden)[kept]
            split = split[["model_size", "data_size", "loss", "hidden"]].reset_index(drop=True)
            yield Grid(family, _named(name, i), split, headline=i == 0)


def _chinchilla(path: Path) -> Iterator[Grid]:
    table = pd.read_csv(path).nsmallest(240, "loss")
    table = table.rename(columns={"Model Size": "model_size"})
    table["data_size"] = table["Training FLOP"] / (6 * table["model_size"])
    table = table[["model_size", "data_size", "loss"]]
    for i, (below, above) in enumerate([(1e20, 3e20), (2e19, 6e19), (3e19, 3e20)]):
        yield Grid("chinchilla", _named("points", i), _split(table, below, above), headline=i == 0)


def _farseer(folder: Path) -> Iterator[Grid]:
    columns = {"N": "model_size", "D": "data_size"}
    seen = pd.read_csv(folder / "farseer_train.csv").rename(columns=columns)
    hidden = pd.read_csv(folder / "farseer_test.csv").rename(columns=columns)
    table = pd.concat([seen.assign(hidden=0), hidden.assign(hidden=1)], ignore_index=True)
    yield Grid("stepfun", "farseer", table[["model_size", "data_size", "loss", "hidden"]])
    seen = seen[["model_size", "data_size", "loss"]]
    for i, (below, above) in enumerate([(1e20, 3e20), (2e19, 2e20)], 1):
        yield Grid("stepfun", _named("farseer", i), _split(seen, below, above), headline=False)


def _overtraining(path: Path) -> Iterator[Grid]:
    """Gadre et al.'s five runs of each corpus; and every size up to one, to predict larger ones."""
    columns = {"params": "model_size", "tokens": "data_size", "loss_c4_val": "loss"}
    table = pd.read_csv(path).rename(columns=columns)
    sizes = (10.6e6, 78.9e6, 153.7e6, 411.6e6)
    small = np.isclose(table["model_size"].to_numpy()[:, None], sizes, rtol=0.01)
    five = (small.any(axis=1) & (table["M"] == 1)) | (small[:, 0] & (table["M"] == 16))
    kept = ["model_size", "data_size", "loss", "dataset", "hidden"]
    yield Grid("gadre", "overtraining", table.assign(hidden=(~five).astype(int))[kept])
    for i, largest in enumerate((4.2e8, 1.6e8), 1):
        hidden = (table["model_size"] > largest).astype(int)
        yield Grid(
            "gadre", _named("overtraining", i), table.assign(hidden=hidden)[kept], headline=False
        )


def _data_constrained(path: Path) -> Iterator[Grid]:
    """Muennighoff et al.'s runs that saw no token twice."""
    columns = {"params": "model_size", "tokens": "data_size"}
    table = pd.read_csv(path).rename(columns=columns)
    once = table[(table["data_size"] <= table["unique_tokens"]) & ~table["variant"].eq("dedup")]
    once = once[["model_size", "data_size", "loss"]]
    yield Grid("muennighoff", "seen_once", _split(once, 6e20, 6e20))


def _step_law(path: Path) -> Iterator[Grid]:
    """The lowest loss of each cell of model size and data."""
    table = pd.read_csv(path)
    table = table[table["D"] != 1e13]
    best = table.loc[table.groupby(["N", "D"])["smooth loss"].idxmin()]
    best = best.rename(columns={"N": "model_size", "D": "data_size"})
    best = best.assign(loss=best["smooth loss"])[["model_size", "data_size", "loss"]]
    compute = (6.0 * best["model_size"] * best["data_size"]).sort_values()
    cut = float(compute.iloc[len(compute) - 6])
    yield Grid("stepfun", "step_law", _split(best, cut * 0.999, cut))
