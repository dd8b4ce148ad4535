"""Draws of a curve's own process at any points, given the residuals of its runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayeslaw.curves.state_space import observed_states, runs_in_sequence, state_space

#: Draws of one block, whose transition matrices take some tens of megabytes.
DRAWS_PER_BLOCK = 500
#: Points of a curve up to which a block has so many draws; with more points it has fewer.
POINTS_OF_BLOCK = 2000


@dataclass(frozen=True, slots=True)
class Curve:
    """The points of one curve, in any order, of which some were observed.

    Attributes
    ----------
    own : names of the components of its process.
    origin : the place where the process is zero (`bayeslaw.laws.base.Axis.origin`); None: nowhere.
    t : the place of each point on the curve, (point,), in units of the law's axis.
    params, residual, variance, seen : as for `draw_paths`.
    """

    own: tuple[str, ...]
    origin: float | None
    t: np.ndarray
    params: Mapping[str, Any]
    residual: np.ndarray
    variance: np.ndarray
    seen: np.ndarray

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """`draw_paths` of this curve, (draw, point)."""
        point, is_point, step, first = self._sequence()
        residual, variance, seen = self._observed(point, is_point)
        in_sequence = draw_paths(self.own, step, first, self.params, residual, variance, seen, rng)
        return _in_given_order(in_sequence, point, is_point)

    def moments(self, components: Collection[str] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """For each draw of the parameters, mean and variance at every point, each (draw, point), of
        the sum of some components given what was observed; None: of the process that `draw` draws.
        """
        from bayeslaw.curves.filter import path_moments

        point, is_point, step, first = self._sequence()
        residual, variance, seen = self._observed(point, is_point)
        part = observed_states(self.own, self.own if components is None else components)
        mean, variance_of = np.empty(residual.shape), np.empty(residual.shape)
        for block, of_block in _blocks(self.params, *residual.shape):
            Phi, Q, h = state_space(self.own, step, first, of_block)
            arrays = (residual[block], variance[block], seen, Phi, Q, h, part)
            moments = path_moments(len(h))
            moments(*(np.ascontiguousarray(x) for x in arrays), mean[block], variance_of[block])
        return (
            _in_given_order(mean, point, is_point),
            _in_given_order(variance_of, point, is_point),
        )

    def log_density(self) -> np.ndarray:
        """The joint log density of the observed residuals under each draw of the parameters,
        (draw,).
        """
        from bayeslaw.curves.filter import forward_pass

        point, is_point, step, first = self._sequence()
        residual, variance, seen = self._observed(point, is_point)
        density = np.empty(len(residual))
        for block, of_block in _blocks(self.params, *residual.shape):
            Phi, Q, h = state_space(self.own, step, first, of_block)
            forward = forward_pass(len(h))
            of_draws = zip(residual[block], variance[block], Phi, Q, strict=True)
            for i, arrays in enumerate(of_draws, block.start):
                r, R, Phi_i, Q_i = (np.ascontiguousarray(x) for x in arrays)
                density[i] = forward(r, R, seen, Phi_i, Q_i, h)[0]
        return density

    def _sequence(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The points in order of t, as `runs_in_sequence` gives them."""
        return runs_in_sequence(self.t, np.full(len(self.t), ""), self.origin)

    def _observed(
        self, point: np.ndarray, is_point: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Residual, variance and seen in order of t."""
        return self.residual[:, point], self.variance[:, point], self.seen[point] * is_point


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
