"""Study files of any kind are checked rightly or refused, with every fault at its line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from attack.strategies import attack, lanes, outcome, texts
from hypothesis import strategies as st

import bayeslaw as bl
from bayeslaw.errors import BayeslawError, StudyError
from bayeslaw.study.prepare import Prepared, prepare

TEMPLATES = {
    path.stem: path.read_text(encoding="utf-8")
    for path in sorted((Path(bl.__file__).parent / "study" / "templates").glob("*.toml"))
}
#: A key at the start of a line.
KEY = re.compile(r'^("?)([\w-]+)("?)(\s*=)')
#: A key of a study file, with its value, that stands on one line.
PAIR = re.compile(r"^(\"?[\w-]+\"?\s*=\s*)(.*?)(\s+#.*)?$")

#: Values of TOML of every type.
VALUES = (
    *("nan", "inf", "-inf", "-1", "0", "0.0", "1", "2", "1e308", "1e-320", "1e400", "-1e9", "1e9"),
    *("true", "false", '""', '"x"', "[]", "[[]]", "{}", "[1, 2]", '["a"]', "[nan]", "{ a = 1 }"),
    *("1979-05-27", "07:32:00", "0x10", "1" + "0" * 400, "1" + "0" * 5000, '"nan"', '"1e9"'),
    *(
        '"\\u0000"',
        '"\\u001b[31m"',
        '"[/red]"',
        '"\\u2028"',
        '"<script>"',
        '"../../x"',
        '"data_size"',
    ),
    *("[" * 50 + "]" * 50, "{ a = " * 20 + "1" + " }" * 20, '[1, "a", true]', '"{{ 7 }}"'),
    *(
        "{ loss = nan }",
        "{ loss = 1, gold_score = 1 }",
        "[{ model_size = 1e9 }, { data_size = 1 }]",
    ),
    *('"flop"', "[1e300, 1e300]", '{ name = "power", input = "kl" }', '"os:system"', '"power"'),
    '"1 + (1 | task), (1 | llm)"',
    '"""' + "x" * 20_000 + '"""',
)
#: Sections that templates lack.
SECTIONS = (
    "[sampling]\ndraws = {}",
    "[sampling]\nchains = {}",
    "[sampling]\ntarget_accept = {}",
    "[model]\ndiscrepancy = {}",
    "[model]\nnoise = {}",
    "[model]\ncurve_by = {}",
    "[model.priors]\nalpha = {}",
    '[model.priors]\nsigma = {{ distribution = "LogNormal", median = {} , sigma = 0.1 }}',
    "[model.effects]\nsigma = {}",
    "[allocate]\ncompute = {}",
    "[allocate]\ncompute = 1e21\ninference_tokens = {}",
    "[allocate]\ncompute = 1e21\nat = {{ model_size = {} }}",
    "[allocate]",
    "[allocate]\ncompute = 1e21\ncomputes = {}",
    "[[predict]]\nmodel_size = {}\ndata_size = 1e10",
    "[[predict]]",
    "[next_runs]\ncandidates = {}",
    "[backtest]\nlargest = {}",
    "[backtest]\nrolling = {{ model_size = {} }}",
    "[backtest]\nholdout = {}",
    "[nothing]\nx = {}",
    "[[study]]",
    "{}",
)


@dataclass
class Altered:
    """The bytes of a study file, and whether it must be refused."""

    data: bytes
    refused: bool = False


def keyed(lines: list[str]) -> list[int]:
    """The lines that begin with a key."""
    return [i for i, line in enumerate(lines) if KEY.match(line)]


@st.composite
def altered(draw: st.DrawFn) -> Altered:
    """A template with up to three things changed."""
    lines = TEMPLATES[draw(st.sampled_from(sorted(TEMPLATES)))].split("\n")
    refused = False
    for _ in range(draw(st.integers(1, 3))):
        keys = keyed(lines)
        if not keys:
            break
        at = keys[draw(st.integers(0, len(keys) - 1))]
        match draw(
            st.sampled_from(["value", "value", "remove", "again", "misspelt", "spelt", "add"])
        ):
            case "value":
                value = draw(st.sampled_from(VALUES))
                lines[at] = PAIR.sub(lambda x, value=value: x[1] + value, lines[at])
                refused |= value in ("nan", "inf", "-inf", "1" + "0" * 5000)
            case "remove":
                del lines[at]
                # What followed a line that opened a list is no TOML, or is another key's.
                refused = False
            case "again":
                lines.insert(at, lines[at])
                refused = True
            case "misspelt":
                lines[at] = KEY.sub(r"\1\2x\3\4", lines[at])
                refused = True
            case "spelt":
                lines.insert(at, KEY.sub(r'"\2"\4', lines[at]))
                refused = True
            case "add":
                section = draw(st.sampled_from(SECTIONS)).format(draw(st.sampled_from(VALUES)))
                lines += section.split("\n")
    text = "\n".join(lines)
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(texts) + text[at:]
        refused = False
    ending = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    data = text.replace("\n", ending).encode()
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(data)))
        some = draw(st.sampled_from([b"\xff", b"\0", b"\xef\xbb\xbf", b"\r", b"\x0b", b"[" * 2000]))
        data, refused = data[:at] + some + data[at:], False
    return Altered(data, refused)


def study_is_checked_or_refused(case: Altered, folder: Path) -> None:
    path = folder / "study.toml"
    path.write_bytes(case.data)
    prepared = outcome(lambda: prepare(path))
    if isinstance(prepared, BayeslawError):
        assert isinstance(prepared, StudyError)
        assert prepared.faults
    else:
        assert isinstance(prepared, Prepared)
        assert not case.refused, case.data.decode()


@lanes
def test_a_study_file_is_checked_or_refused(tries: int, tmp_path: Path) -> None:
    attack(tries, altered(), lambda case: study_is_checked_or_refused(case, tmp_path), share=0.8)


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_templates_before_they_are_altered_have_no_fault(name: str, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(TEMPLATES[name], encoding="utf-8")
    assert isinstance(outcome(lambda: prepare(path)), Prepared)


#: Misspelt keys without which it is not known what a law or a table would have allowed.
BEFORE = {"lawxx", "datasetxx", "wherexx", "groupsxx"}
#: Characters that end a line for some programs, and not in TOML.
SEPARATORS = ("\u2028", "\u2029", "\u0085", "\t")


@st.composite
def misspelt(draw: st.DrawFn) -> tuple[str, dict[str, int]]:
    """A template with misspelt keys, and the line of each; comments have odd characters."""
    lines = TEMPLATES[draw(st.sampled_from(sorted(TEMPLATES)))].split("\n")
    count = draw(st.integers(1, 3))
    faulty = {}
    for at in draw(st.lists(st.sampled_from(keyed(lines)), min_size=count, max_size=count)):
        if (pair := KEY.match(lines[at])) and not pair[2].endswith("xx"):
            lines[at] = KEY.sub(r"\1\2xx\3\4", lines[at])
            faulty[f"{pair[2]}xx"] = at
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(lines)))
        some = "".join(draw(st.lists(st.sampled_from(SEPARATORS), max_size=3)))
        lines.insert(at, f"# {some} comment")
        faulty = {key: line + (line >= at) for key, line in faulty.items()}
    return "\n".join(lines), {key: line + 1 for key, line in faulty.items()}


def every_fault_has_its_line(case: tuple[str, dict[str, int]], folder: Path) -> None:
    text, faulty = case
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8", newline="\n")
    error = outcome(lambda: prepare(path))
    assert isinstance(error, StudyError), f"accepted with {faulty}"
    said = str(error)
    for key, line in faulty.items():
        if key not in BEFORE and BEFORE & set(faulty):
            continue
        assert key in said, f"nothing is said of {key}: {said}"
        places = [fault.row for fault in error.faults if key in str(fault)]
        inside = text.split("\n")[line - 1]
        assert f"line {line}" in places or "{" in inside, f"{key} is in line {line}: {said}"


@lanes
def test_every_fault_of_a_study_file_is_told_at_once(tries: int, tmp_path: Path) -> None:
    attack(tries, misspelt(), lambda case: every_fault_has_its_line(case, tmp_path), share=0.3)


@pytest.mark.parametrize("kind", ["keys", "tables", "nested", "names"])
def test_a_long_study_file_is_answered_soon(kind: str, tmp_path: Path) -> None:
    text = {
        "keys": TEMPLATES["pretraining"] + "\n".join(f"key{i} = 1" for i in range(20_000)),
        "tables": "\n".join(f"[table{i}]\nx = 1" for i in range(10_000)),
        "nested": f"[study]\nname = {'[' * 20_000}{']' * 20_000}\n",
        "names": TEMPLATES["pretraining"].replace("loss = 2.2", f"{'x' * 100_000} = 2.2"),
    }[kind]
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    assert isinstance(outcome(lambda: prepare(path)), StudyError)
