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

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np

from bayeslaw.defaults import CURVATURE_MEMORY, OWN_COMPONENTS, SHARED_KNOTS
from bayeslaw.errors import SpecError, suggest
from bayeslaw.laws import ops
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
        if self.kind == "curve" and (not own or len(set(own)) < len(own)):
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
    def has_shared(self) -> bool:
        return self.kind == "curve" and self.shared is not False

    def to_json(self) -> dict[str, Any] | str:
        """Plain data that `of` reads back: the kind's name, or all options of a discrepancy along
        curves, whose defaults a law may set.
        """
        if self.kind != "curve":
            return self.kind
        return {
            **asdict(self),
            "own": list(self.own),
            "shared": self.shared if isinstance(self.shared, bool) else list(self.shared),
        }

    def __str__(self) -> str:
        if self.kind != "curve":
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


# ---- A curve's own process, as a state space


def curvature(sigma: Any) -> Any:
    """The spectral density q of the white noise that bends a curve: in a decade it strays by
    q^(1/2) / 3^(1/2).
    """
    return 3 * sigma**2


def state_space(
    own: Sequence[str],
    step: Any,
    first: Any,
    params: Mapping[str, Any],
    stack: Callable[..., Any] = np.stack,
) -> tuple[Any, Any, np.ndarray]:
    r"""Transitions and innovations of a curve's own process from point to point.

    .. math:: z_i = \Phi_i z_{i-1} + u_i, \quad u_i \sim N(0, Q_i), \qquad \delta(t_i) = h^\top z_i

    Parameters
    ----------
    own : names of components.
    step : decades since the point before, (..., point); first : 1 at the first point of each curve,
        else 0.
    params : the components' parameters, each of a shape that broadcasts with ``step``.
    stack : of the arrays' kind: NumPy's or PyTensor's.

    Returns
    -------
    Phi, Q : (..., point, state, state). At the first point of a curve Phi is 0 and Q the initial
        covariance. h : (state,), NumPy.
    """
    size = sum(COMPONENTS[name].states for name in own)
    h = np.zeros(size)
    Phi: dict[tuple[int, int], Any] = {}
    Q: dict[tuple[int, int], Any] = {}
    later = 1 - first
    zero = (
        0.0
        * later
        * sum(params[name] for component in own for name in COMPONENTS[component].params)
    )
    state = 0
    for name in own:
        i, j = state, state + 1
        h[i] = 1.0
        if name == "matern":
            q, rate = curvature(params["delta_sigma"]), 1 / params["delta_memory"]
            a = rate * step
            decay, gone = later * ops.exp(-a), later * ops.exp(-2 * a)
            level, slope = q / (4 * rate**3), q / (4 * rate)  # the stationary variances
            Phi |= {
                (i, i): (1 + a) * decay,
                (i, j): step * decay,
                (j, i): -rate * a * decay,
                (j, j): (1 - a) * decay,
            }
            Q |= {
                (i, i): level * (1 - gone * (1 + 2 * a + 2 * a**2)),
                (j, j): slope * (1 - gone * (1 - 2 * a + 2 * a**2)),
            }
            Q |= dict.fromkeys([(i, j), (j, i)], q * step**2 * gone / 2)
        elif name == "wiener":
            q, slope = curvature(params["trend_sigma"]) * later, params["trend_slope"] ** 2 * first
            Phi |= {(i, i): later, (i, j): later * step, (j, j): later}
            Q |= {(i, i): q * step**3 / 3, (j, j): q * step + slope} | dict.fromkeys(
                [(i, j), (j, i)], q * step**2 / 2
            )
        elif name == "smooth":
            # in one unit it strays by (q / 20)^(1/2)
            k, q = state + 2, 20 * params["smooth_sigma"] ** 2 * later
            Phi |= (
                dict.fromkeys([(i, i), (j, j), (k, k)], later)
                | dict.fromkeys([(i, j), (j, k)], later * step)
                | {(i, k): later * step**2 / 2}
            )
            Q |= {
                (i, i): q * step**5 / 20,
                (j, j): q * step**3 / 3,
                (k, k): q * step,
            } | dict.fromkeys([(i, j), (j, i)], q * step**4 / 8)
            Q |= dict.fromkeys([(i, k), (k, i)], q * step**3 / 6) | dict.fromkeys(
                [(j, k), (k, j)], q * step**2 / 2
            )
        else:
            decay, variance = (
                later * ops.exp(-step / params["local_length"]),
                params["local_sigma"] ** 2,
            )
            Phi |= {(i, i): decay}
            Q |= {(i, i): variance * (1 - decay**2)}
        state += COMPONENTS[name].states

    def square(entries: Mapping[tuple[int, int], Any]) -> Any:
        return stack(
            [
                stack(
                    [entries[i, j] + zero if (i, j) in entries else zero for j in range(size)],
                    axis=-1,
                )
                for i in range(size)
            ],
            axis=-2,
        )

    return square(Phi), square(Q), h


# ---- What runs have in common, at knots


def knots(t: np.ndarray) -> np.ndarray:
    """Equally spaced knots over the decades of a table's inputs, the first where what runs have in
    common is still zero.

    A decade at least: a table that has one value of an input says nothing along it, and the prior
    speaks.
    """
    return np.linspace(t.min(), max(t.max(), t.min() + 1), SHARED_KNOTS + 1)


def middle(at: np.ndarray) -> np.ndarray:
    """Where what runs have in common counts as zero, (1,): near the table's centre, where laws have
    their level.
    """
    return np.array([(at[0] + at[-1]) / 2])


def extended(at: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Knots with as many more of the same spacing as reach t on the far side."""
    spacing = at[1] - at[0]
    more = max(0, math.ceil((t.max() - at[-1]) / spacing - 1e-9))
    return np.append(at, at[-1] + spacing * np.arange(1, more + 1))


def smooth_covariance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    r"""Covariance of a curve whose curvature comes and goes, a and b decades from its start, where
    it is zero.

    Its slope at the start has sd 1 a decade. Its curvature is an Ornstein-Uhlenbeck process that is
    forgotten in `CURVATURE_MEMORY` decades, scaled so that within one decade it moves the curve by
    1 (sd): with time in units of that memory and s the lesser,

    .. math:: \int_0^s \int_0^t (s-u)(t-v) e^{-|u-v|} \, du \, dv
        = s^2 t - s^3/3 - s t - s - s e^{-t} + t - t e^{-s} + e^{s-t} + 1 - e^{-t} - e^{-s}

    On the two sides of the start it bends in its own ways.
    """

    def bent(s: np.ndarray, t: np.ndarray) -> np.ndarray:
        s, t = s / CURVATURE_MEMORY, t / CURVATURE_MEMORY
        early = 1 - np.exp(-t) - np.exp(-s) + np.exp(s - t)
        return s**2 * t - s**3 / 3 - s * t - s - s * np.exp(-t) + t - t * np.exp(-s) + early

    a, b = a[:, None], b[None, :]
    one = np.ones(1)
    return a * b + np.where(
        a * b > 0,
        bent(np.minimum(abs(a), abs(b)), np.maximum(abs(a), abs(b))) / bent(one, one),
        0.0,
    )


def shared_factor(at: np.ndarray) -> np.ndarray:
    """(knot, knot): times independent standard normal weights, the values at the knots but the
    first, in units of the process's sigma.
    """
    covariance = smooth_covariance(at[1:] - at[0], at[1:] - at[0])
    return np.linalg.cholesky(covariance + 1e-10 * np.diag(np.diag(covariance)))


def shared_basis(t: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(point, knot): times the weights, the values at t between the knots, in units of the
    process's sigma.

    The conditional mean: what knots an eighth of the table apart leave open between them is
    negligible, for a process this smooth.
    """
    return np.linalg.solve(shared_factor(at), smooth_covariance(at[1:] - at[0], t - at[0])).T


def starts(labels: np.ndarray) -> np.ndarray:
    """A row of each curve, to stand for its start: where curves have an origin, it is a point of
    the sequence that nobody sees.
    """
    return np.unique(labels.astype(str), return_index=True)[1]


def runs_in_sequence(
    t: np.ndarray, labels: np.ndarray, origin: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Runs of many curves as one `sequence`, (point,): the run at each point, 1 where it is a run,
    decades since the point before, and 1 at a curve's first.

    Where curves have an origin, each has a point there that nobody sees, 0 in the second; its run
    is one of the curve's.
    """
    run, is_run = np.arange(len(t)), np.ones(len(t))
    if origin is not None:
        of_curve = starts(labels)
        run, is_run, t = (
            np.append(run, of_curve),
            np.append(is_run, np.zeros(len(of_curve))),
            np.append(t, np.full(len(of_curve), origin)),
        )
    order, step, first = sequence(t, labels[run])
    return run[order], is_run[order], step, first


def sequence(t: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of many curves as one sequence: their order (by curve, then t), decades since the
    point before, and 1 at a curve's first.
    """
    order = np.lexsort((t, labels.astype(str)))
    first = np.append(True, labels[order][1:] != labels[order][:-1])
    return order, np.where(first, 0.0, np.diff(t[order], prepend=0.0)), first.astype(float)
