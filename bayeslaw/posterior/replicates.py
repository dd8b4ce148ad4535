"""What the model puts around the law: residuals of the runs, and of runs that the model would make
in their place."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayeslaw.curves.paths import draw_curve
from bayeslaw.curves.state_space import row_of_each_curve
from bayeslaw.posterior.discrepancy import mu_of_runs
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.parameters import Parameters
from bayeslaw.spec import noise


def residuals(
    fit: Draws, table: pd.DataFrame, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Residuals of the runs of a table, and of replicated runs, each (sample, row).

    On the response's scale, from where the draws put the run (`mu_of_runs`). A replicated residual
    is noise plus a prior draw of each curve's process.
    """
    parameters = Parameters.at(fit, table, "latent")
    response = fit.law.response
    y = response.link.forward(table[response.name].to_numpy(float))
    observed = y - mu_of_runs(parameters, table, fit.random_seed)
    return observed, replicated(parameters, table, rng)


def replicated(parameters: Parameters, table: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Noise plus a prior draw of each curve's process, (sample, row)."""
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
        # Parameters that differ by curve are its own.
        own = {name: x[:, [row if x.shape[1] > 1 else 0]] for name, x in params.items()}
        nothing, unseen = np.zeros((samples, len(rows))), np.zeros(len(rows))
        process = spec.discrepancy.own, spec.axis.origin
        drawn[:, rows] += draw_curve(*process, t[rows], own, nothing, nothing + 1.0, unseen, rng)
    return drawn
