"""Learn the record of the law `pretraining` from the public ladders: ``uv run python
benchmarks/learn_pretraining.py [--json FILE]``.

Without ``--json`` it replaces the record that the package ships. Some eight minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from common import PUBLIC
from public_sets import SOURCES, Grid, grids

import bayeslaw as bl
from bayeslaw.errors import BayeslawWarning
from bayeslaw.learning import Ladder, Studied, record_from, study_ladder
from bayeslaw.learnt.record import FOLDER

#: Draws of each of four chains.
DRAWS = 500


def ladders(sets: Iterable[Grid]) -> list[Ladder]:
    """The splits of a ladder together: sets of one family whose runs are the same."""
    made: list[Ladder] = []
    by_ladder: dict[tuple[str, str], list[Grid]] = {}
    for one in sets:
        by_ladder.setdefault((one.family, one.ladder), []).append(one)
    for (family, name), of_ladder in by_ladder.items():
        columns = [*of_ladder[0].groups, "model_size", "data_size", "loss"]
        together = pd.concat([one.table[columns] for one in of_ladder])
        runs = bl.read_runs(
            together.drop_duplicates(ignore_index=True), "pretraining", groups=of_ladder[0].groups
        )
        index = pd.MultiIndex.from_frame(runs.table[columns])
        splits = []
        for one in of_ladder:
            kept = pd.MultiIndex.from_frame(one.table[columns])
            hidden = one.table["hidden"].to_numpy() == 1
            splits.append((np.isin(index, kept[~hidden]), np.isin(index, kept[hidden])))
        made.append(Ladder(family, name, runs, splits))
    return made


def study(sets: Iterable[Grid], seed: int = 1) -> list[Studied]:
    """The fits of all ladders under the wide priors."""
    studied = []
    for ladder in ladders(sets):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BayeslawWarning)
            one = study_ladder(ladder, draws=DRAWS, tune=DRAWS, random_seed=seed, progressbar=False)
        studied.append(one)
        print(f"{ladder.family}, {ladder.name}: {one.sizes}", flush=True)
    return studied


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=FOLDER / "pretraining.json")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    record = record_from(study(grids(PUBLIC), options.seed), {"sources": SOURCES})
    options.json.write_text(json.dumps(record.to_json(), indent=1, ensure_ascii=False) + "\n")
    print(record.priors, record.misfit)


if __name__ == "__main__":
    main()
