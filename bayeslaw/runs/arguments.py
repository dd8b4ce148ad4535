"""Arguments, checked before anything is read: of `bayeslaw.read_runs`, and of any function."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from bayeslaw.errors import SpecError, listed, suggest
from bayeslaw.laws.base import Law
from bayeslaw.runs.columns import DERIVED_FROM
from bayeslaw.runs.measurement import AVERAGED, BASELINE, BASELINE_SE, se_column
from bayeslaw.text import shown

#: Columns that are grouping columns if a table has them, in the order of default effects.
GROUP_COLUMNS = (
    "task",
    "method",
    "dataset",
    "family",
    "model",
    "checkpoint",
    "policy_size",
    "reward_model_size",
    "reward_model_data",
    "run",
    "seed",
)
#: Optional columns on how well a row was measured, besides the response's standard error.
MEASUREMENT = (AVERAGED, BASELINE, BASELINE_SE)


def own_names(columns: Mapping[str, str], law: Law, scale: Mapping[str, float]) -> dict[str, str]:
    """The table's own names, with the names that ``columns`` gives them; without those that mean
    something else here, and those of columns that ``scale`` multiplies.

    >>> own_names({"model_size": "params", "loss": "data_size"}, law("power"), {})
    {'params': 'model_size'}
    """
    means_something = {*law.inputs, law.response.name, *columns, *DERIVED_FROM}
    return {
        user: name
        for name, user in columns.items()
        if user not in means_something and name not in scale
    }


def check_kinds(columns: object, scale: object, where: object) -> None:
    """Raise SpecError for arguments of another type than `read_runs` takes."""
    for name, value in {"columns": columns, "scale": scale}.items():
        if value is not None and not isinstance(value, Mapping):
            raise SpecError(
                f"{name} is {shown(value)}, and it must be a dictionary by canonical names.",
                key=name,
            )
    if where is not None and not isinstance(where, str):
        raise SpecError(
            f"where is {shown(where)}, and it must be text such as 'model_size >= 8e9'.",
            key="where",
        )


def as_columns(names: object, argument: str) -> tuple[str, ...]:
    """The names of columns that an argument has, each once.

    Raises
    ------
    SpecError : it is no list of names, or has one twice.
    """
    if isinstance(names, str) or not isinstance(names, Collection):
        raise SpecError(
            f"{argument} is {shown(names)}, and it must be a list of columns: [{shown(names)}].",
            key=argument,
        )
    columns = tuple(map(str, names))
    if repeated := [name for name in dict.fromkeys(columns) if columns.count(name) > 1]:
        raise SpecError(f"{argument} names {listed(repeated)} twice: give it once.", key=argument)
    return columns


def check_groups(groups: Sequence[str], law: Law) -> None:
    """Raise SpecError for grouping columns that hold what is predicted, or how well it is known."""
    measured = (law.response.name, se_column(law), AVERAGED, BASELINE_SE)
    if wrong := [name for name in groups if name in measured]:
        what = "what is predicted" if wrong[0] == law.response.name else "how well it is known"
        raise SpecError(
            f"groups names {wrong[0]}, which is {what}: it cannot make groups. Leave it out.",
            key="groups",
        )


def is_number(value: object) -> bool:
    """Whether a value is a real number that a float can hold, truth values left out."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True


def check_names(columns: Mapping[str, str], law: Law, groups: Sequence[str]) -> None:
    """Raise for a misspelt canonical name, which would make a column that nothing reads."""
    known = [*law.inputs, law.response.name, "compute"]
    others = (*GROUP_COLUMNS, *groups, *MEASUREMENT, se_column(law), *DERIVED_FROM)
    allowed = {*known, *others}
    for name in columns:
        if name not in allowed and (near := suggest(name, known)):
            raise SpecError(
                f"columns maps {name}, which is no name of {law.name} ({', '.join(known)}) nor a"
                f" known grouping column.{near}",
                key=("columns", name),
            )


def is_finite(value: object) -> bool:
    """Whether a value is a real, finite number.

    >>> is_finite(1), is_finite(float("nan")), is_finite("1"), is_finite(10**400)
    (True, False, False, False)
    """
    return is_number(value) and bool(np.isfinite(float(value)))  # type: ignore[arg-type]


def as_mapping(value: object, argument: str) -> dict[str, Any]:
    """A dictionary, by names; an empty one for None.

    Raises
    ------
    SpecError : it is something else.
    """
    if value is not None and not isinstance(value, Mapping):
        raise SpecError(f"{argument} is {shown(value)}, and it must be a dictionary.", key=argument)
    return {str(name): x for name, x in (value or {}).items()}


def as_shared(at: object) -> dict[str, Any]:
    """What all points share (``at``): one value of each column.

    Raises
    ------
    SpecError : it is no dictionary, or has several values of one column.
    """
    shared = as_mapping(at, "at")
    if several := [name for name, value in shared.items() if np.ndim(value) > 0]:
        name = several[0]
        raise SpecError(f"at has several values of {name}: give one.", key=("at", name))
    return shared


def as_list(value: object, argument: str) -> list[Any]:
    """The values of a list, or of an array.

    Raises
    ------
    SpecError : it is something else.
    """
    if isinstance(value, str | Mapping) or not isinstance(value, Collection):
        raise SpecError(f"{argument} is {shown(value)}, and it must be a list.", key=argument)
    return list(value)
