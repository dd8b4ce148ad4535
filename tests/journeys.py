"""The four journeys of ARCHITECTURE.md, traced: ``uv run python tests/journeys.py``.

Each journey is run once on a small example. Printed are the files of the package in the order in
which a function of each is first called, how many they are, and how often a call comes back: how
many pairs (file that calls, file that is called) lead to a file that was first called earlier.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from helpers import simulated_curves, written

import bayeslaw as bl
from bayeslaw.cli import run
from bayeslaw.spec.settings import Sampling

ROOT = Path(bl.__file__).parent
SMALL: Sampling = {"draws": 200, "tune": 300, "chains": 2, "random_seed": 1, "progressbar": False}
TOOL = 2


def journey(name: str, work: Callable[[], object]) -> None:
    """Run ``work`` and print the files that it visits."""
    order: dict[str, int] = {}
    calls: set[tuple[str, str]] = set()

    def called(code: CodeType, offset: int) -> Any:
        file = code.co_filename
        if not file.startswith(f"{ROOT}/") or code.co_name.startswith("<"):
            return sys.monitoring.DISABLE
        order.setdefault(file, len(order))
        caller: FrameType | None = sys._getframe(1).f_back
        while caller is not None and not caller.f_code.co_filename.startswith(f"{ROOT}/"):
            caller = caller.f_back
        if caller is not None and caller.f_code.co_filename in order:
            calls.add((caller.f_code.co_filename, file))
        return None

    sys.monitoring.use_tool_id(TOOL, "journeys")
    sys.monitoring.register_callback(TOOL, sys.monitoring.events.PY_START, called)
    sys.monitoring.set_events(TOOL, sys.monitoring.events.PY_START)
    work()
    sys.monitoring.set_events(TOOL, 0)
    sys.monitoring.free_tool_id(TOOL)
    sys.monitoring.restart_events()
    returns = sum(order[to] < order[caller] for caller, to in calls)
    files = [str(Path(file).relative_to(ROOT)) for file in order]
    lines = [f"{name}: {len(files)} files, {returns} returns", *files]
    sys.stdout.write("\n  ".join(lines) + "\n")
    sys.stdout.flush()


def main() -> None:
    warnings.simplefilter("ignore")
    for module in pkgutil.walk_packages([str(ROOT)], "bayeslaw."):
        importlib.import_module(module.name)
    folder = Path(tempfile.mkdtemp())
    simulated_curves().to_csv(folder / "runs.csv", index=False)
    spec = ["--law", "power", "--discrepancy", "curve", "--draws", "200", "--tune", "300"]
    fit = ["fit", str(folder / "runs.csv"), *spec, "--chains", "2", "-o", str(folder / "fit.nc")]
    journey("table to fit", lambda: run([*fit, "--seed", "1", "--quiet"]))
    saved = bl.load(folder / "fit.nc")
    points = {"data_size": [1e9, 2e9], "task": ["task0", "a new one"]}
    journey("fit to bands", lambda: saved.bands(points))
    study = written(folder)
    bl.run_study(study, folder / "out", progressbar=False)
    journey(
        "fit to decision to report",
        lambda: bl.run_study(study, folder / "out", progressbar=False, stored=True),
    )
    table = bl.dataset("overoptimization_simulated")
    table = table[(table["method"] == "rl") & (table["policy_size"] == 1.2e9)]

    def scores_to_peaks() -> None:
        runs = bl.read_runs(table, "overoptimization_rl", groups=["reward_model_size"])
        fitted = bl.fit("overoptimization_rl", runs, attempts=1, **SMALL)
        bl.peaks(fitted)
        bl.stopping(fitted, 20.0)

    journey("scores to peaks", scores_to_peaks)


if __name__ == "__main__":
    main()
