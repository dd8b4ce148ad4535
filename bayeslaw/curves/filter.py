r"""A Kalman filter, its gradient, and draws of the path that it filters, compiled by Numba.

The model is that of `bayeslaw.curves.state_space`, observed with independent noise:

.. math::
    z_i &= \Phi_i z_{i-1} + u_i, \quad u_i \sim N(0, Q_i) \tag{1} \\
    r_i &= h^\top z_i + e_i, \quad e_i \sim N(0, R_i) \tag{2}

Prediction, innovation and update, with the mean m of the state and its covariance P:

.. math::
    m_i^- &= \Phi_i m_{i-1}, \quad P_i^- = \Phi_i P_{i-1} \Phi_i^\top + Q_i \tag{3} \\
    v_i &= r_i - h^\top m_i^-, \quad S_i = h^\top P_i^- h + R_i, \quad g_i = P_i^- h \tag{4} \\
    m_i &= m_i^- + g_i v_i / S_i, \quad P_i = P_i^- - g_i g_i^\top / S_i \tag{5} \\
    \log p(r) &= -\tfrac12 \sum_i \log(2 \pi S_i) + v_i^2 / S_i \tag{6}

The gradient of (6) by r, R, Phi and Q differentiates each line in turn, from the last to the first.
Many curves are one sequence: at the first point of a curve Phi is zero. The time is linear in the
number of points; with a covariance matrix it would be cubic.

References
----------
Durbin and Koopman 2012, Time Series Analysis by State Space Methods, 2nd ed., sections 4.3-4.5 and
4.9.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numba
import numpy as np

#: The options of fast-math without those that assume that nothing overflows.
FAST = frozenset(("contract", "reassoc", "arcp", "nsz"))


def jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function compiled by Numba when it is first called, and cached on disk."""
    return numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=set(FAST))(function)


@lru_cache
def forward_pass(states: int) -> Callable[..., Any]:
    """The filter, equations 3 to 6, compiled for a number of states."""
    J = states  # known to the compiler, so that it unrolls the small loops

    @jit
    def forward(r, R, seen, Phi, Q, h):  # type: ignore[no-untyped-def]
        """The log density, the filtered and predicted states, the gains and the innovations.

        States come with their covariances, innovations with their variances.
        """
        n = r.size
        filtered, spread = np.zeros((n + 1, J)), np.zeros((n + 1, J, J))
        predicted, before = np.empty((n, J)), np.empty((n, J, J))
        gain, innovation, variance = np.empty((n, J)), np.empty(n), np.empty(n)
        PhiP = np.empty((J, J))
        logp = 0.0
        for i in range(n):
            # Equation 3: the state and its covariance, predicted.
            for a in range(J):
                total = 0.0
                for b in range(J):
                    total += Phi[i, a, b] * filtered[i, b]
                    inner = 0.0
                    for c in range(J):
                        inner += Phi[i, a, c] * spread[i, c, b]
                    PhiP[a, b] = inner
                predicted[i, a] = total
            for a in range(J):
                for b in range(a + 1):
                    total = Q[i, a, b]
                    for c in range(J):
                        total += PhiP[a, c] * Phi[i, b, c]
                    before[i, a, b] = total
                    before[i, b, a] = total
            # Equation 4: the innovation and its variance.
            v, S = r[i], R[i]
            for a in range(J):
                v -= h[a] * predicted[i, a]
                total = 0.0
                for b in range(J):
                    total += before[i, a, b] * h[b]
                gain[i, a] = total
                S += h[a] * total
            innovation[i], variance[i] = v, S
            # Equations 5 and 6: the update, if the point was observed.
            if seen[i] == 0.0:
                for a in range(J):
                    filtered[i + 1, a] = predicted[i, a]
                    for b in range(J):
                        spread[i + 1, a, b] = before[i, a, b]
                continue
            logp -= 0.5 * (np.log(2 * np.pi * S) + v * v / S)
            for a in range(J):
                filtered[i + 1, a] = predicted[i, a] + gain[i, a] * v / S
                for b in range(J):
                    spread[i + 1, a, b] = before[i, a, b] - gain[i, a] * gain[i, b] / S
        return logp, filtered, spread, predicted, before, gain, innovation, variance

    return forward


@lru_cache
def log_likelihood(states: int) -> Callable[..., Any]:
    """The log density of the residuals and its gradient, compiled for a number of states."""
    J = states  # known to the compiler, so that it unrolls the small loops
    forward = forward_pass(states)

    @jit
    def likelihood(r, R, seen, Phi, Q, h):  # type: ignore[no-untyped-def]
        """The log density of r, and its gradient by r, R, Phi and Q.

        The gradient differentiates `forward` line by line from its end.
        """
        n = r.size
        logp, filtered, spread, _, _, gain, innovation, variance = forward(r, R, seen, Phi, Q, h)
        d_r, d_R = np.zeros(n), np.zeros(n)
        d_Phi, d_Q = np.empty((n, J, J)), np.empty((n, J, J))
        d_m, d_P, d_before, T = np.zeros(J), np.zeros((J, J)), np.empty((J, J)), np.empty((J, J))
        d_gain, Pg = np.empty(J), np.empty(J)
        for i in range(n - 1, -1, -1):
            if seen[i] == 0.0:
                for a in range(J):
                    for b in range(J):
                        d_before[a, b] = d_P[a, b]
            else:
                # Equations 6, 5 and 4 differentiated by the innovation and its variance.
                v, S = innovation[i], variance[i]
                mg, gPg = 0.0, 0.0
                for a in range(J):
                    total = 0.0
                    for b in range(J):
                        total += d_P[a, b] * gain[i, b]
                    Pg[a] = total
                    mg += d_m[a] * gain[i, a]
                    gPg += gain[i, a] * total
                d_v = (mg - v) / S
                d_S = -0.5 / S + (0.5 * v * v - mg * v + gPg) / (S * S)
                for a in range(J):
                    d_gain[a] = d_m[a] * v / S - 2 * Pg[a] / S + d_S * h[a]
                d_r[i], d_R[i] = d_v, d_S
                for a in range(J):
                    d_m[a] -= h[a] * d_v
                    for b in range(J):
                        d_before[a, b] = d_P[a, b] + 0.5 * (d_gain[a] * h[b] + h[a] * d_gain[b])
            # Equation 3 differentiated by Q, by Phi, and by the previous state.
            for a in range(J):
                for b in range(J):
                    d_Q[i, a, b] = d_before[a, b]
                    total = 0.0
                    for c in range(J):
                        total += d_before[a, c] * Phi[i, c, b]
                    T[a, b] = total
            for a in range(J):
                for b in range(J):
                    total = 0.0
                    for c in range(J):
                        total += T[a, c] * spread[i, c, b]
                    d_Phi[i, a, b] = 2 * total + d_m[a] * filtered[i, b]
            for a in range(J):
                for b in range(a + 1):
                    total = 0.0
                    for c in range(J):
                        total += Phi[i, c, a] * T[c, b]
                    d_P[a, b] = total
                    d_P[b, a] = total
                Pg[a] = 0.0
                for c in range(J):
                    Pg[a] += Phi[i, c, a] * d_m[c]
            for a in range(J):
                d_m[a] = Pg[a]
        return logp, d_r, d_R, d_Phi, d_Q

    return likelihood


@lru_cache
def path_sampler(states: int) -> Callable[..., Any]:
    """Draws of the path given the residuals, compiled for a number of states (section 4.9)."""
    J = states  # known to the compiler, so that it unrolls the small loops
    forward = forward_pass(states)

    @jit
    def paths(r, R, seen, Phi, Q, h, z, e, out):  # type: ignore[no-untyped-def]
        """For each draw, h'z at every point given the observed r, written to ``out``.

        A path is drawn from the prior, and corrected by the smoothed difference from r. r, R, e and
        out are (draw, point); Phi and Q (draw, point, state, state); z (draw, point, state). z and
        e are standard normal.
        """
        n = seen.size
        L, state, moved = np.empty((J, J)), np.zeros(J), np.empty(J)
        wrong, d_m = np.empty(n), np.zeros(J)
        for s in range(r.shape[0]):
            state[:] = 0.0
            for i in range(n):
                for a in range(J):  # Cholesky factor of Q, which may be singular
                    for b in range(a + 1):
                        total = Q[s, i, a, b]
                        for c in range(b):
                            total -= L[a, c] * L[b, c]
                        if a == b:
                            L[a, a] = np.sqrt(max(total, 0.0))
                        else:
                            L[a, b] = total / L[b, b] if L[b, b] > 0 else 0.0
                out[s, i] = 0.0
                for a in range(J):
                    total = 0.0
                    for b in range(J):
                        total += Phi[s, i, a, b] * state[b]
                    for b in range(a + 1):
                        total += L[a, b] * z[s, i, b]
                    moved[a] = total
                    out[s, i] += h[a] * total
                state[:] = moved
                wrong[i] = r[s, i] - out[s, i] - np.sqrt(R[s, i]) * e[s, i]
            _, _, _, predicted, before, gain, innovation, variance = forward(
                wrong, R[s], seen, Phi[s], Q[s], h
            )
            d_m[:] = 0.0
            for i in range(n - 1, -1, -1):
                if seen[i] != 0.0:
                    mg = 0.0
                    for a in range(J):
                        mg += d_m[a] * gain[i, a]
                    d_v = (mg - innovation[i]) / variance[i]
                    for a in range(J):
                        d_m[a] -= h[a] * d_v
                # The smoothed state is the predicted one plus its covariance times the gradient.
                for a in range(J):
                    total = predicted[i, a]
                    for b in range(J):
                        total += before[i, a, b] * d_m[b]
                    out[s, i] += h[a] * total
                for a in range(J):
                    moved[a] = 0.0
                    for c in range(J):
                        moved[a] += Phi[s, i, c, a] * d_m[c]
                d_m[:] = moved

    return paths


@lru_cache
def path_moments(states: int) -> Callable[..., Any]:
    """Mean and variance of the path given the residuals, compiled for a number of states (section
    4.4).
    """
    J = states  # known to the compiler, so that it unrolls the small loops
    forward = forward_pass(states)

    @jit
    def moments(r, R, seen, Phi, Q, h, p, mean, variance_of):  # type: ignore[no-untyped-def]
        """For each draw, mean and variance of p'z at every point given the observed r.

        r, R, mean and variance_of are (draw, point); Phi and Q (draw, point, state, state). p,
        (state,), is h with zeros at the states that do not count. With u and N the gradient of (6)
        by the predicted state and its negative Hessian, the smoothed state has the mean m + P u and
        the covariance P - P N P.
        """
        n = seen.size
        u, moved, Pn = np.zeros(J), np.empty(J), np.empty(J)
        N, T, L = np.zeros((J, J)), np.empty((J, J)), np.empty((J, J))
        for s in range(r.shape[0]):
            _, _, _, predicted, before, gain, innovation, variance = forward(
                r[s], R[s], seen, Phi[s], Q[s], h
            )
            u[:] = 0.0
            N[:] = 0.0
            for i in range(n - 1, -1, -1):
                if seen[i] != 0.0:
                    v, S = innovation[i], variance[i]
                    ug = 0.0
                    for a in range(J):
                        ug += u[a] * gain[i, a]
                        for b in range(J):
                            L[a, b] = (1.0 if a == b else 0.0) - gain[i, a] * h[b] / S
                    for a in range(J):
                        u[a] += h[a] * (v - ug) / S
                    for a in range(J):
                        for b in range(J):
                            total = 0.0
                            for c in range(J):
                                total += N[a, c] * L[c, b]
                            T[a, b] = total
                    for a in range(J):
                        for b in range(J):
                            total = h[a] * h[b] / S
                            for c in range(J):
                                total += L[c, a] * T[c, b]
                            N[a, b] = total
                m, V = 0.0, 0.0
                for a in range(J):
                    Pn[a] = 0.0
                    for b in range(J):
                        Pn[a] += before[i, a, b] * p[b]
                for a in range(J):
                    m += p[a] * predicted[i, a] + Pn[a] * u[a]
                    V += p[a] * Pn[a]
                    for b in range(J):
                        V -= Pn[a] * N[a, b] * Pn[b]
                mean[s, i], variance_of[s, i] = m, max(V, 0.0)
                for a in range(J):
                    moved[a] = 0.0
                    for c in range(J):
                        moved[a] += Phi[s, i, c, a] * u[c]
                u[:] = moved
                for a in range(J):
                    for b in range(J):
                        total = 0.0
                        for c in range(J):
                            total += N[a, c] * Phi[s, i, c, b]
                        T[a, b] = total
                for a in range(J):
                    for b in range(J):
                        total = 0.0
                        for c in range(J):
                            total += Phi[s, i, c, a] * T[c, b]
                        N[a, b] = total

    return moments
