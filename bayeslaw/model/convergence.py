"""Sample until the chains converge: the diagnostics, and the remedies when they fail."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import replace

import arviz_stats
import numpy as np
import xarray as xr

from bayeslaw.defaults import PILOT_CHAINS, PILOT_DRAWS, PILOT_TUNE, TARGET_ACCEPT_CAREFUL
from bayeslaw.model.build import CENTRING
from bayeslaw.model.sampling import Compiled, Data
from bayeslaw.posterior.draws import Convergence
from bayeslaw.spec.settings import SamplerSettings


def converge(
    compiled: Compiled, settings: SamplerSettings, data: Data | None = None
) -> tuple[Convergence, xr.DataTree]:
    """Sample until the chains converge or the attempts are used up.

    The remedies after a failed attempt: a smaller step, if there were divergences; twice the tuning
    and draws, and group effects centred again by the draws of that attempt, if the chains disagree;
    both, if both happened.

    Parameters
    ----------
    compiled : the model.
    settings : those of the first attempt.
    data : as for `Compiled.sample`.

    Returns
    -------
    The convergence of the best attempt, whose ``attempts`` lists what was tried; and its draws.
    """
    has_groups = CENTRING in compiled.model
    data = dict(data or {})
    centring = compiled.pilot(_short(settings), data) if has_groups else {}
    attempts: list[tuple[Convergence, xr.DataTree]] = []
    history: list[str] = []
    action = "as asked"
    while True:
        drawn = compiled.draw(settings, data | centring)
        tree = compiled.finished(drawn, data)
        reached = convergence(tree, compiled.pinned)
        attempts.append((reached, tree))
        history.append(f"{action}: {reached}")
        if reached.passed or len(attempts) == settings.attempts:
            best, tree = min(attempts, key=lambda attempt: attempt[0].badness)
            return replace(best, attempts=tuple(history)), tree
        remedies = []
        if reached.divergences and settings.target_accept < TARGET_ACCEPT_CAREFUL:
            settings = replace(settings, target_accept=TARGET_ACCEPT_CAREFUL)
            remedies.append(f"target_accept {TARGET_ACCEPT_CAREFUL}")
        if not reached.mixed or not remedies:
            settings = replace(settings, tune=2 * settings.tune, draws=2 * settings.draws)
            remedies.append("twice the tuning and draws")
            if has_groups:
                centring = compiled.centring(drawn, centring[CENTRING])
                remedies.append("group effects centred anew by these draws")
        action = ", ".join(remedies)


def _short(settings: SamplerSettings) -> SamplerSettings:
    """The settings of the first, short pilot."""
    return replace(
        settings,
        tune=min(PILOT_TUNE, max(200, settings.tune // 2)),
        draws=min(PILOT_DRAWS, max(100, settings.draws // 2)),
        chains=PILOT_CHAINS,
    )


def convergence(tree: xr.DataTree, pinned: Collection[str] = ()) -> Convergence:
    """The worst R-hat and effective sample sizes over all variables, and the divergences.

    A diagnostic that is not finite for any element of a variable is the worst there is: it is NaN,
    and fails. So it is with one chain, with fewer than 4 draws, and with a variable that is stuck.

    Parameters
    ----------
    tree : from `Compiled.sample`.
    pinned : variables that have one value by the model, and are not judged: `Compiled.pinned`.

    References
    ----------
    Vehtari et al. 2021, arXiv 1903.08008.
    """
    posterior = tree["posterior"].to_dataset()
    posterior = posterior.drop_vars([name for name in pinned if name in posterior])
    # Draws that are stuck or too few are reported by the diagnostics themselves.
    with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        rhat, rhat_variable = _worst(arviz_stats.rhat(posterior), largest=True)
        bulk, bulk_variable = _worst(arviz_stats.ess(posterior, method="bulk"), largest=False)
        tail, tail_variable = _worst(arviz_stats.ess(posterior, method="tail"), largest=False)
    divergences = int(tree["sample_stats"]["diverging"].sum())
    return Convergence(rhat, rhat_variable, bulk, bulk_variable, tail, tail_variable, divergences)


def _worst(diagnostic: xr.Dataset, *, largest: bool) -> tuple[float, str]:
    """The worst value of a diagnostic, and the variable that has it; NaN is worse than any."""
    worst, variable = float("nan"), ""
    for name, values in diagnostic.data_vars.items():
        if not np.isfinite(values.values).all():
            return float("nan"), str(name)
        extreme = float(values.max() if largest else values.min())
        if not variable or (extreme > worst if largest else extreme < worst):
            worst, variable = extreme, str(name)
    return worst, variable
