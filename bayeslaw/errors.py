"""Every error and warning that bayeslaw raises, drawn as a tree.

BayeslawError
├── RunsError            a table of runs, or of points to predict, has faults (all of them listed)
├── StudyError           a study file has faults (all of them listed)
├── SpecError            a specification, or an argument, that does not make sense
│   ├── FormulaError     an effects formula that cannot be read
│   └── ExpressionError  a filter such as ``model_size >= 8e9`` that cannot be read
├── UnknownNameError     no law, data set or quantity of that name (near names are offered)
├── SamplingError        the sampler could not start, was stopped, or drew what is not finite
└── StorageError         a saved fit that cannot be read or written

BayeslawWarning
├── RunsWarning            the table is usable, and something in it deserves a look
├── IdentifiabilityWarning the table cannot tell parameters of the law apart
└── ConvergenceWarning     the sampler did not reach its target; results carry the failure
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

#: Most characters of a message, of one fault in it, and of one name.
LONGEST = 10_000
LONGEST_FAULT = 2_000
LONGEST_NAME = 100
#: Most names that a message lists.
LISTED = 30
#: Most names among which near ones are sought.
COMPARED = 1_000


class BayeslawError(Exception):
    """Base of every error that bayeslaw raises on purpose.

    ``key`` names the argument that is wrong, and the part of it, such as ``("effects", "alpha")``;
    it is () if no single argument is wrong. It serves to find the line of a study file.
    """

    def __init__(self, *message: object, key: str | tuple[str | int, ...] = ()):
        super().__init__(*(shortened(x, LONGEST) if isinstance(x, str) else x for x in message))
        self.key = (key,) if isinstance(key, str) else key


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a table: the problem, its remedy, and where it is.

    ``row`` names a row as the user can find it ("line 17" of a file, "row 3" of a DataFrame). It is
    "" for a fault of the whole table. ``value`` is what the table has there.
    """

    problem: str
    remedy: str
    column: str = ""
    row: str = ""
    value: Any = None

    def __str__(self) -> str:
        column = f"column {shortened(self.column, LONGEST_NAME)!r}" if self.column else ""
        row = shortened(self.row, LONGEST_NAME)
        place = ", ".join(part for part in (row, column) if part)
        text = shortened(f"{self.problem}. {self.remedy}", LONGEST_FAULT)
        return f"{place}: {text}" if place else text


class RunsError(BayeslawError):
    """A table has faults: all are in ``faults``, the first ``SHOWN`` also in the message."""

    SHOWN = 20

    def __init__(
        self, source: str, faults: Sequence[Fault], *, key: str | tuple[str | int, ...] = ()
    ):
        self.source = source
        self.faults = tuple(faults)
        lines = [_counted(source, self.faults)]
        lines += [f"  - {fault}" for fault in self.faults[: self.SHOWN]]
        if len(self.faults) > self.SHOWN:
            lines.append(
                f"  ... and {len(self.faults) - self.SHOWN} more (all in the error's .faults)"
            )
        super().__init__("\n".join(lines), key=key)


class StudyError(BayeslawError):
    """A study file has faults: all are in ``faults``, with the line as ``row``, the key as
    ``column``; the first ``SHOWN`` are also in the message.
    """

    SHOWN = 50

    def __init__(self, source: str, faults: Sequence[Fault]):
        self.source = source
        self.faults = tuple(faults)
        lines = [_counted(source, self.faults)]
        for fault in self.faults[: self.SHOWN]:
            parts = (shortened(part, LONGEST_NAME) for part in (fault.row, fault.column) if part)
            place = ", ".join(parts)
            text = shortened(f"{fault.problem} {fault.remedy}".rstrip(), LONGEST_FAULT)
            text = text.replace("\n", "\n    ")
            lines.append(f"  - {place}: {text}" if place else f"  - {text}")
        if len(self.faults) > self.SHOWN:
            lines.append(
                f"  ... and {len(self.faults) - self.SHOWN} more (all in the error's .faults)"
            )
        super().__init__("\n".join(lines))


def _counted(source: str, faults: Sequence[Fault]) -> str:
    """The first line of a message about faults: "runs.csv has 2 faults:"."""
    return f"{source} has {len(faults)} fault{'s' * (len(faults) != 1)}:"


class SpecError(BayeslawError):
    """A specification, or an argument, that does not make sense."""


class FormulaError(SpecError):
    """An effects formula that cannot be read, or that asks for what is not offered."""


class ExpressionError(SpecError):
    """A filter expression that cannot be read."""


class UnknownNameError(BayeslawError):
    """No law, data set, quantity or column of that name."""

    def __init__(
        self,
        what: str,
        name: object,
        known: Iterable[str],
        *,
        key: str | tuple[str | int, ...] = (),
    ):
        known, name = sorted(known), str(name)
        super().__init__(
            f"There is no {what} named {shortened(name, LONGEST_NAME)!r}.{suggest(name, known)}"
            f" Known: {listed(known)}.",
            key=key,
        )


class SamplingError(BayeslawError):
    """The sampler could not start, was stopped before it had finished, or drew numbers that are not
    finite.
    """


class StorageError(BayeslawError):
    """A saved fit that cannot be read or written."""


class BayeslawWarning(UserWarning):
    """Base of every warning that bayeslaw gives."""


class RunsWarning(BayeslawWarning):
    """The table is usable, and something in it deserves a look."""


class IdentifiabilityWarning(BayeslawWarning):
    """The table cannot tell parameters of the law apart."""


class ConvergenceWarning(BayeslawWarning):
    """The sampler did not reach its target; every result derived from the fit says so."""


def suggest(name: str, known: Iterable[str]) -> str:
    """ " Did you mean 'x'?", with the space before it, if a known name is near; else "".

    Of many known names, those are compared whose length is most like the name's.
    """
    name = str(name)[:LONGEST_NAME].lower()
    by_lower = {str(k)[:LONGEST_NAME].lower(): str(k)[:LONGEST_NAME] for k in known}
    compared: Collection[str] = by_lower
    if name not in by_lower and len(by_lower) > COMPARED:
        compared = sorted(by_lower, key=lambda k: abs(len(k) - len(name)))[:COMPARED]
    near = difflib.get_close_matches(name, compared, n=3, cutoff=0.55)
    return f" Did you mean {' or '.join(repr(by_lower[n]) for n in near)}?" if near else ""


def listed(names: Iterable[object]) -> str:
    """Names, joined by commas; of many, the first `LISTED` and how many more there are.

    >>> listed(["loss", "step"]), listed(range(40)).endswith("28, 29 and 10 more")
    ('loss, step', True)
    """
    names = list(names)
    first = ", ".join(shortened(str(x), LONGEST_NAME) for x in names[:LISTED])
    more = len(names) - LISTED
    return f"{first} and {more:,} more" if more > 0 else first


def shortened(text: str, longest: int) -> str:
    """Text of at most ``longest`` characters: of a longer one, its beginning and its end.

    >>> shortened("0123456789abcdef", 13)
    '0123 ... cdef'
    """
    if len(text) <= longest:
        return text
    kept = (longest - len(" ... ")) // 2
    return f"{text[:kept]} ... {text[-kept:]}"


#: What cannot be seen, or would be obeyed by a terminal or a page: control characters but the end
#: of a line and the tab, halves of surrogate pairs, what turns the direction of text, and the two
#: characters that XML does not have.
UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def visible(text: str) -> str:
    r"""Text in which every character can be seen: others are written out.

    >>> print(visible("red \x1b[31m"))
    red \x1b[31m
    """
    return UNSEEN.sub(lambda found: repr(found[0])[1:-1], text)
