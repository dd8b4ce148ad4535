"""Fixtures: public runs, and fits that many tests read."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import warnings
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from helpers import POWER, README, grouped_table, public_path, stored, written
from xdist.scheduler import LoadScopeScheduling

import bayeslaw as bl
from bayeslaw.errors import BayeslawWarning
from bayeslaw.runs.datasets import folder
from bayeslaw.study.result import StudyResult

#: What shares an expensive fixture runs in one worker: groups of modules, by path within the tests.
TOGETHER = {
    "readme": ("test_readme.py", "answers/test_crossover.py"),
    "published": ("test_fitting.py", "checks/test_checks.py", "answers/test_allocation.py"),
    "study": ("study/test_study.py", "study/test_report.py"),
}
#: Modules whose tests share nothing that is expensive: any worker may have any test of them.
APART = ("test_slow.py", "decisions/test_reliability.py", "cli/test_cli.py")
#: Groups that take long, the longest first: the workers begin with them, so that none is left with
#: one at the end.
LONG = (
    # slow checks
    "test_intervals_of_the_kl_at_the_peak_cover_where_neighbours_err_together",
    "test_probabilities_of_decisions_under_a_slightly_wrong_law",
    "test_learning_rate_and_batch_size_of_the_largest_grids_are_foretold",
    "test_probabilities_of_decisions_under_the_right_law",
    "test_what_next_runs_buys_is_worth_more_than_random_or_large_runs",
    "test_the_discrepancy_recovers_its_own_parameters",
    "test_larger_n_is_foretold_on_public_best_of_n",
    "test_the_demo_covers_16b",
    "test_where_the_law_is_right_the_discrepancy_costs_little",
    "test_the_notebook_runs",
    "test_best_of_n_to_60_000_from_1_000",
    "test_intervals_of_parameters_cover[chinchilla]",
    # fast ones, and slow ones that share their fixtures
    "validation/test_backtest.py",
    "answers/test_overoptimization.py",
    "readme",
    "study",
    "published",
    "laws/test_factors.py",
    "answers/test_hyperparameters.py",
    "model/test_checkpoints.py",
    "curves/test_discrepancy.py",
    "validation/test_average.py",
    "test_a_law_of_ones_own_is_imported_only_when_allowed",
    "test_backtest_on_public_runs",
    "laws/test_laws.py",
)


def group_of(nodeid: str) -> str:
    """The group of tests that one worker has: the module's, where nothing else is said."""
    module, _, name = nodeid.removeprefix("tests/").partition("::")
    groups = {module: group for group, modules in TOGETHER.items() for module in modules}
    return name if module in APART else groups.get(module, module)


class Grouped(LoadScopeScheduling):
    """Tests of one group go to one worker."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Grouped:
    return Grouped(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {name: i for i, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(group_of(item.nodeid), len(rank)))


@pytest.fixture(scope="session")
def chinchilla_runs() -> bl.Runs:
    """The 240 lowest losses of Hoffmann et al. 2022, figure 4, as digitised and used by Besiroglu
    et al. 2024.
    """
    table = pd.read_csv(public_path("chinchilla/svg_extracted_data.csv")).nsmallest(240, "loss")
    return bl.read_runs(
        table, "chinchilla", columns={"model_size": "Model Size", "compute": "Training FLOP"}
    )


@pytest.fixture(scope="session")
def chinchilla_fit(chinchilla_runs: bl.Runs) -> bl.Fit:
    return bl.fit("chinchilla", chinchilla_runs, random_seed=1, progressbar=False)


@pytest.fixture(scope="session")
def grouped_fit() -> bl.Fit:
    """A small fit with groups, to simulated curves: stored, for tests of what is made of draws."""
    return stored("grouped")


@pytest.fixture(scope="session")
def sampled_fit() -> bl.Fit:
    """The same, sampled: for tests of what the sampler gives."""
    runs = bl.read_runs(grouped_table(), "power")
    return bl.fit(
        POWER, runs, draws=300, tune=500, chains=4, random_seed=3, progressbar=False, attempts=2
    )


@pytest.fixture(scope="session")
def readme_example(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, Path]:
    """The README's example, run: its code, what it printed, and the folder where it ran."""
    code, *_ = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    printed, folder = io.StringIO(), tmp_path_factory.mktemp("readme")
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        exec(code, {})
    return code, printed.getvalue(), folder


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="session")
def outcome(home: Path) -> StudyResult:
    """The small study, run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayeslawWarning)
        return bl.run_study(written(home), home / "out", progressbar=False)


@pytest.fixture(scope="session")
def script() -> ModuleType:
    """The script that simulates the finetuning runs."""
    spec = importlib.util.spec_from_file_location(
        "simulate_finetuning", folder() / "simulate_finetuning.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
