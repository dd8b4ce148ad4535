"""Laws of pretraining: loss against model size and data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bayeslaw.laws import ops
from bayeslaw.laws.base import (
    INPUTS,
    LOSS_AT_CENTRE,
    Input,
    Law,
    Limit,
    Param,
    Response,
    scale_of_groups,
)
from bayeslaw.priors import Prior, lognormal

#: Pretraining loss, in the unit of the table (nats per token in the papers).
LOSS = Response("loss", "nats per token", scale="log", plausible=(0.1, 20.0), usual=(0.1, 20.0))

#: What the laws of this file share, with their priors. An irreducible loss is some half of the
#: typical one.
IRREDUCIBLE = Param(
    "E", "irreducible loss", lognormal(0.6, 0.5, relative=True), group_scale=scale_of_groups(0.1)
)
#: Published exponents lie between .25 and .5: .34 and .28 (Hoffmann et al. 2022), .348 and .366
#: (Besiroglu et al. 2024), .353 (Muennighoff et al. 2023).
EXPONENT = lognormal(0.3, 0.6)
#: The exponents of model size and data taken as one. The compute-optimal model size then grows as
#: the square root of compute: Hoffmann et al. 2022, table 2, find .50 and .49 by the two approaches
#: that do not assume a formula, and Muennighoff et al. 2023 and Gadre et al. 2024 (arXiv
#: 2403.08540) fit one exponent. Left free on the small runs of a table, the two drift apart and the
#: forecast of the large runs with them (benchmarks/pretraining_choices.py has the figures).
SAME_EXPONENT = Prior("Constant", value=1.0)


@dataclass(frozen=True)
class Chinchilla(Law):
    r"""Pretraining loss against model size and data (Hoffmann et al. 2022, eq. 2).

    .. math:: L(N, D) = E + \frac{A}{N^\alpha} + \frac{B}{D^\beta}

    N : parameters. D : training tokens. L, E : nats per token. A, B : nats per token, at N = 1 and
    D = 1.

    Exponents are shared by groups unless asked otherwise: a corpus seldom has runs enough to show
    its own.

    Fails on repeated data (see Muennighoff et al. 2023), and far from D/N = 20: over-trained small
    models lie off it by several times their seed noise.

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, eq. 2 and section 3.3; coefficients corrected by
    Besiroglu et al. 2024, arXiv 2404.10102, table 1: A 482, B 2085, E 1.82, alpha .348, beta .366.
    """

    name = "chinchilla"
    formula = "E + A / model_size^alpha + B / data_size^beta"
    source = "Hoffmann et al. 2022, arXiv 2203.15556, eq. 2"
    response = LOSS
    params = {
        "A": Param(
            "A",
            "loss due to model size, at one parameter",
            lognormal(0.15, 1.0, relative=True),
            at_centre="loss due to model size, at the table's centre",
        ),
        "B": Param(
            "B",
            "loss due to data, at one token",
            lognormal(0.15, 1.0, relative=True),
            at_centre="loss due to data, at the table's centre",
        ),
        "E": IRREDUCIBLE,
        "alpha": Param("α", "exponent of model size", EXPONENT, varies=False),
        "beta": Param("β", "exponent of data", EXPONENT, varies=False),
    }
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
    def expected(
        *, model_size: Any, data_size: Any, A: Any, B: Any, E: Any, alpha: Any, beta: Any
    ) -> Any:
        return E + A / model_size**alpha + B / data_size**beta

    @staticmethod
    def at_centre(
        *, model_size: Any, data_size: Any, A: Any, B: Any, alpha: Any, beta: Any, **_: Any
    ) -> dict[str, Any]:
        return {"A": A * model_size**alpha, "B": B * data_size**beta}

    @staticmethod
    def optimal_size(*, product: Any, A: Any, B: Any, alpha: Any, beta: Any, **_: Any) -> Any:
        return balanced_size(product, A, B, alpha, beta)

    @staticmethod
    def size_exponent(*, alpha: Any, beta: Any, **_: Any) -> Any:
        return beta / (alpha + beta)

    @staticmethod
    def data_exponent(*, alpha: Any, beta: Any, **_: Any) -> Any:
        return alpha / (alpha + beta)


@dataclass(frozen=True)
class Skaling(Law):
    r"""Pretraining loss against model size and data that need each other (Videau et al. 2026).

    .. math:: L(N, D) = E + \left(\frac{A}{N^\alpha} + \frac{B}{D^\beta}\right)^k

    N : parameters. D : training tokens. L, E : nats per token. k : coupling; 1 is `chinchilla`, and
    below 1 each resource makes the other worth more, as in Kaplan et al. 2020, eq. 1.5. A, B : nats
    per token to the power 1/k, at N = 1 and D = 1.

    beta equals alpha unless ``beta_at_centre``, their ratio, is given a prior that lets it vary:
    see `SAME_EXPONENT` for why. Exponents and the coupling are shared by groups unless asked
    otherwise.

    Fails on repeated data (see `DataConstrained`) and in the first steps of training. Do not read
    an allocation off it: with the exponents equal, N and D grow alike by assumption.

    References
    ----------
    Videau, Youbi-Idrissi, Lopez-Paz, Ahuja 2026, arXiv 2608.07222: k between .3 and .9 on grids of
    language models. Kaplan et al. 2020, arXiv 2001.08361, eq. 1.5.
    """

    name = "skaling"
    formula = "E + (A / model_size^alpha + B / data_size^beta)^k"
    source = "Videau et al. 2026, arXiv 2608.07222"
    response = LOSS
    params = {
        "A": Param(
            "A",
            "loss due to model size, to the power 1/k, at one parameter",
            lognormal(0.3, 1.0, relative=True),
            at_centre="reducible loss at the table's centre",
        ),
        "B": Param(
            "B",
            "loss due to data, to the power 1/k, at one token",
            Prior("Beta", alpha=1.5, beta=1.5),
            support="unit",
            at_centre="share of data in what is reducible at the table's centre",
            group_scale=scale_of_groups(0.3),
        ),
        "E": IRREDUCIBLE,
        "alpha": Param(
            "α",
            "exponent of model size, before the coupling",
            EXPONENT,
            at_centre="k times alpha",
            varies=False,
        ),
        "beta": Param(
            "β",
            "exponent of data, before the coupling",
            SAME_EXPONENT,
            at_centre="beta over alpha",
            varies=False,
        ),
        "k": Param(
            "k", "coupling of model size and data; 1 is none", lognormal(0.55, 0.45), varies=False
        ),
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
    def expected(
        *, model_size: Any, data_size: Any, A: Any, B: Any, E: Any, alpha: Any, beta: Any, k: Any
    ) -> Any:
        return E + (A / model_size**alpha + B / data_size**beta) ** k

    @staticmethod
    def at_centre(
        *, model_size: Any, data_size: Any, A: Any, B: Any, alpha: Any, beta: Any, k: Any, **_: Any
    ) -> dict[str, Any]:
        alpha, bracket = alpha / k, A ** (1 / k)
        beta = beta * alpha
        return {
            "A": (1 - B) * bracket * model_size**alpha,
            "B": B * bracket * data_size**beta,
            "alpha": alpha,
            "beta": beta,
        }

    @staticmethod
    def optimal_size(*, product: Any, A: Any, B: Any, alpha: Any, beta: Any, **_: Any) -> Any:
        # the coupling is a power of the same bracket
        return balanced_size(product, A, B, alpha, beta)


@dataclass(frozen=True)
class Kaplan(Law):
    r"""Pretraining loss against model size and data, without an irreducible part (Kaplan et al.
    2020, eq. 1.5).

    .. math:: L(N, D) = \left[\left(\frac{N_c}{N}\right)^{\alpha_N / \alpha_D}
        + \frac{D_c}{D}\right]^{\alpha_D}

    N : parameters, in the paper without embeddings. D : training tokens. L : nats per token. N_c :
    parameters, and D_c : tokens, at which either alone would give a loss of 1. alpha_N, alpha_D :
    exponents of the loss in N and D where the other is endless.

    Exponents are shared by groups unless asked otherwise.

    Fails far out, where the loss comes near its irreducible part, which the form does not have; and
    its compute-optimal exponent alpha_D / (alpha_N + alpha_D) is not the .73 of the paper, which
    also counts steps and the critical batch size.

    References
    ----------
    Kaplan et al. 2020, arXiv 2001.08361, eq. 1.5 and table 2: alpha_N .076, alpha_D .103, N_c
    6.4e13, D_c 1.8e13.
    """

    name = "kaplan"
    formula = "((N_c / model_size)^(alpha_N / alpha_D) + D_c / data_size)^alpha_D"
    source = "Kaplan et al. 2020, arXiv 2001.08361, eq. 1.5"
    response = LOSS
    params = {
        "N_c": Param(
            "N_c",
            "parameters at which model size alone would give a loss of 1",
            lognormal(1.0, 0.5, relative=True),
            at_centre=LOSS_AT_CENTRE,
        ),
        "D_c": Param(
            "D_c",
            "tokens at which data alone would give a loss of 1",
            Prior("Beta", alpha=1.5, beta=1.5),
            support="unit",
            at_centre="share of data in the bracket at the table's centre",
            group_scale=scale_of_groups(0.3),
        ),
        # Kaplan et al. 2020, table 2, and the slopes of later laws where their irreducible part is
        # not taken off.
        "alpha_N": Param("α_N", "exponent of model size", lognormal(0.08, 0.5), varies=False),
        "alpha_D": Param("α_D", "exponent of data", lognormal(0.1, 0.5), varies=False),
    }
    quantities = {
        "size_exponent": "a in N_opt ∝ C^a, the compute-optimal model size: α_D / (α_N + α_D)",
        "data_exponent": "b in D_opt ∝ C^b, the compute-optimal data: α_N / (α_N + α_D)",
    }
    monotone = {"model_size": "decreasing", "data_size": "decreasing"}
    limits = (
        Limit(("model_size", "data_size"), "infinity", lambda p: 0.0),
        Limit(("model_size", "data_size"), "zero", lambda p: float("inf")),
    )

    @property
    def arguments(self) -> Mapping[str, Input]:
        return {name: INPUTS[name] for name in ("model_size", "data_size")}

    @staticmethod
    def expected(
        *, model_size: Any, data_size: Any, N_c: Any, D_c: Any, alpha_N: Any, alpha_D: Any
    ) -> Any:
        return ((N_c / model_size) ** (alpha_N / alpha_D) + D_c / data_size) ** alpha_D

    @staticmethod
    def at_centre(
        *, model_size: Any, data_size: Any, N_c: Any, D_c: Any, alpha_N: Any, alpha_D: Any
    ) -> dict[str, Any]:
        log_bracket = ops.log(N_c) / alpha_D
        log_size = (log_bracket + ops.log1p(-D_c)) * alpha_D / alpha_N
        return {
            "N_c": model_size * ops.exp(log_size),
            "D_c": data_size * D_c * ops.exp(log_bracket),
        }

    @staticmethod
    def optimal_size(
        *, product: Any, N_c: Any, D_c: Any, alpha_N: Any, alpha_D: Any, **_: Any
    ) -> Any:
        p = alpha_N / alpha_D
        return balanced_size(product, N_c**p, D_c, p, 1.0)

    @staticmethod
    def size_exponent(*, alpha_N: Any, alpha_D: Any, **_: Any) -> Any:
        return Chinchilla.size_exponent(alpha=alpha_N, beta=alpha_D)

    @staticmethod
    def data_exponent(*, alpha_N: Any, alpha_D: Any, **_: Any) -> Any:
        return Chinchilla.data_exponent(alpha=alpha_N, beta=alpha_D)


@dataclass(frozen=True)
class DataConstrained(Law):
    r"""Pretraining loss where data are repeated (Muennighoff et al. 2023).

    .. math::
        L(N, D, U) = E + \frac{A}{N'^\alpha} + \frac{B}{D'^\beta}, \qquad
        D' = U + U R_D^* \left(1 - e^{-R_D / R_D^*}\right), \qquad
        N' = U_N + U_N R_N^* \left(1 - e^{-R_N / R_N^*}\right)

    N : parameters. D : training tokens, repeats included. U (``unique_data``) : tokens that differ,
    at most D. R_D = D/U - 1 : repeats. U_N : the parameters that U tokens are worth, min(N,
    N_opt(U)) with the compute-optimal N_opt(U) of A, B, alpha, beta. R_N = N/U_N - 1 : excess
    parameters. R_D^*, R_N^* (``R_D``, ``R_N``) : repeats and excess that are worth as much as
    (1 - 1/e) of endless ones. L, E : nats per token. A, B : nats per token, at N = 1 and D = 1.

    beta equals alpha, as in the paper's fit, unless ``beta_at_centre``, their ratio, is given a
    prior that lets it vary.

    Fails where repeating does harm: loss that rises with many epochs, which this form cannot show.

    References
    ----------
    Muennighoff et al. 2023 (NeurIPS), arXiv 2305.16264, eq. 5 and 6 and appendix A. Their fit:
    alpha = beta = .353, R_D^* 15.4, R_N^* 5.3.
    """

    name = "data_constrained"
    discrepancy = "grid"
    formula = (
        "E + A / effective(model_size, minimum(model_size, optimal_size(minimum(unique_data,"
        " data_size), A, B, alpha, beta)), R_N)^alpha + B / effective(data_size,"
        " minimum(unique_data, data_size), R_D)^beta"
    )
    source = "Muennighoff et al. 2023, arXiv 2305.16264, eq. 5 and 6"
    response = LOSS
    params = {
        "A": Param(
            "A",
            "loss due to model size, at one parameter",
            lognormal(0.15, 1.0, relative=True),
            at_centre="A over (model_size at the table's centre)^alpha",
        ),
        "B": Param(
            "B",
            "loss due to data, at one token",
            lognormal(0.15, 1.0, relative=True),
            at_centre="B over (data_size at the table's centre)^beta",
        ),
        "E": IRREDUCIBLE,
        "alpha": Param("α", "exponent of model size", EXPONENT, varies=False),
        "beta": Param(
            "β", "exponent of data", SAME_EXPONENT, at_centre="beta over alpha", varies=False
        ),
        # Four epochs are nearly as good as fresh data and forty are not worth their compute
        # (Hernandez et al. 2022, arXiv 2205.10487; Xue et al. 2023, arXiv 2305.13230): of the order
        # of ten repeats, within a factor of four.
        "R_D": Param(
            "R_D*",
            "repeats that are worth 1 - 1/e of endless ones",
            lognormal(10.0, 0.8),
            varies=False,
        ),
        "R_N": Param(
            "R_N*",
            "excess parameters that are worth 1 - 1/e of endless ones",
            lognormal(10.0, 0.8),
            varies=False,
        ),
    }
    monotone = {"model_size": "decreasing", "data_size": "decreasing", "unique_data": "decreasing"}

    @property
    def arguments(self) -> Mapping[str, Input]:
        return {name: INPUTS[name] for name in ("model_size", "data_size", "unique_data")}

    @staticmethod
    def expected(
        *,
        model_size: Any,
        data_size: Any,
        unique_data: Any,
        A: Any,
        B: Any,
        E: Any,
        alpha: Any,
        beta: Any,
        R_D: Any,
        R_N: Any,
    ) -> Any:
        unique = ops.minimum(unique_data, data_size)
        data = effective(data_size, unique, R_D)
        size = effective(
            model_size, ops.minimum(model_size, optimal_size(unique, A, B, alpha, beta)), R_N
        )
        return E + A / size**alpha + B / data**beta

    @staticmethod
    def at_centre(
        *, model_size: Any, data_size: Any, A: Any, B: Any, alpha: Any, beta: Any, **_: Any
    ) -> dict[str, Any]:
        beta = beta * alpha
        return {"A": A * model_size**alpha, "B": B * data_size**beta, "beta": beta}

    def at_centred(
        self, inputs: Mapping[str, Any], params: Mapping[str, Any], centre: Mapping[str, Any]
    ) -> Any:
        # Unique data are compared with data: both in units of the same centre.
        return super().at_centred(inputs, params, {**centre, "unique_data": centre["data_size"]})

    def discrepancy_inputs(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Epochs: what repeating does is where the form is a guess."""
        return {
            "epochs": inputs["data_size"] / ops.minimum(inputs["unique_data"], inputs["data_size"])
        }

    def joint_inputs(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Epochs in place of unique data: ten times the data, all of it new, is one decade."""
        inputs = {name: inputs[name] for name in ("model_size", "data_size", "unique_data")}
        epochs = self.discrepancy_inputs(inputs)
        return {name: inputs[name] for name in ("model_size", "data_size")} | epochs


def balanced_size(product: Any, A: Any, B: Any, alpha: Any, beta: Any) -> Any:
    """The N of the least A / N^alpha + B / D^beta where N D is ``product``: Hoffmann et al. 2022,
    eq. 4, with product = C / 6.
    """
    return (alpha * A / (beta * B)) ** (1 / (alpha + beta)) * product ** (beta / (alpha + beta))


def effective(total: Any, unique: Any, worth: Any) -> Any:
    """What ``total`` is worth when only ``unique`` of it differ: Muennighoff et al. 2023, eq. 5;
    ``worth`` is R*.
    """
    return unique * (1 - worth * ops.expm1(-(total / unique - 1) / worth))


def optimal_size(data_size: Any, A: Any, B: Any, alpha: Any, beta: Any) -> Any:
    """The model size for which ``data_size`` tokens are compute-optimal: alpha A / N^alpha = beta B
    / D^beta (Hoffmann et al. 2022, eq. 4).
    """
    return (alpha * A / (beta * B) * data_size**beta) ** (1 / alpha)
