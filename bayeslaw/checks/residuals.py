"""Do runs scatter around the law as the model says that they do? Neighbours on a curve that err
together say no.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayeslaw.checks.base import CheckResult
from bayeslaw.curves.state_space import sequence
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.replicates import residuals
from bayeslaw.spec.design import joined_labels

#: Draws of the posterior that are used, and fewest points of a curve that have neighbours.
DRAWS, POINTS = 400, 4
#: Curves from which on what they have in common can be seen, and bins of their input.
CURVES, BINS = 3, 12
#: A model that is right gives a smaller value once in twenty.
SMALLEST = 0.05


def check_residuals(fit: Draws) -> list[CheckResult]:
    r"""Posterior predictive checks of the residuals along curves: of each, and of what curves have
    in common.

    .. math:: T_1 = \sum_c \sum_i r_{c,i} \, r_{c,i+1} \Big/ \sum_{c,i} r_{c,i}^2, \quad
        T_2 = \sum_b \Big( \sum_{i \in b} r_i \Big)^2 \Big/ \sum_i r_i^2, \qquad p = P(T^\mathrm{rep} \ge T)

    r : observed less the law's curve, on the response's scale, sorted along each curve's input; in
        replicates, what the model puts around
    the law: noise, and the discrepancy if it has one. b : bins of the input over all curves, for
    three curves or more. Small p: neighbours err together more than the model knows, as they do
    where the law's form is wrong or where they were measured on the same samples; its bands are
    then too narrow. Laws of several inputs without curves have no such check, nor has a discrepancy
    in common: what it takes up is sampled with the law.

    References
    ----------
    Gelman, Meng, Stern 1996, Statistica Sinica 6(4), for posterior predictive p-values of
    quantities that depend on parameters.
    """
    spec, table = fit.spec, fit.runs.table
    if (
        spec.discrepancy.kind == "grid"
        or spec.discrepancy.has_shared
        or (len(spec.law.inputs) > 1 and not spec.discrepancy.along_curves)
    ):
        return []
    labels = (
        fit.design.curve_labels(table)
        if spec.discrepancy.along_curves
        else joined_labels(fit.runs.groups, table)
    )
    counts = pd.Series(labels).map(pd.Series(labels).value_counts()).to_numpy()
    kept = counts >= POINTS
    if not kept.any():
        return []
    table, labels = table[kept], labels[kept]
    t = spec.axis.forward(table[spec.along].to_numpy(float))
    order, _, first = sequence(t, labels)
    observed, replicated = residuals(
        fit.thinned(DRAWS), table, np.random.default_rng([fit.random_seed, 1])
    )

    def together(residual: np.ndarray) -> np.ndarray:
        r = residual[:, order]
        return (r[:, 1:] * r[:, :-1] * (1 - first[1:])).sum(axis=1) / (r**2).sum(axis=1)

    def in_common(residual: np.ndarray) -> np.ndarray:
        return ((residual @ member) ** 2).sum(axis=1) / (residual**2).sum(axis=1)

    places = (
        np.unique(t)
        if len(np.unique(t)) <= BINS
        else np.quantile(t, (np.arange(BINS) + 0.5) / BINS)
    )
    member = np.eye(len(places))[np.abs(t[:, None] - places).argmin(axis=1)]
    asked = {"residuals along curves": (together, "neighbours on a curve err together")}
    if first.sum() >= CURVES:
        asked |= {"residuals in common": (in_common, "curves err together at the same input")}
    results = []
    for name, (statistic, words) in asked.items():
        p = float((statistic(replicated) >= statistic(observed)).mean())
        results.append(
            CheckResult(
                name,
                p >= SMALLEST,
                p,
                SMALLEST,
                f"{words} as much as here with probability {p:.3f} if the model is right, at least"
                f" {SMALLEST}.",
                (
                    "The law's form bends otherwise, or runs share their errors: bands of"
                    " independent noise are too narrow. Set discrepancy to 'curve'."
                    if not spec.discrepancy.along_curves
                    else (
                        "Runs stray otherwise than the discrepancy lets them: try other components"
                        " (own), or shared."
                    )
                ),
            )
        )
    return results
