"""The log density of curves as an operation of PyTensor: the filter's value, with its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key

from bayeslaw.curves.filter import log_likelihood


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
        for storage, value in zip(
            output_storage, log_likelihood(self.states)(*inputs), strict=True
        ):
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
    likelihood = log_likelihood(op.states)

    @numba_njit
    def run(r, R, seen, Phi, Q, h):  # type: ignore[no-untyped-def]
        logp, d_r, d_R, d_Phi, d_Q = likelihood(r, R, seen, Phi, Q, h)
        return np.asarray(logp), d_r, d_R, d_Phi, d_Q

    return run, 1
