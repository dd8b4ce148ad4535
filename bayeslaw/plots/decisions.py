"""What a budget is decided by: what each option would log, P(target) as the target varies, what
knowing more is worth, and what to run next.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayeslaw.decisions import go_no_go, utility
from bayeslaw.decisions.candidates import ADDED as ADDED_BY_NEXT_RUNS
from bayeslaw.errors import SpecError
from bayeslaw.plots.bands import probs_of, require
from bayeslaw.plots.rows import LETTER, Rows, inches, wrapped
from bayeslaw.plots.style import BAND, BEYOND, HIDDEN, NOTE, RUN, SERIES, log_x, plain, style
from bayeslaw.text import magnitude, named_rows

#: Options, or candidates, that a figure may have before it is unreadable.
MOST_OPTIONS = 12
#: Inches: the height of a density, and of a bar.
DENSITY, BAR = 0.34, 0.13


def options(
    table: pd.DataFrame,
    draws: np.ndarray,
    *,
    target: float,
    response: str = "loss",
    lower_is_better: bool = True,
    chosen: int | None = None,
    labels: Sequence[str] | None = None,
    response_unit: str = "",
    cost_unit: str = "",
    ax: Axes | None = None,
    title: str = "",
    width: float = 9.0,
) -> Axes:
    """What a run of each option would log, and how much of it meets the target: a row an option.

    Every density is as high as its row, so that those of options may not be compared in height.
    Below it are the median and the bands of the table.

    Parameters
    ----------
    table : ``Decision.table``: p_target, median, ``lower_P`` and ``upper_P``, and cost where any is
        above 0.
    draws : ``Decision.draws``, (sample, option).
    target, lower_is_better : which side of it is met.
    response : what is logged. chosen : the row of ``Decision.chosen``, marked.
    labels : what options are called; None: by the columns in which they differ.
    response_unit, cost_unit : for the labels.
    ax : where to draw; None: a new figure, ``width`` inches wide.
    title : of the axes. A plot of simulated runs must say so here.

    Raises
    ------
    SpecError : a column is missing, the draws are not those of the table, or the options too many.
    """
    require(table, ("p_target", "median"), "table of options")
    names = _names(table, labels)
    _fits(draws, len(names))
    priced = "cost" in table and bool((table["cost"] > 0).any())
    with style():
        rows = Rows(names, ax, width, DENSITY + 0.07, numbers=1 + priced, title=title)
        axis = rows.axis
        for i, column in enumerate(draws.T):
            base = rows.top[i] + rows.text + DENSITY
            at, height = _density(column)
            # Both sides share the point at the target, so that nothing is left between them.
            at, height = np.append(at, target), np.append(height, np.interp(target, at, height))
            at, height = at[order := np.argsort(at)], height[order]
            meets = utility.met(at, target, lower_is_better)
            for side, colour, alpha in (
                (~meets | (at == target), BEYOND, 0.55),
                (meets, BAND, 0.85),
            ):
                axis.fill_between(
                    at[side],
                    base,
                    base - DENSITY * height[side],
                    color=colour,
                    alpha=alpha,
                    linewidth=0,
                )
            row, line = table.iloc[i], base + 0.05
            for p in probs_of(table):
                axis.hlines(
                    line,
                    row[f"lower_{p:g}"],
                    row[f"upper_{p:g}"],
                    color=RUN,
                    linewidth=2.6 if p <= 50 else 1,
                )
            axis.plot(row["median"], line, "o", color=RUN, markersize=3.6)
            rows.write(
                i,
                [_chance(row["p_target"]), *([magnitude(row["cost"])] if priced else [])],
                bold=i == chosen,
            )
            if i == chosen:
                axis.axhspan(
                    rows.top[i] - 0.05,
                    rows.top[i] + rows.height - 0.11,
                    facecolor=BAND,
                    alpha=0.16,
                    linewidth=0,
                    label="chosen",
                    zorder=0,
                )
        rows.head("option", ["P(target)", *([f"cost{_unit(cost_unit)}"] if priced else [])])
        axis.axvline(target, color=HIDDEN, linewidth=0.8, alpha=0.35)  # pale where it crosses words
        axis.vlines(
            np.full(len(names), target),
            rows.top + rows.text - 0.03,
            rows.top + rows.text + DENSITY + 0.1,
            color=HIDDEN,
            linewidth=1.5,
        )
        ends = np.append(
            np.quantile(draws, [0.003, 0.997]),
            [target, *np.quantile(draws, [0.01, 0.99], axis=0).ravel()],
        )
        margin = 0.03 * ((ends.max() - ends.min()) or 1.0)
        axis.set_xlim(ends.min() - margin, ends.max() + margin)
        _at_top(axis, target, f"target {target:.4g}")
        side_named = "at or below" if lower_is_better else "at or above"
        axis.fill_between(
            [],
            [],
            [],
            color=BAND,
            alpha=0.85,
            linewidth=0,
            label=f"meets the target ({side_named} {target:.4g})",
        )
        axis.fill_between([], [], [], color=BEYOND, alpha=0.55, linewidth=0, label="does not")
        bands = " and ".join(f"{p:g} %" for p in reversed(probs_of(table)))
        axis.plot(
            [],
            [],
            "o-",
            color=RUN,
            markersize=3.6,
            label=f"median{', ' * bool(bands)}{bands}{' of runs' * bool(bands)}",
        )
        axis.set_xlabel(plain(_spaced(response) + _unit(response_unit)))
        _legend(axis, ax is None)
    return axis


def target_curve(
    draws: np.ndarray,
    *,
    target: float,
    lower_is_better: bool = True,
    go_at: float,
    no_go_at: float,
    labels: Sequence[str] | None = None,
    chosen: int | None = None,
    response: str = "loss",
    response_unit: str = "",
    ax: Axes | None = None,
    title: str = "",
    width: float = 9.0,
) -> Axes:
    """The probability that each option meets a target, as the target varies, and the targets at
    which its verdict would flip.

    Parameters
    ----------
    draws : ``Decision.draws``, (sample, option).
    target : the one that was asked of. go_at, no_go_at : the thresholds of the verdict, shaded.
    labels : what options are called; None: option 1, option 2.
    chosen : the option of the verdict, drawn thicker.
    lower_is_better, response, response_unit, ax, title, width : as in `options`.

    Raises
    ------
    SpecError : draws that are not a number for each sample and option, or options that are too
        many.
    """
    names = (
        list(labels)
        if labels is not None
        else [f"option {i + 1}" for i in range(np.shape(draws)[-1])]
    )
    _fits(draws, len(names))
    ends = np.append(np.quantile(draws, [0.005, 0.995], axis=0).ravel(), target)
    margin = 0.04 * ((ends.max() - ends.min()) or 1.0)
    at = np.linspace(ends.min() - margin, ends.max() + margin, 400)
    turns = utility.break_even_targets(draws, go_at, no_go_at, lower_is_better)
    go, no_go = ("from", "up to") if lower_is_better else ("up to", "from")
    with style():
        axis = _axis(ax, width, title)
        axis.axhspan(
            go_at, 1, facecolor=BAND, alpha=0.1, linewidth=0, label=f"go (at least {go_at:g})"
        )
        axis.axhspan(
            0,
            no_go_at,
            facecolor=BEYOND,
            alpha=0.2,
            linewidth=0,
            label=f"no-go (at most {no_go_at:g})",
        )
        for i, name in enumerate(names):
            colour, dashes = _line(i)
            share = np.array([utility.met(draws[:, i], x, lower_is_better).mean() for x in at])
            says = (
                f"{name}{' (chosen)' * (i == chosen)}: go {go} {turns['go'][i]:.4g}, no-go {no_go}"
                f" {turns['no-go'][i]:.4g}"
            )
            axis.plot(
                at,
                share,
                dashes,
                color=colour,
                linewidth=2.4 if i == chosen else 1.3,
                label=wrapped(says, inches(axis) - 0.9),
            )
            axis.plot(
                [turns["go"][i], turns["no-go"][i]],
                [go_at, no_go_at],
                "o",
                color=colour,
                markersize=5 if i == chosen else 3.5,
            )
        axis.axvline(target, color=RUN, linewidth=1.1, linestyle=":")
        axis.set(
            xlim=(at[0], at[-1]),
            ylim=(-0.015, 1.015),
            ylabel="probability of meeting the target",
            xlabel=plain(f"target: {_spaced(response)}{_unit(response_unit)}"),
        )
        _at_top(axis, target, f"target {target:.4g}")
        _legend(axis, ax is None)
    return axis


def value_of_information(
    at: np.ndarray,
    expected: np.ndarray,
    evpi: np.ndarray,
    *,
    x: str = "value of meeting the target",
    unit: str = "",
    now: float | None = None,
    labels: Sequence[str] | None = None,
    log: bool = False,
    ax: Axes | None = None,
    title: str = "",
    width: float = 9.0,
) -> Axes:
    """What each option is worth as the value of meeting the target, or a cost, varies; which is the
    best; and what it would be worth to know for certain.

    Parameters
    ----------
    at : the values, or costs, (step,), rising.
    expected, evpi : of `bayeslaw.decisions.utility.evpi_along`: (step, option) and (step,). Doing
        nothing, which is worth 0, is drawn too.
    x : what varies. unit : of it, and of the values.
    now : where it stands, marked.
    labels : what options are called; None: option 1, option 2.
    log : logarithmic horizontal axis.
    ax, title, width : as in `options`.

    Raises
    ------
    SpecError : arrays whose shapes do not agree, or options that are too many.
    """
    at, expected, evpi = (np.asarray(numbers, dtype=float) for numbers in (at, expected, evpi))
    if (
        expected.ndim != 2
        or at.shape != evpi.shape
        or at.shape != expected.shape[:1]
        or len(at) < 2
        or not (np.diff(at) > 0).all()
    ):
        raise SpecError(
            f"at must rise, with a row of expected and an evpi for each: the shapes are {at.shape},"
            f" {expected.shape} and {evpi.shape}."
        )
    names = (
        list(labels)
        if labels is not None
        else [f"option {i + 1}" for i in range(expected.shape[1])]
    )
    _fits(expected, len(names))
    every = np.column_stack([np.zeros(len(at)), expected])
    best = every.max(axis=1)
    with style():
        axis = _axis(ax, width, title)
        axis.set_xscale("log" if log else "linear")
        axis.set_xlim(at[0], at[-1])
        axis.fill_between(
            at,
            best,
            best + evpi,
            color=BEYOND,
            alpha=0.3,
            linewidth=0,
            label="value of perfect information",
        )
        axis.plot(at, best + evpi, color=BEYOND, linewidth=1.2)
        axis.plot(at, every[:, 0], color=RUN, linewidth=1, linestyle="--", label="doing nothing")
        for i, name in enumerate(names):
            colour, dashes = _line(i)
            axis.plot(
                at,
                expected[:, i],
                dashes,
                color=colour,
                linewidth=1.4,
                label=wrapped(name, inches(axis) - 0.9),
            )
        low, high = (
            min(
                0.0,
                float(best.min()),
                *np.maximum(expected.min(axis=0), -0.4 * (best + evpi).max()),
            ),
            float((best + evpi).max()),
        )
        span = (high - low) or 1.0
        # above: which is the best, from where on
        axis.set_ylim(low - 0.04 * span, high + 0.16 * span)
        _which_is_best(axis, at, every, ["nothing", *names])
        if now is not None:
            axis.axvline(now, ymax=0.94, color=RUN, linewidth=1.1, linestyle=":")
            _at_top(axis, now, f"now {magnitude(now)}")
        if log:
            log_x(axis)
        else:
            axis.xaxis.set_major_formatter(lambda number, _: _amount(number))
        axis.yaxis.set_major_formatter(lambda number, _: _amount(number))
        axis.set_xlabel(plain(x + _unit(unit)))
        axis.set_ylabel(plain("expected value" + _unit(unit)))
        _legend(axis, ax is None)
    return axis


def next_runs(
    table: pd.DataFrame,
    *,
    labels: Sequence[str] | None = None,
    most: int = MOST_OPTIONS,
    cost_unit: str = "",
    regret_unit: str = "",
    axes: Axes | Sequence[Axes] | None = None,
    title: str = "",
    width: float = 9.0,
) -> np.ndarray:
    """How much each candidate is expected to say of the options: what it takes of their variance,
    and of the regret of choosing among them; those that the budget buys first and in their order.

    Parameters
    ----------
    table : what ``bl.next_runs`` gave.
    labels : what candidates are called, in the order of the table; None: by the columns in which
        they differ.
    most : of them that are drawn.
    cost_unit, regret_unit : for the labels.
    axes : one, and another for the reduction of regret where there is any; None: a new figure,
        ``width`` inches wide.
    title : of the figure. A plot of simulated runs must say so here.

    Returns
    -------
    array of the one or two Axes.

    Raises
    ------
    SpecError : a column is missing, no candidates, or too few Axes.
    """
    require(table, ("cost", "variance_reduction"), "table of candidates")
    names = pd.Series(_names(table, labels, most=None))
    order = (
        table["bought"].where(table["bought"] > 0, np.inf).argsort(kind="stable").to_numpy()
        if "bought" in table
        else np.arange(len(table))
    )
    shown, names = table.iloc[order[:most]], names.iloc[order[:most]]
    bought = shown["bought"].to_numpy() if "bought" in shown else np.zeros(len(shown), dtype=int)
    # rounding leaves some 1e-15
    regrets = "regret_reduction" in table and bool((table["regret_reduction"] > 1e-9).any())
    with style():
        given = None if axes is None else np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
        if given is not None and len(given) < 1 + regrets:
            raise SpecError("There are 2 panels and 1 Axes: candidates also lower the regret.")
        rows = Rows(
            list(names),
            None if given is None else given[0],
            width,
            BAR,
            numbers=1,
            title=title,
            panels=1 + regrets,
        )
        drawn = rows.axes if given is None else given[: 1 + regrets]
        if given is not None and regrets:
            rows.lay(given[1])
        middle = rows.top + rows.text + BAR / 2
        for axis, column, scale in zip(
            drawn, ("variance_reduction", "regret_reduction"), (100, 1), strict=False
        ):
            for part, colour, name in (
                (bought > 0, BAND, "bought, in this order"),
                (
                    bought == 0,
                    BEYOND if bought.any() else BAND,
                    "not bought" if bought.any() else "",
                ),
            ):
                if part.any():
                    axis.barh(
                        middle[part],
                        scale * shown[column].to_numpy(float)[part],
                        height=BAR,
                        color=colour,
                        alpha=0.85,
                        label=name if axis is drawn[0] else "",
                    )
            axis.set_xlim(0, max(1.08 * scale * float(shown[column].max()), 1e-12))
        for i, cost in enumerate(shown["cost"]):
            rows.write(
                i,
                [magnitude(cost)],
                before=f"{bought[i]}. " if bought[i] else "",
                bold=bool(bought[i]),
            )
        rows.head(
            f"candidate{f' ({len(shown)} of {len(table)})' if len(shown) < len(table) else ''}",
            [f"cost{_unit(cost_unit)}"],
        )
        left = table.attrs.get("variance_left")
        for axis, says in zip(
            drawn,
            ("variance taken away (%)", f"regret taken away{_unit(regret_unit)}"),
            strict=False,
        ):
            axis.set_xlabel(wrapped(says, 0.9 * inches(axis), 0.075))
        if bought.any():
            _legend(
                drawn[0],
                axes is None,
                f"all that are bought leave {left:.0%} of the variance" if left is not None else "",
            )
    return drawn


def _names(
    table: pd.DataFrame, labels: Sequence[str] | None, most: int | None = MOST_OPTIONS
) -> list[str]:
    """What rows are called: as given, or by the columns in which they differ.

    Raises
    ------
    SpecError : labels that are not one a row, no rows, or too many.
    """
    if not len(table) or (most and len(table) > most):
        raise SpecError(
            f"{len(table)} rows cannot be drawn: at least 1{f', at most {most}' if most else ''}."
        )
    if labels is not None:
        if len(labels) != len(table):
            raise SpecError(f"There are {len(labels)} labels for {len(table)} rows.")
        return [str(name) for name in labels]
    own = [
        c
        for c in table.columns
        if c not in (*go_no_go.ADDED, *ADDED_BY_NEXT_RUNS)
        and not str(c).startswith(("lower_", "upper_"))
    ]
    return named_rows(table[own]) if own else [f"option {i + 1}" for i in range(len(table))]


def _fits(draws: np.ndarray, options: int) -> None:
    """Raise SpecError unless there is a finite number for each draw and option, and not too many
    options.
    """
    if (
        np.ndim(draws) != 2
        or np.shape(draws)[1] != options
        or not len(draws)
        or not np.isfinite(draws).all()
    ):
        raise SpecError(
            f"The draws have the shape {np.shape(draws)}, and must be a finite number for each"
            f" sample and each of {options} options."
        )
    if not 1 <= options <= MOST_OPTIONS:
        raise SpecError(f"{options} options would be unreadable; draw at most {MOST_OPTIONS}.")


def _density(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where draws lie, and how densely, relative to where they are densest: a histogram smoothed by
    a normal kernel (Silverman 1986, equation 3.31).
    """
    low, high = np.quantile(draws, [0.003, 0.997])
    wide = utility.spread(draws[:, None])[0]
    # No finer than the bins, nor than digits: draws may all be one number, or lie very far apart.
    bandwidth = max(0.9 * wide * len(draws) ** -0.2, (high - low) / 200, 1e-6 * abs(low), 1e-9)
    count, edges = np.histogram(
        draws, bins=np.linspace(low - 3 * bandwidth, high + 3 * bandwidth, 401)
    )
    step = edges[1] - edges[0]
    reach = int(np.clip(np.ceil(4 * bandwidth / step), 1, 199))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / bandwidth) ** 2)
    smooth = np.convolve(count, kernel, mode="same")
    return (edges[:-1] + edges[1:]) / 2, smooth / smooth.max()


def _which_is_best(axis: Axes, at: np.ndarray, every: np.ndarray, names: Sequence[str]) -> None:
    """A strip at the top in the colour of the option that is best there, with its name where it has
    room, and the places where the best changes.
    """
    best = every.argmax(axis=1)
    turns = np.flatnonzero(np.diff(best))
    crossed = []
    for k in turns:
        gap = every[k : k + 2, best[k]] - every[k : k + 2, best[k + 1]]
        crossed.append(float(at[k] + (at[k + 1] - at[k]) * gap[0] / (gap[0] - gap[1])))
    edges = np.array([at[0], *crossed, at[-1]])
    place = np.log(edges) if axis.get_xscale() == "log" else edges
    wide = 0.85 * inches(axis) * np.diff(place) / (place[-1] - place[0])
    for i, winner in enumerate(map(int, [*best[turns], best[-1]])):
        axis.axvspan(
            edges[i],
            edges[i + 1],
            ymin=0.94,
            ymax=1,
            facecolor=_line(winner - 1)[0] if winner else BEYOND,
            alpha=0.35,
            linewidth=0,
        )
        text = next(
            (
                text
                for text in (f"best: {names[winner]}", names[winner])
                if wide[i] > LETTER * len(text) + 0.1
            ),
            "",
        )
        middle = (
            np.sqrt(edges[i] * edges[i + 1])
            if axis.get_xscale() == "log"
            else edges[i : i + 2].mean()
        )
        if text:
            axis.text(
                float(middle),
                0.97,
                plain(text),
                transform=axis.get_xaxis_transform(),
                ha="center",
                va="center",
                fontsize=7.5,
                color=RUN,
            )
    for i, x in enumerate(crossed):
        axis.axvline(x, ymax=0.94, color=NOTE, linewidth=0.8, linestyle=":")
        # On the side that has room; where neither has, the line must do.
        side = (
            "right"
            if wide[i] > 0.5
            else "left"
            if wide[i + 1] > 0.5 + 0.5 * (i + 1 < len(crossed))
            else ""
        )
        if side:
            axis.annotate(
                _amount(x),
                (x, 0.93),
                xycoords=axis.get_xaxis_transform(),
                xytext=(-2 if side == "right" else 2, 0),
                textcoords="offset points",
                ha=side,
                va="top",
                fontsize=7.5,
                color=NOTE,
            )


def _line(i: int) -> tuple[str, str]:
    """Colour and dashes of the i-th of several lines."""
    return SERIES[i % len(SERIES)], ("-", "--")[i // len(SERIES) % 2]


def _axis(ax: Axes | None, width: float, title: str) -> Axes:
    """The Axes that were given, or those of a new figure, with room above for a word."""
    axis = (
        ax
        if ax is not None
        else plt.subplots(figsize=(width, 1.0 + 0.42 * width), layout="constrained")[1]
    )
    axis.set_title(wrapped(title, inches(axis), 0.083), fontsize=10, pad=15)
    return axis


def _at_top(axis: Axes, x: float, text: str) -> None:
    """A word above the axes, where a vertical line meets their edge, turned inwards at the ends."""
    share = axis.transAxes.inverted().transform(axis.transData.transform((x, axis.get_ylim()[0])))[
        0
    ]
    side = "left" if share < 0.1 else "right" if share > 0.9 else "center"
    axis.annotate(
        text,
        (x, 1),
        xycoords=axis.get_xaxis_transform(),
        xytext=(0, 2),
        textcoords="offset points",
        ha=side,
        va="bottom",
        fontsize=8,
        color=RUN,
    )


def _legend(axis: Axes, own: bool, title: str = "") -> None:
    """The legend below the axes and their name, in as many columns as its words leave room for; a
    figure of one's own grows by it.
    """
    handles, names = axis.get_legend_handles_labels()
    if not handles:
        return
    lines = [name.split("\n") for name in names]
    columns = max(
        1,
        min(
            4,
            len(names),
            int(
                (inches(axis) - 0.4)
                / (LETTER * max(len(line) for part in lines for line in part) + 0.5)
            ),
        ),
    )
    axis.legend(
        handles,
        names,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        borderaxespad=4.4,
        ncols=columns,
        title=title,
        title_fontsize=8,
        columnspacing=1.4,
    )
    figure = axis.get_figure(root=True)
    if own and figure is not None:
        rows = max(
            sum(len(lines[i]) for i in column)
            for column in np.array_split(np.arange(len(names)), columns)
        ) + bool(title)
        figure.set_figheight(figure.get_figheight() + 0.2 + 0.17 * rows)


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _unit(unit: str) -> str:
    return f" ({unit})" if unit else ""


def _chance(p: float) -> str:
    """A probability to two digits: what comes of draws is never certain."""
    return "<0.01" if p < 0.005 else ">0.99" if p > 0.995 else f"{p:.2f}"


def _amount(x: float) -> str:
    """A value, which may be a loss, as people write it."""
    return f"{'−' if x < 0 else ''}{magnitude(abs(x))}" if abs(x) > 1e-12 else "0"
