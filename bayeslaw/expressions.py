"""Filters over a table, such as ``model_size >= 8e9 and method in ["lora", "prompt"]``, read without running code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw.errors import ExpressionError, suggest

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


def names(expression: str) -> set[str]:
    """The columns that an expression speaks of."""
    return {node.id for node in ast.walk(_parse(expression)) if isinstance(node, ast.Name)}


def select(table: pd.DataFrame, expression: str) -> pd.Series:
    """The rows of ``table`` for which ``expression`` holds.

    Parameters
    ----------
    table : DataFrame whose columns the expression names.
    expression : comparisons of columns with numbers, strings, lists (``in``) or columns, joined by ``and``, ``or``,
        ``not``. A comparison with a missing value does not hold.

    Returns
    -------
    Series of bool, with the table's index.

    Raises
    ------
    ExpressionError : it cannot be read, names no column, or compares text with a number.
    """

    def value(node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=float() | int() | str() as constant):
                return constant
            case ast.Name(id=name):
                if name not in table.columns:
                    raise ExpressionError(
                        f"{expression!r}: there is no column {name!r}.{suggest(name, table.columns)} "
                        f"Columns: {', '.join(map(str, table.columns))}. Text needs quotes."
                    )
                return table[name]
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return [value(item) for item in items]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -value(operand)
        raise ExpressionError(f"{expression!r}: {ast.unparse(node)!r} is not a column, a number, a string or a list.")

    def holds(node: ast.expr) -> Any:
        match node:
            case ast.BoolOp(op=op, values=parts):
                return (np.logical_and if isinstance(op, ast.And) else np.logical_or).reduce([holds(part) for part in parts])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return np.logical_not(holds(operand))
            case ast.Compare(left=left, ops=ops, comparators=rights):
                values = [value(left), *map(value, rights)]
                return np.logical_and.reduce([compare(op, *pair) for op, pair in zip(ops, zip(values, values[1:], strict=False), strict=True)])
        raise ExpressionError(f"{expression!r}: {ast.unparse(node)!r} is not a comparison such as \"model_size >= 8e9\".")

    def compare(op: ast.cmpop, left: Any, right: Any) -> np.ndarray:
        if type(op) not in COMPARISONS:
            raise ExpressionError(f"{expression!r}: use <, <=, >, >=, ==, !=, in, not in.")
        try:
            outcome = COMPARISONS[type(op)](left, right)
        except TypeError as error:
            raise ExpressionError(f"{expression!r}: it compares text with a number. Text needs quotes, numbers must not have them.") from error
        return np.asarray(outcome, dtype=bool)

    mask = np.broadcast_to(np.asarray(holds(_parse(expression)), dtype=bool), len(table))
    return pd.Series(mask, index=table.index)


def _parse(expression: str) -> ast.expr:
    try:
        return ast.parse(expression.strip(), mode="eval").body
    except SyntaxError as error:
        raise ExpressionError(
            f"{expression!r} cannot be read: {error.msg}. Write comparisons such as \"model_size >= 8e9 and method == 'lora'\"."
        ) from error
