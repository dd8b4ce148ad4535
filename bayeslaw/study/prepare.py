"""Read a study file and its table of runs, and check all that can be checked before anything slow.
Every fault comes at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.answers.loss_curve import group_of, require_sizes, require_split
from bayeslaw.decisions.options import require_thresholds
from bayeslaw.errors import BayeslawError, ExpressionError, Fault, RunsError, StudyError, suggest
from bayeslaw.laws.base import Law
from bayeslaw.laws.registry import law as find_law
from bayeslaw.priors import Prior
from bayeslaw.runs import filters
from bayeslaw.runs.table import Runs
from bayeslaw.spec.design import Design
from bayeslaw.spec.formula import Formula
from bayeslaw.spec.resolve import resolve
from bayeslaw.spec.spec import ModelSpec
from bayeslaw.study.requests import (
    MOST_POINTS,
    Ground,
    candidates_of,
    costs_of,
    costs_of_candidates,
    options_of,
    product_of,
    target_of,
)
from bayeslaw.study.schema import Draft, Lines, Study, dotted, read_draft
from bayeslaw.study.table import read_table, stand_in
from bayeslaw.validation.backtesting import known_baselines
from bayeslaw.validation.splits import selected, splits


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

    What is asked is checked although the table, the model or other keys have faults: against what
    is right in them, so that a fault of the one makes none of the other.

    Raises
    ------
    StudyError : every fault of the file and of the table of runs, each with its line and key, and
        what would be right.
    """
    path = Path(path)
    draft = read_draft(path)
    faults = Faults(draft.lines, draft.faults)
    law = _law(draft, faults, allow_import)
    options = _model(draft, faults)
    runs = _runs(draft, path.parent, law, faults)
    if law is None:
        _check_backtest(draft, None, faults)
        _check_decision(draft, faults)
        raise StudyError(str(path), faults.faults)
    known_runs = stand_in(draft, path.parent, law) if runs is None else runs
    design = _design(options, law, known_runs, faults)
    ground = Ground(law, known_runs, design, not faults.of_sections("runs", "model"))
    requests = _requests(draft, ground, faults)
    if faults.faults or runs is None or design is None:
        raise StudyError(str(path), faults.faults)
    return Prepared(path, draft.study, runs, design, **requests)


class Faults:
    """The faults of a file, collected section by section, so that one section's fault does not hide
    another's."""

    def __init__(self, lines: Lines, faults: Iterable[Fault] = ()):
        self.lines = lines
        self.faults: list[Fault] = list(faults)

    @contextmanager
    def of(self, *section: str | int) -> Iterator[None]:
        """An error raised inside becomes a fault of this section, or of the key in it that the
        error is about."""
        try:
            yield
        except BayeslawError as error:
            self.record(error, *section)

    def record(self, error: BayeslawError, *section: str | int) -> None:
        """A fault of a section, or of the key in it that the error is about."""
        if isinstance(error, StudyError):
            for fault in error.faults:
                self.add(fault.problem, *self._key(section, error))
        else:
            self.add(str(error), *self._key(section, error))

    def add(self, problem: str, *key: str | int) -> None:
        """A fault of a key."""
        fault = Fault(problem, "", dotted(key), self.lines(*key))
        if fault not in self.faults:
            self.faults.append(fault)

    def of_sections(self, *sections: str) -> bool:
        """Whether there is a fault in any of these sections."""
        return any(fault.column.split(".")[0] in sections for fault in self.faults)

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


def _law(draft: Draft, faults: Faults, allow_import: bool) -> Law | None:
    """The law; None where it has a fault."""
    if not draft.doubts("study", "law"):
        with faults.of("study", "law"):
            return find_law(draft.study.study.law, allow_import=allow_import)
    return None


def _model(draft: Draft, faults: Faults) -> dict[str, Any]:
    """The options of the model, without formulas and priors that cannot be read."""
    options = draft.study.model.model_dump()
    for name, formula in list(options["effects"].items()):
        with _or_without(options["effects"], name, faults, "model", "effects", name):
            Formula.of(formula)
    for name, prior in list(options["priors"].items()):
        with _or_without(options["priors"], name, faults, "model", "priors", name):
            Prior.of(prior)
    return options


def _runs(draft: Draft, folder: Path, law: Law | None, faults: Faults) -> Runs | None:
    """The runs; None where the table, or what the file says of it, has a fault."""
    if draft.doubts("runs"):
        return None
    runs, errors = read_table(draft.study.runs, folder, law)
    for error in errors:
        key = ("runs", "where") if isinstance(error, ExpressionError) else ("runs",)
        faults.record(error, *key)
    return None if errors else runs


def _design(options: dict[str, Any], law: Law, runs: Runs | None, faults: Faults) -> Design | None:
    """The model for these runs, without what is wrong in its options."""
    found = len(faults.faults)
    while True:
        try:
            spec = ModelSpec(law, **options)
            return None if runs is None else resolve(spec, runs)
        except BayeslawError as error:
            if not _named_before(error, faults, found):
                faults.record(error, "model")
            if not _left_out(options, error.key):
                return None


#: Keys of the model that have a default where they are not given.
OPTIONAL = ("noise", "discrepancy", "misfit", "curve_by")
#: Keys that say what the options are, and which runs are hidden.
OPTIONS, HIDDEN = ("options", "at", "cost"), ("holdout", "largest", "rolling")


def _unclear(draft: Draft, section: str, needed: Sequence[str]) -> bool:
    """Whether one of these keys of a section has a fault, or one that may be meant for it."""
    keys = [key for key in draft.faulty if key[0] == section]
    return any(
        len(key) == 1 or key[1] in needed or suggest(str(key[1]), needed) != "" for key in keys
    )


@contextmanager
def _or_without(
    values: dict[str, Any], name: str, faults: Faults, *key: str | int
) -> Iterator[None]:
    """An error raised inside becomes a fault of a key, whose value is left out."""
    try:
        yield
    except BayeslawError as error:
        faults.record(error, *key)
        del values[name]


def _named_before(error: BayeslawError, faults: Faults, first: int) -> bool:
    """Whether an earlier fault of the model, which lists all unknown names, has this one's."""
    start = " ".join(str(error).split()[:2])
    name = f"{error.key[-1]}" if len(error.key) > 1 else ""
    earlier = [fault.problem for fault in faults.faults[first:]]
    return bool(name) and any(x.startswith(start) and name in x for x in earlier)


def _left_out(options: dict[str, Any], key: tuple[str | int, ...]) -> bool:
    """Leave the option that a key names out of the model's; False if there is none."""
    match key:
        case ("effects" | "priors" as section, name, *_) if name in options[section]:
            del options[section][name]
        case (str() as name, *_) if name in OPTIONAL and options[name] is not None:
            options[name] = None
        case _ if any(options.values()):
            options |= {"effects": {}, "priors": {}}
            options |= dict.fromkeys(OPTIONAL)
        case _:
            return False
    return True


def _requests(draft: Draft, ground: Ground, faults: Faults) -> dict[str, Any]:
    """What the file asks of the fit, checked: the fields of `Prepared`, for those parts that the
    file has."""
    _check_backtest(draft, ground, faults)
    _check_decision(draft, faults)
    requests: dict[str, Any] = {}
    for checked in (_points, _options, _candidates):
        requests |= checked(draft, ground, faults)
    _check_allocation(draft, ground, faults)
    return requests


def _check_backtest(draft: Draft, ground: Ground | None, faults: Faults) -> None:
    section = draft.study.backtest
    if section is None or _unclear(draft, "backtest", HIDDEN):
        return
    with faults.of("backtest"):
        known_baselines(section.baselines)
    before = len(faults.faults)
    if isinstance(section.holdout, str):
        with faults.of("backtest", "holdout"):
            _check_filter(section.holdout, ground)
    for i, text in enumerate(section.holdout if isinstance(section.holdout, list) else []):
        with faults.of("backtest", "holdout", i):
            _check_filter(text, ground)
    if ground is None or ground.design is None or len(faults.faults) > before:
        return
    assert ground.runs is not None
    with faults.of("backtest"):
        check = splits if ground.sure else selected
        check(ground.design, ground.runs, section.holdout, section.largest, section.rolling)


def _check_filter(text: str, ground: Ground | None) -> None:
    """Raise for an expression that cannot be read, or is not of these runs."""
    if ground is None or ground.runs is None:
        filters.names(text)
    else:
        filters.select(ground.runs.table, text, ground.runs.own_names)


def _check_decision(draft: Draft, faults: Faults) -> None:
    """Check what can be checked without a law."""
    decision = draft.study.decision
    doubted = any(draft.doubts("decision", key) for key in ("go_at", "no_go_at"))
    if decision is not None and not doubted:
        with faults.of("decision"):
            require_thresholds(decision.go_at, decision.no_go_at)
    if draft.study.next_runs is not None and decision is None and not draft.doubts("decision"):
        faults.add(
            "next_runs ranks candidate runs by how much they say about the options of a [decision],"
            " and there is none.",
            "next_runs",
        )


def _points(draft: Draft, ground: Ground, faults: Faults) -> dict[str, Any]:
    tables, rows = [], 0
    for i, points in enumerate(draft.study.predict):
        if draft.doubts("predict", i):
            continue
        with faults.of("predict", i):
            tables.append(product_of(points, MOST_POINTS - rows))
            rows += len(tables[-1])
            for error in ground.faults_of(tables[-1]):
                faults.record(error, "predict", i)
    return {"points": pd.concat(tables, ignore_index=True)} if tables else {}


def _options(draft: Draft, ground: Ground, faults: Faults) -> dict[str, Any]:
    section, requests = draft.study.decision, dict[str, Any]()
    if section is None:
        return requests
    if not draft.doubts("decision", "target"):
        with faults.of("decision", "target"):
            requests["target"] = target_of(section, ground.law)
    if _unclear(draft, "decision", OPTIONS):
        return requests
    with faults.of("decision"):
        options = options_of(section, ground)
        if options is not None:
            points = options.drop(columns="cost", errors="ignore")
            for error in ground.faults_of(points.assign(**section.at)):
                faults.record(error, "decision")
            requests |= {"options": points, "costs": costs_of(section, options, ground.law)}
    return requests


def _candidates(draft: Draft, ground: Ground, faults: Faults) -> dict[str, Any]:
    wanted, decision = draft.study.next_runs, draft.study.decision
    if wanted is None or decision is None:
        return {}
    with faults.of("next_runs"):
        candidates, cost = candidates_of(wanted, decision)
        errors = []
        if not _unclear(draft, "decision", OPTIONS):
            errors = list(ground.faults_of(candidates))
            for error in errors:
                faults.record(error, "next_runs")
        if draft.doubts("next_runs", "cost"):
            return {}
        if not isinstance(cost, str):
            costs = costs_of_candidates(candidates, cost, candidates)
        elif not errors and not draft.doubts("decision"):
            costs = costs_of_candidates(candidates, cost, ground.points(candidates))
        else:
            return {}
        return {"candidates": candidates, "candidate_costs": costs}
    return {}


def _check_allocation(draft: Draft, ground: Ground, faults: Faults) -> None:
    section, design, runs = draft.study.allocate, ground.design, ground.runs
    if section is None:
        return
    with faults.of("allocate"):
        require_sizes(ground.law)
        if design is not None and runs is not None:
            require_split(design)
            try:
                group_of(design, runs, section.at)
            except RunsError:
                if ground.sure:
                    raise
