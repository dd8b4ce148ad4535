"""What a prediction has to beat, computed on the same split.

huber : the law by Huber least squares on the response's scale, as Hoffmann et al. 2022 (arXiv
    2203.15556, section 3.3) fit it: summed loss with delta = 1e-3, a grid of starts, L-BFGS; bands
    by bootstrap, plus normal noise with the standard deviation of the residuals. A parameter about
    which the runs say next to nothing starts at its prior's median, and `point_scores` says so.
line : the straight log-log line through the last three points of a curve, with its t-interval.
best_so_far : the best response of the group's runs, without bands.
alone : the law with its priors, without discrepancy, nothing pooled between groups (sampled).

All but the last treat each group separately, that is each combination of the grouping columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from bayeslaw.defaults import PRIOR_SHARE_MAX
from bayeslaw.laws.base import Law
from bayeslaw.runs.table import Runs
from bayeslaw.spec import noise
from bayeslaw.spec.design import Design, joined_labels
from bayeslaw.spec.discrepancy import Discrepancy
from bayeslaw.spec.identifiability import PooledLaw, prior_quantiles, sensitivity
from bayeslaw.spec.resolve import resolve
from bayeslaw.spec.spec import ModelSpec, population_name
from bayeslaw.validation.scores import score_distribution, score_draws, score_value

#: Where Huber's loss turns from squares to absolute values, on the log of a loss: Hoffmann et al.
#: 2022, section 3.3.
DELTA = 1e-3
#: The best points of the grid, from which L-BFGS starts.
STARTS = 10
#: Points of the grid at most.
GRID = 4500
#: Fits to resampled runs.
BOOTSTRAPS = 50
#: Points of the line, and of the shortest curve that has one.
LAST = 3

NONE = Discrepancy("none")
SAMPLED = "alone"
BASELINES = ("huber", "line", "best_so_far", SAMPLED)


def alone(law: Law, runs: Runs) -> tuple[ModelSpec, Runs]:
    """The law by itself: no discrepancy, no misfit, and in each group parameters of its own. The
    runs get a column that names the group.

    >>> spec, grouped = alone(law("power"), runs)
    >>> grouped.groups
    ('group_of_its_own',)
    """
    runs = runs.with_law(law)
    if not runs.populations:
        return ModelSpec(law, discrepancy=NONE, misfit="none"), runs
    groups = joined_labels(runs.populations, runs.table)
    grouped = Runs(law, runs.table.assign(**{GROUP: groups}), (GROUP,), runs.source)
    effects = dict.fromkeys((*law.params, "sigma"), f"0 + {GROUP}")
    return ModelSpec(law, discrepancy=NONE, misfit="none", effects=effects), grouped


#: The column that `alone` adds.
GROUP = "group_of_its_own"


def point_scores(
    name: str, law: Law, runs: Runs, hidden: pd.DataFrame, probs: Sequence[float], random_seed: int
) -> pd.DataFrame:
    """A baseline's scores at the hidden runs, a row each, on the response's scale; NaN where it has
    no prediction.

    Parameters
    ----------
    name : "huber", "line" or "best_so_far".
    law : the law that "huber" fits.
    runs : the runs that are seen.
    hidden : the runs that are not, with the response.

    Returns
    -------
    DataFrame. ``attrs["notes"]`` says which parameters the runs could not tell "huber".

    Examples
    --------
    >>> point_scores("line", runs.law, runs.rows(~hidden), runs.table[hidden], (0.9,), 1)
    """
    link = law.response.link
    table = pd.DataFrame(index=hidden.index)
    groups = runs.populations
    seen_label, hidden_label = joined_labels(groups, runs.table), joined_labels(groups, hidden)
    unknown: list[tuple[str, ...]] = []
    for label in dict.fromkeys(hidden_label):
        seen, rows = runs.rows(seen_label == label), hidden[hidden_label == label]
        if not len(seen):
            continue
        y = link.forward(rows[law.response.name].to_numpy(float))
        if name == "huber":
            rng = np.random.default_rng([random_seed, len(seen), len(rows)])
            curve = _Curve.of(law, seen)
            unknown.append(curve.unknown)
            scores = _huber(curve, rows, y, probs, rng)
        elif name == "line":
            scores = _line(law, seen, rows, y, probs)
        else:
            scores = _best_so_far(law, seen, y, probs)
        for column, values in scores.items():
            table.loc[rows.index, column] = values
    table = table.reindex(columns=["median", *(c for c in table if c != "median")])
    table.attrs["notes"] = _told_by_priors(unknown)
    return table


def _best_so_far(
    law: Law, runs: Runs, y: np.ndarray, probs: Sequence[float]
) -> dict[str, np.ndarray]:
    """The scores of the best response of the runs."""
    on_scale = law.response.link.forward(runs.y)
    best = on_scale.min() if law.response.lower_is_better else on_scale.max()
    return score_value(np.full(len(y), best), y, probs)


def _told_by_priors(unknown: Sequence[tuple[str, ...]]) -> list[str]:
    """A note on the parameters that the runs could not tell "huber", from those of each group; none
    if there are none.
    """
    groups = Counter(name for of_group in unknown for name in of_group)
    if not groups:
        return []
    among = f" (in so many of {len(unknown)} groups)" if len(unknown) > 1 else ""
    names = [f"{name} ({n})" if among else name for name, n in groups.items()]
    return [
        f"huber: the runs seen say next to nothing about {', '.join(names)}{among}. Least squares"
        " starts at the prior's median and hardly leaves it: where that matters, its forecast is"
        " the prior's."
    ]


# ---- Huber least squares


def _huber(
    curve: _Curve,
    hidden: pd.DataFrame,
    y: np.ndarray,
    probs: Sequence[float],
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """The scores of the law by Huber least squares."""
    law, runs = curve.law, curve.runs
    target, n = law.response.link.forward(runs.y), len(runs)
    descents = [curve.descend(start, target) for start in curve.starts(target)]
    best, _ = min(descents, key=lambda descent: descent[1])
    bootstraps = [
        curve.descend(best, target, rng.integers(n, size=n))[0] for _ in range(BOOTSTRAPS)
    ]
    residual = curve.expected(best[None], law.given(runs.table))[0] - target
    sigma = max(float(np.sqrt((residual**2).sum() / max(n - len(best), 1))), 1e-6)
    inputs = law.given(hidden)
    mu = curve.expected(np.array(bootstraps), inputs)
    repeated = np.repeat(mu, 10, axis=0)
    drawn = repeated + noise.draw("normal", {"sigma": sigma}, repeated.shape, rng)
    densities = noise.log_density("normal", {"sigma": np.array(sigma)}, y - mu)
    density = np.logaddexp.reduce(densities, axis=0) - np.log(len(densities))
    scores = score_draws(drawn, y, probs) | {"log_density": density}
    return scores | {"median": curve.expected(best[None], inputs)[0]}


class _Curve:
    """A law as a function of its parameters on their unconstrained scale, many at a time."""

    def __init__(self, design: Design, runs: Runs):
        self.law, self.runs, self.inputs = design.law, runs, design.law.given(runs.table)
        pooled, unit = PooledLaw.of(design, runs), runs.typical_response
        self.free, self.pinned = pooled.names, pooled.pinned
        share = sensitivity(design, runs).prior_share()
        known = share <= PRIOR_SHARE_MAX
        #: The parameters about which the runs say next to nothing. They start at the prior's
        #: median: on a grid of values that all fit alike, the first would win, however far off.
        self.unknown = tuple(np.array(self.free)[~known])
        points = max(2, int(GRID ** (1 / max(int(known.sum()), 1))))
        quantiles = np.linspace(0.02, 0.98, min(points, 9))
        axes = []
        for name in self.free:
            param = design.params[name]
            prior = design.priors[population_name(name, param)]
            probs = (0.5,) if name in self.unknown else quantiles
            axes.append(param.link.forward(prior_quantiles(prior, unit, probs)))
        self.grid = np.array(list(product(*axes)))

    @classmethod
    def of(cls, law: Law, runs: Runs) -> _Curve:
        """A law for runs that are taken as one group."""
        spec = ModelSpec(law, discrepancy=NONE, effects=dict.fromkeys(law.params, "1"))
        runs = runs.with_law(law)
        return cls(resolve(spec, runs), runs)

    def expected(self, theta: np.ndarray, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """The law's curve, (start, point), on the response's scale."""
        law = self.law
        with np.errstate(all="ignore"):  # a step of the optimiser may go where the law overflows
            free = {
                name: law.params[name].link.inverse(theta[:, i, None])
                for i, name in enumerate(self.free)
            }
            params = law.in_units_of_centre(free | dict(self.pinned))
            mu = law.response.link.forward(law.at_centred(inputs, params, self.runs.centre))
        finite = np.nan_to_num(mu, nan=1e3, posinf=1e3, neginf=-1e3)
        points = len(next(iter(inputs.values())))
        return np.broadcast_to(finite, (len(theta), points))

    def loss(
        self, theta: np.ndarray, y: np.ndarray, rows: np.ndarray | slice = slice(None)
    ) -> np.ndarray:
        """Huber's loss summed over runs, (start,)."""
        error = abs(self.expected(theta, self.inputs)[:, rows] - y[rows])
        losses = np.where(error < DELTA, error**2 / 2, DELTA * (error - DELTA / 2))
        return np.asarray(losses.sum(axis=1) / DELTA)

    def starts(self, y: np.ndarray) -> np.ndarray:
        """The best points of the grid, (start, param)."""
        return np.asarray(self.grid[np.argsort(self.loss(self.grid, y))[:STARTS]])

    def descend(
        self, start: np.ndarray, y: np.ndarray, rows: np.ndarray | slice = slice(None)
    ) -> tuple[np.ndarray, float]:
        """Where L-BFGS ends, and the loss there. Central differences of all parameters are one call
        of the law.
        """
        from scipy.optimize import minimize

        step = 1e-5
        moves = np.concatenate(
            [np.zeros((1, len(start))), step * np.eye(len(start)), -step * np.eye(len(start))]
        )

        def value_and_gradient(theta: np.ndarray) -> tuple[float, np.ndarray]:
            values = self.loss(theta + moves, y, rows)
            up, down = values[1 : 1 + len(theta)], values[1 + len(theta) :]
            return float(values[0]), (up - down) / (2 * step)

        # The default tolerances stop most fits early (measured on Chinchilla's runs), and intervals
        # of early stops are false.
        minimum = minimize(
            value_and_gradient,
            start,
            jac=True,
            method="L-BFGS-B",
            options={"ftol": 1e-12, "gtol": 1e-6, "maxiter": 200},
        )
        return minimum.x, float(minimum.fun)


# ---- The line through the last three points


def _line(
    law: Law, runs: Runs, hidden: pd.DataFrame, y: np.ndarray, probs: Sequence[float]
) -> dict[str, np.ndarray]:
    """The scores of the line: along the law's last input if the runs form a curve in it, that is if
    the other inputs agree; else along the product of the inputs, which for a size and its data is
    compute.
    """
    from scipy import stats

    *others, last = law.inputs
    curves = joined_labels(tuple(others), runs.table)
    hidden_curves = joined_labels(tuple(others), hidden)
    response = law.response.link.forward(runs.y)
    log_last, log_product = np.log(runs.table[last].to_numpy(float)), _log_product(law, runs.table)
    center, scale = np.full(len(hidden), np.nan), np.full(len(hidden), np.nan)
    for curve in dict.fromkeys(hidden_curves):
        rows, on_curve = hidden_curves == curve, curves == curve
        t, new_t = log_last, np.log(hidden[last].to_numpy(float)[rows])
        if len(set(t[on_curve])) < LAST:
            on_curve = np.full(len(runs), True)
            t, new_t = log_product, _log_product(law, hidden[rows])
        latest = np.flatnonzero(on_curve)[np.argsort(t[on_curve], kind="stable")[-LAST:]]
        if len(set(t[latest])) == LAST:
            center[rows], scale[rows] = _extrapolated(t[latest], response[latest], new_t)
    return score_distribution(stats.t(LAST - 2, center, np.maximum(scale, 1e-9)), y, probs)


def _log_product(law: Law, table: pd.DataFrame) -> np.ndarray:
    """The logarithm of the product of the inputs, (row,)."""
    return np.asarray(np.log(np.prod([table[name].to_numpy(float) for name in law.inputs], axis=0)))


def _extrapolated(
    t: np.ndarray, response: np.ndarray, new_t: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The centre and the scale of the predictive t-distribution at new points, (point,), from the
    straight line through `LAST` points."""
    deviation, new_deviation = t - t.mean(), new_t - t.mean()
    slope, level = np.polyfit(deviation, response, 1)
    error = np.sqrt(((response - level - slope * deviation) ** 2).sum() / (LAST - 2))
    width = np.sqrt(1 + 1 / LAST + new_deviation**2 / (deviation**2).sum())
    return level + slope * new_deviation, error * width
