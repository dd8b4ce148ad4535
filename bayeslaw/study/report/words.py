"""The sentences of the report."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bayeslaw import defaults
from bayeslaw.decisions.candidates import ADDED
from bayeslaw.posterior.bands import centre_in_words
from bayeslaw.posterior.points import JOINT
from bayeslaw.study.result import StudyResult
from bayeslaw.text import named, named_run, number, percent


def verdict(result: StudyResult) -> str:
    """GO, NO-GO or INCONCLUSIVE; FORECAST for a study without a decision."""
    return result.decision.verdict.upper() if result.decision is not None else "FORECAST"


def sentence(result: StudyResult) -> str:
    """What the verdict rests on: the whole run, its probability of meeting the target, and its
    band. What makes a verdict inconclusive comes first.
    """
    decision, law = result.decision, result.prepared.law
    if decision is None:
        return (
            f"{law.name} fitted to {len(result.prepared.runs):,} runs; no decision was asked for."
        )
    row = decision.table.iloc[decision.chosen]
    unit = f" ({law.response.unit})" if law.response.unit else ""
    side = "at or below" if law.response.lower_is_better else "at or above"
    response = law.response.name.replace("_", " ")
    run = whole_run(result)
    reaches = f"{side} a {response} of {number(decision.target)}"
    band = f"{number(row['lower_90'])} and {number(row['upper_90'])}{unit}"
    p = percent(row["p_target"])
    if decision.doubts:
        return (
            f"Nothing can be decided yet. {decision.doubts[0]} If the fit could be trusted, a run"
            f" of {run} would end {reaches} with probability {p}: 90 % of runs like this land"
            f" between {band}."
        )
    if decision.verdict == "inconclusive":
        return (
            f"The runs do not say whether a run of {run} ends {reaches}: 90 % of runs like this"
            f" land between {band}, and the probability is {p}."
        )
    return (
        f"A run of {run} ends {reaches} with probability {p}: 90 % of runs like this land between"
        f" {band}."
    )


def whole_run(result: StudyResult) -> str:
    """The chosen option with everything that it shares with the others: "lora, model size 16B"."""
    decision, points = result.decision, result.prepared.option_points
    assert decision is not None
    if points is None:
        return decision.labels[decision.chosen]
    return named_run(points.iloc[decision.chosen]) or decision.labels[decision.chosen]


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
    """Whether more runs would pay; the candidate run to make first if they do; "" without
    candidates.
    """
    table = result.next_runs
    if table is None or not len(table):
        return ""
    advice = table.attrs.get("advice", "")
    if table.attrs.get("pays") is False:
        doubted = result.decision is not None and result.decision.doubts
        return f"{advice} {IN_DOUBT}" if doubted else advice
    first = _first_run(table)
    columns = [c for c in table.columns if c not in ADDED and table[c].astype(str).nunique() > 1]
    name = ", ".join(named(c, first[c]) for c in columns) or "the one candidate"
    removed = percent(first["variance_reduction"])
    text = f"First run {name}: it is expected to remove {removed} of the options' variance"
    bought = int((table["bought"] > 0).sum()) if "bought" in table else 0
    if bought:
        left = percent(table.attrs.get("variance_left", float("nan")))
        text += f". The budget buys {bought}, which together leave {left} of the variance"
    return f"{text}. {advice}".rstrip()


#: What a doubt about the fit has to do with runs that would not pay by its numbers.
IN_DOUBT = (
    "But that is what the fit says, and the fit is in doubt (see the verdict): runs that settle the"
    " doubt come first."
)


def _first_run(table: pd.DataFrame) -> Any:
    """The row of the run that is bought first, or else of the best candidate."""
    if "bought" in table and (table["bought"] == 1).any():
        return table[table["bought"] == 1].iloc[0]
    return table.iloc[0]


def picture(result: StudyResult) -> str:
    """What the figure of the bands shows."""
    swept = result.sweep
    if swept is None:
        return ""
    along, shared = swept.x.replace("_", " "), swept.named_shared()
    text = (
        f"Along {along}{', at ' * bool(shared)}{shared}. Half of new runs land in the dark band, 90"
        " % in the pale one. The bands contain noise, and how far a model or a method that was"
        " never run may lie from the others. Grey background: beyond all runs."
    )
    if swept.moved:
        other = " and ".join(name.replace("_", " ") for name in swept.moved)
        text += (
            f" The dots are runs with another {other}, moved to this one by the law: each lies as"
            " far from the curve as it lies from its own."
        )
    if swept.elsewhere:
        other = " and ".join(name.replace("_", " ") for name in swept.elsewhere)
        text += f" The dots are runs of another {other}, where they were logged."
    marked = "the options" if result.decision is not None else "the points that were asked for"
    return f"{text} Diamonds: {marked}."


def centre(result: StudyResult) -> str:
    """Where parameters are sampled that are sampled at the table's centre; "" if none is."""
    if "at" not in result.summary:
        return ""
    return (
        f"The table's centre, where the variables named ..._at_centre are sampled, is at"
        f" {centre_in_words(result.fit)}: the geometric mean of each input."
    )


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
