"""A study file met with its table of runs: everything that can be checked before anything slow,
every fault of it at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.answers.allocation import require_split
from bayeslaw.decisions.go_no_go import asked, called
from bayeslaw.errors import BayeslawError, Fault, StudyError, suggest
from bayeslaw.laws.base import Law
from bayeslaw.laws.registry import law as find_law
from bayeslaw.posterior.predict import grid, meant_points
from bayeslaw.runs.columns import TRAINING
from bayeslaw.runs.datasets import dataset
from bayeslaw.runs.table import Runs, read_runs
from bayeslaw.spec.spec import ModelSpec, columns_of, designs, resolve
from bayeslaw.study.schema import DecisionSection, Lines, NextRuns, Rows, Study, dotted, read_study
from bayeslaw.validation.backtesting import known_baselines, splits


@dataclass(frozen=True, slots=True)
class Prepared:
    """A study that can be run: its file, and what that means for its runs. Made by `prepare`, never
    changed.

    Attributes
    ----------
    path, study : the file.
    runs, spec : what is fitted, every formula and prior written out.
    points : to predict, in the file's order; None where it asks for none.
    options, costs, target : of the decision: the options without what they share, (option,), a
        number; None without one.
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
        """The law that is fitted."""
        return self.spec.law

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
    law, runs, spec = None, None, None
    with faults.of("study", "law"):
        law = find_law(study.study.law, allow_import=allow_import)
    if law is not None:
        with faults.of("runs"):
            runs = _runs(study, path.parent, law)
        with faults.of("model"):
            spec = ModelSpec(
                law,
                **study.model.model_dump(exclude={"curve_by"}),
                curve_by=None if study.model.curve_by is None else tuple(study.model.curve_by),
            )
    if runs is not None and spec is not None:
        with faults.of("model"):
            spec = resolve(spec, runs)
        if not faults.found:
            found = _asked(study, runs, spec, faults)
    if faults.found:
        raise StudyError(str(path), faults.found)
    return Prepared(path, study, runs, spec, **found)


class Faults:
    """The faults of a file, gathered section by section: one that has a fault does not hide those
    of the next.
    """

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
        """The key inside a section whose name stands in the message: "The formula of alpha" is at
        ``model.effects.alpha``.
        """
        inside = [at for at in self.lines.at if at[: len(key)] == key and len(at) > len(key)]
        named = {
            at: found.start()
            for at in inside
            if (found := re.search(_SAID_OF.format(re.escape(str(at[-1]))), said))
        }
        # the innermost, and of several the one that is named first
        return max(named, key=lambda at: (len(at), -named[at]), default=key)


#: How a message speaks of a key, and not of the word: it leads, or stands where only a name does.
_SAID_OF = (
    r"(?:^|\b(?:formula|prior) of |\b(?:has|names|maps|column) '?){0}\b|\b{0}\b"
    r" (?:is|has|names|maps|must)\b"
)


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


def _asked(study: Study, runs: Runs, spec: ModelSpec, faults: Faults) -> dict[str, Any]:
    """Everything that the file asks of the fit, checked."""
    found: dict[str, Any] = dict.fromkeys(
        ("points", "options", "costs", "target", "candidates", "candidate_costs")
    )
    if (test := study.backtest) is not None:
        with faults.of("backtest"):
            known_baselines(test.baselines)
            splits(spec, runs, test.holdout, test.largest, test.rolling)
    tables = []
    for i, asked_for in enumerate(study.predict):
        with faults.of("predict", i):
            tables.append(grid(asked_for))
            _meant(tables[-1], spec, runs)
    if tables:
        found["points"] = pd.concat(tables, ignore_index=True)
    if (decision := study.decision) is not None:
        with faults.of("decision", "target"):
            found["target"] = _target(decision, spec.law)
        with faults.of("decision"):
            found["options"], found["costs"] = _options(decision, spec, runs)
    if (wanted := study.next_runs) is not None:
        if decision is None:
            faults.add(
                "The next runs are those that say most about the options of a [decision], and there"
                " is none.",
                "next_runs",
            )
        else:
            with faults.of("next_runs"):
                found["candidates"], found["candidate_costs"] = _candidates(
                    wanted, decision, spec, runs
                )
    if study.allocate is not None:
        with faults.of("allocate"):
            require_split(spec)
            meant_points(
                spec,
                runs,
                {
                    **dict.fromkeys(columns_of(spec)),
                    "model_size": 1.0,
                    "data_size": 1.0,
                    **study.allocate.at,
                },
            )
    return found


def _target(decision: DecisionSection, law: Law) -> float:
    if list(decision.target) != [law.response.name]:
        raise StudyError(
            "",
            [
                Fault(
                    f"It is of {', '.join(decision.target) or 'nothing'}, and the law is of"
                    f" {law.response.name}: target = {{ {law.response.name} = ... }}.",
                    "",
                )
            ],
        )
    return decision.target[law.response.name]


def _options(
    decision: DecisionSection, spec: ModelSpec, runs: Runs
) -> tuple[pd.DataFrame, np.ndarray]:
    """The options, and the cost of each."""
    cost: Any = decision.cost
    options = (
        _rows(decision.options)
        if decision.options is not None
        else (
            _named_by(cost, spec, runs, decision.at)
            if isinstance(cost, Mapping)
            else pd.DataFrame(index=[0])
        )
    )
    if both := [name for name in options if name in decision.at]:
        raise StudyError(
            "",
            [
                Fault(
                    f"{both[0]} is given by options and by at: it is either what options differ in,"
                    " or what they share.",
                    "",
                )
            ],
        )
    if isinstance(cost, float):
        cost = [cost] * len(options)
    if "cost" in options and cost is not None:
        raise StudyError(
            "",
            [Fault("cost is given beside the options and with each of them: leave one out.", "")],
        )
    points, costs = asked(
        spec.law,
        options,
        decision.target.get(spec.law.response.name, 0.5),
        at=decision.at,
        cost=cost,
        go_at=decision.go_at,
        no_go_at=decision.no_go_at,
    )
    _meant(points, spec, runs)
    return options.drop(columns="cost", errors="ignore"), costs


def _named_by(
    cost: Mapping[str, float], spec: ModelSpec, runs: Runs, at: Mapping[str, Any]
) -> pd.DataFrame:
    """Options that differ in the one column of the model whose values ``cost`` names."""
    names = {called(name) for name in cost}
    columns = [
        c
        for c in (*spec.law.inputs, *columns_of(spec))
        if c not in at and c in runs.table and names <= {called(x) for x in runs.table[c]}
    ]
    if len(columns) != 1:
        known = {called(x): c for c in runs.groups for x in runs.table[c]}
        stranger = next((name for name in cost if called(name) not in known), "")
        which = (
            f"{', '.join(columns)} have all of its names among their values"
            if columns
            else (
                "no input and no group of the model has all of its names among its"
                f" values.{suggest(stranger, known)}"
            )
        )
        raise StudyError(
            "",
            [
                Fault(
                    f"cost names {', '.join(cost)}, and {which} Say what the options are: options ="
                    " { method = [...] }.",
                    "",
                )
            ],
        )
    return pd.DataFrame({columns[0]: list(cost)})


def _candidates(
    wanted: NextRuns, decision: DecisionSection, spec: ModelSpec, runs: Runs
) -> tuple[pd.DataFrame, np.ndarray]:
    """The candidates, with what the options share where they do not say otherwise, and the cost of
    each.
    """
    table = _rows(wanted.candidates)
    table = table.assign(
        **{name: value for name, value in decision.at.items() if name not in table}
    )
    points = table.drop(columns="cost", errors="ignore")
    checked = _meant(points, spec, runs)
    if wanted.cost == "flop":
        if lacking := [name for name in ("model_size", "data_size") if name not in checked]:
            raise StudyError(
                "",
                [
                    Fault(
                        'cost = "flop" is 6 model_size data_size, and the candidates have no'
                        f" {lacking[0]}: list their costs.",
                        "",
                    )
                ],
            )
        costs = (
            TRAINING * checked["model_size"].to_numpy(float) * checked["data_size"].to_numpy(float)
        )
    elif wanted.cost is not None:
        costs = np.array(wanted.cost)
    else:
        costs = (
            pd.to_numeric(table["cost"], errors="coerce").to_numpy(float)
            if "cost" in table
            else np.ones(len(table))
        )
    if len(costs) != len(table) or not (costs > 0).all():
        raise StudyError(
            "",
            [
                Fault(
                    f"cost must be a positive number for each of the {len(table)} candidates; it"
                    f" has {len(costs)}.",
                    "",
                )
            ],
        )
    return points, costs


#: What inputs of a law may follow from, in a table of points.
DERIVED_FROM = ("compute", "n", "sqrt_kl")


def _meant(points: pd.DataFrame, spec: ModelSpec, runs: Runs) -> pd.DataFrame:
    """Points, checked; a column that the model does not know would make options that differ in name
    alone.
    """
    known = (*spec.law.inputs, *columns_of(spec), *DERIVED_FROM)
    if unknown := [str(name) for name in points if name not in known]:
        remedy = (
            " It is a column of the runs: name it in groups of [runs]."
            if unknown[0] in runs.table
            else suggest(unknown[0], known)
        )
        raise StudyError(
            "",
            [
                Fault(
                    f"{unknown[0]} is neither an input of {spec.law.name} nor a group of the model,"
                    f" and would change nothing.{remedy}",
                    "",
                )
            ],
        )
    checked = meant_points(spec, runs, points)
    for name, design in designs(spec, runs.table).items():
        if design.formula.by and (
            strangers := sorted(
                set(checked[design.formula.by].map(called))
                - set(runs.table[design.formula.by].map(called))
            )
        ):
            raise StudyError(
                "",
                [
                    Fault(
                        f"{design.formula.by} has {', '.join(strangers)}, which no run has, and the"
                        f" groups of {name} are not pooled ({design.formula}): it cannot be"
                        " predicted.",
                        "",
                    )
                ],
            )
    return checked


def _rows(rows: Rows) -> pd.DataFrame:
    """Points as they stand in the file: one table is multiplied out, several are a row each."""
    if isinstance(rows, dict):
        if isinstance(rows.get("cost"), list):
            raise StudyError(
                "",
                [
                    Fault(
                        "cost stands in a table that is multiplied out: list the costs beside it,"
                        " or write a table a row.",
                        "",
                    )
                ],
            )
        return grid(rows)
    keys: list[set[str]] = [set(row) - {"cost"} for row in rows]
    if any(each != keys[0] for each in keys):
        lacking = sorted(set.union(*keys) - set[str].intersection(*keys))
        raise StudyError(
            "",
            [
                Fault(
                    f"Some rows have no {', '.join(lacking)}, which others have: give it in each.",
                    "",
                )
            ],
        )
    return pd.DataFrame(rows)
