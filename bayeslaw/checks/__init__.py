"""Checks of a fit: each one a verdict, the number behind it, its threshold, and what to do."""

from __future__ import annotations

from bayeslaw.checks.base import CheckResult
from bayeslaw.checks.checkpoints import check_checkpoints
from bayeslaw.checks.convergence import check_convergence
from bayeslaw.checks.groups import check_groups
from bayeslaw.checks.identifiability import check_identifiability
from bayeslaw.checks.influence import check_influence
from bayeslaw.checks.prior_predictive import check_prior_predictive
from bayeslaw.checks.residuals import check_residuals
from bayeslaw.checks.sensitivity import check_sensitivity
from bayeslaw.posterior.draws import Draws

__all__ = ["CheckResult", "check"]


def check(fit: Draws) -> list[CheckResult]:
    """Every check of a fit, the failed ones first.

    Whether the chains agree; whether the runs narrow each parameter; whether the prior puts the
    runs where they are, and how much of the answer is the prior's; how far a new checkpoint's band
    is; whether the runs scatter as the model says, along curves and in every group; and whether a
    single run decides. Some seconds: the densities and replicates are those of some thousand draws.
    """
    of = (
        check_convergence,
        check_prior_predictive,
        check_identifiability,
        check_sensitivity,
        check_checkpoints,
        check_residuals,
        check_groups,
        check_influence,
    )
    return sorted(
        (result for each in of for result in each(fit)),
        key=lambda result: result.passed is not False,
    )
