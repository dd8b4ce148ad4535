"""Fixtures: public runs, and fits that many tests read."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from helpers import public_path, stored, written

import bayeslaw as bl
from bayeslaw.errors import BayeslawWarning
from bayeslaw.runs.datasets import folder
from bayeslaw.study.result import StudyResult


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
