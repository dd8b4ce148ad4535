"""Laws of one input: learning curves and compute curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bayeslaw.laws.base import (
    INPUTS,
    LOSS_AT_CENTRE,
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

#: A loss or an error rate, in the unit of the table.
LOSS = Response("loss", "the table's unit", scale="log", plausible=(0.02, 50.0))

#: What the two laws share, with their priors: the loss at the centre is near the typical one; curves of vision and language
#: models have log slopes of .02 to .6; the irreducible share is anything but the extremes.
LEVEL = Param(
    "A", "reducible loss, at x = 1", lognormal(1.0, 0.5, relative=True), at_centre=LOSS_AT_CENTRE, group_scale=scale_of_groups(0.3)
)
SLOPE = Param("α", "exponent of x", lognormal(0.12, 1.0), at_centre=slope_at_centre("x"), group_scale=scale_of_groups(0.3))
SHARE = Param(
    "E", "irreducible loss", Prior("Beta", alpha=1.5, beta=2.0), support="unit", at_centre=SHARE_AT_CENTRE, group_scale=scale_of_groups(0.5)
)


@dataclass(frozen=True)
class CurveLaw(Law):
    """A law of one input x. ``input`` names the column that is x."""

    input: str = "data_size"

    def __post_init__(self) -> None:
        self.check_option("input", self.input, INPUTS)

    @property
    def arguments(self) -> Mapping[str, Input]:
        return {"x": INPUTS[self.input]}

    @property
    def columns(self) -> Mapping[str, str]:
        return {"x": self.input}


@dataclass(frozen=True)
class Power(CurveLaw):
    r"""A power law with an irreducible part.

    .. math:: L(x) = A \, x^{-\alpha} + E

    x : ``input`` (tokens, examples, steps or FLOP). L, E : the table's unit. A : the same, at x = 1.

    Fails at the start of training, where the curve has not yet bent into a power law (see `ShiftedPower`), and where the
    exponent changes along the way.

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
    limits = (Limit(("x",), "infinity", lambda p: p["E"]), Limit(("x",), "zero", lambda p: float("inf")))

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

    x : ``input`` (tokens, examples, steps or FLOP). s (``shift``) : in the unit of x. L, E : the table's unit.
    A : the table's unit times the unit of x to the power α.

    Fails where the exponent changes along the way, and on curves that rise first.

    References
    ----------
    pow4 in Domhan, Springenberg, Hutter 2015 (IJCAI, "Speeding up automatic hyperparameter optimization ..."), mirrored:
    there c - (a x + b)^-α for accuracies.
    """

    name = "shifted_power"
    formula = "A * (x + shift)^-alpha + E"
    source = "Domhan et al. 2015, IJCAI (pow4)"
    response = LOSS
    params = {
        "A": replace(LEVEL, meaning="reducible loss, at x + s = 1"),
        "shift": Param("s", "x that the start is worth", lognormal(0.2, 1.0), at_centre="s over x at the table's centre", group_scale=scale_of_groups(0.4)),
        "alpha": SLOPE,
        "E": SHARE,
    }  # fmt: skip
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
        return {"A": A * (1 - E) * (x * (1 + shift)) ** alpha, "shift": x * shift, "alpha": alpha, "E": E * A}

    @staticmethod
    def loss_at_start(*, A: Any, shift: Any, alpha: Any, E: Any) -> Any:
        return A * shift**-alpha + E
