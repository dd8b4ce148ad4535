"""Bands along one input, through the points that were asked for: what a figure of them shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.posterior.bands import bands
from bayeslaw.posterior.points import checked_points
from bayeslaw.runs.columns import DERIVED_FROM
from bayeslaw.text import label, named

if TYPE_CHECKING:
    from bayeslaw.laws.base import Law
    from bayeslaw.posterior.draws import Draws, Kind

#: Places along a curve.
PLACES = 80


@dataclass(frozen=True, slots=True)
class Sweep:
    """Bands along an input, one curve for each combination of the other columns.

    Attributes
    ----------
    curves : the columns of `bayeslaw.posterior.bands.bands`, at `PLACES` values of ``x`` for each
        combination.
    x : the input along which the curves run.
    by : the columns in which the combinations differ.
    shared : the columns that have one value in all combinations, with that value.
    runs : the runs that have the shared values, except in the columns of ``elsewhere``.
    elsewhere : the columns whose shared value no run has; there, runs with other values are kept.
    """

    curves: pd.DataFrame
    x: str
    by: tuple[str, ...]
    shared: dict[str, object]
    runs: pd.DataFrame
    elsewhere: tuple[str, ...]

    def named_shared(self) -> str:
        """What the combinations share, in words: "model size 16B, mlsum"."""
        return ", ".join(named(name, value) for name, value in self.shared.items())

    def arguments(self, law: Law) -> dict[str, Any]:
        """The arguments of `bayeslaw.plots.bands` for these curves, without title and width."""
        return {
            "table": self.curves,
            "x": self.x,
            "by": self.by,
            "runs": self.runs,
            "response": law.response.name,
            "x_unit": law.inputs[self.x].unit,
            "response_unit": law.response.unit,
            "log": law.response.scale == "log",
        }


def sweep(
    fit: Draws,
    points: pd.DataFrame,
    *,
    x: str | None = None,
    kind: Kind = "run",
    probs: Sequence[float] = defaults.PROBS,
    random_seed: int | None = None,
) -> Sweep:
    """Bands along one input, over the range of the runs and of some points together.

    Parameters
    ----------
    fit : the posterior.
    points : what ``fit.bands`` returned.
    x : the input. None: the one in which the points lie farthest beyond the runs; the law's first
        if they lie beyond in none.
    kind, probs, random_seed : as in `bayeslaw.posterior.bands.bands`.
    """
    law, runs = fit.spec.law, fit.runs.table
    along = x or max(law.inputs, key=lambda name: float(points[f"distance_{name}"].abs().max()))
    missing = [name for name in law.inputs if name not in points]
    with_inputs = points.assign(**{name: law_input(fit, points, name) for name in missing})
    columns = [name for name in with_inputs.columns if name != along and _is_shown(fit, name)]
    combinations = with_inputs[columns].drop_duplicates()
    seen = law.inputs[along].present(runs[along])
    places = _places(along, [*seen, *with_inputs[along]])
    grid = combinations.merge(places, how="cross") if columns else places
    curves = bands(fit, grid, kind, probs, random_seed=random_seed)
    same = [c for c in columns if combinations[c].map(label).nunique() == 1]
    shared = {c: combinations[c].iloc[0] for c in same}
    by = tuple(c for c in columns if c not in same)
    with_shared, elsewhere = _runs_with(runs, shared)
    return Sweep(curves, along, by, shared, with_shared, elsewhere)


def _is_shown(fit: Draws, column: str) -> bool:
    """Whether a column sets curves apart: an input, or a column of the runs.

    A column that an input is derived from is left out, because the input says the same.
    """
    if column in fit.law.inputs:
        return True
    return column in fit.runs.table.columns and column not in DERIVED_FROM


def _places(along: str, values: list[float]) -> pd.DataFrame:
    """Places from the smallest positive value of an input to the largest, evenly in the logarithm.

    The first lies slightly above the smallest value: at a size that was trained, the deviation of
    that checkpoint would make a kink in the curve.
    """
    smallest = 1.0001 * min(value for value in values if value > 0)
    return pd.DataFrame({along: np.geomspace(smallest, max(values), PLACES)})


def _runs_with(
    runs: pd.DataFrame, shared: Mapping[str, object]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The runs that have the shared values, and the columns whose value no run has.

    An option at a size or in a group that was never run has no runs of its own: those with other
    values in that column are kept.
    """
    elsewhere = []
    for column, value in shared.items():
        if column not in runs:
            continue
        matching = runs[runs[column].map(label) == label(value)]
        if len(matching):
            runs = matching
        else:
            elsewhere.append(column)
    return runs, tuple(elsewhere)


def law_input(fit: Draws, points: pd.DataFrame, name: str) -> np.ndarray:
    """An input of the law at points that may only give what it is derived from, (point,)."""
    read = {*fit.runs.table.columns, *fit.law.inputs, *DERIVED_FROM}
    columns = [c for c in points.columns if c in read]
    return np.asarray(checked_points(fit.design, fit.runs, points[columns])[name], float)
