"""The formula of each parameter: which groups differ in it, and how it moves with a covariate.

Formulas are those of lme4, brms and bambi: ``1 + (1 | task) + (1 | task:method)``, ``1 +
log10(reward_model_size)``, ``1 + (log10(data_size) | method)``, ``0 + method``. They are parsed by
``formulae`` and never evaluated as code: only columns and the named transforms are allowed, so a
study file cannot run anything.

On the parameter's unconstrained scale (log of a positive one),

.. math:: \\theta_i = \\mathrm{intercept} + \\sum_t c_t \\, (x_{t,i} - \\bar x_t) + \\sum_g u_{g[i]} \\, (x_{g,i} - \\bar x_g)

with x = 1 for a plain ``(1 | g)``. Covariates are centred at the table's mean, so the intercept
stays the value at the centre of the table, where its prior is. Group terms are independent of each
other, as with lme4's ``||``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.errors import FormulaError, suggest
from bayeslaw.runs.table import Runs, label

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
        found = [c.column for c in self.covariates] + [self.by] * (self.by is not None)
        for term in self.groups:
            found += [*term.factor, *([term.covariate.column] if term.covariate else [])]
        return tuple(dict.fromkeys(c for c in found if c))

    @property
    def factor_columns(self) -> tuple[str, ...]:
        """The columns that make groups."""
        return tuple(
            dict.fromkeys(
                [*([self.by] if self.by else []), *(c for term in self.groups for c in term.factor)]
            )
        )

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


@dataclass(frozen=True, slots=True)
class Design:
    """A formula met with a table: the levels of its groups, and where its covariates are centred.

    ``levels`` maps ``str(term)`` to the labels of its groups; ``centres`` maps ``str(covariate)``
    to its mean in the table.
    """

    formula: Formula
    levels: Mapping[str, tuple[str, ...]]
    centres: Mapping[str, float]

    @classmethod
    def of(cls, formula: Formula, table: pd.DataFrame) -> Design:
        terms = [*formula.groups, *([formula.by_term] if formula.by_term else [])]
        levels = {str(term): tuple(sorted(set(term.labels(table)) - {""})) for term in terms}
        covariates = [
            *formula.covariates,
            *(term.covariate for term in formula.groups if term.covariate),
        ]
        return cls(formula, levels, {str(x): float(x.values(table).mean()) for x in covariates})

    def centred(self, covariate: Covariate, table: pd.DataFrame) -> np.ndarray:
        """A covariate less its mean in the table of runs."""
        return covariate.values(table) - self.centres[str(covariate)]

    def index(self, term: GroupTerm, table: pd.DataFrame) -> np.ndarray:
        """Position of each row's group among the levels; -1 for a group never seen."""
        return pd.Index(self.levels[str(term)]).get_indexer(term.labels(table))


def linear_predictor(
    intercept: Any,
    design: Design,
    coefficients: Mapping[str, Any],
    deviations: Mapping[str, Any],
    table: pd.DataFrame,
) -> Any:
    """The formula's value for each row of ``table``, on the unconstrained scale.

    Parameters
    ----------
    intercept : scalar, or with the row as the last dimension.
    coefficients : ``str(covariate)`` -> scalar, or (draw, 1).
    deviations : ``str(term)`` -> (level,), or (draw, level), with any level that ``design.index``
        can name.

    The same function serves the graph and the prediction: the arguments are PyTensor variables or
    NumPy arrays.
    """
    total = intercept
    for covariate in design.formula.covariates:
        total = total + coefficients[str(covariate)] * design.centred(covariate, table)
    for term in design.formula.groups:
        deviation = deviations[str(term)][..., design.index(term, table)]
        total = total + (
            deviation
            if term.covariate is None
            else deviation * design.centred(term.covariate, table)
        )
    return total


def cells(table: pd.DataFrame, columns: Sequence[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """The distinct rows of a table in some columns, and which of them each row is.

    Parameters differ by these columns only: computed a cell at a time, they cost as much as there
    are groups, not runs.
    """
    if not columns:
        return table.iloc[:1], np.zeros(len(table), dtype=int)
    index = table.groupby(list(columns), sort=False, dropna=False).ngroup().to_numpy()
    return table.iloc[np.unique(index, return_index=True)[1]], index


#: Sizes of what stands behind a run, along which coefficients move smoothly: Gao et al. 2022 (arXiv
#: 2210.10760), section 3.2.
TREND_COLUMNS = ("reward_model_size", "reward_model_data")
#: Fewer values than this show no trend beside their deviations from it.
TREND_VALUES = 3


def default_formula(
    runs: Runs, *, varies: bool, shared_over: Sequence[str] = (), deviates_by: Sequence[str] = ()
) -> Formula:
    """The formula of a parameter that the user said nothing of.

    Columns that are crossed, such as task and method, give one term for their cells, ``(1 |
    task:method)``: with the handful of levels that such columns have, scales of their own for each
    column are all prior and slow to sample; write them out where there are many. A column nested in
    another, such as a model in its family, gives a term for each, ``(1 | family) + (1 | model)``. A
    size of the reward model or of its data (`TREND_COLUMNS`) gives a trend in its logarithm and
    deviations around it, ``log10(size) + (1 | size)``. Columns with one group, those that tell
    repeats apart (`run`, `seed`), those that switch the law's form, and those over which the
    parameter is shared give none. The settings of some inputs (``deviates_by``), as many budgets
    with several runs each, give a term of their own.
    """
    table = runs.table
    settings = GroupTerm(tuple(deviates_by))
    own = (
        (settings,)
        if deviates_by and TREND_VALUES <= len(set(settings.labels(table))) <= len(table) / 2
        else ()
    )
    if not varies:
        return Formula(groups=own)
    without = {*shared_over, *(switch.column for switch in runs.law.switches.values())}
    columns = [c for c in runs.populations if table[c].nunique() > 1 and c not in without]
    sizes = [
        c
        for c in columns
        if c in TREND_COLUMNS and table[c].nunique() >= TREND_VALUES and _positive(table[c])
    ]
    columns = [c for c in columns if c not in sizes]
    columns = [
        c
        for i, c in enumerate(columns)
        if not any(_same_groups(table, c, other) for other in columns[:i])
    ]
    nested = [
        c
        for c in columns
        if any(
            _nested(table, other, c) or _nested(table, c, other) for other in columns if other != c
        )
    ]
    crossed = tuple(c for c in columns if c not in nested)
    terms = [GroupTerm((c,)) for c in nested]
    if crossed:
        cells = GroupTerm(crossed)
        # One run a cell cannot tell its deviation from noise: then each column on its own.
        repeated = len(set(cells.labels(table))) <= len(table) / 2
        terms += [cells] if repeated else [GroupTerm((c,)) for c in crossed]
    trends = tuple(Covariate(c, ("log10",)) for c in sizes)
    return Formula(trends, (*(GroupTerm((c,)) for c in sizes), *terms, *own))


def _positive(column: pd.Series) -> bool:
    """Whether every value is a positive number."""
    return bool((pd.to_numeric(column, errors="coerce") > 0).all())


def _nested(table: pd.DataFrame, inner: str, outer: str) -> bool:
    """Whether each group of ``inner`` lies in one group of ``outer``."""
    return bool((table.groupby(inner, observed=True)[outer].nunique() == 1).all())


def _same_groups(table: pd.DataFrame, a: str, b: str) -> bool:
    return _nested(table, a, b) and _nested(table, b, a)


def factor_columns(formulas: Sequence[Formula]) -> tuple[str, ...]:
    """The columns that make groups in any of the formulas, in order of appearance."""
    return tuple(dict.fromkeys(c for formula in formulas for c in formula.factor_columns))
