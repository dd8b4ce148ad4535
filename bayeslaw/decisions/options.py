"""Options to decide between: what they are, what each costs, and the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.errors import SpecError
from bayeslaw.laws.base import Law
from bayeslaw.posterior.points import Points, grid
from bayeslaw.runs.arguments import as_list, as_shared, is_finite, is_number
from bayeslaw.runs.validation import numbers_of
from bayeslaw.text import canonical_label, shown


def checked_options(
    law: Law,
    options: Points,
    target: float,
    *,
    at: Mapping[str, Any] | None = None,
    cost: Mapping[str, float] | Sequence[float] | None = None,
    go_at: float = defaults.GO_AT,
    no_go_at: float = defaults.NO_GO_AT,
) -> tuple[pd.DataFrame, np.ndarray]:
    """The points of the options, and the cost of each, (option,). The arguments are those of
    `bayeslaw.decide`.

    Raises
    ------
    SpecError : a target out of range, costs that do not fit the options, thresholds in the wrong
        order, or no options.

    Examples
    --------
    >>> points, costs = checked_options(law("power"), {"data_size": [1e9, 1e10]}, 2.0, cost=[1, 9])
    >>> costs
    array([1, 9])
    """
    table = grid(options).assign(**as_shared(at))
    require_target(target, law)
    require_thresholds(go_at, no_go_at)
    if not len(table):
        raise SpecError("There are no options to decide between.", key="options")
    return table.drop(columns="cost", errors="ignore"), _costs(table, cost, at or {})


def require_target(target: float, law: Law) -> None:
    """Raise SpecError unless the law's response can have this value.

    >>> require_target(-1.0, law("power"))
    Traceback (most recent call last):
    bayeslaw.errors.SpecError: target is -1, and it must be a positive number.
    """
    low, high, needed = {
        "log": (0.0, np.inf, "a positive number"),
        "logit": (0.0, 1.0, "a rate between 0 and 1, such as 0.85"),
        "linear": (-np.inf, np.inf, "a number"),
    }[law.response.scale]
    if not (is_finite(target) and low < target < high):
        raise SpecError(f"target is {shown(target)}, and it must be {needed}.", key="target")


def require_thresholds(go_at: float, no_go_at: float) -> None:
    """Raise SpecError unless the probabilities of a verdict are in the right order.

    >>> require_thresholds(0.8, 0.2)
    """
    known = is_finite(no_go_at) and is_finite(go_at)
    if not (known and 0 < no_go_at < go_at < 1):
        raise SpecError(
            f"no_go_at is {shown(no_go_at)} and go_at is {shown(go_at)}: they must lie between"
            " 0 and 1, no_go_at below go_at.",
            key="no_go_at",
        )


def require_far(far: float) -> None:
    """Raise SpecError unless so many decades beyond the runs can be a limit.

    >>> require_far(float("nan"))
    Traceback (most recent call last):
    bayeslaw.errors.SpecError: far is nan, and it must be a positive number of decades.
    """
    if not (is_number(far) and far > 0):
        raise SpecError(
            f"far is {shown(far)}, and it must be a positive number of decades.", key="far"
        )


def _costs(
    table: pd.DataFrame,
    cost: Mapping[str, float] | Sequence[float] | None,
    at: Mapping[str, Any],
) -> np.ndarray:
    """The cost of each option, (option,)."""
    if isinstance(cost, Mapping):
        costs = _costs_by_name(table, cost, at)
    elif cost is not None:
        costs = numbers_of(pd.Series(as_list(cost, "cost"), dtype=object)).to_numpy(float)
        if len(costs) != len(table):
            raise SpecError(f"cost has {len(costs)} values for {len(table)} options.", key="cost")
    elif "cost" in table:
        costs = numbers_of(table["cost"]).to_numpy(float)
    else:
        costs = np.zeros(len(table))
    if not (np.isfinite(costs) & (costs >= 0)).all():
        raise SpecError("A cost must be a number of at least 0 for every option.", key="cost")
    return costs


def _costs_by_name(
    table: pd.DataFrame, cost: Mapping[str, float], at: Mapping[str, Any]
) -> np.ndarray:
    """Costs by the values of the one column whose values are all among the names, (option,)."""
    require_distinct(cost)
    known = {canonical_label(name): x for name, x in cost.items()}
    columns = [
        name
        for name in table
        if name not in at
        and name != "cost"
        and {canonical_label(x) for x in table[name]} <= set(known)
    ]
    if len(columns) != 1:
        which = "several columns of the options have" if columns else "no column of the options has"
        raise SpecError(
            f"cost names {', '.join(map(str, cost))}, and {which} only these values: give a list of"
            " costs.",
            key="cost",
        )
    given = [known[canonical_label(x)] for x in table[columns[0]]]
    return np.asarray(numbers_of(pd.Series(given, dtype=object)), float)


def require_distinct(cost: Mapping[str, Any]) -> None:
    """Raise SpecError if two names of ``cost`` are spellings of one: 7e9 and 7000000000.

    >>> require_distinct({"lora": 1.0, "fmt": 2.0})
    """
    spelt: dict[str, str] = {}
    for name in map(str, cost):
        if (first := spelt.setdefault(canonical_label(name), name)) != name:
            raise SpecError(
                f"cost has {first} and {name}, which are one name in two spellings: give it once.",
                key=("cost", name),
            )
