"""A Kalman filter with its gradient, for the sampler, and draws of the path that it filters, for
prediction.

The model is that of `bayeslaw.spec.discrepancy.state_space`, observed with independent noise:

.. math:: z_i = \\Phi_i z_{i-1} + u_i, \\; u_i \\sim N(0, Q_i), \\qquad r_i = h^\\top z_i + e_i, \\; e_i \\sim N(0, R_i)

Many curves are one sequence: at the first point of a curve Phi is zero. Time is linear in the
points, where a covariance matrix would take their cube; and the value and its gradient come from
one pass forth and one back.

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
import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key

#: All of fast mathematics but what supposes that nothing overflows.
FAST = frozenset(("contract", "reassoc", "arcp", "nsz"))


@lru_cache
def compiled(states: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """``likelihood`` and ``paths`` for a number of states, known to the compiler so that it unrolls
    the small loops.
    """
    J = states

    def jit(function: Callable[..., Any]) -> Callable[..., Any]:
        return numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=set(FAST))(function)

    @jit
    def forward(r, R, seen, Phi, Q, h):  # type: ignore[no-untyped-def]
        """Predicted and filtered states, innovations and their variances; the log density of the
        innovations.
        """
        n = r.size
        filtered, spread = np.zeros((n + 1, J)), np.zeros((n + 1, J, J))
        predicted, before = np.empty((n, J)), np.empty((n, J, J))
        gain, innovation, variance = np.empty((n, J)), np.empty(n), np.empty(n)
        PhiP = np.empty((J, J))
        logp = 0.0
        for i in range(n):
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
            v, S = r[i], R[i]
            for a in range(J):
                v -= h[a] * predicted[i, a]
                total = 0.0
                for b in range(J):
                    total += before[i, a, b] * h[b]
                gain[i, a] = total
                S += h[a] * total
            innovation[i], variance[i] = v, S
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

    @jit
    def likelihood(r, R, seen, Phi, Q, h):  # type: ignore[no-untyped-def]
        """The log density of r, and its gradient by r, R, Phi and Q: `forward`, differentiated line
        by line from its end.
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

    @jit
    def paths(r, R, seen, Phi, Q, h, z, e, out):  # type: ignore[no-untyped-def]
        """For each draw, h'z at every point given the r that were seen: a path of the prior,
        corrected by what it got wrong.

        r, R, e : (draw, point); Phi, Q : (draw, point, state, state); z : (draw, point, state) and
            e standard normal.
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
                # the state is its prediction plus its covariance times the gradient there
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

    return likelihood, paths


class Filtered(Op):
    """The log density of residuals under the state space; further outputs are its gradient, which
    the sampler needs anyway.

    Inputs: r, R and seen (1 where r counts, else 0), (point,); Phi and Q, (point, state, state); h,
    (state,).
    """

    __props__ = ("states",)

    def __init__(self, states: int):
        self.states = states

    def make_node(self, *inputs: Any) -> Apply:
        r, R, seen, Phi, Q, h = (pt.as_tensor(x) for x in inputs)
        return Apply(
            self, [r, R, seen, Phi, Q, h], [pt.dscalar(), r.type(), R.type(), Phi.type(), Q.type()]
        )

    def perform(self, node: Apply, inputs: Any, output_storage: Any) -> None:
        for storage, value in zip(output_storage, compiled(self.states)[0](*inputs), strict=True):
            storage[0] = np.asarray(value)

    def infer_shape(self, node: Apply, shapes: Any) -> list[Any]:
        r, R, _, Phi, Q, _ = shapes
        return [(), r, R, Phi, Q]

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        by_r, by_R, by_Phi, by_Q = (cotangents[0] * gradient for gradient in outputs[1:])
        return [by_r, by_R, DisconnectedType()(), by_Phi, by_Q, DisconnectedType()()]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[True] * 5, [True] * 5, [False] * 5, [True] * 5, [True] * 5, [False] * 5]


@register_funcify_default_op_cache_key(Filtered)
def _(op: Filtered, **_: Any) -> tuple[Callable[..., Any], int]:
    likelihood = compiled(op.states)[0]

    @numba_njit
    def run(r, R, seen, Phi, Q, h):  # type: ignore[no-untyped-def]
        logp, d_r, d_R, d_Phi, d_Q = likelihood(r, R, seen, Phi, Q, h)
        return np.asarray(logp), d_r, d_R, d_Phi, d_Q

    return run, 1
