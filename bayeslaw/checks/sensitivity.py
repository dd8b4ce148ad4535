"""Is the answer the prior's? Power scaling: how much a slightly weaker or stronger prior would move
the posterior.
"""

from __future__ import annotations

from bayeslaw.checks.base import CheckResult, draws_for
from bayeslaw.defaults import SENSITIVE_ABOVE, SMOOTHED_FROM
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.likelihood import log_likelihood
from bayeslaw.posterior.power_scaling import log_prior

#: Draws that are used: the distance of two distributions of 1,000 draws is known to a tenth of the
#: threshold.
DRAWS = 1000


def check_sensitivity(fit: Draws, draws: int = DRAWS) -> list[CheckResult]:
    """How far power scaling of all priors moves the posterior of each variable that has one, held
    against what scaling the likelihood does.

    The distance is the cumulative Jensen-Shannon one, per doubling of the power. A prior that
    matters where the runs do not is strong; where both matter, prior and runs may disagree. Both
    inform and do not judge: a prior that was meant to matter matters. Listed are the variables
    above the threshold. Too few draws for weights, which cannot have converged, have no such check.

    References
    ----------
    Kallioinen, Paananen, Bürkner, Vehtari 2023, Statistics and Computing 34, arXiv 2107.14054.
    """
    import xarray as xr
    from arviz_stats import psense

    some = fit.thinned(draws_for(len(fit.runs), draws))
    posterior, priors = some.idata["posterior"].to_dataset(), log_prior(some)
    if not priors.data_vars or some.samples < SMOOTHED_FROM:
        return []
    together, _ = log_likelihood(some)
    scaled = xr.DataTree.from_dict(
        {
            "posterior": posterior[list(priors.data_vars)],
            "log_prior": priors,
            "log_likelihood": xr.Dataset({"runs": (("chain", "draw"), some.by_chain(together))}),
        }
    )
    by_prior, by_runs = (
        {name: float(x.max()) for name, x in psense(scaled, group=group).items()}
        for group in ("prior", "likelihood")
    )
    sensitive = sorted(
        (name for name in by_prior if by_prior[name] > SENSITIVE_ABOVE),
        key=lambda name: -by_prior[name],
    )
    largest = max(by_prior, key=lambda name: by_prior[name])
    results = [
        CheckResult(
            "prior sensitivity",
            None,
            by_prior[largest],
            SENSITIVE_ABOVE,
            f"the prior moves {len(sensitive)} of {len(by_prior)} variables by more than"
            f" {SENSITIVE_ABOVE:g} per doubling of its power; most of all {largest},"
            f" {by_prior[largest]:.3f}.",
        )
    ]
    for name in sensitive:
        conflict = by_runs[name] > SENSITIVE_ABOVE
        results.append(
            CheckResult(
                f"prior sensitivity: {name}",
                None,
                by_prior[name],
                SENSITIVE_ABOVE,
                f"the prior moves it by {by_prior[name]:.3f}, the runs by {by_runs[name]:.3f};"
                f" above {SENSITIVE_ABOVE:g} counts.",
                (
                    "Prior and runs may disagree on it: see whether its posterior lies in its"
                    " prior's tail, and defend the prior or widen it."
                    if conflict
                    else (
                        "The prior is strong here, or the runs say little: what rests on it is the"
                        " prior's answer. Give it one that you can defend."
                    )
                ),
            )
        )
    return results
