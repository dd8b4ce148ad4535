"""Does one run decide? What the posterior would be without each run, by importance weights of the
draws.
"""

from __future__ import annotations

import numpy as np

from bayeslaw.checks.base import CheckResult, draws_for
from bayeslaw.defaults import KHAT_MAX, MOVED_MAX, SMOOTHED_FROM
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.likelihood import log_likelihood
from bayeslaw.spec.spec import population_name

#: Draws that are used, at most.
DRAWS = 1000


def check_influence(fit: Draws, draws: int = DRAWS) -> list[CheckResult]:
    r"""How far leaving out one run would move the parameters of the law, and whether the draws can
    tell.

    .. math:: w_{s,i} \propto 1 / p(y_i \mid y_{-i}, \theta_s), \qquad m_i = |E_{w_i} \eta - E \eta| / \mathrm{sd}(\eta)

    eta : a parameter's population value, on its unconstrained scale. The weights are
        Pareto-smoothed, the densities those of `log_likelihood`, exact along curves too. Judged
    is the largest m. The k-hat of the weights informs: above .7 the draws do not reach the
    posterior without that run, and m is a lower bound. It is so of some run in most small tables
    and wherever a curve has a scale of its own, and says there that a few runs carry a parameter,
    which is no fault; a fit that loo cannot score can still be right.

    References
    ----------
    Vehtari, Gelman, Gabry 2017, Statistics and Computing 27, arXiv 1507.04544.
    """
    from arviz_stats.base import array_stats

    some = fit.thinned(draws_for(len(fit.runs), draws))
    if some.samples < SMOOTHED_FROM:
        return []  # too few draws for weights, and for convergence
    _, each = log_likelihood(some)
    log_weights, khat = (np.asarray(x) for x in array_stats.psislw(each, axis=0))
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    moved: dict[str, np.ndarray] = {}
    posterior = some.idata["posterior"].to_dataset()
    for name, param in fit.law.params.items():
        variable = population_name(name, param)
        eta = param.link.forward(posterior[variable].values).reshape(weights.shape[1], -1)
        eta = eta[:, np.ptp(eta, axis=0) > 0]  # pinned ones do not move
        if eta.shape[1]:
            moved[variable] = abs((weights @ eta - eta.mean(axis=0)) / eta.std(axis=0)).max(axis=1)
    if not moved:
        return []  # all of them are known
    rows = [str(row) for row in fit.runs.table.index]
    most = max(moved, key=lambda variable: float(moved[variable].max()))
    decisive, odd, m = int(moved[most].argmax()), int(khat.argmax()), float(moved[most].max())
    bound = f" or more (k-hat {khat[decisive]:.2f})" if khat[decisive] > KHAT_MAX else ""
    return [
        CheckResult(
            "one run",
            m <= MOVED_MAX,
            m,
            MOVED_MAX,
            f"leaving out {_called(rows[decisive])} moves {most} by {m:.2f} of its standard"
            f" deviations{bound}; at most {MOVED_MAX:g}.",
            "One run decides: look whether it is right, fit without it and compare, or add runs"
            " near it.",
        ),
        CheckResult(
            "k-hat",
            None,
            float(khat[odd]),
            KHAT_MAX,
            f"largest {khat[odd]:.2f} ({_called(rows[odd])}); {np.mean(khat > KHAT_MAX):.1%} of"
            f" {len(rows)} runs above {KHAT_MAX:g}.",
            (
                "The draws cannot say what they would be without those runs: to know, fit without"
                " them."
                if khat[odd] > KHAT_MAX
                else ""
            ),
        ),
    ]


def _called(row: str) -> str:
    """A row's label, which some tables have as "row 3"."""
    return row if row.startswith("row ") else f"row {row}"
