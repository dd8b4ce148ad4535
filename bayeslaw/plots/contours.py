"""Figures around an optimum: the loss along budgets of compute, data against model size for a loss,
and choices of hyper-parameters.
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayeslaw.plots.bands import fill_bands, require
from bayeslaw.plots.style import BAND, HIDDEN, RUN, log_x, log_y, style
from bayeslaw.text import magnitude


def _shade(i: int, of: int) -> Any:
    """The i-th shade of several budgets or losses, light to dark."""
    return plt.get_cmap("viridis_r")(0.15 + 0.75 * i / max(of - 1, 1))


def _axes(axes: Axes | None) -> Axes:
    """The Axes that were given, or those of a new figure."""
    return axes if axes is not None else plt.subplots(figsize=(6.0, 4.2), layout="constrained")[1]


def isoflop(
    table: pd.DataFrame,
    *,
    optima: pd.DataFrame | None = None,
    axes: Axes | None = None,
    response_unit: str = "nats per token",
    title: str = "",
) -> Axes:
    """The loss along budgets: what ``bl.isoflop`` returned for one budget or several, concatenated.

    Parameters
    ----------
    table : the columns of `bayeslaw.isoflop`.
    optima : a row a budget: ``compute``, ``model_size`` and ``loss`` of the optimum, with
        ``lower_90_model_size`` and ``upper_90_model_size`` where they are known.
    axes : None: a new figure.

    Examples
    --------
    >>> bl.plots.isoflop(bl.isoflop(fit, 1e22, np.geomspace(1e9, 1e11, 30)))
    """
    require(table, ("compute", "model_size", "median"))
    with style():
        axis = _axes(axes)
        budgets = sorted(table["compute"].unique())
        for i, budget in enumerate(budgets):
            part = table[table["compute"] == budget].sort_values("model_size")
            color = _shade(i, len(budgets))
            fill_bands(axis, part["model_size"].to_numpy(float), part, color, "")
            axis.plot(
                part["model_size"],
                part["median"],
                color=color,
                linewidth=1.4,
                label=f"{budget:.3g} FLOP",
            )
        if optima is not None:
            require(optima, ("model_size", "loss"))
            if {"lower_90_model_size", "upper_90_model_size"} <= set(optima):
                axis.hlines(
                    optima["loss"],
                    optima["lower_90_model_size"],
                    optima["upper_90_model_size"],
                    color=RUN,
                    linewidth=1.2,
                )
            axis.plot(
                optima["model_size"],
                optima["loss"],
                "o",
                color=RUN,
                markersize=4,
                label="optimum, 90 %",
            )
        log_x(axis)
        log_y(axis)
        axis.set(xlabel="model size (parameters)", ylabel=f"loss ({response_unit})", title=title)
        axis.legend()
    return axis


def isoloss(
    table: pd.DataFrame,
    *,
    frontier: pd.DataFrame | None = None,
    axes: Axes | None = None,
    title: str = "",
) -> Axes:
    """The data that each model size needs for a loss: what ``bl.isoloss`` returned for one loss or
    several, concatenated.

    Parameters
    ----------
    table : the columns of `bayeslaw.isoloss`. Where the upper end is infinite the band is left
        open.
    frontier : ``model_size`` and ``data_size`` of the optimum at some budgets, drawn as a line.
    axes : None: a new figure.

    Examples
    --------
    >>> bl.plots.isoloss(bl.isoloss(fit, 2.1, np.geomspace(1e9, 1e11, 30)))
    """
    require(table, ("loss", "model_size", "data_size"))
    with style():
        axis = _axes(axes)
        losses = sorted(table["loss"].unique(), reverse=True)
        for i, loss in enumerate(losses):
            part = table[table["loss"] == loss].sort_values("model_size")
            color = _shade(i, len(losses))
            ends = [c for c in part.columns if c.startswith("upper_") and c.endswith("_data_size")]
            # an infinite end cannot be drawn; the axis ends before it
            within = part.assign(**{c: part[c].clip(upper=1e30) for c in ends})
            fill_bands(axis, part["model_size"].to_numpy(float), within, color, "", "data_size")
            axis.plot(
                part["model_size"],
                part["data_size"].replace(np.inf, np.nan),
                color=color,
                linewidth=1.4,
                label=f"loss {loss:.4g}",
            )
        finite = table["data_size"].replace(np.inf, np.nan).dropna()
        if frontier is not None:
            require(frontier, ("model_size", "data_size"))
            axis.plot(
                frontier["model_size"],
                frontier["data_size"],
                "--",
                color=RUN,
                linewidth=1,
                label="compute-optimal",
            )
        axis.set_ylim(finite.min() / 2, finite.max() * 2)
        log_x(axis)
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(magnitude)
        axis.set(xlabel="model size (parameters)", ylabel="data (tokens)", title=title)
        axis.legend()
    return axis


def hyperparameters(
    table: pd.DataFrame,
    *,
    runs: pd.DataFrame | None = None,
    axes: Axes | None = None,
    title: str = "",
) -> Axes:
    """Choices of learning rate and batch size: how likely each is near-optimal, and the one with
    the least expected excess.

    Parameters
    ----------
    table : what ``bl.hyperparameters`` returned.
    runs : ``learning_rate`` and ``batch_size`` of runs, drawn as points.
    axes : None: a new figure.

    Examples
    --------
    >>> bl.plots.hyperparameters(bl.hyperparameters(fit, {"compute": 1e20}))
    """
    require(table, ("learning_rate", "batch_size", "excess", "p_near_optimal"))
    with style():
        axis = _axes(axes)
        filled = axis.tricontourf(
            table["learning_rate"],
            table["batch_size"],
            table["p_near_optimal"],
            levels=np.linspace(0, 1, 11),
            cmap="Blues",
        )
        lines = axis.tricontour(
            table["learning_rate"],
            table["batch_size"],
            100 * table["excess"],
            levels=[0.1, 0.25, 0.5, 1, 2, 4],
            colors=BAND,
            linewidths=0.8,
        )
        axis.clabel(lines, fmt="%g %%", fontsize=7)
        axis.figure.colorbar(filled, ax=axis, label="probability of being near-optimal")
        best = table.loc[table["excess"].idxmin()]
        axis.plot(
            best["learning_rate"],
            best["batch_size"],
            "*",
            color=HIDDEN,
            markersize=12,
            label="least expected excess",
        )
        if runs is not None:
            axis.plot(
                runs["learning_rate"],
                runs["batch_size"],
                ".",
                color=RUN,
                markersize=3,
                label="runs",
            )
        axis.set(
            xscale="log",
            yscale="log",
            xlabel="learning rate",
            ylabel="batch size (tokens)",
            title=title,
        )
        axis.legend(loc="upper left")
    return axis
