"""bayeslaw: Bayesian scaling laws for the runs that you have not paid for yet."""

from __future__ import annotations

from bayeslaw.allocation import allocate, allocation_penalty, isoflop, isoloss
from bayeslaw.average import Average, average
from bayeslaw.checks import Backtest, CheckResult, backtest, check
from bayeslaw.crossover import crossover
from bayeslaw.datasets import dataset
from bayeslaw.decisions import Decision, best_checkpoint, decide, hyperparameters, next_runs, optimum, stopping, which_pays
from bayeslaw.fit import Fit, fit
from bayeslaw.inverse import solve_for
from bayeslaw.laws import law, laws, register
from bayeslaw.laws.allocation import flops_per_token
from bayeslaw.laws.kl import kl_of_n, n_of_kl
from bayeslaw.measurement import relative_scores
from bayeslaw.peaks import peaks, proxy_gold_gap
from bayeslaw.priors import Prior
from bayeslaw.runs import Runs, read_runs
from bayeslaw.spec import ModelSpec
from bayeslaw.storage import load
from bayeslaw.study.run import run_study

__version__ = "0.1.0"
__all__ = [
    "Average",
    "Backtest",
    "CheckResult",
    "Decision",
    "Fit",
    "ModelSpec",
    "Prior",
    "Runs",
    "allocate",
    "allocation_penalty",
    "average",
    "backtest",
    "best_checkpoint",
    "check",
    "crossover",
    "dataset",
    "decide",
    "fit",
    "flops_per_token",
    "hyperparameters",
    "isoflop",
    "isoloss",
    "kl_of_n",
    "law",
    "laws",
    "load",
    "n_of_kl",
    "next_runs",
    "optimum",
    "peaks",
    "proxy_gold_gap",
    "read_runs",
    "register",
    "relative_scores",
    "run_study",
    "solve_for",
    "stopping",
    "which_pays",
]
