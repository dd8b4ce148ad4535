"""From a posterior to an action: which checkpoint, when to stop, which hyper-parameters, what pays."""

from __future__ import annotations

from bayeslaw.decisions.checkpoints import best_checkpoint
from bayeslaw.decisions.go_no_go import Decision, decide
from bayeslaw.decisions.hyperparameters import hyperparameters, optimum
from bayeslaw.decisions.levers import which_pays
from bayeslaw.decisions.next_runs import next_runs
from bayeslaw.decisions.stopping import stopping

__all__ = [
    "Decision",
    "best_checkpoint",
    "decide",
    "hyperparameters",
    "next_runs",
    "optimum",
    "stopping",
    "which_pays",
]
