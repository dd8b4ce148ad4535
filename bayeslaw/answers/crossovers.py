"""Where two groups tie along an input, and which of them is better on either side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw.answers.roots import bisect
from bayeslaw.errors import SpecError, UnknownNameError
from bayeslaw.posterior.parameters import Kind, Posterior, over_draws, samples_of
from bayeslaw.posterior.predict import places
from bayeslaw.runs.table import label
from bayeslaw.spec.spec import all_covariates

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.fitting import Fit
    from bayeslaw.laws.base import Law

#: Values tried between the bounds, evenly in the logarithm: two ties closer than a step of them are
#: not seen.
TRIED = 257
#: How far beyond the runs of both is looked where no bounds are given: two decades.
BEYOND = 100.0
#: Bisections: a step of the grid is halved so often that its error is rounding.
BISECTIONS = 50
#: Up to here two irreducible losses count as one, relative to the loss.
SAME = 1e-12


def crossover(
    fit: Fit,
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
    at : the other inputs and grouping columns, one value each; a grouping column that is left out
        is a group never seen.
    by : the column of ``between``. None: the one grouping column of the runs that has both values.
    bounds : where to look, in the unit of ``over``. None: from `BEYOND` times below to `BEYOND`
        times above the runs.
    kind : "mean" (the law's curves), or "latent" (with the deviations of groups never seen, the
        same for both where they share the group).

    Returns
    -------
    Dataset, dims (chain, draw): ``crossover``, the first tie from below, in the unit of ``over``,
    NaN in draws without one; ``crossings``, how many there are (a law of two powers can tie twice);
    ``below`` and ``above``, which group is better at the lower and at the upper bound. Attributes:
    ``p_crossover``; ``p_<group>_throughout``, where there is no tie: with it, every draw is
    accounted for; ``p_<group>_below`` among draws with a tie; the bounds. Better is the lower loss,
    or the higher score. Ties are in closed form where the law has one and both have one irreducible
    loss (Zhang et al. 2024, arXiv 2402.17193, eq. 3), else by bisection of all draws at once.

    Raises
    ------
    UnknownNameError, SpecError : an input or groups that cannot be meant. RunsError : as
        `bayeslaw.posterior.predict.predict`.
    """
    law = fit.spec.law
    if over not in law.inputs:
        raise UnknownNameError("input", over, law.inputs)
    if len(between) != 2 or label(between[0]) == label(between[1]):
        raise SpecError(f"between is {between!r}, and it must be two groups.")
    if kind not in ("mean", "latent"):
        raise SpecError(f"kind is {kind!r}, and it must be 'mean' or 'latent'.")
    by = by or _column_of(fit, between)
    if by not in fit.runs.table:
        raise SpecError(f"by is {by!r}, and the runs have no such column.")
    within = law.inputs[over].within
    if by == within:
        raise SpecError(f"{over} is another input for each {by}: there is nothing to tie along.")
    if over in all_covariates(fit.spec):
        raise SpecError(
            f"A parameter of this model moves with {over}: its ties along it are not offered."
        )
    if by in (at or {}) or over in (at or {}):
        raise SpecError(f"at has {by if by in (at or {}) else over}, which is what is compared.")
    seen = fit.runs.table[over]
    if within and within in (at or {}):
        seen = seen[fit.runs.table[within].map(label) == label((at or {})[within])]
    low, high = bounds or (float(seen.min()) / BEYOND, float(seen.max()) * BEYOND)
    if not all(isinstance(end, int | float) for end in (low, high)) or not 0 < low < high < np.inf:
        raise SpecError(
            f"bounds are {low} and {high}, and they must be positive, the lower one first."
        )
    table = places(fit, at, [{over: low, by: group} for group in between], kind)
    if unseen := [
        group for group in between if label(group) not in set(fit.runs.table[by].map(label))
    ]:
        raise SpecError(
            f"between has {unseen[0]!r}, and no run has that {by}. The runs have:"
            f" {', '.join(sorted(fit.runs.table[by].map(label).unique()))}."
        )
    pair = _Pair.of(fit, table, over, kind)
    x, crossings, at_ends = pair.ties(low, high)
    if not any(end.any() for end in at_ends):
        raise SpecError(
            f"The model does not tell {label(between[0])} and {label(between[1])} apart here: give"
            " the other columns of their groups in at, as the runs have them."
        )
    names = np.array([label(group) for group in between], dtype=object)
    below, above = (
        names[((end < 0) != law.response.lower_is_better).astype(int)] for end in at_ends
    )
    none = np.isnan(x)
    attrs: dict[str, Any] = {
        "over": over,
        "by": by,
        "lower_bound": low,
        "upper_bound": high,
        "kind": kind,
        "p_crossover": float(1 - none.mean()),
    }
    for name in names:
        attrs[f"p_{name}_throughout"] = float((none & (below == name)).mean())
        attrs[f"p_{name}_below"] = (
            float((below[~none] == name).mean()) if not none.all() else float("nan")
        )
    return over_draws(
        fit, {"crossover": x, "crossings": crossings, "below": below, "above": above}, **attrs
    )


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two groups' curves along one input, all draws."""

    law: Law
    over: str
    params: tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
    inputs: tuple[dict[str, float], dict[str, float]]

    @classmethod
    def of(cls, fit: Fit, table: pd.DataFrame, over: str, kind: Kind) -> _Pair:
        posterior, law, n = (
            Posterior.of(fit, table, kind).without(over),
            fit.spec.law,
            samples_of(fit),
        )
        drawn = {
            name: np.broadcast_to(x, (n, 2)) for name, x in posterior.law_parameters(table).items()
        }
        given = law.given(table)
        first, second = (
            (
                {name: x[:, i] for name, x in drawn.items()},
                {name: float(x[i]) for name, x in given.items()},
            )
            for i in (0, 1)
        )
        return cls(law, over, (first[0], second[0]), (first[1], second[1]))

    def difference(self, x: np.ndarray) -> np.ndarray:
        """The first's response less the second's: (sample, point) for (1, point), (sample,) for
        (sample,).
        """
        deep = (slice(None), None) if x.ndim == 2 else (slice(None),)
        first, second = (
            self.law.evaluate(
                {**inputs, self.over: x}, {name: value[deep] for name, value in params.items()}
            )
            for params, inputs in zip(self.params, self.inputs, strict=True)
        )
        return np.asarray(first - second)

    def ties(
        self, low: float, high: float
    ) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """The first tie, how many there are, and the differences at both ends, each (sample,)."""
        grid = np.geomspace(low, high, TRIED)
        values = self.difference(grid[None, :])
        changes = (values[:, :-1] < 0) != (values[:, 1:] < 0)
        crossings, first = changes.sum(axis=1), changes.argmax(axis=1)
        a, b = np.log(grid[first]), np.log(grid[first + 1])
        negative = values[np.arange(len(values)), first] < 0
        a, b = bisect(
            a, b, lambda log_x: (self.difference(np.exp(log_x)) < 0) != negative, BISECTIONS
        )
        x = np.where(crossings > 0, np.exp((a + b) / 2), np.nan)
        closed = self._closed_form()
        if closed is not None:
            exact, same = closed
            x = np.where(same & (crossings > 0), exact, x)
        return x, crossings, (values[:, 0], values[:, -1])

    def _closed_form(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The tie by the law's closed form, and the draws for which it holds; None where the law
        has none.
        """
        first, second = self.params
        argument = next(
            (a for a in self.law.arguments if self.law.columns.get(a, a) == self.over), self.over
        )
        others = {
            a: self.inputs[0][self.law.columns.get(a, a)]
            for a in self.law.arguments
            if a != argument
        }
        same_inputs = all(
            self.inputs[0][name] == self.inputs[1][name]
            for name in self.inputs[0]
            if name != self.over
        )
        with np.errstate(all="ignore"):  # equal exponents tie nowhere
            exact = (
                self.law.tie(over=argument, first=first, second=second, **others)
                if same_inputs
                else None
            )
        if exact is None or "E" not in first:
            return None
        return np.asarray(exact), abs(first["E"] - second["E"]) <= SAME * first["E"]


def _column_of(fit: Fit, between: Sequence[Any]) -> str:
    """The grouping column that has both groups."""
    found = [
        name
        for name in fit.runs.groups
        if {label(group) for group in between} <= set(fit.runs.table[name].map(label))
    ]
    if len(found) != 1:
        known = "; ".join(
            f"{name}: {', '.join(sorted(fit.runs.table[name].map(label).unique())[:6])}"
            for name in fit.runs.groups
        )
        raise SpecError(
            f"between is {tuple(between)!r}, and"
            f" {'several columns have' if found else 'no grouping column has'} both; say which"
            f" (by). The runs have {known or 'none'}."
        )
    return found[0]
