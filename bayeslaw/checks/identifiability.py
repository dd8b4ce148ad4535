"""Can the table tell the parameters apart? From the posterior itself: how much narrower it is than
the prior.
"""

from __future__ import annotations

from bayeslaw.checks.base import CheckResult, not_run
from bayeslaw.defaults import PRIOR_SHARE_MAX
from bayeslaw.posterior.draws import Draws
from bayeslaw.spec.identifiability import prior_on_link
from bayeslaw.spec.spec import population_name

ADVICE = (
    "Answers that depend on this parameter come from its prior: add runs that inform it, or give it"
    " a prior that you can defend."
)


def check_identifiability(fit: Draws) -> list[CheckResult]:
    """Per parameter of the law, posterior over prior standard deviation on the unconstrained scale.
    Pinned parameters are left out.

    Examples
    --------
    >>> print(check_identifiability(fit)[0])
    passed  identified: A_at_centre: the posterior is 18% as wide as the prior; at most 90% passes.
    """
    results, posterior = [], fit.posterior
    for name, param in fit.law.params.items():
        variable = population_name(name, param)
        if variable not in fit.spec.priors:
            continue
        _, width = prior_on_link(fit.spec.priors[variable], param, fit.runs.typical_response)
        if width == 0:
            continue
        draws = param.link.forward(posterior[variable])
        share = float(draws.std(("chain", "draw")).mean()) / width
        message = (
            f"the posterior is {share:.0%} as wide as the prior; at most"
            f" {PRIOR_SHARE_MAX:.0%} passes."
        )
        results.append(
            CheckResult(
                f"identified: {variable}",
                share <= PRIOR_SHARE_MAX,
                share,
                PRIOR_SHARE_MAX,
                message,
                ADVICE,
            )
        )
    if not results:
        reason = "the law has no free parameter with a prior of its own"
        return [not_run("identified", PRIOR_SHARE_MAX, reason)]
    return results
