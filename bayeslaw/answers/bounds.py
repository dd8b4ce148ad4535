"""Where an answer is searched: the runs of an input, and bounds around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.errors import SpecError
from bayeslaw.posterior.draws import Draws
from bayeslaw.text import label

#: How far beyond the runs is searched if no bounds are given: two decades.
BEYOND = 100.0


def search_bounds(values: pd.Series, bounds: tuple[float, float] | None) -> tuple[float, float]:
    """The bounds that were given, or from `BEYOND` times below to `BEYOND` times above the values.

    Raises
    ------
    SpecError : bounds that are not two positive numbers, the lower one first; or none, and no runs.

    Examples
    --------
    >>> search_bounds(pd.Series([1e6, 1e9]), None)
    (10000.0, 100000000000.0)
    """
    if bounds is None and not len(values):
        raise SpecError(
            "There are no runs to say where to search: give bounds, such as (1e9, 1e13).",
            key="bounds",
        )
    low, high = bounds or (float(values.min()) / BEYOND, float(values.max()) * BEYOND)
    numbers = all(isinstance(end, int | float) for end in (low, high))
    if not numbers or not 0 < low < high < np.inf:
        raise SpecError(
            f"bounds are {low} and {high}, and they must be positive, the lower one first.",
            key="bounds",
        )
    return float(low), float(high)


def runs_selected(fit: Draws, name: str, at: Mapping[str, Any] | None) -> pd.DataFrame:
    """The runs in which an input means what it means at ``at``, as its selector column says; all
    runs if it has no selector.

    >>> runs_selected(fit, "factor_size", {"factor": "model_size"})
    """
    runs = fit.runs.table
    selector = fit.law.inputs[name].selector if name in fit.law.inputs else ""
    if not selector or selector not in (at or {}):
        return runs
    return runs[runs[selector].map(label) == label((at or {})[selector])]
