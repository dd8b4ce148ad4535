"""Laws of pretraining: loss against model size and data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bayeslaw.laws.base import INPUTS, Input, Law, Limit, Param, Response, scale_of_groups
from bayeslaw.priors import lognormal

#: Pretraining loss, in the unit of the table (nats per token in the papers).
LOSS = Response("loss", "nats per token", scale="log", plausible=(0.1, 20.0))


@dataclass(frozen=True)
class Chinchilla(Law):
    r"""Pretraining loss against model size and data (Hoffmann et al. 2022, eq. 2).

    .. math:: L(N, D) = E + \frac{A}{N^\alpha} + \frac{B}{D^\beta}

    N : parameters. D : training tokens. L, E : nats per token. A, B : nats per token, at N = 1 and D = 1.

    Exponents are shared by groups unless asked otherwise: a corpus seldom has runs enough to show its own.

    Fails on repeated data (see Muennighoff et al. 2023), and far from D/N = 20: over-trained small models lie off it by
    several times their seed noise.

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, eq. 2 and section 3.3; coefficients corrected by Besiroglu et al. 2024,
    arXiv 2404.10102, table 1: A 482, B 2085, E 1.82, alpha .348, beta .366.
    """

    name = "chinchilla"
    formula = "E + A / model_size^alpha + B / data_size^beta"
    source = "Hoffmann et al. 2022, arXiv 2203.15556, eq. 2"
    response = LOSS
    params = {
        "A": Param(
            "A", "loss due to model size, at one parameter", lognormal(0.15, 1.0, relative=True),
            at_centre="loss due to model size, at the table's centre",
        ),
        "B": Param(
            "B", "loss due to data, at one token", lognormal(0.15, 1.0, relative=True),
            at_centre="loss due to data, at the table's centre",
        ),
        "E": Param("E", "irreducible loss", lognormal(0.6, 0.5, relative=True), group_scale=scale_of_groups(0.1)),
        "alpha": Param("α", "exponent of model size", lognormal(0.3, 0.6), varies=False),
        "beta": Param("β", "exponent of data", lognormal(0.3, 0.6), varies=False),
    }  # fmt: skip
    quantities = {
        "size_exponent": "a in N_opt ∝ C^a, the compute-optimal model size: β / (α + β)",
        "data_exponent": "b in D_opt ∝ C^b, the compute-optimal data: α / (α + β)",
    }
    monotone = {"model_size": "decreasing", "data_size": "decreasing"}
    limits = (
        Limit(("model_size", "data_size"), "infinity", lambda p: p["E"]),
        Limit(("model_size", "data_size"), "zero", lambda p: float("inf")),
    )

    @property
    def arguments(self) -> Mapping[str, Input]:
        return {name: INPUTS[name] for name in ("model_size", "data_size")}

    @staticmethod
    def expected(*, model_size: Any, data_size: Any, A: Any, B: Any, E: Any, alpha: Any, beta: Any) -> Any:
        return E + A / model_size**alpha + B / data_size**beta

    @staticmethod
    def at_centre(*, model_size: Any, data_size: Any, A: Any, B: Any, alpha: Any, beta: Any, **_: Any) -> dict[str, Any]:
        return {"A": A * model_size**alpha, "B": B * data_size**beta}

    @staticmethod
    def size_exponent(*, alpha: Any, beta: Any, **_: Any) -> Any:
        return beta / (alpha + beta)

    @staticmethod
    def data_exponent(*, alpha: Any, beta: Any, **_: Any) -> Any:
        return alpha / (alpha + beta)
