"""Does one run decide? What the posterior would be without each run, by importance weights of the
draws.
"""

from __future__ import annotations

import numpy as np

from bayeslaw.checks.base import CheckResult, draws_for, not_run
from bayeslaw.defaults import KHAT_MAX, MOVED_MAX, SMOOTHED_FROM
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.likelihood import log_likelihood
from bayeslaw.posterior.power_scaling import smoothed
from bayeslaw.spec.spec import population_name

#: Draws that are used, at most.
DRAWS = 1000


def check_influence(fit: Draws, draws: int = DRAWS) -> list[CheckResult]:
    r"""How far leaving out one run would move the parameters of the law, and whether the draws can
    tell.

    .. math::
        w_{s,i} \propto 1 / p(y_i \mid y_{-i}, \theta_s), \qquad
        m_i = |E_{w_i} \eta - E \eta| / \mathrm{sd}(\eta)

    eta : a parameter's population value, on its unconstrained scale.

    The weights are Pareto-smoothed, and the densities are those of `log_likelihood`, exact along
    curves too. The largest m is judged. The k-hat of the weights informs: above .7 the draws do not
    reach the posterior without that run, and m is a lower bound. In small tables, and where each
    curve has a scale of its own, some run nearly always has k-hat > .7; that alone is no failure.
    It says that a few runs carry a parameter; a fit that loo cannot score can still be right.

    References
    ----------
    Vehtari, Gelman, Gabry 2017, Statistics and Computing 27, arXiv 1507.04544.

    Examples
    --------
    >>> print(check_influence(fit)[0])
    passed  one run: leaving out row 9 moves E_at_centre by 0.44 of its standard deviations; ...
    """
    thinned = fit.thinned(draws_for(len(fit.runs), draws))
    if thinned.samples < SMOOTHED_FROM:
        return _not_run(
            f"{thinned.samples} draws are too few for importance weights, which need"
            f" {SMOOTHED_FROM}"
        )
    free = _free_parameters(thinned)
    if not free:
        return _not_run("every parameter of the law is pinned")
    weights, khat = _weights_without_each_run(thinned)
    moved = {name: _furthest(weights, eta) for name, eta in free.items()}
    rows = [str(row) for row in fit.runs.table.index]
    return [_one_run(moved, khat, rows), _khat(khat, rows)]


def _not_run(reason: str) -> list[CheckResult]:
    return [not_run("one run", MOVED_MAX, reason), not_run("k-hat", KHAT_MAX, reason)]


def _weights_without_each_run(fit: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the draws in the posterior without each run, (run, sample), and their k-hat,
    (run,)."""
    _, densities = log_likelihood(fit)
    of_runs = [smoothed(-density) for density in densities.T]
    log_weights, khat = np.array([x for x, _ in of_runs]), np.array([k for _, k in of_runs])
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights, khat


def _free_parameters(fit: Draws) -> dict[str, np.ndarray]:
    """The law's parameters that are not pinned, on their unconstrained scales, (sample, value)."""
    free, posterior = {}, fit.posterior
    for name, param in fit.law.params.items():
        variable = population_name(name, param)
        eta = param.link.forward(posterior[variable].values).reshape(fit.samples, -1)
        eta = eta[:, np.ptp(eta, axis=0) > 0]
        if eta.shape[1]:
            free[variable] = eta
    return free


def _furthest(weights: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """How far leaving out each run moves a parameter, in its posterior standard deviations,
    (run,)."""
    shift = (weights @ eta - eta.mean(axis=0)) / eta.std(axis=0)
    return np.asarray(abs(shift).max(axis=1))


def _one_run(moved: dict[str, np.ndarray], khat: np.ndarray, rows: list[str]) -> CheckResult:
    """The result for the run that moves a parameter furthest."""
    variable = max(moved, key=lambda name: float(moved[name].max()))
    run, furthest = int(moved[variable].argmax()), float(moved[variable].max())
    bound = f" or more (k-hat {khat[run]:.2f})" if khat[run] > KHAT_MAX else ""
    message = (
        f"leaving out {_row(rows[run])} moves {variable} by {furthest:.2f} of its standard"
        f" deviations{bound}; at most {MOVED_MAX:g} passes."
    )
    advice = (
        "One run decides: check whether it is right, fit without it and compare, or add runs near"
        " it."
    )
    return CheckResult("one run", furthest <= MOVED_MAX, furthest, MOVED_MAX, message, advice)


def _khat(khat: np.ndarray, rows: list[str]) -> CheckResult:
    """The result for the run without which the weights are worst."""
    run = int(khat.argmax())
    message = (
        f"largest k-hat {khat[run]:.2f} ({_row(rows[run])}); {np.mean(khat > KHAT_MAX):.1%} of"
        f" {len(rows)} runs are above {KHAT_MAX:g}."
    )
    advice = (
        "For these runs, weighting the draws cannot show what the posterior would be without the"
        " run: to see it, leave the run out and fit again."
    )
    return CheckResult(
        "k-hat",
        None,
        float(khat[run]),
        KHAT_MAX,
        message,
        advice if khat[run] > KHAT_MAX else "",
    )


def _row(name: str) -> str:
    """A row by its label, which in some tables is "row 3"."""
    return name if name.startswith("row ") else f"row {name}"
