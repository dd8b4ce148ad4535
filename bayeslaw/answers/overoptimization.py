"""Where the score of a law of over-optimisation peaks, in a table; and how far the proxy has run
ahead of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.errors import SpecError
from bayeslaw.posterior.parameters import samples_of
from bayeslaw.posterior.predict import Points, intervals_of, predict
from bayeslaw.posterior.quantities import group_table, quantity
from bayeslaw.runs.table import label, numbers_where_they_are
from bayeslaw.spec.spec import law_group_columns

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.fitting import Fit

#: A peak beyond this many times the largest KL of the group's runs is out of reach: nobody has seen
#: a curve hold so far.
REACH = 10.0


def peaks(
    fit: Fit,
    probs: Sequence[float] = defaults.PROBS,
    *,
    reach: float | None = None,
    current_kl: float | None = None,
    method: str | None = None,
) -> pd.DataFrame:
    """Where the gold score peaks, how high, and how likely there is a peak within reach: a row a
    group.

    Parameters
    ----------
    fit : of a law of over-optimisation.
    probs : probabilities of the equal-tailed intervals.
    reach : KL in nats beyond which a peak counts as none. None: `REACH` times the largest KL of the
        group's runs.
    current_kl : adds how likely the peak is behind this KL, how far away it is, and what was given
        up since.
    method : "bon" or "rl", for a law of both. None: both, a row each.

    Returns
    -------
    DataFrame: the grouping columns; ``runs``, how many of them the group has (with 0, its peak is
    the prior's and the other groups'); ``kl_peak``, ``d_peak``, ``score_peak`` and, for best-of-n,
    ``n_peak``: the median, and ``lower_90_kl_peak`` and the like; ``no_peak_below``, the reach, and
    ``p_no_peak``. Every draw counts: one whose peak is out of reach is a large KL among the others,
    and infinite where a float cannot hold it. With ``current_kl`` also ``p_past_peak``, ``kl_gap``
    with its intervals, and ``overoptimization_loss``, its mean. ``converged``.

    Raises
    ------
    SpecError : the law has no peak; a reach or a KL that is not positive; a method that it does not
        have.
    """
    law = fit.spec.law
    suffixes = [
        name.removeprefix("kl_peak") for name in law.quantities if name.startswith("kl_peak")
    ]
    if not suffixes:
        raise SpecError(
            f"{law.name} has no closed form of a peak without inputs. Laws that have:"
            " overoptimization_bon, overoptimization_rl and their kin."
        )
    if method is not None and f"_{method}" not in suffixes:
        raise SpecError(
            f"method is {method!r}; {law.name} has"
            f" {', '.join(s.strip('_') for s in suffixes if s) or 'one method'}."
        )
    for name, value in (("reach", reach), ("current_kl", current_kl)):
        if value is not None and not (np.isfinite(value) and value > 0):
            raise SpecError(f"{name} is {value}, and it must be a positive KL in nats.")
    parts = [
        _table(fit, suffix, probs, reach, current_kl)
        for suffix in suffixes
        if method is None or suffix == f"_{method}"
    ]
    found = pd.concat(parts, ignore_index=True).assign(converged=fit.convergence.passed)
    columns = list(law_group_columns(fit.spec))
    found = found.assign(**{name: numbers_where_they_are(found[name]) for name in columns})
    return (
        found.sort_values([*(["method"] if "method" in found else []), *columns], ignore_index=True)
        if columns
        else found
    )


def _table(
    fit: Fit, suffix: str, probs: Sequence[float], reach: float | None, current_kl: float | None
) -> pd.DataFrame:
    found = group_table(fit)
    if suffix:
        found = found.assign(method=suffix.strip("_"))
    runs = [
        _runs_of(fit, row[[*law_group_columns(fit.spec), *(["method"] if suffix else [])]])
        for _, row in found.iterrows()
    ]
    found = found.assign(runs=[len(own) for own in runs])
    # Where a group has no runs of the method, others of the method say how far curves were seen.
    seen = _runs_of(fit, pd.Series({"method": suffix.strip("_")} if suffix else {}, dtype=object))
    limit = np.array(
        [
            reach
            or REACH
            * float(next(some for some in (own, seen, fit.runs.table) if len(some))["kl"].max())
            for own in runs
        ]
    )
    names = [
        name
        for name in ("kl_peak", "d_peak", "score_peak", "n_peak")
        if f"{name}{suffix}" in fit.spec.law.quantities
    ]
    drawn = {name: _draws(fit, name + suffix) for name in names}
    for name, values in drawn.items():
        found = found.assign(**intervals_of(name, values, probs))
    found = found.assign(no_peak_below=limit, p_no_peak=(drawn["kl_peak"] > limit).mean(axis=0))
    if current_kl is not None:
        gap = _draws(fit, f"kl_gap{suffix}", kl=current_kl)
        lost = _draws(fit, f"overoptimization_loss{suffix}", kl=current_kl)
        found = found.assign(
            current_kl=current_kl,
            p_past_peak=(gap < 0).mean(axis=0),
            **intervals_of("kl_gap", gap, probs),
            overoptimization_loss=lost.mean(axis=0),
        )
    return found


def _draws(fit: Fit, name: str, **at: float) -> np.ndarray:
    """(sample, group)."""
    return quantity(fit, name, **at).values.reshape(samples_of(fit), -1)


def _runs_of(fit: Fit, group: pd.Series) -> pd.DataFrame:
    """The runs of a group, by the labels of its columns."""
    table = fit.runs.table
    return table[
        np.logical_and.reduce(
            [
                np.full(len(table), True),
                *(table[str(name)].map(label) == label(value) for name, value in group.items()),
            ]
        )
    ]


def proxy_gold_gap(gold: Fit, proxy: Fit, points: Points) -> xr.DataArray:
    """Proxy less gold score at points, over the draws, (chain, draw, point): how far the proxy has
    run ahead.

    The two fits are independent: their draws are paired as they come, so both need as many chains
    and draws.

    Parameters
    ----------
    gold, proxy : fits of a law of the gold score and of the proxy score, in one unit.
    points : as in `bayeslaw.posterior.predict.predict`, for both laws.

    Raises
    ------
    SpecError : other responses, or other numbers of draws. As `bayeslaw.posterior.predict.predict` for the
        rest.
    """
    responses = (gold.spec.law.response.name, proxy.spec.law.response.name)
    if responses != ("gold_score", "proxy_score"):
        raise SpecError(
            "proxy_gold_gap needs a fit of gold_score and one of proxy_score; it was given"
            f" {' and '.join(responses)}."
        )
    ours, theirs = predict(gold, points, "mean"), predict(proxy, points, "mean")
    if ours.shape != theirs.shape:
        raise SpecError(
            f"The fits have {ours.shape[:2]} and {theirs.shape[:2]} (chains, draws): fit both with"
            " the same numbers."
        )
    gap = theirs.copy(data=theirs.values - ours.values).rename("proxy_gold_gap")
    return gap.assign_attrs(converged=int(ours.attrs["converged"] and theirs.attrs["converged"]))
