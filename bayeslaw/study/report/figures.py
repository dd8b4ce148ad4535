"""The page's figures, as SVG elements; one that cannot be drawn says so in its place."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

from bayeslaw.decisions.candidates import ADDED
from bayeslaw.errors import BayeslawError

if TYPE_CHECKING:
    from bayeslaw.study.outcome import Outcome
    from bayeslaw.validation.backtesting import Backtest

#: Inches of a figure, such that its text has the size of the page's small text: in a column of 900
#: pixels, and on a phone. The page shows the one that fits.
WIDTHS = {"wide": 8.4, "narrow": 4.2}

#: Panels that a page has room for; more groups share one.
PANELS = 12


def of(outcome: Outcome) -> dict[str, str]:
    """Each figure that the outcome has something for, by its name: ``bands``, ``options``,
    ``target``, ``value``, ``hindsight``, ``calibration``, ``next_runs``.
    """
    drawers: dict[str, tuple[Callable[[Outcome, float], Any], str]] = {
        "bands": (_bands, "Bands of what runs would log, with the runs that were made"),
        "options": (
            _options,
            "What a run of each option would log, and which part of it meets the target",
        ),
        "target": (
            _target,
            "The probability that each option meets a target, as the target varies",
        ),
        "value": (_value, "What each option is worth as the value of meeting the target varies"),
        "hindsight": (_hindsight, "Runs that the fit did not see, with what was said of them"),
        "calibration": (_calibration, "How often bands held the runs that the fit did not see"),
        "next_runs": (
            _next_runs,
            "How much each candidate run is expected to say about the options",
        ),
    }
    return {
        name: drawn
        for name, (draw, about) in drawers.items()
        if (drawn := _drawn(outcome, name, draw, about))
    }


def _drawn(outcome: Outcome, name: str, draw: Callable[[Outcome, float], Any], about: str) -> str:
    """A figure in both widths; "" where there is nothing to draw."""
    from bayeslaw.plots.style import svg

    found = ""
    for size, width in WIDTHS.items():
        try:
            axes = draw(outcome, width)
        except BayeslawError as error:  # too many options, panels or groups to be read
            return f'<p class="note">This figure was not drawn: {escape(str(error))}</p>'
        if axes is not None:
            found += f'<div class="{size}">{svg(axes, title=about, salt=f"{name}-{size}")}</div>'
    return found


def _title(outcome: Outcome) -> str:
    return "Simulated runs" if outcome.prepared.runs.simulated else ""


def _bands(outcome: Outcome, width: float) -> Any:
    from bayeslaw import plots

    if (swept := outcome.sweep) is None:
        return None
    law = outcome.prepared.law
    return plots.bands(
        swept.curves,
        x=swept.x,
        response=law.response.name,
        by=swept.by,
        runs=swept.runs,
        x_unit=law.inputs[swept.x].unit,
        response_unit=law.response.unit,
        log=law.response.scale == "log",
        title=_title(outcome),
        width=width,
    )


def _options(outcome: Outcome, width: float) -> Any:
    from bayeslaw import plots

    if (decision := outcome.decision) is None or outcome.prepared.study.decision is None:
        return None
    response = outcome.prepared.law.response
    return plots.options(
        decision.table,
        decision.draws,
        target=decision.target,
        response=response.name,
        lower_is_better=response.lower_is_better,
        chosen=decision.chosen,
        labels=decision.labels,
        response_unit=response.unit,
        cost_unit=outcome.prepared.study.decision.unit,
        title=_title(outcome),
        width=width,
    )


def _target(outcome: Outcome, width: float) -> Any:
    from bayeslaw import plots

    if (decision := outcome.decision) is None:
        return None
    response = outcome.prepared.law.response
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
        title=_title(outcome),
        width=width,
    )


def _value(outcome: Outcome, width: float) -> Any:
    from bayeslaw import plots

    decision, section = outcome.decision, outcome.prepared.study.decision
    if decision is None or section is None or outcome.worth is None:
        return None
    at, expected, perfect = outcome.worth
    return plots.value_of_information(
        at,
        expected,
        perfect,
        unit=section.unit,
        now=section.value,
        labels=decision.labels,
        title=_title(outcome),
        width=width,
    )


def _hindsight(outcome: Outcome, width: float) -> Any:
    from bayeslaw import plots

    return (
        None
        if outcome.backtest is None
        else plots.hindsight(
            **first_split(outcome.backtest, PANELS), title=_title(outcome), width=width
        )
    )


def first_split(tested: Backtest, most: int) -> dict[str, Any]:
    """What `bayeslaw.plots.hindsight` draws of a backtest: along the input of the curves, a panel a
    group where there are at most so many.
    """
    split, fitted = next(iter(tested.fits.items()))
    points, law, x = (
        tested.points[tested.points["split"] == split],
        fitted.spec.law,
        fitted.spec.along,
    )
    few = bool(tested.groups) and points.groupby(list(tested.groups)).ngroups <= most
    return {
        "points": points,
        "seen": tested.seen[tested.seen["split"] == split],
        "x": x,
        "by": tested.groups if few else (),
        "response": law.response.name,
        "x_unit": law.inputs[x].unit,
        "response_unit": law.response.unit,
        "log": law.response.scale == "log",
    }


def _calibration(outcome: Outcome, width: float) -> Any:
    from bayeslaw import plots

    return (
        None
        if outcome.backtest is None
        else plots.calibration(outcome.backtest.points, title=_title(outcome), width=width)
    )


def _next_runs(outcome: Outcome, width: float) -> Any:
    from bayeslaw import plots

    if (table := outcome.next_runs) is None:
        return None
    candidates = table[
        [c for c in table.columns if c in ADDED or table[c].astype(str).nunique() > 1]
    ]
    return plots.next_runs(candidates, title=_title(outcome), width=width)
