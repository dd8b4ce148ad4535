"""Why nothing can be decided: failed checks, bands that missed, options too far beyond the runs, a
prior that decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bayeslaw import defaults
from bayeslaw.checks import CheckResult
from bayeslaw.checks.convergence import check_convergence
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.points import JOINT
from bayeslaw.posterior.power_scaling import power_weights, total_log_prior
from bayeslaw.text import percent
from bayeslaw.validation.backtesting import Backtest
from bayeslaw.validation.scores import OURS


def general_doubts(
    fit: Draws, checks: Sequence[CheckResult] | None, backtest: Backtest | None
) -> list[str]:
    """Doubts that hold for any option, in words; empty if there are none.

    Convergence is judged whatever ``checks`` has.

    >>> general_doubts(fit, None, None)
    ['A check failed: R-hat, largest 1.5000 (alpha), at most 1.01.']
    """
    of_chains = check_convergence(fit)
    names = [check.name for check in of_chains]
    others = [check for check in checks or () if check.name not in names]
    doubts = [
        f"A check failed: {check.name}, {check.message}"
        for check in [*of_chains, *others]
        if check.passed is False
    ]
    if backtest is None:
        return doubts
    if not backtest.converged:
        doubts.append("The chains of the backtest did not converge.")
    covered = float(backtest.scores().loc[OURS, "coverage_90"])
    p = backtest.p_of_coverage
    if np.isnan(p):  # a backtest saved by the first version
        if covered < defaults.COVERAGE_MIN:
            doubts.append(f"In the backtest, 90 % bands held {covered:.0%} of the hidden runs.")
    elif p < defaults.COVERAGE_ALPHA:
        doubts.append(
            f"In the backtest, 90 % bands held {covered:.0%} of the hidden runs. If the model were"
            f" right, so few would be held with probability {p:.3f}."
        )
    return doubts


def distance_doubts(distance: Mapping[str, float], max_decades: float) -> list[str]:
    """Doubts about an option, from its distance beyond the runs in decades, by input and of all
    inputs together (`bayeslaw.posterior.points.JOINT`).

    >>> distance_doubts({"data_size": 1.0, "model_size": -0.2}, max_decades=1.5)
    []
    """
    single = {name: x for name, x in distance.items() if name != JOINT}
    doubts = [
        f"The option lies {abs(x):.1f} decades beyond the runs in {name}, more than"
        f" {max_decades:g}: the law is not known to hold so far out."
        for name, x in single.items()
        if abs(x) > max_decades
    ]
    together = distance.get(JOINT, 0.0)
    if doubts or together <= max_decades:
        return doubts
    *most, last = (name for name in single)
    return [
        f"The option lies {together:.1f} decades beyond the runs in {', '.join(most)} and {last}"
        f" together, more than {max_decades:g}, though not in each alone: no run is near such a"
        " combination, and the law is not known to hold so far out."
    ]


def weights_under_other_priors(fit: Draws) -> tuple[np.ndarray, float]:
    """Weights of the draws under weaker and stronger priors, (prior, sample), and the worse k-hat.
    There are no weights, (0, sample), if that k-hat is above its threshold.

    >>> weights, khat = weights_under_other_priors(fit)
    >>> weights.shape
    (2, 4000)
    """
    total = total_log_prior(fit)
    weighted = [power_weights(total, power) for power in defaults.PRIOR_POWERS]
    khat = max(khat for _, khat in weighted)
    weights = np.array([weights for weights, _ in weighted])
    return (weights if khat <= defaults.KHAT_MAX else weights[:0]), khat


def prior_doubts(under_other_priors: Sequence[float], p_target: float) -> list[str]:
    """A doubt if other priors move the probability of meeting the target too far; else none.

    >>> prior_doubts([0.82, 0.79], 0.8)
    []
    """
    moved = max((abs(p - p_target) for p in under_other_priors), default=0.0)
    if moved <= defaults.PRIOR_MOVES_MAX:
        return []
    return [
        f"The prior decides: with every prior weaker or stronger ({powers_in_words()}), the"
        f" probability would be {in_words(under_other_priors)}, not {percent(p_target)}. Give"
        " priors that you can defend, or add runs."
    ]


def powers_in_words() -> str:
    """What weaker and stronger priors are.

    >>> powers_in_words()
    'raised to the power 0.8, and 1.25'
    """
    return f"raised to the power {', and '.join(f'{x:g}' for x in defaults.PRIOR_POWERS)}"


def in_words(probabilities: Sequence[float]) -> str:
    """Probabilities, one for each prior.

    >>> in_words([0.81, 0.7])
    '81 %, and 70 %'
    """
    return ", and ".join(map(percent, probabilities))
