"""Does the law hold for every group of runs? Residuals group by group: are they centred, and as
spread as the model says?
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from bayeslaw.checks.base import CheckResult, draws_for
from bayeslaw.defaults import GROUPS_ALPHA
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.replicates import residuals
from bayeslaw.text import label

#: Groups of a column beyond which only the largest are looked at: more have few runs each, and
#: thresholds that no number of replicates reaches.
GROUPS = 40
#: Fewest runs of a group, and fewest replicates beyond the threshold that are expected where the
#: model is right.
RUNS, BEYOND = 2, 5
#: Draws that are used, at most.
DRAWS = 2000


def check_groups(fit: Draws) -> list[CheckResult]:
    r"""Posterior predictive checks of each group's residuals, for each grouping column: their mean,
    and their root mean square.

    .. math:: T_1 = \bar r_g, \quad T_2 = \Big( \sum_{i \in g} r_i^2 / n_g \Big)^{1/2}, \qquad p = 2 \min \{ P(T^\mathrm{rep} \ge T), P(T^\mathrm{rep} \le T) \}

    r : observed less where the draws put the run, on the response's scale
        (`bayeslaw.posterior.replicates`). Groups whose own parameters the model has are
    centred by them, and p is near 1; where it has none, a group that the law misses is named. The
    threshold is Bonferroni's over all groups, columns and both quantities, and there are as many
    replicates as it needs. Without grouping columns all runs are one group.

    References
    ----------
    Gelman, Meng, Stern 1996, Statistica Sinica 6(4).
    """
    table = fit.runs.table
    members = {
        column: _members(table[column])
        for column in fit.runs.populations
        if table[column].nunique() > 1
    }
    members = {column: groups for column, groups in members.items() if groups} or {
        "": {"all runs": np.arange(len(table))}
    }
    tests = 2 * sum(map(len, members.values()))
    least = GROUPS_ALPHA / tests
    p = _probabilities(
        fit,
        [rows for groups in members.values() for rows in groups.values()],
        math.ceil(2 * BEYOND / least),
    )
    results, done = [], 0
    for column, groups in members.items():
        own, done = p[:, done : done + len(groups)], done + len(groups)
        for statistic, words, values in zip(
            ("centre", "spread"), ("mean", "root mean square"), own, strict=True
        ):
            worst = int(values.argmin())
            name, value = list(groups)[worst], float(values[worst])
            who, whose = (
                (f"{column} {name}", f"the runs of {column} {name}") if column else (name, name)
            )
            results.append(
                CheckResult(
                    f"{statistic} of residuals{f' by {column}' if column else ''}",
                    value >= least,
                    value,
                    least,
                    f"{who}{f', the worst of {len(groups)} groups' if len(groups) > 1 else ''}: a"
                    f" {words} as far off as here has probability {value:.2g} if the model is"
                    f" right, at least {least:.2g}.",
                    (
                        f"The law lies beside {whose}: let a parameter differ by"
                        f" {column or 'what distinguishes runs'}, or see whether they were measured"
                        " otherwise."
                        if statistic == "centre"
                        else (
                            f"{whose[0].upper()}{whose[1:]} scatter otherwise than the model says:"
                            f" let sigma differ{f' by {column}' if column else ''}, or see whether"
                            " some are wrong."
                        )
                    ),
                )
            )
    return results


def _members(column: pd.Series) -> dict[str, np.ndarray]:
    """The rows of the largest groups of a column, by their labels."""
    rows = pd.Series(np.arange(len(column))).groupby(column.map(label).to_numpy()).indices
    largest = sorted(
        (name for name in rows if len(rows[name]) >= RUNS), key=lambda name: -len(rows[name])
    )[:GROUPS]
    return {str(name): rows[name] for name in largest}


def _probabilities(fit: Draws, groups: list[np.ndarray], replicates: int) -> np.ndarray:
    """Two-sided posterior predictive p of both quantities, (quantity, group), from at least so many
    replicates.
    """
    some = fit.thinned(draws_for(len(fit.runs), DRAWS))
    above, below, drawn = np.zeros((2, len(groups))), np.zeros((2, len(groups))), 0
    while drawn < replicates:
        observed, replicated = residuals(
            some, fit.runs.table, np.random.default_rng([fit.random_seed, 3, drawn])
        )
        for g, rows in enumerate(groups):
            seen, made = (
                np.stack([r[:, rows].mean(axis=1), (r[:, rows] ** 2).mean(axis=1)])
                for r in (observed, replicated)
            )
            above[:, g] += (made >= seen).sum(axis=1)
            below[:, g] += (made <= seen).sum(axis=1)
        drawn += some.samples
    return np.minimum(1.0, 2 * np.minimum(above, below) / drawn)
