"""What the model puts around the law: residuals of the runs that were made, and of runs that the
model would make in their place.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayeslaw.curves.paths import expected, one_curve
from bayeslaw.fitting import Fit
from bayeslaw.posterior.parameters import Posterior
from bayeslaw.spec import noise
from bayeslaw.spec.discrepancy import starts
from bayeslaw.spec.spec import curve_labels


def residuals(
    fit: Fit, table: pd.DataFrame, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Of the runs of a table, observed and replicated, (sample, row), on the response's scale.

    Observed less where the fit's draws put the run (`bayeslaw.curves.paths.expected`); and noise, with
    each curve's own process had nothing been seen of it.
    """
    posterior = Posterior.of(fit, table, "latent")
    observed = fit.spec.law.response.link.forward(
        table[fit.spec.law.response.name].to_numpy(float)
    ) - expected(posterior, table, fit.random_seed)
    return observed, replicated(posterior, table, rng)


def replicated(posterior: Posterior, table: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Noise, and each curve's own process had nothing been seen of it, (sample, row), drawn anew."""
    spec = posterior.fit.spec
    params = posterior.noise_parameters(table)
    samples = len(params["sigma"])
    drawn = noise.draw(spec.noise_family, params, (samples, len(table)), rng)
    if spec.departs.kind != "curve":
        return drawn
    t, labels = spec.axis.forward(table[spec.along].to_numpy(float)), curve_labels(spec, table)
    for row in starts(labels):  # parameters that differ by curve are its own
        rows = np.flatnonzero(labels == labels[row])
        own = {name: x[:, [row if x.shape[1] > 1 else 0]] for name, x in params.items()}
        nothing = np.zeros((samples, len(rows)))
        drawn[:, rows] += one_curve(
            spec, t[rows], own, nothing, nothing + 1.0, np.zeros(len(rows)), rng
        )
    return drawn
