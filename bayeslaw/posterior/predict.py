"""The posterior predictive at new points, of one of three kinds.

| kind | what is predicted | what its draws vary with |
|---|---|---|
| ``"mean"`` | the expected curve | the parameters; an unseen level has the population's value |
| ``"latent"`` | a run without its error | also an unseen level's deviation, discrepancy, misfit |
| ``"run"`` | what a new run would log | also noise |

The expected curve is the law's, with what the runs lead to expect of the discrepancy
(`bayeslaw.posterior.discrepancy.ExpectedDiscrepancy`). Decisions use ``"run"``. Averages are taken
in the response's unit, not on its scale.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.errors import SpecError
from bayeslaw.posterior.discrepancy import DiscrepancyDraws, ExpectedDiscrepancy
from bayeslaw.posterior.draws import Draws, Kind, require_kind
from bayeslaw.posterior.misfit import MisfitDraws
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
    points : a DataFrame, one row per point, or a mapping, whose values are multiplied out. It has
        every input of the law in its unit, and every column that makes groups in the model; a
        column with one value in all runs may be left out. The deviation of an unseen level, or of
        None, is drawn from the population: one draw for all points of that level.
    kind : "mean", "latent" or "run", see the table above.
    random_seed : for unseen levels and noise. None: the fit's, so that a saved fit predicts the
        same again.

    Returns
    -------
    DataArray, dims (chain, draw, point), in the response's unit. Coordinates on ``point``: the
    columns of ``points``; ``distance_<input>``, how far the input lies beyond the runs of the
    point's own groups (of all runs, for an unseen level), in decades: 1 is ten times the largest,
    negative is below the smallest, 0 is between; ``distance_joint``, for laws of several inputs,
    how far all together lie beyond the runs (`bayeslaw.posterior.points.extrapolation_distance`);
    ``unseen``, the columns whose value no run had.
    Attributes: ``kind``, ``unit``, and ``converged``, 1 if the chains agree.

    Raises
    ------
    RunsError : points outside the law's domain, or columns missing: all faults at once.
    SpecError : an unknown kind, an unseen level where groups are not pooled (``0 + group``), or
        more draws than the memory holds: `bayeslaw.posterior.bands.bands` needs little.
    SamplingError : the fit has draws that are not finite numbers.

    Examples
    --------
    ``predict(fit, {"model_size": [1e9, 7e10], "data_size": 1.4e12})`` has the dims chain, draw and
    point, with two points.
    """
    require_kind(kind)
    asked = grid(points)
    table = checked_points(fit.design, fit.runs, asked)
    _require_memory(fit.samples, len(table))
    values = _drawn(fit, table, kind, random_seed)
    distance = extrapolation_distance(fit, table)
    coords = {str(name): ("point", table[name].to_numpy()) for name in map(str, asked.columns)}
    coords |= {str(name): ("point", x.to_numpy()) for name, x in distance.items()}
    response = fit.law.response
    drawn = fit.dataset({"drawn": values}, ["point"], coords, kind=kind, unit=response.unit)
    # Renamed last, because the points may have a column of the response's name.
    return drawn["drawn"].rename(response.name)


def along(fit: Draws, table: pd.DataFrame, kind: Kind, over: str) -> np.ndarray:
    """Draws of the response at checked points along an input, (sample, row), without what single
    values of that input have of their own: deviations of the groups that it makes, and the own
    process of the curves that it sets apart.

    >>> along(fit, checked_points(fit.design, fit.runs, points), "mean", "data_size").shape
    (4000, 257)
    """
    return _drawn(fit, table, kind, None, without=over)


def _drawn(
    fit: Draws,
    table: pd.DataFrame,
    kind: Kind,
    random_seed: int | None,
    without: str | None = None,
) -> np.ndarray:
    """The draws that `each_block_of_draws` hands on, (sample, row)."""
    values = np.empty((fit.samples, len(table)))

    def keep(rows: np.ndarray, drawn: np.ndarray) -> None:
        values[:, rows] = drawn

    each_block_of_draws(fit, table, kind, random_seed, keep, without=without)
    return values


def _require_memory(samples: int, points: int) -> None:
    """Raise SpecError unless the machine could hold the draws of so many points."""
    needed = samples * points * np.dtype(float).itemsize
    try:
        has = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not every system tells
        return
    if needed > has:
        raise SpecError(
            f"{samples:,} draws of {points:,} points take {needed / 1e9:,.0f} GB, and this machine"
            f" has {has / 1e9:,.0f}. Ask for bands, which need little memory, or for fewer points."
        )


@dataclass(frozen=True, slots=True)
class Block:
    """Points that are predicted together.

    Attributes
    ----------
    rows : their positions among the points, (row,).
    mu : the response before noise, on its scale, (sample, row).
    moments : gives the mean and the variance of ``mu`` under each draw of the parameters, each
        (sample, row) or a number: of what is drawn along a curve, its distribution.
    log_density : gives the log density of observed responses, (row,), on their scale, under each
        draw of the parameters: of each, (sample, row), or of a curve's all together, (sample, 1).
    noise : the parameters of the noise, each (sample, row) or (sample, 1).
    rng : the generator for the noise, with a seed of its own for each block.
    """

    rows: np.ndarray
    mu: np.ndarray
    moments: Callable[[], tuple[np.ndarray, np.ndarray | float]]
    log_density: Callable[[np.ndarray], np.ndarray]
    noise: Mapping[str, Any]
    rng: np.random.Generator


def each_block_of_draws(
    fit: Draws,
    table: pd.DataFrame,
    kind: Kind,
    random_seed: int | None,
    use: Callable[[np.ndarray, np.ndarray], None],
    *,
    without: str | None = None,
    joint: bool = True,
) -> None:
    """Predict points block by block: call ``use(rows, drawn)`` with draws, (sample, row).

    ``without`` and ``joint`` are as for `each_block`.
    """
    link, family = fit.law.response.link, fit.spec.noise

    def draw(block: Block) -> None:
        mu = block.mu
        if kind == "run":
            mu = mu + noise.draw(family, block.noise, mu.shape, block.rng)
        # A Student-t with less than one degree of freedom may overflow: infinite is then right.
        with np.errstate(over="ignore"):
            drawn = link.inverse(mu)
        use(block.rows, drawn)

    each_block(fit, table, kind, random_seed, draw, without=without, joint=joint)


def each_block(
    fit: Draws,
    table: pd.DataFrame,
    kind: Kind,
    random_seed: int | None,
    use: Callable[[Block], None],
    *,
    without: str | None = None,
    joint: bool = True,
) -> None:
    """Call ``use`` with each block of checked points, on as many threads as there are cores.

    NumPy and the filter work outside Python's lock, and blocks bound the memory for any number of
    points. With a discrepancy along curves, a block is the points of one curve. Where a draw need
    not be ``joint`` over points, as in bands, a curve of many points is several blocks.

    ``without`` names a column along which points are predicted as by `along`.
    """
    parameters = Parameters.at(fit, table, kind, random_seed)
    at_points = parameters.without_effects_of(without) if without else parameters
    seed = fit.seed(random_seed)
    discrepancy: DiscrepancyDraws | ExpectedDiscrepancy | None = None
    if kind == "mean" and fit.spec.discrepancy.changes_the_curve:
        discrepancy = ExpectedDiscrepancy(parameters, table, without)
    elif kind != "mean" and fit.spec.discrepancy.kind != "none":
        discrepancy = DiscrepancyDraws(parameters, table, seed, without)
    misfit = None
    if kind != "mean" and fit.spec.misfit is not None:
        misfit = MisfitDraws.of(fit, fit.spec.misfit, table, seed)
    if discrepancy is not None and fit.spec.discrepancy.along_curves:
        curves = pd.Series(range(len(table))).groupby(discrepancy.curve)
        blocks = list(curves.indices.values())
        if not joint:
            blocks = [part for rows in blocks for part in _parts(rows, defaults.POINTS_PER_CURVE)]
    else:
        blocks = _parts(np.arange(len(table)), defaults.POINTS_PER_BLOCK)

    def predict_one(rows: np.ndarray) -> None:
        points = table.iloc[rows]
        of_law = at_points.mu_on_link(points)
        if kind == "run":
            of_law = of_law + parameters.baseline_error(points)
        expected = of_law if discrepancy is None else of_law + discrepancy.at(rows)
        mu = expected if misfit is None else expected + misfit.at(rows)
        mu = np.broadcast_to(mu, (fit.samples, len(rows)))

        def moments() -> tuple[np.ndarray, np.ndarray | float]:
            if misfit is not None and fit.spec.noise == "laplace":
                return mu, 0.0  # Laplace noise plus a normal error has no closed form: draws of it
            of_misfit = 0.0 if misfit is None else misfit.variance_at(rows)
            if not isinstance(discrepancy, DiscrepancyDraws):
                return np.broadcast_to(expected, mu.shape), of_misfit
            mean, variance = discrepancy.moments(rows)
            return np.broadcast_to(of_law + mean, mu.shape), variance + of_misfit

        of_noise = parameters.of_noise(points)

        def log_density(y: np.ndarray) -> np.ndarray:
            if isinstance(discrepancy, DiscrepancyDraws) and fit.spec.discrepancy.along_curves:
                of_misfit = 0.0 if misfit is None else misfit.at(rows)
                return discrepancy.log_density(rows, y - of_law - of_misfit, of_noise)[:, None]
            return noise.log_density(fit.spec.noise, of_noise, y - mu)

        rng = np.random.default_rng([seed, int(rows[0])])
        use(Block(rows, mu, moments, log_density, of_noise, rng))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(predict_one, blocks):
            pass


def _parts(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Rows in parts of a size."""
    return np.array_split(rows, range(size, len(rows), size))


@dataclass(frozen=True, slots=True)
class Observed:
    """Predictions of observed runs, on the response's scale.

    Attributes
    ----------
    rows : their positions among the runs, (row,).
    drawn : draws of what such a run would log, (sample, row).
    log_density : the log predictive density of the observed response, (row,): the mean over the
        draws of the parameters, each with the exact density given it.
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
    """Predict observed runs block by block, and call ``use`` with each block.

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
        mean, variance = block.moments()
        of_draws = noise.log_density(family, block.noise, y[block.rows] - mean, variance)
        drawn = block.mu + noise.draw(family, block.noise, block.mu.shape, block.rng)
        density = np.logaddexp.reduce(of_draws, axis=0) - np.log(len(of_draws))
        use(Observed(block.rows, drawn, density))

    each_block(fit, points, "run", random_seed, score)


def log_density(fit: Draws, table: pd.DataFrame, *, random_seed: int | None = None) -> np.ndarray:
    """The log posterior predictive density of observed runs, (point,), per unit of the response.

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
    slope = np.asarray(link.slope(table[response].to_numpy(float)))
    return density + np.log(abs(slope))


def joint_log_density(
    fit: Draws, table: pd.DataFrame, unit: np.ndarray, *, random_seed: int | None = None
) -> np.ndarray:
    """The log posterior predictive density of the observed runs of each unit together, (unit,), in
    sorted order, per unit of the response's scale to the power of their number.

    Parameters
    ----------
    table : points as `predict` takes them, with the response in its column.
    unit : a label for each row. The rows of a curve must be of one unit.

    Raises
    ------
    As `predict`.
    """
    response = fit.law.response
    points = checked_points(fit.design, fit.runs, table)
    y = response.link.forward(points[response.name].to_numpy(float))
    names, index = np.unique(unit.astype(str), return_inverse=True)
    parts: list[tuple[int, np.ndarray]] = []

    def score(block: Block) -> None:
        # Along curves a block is a curve, whose rows are of one unit and have one density.
        of_draws = block.log_density(y[block.rows])
        parts.extend(zip(index[block.rows], of_draws.T, strict=False))

    each_block(fit, points, "run", random_seed, score)
    joint = np.zeros((len(names), fit.samples))
    for one, of_draws in parts:
        joint[one] += of_draws
    return np.asarray(np.logaddexp.reduce(joint, axis=1) - np.log(fit.samples))
