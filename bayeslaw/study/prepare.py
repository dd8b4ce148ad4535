"""A study file met with its table of runs: everything that can be checked before anything slow,
every fault of it at once.
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
    """A study that can be run: its file, and what that means for its runs. Made by `prepare`, never
    changed.

    Attributes
    ----------
    path, study : the file.
    runs, design : what is fitted, every formula and prior written out.
    points : to predict, in the file's order; None where it asks for none.
    options, costs, target : of the decision: the options without what they share, (option,), a
        number; None without one.
    candidates, candidate_costs : for the next runs; None without any.
    """

    path: Path
    study: Study
    runs: Runs
    design: Design
    points: pd.DataFrame | None
    options: pd.DataFrame | None
    costs: np.ndarray | None
    target: float | None
    candidates: pd.DataFrame | None
    candidate_costs: np.ndarray | None

    @property
    def law(self) -> Law:
        """The law that is fitted."""
        return self.design.law

    @property
    def spec(self) -> ModelSpec:
        """What is fitted, as `bayeslaw.fit` takes it."""
        return self.design.spec

    @property
    def option_points(self) -> pd.DataFrame | None:
        """The options with what they share; None without a decision."""
        return (
            None
            if self.options is None or self.study.decision is None
            else self.options.assign(**self.study.decision.at)
        )


def prepare(path: str | Path, *, allow_import: bool = False) -> Prepared:
    """Read a study file and its runs, and check all that the file asks for.

    Raises
    ------
    StudyError : with every fault of the file: line, key, and what would be right; those of the
        runs' table among them.
    """
    path = Path(path)
    study, lines = read_study(path)
    faults = Faults(lines)
    law, runs, spec, design = None, None, None, None
    asked_for: dict[str, Any] = {}
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
    if runs is not None and design is not None and not faults.found:
        asked_for = _asked(study, runs, design, faults)
    if faults.found or runs is None or design is None:
        raise StudyError(str(path), faults.found)
    return Prepared(path, study, runs, design, **asked_for)


class Faults:
    """The faults of a file, gathered section by section: one that has a fault does not hide those
    of the next."""

    def __init__(self, lines: Lines):
        self.lines = lines
        self.found: list[Fault] = []

    @contextmanager
    def of(self, *section: str | int) -> Iterator[None]:
        """What is raised inside is a fault of this section, or of the key in it that the error is
        about."""
        try:
            yield
        except StudyError as error:
            for fault in error.faults:
                self.add(fault.problem, *self._key(section, error))
        except BayeslawError as error:
            self.add(str(error), *self._key(section, error))

    def add(self, problem: str, *key: str | int) -> None:
        """A fault of a key."""
        self.found.append(Fault(problem, "", dotted(key), self.lines(*key)))

    def _key(self, section: tuple[str | int, ...], error: BayeslawError) -> tuple[str | int, ...]:
        """The innermost key of the file that an error is about: ``model.effects.alpha`` of an error
        about ``("effects", "alpha")`` in the section ``model``."""
        known = {key for key in self.lines.at if key[: len(section)] == section}
        for end in range(len(error.key), 0, -1):
            if (key := (*section, *error.key[:end])) in known:
                return key
        columns = [fault.column for fault in error.faults] if isinstance(error, RunsError) else []
        named = [key for column in columns for key in known if key[-1] == column]
        return max(named, key=len, default=section)


def _runs(study: Study, folder: Path, law: Law) -> Runs:
    given = study.runs
    if (given.path is None) == (given.dataset is None):
        raise StudyError(
            "", [Fault("Say where the runs are: either path, or dataset.", "", "runs")]
        )
    table: Any = dataset(given.dataset) if given.dataset is not None else folder / str(given.path)
    return read_runs(
        table,
        law,
        columns=given.columns,
        groups=given.groups,
        where=given.where,
        melt_into=given.melt_into,
        scale=given.scale,
    )


def _asked(study: Study, runs: Runs, design: Design, faults: Faults) -> dict[str, Any]:
    """Everything that the file asks of the fit, checked: what `Prepared` has of it."""
    names = ("points", "options", "costs", "target", "candidates", "candidate_costs")
    asked: dict[str, Any] = dict.fromkeys(names)
    if (test := study.backtest) is not None:
        with faults.of("backtest"):
            known_baselines(test.baselines)
            splits(design, runs, test.holdout, test.largest, test.rolling)
    tables = []
    for i, points in enumerate(study.predict):
        with faults.of("predict", i):
            tables.append(grid(points))
            points_of(tables[-1], design, runs)
    if tables:
        asked["points"] = pd.concat(tables, ignore_index=True)
    if (decision := study.decision) is not None:
        with faults.of("decision", "target"):
            asked["target"] = target_of(decision, design.law)
        with faults.of("decision"):
            asked["options"], asked["costs"] = options_of(decision, design, runs)
    if (wanted := study.next_runs) is not None and decision is not None:
        with faults.of("next_runs"):
            candidates, costs = candidates_of(wanted, decision, design, runs)
            asked |= {"candidates": candidates, "candidate_costs": costs}
    elif wanted is not None:
        faults.add(
            "The next runs are those that say most about the options of a [decision], and there is"
            " none.",
            "next_runs",
        )
    if study.allocate is not None:
        with faults.of("allocate"):
            require_split(design)
            sizes = {"model_size": 1.0, "data_size": 1.0}
            anywhere = {**dict.fromkeys(design.columns), **sizes, **study.allocate.at}
            checked_points(design, runs, anywhere)
    return asked
