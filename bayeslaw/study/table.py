"""The table of runs of a study: read, with all that is wrong with it; and a stand-in for one with
faults, so that the rest of the file can be checked."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.errors import BayeslawError, RunsError, RunsWarning, SpecError
from bayeslaw.laws.base import Law
from bayeslaw.runs.arguments import own_names
from bayeslaw.runs.columns import DERIVED_FROM, derive
from bayeslaw.runs.datasets import dataset
from bayeslaw.runs.files import load_table, melt
from bayeslaw.runs.table import Runs, read_runs
from bayeslaw.runs.validation import numbers_for, numbers_of
from bayeslaw.study.schema import Draft, RunsSection


def read_table(
    section: RunsSection, folder: Path, law: Law | None
) -> tuple[Runs | None, list[BayeslawError]]:
    """The runs of a study, and all that is wrong with the table and with what the file says of it.

    Without a law only the file is looked for.
    """
    if (section.path is None) == (section.dataset is None):
        return None, [SpecError("Say where the runs are: either path, or dataset.")]
    errors: list[BayeslawError] = []
    options: dict[str, Any] = section.model_dump(exclude={"path", "dataset"})
    absent: set[str] = set()
    try:
        frame, _ = load_table(_source(section, folder))
    except BayeslawError as error:
        return None, [error]
    while law is not None:
        try:
            return read_runs(_source(section, folder), law, **options), errors
        except BayeslawError as error:
            errors += _without_consequences(error, absent)
            unknown = {name: user for name, user in options["columns"].items() if user not in frame}
            match error.key:
                case ("groups", *_) if options["groups"]:
                    options["groups"] = []
                case ("scale", name, *_) if name in options["scale"]:
                    del options["scale"][name]
                case _ if unknown and isinstance(error, RunsError):
                    absent |= set(unknown)
                    for key in ("columns", "scale"):
                        options[key] = {x: y for x, y in options[key].items() if x not in unknown}
                    if options["groups"] is not None:
                        options["groups"] = [x for x in options["groups"] if x not in unknown]
                case _:
                    break
    return None, errors


def _source(section: RunsSection, folder: Path) -> pd.DataFrame | Path:
    return folder / str(section.path) if section.dataset is None else dataset(section.dataset)


def _without_consequences(error: BayeslawError, absent: Collection[str]) -> list[BayeslawError]:
    """An error without the faults that come of columns that were found absent before."""
    if not absent or not isinstance(error, RunsError):
        return [error]
    derived = any(name in DERIVED_FROM for name in absent)
    faults = [
        fault
        for fault in error.faults
        if fault.column not in absent and not (derived and "column is missing" in fault.problem)
    ]
    return [RunsError(error.source, faults, key=error.key)] if faults else []


def stand_in(draft: Draft, folder: Path, law: Law) -> Runs | None:
    """Runs with the columns and the groups of a table that has faults: where a value is none that
    the law can take, they have another. None where columns or groups are not known.
    """
    section = draft.study.runs
    told = [key for key in draft.faulty if key[0] == "runs"]
    if any(len(key) == 1 or key[1] not in ("where", "scale") for key in told):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RunsWarning)
            return _stand_in(section, folder, law)
    except BayeslawError:
        return None


def _stand_in(section: RunsSection, folder: Path, law: Law) -> Runs | None:
    frame, _ = load_table(_source(section, folder))
    names = own_names(section.columns, law, section.scale)
    known = {name: user for name, user in section.columns.items() if user in frame}
    numeric = (*law.inputs, law.response.name)
    if any(name not in (*known, *numeric, *DERIVED_FROM) for name in section.columns):
        return None
    if any(name not in frame and name not in known for name in section.groups or ()):
        return None
    frame = frame.assign(**{name: frame[user] for name, user in known.items()})
    if section.melt_into is not None:
        frame = melt(frame, section.melt_into, law.response.name, section.melt_into)
    frame, _, _ = derive(frame, law, numbers_for(frame, law))
    frame = frame.assign(**{name: _possible(frame, law, name) for name in numeric})
    for name in section.groups or ():
        frame = frame[frame[name].notna() & (frame[name].astype(object) != "")]
    frame = frame.drop(columns=[x for x in {*known.values()} - {*known, *numeric} if x in frame])
    runs = None
    for where in (section.where, None):
        try:
            runs = read_runs(frame, law, groups=section.groups, where=where)
            break
        except BayeslawError:
            if where is None:
                raise
    return None if runs is None else replace(runs, own_names=names)


def _possible(frame: pd.DataFrame, law: Law, name: str) -> pd.Series:
    """A column of an input or of the response, in which every value is in the law's domain."""
    numbers = numbers_of(frame[name]) if name in frame else pd.Series(np.nan, index=frame.index)
    if name in law.inputs:
        low, high, plausible = law.inputs[name].low, np.inf, law.inputs[name].plausible
        usual = float(np.sqrt(plausible[0] * plausible[1]))
    else:
        low = -np.inf if law.response.scale == "linear" else 0.0
        high, usual = (1.0 if law.response.scale == "logit" else np.inf), 0.5
    right = np.isfinite(numbers) & (numbers > low) & (numbers < high)
    return numbers.where(right, numbers[right].median() if right.any() else usual)
