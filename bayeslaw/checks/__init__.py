"""Checks of a fit: each gives a verdict, the number behind it, its threshold, and what to do."""

from __future__ import annotations

from bayeslaw.checks.base import CheckResult
from bayeslaw.checks.checkpoints import check_checkpoints
from bayeslaw.checks.convergence import check_convergence
from bayeslaw.checks.farthest import check_farthest
from bayeslaw.checks.groups import check_groups
from bayeslaw.checks.identifiability import check_identifiability
from bayeslaw.checks.influence import check_influence
from bayeslaw.checks.noise_by_scale import check_noise_by_scale
from bayeslaw.checks.prior_predictive import check_prior_predictive
from bayeslaw.checks.residuals import check_residuals
from bayeslaw.checks.sensitivity import check_sensitivity
from bayeslaw.posterior.draws import Draws

__all__ = ["CheckResult", "check"]

CHECKS = (
    check_convergence,
    check_prior_predictive,
    check_identifiability,
    check_sensitivity,
    check_checkpoints,
    check_residuals,
    check_groups,
    check_noise_by_scale,
    check_farthest,
    check_influence,
)


def check(fit: Draws) -> list[CheckResult]:
    """Every check of a fit, the failed ones first.

    Whether the chains agree; whether the prior puts the runs where they are; whether the runs
    narrow each parameter; how much of the answer is the prior's, also at a new checkpoint; whether
    the runs scatter as the model says, along curves, in every group, at every scale and one by
    one; and whether a single run decides. Published coefficients (`bayeslaw.known`) have no runs,
    and fail the check of convergence alone. A check that does not apply to the fit says that it was
    not run, and why. Takes some seconds: the densities and replicates are those of some thousand
    draws.

    Examples
    --------
    >>> for result in bl.check(fit):
    ...     print(result)
    passed  R-hat: largest 1.0037 (A_1|task), at most 1.01.
    ...
    """
    if not len(fit.runs):
        return check_convergence(fit)
    results = [result for run_check in CHECKS for result in run_check(fit)]
    return sorted(results, key=lambda result: result.passed is not False)
