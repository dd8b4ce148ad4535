r"""How to split compute between model and data, over the draws: the optimum, what lies off it, and
the contours around it.

Training on D tokens costs :math:`6 N D` FLOP and answering with T tokens :math:`2 N T` (Kaplan et
al. 2020, section 2.1). The optimum is

.. math:: \min_N L(N, D), \quad 6 N D + 2 N T = C \qquad \text{or} \qquad \min_N 6 N D + 2 N T, \quad L(N, D) = L^*

in closed form where the law has one and T = 0 (`bayeslaw.laws.base.Law.optimal_size`), else by
golden section in log N, all draws at once.

References
----------
Hoffmann et al. 2022, arXiv 2203.15556, eq. 4. Sardana et al. 2024, arXiv 2401.00448, eq. 2:
inference tokens in the budget.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.answers.roots import bisect
from bayeslaw.errors import SpecError
from bayeslaw.posterior.bands import intervals_of, summaries_of
from bayeslaw.posterior.draws import DIMS
from bayeslaw.posterior.parameters import Parameters
from bayeslaw.posterior.points import Points, grid, points_at
from bayeslaw.runs.columns import TRAINING, tokens_of
from bayeslaw.spec.design import Design

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.posterior.draws import Draws

#: FLOP of inference per parameter and token.
INFERENCE = 2.0
#: Sizes that are tried before the golden section, evenly in the logarithm, and its steps: each
#: leaves .618 of the interval, .2 decades at first.
TRIED, STEPS = 129, 45
#: Model sizes and data sizes looked at, where nothing else bounds them.
SMALLEST, LARGEST = 1e3, 1e20
GOLDEN = (5**0.5 - 1) / 2
#: Relative differences of loss that count as none.
FLAT = 1e-13


def allocate(
    fit: Draws,
    compute: float | Sequence[float] | None = None,
    *,
    target: float | Sequence[float] | None = None,
    inference_tokens: float = 0.0,
    at: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """The compute-optimal model size and data, over the draws.

    Parameters
    ----------
    fit : of a law of model_size and data_size.
    compute : the whole budget in FLOP, of training and inference; or
    target : the loss to reach, at the least compute.
    inference_tokens : T, tokens that the model is expected to answer with in its life: a smaller
        model, trained longer, is then cheaper.
    at : other inputs of the law (``unique_data``) and grouping columns; a grouping column that is
        left out is a group never seen.

    Returns
    -------
    Dataset, dims (chain, draw), and compute or target where several were given: ``model_size``
    (parameters), ``data_size`` (tokens), ``loss`` (the law's curve, kind "mean"),
    ``training_compute``, ``total_compute`` (FLOP), ``tokens_per_parameter``. NaN in draws without
    an optimum inside 1e3 to 1e20 parameters and tokens, such as a target below the irreducible
    loss: the attribute ``p_none`` says how likely that is (largest over the budgets).

    Raises
    ------
    SpecError : a law without these inputs; neither or both of compute and target; a value that is
        not positive. RunsError : as `bayeslaw.posterior.predict.predict`.
    """
    curve = _Curve.of(fit, at)
    asked: Any
    name, asked = ("compute", compute) if target is None else ("target", target)
    if (compute is None) == (target is None):
        raise SpecError("allocate needs one of compute (FLOP) and target (loss).")
    values = pd.to_numeric(pd.Series(np.atleast_1d(asked).ravel()), errors="coerce").to_numpy(float)
    if np.ndim(asked) > 1 or not (np.isfinite(values).all() and (values > 0).all() and len(values)):
        raise SpecError(f"{name} is {asked}, and it must be a positive number, or several.")
    if not (
        isinstance(inference_tokens, int | float)
        and np.isfinite(inference_tokens)
        and inference_tokens >= 0
    ):
        raise SpecError(
            f"inference_tokens is {inference_tokens}, and it must be a number of at least 0."
        )
    found = []
    for value in values:
        size, data = (
            curve.optimum(float(value), inference_tokens)
            if target is None
            else curve.cheapest(float(value), inference_tokens)
        )
        training = TRAINING * size * data
        found.append(
            {
                "model_size": size,
                "data_size": data,
                "loss": curve.loss(size, data),
                "training_compute": training,
                "total_compute": training + INFERENCE * size * inference_tokens,
                "tokens_per_parameter": data / size,
            }
        )
    none = max(float(np.isnan(one["model_size"]).mean()) for one in found)
    variables = {key: np.stack([one[key] for one in found], axis=-1) for key in found[0]}
    allocated = fit.dataset(
        variables, [name], {name: values}, p_none=none, inference_tokens=inference_tokens
    )
    return allocated if np.ndim(asked) else allocated.isel({name: 0})


def allocation_penalty(
    fit: Draws,
    points: Points,
    *,
    at: Mapping[str, Any] | None = None,
    probs: Sequence[float] = defaults.PROBS,
) -> pd.DataFrame:
    """What a choice of model size and data gives up against the best split of the same training
    compute.

    Parameters
    ----------
    points : ``model_size`` and ``data_size`` (or ``compute``), a row or a product of values, as
        `bayeslaw.posterior.predict.predict` takes them.
    at, probs : as in `allocate`; probabilities of the intervals.

    Returns
    -------
    DataFrame, a row a point: ``compute``, ``p_none`` (how likely there is no optimum to compare
    with; the rest is of the other draws), ``loss``, ``penalty`` (its loss less the least loss for
    that compute) and ``compute_ratio`` (its compute over the least compute that reaches its loss:
    1.2 is 20 % spent for nothing, or for cheap inference), medians with ``lower_90_...`` and the
    like; and ``converged``.

    Raises
    ------
    As `allocate`.
    """
    curve, table = _Curve.of(fit, at), grid(points)
    if "data_size" not in table and {"model_size", "compute"} <= set(table):
        table = table.assign(
            data_size=tokens_of(pd.to_numeric(table["compute"]), pd.to_numeric(table["model_size"]))
        )
    _check_sizes(table)
    found = []
    for row in table.to_dict("records"):
        size, data = float(row["model_size"]), float(row["data_size"])
        compute = TRAINING * size * data
        loss = curve.loss(size, data)
        penalty = loss - curve.loss(*curve.optimum(compute))
        summaries = {
            "loss": loss,
            "penalty": penalty,
            "compute_ratio": compute / curve.least_compute(loss, compute),
        }
        none = np.isnan(penalty)
        kept = {name: x[~none] if not none.all() else x for name, x in summaries.items()}
        found.append(
            {"compute": compute, "p_none": float(none.mean())}
            | {
                key: value
                for name, drawn in kept.items()
                for key, value in intervals_of(name, drawn, probs).items()
            }
        )
    numbers = pd.DataFrame(found)
    return pd.concat(
        [table.drop(columns=[c for c in table if c in numbers]), numbers], axis=1
    ).assign(converged=fit.convergence.passed)


def isoflop(
    fit: Draws,
    compute: float,
    model_size: Sequence[float],
    *,
    at: Mapping[str, Any] | None = None,
    probs: Sequence[float] = defaults.PROBS,
) -> pd.DataFrame:
    """The loss along a budget of training compute: a row a model size, with ``data_size`` and bands
    of the law's curve (kind "mean").
    """
    curve, size = _Curve.of(fit, at), np.atleast_1d(np.asarray(model_size, dtype=float))
    data = tokens_of(compute, size)
    _check_sizes(pd.DataFrame({"model_size": size, "data_size": data}))
    bands = summaries_of(curve.evaluate(size[None, :], data[None, :]), probs)
    return pd.DataFrame(
        {"compute": compute, "model_size": size, "data_size": data, **bands}
    ).assign(converged=fit.convergence.passed)


def isoloss(
    fit: Draws,
    target: float,
    model_size: Sequence[float],
    *,
    at: Mapping[str, Any] | None = None,
    probs: Sequence[float] = defaults.PROBS,
) -> pd.DataFrame:
    """The data that each model size needs for a loss: a row a model size, with medians and
    intervals of ``data_size`` and of ``compute``.

    Data are looked for from 1e3 to 1e20 tokens. Every draw counts: one in which that size never
    reaches the loss is infinite data, and ``p_none`` says how likely that is.
    """
    curve, size = _Curve.of(fit, at), np.atleast_1d(np.asarray(model_size, dtype=float))
    if not (np.isfinite(target) and target > 0):
        raise SpecError(f"target is {target}, and it must be a positive loss.")
    _check_sizes(pd.DataFrame({"model_size": size, "data_size": 1.0}))
    data = curve.data_for(target, np.broadcast_to(size, (len(curve), len(size))))
    columns = {"p_none": np.isinf(data).mean(axis=0)}
    columns |= {
        k: v
        for name, drawn in {"data_size": data, "compute": TRAINING * size * data}.items()
        for k, v in intervals_of(name, drawn, probs).items()
    }
    return pd.DataFrame({"loss": target, "model_size": size, **columns}).assign(
        converged=fit.convergence.passed
    )


def require_split(design: Design) -> None:
    """Raise SpecError unless the law splits compute between model size and data, and nothing else
    of the model moves with them.
    """
    if not {"model_size", "data_size"} <= set(design.law.inputs):
        raise SpecError(
            f"{design.law.name} is not a law of model_size and data_size: there is no compute to"
            " split. Laws that are: chinchilla, skaling, kaplan, data_constrained."
        )
    if moving := {"model_size", "data_size"}.intersection(design.numeric_columns):
        raise SpecError(
            f"A parameter of this model moves with {min(moving)}, so that its optimum is not the"
            " law's: the split of compute is not offered."
        )


def summarised(allocated: xr.Dataset, probs: Sequence[float] = defaults.PROBS) -> pd.DataFrame:
    """What `allocate` found for several budgets or targets, a row each: the median of each
    variable, with ``lower_90_...`` and the like, of the draws that have an optimum.
    """
    (over,) = [dim for dim in allocated.dims if dim not in DIMS]
    found = {str(over): allocated[over].values}
    for name, x in allocated.transpose(*DIMS, over).data_vars.items():
        drawn = x.values.reshape(-1, x.sizes[over])
        columns = [
            intervals_of(str(name), each[~np.isnan(each)], probs) if (~np.isnan(each)).any() else {}
            for each in drawn.T
        ]
        found |= {
            column: np.array([one.get(column, np.nan) for one in columns])
            for column in dict.fromkeys(c for one in columns for c in one)
        }
    return pd.DataFrame(found).assign(p_none=allocated.attrs["p_none"])


@dataclass(frozen=True, slots=True)
class _Curve:
    """The law's curve of one group, all draws: ``evaluate(size, data)`` takes numbers, (sample,),
    or (sample or 1, size).
    """

    evaluate: Callable[[Any, Any], Any]
    closed_form: Callable[[Any], Any]
    samples: int

    @classmethod
    def of(cls, fit: Draws, at: Mapping[str, Any] | None) -> _Curve:
        law = fit.spec.law
        require_split(fit.design)
        if taken := {"model_size", "data_size"} & set(at or {}):
            raise SpecError(f"at has {', '.join(sorted(taken))}, which is what is looked for.")
        # no size that was run: a checkpoint's deviation is not the law's
        table = points_at(fit, at, [{"model_size": 1.0, "data_size": 1.0}])
        params = {
            name: x[:, 0] for name, x in Parameters.at(fit, table, "mean").of_law(table).items()
        }
        given = {name: float(x[0]) for name, x in law.given(table).items()}

        def evaluate(size: Any, data: Any) -> Any:
            deep = {
                name: x if np.ndim(size) < 2 and np.ndim(data) < 2 else x[:, None]
                for name, x in params.items()
            }
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                return law.evaluate({**given, "model_size": size, "data_size": data}, deep)

        return cls(
            evaluate, lambda product: law.optimal_size(product=product, **params), fit.samples
        )

    def __len__(self) -> int:
        return self.samples

    def loss(self, size: Any, data: Any) -> np.ndarray:
        """The loss, (sample,), of numbers or of one value a draw."""
        return np.broadcast_to(self.evaluate(size, data), self.samples)

    def optimum(self, compute: Any, inference_tokens: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Model size and data of the least loss at a budget, or at one a draw; NaN where that lies
        at an end of what is looked at.
        """
        if not inference_tokens and (size := self.closed_form(compute / TRAINING)) is not None:
            size = np.broadcast_to(size, self.samples)
            data = tokens_of(compute, size)
            inside = (np.minimum(size, data) >= SMALLEST) & (np.maximum(size, data) <= LARGEST)
            return np.where(inside, size, np.nan), np.where(inside, data, np.nan)

        def data_of(size: np.ndarray) -> np.ndarray:
            budget = compute[:, None] if np.ndim(compute) and size.ndim == 2 else compute
            return tokens_of(budget, size) - INFERENCE / TRAINING * inference_tokens

        def loss(log_size: np.ndarray) -> np.ndarray:
            size = np.exp(log_size)
            data = data_of(size)
            return np.where(data > 0, self.evaluate(size, np.where(data > 0, data, 1.0)), np.inf)

        largest = min(
            float(np.max(compute)) / (TRAINING * SMALLEST + INFERENCE * inference_tokens), LARGEST
        )
        if largest <= SMALLEST:
            return np.full(self.samples, np.nan), np.full(self.samples, np.nan)
        size = np.exp(self._least(loss, np.log(SMALLEST), np.log(largest)))
        return size, data_of(size)

    def cheapest(
        self, target: float, inference_tokens: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Model size and data of the least total compute that reaches a loss; NaN where nothing
        does.
        """

        def log_cost(log_size: np.ndarray) -> np.ndarray:
            size = np.exp(log_size)
            return np.log(size) + np.log(
                TRAINING
                * self.data_for(target, np.broadcast_to(size, (self.samples, *size.shape[1:])))
                + INFERENCE * inference_tokens
            )

        size = np.exp(self._least(log_cost, np.log(SMALLEST), np.log(LARGEST)))
        return size, self.data_for(target, size)

    def data_for(self, target: float | np.ndarray, size: np.ndarray) -> np.ndarray:
        """The data at which each size reaches a loss, by bisection in the logarithm; infinite where
        it never does.
        """
        never = ~(self.evaluate(size, LARGEST) <= target)
        ends = np.full(size.shape, np.log(SMALLEST)), np.full(size.shape, np.log(LARGEST))
        _, log_data = bisect(
            *ends, lambda log_data: self.evaluate(size, np.exp(log_data)) <= target, 52
        )
        return np.where(np.isnan(size), np.nan, np.where(never, np.inf, np.exp(log_data)))

    def least_compute(self, loss: np.ndarray, compute: float) -> np.ndarray:
        """The least training compute that reaches a loss, one a draw, which ``compute`` reaches or
        exceeds.
        """
        ends = np.full(self.samples, np.log(compute) - 40.0), np.full(self.samples, np.log(compute))
        return np.exp(
            bisect(
                *ends, lambda log_compute: self.loss(*self.optimum(np.exp(log_compute))) <= loss, 36
            )[1]
        )

    def _least(
        self, function: Callable[[np.ndarray], np.ndarray], low: float, high: float
    ) -> np.ndarray:
        """Where a function with one valley is least, (sample,); NaN where that is an end of the
        interval.

        ``function`` takes (sample, point), or (1, point) for the same points in all draws, and
        (sample,); it may be infinite.
        """
        tried = np.linspace(low, high, TRIED)
        values = np.broadcast_to(function(tried[None, :]), (self.samples, TRIED))
        best = np.where(np.isfinite(values), values, np.inf).argmin(axis=1)
        inside = (best > 0) & (best < TRIED - 1) & np.isfinite(values.min(axis=1))
        a, b = tried[best.clip(1) - 1], tried[best.clip(0, TRIED - 2) + 1]
        c, d = b - GOLDEN * (b - a), a + GOLDEN * (b - a)
        at_c, at_d = function(c), function(d)
        for _ in range(STEPS):
            left = at_c <= at_d
            a, b = np.where(left, a, c), np.where(left, d, b)
            new = np.where(left, b - GOLDEN * (b - a), a + GOLDEN * (b - a))
            at_new = function(new)
            c, d = np.where(left, new, d), np.where(left, c, new)
            at_c, at_d = np.where(left, at_new, at_d), np.where(left, at_c, at_new)
        x = (a + b) / 2
        # Where the valley is flat to rounding, as with data that are repeated for ever, the
        # smallest model of the least loss.
        enough = function(x)
        enough = enough + FLAT * abs(enough)
        _, smallest = bisect(
            np.full(self.samples, low), x, lambda log_size: function(log_size) <= enough, STEPS
        )
        return np.where(inside, smallest, np.nan)


def _check_sizes(table: pd.DataFrame) -> None:
    """Raise SpecError unless model sizes and data sizes are there and positive."""
    for name in ("model_size", "data_size"):
        if name not in table:
            raise SpecError(f"The points lack {name}.")
        numbers = pd.to_numeric(table[name], errors="coerce")
        if (bad := ~(np.isfinite(numbers) & (numbers > 0))).any():
            raise SpecError(
                f"{name} must be a positive number; it has {table[name][bad].iloc[0]!r}."
            )
