"""Do runs scatter as much at every scale? Small models often scatter more than large ones, and a
band that has one noise for all is then too narrow here and too wide there.
"""

from __future__ import annotations

import numpy as np

from bayeslaw.checks.base import CheckResult, draws_for, not_run
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.replicates import residuals

#: Draws of the posterior that are used, at most.
DRAWS = 1000
#: Fewest runs whose scatter shows a trend.
RUNS = 12
#: A model that is right gives a smaller value once in twenty, over all inputs.
SMALLEST = 0.05
NAME = "noise by scale"


def check_noise_by_scale(fit: Draws) -> list[CheckResult]:
    r"""A posterior predictive check of a trend of the residuals' size along each input.

    .. math::
        T = \sum_i (x_i - \bar x) \log |r_i| \Big/ \sum_i (x_i - \bar x)^2, \qquad
        p = 2 \min \{ P(T^\mathrm{rep} \ge T), P(T^\mathrm{rep} \le T) \}

    x : log10 of an input, over the runs that have some of it. r : residuals on the response's scale
    (`bayeslaw.posterior.replicates`). The scatter grows by exp(T) per decade.

    The result informs and does not judge: it names the formula with which the noise follows the
    input.

    Examples
    --------
    >>> print(check_noise_by_scale(fit)[0])
    note    noise by scale: the scatter of runs grows by a factor 0.94 per decade of data_size; ...
    """
    inputs = {
        name: (x != spec.none, np.log10(x))
        for name, x in fit.runs.inputs.items()
        if not (spec := fit.law.inputs[name]).selector
    }
    inputs = {
        name: (some, x)
        for name, (some, x) in inputs.items()
        if some.sum() >= RUNS and np.ptp(x[some]) > 0
    }
    if not inputs:
        reason = f"no input has several values in {RUNS} runs or more"
        return [not_run(NAME, SMALLEST, reason)]
    table = fit.runs.table
    rng = np.random.default_rng([fit.random_seed, 5])
    observed, replicated = residuals(fit.thinned(draws_for(len(table), DRAWS)), table, rng)
    trends = {
        name: tuple(_trend(r[:, some], x[some]) for r in (observed, replicated))
        for name, (some, x) in inputs.items()
    }
    p = {name: _two_sided(*both) for name, both in trends.items()}
    worst = min(p, key=lambda name: p[name])
    factor, smallest = float(np.exp(np.median(trends[worst][0]))), SMALLEST / len(p)
    message = (
        f"the scatter of runs grows by a factor {factor:.2g} per decade of {worst}; if the model is"
        f" right, a trend as strong has probability {p[worst]:.2g} (below {smallest:.2g} counts)."
    )
    advice = ""
    if p[worst] < smallest:
        advice = (
            "Let the noise follow it: effects={'sigma': '1 + log10("
            f"{worst})'}}. Bands are too narrow where runs scatter more."
        )
    return [CheckResult(NAME, None, p[worst], smallest, message, advice)]


def _trend(residual: np.ndarray, x: np.ndarray) -> np.ndarray:
    """T, (sample,)."""
    away = x - x.mean()
    sizes = np.log(np.maximum(abs(residual), np.finfo(float).tiny))
    return np.asarray(sizes @ away / (away @ away))


def _two_sided(of_runs: np.ndarray, of_replicates: np.ndarray) -> float:
    """The two-sided posterior predictive p."""
    above, below = (of_replicates >= of_runs).mean(), (of_replicates <= of_runs).mean()
    return float(min(1.0, 2 * min(above, below)))
