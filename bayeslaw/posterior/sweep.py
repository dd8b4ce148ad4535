"""Bands along one input, through points that were asked for: what a figure of them shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.posterior.bands import bands
from bayeslaw.posterior.points import checked_points
from bayeslaw.text import label, named

if TYPE_CHECKING:
    from bayeslaw.posterior.draws import Draws, Kind


@dataclass(frozen=True, slots=True)
class Sweep:
    """Bands along an input.

    Attributes
    ----------
    curves : the columns of `bayeslaw.posterior.predict.bands`, some eighty places of ``x`` for each
        combination of the others.
    x : the input along which they run.
    by : the columns in which the combinations differ.
    shared : the columns that have one value in all of them, with it.
    runs : the runs that have these values, but for those of ``elsewhere``: the columns of which no
        run has that value.
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


def sweep(
    fit: Draws,
    points: pd.DataFrame,
    *,
    x: str | None = None,
    kind: Kind = "run",
    probs: Sequence[float] = defaults.PROBS,
    random_seed: int | None = None,
) -> Sweep:
    """Bands along one input, from the runs to the farthest of some points.

    Parameters
    ----------
    points : what ``fit.bands`` returned.
    x : the input. None: that in which the points lie farthest beyond the runs, or else the first.
    """
    law, runs = fit.spec.law, fit.runs.table
    along = x or max(law.inputs, key=lambda name: float(points[f"distance_{name}"].abs().max()))
    given = points.assign(
        **{name: law_input(fit, points, name) for name in law.inputs if name not in points}
    )
    # What an input follows from is told by the input.
    columns = [
        c
        for c in given.columns
        if c != along
        and (c in law.inputs or (c in runs.columns and c not in ("n", "sqrt_kl", "compute")))
    ]
    others = given[columns].drop_duplicates()
    ends = [*runs[along], *given[along]]
    # A hair above the smallest size: at a size that was trained, the checkpoint's own deviation
    # would make a kink.
    places = pd.DataFrame(
        {along: np.geomspace(1.0001 * min(e for e in ends if e > 0), max(ends), 80)}
    )
    curves = bands(
        fit,
        others.merge(places, how="cross") if columns else places,
        kind,
        probs,
        random_seed=random_seed,
    )
    same = [c for c in columns if others[c].map(label).nunique() == 1]
    shared = {c: others[c].iloc[0] for c in same}
    elsewhere = []
    for column, value in shared.items():
        if column in runs:
            here = runs[runs[column].map(label) == label(value)]
            # An option at a size or in a group that was never run has no runs of its own: those of
            # the others are shown.
            runs = here if len(here) else runs
            elsewhere += [] if len(here) else [column]
    return Sweep(
        curves, along, tuple(c for c in columns if c not in same), shared, runs, tuple(elsewhere)
    )


def law_input(fit: Draws, points: pd.DataFrame, name: str) -> np.ndarray:
    """An input of points that give what it follows from: n for KL, compute for data."""
    own = [
        c
        for c in points.columns
        if c in fit.runs.table.columns or c in fit.law.inputs or c in ("n", "sqrt_kl", "compute")
    ]
    return checked_points(fit.design, fit.runs, points[own])[name].to_numpy(float)
