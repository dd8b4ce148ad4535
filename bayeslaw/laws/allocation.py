r"""Laws of allocation: how the compute-optimal model size and data grow with compute.

They are fitted to optima that were found (`Allocation`), or to runs along budgets (`IsoFLOP`).

The compute of a token is 6 N FLOP, or more exactly

.. math:: 6 N_1 = 72 \, n \, d^2, \qquad 6 N_2 = 72 \, n \, d^2 + 6 \, V d, \qquad
    M = 72 \, n \, d^2 + 12 \, n \, d \, l

for n layers of width d, a vocabulary V and sequences of length l (DeepSeek-AI 2024, arXiv
2401.02954, eq. 2): `flops_per_token`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bayeslaw.errors import SpecError
from bayeslaw.laws import ops
from bayeslaw.laws.base import INPUTS, At, Input, Law, Param, Response, scale_of_groups
from bayeslaw.laws.pretraining import LOSS
from bayeslaw.laws.tuning import LEAST_OF_COMPUTE, least_at_centre, least_of_compute
from bayeslaw.priors import lognormal


def flops_per_token(
    layers: Any, width: Any, *, sequence_length: Any = None, vocabulary: Any = None
) -> Any:
    r"""The FLOP of training per token.

    .. math:: 6 N_1 = 72 \, n \, d^2, \qquad 6 N_2 = 6 N_1 + 6 \, V d, \qquad
        M = 6 N_1 + 12 \, n \, d \, l

    Without options it is 6 N_1, with N_1 the non-embedding parameters of Kaplan et al.

    Parameters
    ----------
    layers, width : n and d of the transformer.
    sequence_length : l, in tokens. With it, attention is counted: M, the model scale with which
        DeepSeek's fits are best (compute C = M D).
    vocabulary : V. With it, the embedding is counted: 6 N_2, with N_2 as in Hoffmann et al.

    Returns
    -------
    FLOP per token.

    Raises
    ------
    SpecError : both a sequence length and a vocabulary were given; no definition counts both.

    References
    ----------
    DeepSeek-AI 2024, arXiv 2401.02954, eq. 2 and table 3.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> bl.flops_per_token(32, 4096)
    38654705664
    >>> bl.flops_per_token(32, 4096, sequence_length=4096)
    45097156608
    """
    if sequence_length is not None and vocabulary is not None:
        raise SpecError(
            "flops_per_token counts either attention (sequence_length, M) or the embedding"
            " (vocabulary, 6 N_2), not both."
        )
    blocks = 72 * layers * width**2
    if sequence_length is not None:
        return blocks + 12 * layers * width * sequence_length
    return blocks if vocabulary is None else blocks + 6 * vocabulary * width


#: What grows with compute, by the option ``of``. More of it is what compute is spent on, so that a
#: target for it is met from there upwards.
OPTIMA: Mapping[str, Response] = {
    name: Response(response, unit, "log", (1e-2, 1e2), higher_is_better=True, usual=usual)
    for name, response, unit, usual in (
        ("model_scale", "optimal_model_scale", "FLOP per token", (6e4, 6e14)),
        ("model_size", "optimal_model_size", "parameters", INPUTS["model_size"].plausible),
        ("data_size", "optimal_data", "tokens", INPUTS["data_size"].plausible),
    )
}


@dataclass(frozen=True)
class Allocation(Law):
    r"""The compute-optimal model or data against compute (DeepSeek LLM 2024, eq. 4; Hoffmann et al.
    2022, approaches 1 and 2).

    .. math:: Y_\mathrm{opt}(C) = G \, C^{a}

    C (compute) : FLOP. Y : what ``of`` names: model_scale (FLOP per token), model_size
    (parameters), data_size (tokens). G : Y at C = 1. a : exponent.

    Fails where the optimum was read off parabolas that are not centred on it (arXiv 2603.22339):
    fit the runs themselves then (`isoflop`, `chinchilla`).

    References
    ----------
    DeepSeek-AI 2024, arXiv 2401.02954, eq. 4: M_opt = .1715 C^.5243, D_opt = 5.8316 C^.4757.
    Hoffmann et al. 2022, arXiv 2203.15556, table 2.
    """

    name = "allocation"
    formula = "G * compute^a"
    source = "DeepSeek-AI 2024, arXiv 2401.02954, eq. 4"
    params = {
        "G": Param(
            "G",
            "the optimum, at one FLOP",
            lognormal(1.0, 0.5, relative=True),
            at_centre="G times (compute at the table's centre)^a",
        ),
        "a": Param("a", "exponent of compute", lognormal(0.5, 0.25), varies=False),
    }
    monotone = {"compute": "increasing"}
    choices = {"of": tuple(OPTIMA)}
    of: str = "model_size"

    def __post_init__(self) -> None:
        self.check_option("of", self.of, self.choices["of"])

    @property
    def response(self) -> Response:
        return OPTIMA[self.of]

    @property
    def arguments(self) -> Mapping[str, Input]:
        return {"compute": INPUTS["compute"]}

    @staticmethod
    def expected(*, compute: Any, G: Any, a: Any) -> Any:
        return G * compute**a

    @staticmethod
    def at_centre(*, compute: Any, G: Any, a: Any) -> dict[str, Any]:
        return {"G": G / compute**a}


@dataclass(frozen=True)
class IsoFLOP(Law):
    r"""Loss along budgets of equal compute: a parabola in log model size for each (Hoffmann et al.
    2022, approach 2).

    .. math:: L(C, N) = E + \frac{A}{C^\gamma}
        + \frac{\kappa}{2} \log^2 \frac{N}{N_\mathrm{opt}}, \qquad N_\mathrm{opt}(C) = G \, C^{a}

    C (compute) : FLOP. N (model_size) : parameters. L, E : nats per token. A : nats per token, at
    C = 1. gamma : exponent of compute in the least loss. kappa : curvature, nats per token. G :
    parameters, at C = 1. a : exponent of compute in the optimal model size.

    Each budget has a curvature, a least loss and an optimum of its own, around those of the power
    laws.

    Fails by a bias of the optimum where a budget's sizes lie to one side of it, even without noise:
    the true curve is no parabola (arXiv 2603.22339). Keep to a factor of three or four around the
    optimum.

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, section 3.2 (approach 2) and table 2: a = .49.
    """

    name = "isoflop"
    formula = "E + A / compute^gamma + kappa / 2 * log(model_size / (G * compute^a))^2"
    source = "Hoffmann et al. 2022, arXiv 2203.15556, section 3.2"
    response = LOSS
    params = {
        **LEAST_OF_COMPUTE,
        "kappa": Param(
            "κ",
            "curvature of the loss in log model size",
            lognormal(0.05, 0.8, relative=True),
            deviates_by=("compute",),
            varies=False,
        ),
        "G": Param(
            "G",
            "the optimal model size, at one FLOP",
            lognormal(1.0, 1.0),
            at_centre="model_size_opt over model_size at the table's centre",
            deviates_by=("compute",),
            group_scale=scale_of_groups(0.1),
            varies=False,
        ),
        "a": Param(
            "a", "exponent of compute in the optimal model size", lognormal(0.5, 0.25), varies=False
        ),
    }

    quantities_at = {
        "loss_opt": At("the least loss of a budget", ("compute",)),
        "model_size_opt": At("the model size of the least loss, parameters", ("compute",)),
    }

    @property
    def arguments(self) -> Mapping[str, Input]:
        return {name: INPUTS[name] for name in ("compute", "model_size")}

    loss_opt = staticmethod(least_of_compute)

    @staticmethod
    def model_size_opt(*, compute: Any, G: Any, a: Any, **_: Any) -> Any:
        return Allocation.expected(compute=compute, G=G, a=a)

    @classmethod
    def expected(cls, *, model_size: Any, kappa: Any, **arguments: Any) -> Any:
        return (
            cls.loss_opt(**arguments)
            + kappa / 2 * ops.log(model_size / cls.model_size_opt(**arguments)) ** 2
        )

    @staticmethod
    def at_centre(
        *, compute: Any, model_size: Any, A: Any, gamma: Any, E: Any, G: Any, a: Any, **_: Any
    ) -> dict[str, Any]:
        return {
            **least_at_centre(compute=compute, A=A, gamma=gamma, E=E),
            "G": G * model_size / compute**a,
        }
