"""The posterior predictive on new points.

Kinds, never confused:

| kind | what it is | varies with |
|---|---|---|
| ``"mean"`` | the law's curve for that group | the parameters; a group never seen is at its population's value |
| ``"latent"`` | what a run there is worth, were it measured without error | the parameters, the deviation of a group never seen, the discrepancy given the runs |
| ``"run"`` | what a new run there would log | the parameters, the deviation of a group never seen, the discrepancy given the runs, and noise |

Decisions use ``"run"``. The response's scale is left before any average is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from os import cpu_count
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.errors import Fault, RunsError, SpecError, UnknownNameError, suggest
from bayeslaw.posterior.parameters import DIMS, Kind, Posterior, over_draws, samples_of
from bayeslaw.runs.table import Runs, check_points, label
from bayeslaw.spec import noise
from bayeslaw.spec.formula import GroupTerm
from bayeslaw.spec.spec import ModelSpec, all_covariates, columns_of, designs, group_columns

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.fitting import Fit

type Points = pd.DataFrame | Mapping[str, Any]


def grid(points: Points) -> pd.DataFrame:
    """Points as a table: a DataFrame as it is; a mapping as the product of its values.

    >>> grid({"model_size": [1e9, 2e9], "method": "lora"})
         model_size method
    0  1000000000.0   lora
    1  2000000000.0   lora
    """
    if isinstance(points, pd.DataFrame):
        return points.reset_index(drop=True)
    axes = [
        [value] if value is None or np.ndim(value) == 0 else list(value)
        for value in points.values()
    ]
    return pd.DataFrame(list(product(*axes)), columns=list(points))


def predict(
    fit: Fit, points: Points, kind: Kind = "run", *, random_seed: int | None = None
) -> xr.DataArray:
    """Draws of the response at new points.

    Parameters
    ----------
    fit : the posterior.
    points : a DataFrame, a row a point, or a mapping whose values are multiplied out; every input
        of the law in its unit, and every column that makes groups in the model, but for those that
        have one value in all runs. A group never seen, or None, is drawn from its population: the
        same draw for all points of that group, and in all parameters.
    kind : "mean", "latent" or "run", see the table above.
    random_seed : for groups never seen and noise. None: the fit's, so that a saved fit predicts the
        same again.

    Returns
    -------
    DataArray, dims (chain, draw, point), in the response's unit. Coordinates on ``point``: the
    columns of ``points``; for each input ``distance_<input>``, how far beyond the runs it lies, in
    decades (1 is ten times; negative is below them; 0 within), counted from the runs of the point's
    own groups where there are any; and ``unseen``, the columns whose value was never seen.
    Attributes say the kind, and whether the fit had converged.

    Raises
    ------
    RunsError : points outside the law's domain, or columns missing: all faults at once.
    SpecError : an unknown kind, or a group never seen where groups are not pooled (``0 + group``).
    """
    table, names = _table(fit, points, kind)
    values = np.empty((samples_of(fit), len(table)))

    def keep(rows: np.ndarray, drawn: np.ndarray) -> None:
        values[:, rows] = drawn

    _each_block(fit, table, kind, random_seed, keep)
    coords = {str(name): ("point", table[name].to_numpy()) for name in names}
    coords |= {str(name): ("point", x.to_numpy()) for name, x in reach(fit, table).items()}
    response = fit.spec.law.response
    drawn = over_draws(fit, {"drawn": values}, ["point"], coords, kind=kind, unit=response.unit)[
        "drawn"
    ]
    return drawn.rename(response.name)  # at last: the points may have a column of that name


def bands(
    fit: Fit,
    points: Points,
    kind: Kind = "run",
    probs: Sequence[float] = defaults.PROBS,
    *,
    random_seed: int | None = None,
) -> pd.DataFrame:
    """Equal-tailed bands at new points: the columns of ``points``, then mean, median, ``lower_50``,
    ``upper_50``, ...

    Parameters
    ----------
    fit, points, kind, random_seed : as in `predict`; the same draws, summarised block by block, so
        that memory stays small.
    probs : probabilities of the bands: .9 is the band between the 5 % and 95 % quantiles.

    Returns
    -------
    DataFrame, a row a point; then the columns ``distance_<input>`` (decades beyond the runs),
    ``unseen`` and ``converged``. The mean of ``kind="run"`` can be pulled by the tails of a
    Student-t; quote the median.

    Raises
    ------
    As `predict`; SpecError for a probability outside (0, 1).
    """
    levels(probs)
    table, names = _table(fit, points, kind)
    columns = pd.DataFrame(
        np.empty((len(table), 2 + 2 * len(probs))), columns=["mean", "median", *levels(probs)]
    )

    def summarise(rows: np.ndarray, drawn: np.ndarray) -> None:
        columns.iloc[rows] = np.column_stack(list(quantiles_of(drawn, probs).values()))

    _each_block(fit, table, kind, random_seed, summarise)
    return pd.concat([table[names], columns, reach(fit, table)], axis=1).assign(
        converged=fit.convergence.passed
    )


def levels(probs: Sequence[float]) -> dict[str, float]:
    """The columns of equal-tailed bands, and the quantile of each: ``lower_90`` is the 5 % one.

    Raises
    ------
    SpecError : a probability outside (0, 1).
    """
    if bad := [p for p in probs if not 0 < p < 1]:
        raise SpecError(f"probs has {bad[0]}, and a band's probability must be between 0 and 1.")
    return {
        f"{side}_{100 * p:g}": (1 - p) / 2 if side == "lower" else (1 + p) / 2
        for p in probs
        for side in ("lower", "upper")
    }


def quantiles_of(drawn: np.ndarray, probs: Sequence[float]) -> dict[str, np.ndarray]:
    """Mean, median and bands of draws, (sample, point)."""
    of = levels(probs)
    quantiles = np.quantile(drawn, [0.5, *of.values()], axis=0)
    return {"mean": drawn.mean(axis=0)} | dict(zip(["median", *of], quantiles, strict=True))


def intervals_of(name: str, drawn: np.ndarray, probs: Sequence[float]) -> dict[str, Any]:
    """Median ``name`` and bands ``lower_90_name`` ... of draws, (sample, ...), some of which may be
    infinite: between a finite and an infinite one there is nothing to interpolate.
    """
    of = {name: 0.5} | {f"{column}_{name}": q for column, q in levels(probs).items()}
    return dict(
        zip(of, np.quantile(drawn, list(of.values()), axis=0, method="inverted_cdf"), strict=True)
    )


def summary(
    fit: Fit, var_names: Sequence[str] | None = None, *, ci_prob: float = 0.9
) -> pd.DataFrame:
    """A row a variable of the posterior: mean, sd, equal-tailed interval, bulk and tail ESS, R-hat,
    unrounded.

    Parameters
    ----------
    var_names : variables, as in ArviZ. None: all but the groups' deviations.
    ci_prob : probability of the interval.

    Raises
    ------
    UnknownNameError : no variable of that name.
    """
    import arviz_stats

    posterior = fit.idata["posterior"].to_dataset()
    if var_names is None:
        var_names = [
            str(name) for name, x in posterior.items() if x.dims == DIMS or "|" not in str(name)
        ]
    if unknown := [name for name in var_names if name not in posterior]:
        raise UnknownNameError("variable", unknown[0], map(str, posterior))
    with np.errstate(invalid="ignore"):  # a pinned variable has no R-hat: NaN
        table = arviz_stats.summary(
            posterior[list(var_names)], ci_prob=ci_prob, ci_kind="eti", round_to="none"
        )
    bounds = [column for column in table.columns if column.startswith("eti")]
    percent = f"{100 * ci_prob:g}"
    names = {bounds[0]: f"lower_{percent}", bounds[1]: f"upper_{percent}"}
    return table.rename(columns=names)[
        ["mean", "sd", *names.values(), "ess_bulk", "ess_tail", "r_hat"]
    ]


def reach(fit: Fit, table: pd.DataFrame) -> pd.DataFrame:
    """How far each point lies beyond the runs of its own groups, in decades per input, and which
    groups were never seen.
    """
    law, runs = fit.spec.law, fit.runs.table
    curve = GroupTerm(fit.spec.curve_by) if fit.spec.curve_by else None
    columns = [
        c
        for c in dict.fromkeys((*group_columns(fit.spec), *(curve.factor if curve else ())))
        if c not in law.inputs
    ]
    here, there = (_keys(frame, columns) for frame in (table, runs))
    found = {}
    for name in law.inputs:
        ranges = runs[name].groupby(there).agg(["min", "max"])
        low = here.map(ranges["min"]).fillna(runs[name].min()).to_numpy(float)
        high = here.map(ranges["max"]).fillna(runs[name].max()).to_numpy(float)
        x = table[name].to_numpy(float)
        found[f"distance_{name}"] = np.log10(x / np.clip(x, low, high))
    unseen: list[list[str]] = [[] for _ in range(len(table))]
    terms = {
        ":".join(term.factor): (design, term)
        for design in designs(fit.spec, runs).values()
        for term in design.formula.groups
    }
    new = {factor: design.index(term, table) < 0 for factor, (design, term) in terms.items()}
    if curve:
        new |= {":".join(curve.factor): ~np.isin(curve.labels(table), curve.labels(runs))}
    for factor, rows in new.items():
        for row in np.flatnonzero(rows):
            unseen[row].append(factor)
    return pd.DataFrame({**found, "unseen": [", ".join(factors) for factors in unseen]})


def places(
    fit: Fit, at: Mapping[str, Any] | None, rows: Sequence[Mapping[str, Any]], kind: Kind
) -> pd.DataFrame:
    """Rows that share what ``at`` says, checked as `predict` checks points; grouping columns that
    neither gives are groups never seen.

    Raises
    ------
    SpecError : ``at`` has a column that neither the model nor the runs have, or several values of
        one. RunsError : as `predict`.
    """
    spec, runs, shared = fit.spec, fit.runs.table, dict(at or {})
    known = dict.fromkeys([*spec.law.inputs, *columns_of(spec), *map(str, runs.columns)])
    if unknown := [name for name in shared if name not in known]:
        raise SpecError(
            f"at has {unknown[0]}, which neither the model nor its runs"
            f" have.{suggest(unknown[0], known)}"
        )
    if several := [name for name, value in shared.items() if np.ndim(value) > 0]:
        raise SpecError(f"at has several values of {several[0]}: give one.")
    open_groups = [
        c
        for c in columns_of(spec)
        if c not in (*all_covariates(spec), *spec.law.choosers)
        and not (c in runs and runs[c].nunique() == 1)
    ]
    return check_table(
        fit, pd.DataFrame([{**dict.fromkeys(open_groups), **shared, **row} for row in rows]), kind
    )


def check_table(fit: Fit, points: Points, kind: Kind) -> pd.DataFrame:
    """Points, checked as `predict` checks them."""
    return _table(fit, points, kind)[0]


def _table(fit: Fit, points: Points, kind: Kind) -> tuple[pd.DataFrame, list[str]]:
    """The checked points, and the user's own columns among theirs."""
    if kind not in get_args(Kind):
        raise SpecError(f"kind is {kind!r}, and it must be 'mean', 'latent' or 'run'.")
    given = grid(points)
    return meant_points(fit.spec, fit.runs, given), [str(c) for c in given.columns]


def meant_points(spec: ModelSpec, runs: Runs, points: Points) -> pd.DataFrame:
    """Points, checked as `predict` checks them, for a resolved spec that need not have been fitted
    yet.

    Raises
    ------
    RunsError : points outside the law's domain, or columns missing: all faults at once.
    """
    given, known = grid(points), runs.table
    constant = {
        name: known[name].iloc[0]
        for name in columns_of(spec)
        if name not in given and name in known and known[name].nunique() == 1
    }
    table = check_points(given.assign(**constant), spec.law, columns_of(spec))
    faults = []
    for name, column in ((name, x.within) for name, x in spec.law.inputs.items() if x.within):
        labels = known[column].map(label)
        remedy = f"Use one of {', '.join(sorted(labels.unique()))}."
        strangers = table.index[~table[column].map(label).isin(labels)]
        faults += [
            Fault(
                f"{table[column][row]!r} was in no run: {name} has no unit there",
                remedy,
                column,
                str(row),
                table[column][row],
            )
            for row in strangers
        ]
    for name in all_covariates(spec):
        numbers = pd.to_numeric(table[name], errors="coerce")
        faults += [
            Fault("a covariate of the model must be a number", "Give its value.", name, str(row))
            for row in table.index[numbers.isna()]
        ]
    if faults:
        raise RunsError("The points to predict", faults)
    return table.reset_index(drop=True)


def log_density(fit: Fit, table: pd.DataFrame, *, random_seed: int | None = None) -> np.ndarray:
    """The log of the posterior predictive density of runs that were made, (point,), per unit of the
    response.

    Parameters
    ----------
    table : points as `predict` takes them, with the response in its column.

    Raises
    ------
    As `predict`.
    """
    link, response = fit.spec.law.response.link, fit.spec.law.response.name
    density = np.empty(len(table))

    def keep(
        rows: np.ndarray, located: np.ndarray, drawn: np.ndarray, log_density: np.ndarray
    ) -> None:
        density[rows] = log_density

    scored(fit, table, keep, random_seed=random_seed)
    return density + np.log(abs(link.slope(table[response].to_numpy(float))))


def scored(
    fit: Fit,
    table: pd.DataFrame,
    use: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], None],
    *,
    random_seed: int | None = None,
) -> None:
    """Predict runs that were made, block by block: ``use(rows, located, drawn, log_density)``, on
    the response's scale.

    ``located``, (sample, row), is where a run would be before noise; ``drawn`` a new run, noise and
    all; ``log_density``, (row,), of what was observed. ``table`` is that of `log_density`, and so
    are the errors.
    """
    points, _ = _table(fit, table, "run")
    y = fit.spec.law.response.link.forward(points[fit.spec.law.response.name].to_numpy(float))

    def score(
        rows: np.ndarray,
        located: np.ndarray,
        params: Mapping[str, np.ndarray],
        rng: np.random.Generator,
    ) -> None:
        each = noise.log_density(fit.spec.noise_family, params, y[rows] - located)
        drawn = located + noise.draw(fit.spec.noise_family, params, located.shape, rng)
        use(rows, located, drawn, np.logaddexp.reduce(each, axis=0) - np.log(len(each)))

    _each_location(fit, points, "run", random_seed, score)


def _each_block(
    fit: Fit,
    table: pd.DataFrame,
    kind: Kind,
    random_seed: int | None,
    use: Callable[[np.ndarray, np.ndarray], None],
) -> None:
    """Call ``use(rows, draws)`` with the draws (sample, point) of block after block of points."""
    link = fit.spec.law.response.link

    def draw(
        rows: np.ndarray,
        located: np.ndarray,
        params: Mapping[str, np.ndarray],
        rng: np.random.Generator,
    ) -> None:
        if kind == "run":
            located = located + noise.draw(fit.spec.noise_family, params, located.shape, rng)
        # a Student-t of less than one degree of freedom leaves the numbers now and then: infinite
        # is right
        with np.errstate(over="ignore"):
            inverse = link.inverse(located)
        use(rows, inverse)

    _each_location(fit, table, kind, random_seed, draw)


def _each_location(
    fit: Fit,
    table: pd.DataFrame,
    kind: Kind,
    random_seed: int | None,
    use: Callable[[np.ndarray, np.ndarray, Mapping[str, np.ndarray], np.random.Generator], None],
) -> None:
    """Call ``use(rows, located, noise parameters, generator)``, block by block, with the runs'
    location before noise, on the response's scale, (sample, point): the law's curve, and for
    ``kind="run"`` the discrepancy.

    On as many threads as there are cores: NumPy and the filter work outside Python's lock, and
    blocks keep memory flat however many points there are. A block is of one curve, where curves
    have paths of their own. Its noise has its own seed, so that the threads' order does not matter.
    """
    posterior = Posterior.of(fit, table, kind, random_seed)
    seed = fit.random_seed if random_seed is None else int(random_seed)
    departures = None
    if kind != "mean" and fit.spec.departs.kind != "none":
        from bayeslaw.curves.paths import Departures

        departures = Departures(posterior, table, seed)
    if departures is not None and fit.spec.departs.kind == "curve":
        blocks = list(pd.Series(range(len(table))).groupby(departures.curve).indices.values())
    else:
        blocks = np.array_split(
            np.arange(len(table)),
            range(defaults.POINTS_PER_BLOCK, len(table), defaults.POINTS_PER_BLOCK),
        )

    def one(rows: np.ndarray) -> None:
        some = table.iloc[rows]
        located = posterior.located(some)
        if kind == "run":
            located = located + posterior.baseline_error(some)
        if departures is not None:
            located = located + departures.at(rows)
        located = np.broadcast_to(located, (samples_of(fit), len(rows)))
        use(
            rows,
            located,
            posterior.noise_parameters(some),
            np.random.default_rng([seed, int(rows[0])]),
        )

    with ThreadPoolExecutor(cpu_count()) as pool:
        for _ in pool.map(one, blocks):
            pass


def _keys(frame: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """One label a row for the values of some columns."""
    labels = (
        GroupTerm(tuple(columns)).labels(frame)
        if columns
        else np.full(len(frame), "", dtype=object)
    )
    return pd.Series(labels, index=frame.index)
