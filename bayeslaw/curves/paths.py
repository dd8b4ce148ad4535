"""Draws of a curve's own process at points, given the residuals of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bayeslaw.curves.state_space import runs_in_sequence, state_space

#: Draws of a path that are made at a time: their transition matrices are some tens of megabytes.
DRAWS_PER_BLOCK = 500


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
    """`draw_paths` of one curve at points in any order, (draw, point).

    Parameters
    ----------
    origin : where the process is zero, `bayeslaw.laws.base.Axis.origin`; None: nowhere.
    t : where on the curve each point lies, (point,), in units of the law's axis.

    The others are those of `draw_paths`.
    """
    point, is_point, step, first = runs_in_sequence(t, np.full(len(t), ""), origin)
    in_order = residual[:, point], variance[:, point], seen[point] * is_point
    drawn = draw_paths(own, step, first, params, *in_order, rng)
    placed = np.empty_like(residual)
    placed[:, point[is_point == 1]] = drawn[:, is_point == 1]
    return placed


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
    """For each draw, a path of a state space at every point, given the residuals that were seen.

    Parameters
    ----------
    own, step, first, params : as `bayeslaw.curves.state_space.state_space` takes them; params
        (draw, 1).
    residual, variance : (draw, point), observed values and their noise; seen : (point,), 1 where
        there is one.

    Returns
    -------
    (draw, point)
    """
    from bayeslaw.curves.filter import path_sampler

    drawn = np.empty_like(residual)
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
        path_sampler(len(h))(*(np.ascontiguousarray(x) for x in arrays), path)
        drawn[block] = path
    return drawn
