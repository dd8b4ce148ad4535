"""Hide runs, fit the others, predict the hidden ones, and score the predictions.

The standard of the package is measured here: a 90 % band contains 90 % of what really happened.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Unpack

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.errors import SpecError, suggest
from bayeslaw.fitted import Fit
from bayeslaw.fitting import as_spec, fit_each
from bayeslaw.laws.base import Law
from bayeslaw.laws.registry import law as find_law
from bayeslaw.posterior.predict import Observed, each_block_observed
from bayeslaw.runs.table import Runs
from bayeslaw.spec.resolve import resolve
from bayeslaw.spec.settings import Sampling, seed_or_new
from bayeslaw.spec.spec import ModelSpec
from bayeslaw.validation.baselines import BASELINES, SAMPLED, alone, point_scores
from bayeslaw.validation.scores import OURS, Replicates, regions, score_draws, summarise
from bayeslaw.validation.splits import splits

#: Columns of runs whose names mean something else in a table of scores.
_RENAMED = {name: f"runs_{name}" for name in ("method", "split", "row", "observed", "median")}


@dataclass(frozen=True, slots=True)
class Backtest:
    """Predictions of hidden runs, and what happened. Made by `backtest`, never changed.

    Attributes
    ----------
    points : a row for each method, split and hidden run: ``method``, ``split``, ``row`` (where the
        run stood in the table), its inputs and groups, ``observed``, then ``median`` and
        ``lower_P``, ``upper_P`` in the response's unit, and on the response's scale (log for a
        loss) ``error``, ``crps``, ``log_density`` (of the response itself), ``pit`` and
        ``inside_P`` (`bayeslaw.validation.scores`). NaN where a method has no prediction.
    seen : the runs that each split's fit saw, with the column ``split``.
    probs : probabilities of the bands.
    seconds : per method, for all splits.
    fits : the fit of each split, by its name.
    response : name of the response.
    coverage_p : by split, how likely a coverage of 90 % bands as low as the observed one is if the
        model is right (`bayeslaw.validation.scores.Replicates`); empty for backtests saved by
        bayeslaw 0.1.0.
    regions : where a calibrated model's coverage and PIT lie
        (`bayeslaw.validation.scores.regions`); None for backtests saved by bayeslaw 0.1.0.
    notes : what to know about the baselines, in words.
    """

    points: pd.DataFrame
    seen: pd.DataFrame
    probs: tuple[float, ...]
    seconds: Mapping[str, float]
    fits: Mapping[str, Fit]
    response: str
    coverage_p: Mapping[str, float] = field(default_factory=dict)
    regions: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The inputs' names."""
        return tuple(next(iter(self.fits.values())).spec.law.inputs)

    @property
    def groups(self) -> tuple[str, ...]:
        """The grouping columns of `points`: those of the runs, where ``method`` is called
        ``runs_method``, since ``method`` is the forecasting method.
        """
        runs = next(iter(self.fits.values())).runs
        return tuple(_RENAMED.get(name, name) for name in runs.populations)

    @property
    def p_of_coverage(self) -> float:
        """How likely a coverage as low as in the worst split is, in so many splits, if the model is
        right; NaN where that was not computed.

        Hidden runs of one curve, or of one unlucky draw of the parameters, miss their bands
        together, so that few of many may be inside by chance.
        """
        if not self.coverage_p:
            return float("nan")
        return min(1.0, len(self.coverage_p) * min(self.coverage_p.values()))

    @property
    def converged(self) -> bool:
        """Whether the chains of every split's fit agree."""
        return all(each.convergence.passed for each in self.fits.values())

    def scores(self, by: Sequence[str] = ("method",)) -> pd.DataFrame:
        """The scores of each method: see `bayeslaw.validation.scores.summarise`.

        Parameters
        ----------
        by : columns of `points`: ("method", "split") for each split, ("method", "task") for each
            group.

        Raises
        ------
        SpecError : a column that points do not have.

        Examples
        --------
        >>> bl.backtest("power", runs, "data_size > 3e8").scores(("method", "split"))
        """
        if unknown := [name for name in by if name not in self.points.columns]:
            raise SpecError(
                "The backtest has no column"
                f" {unknown[0]}.{suggest(unknown[0], self.points.columns)}"
            )
        return summarise(self.points, by, self.probs)

    def __str__(self) -> str:
        hidden, splits = self.points["row"].nunique(), f"split{'s' * (len(self.fits) > 1)}"
        lines = [
            f"{hidden} hidden runs, {len(self.fits)} {splits}: {', '.join(self.fits)}",
            self.scores().to_string(float_format=lambda value: f"{value:.4g}", na_rep="-"),
            *self.notes,
        ]
        if not self.converged:
            lines.append(
                "The chains did not converge in every split: these scores are not to be relied on."
            )
        return "\n".join(lines)


def backtest(
    spec: ModelSpec | str,
    runs: Runs,
    holdout: str | Sequence[str] | None = None,
    *,
    largest: Mapping[str, int] | None = None,
    rolling: Mapping[str, int] | None = None,
    baselines: bool | Sequence[str] = True,
    baseline_law: Law | str | None = None,
    probs: Sequence[float] = (0.5, 0.8, 0.9, 0.95),
    **sampling: Unpack[Sampling],
) -> Backtest:
    """Predict runs that the fit did not see.

    Parameters
    ----------
    spec, runs : as in `bayeslaw.fit`.
    holdout : the hidden runs, by an expression over the table's columns: ``"model_size >= 16e9"``.
        Several: a split each.
    largest : {input: k}: hide the runs at its k largest values; along curves, the k largest of each
        curve.
    rolling : {input: k}: k splits; the j-th of them hides the largest j / 2k of the input's values,
        and the fit sees the runs below. Splits after the first cost no compile.
    baselines : True for all of `bayeslaw.validation.baselines`, False for none, or their names.
    baseline_law : the law that they fit, of the same inputs. None: the spec's.
    probs : probabilities of the bands that are scored.
    **sampling : as in `bayeslaw.fit`, for each split.

    Returns
    -------
    Backtest

    Raises
    ------
    SpecError : not exactly one of holdout, largest and rolling; nothing hidden, or nothing left; an
        unknown baseline.
    ExpressionError : an expression that cannot be read. As `bayeslaw.fit` for the rest.

    Examples
    --------
    >>> print(bl.backtest("chinchilla", runs, "model_size >= 16e9", random_seed=1))
    """
    names = known_baselines(baselines)
    spec = as_spec(spec, runs)
    runs = runs.with_law(spec.law)
    law = _baseline_law(baseline_law, runs)
    hidden = splits(resolve(spec, runs), runs, holdout, largest, rolling)
    seed = seed_or_new(sampling.get("random_seed"))
    sampling["random_seed"] = seed
    started = time.perf_counter()
    fits = fit_each(spec, runs, [~rows for rows in hidden.values()], **sampling)
    replicates = {split: Replicates(defaults.GATE_PROB, probs) for split in hidden}
    tables = [
        _scored(OURS, split, fitted, runs, rows, probs, seed, replicates=replicates[split])
        for (split, rows), fitted in zip(hidden.items(), fits, strict=True)
    ]
    seconds = {OURS: time.perf_counter() - started}
    notes: dict[str, None] = {}
    for name in names:
        started = time.perf_counter()
        if name == SAMPLED:
            tables += _scored_alone(law, runs, hidden, probs, sampling)
        else:
            for split, rows in hidden.items():
                scores = point_scores(name, law, runs.rows(~rows), runs.table[rows], probs, seed)
                notes |= dict.fromkeys(scores.attrs["notes"])
                tables.append(_table(name, split, runs, rows, scores, probs))
        seconds[name] = time.perf_counter() - started
    points = pd.concat(tables, ignore_index=True)
    seen = pd.concat(
        [
            runs.table[~rows].rename(columns=_RENAMED).assign(split=split)
            for split, rows in hidden.items()
        ]
    )
    by_split = dict(zip(hidden, fits, strict=True))
    coverage_p = {split: each.p_of_coverage() for split, each in replicates.items()}
    response = runs.law.response.name
    return Backtest(
        points,
        seen,
        tuple(probs),
        seconds,
        by_split,
        response,
        coverage_p,
        regions(list(replicates.values())),
        tuple(notes),
    )


def _baseline_law(baseline_law: Law | str | None, runs: Runs) -> Law:
    """The law that the baselines fit, which must have the inputs and the response of the runs."""
    law = runs.law if baseline_law is None else find_law(baseline_law)
    if list(law.inputs) != list(runs.law.inputs) or law.response != runs.law.response:
        raise SpecError(
            f"baseline_law is {law.name}, and its inputs and response are not those of"
            f" {runs.law.name}.",
            key="baseline_law",
        )
    return law


def known_baselines(baselines: bool | Sequence[str]) -> tuple[str, ...]:
    """The baselines that ``baselines`` selects: all, none, or those of these names.

    Raises
    ------
    SpecError : an unknown one.

    Examples
    --------
    >>> known_baselines(["line"]), known_baselines(False)
    (('line',), ())
    """
    names = BASELINES if baselines is True else tuple(baselines or ())
    if unknown := [name for name in names if name not in BASELINES]:
        raise SpecError(
            f"There is no baseline {unknown[0]!r}.{suggest(unknown[0], BASELINES)} Known:"
            f" {', '.join(BASELINES)}."
        )
    return tuple(names)


def _scored_alone(
    law: Law,
    runs: Runs,
    hidden: Mapping[str, np.ndarray],
    probs: Sequence[float],
    sampling: Sampling,
) -> list[pd.DataFrame]:
    """The scores of the law by itself: a table for each split that hides runs of groups seen."""
    spec, grouped = alone(law, runs)
    known = {split: _of_seen_groups(grouped, rows) for split, rows in hidden.items()}
    known = {split: rows for split, rows in known.items() if rows.any()}
    if not known:
        return []
    # A baseline gets no remedies: it is what a reader would have run.
    parts = [~hidden[split] for split in known]
    once: Sampling = {**sampling, "attempts": 1}
    fits = fit_each(spec, grouped, parts, **once)
    seed = seed_or_new(sampling.get("random_seed"))
    return [
        _scored(SAMPLED, split, fitted, grouped, rows, probs, seed, shown=runs)
        for (split, rows), fitted in zip(known.items(), fits, strict=True)
    ]


def _of_seen_groups(runs: Runs, hidden: np.ndarray) -> np.ndarray:
    """The hidden runs whose groups were seen: others have no parameters of their own."""
    if not runs.groups:
        return hidden
    (column,) = runs.groups
    groups = runs.table[column]
    return np.asarray(hidden & groups.isin(set(groups[~hidden])).to_numpy())


def _scored(
    name: str,
    split: str,
    fitted: Fit,
    runs: Runs,
    hidden: np.ndarray,
    probs: Sequence[float],
    seed: int,
    shown: Runs | None = None,
    replicates: Replicates | None = None,
) -> pd.DataFrame:
    """A fit's scores at the hidden runs, in a table with the columns of ``shown`` (None: of
    ``runs``); ``replicates`` are told of them."""
    y = fitted.law.response.link.forward(runs.y)[hidden]
    columns: dict[str, np.ndarray] = {}

    def keep(observed: Observed) -> None:
        scores = score_draws(observed.drawn, y[observed.rows], probs)
        if replicates is not None:
            replicates.add(observed.drawn, y[observed.rows])
        for column, values in (scores | {"log_density": observed.log_density}).items():
            columns.setdefault(column, np.empty(len(y)))[observed.rows] = values

    each_block_observed(fitted, runs.table[hidden], keep, random_seed=seed)
    return _table(name, split, shown or runs, hidden, pd.DataFrame(columns), probs)


def _table(
    name: str,
    split: str,
    runs: Runs,
    hidden: np.ndarray,
    scores: pd.DataFrame,
    probs: Sequence[float],
) -> pd.DataFrame:
    """The rows of `Backtest.points`, from scores on the response's scale, a row a hidden run."""
    link, response = runs.law.response.link, runs.law.response.name
    table = runs.table[hidden]
    y = table[response].to_numpy(float)
    on_scale = link.forward(y)
    scores = scores.reset_index(drop=True)
    columns = table[[*runs.law.inputs, *runs.populations]]
    about = columns.reset_index(drop=True).rename(columns=_RENAMED)
    median = link.inverse(scores["median"])
    scored = {"observed": y, "median": median}
    for p in probs:
        low, high = f"lower_{100 * p:g}", f"upper_{100 * p:g}"
        if low not in scores:
            continue
        scored |= {low: link.inverse(scores[low]), high: link.inverse(scores[high])}
        inside = (on_scale >= scores[low]) & (on_scale <= scores[high])
        scored[f"inside_{100 * p:g}"] = inside.astype(object).where(scores[low].notna())
    scored |= {
        "error": scores["median"] - on_scale,
        "relative_error": abs(median - y) / abs(y),
        "crps": scores["crps"],
        "log_density": scores["log_density"] + np.log(abs(link.slope(y))),
        "pit": scores["pit"],
    }
    head = pd.DataFrame({"method": name, "split": split, "row": table.index.astype(str)})
    return pd.concat([head, about, pd.DataFrame(scored)], axis=1)
