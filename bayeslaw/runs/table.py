"""Runs: a validated table of finished runs, in canonical names and units."""

from __future__ import annotations

import warnings as warnings_module
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw.errors import Fault, RunsError, RunsWarning, SpecError, suggest
from bayeslaw.laws.base import Input, Law
from bayeslaw.laws.registry import law as find_law
from bayeslaw.runs import filters
from bayeslaw.runs.columns import derive, initial_policy
from bayeslaw.runs.files import load_table, melt, rename
from bayeslaw.runs.scores import AVERAGED, BASELINE, BASELINE_SE, se_column

if TYPE_CHECKING:
    import pandera.pandas as pa

#: Columns that are grouping columns when a table has them, in the order in which default effects
#: name them.
GROUP_COLUMNS = (
    "task",
    "method",
    "dataset",
    "family",
    "model",
    "checkpoint",
    "policy_size",
    "reward_model_size",
    "reward_model_data",
    "run",
    "seed",
)
#: Optional columns that say how well a row was measured, beside the response's standard error.
MEASUREMENT = (AVERAGED, BASELINE, BASELINE_SE)
#: Grouping columns that tell repeats apart: they make no effects by default.
REPEAT_COLUMNS = ("run", "seed")


@dataclass(frozen=True, slots=True)
class Runs:
    """A table of finished runs that a law can be fitted to. Made by `read_runs`, never changed.

    Attributes
    ----------
    law : the law whose inputs and response the columns are.
    table : DataFrame, one row a run, indexed by where it stood in the user's table; inputs and
        response are float, in the law's units; grouping columns are text; other columns are as they
        were.
    groups : the grouping columns.
    source : where the table came from, for messages.
    notes : what a reader should know: derived columns, ignored columns, rows left out.
    warnings : what deserves a look: duplicates, groups of one run, values that look like another
        unit.
    """

    law: Law
    table: pd.DataFrame
    groups: tuple[str, ...]
    source: str
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.table)

    @property
    def populations(self) -> tuple[str, ...]:
        """The grouping columns that make groups: those that tell repeats apart do not."""
        return tuple(name for name in self.groups if name not in REPEAT_COLUMNS)

    @property
    def simulated(self) -> bool:
        """Whether these are simulated runs, which everything made of them has to say: their data
        set's or their file's name says so.
        """
        return "simulated" in Path(self.source).name

    def rows(self, kept: np.ndarray) -> Runs:
        """The runs for which ``kept``, (run,), is true."""
        return replace(self, table=self.table[kept])

    def read_for(self, law: Law) -> Runs:
        """The same runs for another law of the same inputs and response."""
        return replace(self, law=law)

    @property
    def y(self) -> np.ndarray:
        """The response, shape (run,), in the law's unit."""
        return self.table[self.law.response.name].to_numpy(float)

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """Each input, shape (run,), in the law's units."""
        return {name: self.table[name].to_numpy(float) for name in self.law.inputs}

    @property
    def averaged(self) -> np.ndarray:
        """How many logged values each row is the mean of, (run,): the column `AVERAGED`, or ones."""
        return (
            self.table[AVERAGED].to_numpy(float) if AVERAGED in self.table else np.ones(len(self))
        )

    @property
    def centre(self) -> dict[str, float]:
        """The geometric mean of each input: where the parameters marked ``at_centre`` are sampled."""
        some = {name: x[x != self.law.inputs[name].none] for name, x in self.inputs.items()}
        return {
            name: float(np.exp(np.log(x if len(x) else self.inputs[name]).mean()))
            for name, x in some.items()
        }

    def centre_of(self, table: pd.DataFrame) -> dict[str, Any]:
        """The centre of each input for rows of a table: a number, or (row,) where the input is
        another in each group of a column.
        """
        found: dict[str, Any] = dict(self.centre)
        for name, spec in self.law.inputs.items():
            if spec.within:
                logs = np.log(self.table[name]).groupby(self.table[spec.within].map(label)).mean()
                found[name] = np.exp(table[spec.within].map(label).map(logs).to_numpy(float))
        return found

    @property
    def typical_response(self) -> float:
        """The unit of relative priors: geometric mean of a loss, root mean square of a score, 1 for
        a rate.
        """
        match self.law.response.scale:
            case "log":
                return float(np.exp(np.log(self.y).mean()))
            case "linear":
                return float(np.sqrt((self.y**2).mean()))
        return 1.0

    def __str__(self) -> str:
        lines = [f"{len(self)} runs from {self.source}, for the law {self.law.name}"]
        for name in [*self.law.inputs, self.law.response.name]:
            x = self.table[name]
            unit = self.law.inputs[name].unit if name in self.law.inputs else self.law.response.unit
            lines.append(
                f"  {name:<18} {x.min():.4g} to {x.max():.4g} {unit}, {x.nunique()} values"
            )
        for group in self.groups:
            counts = self.table[group].value_counts()
            lines.append(
                f"  {group:<18} {len(counts)} groups of {counts.min()}-{counts.max()} runs:"
                f" {', '.join(counts.sort_index().index[:6])}{', ...' * (len(counts) > 6)}"
            )
        lines += [f"  note: {note}" for note in self.notes] + [
            f"  warning: {warning}" for warning in self.warnings
        ]
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
    table : path of a CSV, TSV or Parquet file, or a DataFrame; one row a run.
    law : name of a law, a law, or a table of name and options.
    columns : canonical name -> the table's column, for those that differ: ``{"model_size":
        "params"}``.
    groups : grouping columns. Default: those of `GROUP_COLUMNS` that the table has.
    where : keep the rows for which this holds, in canonical names: ``"loss < 3.5 and method !=
        'prefix'"``.
    melt_into : for a wide table, the input whose values are the column headers, such as
        ``"finetuning_data"``.
    scale : canonical name -> factor to the canonical unit: ``{"model_size": 1e9}`` for a column in
        billions.

    Returns
    -------
    Runs

    Raises
    ------
    RunsError : with every fault of the table: row, column, value, and what would be right.
    UnknownNameError, SpecError, ExpressionError : the arguments cannot be meant.

    Notes
    -----
    ``data_size`` is derived as ``compute / (6 model_size)`` where the table has ``compute`` instead
    (C = 6 N D, Kaplan et al. 2020, section 2.1); ``kl`` from ``n`` of best-of-n
    (`bayeslaw.laws.kl.kl_of_n`) or ``sqrt_kl``. Columns that say how well a row was measured:
    `bayeslaw.runs.scores`. Warns `RunsWarning` for duplicate rows, groups with a single run, and
    values that look as if they were in another unit.
    """
    law = find_law(law)
    frame, source = load_table(table)
    if isinstance(groups, str):
        raise SpecError(f"groups is {groups!r}, and it must be a list of columns: [{groups!r}].")
    _check_names(columns or {}, law, groups or ())
    frame = rename(frame, columns or {}, source)
    if melt_into is not None:
        if melt_into not in law.inputs:
            raise SpecError(
                f"melt_into is {melt_into!r}, and it must be an input of {law.name}:"
                f" {', '.join(law.inputs)}."
            )
        frame = melt(frame, melt_into, law.response.name, source)
    notes: list[str] = []
    for name, factor in (scale or {}).items():
        if name not in frame.columns:
            raise SpecError(
                f"scale names {name}, which the table does not have.{suggest(name, frame.columns)}"
            )
        if not (np.isfinite(factor) and factor > 0):
            raise SpecError(f"scale has {name} = {factor}: it must be a positive number.")
        # A response in other units has its standard error in them.
        for column in (
            name,
            *(
                [se_column(law)]
                if name == law.response.name
                and se_column(law) in frame
                and se_column(law) not in (scale or {})
                else []
            ),
        ):
            number = pd.to_numeric(frame[column], errors="coerce")
            frame[column] = frame[column].where(number.isna(), number * factor)
            notes.append(f"{column} was multiplied by {factor:g}")
    frame, told, faults = derive(frame, law, _numbers(frame))
    notes += told
    names = _group_names(frame, law, groups)
    names = (*names, *(column for column in law.choosers if column not in names))
    if where is not None:
        kept = _where(frame, law, where)
        notes.append(f"{int(kept.sum())} of {len(kept)} rows satisfy {where}")
        frame = frame[kept]
        faults = [fault for fault in faults if fault.row in frame.index]
    frame, told, more = initial_policy(frame, law, _numbers(frame))
    notes += told
    checked = _validate(frame, law, names, source, known=[*faults, *more])
    used = {*law.inputs, law.response.name, *names, *MEASUREMENT, se_column(law)}
    if others := [str(c) for c in checked.columns if c not in used]:
        notes.append(f"other columns, which effects may name: {', '.join(others)}")
    found = _warnings(checked, law, names)
    for text in found:
        warnings_module.warn(text, RunsWarning, stacklevel=2)
    return Runs(law, checked, names, source, tuple(notes), tuple(found))


def _check_names(columns: Mapping[str, str], law: Law, groups: Sequence[str]) -> None:
    """A misspelt canonical name would otherwise make a column that nothing reads."""
    known = [*law.inputs, law.response.name, "compute"]
    others = (*GROUP_COLUMNS, *groups, *MEASUREMENT, se_column(law), "n", "sqrt_kl")
    for name in columns:
        if name not in (*known, *others) and (near := suggest(name, known)):
            raise SpecError(
                f"columns maps {name}, which is no name of {law.name} ({', '.join(known)}) nor a"
                f" known grouping column.{near}"
            )


def check_points(
    points: pd.DataFrame, law: Law, required: Sequence[str], source: str = "The points to predict"
) -> pd.DataFrame:
    """Points to predict, checked like runs: inputs in the law's domain (or what they follow from),
    and the grouping columns ``required``.

    A missing value in a grouping column stands for a group never seen.
    """
    frame, _ = load_table(points)
    frame, _, faults = derive(frame, law, _numbers(frame))
    return _validate(frame, law, tuple(required), source, response=False, known=faults)


def schema(law: Law, groups: Sequence[str] = (), *, response: bool = True) -> pa.DataFrameSchema:
    """The pandera schema of a table of runs, built from the law's inputs: its checks' names are the
    messages of the faults.

    Columns of the schema that a table does not have are for `_validate` to miss, or to leave out.
    """
    import pandera.pandas as pa

    def numeric(spec: Input | None) -> pa.Column:
        low = -np.inf if spec is None else spec.low
        checks = [
            pa.Check(
                lambda s: ~_is_text(s), name="it is not a number|Write a plain number, such as 7e9."
            ),
            pa.Check(
                lambda s: s.notna(),
                ignore_na=False,
                name="the value is missing|Fill it in, or leave the row out (where).",
            ),
            pa.Check(
                lambda s: ~np.isinf(_number(s)),
                name="it is not finite|Leave the row out: a diverged run does not follow the law.",
            ),
            pa.Check(
                lambda s: ~(np.isfinite(_number(s)) & (_number(s) <= low)),
                name=(
                    f"it must be {'at least 0' if -1e-300 < low < 0 else f'above {low:g}'}|Correct"
                    " it, or leave the row out (where)."
                ),
            ),
        ]
        return pa.Column(None, checks=checks, nullable=True)

    columns = {name: numeric(spec) for name, spec in law.inputs.items()}
    for switch in law.switches.values():
        known = (switch.off, switch.on)
        check = pa.Check(
            lambda s, known=known: s.isin(known),
            ignore_na=False,
            name=(
                f"it is neither {known[0]!r} nor {known[1]!r}|Write one of them: they choose the"
                " law's form."
            ),
        )
        columns[switch.column] = pa.Column(None, nullable=True, checks=check)
    if response:
        # A loss of zero has no logarithm, a rate of one no logit: the domain follows from the
        # response's scale.
        columns[law.response.name] = numeric(
            Input("", "", (0, 0), low=-np.inf if law.response.scale == "linear" else 0.0)
        )
        if law.response.scale == "logit":
            columns[law.response.name].checks.append(
                pa.Check(
                    lambda s: ~(_number(s) >= 1),
                    name="it must be below 1|Write a rate as a fraction.",
                )
            )
        columns[AVERAGED] = numeric(Input("", "", (0, 0), low=0.0))
        columns |= {
            name: numeric(Input("", "", (0, 0), low=np.nextafter(0, -1)))
            for name in (se_column(law), BASELINE_SE)
        }
        columns |= {
            name: pa.Column(
                None,
                nullable=True,
                checks=pa.Check(
                    lambda s: s.notna(),
                    ignore_na=False,
                    name="the group is missing|Name the group, or leave the row out.",
                ),
            )
            for name in groups
            if name not in columns
        }
    return pa.DataFrameSchema(columns)


def _number(column: pd.Series) -> pd.Series:
    """The column's numbers; NaN where there is none. Dates, booleans and complex numbers are none."""
    if not (
        pd.api.types.is_numeric_dtype(column)
        or pd.api.types.is_object_dtype(column)
        or pd.api.types.is_string_dtype(column)
    ):
        return pd.Series(np.nan, index=column.index)
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_complex_dtype(column):
        return pd.Series(np.nan, index=column.index)
    if pd.api.types.is_object_dtype(column):
        column = column.where(
            column.map(lambda value: isinstance(value, str | Real) and not isinstance(value, bool))
        )
    return pd.to_numeric(column, errors="coerce").astype(float)


def _is_text(column: pd.Series) -> pd.Series:
    """Where a value is there and is not a number."""
    return column.notna() & _number(column).isna()


def _numbers(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """The numbers of every column."""
    return {str(name): _number(frame[name]) for name in frame.columns}


def _group_names(frame: pd.DataFrame, law: Law, groups: Sequence[str] | None) -> tuple[str, ...]:
    if groups is None:
        return tuple(
            name for name in GROUP_COLUMNS if name in frame.columns and name not in law.inputs
        )
    if unknown := [name for name in groups if name not in frame.columns]:
        raise SpecError(
            f"groups names {', '.join(unknown)}, which the table does not"
            f" have.{suggest(unknown[0], frame.columns)}"
        )
    return tuple(name for name in groups if name not in law.inputs)


def _where(frame: pd.DataFrame, law: Law, where: str) -> pd.Series:
    """The rows that ``where`` keeps. A row with text where it compares a number is kept, so that
    the fault is reported.
    """
    numeric = [name for name in (*law.inputs, law.response.name) if name in frame.columns]
    kept = filters.select(frame.assign(**{name: _number(frame[name]) for name in numeric}), where)
    for name in filters.names(where) & set(numeric):
        kept |= _is_text(frame[name])
    return kept


def _validate(
    frame: pd.DataFrame,
    law: Law,
    groups: Sequence[str],
    source: str,
    *,
    response: bool = True,
    known: Sequence[Fault] = (),
) -> pd.DataFrame:
    """The table's used columns, inputs and response as float and groups as text, or RunsError with
    every fault.
    """
    import pandera.pandas as pa

    faults: list[Fault] = list(known)
    units = {name: spec.unit for name, spec in law.inputs.items()} | (
        {law.response.name: law.response.unit} if response else {}
    )
    optional = {
        AVERAGED: "logged values",
        BASELINE_SE: law.response.unit,
        se_column(law): law.response.unit,
    }
    units |= {name: unit for name, unit in optional.items() if response and name in frame}
    needed = [*units, *(name for name in groups if name not in units)]
    for name in needed:
        if name not in frame.columns:
            unit = (
                f" ({units[name]})"
                if name in units
                else " (a missing value stands for a group never seen)"
            )
            remedy = (
                f"Add it{unit}, or say which column it is: columns={{{name!r}: ...}}, on the"
                f' command line --column {name}="...".{suggest(name, frame.columns)} The table'
                f" has: {', '.join(map(str, frame.columns))}"
            )
            faults.append(Fault("the column is missing", remedy, name))
    if not len(frame):
        faults.append(Fault("there are no rows", "Check the file, and the filter (where)."))
    present = schema(law, groups, response=response)
    present = present.remove_columns(
        [name for name in present.columns if name not in frame.columns]
    )
    try:
        present.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        for case in error.failure_cases.itertuples():
            problem, _, remedy = str(case.check).partition("|")
            value = case.failure_case
            plain = isinstance(value, Real) and not isinstance(value, bool)
            shown = (
                ""
                if np.ndim(value) == 0 and pd.isna(value)
                else f"{value:g}: "
                if plain
                else f"{value!r}: "
            )
            unit = f" (Unit: {units[case.column]}.)" if case.column in units else ""
            faults.append(
                Fault(
                    shown + problem.rstrip("."),
                    remedy + unit,
                    str(case.column),
                    str(case.index),
                    value,
                )
            )
    if faults:
        raise RunsError(source, faults)
    text = {name: frame[name].astype(object).map(label) for name in groups if name not in units}
    ordered = [*needed, *(c for c in frame.columns if c not in needed)]
    return frame[ordered].assign(**{name: _number(frame[name]) for name in units}, **text)


def label(value: Any) -> str:
    """A group's label: numbers as short as they can be told apart (7e+09, 0.5), else text; a
    missing value is ''.
    """
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return ""
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        short = f"{value:g}"
        return short if float(short) == value else f"{value:.15g}"
    return str(value)


def numbers_where_they_are(labels: pd.Series) -> pd.Series:
    """Labels of groups as the numbers that they are, where all of them are and give the same labels
    again: sizes sort as sizes.
    """
    numbers = pd.to_numeric(labels, errors="coerce")
    return (
        numbers
        if numbers.notna().all() and (numbers.map(label) == labels.map(label)).all()
        else labels
    )


def _warnings(table: pd.DataFrame, law: Law, groups: Sequence[str]) -> list[str]:
    found = []
    if (
        duplicates := table.duplicated(subset=[*law.inputs, law.response.name, *groups], keep=False)
    ).any():
        rows = ", ".join(table.index[duplicates][:6]) + ", ..." * (int(duplicates.sum()) > 6)
        found.append(
            f"{int(duplicates.sum())} rows are duplicates of each other ({rows}); each counts as"
            " evidence. Drop copies; tell repeats apart by a column 'seed'."
        )
    for name in groups:
        counts = table[name].value_counts()
        if (
            name not in REPEAT_COLUMNS
            and len(counts) > 1
            and (single := counts.index[counts == 1].tolist())
        ):
            found.append(
                f"{name}: {len(single)} of {len(counts)} groups have a single run"
                f" ({', '.join(sorted(single)[:6])}{', ...' * (len(single) > 6)}); they rest on the"
                " other groups."
            )
    for name, spec in law.inputs.items():
        low, high = spec.plausible
        if ((table[name] < low) | (table[name] > high)).any():
            found.append(
                f"{name} runs from {table[name].min():g} to {table[name].max():g}, outside {low:g}"
                f" to {high:g} {spec.unit}. If the column is in another unit, say so:"
                f" scale={{{name!r}: 1e9}} for billions."
            )
    return found
