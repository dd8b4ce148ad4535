"""Lay out the result of a study as an HTML page, from Jinja2 blocks that a user may override."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import FunctionType, ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from bayeslaw.atomic import is_file
from bayeslaw.errors import Fault, StudyError, visible
from bayeslaw.study.report import figures, tables, words
from bayeslaw.study.report.panel import panel
from bayeslaw.text import number, percent

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        ``figures`` (SVG by name). It is run in Jinja's sandbox, as `bayeslaw.study.report.sandbox`
        has it.

    Returns
    -------
    The text of the page.

    Raises
    ------
    StudyError : the template is not valid Jinja2, or it fails: it names a variable that does not
        exist, or calls what the sandbox does not allow.
    """
    variables = {
        "outcome": result,
        "study": result.prepared.study,
        "words": SimpleNamespace(**vars(public(words)), number=number, percent=percent),
        "tables": public(tables),
        "figures": figures.drawn_figures(result),
        "panel": panel(result),
        "simulated": result.prepared.runs.simulated,
        "today": date.today().isoformat(),
    }
    if template is None:
        return environment().get_template(TEMPLATE).render(variables)
    with _faults_of(template):
        return _own(template).render(variables)


def require_template(template: str | Path) -> None:
    """Raise StudyError unless a template is there and can be read, with all that it extends and
    includes: to be called before anything slow.
    """
    if not is_file(template):
        fault = Fault(
            "There is no such template.", "It is a Jinja2 file that extends report.html.jinja."
        )
        raise StudyError(str(template), [fault])
    with _faults_of(template):
        _own(template)
        _require_all(environment(template), _text_of(template), [])


def _require_all(templates: jinja2.Environment, text: str, around: list[str]) -> None:
    """Raise unless every template that one names is there and none names itself."""
    import jinja2
    from jinja2.meta import find_referenced_templates

    for name in find_referenced_templates(templates.parse(text)):
        if name is None:  # computed when the page is made
            continue
        if name in around or len(around) > DEEPEST:
            raise jinja2.TemplateError(f"{name} extends or includes itself")
        assert templates.loader is not None
        source, _, _ = templates.loader.get_source(templates, name)
        if name != TEMPLATE:
            _require_all(templates, source, [*around, name])


#: Templates that name each other in a row.
DEEPEST = 20


def _own(template: str | Path) -> jinja2.Template:
    """A user's template, compiled. It may have the name of the page's own, which it extends."""
    return environment(template).from_string(_text_of(template))


def _text_of(template: str | Path) -> str:
    return Path(template).read_bytes().decode("utf-8-sig")


@contextmanager
def _faults_of(template: str | Path) -> Iterator[None]:
    """Whatever a user's template raises becomes a fault of it, with the line."""
    import jinja2

    try:
        yield
    except Exception as error:
        line = ""
        if isinstance(error, jinja2.TemplateSyntaxError):
            line = f"line {error.lineno}"
        elif lines := [
            frame.lineno
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename == "<template>"
        ]:
            line = f"line {lines[-1]}"
        said = " ".join(visible(str(error)).split())[:LONGEST] or "no reason"
        if isinstance(error, RecursionError):
            said = "it extends or includes itself"
        elif isinstance(error, jinja2.TemplateNotFound):
            said = f"there is no template {said}, beside it or in the package"
        elif not isinstance(error, jinja2.TemplateError):
            said = f"{type(error).__name__}: {said}"
        remedy = "No result is lost: bayeslaw report lays out the report again."
        fault = Fault(f"The template cannot be used: {said}.", remedy, row=line)
        raise StudyError(str(template), [fault]) from error


#: Characters of a template's error that a message has.
LONGEST = 300


def environment(template: str | Path | None = None) -> jinja2.Environment:
    """The environment of a template. What it names is looked up beside the user's template first,
    then in the page's folder; ``report.html.jinja`` is always the page's own.
    """
    import jinja2

    from bayeslaw.study.report.sandbox import Sandbox

    page = (PAGE / TEMPLATE).read_text(encoding="utf-8")
    folders = [PAGE] if template is None else [Path(template).resolve().parent, PAGE]
    loaders = [jinja2.DictLoader({TEMPLATE: page}), jinja2.FileSystemLoader(folders)]
    # Everything is escaped unless the template marks it as safe: a model named <script> stays text.
    made = Sandbox(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"number": number, "percent": percent}
    return made


def public(module: ModuleType) -> SimpleNamespace:
    """The functions of a module, without what it imports.

    >>> "sentence" in vars(public(words)), "pd" in vars(public(words))
    (True, False)
    """
    functions = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, FunctionType) and value.__module__ == module.__name__
    }
    return SimpleNamespace(**functions)


def _shown(value: Any) -> Any:
    """A text as a page can show it; other values as they are."""
    return visible(value) if type(value) is str else value
