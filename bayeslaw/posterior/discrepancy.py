"""Draws of the discrepancy at new points: a curve's own process, and the process runs share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.curves import shared
from bayeslaw.curves.paths import curve_moments, draw_curve
from bayeslaw.posterior.draws import stream
from bayeslaw.posterior.parameters import Parameters
from bayeslaw.spec.design import Design
from bayeslaw.text import label


class DiscrepancyDraws:
    """Draws of the discrepancy at a table of points, on the response's scale.

    The shared process is drawn once for all points, so that curves which share it have the same
    path in each draw. A curve's own process is drawn when `at` is called for that curve.
    """

    def __init__(self, parameters: Parameters, table: pd.DataFrame, seed: int):
        draws = parameters.draws
        self.parameters, self.table, self.seed = parameters, table, seed
        self.spec, self.runs = draws.spec, draws.runs
        #: The curve of each point, and of each run.
        self.curve = _curves(draws.design, table)
        self.curve_of_runs = draws.design.curve_labels(self.runs.table)
        self._shared = SharedDiscrepancy(parameters, table, seed)

    def at(self, rows: np.ndarray) -> np.ndarray | float:
        """The discrepancy at rows of the table, (sample, row).

        With a discrepancy along curves, the rows must be of one curve.
        """
        common = self._shared.at(self.table.iloc[rows])
        return common + self._own_path(rows) if self.spec.discrepancy.along_curves else common

    def moments(self, rows: np.ndarray) -> tuple[np.ndarray | float, np.ndarray | float]:
        """Mean and variance of the discrepancy at rows of the table given each draw of the
        parameters, each (sample, row); the shared process is drawn, and adds no variance.

        With a discrepancy along curves, the rows must be of one curve.
        """
        common = self._shared.at(self.table.iloc[rows])
        if not self.spec.discrepancy.along_curves:
            return common, 0.0
        curve, n_runs = self._curve(rows)
        mean, variance = curve_moments(**curve)
        return common + mean[:, n_runs:], variance[:, n_runs:]

    def _own_path(self, rows: np.ndarray) -> np.ndarray:
        """The process of one curve at its rows of the table, (sample, row), given its runs."""
        curve, n_runs = self._curve(rows)
        (curve_label,) = set(self.curve[rows])
        return draw_curve(**curve, rng=stream(self.seed, f"curve {curve_label}"))[:, n_runs:]

    def _curve(self, rows: np.ndarray) -> tuple[dict[str, Any], int]:
        """The arguments of `draw_curve` without the generator, for the runs of one curve followed
        by its rows of the table; and how many of these points are runs.
        """
        (curve_label,) = set(self.curve[rows])
        run_rows = np.flatnonzero(self.curve_of_runs == curve_label)
        runs, points = self.runs.table.iloc[run_rows], self.table.iloc[rows]
        params = self.parameters.of_noise(points.iloc[:1])
        t = self._places(runs, points)
        shape = (len(params["sigma"]), len(t))
        residual, variance, is_run = np.zeros(shape), np.zeros(shape), np.zeros(len(t))
        n_runs = len(run_rows)
        if n_runs:
            mu = self.parameters.mu_on_link(runs) + self.parameters.baseline_error(runs)
            mu = mu + self._shared.at(runs)
            y = self.spec.law.response.link.forward(self.runs.y[run_rows])
            residual[:, :n_runs] = y - mu
            variance[:, :n_runs] = self.parameters.variance_of_runs(run_rows)
            is_run[:n_runs] = 1.0
        components, origin = self.spec.discrepancy.own, self.spec.axis.origin
        curve = {"own": components, "origin": origin, "t": t, "params": params}
        return curve | {"residual": residual, "variance": variance, "seen": is_run}, n_runs

    def _places(self, runs: pd.DataFrame, points: pd.DataFrame) -> np.ndarray:
        """Where on their curve the runs lie, and after them the points, (run + point,)."""
        along, axis = self.spec.along, self.spec.axis
        x = np.concatenate([runs[along], points[along]]).astype(float)
        t = np.asarray(axis.forward(x))
        if not self.spec.discrepancy.begins_at_zero:
            return t
        if axis.origin is not None:
            return np.maximum(t, axis.origin)
        # In fits of the first version the process is zero up to the curve's first run.
        return np.maximum(t, t[: len(runs)].min()) if len(runs) else t


def _curves(design: Design, table: pd.DataFrame) -> np.ndarray:
    """The curve of each point, (point,).

    Points of which a column of ``curve_by`` is missing are on curves that no run had: on one if
    they are alike in every column that the model reads.
    """
    curves = design.curve_labels(table)
    missing = curves == ""
    if not missing.any():
        return curves
    columns = [*(design.spec.curve_by or ()), *design.columns]
    parts = [table[name].map(label) for name in dict.fromkeys(columns) if name != design.spec.along]
    alike = [" ".join(part) for part in zip(*parts, strict=True)]
    return np.where(missing, np.array([f"unseen {x}" for x in alike], object), curves)


class SharedDiscrepancy:
    """Draws of the discrepancy that runs share along each input.

    The fit has the process at knots; from these it is drawn at every value of the input.
    """

    def __init__(self, parameters: Parameters, table: pd.DataFrame, seed: int):
        self.design = parameters.draws.design
        #: By input: the places where the process is drawn, (place,), and its draws there, (sample,
        #: place), by the label of those that share it.
        self.paths: dict[str, tuple[np.ndarray, Mapping[str, np.ndarray]]] = {}
        of_points, of_runs = self._places(table), self._places(parameters.draws.runs.table)
        if not of_points:
            return
        posterior, samples = parameters.draws.posterior, parameters.draws.samples
        fitted = [str(label) for label in posterior["in_common"].values]
        labels = sorted(set(fitted).union(map(str, self.design.shared_labels(table))))
        params = parameters.of_noise(table.iloc[:1])
        for name in of_points:
            later_knots = posterior[f"{name}_knot"].values
            knots = np.append(2 * later_knots[0] - later_knots[1], later_knots)
            t = np.unique(np.concatenate([of_points[name], of_runs[name]]))
            sigma = params[self.design.spec.discrepancy_sigma(name)]
            weights = parameters.variables[f"{name}|in_common"]
            paths: dict[str, np.ndarray] = {}
            for one in labels:
                rng = stream(seed, f"in common {name} {one}")
                known = weights[:, fitted.index(one)] if one in fitted else None
                paths[one] = sigma * shared.draw(t, knots, known, samples, rng)
            self.paths[name] = (t, paths)

    def _places(self, table: pd.DataFrame) -> dict[str, np.ndarray]:
        """Where each row lies along what the shared discrepancy runs along, by input."""
        spec = self.design.spec
        inputs = {name: table[name].to_numpy(float) for name in spec.law.inputs}
        along = spec.discrepancy_inputs(inputs)
        return {name: spec.axis.forward(x) for name, x in along.items()}

    def at(self, rows: pd.DataFrame) -> np.ndarray | float:
        """The shared discrepancy at rows, (sample, row), on the response's scale; 0 without one."""
        total: np.ndarray | float = 0.0
        labels, along = self.design.shared_labels(rows), self._places(rows)
        for name, (t, paths) in self.paths.items():
            places = np.searchsorted(t, along[name])
            columns = [paths[str(one)][:, i] for one, i in zip(labels, places, strict=True)]
            total = total + np.stack(columns, axis=1)
        return total


def mu_of_runs(parameters: Parameters, table: pd.DataFrame, seed: int) -> np.ndarray:
    """The expected response of runs, (sample, row), on the response's scale.

    It is the sum of the law, the errors of baselines and the shared discrepancy. Noise and a
    curve's own process are left out.
    """
    mu = parameters.mu_on_link(table) + parameters.baseline_error(table)
    mu = mu + SharedDiscrepancy(parameters, table, seed).at(table)
    return np.broadcast_to(mu, (parameters.draws.samples, len(table)))
