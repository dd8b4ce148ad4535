"""What to spend on: go or no-go, which runs next, which checkpoint, which input."""

from __future__ import annotations

from bayeslaw.decisions.candidates import next_runs
from bayeslaw.decisions.checkpoints import best_checkpoint
from bayeslaw.decisions.go_no_go import Decision, decide
from bayeslaw.decisions.levers import which_pays

__all__ = ["Decision", "best_checkpoint", "decide", "next_runs", "which_pays"]
