"""Why nothing can be decided: failed checks, bands that missed, points too far out, a prior that
decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bayeslaw import defaults
from bayeslaw.checks import CheckResult
from bayeslaw.checks.convergence import check_convergence
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.power_scaling import power_weights, total_log_prior
from bayeslaw.validation.backtesting import OURS, Backtest


def general_doubts(
    fit: Draws, checks: Sequence[CheckResult] | None, backtest: Backtest | None
) -> list[str]:
    """Doubts that would hold for any option, in words; none where a fit can be decided from."""
    checks = check_convergence(fit) if checks is None else checks
    doubts = [
        f"A check failed: {check.name}, {check.message}"
        for check in checks
        if check.passed is False
    ]
    if backtest is None:
        return doubts
    if not backtest.converged:
        doubts.append("The chains of the backtest did not converge.")
    covered = float(backtest.scores().loc[OURS, "coverage_90"])
    if covered < defaults.COVERAGE_MIN:
        doubts.append(
            f"Had this been used before: 90 % bands held {covered:.0%} of the hidden runs, less"
            f" than {defaults.COVERAGE_MIN:.0%}."
        )
    return doubts


def distance_doubts(distance: Mapping[str, float], max_decades: float) -> list[str]:
    """Doubts about an option that lies so many decades beyond the runs, by input."""
    return [
        f"The option lies {abs(x):.1f} decades beyond the runs in {name}, more than"
        f" {max_decades:g}: the law is not known to hold so far out."
        for name, x in distance.items()
        if abs(x) > max_decades
    ]


def weights_under_other_priors(fit: Draws) -> tuple[np.ndarray, float]:
    """Weights of the draws under weaker and stronger priors, (prior, sample), and the worse k-hat;
    of no prior where that is above its threshold."""
    total = total_log_prior(fit)
    weighted = [power_weights(total, power) for power in defaults.PRIOR_POWERS]
    khat = max(khat for _, khat in weighted)
    weights = np.array([weights for weights, _ in weighted])
    return (weights if khat <= defaults.KHAT_MAX else weights[:0]), khat


def prior_doubts(under_other_priors: Sequence[float], p_target: float) -> list[str]:
    """A doubt where other priors move the probability of meeting the target too far."""
    moved = max((abs(p - p_target) for p in under_other_priors), default=0.0)
    if moved <= defaults.PRIOR_MOVES_MAX:
        return []
    return [
        f"The prior decides: were every prior weaker or stronger ({powers_in_words()}), the"
        f" probability would be {in_words(under_other_priors)}, not {p_target:.2f}."
    ]


def powers_in_words() -> str:
    """What weaker and stronger priors are."""
    return f"raised to the power {' or '.join(f'{x:g}' for x in defaults.PRIOR_POWERS)}"


def in_words(probabilities: Sequence[float]) -> str:
    """Probabilities, one for each prior."""
    return " or ".join(f"{p:.2f}" for p in probabilities)
