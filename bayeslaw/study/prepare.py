"""A study file met with its table of runs: everything that can be checked before anything slow, every fault of it at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.allocation import require_split
from bayeslaw.checks.backtest import splits
from bayeslaw.datasets import dataset
from bayeslaw.decisions.go_no_go import asked, called
from bayeslaw.derived import TRAINING
from bayeslaw.errors import BayeslawError, Fault, StudyError, suggest
from bayeslaw.laws.base import Law
from bayeslaw.laws.registry import law as find_law
from bayeslaw.predict import grid, meant_points
from bayeslaw.runs import Runs, read_runs
from bayeslaw.spec import ModelSpec, resolve
from bayeslaw.study.schema import DecisionSection, Lines, NextRuns, Rows, Study, dotted, read_study


@dataclass(frozen=True, slots=True)
class Prepared:
    """A study that can be run: its file, and what that means for its runs. Made by `prepare`, never changed.

    Attributes
    ----------
    path, study : the file.
    runs, spec : what is fitted, every formula and prior written out.
    points : to predict, in the file's order; None where it asks for none.
    options, costs, target : of the decision: the options without what they share, (option,), a number; None without one.
    candidates, candidate_costs : for the next runs; None without any.
    """

    path: Path
    study: Study
    runs: Runs
    spec: ModelSpec
    points: pd.DataFrame | None
    options: pd.DataFrame | None
    costs: np.ndarray | None
    target: float | None
    candidates: pd.DataFrame | None
    candidate_costs: np.ndarray | None

    @property
    def law(self) -> Law:
        return self.spec.law


def prepare(path: str | Path, *, allow_import: bool = False) -> Prepared:
    """Read a study file and its runs, and check all that the file asks for.

    Raises
    ------
    StudyError : with every fault of the file: line, key, and what would be right; those of the runs' table among them.
    """
    path = Path(path)
    study, lines = read_study(path)
    faults = Faults(lines)
    law, runs, spec = None, None, None
    with faults.of("study", "law"):
        law = find_law(study.study.law, allow_import=allow_import)
    if law is not None:
        with faults.of("runs"):
            runs = _runs(study, path.parent, law)
        with faults.of("model"):
            spec = ModelSpec(law, **study.model.model_dump(exclude={"curve_by"}), curve_by=None if study.model.curve_by is None else tuple(study.model.curve_by))
    if runs is not None and spec is not None:
        with faults.of("model"):
            spec = resolve(spec, runs)
        if not faults.found:
            found = _asked(study, runs, spec, faults)
    if faults.found:
        raise StudyError(str(path), faults.found)
    return Prepared(path, study, runs, spec, **found)


class Faults:
    """The faults of a file, gathered section by section: one that has a fault does not hide those of the next."""

    def __init__(self, lines: Lines):
        self.lines = lines
        self.found: list[Fault] = []

    @contextmanager
    def of(self, *key: str | int) -> Iterator[None]:
        """What is raised inside is a fault of this key, or of the one that its words name."""
        try:
            yield
        except StudyError as error:
            for fault in error.faults:
                self.add(fault.problem, *self._nearest(fault.problem, key))
        except BayeslawError as error:
            self.add(str(error), *self._nearest(str(error), key))

    def add(self, problem: str, *key: str | int) -> None:
        """A fault of a key."""
        self.found.append(Fault(problem, "", dotted(key), self.lines(*key)))

    def _nearest(self, said: str, key: tuple[str | int, ...]) -> tuple[str | int, ...]:
        """The key inside a section whose name stands in the message: "The formula of alpha" is at ``model.effects.alpha``."""
        words = re.findall(r"[\w|]+", said)
        inside = [at for at in self.lines.at if at[: len(key)] == key and len(at) > len(key) and str(at[-1]) in words]
        return max(inside, key=lambda at: (len(at), -words.index(str(at[-1]))), default=key)  # the innermost, and of several the one that is named first


def _runs(study: Study, folder: Path, law: Law) -> Runs:
    given = study.runs
    if (given.path is None) == (given.dataset is None):
        raise StudyError("", [Fault("Say where the runs are: either path, or dataset.", "", "runs")])
    table: Any = dataset(given.dataset) if given.dataset is not None else folder / str(given.path)
    return read_runs(table, law, columns=given.columns, groups=given.groups, where=given.where, melt_into=given.melt_into, scale=given.scale)


def _asked(study: Study, runs: Runs, spec: ModelSpec, faults: Faults) -> dict[str, Any]:
    """Everything that the file asks of the fit, checked."""
    found: dict[str, Any] = dict.fromkeys(("points", "options", "costs", "target", "candidates", "candidate_costs"))
    if (test := study.backtest) is not None:
        with faults.of("backtest"):
            splits(spec, runs, test.holdout, test.largest, test.rolling)
    tables = []
    for i, asked_for in enumerate(study.predict):
        with faults.of("predict", i):
            meant_points(spec, runs, asked_for)
            tables.append(grid(asked_for))
    if tables:
        found["points"] = pd.concat(tables, ignore_index=True)
    if (decision := study.decision) is not None:
        with faults.of("decision", "target"):
            found["target"] = _target(decision, spec.law)
        with faults.of("decision"):
            found["options"], found["costs"] = _options(decision, spec, runs)
    if (wanted := study.next_runs) is not None:
        if decision is None:
            faults.add("The next runs are those that say most about the options of a [decision], and there is none.", "next_runs")
        else:
            with faults.of("next_runs"):
                found["candidates"], found["candidate_costs"] = _candidates(wanted, decision, spec, runs)
    if study.allocate is not None:
        with faults.of("allocate"):
            require_split(spec)
    return found


def _target(decision: DecisionSection, law: Law) -> float:
    if list(decision.target) != [law.response.name]:
        raise StudyError("", [Fault(f"It is of {', '.join(decision.target) or 'nothing'}, and the law is of {law.response.name}: target = {{ {law.response.name} = ... }}.", "")])
    return decision.target[law.response.name]


def _options(decision: DecisionSection, spec: ModelSpec, runs: Runs) -> tuple[pd.DataFrame, np.ndarray]:
    """The options, and the cost of each."""
    cost: Any = decision.cost
    options = _rows(decision.options) if decision.options is not None else _named_by(cost, runs, decision.at) if isinstance(cost, Mapping) else pd.DataFrame(index=[0])
    if both := [name for name in options if name in decision.at]:
        raise StudyError("", [Fault(f"{both[0]} is given by options and by at: it is either what options differ in, or what they share.", "")])
    if isinstance(cost, float):
        cost = [cost] * len(options)
    points, costs = asked(
        options, decision.target.get(spec.law.response.name, 0.0), at=decision.at, cost=cost, go_at=decision.go_at, no_go_at=decision.no_go_at,
    )  # fmt: skip
    meant_points(spec, runs, points)
    return options.drop(columns="cost", errors="ignore"), costs


def _named_by(cost: Mapping[str, float], runs: Runs, at: Mapping[str, Any]) -> pd.DataFrame:
    """Options that differ in the one column of the runs whose values ``cost`` names."""
    names = {called(name) for name in cost}
    columns = [str(c) for c in runs.table if str(c) not in at and names <= {called(x) for x in runs.table[c]}]
    if len(columns) != 1:
        known = {called(x): c for c in runs.groups for x in runs.table[c]}
        stranger = next((name for name in cost if called(name) not in known), "")
        which = f"{', '.join(columns)} have all of its names among their values" if columns else f"no one column of the runs has all of its names among its values.{suggest(stranger, known)}"
        raise StudyError("", [Fault(f"cost names {', '.join(cost)}, and {which} Say what the options are: options = {{ method = [...] }}.", "")])
    return pd.DataFrame({columns[0]: list(cost)})


def _candidates(wanted: NextRuns, decision: DecisionSection, spec: ModelSpec, runs: Runs) -> tuple[pd.DataFrame, np.ndarray]:
    """The candidates, with what the options share where they do not say otherwise, and the cost of each."""
    table = _rows(wanted.candidates)
    table = table.assign(**{name: value for name, value in decision.at.items() if name not in table})
    points = table.drop(columns="cost", errors="ignore")
    checked = meant_points(spec, runs, points)
    if wanted.cost == "flop":
        if lacking := [name for name in ("model_size", "data_size") if name not in checked]:
            raise StudyError("", [Fault(f'cost = "flop" is 6 model_size data_size, and the candidates have no {lacking[0]}: list their costs.', "")])
        costs = TRAINING * checked["model_size"].to_numpy(float) * checked["data_size"].to_numpy(float)
    elif wanted.cost is not None:
        costs = np.array(wanted.cost)
    else:
        costs = pd.to_numeric(table["cost"], errors="coerce").to_numpy(float) if "cost" in table else np.ones(len(table))
    if len(costs) != len(table) or not (costs > 0).all():
        raise StudyError("", [Fault(f"cost must be a positive number for each of the {len(table)} candidates; it has {len(costs)}.", "")])
    return points, costs


def _rows(rows: Rows) -> pd.DataFrame:
    """Points as they stand in the file: one table is multiplied out, several are a row each."""
    return grid(rows) if isinstance(rows, dict) else pd.DataFrame(rows)
