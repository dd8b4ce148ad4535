"""bayeslaw: Bayesian scaling laws for the runs that you have not paid for yet."""

from __future__ import annotations

from bayeslaw.average import Average, average
from bayeslaw.checks import Backtest, CheckResult, backtest, check
from bayeslaw.datasets import dataset
from bayeslaw.fit import Fit, fit
from bayeslaw.laws import law, laws, register
from bayeslaw.priors import Prior
from bayeslaw.runs import Runs, read_runs
from bayeslaw.spec import ModelSpec
from bayeslaw.storage import load

__version__ = "0.1.0"
__all__ = ["Average", "Backtest", "CheckResult", "Fit", "ModelSpec", "Prior", "Runs", "average", "backtest", "check", "dataset", "fit", "law", "laws", "load", "read_runs", "register"]
