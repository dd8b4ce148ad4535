"""Long curves as averages in bins along their axis: a logged curve of thousands of points says
little more than a hundred of them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from bayeslaw.defaults import CURVE_POINTS
from bayeslaw.runs.scores import AVERAGED, se_column
from bayeslaw.runs.table import Runs
from bayeslaw.spec.spec import ModelSpec, curve_labels


def binned(resolved: ModelSpec, runs: Runs) -> tuple[Runs, list[str]]:
    """The runs with each curve of more than `CURVE_POINTS` points averaged in as many bins along
    its axis, and words that say so.

    Response and input are averaged on their scales (logarithms of a loss and of tokens, the root of
    KL), other numbers as they are; the column ``averaged`` counts what a row is the mean of, and
    the noise of a mean is that much smaller in variance. A row keeps the index of the first row of
    its bin. Without a discrepancy along curves, and for shorter curves, the runs are returned as
    they are.
    """
    if resolved.departs.kind != "curve":
        return runs, []
    labels = curve_labels(resolved, runs.table)
    counts = pd.Series(labels).value_counts()
    long = counts.index[counts > CURVE_POINTS]
    if not len(long):
        return runs, []
    link, response, along = resolved.law.response.link, resolved.law.response.name, resolved.along
    parts = [
        runs.table[~np.isin(labels, long)].assign(
            **{AVERAGED: runs.averaged[~np.isin(labels, long)]}
        )
    ]
    for label in sorted(map(str, long)):
        curve = runs.table[labels == label].assign(**{AVERAGED: runs.averaged[labels == label]})
        t = resolved.axis.forward(curve[along].to_numpy(float))
        edges = np.linspace(t.min(), t.max(), CURVE_POINTS + 1)
        bins = np.clip(np.searchsorted(edges, t, side="right") - 1, 0, CURVE_POINTS - 1)
        weight = curve[AVERAGED].to_numpy(float)
        scaled = curve.assign(**{response: link.forward(curve[response].to_numpy(float)), along: t})
        rows = []
        for place in np.unique(bins):
            inside = bins == place
            some = scaled[inside]
            means = {
                c: np.average(x.to_numpy(float), weights=weight[inside])
                for c, x in some.select_dtypes("number").items()
            }
            # of the mean of values with errors of their own
            if (errors := se_column(resolved.law)) in some:
                means[errors] = float(
                    np.sqrt(((some[errors] * weight[inside]) ** 2).sum()) / weight[inside].sum()
                )
            rows.append(
                some.iloc[0].to_dict() | means | {AVERAGED: weight[inside].sum(), "": some.index[0]}
            )
        mean = pd.DataFrame(rows).set_index("").rename_axis(curve.index.name)
        parts.append(
            mean.assign(
                **{
                    response: link.inverse(mean[response]),
                    along: resolved.axis.inverse(mean[along]),
                }
            )
        )
    told = (
        f"{len(long)} of {len(counts)} curves have more than {CURVE_POINTS} points (at most"
        f" {counts.max()}); they enter the fit as averages in {CURVE_POINTS} bins along the curve"
        f" ({along}), weighted by how many points each averages."
    )
    table = pd.concat([part for part in parts if len(part)])
    return replace(
        runs,
        table=table[[*runs.table.columns, *({AVERAGED} - set(runs.table.columns))]],
        notes=(*runs.notes, told),
    ), [told]
