"""The data with which the page computes verdicts for other targets and costs by itself: the draws
of each option, and the terms of the verdict.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

from bayeslaw import defaults

if TYPE_CHECKING:
    from bayeslaw.study.result import StudyResult

#: The most numbers that a page stores, eight bytes each: 2 MB, so that the page stays below 3. More
#: draws are thinned evenly, and the page says so.
MOST_NUMBERS = 190_000


def panel(result: StudyResult) -> dict[str, Any] | None:
    """The panel's data as plain data; None for a study without a decision. ``draws`` are doubles,
    (sample, option), row by row, in base64.
    """
    decision, section = result.decision, result.prepared.study.decision
    if decision is None or section is None:
        return None
    samples, options = decision.draws.shape
    kept = np.linspace(0, samples - 1, min(samples, MOST_NUMBERS // options)).round().astype(int)
    draws = decision.draws[kept]
    low, high = np.quantile(draws, [0.002, 0.998])
    low, high = min(low, decision.target), max(high, decision.target)
    response = result.prepared.law.response
    return {
        "draws": _packed(draws),
        "samples": len(kept),
        "thinned": len(kept) < samples,
        "labels": list(decision.labels),
        "costs": decision.table["cost"].tolist(),
        "target": decision.target,
        "value": section.value,
        "goAt": decision.go_at,
        "noGoAt": decision.no_go_at,
        "lowerIsBetter": response.lower_is_better,
        "doubts": list(decision.general_doubts),
        "optionDoubts": [list(doubts) for doubts in decision.option_doubts],
        "weights": [_packed(w[kept] / w[kept].sum()) for w in decision.prior_weights],
        "priorMovesMax": defaults.PRIOR_MOVES_MAX,
        "low": float(low),
        "high": float(high),
        "unit": section.unit,
        "response": response.name.replace("_", " "),
        "responseUnit": response.unit,
    }


def _packed(numbers: np.ndarray) -> str:
    """Doubles in base64."""
    return base64.b64encode(np.ascontiguousarray(numbers, dtype="<f8").tobytes()).decode()
