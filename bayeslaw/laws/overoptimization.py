r"""Laws of over-optimisation: true ("gold") and proxy score against distance from the start.

The distance is :math:`d = \sqrt{\mathrm{KL}(\pi \| \pi_\mathrm{init})}`, with the KL in nats per
sequence. The score at d = 0 is that of the initial policy, which is 0 by definition: it is known,
not observed (`bayeslaw.runs.scores.relative_scores` computes such scores from raw ones).

KL per sequence is the sum over the tokens of an answer, 1 to 100 nats in RL; Gao et al. use it, and
so does best-of-n. KL per token is its mean over the tokens, a thousandth to a half, which TRL and
verl log. The answers are the same for both, in the unit of the column
(`bayeslaw.laws.kl.Logarithmic`); coefficients of the paper are comparable only per sequence, and
the KL of RL with that of best-of-n only if both are per sequence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bayeslaw.laws import ops
from bayeslaw.laws.base import INPUTS, At, Input, Switch
from bayeslaw.laws.kl import (
    AT_KL,
    BEND,
    BEND_RL,
    GOLD,
    PEAKS,
    PROXY,
    RATE,
    RATE_PRIORS,
    SLOPE,
    SLOPE_RL,
    START,
    TO_NOTHING,
    BestOfN,
    Logarithmic,
    Peaked,
    Rate,
    ReinforcementLearning,
)
from bayeslaw.priors import lognormal


@dataclass(frozen=True)
class OveroptimizationBestOfN(BestOfN):
    r"""Gold score of best-of-n against a proxy reward (Gao et al. 2022).

    .. math:: R(d) = d \, (\alpha - \beta d), \qquad d = \sqrt{\mathrm{KL}}, \quad
        \mathrm{KL} = \log n - (n - 1)/n

    kl (KL) : nats; a table may give n instead, from which KL is computed (`kl_of_n`; an upper bound
    for discrete rewards). R : gold reward, 0 for the initial policy. alpha : per nat^½. beta : per
    nat. The peak is at :math:`d = \alpha / 2\beta`, with the score :math:`\alpha^2 / 4\beta`.

    Fails where gold and proxy always agree, because the form always has a peak. Its authors chose
    it on n up to 1,000 and forecast n = 60,000 with it; its residuals on public runs are curved.

    References
    ----------
    Gao, Schulman, Hilton 2022, arXiv 2210.10760, eq. 1. Stiennon et al. 2020, arXiv 2009.01325,
    appendix G.3, for the KL.
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

    kl (KL) : nats per sequence, or per token (then alpha may be negative). R : gold reward, 0 for
    the initial policy. alpha, beta : per nat^½. alpha_at : see `bayeslaw.laws.kl.Logarithmic`. The
    peak is at :math:`d = e^{\alpha/\beta - 1}`, with the score
    :math:`\beta \, e^{\alpha/\beta - 1}`.

    Fails near d = 0, where its slope is infinite, as the authors say. A KL penalty changes how soon
    training stops, and not the curve. The KL of RL and that of best-of-n are not comparable.

    References
    ----------
    Gao, Schulman, Hilton 2022, arXiv 2210.10760, eq. 2. In their unit alpha is the same for all
    reward-model sizes (section 3.2): ``alpha_at="nat"`` with ``effects={"alpha": "1"}``.
    """

    name = "overoptimization_rl"
    formula = "sqrt(kl) * (alpha - beta * log(sqrt(kl)))"
    source = "Gao et al. 2022, arXiv 2210.10760, eq. 2"
    response = GOLD
    params = {"alpha": SLOPE_RL, "beta": BEND_RL}
    limits = TO_NOTHING


@dataclass(frozen=True)
class OveroptimizationRLIterated(Logarithmic, Peaked):
    r"""Gold score after k rounds of RLHF, each against a reward model trained anew (Gao et al.
    2022).

    .. math:: R(d) = d \, (\alpha - \beta \log d + \beta \log k), \qquad d = \sqrt{\mathrm{KL}}

    kl (KL) : nats per sequence, over all rounds. rounds (k) : their number, each of the distance
    d / k. R : gold reward, 0 for the initial policy. alpha, beta : per nat^½. The peak is at
    :math:`d = k \, e^{\alpha/\beta - 1}`.

    Fails where coefficients change from round to round, or where distances do not add up. Both are
    assumptions that nobody has tested.

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
    quantities_at = {name: At(text, ("rounds",)) for name, text in PEAKS.items()} | {
        name: replace(at, inputs=("rounds", "kl")) for name, at in AT_KL.items()
    }
    monotone = {"rounds": "increasing"}
    limits = TO_NOTHING

    @property
    def arguments(self) -> Mapping[str, Input]:
        return {"rounds": INPUTS["rounds"], "kl": INPUTS["kl"]}

    def at_centre(self, *, rounds: Any, kl: Any, alpha: Any, beta: Any, **_: Any) -> dict[str, Any]:
        return self.of_paper(d=ops.sqrt(kl), rounds=rounds, alpha=alpha, beta=beta)

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
class Overoptimization(Logarithmic):
    r"""Gold score of best-of-n and of RL in one table, told apart by the column ``method`` (Gao et
    al. 2022).

    .. math:: R(d) = d \, (\alpha - \beta d) \text{ for best-of-n}, \quad
        d \, (\alpha' - \beta' \log d) \text{ for RL}, \qquad d = \sqrt{\mathrm{KL}}

    kl (KL) : nats. rl : 1 where ``method`` is "rl", 0 where it is "bon". R : gold reward, 0 for the
    initial policy. alpha_bon, beta_bon (α, β) and alpha_rl, beta_rl (α', β') : as in the laws of
    one method. Each depends on reward-model size and data by a formula of its own. Both methods
    have the same noise.

    Fails where the laws of one method do. The KL of the two methods are not comparable: the law
    does not say which method is better at a given KL.

    References
    ----------
    Gao, Schulman, Hilton 2022, arXiv 2210.10760, eqs. 1 and 2.
    """

    name = "overoptimization"
    formula = (
        "sqrt(kl) * ((1 - rl) * (alpha_bon - beta_bon * sqrt(kl)) + rl * (alpha_rl - beta_rl *"
        " log(sqrt(kl))))"
    )
    source = "Gao et al. 2022, arXiv 2210.10760, eqs. 1 and 2"
    response = GOLD
    discrepancy = {"kind": "curve", "own": ("wiener", "local"), "shared": False}
    switches = {"rl": Switch("method", off="bon", on="rl")}
    params = {
        "alpha_bon": replace(SLOPE, at_centre="alpha_bon times d at the table's centre"),
        "beta_bon": replace(BEND, at_centre="beta_bon times d^2 at the table's centre"),
        "alpha_rl": replace(SLOPE_RL, symbol="α'"),
        "beta_rl": replace(BEND_RL, symbol="β'", at_centre="beta_rl times d at the table's centre"),
    }
    quantities = {
        f"{quantity}_{method}": f"{text}, {METHODS[method]}"
        for method, form in FORMS.items()
        for quantity, text in form.quantities.items()
    }
    quantities_at = {
        f"{name}_{method}": replace(at, meaning=f"{at.meaning}, {METHODS[method]}")
        for method in FORMS
        for name, at in AT_KL.items()
    }
    limits = TO_NOTHING

    @staticmethod
    def expected(
        *, kl: Any, rl: Any, alpha_bon: Any, beta_bon: Any, alpha_rl: Any, beta_rl: Any
    ) -> Any:
        best_of_n = BestOfN.expected(kl=kl, alpha=alpha_bon, beta=beta_bon)
        return (1 - rl) * best_of_n + rl * ReinforcementLearning.expected(
            kl=kl, alpha=alpha_rl, beta=beta_rl
        )

    def at_centre(
        self, *, kl: Any, alpha_bon: Any, beta_bon: Any, alpha_rl: Any, beta_rl: Any
    ) -> dict[str, Any]:
        best_of_n = BestOfN.at_centre(kl=kl, alpha=alpha_bon, beta=beta_bon)
        rl = self.of_paper(d=ops.sqrt(kl), alpha=alpha_rl, beta=beta_rl)
        return {f"{name}_bon": x for name, x in best_of_n.items()} | {
            f"{name}_rl": x for name, x in rl.items()
        }

    def value(self, quantity: str, **arguments: Any) -> Any:
        name, _, method = quantity.rpartition("_")
        others = {key: x for key, x in arguments.items() if key not in self.params}
        return FORMS[method].value(
            name, alpha=arguments[f"alpha_{method}"], beta=arguments[f"beta_{method}"], **others
        )


@dataclass(frozen=True)
class ProxyScoreBestOfN(OveroptimizationBestOfN):
    r"""Proxy score of best-of-n (Gao et al. 2022, appendix B).

    .. math:: R(d) = d \, (\alpha - \beta d), \qquad d = \sqrt{\mathrm{KL}}

    kl (KL) : nats, or n. R : proxy reward, 0 for the initial policy. alpha : per nat^½. beta : per
    nat, much smaller than that of the gold score.

    Fails far out: proxy scores could not be fitted satisfactorily. Fits underestimate at high KL,
    where the score goes on linearly in d.

    References
    ----------
    Gao, Schulman, Hilton 2022, arXiv 2210.10760, appendix B and figure 20.
    """

    name = "proxy_score_bon"
    source = "Gao et al. 2022, arXiv 2210.10760, appendix B"
    response = PROXY
    params = {
        "alpha": replace(SLOPE, prior=lognormal(1.3, 0.7, relative=True)),
        "beta": replace(BEND, prior=lognormal(0.2, 1.0, relative=True)),
    }


@dataclass(frozen=True)
class ProxyScoreRL(OveroptimizationRL):
    r"""Proxy score after RL (Gao et al. 2022, appendix B).

    .. math:: R(d) = d \, (\alpha - \beta \log d), \qquad d = \sqrt{\mathrm{KL}}

    kl (KL) : nats per sequence. R : proxy reward, 0 for the initial policy. alpha, beta : per
    nat^½; beta is much smaller than that of the gold score.

    Fails far out: proxy scores could not be fitted satisfactorily. Fits underestimate at high KL,
    where the score goes on linearly in d.

    References
    ----------
    Gao, Schulman, Hilton 2022, arXiv 2210.10760, appendix B and figure 20.
    """

    name = "proxy_score_rl"
    source = "Gao et al. 2022, arXiv 2210.10760, appendix B"
    response = PROXY
    params = {
        "alpha": replace(SLOPE_RL, prior=lognormal(1.3, 0.8, relative=True)),
        "beta": replace(BEND_RL, prior=lognormal(0.3, 0.9, relative=True)),
    }


@dataclass(frozen=True)
class RateBestOfN(Rate, BestOfN):  # type: ignore[misc]  # Rate takes R0 and hands the rest on
    r"""A gold rate, such as accuracy or win rate, of best-of-n against a proxy reward.

    .. math:: \mathrm{logit} R(d) = \mathrm{logit} R_0 + d \, (\alpha - \beta d), \qquad
        d = \sqrt{\mathrm{KL}}

    kl (KL) : nats, or n; rows with n = 1 are of the initial policy. R : gold rate, between 0 and 1.
    R0 : gold rate of the initial policy. alpha : logits per nat^½. beta : logits per nat.

    Fails where the law of scores fails; that it holds of the logit is our reading, which keeps
    rates between 0 and 1.

    References
    ----------
    Gao, Schulman, Hilton 2022, arXiv 2210.10760, eq. 1, on a logit scale. Rafailov et al. 2024,
    arXiv 2406.02900, fit the form to win rates.
    """

    name = "overoptimization_bon_rate"
    formula = "sigmoid(logit(R0) + sqrt(kl) * (alpha - beta * sqrt(kl)))"
    source = "Gao et al. 2022, arXiv 2210.10760, eq. 1, on a logit scale"
    response = RATE
    params = {
        "R0": START,
        "alpha": replace(SLOPE, prior=RATE_PRIORS["alpha"]),
        "beta": replace(BEND, prior=RATE_PRIORS["beta"]),
    }


@dataclass(frozen=True)
class RateRL(Rate, ReinforcementLearning):  # type: ignore[misc]
    r"""A gold rate, such as accuracy or win rate, after RL against a proxy reward.

    .. math:: \mathrm{logit} R(d) = \mathrm{logit} R_0 + d \, (\alpha - \beta \log d), \qquad
        d = \sqrt{\mathrm{KL}}

    kl (KL) : nats per sequence. R : gold rate, between 0 and 1. R0 : gold rate of the initial
    policy. alpha, beta : logits per nat^½.

    Fails where the law of scores fails; that it holds of the logit is our reading, which keeps
    rates between 0 and 1.

    References
    ----------
    Gao, Schulman, Hilton 2022, arXiv 2210.10760, eq. 2, on a logit scale. Rafailov et al. 2024,
    arXiv 2406.02900, fit the form to win rates.
    """

    name = "overoptimization_rl_rate"
    formula = "sigmoid(logit(R0) + sqrt(kl) * (alpha - beta * log(sqrt(kl))))"
    source = "Gao et al. 2022, arXiv 2210.10760, eq. 2, on a logit scale"
    response = RATE
    params = {
        "R0": START,
        "alpha": replace(SLOPE_RL, prior=RATE_PRIORS["alpha"]),
        "beta": replace(BEND_RL, prior=RATE_PRIORS["beta"]),
    }
