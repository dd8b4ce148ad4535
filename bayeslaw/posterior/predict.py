"""The posterior predictive at new points.

Kinds, never confused:

| kind | what it is | varies with |
|---|---|---|
| ``"mean"`` | the law's curve | the parameters; a group that no run had is at the population's value |
| ``"latent"`` | a run, were it measured without error | and a new group's deviation, the discrepancy |
| ``"run"`` | what a new run would log | and noise |

Decisions use ``"run"``. Averages are taken in the response's unit, not on its scale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.posterior.discrepancy import DiscrepancyDraws
from bayeslaw.posterior.draws import Draws, Kind, require_kind
from bayeslaw.posterior.parameters import Parameters
from bayeslaw.posterior.points import Points, checked_points, extrapolation_distance, grid
from bayeslaw.spec import noise

if TYPE_CHECKING:
    import xarray as xr


def predict(
    fit: Draws, points: Points, kind: Kind = "run", *, random_seed: int | None = None
) -> xr.DataArray:
    """Draws of the response at new points.

    Parameters
    ----------
    fit : the posterior.
    points : a DataFrame, a row a point, or a mapping whose values are multiplied out; every input
        of the law in its unit, and every column that makes groups in the model, but for those that
        have one value in all runs. A group that no run had, or None, is drawn from its population:
        the same draw for all points of that group, and in all parameters.
    kind : "mean", "latent" or "run", see the table above.
    random_seed : for groups that no run had and noise. None: the fit's, so that a saved fit
        predicts the same again.

    Returns
    -------
    DataArray, dims (chain, draw, point), in the response's unit. Coordinates on ``point``: the
    columns of ``points``; for each input ``distance_<input>``, how far beyond the runs it lies, in
    decades (1 is ten times; negative is below them; 0 within), counted from the runs of the point's
    own groups where there are any; and ``unseen``, the columns whose value no run had. Attributes
    say the kind, and whether the chains agree.

    Raises
    ------
    RunsError : points outside the law's domain, or columns missing: all faults at once.
    SpecError : an unknown kind, or a group that no run had where groups are not pooled (``0 +
        group``).
    """
    require_kind(kind)
    given = grid(points)
    table = checked_points(fit.design, fit.runs, given)
    values = np.empty((fit.samples, len(table)))

    def keep(rows: np.ndarray, drawn: np.ndarray) -> None:
        values[:, rows] = drawn

    each_block_of_draws(fit, table, kind, random_seed, keep)
    distance = extrapolation_distance(fit, table)
    coords = {str(name): ("point", table[name].to_numpy()) for name in map(str, given.columns)}
    coords |= {str(name): ("point", x.to_numpy()) for name, x in distance.items()}
    response = fit.law.response
    drawn = fit.dataset({"drawn": values}, ["point"], coords, kind=kind, unit=response.unit)
    return drawn["drawn"].rename(response.name)  # only now: the points may have such a column


@dataclass(frozen=True, slots=True)
class Block:
    """Points that are predicted together.

    Attributes
    ----------
    rows : which of the points, (row,).
    mu : where their runs lie before noise, on the response's scale, (sample, row).
    noise : the parameters of their noise, each (sample, row) or (sample, 1).
    rng : for their noise; each block has a seed of its own.
    """

    rows: np.ndarray
    mu: np.ndarray
    noise: Mapping[str, Any]
    rng: np.random.Generator


def each_block_of_draws(
    fit: Draws,
    table: pd.DataFrame,
    kind: Kind,
    random_seed: int | None,
    use: Callable[[np.ndarray, np.ndarray], None],
) -> None:
    """Call ``use(rows, drawn)`` with the draws, (sample, row), of block after block of points."""
    link, family = fit.law.response.link, fit.spec.noise

    def draw(block: Block) -> None:
        mu = block.mu
        if kind == "run":
            mu = mu + noise.draw(family, block.noise, mu.shape, block.rng)
        # A Student-t of less than one degree of freedom overflows now and then: infinite is right.
        with np.errstate(over="ignore"):
            drawn = link.inverse(mu)
        use(block.rows, drawn)

    each_block(fit, table, kind, random_seed, draw)


def each_block(
    fit: Draws,
    table: pd.DataFrame,
    kind: Kind,
    random_seed: int | None,
    use: Callable[[Block], None],
) -> None:
    """Call ``use`` with block after block of checked points.

    On as many threads as there are cores: NumPy and the filter work outside Python's lock, and
    blocks keep memory flat however many points there are. A block is of one curve, where curves
    have paths of their own.
    """
    parameters = Parameters.at(fit, table, kind, random_seed)
    seed = fit.seed(random_seed)
    discrepancy = None
    if kind != "mean" and fit.spec.discrepancy.kind != "none":
        discrepancy = DiscrepancyDraws(parameters, table, seed)
    if discrepancy is not None and fit.spec.discrepancy.along_curves:
        curves = pd.Series(range(len(table))).groupby(discrepancy.curve)
        blocks = list(curves.indices.values())
    else:
        step = defaults.POINTS_PER_BLOCK
        blocks = np.array_split(np.arange(len(table)), range(step, len(table), step))

    def predict_one(rows: np.ndarray) -> None:
        some = table.iloc[rows]
        mu = parameters.mu_on_link(some)
        if kind == "run":
            mu = mu + parameters.baseline_error(some)
        if discrepancy is not None:
            mu = mu + discrepancy.at(rows)
        mu = np.broadcast_to(mu, (fit.samples, len(rows)))
        rng = np.random.default_rng([seed, int(rows[0])])
        use(Block(rows, mu, parameters.of_noise(some), rng))

    with ThreadPoolExecutor(cpu_count()) as pool:
        for _ in pool.map(predict_one, blocks):
            pass


@dataclass(frozen=True, slots=True)
class Observed:
    """Runs that were made, as they were predicted: on the response's scale.

    Attributes
    ----------
    rows : which of the runs, (row,).
    drawn : what a run there would log, (sample, row).
    log_density : the log predictive density of what was observed, (row,).
    """

    rows: np.ndarray
    drawn: np.ndarray
    log_density: np.ndarray


def each_block_observed(
    fit: Draws,
    table: pd.DataFrame,
    use: Callable[[Observed], None],
    *,
    random_seed: int | None = None,
) -> None:
    """Predict runs that were made, and call ``use`` with block after block of them.

    Parameters
    ----------
    table : points as `predict` takes them, with the response in its column.

    Raises
    ------
    As `predict`.
    """
    family, response = fit.spec.noise, fit.law.response
    points = checked_points(fit.design, fit.runs, table)
    y = response.link.forward(points[response.name].to_numpy(float))

    def score(block: Block) -> None:
        each = noise.log_density(family, block.noise, y[block.rows] - block.mu)
        drawn = block.mu + noise.draw(family, block.noise, block.mu.shape, block.rng)
        density = np.logaddexp.reduce(each, axis=0) - np.log(len(each))
        use(Observed(block.rows, drawn, density))

    each_block(fit, points, "run", random_seed, score)


def log_density(fit: Draws, table: pd.DataFrame, *, random_seed: int | None = None) -> np.ndarray:
    """The log of the posterior predictive density of runs that were made, (point,), per unit of the
    response.

    Parameters
    ----------
    table : points as `predict` takes them, with the response in its column.

    Raises
    ------
    As `predict`.
    """
    link, response = fit.law.response.link, fit.law.response.name
    density = np.empty(len(table))

    def keep(observed: Observed) -> None:
        density[observed.rows] = observed.log_density

    each_block_observed(fit, table, keep, random_seed=random_seed)
    return density + np.log(abs(link.slope(table[response].to_numpy(float))))
