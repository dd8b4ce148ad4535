"""Did the chains converge? The diagnostics are computed when the fit is sampled
(`bayeslaw.model.sampling`); this check judges them.
"""

from __future__ import annotations

from bayeslaw.checks.base import CheckResult
from bayeslaw.defaults import DIVERGENCES_MAX, ESS_MIN, RHAT_MAX
from bayeslaw.posterior.draws import Draws, shown

SAMPLE_LONGER = (
    "Sample longer (tune, draws), or simplify the effects: fewer groups differing in fewer"
    " parameters."
)
NOT_SAMPLED = "not judged: the coefficients are published ones, and nothing was sampled."
FIT_INSTEAD = "How far they may be off is not known: fit the law to runs."
RAISE_TARGET = (
    "Raise target_accept. With few groups, also move the priors of the groups' standard deviations"
    " away from zero."
)


def check_convergence(fit: Draws) -> list[CheckResult]:
    """R-hat, bulk and tail effective sample size, divergences, each against its threshold in
    `bayeslaw.defaults`.

    Examples
    --------
    >>> [result.name for result in check_convergence(fit)]
    ['R-hat', 'bulk ESS', 'tail ESS', 'divergences']
    """
    worst = fit.convergence
    if not worst.sampled:
        return [CheckResult("convergence", False, worst.rhat, RHAT_MAX, NOT_SAMPLED, FIT_INSTEAD)]
    rhat_met, bulk_met, tail_met = worst.met
    largest = shown(worst.rhat, ".4f")
    rhat = f"largest {largest} ({worst.rhat_variable}); at most {RHAT_MAX} passes."
    divergences = f"{worst.divergences} divergent draws; at most {DIVERGENCES_MAX} passes."
    return [
        CheckResult("R-hat", rhat_met, worst.rhat, RHAT_MAX, rhat, SAMPLE_LONGER),
        _sample_size("bulk ESS", bulk_met, worst.ess_bulk, worst.ess_bulk_variable),
        _sample_size("tail ESS", tail_met, worst.ess_tail, worst.ess_tail_variable),
        CheckResult(
            "divergences",
            worst.divergences <= DIVERGENCES_MAX,
            worst.divergences,
            DIVERGENCES_MAX,
            divergences,
            RAISE_TARGET,
        ),
    ]


def _sample_size(name: str, passed: bool, ess: float, variable: str) -> CheckResult:
    """The result for an effective sample size, the smallest of all variables."""
    message = f"smallest {shown(ess, '.0f')} ({variable}); at least {ESS_MIN} passes."
    return CheckResult(name, passed, ess, ESS_MIN, message, SAMPLE_LONGER)
