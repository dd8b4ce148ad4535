"""The law of pretraining whose form is uncertain, with priors learnt from public ladders."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from bayeslaw.laws.base import LOSS_AT_CENTRE, SHARE_AT_CENTRE, scale_of_groups
from bayeslaw.laws.pretraining import Chinchilla, Skaling
from bayeslaw.learnt.record import learnt_prior
from bayeslaw.priors import lognormal


@dataclass(frozen=True)
class Pretraining(Skaling):
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
    source = "Videau et al. 2026, arXiv 2608.07222; priors learnt from public ladders"
    params = {
        **Skaling.params,
        "A": replace(
            Skaling.params["A"],
            prior=lognormal(1.0, 0.5, relative=True),
            at_centre=LOSS_AT_CENTRE,
        ),
        "E": replace(
            Skaling.params["E"],
            prior=learnt_prior("pretraining", "E_at_centre"),
            support="unit",
            at_centre=SHARE_AT_CENTRE,
            group_scale=scale_of_groups(0.2),
        ),
        "alpha": replace(
            Skaling.params["alpha"], prior=learnt_prior("pretraining", "alpha_at_centre")
        ),
        "beta": replace(
            Skaling.params["beta"], prior=learnt_prior("pretraining", "beta_at_centre")
        ),
        "k": replace(Skaling.params["k"], prior=learnt_prior("pretraining", "k")),
    }
    quantities = Chinchilla.quantities

    @staticmethod
    def at_centre(*, A: Any, E: Any, **others: Any) -> dict[str, Any]:
        return {**Skaling.at_centre(A=A * (1 - E), **others), "E": E * A}

    size_exponent = staticmethod(Chinchilla.size_exponent)
    data_exponent = staticmethod(Chinchilla.data_exponent)
