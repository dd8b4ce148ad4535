"""Draws of a curve's own process at any points, given the residuals of its runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bayeslaw.curves.state_space import runs_in_sequence, state_space

#: Draws of one block, whose transition matrices take some tens of megabytes.
DRAWS_PER_BLOCK = 500
#: Points of a curve up to which a block has so many draws; with more points it has fewer.
POINTS_OF_BLOCK = 2000


def draw_curve(
    own: Sequence[str],
    origin: float | None,
    t: np.ndarray,
    params: Mapping[str, Any],
    residual: np.ndarray,
    variance: np.ndarray,
    seen: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """`draw_paths` for one curve whose points are in any order, (draw, point).

    Parameters
    ----------
    origin : the place where the process is zero (`bayeslaw.laws.base.Axis.origin`); None: nowhere.
    t : the place of each point on the curve, (point,), in units of the law's axis.
    own, params, residual, variance, seen, rng : as for `draw_paths`.
    """
    point, is_point, step, first = runs_in_sequence(t, np.full(len(t), ""), origin)
    sorted_residual, sorted_variance = residual[:, point], variance[:, point]
    sorted_seen = seen[point] * is_point
    in_sequence = draw_paths(
        own, step, first, params, sorted_residual, sorted_variance, sorted_seen, rng
    )
    return _in_given_order(in_sequence, point, is_point)


def curve_moments(
    own: Sequence[str],
    origin: float | None,
    t: np.ndarray,
    params: Mapping[str, Any],
    residual: np.ndarray,
    variance: np.ndarray,
    seen: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """For each draw, mean and variance of the path of one curve at every point, each (draw, point):
    what `draw_curve` draws from. The arguments are its own.
    """
    from bayeslaw.curves.filter import path_moments

    point, is_point, step, first = runs_in_sequence(t, np.full(len(t), ""), origin)
    residual, variance, seen = residual[:, point], variance[:, point], seen[point] * is_point
    mean, variance_of = np.empty(residual.shape), np.empty(residual.shape)
    for block, of_block in _blocks(params, *residual.shape):
        Phi, Q, h = state_space(own, step, first, of_block)
        arrays = (residual[block], variance[block], seen, Phi, Q, h)
        moments = path_moments(len(h))
        moments(*(np.ascontiguousarray(x) for x in arrays), mean[block], variance_of[block])
    return _in_given_order(mean, point, is_point), _in_given_order(variance_of, point, is_point)


def _in_given_order(in_sequence: np.ndarray, point: np.ndarray, is_point: np.ndarray) -> np.ndarray:
    """Values at a sequence's points, (draw, point), in the order in which the points were given."""
    in_given_order = np.empty((len(in_sequence), int(is_point.sum())))
    in_given_order[:, point[is_point == 1]] = in_sequence[:, is_point == 1]
    return in_given_order


def _blocks(
    params: Mapping[str, Any], draws: int, points: int
) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
    """Blocks of draws, and the parameters of each, (draw, 1)."""
    size = max(1, DRAWS_PER_BLOCK * min(points, POINTS_OF_BLOCK) // max(points, 1))
    for start in range(0, draws, size):
        block = slice(start, start + size)
        yield (
            block,
            {name: np.broadcast_to(value, (draws, 1))[block] for name, value in params.items()},
        )


def draw_paths(
    own: Sequence[str],
    step: np.ndarray,
    first: np.ndarray,
    params: Mapping[str, Any],
    residual: np.ndarray,
    variance: np.ndarray,
    seen: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """For each draw, a path of a state space at every point, given the observed residuals.

    Parameters
    ----------
    own, step, first : as for `bayeslaw.curves.state_space.state_space`.
    params : likewise, each (draw, 1).
    residual : observed residuals, (draw, point).
    variance : variance of their noise, (draw, point).
    seen : 1 where a residual was observed, else 0, (point,).
    rng : the generator.

    Returns
    -------
    (draw, point)
    """
    from bayeslaw.curves.filter import path_sampler

    drawn = np.empty_like(residual)
    for block, of_block in _blocks(params, *residual.shape):
        Phi, Q, h = state_space(own, step, first, of_block)
        n, points = residual[block].shape
        z, e = rng.standard_normal((n, points, len(h))), rng.standard_normal((n, points))
        arrays = (residual[block], variance[block], seen, Phi, Q, h, z, e)
        path = np.empty((n, points))
        path_sampler(len(h))(*(np.ascontiguousarray(x) for x in arrays), path)
        drawn[block] = path
    return drawn
