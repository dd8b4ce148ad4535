"""Does the prior put the runs where they are? The check that needs no posterior: a prior that
excludes the runs bends every fit to them.
"""

from __future__ import annotations

import numpy as np

from bayeslaw.checks.base import CheckResult, draws_for
from bayeslaw.defaults import PRIOR_OUTSIDE_MAX
from bayeslaw.posterior.discrepancy import mu_of_runs
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.parameters import Parameters
from bayeslaw.posterior.replicates import replicated

#: Draws of the prior, and the band's probability: of 1,000 draws five lie beyond it on each side.
DRAWS, BAND = 1000, 0.99


def check_prior_predictive(fit: Draws, draws: int = DRAWS) -> list[CheckResult]:
    """Share of the runs outside the central 99 % band of what the prior predicts for them, and how
    much of it is beyond belief.

    The draws are of the model's own prior, `bayeslaw.model.sampling.draw_prior`, laid out as if they were
    a posterior's, with noise and, along curves, paths of which nothing was seen. Beyond belief is
    what lies outside the response's plausible range, in units of the typical response; of it a
    prior may well have some, and the second result informs.

    References
    ----------
    Gabry, Simpson, Vehtari, Betancourt, Gelman 2019, JRSS A 182(2), section 3, arXiv 1709.01449.
    """
    table, response = fit.runs.table, fit.law.response
    believed = from_prior(fit, draws_for(len(fit.runs), draws))
    posterior = Parameters.at(believed, table, "latent")
    # a prior's tails may leave the range of numbers: such a draw lies beyond any band
    with np.errstate(all="ignore"):
        drawn = mu_of_runs(posterior, table, fit.random_seed) + replicated(
            posterior, table, np.random.default_rng([fit.random_seed, 2])
        )
        predicted = np.where(np.isnan(drawn), np.inf, drawn)
        low, high = np.quantile(
            predicted, [(1 - BAND) / 2, (1 + BAND) / 2], axis=0, method="inverted_cdf"
        )
        relative = response.link.inverse(predicted) / fit.runs.typical_response
    y = response.link.forward(fit.runs.y)
    outside = (y < low) | (y > high)
    share, absurd = (
        float(outside.mean()),
        float(((relative < response.plausible[0]) | (relative > response.plausible[1])).mean()),
    )
    side = "above" if (y > high).sum() >= (y < low).sum() else "below"
    return [
        CheckResult(
            "prior predictive",
            share <= PRIOR_OUTSIDE_MAX,
            share,
            PRIOR_OUTSIDE_MAX,
            f"{share:.1%} of the runs lie outside the central {BAND:.0%} of what the prior"
            f" predicts{f', most of them {side} it' if share else ''}; at most"
            f" {PRIOR_OUTSIDE_MAX:.0%}.",
            "Check the units of inputs and response (bayeslaw check), then the priors that you"
            " gave: they put the runs elsewhere.",
        ),
        CheckResult(
            "prior width",
            None,
            absurd,
            0.5,
            f"{absurd:.1%} of what the prior predicts for the runs lies outside"
            f" {response.plausible[0]:g} to {response.plausible[1]:g} times their typical"
            f" {response.name}.",
            (
                "Half of it is beyond belief: where the runs say little, so may the posterior be."
                " Narrow the priors."
                if absurd > 0.5
                else ""
            ),
        ),
    ]


def from_prior(fit: Draws, draws: int = DRAWS) -> Draws:
    """The fit with draws of its model's prior in place of the posterior's, from the fit's seed.
    Group deviations that were taken as known stay so.
    """
    from bayeslaw.model.build import build
    from bayeslaw.model.sampling import draw_prior

    posterior = fit.posterior
    terms = [
        f"{name}_{term}"
        for name, predictor in fit.design.predictors.items()
        for term in predictor.formula.groups
    ]
    fixed = {}
    for name in terms:
        if not np.ptp(posterior[name].values, axis=(0, 1)).any():
            known = posterior[name].isel(chain=0, draw=0)
            groups = map(str, known[known.dims[0]].values)
            fixed[name] = dict(zip(groups, map(float, known.values), strict=True))
    model = build(fit.design, fit.runs, fixed=fixed)
    names = [str(name) for name in posterior]
    return fit.with_draws(draw_prior(model, names, draws, fit.random_seed))
