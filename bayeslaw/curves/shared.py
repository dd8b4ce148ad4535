"""The discrepancy that runs have in common along an input: a smooth process, given by its values at
knots."""

from __future__ import annotations

import math

import numpy as np

from bayeslaw.defaults import CURVATURE_MEMORY, SHARED_KNOTS


def knots(t: np.ndarray) -> np.ndarray:
    """Equally spaced knots over the decades of a table's inputs; at the first the process starts.

    A decade at least: a table that has one value of an input says nothing along it, and the prior
    speaks.
    """
    return np.linspace(t.min(), max(t.max(), t.min() + 1), SHARED_KNOTS + 1)


def reference(at: np.ndarray) -> np.ndarray:
    """Where the process counts as zero, (1,): near the table's centre, where laws have their level."""
    return np.array([(at[0] + at[-1]) / 2])


def extended(at: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Knots with as many more of the same spacing as reach t on the far side."""
    spacing = at[1] - at[0]
    more = max(0, math.ceil((t.max() - at[-1]) / spacing - 1e-9))
    return np.append(at, at[-1] + spacing * np.arange(1, more + 1))


def smooth_covariance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    r"""Covariance of a curve whose curvature comes and goes, a and b decades from its start, where
    it is zero.

    Its slope at the start has sd 1 a decade. Its curvature is an Ornstein-Uhlenbeck process that is
    forgotten in `CURVATURE_MEMORY` decades, scaled so that within one decade it moves the curve by
    1 (sd): with time in units of that memory and s the lesser,

    .. math:: \int_0^s \int_0^t (s-u)(t-v) e^{-|u-v|} \, du \, dv
        = s^2 t - s^3/3 - s t - s - s e^{-t} + t - t e^{-s} + e^{s-t} + 1 - e^{-t} - e^{-s}

    The two sides of the start have curvatures of their own.
    """

    def bent(s: np.ndarray, t: np.ndarray) -> np.ndarray:
        s, t = s / CURVATURE_MEMORY, t / CURVATURE_MEMORY
        early = 1 - np.exp(-t) - np.exp(-s) + np.exp(s - t)
        return s**2 * t - s**3 / 3 - s * t - s - s * np.exp(-t) + t - t * np.exp(-s) + early

    a, b = a[:, None], b[None, :]
    one = np.ones(1)
    lesser, greater = np.minimum(abs(a), abs(b)), np.maximum(abs(a), abs(b))
    return a * b + np.where(a * b > 0, bent(lesser, greater) / bent(one, one), 0.0)


def knot_factor(at: np.ndarray) -> np.ndarray:
    """(knot, knot): times independent standard normal weights, the values at the knots but the
    first, in units of the process's sigma."""
    covariance = smooth_covariance(at[1:] - at[0], at[1:] - at[0])
    return np.linalg.cholesky(covariance + 1e-10 * np.diag(np.diag(covariance)))


def basis(t: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(point, knot): times the weights, the values at t, in units of the process's sigma.

    Between knots it is the conditional mean: what knots an eighth of the table apart leave open is
    negligible, for a process this smooth.
    """
    return np.linalg.solve(knot_factor(at), smooth_covariance(at[1:] - at[0], t - at[0])).T


def draw(
    t: np.ndarray,
    at: np.ndarray,
    known: np.ndarray | None,
    samples: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draws of the process at t, (sample, point), in units of its sigma.

    Parameters
    ----------
    t : where, (point,); at : the knots of the fit.
    known : weights of the knots, (sample, knot); None: of the prior.

    Weights belong to the knots in order, so that those of knots further out leave what is known as
    it is.
    """
    drawn = np.zeros((samples, len(t)))
    farther = extended(at, t)
    weights = rng.standard_normal((samples, len(farther) - 1))
    if known is not None:
        weights[:, : known.shape[1]] = known
    after = t >= at[0]
    drawn[:, after] = weights @ basis(t[after], farther).T
    if not after.all():  # before its start the process runs backwards, on its own
        back = at[0] - t[~after]
        before = extended(at - at[0], back)
        other = rng.standard_normal((samples, len(before) - 1))
        drawn[:, ~after] = other @ basis(back, before).T
    return drawn - weights @ basis(reference(at), farther).T
