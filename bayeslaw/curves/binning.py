"""Long curves as averages in bins along their axis: a logged curve of thousands of points says
little more than a hundred of them."""

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
    """The runs with each curve of more than `CURVE_POINTS` points averaged in as many bins along
    its axis, and words that say so.

    Response and input are averaged on their scales (logarithms of a loss and of tokens, the root of
    KL), other numbers as they are; the column ``averaged`` counts what a row is the mean of, and
    the noise of a mean is that much smaller in variance. A row keeps the index of the first row of
    its bin. Without a discrepancy along curves, and for shorter curves, the runs are returned as
    they are.
    """
    if not design.spec.discrepancy.along_curves:
        return runs, []
    labels = design.curve_labels(runs.table)
    counts = pd.Series(labels).value_counts()
    long = counts.index[counts > CURVE_POINTS]
    if not len(long):
        return runs, []
    table = runs.table.assign(**{AVERAGED: runs.averaged})
    parts = [table[~np.isin(labels, long)]]
    parts += [_averaged(table[labels == name], design.spec) for name in sorted(map(str, long))]
    note = (
        f"{len(long)} of {len(counts)} curves have more than {CURVE_POINTS} points (at most"
        f" {counts.max()}); they enter the fit as averages in {CURVE_POINTS} bins along the curve"
        f" ({design.spec.along}), weighted by how many points each averages."
    )
    columns = [*runs.table.columns, *({AVERAGED} - set(runs.table.columns))]
    shorter = pd.concat([part for part in parts if len(part)])[columns]
    return replace(runs, table=shorter, notes=(*runs.notes, note)), [note]


def _averaged(curve: pd.DataFrame, spec: ModelSpec) -> pd.DataFrame:
    """One curve, a row a bin."""
    link, response = spec.law.response.link, spec.law.response.name
    t = spec.axis.forward(curve[spec.along].to_numpy(float))
    edges = np.linspace(t.min(), t.max(), CURVE_POINTS + 1)
    bins = np.clip(np.searchsorted(edges, t, side="right") - 1, 0, CURVE_POINTS - 1)
    y = link.forward(curve[response].to_numpy(float))
    on_scale = curve.assign(**{response: y, spec.along: t})
    rows = [_mean(on_scale[bins == place], se_column(spec.law)) for place in np.unique(bins)]
    means = pd.DataFrame(rows).set_index("").rename_axis(curve.index.name)
    return means.assign(
        **{
            response: link.inverse(means[response]),
            spec.along: spec.axis.inverse(means[spec.along]),
        }
    )


def _mean(rows: pd.DataFrame, errors: str) -> dict[Hashable, object]:
    """The weighted mean of the rows of a bin, with the index of the first under "". ``errors`` is
    the column of standard errors: theirs is that of the mean of values with errors of their own."""
    weight = rows[AVERAGED].to_numpy(float)
    means: dict[Hashable, object] = {
        column: np.average(x.to_numpy(float), weights=weight)
        for column, x in rows.select_dtypes("number").items()
    }
    if errors in rows:
        means[errors] = float(np.sqrt(((rows[errors] * weight) ** 2).sum()) / weight.sum())
    return rows.iloc[0].to_dict() | means | {AVERAGED: weight.sum(), "": rows.index[0]}
