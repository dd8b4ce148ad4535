r"""The discrepancy between the law and the expected response: its kinds, parameters and priors.

Laws are wrong in shape, and points along one curve are not independent. With ``kind="curve"``, on
the response's scale,

.. math:: g(y_i) = g(f(x_i; \theta_i)) + \delta_{c[i]}(t_i) + s(t_i) + \varepsilon_i, \qquad
    t = \log_{10} x

where :math:`\delta_c` is a Gaussian process of each curve, and s one that the curves of a task
share. t is in decades of the input; for laws of KL, t is :math:`\sqrt{\mathrm{KL}}` in units of a
third of its centre in the table, and "decade" stands for one such unit
(`bayeslaw.laws.base.Law.axis`).

:math:`\delta_c` is a sum of components:

| component | beyond the last point it | state | process |
|---|---|---|---|
| ``matern`` | keeps level and slope, later returns to the law | level, slope | Matérn-3/2 [1] |
| ``wiener`` | keeps the last slope | level, slope | integrated Wiener [2] |
| ``smooth`` | keeps the last curvature | level, slope, curvature | twice integrated Wiener [2] |
| ``local`` | returns to the law within ``local_length`` | level | Ornstein-Uhlenbeck |

``wiener`` and ``smooth`` are zero up to the smallest t of all runs, and for laws of KL at 0: a
curve that no run had departs from there, and so does one whose own runs begin later.
``matern`` returns to the law after about ``delta_memory`` decades; as ``delta_memory`` grows, it
becomes ``wiener``. ``wiener`` starts with a slope of its own, ``smooth`` with the slope of the law.
``local`` is an error that neighbouring points have in common.

s is smooth, because what a law gets wrong for all curves is a bend, not a jitter. Its curvature
changes within half a decade, and beyond the runs it continues as a straight line
(`bayeslaw.curves.shared.smooth_covariance`).

``delta_sigma``, ``trend_sigma`` and ``shared_sigma`` have the same meaning: how far, within one
decade, a curve moves from the straight line on which it entered that decade (standard deviation).

With ``kind="grid"``, for tables over several inputs, s is a sum of such processes, shared by all
runs: one along each input, or along the quantities of `bayeslaw.laws.base.Law.discrepancy_inputs`.
There is then no process of each curve.

The law sets the components of a curve's own process. benchmarks/README.md has the choices, and the
backtests behind them.

References
----------
[1] Hartikainen and Särkkä 2010, IEEE MLSP. [2] Wahba 1978, JRSS B 40(3).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, cast, get_args

import numpy as np

from bayeslaw.defaults import OWN_COMPONENTS
from bayeslaw.errors import SpecError, suggest
from bayeslaw.laws.base import DECADES, Axis, Param, scale_of_groups
from bayeslaw.priors import Prior, lognormal
from bayeslaw.runs.arguments import is_finite
from bayeslaw.text import shown

Kind = Literal["none", "curve", "grid"]

#: The component whose value is an error of neighbouring runs, not a part of the curve.
LOCAL = "local"

#: Columns whose values make curves share a discrepancy by default, if the table has them.
SHARED_BY = ("task", "dataset")
#: With fewer curves than this in each task, what they share cannot be estimated.
SHARED_CURVES = 3


@dataclass(frozen=True, slots=True)
class Discrepancy:
    r"""The options of a discrepancy.

    Parameters
    ----------
    kind : "none", "curve" (a process along each curve) or "grid" (a process along each input,
        shared by all runs).
    own : components of each curve's own process, among "matern", "wiener", "smooth" and "local".
    shared : whether curves also share a process. True: the curves of a task do (`SHARED_BY`).
        False: none do. Names of columns: curves with the same values in these do; () for all.
    along : the input along which curves run. None: the law's last one.
    unit : the length of one unit of t, in decades or, for laws of KL, in nat^½. None: 1, or for
        laws of KL a third of the centre of the table's :math:`\sqrt{\mathrm{KL}}`, so that priors
        do not depend on the unit of KL.
    start : the t up to which ``wiener`` and ``smooth`` are zero on every curve, and where rows with
        none of the input lie. None: the smallest of the runs, or for laws of KL 0.

    Raises
    ------
    SpecError : an unknown kind or component, a unit that is no positive number, or an option of
        another type.
    """

    kind: Kind = "none"
    own: tuple[str, ...] = OWN_COMPONENTS
    shared: bool | tuple[str, ...] = True
    along: str | None = None
    unit: float | None = None
    start: float | None = None

    def __post_init__(self) -> None:
        for name, lowest in (("unit", 0.0), ("start", -np.inf)):
            value = getattr(self, name)
            if value is not None and not (is_finite(value) and value > lowest):
                kind = "positive" if name == "unit" else "finite"
                raise SpecError(
                    f"discrepancy: {name} is {shown(value)}: it must be a {kind} number.",
                    key=("discrepancy", name),
                )
        if self.kind not in get_args(Kind):
            raise SpecError(
                f"discrepancy is {self.kind!r}, and it must be one of {', '.join(get_args(Kind))}."
            )
        own = (self.own,) if isinstance(self.own, str) else self._names("own")
        if unknown := [name for name in own if name not in COMPONENTS]:
            raise SpecError(
                f"discrepancy has the component {unknown[0]!r}.{suggest(unknown[0], COMPONENTS)}"
                f" Known: {', '.join(COMPONENTS)}."
            )
        if self.along_curves and (not own or len(set(own)) < len(own)):
            raise SpecError(
                f"discrepancy: own is {list(own)}, and it must name one or more of"
                f" {', '.join(COMPONENTS)}, each once."
            )
        object.__setattr__(self, "own", own)
        if not isinstance(self.shared, bool):
            object.__setattr__(self, "shared", self._names("shared"))

    def _names(self, option: str) -> tuple[str, ...]:
        """The names that an option has."""
        names = getattr(self, option)
        if isinstance(names, str) or not isinstance(names, Collection):
            raise SpecError(
                f"discrepancy: {option} is {shown(names)}, and it must be a list of names.",
                key=("discrepancy", option),
            )
        return tuple(map(str, names))

    @classmethod
    def of(cls, value: Discrepancy | Mapping[str, Any] | str) -> Discrepancy:
        """A discrepancy from a discrepancy, the name of a kind, or a mapping of options."""
        if isinstance(value, Discrepancy):
            return value
        if isinstance(value, Mapping):
            options = [field.name for field in fields(cls)]
            if unknown := sorted(map(str, set(value) - set(options))):
                near = suggest(unknown[0], options)
                raise SpecError(f"discrepancy has no option {unknown[0]!r}.{near}")
            return cls(**value)
        return cls(kind=cast(Kind, value))

    @property
    def along_curves(self) -> bool:
        """Whether each curve has a process of its own."""
        return self.kind == "curve"

    @property
    def begins_at_zero(self) -> bool:
        """Whether each curve's own process has a place where it is zero."""
        return self.along_curves and not {"wiener", "smooth"}.isdisjoint(self.own)

    @property
    def lasting(self) -> tuple[str, ...]:
        """The components of each curve's own process that are part of the curve. `LOCAL` is not: it
        is an error that neighbouring runs have in common.
        """
        return tuple(name for name in self.own if name != LOCAL) if self.along_curves else ()

    @property
    def changes_the_curve(self) -> bool:
        """Whether the expected response is another curve than the law's."""
        return self.kind == "grid" or self.has_shared or bool(self.lasting)

    @property
    def has_shared(self) -> bool:
        """Whether curves also share a process."""
        return self.along_curves and self.shared is not False

    @property
    def shared_by(self) -> tuple[str, ...]:
        """The columns whose values make curves share a process; () for all curves."""
        return () if isinstance(self.shared, bool) else self.shared

    def to_json(self) -> dict[str, Any] | str:
        """Plain data that `of` reads back.

        It is the name of the kind; along curves all options, because their defaults differ by law.
        """
        if not self.along_curves:
            return self.kind
        return {
            **asdict(self),
            "own": list(self.own),
            "shared": self.shared if isinstance(self.shared, bool) else list(self.shared),
        }

    def __str__(self) -> str:
        if not self.along_curves:
            return self.kind
        shared = ", and one in common" if self.has_shared else ""
        return f"curve ({' + '.join(self.own)}{shared})"


# ---- Parameters, with priors

#: Prior of the discrepancy that builds up within a decade. On a log response: 3 % of the loss,
#: within a factor of 5 for 90 %. Choshen et al. 2024 (arXiv 2410.11840) find that forecasts far
#: from the runs are off by 4 % at best. The prior excludes zero: a few curves cannot show that a
#: law is exactly right, and chains get stuck near zero. On a linear response the unit is the
#: typical response; on a logit response, logits.
DISCREPANCY_BY_SCALE: Mapping[str, Prior] = {
    "log": lognormal(0.03, 1.0),
    "linear": lognormal(0.1, 1.0, relative=True),
    "logit": lognormal(0.1, 1.0),
}
#: Prior of the errors that neighbouring points of a curve have in common.
LOCAL_BY_SCALE: Mapping[str, Prior] = {
    "log": lognormal(0.005, 1.0),
    "linear": lognormal(0.03, 1.0, relative=True),
    "logit": lognormal(0.03, 1.0),
}
#: Prior of the difference between a curve's slope at its start and the law's. In log loss per
#: decade: laws fitted to many curves have slopes of .05 to .3, and single curves differ by a part
#: of that.
SLOPE_BY_SCALE: Mapping[str, Prior] = {
    "log": lognormal(0.05, 0.7),
    "linear": lognormal(0.15, 0.7, relative=True),
    "logit": lognormal(0.15, 0.7),
}

DELTA_SIGMA = Param(
    "σ_δ",
    "scale of a curve's own discrepancy from a straight line, within a decade",
    DISCREPANCY_BY_SCALE["log"],
    group_scale=scale_of_groups(0.4),
    varies=False,
)
#: Half a decade to eight. In most tables a curve does not return to the law at once, and no table
#: is long enough to show that it never does.
DELTA_MEMORY = Param(
    "τ_δ",
    "decades after which a curve returns to the law",
    lognormal(2.0, 0.8),
    varies=False,
)
TREND_SIGMA = replace(
    DELTA_SIGMA,
    symbol="σ_w",
    meaning="scale of a curve's lasting discrepancy from a straight line, within a decade",
)
SMOOTH_SIGMA = replace(
    DELTA_SIGMA,
    symbol="σ_c",
    meaning="scale of a curve's discrepancy from a parabola, within a decade",
    varies=False,
)
TREND_SLOPE = Param(
    "ς_w",
    "scale of the difference between a curve's slope at its start and the law's",
    SLOPE_BY_SCALE["log"],
    varies=False,
)
LOCAL_SIGMA = Param(
    "σ_o",
    "scale of the errors that neighbouring points of a curve have in common",
    LOCAL_BY_SCALE["log"],
    varies=False,
)
LOCAL_LENGTH = Param(
    "τ_o",
    "decades over which neighbouring points have errors in common",
    DECADES.near,
    varies=False,
)
SHARED_SIGMA = replace(
    DELTA_SIGMA,
    symbol="σ_s",
    meaning="scale of the discrepancy that curves share, within a decade",
)


@dataclass(frozen=True, slots=True)
class Component:
    """A component of a curve's own process: its number of states, and its parameters by name.

    `bayeslaw.curves.state_space` has its state space.
    """

    states: int
    params: Mapping[str, Param]


#: The components of a curve's own process, by name.
COMPONENTS: Mapping[str, Component] = {
    "matern": Component(2, {"delta_sigma": DELTA_SIGMA, "delta_memory": DELTA_MEMORY}),
    "wiener": Component(2, {"trend_sigma": TREND_SIGMA, "trend_slope": TREND_SLOPE}),
    "smooth": Component(3, {"smooth_sigma": SMOOTH_SIGMA}),
    LOCAL: Component(1, {"local_sigma": LOCAL_SIGMA, "local_length": LOCAL_LENGTH}),
}


def discrepancy_params(
    discrepancy: Discrepancy, scale: str, inputs: Sequence[str], axis: Axis = DECADES
) -> dict[str, Param]:
    """The parameters of a discrepancy, by name.

    Parameters
    ----------
    discrepancy : its options.
    scale : the response's scale, "log", "linear" or "logit".
    inputs : what a discrepancy over a grid runs along.
    axis : the axis along which curves measure distance.
    """
    match discrepancy.kind:
        case "none":
            return {}
        case "grid":
            return {f"{name}_stray_sigma": _grid_sigma(name, scale) for name in inputs}
        case "curve":
            return _curve_params(discrepancy, scale, axis)


def _grid_sigma(name: str, scale: str) -> Param:
    """The scale of a discrepancy over a grid along ``name``."""
    return replace(
        SHARED_SIGMA,
        prior=DISCREPANCY_BY_SCALE[scale],
        meaning=f"scale of the discrepancy of all runs, within a decade of {name}",
    )


def _curve_params(discrepancy: Discrepancy, scale: str, axis: Axis) -> dict[str, Param]:
    """The parameters of a discrepancy along curves."""
    priors = {
        "delta_sigma": DISCREPANCY_BY_SCALE[scale],
        "trend_sigma": DISCREPANCY_BY_SCALE[scale],
        "smooth_sigma": DISCREPANCY_BY_SCALE[scale],
        "shared_sigma": DISCREPANCY_BY_SCALE[scale],
        "trend_slope": SLOPE_BY_SCALE[scale],
        "local_sigma": LOCAL_BY_SCALE[scale],
        "local_length": axis.near,
        "delta_memory": DELTA_MEMORY.prior,
    }
    params = {
        name: param
        for component in discrepancy.own
        for name, param in COMPONENTS[component].params.items()
    }
    if discrepancy.has_shared:
        params["shared_sigma"] = SHARED_SIGMA
    return {name: replace(param, prior=priors[name]) for name, param in params.items()}
