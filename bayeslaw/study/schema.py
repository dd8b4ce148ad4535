"""The study file: its sections and keys, read from TOML and checked. Each fault has its line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from bayeslaw import defaults
from bayeslaw.atomic import is_file, is_folder
from bayeslaw.defaults import LARGEST
from bayeslaw.errors import UNSEEN, Fault, StudyError, suggest, visible

#: No count is: no machine holds so many draws.
MOST = 1_000_000


def _on_one_line(text: str) -> str:
    if UNSEEN.search(text) or "\n" in text:
        raise PydanticCustomError("on_one_line", "a text on one line, without control characters")
    return text


Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, le=LARGEST, allow_inf_nan=False)]
AtLeastZero = Annotated[float, Field(ge=0, le=LARGEST, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=MOST)]
Probability = Annotated[float, Field(gt=0, lt=1)]
#: Text that people read, which no label of a table has to equal.
Line = Annotated[str, AfterValidator(_on_one_line)]
#: Integers stay integers: a float would not keep the digits of an id.
Value = Annotated[int, Field(ge=-int(LARGEST), le=int(LARGEST))] | Number | str
#: Points, options or candidates: one table, of whose lists every combination is a row; or a list of
#: tables, each a row.
Rows = dict[str, Value | list[Value]] | list[dict[str, Value]]


class Section(BaseModel):
    """A section. Unknown keys, and text in place of a number, are faults."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class About(Section):
    """``[study]``: its name, its law, and the seed of all random numbers."""

    name: Annotated[Line, Field(min_length=1)]
    law: str | dict[str, Value]
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1


class RunsSection(Section):
    """``[runs]``: the table, as `bayeslaw.read_runs` takes it. A path is relative to the study
    file; ``dataset`` is a name that `bayeslaw.dataset` takes.
    """

    path: str | None = None
    dataset: str | None = None
    columns: dict[str, str] = {}
    groups: list[str] | None = None
    where: str | None = None
    melt_into: str | None = None
    scale: dict[str, Positive] = {}


class Model(Section):
    """``[model]``: the options of `bayeslaw.ModelSpec`."""

    effects: dict[str, str] = {}
    priors: dict[str, Number | dict[str, Number | str | bool]] = {}
    noise: Literal["student_t", "normal", "laplace"] | None = None
    discrepancy: str | dict[str, Any] | None = None
    misfit: str | dict[str, Number] | None = None
    curve_by: list[str] | None = None


class Sampling(Section):
    """``[sampling]``: the sampler settings of the fit and of each fit of the backtest."""

    draws: Count = defaults.DRAWS
    tune: Count = defaults.TUNE
    chains: Annotated[int, Field(ge=2)] = defaults.CHAINS
    target_accept: Probability | None = None


class BacktestSection(Section):
    """``[backtest]``: the runs to hide, as `bayeslaw.backtest` takes them."""

    holdout: str | list[str] | None = None
    largest: dict[str, Count] | None = None
    rolling: dict[str, Count] | None = None
    baselines: bool | list[str] = True


class DecisionSection(Section):
    """``[decision]``: options, target and costs, as `bayeslaw.decide` takes them. Without
    ``options``, the options are the names in ``cost``.
    """

    target: dict[str, Number]
    options: Rows | None = None
    at: dict[str, Value] = {}
    cost: AtLeastZero | dict[str, AtLeastZero] | list[AtLeastZero] | None = None
    unit: Line = ""
    value: Number | None = None
    go_at: Probability = defaults.GO_AT
    no_go_at: Probability = defaults.NO_GO_AT
    far: Positive = defaults.FAR


class NextRuns(Section):
    """``[next_runs]``: candidate runs, as `bayeslaw.next_runs` takes them; ``cost = "flop"`` means
    6 model_size data_size.
    """

    candidates: Rows
    cost: Literal["flop"] | list[Positive] | None = None
    budget: Positive | None = None


class Allocate(Section):
    """``[allocate]``: budgets of training compute, in FLOP, as `bayeslaw.allocate` takes them."""

    compute: Positive | Annotated[list[Positive], Field(min_length=1)]
    inference_tokens: AtLeastZero = 0.0
    at: dict[str, Value] = {}


class Study(Section):
    """A whole study file."""

    study: About
    runs: RunsSection
    model: Model = Model()
    sampling: Sampling = Sampling()
    backtest: BacktestSection | None = None
    predict: list[dict[str, Value | list[Value]]] = []
    decision: DecisionSection | None = None
    next_runs: NextRuns | None = None
    allocate: Allocate | None = None


def read_study(path: str | Path) -> tuple[Study, Lines]:
    """Read a study file.

    Returns
    -------
    The study, and the lines of its keys.

    Raises
    ------
    StudyError : there is no such file, it is not TOML, or it has faulty keys or values: all of
        them, with their lines.
    """
    draft = read_draft(path)
    if draft.faults:
        raise StudyError(str(path), draft.faults)
    return draft.study, draft.lines


@dataclass(frozen=True, slots=True)
class Draft:
    """A study file as far as its keys and values are right.

    Attributes
    ----------
    study : what is right in it. A key with a fault has its default, or what `STAND_INS` says.
    lines : the lines of its keys.
    faults : of its keys and values.
    faulty : the keys of the faults.
    """

    study: Study
    lines: Lines
    faults: tuple[Fault, ...] = ()
    faulty: frozenset[Key] = frozenset()

    def doubts(self, *key: str | int) -> bool:
        """Whether there is a fault at a key, inside of it, or around it."""
        return any(_nested(key, other) for other in self.faulty)


def read_draft(path: str | Path) -> Draft:
    """Read a study file as far as it is right, so that what is right can be checked further.

    Raises
    ------
    StudyError : there is no such file, or it is not TOML.
    """
    path = Path(path)
    if not is_file(path):
        raise StudyError(str(path), [_no_file(path)])
    try:
        # Ends of lines stay as they are: to TOML, a carriage return alone is none.
        text = path.read_bytes().decode("utf-8-sig")
        data = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise StudyError(str(path), [Fault("It is not text in UTF-8.", "Save it so.")]) from error
    except OSError as error:
        raise StudyError(str(path), [Fault(f"It cannot be read: {error.strerror}.", "")]) from error
    except RecursionError as error:
        raise StudyError(str(path), [_too_deep()]) from error
    except ValueError as error:  # not TOML, or an integer of thousands of digits
        raise StudyError(str(path), [_not_toml(error)]) from error
    if _depth(data) > DEEPEST:
        raise StudyError(str(path), [_too_deep()])
    lines = Lines.of(text)
    try:
        return Draft(Study.model_validate(data), lines)
    except ValidationError as error:
        faults = _faults(error, lines)
    faulty = frozenset(faults)
    study = Study.model_validate(_kept(data, faulty))
    return Draft(study, lines, tuple(faults.values()), faulty)


#: Lists and tables inside each other, at most.
DEEPEST = 20


def _depth(data: Any) -> int:
    """How many lists and tables are inside each other, counted up to `DEEPEST` and one."""
    depth, level = 0, [data]
    while level and depth <= DEEPEST:
        inner = [x for x in level if isinstance(x, dict | list)]
        level = [y for x in inner for y in (x.values() if isinstance(x, dict) else x)]
        depth += bool(inner)
    return depth


#: What stands in for the keys that a section must have, where they have faults.
STAND_INS: Mapping[str, Mapping[str, Any]] = {
    "study": {"name": "-", "law": "-"},
    "decision": {"target": {}},
    "allocate": {"compute": 1.0},
}


def _kept(data: Mapping[str, Any], faulty: Collection[Key]) -> dict[str, Any]:
    """The data of a study file without what is wrong: of each section the keys without a fault, and
    of [[predict]] the tables without one, the others being empty.
    """

    around = {key[:end] for key in faulty for end in range(1, len(key) + 1)}

    def right(*key: str | int) -> bool:
        return key not in around and not any(key[:end] in faulty for end in range(1, len(key)))

    kept: dict[str, Any] = {"study": STAND_INS["study"], "runs": {}}
    for name, value in data.items():
        if name not in Study.model_fields:
            continue
        if right(name):
            kept[name] = value
        elif name == "predict" and isinstance(value, list):
            kept[name] = [x if right(name, i) else {} for i, x in enumerate(value)]
        elif isinstance(value, dict):
            keys = {key: x for key, x in value.items() if right(name, key)}
            kept[name] = {**STAND_INS.get(name, {}), **keys}
    if "candidates" not in kept.get("next_runs", {"candidates": []}):
        del kept["next_runs"]
    return kept


def _nested(key: Key, other: Key) -> bool:
    """Whether one of two keys is inside of the other, or both are the same."""
    shorter = min(len(key), len(other))
    return key[:shorter] == other[:shorter]


class Lines:
    """The line of each key of a TOML text, which tomllib does not tell."""

    def __init__(self, at: Mapping[Key, int]):
        self.at = at
        self._first: dict[Key, int] = {}
        for key, line in at.items():
            for end in range(1, len(key) + 1):
                self._first[key[:end]] = min(line, self._first.get(key[:end], line))

    @classmethod
    def of(cls, text: str) -> Lines:
        """The lines of headers, and of keys at the start of a line. Keys inside an inline table or
        a list have the line on which it starts.
        """
        lines: dict[Key, int] = {}
        section: Key = ()
        tables: dict[Key, int] = {}  # of each [[array of tables]], the index of the last one
        for number, statement in _statements(text):
            if header := _HEADER.match(statement):
                section = _key(header["name"])
                if header["open"] == "[[":
                    tables[section] = tables.get(section, -1) + 1
                    section = (*section, tables[section])
                lines.setdefault(section, number)
            elif pair := _PAIR.match(statement):
                lines.setdefault((*section, *_key(pair["key"])), number)
        return cls(lines)

    def __call__(self, *key: str | int) -> str:
        """``line 7``, of a key, or else of the innermost section around it that has a line; "" if
        none has one.
        """
        for end in range(len(key), 0, -1):
            # A section may contain only other sections: its line is that of the first.
            if line := self._first.get(key[:end]):
                return f"line {line}"
        return ""


#: A key with the sections around it: ``("predict", 1, "model_size")``.
Key = tuple[str | int, ...]

_NAME = r"""(?:[\w-]+|"(?:\\.|[^"\\])*"|'[^']*')"""
_KEY = rf"{_NAME}(?:[ \t]*\.[ \t]*{_NAME})*"
_HEADER = re.compile(rf"\s*(?P<open>\[\[?)[ \t]*(?P<name>{_KEY})[ \t]*\]\]?")
_PAIR = re.compile(rf"\s*(?P<key>{_KEY})[ \t]*=")
#: What a line may have that matters to where a statement ends: texts and comments, in which nothing
#: else counts; brackets; and ends of lines.
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|[\[\]{}\n]",
    re.DOTALL,
)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each header and each key with its value, with the number of its first line. Lines end where
    TOML and editors end them.
    """
    depth, number, start, first = 0, 1, 0, 1
    for token in _TOKEN.finditer(text + "\n"):
        kind = token[0]
        depth += (kind in ("[", "{")) - (kind in ("]", "}"))
        number += kind.count("\n")
        if kind == "\n" and depth == 0:
            yield first, text[start : token.start()]
            start, first = token.end(), number


def dotted(key: Sequence[str | int]) -> str:
    """A key as a message names it: ``predict.2.model_size``, of the second ``[[predict]]``."""
    return ".".join(str(part + 1) if isinstance(part, int) else part for part in key)


def _key(text: str) -> Key:
    """The parts of a dotted key, without quotes."""
    if text.replace("-", "_").isidentifier():
        return (text,)
    inside, parts = tomllib.loads(f"{text} = 0"), []
    while isinstance(inside, dict):
        ((part, inside),) = inside.items()
        parts.append(part)
    return tuple(parts)


def _no_file(path: Path) -> Fault:
    if is_folder(path):
        return Fault("It is a folder: name the file in it.", "")
    siblings = [p.name for p in path.parent.glob("*.toml")] if is_folder(path.parent) else []
    near = suggest(path.name, siblings)
    return Fault(
        f"There is no such file.{near} `bayeslaw init` writes one to start from.",
        "",
    )


def _not_toml(error: ValueError) -> Fault:
    """tomllib's message, with the line in front."""
    message, line = str(error), ""
    if not isinstance(error, tomllib.TOMLDecodeError):
        return Fault("It has an integer of thousands of digits.", "Write it as 1e30, or as text.")
    if place := re.search(r" \(at line (\d+), column \d+\)", message):
        message, line = message.replace(place[0], ""), f"line {place[1]}"
    remedy = "Text stands in quotes."
    if "'\\r'" in message:
        remedy = "Save it with the ends of lines of Unix or Windows."
    return Fault(f"It is not TOML: {message}.", remedy, row=line)


def _too_deep() -> Fault:
    return Fault(
        f"Its lists and tables are nested more than {DEEPEST} deep.", "A study needs three."
    )


def _faults(error: ValidationError, lines: Lines) -> dict[Key, Fault]:
    """The faults that pydantic reports, by their keys, in the terms of the file. Pydantic reports a
    value that may have several forms once for each form; here it is one fault.
    """
    reports = [(_key_in_file(report["loc"]), report) for report in error.errors(include_url=False)]
    specific = {key for key, report in reports if not _of_form(report)}
    specific.update(key[:end] for key, _ in reports for end in range(1, len(key)))
    faults: dict[Key, Fault] = {}
    for key, report in reports:
        if _of_form(report) and key in specific:
            continue  # another form fits so far that the fault is inside of it
        if not any(key[:end] in faults for end in range(1, len(key) + 1)):
            problem, remedy = _words(key, report, near=len(faults) < StudyError.SHOWN)
            faults[key] = Fault(problem, remedy, dotted(key), lines(*key), report.get("input"))
    return faults


def _of_form(report: Mapping[str, Any]) -> bool:
    """Whether a report is that a value has another form than one of those that it may have."""
    return str(report["type"]).endswith("_type")


#: Pydantic's names for the forms of a value.
_FORMS = ("float", "str", "int", "bool", "constrained-float", "constrained-int", "constrained-str")


def _key_in_file(place: Sequence[str | int]) -> Key:
    """The key of a fault: pydantic's place without the names of the forms that it tried."""
    key: list[str | int] = []
    section: Any = Study
    for part in place:
        in_section = _is_section(section)
        if in_section and part in section.model_fields:
            section = _annotated(section, str(part))
        if in_section or not _is_form(part):
            key.append(part)
    return tuple(key)


def _is_form(part: str | int) -> bool:
    return isinstance(part, str) and (part in _FORMS or part.startswith(("dict[", "list[")))


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _annotated(section: type[BaseModel], key: str) -> Any:
    """The section that a key's annotation has, ``DecisionSection | None`` say; otherwise the
    annotation itself."""
    annotation = section.model_fields[key].annotation
    parts = (annotation, *getattr(annotation, "__args__", ()))
    return next((part for part in parts if _is_section(part)), annotation)


def _words(key: Key, report: Mapping[str, Any], *, near: bool) -> tuple[str, str]:
    """A fault and its remedy in words, with ``near`` also the known names like an unknown one."""
    section, known = _section(key)
    value = report.get("input")
    match report["type"]:
        case "extra_forbidden":
            like = suggest(str(key[-1]), known) if near else ""
            return f"There is no such key.{like}", f"{section} has: {', '.join(known)}."
        case "missing":
            return "It is missing.", f"{section} needs {key[-1]}."
        case "literal_error":
            return f"It is {_shown(value)}, and it must be {report['ctx']['expected']}.", ""
        case "model_type" | "model_attributes_type":
            return f"It is {_shown(value)}, and it must be a section: [{key[-1]}].", ""
        case "too_short":
            return "It is an empty list.", ""
        case "on_one_line":
            return f"It is {_shown(value)}, and it must be {report['msg']}.", ""
    message = report["msg"].removeprefix("Input ").replace("should", "must")
    return f"It is {_shown(value)}: it {message[0].lower()}{message[1:]}.", ""


def _shown(value: Any) -> str:
    """A value in a message, cut where it is long."""
    try:
        text = visible(repr(value))
    except ValueError:  # an integer of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


#: Characters of a value that a message has.
LONGEST = 100


def _section(key: Key) -> tuple[str, list[str]]:
    """The name of the section that a key stands in, and the keys of that section."""
    section: Any = Study
    for part in key[:-1]:
        inside = _is_section(section) and part in section.model_fields
        section = _annotated(section, str(part)) if inside else None
    keys = list(section.model_fields) if _is_section(section) else []
    name = f"[{'.'.join(map(str, key[:-1]))}]" if len(key) > 1 else "A study file"
    return name, keys
