"""Where two groups tie along an input, and which of them is better on either side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw.answers.bounds import runs_selected, search_bounds
from bayeslaw.answers.roots import bisect
from bayeslaw.errors import SpecError, UnknownNameError
from bayeslaw.laws.base import Law
from bayeslaw.posterior.draws import Draws, Kind, require_kind
from bayeslaw.posterior.parameters import Parameters
from bayeslaw.posterior.points import points_at
from bayeslaw.posterior.predict import along
from bayeslaw.runs.arguments import as_list
from bayeslaw.text import label

if TYPE_CHECKING:
    import xarray as xr

#: Values tried between the bounds, evenly in the logarithm: two ties within one step are not seen.
TRIED = 257
#: Bisections: a step of the grid is halved so often that its error is rounding.
BISECTIONS = 50
#: The first tie, how many there are, and the differences at both ends, each (sample,).
type Ties = tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]
#: Up to here two irreducible losses count as one, relative to the loss.
SAME = 1e-12


def crossover(
    fit: Draws,
    over: str,
    between: tuple[Any, Any],
    at: Mapping[str, Any] | None = None,
    *,
    by: str | None = None,
    bounds: tuple[float, float] | None = None,
    kind: Kind = "mean",
) -> xr.Dataset:
    """The value of an input at which two groups tie, and which of them is better on either side,
    over the draws.

    Parameters
    ----------
    fit : the posterior.
    over : an input of the law, such as ``finetuning_data``.
    between : two values of a grouping column, such as ``("lora", "fmt")``.
    at : the other inputs and grouping columns, one value each; for a grouping column that is left
        out the group is one that no run had.
    by : the column of ``between``. None: the one grouping column of the runs that has both values.
    bounds : where to search, in the unit of ``over``. None: from 100 times below to 100 times above
        the runs.
    kind : "mean" (the expected curves), or "latent" (with the deviations of groups that no run had,
        the same for both where they share the group, and draws of the discrepancy).

    Returns
    -------
    Dataset, dims (chain, draw): ``crossover``, the first tie from below, in the unit of ``over``,
    NaN in draws without one; ``crossings``, how many there are (a law of two powers can tie twice);
    ``below`` and ``above``, which group is better at the lower and at the upper bound. Attributes:
    ``p_crossover``; ``p_<group>_throughout``, where there is no tie: with it, every draw is
    accounted for; ``p_<group>_below`` among draws with a tie; the bounds. Better is the lower loss,
    or the higher score. Ties are in closed form where the law has one and both have one irreducible
    loss (Zhang et al. 2024, arXiv 2402.17193, eq. 3), else by bisection of all draws at once. With
    a discrepancy that changes the curve they are interpolated between `TRIED` values.

    Raises
    ------
    UnknownNameError, SpecError : an input that the law does not have, or groups that the runs do
        not have. RunsError : as `bayeslaw.posterior.predict.predict`.

    Examples
    --------
    >>> tie = bl.crossover(fit, "finetuning_data", ("lora", "fmt"), {"model_size": 1e9})
    >>> tie.attrs["p_crossover"], tie["crossover"].median()
    """
    by = _check(fit, over, between, at or {}, by, kind)
    of_runs = runs_selected(fit, over, at)[over]
    low, high = search_bounds(fit.law.inputs[over].present(of_runs), bounds)
    table = points_at(fit, at, [{over: low, by: group} for group in between])
    names = np.array([label(group) for group in between], dtype=object)
    _require_seen(fit, by, between)
    if fit.spec.discrepancy.changes_the_curve:
        x, crossings, at_ends = _interpolated_ties(fit, table, over, kind, (low, high))
    else:
        x, crossings, at_ends = _Pair.of(fit, table, over, kind).ties(low, high)
    if not any(end.any() for end in at_ends):
        raise SpecError(
            f"With this at, the model predicts the same for {names[0]} and {names[1]}. Add the"
            " other columns that make its groups to at, with values of the runs.",
            key="at",
        )
    lower_is_better = fit.law.response.lower_is_better
    below, above = (names[((end < 0) != lower_is_better).astype(int)] for end in at_ends)
    attrs: dict[str, Any] = {
        "over": over,
        "by": by,
        "lower_bound": low,
        "upper_bound": high,
        "kind": kind,
        **_probabilities(names, np.isnan(x), below),
    }
    drawn = {"crossover": x, "crossings": crossings, "below": below, "above": above}
    return fit.dataset(drawn, **attrs)


def _interpolated_ties(
    fit: Draws, table: pd.DataFrame, over: str, kind: Kind, bounds: tuple[float, float]
) -> Ties:
    """The ties of predictions at `TRIED` values of ``over`` for each of two rows."""
    tried = np.geomspace(*bounds, TRIED)
    points = table.loc[np.repeat([0, 1], TRIED)].assign(**{over: np.tile(tried, 2)})
    first, second = np.hsplit(along(fit, points.reset_index(drop=True), kind, over), 2)
    difference = first - second
    crossings, interval = _changes_of_sign(difference)
    draw, log_x = np.arange(len(difference)), np.log(tried)
    before, after = difference[draw, interval], difference[draw, interval + 1]
    with np.errstate(invalid="ignore"):  # draws without a tie may be equal at both
        share = before / (before - after)
    x = np.exp(log_x[interval] + share * (log_x[interval + 1] - log_x[interval]))
    return np.where(crossings > 0, x, np.nan), crossings, (difference[:, 0], difference[:, -1])


def _changes_of_sign(difference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How often a difference, (sample, point), changes its sign, and the interval in which it first
    does, each (sample,)."""
    changes = (difference[:, :-1] < 0) != (difference[:, 1:] < 0)
    return changes.sum(axis=1), changes.argmax(axis=1)


def _probabilities(names: np.ndarray, none: np.ndarray, below: np.ndarray) -> dict[str, float]:
    """The probability of a tie, and for each group of being better throughout or below the tie;
    ``none`` are the draws without a tie."""
    probabilities = {"p_crossover": float(1 - none.mean())}
    for name in names:
        probabilities[f"p_{name}_throughout"] = float((none & (below == name)).mean())
        better_below = (below[~none] == name).mean() if not none.all() else np.nan
        probabilities[f"p_{name}_below"] = float(better_below)
    return probabilities


def _check(
    fit: Draws,
    over: str,
    between: Sequence[Any],
    at: Mapping[str, Any],
    by: str | None,
    kind: Kind,
) -> str:
    """Raise for what is wrong with a question of `crossover`; return the column of ``between``."""
    inputs = fit.law.inputs
    if not (isinstance(over, str) and over in inputs):
        raise UnknownNameError("input", over, inputs, key="over")
    if len(as_list(between, "between")) != 2 or label(between[0]) == label(between[1]):
        raise SpecError(f"between is {between!r}, and it must be two groups.", key="between")
    require_kind(kind, ("mean", "latent"))
    by = by or _column_of(fit, between)
    if by not in fit.runs.table:
        raise SpecError(f"by is {by!r}, and the runs have no such column.", key="by")
    if by == inputs[over].selector:
        raise SpecError(
            f"{over} is a different quantity for each {by}, so there is no common axis along which"
            " two of them could cross. Choose another input (over).",
            key="by",
        )
    if over in fit.design.numeric_columns:
        raise SpecError(
            f"A parameter of this model varies with {over}: crossovers along it are not offered.",
            key="over",
        )
    if compared := [name for name in (by, over) if name in at]:
        raise SpecError(
            f"at has {compared[0]}, which is what is compared: leave it out.",
            key=("at", compared[0]),
        )
    return by


def _require_seen(fit: Draws, by: str, between: Sequence[Any]) -> None:
    """Raise unless the runs have both groups."""
    known = set(fit.runs.table[by].map(label))
    if unseen := [group for group in between if label(group) not in known]:
        raise SpecError(
            f"between has {unseen[0]!r}, and no run has that {by}. The runs have:"
            f" {', '.join(sorted(known))}.",
            key="between",
        )


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two groups' curves along one input, all draws."""

    law: Law
    over: str
    params: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
    inputs: tuple[dict[str, float], dict[str, float]]

    @classmethod
    def of(cls, fit: Draws, table: pd.DataFrame, over: str, kind: Kind) -> _Pair:
        """The pair of the two rows of ``table``, without the deviations of single settings."""
        parameters = Parameters.at(fit, table, kind).without_effects_of(over)
        drawn = {
            name: np.broadcast_to(x, (fit.samples, 2))
            for name, x in parameters.of_law(table).items()
        }
        given = fit.law.given(table)

        def of_row(i: int) -> tuple[dict[str, np.ndarray], dict[str, float]]:
            inputs = {name: float(x[i]) for name, x in given.items()}
            return {name: x[:, i] for name, x in drawn.items()}, inputs

        (first, first_at), (second, second_at) = of_row(0), of_row(1)
        return cls(fit.law, over, (first, second), (first_at, second_at))

    def difference(self, x: np.ndarray) -> np.ndarray:
        """The first's response less the second's: (sample, point) for (1, point), (sample,) for
        (sample,).
        """

        def response(params: dict[str, np.ndarray], inputs: dict[str, float]) -> np.ndarray:
            values = {name: p[:, None] if x.ndim == 2 else p for name, p in params.items()}
            return np.asarray(self.law.evaluate({**inputs, self.over: x}, values))

        first, second = map(response, self.params, self.inputs)
        return np.asarray(first - second)

    def ties(self, low: float, high: float) -> Ties:
        """The ties of the law's curves."""
        grid = np.geomspace(low, high, TRIED)
        values = self.difference(grid[None, :])
        crossings, first = _changes_of_sign(values)
        a, b = np.log(grid[first]), np.log(grid[first + 1])
        negative = values[np.arange(len(values)), first] < 0

        def has_crossed(log_x: np.ndarray) -> np.ndarray:
            return np.asarray((self.difference(np.exp(log_x)) < 0) != negative)

        a, b = bisect(a, b, has_crossed, BISECTIONS)
        x = np.where(crossings > 0, np.exp((a + b) / 2), np.nan)
        closed = self._closed_form()
        if closed is not None:
            exact, same = closed
            x = np.where(same & (crossings > 0), exact, x)
        return x, crossings, (values[:, 0], values[:, -1])

    def _closed_form(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The tie by the law's closed form, and the draws for which it holds; None where the law
        has none."""
        law, (first, second), (inputs, other_inputs) = self.law, self.params, self.inputs
        columns = {argument: law.columns.get(argument, argument) for argument in law.arguments}
        over = next((a for a, column in columns.items() if column == self.over), self.over)
        differ = any(inputs[x] != other_inputs[x] for x in inputs if x != self.over)
        if "E" not in first or differ:
            return None
        others = {a: inputs[column] for a, column in columns.items() if a != over}
        with np.errstate(all="ignore"):  # equal exponents tie nowhere
            exact = law.tie(over=over, first=first, second=second, **others)
        if exact is None:
            return None
        return np.asarray(exact), abs(first["E"] - second["E"]) <= SAME * first["E"]


def _column_of(fit: Draws, between: Sequence[Any]) -> str:
    """The grouping column that has both groups."""
    labels = {name: set(fit.runs.table[name].map(label)) for name in fit.runs.groups}
    both = [name for name in labels if {label(group) for group in between} <= labels[name]]
    if len(both) != 1:
        which = "several columns have" if both else "no grouping column has"
        known = "; ".join(f"{name}: {', '.join(sorted(labels[name])[:6])}" for name in labels)
        raise SpecError(
            f"between is {tuple(between)!r}, and {which} both values. Name the column (by). The"
            f" runs have {known or 'none'}.",
            key="between",
        )
    return both[0]
