"""Long curves averaged in bins: a hundred averages say nearly as much as thousands of points."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

import numpy as np
import pandas as pd

from bayeslaw.defaults import CURVE_POINTS
from bayeslaw.runs.measurement import AVERAGED, se_column
from bayeslaw.runs.table import Runs
from bayeslaw.spec.design import Design
from bayeslaw.spec.spec import ModelSpec


def binned(design: Design, runs: Runs) -> tuple[Runs, list[str]]:
    """The runs with long curves averaged in bins, and notes on it.

    A curve of more than `CURVE_POINTS` points is averaged in that many bins along its axis. The
    response and the input are averaged on their scales (logarithms of a loss and of tokens, the
    root of KL), other numbers as they are. The column ``averaged`` counts the points of each row;
    the variance of their mean is smaller by that factor. A row keeps the index of the first row in
    its bin. Rows with none of the input and short curves are unchanged, and so are all runs without
    a discrepancy along curves.
    """
    if not design.spec.discrepancy.along_curves:
        return runs, []
    labels = design.curve_labels(runs.table)
    x = runs.inputs[design.spec.along]
    has_none = x == design.law.inputs[design.spec.along].none
    counts = pd.Series(labels).value_counts()
    long = counts.index[counts > CURVE_POINTS]
    if not len(long):
        return runs, []
    table = runs.table.assign(**{AVERAGED: runs.averaged})
    kept = ~np.isin(labels, long) | has_none
    parts = [table[kept]]
    parts += [
        _averaged(table[~kept & (labels == name)], design.spec) for name in sorted(map(str, long))
    ]
    note = (
        f"{len(long)} of {len(counts)} curves have more than {CURVE_POINTS} points (the"
        f" longest {counts.max()}). Each enters the fit as averages in {CURVE_POINTS} bins along"
        f" {design.spec.along}, weighted by their numbers of points."
    )
    columns = [*runs.table.columns, *({AVERAGED} - set(runs.table.columns))]
    shorter = pd.concat([part for part in parts if len(part)])[columns]
    return replace(runs, table=shorter, notes=(*runs.notes, note)), [note]


def _averaged(curve: pd.DataFrame, spec: ModelSpec) -> pd.DataFrame:
    """One curve averaged in bins, one row per bin."""
    link, response = spec.law.response.link, spec.law.response.name
    t = spec.axis.forward(curve[spec.along].to_numpy(float))
    edges = np.linspace(t.min(), t.max(), CURVE_POINTS + 1)
    bins = np.clip(np.searchsorted(edges, t, side="right") - 1, 0, CURVE_POINTS - 1)
    y = link.forward(curve[response].to_numpy(float))
    on_scale = curve.assign(**{response: y, spec.along: t})
    rows = [_mean(on_scale[bins == place], se_column(spec.law)) for place in np.unique(bins)]
    means = pd.DataFrame(rows).set_index("").rename_axis(curve.index.name)
    y_mean, x_mean = link.inverse(means[response]), spec.axis.inverse(means[spec.along])
    return means.assign(**{response: y_mean, spec.along: x_mean})


def _mean(rows: pd.DataFrame, errors: str) -> dict[Hashable, object]:
    """The weighted mean of the rows of a bin, with the index of the first row under "".

    In the column ``errors``, it is the standard error of the mean response.
    """
    weight = rows[AVERAGED].to_numpy(float)
    means: dict[Hashable, object] = {
        column: np.average(x.to_numpy(float), weights=weight)
        for column, x in rows.select_dtypes("number").items()
    }
    if errors in rows:
        means[errors] = float(np.sqrt(((rows[errors] * weight) ** 2).sum()) / weight.sum())
    first_row: dict[Hashable, object] = rows.iloc[0].to_dict()
    return first_row | means | {AVERAGED: weight.sum(), "": rows.index[0]}
