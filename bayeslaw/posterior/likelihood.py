"""The log density of the runs of a fit over its draws: of all together, and of each, given the
others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayeslaw.curves.paths import expected
from bayeslaw.posterior.parameters import Posterior
from bayeslaw.spec import noise
from bayeslaw.spec.discrepancy import runs_in_sequence, state_space
from bayeslaw.spec.spec import curve_labels

if TYPE_CHECKING:
    from bayeslaw.fitting import Fit

#: Transition matrices of a block of draws: some tens of megabytes.
POINTS_PER_BLOCK = 100_000


def log_likelihood(fit: Fit) -> tuple[np.ndarray, np.ndarray]:
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
    posterior = Posterior.of(fit, table, "latent")
    residual = fit.spec.law.response.link.forward(fit.runs.y) - expected(
        posterior, table, fit.random_seed
    )
    params = posterior.noise_parameters(table)
    if fit.spec.departs.kind == "curve":
        return _along_curves(fit, residual, params)
    each = noise.log_density(fit.spec.noise_family, params, residual)
    return each.sum(axis=1), each


def _along_curves(
    fit: Fit, residual: np.ndarray, params: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The same of the residuals of all curves, (sample, run), each with a process of its own: one
    sequence, as the model has it.
    """
    from bayeslaw.curves.filter import compiled

    spec, (samples, n) = fit.spec, residual.shape
    run, is_run, step, first = runs_in_sequence(
        spec.axis.forward(fit.runs.inputs[spec.along]),
        curve_labels(spec, fit.runs.table),
        spec.axis.origin,
    )
    seen = is_run == 1
    total, by_residual, by_variance = (
        np.empty(samples),
        np.zeros((samples, n)),
        np.zeros((samples, n)),
    )
    block = max(1, POINTS_PER_BLOCK // len(run))
    for start in range(0, samples, block):
        some = slice(start, start + block)
        own = {name: x[some] if x.shape[1] == 1 else x[some][:, run] for name, x in params.items()}
        Phi, Q, h = state_space(spec.departs.own, step, first, own)
        r, R = (
            residual[some][:, run],
            np.broadcast_to(own["sigma"] ** 2, (len(own["sigma"]), len(run))),
        )
        for i, arrays in enumerate(zip(r, R, Phi, Q, strict=True), start):
            r_i, R_i, Phi_i, Q_i = (np.ascontiguousarray(x) for x in arrays)
            total[i], d_r, d_R, *_ = compiled(len(h))[0](r_i, R_i, is_run, Phi_i, Q_i, h)
            by_residual[i, run[seen]], by_variance[i, run[seen]] = d_r[seen], d_R[seen]
    precision = by_residual**2 - 2 * by_variance
    return total, 0.5 * (np.log(precision / (2 * np.pi)) - by_residual**2 / precision)
