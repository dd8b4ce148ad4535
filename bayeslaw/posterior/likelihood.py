"""The log density of a fit's runs over its draws: jointly, and of each run given the others."""

from __future__ import annotations

import numpy as np

from bayeslaw.curves.state_space import runs_in_sequence, state_space
from bayeslaw.posterior.discrepancy import mu_of_runs
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.parameters import Parameters
from bayeslaw.spec import noise

#: Points times draws of one block, whose transition matrices take some tens of megabytes.
POINTS_PER_BLOCK = 100_000


def log_likelihood(fit: Draws) -> tuple[np.ndarray, np.ndarray]:
    r"""The log density of the fit's runs, per unit of the response's scale.

    Runs that scatter independently do not depend on each other: their joint log density is the sum
    of the single ones. With a process along each curve, runs are jointly normal with a covariance
    C, and the density of a run given the others needs the diagonal of its inverse. With residuals
    r, the gradient of the filter gives that diagonal, in time linear in the points:

    .. math:: g = C^{-1} r = -\frac{\partial \log p}{\partial r}, \qquad
        \bar c_i = (C^{-1})_{ii} = g_i^2 - 2 \frac{\partial \log p}{\partial C_{ii}}, \qquad
        y_i \mid y_{-i} \sim N(y_i - g_i / \bar c_i, \; 1 / \bar c_i)

    Student-t noise along curves is normal given the weights of the runs. The joint density is that
    given the weights; that of a run given the others is integrated over its own weight, where
    :math:`1 / \bar c_i` less the variance of its noise is that of its curve there.

    Returns
    -------
    The joint log density, log p(y | theta), (sample,); and that of each run given the others,
    log p(y_i | y_-i, theta), (sample, run).

    References
    ----------
    Bürkner, Gabry, Vehtari 2020, Computational Statistics 36, arXiv 1810.10559.
    """
    table = fit.runs.table
    parameters = Parameters.at(fit, table, "latent")
    y = fit.law.response.link.forward(fit.runs.y)
    residual = y - mu_of_runs(parameters, table, fit.random_seed)
    params = parameters.of_noise(table)
    if fit.spec.discrepancy.along_curves:
        variance = parameters.variance_of_runs(np.arange(len(table)))
        return _along_curves(fit, residual, params, variance)
    of_run = noise.log_density(fit.spec.noise, params, residual)
    return of_run.sum(axis=1), of_run


def _along_curves(
    fit: Draws, residual: np.ndarray, params: dict[str, np.ndarray], variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`log_likelihood` of residuals where each curve has a process of its own; residuals and the
    variance of their noise are (sample, run).

    All curves are filtered as one sequence of points, as in the model.
    """
    from bayeslaw.curves.filter import log_likelihood as filtered

    spec, (samples, n) = fit.spec, residual.shape
    t = spec.axis.forward(fit.runs.inputs[spec.along])
    labels = fit.design.curve_labels(fit.runs.table)
    run, is_run, step, first = runs_in_sequence(t, labels, spec.axis.origin)
    points = is_run == 1
    variance, joint = np.broadcast_to(variance, (samples, n)), np.empty(samples)
    by_residual, by_variance = np.zeros((samples, n)), np.zeros((samples, n))
    draws_per_block = max(1, POINTS_PER_BLOCK // len(run))
    for start in range(0, samples, draws_per_block):
        block = slice(start, start + draws_per_block)
        of_block = {
            name: x[block] if x.shape[1] == 1 else x[block][:, run] for name, x in params.items()
        }
        Phi, Q, h = state_space(spec.discrepancy.own, step, first, of_block)
        r, R = residual[block][:, run], variance[block][:, run]
        for i, arrays in enumerate(zip(r, R, Phi, Q, strict=True), start):
            r_i, R_i, Phi_i, Q_i = (np.ascontiguousarray(x) for x in arrays)
            joint[i], d_r, d_R, *_ = filtered(len(h))(r_i, R_i, is_run, Phi_i, Q_i, h)
            by_residual[i, run[points]], by_variance[i, run[points]] = d_r[points], d_R[points]
    precision = by_residual**2 - 2 * by_variance
    error = -by_residual / precision
    if spec.noise == "normal":
        return joint, noise.log_density("normal", {"sigma": precision**-0.5}, error)
    of_curve = np.maximum(1 / precision - variance, 0.0)
    return joint, noise.log_density(spec.noise, params, error, of_curve)
