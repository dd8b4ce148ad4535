"""Does a single run lie far from where the model puts it? Tests the largest residual."""

from __future__ import annotations

import numpy as np

from bayeslaw.checks.base import CheckResult, draws_for
from bayeslaw.defaults import FARTHEST_ALPHA
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.replicates import residuals

#: Draws of the posterior that are used, at most.
DRAWS = 2000


def check_farthest(fit: Draws) -> list[CheckResult]:
    r"""A posterior predictive check of the run that lies farthest from the law's curve for its
    group.

    .. math:: T = \max_i |r_i| / s_i, \qquad p = P(T^\mathrm{rep} \ge T)

    r : residuals on the response's scale (`bayeslaw.posterior.replicates`). s : their standard
    deviation over replicates.

    If one run lies many standard deviations away, its row is wrong, or the law's form cannot follow
    its group; what is said about that group is then wrong as well.

    Examples
    --------
    >>> print(check_farthest(fit)[0])
    passed  largest residual: line 12 lies 2.1 standard deviations from the law's curve ...
    """
    table = fit.runs.table
    rng = np.random.default_rng([fit.random_seed, 2])
    observed, replicated = residuals(fit.thinned(draws_for(len(table), DRAWS)), table, rng)
    scale = replicated.std(axis=0)
    of_runs = abs(observed) / scale
    p = float(((abs(replicated) / scale).max(axis=1) >= of_runs.max(axis=1)).mean())
    distance = of_runs.mean(axis=0)
    farthest = int(distance.argmax())
    row = table.index[farthest]
    message = (
        f"{row} lies {distance[farthest]:.1f} standard deviations from the law's curve; if the"
        f" model is right, the farthest run does with probability {p:.3f}; at least"
        f" {FARTHEST_ALPHA:g} passes."
    )
    advice = (
        f"Check {row} in the table. If it is right, the law cannot follow its group: what is said"
        " about that group is wrong, and another law may fit."
    )
    name = "largest residual"
    return [CheckResult(name, p >= FARTHEST_ALPHA, p, FARTHEST_ALPHA, message, advice)]
