"""What a study found: the results of its stages, and its decision as a file that other programs
read.
"""

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
class Outcome:
    """What `bayeslaw.run_study` found, never changed; a part that the file does not ask for is
    None.

    Attributes
    ----------
    prepared : the study file and its runs.
    summary : of the fit's variables, as `Fit.summary` gives it.
    fit, checks, bands, backtest, decision : as `bayeslaw.fit`, `check`, `Fit.bands`, `backtest`,
        `decide` give them.
    worth : what each option is worth on average, and perfect information, along values of meeting
        the target: (step,), (step, option) and (step,).
    next_runs, allocation, peaks : as `bayeslaw.next_runs`, `allocate` (medians and intervals) and
        `peaks` give them.
    sweep : bands along an input through the options, for the picture.
    reused : the stages that were read from earlier runs.
    provenance : data, spec, seed and versions, and the command that makes it again.
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
    """A check: its verdict (null: it informs), number, threshold, and words."""

    name: str
    passed: bool | None
    value: float | None
    threshold: float | None
    message: str
    advice: str


class DecisionFile(_Strict):
    """``decision.json``: what was decided, and what it rests on."""

    schema_version: Literal[1] = 1
    study: str = Field(description="name of the study")
    verdict: Literal["go", "no-go", "inconclusive"]
    reasons: list[str] = Field(description="why, in words, the weightiest first")
    response: str = Field(description="what the target is of: loss, gold_score, ...")
    unit: str = Field(description="unit of the response")
    target: float
    met: Literal["at or below", "at or above"] = Field(
        description="on which side of the target it is met"
    )
    go_at: float = Field(description="P(target met) from which on the verdict is go")
    no_go_at: float = Field(description="P(target met) up to which the verdict is no-go")
    chosen: int = Field(description="index into options of the one that the verdict is of")
    flips: dict[str, float] = Field(
        description=(
            "targets that the chosen option meets with probability go_at (go) and no_go_at (no-go)"
        )
    )
    evpi: float | None = Field(
        description=(
            "expected value of perfect information, in the unit of cost; null without a value"
        )
    )
    cost_unit: str
    options: list[dict[str, Any]] = Field(
        description=(
            "a row an option: its columns, cost, p_target, median, lower_P and upper_P, p_best,"
            " expected_regret; with a value expected_value, value_tail, highest_cost"
        )
    )
    next_runs: list[dict[str, Any]] | None = Field(
        description="candidates, the best first, as bayeslaw.next_runs gives them"
    )
    backtest: dict[str, float | None] | None = Field(
        description="scores of hidden runs, as bayeslaw.backtest gives them"
    )
    checks: list[CheckRow] = Field(description="the failed ones first")
    provenance: dict[str, str]


def decision_file(outcome: Outcome) -> DecisionFile:
    """The decision of a study as plain data."""
    decision, section = outcome.decision, outcome.prepared.study.decision
    assert decision is not None and section is not None
    response = outcome.prepared.law.response
    return DecisionFile(
        study=outcome.prepared.study.study.name,
        response=response.name,
        unit=response.unit,
        met="at or below" if response.lower_is_better else "at or above",
        cost_unit=section.unit,
        next_runs=None if outcome.next_runs is None else plain_rows(outcome.next_runs),
        backtest=(
            None
            if outcome.backtest is None
            else plain_rows(outcome.backtest.scores().loc[["bayeslaw"]])[0]
        ),
        checks=[
            CheckRow(
                name=c.name,
                passed=c.passed,
                value=finite(c.value),
                threshold=finite(c.threshold),
                message=c.message,
                advice=c.advice,
            )
            for c in outcome.checks
        ],
        provenance=outcome.provenance,
        **decision.to_json(),
    )
