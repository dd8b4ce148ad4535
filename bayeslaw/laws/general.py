"""The law of pretraining whose form is uncertain, with priors learnt from public ladders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bayeslaw.laws.base import (
    INPUTS,
    LOSS_AT_CENTRE,
    SHARE_AT_CENTRE,
    Input,
    Law,
    Param,
    scale_of_groups,
)
from bayeslaw.laws.pretraining import LOSS, Chinchilla, Skaling
from bayeslaw.learnt.record import learnt_prior
from bayeslaw.priors import Prior, lognormal


@dataclass(frozen=True)
class Pretraining(Law):
    r"""Pretraining loss against model size and data, where the form itself is uncertain.

    .. math:: L(N, D) = E + \left(\frac{A}{N^\alpha} + \frac{B}{D^\beta}\right)^k

    N : parameters. D : training tokens. L, E : nats per token. k : coupling. A, B : nats per token
    to the power 1/k, at N = 1 and D = 1.

    The form is that of `Skaling` with the ratio of the exponents free. At k = 1 it is `chinchilla`,
    with E = 0 and beta = 1 it is `kaplan`, and between them lies what public ladders look like. The
    priors of the exponents, of k and of the irreducible share are the populations of these ladders
    (`bayeslaw.learnt`), so that a table with few runs is forecast as they were.

    Exponents and the coupling are shared by groups unless asked otherwise.

    Fails on repeated data (see `DataConstrained`) and in the first steps of training.

    References
    ----------
    Videau, Youbi-Idrissi, Lopez-Paz, Ahuja 2026, arXiv 2608.07222. Hoffmann et al. 2022, arXiv
    2203.15556, eq. 2. Kaplan et al. 2020, arXiv 2001.08361, eq. 1.5.
    """

    name = "pretraining"
    formula = Skaling.formula
    source = "Videau et al. 2026, arXiv 2608.07222; priors learnt from public ladders"
    response = LOSS
    params = {
        "A": Param(
            "A",
            "loss due to model size, to the power 1/k, at one parameter",
            lognormal(1.0, 0.5, relative=True),
            at_centre=LOSS_AT_CENTRE,
        ),
        "B": Param(
            "B",
            "loss due to data, to the power 1/k, at one token",
            Prior("Beta", alpha=1.5, beta=1.5),
            support="unit",
            at_centre="share of data in what is reducible at the table's centre",
            group_scale=scale_of_groups(0.3),
        ),
        "E": Param(
            "E",
            "irreducible loss",
            learnt_prior("pretraining", "E_at_centre"),
            support="unit",
            at_centre=SHARE_AT_CENTRE,
            group_scale=scale_of_groups(0.2),
        ),
        "alpha": Param(
            "α",
            "exponent of model size, before the coupling",
            learnt_prior("pretraining", "alpha_at_centre"),
            at_centre="k times alpha",
            varies=False,
        ),
        "beta": Param(
            "β",
            "exponent of data, before the coupling",
            learnt_prior("pretraining", "beta_at_centre"),
            at_centre="beta over alpha",
            varies=False,
        ),
        "k": Param(
            "k",
            "coupling of model size and data; 1 is none",
            learnt_prior("pretraining", "k"),
            varies=False,
        ),
    }
    quantities = Chinchilla.quantities
    monotone = Skaling.monotone
    limits = Skaling.limits

    @property
    def arguments(self) -> Mapping[str, Input]:
        return {name: INPUTS[name] for name in ("model_size", "data_size")}

    @staticmethod
    def expected(**arguments: Any) -> Any:
        return Skaling.expected(**arguments)

    @staticmethod
    def at_centre(*, A: Any, E: Any, **others: Any) -> dict[str, Any]:
        return {**Skaling.at_centre(A=A * (1 - E), **others), "E": E * A}

    @staticmethod
    def optimal_size(*, product: Any, **params: Any) -> Any:
        return Skaling.optimal_size(product=product, **params)

    @staticmethod
    def size_exponent(*, alpha: Any, beta: Any, **_: Any) -> Any:
        return Chinchilla.size_exponent(alpha=alpha, beta=beta)

    @staticmethod
    def data_exponent(*, alpha: Any, beta: Any, **_: Any) -> Any:
        return Chinchilla.data_exponent(alpha=alpha, beta=beta)
