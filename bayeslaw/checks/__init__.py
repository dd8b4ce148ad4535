"""Checks of a fit: each one a verdict, the number behind it, its threshold, and what to do."""

from __future__ import annotations

from bayeslaw.checks.backtest import Backtest, backtest
from bayeslaw.checks.base import CheckResult
from bayeslaw.checks.checkpoints import check_checkpoints
from bayeslaw.checks.convergence import check_convergence
from bayeslaw.checks.identifiability import check_identifiability
from bayeslaw.checks.predictive import check_residuals
from bayeslaw.fit import Fit

__all__ = ["Backtest", "CheckResult", "backtest", "check"]


def check(fit: Fit) -> list[CheckResult]:
    """Every check of a fit, the failed ones first."""
    results = [*check_convergence(fit), *check_identifiability(fit), *check_checkpoints(fit), *check_residuals(fit)]
    return sorted(results, key=lambda result: result.passed is not False)
