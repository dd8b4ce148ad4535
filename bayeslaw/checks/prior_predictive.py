"""Does the prior put the runs where they are? The check that needs no posterior: a prior that
excludes the runs biases every fit to them.
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
#: Share of the prior predictive outside the plausible range above which narrower priors are
#: advised.
IMPLAUSIBLE_MAX = 0.5


def check_prior_predictive(fit: Draws, draws: int = DRAWS) -> list[CheckResult]:
    """Share of the runs outside the central 99 % band of the prior predictive, and how much of the
    prior predictive is implausible.

    The draws are of the model's own prior, `bayeslaw.model.sampling.draw_prior`, laid out as if
    they were a posterior's, with noise and, along curves, prior draws of each process. What lies
    outside the response's plausible range, in units of the typical response, is implausible; a good
    prior may have some of that, and so the second result informs.

    References
    ----------
    Gabry, Simpson, Vehtari, Betancourt, Gelman 2019, JRSS A 182(2), section 3, arXiv 1709.01449.

    Examples
    --------
    >>> print(check_prior_predictive(fit)[0])
    passed  prior predictive: 0.0% of the runs lie outside the central 99% ...; at most 5%.
    """
    predicted = _prior_predictive(from_prior(fit, draws_for(len(fit.runs), draws)))
    return [_of_runs(fit, predicted), _of_width(fit, predicted)]


def _prior_predictive(prior: Draws) -> np.ndarray:
    """Replicates of the runs from draws of the prior, (sample, run), on the response's scale."""
    table, seed = prior.runs.table, prior.random_seed
    parameters = Parameters.at(prior, table, "latent")
    # a prior's tails may leave the range of numbers: such a draw lies beyond any band
    with np.errstate(all="ignore"):
        drawn = mu_of_runs(parameters, table, seed) + replicated(
            parameters, table, np.random.default_rng([seed, 2])
        )
    return np.where(np.isnan(drawn), np.inf, drawn)


def _of_runs(fit: Draws, predicted: np.ndarray) -> CheckResult:
    """The result for the runs outside the band."""
    probabilities = [(1 - BAND) / 2, (1 + BAND) / 2]
    with np.errstate(all="ignore"):
        low, high = np.quantile(predicted, probabilities, axis=0, method="inverted_cdf")
    y = fit.law.response.link.forward(fit.runs.y)
    above, below = y > high, y < low
    share = float((below | above).mean())
    side = "above" if above.sum() >= below.sum() else "below"
    mostly = f", most of them {side} it" if share else ""
    return CheckResult(
        "prior predictive",
        share <= PRIOR_OUTSIDE_MAX,
        share,
        PRIOR_OUTSIDE_MAX,
        f"{share:.1%} of the runs lie outside the central {BAND:.0%} of what the prior predicts"
        f"{mostly}; at most {PRIOR_OUTSIDE_MAX:.0%} passes.",
        "Check the units of inputs and response (bayeslaw check), then any priors that you gave:"
        " they predict values far from the runs.",
    )


def _of_width(fit: Draws, predicted: np.ndarray) -> CheckResult:
    """The result for how much of the prior predictive is implausible."""
    response = fit.law.response
    least, most = response.plausible
    with np.errstate(all="ignore"):
        relative = response.link.inverse(predicted) / fit.runs.typical_response
    share = float(((relative < least) | (relative > most)).mean())
    return CheckResult(
        "prior width",
        None,
        share,
        IMPLAUSIBLE_MAX,
        f"{share:.1%} of what the prior predicts lies below {least:g} or above {most:g} times the"
        f" typical {response.name} of the runs.",
        (
            "Over half of the prior predictive is implausible; narrow the priors."
            if share > IMPLAUSIBLE_MAX
            else ""
        ),
    )


def from_prior(fit: Draws, draws: int = DRAWS) -> Draws:
    """The fit with draws of its model's prior in place of the posterior's, from the fit's seed.
    Group deviations that the fit took as known stay known.

    >>> from_prior(fit, 500).samples
    500
    """
    from bayeslaw.model.build import build
    from bayeslaw.model.sampling import draw_prior

    posterior = fit.posterior
    deviations = [
        f"{name}_{term}"
        for name, predictor in fit.design.predictors.items()
        for term in predictor.formula.groups
    ]
    fixed = {}
    for name in deviations:
        if not np.ptp(posterior[name].values, axis=(0, 1)).any():
            known = posterior[name].isel(chain=0, draw=0)
            groups = map(str, known[known.dims[0]].values)
            fixed[name] = dict(zip(groups, map(float, known.values), strict=True))
    model = build(fit.design, fit.runs, fixed=fixed)
    names = [str(name) for name in posterior]
    return fit.with_draws(draw_prior(model, names, draws, fit.random_seed))
