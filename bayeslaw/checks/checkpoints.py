"""How much of the band at a size that was never trained is the prior's answer?"""

from __future__ import annotations

import numpy as np

from bayeslaw.checks.base import CheckResult
from bayeslaw.posterior.draws import Draws
from bayeslaw.spec.formula import GroupTerm

#: How much wider a doubled prior may make the deviation of a new checkpoint before the prior
#: decides.
WIDER_MAX = 1.25


def check_checkpoints(fit: Draws) -> list[CheckResult]:
    """For each deviation of single settings, such as ``(1 | model_size)``, its scale in prior and
    posterior, and were the prior doubled.

    The posterior under the doubled prior is the sample reweighted by the ratio of the two priors,
    without another fit. Few sizes leave much to the prior; a prediction at a new size draws its
    deviation from this scale. It informs and does not judge.
    """
    results = []
    for name, term in _settings(fit):
        variable = f"{name}_{term}_sigma"
        prior = fit.design.priors[variable]
        if prior.distribution != "LogNormal":
            continue
        mu, sigma = (value for _, value in prior.parameters)
        scale = fit.posterior[variable].values.ravel()
        now, doubled = float(np.median(scale)), _median_were_prior_doubled(scale, mu, sigma)
        wider = doubled / now
        advice = (
            f"At a new {':'.join(term.factor)} the prior decides: give it one that you can defend,"
            " or train more of them."
        )
        results.append(
            CheckResult(
                f"checkpoint scale: {variable}",
                None,
                wider,
                WIDER_MAX,
                f"median {now:.3g} (prior {np.exp(mu):.3g}); {doubled:.3g} were the prior's median"
                " doubled.",
                advice if wider > WIDER_MAX else "",
            )
        )
    return results


def _settings(fit: Draws) -> list[tuple[str, GroupTerm]]:
    """The group terms of the law's parameters whose groups an input makes, by parameter."""
    return [
        (name, term)
        for name in fit.law.params
        for term in fit.design.predictors[name].formula.groups
        if not fit.law.inputs.keys().isdisjoint(term.factor)
    ]


def _median_were_prior_doubled(scale: np.ndarray, mu: float, sigma: float) -> float:
    """The median of draws of a scale with prior LogNormal(mu, sigma), were the prior's median
    doubled: the draws weighted by the ratio of the two priors."""
    z = (np.log(scale) - mu) / sigma
    weight = np.exp((z**2 - (z - np.log(2) / sigma) ** 2) / 2)
    order = np.argsort(scale)
    share = np.cumsum(weight[order]) / weight.sum()
    return float(scale[order][np.searchsorted(share, 0.5)])
