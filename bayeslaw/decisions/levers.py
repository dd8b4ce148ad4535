"""Which input pays most for the same money: larger model, more pretraining, more finetuning data."""

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
from bayeslaw.posterior.draws import Kind
from bayeslaw.posterior.parameters import Parameters
from bayeslaw.posterior.points import points_at
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
    at : where one stands: every input, and grouping columns. For `finetuning_factors` the size of
        each factor to compare, by its name: ``{"model_size": 1e9, "pretraining_data": 1e11,
        "finetuning_data": 1e5, "task": ...}``.
    times : by how much the same compute multiplies each input; a number for all that are bought
        (not for a learning rate). Training compute is 6 N D, so that doubling the model size costs
        what doubling its pretraining data does; for finetuning data say what that sum buys,
        ``{"model_size": 2, "pretraining_data": 2, "finetuning_data": 40}``.
    kind : "mean" or "latent", as in `crossover`.
    probs : probabilities of the intervals.

    Returns
    -------
    DataFrame: ``input``, ``times``; ``gain``, how much better the response is for it by the law
    (mean over the draws; for finetuning data of several factors also over their sweeps), with its
    median and bands; ``p_best``, the probability that it pays most; ``converged``.

    Raises
    ------
    SpecError : fewer than two inputs to compare, or a factor of at most 1. RunsError : as
        `bayeslaw.posterior.predict.predict`.
    """
    law = fit.spec.law
    if kind not in ("mean", "latent"):
        raise SpecError(f"kind is {kind!r}, and it must be 'mean' or 'latent'.")
    within = next((name for name, spec in law.inputs.items() if spec.selector), None)
    chooser = law.inputs[within].selector if within else ""
    factors = sorted(fit.runs.table[chooser].map(label).unique()) if within else []
    levels = [name for name in factors if name in at]
    if within and not levels:
        raise SpecError(
            f"at must give the size of each factor to compare by its name: {', '.join(factors)}."
        )
    inputs = [*levels, *(name for name in law.inputs if name != within)]
    bought = [name for name in inputs if name not in TUNED]
    by = (
        {str(name): float(factor) for name, factor in times.items()}
        if isinstance(times, Mapping)
        else dict.fromkeys(bought, float(times))
    )
    if unknown := [name for name in by if name not in inputs]:
        raise UnknownNameError("input to multiply", unknown[0], inputs)
    if len(by) < 2 or (
        bad := [name for name, factor in by.items() if not (np.isfinite(factor) and factor > 1)]
    ):
        raise SpecError(
            f"times is {times!r}: give a factor above 1 for two inputs or more."
            + (f" {bad[0]} has {by[bad[0]]}." if len(by) >= 2 else "")
        )
    shared = {name: value for name, value in at.items() if name not in levels}
    gains = {}
    for name, factor in by.items():
        # What is not a factor is multiplied in the sweep of each factor, and its gain is the mean:
        # their laws differ in A and alpha.
        sweeps = (
            [{}]
            if within is None
            else [{chooser: own, within: at[own]} for own in ([name] if name in levels else levels)]
        )
        moved = str(within) if name in levels else name
        gains[name] = np.mean(
            [_gain(fit, shared, sweep, moved, factor, kind) for sweep in sweeps], axis=0
        )
    drawn = np.column_stack(list(gains.values()))
    bands = summaries_of(drawn, probs)
    found = pd.DataFrame(
        {
            "input": list(gains),
            "times": list(by.values()),
            "gain": bands.pop("mean"),
            **bands,
            "p_best": p_best(drawn),
        }
    )
    return found.assign(converged=fit.convergence.passed)


def _gain(
    fit: Draws,
    shared: Mapping[str, Any],
    sweep: Mapping[str, Any],
    moved: str,
    factor: float,
    kind: Kind,
) -> np.ndarray:
    """How much better the response is where one input is multiplied, (sample,): by the law, without
    what single settings of it deviate by.
    """
    here = points_at(fit, shared, [sweep])
    there = here.assign(**{moved: here[moved] * factor})
    table = points_at(fit, None, [*here.to_dict("records"), *there.to_dict("records")])
    values = fit.law.response.link.inverse(
        Parameters.at(fit, table, kind).without_effects_of(moved).mu_on_link(table)
    )
    better = np.broadcast_to(values, (fit.samples, 2))[:, 0] - values[:, 1]
    return better if fit.law.response.lower_is_better else -better
