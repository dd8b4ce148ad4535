"""How much of the band at a size that was never trained is the prior's answer?"""

from __future__ import annotations

import numpy as np

from bayeslaw.checks.base import CheckResult, not_run
from bayeslaw.posterior.draws import Draws
from bayeslaw.spec.formula import GroupTerm

#: How much wider a doubled prior may make the deviation of a new checkpoint before the prior
#: decides.
WIDER_MAX = 1.25


def check_checkpoints(fit: Draws) -> list[CheckResult]:
    """For each deviation of single settings, such as ``(1 | model_size)``: its scale in prior and
    posterior, and what the scale would be if the prior were doubled.

    The posterior under the doubled prior is the sample reweighted by the ratio of the two priors,
    without another fit. With few sizes the prior matters; a prediction at a new size draws its
    deviation from this scale. The check informs and does not judge.

    Examples
    --------
    >>> print(*check_checkpoints(fit))
    note    checkpoint scale: not run: no effect lets single values of an input deviate.
    """
    terms = _setting_terms(fit)
    if not terms:
        reason = "no effect lets single values of an input deviate"
        return [not_run("checkpoint scale", WIDER_MAX, reason)]
    return [_scale_of(fit, f"{name}_{term}_sigma", term) for name, term in terms]


def _scale_of(fit: Draws, variable: str, term: GroupTerm) -> CheckResult:
    """The result for one deviation, whose scale is ``variable``."""
    name, prior = f"checkpoint scale: {variable}", fit.design.priors[variable]
    if prior.distribution != "LogNormal":
        reason = f"its prior is {prior.distribution}, and only a LogNormal can be doubled"
        return not_run(name, WIDER_MAX, reason)
    mu, sigma = (value for _, value in prior.parameters)
    scale = fit.posterior[variable].values.ravel()
    median, doubled = float(np.median(scale)), _median_if_prior_doubled(scale, mu, sigma)
    wider = doubled / median
    message = (
        f"its posterior median is {median:.3g} (prior {np.exp(mu):.3g}); it would be {doubled:.3g}"
        " if the prior's median were doubled."
    )
    advice = (
        f"Predictions at a new {':'.join(term.factor)} rest on this prior: give one that you can"
        f" defend, or add runs at more values of {':'.join(term.factor)}."
    )
    return CheckResult(name, None, wider, WIDER_MAX, message, advice if wider > WIDER_MAX else "")


def _setting_terms(fit: Draws) -> list[tuple[str, GroupTerm]]:
    """The group terms of the law's parameters whose groups are values of an input, each with the
    name of its parameter."""
    return [
        (name, term)
        for name in fit.law.params
        for term in fit.design.predictors[name].formula.groups
        if not fit.law.inputs.keys().isdisjoint(term.factor)
    ]


def _median_if_prior_doubled(scale: np.ndarray, mu: float, sigma: float) -> float:
    """The median of draws of a scale with prior LogNormal(mu, sigma), if the prior's median were
    doubled: the draws weighted by the ratio of the two priors."""
    z = (np.log(scale) - mu) / sigma
    weight = np.exp((z**2 - (z - np.log(2) / sigma) ** 2) / 2)
    order = np.argsort(scale)
    share = np.cumsum(weight[order]) / weight.sum()
    return float(scale[order][np.searchsorted(share, 0.5)])
