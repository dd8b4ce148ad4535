"""The loss by model size and data, over the draws, and its minima: the least loss at a budget of
compute, or the least compute for a loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw.answers.roots import bisect, smallest_minimum
from bayeslaw.errors import SpecError
from bayeslaw.laws.base import Law
from bayeslaw.posterior.discrepancy import ExpectedByInput
from bayeslaw.posterior.parameters import Parameters
from bayeslaw.posterior.points import LEAVE_OUT, points_of_design, warn_of_new_groups
from bayeslaw.runs.arguments import as_mapping
from bayeslaw.runs.columns import TRAINING, tokens_of
from bayeslaw.runs.table import Runs
from bayeslaw.spec.design import Design

if TYPE_CHECKING:
    from bayeslaw.posterior.draws import Draws

#: FLOP of inference per parameter and token.
INFERENCE = 2.0
#: Model sizes and data sizes among which is searched, where nothing else bounds them.
SMALLEST, LARGEST = 1e3, 1e20


def require_split(design: Design) -> None:
    """Raise SpecError unless the law splits compute between model size and data, and no parameter
    of the model varies with either.

    >>> require_split(fit.design)
    """
    require_sizes(design.law)
    if varying := {"model_size", "data_size"}.intersection(design.numeric_columns):
        raise SpecError(
            f"A parameter of this model varies with {min(varying)}, so that the law's optimum is"
            " not the model's: the split of compute is not offered."
        )


def require_sizes(law: Law) -> None:
    """Raise SpecError unless a law is one of model size and data size.

    >>> require_sizes(bl.law("chinchilla"))
    """
    if not {"model_size", "data_size"} <= set(law.inputs):
        raise SpecError(
            f"{law.name} is not a law of model_size and data_size: there is no compute to"
            " split. Laws that are: chinchilla, skaling, kaplan, data_constrained."
        )


def group_of(design: Design, runs: Runs, at: Mapping[str, Any] | None) -> pd.DataFrame:
    """The group whose compute is split, as a checked table of one point.

    Raises
    ------
    SpecError : ``at`` has a size, which is solved for, or what neither the model nor the runs have.
    RunsError : as `bayeslaw.posterior.points.checked_points`.
    """
    if taken := {"model_size", "data_size"} & set(at or {}):
        names = ", ".join(sorted(taken))
        raise SpecError(f"at has {names}, which this call solves for: leave it out.", key="at")
    # at a size that no run had: the deviation of a checkpoint is not the law's
    return points_of_design(design, runs, at, [{"model_size": 1.0, "data_size": 1.0}])


@dataclass(frozen=True, slots=True)
class LossCurve:
    """The loss of one group by model size and data, all draws.

    Attributes
    ----------
    evaluate : the loss by size and data: numbers, (sample,), or (sample or 1, size).
    closed_form : the optimal size by the product of size and data; None where the law has no closed
        form.
    samples : how many draws there are.
    """

    evaluate: Callable[[Any, Any], Any]
    closed_form: Callable[[Any], Any]
    samples: int

    @classmethod
    def of(cls, fit: Draws, at: Mapping[str, Any] | None) -> LossCurve:
        """The expected loss (kind "mean") of the group that ``at`` names."""
        law = fit.spec.law
        require_split(fit.design)
        warn_of_new_groups(fit, pd.DataFrame([as_mapping(at, "at")]), LEAVE_OUT)
        table = group_of(fit.design, fit.runs, at)
        drawn = Parameters.at(fit, table, "mean").of_law(table)
        params = {name: x[:, 0] for name, x in drawn.items()}
        given = {name: float(x[0]) for name, x in law.given(table).items()}
        link = law.response.link
        departs = fit.spec.discrepancy.changes_the_curve
        discrepancy = ExpectedByInput.of(fit, table) if departs else None

        def evaluate(size: Any, data: Any) -> Any:
            many = np.ndim(size) > 1 or np.ndim(data) > 1
            values = {name: x[:, None] if many else x for name, x in params.items()}
            inputs = {**given, "model_size": size, "data_size": data}
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                loss = law.evaluate(inputs, values)
                if discrepancy is None:
                    return loss
                return link.inverse(link.forward(loss) + discrepancy.at(inputs))

        def closed_form(product: Any) -> Any:
            # The law's optimum is that of the loss where nothing is added to the law.
            return None if departs else law.optimal_size(product=product, **params)

        return cls(evaluate, closed_form, fit.samples)

    def __len__(self) -> int:
        return self.samples

    def loss(self, size: Any, data: Any) -> np.ndarray:
        """The loss, (sample,), of numbers or of one value a draw."""
        return np.broadcast_to(self.evaluate(size, data), self.samples)

    def optimum(self, compute: Any, inference_tokens: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Model size and data of the least loss at a budget, or at one budget a draw; NaN where the
        optimum is not between `SMALLEST` and `LARGEST`.
        """
        if not inference_tokens and (size := self.closed_form(compute / TRAINING)) is not None:
            size = np.broadcast_to(size, self.samples)
            data = tokens_of(compute, size)
            inside = (np.minimum(size, data) >= SMALLEST) & (np.maximum(size, data) <= LARGEST)
            return np.where(inside, size, np.nan), np.where(inside, data, np.nan)
        return self._optimum_by_search(compute, inference_tokens)

    def _optimum_by_search(
        self, compute: Any, inference_tokens: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """`optimum` by golden section in the logarithm of the model size."""

        def data_of(size: np.ndarray) -> np.ndarray:
            budget = compute[:, None] if np.ndim(compute) and size.ndim == 2 else compute
            return np.asarray(tokens_of(budget, size) - INFERENCE / TRAINING * inference_tokens)

        def loss(log_size: np.ndarray) -> np.ndarray:
            size = np.exp(log_size)
            data = data_of(size)
            return np.where(data > 0, self.evaluate(size, np.where(data > 0, data, 1.0)), np.inf)

        least_per_parameter = TRAINING * SMALLEST + INFERENCE * inference_tokens
        largest = min(float(np.max(compute)) / least_per_parameter, LARGEST)
        if largest <= SMALLEST:
            return np.full(self.samples, np.nan), np.full(self.samples, np.nan)
        ends = np.log(SMALLEST), np.log(largest)
        size = np.exp(smallest_minimum(loss, *ends, self.samples))
        return size, data_of(size)

    def cheapest(
        self, target: float, inference_tokens: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Model size and data of the least total compute that reaches a loss; NaN where no size
        and data do.
        """

        def log_cost(log_size: np.ndarray) -> np.ndarray:
            size = np.exp(log_size)
            of_draws = np.broadcast_to(size, (self.samples, *size.shape[1:]))
            data = self.data_for(target, of_draws)
            return np.asarray(np.log(size) + np.log(TRAINING * data + INFERENCE * inference_tokens))

        ends = np.log(SMALLEST), np.log(LARGEST)
        size = np.exp(smallest_minimum(log_cost, *ends, self.samples))
        return size, self.data_for(target, size)

    def data_for(self, target: float | np.ndarray, size: np.ndarray) -> np.ndarray:
        """The data at which each size reaches a loss, by bisection in the logarithm; infinite where
        it never does.
        """

        def reached(log_data: np.ndarray) -> np.ndarray:
            return np.asarray(self.evaluate(size, np.exp(log_data)) <= target)

        never = ~(self.evaluate(size, LARGEST) <= target)
        ends = np.full(size.shape, np.log(SMALLEST)), np.full(size.shape, np.log(LARGEST))
        _, log_data = bisect(*ends, reached, 52)
        data = np.where(never, np.inf, np.exp(log_data))
        return np.where(np.isnan(size), np.nan, data)

    def least_compute(self, loss: np.ndarray, compute: float) -> np.ndarray:
        """The least training compute that reaches a loss, one loss a draw; ``compute`` is enough to
        reach it.
        """

        def reached(log_compute: np.ndarray) -> np.ndarray:
            return np.asarray(self.loss(*self.optimum(np.exp(log_compute))) <= loss)

        log_most = np.log(compute)
        ends = np.full(self.samples, log_most - 40.0), np.full(self.samples, log_most)
        _, log_compute = bisect(*ends, reached, 36)
        return np.asarray(np.exp(log_compute))
