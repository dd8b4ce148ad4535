"""Is the answer the prior's? Power scaling: how far a slightly weaker or stronger prior would move
the posterior.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayeslaw.checks.base import CheckResult, draws_for, not_run
from bayeslaw.defaults import SENSITIVE_ABOVE, SMOOTHED_FROM
from bayeslaw.posterior.draws import DIMS, Draws
from bayeslaw.posterior.likelihood import log_likelihood
from bayeslaw.posterior.power_scaling import log_prior

if TYPE_CHECKING:
    import xarray as xr

#: Draws that are used: the distance of two distributions of 1,000 draws is known to a tenth of the
#: threshold.
DRAWS = 1000


def check_sensitivity(fit: Draws, draws: int = DRAWS) -> list[CheckResult]:
    """How far power scaling of all priors moves the posterior of each variable that has one,
    compared with what scaling the likelihood does.

    The distance is the cumulative Jensen-Shannon one, per doubling of the power. A prior that
    matters where the runs do not is strong; where both matter, prior and runs may disagree. Both
    results inform and do not judge: a prior may be meant to matter. Variables above the threshold
    are listed. The check is not run with too few draws for importance weights: such a fit cannot
    have converged.

    References
    ----------
    Kallioinen, Paananen, Bürkner, Vehtari 2023, Statistics and Computing 34, arXiv 2107.14054.

    Examples
    --------
    >>> print(check_sensitivity(fit)[0])
    note    prior sensitivity: the prior moves 0 of 9 variables by more than 0.05 ...
    """
    thinned = fit.thinned(draws_for(len(fit.runs), draws))
    if thinned.samples < SMOOTHED_FROM:
        reason = (
            f"{thinned.samples} draws are too few for importance weights, which need"
            f" {SMOOTHED_FROM}"
        )
        return [not_run("prior sensitivity", SENSITIVE_ABOVE, reason)]
    priors = log_prior(thinned)
    if not priors.data_vars:
        return [not_run("prior sensitivity", SENSITIVE_ABOVE, "every parameter is pinned")]
    try:
        by_prior, by_runs = _distances(thinned, priors)
    except ValueError:  # ArviZ cannot fit a tail whose values are all the same
        reason = "many draws have the same importance weight, which cannot be smoothed"
        return [not_run("prior sensitivity", SENSITIVE_ABOVE, reason)]
    sensitive = [name for name in by_prior if by_prior[name] > SENSITIVE_ABOVE]
    sensitive.sort(key=lambda name: -by_prior[name])
    largest = max(by_prior, key=lambda name: by_prior[name])
    summary = CheckResult(
        "prior sensitivity",
        None,
        by_prior[largest],
        SENSITIVE_ABOVE,
        f"{len(sensitive)} of {len(by_prior)} variables are sensitive to the prior (above"
        f" {SENSITIVE_ABOVE:g} when its weight is doubled); most of all {largest},"
        f" {by_prior[largest]:.3f}.",
    )
    return [summary, *(_of_variable(name, by_prior[name], by_runs[name]) for name in sensitive)]


def _distances(fit: Draws, priors: xr.Dataset) -> tuple[dict[str, float], dict[str, float]]:
    """How far the posterior of each variable moves per doubling of the power of its prior, and of
    the likelihood."""
    import xarray as xr
    from arviz_stats import psense

    together, _ = log_likelihood(fit)
    scaled = xr.DataTree.from_dict(
        {
            "posterior": fit.posterior[list(priors.data_vars)],
            "log_prior": priors,
            "log_likelihood": xr.Dataset({"runs": (DIMS, fit.by_chain(together))}),
        }
    )
    by_prior, by_runs = (
        {str(name): float(x.max()) for name, x in psense(scaled, group=group).items()}
        for group in ("prior", "likelihood")
    )
    return by_prior, by_runs


def _of_variable(name: str, by_prior: float, by_runs: float) -> CheckResult:
    """The result for a variable that the prior moves."""
    advice = (
        "The prior is strong here, or the runs say little: answers that depend on this variable"
        " come from its prior. Give it a prior that you can defend."
    )
    if by_runs > SENSITIVE_ABOVE:
        advice = (
            "Prior and runs may disagree on it: check whether its posterior lies in its prior's"
            " tail, and defend the prior or widen it."
        )
    return CheckResult(
        f"prior sensitivity: {name}",
        None,
        by_prior,
        SENSITIVE_ABOVE,
        f"sensitivity to the prior {by_prior:.3f}, to the runs {by_runs:.3f}; above"
        f" {SENSITIVE_ABOVE:g} counts.",
        advice,
    )
