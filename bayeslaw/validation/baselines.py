r"""What a prediction has to beat, computed on the same split.

| baseline | what it is |
|---|---|
| ``huber`` | the law by Huber least squares on the response's scale, as Hoffmann et al. 2022 (arXiv 2203.15556, section 3.3) fit it: summed loss with delta = 1e-3, a grid of starts, L-BFGS; bands by bootstrap, plus normal noise of the residuals' size |
| ``line`` | the straight log-log line through the last three points of a curve, with its t-interval |
| ``best_so_far`` | the best response of the group's runs: no width |
| ``alone`` | the law with its priors, without discrepancy, nothing pooled between groups (sampled) |

All but the last are for each group by itself, that is for each combination of the grouping columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from bayeslaw.laws.base import Law
from bayeslaw.runs.table import Runs
from bayeslaw.spec import noise
from bayeslaw.spec.design import Design, joined_labels
from bayeslaw.spec.discrepancy import Discrepancy
from bayeslaw.spec.identifiability import PooledLaw, prior_quantiles
from bayeslaw.spec.resolve import resolve
from bayeslaw.spec.spec import ModelSpec, population_name
from bayeslaw.validation.scores import score_distribution, score_draws, score_value

#: Where Huber's loss turns from squares to absolute values, on the log of a loss: Hoffmann et al.
#: 2022, section 3.3.
DELTA = 1e-3
#: Grid points that are best at the start, from which L-BFGS goes on.
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
    """The law by itself: no discrepancy, and in each group parameters of its own. The runs get a
    column that names the group."""
    runs = runs.with_law(law)
    if not runs.populations:
        return ModelSpec(law, discrepancy=NONE), runs
    groups = joined_labels(runs.populations, runs.table)
    grouped = Runs(law, runs.table.assign(**{GROUP: groups}), (GROUP,), runs.source)
    effects = dict.fromkeys((*law.params, "sigma"), f"0 + {GROUP}")
    return ModelSpec(law, discrepancy=NONE, effects=effects), grouped


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
    runs : what is seen.
    hidden : what is not, with the response.
    """
    link = law.response.link
    found = pd.DataFrame(index=hidden.index)
    groups = runs.populations
    seen_label, hidden_label = joined_labels(groups, runs.table), joined_labels(groups, hidden)
    for label in dict.fromkeys(hidden_label):
        part, rows = runs.rows(seen_label == label), hidden[hidden_label == label]
        if not len(part):
            continue
        y = link.forward(rows[law.response.name].to_numpy(float))
        if name == "huber":
            scores = _huber(
                law,
                part,
                rows,
                y,
                probs,
                np.random.default_rng([random_seed, len(part), len(rows)]),
            )
        elif name == "line":
            scores = _line(law, part, rows, y, probs)
        else:
            higher_is_better = "increasing" in law.monotone.values() or law.response.scale != "log"
            best = link.forward(part.y).max() if higher_is_better else link.forward(part.y).min()
            scores = score_value(np.full(len(rows), best), y, probs)
        for column, values in scores.items():
            found.loc[rows.index, column] = values
    return found.reindex(columns=["median", *(c for c in found if c != "median")])


# ---- Huber least squares


def _huber(
    law: Law,
    runs: Runs,
    hidden: pd.DataFrame,
    y: np.ndarray,
    probs: Sequence[float],
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    runs = runs.with_law(law)
    spec = ModelSpec(law, discrepancy=NONE, effects=dict.fromkeys(law.params, "1"))
    curve = _Curve(resolve(spec, runs), runs)
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
    each = noise.log_density("normal", {"sigma": np.array(sigma)}, y - mu)
    density = np.logaddexp.reduce(each, axis=0) - np.log(len(each))
    scores = score_draws(drawn, y, probs) | {"log_density": density}
    return scores | {"median": curve.expected(best[None], inputs)[0]}


class _Curve:
    """A law as a function of its parameters on their unconstrained scale, many at a time."""

    def __init__(self, design: Design, runs: Runs):
        self.law, self.runs, self.inputs = design.law, runs, design.law.given(runs.table)
        pooled, unit = PooledLaw.of(design, runs), runs.typical_response
        self.free, self.pinned = pooled.names, pooled.pinned
        points = max(2, int(GRID ** (1 / len(self.free))))
        quantiles = np.linspace(0.02, 0.98, min(points, 9))
        axes = []
        for name in self.free:
            param = design.params[name]
            prior = design.priors[population_name(name, param)]
            axes.append(param.link.forward(prior_quantiles(prior, unit, quantiles)))
        self.grid = np.array(list(product(*axes)))

    def expected(self, theta: np.ndarray, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """(start, point), on the response's scale."""
        law, link = self.law, self.law.response.link
        with np.errstate(all="ignore"):  # a step of the optimiser may go where the law overflows
            sampled = {
                name: law.params[name].link.inverse(theta[:, i, None])
                for i, name in enumerate(self.free)
            } | dict(self.pinned)
            mu = link.forward(
                law.at_centred(inputs, law.in_units_of_centre(sampled), self.runs.centre)
            )
        return np.broadcast_to(
            np.nan_to_num(mu, nan=1e3, posinf=1e3, neginf=-1e3),
            (len(theta), len(next(iter(inputs.values())))),
        )

    def loss(
        self, theta: np.ndarray, y: np.ndarray, rows: np.ndarray | slice = slice(None)
    ) -> np.ndarray:
        """Huber's loss summed over runs, (start,)."""
        error = abs(self.expected(theta, self.inputs)[:, rows] - y[rows])
        return (
            np.where(error < DELTA, error**2 / 2, DELTA * (error - DELTA / 2)).sum(axis=1) / DELTA
        )

    def starts(self, y: np.ndarray) -> np.ndarray:
        return self.grid[np.argsort(self.loss(self.grid, y))[:STARTS]]

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
        found = minimize(
            value_and_gradient,
            start,
            jac=True,
            method="L-BFGS-B",
            options={"ftol": 1e-12, "gtol": 1e-6, "maxiter": 200},
        )
        return found.x, float(found.fun)


# ---- The line through the last three points


def _line(
    law: Law, runs: Runs, hidden: pd.DataFrame, y: np.ndarray, probs: Sequence[float]
) -> dict[str, np.ndarray]:
    """Along the law's last input where the runs form a curve in it, that is the other inputs agree;
    else along the product of the inputs, which for a size and its data is compute.
    """
    from scipy import stats

    *others, last = law.inputs
    curve, hidden_curve = (
        joined_labels(tuple(others), runs.table),
        joined_labels(tuple(others), hidden),
    )
    center, scale = np.full(len(hidden), np.nan), np.full(len(hidden), np.nan)
    whole = np.log(np.prod(list(runs.inputs.values()), axis=0))
    for label in dict.fromkeys(hidden_curve):
        rows = hidden_curve == label
        along = np.log(runs.table[last].to_numpy(float))
        own = curve == label
        at = np.log(hidden[last].to_numpy(float)[rows])
        if len(set(along[own])) < LAST:
            own, along = np.full(len(runs), True), whole
            at = np.log(
                np.prod([hidden[name].to_numpy(float)[rows] for name in law.inputs], axis=0)
            )
        latest = np.flatnonzero(own)[np.argsort(along[own], kind="stable")[-LAST:]]
        t, r = along[latest], law.response.link.forward(runs.y[latest])
        if len(set(t)) < LAST:
            continue
        slope, level = np.polyfit(t - t.mean(), r, 1)
        error = np.sqrt(((r - level - slope * (t - t.mean())) ** 2).sum() / (LAST - 2))
        center[rows] = level + slope * (at - t.mean())
        scale[rows] = error * np.sqrt(
            1 + 1 / LAST + (at - t.mean()) ** 2 / ((t - t.mean()) ** 2).sum()
        )
    return score_distribution(stats.t(LAST - 2, center, np.maximum(scale, 1e-9)), y, probs)
