r"""Is the budget worth spending? Options for a run that nobody has paid for, the probability that
each meets a target, and a verdict.

An option's response is that of a new run (kind "run", draws paired over options). With c its cost,
v the value of meeting the target, and m = 1 where it is met and 0 where not, an option's value is
:math:`u = v \, m - c`. The expected value of perfect information is :math:`\mathrm{E} \max_i u_i -
\max_i \mathrm{E} u_i`, where doing nothing (value 0) is one of the options.

References
----------
Raiffa and Schlaifer 1961, Applied Statistical Decision Theory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.checks import CheckResult
from bayeslaw.decisions import doubts as why_not
from bayeslaw.decisions.options import checked_options, require_far
from bayeslaw.decisions.utility import (
    break_even_targets,
    evpi,
    expected_regret,
    expected_shortfall,
    met,
    p_best,
)
from bayeslaw.errors import SpecError
from bayeslaw.posterior.bands import summaries_of
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.points import JOINT, Points, new_groups
from bayeslaw.posterior.predict import predict
from bayeslaw.runs.arguments import is_finite
from bayeslaw.runs.files import plain_rows
from bayeslaw.text import named_rows, named_run, percent, shown
from bayeslaw.validation.backtesting import Backtest

#: Columns that `decide` adds to those of the options, beside bands.
ADDED = (
    "cost",
    "p_target",
    "median",
    "p_best",
    "expected_regret",
    "expected_value",
    "value_tail",
    "highest_cost",
    "converged",
)

Verdict = Literal["go", "no-go", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict on options, with the numbers behind it. Made by `decide`, never changed.

    Attributes
    ----------
    verdict : "go", "no-go" or "inconclusive".
    reasons : why, in words, the weightiest first.
    table : a row an option: its columns, ``cost``, ``p_target``, ``median`` of the response and its
        bands, ``p_best``, ``expected_regret``; with a value also ``expected_value``, ``value_tail``
        (mean of its worst 5 %) and ``highest_cost`` (the cost at which its expected value is 0).
    labels : what each option is called: the values of the columns in which options differ.
    chosen : the row of the option that the verdict is about.
    distance : how far the chosen option lies beyond the runs, in decades, by input; and of all
        inputs together, "joint", if there are several.
    doubts : why nothing is decided, in words; empty where something is.
    general_doubts : the doubts that hold for any option (checks, backtest).
    option_doubts : the doubts about each option, (option,): its distance beyond the runs.
    prior_weights : of the draws under weaker and stronger priors, (prior, sample); (0, sample)
        where importance weights cannot tell.
    target, go_at, no_go_at : as in `decide`.
    flips : the break-even targets, which the chosen option meets with probability ``go_at`` ("go")
        and ``no_go_at`` ("no-go").
    evpi : expected value of perfect information, in the unit of value; NaN without one.
    draws : the response of each option, (sample, option), paired.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    table: pd.DataFrame
    labels: tuple[str, ...]
    chosen: int
    distance: Mapping[str, float]
    doubts: tuple[str, ...]
    general_doubts: tuple[str, ...]
    option_doubts: tuple[tuple[str, ...], ...]
    prior_weights: np.ndarray
    target: float
    go_at: float
    no_go_at: float
    flips: Mapping[str, float]
    evpi: float
    draws: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """The decision as plain data, its draws left out."""
        return {
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "chosen": self.chosen,
            "target": self.target,
            "go_at": self.go_at,
            "no_go_at": self.no_go_at,
            "flips": dict(self.flips),
            "evpi": None if np.isnan(self.evpi) else self.evpi,
            "options": plain_rows(self.table),
        }

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{self.verdict.upper()}: {self.reasons[0]}",
                *(f"  {reason}" for reason in self.reasons[1:]),
            ]
        )


def decide(
    fit: Draws,
    options: Points,
    target: float,
    *,
    at: Mapping[str, Any] | None = None,
    cost: Mapping[str, float] | Sequence[float] | None = None,
    value: float | Callable[[np.ndarray], np.ndarray] | None = None,
    go_at: float = defaults.GO_AT,
    no_go_at: float = defaults.NO_GO_AT,
    checks: Sequence[CheckResult] | None = None,
    backtest: Backtest | None = None,
    far: float = defaults.FAR,
    random_seed: int | None = None,
) -> Decision:
    """Whether to spend the budget, on which option, and why.

    Parameters
    ----------
    fit : the posterior.
    options : points as `bayeslaw.posterior.predict.predict` takes them, a row (or a product of
        values) an option: sizes, data, method; a column ``cost`` too, unless ``cost`` is given.
    target : of the response, in its unit. It is met at or below the target for a loss, at or above
        the target for a score, a rate or an optimum.
    at : inputs and grouping columns that all options share.
    cost : of each option, in any one unit: a list in the order of the options, or a mapping from
        the values of the one column in which options differ, ``{"lora": 12e3, "fmt": 90e3}``. None:
        the column ``cost``, or 0.
    value : what meeting the target is worth, in the unit of cost; or a function from the response,
        (sample, option), to a value of the same shape. None: the cheapest option that meets the
        target with probability ``go_at`` is chosen; if there is none, the likeliest to meet it.
    go_at, no_go_at : P(target met) from which on the verdict is "go", and up to which "no-go";
        between them it is "inconclusive". With a value, "go" also needs an expected value above 0.
    checks : of the fit, as `bayeslaw.check` gives them. A failed one makes the verdict
        "inconclusive". Those of convergence always count, given or not.
    backtest : of the same spec. If its 90 % bands held so few hidden runs that a right model's
        would with a probability below `bayeslaw.defaults.COVERAGE_ALPHA`, the verdict is
        "inconclusive".
    far : decades beyond the runs, in any input or in all together, from which on nothing is
        decided.
    random_seed : for groups that no run had, and noise; None: the fit's.

    Returns
    -------
    Decision

    Raises
    ------
    SpecError : a target out of range, costs or a value that do not fit the options, thresholds in
        the wrong order, a limit ``far`` that is not above 0. As
        `bayeslaw.posterior.predict.predict`.

    Examples
    --------
    >>> options = {"model_size": [7e9, 70e9], "data_size": 1e12}
    >>> print(bl.decide(fit, options, target=2.1, cost=[1e5, 1e6]))
    GO: model size 7B, data size 1T meets the target of 2.1 with probability 93 % (at least 80 %).
    ...
    """
    points, costs = checked_options(
        fit.law, options, target, at=at, cost=cost, go_at=go_at, no_go_at=no_go_at
    )
    ahead = forecast(
        fit, points, checks=checks, backtest=backtest, far=far, random_seed=random_seed
    )
    return decision_on(ahead, costs, target, value=value, go_at=go_at, no_go_at=no_go_at)


@dataclass(frozen=True, slots=True)
class Forecast:
    """Options before a target is set: what they may reach, and what speaks against believing it.

    Attributes
    ----------
    fit : the posterior.
    points : a row an option.
    response : draws of each option's response, (sample, option), paired.
    distances : of each option, how far it lies beyond the runs, as in `Decision`.
    general_doubts, option_doubts, prior_weights : as in `Decision`.
    khat : of the prior weights.
    """

    fit: Draws
    points: pd.DataFrame
    response: np.ndarray
    distances: Sequence[Mapping[str, float]]
    general_doubts: tuple[str, ...]
    option_doubts: tuple[tuple[str, ...], ...]
    prior_weights: np.ndarray
    khat: float


def forecast(
    fit: Draws,
    points: pd.DataFrame,
    *,
    checks: Sequence[CheckResult] | None = None,
    backtest: Backtest | None = None,
    far: float = defaults.FAR,
    random_seed: int | None = None,
) -> Forecast:
    """What `decide` knows of options before it reads the target; its arguments are those of
    `decide`.
    """
    require_far(far)
    predicted = predict(fit, points, "run", random_seed=random_seed)
    measured = [name for name in (*fit.law.inputs, JOINT) if f"distance_{name}" in predicted.coords]
    distances = [
        {name: float(predicted[f"distance_{name}"][i]) for name in measured}
        for i in range(len(points))
    ]
    weights, khat = why_not.weights_under_other_priors(fit)
    return Forecast(
        fit=fit,
        points=points,
        response=predicted.values.reshape(fit.samples, len(points)),
        distances=distances,
        general_doubts=tuple(why_not.general_doubts(fit, checks, backtest)),
        option_doubts=tuple(tuple(why_not.distance_doubts(x, far)) for x in distances),
        prior_weights=weights,
        khat=khat,
    )


def decision_on(
    ahead: Forecast,
    costs: np.ndarray,
    target: float,
    *,
    value: float | Callable[[np.ndarray], np.ndarray] | None = None,
    go_at: float = defaults.GO_AT,
    no_go_at: float = defaults.NO_GO_AT,
) -> Decision:
    """The decision for one target; the arguments are those of `decide`, and ``costs``, (option,).

    Raises
    ------
    SpecError : a value that does not fit the options.
    """
    fit, points, response = ahead.fit, ahead.points, ahead.response
    lower_is_better = fit.law.response.lower_is_better
    is_met = met(response, target, lower_is_better)
    worth = _worth(value, response, is_met)
    table = _table(points, costs, response, is_met, worth, lower_is_better)
    chosen = choose(table, go_at)
    p_target = float(table["p_target"].iloc[chosen])
    other_priors = [float(p) for p in ahead.prior_weights @ is_met[:, chosen]]
    of_prior = why_not.prior_doubts(other_priors, p_target)
    doubts = [*ahead.general_doubts, *ahead.option_doubts[chosen], *of_prior]

    verdict = verdict_of(table, chosen, go_at, no_go_at) if not doubts else "inconclusive"
    targets = {
        name: float(x)
        for name, x in break_even_targets(
            response[:, chosen], go_at, no_go_at, lower_is_better
        ).items()
    }
    labels = tuple(named_rows(points))
    other_words = (
        _prior_in_words(other_priors, ahead.khat, decides=bool(of_prior))
        if fit.convergence.sampled
        else []
    )
    reasons = [
        *_verdict_in_words(
            verdict, table, chosen, named_run(points.iloc[chosen]), target, go_at, no_go_at, doubts
        ),
        f"That option meets a target of {targets['go']:.4g} with probability {100 * go_at:g} %, and"
        f" one of {targets['no-go']:.4g} with probability {100 * no_go_at:g} %.",
        *other_words,
        *_unseen_levels_in_words(fit, points.iloc[chosen]),
    ]
    return Decision(
        verdict=verdict,
        reasons=tuple(reasons),
        table=table.assign(converged=fit.convergence.passed),
        labels=labels,
        chosen=chosen,
        distance=ahead.distances[chosen],
        doubts=tuple(doubts),
        general_doubts=ahead.general_doubts,
        option_doubts=ahead.option_doubts,
        prior_weights=ahead.prior_weights,
        target=float(target),
        go_at=go_at,
        no_go_at=no_go_at,
        flips=targets,
        evpi=float("nan") if worth is None else evpi(worth - costs),
        draws=response,
    )


def _worth(
    value: float | Callable[[np.ndarray], np.ndarray] | None,
    response: np.ndarray,
    is_met: np.ndarray,
) -> np.ndarray | None:
    """The value of each option's response, (sample, option); None if no value is given."""
    if value is None:
        return None
    if not (callable(value) or (is_finite(value) and abs(value) <= defaults.LARGEST)):
        raise SpecError(
            f"value is {shown(value)}, and it must be a number of at most {defaults.LARGEST:g},"
            " or a function.",
            key="value",
        )
    worth = np.asarray(value(response) if callable(value) else float(value) * is_met, dtype=float)
    if worth.shape != response.shape or not np.isfinite(worth).all():
        raise SpecError(
            "value must give a finite number for each draw and option, of the shape"
            f" {response.shape}; it gave {worth.shape}.",
            key="value",
        )
    return worth


def _table(
    points: pd.DataFrame,
    costs: np.ndarray,
    response: np.ndarray,
    is_met: np.ndarray,
    worth: np.ndarray | None,
    lower_is_better: bool,
) -> pd.DataFrame:
    """The table of `Decision`: a row an option. Utility is worth less cost; without a value it is
    the response, with a sign that makes higher better."""
    summaries = summaries_of(response, defaults.PROBS)
    del summaries["mean"]
    table = points.assign(cost=costs, p_target=is_met.mean(axis=0), **summaries)
    if worth is None:
        utility = -response if lower_is_better else response
    else:
        utility = worth - costs
        table = table.assign(
            expected_value=utility.mean(axis=0),
            value_tail=expected_shortfall(utility),
            highest_cost=worth.mean(axis=0),
        )
    return table.assign(p_best=p_best(utility), expected_regret=expected_regret(utility))


def choose(table: pd.DataFrame, go_at: float) -> int:
    """The row of the option to take: the one with the highest expected value. Without a value it is
    the cheapest one that meets the target with probability ``go_at``; if there is none, the
    likeliest to meet it.

    >>> choose(pd.DataFrame({"p_target": [0.7, 0.85, 0.9], "cost": [1, 2, 3]}), go_at=0.8)
    1
    """
    if "expected_value" in table:
        return int(table["expected_value"].to_numpy().argmax())
    p_target, cost = table["p_target"].to_numpy(), table["cost"].to_numpy()
    enough = np.flatnonzero(p_target >= go_at)
    if not len(enough):
        return int(p_target.argmax())
    return int(enough[np.lexsort((-p_target[enough], cost[enough]))[0]])


def verdict_of(table: pd.DataFrame, chosen: int, go_at: float, no_go_at: float) -> Verdict:
    """The verdict on the chosen option, if there is no doubt: "go" if it meets the target with
    probability ``go_at`` and is worth more than it costs; "no-go" if no option has more than
    ``no_go_at``, or the chosen one is worth less than it costs.

    >>> verdict_of(pd.DataFrame({"p_target": [0.7, 0.85]}), 1, go_at=0.8, no_go_at=0.2)
    'go'
    """
    if not _pays(table, chosen):
        return "no-go"
    if table["p_target"].iloc[chosen] >= go_at:
        return "go"
    return "no-go" if table["p_target"].max() <= no_go_at else "inconclusive"


def _pays(table: pd.DataFrame, chosen: int) -> bool:
    """Whether an option is worth more than it costs, on average; true if no value is given."""
    return "expected_value" not in table or bool(table["expected_value"].iloc[chosen] > 0)


def _verdict_in_words(
    verdict: Verdict,
    table: pd.DataFrame,
    chosen: int,
    run: str,
    target: float,
    go_at: float,
    no_go_at: float,
    doubts: Sequence[str],
) -> list[str]:
    """The doubts, if any, and the probability that the chosen option meets the target."""
    p_target = table["p_target"].iloc[chosen]
    meets = "meets" if p_target >= 0.5 else "may meet"
    p = _beside_thresholds(p_target, go_at, no_go_at)
    statement = f"{run or 'The run'} {meets} the target of {target:g} with probability {p}"
    if doubts:
        return [*doubts, f"{statement}, but only if the fit can be trusted."]
    if not _pays(table, chosen):
        value = table["expected_value"].iloc[chosen]
        return [
            f"{statement}, but its expected value is {value:.3g}: it costs more than it is worth."
        ]
    bound = {
        "go": f"at least {100 * go_at:g} %",
        "no-go": f"no option has more than {100 * no_go_at:g} %",
        "inconclusive": (
            f"less than {100 * go_at:g} %, and not every option has at most"
            f" {100 * no_go_at:g} %: the runs do not say"
        ),
    }[verdict]
    return [f"{statement} ({bound})."]


def _beside_thresholds(p: float, go_at: float, no_go_at: float) -> str:
    """A probability in percent, which rounding does not move onto a threshold that it is off.

    >>> _beside_thresholds(0.797, 0.8, 0.2), _beside_thresholds(0.8, 0.8, 0.2)
    ('just below 80 %', '80 %')
    """
    text = percent(p)
    if p < go_at and text == percent(go_at):
        return f"just below {text}"
    return f"just above {text}" if p > no_go_at and text == percent(no_go_at) else text


def _prior_in_words(other_priors: Sequence[float], khat: float, *, decides: bool) -> list[str]:
    """The probability under other priors; empty if the prior is among the doubts."""
    if not other_priors:
        return [
            "These draws cannot show how far that probability rests on the prior: k-hat is"
            f" {khat:.2g}, above the limit of {defaults.KHAT_MAX:g}. Fit with other priors and"
            " compare."
        ]
    if decides:
        return []
    return [
        f"With every prior weaker or stronger ({why_not.powers_in_words()}), that probability would"
        f" be {why_not.in_words(other_priors)}."
    ]


def _unseen_levels_in_words(fit: Draws, option: pd.Series) -> list[str]:
    """Levels of an option in no run: intended, or a typo."""
    return [
        f"{new} It is predicted as a new group from the same population, so its bands are wider."
        for new in new_groups(fit, option.to_frame().T)
    ]
