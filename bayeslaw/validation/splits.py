"""Which runs a backtest hides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bayeslaw.errors import SpecError
from bayeslaw.runs import filters
from bayeslaw.runs.arguments import as_list, as_mapping
from bayeslaw.runs.table import Runs
from bayeslaw.spec.design import Design
from bayeslaw.spec.settings import LARGEST_COUNT
from bayeslaw.text import label, shown


def splits(
    design: Design,
    runs: Runs,
    holdout: str | Sequence[str] | None,
    largest: Mapping[str, int] | None,
    rolling: Mapping[str, int] | None,
) -> dict[str, np.ndarray]:
    """The hidden runs of each split, (run,), boolean, by the split's name.

    The arguments are those of `bayeslaw.backtest`.

    Raises
    ------
    SpecError : not exactly one of holdout, largest and rolling; nothing hidden, or nothing left; or
        a group hidden that can only be predicted from its own runs.

    Examples
    --------
    >>> list(splits(fit.design, fit.runs, None, None, {"data_size": 2}))
    ['data_size: last 1/4', 'data_size: last 2/4']
    """
    option, hidden = selected(design, runs, holdout, largest, rolling)
    for split, rows in hidden.items():
        if not rows.any() or rows.all():
            which = "all" if rows.all() else "none"
            raise SpecError(
                f"{split}: {which} of the {len(runs)} runs would be hidden.", key=option
            )
        _require_seen(design, runs, split, rows, option)
    return hidden


def _require_seen(design: Design, runs: Runs, split: str, rows: np.ndarray, option: str) -> None:
    """Raise SpecError if a split hides all runs of a group that can only be predicted from its own
    runs."""
    unpooled = {
        predictor.formula.by: f"the groups of {name} are not pooled ({predictor.formula})"
        for name, predictor in design.predictors.items()
        if predictor.formula.by is not None
    }
    own_unit = {name: f"each {name} has a unit of its own" for name in design.law.selector_columns}
    for column, reason in {**unpooled, **own_unit}.items():
        labels = runs.table[column].map(label).to_numpy(str)
        if unseen := sorted(set(labels[rows]) - set(labels[~rows])):
            raise SpecError(
                f"{split}: all runs of {column} {', '.join(unseen)} would be hidden, and they could"
                f" not be predicted: {reason}.",
                key=option,
            )


def selected(
    design: Design,
    runs: Runs,
    holdout: str | Sequence[str] | None,
    largest: Mapping[str, int] | None,
    rolling: Mapping[str, int] | None,
) -> tuple[str, dict[str, np.ndarray]]:
    """The option that says which runs to hide, and what `splits` gives, though it may hide none or
    all of them.

    Raises
    ------
    SpecError : as `splits`, but for that.
    """
    if sum(option is not None for option in (holdout, largest, rolling)) != 1:
        raise SpecError("Say which runs to hide by one of holdout, largest and rolling.")
    if holdout is not None:
        option = "holdout"
        texts = [holdout] if isinstance(holdout, str) else as_list(holdout, option)
        if not all(isinstance(text, str) for text in texts):
            raise SpecError(f"holdout is {shown(holdout)}, and it must be text.", key=option)
        if len(set(texts)) < len(texts):
            raise SpecError("holdout has one expression twice: give each split once.", key=option)
        hidden = {
            text: filters.select(runs.table, text, runs.own_names).to_numpy(bool) for text in texts
        }
    elif largest is not None:
        option = "largest"
        name, k = _input_and_number(option, largest, runs)
        rank, _ = _rank_from_top(design, runs, name)
        hidden = {f"{k} largest {name}": rank < k}
    else:
        option = "rolling"
        name, k = _input_and_number(option, rolling or {}, runs)
        rank, values = _rank_from_top(design, runs, name)
        if k > values.max():
            raise SpecError(
                f"rolling has {name} = {k}, and the runs have {values.max():g} values of {name}:"
                " there are not so many splits.",
                key=(option, name),
            )
        shares = {j: np.maximum(np.round(values * j / (2 * k)), j) for j in range(1, k + 1)}
        hidden = {f"{name}: last {j}/{2 * k}": rank < shares[j] for j in shares}
    return option, hidden


def _input_and_number(option: str, by: Mapping[str, int], runs: Runs) -> tuple[str, int]:
    """The input, and the number, that ``largest`` or ``rolling`` gives."""
    inputs, by = runs.law.inputs, as_mapping(by, option)
    if len(by) != 1:
        raise SpecError(
            f"{option} must name one input and a number, such as {{'{next(iter(inputs))}': 2}}.",
            key=option,
        )
    ((name, k),) = by.items()
    name = runs.own_names.get(name, name)
    if name not in inputs:
        raise SpecError(
            f"{option} names {name}, and it must be an input of {runs.law.name}:"
            f" {', '.join(inputs)}.",
            key=(option, name),
        )
    if isinstance(k, bool) or not (isinstance(k, int) and 1 <= k <= LARGEST_COUNT):
        raise SpecError(
            f"{option} has {name} = {shown(k)}, and it must be a whole number of at least 1.",
            key=(option, name),
        )
    return name, k


def _rank_from_top(design: Design, runs: Runs, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Each run's place among the distinct values of an input, 0 for the largest, and the number of
    values: within its curve if curves run along that input, else in the table."""
    along_curve = design.spec.discrepancy.along_curves and design.spec.along == name
    curve = design.curve_labels(runs.table) if along_curve else np.zeros(len(runs))
    values = runs.table[name].groupby(curve)
    rank = values.rank(method="dense", ascending=False).to_numpy() - 1
    return rank, values.transform("nunique").to_numpy()
