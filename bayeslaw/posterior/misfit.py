"""Draws of the misfit of a law at points beyond its runs (`bayeslaw.learnt.misfit`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayeslaw.learnt.misfit import Distances, Misfit
from bayeslaw.posterior.draws import Draws, stream
from bayeslaw.posterior.points import rows_of_own_groups


def distances(fit: Draws, table: pd.DataFrame) -> Distances:
    """How far checked points lie beyond the runs of their own groups, or beyond all runs where no
    run has their group, in compute and in tokens per parameter.
    """
    sizes_of = [
        tuple(frame[name].to_numpy(float) for name in ("model_size", "data_size"))
        for frame in (table, fit.runs.table)
    ]
    points, runs = np.array(sizes_of[0]), np.array(sizes_of[1])
    compute, ratio = np.zeros(len(table)), np.zeros(len(table))
    for of_points, of_runs in rows_of_own_groups(fit, table):
        part = Distances.between(tuple(points[:, of_points]), tuple(runs[:, of_runs]))
        compute[of_points], ratio[of_points] = part.compute, part.tokens_per_parameter
    return Distances(compute, ratio)


@dataclass(frozen=True, slots=True)
class MisfitDraws:
    """Draws of the misfit at a table of points, on the response's scale.

    Attributes
    ----------
    loadings : what multiplies each standard normal, (point, side).
    z : the standard normals, (sample, side).
    variance : 1 / w, the variance of each draw, (sample, 1).
    """

    loadings: np.ndarray
    z: np.ndarray
    variance: np.ndarray

    @classmethod
    def of(cls, fit: Draws, misfit: Misfit, table: pd.DataFrame, seed: int) -> MisfitDraws:
        """The misfit of a fit at checked points: in each draw one for all points."""
        loadings = misfit.loadings(distances(fit, table))
        rng, half_nu = stream(seed, "misfit"), misfit.nu / 2
        z = rng.standard_normal((fit.samples, loadings.shape[1]))
        weight = rng.standard_gamma(half_nu, (fit.samples, 1)) / half_nu
        return cls(loadings, z, 1 / weight)

    def at(self, rows: np.ndarray) -> np.ndarray:
        """The misfit at rows of the table, (sample, row)."""
        return np.asarray(np.sqrt(self.variance) * (self.z @ self.loadings[rows].T))

    def variance_at(self, rows: np.ndarray) -> np.ndarray:
        """Its variance at rows of the table given each draw's w, (sample, row)."""
        return np.asarray(self.variance * (self.loadings[rows] ** 2).sum(axis=1))
