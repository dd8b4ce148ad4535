"""Hide runs, fit the others, predict the hidden ones, and score what was said about them.

The standard of the package is measured here: a 90 % band contains 90 % of what really happened.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.errors import SpecError, suggest
from bayeslaw.fitting import Fit, fit_each, meant, seeded
from bayeslaw.laws.base import Law
from bayeslaw.laws.registry import law as find_law
from bayeslaw.posterior.predict import scored
from bayeslaw.runs import filters
from bayeslaw.runs.table import Runs
from bayeslaw.spec.spec import ModelSpec, curve_labels, resolve
from bayeslaw.validation.baselines import BASELINES, SAMPLED, alone, point_scores
from bayeslaw.validation.scores import score_draws, summarise

#: Name of the package's own method in a table of scores.
OURS = "bayeslaw"
#: Columns of runs whose names say something else in a table of scores.
_RENAMED = {name: f"runs_{name}" for name in ("method", "split", "row", "observed", "median")}


@dataclass(frozen=True, slots=True)
class Backtest:
    """What was predicted of hidden runs, and what happened. Made by `backtest`, never changed.

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
    """

    points: pd.DataFrame
    seen: pd.DataFrame
    probs: tuple[float, ...]
    seconds: Mapping[str, float]
    fits: Mapping[str, Fit]
    response: str

    @property
    def inputs(self) -> tuple[str, ...]:
        """The inputs' names."""
        return tuple(next(iter(self.fits.values())).spec.law.inputs)

    @property
    def groups(self) -> tuple[str, ...]:
        """The grouping columns of `points`: those of the runs, but ``runs_method`` for their own
        ``method``, which stands for another thing here.
        """
        return tuple(
            _RENAMED.get(name, name) for name in next(iter(self.fits.values())).runs.populations
        )

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
        """
        if unknown := [name for name in by if name not in self.points.columns]:
            raise SpecError(
                "The backtest has no column"
                f" {unknown[0]}.{suggest(unknown[0], self.points.columns)}"
            )
        return summarise(self.points, by, self.probs)

    def __str__(self) -> str:
        table = self.scores()
        lines = [
            f"{self.points['row'].nunique()} hidden runs, {len(self.fits)}"
            f" split{'s' * (len(self.fits) > 1)}: {', '.join(self.fits)}"
        ]
        lines.append(table.to_string(float_format=lambda value: f"{value:.4g}", na_rep="-"))
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
    draws: int = defaults.DRAWS,
    tune: int = defaults.TUNE,
    chains: int = defaults.CHAINS,
    random_seed: int | None = None,
    target_accept: float | None = None,
    attempts: int = defaults.ATTEMPTS,
    cores: int | None = None,
    progressbar: bool = True,
) -> Backtest:
    """Predict runs that the fit did not see.

    Parameters
    ----------
    spec, runs : as in `bayeslaw.fit`.
    holdout : the hidden runs, by an expression over the table's columns: ``"model_size >= 16e9"``.
        Several: a split each.
    largest : input -> k: hide the runs at its k largest values; along curves, the k largest of each
        curve.
    rolling : input -> k: k splits; the j-th of them hides the largest j / 2k of the input's values,
        and the fit sees what is below. Splits after the first cost no compile.
    baselines : True for all of `bayeslaw.validation.baselines`, False for none, or their names.
    baseline_law : the law that they fit, of the same inputs. None: the spec's.
    probs : probabilities of the bands that are scored.
    draws, tune, chains, random_seed, target_accept, attempts, cores, progressbar : as in
        `bayeslaw.fit`, for each split.

    Returns
    -------
    Backtest

    Raises
    ------
    SpecError : not exactly one of holdout, largest and rolling; nothing hidden, or nothing left; an
        unknown baseline.
    ExpressionError : an expression that cannot be read. As `bayeslaw.fit` for the rest.
    """
    names = known_baselines(baselines)
    spec = meant(spec, runs)
    law = runs.law if baseline_law is None else find_law(baseline_law)
    if list(law.inputs) != list(runs.law.inputs) or law.response != runs.law.response:
        raise SpecError(
            f"baseline_law is {law.name}, and its inputs and response are not those of"
            f" {runs.law.name}."
        )
    hidden = splits(resolve(spec, runs), runs, holdout, largest, rolling)
    seed = seeded(random_seed)
    effort: dict[str, Any] = {
        "draws": draws,
        "tune": tune,
        "chains": chains,
        "random_seed": seed,
        "target_accept": target_accept,
        "attempts": attempts,
        "cores": cores,
        "progressbar": progressbar,
    }

    started = time.perf_counter()
    fits = fit_each(spec, runs, [~rows for rows in hidden.values()], **effort)
    tables = [
        _scored(OURS, split, each, runs, rows, probs, seed)
        for (split, rows), each in zip(hidden.items(), fits, strict=True)
    ]
    seconds = {OURS: time.perf_counter() - started}
    for name in names:
        started = time.perf_counter()
        if name == SAMPLED:
            by_itself, grouped = alone(law, runs)
            own = {split: _known(grouped, rows) for split, rows in hidden.items()}
            own = {split: rows for split, rows in own.items() if rows.any()}
            # What it is compared with needs no remedies: it is what a reader would have run.
            again = (
                fit_each(
                    by_itself,
                    grouped,
                    [~rows for split, rows in hidden.items() if split in own],
                    **(effort | {"attempts": 1}),
                )
                if own
                else []
            )
            found = [
                _scored(name, split, each, grouped, rows, probs, seed, runs)
                for (split, rows), each in zip(own.items(), again, strict=True)
            ]
        else:
            found = [
                _table(
                    name,
                    split,
                    runs,
                    rows,
                    point_scores(name, law, runs.rows(~rows), runs.table[rows], probs, seed),
                    probs,
                )
                for split, rows in hidden.items()
            ]
        tables += found
        seconds[name] = time.perf_counter() - started
    points = pd.concat(tables, ignore_index=True)
    seen = pd.concat(
        [
            runs.table[~rows].rename(columns=_RENAMED).assign(split=split)
            for split, rows in hidden.items()
        ]
    )
    return Backtest(
        points,
        seen,
        tuple(probs),
        seconds,
        dict(zip(hidden, fits, strict=True)),
        runs.law.response.name,
    )


def known_baselines(baselines: bool | Sequence[str]) -> tuple[str, ...]:
    """The baselines that are meant: all, none, or those of these names.

    Raises
    ------
    SpecError : an unknown one.
    """
    names = BASELINES if baselines is True else tuple(baselines or ())
    if unknown := [name for name in names if name not in BASELINES]:
        raise SpecError(
            f"There is no baseline {unknown[0]!r}.{suggest(unknown[0], BASELINES)} Known:"
            f" {', '.join(BASELINES)}."
        )
    return tuple(names)


def splits(
    resolved: ModelSpec,
    runs: Runs,
    holdout: str | Sequence[str] | None,
    largest: Mapping[str, int] | None,
    rolling: Mapping[str, int] | None,
) -> dict[str, np.ndarray]:
    """The hidden runs of each split, (run,), boolean, by the split's name: see `backtest`."""
    if sum(option is not None for option in (holdout, largest, rolling)) != 1:
        raise SpecError("Say which runs to hide by one of holdout, largest and rolling.")
    if holdout is not None:
        texts = [holdout] if isinstance(holdout, str) else list(holdout)
        found = {text: filters.select(runs.table, text).to_numpy(bool) for text in texts}
    else:
        option, by = ("largest", largest) if largest is not None else ("rolling", rolling)
        if not by or len(by) != 1:
            raise SpecError(
                f"{option} must name one input and a number, such as"
                f" {{'{next(iter(runs.law.inputs))}': 2}}."
            )
        ((name, k),) = by.items()
        if name not in runs.law.inputs:
            raise SpecError(
                f"{option} names {name}, and it must be an input of {runs.law.name}:"
                f" {', '.join(runs.law.inputs)}."
            )
        if not (isinstance(k, int) and k >= 1):
            raise SpecError(
                f"{option} has {name} = {k!r}, and it must be a whole number of at least 1."
            )
        from_top, values = _rank_from_top(resolved, runs, name)
        if option == "largest":
            found = {f"{k} largest {name}": from_top < k}
        else:
            shares = {j: np.maximum(np.round(values * j / (2 * k)), j) for j in range(1, k + 1)}
            found = {f"{name}: last {j}/{2 * k}": from_top < shares[j] for j in shares}
    for split, rows in found.items():
        if not rows.any() or rows.all():
            raise SpecError(
                f"{split}: {'all' if rows.all() else 'none'} of the {len(runs)} runs would be"
                " hidden."
            )
    return found


def _rank_from_top(resolved: ModelSpec, runs: Runs, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Each run's place among the distinct values of an input, 0 for the largest, and how many
    values there are; within its curve, where curves run along that input.
    """
    curves = resolved.departs.kind == "curve" and resolved.along == name
    by = curve_labels(resolved, runs.table) if curves else np.zeros(len(runs))
    values = runs.table[name].groupby(by)
    return (
        values.rank(method="dense", ascending=False).to_numpy() - 1,
        values.transform("nunique").to_numpy(),
    )


def _known(runs: Runs, hidden: np.ndarray) -> np.ndarray:
    """The hidden runs whose groups were seen: others have no parameters of their own."""
    if not runs.groups:
        return hidden
    (group,) = runs.groups
    return hidden & runs.table[group].isin(set(runs.table[group][~hidden])).to_numpy()


def _scored(
    name: str,
    split: str,
    each: Fit,
    runs: Runs,
    hidden: np.ndarray,
    probs: Sequence[float],
    seed: int,
    shown: Runs | None = None,
) -> pd.DataFrame:
    """A fit's scores at the hidden runs, which are ``shown`` with the grouping columns of the user."""
    observed = each.spec.law.response.link.forward(runs.y)[hidden]
    columns: dict[str, np.ndarray] = {}

    def keep(
        rows: np.ndarray, located: np.ndarray, drawn: np.ndarray, log_density: np.ndarray
    ) -> None:
        for column, values in (
            score_draws(drawn, observed[rows], probs) | {"log_density": log_density}
        ).items():
            columns.setdefault(column, np.empty(len(observed)))[rows] = values

    scored(each, runs.table[hidden], keep, random_seed=seed)
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
    about = (
        table[[*runs.law.inputs, *runs.populations]].reset_index(drop=True).rename(columns=_RENAMED)
    )
    found = {"observed": y, "median": link.inverse(scores["median"])}
    for p in probs:
        low, high = f"lower_{100 * p:g}", f"upper_{100 * p:g}"
        if low not in scores:
            continue
        found |= {low: link.inverse(scores[low]), high: link.inverse(scores[high])}
        inside = (on_scale >= scores[low]) & (on_scale <= scores[high])
        found[f"inside_{100 * p:g}"] = inside.astype(object).where(scores[low].notna())
    found |= {
        "error": scores["median"] - on_scale,
        "relative_error": abs(link.inverse(scores["median"]) - y) / abs(y),
    }
    found |= {
        "crps": scores["crps"],
        "log_density": scores["log_density"] + np.log(abs(link.slope(y))),
        "pit": scores["pit"],
    }
    head = pd.DataFrame({"method": name, "split": split, "row": table.index.astype(str)})
    return pd.concat([head, about, pd.DataFrame(found)], axis=1)
