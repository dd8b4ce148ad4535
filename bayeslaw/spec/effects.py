"""Default effects: which groups differ in a parameter that the user said nothing of."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bayeslaw.runs.table import Runs
from bayeslaw.spec.formula import Covariate, Formula, GroupTerm

#: Sizes of what stands behind a run, along which coefficients move smoothly: Gao et al. 2022 (arXiv
#: 2210.10760), section 3.2.
TREND_COLUMNS = ("reward_model_size", "reward_model_data")
#: Fewer values than this show no trend beside their deviations from it.
TREND_VALUES = 3


def default_formula(
    runs: Runs, *, varies: bool, shared_over: Sequence[str] = (), deviates_by: Sequence[str] = ()
) -> Formula:
    """The formula of a parameter that the user said nothing of.

    Columns that are crossed, such as task and method, give one term for their cells, ``(1 |
    task:method)``: with the handful of levels that such columns have, scales of their own for each
    column are all prior and slow to sample; write them out where there are many. A column nested in
    another, such as a model in its family, gives a term for each, ``(1 | family) + (1 | model)``. A
    size of the reward model or of its data (`TREND_COLUMNS`) gives a trend in its logarithm and
    deviations around it, ``log10(size) + (1 | size)``. Columns with one group, those that tell
    repeats apart (`run`, `seed`), those that switch the law's form, and those over which the
    parameter is shared give none. The settings of some inputs (``deviates_by``), as many budgets
    with several runs each, give a term of their own.
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
    """A term for the settings of some inputs, where there are several, with several runs each."""
    if not deviates_by:
        return ()
    term = GroupTerm(tuple(deviates_by))
    several = TREND_VALUES <= len(set(term.labels(table))) <= len(table) / 2
    return (term,) if several else ()


def _grouping_columns(runs: Runs, without: set[str]) -> tuple[list[str], list[str]]:
    """The columns that have a trend in their size, and the others, each kind of groups once."""
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
    """A term for each column that is nested in another, and one for the cells of the others."""
    nested = [
        column
        for column in columns
        if any(
            _nested(table, other, column) or _nested(table, column, other)
            for other in columns
            if other != column
        )
    ]
    crossed = tuple(column for column in columns if column not in nested)
    terms = [GroupTerm((column,)) for column in nested]
    if crossed:
        cells = GroupTerm(crossed)
        # One run a cell cannot tell its deviation from noise: then each column on its own.
        repeated = len(set(cells.labels(table))) <= len(table) / 2
        terms += [cells] if repeated else [GroupTerm((column,)) for column in crossed]
    return terms


def _positive(column: pd.Series) -> bool:
    """Whether every value is a positive number."""
    return bool((pd.to_numeric(column, errors="coerce") > 0).all())


def _nested(table: pd.DataFrame, inner: str, outer: str) -> bool:
    """Whether each group of ``inner`` lies in one group of ``outer``."""
    return bool((table.groupby(inner, observed=True)[outer].nunique() == 1).all())


def _same_groups(table: pd.DataFrame, a: str, b: str) -> bool:
    return _nested(table, a, b) and _nested(table, b, a)
