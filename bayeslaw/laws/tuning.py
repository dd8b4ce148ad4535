r"""Laws of learning rate and batch size: the best choice at each scale, and what others lose.

.. math::
    L = L_\mathrm{opt} \left(1 + \kappa_\eta \, \frac{e^{s u} - s u - 1}{s^2}
    + \kappa_B \frac{v^2}{2}\right), \qquad
    v = \log \frac{B}{B_\mathrm{opt}}, \quad u = \log \frac{\eta}{\eta_\mathrm{opt}} - m v

This is a bowl in the two logarithms. A larger batch needs a larger learning rate (the tilt m), and
too large a learning rate does more harm than too small a one (the skew s). :math:`L_\mathrm{opt},
\eta_\mathrm{opt}, B_\mathrm{opt}` are power laws of scale: of compute (`LearningRateBatchSize`), or
of model size and data (`StepLaw`). The form of the bowl is our own; benchmarks/README.md has its
benchmark on public grids.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bayeslaw.laws import ops
from bayeslaw.laws.base import INPUTS, At, Input, Law, Param, scale_of_groups
from bayeslaw.laws.curves import Power
from bayeslaw.laws.pretraining import LOSS, Skaling
from bayeslaw.priors import Prior, lognormal

#: What a law here tunes.
TUNED = ("learning_rate", "batch_size")


def bowl(u: Any, v: Any, kappa_lr: Any, kappa_bs: Any, tilt: Any, skew: Any) -> Any:
    """How much is lost, as a share of the least loss, at u and v log units of learning rate and
    batch size from the optimum.
    """
    return kappa_lr * ops.linex(u - tilt * v, skew) + kappa_bs * v**2 / 2


#: A factor of e off in the learning rate costs some 1 %, a factor of 2.7 in the batch size too
#: (Step Law's and DeepSeek's grids: figures of both papers); the best learning rate grows with the
#: batch as its square root or slower (Malladi et al. 2022, arXiv 2205.10287).
BOWL: Mapping[str, Param] = {
    "kappa_lr": Param(
        "κ_η",
        "curvature of the loss in log learning rate, as a share of it",
        lognormal(0.015, 0.8),
        varies=False,
    ),
    "kappa_bs": Param(
        "κ_B",
        "curvature of the loss in log batch size, as a share of it",
        lognormal(0.01, 0.8),
        varies=False,
    ),
    "tilt": Param(
        "m",
        "exponent of the batch size in the best learning rate for it",
        Prior("Normal", mu=0.3, sigma=0.3),
        support="real",
        varies=False,
    ),
    "skew": Param(
        "s",
        "how much worse too large a learning rate is than too small a one",
        lognormal(0.4, 0.6),
        varies=False,
    ),
}
BEST_RATE = Param(
    "η₀",
    "scale of the optimal learning rate",
    lognormal(1.0, 1.0),
    at_centre="learning_rate_opt over learning_rate at the table's centre",
    group_scale=scale_of_groups(0.1),
    varies=False,
)
BEST_BATCH = Param(
    "B₀",
    "scale of the optimal batch size",
    lognormal(1.0, 1.0),
    at_centre="batch_size_opt over batch_size at the table's centre",
    group_scale=scale_of_groups(0.1),
    varies=False,
)
#: The least loss, as it is sampled: its level at the centre, its log slopes there, which the runs
#: determine one by one, and how much of it is irreducible, which they hardly do (some .6 of it in
#: the papers). A whole grid at one scale lies off by a fraction of a per cent.
LEVEL = Param(
    "A",
    "reducible loss",
    lognormal(1.0, 0.3, relative=True),
    at_centre="loss_opt at the table's centre",
    group_scale=scale_of_groups(0.005),
)
SHARE = Param(
    "E",
    "irreducible loss",
    Prior("Beta", alpha=4.0, beta=3.0),
    support="unit",
    at_centre="irreducible share of loss_opt at the table's centre",
    varies=False,
)
SLOPE = lognormal(0.06, 0.7)
#: The least loss as a power law of compute, E + A / C^gamma: its parameters, itself, and the way
#: back from the table's centre.
LEAST_OF_COMPUTE: Mapping[str, Param] = {
    "A": replace(LEVEL, meaning="reducible loss, at one FLOP", deviates_by=("compute",)),
    "gamma": Param(
        "γ",
        "exponent of compute in the least loss",
        SLOPE,
        at_centre="-d log loss_opt / d log compute at the table's centre",
        varies=False,
    ),
    "E": SHARE,
}


def least_of_compute(*, compute: Any, A: Any, gamma: Any, E: Any, **_: Any) -> Any:
    """The least loss at a compute."""
    return Power.expected(x=compute, A=A, alpha=gamma, E=E)


def least_at_centre(*, compute: Any, A: Any, gamma: Any, E: Any) -> dict[str, Any]:
    """A, gamma and E from what is sampled at the table's centre."""
    least = Power.at_centre(x=compute, A=A, alpha=gamma, E=E)
    return {"A": least["A"], "gamma": least["alpha"], "E": least["E"]}


OPTIMA = {
    "learning_rate_opt": "learning rate with the least loss",
    "batch_size_opt": "batch size with the least loss, tokens",
    "loss_opt": "loss at the best learning rate and batch size",
}


class TunedLaw(Law):
    """A law with a best learning rate and batch size at every scale."""

    @staticmethod
    @abstractmethod
    def loss_opt(**arguments: Any) -> Any:
        """The loss at the best choice."""

    @staticmethod
    @abstractmethod
    def learning_rate_opt(**arguments: Any) -> Any:
        """The best learning rate."""

    @staticmethod
    @abstractmethod
    def batch_size_opt(**arguments: Any) -> Any:
        """The best batch size, tokens."""

    @classmethod
    def excess(
        cls,
        *,
        learning_rate: Any,
        batch_size: Any,
        kappa_lr: Any,
        kappa_bs: Any,
        tilt: Any,
        skew: Any,
        **scale: Any,
    ) -> Any:
        """What a choice loses, as a share of the least loss."""
        u = ops.log(learning_rate / cls.learning_rate_opt(**scale))
        return bowl(
            u, ops.log(batch_size / cls.batch_size_opt(**scale)), kappa_lr, kappa_bs, tilt, skew
        )

    def discrepancy_inputs(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Scale: the bowl's form is checked by the runs around every optimum, the least loss beyond
        the runs by nothing.
        """
        return {name: x for name, x in inputs.items() if name not in TUNED}

    @classmethod
    def expected(cls, **arguments: Any) -> Any:
        return cls.loss_opt(**arguments) * (1 + cls.excess(**arguments))


@dataclass(frozen=True)
class LearningRateBatchSize(TunedLaw):
    r"""Loss against learning rate and batch size, the optimum a power law of compute (DeepSeek LLM
    2024, eq. 1).

    .. math::
        L_\mathrm{opt} = E + \frac{A}{C^\gamma}, \qquad \eta_\mathrm{opt} = \eta_0 C^{a}, \qquad
        B_\mathrm{opt} = B_0 C^{b}

    C (compute) : FLOP. learning_rate (η) : peak. batch_size (B) : tokens. The loss around the
    optimum is the bowl of this module, with the curvatures kappa_lr and kappa_bs, tilt and skew. E,
    A, gamma : parameters of the least loss, in nats per token. eta, eta_C (η₀, a), batch, batch_C
    (B₀, b) : those of the optima.

    Each compute deviates from the power laws, in the least loss, in the best learning rate and in
    its curvature.

    Fails where the split of compute between model and data moves the optimum (the authors note it;
    then `step_law`), outside the schedule, optimiser and model family of the runs, and where
    training diverges: leave those runs out.

    References
    ----------
    DeepSeek-AI 2024, arXiv 2401.02954, eq. 1: eta_opt = .3118 C^-.1250, B_opt = .2920 C^.3271
    tokens.
    """

    name = "learning_rate_batch_size"
    formula = (
        "(E + A / compute^gamma) * (1 + bowl(log(learning_rate / (eta * compute^eta_C)),"
        " log(batch_size / (batch * compute^batch_C)), kappa_lr, kappa_bs, tilt, skew))"
    )
    source = "DeepSeek-AI 2024, arXiv 2401.02954, eq. 1"
    response = LOSS
    params = {
        **LEAST_OF_COMPUTE,
        "eta": replace(BEST_RATE, deviates_by=("compute",)),
        "eta_C": Param(
            "a",
            "exponent of compute in the optimal learning rate",
            Prior("Normal", mu=-0.1, sigma=0.2),
            support="real",
            varies=False,
        ),
        "batch": BEST_BATCH,
        "batch_C": Param(
            "b",
            "exponent of compute in the optimal batch size",
            Prior("Normal", mu=0.3, sigma=0.2),
            support="real",
            varies=False,
        ),
        **BOWL,
        "kappa_lr": replace(BOWL["kappa_lr"], deviates_by=("compute",)),
    }
    quantities_at = {name: At(text, ("compute",)) for name, text in OPTIMA.items()} | {
        "excess": At("loss given up by a choice, as a share of the least loss", ("compute", *TUNED))
    }

    @property
    def arguments(self) -> Mapping[str, Input]:
        return {name: INPUTS[name] for name in ("compute", *TUNED)}

    loss_opt = staticmethod(least_of_compute)  # type: ignore[assignment]  # it names the arguments that it takes

    @staticmethod
    def learning_rate_opt(*, compute: Any, eta: Any, eta_C: Any, **_: Any) -> Any:
        return eta * compute**eta_C

    @staticmethod
    def batch_size_opt(*, compute: Any, batch: Any, batch_C: Any, **_: Any) -> Any:
        return batch * compute**batch_C

    @staticmethod
    def at_centre(
        *,
        compute: Any,
        learning_rate: Any,
        batch_size: Any,
        A: Any,
        gamma: Any,
        E: Any,
        eta: Any,
        eta_C: Any,
        batch: Any,
        batch_C: Any,
        **_: Any,
    ) -> dict[str, Any]:
        best = {
            "eta": eta * learning_rate / compute**eta_C,
            "batch": batch * batch_size / compute**batch_C,
        }
        return {**least_at_centre(compute=compute, A=A, gamma=gamma, E=E), **best}


@dataclass(frozen=True)
class StepLaw(TunedLaw):
    r"""Loss against learning rate and batch size, the optimum a power law of model size and data
    (Li et al. 2025, Step Law).

    .. math::
        L_\mathrm{opt} = E + \left(\frac{A}{N^\alpha} + \frac{B}{D^\beta}\right)^k, \qquad
        \eta_\mathrm{opt} = \eta_0 N^{a} D^{b}, \qquad B_\mathrm{opt} = B_0 D^{c}

    N (model_size) : parameters. D (data_size) : tokens. learning_rate (η) : peak. batch_size :
    tokens. The loss around the optimum is the bowl of this module, with the curvatures kappa_lr and
    kappa_bs, tilt and skew. E, A, B, alpha, beta, k : parameters of the least loss, as in
    `skaling`; beta equals alpha unless ``beta_at_centre``, their ratio, may vary. eta, eta_N, eta_D
    (η₀, a, b), batch, batch_D (B₀, c) : those of the optima.

    Each pair of model size and data deviates from the power laws, in the least loss, in the best
    learning rate and in its curvature.

    Fails outside the schedule, optimiser and model family of the runs, and where training diverges:
    leave those runs out.

    References
    ----------
    Li et al. 2025, Predictable Scale: Part I, arXiv 2503.04715, eq. 1: eta_opt = 1.79 N^-.713
    D^.307, B_opt = .58 D^.571 tokens.
    """

    name = "step_law"
    formula = (
        "(E + (A / model_size^alpha + B / data_size^beta)^k) * (1 + bowl(log(learning_rate / (eta *"
        " model_size^eta_N * data_size^eta_D)), log(batch_size / (batch * data_size^batch_D)),"
        " kappa_lr, kappa_bs, tilt, skew))"
    )
    source = "Li et al. 2025, arXiv 2503.04715, eq. 1"
    response = LOSS
    params = {
        "A": replace(
            LEVEL,
            meaning="loss due to model size, to the power 1/k, at one parameter",
            deviates_by=("model_size", "data_size"),
        ),
        "B": Param(
            "B",
            "loss due to data, to the power 1/k, at one token",
            Prior("Beta", alpha=3.0, beta=3.0),
            support="unit",
            at_centre="share of data in what is reducible of loss_opt at the table's centre",
            varies=False,
        ),
        "E": SHARE,
        "alpha": Param(
            "α",
            "exponent of model size, before the coupling",
            lognormal(0.1, 0.6),
            at_centre=(
                "log slopes of loss_opt in model_size and data_size added up at the table's centre"
            ),
            varies=False,
        ),
        "beta": Skaling.params["beta"],
        "k": Skaling.params["k"],
        "eta": replace(BEST_RATE, deviates_by=("model_size", "data_size")),
        "eta_N": Param(
            "a",
            "exponent of model size in the optimal learning rate",
            Prior("Normal", mu=-0.4, sigma=0.4),
            support="real",
            varies=False,
        ),
        "eta_D": Param(
            "b",
            "exponent of data in the optimal learning rate",
            Prior("Normal", mu=0.2, sigma=0.3),
            support="real",
            varies=False,
        ),
        "batch": BEST_BATCH,
        "batch_D": Param(
            "c",
            "exponent of data in the optimal batch size",
            Prior("Normal", mu=0.5, sigma=0.3),
            support="real",
            varies=False,
        ),
        **BOWL,
        "kappa_lr": replace(BOWL["kappa_lr"], deviates_by=("model_size", "data_size")),
    }
    quantities_at = {
        name: At(text, ("model_size", "data_size")) for name, text in OPTIMA.items()
    } | {
        "excess": At(
            "loss given up by a choice, as a share of the least loss",
            ("model_size", "data_size", *TUNED),
        )
    }

    @property
    def arguments(self) -> Mapping[str, Input]:
        return {name: INPUTS[name] for name in ("model_size", "data_size", *TUNED)}

    @staticmethod
    def loss_opt(
        *,
        model_size: Any,
        data_size: Any,
        E: Any,
        A: Any,
        B: Any,
        alpha: Any,
        beta: Any,
        k: Any,
        **_: Any,
    ) -> Any:
        return Skaling.expected(
            model_size=model_size, data_size=data_size, A=A, B=B, E=E, alpha=alpha, beta=beta, k=k
        )

    @staticmethod
    def learning_rate_opt(
        *, model_size: Any, data_size: Any, eta: Any, eta_N: Any, eta_D: Any, **_: Any
    ) -> Any:
        return eta * model_size**eta_N * data_size**eta_D

    @staticmethod
    def batch_size_opt(*, data_size: Any, batch: Any, batch_D: Any, **_: Any) -> Any:
        return batch * data_size**batch_D

    @staticmethod
    def at_centre(
        *,
        model_size: Any,
        data_size: Any,
        learning_rate: Any,
        batch_size: Any,
        A: Any,
        B: Any,
        E: Any,
        alpha: Any,
        beta: Any,
        k: Any,
        eta: Any,
        eta_N: Any,
        eta_D: Any,
        batch: Any,
        batch_D: Any,
        **_: Any,
    ) -> dict[str, Any]:
        # Here A is the least loss, and E a share of it. The log slope of the least loss, where both
        # inputs grow, is k (alpha (1 - B) + beta B) times the reducible share.
        weight = (1 - E) * (1 - B + B * beta)
        least = Skaling.at_centre(
            model_size=model_size,
            data_size=data_size,
            A=A * (1 - E),
            B=B,
            alpha=alpha / weight,
            beta=beta,
            k=k,
        )
        best = {
            "eta": eta * learning_rate / (model_size**eta_N * data_size**eta_D),
            "batch": batch * batch_size / data_size**batch_D,
        }
        return {**least, "E": E * A, **best}
