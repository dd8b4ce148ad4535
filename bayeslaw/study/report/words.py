"""The sentences of the report."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bayeslaw import defaults
from bayeslaw.decisions.candidates import ADDED
from bayeslaw.posterior.points import JOINT
from bayeslaw.study.result import StudyResult
from bayeslaw.text import magnitude, named


def number(x: Any) -> str:
    """A number with four digits: 1.024, 90,000, 7B, 5.88e+23. Text stays as it is, and a missing
    value is "".
    """
    if isinstance(x, str):
        return x
    if pd.isna(x):
        return ""
    x = float(x)
    if 1e9 <= x < 1e15:
        return magnitude(x)
    if abs(x) < 1e-12:  # rounding
        return "0"
    if not abs(x) < 1e9 or abs(x) < 1e-4:
        return f"{x:.3g}"
    whole_thousands = x == int(x) and abs(x) >= 1000
    return f"{x:,.0f}" if abs(x) >= 1e4 or whole_thousands else f"{x:.4g}"


def percent(p: float) -> str:
    """A probability in percent, and never 0 or 100, which no number of draws can show."""
    if not 0.005 <= p <= 0.995:
        return "less than 1 %" if p < 0.5 else "more than 99 %"
    return f"{100 * p:.0f} %"


def verdict(result: StudyResult) -> str:
    """GO, NO-GO or INCONCLUSIVE; FORECAST for a study without a decision."""
    return result.decision.verdict.upper() if result.decision is not None else "FORECAST"


def sentence(result: StudyResult) -> str:
    """The chosen option, its probability of meeting the target, and its band."""
    decision, law = result.decision, result.prepared.law
    if decision is None:
        return (
            f"{law.name} fitted to {len(result.prepared.runs):,} runs; no decision was asked for."
        )
    row, unit = decision.table.iloc[decision.chosen], law.response.unit
    better = "at or below" if law.response.lower_is_better else "at or above"
    response = law.response.name.replace("_", " ")
    return (
        f"A run with {decision.labels[decision.chosen]} ends {better} a {response} of"
        f" {number(decision.target)} with probability {percent(row['p_target'])}: 90 % of runs like"
        f" this land between {number(row['lower_90'])} and {number(row['upper_90'])} ({unit})."
    )


def costs(result: StudyResult) -> str:
    """What the chosen option costs, and what it is worth; "" for options without costs."""
    decision, section = result.decision, result.prepared.study.decision
    if decision is None or section is None or not decision.table["cost"].any():
        return ""
    row, unit = decision.table.iloc[decision.chosen], f" {section.unit}".rstrip()
    text = f"It costs {number(row['cost'])}{unit}"
    if "expected_value" in row:
        text += (
            f". After its cost, it is worth {number(row['expected_value'])}{unit} on average, and"
            f" {number(row['value_tail'])}{unit} in the worst 5 % of cases. To know the outcome"
            f" beforehand would be worth {number(decision.evpi)}{unit}"
        )
    return f"{text}."


def hindsight(result: StudyResult) -> str:
    """How true the forecasts of hidden runs were."""
    if result.backtest is None:
        return (
            "No runs were hidden and predicted, so it is not known whether bands of this law hold"
            " on this table. Add a [backtest] to the study file."
        )
    scores = result.backtest.scores()
    bayes = scores.loc["bayeslaw"]
    inside = round(float(bayes["coverage_90"] * bayes["predicted"]))
    text = (
        f"In the backtest: of {number(bayes['runs'])} runs that the fit did not see,"
        f" {inside} landed in their 90 % band ({bayes['coverage_90']:.0%}), with a typical error of"
        f" {bayes['relative_error']:.2%}."
    )
    if "huber" in scores.index and pd.notna(scores.loc["huber", "coverage_90"]):
        huber = scores.loc["huber"]
        text += (
            f" Least squares with a bootstrap, on the same runs: {huber['coverage_90']:.0%} in"
            f" their 90 % band, with a typical error of {huber['relative_error']:.2%}."
        )
    return text


def reach(result: StudyResult) -> list[str]:
    """How far the chosen option lies beyond the runs: a text for each input in which it does,
    and one where it lies farther in all together."""
    if result.bands is None or result.decision is None or result.sweep is None:
        return []
    texts, inputs = [], list(result.prepared.law.inputs)
    for name in inputs:
        distance = result.decision.distance.get(name, 0.0)
        if abs(distance) > 0.005:
            side = "the largest" if distance > 0 else "the smallest"
            factor = 10**distance
            texts.append(
                f"{name.replace('_', ' ')} is {factor:.3g} times {side} that was run"
                f" ({abs(distance):.2f} decades)"
            )
    single = max(abs(result.decision.distance.get(name, 0.0)) for name in inputs)
    together = result.decision.distance.get(JOINT, 0.0)
    if together > single + 0.005:
        texts.append(
            f"{' and '.join(name.replace('_', ' ') for name in inputs)} together lie"
            f" {together:.2f} decades beyond the runs"
        )
    return texts


def failed(result: StudyResult) -> int:
    """How many checks failed."""
    return sum(check.passed is False for check in result.checks)


def next_run(result: StudyResult) -> str:
    """The candidate run to make first, and what it is worth; "" without candidates."""
    table = result.next_runs
    if table is None or not len(table):
        return ""
    first = _first_run(table)
    columns = [c for c in table.columns if c not in ADDED and table[c].astype(str).nunique() > 1]
    name = ", ".join(named(c, first[c]) for c in columns) or "the one candidate"
    removed = percent(first["variance_reduction"])
    text = f"First run {name}: it is expected to remove {removed} of the options' variance"
    section = result.prepared.study.decision
    if "value_of_run" in first and section is not None:
        worth = f"{number(first['value_of_run'])} {section.unit}".rstrip()
        text += f", which is worth {worth} before the decision"
    bought = int((table["bought"] > 0).sum()) if "bought" in table else 0
    if bought:
        left = percent(table.attrs.get("variance_left", float("nan")))
        text += f". The budget buys {bought}, which together leave {left} of the variance"
    return f"{text}."


def _first_run(table: pd.DataFrame) -> Any:
    """The row of the run that is bought first, or else of the best candidate."""
    if "bought" in table and (table["bought"] == 1).any():
        return table[table["bought"] == 1].iloc[0]
    return table.iloc[0]


def thresholds(result: StudyResult) -> str:
    """When a verdict is inconclusive."""
    section = result.prepared.study.decision
    far = defaults.FAR if section is None else section.far
    return (
        "A verdict is inconclusive where a check failed, where the option lies more than"
        f" {far:g} decades beyond the runs, where the backtest did not converge or its 90 % bands"
        " held so few hidden runs as a right model's would with a probability of less than"
        f" {defaults.COVERAGE_ALPHA:g}, or where other priors move the probability by more than"
        f" {defaults.PRIOR_MOVES_MAX:g}."
    )
