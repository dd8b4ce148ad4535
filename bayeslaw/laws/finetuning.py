"""Laws of finetuning: loss against a factor of the base model and the finetuning data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bayeslaw.laws.base import (
    INPUTS,
    LOSS_AT_CENTRE,
    Input,
    Law,
    Limit,
    Param,
    Response,
    scale_of_groups,
    slope_at_centre,
)
from bayeslaw.laws.curves import SHARE
from bayeslaw.priors import Prior, lognormal

#: Loss after finetuning, in the unit of the table (Zhang et al. fit test-set log-perplexity).
LOSS = Response("loss", "nats per token", scale="log", plausible=(0.05, 40.0), usual=(0.01, 20.0))

#: What Zhang et al. scale beside finetuning data.
FACTORS = {name: INPUTS[name] for name in ("model_size", "pretraining_data", "pet_size")}

#: The loss at the centre is near the typical loss of the table, by construction; groups differ by
#: tens of per cent.
LEVEL = lognormal(1.0, 0.5, relative=True)
#: Zhang et al. 2024, table 4: alpha .07-.52 and beta .015-.15, times the reducible share of the
#: loss.
FACTOR_SLOPE = lognormal(0.1, 0.9)
DATA_EXPONENT = Param(
    "β",
    "exponent of finetuning data",
    lognormal(0.06, 0.9),
    at_centre=slope_at_centre("data"),
    group_scale=scale_of_groups(0.3),
)


@dataclass(frozen=True)
class FactorLaw(Law):
    """A law of one factor X and the finetuning data D. ``factor`` names the column that is X."""

    choices = {"factor": tuple(FACTORS)}
    factor: str = "model_size"

    def __post_init__(self) -> None:
        self.check_option("factor", self.factor, self.choices["factor"])

    @property
    def arguments(self) -> Mapping[str, Input]:
        return {"factor": FACTORS[self.factor], "finetuning_data": INPUTS["finetuning_data"]}

    @property
    def columns(self) -> Mapping[str, str]:
        return {"factor": self.factor}


@dataclass(frozen=True)
class FinetuningMultiplicative(FactorLaw):
    r"""Loss after finetuning, the factor and the data multiplying (Zhang et al. 2024, eq. 1).

    .. math:: L(X, D) = A \, X^{-\alpha} D^{-\beta} + E

    X : ``factor``, one of model size (parameters), pretraining data (tokens), PET size (prompt
    tokens or rank). D : finetuning examples. L, E : nats per token. A : nats per token, at X = 1
    and D = 1.

    Fails far from the sizes it was fitted on when a checkpoint deviates (their 16B on WMT19), and
    on few examples, where the loss leaves its zero-shot value slowly (see `FinetuningRectified`).

    References
    ----------
    Zhang, Liu, Cherry, Firat 2024, arXiv 2402.17193, eq. 1 and table 4.
    """

    name = "finetuning_multiplicative"
    formula = "A * factor^-alpha * finetuning_data^-beta + E"
    source = "Zhang et al. 2024, arXiv 2402.17193, eq. 1"
    response = LOSS
    params = {
        "A": Param(
            "A", "reducible loss, at one unit of each input", LEVEL, at_centre=LOSS_AT_CENTRE
        ),
        "alpha": Param(
            "α",
            "exponent of the factor",
            FACTOR_SLOPE,
            at_centre=slope_at_centre("factor"),
            group_scale=scale_of_groups(0.3),
        ),
        "beta": DATA_EXPONENT,
        "E": SHARE,
    }
    quantities = {
        "data_to_halve": (
            "factor by which finetuning data must grow to halve the reducible loss: 2^(1/β)"
        ),
        "factor_to_halve": "factor by which X must grow to halve the reducible loss: 2^(1/α)",
    }
    monotone = {"factor": "decreasing", "finetuning_data": "decreasing"}
    limits = (
        Limit(("factor", "finetuning_data"), "infinity", lambda p: p["E"]),
        Limit(("factor", "finetuning_data"), "zero", lambda p: float("inf")),
    )

    @staticmethod
    def expected(
        *, factor: Any, finetuning_data: Any, A: Any, alpha: Any, beta: Any, E: Any
    ) -> Any:
        return A * factor**-alpha * finetuning_data**-beta + E

    @staticmethod
    def at_centre(
        *, factor: Any, finetuning_data: Any, A: Any, alpha: Any, beta: Any, E: Any
    ) -> dict[str, Any]:
        # With L, s, r the loss, its log slopes and its irreducible share at the centre: E = r L,
        # and s = alpha (1 - r).
        alpha, beta = alpha / (1 - E), beta / (1 - E)
        return {
            "A": A * (1 - E) * factor**alpha * finetuning_data**beta,
            "alpha": alpha,
            "beta": beta,
            "E": E * A,
        }

    @staticmethod
    def tie(
        *,
        over: str,
        first: Mapping[str, Any],
        second: Mapping[str, Any],
        factor: Any = 1.0,
        **_: Any,
    ) -> Any:
        return critical_data(first, second, factor) if over == "finetuning_data" else None

    @staticmethod
    def data_to_halve(*, beta: Any, **_: Any) -> Any:
        return 2 ** (1 / beta)

    @staticmethod
    def factor_to_halve(*, alpha: Any, **_: Any) -> Any:
        return 2 ** (1 / alpha)


@dataclass(frozen=True)
class FinetuningFactors(Law):
    r"""Loss after finetuning with sweeps of several factors in one table (Zhang et al. 2024, eq. 1
    and section 4).

    .. math:: L(X_f, D) = A_f \, X_f^{-\alpha_f} D^{-\beta} + E

    X_f (``factor_size``) : the size of what the column ``factor`` names, such as model_size
    (parameters), pretraining_data (tokens) or pet_size (prompt tokens or rank); each factor has a
    centre of its own. D : finetuning examples. L, E : nats per token. A : nats per token, at
    X_f = 1 and D = 1.

    By default A and alpha differ by factor. E and beta are the same in all sweeps of a task and
    method, as in the paper, which estimates these two first, without the PET sweep, and then A and
    alpha: ``bl.fit(spec, runs, fixed=first.known("E", "beta"))``. alpha may be negative: more
    prompt tokens need not help.

    Fails where `FinetuningMultiplicative` does, and where sweeps share a base model whose
    checkpoint deviates from the law: its deviation is then in all of these sweeps.

    References
    ----------
    Zhang, Liu, Cherry, Firat 2024, arXiv 2402.17193, eq. 1 and 2, and table 4.
    """

    name = "finetuning_factors"
    formula = "A * factor_size^-alpha * finetuning_data^-beta + E"
    source = "Zhang et al. 2024, arXiv 2402.17193, eq. 1"
    response = LOSS
    params = {
        "A": Param(
            "A",
            "reducible loss, at one unit of each input",
            lognormal(0.5, 0.6, relative=True),
            at_centre="reducible loss at the table's centre",
        ),
        # Zhang et al. 2024, table 4: alpha -.002 to .52 and beta .015 to .15.
        "alpha": Param(
            "α",
            "exponent of the factor",
            Prior("Normal", mu=0.15, sigma=0.2),
            support="real",
            group_scale=scale_of_groups(0.1),
        ),
        "beta": Param(
            "β",
            "exponent of finetuning data",
            lognormal(0.06, 0.9),
            group_scale=scale_of_groups(0.3),
            shared_over=("factor",),
        ),
        "E": Param(
            "E",
            "irreducible loss",
            lognormal(0.5, 0.7, relative=True),
            group_scale=scale_of_groups(0.3),
            shared_over=("factor",),
        ),
    }
    quantities = {"data_to_halve": FinetuningMultiplicative.quantities["data_to_halve"]}
    monotone = {"finetuning_data": "decreasing"}
    data_to_halve = staticmethod(FinetuningMultiplicative.data_to_halve)

    @property
    def arguments(self) -> Mapping[str, Input]:
        return {name: INPUTS[name] for name in ("factor_size", "finetuning_data")}

    @staticmethod
    def expected(*, factor_size: Any, **others: Any) -> Any:
        return FinetuningMultiplicative.expected(factor=factor_size, **others)

    @staticmethod
    def tie(
        *,
        over: str,
        first: Mapping[str, Any],
        second: Mapping[str, Any],
        factor_size: Any = 1.0,
        **_: Any,
    ) -> Any:
        return critical_data(first, second, factor_size) if over == "finetuning_data" else None

    @staticmethod
    def at_centre(
        *, factor_size: Any, finetuning_data: Any, A: Any, alpha: Any, beta: Any, **_: Any
    ) -> dict[str, Any]:
        return {"A": A * factor_size**alpha * finetuning_data**beta}


@dataclass(frozen=True)
class FinetuningAdditive(FactorLaw):
    r"""Loss after finetuning, the factor and the data adding (Zhang et al. 2024, the form they
    compare with).

    .. math:: L(X, D) = \frac{A}{X^\alpha} + \frac{B}{D^\beta} + E

    X : ``factor``, one of model size (parameters), pretraining data (tokens), PET size (prompt
    tokens or rank). D : finetuning examples. L, E : nats per token. A, B : nats per token, at X = 1
    and D = 1.

    Fails where data helps a large model more than a small one in absolute loss; it had the larger
    held-out error on 5 of the 9 sweeps of Zhang et al. (table 6), and the smaller one on MLSum.

    References
    ----------
    Zhang, Liu, Cherry, Firat 2024, arXiv 2402.17193, table 6.
    """

    name = "finetuning_additive"
    formula = "A / factor^alpha + B / finetuning_data^beta + E"
    source = "Zhang et al. 2024, arXiv 2402.17193"
    response = LOSS
    params = {
        "A": Param(
            "A",
            "loss due to the factor, at one unit",
            lognormal(0.25, 1.0, relative=True),
            at_centre="loss due to the factor, at the table's centre",
        ),
        "B": Param(
            "B",
            "loss due to finetuning data, at one example",
            lognormal(0.25, 1.0, relative=True),
            at_centre="loss due to finetuning data, at the table's centre",
        ),
        "alpha": Param("α", "exponent of the factor", lognormal(0.2, 0.8)),
        "beta": Param("β", "exponent of finetuning data", lognormal(0.1, 0.8)),
        "E": Param("E", "irreducible loss", lognormal(0.4, 0.8, relative=True)),
    }
    quantities = {
        "data_to_halve": (
            "factor by which finetuning data must grow to halve the loss due to data: 2^(1/β)"
        ),
        "factor_to_halve": "factor by which X must grow to halve the loss due to X: 2^(1/α)",
    }
    monotone = {"factor": "decreasing", "finetuning_data": "decreasing"}
    limits = (
        Limit(("factor", "finetuning_data"), "infinity", lambda p: p["E"]),
        Limit(("factor", "finetuning_data"), "zero", lambda p: float("inf")),
    )
    data_to_halve = staticmethod(FinetuningMultiplicative.data_to_halve)
    factor_to_halve = staticmethod(FinetuningMultiplicative.factor_to_halve)

    @staticmethod
    def expected(
        *, factor: Any, finetuning_data: Any, A: Any, B: Any, alpha: Any, beta: Any, E: Any
    ) -> Any:
        return A / factor**alpha + B / finetuning_data**beta + E

    @staticmethod
    def at_centre(
        *, factor: Any, finetuning_data: Any, A: Any, B: Any, alpha: Any, beta: Any, **_: Any
    ) -> dict[str, Any]:
        return {"A": A * factor**alpha, "B": B * finetuning_data**beta}


@dataclass(frozen=True)
class FinetuningRectified(Law):
    r"""Loss after finetuning on D examples, with a pre-learned data size (Lin et al. 2024).

    .. math:: L(D) = \frac{B}{D_t + D^\beta} + E

    D : finetuning examples. D_t (``D_pre``) : what pretraining is worth, in examples^β. L, E : nats
    per token. B : nats per token times examples^β.

    Fails by a common shift of all models far beyond the data: from at most 1/128 of the examples it
    is off by .18 in log loss at the largest size on FLAN, and its intervals are too narrow unless a
    discrepancy is modelled.

    References
    ----------
    Lin et al. 2024, arXiv 2402.02314, the rectified law (root mean square log error .0080 against
    .0364 of a plain power law, over 90 fits).
    """

    name = "finetuning_rectified"
    formula = "B / (D_pre + finetuning_data^beta) + E"
    source = "Lin et al. 2024, arXiv 2402.02314"
    response = LOSS
    # far from the data the last slope is worth more than the asymptote
    discrepancy = {"kind": "curve", "own": ("wiener",)}
    params = {
        "B": Param(
            "B", "reducible loss, in loss times examples^β", LEVEL, at_centre=LOSS_AT_CENTRE
        ),
        "D_pre": Param(
            "D_t",
            "pre-learned data size, in examples^β",
            lognormal(0.7, 1.0),
            at_centre="D_t over (data at the table's centre)^β",
            group_scale=scale_of_groups(0.4),
        ),
        "beta": DATA_EXPONENT,
        "E": SHARE,
    }
    quantities = {
        "zero_shot_loss": "loss before any finetuning, as the law has it: B / D_pre + E",
        "pre_learned_examples": "finetuning examples that pretraining is worth: D_pre^(1/β)",
    }
    monotone = {"finetuning_data": "decreasing"}
    limits = (
        Limit(("finetuning_data",), "infinity", lambda p: p["E"]),
        Limit(("finetuning_data",), "zero", lambda p: p["B"] / p["D_pre"] + p["E"]),
    )

    @property
    def arguments(self) -> Mapping[str, Input]:
        return {"finetuning_data": INPUTS["finetuning_data"]}

    @staticmethod
    def expected(*, finetuning_data: Any, B: Any, D_pre: Any, beta: Any, E: Any) -> Any:
        return B / (D_pre + finetuning_data**beta) + E

    @staticmethod
    def at_centre(*, finetuning_data: Any, B: Any, D_pre: Any, beta: Any, E: Any) -> dict[str, Any]:
        # With L, s, r as in the multiplicative law and d = D_t / D^beta:
        # s = (1 - r) beta / (1 + d).
        beta = beta * (1 + D_pre) / (1 - E)
        data = finetuning_data**beta
        return {
            "B": B * (1 - E) * (1 + D_pre) * data,
            "D_pre": D_pre * data,
            "beta": beta,
            "E": E * B,
        }

    @staticmethod
    def zero_shot_loss(*, B: Any, D_pre: Any, E: Any, **_: Any) -> Any:
        return B / D_pre + E

    @staticmethod
    def pre_learned_examples(*, D_pre: Any, beta: Any, **_: Any) -> Any:
        return D_pre ** (1 / beta)


def critical_power(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[Any, Any]:
    r"""H and gamma of the data size :math:`D_c = H X^\gamma` at which two multiplicative laws tie.

    The two laws have the same E (Zhang et al. 2024, eq. 3).

    .. math:: H = (A_1 / A_2)^{1/(\beta_1 - \beta_2)}, \qquad
        \gamma = \frac{\alpha_2 - \alpha_1}{\beta_1 - \beta_2}

    ``first`` and ``second`` hold A, alpha and beta, of any kind of array.
    """
    steeper = first["beta"] - second["beta"]
    return (first["A"] / second["A"]) ** (1 / steeper), (second["alpha"] - first["alpha"]) / steeper


def critical_data(first: Mapping[str, Any], second: Mapping[str, Any], factor: Any) -> Any:
    """The finetuning data at which two multiplicative laws tie at a factor, where their irreducible
    losses are the same.
    """
    H, gamma = critical_power(first, second)
    return H * factor**gamma
