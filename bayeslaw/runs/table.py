"""Runs: a checked table of finished runs, with the law's names and units."""

from __future__ import annotations

import warnings as warnings_module
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.errors import (
    ExpressionError,
    Fault,
    RunsError,
    RunsWarning,
    SpecError,
    listed,
    suggest,
)
from bayeslaw.laws.base import Law
from bayeslaw.laws.registry import law as find_law
from bayeslaw.runs import filters
from bayeslaw.runs.arguments import (
    GROUP_COLUMNS,
    MEASUREMENT,
    as_columns,
    check_groups,
    check_kinds,
    check_names,
    is_finite,
    own_names,
)
from bayeslaw.runs.columns import derive, initial_policy, or_as_given
from bayeslaw.runs.files import load_table, melt, rename
from bayeslaw.runs.measurement import AVERAGED, se_column
from bayeslaw.runs.plausibility import plausibility_warnings
from bayeslaw.runs.validation import is_text, numbers_for, numbers_of, validated
from bayeslaw.text import first_of, label, labels, shown

#: Grouping columns that tell repeats apart; by default they make no effects.
REPEAT_COLUMNS = ("run", "seed")


@dataclass(frozen=True, slots=True)
class Runs:
    """A table of finished runs that a law can be fitted to. Made by `read_runs`, never changed.

    Attributes
    ----------
    law : the law whose inputs and response the columns are.
    table : DataFrame, one row per run, indexed by the row's place in the user's table. Inputs and
        response are float, in the law's units; grouping columns are text; other columns are
        unchanged.
    groups : the grouping columns.
    source : where the table came from, for messages.
    notes : what was done to the table: derived columns, unused columns, rows left out.
    warnings : what should be looked at: duplicates, groups of one run, values that look as if they
        were in another unit or something else (`bayeslaw.runs.plausibility`).
    own_names : the table's own names of columns that were renamed, with the names that they have
        here. Filters may use either. A column that was scaled has only the name that it has here.
    """

    law: Law
    table: pd.DataFrame
    groups: tuple[str, ...]
    source: str
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    own_names: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def populations(self) -> tuple[str, ...]:
        """The grouping columns without those that tell repeats apart."""
        return tuple(name for name in self.groups if name not in REPEAT_COLUMNS)

    @property
    def simulated(self) -> bool:
        """Whether the runs are simulated, by the name of their data set or file.

        Everything that is made from simulated runs must say so.
        """
        return "simulated" in Path(self.source).name

    def rows(self, kept: np.ndarray) -> Runs:
        """The runs for which ``kept``, (run,), is true."""
        return replace(self, table=self.table[kept])

    def with_law(self, law: Law) -> Runs:
        """The same runs for another law of the same inputs and response.

        Raises
        ------
        SpecError : the other law has other inputs or another response, or needs another column.
        """
        mine, other = self.law, law
        if mine == other:
            return self
        same = (
            other.inputs == mine.inputs
            and set(other.selector_columns) <= set(mine.selector_columns)
            and (other.response.name, other.response.scale)
            == (mine.response.name, mine.response.scale)
        )
        if not same:
            needs = ", ".join([*other.inputs, *other.selector_columns, other.response.name])
            has = ", ".join([*mine.inputs, *mine.selector_columns, mine.response.name])
            raise SpecError(
                f"The runs were read for {mine.name}, whose columns are {has}; {other.name} needs"
                f" {needs}. Read them again: bl.read_runs(table, {other.name!r}).",
                key="law",
            )
        return replace(self, law=other)

    @property
    def y(self) -> np.ndarray:
        """The response, shape (run,), in the law's unit."""
        return np.asarray(self.table[self.law.response.name], float)

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """Each input, shape (run,), in the law's units."""
        return {name: self.table[name].to_numpy(float) for name in self.law.inputs}

    @property
    def averaged(self) -> np.ndarray:
        """How many logged values each row is the mean of, (run,)."""
        if AVERAGED in self.table:
            return np.asarray(self.table[AVERAGED], float)
        return np.ones(len(self))

    @property
    def centre(self) -> dict[str, float]:
        """The geometric mean of each input: the centre of `bayeslaw.laws.base.Param.at_centre`.

        Rows with none of an input (`bayeslaw.laws.base.Input.none`) are left out, unless all have
        none. Without any runs it is one unit of each input.
        """
        if not len(self):
            return dict.fromkeys(self.law.inputs, 1.0)
        centre = {}
        for name, x in self.inputs.items():
            present = self.law.inputs[name].present(x)
            centre[name] = float(np.exp(np.log(present if len(present) else x).mean()))
        return centre

    def centre_of(self, table: pd.DataFrame) -> dict[str, Any]:
        """The centre of each input for the rows of a table.

        It is one number; or (row,) for an input with a selector column, each of whose groups has a
        centre of its own.
        """
        centre: dict[str, Any] = dict(self.centre)
        for name, spec in self.law.inputs.items():
            if spec.selector and len(self):
                groups = self.table[spec.selector].map(label)
                logs = np.log(self.table[name]).groupby(groups).mean()
                centre[name] = np.exp(table[spec.selector].map(label).map(logs).to_numpy(float))
        return centre

    @property
    def typical_response(self) -> float:
        """The unit of relative priors.

        It is the geometric mean of losses, the root mean square of scores, and 1 for rates and
        without runs.
        """
        if not len(self):
            return 1.0
        match self.law.response.scale:
            case "log":
                return float(np.exp(np.log(self.y).mean()))
            case "linear":
                return float(np.sqrt((self.y**2).mean()))
        return 1.0

    def __str__(self) -> str:
        units = {name: spec.unit for name, spec in self.law.inputs.items()}
        units[self.law.response.name] = self.law.response.unit
        lines = [f"{len(self)} runs from {self.source}, for the law {self.law.name}"]
        for name, unit in units.items():
            x = self.table[name]
            if name in self.law.inputs:
                x = self.law.inputs[name].written(x)
            lines.append(
                f"  {name:<18} {x.min():.4g} to {x.max():.4g} {unit}, {x.nunique()} values"
            )
        for group in self.groups:
            counts = self.table[group].value_counts()
            lines.append(
                f"  {group:<18} {len(counts)} groups of {counts.min()}-{counts.max()} runs:"
                f" {first_of(counts.sort_index().index)}"
            )
        lines += [f"  note: {note}" for note in self.notes]
        lines += [f"  warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)


def read_runs(
    table: str | Path | pd.DataFrame,
    law: str | Law | Mapping[str, Any],
    *,
    columns: Mapping[str, str] | None = None,
    groups: Sequence[str] | None = None,
    where: str | None = None,
    melt_into: str | None = None,
    scale: Mapping[str, float] | None = None,
) -> Runs:
    """Read a table of runs and check all of it.

    Parameters
    ----------
    table : path of a CSV, TSV or Parquet file, or a DataFrame; one row per run.
    law : a law, the name of one, or a mapping with a name and options.
    columns : for a canonical name, the table's own name, where the two differ:
        ``{"model_size": "params"}``.
    groups : grouping columns, by either name. None: those of `GROUP_COLUMNS` that the table has,
        without columns that name each row.
    where : a filter in canonical names, or in the table's own where ``scale`` does not change their
        values; rows for which it does not hold are left out: ``"loss < 3.5 and method !=
        'prefix'"``.
    melt_into : for a wide table, the input whose values are the column headers, such as
        ``"finetuning_data"``.
    scale : for a canonical name, the factor to the canonical unit: ``{"model_size": 1e9}`` for a
        column in billions.

    Returns
    -------
    Runs

    Raises
    ------
    RunsError : the table has faults; the error lists all of them, with row, column, value and
        remedy.
    UnknownNameError, SpecError, ExpressionError : an argument does not make sense.

    Warns
    -----
    RunsWarning : duplicate rows, groups with a single run, or what `bayeslaw.runs.plausibility`
        finds: values that look as if they were in another unit, a loss that rises, checkpoints.

    Notes
    -----
    If the table lacks ``data_size`` and has ``compute``, it is computed as ``compute / (6
    model_size)`` (C = 6 N D, Kaplan et al. 2020, section 2.1). ``kl`` is computed from ``n`` of
    best-of-n (`bayeslaw.laws.kl.kl_of_n`) or from ``sqrt_kl``. `bayeslaw.runs.measurement` has the
    columns that say how well a row was measured.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> runs = bl.read_runs(bl.dataset("pretraining_simulated"), "chinchilla", where="loss < 2.5")
    >>> print(str(runs).splitlines()[0])
    15 runs from pretraining_simulated, for the law chinchilla
    """
    law = find_law(law)
    check_kinds(columns, scale, where)
    if groups is not None:
        groups = as_columns(groups, "groups")
        check_groups(groups, law)
    frame, source = load_table(table)
    columns = {str(name): str(user) for name, user in (columns or {}).items()}
    check_names(columns, law, groups or ())
    names = own_names(columns, law, scale or {})
    frame = rename(frame, columns, source)
    if groups is not None:
        groups = [name if name in frame else names.get(name, name) for name in groups]
    if melt_into is not None:
        frame = _melted(frame, law, melt_into, source)
    frame, notes = _scaled(frame, law, scale or {})
    frame, derived, faults = derive(frame, law, numbers_for(frame, law))
    group_names, not_groups = _group_names(frame, law, groups)
    selectors = [column for column in law.selector_columns if column not in group_names]
    group_names = (*group_names, *selectors)
    notes += [*derived, *not_groups]
    if where is not None:
        _require_unscaled(where, frame, columns or {}, scale or {})
        kept = _where(frame, law, where, names)
        notes.append(f"{int(kept.sum())} of {len(kept)} rows satisfy {where}")
        frame = frame[kept]
        faults = [fault for fault in faults if fault.row in frame.index]
    frame, left_out, more_faults = initial_policy(frame, law, numbers_for(frame, law))
    notes += left_out
    checked = validated(frame, law, group_names, source, known=[*faults, *more_faults])
    used = {*law.inputs, law.response.name, *group_names, *MEASUREMENT, se_column(law)}
    if others := [str(c) for c in checked.columns if c not in used]:
        notes.append(f"other columns, which effects may name: {listed(others)}")
    if law.response.scale == "linear" and not checked[law.response.name].any():
        problem = f"all {len(checked)} values are 0"
        remedy = "There is nothing to fit. Is it the right column (columns)?"
        raise RunsError(source, [Fault(problem, remedy, law.response.name)])
    unscaled = {name: own for name, own in (columns or {}).items() if name not in (scale or {})}
    warnings = [*_duplicates(checked, law, group_names), *_single_runs(checked, group_names)]
    warnings += plausibility_warnings(checked, law, group_names, unscaled)
    for text in warnings:
        warnings_module.warn(text, RunsWarning, stacklevel=2)
    return Runs(law, checked, group_names, source, tuple(notes), tuple(warnings), names)


def _melted(frame: pd.DataFrame, law: Law, into: str, source: str) -> pd.DataFrame:
    """A wide table as a long one, with the column headers as values of an input."""
    if not (isinstance(into, str) and into in law.inputs):
        raise SpecError(
            f"melt_into is {into!r}, and it must be an input of {law.name}:"
            f" {', '.join(law.inputs)}.",
            key="melt_into",
        )
    return melt(frame, into, law.response.name, source)


def _scaled(
    frame: pd.DataFrame, law: Law, scale: Mapping[str, float]
) -> tuple[pd.DataFrame, list[str]]:
    """The table with columns multiplied by their factors, and a note on each.

    The standard error of the response is multiplied with the response.
    """
    notes = []
    for name, factor in scale.items():
        if name not in frame.columns:
            near = suggest(name, frame.columns)
            raise SpecError(
                f"scale names {name}, which the table does not have.{near}", key=("scale", name)
            )
        if not (is_finite(factor) and factor > 0):
            raise SpecError(
                f"scale has {name} = {shown(factor)}: it must be a positive number.",
                key=("scale", name),
            )
        errors = se_column(law)
        both = name == law.response.name and errors in frame and errors not in scale
        for column in (name, errors) if both else (name,):
            number, given = numbers_of(frame[column]), frame[column]
            if number.isna().all() and given.notna().any():
                raise SpecError(
                    f"scale names {column}, which has no number to multiply, but values such as"
                    f" {shown(given.dropna().iloc[0])}.",
                    key=("scale", name),
                )
            frame = frame.assign(**{column: or_as_given(number * float(factor), given)})
            notes.append(f"{column} was multiplied by {factor:g}")
    return frame, notes


def _group_names(
    frame: pd.DataFrame, law: Law, groups: Sequence[str] | None
) -> tuple[tuple[str, ...], list[str]]:
    """The grouping columns: those asked for, or the default ones; inputs are not among them. And
    notes on columns that name each row, which by default make no groups.
    """
    if groups is None:
        names = [name for name in GROUP_COLUMNS if name in frame.columns and name not in law.inputs]
        of_rows = [
            name
            for name in names
            if name not in REPEAT_COLUMNS and len(frame) > 3 and _names_rows(frame[name])
        ]
        notes = [
            f"{name} has a value of its own in every row, so it makes no groups; groups=[{name!r}]"
            " makes them"
            for name in of_rows
        ]
        return tuple(name for name in names if name not in of_rows), notes
    if unknown := [name for name in groups if name not in frame.columns]:
        raise SpecError(
            f"groups names {listed(unknown)}, which the table does not"
            f" have.{suggest(unknown[0], frame.columns)}",
            key="groups",
        )
    return tuple(name for name in groups if name not in law.inputs), []


def _names_rows(column: pd.Series) -> bool:
    """Whether every row has a value of its own."""
    names = labels(column)
    return bool((names != "").all() and names.is_unique)


def _where(frame: pd.DataFrame, law: Law, where: str, names: Mapping[str, str]) -> pd.Series:
    """Whether ``where`` keeps each row.

    A row with text in a numeric column that the filter reads is kept, so its fault is reported.
    """
    numeric = [name for name in (*law.inputs, law.response.name) if name in frame.columns]
    numbers = {name: numbers_of(frame[name]) for name in numeric}
    kept = filters.select(frame.assign(**numbers), where, names)
    read = {name if name in frame else names.get(name, name) for name in filters.names(where)}
    for name in read & set(numeric):
        kept |= is_text(frame[name])
    return kept


def _require_unscaled(
    where: str, frame: pd.DataFrame, columns: Mapping[str, str], scale: Mapping[str, float]
) -> None:
    """Raise for a table's own name of a column that was multiplied: its values are not clear."""
    for name, user in columns.items():
        if name in scale and user not in frame and user in filters.names(where):
            raise ExpressionError(
                f"{where!r}: {user} is called {name} here, and multiplied by {scale[name]:g}: write"
                f" {name}, with values in the law's unit."
            )


def _duplicates(table: pd.DataFrame, law: Law, groups: Sequence[str]) -> list[str]:
    """A warning where rows are copies of each other."""
    columns = [*law.inputs, law.response.name, *groups]
    duplicated = table.duplicated(subset=columns, keep=False)
    if not (count := int(duplicated.sum())):
        return []
    rows = first_of(table.index[duplicated])
    return [
        f"{count} rows are duplicates of each other ({rows}), and each counts as evidence. Drop"
        " copies. If they are repeats, tell them apart by a column 'seed'."
    ]


def _single_runs(table: pd.DataFrame, groups: Sequence[str]) -> list[str]:
    """A warning for each column that has groups of one run."""
    warnings = []
    for name in groups:
        counts = table[name].value_counts()
        single = sorted(map(str, counts.index[counts == 1]))
        if name not in REPEAT_COLUMNS and len(counts) > 1 and single:
            warnings.append(
                f"{name}: {len(single)} of {len(counts)} groups have a single run"
                f" ({first_of(single)}). What is estimated for them rests on the other groups."
            )
    return warnings
