"""The report in a browser: it asks nothing of a network, says no error, its panel is
`bayeslaw.decide`, and everybody can read it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from helpers import written
from playwright.sync_api import Browser, Page, expect, sync_playwright

import bayeslaw as bl
from bayeslaw.cli import run
from bayeslaw.errors import UNSEEN, StudyError
from bayeslaw.study.report import render, words
from bayeslaw.study.report.panel import MOST_NUMBERS, panel
from bayeslaw.study.result import StudyResult
from bayeslaw.text import percent

OPTIONS = {"task": ["task0", "task1", "<b>bold</b>"]}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless; the tests are skipped where it is not, but not in CI, which
    installs it.
    """
    path = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if path is None and not os.environ.get("CI"):
        pytest.skip("there is no Chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield opened
        opened.close()


class Opened:
    """A page, what it asked for, and what it complained of."""

    def __init__(self, browser: Browser, path: Path, width: int = 1280, **options: Any):
        self.page: Page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        self.asked: list[str] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(path.as_uri())


@pytest.fixture(scope="module")
def decided(outcome: StudyResult) -> StudyResult:
    """The small study without a doubt about its decision, so that verdicts move."""
    assert outcome.decision is not None
    return replace(outcome, decision=replace(outcome.decision, doubts=(), general_doubts=()))


@pytest.fixture(scope="module")
def report(decided: StudyResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(decided), encoding="utf-8")
    return path


def test_it_is_one_small_file_that_asks_for_nothing(report: Path, browser: Browser) -> None:
    opened = Opened(browser, report)
    assert opened.asked == [report.as_uri()]
    assert opened.said == []
    assert report.stat().st_size < 3e6
    assert opened.page.locator("svg").count() >= 10
    assert opened.page.locator("img, link[rel=stylesheet], script[src]").count() == 0


def test_labels_from_the_data_are_text(report: Path, browser: Browser) -> None:
    """A study named <script> and a task named <b> are shown as they are spelt, in page, figures and
    panel.
    """
    page = Opened(browser, report).page
    assert page.locator("h1").inner_text() == "Small <script>alert(1)</script> & co"
    assert page.title().endswith("Small <script>alert(1)</script> & co")
    assert page.locator("b").count() == 0
    assert "<b>bold</b>" in page.locator("#panel-rows").inner_text()
    assert any("<b>bold</b>" in text for text in page.locator("svg text").all_text_contents())
    page.fill("#target", "0.9")
    assert (
        "<" not in page.locator("#panel-verdict").inner_text()
        or "<b>bold</b>" in page.locator("#panel-verdict").inner_text()
    )


def test_the_panel_is_decide(report: Path, decided: StudyResult, browser: Browser) -> None:
    """Probabilities, values, regrets and verdicts in the page are Python's, to 1e-6, over targets,
    prices and values.
    """
    page = Opened(browser, report).page
    assert decided.decision is not None
    y, rng, verdicts = decided.decision.draws, np.random.default_rng(3), []
    for q in (0.001, 0.1, 0.3, 0.5, 0.8, 0.95, 0.999):
        target = float(np.quantile(y, q))
        costs = [float(x) for x in rng.uniform(0, 60, 3)]
        value = float(rng.uniform(20, 200))
        mine = bl.decide(
            decided.fit, OPTIONS, target, at={"data_size": 4e9}, cost=costs, value=value, checks=[]
        )
        page_found = page.evaluate(
            "([target, costs, value]) => window.bayeslaw.judge(target, costs, value)",
            [target, costs, value],
        )
        for theirs, ours in (
            ("pTarget", "p_target"),
            ("pBest", "p_best"),
            ("expectedRegret", "expected_regret"),
            ("expectedValue", "expected_value"),
        ):
            np.testing.assert_allclose(page_found[theirs], mine.table[ours], atol=1e-6, rtol=1e-6)
        assert page_found["evpi"] == pytest.approx(mine.evpi, abs=1e-6)
        assert page_found["chosen"] == mine.chosen
        verdicts.append(mine.verdict)
        assert page_found["verdict"] == mine.verdict
        assert len(page_found["doubts"]) == len(mine.doubts)
        plain = bl.decide(
            decided.fit, OPTIONS, target, at={"data_size": 4e9}, cost=costs, checks=[]
        )
        without = page.evaluate(
            "([target, costs]) => window.bayeslaw.judge(target, costs, null)", [target, costs]
        )
        np.testing.assert_allclose(without["pTarget"], plain.table["p_target"], atol=1e-6)
        np.testing.assert_allclose(without["pBest"], plain.table["p_best"], atol=1e-6)
        assert without["chosen"] == plain.chosen
        assert without["evpi"] is None
        verdicts.append(plain.verdict)
        assert without["verdict"] == plain.verdict
        assert len(without["doubts"]) == len(plain.doubts)
    assert {"go", "no-go"} <= set(verdicts)


def test_a_doubt_is_of_the_option_that_is_chosen(
    decided: StudyResult, browser: Browser, tmp_path: Path
) -> None:
    """One option lies too far out, and the prior decides another: wherever the choice moves, so
    does the doubt.
    """
    assert decided.decision is not None
    far, y = "The option lies 3.0 decades beyond the runs.", decided.decision.draws
    swayed = np.where(y[:, 2] <= np.median(y[:, 2]), 1.5, 0.5) / len(y)
    changed = replace(
        decided.decision,
        option_doubts=((), (far,), ()),
        prior_weights=np.array([swayed, np.full(len(y), 1 / len(y))]),
    )
    path = tmp_path / "doubts.html"
    path.write_text(render(replace(decided, decision=changed)), encoding="utf-8")
    page = Opened(browser, path).page
    judge = "([target, costs]) => window.bayeslaw.judge(target, costs, null)"
    easy = float(y.max() + 1)
    for chosen, doubts in ((0, 0), (1, 1), (2, 0)):
        found = page.evaluate(judge, [easy, [0.0 if i == chosen else 9.0 for i in range(3)]])
        assert found["chosen"] == chosen
        assert len(found["doubts"]) == doubts
        assert found["verdict"] == ("inconclusive" if doubts else "go")
    # At the median of the third option other priors move its probability by a quarter.
    found = page.evaluate(
        "([target, costs]) => window.bayeslaw.judge(target, costs, 1000)",
        [float(np.median(y[:, 2])), [5000.0, 5000.0, 1.0]],
    )
    assert found["chosen"] == 2
    assert found["byPrior"] == pytest.approx([0.75, 0.5], abs=0.01)
    assert "The prior decides" in found["doubts"][0]


def test_the_panel_moves_with_its_inputs(
    report: Path, decided: StudyResult, browser: Browser
) -> None:
    page = Opened(browser, report).page
    assert decided.decision is not None
    y = decided.decision.draws
    said = page.locator("#panel-verdict")
    page.fill("#target", str(float(y.max() + 1)))
    assert said.inner_text().startswith("GO")
    assert "more than 99 %" in page.locator("#panel-rows").inner_text()
    for i in range(3):
        page.fill(f"#cost-{i}", "1000")
    assert said.inner_text().startswith("NO-GO")
    assert "costs more than it is worth" in said.inner_text()
    page.fill("#cost-0", "-5")
    assert "Fill in a number" in said.inner_text()
    page.click("button[type=reset]")
    expect(page.locator("#cost-0")).to_have_value("10")
    page.locator("#target-range").focus()
    page.keyboard.press("ArrowRight")
    assert float(page.input_value("#target")) > decided.decision.target  # by keyboard alone


def test_a_doubt_holds_wherever_the_panel_is_moved(
    outcome: StudyResult, tmp_path: Path, browser: Browser
) -> None:
    assert outcome.decision is not None
    doubt = "A check failed: nothing is to be believed."
    path = tmp_path / "doubt.html"
    path.write_text(
        render(
            replace(
                outcome,
                decision=replace(outcome.decision, verdict="inconclusive", general_doubts=(doubt,)),
            )
        ),
        encoding="utf-8",
    )
    page = Opened(browser, path).page
    page.fill("#target", "100")
    assert page.locator("#panel-verdict").inner_text().startswith("INCONCLUSIVE")
    assert doubt in page.locator("#panel-verdict").inner_text()
    assert page.locator("#verdict-word").inner_text() == "INCONCLUSIVE"


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_overflows(report: Path, browser: Browser, width: int) -> None:
    page = Opened(browser, report, width).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.evaluate(
        "[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, svg, .skip') &&"
        " e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"
    )
    assert wide == []
    shown = page.evaluate(
        "[...document.querySelectorAll('figure > div')].filter(e => e.offsetParent !== null).map(e"
        " => e.className)"
    )
    assert set(shown) == {"wide" if width > 640 else "narrow"}
    # Text of the figures that are shown can be read.
    small = page.evaluate(
        "Math.min(...[...document.querySelectorAll('figure > div')].filter(e => e.offsetParent !=="
        " null).flatMap(e => [...e.querySelectorAll('text')]).map(t =>"
        " t.getBoundingClientRect()).filter(b => b.width > b.height).map(b => b.height))"
    )
    assert small >= 8


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(report: Path, browser: Browser, scheme: str) -> None:
    """axe-core: no fault of the kinds serious and critical, in light and dark."""
    for width in (1280, 400):
        page = Opened(browser, report, width, color_scheme=scheme).page
        found = Axe().run(page).response["violations"]
        serious = [
            (each["id"], [node["html"][:120] for node in each["nodes"][:3]])
            for each in found
            if each["impact"] in ("serious", "critical")
        ]
        assert serious == []


def test_it_prints(report: Path, browser: Browser, tmp_path: Path) -> None:
    """Black on white whatever the screen has, without the panel, wide figures."""
    page = Opened(browser, report, color_scheme="dark").page
    page.emulate_media(media="print")
    assert not page.locator("#panel").is_visible()
    assert page.locator(".wide").first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.pdf()[:4] == b"%PDF"


def test_what_stands_in_it(decided: StudyResult, report: Path, browser: Browser) -> None:
    text = Opened(browser, report).page.locator("main").inner_text()
    assert decided.decision is not None
    assert decided.bands is not None
    assert words.sentence(decided) in text
    assert "90 % of runs like this land between" in text
    for reason in decided.decision.reasons:
        assert reason in text
    for check in decided.checks:
        assert check.message in text
    for value in decided.provenance.values():
        assert value in text
    order = [
        text.index(title)
        for title in (
            "What runs would log",
            "The options",
            "Had we used this before",
            "What to run next",
            "Checks",
            "Law, priors and data",
            "Where these numbers come from",
        )
    ]
    assert order == sorted(order)


def test_a_block_is_overridden_and_a_template_that_is_none_is_told(
    outcome: StudyResult, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "house.html.jinja"
    own.write_text(
        '{% extends "report.html.jinja" %}{% block footer %}Ours, seed {{ outcome.fit.random_seed'
        " }}.{% endblock %}{% block style %}h1 { color: green; }{% endblock %}"
    )
    page = render(outcome, own)
    assert "Ours, seed 1." in page
    assert "h1 { color: green; }" in page
    assert "Made by bayeslaw." not in page
    assert words.verdict(outcome) in page
    own.write_text(
        "{% extends 'report.html.jinja' %}{% block footer %}{{ nothing.at_all }}{% endblock %}"
    )
    with pytest.raises(StudyError, match="'nothing' is undefined"):
        render(outcome, own)
    own.write_text("{% block %}")
    assert (
        run(["report", str(home / "study.toml"), "-o", str(home / "out"), "--template", str(own)])
        == 2
    )
    assert "The template cannot be used" in capsys.readouterr().err
    assert (
        run(
            [
                "run",
                str(home / "study.toml"),
                "-o",
                str(home / "out"),
                "--template",
                str(tmp_path / "none.jinja"),
            ]
        )
        == 2
    )
    assert "There is no such template" in capsys.readouterr().err


#: What a template may do, and what it shows.
ALLOWED = {
    "{{ outcome.bands.head(1).iloc[0]['task'] }}": "task0",
    "{% for row in outcome.bands.to_dict('records') %}{{ row.task }} {% endfor %}": "task0",
    "{{ '{:.1f}'.format(3) }} {{ 'a,b'.split(',') | join('-') }}": "3.0 a-b",
    "{{ outcome.decision.verdict | upper }} {{ words.sentence(outcome) }}": "A run of",
    "{{ outcome.bands['median'].max() | number }}{% set x = dict(a=1) %}{{ x.items() }}": "1",
    "{% for i in range(3) %}{{ loop.index }}{{ loop.cycle('a', 'b') }}{% endfor %}": "1a2b3a",
    "{{ super() }}": "Made by bayeslaw.",
    "{% macro m(x) %}<i>{{ x }}</i>{% endmacro %}{{ m('<') }}": "<i>&lt;</i>",
}
#: What it may not: write files, run code, reach modules.
FORBIDDEN = (
    "outcome.bands.to_csv('stolen.csv')",
    "outcome.bands.to_html(buf='stolen.html')",
    "outcome.bands.to_pickle('stolen.pkl')",
    "outcome.bands.eval('1 + 1')",
    "outcome.bands.query('index > 0')",
    "outcome.bands.pipe(outcome.bands.to_csv)",
    "outcome.bands.values.tofile('stolen.bin')",
    "outcome.fit.save('stolen.nc')",
    "outcome.fit.idata.to_netcdf('stolen.nc')",
    "outcome.prepared.path.unlink()",
    "outcome.prepared.path.read_text()",
    "outcome.prepared.path.rename('stolen.toml')",
    "words.pd.read_pickle('stolen.pkl')",
    "words.sentence.__globals__['pd']",
    "outcome.__class__.__init__.__globals__",
    "''.__class__.__mro__[1].__subclasses__()",
    "'{0.__class__}'.format(outcome)",
    "outcome.reused.__class__",
    "[].append(1)",
    "cycler.__init__.__globals__.os.system('touch stolen')",
    "outcome.prepared.study.model_copy()",
    "outcome.prepared.study.parse_file('stolen.pkl', allow_pickle=True)",
    "range(10**9) | list",
)
#: Templates that fail, and what is said of them.
FAILING = {
    "{{ 1 / 0 }}": "ZeroDivisionError: division by zero",
    "{{ outcome.decision.nothing }}": "has no attribute 'nothing'",
    "{{ words.number() }}": "TypeError",
    "{{ 'a' + 1 }}": "TypeError",
    "{% include 'none.html' %}": "none.html",
}


def test_what_cannot_be_seen_is_written_out(decided: StudyResult) -> None:
    """Control characters of labels, in sentences, tables and figures."""
    labels = ("a\x07", "\x1b[31mred\0", "\u202eevil\uffff")
    assert decided.decision is not None
    table = decided.decision.table.assign(task=labels)
    changed = replace(decided, decision=replace(decided.decision, labels=labels, table=table))
    page = render(changed)
    assert not UNSEEN.search(page)
    for shown in ("a\\x07", "\\x1b[31mred\\x00", "\\u202eevil\\uffff"):
        assert page.count(shown) > 3


def own_template(folder: Path, footer: str, name: str = "house.html.jinja") -> Path:
    """A template with another footer."""
    path = folder / name
    extends = '{% extends "report.html.jinja" %}'
    path.write_text(f"{extends}\n{{% block footer %}}\n{footer}{{% endblock %}}")
    return path


def test_a_template_reads_results_and_does_nothing_else(
    outcome: StudyResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bayeslaw.study.report.figures.drawn_figures", lambda result: {})
    monkeypatch.chdir(tmp_path)
    before = outcome.prepared.path.read_text()

    def made(footer: str) -> str:
        try:
            return render(outcome, own_template(tmp_path, footer))
        except StudyError as error:
            assert "line 3: The template cannot be used" in str(error)
            return ""

    assert [footer for footer, shown in ALLOWED.items() if shown not in made(footer)] == []
    assert [call for call in FORBIDDEN if made(f"{{{{ {call} }}}}")] == []
    assert [path.name for path in tmp_path.iterdir()] == ["house.html.jinja"]
    assert outcome.prepared.path.read_text() == before


def test_a_template_that_fails_is_told_with_its_line(
    outcome: StudyResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bayeslaw.study.report.figures.drawn_figures", lambda result: {})
    for footer, says in FAILING.items():
        with pytest.raises(StudyError, match="The template cannot be used") as caught:
            render(outcome, own_template(tmp_path, footer))
        assert says in str(caught.value)
        assert "line 3: " in str(caught.value) or "none.html" in footer
        assert "No result is lost" in str(caught.value)
    # It may have the name of the page's own, which it extends.
    same = own_template(tmp_path, "Ours.", "report.html.jinja")
    assert "Ours." in render(outcome, same)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{% extends "a.jinja" %}', "extends or includes itself"),
        ('{% include "b.jinja" %}', "extends or includes itself"),
        ('{% extends "none.jinja" %}', "none.jinja"),
        ("{% block x %}", "end of template"),
        ("\udcff", "UnicodeDecodeError"),
        (None, "no such template"),
    ],
)
def test_a_template_that_cannot_be_used_is_told_before_anything_is_sampled(
    text: str | None, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bayeslaw.study.run.fit", None)
    template = tmp_path / ("x" * 300 if text is None else "a.jinja")
    if text is not None:
        template.write_bytes(text.encode(errors="surrogateescape"))
    (tmp_path / "b.jinja").write_text('{% include "a.jinja" %}')
    with pytest.raises(StudyError, match=says):
        bl.run_study(written(tmp_path), tmp_path / "out", template=template)
    assert not (tmp_path / "out").exists()


def test_many_draws_are_thinned_and_told(outcome: StudyResult) -> None:
    assert outcome.decision is not None
    times = MOST_NUMBERS // outcome.decision.draws.size + 2
    many = replace(
        outcome.decision,
        draws=np.tile(outcome.decision.draws, (times, 1)),
        prior_weights=np.tile(outcome.decision.prior_weights / times, times),
    )
    found = panel(replace(outcome, decision=many))
    assert found is not None
    assert found["thinned"]
    assert found["samples"] * 3 <= MOST_NUMBERS
    assert len(found["draws"]) < 2.2e6
    assert not panel(outcome)["thinned"]


def test_page_and_python_round_a_probability_alike(report: Path, browser: Browser) -> None:
    """Halves too, which a count of draws often gives: 3,860 of 4,000 are .965."""
    page = Opened(browser, report).page
    counts = [*range(0, 4001, 10), 1, 19, 20, 21, 3979, 3980, 3981, 3999]
    theirs = page.evaluate("(p) => p.map(window.bayeslaw.percent)", [n / 4000 for n in counts])
    assert theirs == [percent(n / 4000) for n in counts]
    assert percent(3860 / 4000) == "97 %"
    assert {percent(0.0), percent(0.00499)} == {"less than 1 %"}
    assert {percent(0.995), percent(1.0)} == {"more than 99 %"}


def test_the_headline_names_the_whole_run_and_begins_with_a_doubt(outcome: StudyResult) -> None:
    decision = outcome.decision
    assert decision is not None
    sure = replace(outcome, decision=replace(decision, verdict="go", doubts=()))
    said = words.sentence(sure)
    assert "data size 4B" in said
    assert decision.labels[decision.chosen] in said
    assert said.startswith("A run of ")
    hopeless = decision.table.assign(p_target=0.0)
    doubt = "A check failed: nothing is to be believed."
    doubted = replace(decision, verdict="inconclusive", doubts=(doubt,), table=hopeless)
    said = words.sentence(replace(outcome, decision=doubted))
    assert said.startswith(f"Nothing can be decided yet. {doubt} If the fit could be trusted, a ")
    assert said.index("less than 1 %") > said.index(doubt)
    unsure = replace(decision, verdict="inconclusive", doubts=())
    assert words.sentence(replace(outcome, decision=unsure)).startswith("The runs do not say")


def test_the_first_picture_marks_the_options_and_the_target(outcome: StudyResult) -> None:
    page = render(outcome)
    picture = page[page.index("picture-title") : page.index("options-title")]
    assert "target 0.75" in picture
    assert ">option<" in picture
    assert "Diamonds: the options." in picture


def test_runs_that_would_not_pay_are_not_recommended(outcome: StudyResult) -> None:
    table = outcome.next_runs
    assert table is not None
    advice = "More runs would not pay: decide now. What comes nearest costs more than it is worth."
    table = table.assign(bought=0)
    table.attrs |= {"pays": False, "advice": advice}
    sure = replace(outcome, next_runs=table, decision=replace(outcome.decision, doubts=()))
    assert words.next_run(sure) == advice
    doubted = replace(sure, decision=replace(outcome.decision, doubts=("A check failed.",)))
    assert words.next_run(doubted).startswith(f"{advice} But that is what the fit says")
    table.attrs |= {"pays": True, "advice": "More runs pay: one costs 1 and is worth 2."}
    assert words.next_run(sure).startswith("First run ")
    assert words.next_run(sure).endswith("More runs pay: one costs 1 and is worth 2.")
