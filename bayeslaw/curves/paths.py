"""Draws of the discrepancy at new points: each curve's own process given its runs, and what runs
have in common.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import pandas as pd

from bayeslaw.posterior.parameters import samples_of
from bayeslaw.spec.discrepancy import extended, middle, runs_in_sequence, shared_basis, state_space
from bayeslaw.spec.spec import ModelSpec, curve_labels, shared_labels

if TYPE_CHECKING:
    from bayeslaw.posterior.parameters import Posterior

#: Draws of a path that are made at a time: their transition matrices are some tens of megabytes.
DRAWS_PER_BLOCK = 500


class Departures:
    """Draws of the discrepancy of a table of points, on the response's scale.

    What is in common is drawn once for all points, so that curves which depart together do so in
    every draw; a curve's own path is drawn when `own` is asked for the curve.
    """

    def __init__(self, posterior: Posterior, table: pd.DataFrame, seed: int):
        self.posterior, self.table, self.seed = posterior, table, seed
        fit = posterior.fit
        self.spec, self.runs = fit.spec, fit.runs
        self.curve = curve_labels(self.spec, table)
        self.seen_curve = curve_labels(self.spec, self.runs.table)
        self._common = _InCommon(posterior, table, seed)

    def at(self, rows: np.ndarray) -> np.ndarray | float:
        """The discrepancy at rows of the table, (sample, row); with curves, rows of one curve."""
        common = self._common.at(self.table.iloc[rows])
        return common + self._own(rows) if self.spec.departs.kind == "curve" else common

    def _own(self, rows: np.ndarray) -> np.ndarray:
        (label,) = set(self.curve[rows])
        old = np.flatnonzero(self.seen_curve == label) if label else np.array([], dtype=int)
        seen_rows, new_rows = self.runs.table.iloc[old], self.table.iloc[rows]
        noise = self.posterior.noise_parameters(new_rows.iloc[:1])
        t = self.spec.axis.forward(
            np.concatenate([seen_rows[self.spec.along], new_rows[self.spec.along]]).astype(float)
        )
        if "wiener" in self.spec.departs.own and len(old) and self.spec.axis.origin is None:
            # it is zero at the curve's first run, and stays so before it
            t = np.maximum(t, t[: len(old)].min())
        samples = len(noise["sigma"])
        residual, variance, seen = (
            np.zeros((samples, len(t))),
            np.zeros((samples, len(t))),
            np.zeros(len(t)),
        )
        if len(old):
            located = (
                self.posterior.located(seen_rows)
                + self.posterior.baseline_error(seen_rows)
                + self._common.at(seen_rows)
            )
            residual[:, : len(old)] = (
                self.spec.law.response.link.forward(self.runs.y[old]) - located
            )
            variance[:, : len(old)] = self.posterior.noise_parameters(seen_rows)["sigma"] ** 2
            seen[: len(old)] = 1.0
        rng = np.random.default_rng([self.seed, crc32(f"curve {label}".encode())])
        return one_curve(self.spec, t, noise, residual, variance, seen, rng)[:, len(old) :]


def expected(posterior: Posterior, table: pd.DataFrame, seed: int) -> np.ndarray:
    """Where the draws put runs, (sample, row), on the response's scale: the law, the errors of
    baselines, and what runs have in common. Around it are noise and a curve's own process, which
    are not sampled.
    """
    located = (
        posterior.located(table)
        + posterior.baseline_error(table)
        + _InCommon(posterior, table, seed).at(table)
    )
    return np.broadcast_to(located, (samples_of(posterior.fit), len(table)))


class _InCommon:
    """What runs depart by together along each input: the process given its values at the knots, at
    every value of the input.
    """

    def __init__(self, posterior: Posterior, table: pd.DataFrame, seed: int):
        fit = posterior.fit
        self.spec = fit.spec
        self.kept: dict[str, tuple[np.ndarray, Mapping[str, np.ndarray]]] = {}
        new, old = self._along(table), self._along(fit.runs.table)
        if not new:
            return
        samples = fit.idata["posterior"].to_dataset()
        groups = [str(label) for label in samples["in_common"].values]
        labels: list[str] = sorted(set(groups).union(map(str, shared_labels(self.spec, table))))
        noise = posterior.noise_parameters(table.iloc[:1])
        for name in new:
            later = samples[f"{name}_knot"].values
            at = np.append(2 * later[0] - later[1], later)
            t = np.unique(np.concatenate([new[name], old[name]]))
            drawn: dict[str, np.ndarray] = {}
            for label in labels:
                rng = np.random.default_rng([seed, crc32(f"in common {name} {label}".encode())])
                known = (
                    posterior.draws[f"{name}|in_common"][:, groups.index(label)]
                    if label in groups
                    else None
                )
                drawn[label] = noise[self.spec.stray_sigma(name)] * _smooth(
                    t, at, known, len(samples["chain"]) * len(samples["draw"]), rng
                )
            self.kept[name] = (t, drawn)

    def _along(self, table: pd.DataFrame) -> dict[str, np.ndarray]:
        inputs = {name: table[name].to_numpy(float) for name in self.spec.law.inputs}
        return {
            name: self.spec.axis.forward(x) for name, x in self.spec.strays_along(inputs).items()
        }

    def at(self, rows: pd.DataFrame) -> np.ndarray | float:
        total: np.ndarray | float = 0.0
        labels, along = shared_labels(self.spec, rows), self._along(rows)
        for name, (t, drawn) in self.kept.items():
            where = np.searchsorted(t, along[name])
            total = total + np.stack(
                [drawn[str(label)][:, i] for label, i in zip(labels, where, strict=True)], axis=1
            )
        return total


def _smooth(
    t: np.ndarray, at: np.ndarray, known: np.ndarray | None, samples: int, rng: np.random.Generator
) -> np.ndarray:
    """What runs have in common at t, (sample, point), in units of its sigma: ``known`` weights of
    the knots, (sample, knot), and new ones beyond the knots. Weights go with the knots in order, so
    that new ones leave what is known as it is.
    """
    out = np.zeros((samples, len(t)))
    far = extended(at, t)
    weights = rng.standard_normal((samples, len(far) - 1))
    if known is not None:
        weights[:, : known.shape[1]] = known
    after = t >= at[0]
    out[:, after] = weights @ shared_basis(t[after], far).T
    if not after.all():  # before its start the process runs backwards, on its own
        back = at[0] - t[~after]
        before = extended(at - at[0], back)
        out[:, ~after] = (
            rng.standard_normal((samples, len(before) - 1)) @ shared_basis(back, before).T
        )
    return out - weights @ shared_basis(middle(at), far).T


def one_curve(
    spec: ModelSpec,
    t: np.ndarray,
    params: Mapping[str, Any],
    residual: np.ndarray,
    variance: np.ndarray,
    seen: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """`draw_paths` of one curve at points in any order, (draw, point), from its origin where it has
    one.
    """
    point, is_point, step, first = runs_in_sequence(t, np.full(len(t), ""), spec.axis.origin)
    drawn = draw_paths(
        spec.departs.own,
        step,
        first,
        params,
        residual[:, point],
        variance[:, point],
        seen[point] * is_point,
        rng,
    )
    placed = np.empty_like(residual)
    placed[:, point[is_point == 1]] = drawn[:, is_point == 1]
    return placed


def draw_paths(
    own: tuple[str, ...],
    step: np.ndarray,
    first: np.ndarray,
    params: Mapping[str, Any],
    residual: np.ndarray,
    variance: np.ndarray,
    seen: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """For each draw, a path of a state space at every point, given the residuals that were seen.

    Parameters
    ----------
    own, step, first, params : as `bayeslaw.spec.discrepancy.state_space` takes them; params (draw, 1).
    residual, variance : (draw, point), observed values and their noise; seen : (point,), 1 where
        there is one.

    Returns
    -------
    (draw, point)
    """
    from bayeslaw.curves.filter import compiled

    out = np.empty_like(residual)
    for start in range(0, len(residual), DRAWS_PER_BLOCK):
        block = slice(start, start + DRAWS_PER_BLOCK)
        some = {
            name: np.broadcast_to(value, (len(residual), 1))[block]
            for name, value in params.items()
        }
        Phi, Q, h = state_space(own, step, first, some)
        n, points = residual[block].shape
        z, e = rng.standard_normal((n, points, len(h))), rng.standard_normal((n, points))
        arrays = (residual[block], variance[block], seen, Phi, Q, h, z, e)
        path = np.empty((n, points))
        compiled(len(h))[1](*(np.ascontiguousarray(x) for x in arrays), path)
        out[block] = path
    return out
