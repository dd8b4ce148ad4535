"""From a posterior to an action: which checkpoint, when to stop."""

from __future__ import annotations

from bayeslaw.decisions.checkpoints import best_checkpoint
from bayeslaw.decisions.stopping import stopping

__all__ = ["best_checkpoint", "stopping"]
