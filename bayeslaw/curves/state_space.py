r"""A curve's own process as a state space, and the runs of many curves as one sequence of points.

.. math:: z_i = \Phi_i z_{i-1} + u_i, \quad u_i \sim N(0, Q_i), \qquad \delta(t_i) = h^\top z_i

The process is a sum of the components of `bayeslaw.spec.discrepancy`. Each component has states of
its own, so Phi and Q are block-diagonal. t is in units of the law's axis ("decades").

References
----------
Hartikainen and Särkkä 2010, IEEE MLSP: the Matérn-3/2 process. Wahba 1978, JRSS B 40(3): the
integrated Wiener processes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from bayeslaw.laws import ops
from bayeslaw.spec.discrepancy import COMPONENTS

#: The non-zero entries of a matrix, by row and column.
Entries = Mapping[tuple[int, int], Any]


def curvature(sigma: Any) -> Any:
    """The spectral density q of the white noise that bends a curve.

    Within a decade it moves the curve by sigma = (q / 3)^(1/2), as a standard deviation.
    """
    return 3 * sigma**2


def matern(step: Any, first: Any, params: Mapping[str, Any]) -> tuple[Entries, Entries]:
    r"""The Matérn-3/2 process, states level and slope, with rate :math:`\lambda = 1 / \tau`.

    .. math:: \Phi = e^{-a} \begin{pmatrix} 1 + a & h \\ -\lambda a & 1 - a \end{pmatrix},
        \quad a = \lambda h, \quad
        Q_\infty = \mathrm{diag}\left(\frac{q}{4 \lambda^3}, \frac{q}{4 \lambda}\right)
    """
    later = 1 - first
    q, rate = curvature(params["delta_sigma"]), 1 / params["delta_memory"]
    a = rate * step
    decay, gone = later * ops.exp(-a), later * ops.exp(-2 * a)
    level, slope = q / (4 * rate**3), q / (4 * rate)  # the stationary variances
    both = q * step**2 * gone / 2
    Phi = {
        (0, 0): (1 + a) * decay,
        (0, 1): step * decay,
        (1, 0): -rate * a * decay,
        (1, 1): (1 - a) * decay,
    }
    Q = {
        (0, 0): level * (1 - gone * (1 + 2 * a + 2 * a**2)),
        (1, 1): slope * (1 - gone * (1 - 2 * a + 2 * a**2)),
        (0, 1): both,
        (1, 0): both,
    }
    return Phi, Q


def wiener(step: Any, first: Any, params: Mapping[str, Any]) -> tuple[Entries, Entries]:
    r"""The integrated Wiener process, states level and slope; its slope at the start is free.

    .. math:: \Phi = \begin{pmatrix} 1 & h \\ 0 & 1 \end{pmatrix}, \quad
        Q = q \begin{pmatrix} h^3/3 & h^2/2 \\ h^2/2 & h \end{pmatrix}
    """
    later = 1 - first
    q = curvature(params["trend_sigma"]) * later
    slope = params["trend_slope"] ** 2 * first
    both = q * step**2 / 2
    Phi = {(0, 0): later, (0, 1): later * step, (1, 1): later}
    Q = {(0, 0): q * step**3 / 3, (1, 1): q * step + slope, (0, 1): both, (1, 0): both}
    return Phi, Q


def smooth(step: Any, first: Any, params: Mapping[str, Any]) -> tuple[Entries, Entries]:
    r"""The twice integrated Wiener process, states level, slope and curvature.

    .. math:: \Phi = \begin{pmatrix} 1 & h & h^2/2 \\ 0 & 1 & h \\ 0 & 0 & 1 \end{pmatrix}, \quad
        Q = q \begin{pmatrix} h^5/20 & h^4/8 & h^3/6 \\ h^4/8 & h^3/3 & h^2/2 \\
        h^3/6 & h^2/2 & h \end{pmatrix}
    """
    later = 1 - first
    # Within one unit the process moves by (q / 20)^(1/2), as a standard deviation.
    q = 20 * params["smooth_sigma"] ** 2 * later
    moved = later * step
    Phi = {
        (0, 0): later,
        (1, 1): later,
        (2, 2): later,
        (0, 1): moved,
        (1, 2): moved,
        (0, 2): later * step**2 / 2,
    }
    level_slope, level_bend = q * step**4 / 8, q * step**3 / 6
    slope_bend = q * step**2 / 2
    Q = {
        (0, 0): q * step**5 / 20,
        (1, 1): q * step**3 / 3,
        (2, 2): q * step,
        (0, 1): level_slope,
        (1, 0): level_slope,
        (0, 2): level_bend,
        (2, 0): level_bend,
        (1, 2): slope_bend,
        (2, 1): slope_bend,
    }
    return Phi, Q


def local(step: Any, first: Any, params: Mapping[str, Any]) -> tuple[Entries, Entries]:
    r"""The Ornstein-Uhlenbeck process, state level.

    .. math:: \Phi = e^{-h/\tau_o}, \quad Q = \sigma_o^2 (1 - e^{-2h/\tau_o})
    """
    later = 1 - first
    decay, variance = later * ops.exp(-step / params["local_length"]), params["local_sigma"] ** 2
    return {(0, 0): decay}, {(0, 0): variance * (1 - decay**2)}


#: The transition and the innovation of each component, as the entries that are not zero.
BLOCKS = {"matern": matern, "wiener": wiener, "smooth": smooth, "local": local}


def state_space(
    own: Sequence[str],
    step: Any,
    first: Any,
    params: Mapping[str, Any],
    stack: Callable[..., Any] = np.stack,
) -> tuple[Any, Any, np.ndarray]:
    """The transitions and innovations of a curve's own process from point to point.

    Parameters
    ----------
    own : names of components.
    step : decades from the previous point, (..., point).
    first : 1 at the first point of each curve, else 0, (point,).
    params : the components' parameters, each of a shape that broadcasts with ``step``.
    stack : the function that stacks arrays: NumPy's or PyTensor's.

    Returns
    -------
    Phi, Q : (..., point, state, state). At the first point of a curve Phi is 0, and Q the initial
        covariance.
    h : NumPy, (state,).
    """
    h = observed_states(own, own)
    size = len(h)
    names = [name for component in own for name in COMPONENTS[component].params]
    zero = 0.0 * (1 - first) * sum(params[name] for name in names)
    Phi: dict[tuple[int, int], Any] = {}
    Q: dict[tuple[int, int], Any] = {}
    start = 0
    for name in own:
        for matrix_of_all, block in zip((Phi, Q), BLOCKS[name](step, first, params), strict=True):
            for (i, j), entry in block.items():
                matrix_of_all[start + i, start + j] = entry
        start += COMPONENTS[name].states

    def matrix(entries: Entries) -> Any:
        rows = [
            [entries[i, j] + zero if (i, j) in entries else zero for j in range(size)]
            for i in range(size)
        ]
        return stack([stack(row, axis=-1) for row in rows], axis=-2)

    return matrix(Phi), matrix(Q), h


def observed_states(own: Sequence[str], components: Collection[str]) -> np.ndarray:
    """1 at the level of each of these components, 0 at the other states of the process, (state,).

    >>> observed_states(("wiener", "local"), ("wiener",))
    array([1., 0., 0.])
    """
    levels = [[float(name in components), *[0.0] * (COMPONENTS[name].states - 1)] for name in own]
    return np.concatenate(levels)


def sequence(t: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The points of many curves as one sequence.

    Returns
    -------
    order : the points by curve and then by t.
    step : decades from the previous point of the curve; 0 at its first.
    first : 1 at the first point of a curve, else 0.
    """
    order = np.lexsort((t, labels.astype(str)))
    first = np.append(True, labels[order][1:] != labels[order][:-1])
    return order, np.where(first, 0.0, np.diff(t[order], prepend=0.0)), first.astype(float)


def runs_in_sequence(
    t: np.ndarray, labels: np.ndarray, origin: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The runs of many curves as one `sequence`, each curve starting at the origin if it has one.

    Parameters
    ----------
    t : the place of each run on its curve, (run,).
    labels : the curve of each run, (run,).
    origin : the place where every curve follows its law exactly. Each curve then starts with an
        unobserved point there. None: each curve starts with its first run.

    Returns
    -------
    run : the run at each point, (point,); at an origin, some run of its curve.
    is_run : 1 at a run, 0 at an origin, (point,).
    step, first : as for `sequence`, (point,).
    """
    run, is_run = np.arange(len(t)), np.ones(len(t))
    if origin is not None:
        starts = row_of_each_curve(labels)
        run = np.append(run, starts)
        is_run = np.append(is_run, np.zeros(len(starts)))
        t = np.append(t, np.full(len(starts), origin))
    order, step, first = sequence(t, labels[run])
    return run[order], is_run[order], step, first


def row_of_each_curve(labels: np.ndarray) -> np.ndarray:
    """The position of the first row of each curve, (curve,), curves in sorted order."""
    return np.unique(labels.astype(str), return_index=True)[1]
