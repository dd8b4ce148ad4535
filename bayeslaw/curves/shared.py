"""The discrepancy that runs share along an input: a smooth process, given by values at knots."""

from __future__ import annotations

import math

import numpy as np

from bayeslaw.defaults import CURVATURE_MEMORY, SHARED_KNOTS


def knots(t: np.ndarray) -> np.ndarray:
    """Equally spaced knots over the inputs t of a table, (knot,); the process starts at the first.

    They span a decade at least. A table with one value of an input says nothing about the process
    along it, which then follows its prior.
    """
    return np.linspace(t.min(), max(t.max(), t.min() + 1), SHARED_KNOTS + 1)


def reference(at: np.ndarray) -> np.ndarray:
    """The place at which the process counts as zero, (1,): the middle of the knots ``at``.

    It is near the table's centre, where the level of a law is defined.
    """
    return np.array([(at[0] + at[-1]) / 2])


def extended(at: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The knots ``at``, followed by as many more of the same spacing as are needed to reach t."""
    spacing = at[1] - at[0]
    more = max(0, math.ceil((t.max() - at[-1]) / spacing - 1e-9))
    return np.append(at, at[-1] + spacing * np.arange(1, more + 1))


def smooth_covariance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    r"""Covariance, (a, b), of a smooth process at a and b decades from its start, where it is zero.

    Its slope at the start has a standard deviation of 1 per decade. Its curvature is an
    Ornstein-Uhlenbeck process with a memory of `CURVATURE_MEMORY` decades, scaled so that within
    one decade it moves the curve by 1 (standard deviation). With s <= t the two distances in units
    of that memory, the part due to curvature is proportional to

    .. math:: \int_0^s \int_0^t (s-u)(t-v) e^{-|u-v|} \, du \, dv
        = s^2 t - s^3/3 - s t - s - s e^{-t} + t - t e^{-s} + e^{s-t} + 1 - e^{-t} - e^{-s}

    The curvatures on the two sides of the start are independent.
    """

    def from_curvature(s: np.ndarray, t: np.ndarray) -> np.ndarray:
        s, t = s / CURVATURE_MEMORY, t / CURVATURE_MEMORY
        last_terms = 1 - np.exp(-t) - np.exp(-s) + np.exp(s - t)
        first_terms = s**2 * t - s**3 / 3 - s * t - s - s * np.exp(-t) + t - t * np.exp(-s)
        return np.asarray(first_terms + last_terms)

    a, b = a[:, None], b[None, :]
    one = np.ones(1)
    lesser, greater = np.minimum(abs(a), abs(b)), np.maximum(abs(a), abs(b))
    in_one_decade = from_curvature(one, one)
    bends = np.where(a * b > 0, from_curvature(lesser, greater) / in_one_decade, 0.0)
    return np.asarray(a * b + bends)


def knot_factor(at: np.ndarray) -> np.ndarray:
    """The matrix from independent standard normal weights to values at the knots, (knot, knot).

    The first knot, where the process is zero, is left out. Values are in units of the process's
    sigma.
    """
    covariance = smooth_covariance(at[1:] - at[0], at[1:] - at[0])
    return np.linalg.cholesky(covariance + 1e-10 * np.diag(np.diag(covariance)))


def basis(t: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The matrix from the weights to the values at t, (point, knot), in units of sigma.

    Between knots it gives the conditional mean. For a process this smooth, with knots an eighth of
    the table apart, the conditional variance is negligible.
    """
    return np.linalg.solve(knot_factor(at), smooth_covariance(at[1:] - at[0], t - at[0])).T


def expected(t: np.ndarray, at: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The mean of `draw` over its generator, (sample, point), in units of the process's sigma: what
    the weights of the fit, (sample, knot), lead to expect at t.
    """
    mean = np.zeros((len(known), len(t)))
    after = t >= at[0]
    mean[:, after] = known @ basis(t[after], at).T
    return np.asarray(mean - known @ basis(reference(at), at).T)


def draw(
    t: np.ndarray,
    at: np.ndarray,
    known: np.ndarray | None,
    samples: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draws of the process at t, (sample, point), in units of its sigma.

    Knots beyond those of the fit have weights from the prior. A weight affects only its own knot
    and later ones, so the process between the fit's knots does not change.

    Parameters
    ----------
    t : the places, (point,).
    at : the knots of the fit, (knot + 1,).
    known : the weights of the fit, (sample, knot); None: weights from the prior.
    samples : number of draws.
    rng : the generator.
    """
    drawn = np.zeros((samples, len(t)))
    farther = extended(at, t)
    weights = rng.standard_normal((samples, len(farther) - 1))
    if known is not None:
        weights[:, : known.shape[1]] = known
    after = t >= at[0]
    drawn[:, after] = weights @ basis(t[after], farther).T
    if not after.all():  # before the start, an independent process runs backwards
        distance = at[0] - t[~after]
        knots_before = extended(at - at[0], distance)
        weights_before = rng.standard_normal((samples, len(knots_before) - 1))
        drawn[:, ~after] = weights_before @ basis(distance, knots_before).T
    return np.asarray(drawn - weights @ basis(reference(at), farther).T)
