r"""How far reality strays from the law: what is modelled, its parameters, and its kernels.

Laws are wrong in shape, and points along one curve are not independent. With ``kind="curve"``, on
the response's scale,

.. math:: g(y_i) = g(f(x_i; \theta_i)) + \delta_{c[i]}(t_i) + s(t_i) + \varepsilon_i, \qquad t = \log_{10} x

where :math:`\delta_c`, a Gaussian process of each curve, is a sum of components ("decades" are
units of t, which for laws of KL is :math:`\sqrt{\mathrm{KL}}`, `bayeslaw.laws.base.Law.axis`):

| component | what it does beyond the last point | state | source |
|---|---|---|---|
| ``matern`` | keeps the last level and slope for ``delta_memory`` decades, then returns to the law | level, slope | Matérn-3/2: Hartikainen and Särkkä 2010, IEEE MLSP |
| ``wiener`` | keeps the last slope for ever; starts with a slope of its own | level, slope | integrated Wiener process: Wahba 1978, JRSS B 40(3) |
| ``smooth`` | keeps the last curvature; starts along the law, level with it | level, slope, curvature | twice integrated Wiener process: Wahba 1978 |
| ``local`` | forgets within ``local_length`` decades: neighbours err together | level | Ornstein-Uhlenbeck |

and s is what all curves of a task have in common: a smooth process, because what a law gets wrong
for all curves is a bend that it does not have, not a jitter. Its curvature comes and goes within
half a decade, and beyond the runs it goes on straight (`smooth_covariance`). ``delta_sigma``,
``trend_sigma`` and ``shared_sigma`` mean the same: how far curves stray within one decade from the
straight line on which they entered it (standard deviation). As ``delta_memory`` grows, ``matern``
becomes ``wiener``.

With ``kind="grid"``, for tables over several inputs, s is a sum of such processes, one along each
input, or along what a law is known to fail along (`bayeslaw.laws.base.Law.strays_along`), shared by
all runs; and there is no process of a curve.

The components of a curve's own process are set by the law. The choices, with the backtests behind
them: benchmarks/README.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from bayeslaw.defaults import OWN_COMPONENTS
from bayeslaw.errors import SpecError, suggest
from bayeslaw.laws.base import DECADES, Axis, Param, scale_of_groups
from bayeslaw.priors import Prior, lognormal

Kind = Literal["none", "curve", "grid"]

#: Columns whose values make curves depart together, where a table has them.
SHARED_BY = ("task", "dataset")
#: Fewer curves than this in every task cannot show what they have in common.
SHARED_CURVES = 3


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """What is modelled of the departure from the law.

    Parameters
    ----------
    kind : "none", "curve" (a process along each curve) or "grid" (one along each input, common to
        all runs).
    own : components of each curve's own process, among "matern", "wiener", "smooth" and "local".
    shared : whether curves also depart together: True for the curves of a task (`SHARED_BY`),
        False, or the columns whose values make curves depart together, () for all of them.
    along : the input along which a curve runs; None: the law's last one.

    Raises
    ------
    SpecError : an unknown kind or component.
    """

    kind: Kind = "none"
    own: tuple[str, ...] = OWN_COMPONENTS
    shared: bool | tuple[str, ...] = True
    along: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise SpecError(
                f"discrepancy is {self.kind!r}, and it must be one of {', '.join(get_args(Kind))}."
            )
        own = (self.own,) if isinstance(self.own, str) else tuple(self.own)
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
        object.__setattr__(
            self, "shared", self.shared if isinstance(self.shared, bool) else tuple(self.shared)
        )

    @classmethod
    def of(cls, value: Discrepancy | Mapping[str, Any] | str) -> Discrepancy:
        """From a discrepancy, the name of a kind, or a table of options."""
        if isinstance(value, Discrepancy):
            return value
        if isinstance(value, Mapping):
            if unknown := sorted(set(value) - {f.name for f in fields(cls)}):
                raise SpecError(
                    "discrepancy has no option"
                    f" {unknown[0]!r}.{suggest(unknown[0], [f.name for f in fields(cls)])}"
                )
            return cls(**value)
        return cls(kind=value)  # type: ignore[arg-type]  # checked by the class

    @property
    def along_curves(self) -> bool:
        """Whether each curve has a process of its own."""
        return self.kind == "curve"

    @property
    def has_shared(self) -> bool:
        """Whether curves also have a process in common."""
        return self.along_curves and self.shared is not False

    @property
    def shared_by(self) -> tuple[str, ...]:
        """The columns whose values make curves have one in common; () for all curves."""
        return () if isinstance(self.shared, bool) else self.shared

    def to_json(self) -> dict[str, Any] | str:
        """Plain data that `of` reads back: the kind's name, or all options of a discrepancy along
        curves, whose defaults a law may set.
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
        return f"curve ({' + '.join(self.own)}{', and one in common' if self.has_shared else ''})"


# ---- Parameters, with priors

#: How far reality strays from a law within a decade: 3 %, within a factor of 5 for 90 %. Choshen et
#: al. 2024 (arXiv 2410.11840) find 4 % the best error to be had at a distance. It keeps off zero:
#: few curves cannot show that a law is exactly right, and there chains stick.
STRAY = lognormal(0.03, 1.0)
#: On a linear scale, in units of the typical response; on a logit scale, in logits.
STRAY_BY_SCALE: Mapping[str, Prior] = {
    "log": STRAY,
    "linear": lognormal(0.1, 1.0, relative=True),
    "logit": lognormal(0.1, 1.0),
}
LOCAL_BY_SCALE: Mapping[str, Prior] = {
    "log": lognormal(0.005, 1.0),
    "linear": lognormal(0.03, 1.0, relative=True),
    "logit": lognormal(0.03, 1.0),
}

SLOPE_BY_SCALE: Mapping[str, Prior] = {
    "log": lognormal(0.05, 0.7),
    "linear": lognormal(0.15, 0.7, relative=True),
    "logit": lognormal(0.15, 0.7),
}

DELTA_SIGMA = Param(
    "σ_δ",
    "how far a curve strays from its line within a decade",
    STRAY,
    group_scale=scale_of_groups(0.4),
    varies=False,
)
#: Half a decade to eight: within most tables a curve neither forgets at once nor can be seen to
#: remember for ever.
DELTA_MEMORY = Param(
    "τ_δ",
    "decades after which a curve's own departure is forgotten",
    lognormal(2.0, 0.8),
    varies=False,
)
TREND_SIGMA = replace(
    DELTA_SIGMA,
    symbol="σ_w",
    meaning="how far a curve strays for good from its line within a decade",
)
SMOOTH_SIGMA = replace(
    DELTA_SIGMA,
    symbol="σ_c",
    meaning="how far a curve strays from the parabola of its start within a decade",
    varies=False,
)
#: In log loss a decade: laws that fit the curves together have slopes of .05 to .3, and single
#: curves differ by a part of that.
TREND_SLOPE = Param(
    "ς_w",
    "how far the slope of a curve at its start is from the law's",
    SLOPE_BY_SCALE["log"],
    varies=False,
)
LOCAL_SIGMA = Param(
    "σ_o", "scale of errors that neighbours on a curve share", LOCAL_BY_SCALE["log"], varies=False
)
LOCAL_LENGTH = Param(
    "τ_o", "decades over which neighbours err together", DECADES.near, varies=False
)
SHARED_SIGMA = replace(
    DELTA_SIGMA, symbol="σ_s", meaning="how far all curves stray together within a decade"
)


@dataclass(frozen=True, slots=True)
class Component:
    """A component of a curve's own process: the names of its parameters, and its state space (see
    `state_space`).
    """

    states: int
    params: Mapping[str, Param]


COMPONENTS: Mapping[str, Component] = {
    "matern": Component(2, {"delta_sigma": DELTA_SIGMA, "delta_memory": DELTA_MEMORY}),
    "wiener": Component(2, {"trend_sigma": TREND_SIGMA, "trend_slope": TREND_SLOPE}),
    "smooth": Component(3, {"smooth_sigma": SMOOTH_SIGMA}),
    "local": Component(1, {"local_sigma": LOCAL_SIGMA, "local_length": LOCAL_LENGTH}),
}


def discrepancy_params(
    discrepancy: Discrepancy, scale: str, inputs: Sequence[str], axis: Axis = DECADES
) -> dict[str, Param]:
    """The parameters of a discrepancy on a response scale, by name."""
    stray = STRAY_BY_SCALE[scale]
    special = {
        "local_sigma": LOCAL_BY_SCALE[scale],
        "local_length": axis.near,
        "trend_slope": SLOPE_BY_SCALE[scale],
    }
    if discrepancy.kind == "grid":
        return {
            f"{name}_stray_sigma": replace(
                SHARED_SIGMA, prior=stray, meaning=f"how far runs stray within a decade of {name}"
            )
            for name in inputs
        }
    if discrepancy.kind == "none":
        return {}
    found = {
        name: param
        for component in discrepancy.own
        for name, param in COMPONENTS[component].params.items()
    }
    found |= {"shared_sigma": SHARED_SIGMA} if discrepancy.has_shared else {}
    return {
        name: replace(
            param, prior=special.get(name, stray if name.endswith("_sigma") else param.prior)
        )
        for name, param in found.items()
    }
