"""Residuals of the runs, and of replicates: runs that the model would make in their place."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayeslaw.curves.paths import Curve
from bayeslaw.curves.state_space import row_of_each_curve
from bayeslaw.posterior.discrepancy import mu_of_runs
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.parameters import Parameters
from bayeslaw.spec import noise


def residuals(
    fit: Draws, table: pd.DataFrame, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Residuals of the runs of a table, and of their replicates, each (sample, row).

    They are on the response's scale, relative to the expected response (`mu_of_runs`). The residual
    of a replicate is noise plus a prior draw of each curve's process.
    """
    parameters = Parameters.at(fit, table, "latent")
    response = fit.law.response
    y = response.link.forward(table[response.name].to_numpy(float))
    observed = y - mu_of_runs(parameters, table, fit.random_seed)
    return observed, replicated(parameters, table, rng)


def replicated(parameters: Parameters, table: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Residuals of replicates: noise plus a prior draw of each curve's process, (sample, row)."""
    design = parameters.draws.design
    spec, params = design.spec, parameters.of_noise(table)
    samples = len(params["sigma"])
    drawn = noise.draw(spec.noise, params, (samples, len(table)), rng)
    if not spec.discrepancy.along_curves:
        return drawn
    t = spec.axis.forward(table[spec.along].to_numpy(float))
    labels = design.curve_labels(table)
    for row in row_of_each_curve(labels):
        rows = np.flatnonzero(labels == labels[row])
        of_curve = {name: x[:, [row if x.shape[1] > 1 else 0]] for name, x in params.items()}
        zeros, not_observed = np.zeros((samples, len(rows))), np.zeros(len(rows))
        components, origin = spec.discrepancy.own, spec.axis.origin
        curve = Curve(components, origin, t[rows], of_curve, zeros, zeros + 1.0, not_observed)
        drawn[:, rows] += curve.draw(rng)
    return drawn
