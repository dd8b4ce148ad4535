"""The log density of the runs of a fit over its draws: of all together, and of each, given the
others.
"""

from __future__ import annotations

import numpy as np

from bayeslaw.curves.state_space import runs_in_sequence, state_space
from bayeslaw.posterior.discrepancy import mu_of_runs
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.parameters import Parameters
from bayeslaw.spec import noise

#: Transition matrices of a block of draws: some tens of megabytes.
POINTS_PER_BLOCK = 100_000


def log_likelihood(fit: Draws) -> tuple[np.ndarray, np.ndarray]:
    r"""Log density of the fit's runs, per unit of the response's scale.

    Returns
    -------
    of all runs together, (sample,), and of each given the others, (sample, run):

    .. math:: \log p(y \mid \theta), \qquad \log p(y_i \mid y_{-i}, \theta)

    Runs that scatter independently know nothing of each other, and the first is the sum of the
    second. With a process of each curve they are jointly normal with a covariance C, of which the
    second needs the diagonal of the inverse (Bürkner, Gabry, Vehtari 2020, Computational Statistics
    36, arXiv 1810.10559). With residuals r, the filter's gradient has all of it, in time linear in
    the points:

    .. math:: g = C^{-1} r = -\frac{\partial \log p}{\partial r}, \qquad
        \bar c_i = (C^{-1})_{ii} = g_i^2 - 2 \frac{\partial \log p}{\partial C_{ii}}, \qquad
        y_i \mid y_{-i} \sim N(y_i - g_i / \bar c_i, \; 1 / \bar c_i)
    """
    table = fit.runs.table
    parameters = Parameters.at(fit, table, "latent")
    y = fit.law.response.link.forward(fit.runs.y)
    residual = y - mu_of_runs(parameters, table, fit.random_seed)
    params = parameters.of_noise(table)
    if fit.spec.discrepancy.along_curves:
        return _along_curves(fit, residual, params)
    each = noise.log_density(fit.spec.noise, params, residual)
    return each.sum(axis=1), each


def _along_curves(
    fit: Draws, residual: np.ndarray, params: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The same of the residuals of all curves, (sample, run), each with a process of its own: one
    sequence, as the model has it."""
    from bayeslaw.curves.filter import log_likelihood as filtered

    spec, (samples, n) = fit.spec, residual.shape
    t = spec.axis.forward(fit.runs.inputs[spec.along])
    labels = fit.design.curve_labels(fit.runs.table)
    run, is_run, step, first = runs_in_sequence(t, labels, spec.axis.origin)
    seen = is_run == 1
    total = np.empty(samples)
    by_residual, by_variance = np.zeros((samples, n)), np.zeros((samples, n))
    block = max(1, POINTS_PER_BLOCK // len(run))
    for start in range(0, samples, block):
        some = slice(start, start + block)
        own = {name: x[some] if x.shape[1] == 1 else x[some][:, run] for name, x in params.items()}
        Phi, Q, h = state_space(spec.discrepancy.own, step, first, own)
        r = residual[some][:, run]
        R = np.broadcast_to(own["sigma"] ** 2, (len(own["sigma"]), len(run)))
        for i, arrays in enumerate(zip(r, R, Phi, Q, strict=True), start):
            r_i, R_i, Phi_i, Q_i = (np.ascontiguousarray(x) for x in arrays)
            total[i], d_r, d_R, *_ = filtered(len(h))(r_i, R_i, is_run, Phi_i, Q_i, h)
            by_residual[i, run[seen]], by_variance[i, run[seen]] = d_r[seen], d_R[seen]
    precision = by_residual**2 - 2 * by_variance
    return total, 0.5 * (np.log(precision / (2 * np.pi)) - by_residual**2 / precision)
