"""From an outcome to the page, by Jinja2 blocks that a user may override."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayeslaw.errors import Fault, StudyError
from bayeslaw.study.report import figures, tables, words
from bayeslaw.study.report.panel import panel

if TYPE_CHECKING:
    from bayeslaw.study.outcome import Outcome

#: The page's own template, style and script.
PAGE = Path(__file__).parent / "page"
TEMPLATE = "report.html.jinja"


def render(outcome: Outcome, template: str | Path | None = None) -> str:
    """The report as one HTML page that asks nothing of any network.

    Parameters
    ----------
    outcome : of `bayeslaw.run_study`.
    template : a Jinja2 template that says ``{% extends "report.html.jinja" %}`` and overrides its
        blocks: title, style, verdict, picture, options, panel, backtest, next_runs, allocation,
        peaks, model, checks, provenance, footer. It is given what the page's own is given:
        ``outcome``, ``words``, ``tables``, ``figures`` (SVG by name).

    Raises
    ------
    StudyError : a template that is no Jinja2, or that asks for what there is not.
    """
    import jinja2

    loaders: list[jinja2.BaseLoader] = [jinja2.FileSystemLoader(PAGE)]
    name = TEMPLATE
    if template is not None:
        name = Path(template).name
        loaders.insert(0, jinja2.FileSystemLoader(Path(template).resolve().parent))
    # Everything is escaped but what is marked as safe here: a model named <script> stays text.
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": words.number, "percent": words.percent}
    given: dict[str, Any] = {
        "outcome": outcome,
        "study": outcome.prepared.study,
        "words": words,
        "tables": tables,
        "figures": figures.of(outcome),
        "panel": panel(outcome),
        "simulated": outcome.prepared.runs.simulated,
        "today": date.today().isoformat(),
    }
    try:
        return environment.get_template(name).render(given)
    except jinja2.TemplateError as error:
        raise StudyError(
            str(template or PAGE / TEMPLATE),
            [
                Fault(
                    f"The template cannot be used: {error}.",
                    "",
                    row=(
                        f"line {error.lineno}"
                        if isinstance(error, jinja2.TemplateSyntaxError)
                        else ""
                    ),
                )
            ],
        ) from error
