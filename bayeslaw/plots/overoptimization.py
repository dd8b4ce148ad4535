"""Figures of over-optimisation: scores against sqrt(KL), where they peak, which checkpoint is best,
and when a watched run was past its peak.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayeslaw.errors import SpecError
from bayeslaw.plots.bands import (
    axes_of_panels,
    fill_bands,
    panels_of,
    probs_of,
    require,
    rows_of,
    tidy,
)
from bayeslaw.plots.labels import in_brackets, spaced
from bayeslaw.plots.style import BAND, BEYOND, HIDDEN, RUN, log_x, log_y, style
from bayeslaw.text import magnitude, named, numeric_labels

#: The share of an axis's height that the density of the peak takes.
DENSITY = 0.16


def scores(
    gold: pd.DataFrame,
    *,
    proxy: pd.DataFrame | None = None,
    runs: pd.DataFrame | None = None,
    hidden: pd.DataFrame | None = None,
    peaks: pd.DataFrame | None = None,
    by: Sequence[str] = (),
    response: str = "gold_score",
    proxy_response: str = "proxy_score",
    unit: str = "",
    axes: Axes | Sequence[Axes] | None = None,
    title: str = "",
    width: float = 9.0,
) -> np.ndarray:
    """Gold and proxy score against sqrt(KL), with their bands, the runs, and the density of the
    peak along the axis.

    Parameters
    ----------
    gold, proxy : what ``fit.bands`` returned: ``kl``, the columns of ``by``, median, ``lower_P``
        and ``upper_P``.
    runs : what the fit saw: ``kl``, the columns of ``by``, ``response`` and perhaps
        ``proxy_response``.
    hidden : what it did not see, drawn as crosses.
    peaks : draws of the peak, a row a draw: ``kl_peak`` and the columns of ``by``. The share of
        draws beyond the axis is written on it.
    by : columns that make a panel each.
    response, proxy_response : the columns of ``runs``.
    unit : of the vertical axis.
    axes : one a panel; None: a new figure, ``width`` inches wide.
    title : of the figure. A plot of simulated runs must say so here.

    Returns
    -------
    array of Axes, one a panel.

    Raises
    ------
    SpecError : a column is missing, too many panels, too few Axes.

    Examples
    --------
    >>> gold = fit.bands({"kl": np.linspace(0.5, 60, 80)})
    >>> bl.plots.scores(gold, runs=fit.runs.table)
    """
    panels = panels_of(
        gold.assign(**{c: numeric_labels(gold[c]) for c in by if c in gold}),
        ("kl", "median"),
        by,
    )
    with style():
        drawn = axes_of_panels(len(panels), axes, width, title)
        for axis, (chosen, part) in zip(drawn, panels, strict=False):
            of_group, of_proxy = rows_of(runs, chosen), rows_of(proxy, chosen)
            if of_proxy is not None and len(of_proxy):
                _band(axis, of_proxy, BEYOND, "proxy")
                if of_group is not None and proxy_response in of_group:
                    axis.plot(
                        np.sqrt(of_group["kl"]),
                        of_group[proxy_response],
                        "s",
                        color=BEYOND,
                        markersize=2.4,
                        linestyle="none",
                        label="proxy, runs",
                    )
            _band(axis, part, BAND, "gold")
            if of_group is not None and len(of_group):
                axis.plot(
                    np.sqrt(of_group["kl"]),
                    of_group[response],
                    "o",
                    color=RUN,
                    markersize=2.6,
                    alpha=0.7,
                    linestyle="none",
                    label="gold, runs",
                )
            unseen = rows_of(hidden, chosen)
            if unseen is not None and len(unseen):
                axis.plot(
                    np.sqrt(unseen["kl"]),
                    unseen[response],
                    "x",
                    color=HIDDEN,
                    markersize=4,
                    markeredgewidth=1.1,
                    linestyle="none",
                    label="gold, unseen runs",
                )
            drawn_peaks = rows_of(peaks, chosen)
            if drawn_peaks is not None and len(drawn_peaks):
                _density(
                    axis, drawn_peaks["kl_peak"].to_numpy(float), float(np.sqrt(part["kl"].max()))
                )
            axis.set_title(", ".join(named(column, value) for column, value in chosen.items()))
            axis.set_xlabel("√KL (√nats)")
            name = "score" if proxy is not None else spaced(response)
            axis.set_ylabel(name + in_brackets(unit))
        if axes is None:
            tidy(drawn)
    return drawn


def _band(axis: Axes, part: pd.DataFrame, colour: str, name: str) -> None:
    """The median and the bands of one score."""
    part = part.sort_values("kl")
    d = np.sqrt(part["kl"].to_numpy(float))
    fill_bands(axis, d, part, colour, f"{name}, {{:g}} % of runs")
    axis.plot(d, part["median"], color=colour, linewidth=1.4, label=f"{name}, median")


def _density(axis: Axes, kl_peak: np.ndarray, far: float) -> None:
    """The peak's density along the bottom of the axis; in words, the share of draws beyond it."""
    d = np.sqrt(kl_peak)
    within = d[d <= far]
    low, high = axis.get_ylim()
    if len(within) > 20:
        edges = np.linspace(0, far, 61)
        count, _ = np.histogram(within, edges)
        smooth = np.convolve(count, [0.25, 0.5, 0.25], mode="same")
        height = DENSITY * (high - low) * smooth / smooth.max()
        middle, bottom = (edges[:-1] + edges[1:]) / 2, low - DENSITY * (high - low)
        axis.fill_between(
            middle,
            bottom,
            bottom + height,
            color=HIDDEN,
            alpha=0.55,
            linewidth=0,
            label="where gold peaks",
        )
        axis.set_ylim(bottom, high)
    beyond = 1 - len(within) / len(d)
    if beyond >= 0.005:
        axis.text(
            0.98,
            DENSITY + 0.03,
            f"no peak below KL = {far**2:.3g}: {beyond:.0%}",
            transform=axis.transAxes,
            ha="right",
            fontsize=8,
            color=HIDDEN,
        )


def peak_by_size(
    table: pd.DataFrame,
    *,
    x: str = "reward_model_size",
    by: Sequence[str] = (),
    axes: Axes | None = None,
    title: str = "",
    width: float = 6.0,
) -> Axes:
    """KL at the peak against the size of the reward model, with its intervals.

    Parameters
    ----------
    table : what `bayeslaw.peaks` returned.
    x : the column on the horizontal axis.
    by : columns that make a series each.
    axes, title, width : as in `scores`.

    Raises
    ------
    SpecError : a column is missing.

    Examples
    --------
    >>> bl.plots.peak_by_size(bl.peaks(fit), x="reward_model_size")
    """
    require(table, (x, "kl_peak", *by), "table of peaks")
    probs = probs_of(table, "kl_peak")[::-1]
    colours = [BAND, HIDDEN, RUN, BEYOND]
    with style():
        axis: Axes = axes_of_panels(1, axes, width, title)[0]
        table = table.assign(**{column: numeric_labels(table[column]) for column in by})
        series = list(table.groupby(list(by), sort=True)) if by else [((), table)]
        for i, (values, part) in enumerate(series):
            # series stand beside each other
            at = part[x].astype(float).to_numpy() * (1 + 0.06 * (i - (len(series) - 1) / 2))
            colour = colours[i % len(colours)]
            for p in probs:
                axis.vlines(
                    at,
                    part[f"lower_{p:g}_kl_peak"],
                    part[f"upper_{p:g}_kl_peak"],
                    color=colour,
                    linewidth=3.4 if p <= 50 else 1.4,
                    alpha=0.6,
                )
            name = ", ".join(named(column, value) for column, value in zip(by, values, strict=True))
            words = f"median, {' and '.join(f'{p:g} %' for p in probs)}"
            axis.plot(
                at,
                part["kl_peak"],
                "o",
                color=colour,
                markersize=4,
                linestyle="none",
                label=f"{name}: {words}" if name else words,
            )
        log_x(axis)
        log_y(axis)
        axis.set_xlabel(spaced(x) + in_brackets("parameters" if x.endswith("size") else ""))
        axis.set_ylabel("KL at the peak (nats)")
        axis.legend()
    return axis


def best_checkpoint(
    table: pd.DataFrame,
    *,
    x: str = "kl",
    x_unit: str = "nats",
    axes: Axes | None = None,
    title: str = "",
    width: float = 6.0,
) -> Axes:
    """The probability that each checkpoint is the best one, and the evaluations allotted to it, if
    any.

    Parameters
    ----------
    table : what `bayeslaw.best_checkpoint` returned.
    x, x_unit : the column that tells checkpoints apart, on the horizontal axis, and its unit.
    axes, title, width : as in `scores`.

    Raises
    ------
    SpecError : a column is missing.

    Examples
    --------
    >>> bl.plots.best_checkpoint(bl.best_checkpoint(fit, {"kl": [10.0, 20.0, 40.0]}))
    """
    if missing := [c for c in (x, "p_best", "evaluations") if c not in table.columns]:
        raise SpecError(
            f"The table has no column {', '.join(missing)}; draw what best_checkpoint returned."
        )
    with style():
        axis: Axes = axes_of_panels(1, axes, width, title)[0]
        table = table.sort_values(x).reset_index(drop=True)
        spent = table["evaluations"].sum()
        bars = axis.bar(
            table.index,
            100 * table["p_best"],
            color=BAND,
            alpha=0.7,
            label="probability of being the best",
        )
        axis.bar_label(
            bars, [f"{p:.0%}" if p >= 0.005 else "" for p in table["p_best"]], fontsize=7, padding=1
        )
        if spent:
            axis.plot(
                table.index,
                100 * table["evaluations"] / spent,
                "D",
                color=HIDDEN,
                markersize=4,
                linestyle="none",
                label=f"share of {spent:g} further evaluations",
            )
        axis.set_xticks(
            table.index,
            [magnitude(float(v)) if float(v) >= 1e3 else f"{float(v):.3g}" for v in table[x]],
            rotation=60 if len(table) > 12 else 0,
            fontsize=7,
        )
        axis.set_xlabel(spaced(x) + in_brackets(x_unit))
        axis.set_ylabel("%")
        axis.legend()
    return axis


def watched(
    table: pd.DataFrame,
    *,
    x: str,
    authors: float | None = None,
    axes: Sequence[Axes] | None = None,
    title: str = "",
    width: float = 7.0,
) -> np.ndarray:
    """A run as it was watched: the probability that it is past the peak, and the estimated peak,
    against the steps seen so far.

    Parameters
    ----------
    table : rows of `bayeslaw.peaks` with ``current_kl``, a row for each time that the run was
        checked, and the column ``x``: steps seen.
    authors : KL of the peak that the run's authors report.
    axes : two of them; title, width : as in `scores`.

    Raises
    ------
    SpecError : a column is missing.

    Examples
    --------
    >>> checks = [bl.peaks(fit, current_kl=kl).assign(steps=n) for n, kl, fit in looks]
    >>> bl.plots.watched(pd.concat(checks), x="steps")
    """
    needed = (x, "p_past_peak", "kl_peak", "current_kl")
    if missing := [column for column in needed if column not in table.columns]:
        raise SpecError(
            f"The table has no column {', '.join(missing)}; draw rows of peaks(fit,"
            " current_kl=...)."
        )
    with style():
        if axes is None:
            figure, grid = plt.subplots(
                2, 1, figsize=(width, 0.85 * width), sharex=True, layout="constrained"
            )
            drawn = grid.ravel()
            if title:
                figure.suptitle(title, fontsize=10)
        else:
            drawn = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
        drawn = np.asarray(drawn)
        table = table.sort_values(x)
        drawn[0].plot(
            table[x],
            100 * table["p_past_peak"],
            "o-",
            color=BAND,
            markersize=3.5,
            label="the peak is past",
        )
        drawn[0].plot(
            table[x],
            100 * table["p_no_peak"],
            "s--",
            color=BEYOND,
            markersize=3,
            label="no peak within reach",
        )
        drawn[0].set_ylim(-3, 103)
        drawn[0].set_ylabel("probability (%)")
        drawn[0].legend()
        ends = [c for c in table.columns if str(c).endswith("_kl_peak")]
        # an infinite end cannot be drawn; the axis ends before it
        within = table.assign(**{c: table[c].clip(upper=1e6) for c in ends})
        fill_bands(
            drawn[1], table[x].to_numpy(float), within, BAND, "KL at the peak, {:g} %", "kl_peak"
        )
        drawn[1].plot(table[x], table["kl_peak"], color=BAND, linewidth=1.4, label="median")
        drawn[1].plot(
            table[x],
            table["current_kl"],
            color=RUN,
            linewidth=1.2,
            linestyle=":",
            label="the run's own KL",
        )
        if authors is not None:
            drawn[1].axhline(
                authors, color=HIDDEN, linewidth=1, label="peak reported by the run's authors"
            )
        drawn[1].set_yscale("log")
        drawn[1].set_ylim(
            max(1e-2, float(table["current_kl"].min()) / 30), float(table["current_kl"].max()) * 300
        )
        drawn[1].set_xlabel(x.replace("_", " "))
        drawn[1].set_ylabel("KL (nats per sequence)")
        drawn[1].legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    return drawn
