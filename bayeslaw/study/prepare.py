"""Read a study file and its table of runs, and check all that can be checked before anything slow.
Every fault comes at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.answers.loss_curve import require_split
from bayeslaw.errors import BayeslawError, Fault, RunsError, StudyError
from bayeslaw.laws.base import Law
from bayeslaw.laws.registry import law as find_law
from bayeslaw.posterior.points import checked_points, grid
from bayeslaw.runs.datasets import dataset
from bayeslaw.runs.table import Runs, read_runs
from bayeslaw.spec.design import Design
from bayeslaw.spec.resolve import resolve
from bayeslaw.spec.spec import ModelSpec
from bayeslaw.study.requests import candidates_of, options_of, points_of, target_of
from bayeslaw.study.schema import Lines, Study, dotted, read_study
from bayeslaw.validation.backtesting import known_baselines
from bayeslaw.validation.splits import splits


@dataclass(frozen=True, slots=True)
class Prepared:
    """A study that can be run: its file, its runs, and what it asks for. Made by `prepare`, never
    changed.

    Attributes
    ----------
    path, study : the file.
    runs, design : the runs and the model, every formula and prior written out.
    points : to predict, in the file's order; None if it asks for none.
    options : of the decision, without the columns that all options share; None without a decision,
        like ``costs``, (option,), and ``target``.
    candidates, candidate_costs : for the next runs, the costs (candidate,); None without any.
    """

    path: Path
    study: Study
    runs: Runs
    design: Design
    points: pd.DataFrame | None = None
    options: pd.DataFrame | None = None
    costs: np.ndarray | None = None
    target: float | None = None
    candidates: pd.DataFrame | None = None
    candidate_costs: np.ndarray | None = None

    @property
    def law(self) -> Law:
        """The law that is fitted."""
        return self.design.law

    @property
    def spec(self) -> ModelSpec:
        """The model, as `bayeslaw.fit` takes it."""
        return self.design.spec

    @property
    def option_points(self) -> pd.DataFrame | None:
        """The options with the columns that all share; None without a decision."""
        if self.options is None or self.study.decision is None:
            return None
        return self.options.assign(**self.study.decision.at)


def prepare(path: str | Path, *, allow_import: bool = False) -> Prepared:
    """Read a study file and its runs, and check all that the file asks for.

    Raises
    ------
    StudyError : every fault of the file and of the table of runs, each with its line and key, and
        what would be right.
    """
    path = Path(path)
    study, lines = read_study(path)
    faults = Faults(lines)
    law, runs, spec, design = None, None, None, None
    with faults.of("study", "law"):
        law = find_law(study.study.law, allow_import=allow_import)
    if law is not None:
        with faults.of("runs"):
            runs = _runs(study, path.parent, law)
        with faults.of("model"):
            spec = ModelSpec(law, **study.model.model_dump())
    if runs is not None and spec is not None:
        with faults.of("model"):
            design = resolve(spec, runs)
    if runs is None or design is None or faults.faults:
        raise StudyError(str(path), faults.faults)
    requests = _requests(study, runs, design, faults)
    if faults.faults:
        raise StudyError(str(path), faults.faults)
    return Prepared(path, study, runs, design, **requests)


class Faults:
    """The faults of a file, collected section by section, so that one section's fault does not hide
    another's."""

    def __init__(self, lines: Lines):
        self.lines = lines
        self.faults: list[Fault] = []

    @contextmanager
    def of(self, *section: str | int) -> Iterator[None]:
        """An error raised inside becomes a fault of this section, or of the key in it that the
        error is about."""
        try:
            yield
        except StudyError as error:
            for fault in error.faults:
                self.add(fault.problem, *self._key(section, error))
        except BayeslawError as error:
            self.add(str(error), *self._key(section, error))

    def add(self, problem: str, *key: str | int) -> None:
        """A fault of a key."""
        self.faults.append(Fault(problem, "", dotted(key), self.lines(*key)))

    def _key(self, section: tuple[str | int, ...], error: BayeslawError) -> tuple[str | int, ...]:
        """The innermost key of the file that an error is about: ``model.effects.alpha`` for an
        error about ``("effects", "alpha")`` in the section ``model``."""
        known = {key for key in self.lines.at if key[: len(section)] == section}
        for end in range(len(error.key), 0, -1):
            if (key := (*section, *error.key[:end])) in known:
                return key
        columns = [fault.column for fault in error.faults] if isinstance(error, RunsError) else []
        named = [key for column in columns for key in known if key[-1] == column]
        return max(named, key=len, default=section)


def _runs(study: Study, folder: Path, law: Law) -> Runs:
    section = study.runs
    if (section.path is None) == (section.dataset is None):
        fault = Fault("Say where the runs are: either path, or dataset.", "", "runs")
        raise StudyError("", [fault])
    table: pd.DataFrame | Path = folder / str(section.path)
    if section.dataset is not None:
        table = dataset(section.dataset)
    return read_runs(
        table,
        law,
        columns=section.columns,
        groups=section.groups,
        where=section.where,
        melt_into=section.melt_into,
        scale=section.scale,
    )


def _requests(study: Study, runs: Runs, design: Design, faults: Faults) -> dict[str, Any]:
    """What the file asks of the fit, checked: the fields of `Prepared`, for those parts that the
    file has."""
    _check_backtest(study, runs, design, faults)
    requests: dict[str, Any] = {}
    for checked in (_points, _options, _candidates):
        requests |= checked(study, runs, design, faults)
    _check_allocation(study, runs, design, faults)
    return requests


def _check_backtest(study: Study, runs: Runs, design: Design, faults: Faults) -> None:
    if (section := study.backtest) is not None:
        with faults.of("backtest"):
            known_baselines(section.baselines)
            splits(design, runs, section.holdout, section.largest, section.rolling)


def _points(study: Study, runs: Runs, design: Design, faults: Faults) -> dict[str, Any]:
    tables = []
    for i, points in enumerate(study.predict):
        with faults.of("predict", i):
            tables.append(grid(points))
            points_of(tables[-1], design, runs)
    return {"points": pd.concat(tables, ignore_index=True)} if tables else {}


def _options(study: Study, runs: Runs, design: Design, faults: Faults) -> dict[str, Any]:
    requests: dict[str, Any] = {}
    if (section := study.decision) is not None:
        with faults.of("decision", "target"):
            requests["target"] = target_of(section, design.law)
        with faults.of("decision"):
            requests["options"], requests["costs"] = options_of(section, design, runs)
    return requests


def _candidates(study: Study, runs: Runs, design: Design, faults: Faults) -> dict[str, Any]:
    requests: dict[str, Any] = {}
    if study.next_runs is not None and study.decision is None:
        faults.add(
            "next_runs ranks candidate runs by how much they say about the options of a [decision],"
            " and there is none.",
            "next_runs",
        )
    elif study.next_runs is not None and study.decision is not None:
        with faults.of("next_runs"):
            candidates, costs = candidates_of(study.next_runs, study.decision, design, runs)
            requests = {"candidates": candidates, "candidate_costs": costs}
    return requests


def _check_allocation(study: Study, runs: Runs, design: Design, faults: Faults) -> None:
    if (section := study.allocate) is not None:
        with faults.of("allocate"):
            require_split(design)
            sizes = {"model_size": 1.0, "data_size": 1.0}
            anywhere = {**dict.fromkeys(design.columns), **sizes, **section.at}
            checked_points(design, runs, anywhere)
