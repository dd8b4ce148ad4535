"""Which input pays most for the same money: larger model, more pretraining or finetuning data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.decisions.utility import p_best
from bayeslaw.errors import SpecError, UnknownNameError
from bayeslaw.laws.tuning import TUNED
from bayeslaw.posterior.bands import summaries_of
from bayeslaw.posterior.draws import Kind, require_kind
from bayeslaw.posterior.points import points_at
from bayeslaw.posterior.predict import along
from bayeslaw.text import label

if TYPE_CHECKING:
    from bayeslaw.posterior.draws import Draws


def which_pays(
    fit: Draws,
    at: Mapping[str, Any],
    times: float | Mapping[str, float] = 2.0,
    *,
    kind: Kind = "mean",
    probs: Sequence[float] = defaults.PROBS,
) -> pd.DataFrame:
    """Which input pays most when each is multiplied by what the same money buys: a row an input.

    Parameters
    ----------
    fit : the posterior, of a law of several inputs; or of `finetuning_factors`, where the factors
        are inputs of their own.
    at : the present values: every input, and grouping columns. For `finetuning_factors` the size of
        each factor to compare, by its name: ``{"model_size": 1e9, "pretraining_data": 1e11,
        "finetuning_data": 1e5, "task": ...}``.
    times : by how much the same compute multiplies each input; one number for all that are bought
        (a learning rate is not). Training compute is 6 N D: to double the model size costs as much
        as to double its pretraining data. For finetuning data say what the same sum buys,
        ``{"model_size": 2, "pretraining_data": 2, "finetuning_data": 40}``.
    kind : "mean" or "latent", as in `bayeslaw.crossover`.
    probs : probabilities of the intervals.

    Returns
    -------
    DataFrame: ``input``, ``times``; ``gain``, by how much the multiplied input improves the
    response by the law (mean over the draws, and over sweeps where there are several factors), with
    its median and bands; ``p_best``, the probability that it pays most; ``converged``.

    Raises
    ------
    SpecError : fewer than two inputs to compare, or a factor of at most 1. RunsError : as
        `bayeslaw.posterior.predict.predict`.

    Examples
    --------
    >>> bl.which_pays(fit, {"model_size": 1e9, "data_size": 1e11})[["input", "gain", "p_best"]]
    """
    require_kind(kind, ("mean", "latent"))
    swept = _swept_input(fit)
    factors = _factors(fit, swept, at) if swept else []
    inputs = [*factors, *(name for name in fit.law.inputs if name != swept)]
    multiplied = _multiplied(inputs, times)
    shared = {name: value for name, value in at.items() if name not in factors}
    gains = {}
    for name, factor in multiplied.items():
        # The laws of the factors differ in A and alpha: what is no factor itself is multiplied in
        # the sweep of each factor, and its gain is the mean.
        of_sweeps = [name] if name in factors else factors
        moved = str(swept) if name in factors else name
        gains[name] = np.mean(
            [
                _gain(fit, shared, sweep, moved, factor, kind)
                for sweep in _sweeps(fit, swept, of_sweeps, at)
            ],
            axis=0,
        )
    drawn = np.column_stack(list(gains.values()))
    bands = summaries_of(drawn, probs)
    mean = bands.pop("mean")
    table = pd.DataFrame({"input": list(gains), "times": list(multiplied.values()), "gain": mean})
    return table.assign(**bands, p_best=p_best(drawn), converged=fit.convergence.passed)


def _swept_input(fit: Draws) -> str | None:
    """The input that is the size of one factor or another, as another column says (its selector);
    None where every input is one thing."""
    return next((name for name, spec in fit.law.inputs.items() if spec.selector), None)


def _factors(fit: Draws, swept: str, at: Mapping[str, Any]) -> list[str]:
    """The factors whose sizes ``at`` gives.

    Raises
    ------
    SpecError : it gives none.
    """
    selector = fit.law.inputs[swept].selector
    known = sorted(fit.runs.table[selector].map(label).unique())
    given = [name for name in known if name in at]
    if not given:
        raise SpecError(
            f"at must give the size of each factor to compare by its name: {', '.join(known)}.",
            key="at",
        )
    return given


def _multiplied(inputs: Sequence[str], times: float | Mapping[str, float]) -> dict[str, float]:
    """By how much each input is multiplied.

    Raises
    ------
    SpecError : fewer than two inputs, an input that is not known, a factor of at most 1.
    """
    if isinstance(times, Mapping):
        by_input = {str(name): float(factor) for name, factor in times.items()}
    else:
        bought = [name for name in inputs if name not in TUNED]
        by_input = dict.fromkeys(bought, float(times))
    if unknown := [name for name in by_input if name not in inputs]:
        raise UnknownNameError("input to multiply", unknown[0], inputs, key="times")
    needed = f"times is {times!r}: give a factor above 1 for two inputs or more."
    if len(by_input) < 2:
        raise SpecError(needed, key="times")
    for name, factor in by_input.items():
        if not (np.isfinite(factor) and factor > 1):
            raise SpecError(f"{needed} {name} has {factor}.", key="times")
    return by_input


def _sweeps(
    fit: Draws, swept: str | None, factors: Sequence[str], at: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The columns that say which factor is swept, and its size, for each of the factors; one empty
    sweep where every input is one thing."""
    if swept is None:
        return [{}]
    selector = fit.law.inputs[swept].selector
    return [{selector: factor, swept: at[factor]} for factor in factors]


def _gain(
    fit: Draws,
    shared: Mapping[str, Any],
    sweep: Mapping[str, Any],
    moved: str,
    factor: float,
    kind: Kind,
) -> np.ndarray:
    """By how much the response improves where one input is multiplied, (sample,), without what
    single values of that input have of their own.
    """
    before = points_at(fit, shared, [sweep])
    after = before.assign(**{moved: before[moved] * factor})
    table = points_at(fit, None, [*before.to_dict("records"), *after.to_dict("records")])
    values = along(fit, table, kind, moved)
    decrease = values[:, 0] - values[:, 1]
    return np.asarray(decrease if fit.law.response.lower_is_better else -decrease)
