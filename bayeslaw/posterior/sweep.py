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
#: Draws with which runs are moved to a curve, whose medians they give.
DRAWS_OF_MOVES = 400


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
    runs : the runs of the curves. Of a curve whose values no run has, those with other values. Of
        other inputs they are moved to the curve by the law: each lies as far from it as it lies
        from its own, on the response's scale. Of other groups they stay where they are: how groups
        scatter is what the band of a new one shows.
    moved : the inputs in which runs were moved.
    elsewhere : the columns of groups in which runs have other values than their curve.
    asked : the points that were asked for, with their inputs and medians.
    """

    curves: pd.DataFrame
    x: str
    by: tuple[str, ...]
    shared: dict[str, object]
    runs: pd.DataFrame
    moved: tuple[str, ...]
    elsewhere: tuple[str, ...]
    asked: pd.DataFrame

    def named_runs(self) -> str:
        """What the runs are: "runs of another task, moved here by the law"; with several curves,
        "runs, or those of another task".
        """
        names = " and ".join(name.replace("_", " ") for name in self.elsewhere)
        some = "runs, or others" if self.by and self.moved else "runs"
        if names:
            some = f"runs, or those of another {names}" if self.by else f"runs of another {names}"
        return f"{some}{', moved here by the law' * bool(self.moved)}"

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
            "runs_are": self.named_runs(),
            "marks": self.asked,
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
    of_curves, moved, elsewhere = _runs_of(fit, combinations)
    return Sweep(curves, along, by, shared, of_curves, moved, elsewhere, with_inputs)


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
    smallest, largest = 1.0001 * min(value for value in values if value > 0), max(values)
    if largest <= smallest:  # one point, and no runs
        smallest, largest = largest / 10, largest * 10
    return pd.DataFrame({along: np.geomspace(smallest, largest, PLACES)})


def _runs_of(
    fit: Draws, combinations: pd.DataFrame
) -> tuple[pd.DataFrame, tuple[str, ...], tuple[str, ...]]:
    """The runs of each combination; the inputs in which some were moved to it by the law; and the
    other columns in which some have other values.

    A combination at a size or in a group that was never run has no runs of its own: those with
    other values in that column are taken.
    """
    parts, inputs, others = [], dict[str, None](), dict[str, None]()
    for _, combination in combinations.iterrows():
        runs, lacking = _runs_with(fit.runs.table, combination)
        here = combination[lacking].to_dict()
        of_inputs = {name: value for name, value in here.items() if name in fit.law.inputs}
        if of_inputs and len(runs):
            runs = _moved(fit, runs, of_inputs)
        parts.append(runs.assign(**here))
        inputs |= dict.fromkeys(of_inputs)
        others |= dict.fromkeys(name for name in lacking if name not in of_inputs)
    return pd.concat(parts), tuple(inputs), tuple(others)


def _runs_with(runs: pd.DataFrame, values: pd.Series) -> tuple[pd.DataFrame, list[str]]:
    """The runs that have these values, and the columns whose value none of them has."""
    lacking = []
    for column, value in values.items():
        if column not in runs:
            continue
        matching = runs[runs[column].map(label) == label(value)]
        if len(matching):
            runs = matching
        else:
            lacking.append(str(column))
    return runs, lacking


def _moved(fit: Draws, runs: pd.DataFrame, here: Mapping[str, object]) -> pd.DataFrame:
    """Runs at other values of some inputs, with the response that the law gives them there."""
    law, few = fit.law, fit.thinned(DRAWS_OF_MOVES)
    response, link = law.response.name, law.response.link
    there = runs.assign(**here)
    own, moved = (
        link.forward(bands(few, table.drop(columns=response), "mean", ())["median"].to_numpy())
        for table in (runs, there)
    )
    on_scale = link.forward(runs[response].to_numpy(float)) + moved - own
    return there.assign(**{response: link.inverse(on_scale)})


def law_input(fit: Draws, points: pd.DataFrame, name: str) -> np.ndarray:
    """An input of the law at points that may only give what it is derived from, (point,)."""
    read = {*fit.runs.table.columns, *fit.law.inputs, *DERIVED_FROM}
    columns = [c for c in points.columns if c in read]
    return np.asarray(checked_points(fit.design, fit.runs, points[columns])[name], float)
