"""The log density of curves as a PyTensor operation: the filter's value and its gradient."""

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
    """The log density of residuals under a state space, and its gradient as further outputs.

    Inputs: the residuals r, the noise variances R, and ``seen``, 1 where a residual counts, else 0,
    each (point,); Phi and Q, (point, state, state); h, (state,). Outputs: the log density, and its
    derivatives by r, R, Phi and Q, which the sampler needs in any case.
    """

    __props__ = ("states",)

    def __init__(self, states: int):
        self.states = states

    def make_node(self, *inputs: Any) -> Apply[Any]:
        r, R, seen, Phi, Q, h = (pt.as_tensor(x) for x in inputs)
        return Apply(
            self, [r, R, seen, Phi, Q, h], [pt.dscalar(), r.type(), R.type(), Phi.type(), Q.type()]
        )

    def perform(self, node: Apply[Any], inputs: Any, output_storage: Any) -> None:
        outputs = log_likelihood(self.states)(*inputs)
        for storage, value in zip(output_storage, outputs, strict=True):
            storage[0] = np.asarray(value)

    def infer_shape(self, node: Apply[Any], shapes: Any) -> list[Any]:
        r, R, _, Phi, Q, _ = shapes
        return [(), r, R, Phi, Q]

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        by_r, by_R, by_Phi, by_Q = (cotangents[0] * gradient for gradient in outputs[1:])
        return [by_r, by_R, DisconnectedType()(), by_Phi, by_Q, DisconnectedType()()]

    def connection_pattern(self, node: Apply[Any]) -> list[list[bool]]:
        return [[True] * 5, [True] * 5, [False] * 5, [True] * 5, [True] * 5, [False] * 5]


@register_funcify_default_op_cache_key(Filtered)
def _(op: Filtered, **_: Any) -> tuple[Callable[..., Any], int]:
    """The Numba function of the operation, and the version of its cache key."""
    likelihood = log_likelihood(op.states)

    @numba_njit
    def run(r, R, seen, Phi, Q, h):  # type: ignore[no-untyped-def]
        logp, d_r, d_R, d_Phi, d_Q = likelihood(r, R, seen, Phi, Q, h)
        return np.asarray(logp), d_r, d_R, d_Phi, d_Q

    return run, 1
