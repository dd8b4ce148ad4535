"""Did the chains converge? The numbers are computed at sampling time (`bayeslaw.model.sampling`); here
they are judged.
"""

from __future__ import annotations

from bayeslaw.checks.base import CheckResult
from bayeslaw.defaults import DIVERGENCES_MAX, ESS_MIN, RHAT_MAX
from bayeslaw.posterior.draws import Draws

MORE = (
    "Sample longer (tune, draws), or simplify the effects: fewer groups differing in fewer"
    " parameters."
)


def check_convergence(fit: Draws) -> list[CheckResult]:
    """R-hat, bulk and tail effective sample size, divergences, each against its threshold in
    `bayeslaw.defaults`.
    """
    c = fit.convergence
    return [
        CheckResult(
            "R-hat",
            c.rhat <= RHAT_MAX,
            c.rhat,
            RHAT_MAX,
            f"largest {c.rhat:.4f} ({c.rhat_variable}), at most {RHAT_MAX}.",
            MORE,
        ),
        CheckResult(
            "bulk ESS",
            c.ess_bulk >= ESS_MIN,
            c.ess_bulk,
            ESS_MIN,
            f"smallest {c.ess_bulk:.0f} ({c.ess_bulk_variable}), at least {ESS_MIN}.",
            MORE,
        ),
        CheckResult(
            "tail ESS",
            c.ess_tail >= ESS_MIN,
            c.ess_tail,
            ESS_MIN,
            f"smallest {c.ess_tail:.0f} ({c.ess_tail_variable}), at least {ESS_MIN}.",
            MORE,
        ),
        CheckResult(
            "divergences",
            c.divergences <= DIVERGENCES_MAX,
            c.divergences,
            DIVERGENCES_MAX,
            f"{c.divergences}, at most {DIVERGENCES_MAX}.",
            "Raise target_accept; a prior on group scales further from zero helps where groups are"
            " few.",
        ),
    ]
