"""The report's figures as SVG elements. In place of one that cannot be drawn stands the reason."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

from bayeslaw.decisions.candidates import ADDED
from bayeslaw.errors import BayeslawError

if TYPE_CHECKING:
    from bayeslaw.study.result import StudyResult
    from bayeslaw.validation.backtesting import Backtest

#: The width of a figure in inches, for a column of 900 pixels and for a phone. The text of the
#: figure then has the size of the page's small text. The page shows the one that fits.
WIDTHS = {"wide": 8.4, "narrow": 4.2}

#: Panels that a page has room for; more groups share one.
PANELS = 12

#: Draws a figure of the result, in a width in inches; None where there is nothing to draw.
Drawer = Callable[["StudyResult", float], Any]


def drawn_figures(result: StudyResult) -> dict[str, str]:
    """The figures of a result, by name: ``bands``, ``options``, ``target``, ``value``,
    ``hindsight``, ``calibration``, ``next_runs``. One with nothing to show is left out.
    """
    drawers: dict[str, tuple[Drawer, str]] = {
        "bands": (_bands, "Bands of what new runs would log, with the finished runs"),
        "options": (
            _options,
            "What a run of each option would log, and the part that is on target",
        ),
        "target": (_target, "The probability that each option meets a target, for many targets"),
        "value": (_value, "The worth of each option, for many values of meeting the target"),
        "hindsight": (_hindsight, "Runs that the fit did not see, with their forecast bands"),
        "calibration": (_calibration, "How often bands held the runs that the fit did not see"),
        "next_runs": (_next_runs, "How much of the options' variance each candidate run removes"),
    }
    figures = {name: _svg(result, name, draw, about) for name, (draw, about) in drawers.items()}
    return {name: figure for name, figure in figures.items() if figure}


def _svg(result: StudyResult, name: str, draw: Drawer, about: str) -> str:
    """A figure in both widths; "" where there is nothing to draw."""
    from bayeslaw.plots.style import svg

    text = ""
    for size, width in WIDTHS.items():
        try:
            axes = draw(result, width)
        except BayeslawError as error:  # too many options, panels or groups to be read
            return f'<p class="note">This figure was not drawn: {escape(str(error))}</p>'
        if axes is not None:
            text += f'<div class="{size}">{svg(axes, title=about, salt=f"{name}-{size}")}</div>'
    return text


def _title(result: StudyResult) -> str:
    return "Simulated runs" if result.prepared.runs.simulated else ""


def _bands(result: StudyResult, width: float) -> Any:
    from bayeslaw import plots

    swept = result.sweep
    if swept is None:
        return None
    arguments = swept.arguments(result.prepared.law)
    if (decision := result.decision) is not None:
        arguments |= {"target": decision.target, "marked": "option"}
    return plots.bands(**arguments, title=_title(result), width=width)


def _options(result: StudyResult, width: float) -> Any:
    from bayeslaw import plots

    decision, section = result.decision, result.prepared.study.decision
    if decision is None or section is None:
        return None
    response = result.prepared.law.response
    return plots.options(
        decision.table,
        decision.draws,
        target=decision.target,
        response=response.name,
        lower_is_better=response.lower_is_better,
        chosen=decision.chosen,
        labels=decision.labels,
        response_unit=response.unit,
        cost_unit=section.unit,
        title=_title(result),
        width=width,
    )


def _target(result: StudyResult, width: float) -> Any:
    from bayeslaw import plots

    decision = result.decision
    if decision is None:
        return None
    response = result.prepared.law.response
    return plots.target_curve(
        decision.draws,
        target=decision.target,
        lower_is_better=response.lower_is_better,
        go_at=decision.go_at,
        no_go_at=decision.no_go_at,
        labels=decision.labels,
        chosen=decision.chosen,
        response=response.name,
        response_unit=response.unit,
        title=_title(result),
        width=width,
    )


def _value(result: StudyResult, width: float) -> Any:
    from bayeslaw import plots

    decision, section = result.decision, result.prepared.study.decision
    if decision is None or section is None or result.worth is None:
        return None
    values, expected, perfect = result.worth
    return plots.value_of_information(
        values,
        expected,
        perfect,
        unit=section.unit,
        now=section.value,
        labels=decision.labels,
        title=_title(result),
        width=width,
    )


def _hindsight(result: StudyResult, width: float) -> Any:
    from bayeslaw import plots

    if result.backtest is None:
        return None
    arguments = first_split(result.backtest, PANELS)
    return plots.hindsight(**arguments, title=_title(result), width=width)


def first_split(backtest: Backtest, most: int) -> dict[str, Any]:
    """The arguments of `bayeslaw.plots.hindsight` for a backtest's first split: along the input of
    the curves, with a panel for each group where there are at most ``most``.
    """
    split, fitted = next(iter(backtest.fits.items()))
    law, x = fitted.law, fitted.spec.along
    points = backtest.points[backtest.points["split"] == split]
    few = bool(backtest.groups) and points.groupby(list(backtest.groups)).ngroups <= most
    return {
        "points": points,
        "seen": backtest.seen[backtest.seen["split"] == split],
        "x": x,
        "by": backtest.groups if few else (),
        "response": law.response.name,
        "x_unit": law.inputs[x].unit,
        "response_unit": law.response.unit,
        "log": law.response.scale == "log",
    }


def _calibration(result: StudyResult, width: float) -> Any:
    from bayeslaw import plots

    if result.backtest is None:
        return None
    backtest = result.backtest
    return plots.calibration(
        backtest.points, title=_title(result), width=width, regions=backtest.regions
    )


def _next_runs(result: StudyResult, width: float) -> Any:
    from bayeslaw import plots

    table = result.next_runs
    if table is None:
        return None
    columns = [c for c in table.columns if c in ADDED or table[c].astype(str).nunique() > 1]
    return plots.next_runs(table[columns], title=_title(result), width=width)
