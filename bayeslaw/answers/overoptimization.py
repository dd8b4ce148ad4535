"""Over-optimisation: where the score peaks, how far the proxy has run ahead of it, and when to
stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.errors import SpecError
from bayeslaw.laws.base import Law
from bayeslaw.laws.kl import n_of_kl
from bayeslaw.posterior.bands import intervals_of
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.points import Points, checked_points
from bayeslaw.posterior.predict import along, predict
from bayeslaw.posterior.quantities import group_table, quantity
from bayeslaw.runs.arguments import is_finite
from bayeslaw.text import label, numeric_labels, shown

if TYPE_CHECKING:
    import xarray as xr

#: KLs at which the expected score is compared.
TRIED = 400
#: What `peaks` gives of each peak.
PEAK = ("kl_peak", "d_peak", "score_peak", "n_peak")
#: Where a curve is not the law's, its peak is looked for from this share of the reach on.
NEAREST = 1e-6
#: A peak beyond this many times the largest KL of the group's runs is out of reach: no run has
#: shown that the law holds so far.
REACH = 10.0


def peaks(
    fit: Draws,
    probs: Sequence[float] = defaults.PROBS,
    *,
    reach: float | None = None,
    current_kl: float | None = None,
    method: str | None = None,
) -> pd.DataFrame:
    """Where the gold score peaks, how high, and how likely there is a peak within reach: a row a
    group.

    The peak is that of the expected curve (kind "mean"): of the law, in closed form, unless the
    model has a discrepancy that changes the curve; it is then looked for within the reach.

    Parameters
    ----------
    fit : the posterior, of a law of over-optimisation.
    probs : probabilities of the equal-tailed intervals.
    reach : KL in nats beyond which a peak counts as none. None: `REACH` times the largest KL of the
        group's runs.
    current_kl : adds the probability that the peak is below this KL, how far away the peak is, and
        the score lost since the peak.
    method : "bon" or "rl", for a law of both. None: both, a row each.

    Returns
    -------
    DataFrame: the grouping columns; ``runs``, the number of runs of the group (if 0, the peak rests
    on the prior and other groups); ``kl_peak``, ``d_peak``, ``score_peak`` and, for best-of-n,
    ``n_peak``: the median, and ``lower_90_kl_peak`` and the like; ``no_peak_below``, the reach, and
    ``p_no_peak``, the probability of no peak within it. Every draw counts: a peak out of reach is a
    large KL among the others, and infinite where a float cannot hold it. With ``current_kl`` also
    ``p_past_peak``, ``kl_gap`` with its intervals, and the mean ``overoptimization_loss``.
    ``converged``.

    Raises
    ------
    SpecError : the law has no peak; a reach or a KL that is not positive; a method that the law
        does not have.

    Examples
    --------
    >>> bl.peaks(fit)[["reward_model_size", "kl_peak", "lower_90_kl_peak", "p_no_peak"]]
    """
    law = fit.law
    _check(fit, reach, current_kl, method)
    suffixes = _suffixes(law) if method is None else [f"_{method}"]
    parts = [_table(fit, suffix, probs, reach, current_kl) for suffix in suffixes]
    table = pd.concat(parts, ignore_index=True).assign(converged=fit.convergence.passed)
    columns = list(fit.design.law_group_columns)
    table = table.assign(**{name: numeric_labels(table[name]) for name in columns})
    if not columns:
        return table
    first = ["method"] if "method" in table else []
    return table.sort_values([*first, *columns], ignore_index=True)


def _suffixes(law: Law) -> list[str]:
    """What follows ``kl_peak`` in the names of the law's quantities: "" for a law of one method,
    "_bon" and "_rl" for a law of both."""
    names = [name for name in law.quantities if name.startswith("kl_peak")]
    return [name.removeprefix("kl_peak") for name in names]


def _check(fit: Draws, reach: float | None, current_kl: float | None, method: str | None) -> None:
    """Raise for what is wrong with a question of `peaks`."""
    suffixes = _suffixes(fit.law)
    if not suffixes:
        raise SpecError(
            f"{fit.law.name} has no closed form of a peak without inputs. Laws that have:"
            " overoptimization_bon, overoptimization_rl and laws like them."
        )
    if method is not None and f"_{method}" not in suffixes:
        known = ", ".join(suffix.strip("_") for suffix in suffixes if suffix)
        raise SpecError(
            f"method is {method!r}; {fit.law.name} has {known or 'one method'}.", key="method"
        )
    for name, value in (("reach", reach), ("current_kl", current_kl)):
        if value is not None and not (is_finite(value) and value > 0):
            raise SpecError(
                f"{name} is {shown(value)}, and it must be a positive KL in nats.", key=name
            )


def _table(
    fit: Draws, suffix: str, probs: Sequence[float], reach: float | None, current_kl: float | None
) -> pd.DataFrame:
    """The peaks of one method, a row a group."""
    method = {"method": suffix.strip("_")} if suffix else {}
    groups = group_table(fit).assign(**method)
    columns = [*fit.design.law_group_columns, *method]
    runs = [_runs_of(fit, row[columns].to_dict()) for _, row in groups.iterrows()]
    limit = np.array([reach or REACH * _largest_kl(fit, of_group, method) for of_group in runs])
    table = groups.assign(runs=list(map(len, runs)))
    if fit.spec.discrepancy.changes_the_curve:
        curves = [_curve_of(fit, row) for _, row in groups.iterrows()]
        drawn = _of_curves(fit, curves, limit, current_kl)
    else:
        drawn = _of_law(fit, suffix, current_kl)
    for name in PEAK:
        if f"{name}{suffix}" in fit.law.quantities:
            table = table.assign(**intervals_of(name, drawn[name], probs))
    p_no_peak = (drawn["kl_peak"] > limit).mean(axis=0)
    table = table.assign(no_peak_below=limit, p_no_peak=p_no_peak)
    if current_kl is None:
        return table
    gap, lost = drawn["kl_gap"], drawn["overoptimization_loss"]
    return table.assign(
        current_kl=current_kl,
        p_past_peak=(gap < 0).mean(axis=0),
        **intervals_of("kl_gap", gap, probs),
        overoptimization_loss=lost.mean(axis=0),
    )


def _of_law(fit: Draws, suffix: str, current_kl: float | None) -> dict[str, np.ndarray]:
    """The law's peaks in closed form, and how far they are from a KL, each (sample, group)."""
    known, at_kl = fit.law.quantities, ("kl_gap", "overoptimization_loss")
    names = [name for name in PEAK if f"{name}{suffix}" in known]
    drawn = {name: _draws(fit, name + suffix) for name in names}
    if current_kl is None:
        return drawn
    return drawn | {name: _draws(fit, name + suffix, kl=current_kl) for name in at_kl}


def _of_curves(
    fit: Draws, curves: Sequence[Mapping[str, Any]], limit: np.ndarray, current_kl: float | None
) -> dict[str, np.ndarray]:
    """The same of the expected curves, which are not the law's: their highest of `TRIED` values up
    to a limit, (group,), and a parabola through its neighbours. Infinite where the last is highest.
    """
    peaks_of_curves = []
    for columns, farthest in zip(curves, limit, strict=True):
        kl = np.geomspace(NEAREST * farthest, farthest, TRIED)
        tried = kl if current_kl is None else np.append(kl, current_kl)
        score = _expected_scores(fit, columns, tried)
        kl_peak, score_peak = _highest(np.log(kl), score[:, :TRIED])
        peak = {"kl_peak": kl_peak, "d_peak": np.sqrt(kl_peak), "score_peak": score_peak}
        peak["n_peak"] = n_of_kl(kl_peak)
        if current_kl is not None:
            gap = kl_peak - current_kl
            lost = np.where(gap < 0, score_peak - score[:, -1], 0.0)
            peak |= {"kl_gap": gap, "overoptimization_loss": lost}
        peaks_of_curves.append(peak)
    return {
        name: np.stack([peak[name] for peak in peaks_of_curves], axis=1)
        for name in peaks_of_curves[0]
    }


def _highest(log_x: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each draw of ``values``, (sample, x), is highest, and how high, each (sample,)."""
    draw, best = np.arange(len(values)), values.argmax(axis=1)
    middle = best.clip(1, len(log_x) - 2)
    left, top, right = (values[draw, middle + i] for i in (-1, 0, 1))
    inside = best == middle
    bend = np.where(inside, left - 2 * top + right, -1.0)
    shift = np.where(inside, (left - right) / (2 * bend), 0.0)
    x = np.exp(log_x[best] + shift * (log_x[1] - log_x[0]))
    highest = np.where(inside, top - (left - right) * shift / 4, values[draw, best])
    return np.where(best == len(log_x) - 1, np.inf, x), highest


def _curve_of(fit: Draws, group: pd.Series) -> dict[str, Any]:
    """The columns of a group's curve; where it has several, of one that no run had."""
    columns = [name for name in (*fit.design.law_group_columns, "method") if name in group]
    runs = _runs_of(fit, group[columns].to_dict())
    alike = [name for name in fit.spec.curve_by or () if runs[name].nunique() == 1]
    own = {name: runs[name].iloc[0] for name in alike}
    return {name: group.get(name, own.get(name)) for name in fit.design.columns}


def _expected_scores(fit: Draws, columns: Mapping[str, Any], kl: np.ndarray) -> np.ndarray:
    """The expected curve (kind "mean") at KLs, (sample, kl)."""
    points = pd.DataFrame({name: [value] * len(kl) for name, value in columns.items()} | {"kl": kl})
    return along(fit, checked_points(fit.design, fit.runs, points), "mean", "kl")


def _largest_kl(fit: Draws, of_group: pd.DataFrame, method: Mapping[str, str]) -> float:
    """The largest KL of a group's runs; if it has none, of the method's; if there are none, of all
    runs."""
    tables = (of_group, _runs_of(fit, method), fit.runs.table)
    runs = next(table for table in tables if len(table))
    return float(runs["kl"].max())


def _runs_of(fit: Draws, group: Mapping[str, Any]) -> pd.DataFrame:
    """The runs of a group, by the labels of its columns."""
    table, rows = fit.runs.table, np.full(len(fit.runs), True)
    for name, value in group.items():
        rows &= (table[name].map(label) == label(value)).to_numpy()
    return table[rows]


def _draws(fit: Draws, name: str, **at: float) -> np.ndarray:
    """A quantity of the law for each group, (sample, group)."""
    return quantity(fit, name, **at).values.reshape(fit.samples, -1)


def proxy_gold_gap(gold: Draws, proxy: Draws, points: Points) -> xr.DataArray:
    """Proxy less gold score at points, over the draws, (chain, draw, point): how far the proxy is
    ahead of the gold score.

    The two fits are independent. Their draws are paired in order, so that both need the same
    numbers of chains and draws.

    Parameters
    ----------
    gold, proxy : fits of a law of the gold score and of the proxy score, in one unit.
    points : as in `bayeslaw.posterior.predict.predict`, for both laws.

    Raises
    ------
    SpecError : other responses, or different numbers of draws. As
        `bayeslaw.posterior.predict.predict` for the rest.

    Examples
    --------
    >>> bl.proxy_gold_gap(gold_fit, proxy_fit, {"kl": [1.0, 4.0, 9.0]}).median(("chain", "draw"))
    """
    responses = (gold.spec.law.response.name, proxy.spec.law.response.name)
    if responses != ("gold_score", "proxy_score"):
        raise SpecError(
            "proxy_gold_gap needs a fit of gold_score and one of proxy_score; it was given"
            f" {' and '.join(responses)}."
        )
    of_gold, of_proxy = predict(gold, points, "mean"), predict(proxy, points, "mean")
    if of_gold.shape != of_proxy.shape:
        raise SpecError(
            f"The fits have {of_gold.shape[:2]} and {of_proxy.shape[:2]} (chains, draws): fit both"
            " with the same numbers."
        )
    gap = of_proxy.copy(data=of_proxy.values - of_gold.values).rename("proxy_gold_gap")
    converged = of_gold.attrs["converged"] and of_proxy.attrs["converged"]
    return gap.assign_attrs(converged=int(converged))


def stopping(
    fit: Draws,
    current_kl: float,
    *,
    probs: Sequence[float] = defaults.PROBS,
    reach: float | None = None,
    method: str | None = None,
) -> pd.DataFrame:
    """Whether the run is past the peak, what going on is worth, and where to stop: a row a group.

    Parameters
    ----------
    fit, probs, reach, method : as in `bayeslaw.peaks`. No KL beyond the reach is advised.
    current_kl : the KL of the run at present, nats.

    Returns
    -------
    DataFrame: what `bayeslaw.peaks` gives with ``current_kl``, and ``stop_at_kl``, the KL with the
    highest expected score, from ``current_kl`` on; ``expected_gain``, by how much that exceeds the
    expected score at ``current_kl``; and ``advice``: "stop" where the probability of being past the
    peak is at least `bayeslaw.defaults.STOP_ABOVE`, "go on" where it is at most
    `bayeslaw.defaults.GO_ON_BELOW`, else "evaluate": the runs do not say. "not converged" where the
    chains disagree.

    Raises
    ------
    As `bayeslaw.peaks`.

    Examples
    --------
    >>> bl.stopping(fit, current_kl=12.0)[["p_past_peak", "stop_at_kl", "advice"]]
    """
    table = peaks(fit, probs, reach=reach, current_kl=current_kl, method=method)
    best = [_best_kl(fit, row, current_kl) for _, row in table.iterrows()]
    past = table["p_past_peak"]
    passed = [past >= defaults.STOP_ABOVE, past <= defaults.GO_ON_BELOW]
    advice = np.select(passed, ["stop", "go on"], "evaluate")
    return table.assign(
        stop_at_kl=[kl for kl, _ in best],
        expected_gain=[gain for _, gain in best],
        advice=advice if fit.convergence.passed else "not converged",
    )


def _best_kl(fit: Draws, group: pd.Series, current_kl: float) -> tuple[float, float]:
    """The KL with the highest expected score, from ``current_kl`` on, and by how much that score
    exceeds the one at ``current_kl``."""
    farthest = max(float(group["no_peak_below"]), current_kl * 1.0001)
    kl = np.geomspace(current_kl, farthest, TRIED)
    expected = _expected_scores(fit, _curve_of(fit, group), kl).mean(axis=0)
    best = int(expected.argmax())
    return float(kl[best]), float(expected[best] - expected[0])
