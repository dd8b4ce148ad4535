"""Distance from the initial policy: KL of best-of-n, and two forms of a score along it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayeslaw.laws import ops
from bayeslaw.laws.base import (
    INPUTS,
    SQUARE_ROOT,
    At,
    Input,
    Law,
    Limit,
    Param,
    Response,
    scale_of_groups,
)
from bayeslaw.priors import Prior, lognormal

#: The unit is the table's: Gao et al. scale gold scores to variance one over the initial policy's
#: samples.
GOLD = Response(
    "gold_score", "gold reward, initial policy = 0", scale="linear", plausible=(-100.0, 100.0)
)
PROXY = replace(GOLD, name="proxy_score", unit="proxy reward, initial policy = 0")
RATE = Response(
    "gold_rate", "fraction, such as accuracy or win rate", scale="logit", plausible=(1e-9, 1 - 1e-9)
)

#: Sizes of reward models scatter by a tenth or two around their trends: figure 3 of Gao et al. is
#: smooth.
DEVIATION = scale_of_groups(0.1)
#: Where the table's centre is the peak, alpha d is twice the score there and beta d^2 once; long
#: before it alpha d is the score and beta d^2 a small part of it. The peak of d is then within .2
#: and 13 times the centre, for 90 %.
SLOPE = Param(
    "α",
    "score gained per unit of d, at the start",
    lognormal(1.7, 0.7, relative=True),
    at_centre="alpha times d at the table's centre",
    group_scale=DEVIATION,
)
BEND = Param(
    "β",
    "how fast the gain falls with d",
    lognormal(0.5, 1.0, relative=True),
    at_centre="beta times d^2 at the table's centre",
    group_scale=DEVIATION,
)
#: How many times smaller than the table's centre the d is at which alpha of RL is sampled. Runs of
#: Gao et al. have their centre at d = 4, and alpha is the slope at d = 1 in their formula.
PIVOT = 4.0
#: Gao et al. 2022, section 3.2, find alpha the same for all sizes of reward model, at d = 1 in nats
#: per sequence. In no other unit is it, and so each size has its own here.
#: With the logarithm alpha / beta is one more than the log of d at the peak, in units of the pivot:
#: of the order of 1 to 4 where d is 1 to 20 of them.
SLOPE_RL = replace(
    SLOPE,
    meaning="score gained per unit of d, at d = 1",
    at_centre="score per unit of d at a quarter of the table's centre, times d at the centre",
    prior=lognormal(1.7, 0.8, relative=True),
)
BEND_RL = replace(
    BEND,
    meaning="how fast the gain falls with log d",
    prior=lognormal(0.6, 0.8, relative=True),
    at_centre="beta times d at the table's centre",
)
#: In logits: from a tenth of a logit to several.
RATE_PRIORS = {"alpha": lognormal(0.7, 1.0), "beta": lognormal(0.3, 1.0)}
START = Param(
    "R₀",
    "rate of the initial policy",
    Prior("Beta", alpha=2.0, beta=2.0),
    support="unit",
    group_scale=DEVIATION,
)

PEAKS = {
    "d_peak": "d = sqrt(KL) at which the score is highest",
    "kl_peak": "KL at which the score is highest, nats",
    "score_peak": "the highest score",
}
AT_KL = {
    "kl_gap": At("KL from here to the peak, nats; negative past it", ("kl",)),
    "past_peak": At(
        "1 where the peak has been passed, else 0: its mean is the probability", ("kl",)
    ),
    "overoptimization_loss": At("score given up since the peak; 0 before it", ("kl",)),
}


TO_NOTHING = (
    Limit(("kl",), "zero", lambda p: 0.0),
    Limit(("kl",), "infinity", lambda p: -float("inf")),
)


def kl_of_n(n: Any) -> Any:
    r"""The KL of best-of-n from the policy that it samples.

    .. math:: \mathrm{KL} = \log n - (n - 1)/n

    It is exact if no two samples can have the same proxy score, and an upper bound otherwise
    (Beirami et al. 2024, arXiv 2401.01879).

    Parameters
    ----------
    n : number of samples, a real number of at least 1, or an array of them.

    Returns
    -------
    KL in nats, in the shape of n.

    References
    ----------
    Stiennon et al. 2020, arXiv 2009.01325, appendix G.3.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> bl.kl_of_n([1, 16, 1000]).round(3)
    array([0.   , 1.835, 5.909])
    """
    # Near n = 1 both terms are about m, and their difference about m^2 / 2.
    m = np.asarray(n, dtype=float) - 1
    return np.log1p(m) - m / (1 + m)


def n_of_kl(kl: Any) -> Any:
    """The real n whose best-of-n has a given KL: the inverse of `kl_of_n`.

    With v = log n, it solves v - 1 + exp(-v) = KL by Newton's method. The left side is convex, and
    the start lies above the root, so every step stays above it; ten steps reach the last digit.

    Parameters
    ----------
    kl : KL in nats, at least 0, or an array.

    Returns
    -------
    n, in the shape of ``kl``; infinite if it exceeds the largest float.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> float(bl.n_of_kl(bl.kl_of_n(16)).round(6))
    16.0
    """
    kl = np.asarray(kl, dtype=float)
    v = np.sqrt(2 * kl) + kl
    # An infinite KL minus itself is not a number; the last line gives it an infinite n.
    with np.errstate(invalid="ignore", over="ignore"):
        for _ in range(10):
            v = v - np.where(v > 0, (v + np.expm1(-v) - kl) / -np.expm1(-v), 0.0)
        return np.where(np.isinf(kl), np.inf, np.exp(v))[()]


class KLLaw(Law):
    """A law of d = sqrt(KL)."""

    # Distance along a curve is measured in d, which grows about evenly from step to step of RL.
    axis = SQUARE_ROOT
    #: Neighbouring points of a curve have errors in common: they are evaluated on the same prompts,
    #: and in RL they are steps of one training run.
    discrepancy = {"kind": "curve", "own": ("local",), "shared": False}

    @property
    def arguments(self) -> Mapping[str, Input]:
        return {"kl": INPUTS["kl"]}

    def axis_unit(self, centre: Mapping[str, Any]) -> float:
        """A third of d at the table's centre: about one nat^½ in the runs of Gao et al., whatever
        the unit of KL.
        """
        return float(np.sqrt(centre["kl"])) / 3

    # The forms have log d, so d must keep its unit; and no power overflows here.
    def in_units_of_centre(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return dict(params)

    def at_centred(
        self, inputs: Mapping[str, Any], params: Mapping[str, Any], centre: Mapping[str, Any]
    ) -> Any:
        return self.evaluate(inputs, self.from_centre(params, centre))


class Peaked(KLLaw):
    """A law whose score has a peak along the curve."""

    quantities = PEAKS
    quantities_at = AT_KL

    @staticmethod
    @abstractmethod
    def d_peak(**params: Any) -> Any:
        """d at the highest score."""

    @staticmethod
    @abstractmethod
    def score_peak(**params: Any) -> Any:
        """The highest score."""

    def kl_peak(self, **params: Any) -> Any:
        return self.d_peak(**params) ** 2

    def kl_gap(self, *, kl: Any, **params: Any) -> Any:
        return self.kl_peak(**params) - kl

    def past_peak(self, *, kl: Any, **params: Any) -> Any:
        return (self.kl_gap(kl=kl, **params) < 0) * 1.0

    def overoptimization_loss(self, *, kl: Any, **params: Any) -> Any:
        lost = self.score_peak(**params) - self.expected(kl=kl, **params)
        return np.where(self.kl_gap(kl=kl, **params) < 0, lost, 0.0)


class BestOfN(Peaked):
    """The quadratic form, whatever is scored."""

    #: Estimates at all n come from the same samples, so their errors are smooth; and public runs
    #: bend differently from the form. benchmarks/README.md has the choice among kernels.
    discrepancy = {"kind": "curve", "own": ("wiener", "smooth"), "shared": False}

    quantities = {**PEAKS, "n_peak": "n of best-of-n at which the score is highest"}

    @staticmethod
    def expected(*, kl: Any, alpha: Any, beta: Any) -> Any:
        d = ops.sqrt(kl)
        return d * (alpha - beta * d)

    @staticmethod
    def at_centre(*, kl: Any, alpha: Any, beta: Any, **_: Any) -> dict[str, Any]:
        return {"alpha": alpha / ops.sqrt(kl), "beta": beta / kl}

    @staticmethod
    def d_peak(*, alpha: Any, beta: Any, **_: Any) -> Any:
        return alpha / (2 * beta)

    @staticmethod
    def score_peak(*, alpha: Any, beta: Any, **_: Any) -> Any:
        return alpha**2 / (4 * beta)

    def n_peak(self, **params: Any) -> Any:
        return n_of_kl(self.kl_peak(**params))


@dataclass(frozen=True)
class Logarithmic(KLLaw):
    r"""A law with :math:`d \, (\alpha - \beta \log d)`, whose alpha depends on the unit of KL.

    With d measured in another unit, :math:`d' = s d`, the same curve has :math:`\beta' = \beta / s`
    and :math:`\alpha' = (\alpha + \beta \log s) / s`, which may be negative.

    alpha_at : where alpha is sampled, and positive. "centre": at a quarter of the table's centre of
    d, where it is :math:`R(d) / d`, so that the answers do not depend on the unit of KL. "nat": at
    d = 1 in that unit, as in the paper and in fits saved by bayeslaw 0.1.0. Gao et al. find that
    alpha the same for all reward models, which is ``effects={"alpha": "1"}``.
    """

    choices = {"alpha_at": ("centre", "nat")}
    alpha_at: str = "centre"

    def __post_init__(self) -> None:
        self.check_option("alpha_at", self.alpha_at, self.choices["alpha_at"])

    def of_paper(self, *, d: Any, alpha: Any, beta: Any, rounds: Any = 1.0) -> dict[str, Any]:
        """alpha and beta from what is sampled; ``d`` is that of the table's centre, covered in so
        many rounds.
        """
        alpha, beta = alpha / d, beta / d
        if self.alpha_at == "centre":
            alpha = alpha + beta * ops.log(d / (PIVOT * rounds))
        return {"alpha": alpha, "beta": beta}


@dataclass(frozen=True)
class ReinforcementLearning(Logarithmic, Peaked):
    """The logarithmic form, whatever is scored."""

    @staticmethod
    def expected(*, kl: Any, alpha: Any, beta: Any) -> Any:
        d = ops.sqrt(kl)
        return d * (alpha - beta * ops.log(d))

    def at_centre(self, *, kl: Any, alpha: Any, beta: Any, **_: Any) -> dict[str, Any]:
        return self.of_paper(d=ops.sqrt(kl), alpha=alpha, beta=beta)

    @staticmethod
    def d_peak(*, alpha: Any, beta: Any, **_: Any) -> Any:
        with np.errstate(over="ignore"):  # with beta near 0 the score rises without end
            return ops.exp(alpha / beta - 1)

    @staticmethod
    def score_peak(*, alpha: Any, beta: Any, **_: Any) -> Any:
        with np.errstate(over="ignore"):
            return beta * ops.exp(alpha / beta - 1)


class Rate(Peaked):
    """A law of a rate: its logit, minus that of the initial policy, has the form of a score."""

    # The score's form stands after this class among the bases of each law.
    @classmethod
    def expected(cls, *, R0: Any, **arguments: Any) -> Any:
        return ops.sigmoid(ops.logit(R0) + super().expected(**arguments))

    @classmethod
    def score_peak(cls, *, R0: Any, **params: Any) -> Any:
        return ops.sigmoid(ops.logit(R0) + super().score_peak(**params))
