r"""Laws of over-optimisation: true ("gold") and proxy score against how far a policy was moved from where it began.

The distance is :math:`d = \sqrt{\mathrm{KL}(\pi \| \pi_\mathrm{init})}`, with the KL in nats per sequence, and the score at d = 0 is that of the
initial policy, 0 by definition: it is known, not observed (`bayeslaw.scores.relative_scores` makes such scores of raw ones).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayeslaw.laws import ops
from bayeslaw.laws.base import INPUTS, SQUARE_ROOT, Input, Law, Limit, Param, Response, Switch, scale_of_groups
from bayeslaw.priors import Prior, lognormal

#: The unit is the table's: Gao et al. scale gold scores to variance one over the initial policy's samples.
GOLD = Response("gold_score", "gold reward, initial policy = 0", scale="linear", plausible=(-100.0, 100.0))
PROXY = replace(GOLD, name="proxy_score", unit="proxy reward, initial policy = 0")
RATE = Response("gold_rate", "fraction, such as accuracy or win rate", scale="logit", plausible=(1e-9, 1 - 1e-9))

#: Sizes of reward models scatter by a tenth or two around their trends: figure 3 of Gao et al. is smooth.
DEVIATION = scale_of_groups(0.1)
#: Where the table's centre is the peak, alpha d is twice the score there and beta d^2 once; long before it alpha d is the score and
#: beta d^2 a small part of it. The peak of d is then within .2 and 13 times the centre, for 90 %.
SLOPE = Param(
    "α", "score gained per unit of d, at the start", lognormal(1.7, 0.7, relative=True), at_centre="alpha times d at the table's centre", group_scale=DEVIATION,
)  # fmt: skip
BEND = Param(
    "β", "how fast the gain falls with d", lognormal(0.5, 1.0, relative=True), at_centre="beta times d^2 at the table's centre", group_scale=DEVIATION
)
#: With the logarithm alpha / beta is one more than the log of d at the peak: of the order of 1 to 4 where d is 1 to 20.
SLOPE_RL = replace(
    SLOPE, meaning="score gained per unit of d, at d = 1", prior=lognormal(1.7, 0.8, relative=True), shared_over=("reward_model_size",)
)  # Gao et al. 2022, section 3.2: alpha of RL is the same for all sizes
BEND_RL = replace(
    BEND, meaning="how fast the gain falls with log d", prior=lognormal(0.6, 0.8, relative=True), at_centre="beta times d at the table's centre"
)
#: In logits: from a tenth of a logit to several.
RATE_PRIORS = {"alpha": lognormal(0.7, 1.0), "beta": lognormal(0.3, 1.0)}
START = Param("R₀", "rate of the initial policy", Prior("Beta", alpha=2.0, beta=2.0), support="unit", group_scale=DEVIATION)

PEAKS = {
    "d_peak": "d = sqrt(KL) at which the score is highest",
    "kl_peak": "KL at which the score is highest, nats",
    "score_peak": "the highest score",
}
AT_KL = {
    "kl_gap": "KL from here to the peak, nats; negative past it",
    "past_peak": "1 where the peak has been passed, else 0: its mean is the probability",
    "overoptimization_loss": "score given up since the peak; 0 before it",
}


TO_NOTHING = (Limit(("kl",), "zero", lambda p: 0.0), Limit(("kl",), "infinity", lambda p: -float("inf")))


def kl_of_n(n: Any) -> Any:
    r"""KL of best-of-n from the policy that it samples, in nats: :math:`\log n - (n - 1)/n`, for real n of at least 1.

    Exact where no two samples can have the same proxy score, an upper bound where they can (Beirami et al. 2024, arXiv 2401.01879).

    References
    ----------
    Stiennon et al. 2020, arXiv 2009.01325, appendix G.3.
    """
    m = np.asarray(n, dtype=float) - 1  # near n = 1 both terms are m, and their difference is m^2 / 2
    return np.log1p(m) - m / (1 + m)


def n_of_kl(kl: Any) -> Any:
    """The real n whose best-of-n has that KL (`kl_of_n`): infinite where it exceeds what a float holds.

    With v = log n, Newton's method on v - 1 + exp(-v) = KL, convex in v, from a start above the root: every step stays above it, and ten
    reach the last digit.
    """
    kl = np.asarray(kl, dtype=float)
    v = np.sqrt(2 * kl) + kl
    with np.errstate(invalid="ignore", over="ignore"):
        for _ in range(10):
            v = v - np.where(v > 0, (v + np.expm1(-v) - kl) / -np.expm1(-v), 0.0)
        return np.exp(v)


class KLLaw(Law):
    """A law of d = sqrt(KL)."""

    axis = SQUARE_ROOT  # points of a curve are as far apart as their d: RL moves d about evenly from step to step
    #: Neighbours on a curve err together: they are evaluated on the same prompts, in RL they are also steps of one training run.
    discrepancy = {"kind": "curve", "own": ("local",), "shared": False}

    @property
    def arguments(self) -> Mapping[str, Input]:
        return {"kl": INPUTS["kl"]}

    def at_centred(self, inputs: Mapping[str, Any], params: Mapping[str, Any], centre: Mapping[str, Any]) -> Any:
        # A logarithm of d is not one of d in other units; and no power overflows here.
        return self.evaluate(inputs, self.from_centre(params, centre))


class Peaked(KLLaw):
    """A law with the best policy somewhere along the curve."""

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

    #: Estimates at all n are from the same samples, so that their errors are smooth; and the form bends otherwise than public runs. The choice
    #: among kernels: benchmarks/README.md.
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


class ReinforcementLearning(Peaked):
    """The logarithmic form, whatever is scored."""

    @staticmethod
    def expected(*, kl: Any, alpha: Any, beta: Any) -> Any:
        d = ops.sqrt(kl)
        return d * (alpha - beta * ops.log(d))

    @staticmethod
    def at_centre(*, kl: Any, alpha: Any, beta: Any, **_: Any) -> dict[str, Any]:
        return {"alpha": alpha / ops.sqrt(kl), "beta": beta / ops.sqrt(kl)}

    @staticmethod
    def d_peak(*, alpha: Any, beta: Any, **_: Any) -> Any:
        with np.errstate(over="ignore"):  # beta next to nothing: the score rises for ever
            return ops.exp(alpha / beta - 1)

    @staticmethod
    def score_peak(*, alpha: Any, beta: Any, **_: Any) -> Any:
        with np.errstate(over="ignore"):
            return beta * ops.exp(alpha / beta - 1)


@dataclass(frozen=True)
class OveroptimizationBestOfN(BestOfN):
    r"""Gold score of best-of-n against a proxy reward (Gao et al. 2022).

    .. math:: R(d) = d \, (\alpha - \beta d), \qquad d = \sqrt{\mathrm{KL}}, \quad \mathrm{KL} = \log n - (n - 1)/n

    kl (KL) : nats; a table may give n instead, and KL follows (`kl_of_n`; an upper bound for discrete rewards). R : gold reward, 0 for the
    initial policy. alpha : per nat^½. beta : per nat. The peak is at :math:`d = \alpha / 2\beta`, with the score :math:`\alpha^2 / 4\beta`.

    Fails where gold and proxy agree to the last: a peak is always somewhere. It was formed on n up to 1,000 and foretold 60,000; its residuals
    on public runs bend.

    References
    ----------
    Gao, Schulman, Hilton 2022, arXiv 2210.10760, eq. 1. Stiennon et al. 2020, arXiv 2009.01325, appendix G.3, for the KL.
    """

    name = "overoptimization_bon"
    formula = "sqrt(kl) * (alpha - beta * sqrt(kl))"
    source = "Gao et al. 2022, arXiv 2210.10760, eq. 1"
    response = GOLD
    params = {"alpha": SLOPE, "beta": BEND}
    limits = TO_NOTHING


@dataclass(frozen=True)
class OveroptimizationRL(ReinforcementLearning):
    r"""Gold score after RL against a proxy reward (Gao et al. 2022).

    .. math:: R(d) = d \, (\alpha - \beta \log d), \qquad d = \sqrt{\mathrm{KL}}

    kl (KL) : nats per sequence. R : gold reward, 0 for the initial policy. alpha, beta : per nat^½. The peak is at
    :math:`d = e^{\alpha/\beta - 1}`, with the score :math:`\beta \, e^{\alpha/\beta - 1}`.

    Fails near d = 0, where its slope is infinite (the authors say so), and under a KL penalty only in how soon training stops, not in the
    curve. KL of RL and of best-of-n are not comparable.

    References
    ----------
    Gao, Schulman, Hilton 2022, arXiv 2210.10760, eq. 2. alpha is the same for all reward-model sizes there (section 3.2): the default.
    """

    name = "overoptimization_rl"
    formula = "sqrt(kl) * (alpha - beta * log(sqrt(kl)))"
    source = "Gao et al. 2022, arXiv 2210.10760, eq. 2"
    response = GOLD
    params = {"alpha": SLOPE_RL, "beta": BEND_RL}
    limits = TO_NOTHING


@dataclass(frozen=True)
class OveroptimizationRLIterated(Peaked):
    r"""Gold score after k rounds of RLHF, each against a reward model trained anew (Gao et al. 2022).

    .. math:: R(d) = d \, (\alpha - \beta \log d + \beta \log k), \qquad d = \sqrt{\mathrm{KL}}

    kl (KL) : nats per sequence, over all rounds. rounds (k) : of equal distance d / k. R : gold reward, 0 for the initial policy. alpha, beta : per
    nat^½. The peak is at :math:`d = k \, e^{\alpha/\beta - 1}`.

    Fails where coefficients change from round to round, or distances do not add up: both are assumed, and nobody has tested it.

    References
    ----------
    Gao, Schulman, Hilton 2022, arXiv 2210.10760, section 4.3.
    """

    name = "overoptimization_rl_iterated"
    formula = "sqrt(kl) * (alpha - beta * log(sqrt(kl)) + beta * log(rounds))"
    source = "Gao et al. 2022, arXiv 2210.10760, section 4.3"
    response = GOLD
    params = {"alpha": SLOPE_RL, "beta": BEND_RL}
    quantities = {}
    quantities_at = {**PEAKS, **AT_KL}
    monotone = {"rounds": "increasing"}
    limits = TO_NOTHING

    @property
    def arguments(self) -> Mapping[str, Input]:
        return {"rounds": INPUTS["rounds"], "kl": INPUTS["kl"]}

    @staticmethod
    def at_centre(*, kl: Any, alpha: Any, beta: Any, **_: Any) -> dict[str, Any]:
        return ReinforcementLearning.at_centre(kl=kl, alpha=alpha, beta=beta)

    @staticmethod
    def expected(*, rounds: Any, kl: Any, alpha: Any, beta: Any) -> Any:
        return rounds * ReinforcementLearning.expected(kl=kl / rounds**2, alpha=alpha, beta=beta)

    @staticmethod
    def d_peak(*, rounds: Any, alpha: Any, beta: Any, **_: Any) -> Any:
        return rounds * ReinforcementLearning.d_peak(alpha=alpha, beta=beta)

    @staticmethod
    def score_peak(*, rounds: Any, alpha: Any, beta: Any, **_: Any) -> Any:
        return rounds * ReinforcementLearning.score_peak(alpha=alpha, beta=beta)


#: The laws of one method, by the values of the column ``method``.
METHODS = {"bon": "best-of-n", "rl": "RL"}
FORMS: Mapping[str, Peaked] = {"bon": OveroptimizationBestOfN(), "rl": OveroptimizationRL()}


@dataclass(frozen=True)
class Overoptimization(KLLaw):
    r"""Gold score of best-of-n and of RL in one table, told apart by the column ``method`` (Gao et al. 2022).

    .. math:: R(d) = d \, (\alpha - \beta d) \text{ for best-of-n}, \quad d \, (\alpha' - \beta' \log d) \text{ for RL}, \qquad d = \sqrt{\mathrm{KL}}

    kl (KL) : nats. rl : 1 where ``method`` is "rl", 0 where it is "bon". R : gold reward, 0 for the initial policy. alpha_bon, beta_bon (α, β)
    and alpha_rl, beta_rl (α', β') : as in the laws of one method. Each moves with reward-model size and data in its own way, but
    for alpha_rl, which is the same for all sizes; noise is shared.

    Fails where the laws of one method do. The two methods' KL are not comparable: nothing is said of which is better at one KL.

    References
    ----------
    Gao, Schulman, Hilton 2022, arXiv 2210.10760, eqs. 1 and 2.
    """

    name = "overoptimization"
    formula = "sqrt(kl) * ((1 - rl) * (alpha_bon - beta_bon * sqrt(kl)) + rl * (alpha_rl - beta_rl * log(sqrt(kl))))"
    source = "Gao et al. 2022, arXiv 2210.10760, eqs. 1 and 2"
    response = GOLD
    discrepancy = {"kind": "curve", "own": ("wiener", "local"), "shared": False}
    switches = {"rl": Switch("method", off="bon", on="rl")}
    params = {
        "alpha_bon": replace(SLOPE, at_centre="alpha_bon times d at the table's centre"),
        "beta_bon": replace(BEND, at_centre="beta_bon times d^2 at the table's centre"),
        "alpha_rl": replace(SLOPE_RL, symbol="α'", at_centre="alpha_rl times d at the table's centre"),
        "beta_rl": replace(BEND_RL, symbol="β'", at_centre="beta_rl times d at the table's centre"),
    }
    quantities = {f"{quantity}_{method}": f"{text}, {METHODS[method]}" for method, form in FORMS.items() for quantity, text in form.quantities.items()}
    quantities_at = {f"{quantity}_{method}": f"{text}, {METHODS[method]}" for method in FORMS for quantity, text in AT_KL.items()}
    limits = TO_NOTHING

    @staticmethod
    def expected(*, kl: Any, rl: Any, alpha_bon: Any, beta_bon: Any, alpha_rl: Any, beta_rl: Any) -> Any:
        best_of_n = BestOfN.expected(kl=kl, alpha=alpha_bon, beta=beta_bon)
        return (1 - rl) * best_of_n + rl * ReinforcementLearning.expected(kl=kl, alpha=alpha_rl, beta=beta_rl)

    @staticmethod
    def at_centre(*, kl: Any, alpha_bon: Any, beta_bon: Any, alpha_rl: Any, beta_rl: Any) -> dict[str, Any]:
        best_of_n = BestOfN.at_centre(kl=kl, alpha=alpha_bon, beta=beta_bon)
        rl = ReinforcementLearning.at_centre(kl=kl, alpha=alpha_rl, beta=beta_rl)
        return {f"{name}_bon": x for name, x in best_of_n.items()} | {f"{name}_rl": x for name, x in rl.items()}

    def value(self, quantity: str, **arguments: Any) -> Any:
        name, _, method = quantity.rpartition("_")
        others = {key: x for key, x in arguments.items() if key not in self.params}
        return FORMS[method].value(name, alpha=arguments[f"alpha_{method}"], beta=arguments[f"beta_{method}"], **others)


@dataclass(frozen=True)
class ProxyScoreBestOfN(OveroptimizationBestOfN):
    r"""Proxy score of best-of-n (Gao et al. 2022, appendix B).

    .. math:: R(d) = d \, (\alpha - \beta d), \qquad d = \sqrt{\mathrm{KL}}

    kl (KL) : nats, or n. R : proxy reward, 0 for the initial policy. alpha : per nat^½. beta : per nat, much smaller than that of the gold score.

    Fails far out: proxy scores could not be fitted satisfactorily. Fits underestimate at high KL, where the score goes on linearly in d.

    References
    ----------
    Gao, Schulman, Hilton 2022, arXiv 2210.10760, appendix B and figure 20.
    """

    name = "proxy_score_bon"
    source = "Gao et al. 2022, arXiv 2210.10760, appendix B"
    response = PROXY
    params = {"alpha": replace(SLOPE, prior=lognormal(1.3, 0.7, relative=True)), "beta": replace(BEND, prior=lognormal(0.2, 1.0, relative=True))}


@dataclass(frozen=True)
class ProxyScoreRL(OveroptimizationRL):
    r"""Proxy score after RL (Gao et al. 2022, appendix B).

    .. math:: R(d) = d \, (\alpha - \beta \log d), \qquad d = \sqrt{\mathrm{KL}}

    kl (KL) : nats per sequence. R : proxy reward, 0 for the initial policy. alpha, beta : per nat^½; beta is much smaller than that of the gold
    score.

    Fails far out: proxy scores could not be fitted satisfactorily. Fits underestimate at high KL, where the score goes on linearly in d.

    References
    ----------
    Gao, Schulman, Hilton 2022, arXiv 2210.10760, appendix B and figure 20.
    """

    name = "proxy_score_rl"
    source = "Gao et al. 2022, arXiv 2210.10760, appendix B"
    response = PROXY
    params = {
        "alpha": replace(SLOPE_RL, prior=lognormal(1.3, 0.8, relative=True), shared_over=()),
        "beta": replace(BEND_RL, prior=lognormal(0.3, 0.9, relative=True)),
    }


class Rate(Peaked):
    """A law of a rate: what a score's law says of scores is said of its logit, less that of the initial policy."""

    @classmethod
    def of_start(cls, R0: Any, score: Any) -> Any:
        """The rate that a gain in logits leads to."""
        return ops.sigmoid(ops.logit(R0) + score)


@dataclass(frozen=True)
class RateBestOfN(Rate, BestOfN):
    r"""A gold rate, such as accuracy or win rate, of best-of-n against a proxy reward.

    .. math:: \mathrm{logit} R(d) = \mathrm{logit} R_0 + d \, (\alpha - \beta d), \qquad d = \sqrt{\mathrm{KL}}

    kl (KL) : nats, or n; rows with n = 1 are of the initial policy. R : gold rate, between 0 and 1. R0 : that of the initial policy. alpha :
    logits per nat^½. beta : logits per nat.

    Fails where the law of scores fails; that it holds of the logit is our reading, which keeps rates between 0 and 1.

    References
    ----------
    Gao, Schulman, Hilton 2022, arXiv 2210.10760, eq. 1, on a logit scale. Rafailov et al. 2024, arXiv 2406.02900, fit the form to win rates.
    """

    name = "overoptimization_bon_rate"
    formula = "sigmoid(logit(R0) + sqrt(kl) * (alpha - beta * sqrt(kl)))"
    source = "Gao et al. 2022, arXiv 2210.10760, eq. 1, on a logit scale"
    response = RATE
    params = {"R0": START, "alpha": replace(SLOPE, prior=RATE_PRIORS["alpha"]), "beta": replace(BEND, prior=RATE_PRIORS["beta"])}

    @staticmethod
    def expected(*, kl: Any, R0: Any, alpha: Any, beta: Any) -> Any:
        return Rate.of_start(R0, BestOfN.expected(kl=kl, alpha=alpha, beta=beta))

    @staticmethod
    def score_peak(*, R0: Any, alpha: Any, beta: Any, **_: Any) -> Any:
        return Rate.of_start(R0, BestOfN.score_peak(alpha=alpha, beta=beta))


@dataclass(frozen=True)
class RateRL(Rate, ReinforcementLearning):
    r"""A gold rate, such as accuracy or win rate, after RL against a proxy reward.

    .. math:: \mathrm{logit} R(d) = \mathrm{logit} R_0 + d \, (\alpha - \beta \log d), \qquad d = \sqrt{\mathrm{KL}}

    kl (KL) : nats per sequence. R : gold rate, between 0 and 1. R0 : that of the initial policy. alpha, beta : logits per nat^½.

    Fails where the law of scores fails; that it holds of the logit is our reading, which keeps rates between 0 and 1.

    References
    ----------
    Gao, Schulman, Hilton 2022, arXiv 2210.10760, eq. 2, on a logit scale. Rafailov et al. 2024, arXiv 2406.02900, fit the form to win rates.
    """

    name = "overoptimization_rl_rate"
    formula = "sigmoid(logit(R0) + sqrt(kl) * (alpha - beta * log(sqrt(kl))))"
    source = "Gao et al. 2022, arXiv 2210.10760, eq. 2, on a logit scale"
    response = RATE
    params = {"R0": START, "alpha": replace(SLOPE_RL, prior=RATE_PRIORS["alpha"]), "beta": replace(BEND_RL, prior=RATE_PRIORS["beta"])}

    @staticmethod
    def expected(*, kl: Any, R0: Any, alpha: Any, beta: Any) -> Any:
        return Rate.of_start(R0, ReinforcementLearning.expected(kl=kl, alpha=alpha, beta=beta))

    @staticmethod
    def score_peak(*, R0: Any, alpha: Any, beta: Any, **_: Any) -> Any:
        return Rate.of_start(R0, ReinforcementLearning.score_peak(alpha=alpha, beta=beta))
