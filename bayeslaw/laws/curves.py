"""Laws of one input: learning curves and compute curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from bayeslaw.errors import SpecError
from bayeslaw.laws import ops
from bayeslaw.laws.base import (
    ANY_COLUMN,
    INPUTS,
    LOSS_AT_CENTRE,
    NONE,
    OWN_UNIT,
    SHARE_AT_CENTRE,
    Input,
    Law,
    Limit,
    Param,
    Response,
    scale_of_groups,
    slope_at_centre,
)
from bayeslaw.priors import Prior, lognormal

#: Where the formulas are tried for a column of any unit.
OWN_RANGE = (1e-6, 1e18)
#: A loss or an error rate, in the unit of the table.
LOSS = Response("loss", OWN_UNIT, scale="log", plausible=(0.02, 50.0))

#: Parameters that several laws of this file share. The loss at the centre is near the typical one;
#: curves of vision and language models have log slopes of .02 to .6; the irreducible share may be
#: anything except the extremes.
LEVEL = Param(
    "A",
    "reducible loss, at x = 1",
    lognormal(1.0, 0.5, relative=True),
    at_centre=LOSS_AT_CENTRE,
    group_scale=scale_of_groups(0.3),
)
SLOPE = Param(
    "α",
    "exponent of x",
    lognormal(0.12, 1.0),
    at_centre=slope_at_centre("x"),
    group_scale=scale_of_groups(0.3),
)
SHARE = Param(
    "E",
    "irreducible loss",
    Prior("Beta", alpha=1.5, beta=2.0),
    support="unit",
    at_centre=SHARE_AT_CENTRE,
    group_scale=scale_of_groups(0.5),
)


@dataclass(frozen=True)
class CurveLaw(Law):
    """A law of one input x. ``input`` names the column that is x: a canonical input, or any other
    column, whose unit is then the table's own.
    """

    #: Curves share no discrepancy: besides a process of each curve, it changed no score of the
    #: benchmark's 36 curves, and chains did not converge.
    discrepancy = {"kind": "curve", "shared": False}
    choices = {"input": (*INPUTS, ANY_COLUMN)}
    #: Whether the law has a value at x = 0, so that a run there is a measurement of it.
    starts: ClassVar[bool] = False
    input: str = "data_size"

    def __post_init__(self) -> None:
        if not (isinstance(self.input, str) and self.input.isidentifier()):
            self.check_option("input", self.input, self.choices["input"])
        if self.input == self.response.name:
            raise SpecError(
                f"{self.name}: input is {self.input!r}, which is what the law gives. Name the"
                " column that is x."
            )

    @property
    def arguments(self) -> Mapping[str, Input]:
        x = INPUTS.get(self.input, Input(OWN_UNIT, "x, in the unit of the table", OWN_RANGE))
        return {"x": replace(x, none=NONE if self.starts else None)}

    @property
    def columns(self) -> Mapping[str, str]:
        return {"x": self.input}


@dataclass(frozen=True)
class Power(CurveLaw):
    r"""A power law with an irreducible part.

    .. math:: L(x) = A \, x^{-\alpha} + E

    x : ``input`` (tokens, examples, steps or FLOP). L, E : the table's unit. A : the same, at
    x = 1.

    Fails at the start of training, where the curve has not yet bent into a power law (see
    `ShiftedPower`), and where the exponent changes along the way.

    References
    ----------
    M2 in Alabdulmohsin et al. 2022, arXiv 2209.06640; pow3 in Domhan et al. 2015 (IJCAI), mirrored.
    """

    name = "power"
    formula = "A * x^-alpha + E"
    source = "Alabdulmohsin et al. 2022, arXiv 2209.06640 (M2)"
    response = LOSS
    params = {"A": LEVEL, "alpha": SLOPE, "E": SHARE}
    quantities = {"x_to_halve": "factor by which x must grow to halve the reducible loss: 2^(1/α)"}
    monotone = {"x": "decreasing"}
    limits = (
        Limit(("x",), "infinity", lambda p: p["E"]),
        Limit(("x",), "zero", lambda p: float("inf")),
    )

    @staticmethod
    def expected(*, x: Any, A: Any, alpha: Any, E: Any) -> Any:
        return A * x**-alpha + E

    @staticmethod
    def at_centre(*, x: Any, A: Any, alpha: Any, E: Any) -> dict[str, Any]:
        alpha = alpha / (1 - E)
        return {"A": A * (1 - E) * x**alpha, "alpha": alpha, "E": E * A}

    @staticmethod
    def x_to_halve(*, alpha: Any, **_: Any) -> Any:
        return 2 ** (1 / alpha)


@dataclass(frozen=True)
class ShiftedPower(CurveLaw):
    r"""A power law that starts from a finite value.

    .. math:: L(x) = A \, (x + s)^{-\alpha} + E

    x : ``input`` (tokens, examples, steps or FLOP). s (``shift``) : in the unit of x. L, E : the
    table's unit. A : the table's unit times the unit of x to the power α.

    Fails where the exponent changes along the way, and on curves that rise first.

    References
    ----------
    pow4 in Domhan, Springenberg, Hutter 2015 (IJCAI, "Speeding up automatic hyperparameter
    optimization ..."), mirrored: there c - (a x + b)^-α for accuracies.
    """

    starts = True
    name = "shifted_power"
    formula = "A * (x + shift)^-alpha + E"
    source = "Domhan et al. 2015, IJCAI (pow4)"
    response = LOSS
    params = {
        "A": replace(LEVEL, meaning="reducible loss, at x + s = 1"),
        "shift": Param(
            "s",
            "x that the start is worth",
            lognormal(0.2, 1.0),
            at_centre="s over x at the table's centre",
            group_scale=scale_of_groups(0.4),
        ),
        "alpha": SLOPE,
        "E": SHARE,
    }
    quantities = {"loss_at_start": "loss at x = 0: A s^-α + E"}
    monotone = {"x": "decreasing"}
    limits = (
        Limit(("x",), "infinity", lambda p: p["E"]),
        Limit(("x",), "zero", lambda p: p["A"] * p["shift"] ** -p["alpha"] + p["E"]),
    )

    @staticmethod
    def expected(*, x: Any, A: Any, shift: Any, alpha: Any, E: Any) -> Any:
        return A * (x + shift) ** -alpha + E

    @staticmethod
    def at_centre(*, x: Any, A: Any, shift: Any, alpha: Any, E: Any) -> dict[str, Any]:
        alpha = alpha * (1 + shift) / (1 - E)
        return {
            "A": A * (1 - E) * (x * (1 + shift)) ** alpha,
            "shift": x * shift,
            "alpha": alpha,
            "E": E * A,
        }

    @staticmethod
    def loss_at_start(*, A: Any, shift: Any, alpha: Any, E: Any) -> Any:
        return A * shift**-alpha + E


@dataclass(frozen=True)
class SaturatingPower(CurveLaw):
    r"""A power law between a level that it starts from and one that it ends at (M4).

    .. math:: \frac{L(x) - E}{(L_0 - L(x))^\alpha} = A \, x^{-c}

    x : ``input`` (tokens, examples, steps or FLOP). L, L_0 (``L0``, the loss before training), E :
    the table's unit. c : exponent far along the curve; alpha shapes the start, where
    :math:`L_0 - L \propto x^{c/\alpha}`. A : the table's unit to the power 1 - alpha, at x = 1.

    The equation has no closed solution; `bayeslaw.laws.ops.saturation` solves it to 1e-8 of the
    ratio.

    Fails on curves that rise first, and where the exponent changes along the way.

    References
    ----------
    Alabdulmohsin, Neyshabur, Zhai 2022 (NeurIPS), arXiv 2209.06640, section 3.2 (M4).
    """

    starts = True
    name = "saturating_power"
    formula = "E + (L0 - E) * saturation(log(A) - c * log(x) + (alpha - 1) * log(L0 - E), alpha)"
    source = "Alabdulmohsin et al. 2022, arXiv 2209.06640 (M4)"
    response = LOSS
    params = {
        "A": replace(LEVEL, meaning="(L - E) / (L0 - L)^α, at x = 1"),
        "c": replace(SLOPE, symbol="c"),
        "L0": Param(
            "L₀",
            "loss before training",
            lognormal(0.7, 0.8),
            at_centre="excess of L0 over the loss at the table's centre",
            group_scale=scale_of_groups(0.2),
        ),
        "alpha": Param(
            "α",
            "shape of the start: 1 is a sigmoid in log x",
            lognormal(0.7, 0.6),
            group_scale=scale_of_groups(0.2),
        ),
        "E": SHARE,
    }
    quantities = {"start_exponent": "exponent of L0 - L at the start: c / α"}
    monotone = {"x": "decreasing"}
    limits = (Limit(("x",), "infinity", lambda p: p["E"]), Limit(("x",), "zero", lambda p: p["L0"]))

    @staticmethod
    def expected(*, x: Any, A: Any, c: Any, L0: Any, alpha: Any, E: Any) -> Any:
        return E + (L0 - E) * ops.saturation(
            ops.log(A) - c * ops.log(x) + (alpha - 1) * ops.log(L0 - E), alpha
        )

    @staticmethod
    def at_centre(*, x: Any, A: Any, c: Any, L0: Any, alpha: Any, E: Any) -> dict[str, Any]:
        # In units of the loss at the centre, L0 is 1 + L0 and E is E; u is where the centre stands
        # between them.
        u = (1 - E) / (1 + L0 - E)
        exponent = c * (1 - u + alpha * u) / ((1 - E) * (1 - u))
        height = A * (1 + L0 - E)
        log_A = (
            ops.log(u)
            - alpha * ops.log1p(-u)
            + exponent * ops.log(x)
            - (alpha - 1) * ops.log(height)
        )
        return {"A": ops.exp(log_A), "c": exponent, "L0": A * (1 + L0), "E": E * A}

    @staticmethod
    def start_exponent(*, c: Any, alpha: Any, **_: Any) -> Any:
        return c / alpha


@dataclass(frozen=True)
class BrokenPower(CurveLaw):
    r"""A power law whose exponent changes once, smoothly.

    .. math:: L(x) = A \, x^{-\alpha} \left(1 + (x/x_1)^{1/f}\right)^{-(\alpha_1 - \alpha) f} + E

    x : ``input`` (tokens, examples, steps or FLOP). x_1 (``x_break``) : where the exponent changes,
    in the unit of x. alpha, alpha_1 (``alpha_after``) : exponents before and after. f : width of
    the break, in e-folds of x. L, E : the table's unit. A : the table's unit, at x = 1.

    Fails on curves with several breaks; and a sharp break beyond the runs cannot be foreseen from
    before it.

    References
    ----------
    Caballero, Gupta, Rish, Krueger 2023 (ICLR), arXiv 2210.14891, eq. 1 with n = 1 (there c_0 =
    alpha, c_1 = alpha_1 - alpha).
    """

    name = "broken_power"
    formula = "A * x^-alpha * (1 + (x / x_break)^(1 / f))^(-(alpha_after - alpha) * f) + E"
    source = "Caballero et al. 2023, arXiv 2210.14891, eq. 1 (one break)"
    response = LOSS
    params = {
        "A": LEVEL,
        "alpha": replace(SLOPE, meaning="exponent of x before the break"),
        "alpha_after": Param(
            "α₁",
            "exponent of x after the break",
            lognormal(1.0, 0.7),
            at_centre="alpha_after over alpha",
            group_scale=scale_of_groups(0.2),
        ),
        "x_break": Param(
            "x₁",
            "where it breaks",
            lognormal(1.0, 1.5),
            at_centre="x_break over x at the table's centre",
            group_scale=scale_of_groups(0.3),
        ),
        "f": Param("f", "width of the break, in e-folds of x", lognormal(0.5, 0.5), varies=False),
        "E": SHARE,
    }
    monotone = {"x": "decreasing"}
    limits = (
        Limit(("x",), "infinity", lambda p: p["E"]),
        Limit(("x",), "zero", lambda p: float("inf")),
    )

    @staticmethod
    def expected(
        *, x: Any, A: Any, alpha: Any, alpha_after: Any, x_break: Any, f: Any, E: Any
    ) -> Any:
        log_x = ops.log(x)
        broken = f * ops.softplus((log_x - ops.log(x_break)) / f)
        return A * ops.exp(-alpha * log_x - (alpha_after - alpha) * broken) + E

    @staticmethod
    def at_centre(
        *, x: Any, A: Any, alpha: Any, alpha_after: Any, x_break: Any, f: Any, E: Any
    ) -> dict[str, Any]:
        to_centre = -ops.log(x_break) / f
        before = alpha / ((1 - E) * (1 + (alpha_after - 1) * ops.sigmoid(to_centre)))
        change = before * (alpha_after - 1)
        log_A = before * ops.log(x) + change * f * ops.softplus(to_centre)
        return {
            "A": A * (1 - E) * ops.exp(log_A),
            "alpha": before,
            "alpha_after": before + change,
            "x_break": x * x_break,
            "E": E * A,
        }


@dataclass(frozen=True)
class SigmoidCompute(CurveLaw):
    r"""Pass rate of reinforcement learning against its compute: a sigmoid in log C (Khatri et al.
    2025, ScaleRL).

    .. math:: R(C) = R_0 + \frac{A - R_0}{1 + (C_\mathrm{mid} / C)^B}

    C (x) : ``input``, FLOP, GPU-hours or steps. R : pass rate, between 0 and 1. R_0 (``R0``) : rate
    of the initial policy. A : rate that endless compute reaches. C_mid : compute at which half of
    the gain is made, in the unit of C. B : how fast the gain is made.

    Fails in the first part of training (the authors leave out the first 1,500 of 100,000
    GPU-hours), and before the curve has bent: A and C_mid then follow their priors. Between three
    equal runs of the authors, A differs by .015.

    References
    ----------
    Khatri et al. 2025, arXiv 2510.13786, eq. 1. Their 8B run of 100,000 GPU-hours: A .645, B 1.70.
    """

    starts = True
    name = "sigmoid_compute"
    formula = "R0 + (A - R0) / (1 + (C_mid / x)^B)"
    source = "Khatri et al. 2025, arXiv 2510.13786, eq. 1"
    response = Response("pass_rate", "fraction", scale="logit", plausible=(1e-6, 1 - 1e-6))
    input: str = "compute"
    params = {
        "R0": Param(
            "R₀", "rate of the initial policy", Prior("Beta", alpha=1.5, beta=2.0), support="unit"
        ),
        "A": Param(
            "A",
            "rate that endless compute reaches",
            Prior("Beta", alpha=1.5, beta=1.5),
            support="unit",
            at_centre="share of 1 - R0 that endless compute gains",
        ),
        "C_mid": Param(
            "C_mid",
            "compute at which half of the gain is made",
            lognormal(1.0, 1.5),
            at_centre="C_mid over x at the table's centre",
            group_scale=scale_of_groups(0.4),
        ),
        "B": Param("B", "how fast the gain is made", lognormal(1.3, 0.5), varies=False),
    }
    monotone = {"x": "increasing"}
    limits = (Limit(("x",), "infinity", lambda p: p["A"]), Limit(("x",), "zero", lambda p: p["R0"]))

    @staticmethod
    def expected(*, x: Any, R0: Any, A: Any, C_mid: Any, B: Any) -> Any:
        return R0 + (A - R0) * ops.sigmoid(B * ops.log(x / C_mid))

    @staticmethod
    def at_centre(*, x: Any, R0: Any, A: Any, C_mid: Any, **_: Any) -> dict[str, Any]:
        return {"A": R0 + (1 - R0) * A, "C_mid": C_mid * x}
