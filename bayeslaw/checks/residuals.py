"""Do runs scatter around the law as the model says? Tests residuals along curves for
autocorrelation, and residuals of several curves for what they have in common.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayeslaw.checks.base import CheckResult, not_run
from bayeslaw.curves.state_space import sequence
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.replicates import residuals
from bayeslaw.spec.design import joined_labels

#: Draws of the posterior that are used.
DRAWS = 400
#: Fewest points of a curve whose residuals are tested.
POINTS = 4
#: Fewest curves that show what they have in common, and the number of bins of their input.
CURVES, BINS = 3, 12
#: A model that is right gives a smaller value once in twenty.
SMALLEST = 0.05
#: Names of the results.
ALONG, IN_COMMON = "residuals along curves", "residuals in common"


def check_residuals(fit: Draws) -> list[CheckResult]:
    r"""Posterior predictive checks of the residuals along curves: of each curve, and of what curves
    have in common.

    .. math::
        T_1 = \sum_c \sum_i r_{c,i} \, r_{c,i+1} \Big/ \sum_{c,i} r_{c,i}^2, \quad
        T_2 = \sum_b \Big( \sum_{i \in b} r_i \Big)^2 \Big/ \sum_i r_i^2, \qquad
        p = P(T^\mathrm{rep} \ge T)

    r : residuals from the law's curve, on the response's scale, sorted along each curve's input; in
        replicates, noise plus the discrepancy if the model has one.
    b : bins of the input over all curves.

    A small p says that residuals are autocorrelated more than the model allows, as where the law's
    form is wrong, or where runs were measured on the same samples; the bands are then too narrow.
    T_2 needs three curves or more. The check is not run for laws of several inputs without curves,
    nor with a discrepancy in common, whose paths are sampled with the law.

    References
    ----------
    Gelman, Meng, Stern 1996, Statistica Sinica 6(4), for posterior predictive p-values of
    quantities that depend on parameters.

    Examples
    --------
    >>> print(check_residuals(fit)[0])
    passed  residuals along curves: if the model is right, residuals are this autocorrelated ...
    """
    if reason := _does_not_apply(fit):
        return [not_run(name, SMALLEST, reason) for name in (ALONG, IN_COMMON)]
    rows, labels = _long_curves(fit)
    table = fit.runs.table[rows]
    t = fit.spec.axis.forward(table[fit.spec.along].to_numpy(float))
    order, _, first = sequence(t, labels)
    rng = np.random.default_rng([fit.random_seed, 1])
    observed, replicated = residuals(fit.thinned(DRAWS), table, rng)
    advice = _advice(along_curves=fit.spec.discrepancy.along_curves)

    p = (_along(replicated, order, first) >= _along(observed, order, first)).mean()
    results = [_result(ALONG, "this autocorrelated along curves", float(p), advice)]
    if first.sum() < CURVES:
        reason = f"fewer than {CURVES} curves have {POINTS} runs or more"
        return [*results, not_run(IN_COMMON, SMALLEST, reason)]
    in_bin = _bins(t)
    p = (_in_common(replicated, in_bin) >= _in_common(observed, in_bin)).mean()
    words = "this alike across curves at equal inputs"
    return [*results, _result(IN_COMMON, words, float(p), advice)]


def _does_not_apply(fit: Draws) -> str:
    """Why the residuals cannot be tested; empty where they can."""
    discrepancy = fit.spec.discrepancy
    if discrepancy.kind == "grid" or discrepancy.has_shared:
        return "the discrepancy that runs have in common is sampled with the law"
    if len(fit.law.inputs) > 1 and not discrepancy.along_curves:
        return "the law has several inputs, and the model no curves"
    if not _long_curves(fit)[0].any():
        return f"no curve has {POINTS} runs or more"
    return ""


def _long_curves(fit: Draws) -> tuple[np.ndarray, np.ndarray]:
    """The runs of curves that are long enough, (run,), boolean, and the label of each one's curve.
    Without a discrepancy along curves, each group is a curve."""
    table = fit.runs.table
    if fit.spec.discrepancy.along_curves:
        labels = fit.design.curve_labels(table)
    else:
        labels = joined_labels(fit.runs.groups, table)
    of_runs = pd.Series(labels)
    counts = of_runs.map(of_runs.value_counts()).to_numpy()
    return counts >= POINTS, np.asarray(labels[counts >= POINTS])


def _along(residual: np.ndarray, order: np.ndarray, first: np.ndarray) -> np.ndarray:
    """T_1, (sample,): the lag-one autocorrelation within curves."""
    r = residual[:, order]
    products = (r[:, 1:] * r[:, :-1] * (1 - first[1:])).sum(axis=1)
    return np.asarray(products / (r**2).sum(axis=1))


def _bins(t: np.ndarray) -> np.ndarray:
    """The bin of each run along the input, (run, bin), as ones and zeros: the nearest of the
    distinct values or, where these are many, of evenly spread quantiles."""
    values = np.unique(t)
    if len(values) > BINS:
        values = np.quantile(t, (np.arange(BINS) + 0.5) / BINS)
    nearest = np.abs(t[:, None] - values).argmin(axis=1)
    return np.asarray(np.eye(len(values))[nearest])


def _in_common(residual: np.ndarray, in_bin: np.ndarray) -> np.ndarray:
    """T_2, (sample,): how far residuals of all curves lie on one side, bin by bin."""
    return np.asarray(((residual @ in_bin) ** 2).sum(axis=1) / (residual**2).sum(axis=1))


def _advice(*, along_curves: bool) -> str:
    if not along_curves:
        return (
            "The law's form is wrong, or runs share their errors: bands of independent noise are"
            " too narrow. Set discrepancy to 'curve'."
        )
    return (
        "The discrepancy does not describe how runs deviate from the law: try other components"
        " (own), or shared."
    )


def _result(name: str, words: str, p: float, advice: str) -> CheckResult:
    message = (
        f"if the model is right, residuals are {words} with probability {p:.3f}; at least"
        f" {SMALLEST} passes."
    )
    return CheckResult(name, p >= SMALLEST, p, SMALLEST, message, advice)
