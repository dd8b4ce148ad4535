"""Every public set at once, and what is learnt for each leaves its family out.

``uv run python benchmarks/honest.py [--uses grids finetuning curves] [--json FILE]``. A row a set
and method; then means over sets, and over families. The record with which `pretraining` forecasts a
grid is learnt from the other families alone. With ``--data FOLDER`` the sets are one's own, and all
public ones are the other families: ``grids/FAMILY__SET.csv`` (model_size, data_size, loss, hidden),
``curves/FAMILY__SET.csv`` (curve, tokens, loss, Training) and ``finetuning/FAMILY__SET.csv`` (wide,
as finetuning/flan.csv).
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from common import PUBLIC
from learn_pretraining import study
from learning_curves import COLUMNS, averaged
from public_sets import Grid, grids, grids_of_folder

import bayeslaw as bl
from bayeslaw.errors import BayeslawWarning
from bayeslaw.learning import Studied, record_from
from bayeslaw.validation.scores import OURS

RATIOS = (8, 32, 128)
#: The laws that a lab fits by name.
PLAIN = ("chinchilla", "skaling")
SHOWN = ["rmse", "crps", "log_density", "coverage_50", "coverage_90", "half_width_90"]


@dataclass(frozen=True)
class Task:
    """A set to forecast: what is fitted, and which runs are hidden.

    Attributes
    ----------
    use, family, name : "grids", "curves" or "finetuning"; who made the runs; which set it is.
    runs : all of them.
    holdout : which runs are hidden.
    specs : what is fitted, by the name of the method.
    baselines : the baselines beside, and the law that they fit.
    per : columns whose groups count alike in the set's means.
    """

    use: str
    family: str
    name: str
    runs: bl.Runs
    holdout: str
    specs: dict[str, bl.ModelSpec]
    baselines: Sequence[str]
    baseline_law: str | None = None
    per: Sequence[str] = ()
    more: dict[str, Any] = field(default_factory=dict)


def grid_tasks(sets: Sequence[Grid], studied: Sequence[Studied]) -> Iterator[Task]:
    """The headline splits; the record of each is learnt from the other families."""
    records = {}
    for one in (x for x in sets if x.headline):
        if one.family not in records:
            others = [x for x in studied if x.ladder.family != one.family]
            records[one.family] = record_from(others)
            print(f"without {one.family}: {records[one.family].misfit}", flush=True)
        record = records[one.family]
        require_left_out(one.family, record)
        yield Task(
            "grids",
            one.family,
            one.name,
            bl.read_runs(one.table, "pretraining", groups=one.groups),
            "hidden == 1",
            {OURS: bl.ModelSpec("pretraining", priors=record.priors, misfit=record.misfit)}
            | {name: bl.ModelSpec(name) for name in PLAIN},
            ["huber"],
            baseline_law="chinchilla",
        )


def require_left_out(family: str, record: bl.Record) -> None:
    """Refuse to judge a family by what was learnt from it."""
    if family in record.families:
        raise ValueError(f"The record was learnt from {family}, which it would be judged on.")


def curve_tasks(data: Path | None) -> Iterator[Task]:
    """Learning curves: Training = 1 is seen."""
    law = "saturating_power"
    if data is None:
        table = pd.read_csv(PUBLIC / "learning_curves" / "vision_birds_imagenet.csv")
        parts = [x.assign(averaged=averaged(x)) for _, x in table.groupby(["Task", "Model"])]
        table = pd.concat(parts)
        for name, part in table.groupby("Task"):
            runs = bl.read_runs(part, law, columns=COLUMNS, groups=["task", "model"])
            yield _curves("vision", str(name), runs, ["model"])
        return
    for path in sorted(data.glob("curves/*.csv")):
        family, _, name = path.stem.partition("__")
        runs = bl.read_runs(path, law, columns={"data_size": "tokens"}, groups=["curve"])
        yield _curves(family, name, runs, ["curve"])


def _curves(family: str, name: str, runs: bl.Runs, per: Sequence[str]) -> Task:
    specs = {OURS: bl.ModelSpec(runs.law)}
    settings = {"draws": 400, "tune": 400}
    holdout = "Training == 0"
    return Task(
        "curves", family, name, runs, holdout, specs, ["huber", "line"], per=per, more=settings
    )


def finetuning_tasks(data: Path | None) -> Iterator[Task]:
    """The loss of finetuned models with most examples, from at most 1/r of them."""
    folder = PUBLIC if data is None else data
    for path in sorted(folder.glob("finetuning/*.csv")):
        family, _, name = path.stem.partition("__")
        wide = pd.read_csv(path).rename(columns={"config name": "model"})
        table = wide.melt(["model", "size", "family"], None, "finetuning_data", "loss")
        table = table.astype({"finetuning_data": float})
        table = table[table["finetuning_data"] > 0]
        largest = table["finetuning_data"].max()
        for ratio in RATIOS:
            seen = table["finetuning_data"] <= largest / ratio
            kept = table[seen | (table["finetuning_data"] == largest)]
            runs = bl.read_runs(kept, "finetuning_rectified", groups=["family", "model"])
            yield Task(
                "finetuning",
                family,
                f"{name or family}, r = {ratio}",
                runs,
                f"finetuning_data == {largest}",
                {OURS: bl.ModelSpec("finetuning_rectified")},
                ["huber", "line"],
                more={"attempts": 1},
            )


def scored(task: Task, draws: int, seed: int) -> Iterator[dict[str, Any]]:
    """A row for each method."""
    for method, spec in task.specs.items():
        sampling = {"draws": draws, "tune": draws, **task.more}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BayeslawWarning)
            result = bl.backtest(
                spec,
                task.runs.with_law(spec.law),
                task.holdout,
                baselines=task.baselines if method == OURS else False,
                baseline_law=task.baseline_law,
                random_seed=seed,
                progressbar=False,
                **sampling,
            )
        points = result.points
        widths = np.log(points["upper_90"] / points["lower_90"]) / 2
        half_width = widths.groupby(points["method"]).mean()
        by_group = result.scores(("method", *task.per))
        means = by_group.groupby("method", sort=False)[SHOWN[:-1]].mean()
        (fit,) = result.fits.values()
        (p_of_coverage,) = result.coverage_p.values()
        for name, of_method in means.iterrows():
            ours = name == OURS
            yield {
                "use": task.use,
                "family": task.family,
                "set": task.name,
                "method": method if ours else name,
                "runs": int(points.loc[points["method"] == name, "median"].notna().sum()),
                **{score: float(x) for score, x in of_method.items()},
                "half_width_90": float(half_width[str(name)]),
                "p_coverage": p_of_coverage if ours else None,
                "converged": fit.convergence.passed if ours else None,
                "attempts": len(fit.convergence.attempts) if ours else None,
                "seconds": result.seconds[str(name)],
            }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--uses", nargs="+", default=["grids", "finetuning", "curves"])
    parser.add_argument("--data", type=Path, help="a folder of sets of one's own")
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    tasks: list[Task] = []
    if "grids" in options.uses:
        public = grids(PUBLIC)
        asked = public if options.data is None else grids_of_folder(options.data / "grids")
        tasks += grid_tasks(asked, study(public, options.seed))
    if "finetuning" in options.uses:
        tasks += finetuning_tasks(options.data)
    if "curves" in options.uses:
        tasks += curve_tasks(options.data)
    rows = []
    for task in tasks:
        for row in scored(task, options.draws, options.seed):
            rows.append(row)
            print(row, flush=True)
    report(pd.DataFrame(rows))
    if options.json:
        results = {"rows": rows, "bayeslaw": bl.__version__, "seed": options.seed}
        options.json.write_text(json.dumps(results, indent=1))


def report(table: pd.DataFrame) -> None:
    """The rows, and their means over sets and over families."""
    shown = {"index": False, "float_format": "{:.4f}".format, "na_rep": "-"}
    print(table.to_string(**shown))
    by = ["use", "method"]
    over_sets = table.groupby(by, sort=False)[SHOWN].mean()
    over_sets["smallest_90"] = table.groupby(by, sort=False)["coverage_90"].min()
    print("\nMeans over sets\n", over_sets.reset_index().to_string(**shown))
    families = table.groupby([*by, "family"], sort=False)[SHOWN].mean()
    over_families = families.groupby(level=by, sort=False).mean()
    print("\nMeans over families\n", over_families.reset_index().to_string(**shown))


if __name__ == "__main__":
    main()
