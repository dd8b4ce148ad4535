"""What `bayeslaw` has, for type checkers, and for `__init__.py`, which loads each name where it is first used."""

from . import errors, plots
from .allocation import allocate, allocation_penalty, isoflop, isoloss
from .average import Average, average
from .checks import Backtest, CheckResult, backtest, check
from .crossover import crossover
from .datasets import dataset
from .decisions import (
    Decision,
    best_checkpoint,
    decide,
    hyperparameters,
    next_runs,
    optimum,
    stopping,
    which_pays,
)
from .fit import Fit, fit
from .inverse import solve_for
from .laws import law, laws, register
from .laws.allocation import flops_per_token
from .laws.kl import kl_of_n, n_of_kl
from .measurement import relative_scores
from .peaks import peaks, proxy_gold_gap
from .priors import Prior
from .runs import Runs, read_runs
from .spec import ModelSpec
from .storage import load
from .study.run import run_study

__version__: str
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
    "errors",
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
