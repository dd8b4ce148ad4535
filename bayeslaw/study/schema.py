"""The study file: its sections and keys, read from TOML and checked; every fault with its line."""

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
#: Points, options and candidates: a table whose lists are multiplied out, or several tables, a row
#: each.
Rows = dict[str, Value | list[Value]] | list[dict[str, Value]]


class Section(BaseModel):
    """A section: no key that is not known, no text where a number is meant."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class About(Section):
    """``[study]``: what it is called, the law, the seed of everything that is drawn."""

    name: Annotated[str, Field(min_length=1)]
    law: str | dict[str, Value]
    seed: Annotated[int, Field(ge=0)] = 1


class RunsSection(Section):
    """``[runs]``: the table, as `bayeslaw.read_runs` takes it. A path is relative to the study
    file; ``dataset`` names a set of bayeslaw's own.
    """

    path: str | None = None
    dataset: str | None = None
    columns: dict[str, str] = {}
    groups: list[str] | None = None
    where: str | None = None
    melt_into: str | None = None
    scale: dict[str, Positive] = {}


class Model(Section):
    """``[model]``: what is fitted, as `bayeslaw.ModelSpec` takes it."""

    effects: dict[str, str] = {}
    priors: dict[str, Number | dict[str, Number | str | bool]] = {}
    noise: Literal["student_t", "normal", "laplace"] | None = None
    discrepancy: str | dict[str, Any] | None = None
    curve_by: list[str] | None = None


class Sampling(Section):
    """``[sampling]``: the effort, of the fit and of each split of the backtest."""

    draws: Count = defaults.DRAWS
    tune: Count = defaults.TUNE
    chains: Annotated[int, Field(ge=2)] = defaults.CHAINS
    target_accept: Probability | None = None


class BacktestSection(Section):
    """``[backtest]``: what is hidden, as `bayeslaw.backtest` takes it."""

    holdout: str | list[str] | None = None
    largest: dict[str, Count] | None = None
    rolling: dict[str, Count] | None = None
    baselines: bool | list[str] = True


class DecisionSection(Section):
    """``[decision]``: options, target and costs, as `bayeslaw.decide` takes them. Without
    ``options`` they are what ``cost`` names.
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
    """``[next_runs]``: candidates, as `bayeslaw.next_runs` takes them; ``cost = "flop"`` is 6
    model_size data_size.
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
    """A study file, and where its keys stand.

    Raises
    ------
    StudyError : no such file, not TOML, or keys and values that cannot be meant: all of them, with
        their lines.
    """
    path = Path(path)
    if not path.is_file():
        siblings = [p.name for p in path.parent.glob("*.toml")] if path.parent.is_dir() else []
        what = (
            "It is a folder: name the file in it."
            if path.is_dir()
            else (
                f"There is no such file.{suggest(path.name, siblings)} `bayeslaw init` writes one"
                " to start from."
            )
        )
        raise StudyError(str(path), [Fault(what, "")])
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
    """Where each key of a TOML text stands: tomllib does not tell."""

    def __init__(self, at: Mapping[tuple[str | int, ...], int]):
        self.at = at

    @classmethod
    def of(cls, text: str) -> Lines:
        """Headers and the keys at the start of lines; what stands inside an inline table or a list
        has the line that it starts on.
        """
        at: dict[tuple[str | int, ...], int] = {}
        here: tuple[str | int, ...] = ()
        several: dict[tuple[str | int, ...], int] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            if header := re.match(r"\s*(\[\[?)([^\[\]]+)\]\]?\s*(#.*)?$", line):
                here = _key(header[2])
                if header[1] == "[[":
                    several[here] = several.get(here, -1) + 1
                    here = (*here, several[here])
                at.setdefault(here, number)
            elif pair := re.match(
                r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""",
                line,
            ):
                at.setdefault((*here, *_key(pair[1])), number)
        return cls(at)

    def __call__(self, *key: str | int) -> str:
        """``line 7``, of a key or of the nearest thing around it that has a line; "" where nothing
        has.
        """
        for end in range(len(key), 0, -1):
            # a section may have nothing but sections
            inside = [line for at, line in self.at.items() if at[:end] == key[:end]]
            if inside:
                return f"line {min(inside)}"
        return ""


def dotted(key: Sequence[str | int]) -> str:
    """A key as a message names it: ``predict.2.model_size`` is of the second ``[[predict]]``."""
    return ".".join(str(part + 1) if isinstance(part, int) else part for part in key)


def _key(text: str) -> tuple[str, ...]:
    return tuple(
        part[1] or part[2] or part[0]
        for part in re.findall(r"""([\w-]+)|"([^"]*)"|'([^']*)'""", text)
    )


def _not_toml(error: tomllib.TOMLDecodeError) -> Fault:
    """tomllib's words, with the line in front."""
    said = str(error)
    place = re.search(r" \(at line (\d+), column \d+\)", said)
    return Fault(
        f"It is not TOML: {said.replace(place[0], '') if place else said}.",
        "Text stands in quotes.",
        row=f"line {place[1]}" if place else "",
    )


def _faults(error: ValidationError, lines: Lines) -> list[Fault]:
    """What pydantic found, each fault once, in the file's words: a value that fits none of several
    forms is one fault.
    """
    found: dict[tuple[str | int, ...], Fault] = {}
    for each in error.errors():
        key = _own(each["loc"])
        name = dotted(key)
        # of several forms that it might have had
        if any(key[: len(at)] == at or at[: len(key)] == key for at in found):
            continue
        problem, remedy = _words(key, each)
        found[key] = Fault(problem, remedy, name, lines(*key), each.get("input"))
    return list(found.values())


def _own(place: Sequence[str | int]) -> tuple[str | int, ...]:
    """A fault's key in the file: pydantic's place without the names of the forms that it tried."""
    shown: list[str | int] = []
    section: Any = Study
    for part in place:
        if isinstance(section, type) and issubclass(section, BaseModel):
            if part in section.model_fields:
                annotation = section.model_fields[str(part)].annotation
                section = next(
                    (
                        x
                        for x in (annotation, *getattr(annotation, "__args__", ()))
                        if isinstance(x, type) and issubclass(x, BaseModel)
                    ),
                    annotation,
                )
            shown.append(part)
        elif not (
            isinstance(part, str) and (part in _FORMS or part.startswith(("dict[", "list[")))
        ):
            shown.append(part)
    return tuple(shown)


#: What pydantic calls the forms that a value may have.
_FORMS = ("float", "str", "int", "bool", "constrained-float", "constrained-int", "constrained-str")


def _words(key: tuple[str | int, ...], each: Mapping[str, Any]) -> tuple[str, str]:
    """A fault and its remedy in words."""
    section, known = _section(key)
    given = each.get("input")
    match each["type"]:
        case "extra_forbidden":
            return (
                f"There is no such key.{suggest(str(key[-1]), known)}",
                f"{section} has: {', '.join(known)}.",
            )
        case "missing":
            return "It is missing.", f"{section} needs {key[-1]}."
        case "literal_error":
            return f"It is {given!r}, and it must be {each['ctx']['expected']}.", ""
        case "model_type" | "model_attributes_type":
            return f"It is {given!r}, and it must be a section: [{key[-1]}].", ""
    said = each["msg"].removeprefix("Input ").replace("should", "must")
    return f"It is {given!r}: it {said[0].lower()}{said[1:]}.", ""


def _section(key: tuple[str | int, ...]) -> tuple[str, list[str]]:
    """The section that a key stands in, and the keys that it knows."""
    section: Any = Study
    for part in key[:-1]:
        annotation = (
            section.model_fields[str(part)].annotation
            if isinstance(section, type)
            and issubclass(section, BaseModel)
            and part in section.model_fields
            else None
        )
        section = next(
            (
                x
                for x in (annotation, *getattr(annotation, "__args__", ()))
                if isinstance(x, type) and issubclass(x, BaseModel)
            ),
            None,
        )
    name = f"[{'.'.join(map(str, key[:-1]))}]" if len(key) > 1 else "A study file"
    return name, list(section.model_fields) if section is not None else []
