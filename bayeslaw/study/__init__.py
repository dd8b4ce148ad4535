"""A study: one file that says which runs, which law, what to predict and what to decide; one folder with all that follows."""

from __future__ import annotations

from bayeslaw.study.outcome import DecisionFile, Outcome, decision_file
from bayeslaw.study.prepare import Prepared, prepare
from bayeslaw.study.run import run_study
from bayeslaw.study.schema import Study, read_study

__all__ = ["DecisionFile", "Outcome", "Prepared", "Study", "decision_file", "prepare", "read_study", "run_study"]
