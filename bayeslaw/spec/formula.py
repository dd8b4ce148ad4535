"""Effects formulas: the groups by which a parameter differs, and the covariates it changes with.

The notation is that of lme4, brms and bambi: ``1 + (1 | task) + (1 | task:method)``, ``1 +
log10(reward_model_size)``, ``1 + (log10(data_size) | method)``, ``0 + method``. The package
``formulae`` parses the text, and nothing is evaluated as code: only columns and the named
transforms are allowed, so a study file cannot run anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from bayeslaw.errors import FormulaError, suggest
from bayeslaw.runs.validation import numbers_of
from bayeslaw.text import labels, shown

#: Most characters of a formula. Longer ones could nest too deeply to be read.
LONGEST = 500

#: The transforms of a covariate, by name.
TRANSFORMS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "log": np.log,
    "log10": np.log10,
    "log2": np.log2,
    "sqrt": np.sqrt,
    "center": lambda x: x,  # every covariate is centred
}


@dataclass(frozen=True, slots=True)
class Covariate:
    """A numeric column, transformed or not: ``log10(reward_model_size)``."""

    column: str
    #: Names of transforms, the outermost first.
    transforms: tuple[str, ...] = ()

    def values(self, table: pd.DataFrame) -> np.ndarray:
        """The covariate in each row, (row,)."""
        x: np.ndarray = numbers_of(table[self.column]).to_numpy(float)
        # Values that are not finite are reported by bayeslaw.spec.resolve.
        with np.errstate(all="ignore"):
            for name in reversed(self.transforms):
                x = TRANSFORMS[name](x)
        return x

    def __str__(self) -> str:
        opening = "".join(f"{name}(" for name in self.transforms)
        return opening + self.column + ")" * len(self.transforms)


@dataclass(frozen=True, slots=True)
class GroupTerm:
    """``(1 | task:method)``, or ``(x | task)`` with a covariate."""

    factor: tuple[str, ...]
    covariate: Covariate | None = None

    def labels(self, table: pd.DataFrame) -> np.ndarray:
        """The group of each row, such as "mlsum:lora"; "" where a value is missing."""
        parts = [labels(table[column]) for column in self.factor]
        if len(parts) > 1:  # escape colons, so that different groups keep different labels
            parts = [part.str.replace(":", "\\:") for part in parts]
        joined = parts[0].str.cat(parts[1:], sep=":") if len(parts) > 1 else parts[0]
        missing = np.logical_or.reduce([(part == "").to_numpy() for part in parts])
        return np.where(missing, "", joined.to_numpy(object))

    def __str__(self) -> str:
        return f"{self.covariate or 1}|{':'.join(self.factor)}"


@dataclass(frozen=True, slots=True)
class Formula:
    """The formula of one parameter.

    Attributes
    ----------
    covariates : the covariates that change the parameter for all groups.
    groups : the group terms, which are pooled.
    by : the column of ``0 + column``, each group of which has a value of its own, not pooled.
    """

    covariates: tuple[Covariate, ...] = ()
    groups: tuple[GroupTerm, ...] = ()
    by: str | None = None

    @classmethod
    def of(cls, value: Formula | str) -> Formula:
        """A formula from a formula, which is returned unchanged, or from its text.

        Raises
        ------
        FormulaError : it is neither, or cannot be read.
        """
        if isinstance(value, Formula):
            return value
        if not isinstance(value, str):
            raise FormulaError(
                f"A formula is text such as '1 + (1 | method)'; it was given {shown(value)}."
            )
        return cls.parse(value)

    @classmethod
    def parse(cls, text: str) -> Formula:
        """Read a formula from its text.

        Raises
        ------
        FormulaError : it cannot be read, or it has something other than columns, the transforms of
            `TRANSFORMS`, group terms and ``0 + column``.
        """
        if (groups := _plain_groups(text)) is not None:
            return cls(groups=groups)
        from formulae.terms import GroupSpecificTerm, Intercept, Term

        intercept = False
        covariates: list[Covariate] = []
        plain: list[str] = []
        terms: list[GroupTerm] = []
        for term in _terms(text):
            if isinstance(term, Intercept):
                intercept = True
            elif isinstance(term, GroupSpecificTerm):
                factor = tuple(_column(component, text) for component in term.factor.components)
                has_covariate = not isinstance(term.expr, Intercept)
                covariate = _covariate(term.expr, text) if has_covariate else None
                terms.append(GroupTerm(factor, covariate))
            elif isinstance(term, Term):
                covariate = _covariate(term, text)
                if intercept or covariate.transforms:
                    covariates.append(covariate)
                else:
                    plain.append(covariate.column)
            else:
                raise FormulaError(f"The formula {text!r} has {term}, which is not offered.")
        if intercept:
            return cls(tuple(covariates), tuple(terms))
        if len(plain) != 1 or covariates:
            raise FormulaError(
                f"The formula {text!r} has no intercept. Start with 1, or write 0 + column for a"
                " separate value in each group."
            )
        return cls((), tuple(terms), by=plain[0])

    @property
    def by_term(self) -> GroupTerm | None:
        """``0 + column`` as a group term, which finds the group of each row."""
        return GroupTerm((self.by,)) if self.by else None

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the formula reads."""
        columns = [c.column for c in self.covariates] + ([self.by] if self.by else [])
        for term in self.groups:
            columns += [*term.factor, *([term.covariate.column] if term.covariate else [])]
        return tuple(dict.fromkeys(columns))

    @property
    def all_covariates(self) -> tuple[Covariate, ...]:
        """The covariates of the formula, including those of its group terms."""
        return (*self.covariates, *(term.covariate for term in self.groups if term.covariate))

    @property
    def factor_columns(self) -> tuple[str, ...]:
        """The columns that make groups."""
        by = [self.by] if self.by else []
        return tuple(dict.fromkeys([*by, *(c for term in self.groups for c in term.factor)]))

    def __str__(self) -> str:
        head = f"0 + {self.by}" if self.by else "1"
        terms = []
        for term in self.groups:
            # Without the "0 +", "(x | g)" would read back with an intercept.
            inside = f"0 + {term.covariate}" if term.covariate is not None else "1"
            terms.append(f"({inside} | {':'.join(term.factor)})")
        return " + ".join([head, *map(str, self.covariates), *terms])


#: ``1 + (1 | task) + (1 | task:method)``: an intercept, and groups of columns with plain names.
_NAME = r"(?!(?:True|False|None)\b)[A-Za-z][A-Za-z0-9_]*"
_PLAIN = rf"\s*1(\s*\+\s*\(\s*1\s*\|\s*{_NAME}(\s*:\s*{_NAME})*\s*\))*\s*"


def _plain_groups(text: str) -> tuple[GroupTerm, ...] | None:
    """The groups of a formula with an intercept and plain groups only; None for any other formula.

    Most formulas are of this kind, the defaults among them. Reading them here avoids a second of
    loading ``formulae`` and the parts of SciPy that it needs.
    """
    if not re.fullmatch(_PLAIN, text):
        return None
    factors = [
        tuple(re.split(r"\s*:\s*", factor)) for factor in re.findall(r"\|\s*(.+?)\s*\)", text)
    ]
    repeated_column = any(len(set(factor)) < len(factor) for factor in factors)
    repeated_term = len({frozenset(factor) for factor in factors}) < len(factors)
    if repeated_column or repeated_term:
        return None
    return tuple(GroupTerm(factor) for factor in factors)


def _terms(text: str) -> list[Any]:
    """The terms of a formula, as ``formulae`` parses them."""
    from formulae import model_description

    if len(text) > LONGEST:
        raise FormulaError(
            f"The formula has {len(text)} characters, and at most {LONGEST} are read."
        )
    if "**" in text or "^" in text or "`" in text:
        raise FormulaError(
            f"The formula {text!r} has powers or backticks, which are not offered. Use columns and"
            f" {', '.join(TRANSFORMS)}."
        )
    _require_grammar(text)
    try:
        description = model_description(text)
    except Exception as error:  # the kinds of error that formulae raises are not documented
        raise FormulaError(
            f"The formula {text!r} cannot be read: {str(error).rstrip('.')}. Write terms such as"
            " 1 + (1 | method)."
        ) from error
    return list(description.terms)


#: The tokens of a formula; what is none of them has the group "other".
_TOKEN = re.compile(
    r"\s*(?:(?P<name>[^\W\d][\w.]*)|(?P<number>[\d.]+)|(?P<sign>[-+:|()*/,])|(?P<other>\S))"
)


def _require_grammar(text: str) -> None:
    """Raise unless the text is one formula from its beginning to its end.

    ``formulae`` reads as far as it understands, and would drop the rest without a word: the second
    half of "1 + (1 | task), (1 | llm)", say.

        sum    := [sign] item {sign item}
        item   := factor | "(" sum ["|" factor] ")"
        factor := atom {":" atom}, or with "*" or "/" in place of ":"
        atom   := "0" | "1" | name | name "(" sum {"," sum} ")"

    Raises
    ------
    FormulaError : something stands where no formula has it.
    """
    if "~" in text:
        raise FormulaError(
            f"The formula {text!r} has a left side. Give only the right one: the parameter is named"
            " by its key."
        )
    tokens = [(str(x.lastgroup), x.group(x.lastindex or 0)) for x in _TOKEN.finditer(text)]
    tokens.append(("end", ""))
    at, in_call = 0, False

    def refuse() -> NoReturn:
        found = repr(tokens[at][1]) if tokens[at][0] != "end" else "its end"
        before = " ".join(token for _, token in tokens[:at])
        raise FormulaError(
            f"The formula {text!r} cannot be read: {found} after {before!r}. Write terms joined by"
            " '+', such as 1 + (1 | task) + (1 | method)."
        )

    def take(*signs: str) -> bool:
        nonlocal at
        taken = tokens[at][0] == "sign" and tokens[at][1] in signs
        at += taken
        return taken

    def require(sign: str) -> None:
        if not take(sign):
            refuse()

    def read_sum() -> None:
        take("+", "-")
        read_item()
        while take("+", "-"):
            read_item()

    def read_item() -> None:
        if not take("("):
            return read_factor()
        read_sum()
        if take("|"):
            read_factor()
        return require(")")

    def read_factor() -> None:
        read_atom()
        while take(":", "*", "/"):
            read_atom()

    def read_atom() -> None:
        nonlocal at, in_call
        kind, token = tokens[at]
        # ``formulae`` would make a column of any other number, and 1 of True.
        is_number = kind == "number" and (token in ("0", "1") or in_call)
        is_name = kind == "name" and token not in ("True", "False", "None")
        if not (is_number or is_name):
            refuse()
        at += 1
        if kind == "name" and take("("):
            outside, in_call = in_call, True
            read_sum()
            while take(","):
                read_sum()
            in_call = outside
            require(")")

    try:
        read_sum()
    except RecursionError as error:
        raise FormulaError("The formula is nested too deeply.") from error
    if tokens[at][0] != "end":
        refuse()


def _column(component: Any, text: str) -> str:
    """The column of a part of a factor."""
    if not hasattr(component, "call") and hasattr(component, "name"):
        return str(component.name)
    raise FormulaError(
        f"The formula {text!r}: {component.name} cannot make groups. Use columns, joined by ':'."
    )


def _covariate(term: Any, text: str) -> Covariate:
    """The covariate of a term: a column, or named transforms of one."""
    if len(term.components) != 1:
        raise FormulaError(
            f"The formula {text!r}: {term.name} is an interaction of covariates, which is not"
            " offered. Use a group term such as (log10(x) | group)."
        )
    component = term.components[0]
    if not hasattr(component, "call"):
        return Covariate(str(component.name))
    transforms: list[str] = []
    node = component.call
    while hasattr(node, "callee"):
        if node.callee not in TRANSFORMS:
            raise FormulaError(
                f"The formula {text!r}: {node.callee} is not a transform that is"
                f" offered.{suggest(node.callee, TRANSFORMS)} Use {', '.join(TRANSFORMS)}."
            )
        if len(node.args) != 1 or node.kwargs:
            raise FormulaError(f"The formula {text!r}: {node.callee} takes one column.")
        if node.callee == "center" and transforms:
            raise FormulaError(
                f"The formula {text!r}: center must be outermost, as in center(log10(x))."
            )
        transforms.append(node.callee)
        node = node.args[0]
    if type(node).__name__ != "LazyVariable":
        raise FormulaError(
            f"The formula {text!r}: {component.name} is not a column or a transform of one. Use"
            f" {', '.join(TRANSFORMS)}."
        )
    return Covariate(str(node.name), tuple(transforms))
