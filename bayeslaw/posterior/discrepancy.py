"""The discrepancy at new points: draws of it, or what the runs lead to expect.

It is the sum of a curve's own process and of the process that runs share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.curves import shared
from bayeslaw.curves.paths import Curve
from bayeslaw.posterior.draws import Draws, stream
from bayeslaw.posterior.parameters import Parameters
from bayeslaw.spec.design import Design
from bayeslaw.spec.spec import ModelSpec
from bayeslaw.text import label

#: Where the expected discrepancy is evaluated to be interpolated: so many places, to so many units
#: of the axis (decades) beyond the runs.
PLACES, BEYOND = 700, 6.0


class _Discrepancy:
    """What draws and expectation have in common.

    Parameters
    ----------
    parameters : the fit's draws at ``table``.
    table : the points.
    seed : of the shared process beyond the runs; None: its expectation.
    without : a column along which the points are one curve that no run had, though it sets the
        curves of the runs apart.
    """

    def __init__(
        self,
        parameters: Parameters,
        table: pd.DataFrame,
        seed: int | None,
        without: str | None = None,
    ):
        draws = parameters.draws
        self.parameters, self.table = parameters, table
        self.spec, self.runs = draws.spec, draws.runs
        #: The curve of each point, and of each run.
        self.curve = _curves(draws.design, table, without)
        self.curve_of_runs = draws.design.curve_labels(self.runs.table)
        self._shared = SharedDiscrepancy(parameters, table, seed)

    def _common(self, rows: np.ndarray) -> np.ndarray | float:
        """The shared discrepancy at rows of the table, (sample, row)."""
        return self._shared.at(self.table.iloc[rows])

    def _runs_on(self, rows: np.ndarray) -> np.ndarray:
        """The positions of the runs on the curve of these rows, (run,)."""
        return np.flatnonzero(self.curve_of_runs == self._label(rows))

    def _label(self, rows: np.ndarray) -> str:
        (curve_label,) = set(self.curve[rows])
        return str(curve_label)

    def _curve(self, rows: np.ndarray) -> tuple[Curve, int]:
        """The runs of one curve, followed by its rows of the table; and how many of these points
        are runs.
        """
        run_rows = self._runs_on(rows)
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
        return Curve(components, origin, t, params, residual, variance, is_run), n_runs

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


class DiscrepancyDraws(_Discrepancy):
    """Draws of the discrepancy at a table of points, on the response's scale.

    The shared process is drawn once for all points, so that curves which share it have the same
    path in each draw. A curve's own process is drawn when `at` is called for that curve.
    """

    def __init__(
        self, parameters: Parameters, table: pd.DataFrame, seed: int, without: str | None = None
    ):
        super().__init__(parameters, table, seed, without)
        self.seed = seed

    def at(self, rows: np.ndarray) -> np.ndarray | float:
        """The discrepancy at rows of the table, (sample, row).

        With a discrepancy along curves, the rows must be of one curve.
        """
        if not self.spec.discrepancy.along_curves:
            return self._common(rows)
        curve, n_runs = self._curve(rows)
        rng = stream(self.seed, f"curve {self._label(rows)}")
        return self._common(rows) + curve.draw(rng)[:, n_runs:]

    def moments(self, rows: np.ndarray) -> tuple[np.ndarray | float, np.ndarray | float]:
        """Mean and variance of the discrepancy at rows of the table given each draw of the
        parameters, each (sample, row); the shared process is drawn, and adds no variance.

        With a discrepancy along curves, the rows must be of one curve.
        """
        if not self.spec.discrepancy.along_curves:
            return self._common(rows), 0.0
        curve, n_runs = self._curve(rows)
        mean, variance = curve.moments()
        return self._common(rows) + mean[:, n_runs:], variance[:, n_runs:]

    def log_density(self, rows: np.ndarray, y: np.ndarray, noise: Mapping[str, Any]) -> np.ndarray:
        """The joint log density of what is observed at rows of one curve given its runs, under each
        draw of the parameters, (sample,).

        Parameters
        ----------
        rows : positions in the table.
        y : the response less the law, on its scale, (sample, row).
        noise : the parameters of its noise. Of Student-t noise the weight of each point is drawn:
            the mean over draws of the parameters is then one over weights too.
        """
        curve, n_runs = self._curve(rows)
        residual, variance = curve.residual.copy(), curve.variance.copy()
        residual[:, n_runs:] = y - self._common(rows)
        variance[:, n_runs:] = noise["sigma"] ** 2
        if self.spec.noise == "student_t":
            rng, half_nu = stream(self.seed, f"weights {self._label(rows)}"), noise["nu"] / 2
            variance[:, n_runs:] /= rng.gamma(half_nu, 1 / half_nu, (len(residual), len(rows)))
        with_rows = replace(
            curve, residual=residual, variance=variance, seen=np.ones_like(curve.seen)
        )
        of_runs = curve.log_density() if n_runs else 0.0
        return with_rows.log_density() - of_runs


class ExpectedDiscrepancy(_Discrepancy):
    """What the runs lead to expect of the discrepancy, under each draw of the parameters.

    The errors that neighbouring runs have in common (component "local") are no part of it. On a
    curve without runs it is that of the shared process, and 0 where no run shares it.
    """

    def __init__(self, parameters: Parameters, table: pd.DataFrame, without: str | None = None):
        super().__init__(parameters, table, None, without)

    def at(self, rows: np.ndarray) -> np.ndarray | float:
        """The expected discrepancy at rows of the table, (sample, row), or 0; the rows are as for
        `DiscrepancyDraws.at`.
        """
        lasting = self.spec.discrepancy.lasting
        if not lasting or not len(self._runs_on(rows)):
            return self._common(rows)
        curve, n_runs = self._curve(rows)
        mean, _ = curve.moments(lasting)
        return self._common(rows) + mean[:, n_runs:]


@dataclass(frozen=True, slots=True)
class ExpectedByInput:
    """The expected discrepancy as a function of the inputs, which may differ from draw to draw.

    Between `PLACES` places it is interpolated, and farther beyond the runs than `BEYOND` it goes on
    as a straight line.

    Attributes
    ----------
    spec : what was fitted.
    paths : by what the discrepancy runs along, the places, (place,), evenly spread, and the
        expected discrepancy there, (sample, place).
    """

    spec: ModelSpec
    paths: Mapping[str, tuple[np.ndarray, np.ndarray]]

    @classmethod
    def of(cls, draws: Draws, row: pd.DataFrame) -> ExpectedByInput:
        """That of the groups and the curve of a row, which is one checked point.

        >>> ExpectedByInput.of(fit, points_at(fit, None, [{"model_size": 1.0, "data_size": 1.0}]))
        """
        spec, runs = draws.spec, draws.runs.table
        if not spec.discrepancy.along_curves:
            parameters = Parameters.at(draws, row, "mean")
            (who,) = draws.design.shared_labels(row)
            paths = {}
            for name in spec.discrepancy_inputs(dict.fromkeys(spec.law.inputs, 1.0)):
                knots = draws.posterior[f"{name}_knot"].values
                t = np.linspace(2 * knots[0] - knots[1], knots[-1] + BEYOND, PLACES)
                process = SharedProcess.of(parameters, name, row, t, None)
                paths[name] = (t, process.path(str(who), t))
            return cls(spec, paths)
        of_runs = spec.axis.forward(runs[spec.along].to_numpy(float))
        t = np.linspace(of_runs.min() - BEYOND, of_runs.max() + BEYOND, PLACES)
        table = row.loc[row.index.repeat(PLACES)].reset_index(drop=True)
        table = table.assign(**{spec.along: spec.axis.inverse(t)})
        of_curve = ExpectedDiscrepancy(Parameters.at(draws, table, "mean"), table)
        path = np.broadcast_to(of_curve.at(np.arange(PLACES)), (draws.samples, PLACES))
        return cls(spec, {spec.along: (t, path)})

    def at(self, inputs: Mapping[str, Any]) -> np.ndarray:
        """The expected discrepancy on the response's scale at inputs of the law: numbers or
        (sample,) give (sample,); (sample or 1, point) gives (sample, point).
        """
        if self.spec.discrepancy.along_curves:
            along = {self.spec.along: inputs[self.spec.along]}
        else:
            along = self.spec.discrepancy_inputs(inputs)
        total: np.ndarray | float = 0.0
        for name, (t, path) in self.paths.items():
            x = np.asarray(self.spec.axis.forward(along[name]))
            many = x if x.ndim == 2 else x.reshape(-1, 1)
            place = np.maximum((many - t[0]) / (t[1] - t[0]), 0.0)
            before = np.clip(np.floor(np.nan_to_num(place)), 0, len(t) - 2).astype(int)
            before = np.broadcast_to(before, (len(path), before.shape[1]))
            left, right = (np.take_along_axis(path, before + i, axis=1) for i in (0, 1))
            value = left + (place - before) * (right - left)
            total = total + (value if x.ndim == 2 else value[:, 0])
        return np.asarray(total)


def _curves(design: Design, table: pd.DataFrame, without: str | None) -> np.ndarray:
    """The curve of each point, (point,).

    Points of which a column of ``curve_by`` is missing, or is ``without``, are on curves that no
    run had: on one if they are alike in every other column that the model reads.
    """
    curves, by = design.curve_labels(table), design.spec.curve_by or ()
    missing = (curves == "") | (without in by)
    if not missing.any():
        return curves
    columns = dict.fromkeys([*by, *design.columns])
    parts = [table[name].map(label) for name in columns if name not in (design.spec.along, without)]
    alike = [" ".join(part) for part in zip(*parts, strict=True)]
    return np.where(missing, np.array([f"unseen {x}" for x in alike], object), curves)


class SharedDiscrepancy:
    """Draws of the discrepancy that runs share along each input, or without a seed its expectation.

    The fit has the process at knots; from these follow its values everywhere.
    """

    def __init__(self, parameters: Parameters, table: pd.DataFrame, seed: int | None):
        self.design = parameters.draws.design
        #: The process along each input, by its name.
        self.processes: dict[str, SharedProcess] = {}
        of_points, of_runs = self._places(table), self._places(parameters.draws.runs.table)
        labels = sorted(set(map(str, self.design.shared_labels(table))))
        for name in of_points:
            t = np.unique(np.concatenate([of_points[name], of_runs[name]]))
            process = SharedProcess.of(parameters, name, table, t, seed)
            names = dict.fromkeys([*process.weights, *labels])
            if parameters.draws.samples * len(t) * len(names) <= defaults.SHARED_VALUES:
                process.paths.update({one: process.path(one, t) for one in names})
            self.processes[name] = process

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
        for name, process in self.processes.items():
            total = total + process.at(labels, along[name])
        return total


@dataclass(frozen=True, slots=True)
class SharedProcess:
    """A process that runs share along one input.

    Attributes
    ----------
    name : the input.
    t : every place where it may be asked for, sorted, (place,).
    knots : the knots of the fit, (knot + 1,); the process starts at the first.
    sigma : its scale, (sample, 1).
    weights : the weights of the fit, (sample, knot), by the label of those that share it.
    seed : the seed of what is drawn; None: the process is its expectation.
    paths : its values at ``t``, (sample, place), by label; empty where they would be too many to
        keep, and are computed when they are asked for.
    """

    name: str
    t: np.ndarray
    knots: np.ndarray
    sigma: np.ndarray
    weights: Mapping[str, np.ndarray]
    seed: int | None
    paths: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        parameters: Parameters,
        name: str,
        table: pd.DataFrame,
        t: np.ndarray,
        seed: int | None,
    ) -> SharedProcess:
        """The process along an input, with the scale that it has at the first row of a table."""
        draws = parameters.draws
        later_knots = draws.posterior[f"{name}_knot"].values
        knots = np.append(2 * later_knots[0] - later_knots[1], later_knots)
        sigma = parameters.of_noise(table.iloc[:1])[draws.spec.discrepancy_sigma(name)]
        drawn = parameters.variables[f"{name}|in_common"]
        labels = map(str, draws.posterior["in_common"].values)
        weights = {one: drawn[:, i] for i, one in enumerate(labels)}
        return cls(name, t, knots, sigma, weights, seed)

    def path(self, label_of_runs: str, t: np.ndarray) -> np.ndarray:
        """The process at places, (sample, place). If these have the first and the last of
        ``self.t`` among them, draws are parts of one path.
        """
        known, samples = self.weights.get(label_of_runs), len(self.sigma)
        if self.seed is not None:
            rng = stream(self.seed, f"in common {self.name} {label_of_runs}")
            path = shared.draw(t, self.knots, known, samples, rng)
        elif known is not None:
            path = shared.expected(t, self.knots, known)
        else:
            path = np.zeros((samples, len(t)))
        return np.asarray(self.sigma * path)

    def at(self, labels: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The process at rows with these labels and places, (sample, row)."""
        values = np.empty((len(self.sigma), len(t)))
        for one in set(labels):
            rows = labels == one
            places, path = self.t, self.paths.get(str(one))
            if path is None:
                places = np.unique(np.concatenate([self.t[[0, -1]], t[rows]]))
                path = self.path(str(one), places)
            values[:, rows] = path[:, np.searchsorted(places, t[rows])]
        return values


def mu_of_runs(parameters: Parameters, table: pd.DataFrame, seed: int) -> np.ndarray:
    """The expected response of runs, (sample, row), on the response's scale.

    It is the sum of the law, the errors of baselines and the shared discrepancy. Noise and a
    curve's own process are left out.
    """
    mu = parameters.mu_on_link(table) + parameters.baseline_error(table)
    mu = mu + SharedDiscrepancy(parameters, table, seed).at(table)
    return np.broadcast_to(mu, (parameters.draws.samples, len(table)))
