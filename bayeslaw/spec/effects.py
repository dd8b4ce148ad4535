"""Default effects: the groups by which a parameter differs if the user gives no formula for it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pandas as pd

from bayeslaw.runs.table import Runs
from bayeslaw.runs.validation import numbers_of
from bayeslaw.spec.formula import Covariate, Formula, GroupTerm

#: Columns of sizes along which coefficients change smoothly: Gao et al. 2022 (arXiv 2210.10760),
#: section 3.2.
TREND_COLUMNS = ("reward_model_size", "reward_model_data")
#: With fewer values than this a trend cannot be told from deviations around it.
TREND_VALUES = 3


def default_formula(
    runs: Runs, *, varies: bool, shared_over: Sequence[str] = (), deviates_by: Sequence[str] = ()
) -> Formula:
    """The formula of a parameter for which the user gives none.

    - Crossed columns, such as task and method, get one term for their cells, ``(1 |
      task:method)``. Such columns have few levels each: a scale for each column would rest on its
      prior and be slow to sample. Write the terms out if there are many levels.
    - Nested columns, such as a model in its family, get a term each, ``(1 | family) +
      (1 | model)``.
    - A size of the reward model or of its data (`TREND_COLUMNS`) gets a trend in its logarithm and
      deviations around the trend, ``log10(size) + (1 | size)``.
    - Columns get no term if they have one group, tell repeats apart (``run``, ``seed``), switch the
      law's form, or are in ``shared_over``.
    - The settings of the inputs in ``deviates_by``, such as compute budgets with several runs each,
      get a term of their own.

    Parameters
    ----------
    runs : the table.
    varies : whether groups differ in the parameter; if not, only ``deviates_by`` gives a term.
    shared_over : columns over which the parameter is the same.
    deviates_by : inputs at whose settings the parameter deviates from the law.
    """
    settings = _settings(runs.table, deviates_by)
    if not varies:
        return Formula(groups=settings)
    switches = [switch.column for switch in runs.law.switches.values()]
    sizes, columns = _grouping_columns(runs, without={*shared_over, *switches})
    trends = tuple(Covariate(size, ("log10",)) for size in sizes)
    around_trends = [GroupTerm((size,)) for size in sizes]
    return Formula(trends, (*around_trends, *_group_terms(runs.table, columns), *settings))


def _settings(table: pd.DataFrame, deviates_by: Sequence[str]) -> tuple[GroupTerm, ...]:
    """A term for the settings of some inputs, if there are several with several runs each."""
    if not deviates_by:
        return ()
    term = GroupTerm(tuple(deviates_by))
    several = TREND_VALUES <= len(set(term.labels(table))) <= len(table) / 2
    return (term,) if several else ()


def _grouping_columns(runs: Runs, without: set[str]) -> tuple[list[str], list[str]]:
    """The columns with a trend, and the others; of columns that make the same groups, the first."""
    table = runs.table
    columns = [c for c in runs.populations if table[c].nunique() > 1 and c not in without]
    sizes = [
        column
        for column in columns
        if column in TREND_COLUMNS
        and table[column].nunique() >= TREND_VALUES
        and _positive(table[column])
    ]
    others: list[str] = []
    for column in columns:
        if column not in sizes and not any(_same_groups(table, column, o) for o in others):
            others.append(column)
    return sizes, others


def _group_terms(table: pd.DataFrame, columns: Sequence[str]) -> list[GroupTerm]:
    """A term for each column of a nested pair, and one for the cells of the other columns."""
    nested = {
        column
        for first, second in combinations(columns, 2)
        if _is_nested(table, first, second) or _is_nested(table, second, first)
        for column in (first, second)
    }
    crossed = tuple(column for column in columns if column not in nested)
    terms = [GroupTerm((column,)) for column in columns if column in nested]
    if crossed:
        cells = GroupTerm(crossed)
        # With one run per cell, a cell's deviation cannot be told from noise: then a term each.
        repeated = len(set(cells.labels(table))) <= len(table) / 2
        terms += [cells] if repeated else [GroupTerm((column,)) for column in crossed]
    return terms


def _positive(column: pd.Series) -> bool:
    """Whether every value is a positive number."""
    return bool((numbers_of(column) > 0).all())


def _is_nested(table: pd.DataFrame, inner: str, outer: str) -> bool:
    """Whether each group of ``inner`` lies in one group of ``outer``."""
    return bool((table[outer].groupby(table[inner].to_numpy()).nunique() == 1).all())


def _same_groups(table: pd.DataFrame, first: str, second: str) -> bool:
    """Whether two columns make the same groups."""
    return _is_nested(table, first, second) and _is_nested(table, second, first)
