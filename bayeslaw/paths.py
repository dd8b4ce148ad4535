"""Draws of the discrepancy at new points: each curve's own process given its runs, and what runs have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import pandas as pd

from bayeslaw.discrepancy import decades, sequence, shared_factor, shared_start, state_space
from bayeslaw.spec import curve_labels, shared_labels

if TYPE_CHECKING:
    from bayeslaw.predict import Posterior

#: Draws of a path that are made at a time: their transition matrices are some tens of megabytes.
DRAWS_PER_BLOCK = 500


class Departures:
    """Draws of the discrepancy of a table of points, on the response's scale.

    What is in common is drawn once for all points, so that curves which depart together do so in every draw; a curve's own
    path is drawn when `own` is asked for the curve.
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
        t = decades(np.concatenate([seen_rows[self.spec.along], new_rows[self.spec.along]]))
        if "wiener" in self.spec.departs.own and len(old):
            t = np.maximum(t, t[: len(old)].min())  # it is zero at the curve's first run, and stays so before it
        order, step, first = sequence(t, np.full(len(t), ""))
        samples = len(noise["sigma"])
        residual, variance, seen = np.zeros((samples, len(t))), np.zeros((samples, len(t))), np.zeros(len(t))
        if len(old):
            located = self.posterior.located(seen_rows) + self._common.at(seen_rows)
            residual[:, : len(old)] = self.spec.law.response.link.forward(self.runs.y[old]) - located
            variance[:, : len(old)] = self.posterior.noise_parameters(seen_rows)["sigma"] ** 2 / self.runs.averaged[old]
            seen[: len(old)] = 1.0
        rng = np.random.default_rng([self.seed, crc32(f"curve {label}".encode())])
        drawn = draw_paths(self.spec.departs.own, step, first, noise, residual[:, order], variance[:, order], seen[order], rng)
        back = np.empty(len(order), dtype=int)
        back[order] = np.arange(len(order))
        return drawn[:, back[len(old) :]]


class _InCommon:
    """What runs depart by together along each input: the process given its values at the knots, at every value of the input."""

    def __init__(self, posterior: Posterior, table: pd.DataFrame, seed: int):
        fit = posterior.fit
        self.spec = fit.spec
        self.kept: dict[str, tuple[np.ndarray, Mapping[str, np.ndarray]]] = {}
        if self.spec.departs.kind != "grid" and not self.spec.departs.has_shared:
            return
        samples = fit.idata["posterior"].to_dataset()
        groups = [str(label) for label in samples["in_common"].values]
        labels = {*shared_labels(self.spec, table), *groups}
        noise = posterior.noise_parameters(table.iloc[:1])
        for name in self.spec.law.inputs:
            if f"{name}|in_common" not in samples:
                continue
            at = samples[f"{name}_knot"].values
            t = np.unique(decades(np.concatenate([table[name], fit.runs.table[name]])))
            sigma = noise["shared_sigma" if self.spec.departs.kind == "curve" else f"{name}_stray_sigma"]
            drawn = {}
            for label in sorted(map(str, labels)):
                rng = np.random.default_rng([seed, crc32(f"in common {name} {label}".encode())])
                known = posterior.draws[f"{name}|in_common"][:, groups.index(label)] @ shared_factor(at).T if label in groups else None
                drawn[label] = sigma * _wiener_at(t, at, known, len(sigma), rng)
            self.kept[name] = (t, drawn)

    def at(self, rows: pd.DataFrame) -> np.ndarray | float:
        total: np.ndarray | float = 0.0
        labels = shared_labels(self.spec, rows) if self.kept else []
        for name, (t, drawn) in self.kept.items():
            where = np.searchsorted(t, decades(rows[name]))
            total = total + np.stack([drawn[str(label)][:, i] for label, i in zip(labels, where, strict=True)], axis=1)
        return total


def _wiener_at(t: np.ndarray, at: np.ndarray, known: np.ndarray | None, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Draws, (sample, point), of the process of `bayeslaw.discrepancy.wiener_covariance` at t, given its values ``known`` at the knots."""
    start, out = shared_start(at), np.zeros((samples, len(t)))
    for side in (t >= start, t < start):  # before its start the process runs backwards, and no knot is there
        if not side.any():
            continue
        right = bool(t[side][0] >= start)
        places = np.concatenate([[0.0], at - start, t[side] - start]) if right else np.concatenate([[0.0], start - t[side]])
        order, step, first = sequence(places, np.full(len(places), ""))
        values, seen = np.zeros((samples, len(places))), np.zeros(len(places))
        if right and known is not None:
            values[:, 1 : 1 + len(at)], seen[1 : 1 + len(at)] = known, 1.0
        unit = {"trend_sigma": np.ones((samples, 1))}
        drawn = draw_paths(("wiener",), step, first, unit, values[:, order], np.full_like(values, 1e-12), seen[order], rng)
        back = np.empty(len(order), dtype=int)
        back[order] = np.arange(len(order))
        out[:, side] = drawn[:, back[-int(side.sum()) :]]
    return out


def draw_paths(
    own: tuple[str, ...], step: np.ndarray, first: np.ndarray, params: Mapping[str, Any], residual: np.ndarray, variance: np.ndarray,
    seen: np.ndarray, rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """For each draw, a path of a state space at every point, given the residuals that were seen.

    Parameters
    ----------
    own, step, first, params : as `bayeslaw.discrepancy.state_space` takes them; params (draw, 1).
    residual, variance : (draw, point), observed values and their noise; seen : (point,), 1 where there is one.

    Returns
    -------
    (draw, point)
    """
    from bayeslaw.kalman import compiled

    out = np.empty_like(residual)
    for start in range(0, len(residual), DRAWS_PER_BLOCK):
        block = slice(start, start + DRAWS_PER_BLOCK)
        some = {name: np.broadcast_to(value, (len(residual), 1))[block] for name, value in params.items()}
        Phi, Q, h = state_space(own, step, first, some)
        n, points = residual[block].shape
        z, e = rng.standard_normal((n, points, len(h))), rng.standard_normal((n, points))
        arrays = (residual[block], variance[block], seen, Phi, Q, h, z, e)
        path = np.empty((n, points))
        compiled(len(h))[1](*(np.ascontiguousarray(x) for x in arrays), path)
        out[block] = path
    return out
