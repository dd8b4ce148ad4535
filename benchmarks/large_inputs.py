"""Seconds and peak memory of large inputs: ``uv run python benchmarks/large_inputs.py [--rows
1000000] [--json FILE] [--seed 1]``.

Everything is simulated, and nothing is sampled: predictions are made from the fits that the tests
read. Each row is a process of its own, so that its peak memory is its own; "nothing" is what the
imports take.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd

import bayeslaw as bl
from bayeslaw.cli import run
from bayeslaw.errors import BayeslawError

STORED = Path(__file__).parents[1] / "tests" / "stored"
TRUTH = {"A": 482.0, "B": 2085.0, "E": 1.82, "alpha": 0.348, "beta": 0.366}
#: Columns, or keys, that nobody knows.
UNKNOWN = 20_000


def simulated(rows: int, seed: int) -> pd.DataFrame:
    """A simulated table of runs of two data sets."""
    rng = np.random.default_rng(seed)
    inputs = {
        "model_size": 10 ** rng.uniform(8, 10.5, rows),
        "data_size": 10 ** rng.uniform(9, 12, rows),
    }
    loss = bl.law("chinchilla").evaluate(inputs, TRUTH) * np.exp(rng.normal(0, 0.01, rows))
    return pd.DataFrame(inputs).assign(
        loss=loss, dataset=np.where(rng.random(rows) < 0.3, "a", "b")
    )


def check_rows(rows: int, seed: int) -> Callable[[], object]:
    """`bayeslaw check` of a file of many rows."""
    path = Path(tempfile.mkdtemp()) / "simulated.csv"
    simulated(rows, seed).to_csv(path, index=False)
    return lambda: run(["check", str(path), "--law", "chinchilla"])


def check_columns(rows: int, seed: int) -> Callable[[], object]:
    """`bayeslaw check` of a file of many columns, none of them the loss."""
    path = Path(tempfile.mkdtemp()) / "simulated.csv"
    others = pd.DataFrame(1.5, index=range(20), columns=[f"metric_{i}" for i in range(UNKNOWN)])
    pd.concat([simulated(20, seed).drop(columns="loss"), others], axis=1).to_csv(path, index=False)
    return lambda: run(["check", str(path), "--law", "chinchilla"])


def unknown_columns(rows: int, seed: int) -> Callable[[], object]:
    """Many columns asked for that the table does not have."""
    columns = {f"metric_{i}": f"value of {i}" for i in range(UNKNOWN)}
    table = simulated(20, seed)
    return lambda: refused(lambda: bl.read_runs(table, "chinchilla", columns=columns))


def unknown_keys(rows: int, seed: int) -> Callable[[], object]:
    """A study file of many keys that there are not."""
    path = Path(tempfile.mkdtemp()) / "study.toml"
    path.write_text("[study]\n" + "".join(f"key_{i} = 1\n" for i in range(UNKNOWN)))
    return lambda: refused(lambda: bl.run_study(path, path.parent / "out"))


def bands_of(name: str) -> Callable[[int, int], Callable[[], object]]:
    """Bands of a stored fit at many points, of which no two are alike."""

    def work(rows: int, seed: int) -> Callable[[], object]:
        fit = bl.load(STORED / f"{name}.nc")
        rng = np.random.default_rng(seed)
        ends = {
            x: (fit.runs.inputs[x].min(), 10 * fit.runs.inputs[x].max()) for x in fit.law.inputs
        }
        points = {x: np.exp(rng.uniform(*np.log(end), rows)) for x, end in ends.items()}
        groups = {x: rng.choice(fit.runs.table[x].unique(), rows) for x in fit.design.group_columns}
        table = pd.DataFrame(points | groups)
        return lambda: fit.bands(table)

    return work


WORK: dict[str, Callable[[int, int], Callable[[], object]]] = {
    "nothing": lambda rows, seed: lambda: None,
    "check, {rows:,} rows": check_rows,
    "check, 20,000 columns, none the loss": check_columns,
    "read_runs, 20,000 unknown columns": unknown_columns,
    "study, 20,000 unknown keys": unknown_keys,
    "bands, {rows:,} points, no groups": bands_of("chinchilla"),
    "bands, {rows:,} points on six curves": bands_of("grouped"),
}


def refused(call: Callable[[], object]) -> None:
    """Make a call that the package refuses."""
    try:
        call()
    except BayeslawError:
        return
    raise AssertionError("It was not refused.")


def measured(what: str, rows: int, seed: int) -> dict[str, float]:
    """Seconds of one row's work, and the peak memory of this process, GiB."""
    work = WORK[what](rows, seed)
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        start = time.perf_counter()
        work()
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": seconds, "peak_gib": peak}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", help="only the rows whose name has this text")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    spawn, rows = multiprocessing.get_context("spawn"), []
    for what in WORK:
        name = what.format(rows=options.rows)
        if options.only and options.only not in name:
            continue
        with spawn.Pool(1) as pool:
            rows.append({"what": name} | pool.apply(measured, (what, options.rows, options.seed)))
        print(rows[-1], flush=True)
    print(pd.DataFrame(rows).to_string(index=False, float_format="{:.2f}".format))
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
