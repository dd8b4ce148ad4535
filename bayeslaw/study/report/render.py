"""Lay out the result of a study as an HTML page, from Jinja2 blocks that a user may override."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from bayeslaw.errors import Fault, StudyError
from bayeslaw.study.report import figures, tables, words
from bayeslaw.study.report.panel import panel
from bayeslaw.text import number, percent

if TYPE_CHECKING:
    import jinja2

    from bayeslaw.study.result import StudyResult

#: The page's own template, style and script.
PAGE = Path(__file__).parent / "page"
TEMPLATE = "report.html.jinja"


def render(result: StudyResult, template: str | Path | None = None) -> str:
    """The report as one HTML page that loads nothing from any network.

    Parameters
    ----------
    result : of `bayeslaw.run_study`.
    template : a Jinja2 template that says ``{% extends "report.html.jinja" %}`` and overrides its
        blocks: title, style, verdict, picture, options, panel, backtest, next_runs, allocation,
        peaks, model, checks, provenance, footer. Its variables are those of the page's own
        template: ``outcome`` (the `bayeslaw.study.result.StudyResult`), ``words``, ``tables``,
        ``figures`` (SVG by name).

    Returns
    -------
    The text of the page.

    Raises
    ------
    StudyError : the template is not valid Jinja2, or it names a variable that does not exist.
    """
    import jinja2

    environment = _environment(template)
    variables = {
        "outcome": result,
        "study": result.prepared.study,
        "words": words,
        "tables": tables,
        "figures": figures.drawn_figures(result),
        "panel": panel(result),
        "simulated": result.prepared.runs.simulated,
        "today": date.today().isoformat(),
    }
    try:
        name = TEMPLATE if template is None else Path(template).name
        return environment.get_template(name).render(variables)
    except jinja2.TemplateError as error:
        line = f"line {error.lineno}" if isinstance(error, jinja2.TemplateSyntaxError) else ""
        fault = Fault(f"The template cannot be used: {error}.", "", row=line)
        raise StudyError(str(template or PAGE / TEMPLATE), [fault]) from error


def _environment(template: str | Path | None) -> jinja2.Environment:
    """Templates are looked up beside the user's template first, then in the page's folder."""
    import jinja2

    folders = [PAGE] if template is None else [Path(template).resolve().parent, PAGE]
    # Everything is escaped unless the template marks it as safe: a model named <script> stays text.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "percent": percent}
    return environment
