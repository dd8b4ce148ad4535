"""Which input pays most for the same money: larger model, more pretraining, more finetuning data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.errors import SpecError, UnknownNameError
from bayeslaw.posterior import Kind, Posterior
from bayeslaw.predict import check_table, quantiles_of
from bayeslaw.runs import label
from bayeslaw.spec import all_covariates, columns_of

if TYPE_CHECKING:
    from bayeslaw.fit import Fit


def which_pays(
    fit: Fit, at: Mapping[str, Any], times: float | Mapping[str, float] = 2.0, *, kind: Kind = "mean", probs: Sequence[float] = defaults.PROBS
) -> pd.DataFrame:  # fmt: skip
    """Which input pays most when each is multiplied by what the same money buys: a row an input.

    Parameters
    ----------
    fit : the posterior, of a law of several inputs; or of `finetuning_factors`, where the factors are inputs of their own.
    at : where one stands: every input, and grouping columns. For `finetuning_factors` the size of each factor to compare, by its name:
        ``{"model_size": 1e9, "pretraining_data": 1e11, "finetuning_data": 1e5, "task": ...}``.
    times : by how much the same compute multiplies each input; a number for all. Training compute is 6 N D, so that doubling the model size costs
        what doubling its pretraining data does; for finetuning data say what that sum buys, ``{"model_size": 2, "pretraining_data": 2, "finetuning_data": 40}``.
    kind : "mean" or "latent", as in `crossover`.
    probs : probabilities of the intervals.

    Returns
    -------
    DataFrame: ``input``, ``times``; ``gain``, how much better the response is for it (mean over the draws), with its median and bands; ``p_best``, the probability that
    it pays most; ``converged``.

    Raises
    ------
    SpecError : fewer than two inputs to compare, or a factor of at most 1. RunsError : as `bayeslaw.predict.predict`.
    """
    law = fit.spec.law
    within = next((name for name, spec in law.inputs.items() if spec.within), None)
    chooser = law.inputs[within].within if within else ""
    levels = [name for name in sorted(fit.runs.table[chooser].map(label).unique()) if name in at] if within else []
    inputs = [*levels, *(name for name in law.inputs if name != within)]
    by = {name: float(times) for name in inputs} if isinstance(times, int | float) else dict(times)
    if unknown := [name for name in by if name not in inputs]:
        raise UnknownNameError("input to multiply", unknown[0], inputs)
    if len(by) < 2 or (bad := [name for name, factor in by.items() if not (np.isfinite(factor) and factor > 1)]):
        raise SpecError(f"times is {times!r}: give a factor above 1 for two inputs or more." + (f" {bad[0]} has {by[bad[0]]}." if len(by) >= 2 else ""))
    open_groups = dict.fromkeys(c for c in columns_of(fit.spec) if c not in (*all_covariates(fit.spec), *law.choosers))
    base = {**open_groups, **{name: value for name, value in at.items() if name not in levels}}
    gains = {}
    for name, factor in by.items():
        here = base
        if within is not None:  # finetuning data is multiplied in the sweep of the first factor: beta and E are the same in all
            own = name if name in levels else levels[0]
            here = {**base, chooser: own, within: at[own]}
        moved = str(within) if name in levels else name
        table = check_table(fit, pd.DataFrame([here, {**here, moved: here[moved] * factor}]), kind)
        values = law.response.link.inverse(Posterior.of(fit, table, kind).located(table))
        better = values[:, 0] - values[:, 1]
        gains[name] = better if law.response.scale == "log" else -better
    drawn = np.column_stack(list(gains.values()))
    best = np.bincount(drawn.argmax(axis=1), minlength=len(gains)) / len(drawn)
    bands = quantiles_of(drawn, probs)
    found = pd.DataFrame({"input": list(gains), "times": list(by.values()), "gain": bands.pop("mean"), **bands, "p_best": best})
    return found.assign(converged=fit.convergence.passed)
