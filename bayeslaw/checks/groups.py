"""Does the law hold for every group of runs? Tests the residuals group by group: whether they are
centred, and as spread as the model says.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from bayeslaw.checks.base import CheckResult, draws_for, not_run
from bayeslaw.defaults import GROUPS_ALPHA
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.replicates import residuals
from bayeslaw.text import label

#: Only the largest groups of a column are tested: if there are more than this many, most have few
#: runs, and the thresholds would need more replicates than can be drawn.
GROUPS = 40
#: Fewest runs of a group, and fewest replicates expected beyond the threshold if the model is
#: right.
RUNS, BEYOND = 2, 5
#: Draws that are used, at most.
DRAWS = 2000


def check_groups(fit: Draws) -> list[CheckResult]:
    r"""Posterior predictive checks of each group's residuals, for each grouping column: their mean,
    and their root mean square.

    .. math::
        T_1 = \bar r_g, \quad
        T_2 = \Big( \sum_{i \in g} r_i^2 / n_g \Big)^{1/2}, \qquad
        p = 2 \min \{ P(T^\mathrm{rep} \ge T), P(T^\mathrm{rep} \le T) \}

    r : residuals on the response's scale (`bayeslaw.posterior.replicates`).

    If a group has parameters of its own in the model, they centre its residuals, and p is near 1;
    if it has none, a group for which the law is biased fails. The threshold is Bonferroni's over
    all groups, columns and both quantities, and as many replicates are drawn as it needs. Without
    grouping columns all runs are one group.

    References
    ----------
    Gelman, Meng, Stern 1996, Statistica Sinica 6(4).

    Examples
    --------
    >>> print(check_groups(fit)[0])
    passed  centre of residuals by task: task task3, the worst of 6 groups: ...
    """
    table = fit.runs.table
    columns = [column for column in fit.runs.populations if table[column].nunique() > 1]
    groups = {column: _rows_by_group(table[column]) for column in columns}
    tested = {column: rows for column, rows in groups.items() if rows}
    tested = tested or {"": {"all runs": np.arange(len(table))}}
    tests = 2 * sum(map(len, tested.values()))
    threshold = GROUPS_ALPHA / tests
    every_group = [rows for by_group in tested.values() for rows in by_group.values()]
    p = _probabilities(fit, every_group, math.ceil(2 * BEYOND / threshold))
    results, start = [], 0
    for column, by_group in tested.items():
        centre, spread = p[:, start : start + len(by_group)]
        start += len(by_group)
        results += [
            _centre(column, list(by_group), centre, threshold),
            _spread(column, list(by_group), spread, threshold),
        ]
    return results + _of_single_runs([column for column in columns if not groups[column]])


def _centre(column: str, groups: list[str], p: np.ndarray, threshold: float) -> CheckResult:
    """The result for the means of a column's groups."""
    worst = groups[int(p.argmin())]
    effect = (
        f"add (1 | {column})" if column else "let a parameter differ by what distinguishes runs"
    )
    advice = (
        f"The law misses {_named(column, worst)} systematically. Remedy: {effect}, or check how"
        " these runs were measured."
    )
    return _result("centre", "mean", column, groups, p, threshold, advice)


def _spread(column: str, groups: list[str], p: np.ndarray, threshold: float) -> CheckResult:
    """The result for the root mean squares of a column's groups."""
    worst = groups[int(p.argmin())]
    effect = f"let sigma differ by {column}" if column else "let sigma differ"
    advice = (
        f"The noise of {_named(column, worst)} is not what the model assumes. Remedy: {effect}, or"
        " check whether some runs are wrong."
    )
    return _result("spread", "root mean square", column, groups, p, threshold, advice)


def _result(
    statistic: str,
    words: str,
    column: str,
    groups: list[str],
    p: np.ndarray,
    threshold: float,
    advice: str,
) -> CheckResult:
    """The result for one quantity of a column's groups: that of the worst of them."""
    worst = int(p.argmin())
    value, among = float(p[worst]), ""
    if len(groups) > 1:
        among = f", the worst of {len(groups)} groups"
    message = (
        f"{_named(column, groups[worst])}{among}: if the model is right, a {words} residual this"
        f" extreme has probability {value:.2g}; at least {threshold:.2g} passes."
    )
    name = _name(statistic, column)
    return CheckResult(name, value >= threshold, value, threshold, message, advice)


def _of_single_runs(columns: list[str]) -> list[CheckResult]:
    """Results for the columns of whose groups none has enough runs."""
    return [
        not_run(_name(statistic, column), GROUPS_ALPHA, f"no group of {column} has {RUNS} runs")
        for column in columns
        for statistic in ("centre", "spread")
    ]


def _name(statistic: str, column: str) -> str:
    """The name of a result."""
    by = f" by {column}" if column else ""
    return f"{statistic} of residuals{by}"


def _named(column: str, group: str) -> str:
    """A group in words."""
    return f"{column} {group}" if column else group


def _rows_by_group(column: pd.Series) -> dict[str, np.ndarray]:
    """The rows of the largest groups of a column, by their labels."""
    rows = pd.Series(np.arange(len(column))).groupby(column.map(label).to_numpy()).indices
    enough = [name for name in rows if len(rows[name]) >= RUNS]
    largest = sorted(enough, key=lambda name: -len(rows[name]))[:GROUPS]
    return {str(name): rows[name] for name in largest}


def _probabilities(fit: Draws, groups: list[np.ndarray], replicates: int) -> np.ndarray:
    """Two-sided posterior predictive p of both quantities, (quantity, group), from at least so many
    replicates.
    """
    thinned = fit.thinned(draws_for(len(fit.runs), DRAWS))
    above, below, drawn = np.zeros((2, len(groups))), np.zeros((2, len(groups))), 0
    while drawn < replicates:
        rng = np.random.default_rng([fit.random_seed, 3, drawn])
        observed, replicated = residuals(thinned, fit.runs.table, rng)
        for g, rows in enumerate(groups):
            of_runs, of_replicates = _statistics(observed, rows), _statistics(replicated, rows)
            above[:, g] += (of_replicates >= of_runs).sum(axis=1)
            below[:, g] += (of_replicates <= of_runs).sum(axis=1)
        drawn += thinned.samples
    return np.minimum(1.0, 2 * np.minimum(above, below) / drawn)


def _statistics(residual: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Mean and mean square of the residuals of some rows, (quantity, sample): the root of the mean
    square would rank the same."""
    of_group = residual[:, rows]
    return np.stack([of_group.mean(axis=1), (of_group**2).mean(axis=1)])
