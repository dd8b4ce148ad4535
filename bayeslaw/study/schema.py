"""The study file: its sections and keys, read from TOML and checked. Each fault has its line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bayeslaw import defaults
from bayeslaw.errors import Fault, StudyError, suggest

Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Probability = Annotated[float, Field(gt=0, lt=1)]
Value = Number | str
#: Points, options or candidates: one table, of whose lists every combination is a row; or a list of
#: tables, each a row.
Rows = dict[str, Value | list[Value]] | list[dict[str, Value]]


class Section(BaseModel):
    """A section. Unknown keys, and text in place of a number, are faults."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class About(Section):
    """``[study]``: its name, its law, and the seed of all random numbers."""

    name: Annotated[str, Field(min_length=1)]
    law: str | dict[str, Value]
    seed: Annotated[int, Field(ge=0)] = 1


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
    cost: Annotated[Number, Field(ge=0)] | dict[str, Number] | list[Number] | None = None
    unit: str = ""
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

    compute: Positive | list[Positive]
    inference_tokens: Annotated[Number, Field(ge=0)] = 0.0
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
    path = Path(path)
    if not path.is_file():
        raise StudyError(str(path), [_no_file(path)])
    try:
        text = path.read_text(encoding="utf-8-sig")
        data = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise StudyError(str(path), [Fault("It is not text in UTF-8.", "Save it so.")]) from error
    except OSError as error:
        raise StudyError(str(path), [Fault(f"It cannot be read: {error.strerror}.", "")]) from error
    except tomllib.TOMLDecodeError as error:
        raise StudyError(str(path), [_not_toml(error)]) from error
    lines = Lines.of(text)
    try:
        return Study.model_validate(data), lines
    except ValidationError as error:
        raise StudyError(str(path), _faults(error, lines)) from error


class Lines:
    """The line of each key of a TOML text, which tomllib does not tell."""

    def __init__(self, at: Mapping[Key, int]):
        self.at = at

    @classmethod
    def of(cls, text: str) -> Lines:
        """The lines of headers, and of keys at the start of a line. Keys inside an inline table or
        a list have the line on which it starts.
        """
        lines: dict[Key, int] = {}
        section: Key = ()
        tables: dict[Key, int] = {}  # of each [[array of tables]], the index of the last one
        for number, line in enumerate(text.splitlines(), start=1):
            if header := _HEADER.match(line):
                section = _key(header["name"])
                if header["open"] == "[[":
                    tables[section] = tables.get(section, -1) + 1
                    section = (*section, tables[section])
                lines.setdefault(section, number)
            elif pair := _PAIR.match(line):
                lines.setdefault((*section, *_key(pair["key"])), number)
        return cls(lines)

    def __call__(self, *key: str | int) -> str:
        """``line 7``, of a key, or else of the innermost section around it that has a line; "" if
        none has one.
        """
        for end in range(len(key), 0, -1):
            # A section may contain only other sections: its line is that of the first.
            inside = [line for known, line in self.at.items() if known[:end] == key[:end]]
            if inside:
                return f"line {min(inside)}"
        return ""


#: A key with the sections around it: ``("predict", 1, "model_size")``.
Key = tuple[str | int, ...]

_NAME = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""
_HEADER = re.compile(r"\s*(?P<open>\[\[?)(?P<name>[^\[\]]+)\]\]?\s*(#.*)?$")
_PAIR = re.compile(rf"\s*(?P<key>{_NAME}(?:\s*\.\s*{_NAME})*)\s*=")


def dotted(key: Sequence[str | int]) -> str:
    """A key as a message names it: ``predict.2.model_size``, of the second ``[[predict]]``."""
    return ".".join(str(part + 1) if isinstance(part, int) else part for part in key)


def _key(text: str) -> tuple[str, ...]:
    """The parts of a dotted key, without quotes."""
    parts = re.findall(r"""([\w-]+)|"([^"]*)"|'([^']*)'""", text)
    return tuple(bare or double or single for bare, double, single in parts)


def _no_file(path: Path) -> Fault:
    if path.is_dir():
        return Fault("It is a folder: name the file in it.", "")
    siblings = [p.name for p in path.parent.glob("*.toml")] if path.parent.is_dir() else []
    near = suggest(path.name, siblings)
    return Fault(
        f"There is no such file.{near} `bayeslaw init` writes one to start from.",
        "",
    )


def _not_toml(error: tomllib.TOMLDecodeError) -> Fault:
    """tomllib's message, with the line in front."""
    message, line = str(error), ""
    if place := re.search(r" \(at line (\d+), column \d+\)", message):
        message, line = message.replace(place[0], ""), f"line {place[1]}"
    return Fault(f"It is not TOML: {message}.", "Text stands in quotes.", row=line)


def _faults(error: ValidationError, lines: Lines) -> list[Fault]:
    """The faults that pydantic reports, in the terms of the file. Pydantic reports a value that may
    have several forms once for each form; here it is one fault.
    """
    faults: dict[Key, Fault] = {}
    for report in error.errors():
        key = _key_in_file(report["loc"])
        if any(key[: len(known)] == known or known[: len(key)] == key for known in faults):
            continue
        problem, remedy = _words(key, report)
        faults[key] = Fault(problem, remedy, dotted(key), lines(*key), report.get("input"))
    return list(faults.values())


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


def _words(key: Key, report: Mapping[str, Any]) -> tuple[str, str]:
    """A fault and its remedy in words."""
    section, known = _section(key)
    value = report.get("input")
    match report["type"]:
        case "extra_forbidden":
            near = suggest(str(key[-1]), known)
            return f"There is no such key.{near}", f"{section} has: {', '.join(known)}."
        case "missing":
            return "It is missing.", f"{section} needs {key[-1]}."
        case "literal_error":
            return f"It is {value!r}, and it must be {report['ctx']['expected']}.", ""
        case "model_type" | "model_attributes_type":
            return f"It is {value!r}, and it must be a section: [{key[-1]}].", ""
    message = report["msg"].removeprefix("Input ").replace("should", "must")
    return f"It is {value!r}: it {message[0].lower()}{message[1:]}.", ""


def _section(key: Key) -> tuple[str, list[str]]:
    """The name of the section that a key stands in, and the keys of that section."""
    section: Any = Study
    for part in key[:-1]:
        inside = _is_section(section) and part in section.model_fields
        section = _annotated(section, str(part)) if inside else None
    keys = list(section.model_fields) if _is_section(section) else []
    name = f"[{'.'.join(map(str, key[:-1]))}]" if len(key) > 1 else "A study file"
    return name, keys
