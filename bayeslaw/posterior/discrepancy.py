"""Draws of the discrepancy at points: each curve's own process given its runs, and what runs have
in common."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bayeslaw.curves import shared
from bayeslaw.curves.paths import draw_curve
from bayeslaw.posterior.draws import stream
from bayeslaw.posterior.parameters import Parameters


class DiscrepancyDraws:
    """Draws of the discrepancy of a table of points, on the response's scale.

    What is in common is drawn once for all points, so that curves which share it do so in every
    draw; a curve's own path is drawn when `at` is asked for the curve.
    """

    def __init__(self, parameters: Parameters, table: pd.DataFrame, seed: int):
        draws = parameters.draws
        self.parameters, self.table, self.seed = parameters, table, seed
        self.spec, self.runs = draws.spec, draws.runs
        self.curve = draws.design.curve_labels(table)
        self.curve_of_runs = draws.design.curve_labels(self.runs.table)
        self._shared = SharedDiscrepancy(parameters, table, seed)

    def at(self, rows: np.ndarray) -> np.ndarray | float:
        """The discrepancy at rows of the table, (sample, row); with curves, rows of one curve."""
        common = self._shared.at(self.table.iloc[rows])
        return common + self._own(rows) if self.spec.discrepancy.along_curves else common

    def _own(self, rows: np.ndarray) -> np.ndarray:
        """The process of one curve at its rows of the table, given the curve's runs."""
        (label,) = set(self.curve[rows])
        run_rows = np.flatnonzero(self.curve_of_runs == label) if label else np.array([], dtype=int)
        known = len(run_rows)
        seen, new = self.runs.table.iloc[run_rows], self.table.iloc[rows]
        params = self.parameters.of_noise(new.iloc[:1])
        t = self._along(seen, new)
        shape = (len(params["sigma"]), len(t))
        residual, variance, is_seen = np.zeros(shape), np.zeros(shape), np.zeros(len(t))
        if known:
            mu = self.parameters.mu_on_link(seen) + self.parameters.baseline_error(seen)
            mu = mu + self._shared.at(seen)
            y = self.spec.law.response.link.forward(self.runs.y[run_rows])
            residual[:, :known] = y - mu
            variance[:, :known] = self.parameters.of_noise(seen)["sigma"] ** 2
            is_seen[:known] = 1.0
        own, origin = self.spec.discrepancy.own, self.spec.axis.origin
        rng = stream(self.seed, f"curve {label}")
        path = draw_curve(own, origin, t, params, residual, variance, is_seen, rng)
        return path[:, known:]

    def _along(self, seen: pd.DataFrame, new: pd.DataFrame) -> np.ndarray:
        """Where on their curve the runs lie, and then the points, (run + point,)."""
        along = self.spec.along
        t = self.spec.axis.forward(np.concatenate([seen[along], new[along]]).astype(float))
        if "wiener" in self.spec.discrepancy.own and len(seen) and self.spec.axis.origin is None:
            # The process is zero at the curve's first run, and stays so before it.
            t = np.maximum(t, t[: len(seen)].min())
        return t


class SharedDiscrepancy:
    """Draws of what runs have in common along each input: the process given its values at the
    knots, at every value of the input."""

    def __init__(self, parameters: Parameters, table: pd.DataFrame, seed: int):
        self.design = parameters.draws.design
        self.drawn: dict[str, tuple[np.ndarray, Mapping[str, np.ndarray]]] = {}
        new, old = self._along(table), self._along(parameters.draws.runs.table)
        if not new:
            return
        posterior, samples = parameters.draws.posterior, parameters.draws.samples
        known = [str(label) for label in posterior["in_common"].values]
        labels = sorted(set(known).union(map(str, self.design.shared_labels(table))))
        params = parameters.of_noise(table.iloc[:1])
        for name in new:
            knots = posterior[f"{name}_knot"].values
            at = np.append(2 * knots[0] - knots[1], knots)
            t = np.unique(np.concatenate([new[name], old[name]]))
            sigma = params[self.design.spec.discrepancy_sigma(name)]
            weights = parameters.variables[f"{name}|in_common"]
            drawn: dict[str, np.ndarray] = {}
            for label in labels:
                rng = stream(seed, f"in common {name} {label}")
                own = weights[:, known.index(label)] if label in known else None
                drawn[label] = sigma * shared.draw(t, at, own, samples, rng)
            self.drawn[name] = (t, drawn)

    def _along(self, table: pd.DataFrame) -> dict[str, np.ndarray]:
        spec = self.design.spec
        inputs = {name: table[name].to_numpy(float) for name in spec.law.inputs}
        along = spec.discrepancy_inputs(inputs)
        return {name: spec.axis.forward(x) for name, x in along.items()}

    def at(self, rows: pd.DataFrame) -> np.ndarray | float:
        """What runs have in common at rows, (sample, row), on the response's scale; 0 where there
        is no such part."""
        total: np.ndarray | float = 0.0
        labels, along = self.design.shared_labels(rows), self._along(rows)
        for name, (t, drawn) in self.drawn.items():
            where = np.searchsorted(t, along[name])
            columns = [drawn[str(label)][:, i] for label, i in zip(labels, where, strict=True)]
            total = total + np.stack(columns, axis=1)
        return total


def mu_of_runs(parameters: Parameters, table: pd.DataFrame, seed: int) -> np.ndarray:
    """Where the draws put runs, (sample, row), on the response's scale: the law, the errors of
    baselines, and what runs have in common. Noise and a curve's own process are left out."""
    mu = parameters.mu_on_link(table) + parameters.baseline_error(table)
    mu = mu + SharedDiscrepancy(parameters, table, seed).at(table)
    return np.broadcast_to(mu, (parameters.draws.samples, len(table)))
