"""Is the answer the prior's? Power scaling: how far a slightly weaker or stronger prior would move
the posterior.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
#: Variables that are named.
NAMED = 3


def check_sensitivity(fit: Draws, draws: int = DRAWS) -> list[CheckResult]:
    """How far power scaling of all priors moves the posterior of each variable that has one,
    compared with what scaling the likelihood does.

    The distance is the cumulative Jensen-Shannon one, per doubling of the power. A prior that
    matters where the runs do not is strong; where both matter, prior and runs may disagree. The
    result informs and does not judge: a prior may be meant to matter. Of the variables above the
    threshold the three that move most are named. The check is not run with too few draws for
    importance weights: such a fit cannot have converged.

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
    named = sensitive[:NAMED] or [largest]
    most = ", ".join(f"{name} {by_prior[name]:.3f}" for name in named)
    message = (
        f"{len(sensitive)} of {len(by_prior)} variables are sensitive to the prior (above"
        f" {SENSITIVE_ABOVE:g} when its weight is doubled); most of all {most}."
    )
    advice = _advice(sensitive[:NAMED], by_runs)
    return [
        CheckResult("prior sensitivity", None, by_prior[largest], SENSITIVE_ABOVE, message, advice)
    ]


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


def _advice(sensitive: Sequence[str], by_runs: Mapping[str, float]) -> str:
    """What to do about the variables that the prior moves most; "" if it moves none."""
    disputed = [name for name in sensitive if by_runs[name] > SENSITIVE_ABOVE]
    strong = [name for name in sensitive if name not in disputed]
    advice = []
    if strong:
        advice.append(
            f"Answers that depend on {' and '.join(strong)} come from the prior: it is strong"
            " there, or the runs say little. Give a prior that you can defend."
        )
    if disputed:
        advice.append(
            f"On {' and '.join(disputed)} prior and runs may disagree: see whether the posterior"
            " lies in the prior's tail, and defend the prior or widen it."
        )
    return " ".join(advice)
