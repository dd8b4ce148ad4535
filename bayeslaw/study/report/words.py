"""What a study found, in sentences that a lead can repeat."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bayeslaw import defaults
from bayeslaw.decisions.candidates import ADDED
from bayeslaw.study.outcome import Outcome
from bayeslaw.text import magnitude, named


def number(x: Any) -> str:
    """Four digits, thousands apart, sizes as people call them, giants as a power of ten: 1.024,
    90,000, 7B, 5.88e+23.
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
    return f"{x:,.0f}" if abs(x) >= 1e4 or (x == int(x) and abs(x) >= 1000) else f"{x:.4g}"


def percent(p: float) -> str:
    """A probability as people say it; never 0 or 100, which no number of draws can show."""
    if not 0.005 <= p <= 0.995:
        return "less than 1 %" if p < 0.5 else "more than 99 %"
    return f"{100 * p:.0f} %"


def verdict(outcome: Outcome) -> str:
    """GO, NO-GO or INCONCLUSIVE; for a study that decides nothing, what it is."""
    return outcome.decision.verdict.upper() if outcome.decision is not None else "FORECAST"


def sentence(outcome: Outcome) -> str:
    """The verdict's option, its probability and its band."""
    decision, law = outcome.decision, outcome.prepared.law
    if decision is None:
        return (
            f"{law.name} fitted to {len(outcome.prepared.runs):,} runs; no decision was asked for."
        )
    row, unit = decision.table.iloc[decision.chosen], law.response.unit
    better = "at or below" if law.response.lower_is_better else "at or above"
    response = law.response.name.replace("_", " ")
    return (
        f"A run with {decision.labels[decision.chosen]} ends {better} a {response} of"
        f" {number(decision.target)} with probability {percent(row['p_target'])}: 90 % of runs like"
        f" this land between {number(row['lower_90'])} and {number(row['upper_90'])} ({unit})."
    )


def costs(outcome: Outcome) -> str:
    """What the verdict's option costs, and what it is worth."""
    decision, section = outcome.decision, outcome.prepared.study.decision
    if decision is None or section is None or not decision.table["cost"].any():
        return ""
    row, unit = decision.table.iloc[decision.chosen], f" {section.unit}".rstrip()
    said = f"It costs {number(row['cost'])}{unit}"
    if "expected_value" in row:
        said += (
            f", is worth {number(row['expected_value'])}{unit} on average after its cost, and"
            f" {number(row['value_tail'])}{unit} in the worst 5 % of cases; knowing the outcome"
            f" beforehand would be worth {number(decision.evpi)}{unit}"
        )
    return f"{said}."


def hindsight(outcome: Outcome) -> str:
    """Had this been used before."""
    if outcome.backtest is None:
        return (
            "No runs were hidden and predicted: whether bands of this law hold on this table is not"
            " known. Add a [backtest] to the study file."
        )
    scores = outcome.backtest.scores()
    own = scores.loc["bayeslaw"]
    held = round(float(own["coverage_90"] * own["predicted"]))
    said = (
        f"Had this been used before: of {number(own['runs'])} runs that the fit did not see, {held}"
        f" landed in their 90 % band ({own['coverage_90']:.0%}), with a typical error of"
        f" {own['relative_error']:.2%}."
    )
    if "huber" in scores.index and pd.notna(scores.loc["huber", "coverage_90"]):
        huber = scores.loc["huber"]
        said += (
            f" Least squares with bootstrap, on the same runs: {huber['coverage_90']:.0%}, error"
            f" {huber['relative_error']:.2%}."
        )
    return said


def reach(outcome: Outcome) -> list[str]:
    """How far the verdict's option lies beyond the runs."""
    if outcome.bands is None or outcome.decision is None or outcome.sweep is None:
        return []
    found = []
    for name in outcome.prepared.law.inputs:
        distance = outcome.decision.distance.get(name, 0.0)
        if abs(distance) > 0.005:
            found.append(
                f"{name.replace('_', ' ')} is {10 ** abs(distance):.3g} times"
                f" {'beyond the largest' if distance > 0 else 'below the smallest'} that was run"
                f" ({abs(distance):.2f} decades)"
            )
    return found


def failed(outcome: Outcome) -> int:
    """How many checks failed."""
    return sum(check.passed is False for check in outcome.checks)


def next_run(outcome: Outcome) -> str:
    """The run that says most."""
    table = outcome.next_runs
    if table is None or not len(table):
        return ""
    bought_first = table[table["bought"] == 1] if "bought" in table else table
    first = (bought_first if len(bought_first) else table).iloc[0]
    columns = [c for c in table.columns if c not in ADDED and table[c].astype(str).nunique() > 1]
    called = ", ".join(named(c, first[c]) for c in columns) or "the one candidate"
    said = (
        f"First {called}: it is expected to take away {percent(first['variance_reduction'])} of"
        " what is not known about the options"
    )
    if "value_of_run" in first and (section := outcome.prepared.study.decision) is not None:
        said += (
            f", which is worth {number(first['value_of_run'])} {section.unit}".rstrip()
            + " before the decision"
        )
    if "bought" in table and (bought := int((table["bought"] > 0).sum())):
        said += (
            f". The budget buys {bought}, which together leave"
            f" {percent(table.attrs.get('variance_left', float('nan')))}"
        )
    return f"{said}."


def thresholds(outcome: Outcome) -> str:
    """When a verdict is refused."""
    section = outcome.prepared.study.decision
    far = defaults.FAR if section is None else section.far
    return (
        f"A verdict is inconclusive where a check failed, where the option lies more than {far:g}"
        " decades beyond the runs, where the backtest did not converge or its 90 % bands held less"
        f" than {100 * defaults.COVERAGE_MIN:g} % of hidden runs, or where other priors move the"
        f" probability by more than {defaults.PRIOR_MOVES_MAX:g}."
    )
