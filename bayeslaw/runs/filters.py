"""Filters of a table's rows, such as ``model_size >= 8e9``, read without running code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.errors import ExpressionError, listed, suggest

COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda column, values: pd.Series(column).isin(values),
    ast.NotIn: lambda column, values: ~pd.Series(column).isin(values),
}

#: Integers up to here are floats exactly.
EXACT = 2**53

#: Most characters of an expression. Longer ones could nest too deeply for Python's parser.
LONGEST = 2000


def names(expression: str) -> set[str]:
    """The columns that an expression names."""
    return {node.id for node in ast.walk(_parse(expression)) if isinstance(node, ast.Name)}


def select(
    table: pd.DataFrame, expression: str, other_names: Mapping[str, str] | None = None
) -> pd.Series:
    """The rows of ``table`` for which ``expression`` holds.

    Parameters
    ----------
    table : DataFrame whose columns the expression names.
    expression : comparisons of columns with numbers, strings, lists (``in``) or columns, joined by
        ``and``, ``or``, ``not``. A comparison with a missing value does not hold.
    other_names : names that columns may have in the expression beside their own.

    Returns
    -------
    Series of bool, with the table's index.

    Raises
    ------
    ExpressionError : it cannot be read, names no column, or compares text with a number.
    """
    try:
        holds = _Reader(table, expression, other_names or {}).holds(_parse(expression))
        mask = np.broadcast_to(np.asarray(holds, dtype=bool), len(table))
    except TypeError as error:
        raise ExpressionError(
            f"{expression!r}: it compares text with a number, or other values that have no order."
            " Text needs quotes, numbers must not have them."
        ) from error
    except (ArithmeticError, ValueError) as error:  # 10**400 beside a float
        raise ExpressionError(
            f"{expression!r}: it has a number that cannot be compared ({error})."
        ) from error
    except RecursionError as error:
        raise ExpressionError("The expression is nested too deeply.") from error
    return pd.Series(mask, index=table.index)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Computes the parts of an expression over a table."""

    table: pd.DataFrame
    expression: str
    other_names: Mapping[str, str]

    def value(self, node: ast.expr) -> Any:
        """A column, a constant, or a list of constants."""
        match node:
            case ast.Constant(value=float() | int() | str() as constant):
                return constant
            case ast.Name(id=written):
                known = written in self.table.columns
                name = written if known else self.other_names.get(written, written)
                if name not in self.table.columns:
                    raise ExpressionError(
                        f"{self.expression!r}: there is no column"
                        f" {name!r}.{suggest(name, self.table.columns)} Columns:"
                        f" {listed(self.table.columns)}. Text needs quotes."
                    )
                return _comparable(self.table[name])
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return [self.value(item) for item in items]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.value(operand)
        raise ExpressionError(
            f"{self.expression!r}: {ast.unparse(node)!r} is not a column, a number, a string or a"
            " list."
        )

    def holds(self, node: ast.expr) -> Any:
        """Whether a condition holds for each row."""
        match node:
            case ast.BoolOp(op=op, values=parts):
                join = np.logical_and if isinstance(op, ast.And) else np.logical_or
                return reduce(join, [self.holds(part) for part in parts])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return np.logical_not(self.holds(operand))
            case ast.Compare(left=left, ops=ops, comparators=rights):
                values = [self.value(left), *map(self.value, rights)]
                pairs = zip(ops, pairwise(values), strict=True)
                return reduce(np.logical_and, [self.compare(op, *pair) for op, pair in pairs])
        raise ExpressionError(
            f"{self.expression!r}: {ast.unparse(node)!r} is not a comparison such as"
            ' "model_size >= 8e9".'
        )

    def compare(self, op: ast.cmpop, left: Any, right: Any) -> np.ndarray:
        """Whether a comparison holds for each row; with a missing value it does not."""
        if type(op) not in COMPARISONS:
            raise ExpressionError(f"{self.expression!r}: use <, <=, >, >=, ==, !=, in, not in.")
        if isinstance(op, ast.In | ast.NotIn) != isinstance(right, list) or isinstance(left, list):
            raise ExpressionError(
                f"{self.expression!r}: a list must stand to the right of in, and only there:"
                " method in ['lora', 'fmt']."
            )
        if isinstance(right, list) and not isinstance(left, pd.Series):
            raise ExpressionError(f"{self.expression!r}: a column must stand to the left of in.")
        present = np.ones(len(self.table), dtype=bool)
        for side in (left, right):
            if isinstance(side, pd.Series):
                present &= np.asarray(side.notna())
        values = [x for side in (left, right) for x in (side if isinstance(side, list) else [side])]
        kind = object if any(map(_is_long, values)) else None
        sides = [
            x[present].astype(kind or x.dtype) if isinstance(x, pd.Series) else x
            for x in (left, right)
        ]
        result = np.zeros(len(self.table), dtype=bool)
        result[present] = np.asarray(COMPARISONS[type(op)](*sides), dtype=bool)
        return result


def _comparable(column: pd.Series) -> pd.Series:
    """A column whose present values compare as Python's do.

    Columns of NumPy's numbers, truth values and dates, and of pandas' text, do so as they are. But
    an integer beside a float becomes a float, which is exact up to `EXACT` only.
    """
    if isinstance(column.dtype, pd.StringDtype):
        return column
    if not isinstance(column.dtype, np.dtype):
        return column.astype(object)
    is_long = column.dtype.kind in "iu" and any(map(_is_long, (column.min(), column.max())))
    return column.astype(object) if is_long else column


def _is_long(value: Any) -> bool:
    """Whether a value is an integer that no float may hold exactly."""
    return isinstance(value, int | np.integer) and abs(int(value)) > EXACT


def _parse(expression: str) -> ast.expr:
    """The syntax tree of an expression."""
    if len(expression) > LONGEST:
        raise ExpressionError(
            f"The expression has {len(expression)} characters, and at most {LONGEST} are read."
        )
    try:
        return ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ExpressionError(
            f"{expression[:80]!r} cannot be read: {str(getattr(error, 'msg', error)).rstrip('.')}."
            " Write comparisons such as \"model_size >= 8e9 and method == 'lora'\"."
        ) from error
