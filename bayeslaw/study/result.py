"""The result of a study: what each stage gave, and its decision as a file for other programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from bayeslaw.checks import CheckResult
from bayeslaw.decisions import Decision
from bayeslaw.fitted import Fit
from bayeslaw.posterior.sweep import Sweep
from bayeslaw.runs.files import finite, plain_rows
from bayeslaw.study.prepare import Prepared
from bayeslaw.validation.backtesting import Backtest


@dataclass(frozen=True, slots=True)
class StudyResult:
    """The result of `bayeslaw.run_study`, never changed. A part that the file does not ask for is
    None.

    Attributes
    ----------
    prepared : the study file and its runs.
    fit : as `bayeslaw.fit` gives it.
    summary : of the fit's variables, as `Fit.summary` gives it.
    checks, bands, backtest, decision : as `bayeslaw.check`, `Fit.bands`, `bayeslaw.backtest` and
        `bayeslaw.decide` give them.
    worth : three arrays: values of meeting the target, (step,); the expected value of each option
        at each of them, (step, option); the expected value of perfect information, (step,).
    next_runs, allocation, peaks : as `bayeslaw.next_runs`, `bayeslaw.allocate` (medians and
        intervals) and `bayeslaw.peaks` give them.
    sweep : bands along one input through the options, for the figure.
    reused : the stages whose results an earlier run had stored.
    provenance : digest of the data, seed, versions, and the command that makes the study again.
    """

    prepared: Prepared
    fit: Fit
    summary: pd.DataFrame
    checks: tuple[CheckResult, ...]
    bands: pd.DataFrame | None
    backtest: Backtest | None
    decision: Decision | None
    worth: tuple[np.ndarray, np.ndarray, np.ndarray] | None
    next_runs: pd.DataFrame | None
    allocation: pd.DataFrame | None
    sweep: Sweep | None
    peaks: pd.DataFrame | None
    reused: tuple[str, ...]
    provenance: dict[str, str]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CheckRow(_Strict):
    """A check: passed, failed or null (it informs only), its number, threshold, message, advice."""

    name: str
    passed: bool | None
    value: float | None
    threshold: float | None
    message: str
    advice: str


class DecisionFile(_Strict):
    """``decision.json``: the decision, and what it rests on."""

    schema_version: Literal[1] = 1
    study: str = Field(description="name of the study")
    verdict: Literal["go", "no-go", "inconclusive"]
    reasons: list[str] = Field(description="the reasons for the verdict, the most important first")
    response: str = Field(description="the response that the target is for: loss, gold_score, ...")
    unit: str = Field(description="unit of the response")
    target: float
    met: Literal["at or below", "at or above"] = Field(
        description="the side of the target on which it is met"
    )
    go_at: float = Field(description="the verdict is go if P(target met) is at least this")
    no_go_at: float = Field(description="the verdict is no-go if P(target met) is at most this")
    chosen: int = Field(description="index into options of the option that the verdict is about")
    flips: dict[str, float] = Field(
        description=(
            "targets that the chosen option meets with probability go_at (go) and no_go_at (no-go)"
        )
    )
    evpi: float | None = Field(
        description=(
            "expected value of perfect information, in the unit of cost; null if the study gives"
            " no value for meeting the target"
        )
    )
    cost_unit: str
    options: list[dict[str, Any]] = Field(
        description=(
            "one row for each option: its columns, cost, p_target, median, lower_P and upper_P,"
            " p_best, expected_regret; if the study gives a value for meeting the target, also"
            " expected_value, value_tail (mean of the worst 5 %) and highest_cost (the cost at"
            " which the expected value is 0)"
        )
    )
    next_runs: list[dict[str, Any]] | None = Field(
        description="candidate runs, the best first, as bayeslaw.next_runs gives them"
    )
    backtest: dict[str, float | None] | None = Field(
        description="scores of the backtest: coverage, error and others, averaged over hidden runs"
    )
    checks: list[CheckRow] = Field(description="the checks of the fit, failed ones first")
    provenance: dict[str, str]


def decision_file(result: StudyResult) -> DecisionFile:
    """The decision of a study as plain data."""
    decision, section = result.decision, result.prepared.study.decision
    assert decision is not None and section is not None
    response = result.prepared.law.response
    backtest_scores = None
    if result.backtest is not None:
        scores = result.backtest.scores()
        backtest_scores = plain_rows(scores.loc[["bayeslaw"]])[0]
    return DecisionFile(
        study=result.prepared.study.study.name,
        response=response.name,
        unit=response.unit,
        met="at or below" if response.lower_is_better else "at or above",
        cost_unit=section.unit,
        next_runs=None if result.next_runs is None else plain_rows(result.next_runs),
        backtest=backtest_scores,
        checks=[_check_row(check) for check in result.checks],
        provenance=result.provenance,
        **decision.to_json(),
    )


def _check_row(check: CheckResult) -> CheckRow:
    """A check without infinities and NaN, which JSON does not have."""
    return CheckRow(
        name=check.name,
        passed=check.passed,
        value=finite(check.value),
        threshold=finite(check.threshold),
        message=check.message,
        advice=check.advice,
    )
