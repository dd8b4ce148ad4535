"""How much of the band at a size that was never trained is the prior's answer?"""

from __future__ import annotations

import numpy as np

from bayeslaw.checks.base import CheckResult
from bayeslaw.fitting import Fit
from bayeslaw.spec.formula import Formula

#: How much wider a doubled prior may make the deviation of a new checkpoint before the prior
#: decides.
WIDER_MAX = 1.25


def check_checkpoints(fit: Fit) -> list[CheckResult]:
    """For each deviation of single settings, such as ``(1 | model_size)``, its scale in prior and
    posterior, and were the prior doubled.

    The posterior under the doubled prior is the sample reweighted by the ratio of the two priors,
    without another fit. Few sizes leave much to the prior; a prediction at a new size draws its
    deviation from this scale. It informs and does not judge.
    """
    results = []
    posterior = fit.idata["posterior"].to_dataset()
    for name, text in fit.spec.effects.items():
        for term in Formula.parse(text).groups:
            variable = f"{name}_{term}_sigma"
            prior = fit.spec.priors.get(variable)
            if (
                name not in fit.spec.law.params
                or not set(term.factor) & set(fit.spec.law.inputs)
                or prior is None
                or prior.distribution != "LogNormal"
            ):
                continue
            mu, sigma = (value for _, value in prior.parameters)
            scale = posterior[variable].values.ravel()
            z = (np.log(scale) - mu) / sigma
            weight = np.exp((z**2 - (z - np.log(2) / sigma) ** 2) / 2)
            order = np.argsort(scale)
            share = np.cumsum(weight[order]) / weight.sum()
            now, doubled = float(np.median(scale)), float(scale[order][np.searchsorted(share, 0.5)])
            results.append(
                CheckResult(
                    f"checkpoint scale: {variable}",
                    None,
                    doubled / now,
                    WIDER_MAX,
                    f"median {now:.3g} (prior {np.exp(mu):.3g}); {doubled:.3g} were the prior's"
                    " median doubled.",
                    (
                        f"At a new {':'.join(term.factor)} the prior decides: give it one that you"
                        " can defend, or train more of them."
                        if doubled / now > WIDER_MAX
                        else ""
                    ),
                )
            )
    return results
