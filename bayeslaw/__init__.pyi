"""The names of `bayeslaw`, for type checkers and for `__init__.py`, which loads them when used."""

from . import errors, plots
from .answers.allocation import allocate, allocation_penalty, isoflop, isoloss
from .answers.crossovers import crossover
from .answers.inverse import solve_for
from .answers.overoptimization import peaks, proxy_gold_gap, stopping
from .answers.tuning import hyperparameters, optimum
from .checks import CheckResult, check
from .decisions import Decision, best_checkpoint, decide, next_runs, which_pays
from .fitted import Fit, known, load
from .fitting import fit
from .laws import law, laws, register
from .laws.allocation import flops_per_token
from .laws.kl import kl_of_n, n_of_kl
from .learning import Ladder, learn
from .learnt.record import Record
from .priors import Prior
from .runs.datasets import dataset
from .runs.scores import relative_scores
from .runs.table import Runs, read_runs
from .spec.spec import ModelSpec
from .study.run import run_study
from .validation.averaging import Average, average
from .validation.backtesting import Backtest, backtest

__version__: str
__all__ = [
    "Average",
    "Backtest",
    "CheckResult",
    "Decision",
    "Fit",
    "Ladder",
    "ModelSpec",
    "Prior",
    "Record",
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
    "errors",
    "fit",
    "flops_per_token",
    "hyperparameters",
    "isoflop",
    "isoloss",
    "kl_of_n",
    "known",
    "law",
    "laws",
    "learn",
    "load",
    "n_of_kl",
    "next_runs",
    "optimum",
    "peaks",
    "plots",
    "proxy_gold_gap",
    "read_runs",
    "register",
    "relative_scores",
    "run_study",
    "solve_for",
    "stopping",
    "which_pays",
]
