"""The formula of each parameter: which groups differ in it, and how it moves with a covariate.

Formulas are those of lme4, brms and bambi: ``1 + (1 | task) + (1 | task:method)``, ``1 +
log10(reward_model_size)``, ``1 + (log10(data_size) | method)``, ``0 + method``. They are parsed by
``formulae`` and never evaluated as code: only columns and the named transforms are allowed, so a
study file cannot run anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.errors import FormulaError, suggest
from bayeslaw.text import label

TRANSFORMS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "log": np.log,
    "log10": np.log10,
    "log2": np.log2,
    "sqrt": np.sqrt,
    "center": lambda x: x,  # every covariate is centred anyway
}


@dataclass(frozen=True, slots=True)
class Covariate:
    """A numeric column, perhaps transformed: ``log10(reward_model_size)``."""

    column: str
    transforms: tuple[str, ...] = ()  # outermost first

    def values(self, table: pd.DataFrame) -> np.ndarray:
        x = pd.to_numeric(table[self.column], errors="coerce").to_numpy(float)
        # the logarithm of zero is not finite, and is reported as such (bayeslaw.spec.spec)
        with np.errstate(all="ignore"):
            for name in reversed(self.transforms):
                x = TRANSFORMS[name](x)
        return x

    def __str__(self) -> str:
        return (
            "".join(f"{name}(" for name in self.transforms)
            + self.column
            + ")" * len(self.transforms)
        )


@dataclass(frozen=True, slots=True)
class GroupTerm:
    """``(1 | task:method)``, or ``(x | task)`` with a covariate."""

    factor: tuple[str, ...]
    covariate: Covariate | None = None

    def labels(self, table: pd.DataFrame) -> np.ndarray:
        """The group of each row, ``"mlsum:lora"``; "" where a part of it is missing."""
        parts = [table[column].astype(object).map(label) for column in self.factor]
        if len(parts) > 1:  # a colon in a label must not make two groups one
            parts = [part.str.replace(":", "\\:") for part in parts]
        joined = parts[0].str.cat(parts[1:], sep=":") if len(parts) > 1 else parts[0]
        missing = np.logical_or.reduce([(part == "").to_numpy() for part in parts])
        return np.where(missing, "", joined.to_numpy(object))

    def __str__(self) -> str:
        return f"{self.covariate or 1}|{':'.join(self.factor)}"


@dataclass(frozen=True, slots=True)
class Formula:
    """One parameter's formula. ``by`` is the column of ``0 + column``: a value of its own for each
    group, not pooled.
    """

    covariates: tuple[Covariate, ...] = ()
    groups: tuple[GroupTerm, ...] = ()
    by: str | None = None

    @classmethod
    def of(cls, value: Formula | str) -> Formula:
        """A formula as it is, or read from its text."""
        return value if isinstance(value, Formula) else cls.parse(value)

    @classmethod
    def parse(cls, text: str) -> Formula:
        """Read a formula.

        Raises
        ------
        FormulaError : it cannot be read, or asks for something other than columns, the transforms
            of `TRANSFORMS`, group terms and ``0 + column``.
        """
        if (groups := _plain_groups(text)) is not None:
            return cls(groups=groups)
        from formulae import model_description
        from formulae.terms import GroupSpecificTerm, Intercept, Term

        if "**" in text or "^" in text or "`" in text:
            raise FormulaError(
                f"The formula {text!r} has powers or backticks, which are not offered. Use columns"
                f" and {', '.join(TRANSFORMS)}."
            )
        try:
            description = model_description(text)
        except (
            Exception
        ) as error:  # formulae raises its own, undocumented, kinds for a text that it cannot parse
            raise FormulaError(
                f"The formula {text!r} cannot be read: {str(error).rstrip('.')}. Write terms such"
                " as 1 + (1 | method)."
            ) from error
        if description.response is not None:
            raise FormulaError(
                f"The formula {text!r} has a left side. Give only the right one: the parameter is"
                " named by its key."
            )
        intercept = False
        covariates: list[Covariate] = []
        plain: list[str] = []
        terms: list[GroupTerm] = []
        for term in description.terms:
            if isinstance(term, Intercept):
                intercept = True
            elif isinstance(term, GroupSpecificTerm):
                factor = tuple(_column(component, text) for component in term.factor.components)
                terms.append(
                    GroupTerm(
                        factor,
                        None if isinstance(term.expr, Intercept) else _covariate(term.expr, text),
                    )
                )
            elif isinstance(term, Term):
                covariate = _covariate(term, text)
                (
                    covariates.append(covariate)
                    if intercept or covariate.transforms
                    else plain.append(covariate.column)
                )
            else:
                raise FormulaError(f"The formula {text!r} has {term}, which is not offered.")
        if intercept:
            return cls(tuple(covariates), tuple(terms))
        if len(plain) != 1 or covariates:
            raise FormulaError(
                f"The formula {text!r} has no intercept. Start with 1, or write 0 + column for a"
                " value of its own in each group."
            )
        return cls((), tuple(terms), by=plain[0])

    @property
    def by_term(self) -> GroupTerm | None:
        """``0 + column`` as the term that finds each row's group."""
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
        """The covariates of the formula, those of its group terms among them."""
        return (*self.covariates, *(term.covariate for term in self.groups if term.covariate))

    @property
    def factor_columns(self) -> tuple[str, ...]:
        """The columns that make groups."""
        by = [self.by] if self.by else []
        return tuple(dict.fromkeys([*by, *(c for term in self.groups for c in term.factor)]))

    def __str__(self) -> str:
        head = f"0 + {self.by}" if self.by else "1"
        # "(x | g)" would read back with an intercept of its own.
        terms = [
            f"({'0 + ' * (term.covariate is not None)}{term.covariate or 1} |"
            f" {':'.join(term.factor)})"
            for term in self.groups
        ]
        return " + ".join([head, *map(str, self.covariates), *terms])


#: ``1 + (1 | task) + (1 | task:method)``: an intercept, and groups of columns with plain names.
_NAME = r"(?!(?:True|False|None)\b)[A-Za-z][A-Za-z0-9_]*"
_PLAIN = rf"\s*1(\s*\+\s*\(\s*1\s*\|\s*{_NAME}(\s*:\s*{_NAME})*\s*\))*\s*"


def _plain_groups(text: str) -> tuple[GroupTerm, ...] | None:
    """The groups of a formula of the commonest kind, that of the defaults too; None for any other.
    It has no need of ``formulae``, which loads much of SciPy: a second for the person whose study
    file has a fault elsewhere.
    """
    if not re.fullmatch(_PLAIN, text):
        return None
    factors = [
        tuple(re.split(r"\s*:\s*", factor)) for factor in re.findall(r"\|\s*(.+?)\s*\)", text)
    ]
    once = len({frozenset(factor) for factor in factors}) == len(factors) and all(
        len(set(factor)) == len(factor) for factor in factors
    )
    return tuple(GroupTerm(factor) for factor in factors) if once else None


def _column(component: Any, text: str) -> str:
    if not hasattr(component, "call") and hasattr(component, "name"):
        return str(component.name)
    raise FormulaError(
        f"The formula {text!r}: {component.name} cannot make groups. Use columns, joined by ':'."
    )


def _covariate(term: Any, text: str) -> Covariate:
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
