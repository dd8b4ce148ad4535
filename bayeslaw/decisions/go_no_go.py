r"""Is the budget worth spending: options for a run that nobody has paid for, the probability that
each meets a target, and a verdict.

With y the response of an option as a new run would log it (kind "run", draws paired over options),
c its cost, v what meeting the target is worth and m whether it is met, an option's value is
:math:`v \, m - c`. The expected value of perfect information is :math:`\mathrm{E} \max_i u_i -
\max_i \mathrm{E} u_i`, doing nothing (value 0) being one of the options.

References
----------
Raiffa and Schlaifer 1961, Applied Statistical Decision Theory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.checks import CheckResult
from bayeslaw.checks.convergence import check_convergence
from bayeslaw.decisions import utility as values
from bayeslaw.errors import SpecError, suggest
from bayeslaw.laws.base import Law
from bayeslaw.posterior.parameters import samples_of
from bayeslaw.posterior.power_scaling import power_weights, total_log_prior
from bayeslaw.posterior.predict import Points, grid, predict, quantiles_of
from bayeslaw.runs.files import plain_rows
from bayeslaw.runs.table import label
from bayeslaw.spec.spec import columns_of
from bayeslaw.text import named_rows
from bayeslaw.validation.backtesting import Backtest

if TYPE_CHECKING:
    from bayeslaw.fitting import Fit

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
    chosen : the row that the verdict is of.
    distance : how far the chosen option lies beyond the runs, in decades, by input.
    doubts : why nothing is decided, in words; none where something is. Of them ``general_doubts``
        (checks, backtest) would hold for any option.
    option_doubts : those of each option itself, (option,): how far it lies out.
    prior_weights : of the draws under weaker and stronger priors, (prior, sample); of no prior
        where the draws do not reach so far.
    target, go_at, no_go_at : what was asked.
    flips : the targets that the chosen option meets with probability ``go_at`` ("go") and
        ``no_go_at`` ("no-go").
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
    fit: Fit,
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
    options : points as `bayeslaw.posterior.predict.predict` takes them, a row (or a product of values) an
        option: sizes, data, method; a column ``cost`` too, if it is not given by itself.
    target : of the response, in its unit. It is met at or below the target for a loss, at or above
        it for a score or a rate.
    at : inputs and grouping columns that all options share.
    cost : of each option, in any one unit: a list in the order of the options, or a mapping from
        the values of the one column in which options differ, ``{"lora": 12e3, "fmt": 90e3}``. None:
        the column ``cost``, or 0.
    value : what meeting the target is worth, in the unit of cost; or a function from the response,
        (sample, option), to a value of the same shape. None: the cheapest option that meets the
        target with ``go_at`` is chosen, or else the likeliest to.
    go_at, no_go_at : P(target met) from which on the verdict is "go", and up to which "no-go";
        between them it is "inconclusive". With a value, "go" also needs an expected value above 0.
    checks : of the fit, as `bayeslaw.check` gives them; None: those of convergence. A failed one
        makes the verdict "inconclusive".
    backtest : of the same spec. Coverage of 90 % bands below `defaults.COVERAGE_MIN` makes the
        verdict "inconclusive".
    far : decades beyond the runs in any input from which on nothing is decided.
    random_seed : for groups never seen and noise; None: the fit's.

    Returns
    -------
    Decision

    Raises
    ------
    SpecError : a target, costs, a value or thresholds that cannot be meant. As
        `bayeslaw.posterior.predict.predict`.
    """
    points, costs = asked(
        fit.spec.law, options, target, at=at, cost=cost, go_at=go_at, no_go_at=no_go_at
    )
    predicted = predict(fit, points, "run", random_seed=random_seed)
    response = predicted.values.reshape(samples_of(fit), len(points))
    lower_is_better = fit.spec.law.response.lower_is_better
    met = values.met(response, target, lower_is_better)
    worth = (
        None
        if value is None
        else np.asarray(value(response) if callable(value) else value * met, dtype=float)
    )
    if worth is not None and (worth.shape != response.shape or not np.isfinite(worth).all()):
        raise SpecError(
            "value must give a finite number for each draw and option, of the shape"
            f" {response.shape}; it gave {worth.shape}."
        )
    p_target = met.mean(axis=0)
    found = points.assign(
        cost=costs,
        p_target=p_target,
        **{k: v for k, v in quantiles_of(response, defaults.PROBS).items() if k != "mean"},
    )
    evpi = float("nan")
    if worth is None:
        utility = -response if lower_is_better else response
        enough = np.flatnonzero(p_target >= go_at)
        chosen = (
            int(enough[np.lexsort((-p_target[enough], costs[enough]))[0]])
            if len(enough)
            else int(p_target.argmax())
        )
    else:
        utility = worth - costs
        expected = utility.mean(axis=0)
        tail = np.sort(utility, axis=0)[: max(1, len(utility) // 20)].mean(axis=0)
        found = found.assign(
            expected_value=expected, value_tail=tail, highest_cost=worth.mean(axis=0)
        )
        evpi = values.evpi(utility)
        chosen = int(expected.argmax())
    found = found.assign(
        p_best=values.p_best(utility), expected_regret=values.expected_regret(utility)
    )
    out_of_reach = [
        {name: float(predicted[f"distance_{name}"][i]) for name in fit.spec.law.inputs}
        for i in range(len(points))
    ]
    general, own = (
        _doubts(fit, checks, backtest),
        [_far(distance, far) for distance in out_of_reach],
    )
    weights, khat = _other_priors(fit)
    by_prior, from_prior = _under_other_priors(weights, met[:, chosen])
    doubts = [*general, *own[chosen], *from_prior]
    verdict: Verdict = "inconclusive"
    labels = tuple(named_rows(points))
    says = (
        f"{labels[chosen]} {'meets' if p_target[chosen] >= 0.5 else 'may meet'} the target of"
        f" {target:g} with probability {p_target[chosen]:.2f}"
    )
    if not doubts:
        paid = worth is None or found["expected_value"].iloc[chosen] > 0
        verdict = (
            "go"
            if p_target[chosen] >= go_at and paid
            else "no-go"
            if p_target.max() <= no_go_at or not paid
            else "inconclusive"
        )
        bound = {
            "go": f"at least {go_at:g}",
            "no-go": f"no option has more than {no_go_at:g}",
            "inconclusive": (
                f"less than {go_at:g}, and not every option has at most {no_go_at:g}: the runs do"
                " not say"
            ),
        }[verdict]
        reasons = [
            (
                f"{says} ({bound})."
                if paid
                else (
                    f"{says}, and is worth {found['expected_value'].iloc[chosen]:.3g} on average:"
                    " less than nothing."
                )
            )
        ]
    else:
        reasons = [*doubts, f"{says}, if it is to be believed."]
    flips = {
        name: float(at)
        for name, at in values.flips(response[:, chosen], go_at, no_go_at, lower_is_better).items()
    }
    reasons.append(
        f"That option meets a target of {flips['go']:.4g} with probability {go_at:g}, and one of"
        f" {flips['no-go']:.4g} with probability {no_go_at:g}."
    )
    if not len(weights):
        reasons.append(
            "How much of it is the prior's answer cannot be told from these draws (k-hat"
            f" {khat:.2g}, at most {defaults.KHAT_MAX:g})."
        )
    if by_prior and not from_prior:
        reasons.append(
            f"Were every prior weaker or stronger ({_powers()}), that probability would be"
            f" {' or '.join(f'{p:.2f}' for p in by_prior)}."
        )
    reasons += _strangers(fit, points.iloc[chosen])
    return Decision(
        verdict,
        tuple(reasons),
        found.assign(converged=fit.convergence.passed),
        labels,
        chosen,
        out_of_reach[chosen],
        tuple(doubts),
        tuple(general),
        tuple(map(tuple, own)),
        weights,
        float(target),
        go_at,
        no_go_at,
        flips,
        evpi,
        response,
    )


def require_target(target: float, law: Law) -> None:
    """Raise SpecError unless the law's response can have this value."""
    low, high = {"log": (0.0, np.inf), "logit": (0.0, 1.0), "linear": (-np.inf, np.inf)}[
        law.response.scale
    ]
    if not (np.isfinite(target) and low < target < high):
        meant = {
            "log": "a positive number",
            "logit": "a rate between 0 and 1, such as 0.85",
            "linear": "a number",
        }[law.response.scale]
        raise SpecError(f"target is {target}, and it must be {meant}.")


def asked(
    law: Law,
    options: Points,
    target: float,
    *,
    at: Mapping[str, Any] | None = None,
    cost: Mapping[str, float] | Sequence[float] | None = None,
    go_at: float = defaults.GO_AT,
    no_go_at: float = defaults.NO_GO_AT,
) -> tuple[pd.DataFrame, np.ndarray]:
    """The points of the options, and the cost of each, (option,): what is asked of `decide`,
    checked.

    Raises
    ------
    SpecError : a target, costs or thresholds that cannot be meant, or no options.
    """
    table = grid(options).assign(**dict(at or {}))
    require_target(target, law)
    if not 0 < no_go_at < go_at < 1:
        raise SpecError(
            f"no_go_at is {no_go_at} and go_at is {go_at}: they must lie between 0 and 1, no_go_at"
            " below go_at."
        )
    if not len(table):
        raise SpecError("There are no options to decide between.")
    return table.drop(columns="cost", errors="ignore"), _costs(table, cost, at)


def _costs(
    table: pd.DataFrame,
    cost: Mapping[str, float] | Sequence[float] | None,
    at: Mapping[str, Any] | None,
) -> np.ndarray:
    """The cost of each option, (option,)."""
    if cost is None:
        numbers = (
            pd.to_numeric(table["cost"], errors="coerce").to_numpy(float)
            if "cost" in table
            else np.zeros(len(table))
        )
    elif isinstance(cost, Mapping):
        differing = [
            name
            for name in table
            if name not in (at or {})
            and name != "cost"
            and {called(x) for x in table[name]} <= {called(x) for x in cost}
        ]
        if len(differing) != 1:
            raise SpecError(
                f"cost has {', '.join(map(str, cost))}:"
                f" {'several columns have' if differing else 'no column of the options has'} all of"
                " its values among these. Give a list of costs."
            )
        known = {called(name): float(x) for name, x in cost.items()}
        numbers = table[differing[0]].map(called).map(known).to_numpy(float)
    else:
        numbers = pd.to_numeric(pd.Series(list(cost)), errors="coerce").to_numpy(float)
        if len(numbers) != len(table):
            raise SpecError(f"cost has {len(numbers)} values for {len(table)} options.")
    if not (np.isfinite(numbers) & (numbers >= 0)).all():
        raise SpecError("A cost must be a number of at least 0 for every option.")
    return numbers


def called(value: Any) -> str:
    """A value by its name: 7e9, "7e9" and 7000000000 are one."""
    try:
        return label(float(value))
    except (TypeError, ValueError):
        return label(value)


def _doubts(fit: Fit, checks: Sequence[CheckResult] | None, backtest: Backtest | None) -> list[str]:
    """Why nothing can be decided from this fit, the reasons in words; none where it can."""
    found = [
        f"A check failed: {result.name}, {result.message}"
        for result in (checks if checks is not None else check_convergence(fit))
        if result.passed is False
    ]
    if backtest is not None:
        if not backtest.converged:
            found.append("The chains of the backtest did not converge.")
        covered = float(backtest.scores().loc["bayeslaw", "coverage_90"])
        if covered < defaults.COVERAGE_MIN:
            found.append(
                f"Had this been used before: 90 % bands held {covered:.0%} of the hidden runs, less"
                f" than {defaults.COVERAGE_MIN:.0%}."
            )
    return found


def _far(distance: Mapping[str, float], far: float) -> list[str]:
    """Why nothing can be decided of an option that lies so far beyond the runs."""
    return [
        f"The option lies {abs(x):.1f} decades beyond the runs in {name}, more than {far:g}: the"
        " law is not known to hold so far out."
        for name, x in distance.items()
        if abs(x) > far
    ]


def _other_priors(fit: Fit) -> tuple[np.ndarray, float]:
    """Weights of the draws under weaker and stronger priors, (prior, sample), and the worse k-hat;
    of no prior where that is above its threshold.
    """
    total = total_log_prior(fit)
    weighed = [power_weights(total, power) for power in defaults.PRIOR_POWERS]
    khat = max(khat for _, khat in weighed)
    found = np.array([weights for weights, _ in weighed])
    return (found if khat <= defaults.KHAT_MAX else found[:0]), khat


def _under_other_priors(weights: np.ndarray, met: np.ndarray) -> tuple[list[float], list[str]]:
    """The probability of ``met``, (sample,), under other priors; and whether it is the prior's, as
    a doubt.
    """
    found = [float(p) for p in weights @ met]
    if max((abs(p - met.mean()) for p in found), default=0.0) <= defaults.PRIOR_MOVES_MAX:
        return found, []
    return found, [
        f"The prior decides: were every prior weaker or stronger ({_powers()}), the probability"
        f" would be {' or '.join(f'{p:.2f}' for p in found)}, not {met.mean():.2f}."
    ]


def _powers() -> str:
    return f"raised to the power {' or '.join(f'{x:g}' for x in defaults.PRIOR_POWERS)}"


def _strangers(fit: Fit, option: pd.Series) -> list[str]:
    """What of an option was in no run, in words: it may be meant, and it may be a slip of the pen."""
    found = []
    for name in (
        c
        for c in columns_of(fit.spec)
        if c in option and c in fit.runs.table and not pd.isna(option[c])
    ):
        known = set(fit.runs.table[name].map(label))
        if (value := label(option[name])) not in known:
            found.append(
                f"No run has {name} {value}: what it deviates by is drawn from the population of"
                f" those that were run.{suggest(value, known)}"
            )
    return found
