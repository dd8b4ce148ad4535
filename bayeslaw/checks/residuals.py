"""Do runs scatter around the law as the model says? Tests residuals along curves for
autocorrelation, and residuals of all runs for what they have in common where an input is the same.
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
    r"""Posterior predictive checks of the residuals: along each curve, and of what runs at equal
    inputs have in common.

    .. math::
        T_1 = \sum_c \sum_i r_{c,i} \, r_{c,i+1} \Big/ \sum_{c,i} r_{c,i}^2, \quad
        T_2 = \sum_b \Big( \sum_{i \in b} r_i \Big)^2 \Big/ \sum_i r_i^2, \qquad
        p = P(T^\mathrm{rep} \ge T)

    r : residuals from the law's curve and the discrepancy that runs share, on the response's scale,
        sorted along each curve's input; in replicates, noise plus the process of each curve if the
        model has one.
    b : bins of an input. For a law of several inputs without curves, T_2 is computed for each
        quantity in turn: the inputs, what the discrepancy runs along, and the product of the
        inputs, which for a size and its data is compute. The smallest p is judged, by Bonferroni's
        threshold.

    A small p says that residuals are more alike than the model allows, as where the law's form is
    wrong, or where runs were measured on the same samples; the bands are then too narrow. Curves
    are those of the discrepancy; without one, the runs of a group that differ only in the last
    input. T_2 of a law of one input needs three of them. For a law of several inputs without curves
    both results inform and do not judge: with many runs no such law leaves nothing, and how far it
    misses farther out is what a backtest shows. On the public runs of Chinchilla and of
    benchmarks/README.md's repeated data p is .000 and 90 % bands of hidden runs hold .9 of them; on
    other runs of equal compute p is .000 and they hold a third. A process that runs share is
    sampled with the law, and follows what they have in common: p is then larger than it should be,
    and what fails has failed all the more.

    References
    ----------
    Gelman, Meng, Stern 1996, Statistica Sinica 6(4), for posterior predictive p-values of
    quantities that depend on parameters.

    Examples
    --------
    >>> print(check_residuals(fit)[0])
    passed  residuals along curves: if the model is right, residuals are this autocorrelated ...
    """
    spec = fit.spec
    on_curve, labels = _long_curves(fit)
    surface = len(fit.law.inputs) > 1 and not spec.discrepancy.along_curves
    no_curve = f"no curve has {POINTS} runs or more"
    if not (surface or on_curve.any()):
        return [not_run(name, SMALLEST, no_curve) for name in (ALONG, IN_COMMON)]
    kept = on_curve | surface
    table = fit.runs.table[kept]
    rng = np.random.default_rng([fit.random_seed, 1])
    observed, replicated = residuals(fit.thinned(DRAWS), table, rng)

    results = [not_run(ALONG, SMALLEST, no_curve)]
    t = spec.axis.forward(table[spec.along].to_numpy(float))
    on_curve = on_curve[kept]
    if on_curve.any():
        order, _, first = sequence(t[on_curve], labels)
        of_runs, of_replicates = (
            _along(x[:, on_curve], order, first) for x in (observed, replicated)
        )
        p = float((of_replicates >= of_runs).mean())
        advice = _advice(along_curves=spec.discrepancy.along_curves)
        words = "this autocorrelated along curves"
        results = [_result(ALONG, words, p, advice, judged=not surface)]
    if surface:
        return [*results, _in_common_by_quantity(fit, observed, replicated)]
    if first.sum() < CURVES:
        reason = f"fewer than {CURVES} curves have {POINTS} runs or more"
        return [*results, not_run(IN_COMMON, SMALLEST, reason)]
    words = "this alike across curves at equal inputs"
    p = _p_in_common(observed, replicated, t)
    return [*results, _result(IN_COMMON, words, p, advice)]


def _in_common_by_quantity(fit: Draws, observed: np.ndarray, replicated: np.ndarray) -> CheckResult:
    """The result for what runs have in common along each of several quantities."""
    quantities = _quantities(fit)
    if not quantities:
        return not_run(IN_COMMON, SMALLEST, "no input has several values")
    by_name = {name: _p_in_common(observed, replicated, t) for name, t in quantities.items()}
    worst = min(by_name, key=lambda name: by_name[name])
    among = f", the worst of {len(by_name)} quantities," if len(by_name) > 1 else ""
    words = f"this alike at equal {worst}{among}"
    advice = (
        f"The law's form is wrong along {worst}, or runs share their errors: forecasts farther"
        f" along it may be off by more than their bands say. Hide the runs farthest along it in a"
        " backtest, and try other laws of these inputs (bayeslaw.average)."
    )
    smallest = SMALLEST / len(by_name)
    return _result(IN_COMMON, words, by_name[worst], advice, smallest, judged=False)


def _quantities(fit: Draws) -> dict[str, np.ndarray]:
    """The logarithms of the quantities along which a law of several inputs may be wrong, (run,), by
    name: of those with several values, and one unit.
    """
    inputs = {name: x for name, x in fit.runs.inputs.items() if not fit.law.inputs[name].selector}
    quantities = {**inputs, **fit.spec.discrepancy_inputs(fit.runs.inputs)}
    if len(inputs) > 1:
        quantities[" x ".join(inputs)] = np.prod(list(inputs.values()), axis=0)
    return {name: np.log10(x) for name, x in quantities.items() if np.ptp(np.log10(x)) > 1e-6}


def _long_curves(fit: Draws) -> tuple[np.ndarray, np.ndarray]:
    """The runs of curves that are long enough, (run,), boolean, and the label of each one's curve.
    Without a discrepancy along curves, the runs of a group that differ only in the last input are a
    curve."""
    table, law = fit.runs.table, fit.law
    if fit.spec.discrepancy.along_curves:
        labels = fit.design.curve_labels(table)
    else:
        others = [name for name in law.inputs if name != fit.spec.along]
        by = dict.fromkeys([*fit.runs.groups, *others, *law.selector_columns])
        labels = joined_labels(tuple(by), table)
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


def _p_in_common(observed: np.ndarray, replicated: np.ndarray, t: np.ndarray) -> float:
    """P(T_2 of replicates at least that of the runs), for bins of t."""
    in_bin = _bins(t)
    return float((_in_common(replicated, in_bin) >= _in_common(observed, in_bin)).mean())


def _in_common(residual: np.ndarray, in_bin: np.ndarray) -> np.ndarray:
    """T_2, (sample,): how far residuals of all runs lie on one side, bin by bin."""
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


def _result(
    name: str, words: str, p: float, advice: str, smallest: float = SMALLEST, *, judged: bool = True
) -> CheckResult:
    passed, message = p >= smallest, f"if the model is right, residuals are {words} with"
    if judged:
        message += f" probability {p:.3f}; at least {smallest:.2g} passes."
        return CheckResult(name, passed, p, smallest, message, advice)
    message += f" probability {p:.3f} (below {smallest:.2g} counts)."
    return CheckResult(name, None, p, smallest, message, "" if passed else advice)
