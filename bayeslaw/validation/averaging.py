r"""Several law forms as one prediction, weighted by how well each predicted runs that it had not
seen.

The runs cannot say which form is right beyond them, but they can say which forms predicted the
larger runs from the smaller ones. The weights maximise the mixture's log score over the larger runs
(stacking: Yao, Vehtari, Simpson, Gelman 2018, Bayesian Analysis 13(3), eq. 3),

.. math::
    \hat w = \arg\max_w \sum_u \log \sum_k w_k \, p_k(y_u \mid \text{smaller runs})
    + \sum_k \log w_k

where u is a run or, where a form has a discrepancy along curves, all hidden runs of a curve: they
share an error, and their joint density is one observation. The second sum, as much evidence for
each form as one observation gives, keeps a handful of them from ruling a form out. A misfit
(`bayeslaw.learnt.misfit`), which all runs beyond those seen share, is not counted as shared:
between forms with one, weights are too sure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.errors import SpecError
from bayeslaw.fitted import Fit
from bayeslaw.fitting import as_spec, fit, fit_each
from bayeslaw.laws.base import Law
from bayeslaw.posterior.bands import summaries_of
from bayeslaw.posterior.draws import DIMS, Kind
from bayeslaw.posterior.points import Points, extrapolation_distance, grid
from bayeslaw.posterior.predict import joint_log_density, log_density, predict
from bayeslaw.runs.table import Runs
from bayeslaw.spec.design import joined_labels
from bayeslaw.spec.resolve import resolve
from bayeslaw.spec.settings import Sampling, seed_or_new
from bayeslaw.spec.spec import ModelSpec

if TYPE_CHECKING:
    import xarray as xr

#: Each group's runs up to the first share predict those between the first and the second: the third
#: quarter, and then the largest, so that no run counts twice.
FUTURES = ((0.5, 0.75), (0.75, 1.0))
#: Fewer hidden runs than this cannot tell the forms apart: then they weigh the same.
FEWEST = 6


@dataclass(frozen=True, slots=True)
class Average:
    """Fits of several law forms to the same runs, and the weight of each. Made by `average`, never
    changed.

    Attributes
    ----------
    fits : a fit of each form, to all runs.
    weights : (form,), summing to one.
    scores : a row a form: its law, ``weight``, and ``log_density`` of the hidden runs, divided by
        their number. NaN if the weights are equal because too few runs could be hidden.
    reason : how the weights were chosen, in words.
    """

    fits: tuple[Fit, ...]
    weights: np.ndarray
    scores: pd.DataFrame
    reason: str

    def predict(
        self, points: Points, kind: Kind = "run", *, random_seed: int | None = None
    ) -> xr.DataArray:
        """Draws of the mixture, (chain, draw, point), as `bayeslaw.posterior.predict.predict` gives
        them.

        Each draw is of one form at all points, so that points are predicted jointly. The coordinate
        ``form`` says of which form, (chain, draw).
        """
        drawn = [predict(each, points, kind, random_seed=random_seed) for each in self.fits]
        form = self._form_of_draws(random_seed)
        values = np.stack([x.values for x in drawn])
        mixed = drawn[0].copy(data=np.take_along_axis(values, form[None, :, :, None], axis=0)[0])
        return mixed.assign_coords(form=(DIMS, form)).assign_attrs(converged=int(self.converged))

    def bands(
        self,
        points: Points,
        kind: Kind = "run",
        probs: Sequence[float] = defaults.PROBS,
        *,
        random_seed: int | None = None,
    ) -> pd.DataFrame:
        """Mean, median and equal-tailed bands of the mixture, a row a point, as
        `bayeslaw.posterior.predict.bands` gives them.
        """
        drawn = self.predict(points, kind, random_seed=random_seed)
        table = grid(points)
        summaries = summaries_of(drawn.values.reshape(-1, drawn.sizes["point"]), probs)
        return pd.concat(
            [table, pd.DataFrame(summaries), extrapolation_distance(self.fits[0], table)], axis=1
        ).assign(converged=self.converged)

    def log_density(self, table: pd.DataFrame, *, random_seed: int | None = None) -> np.ndarray:
        """The log of the mixture's density of observed runs, (point,), as
        `bayeslaw.posterior.predict.log_density` gives it.
        """
        densities = [log_density(fitted, table, random_seed=random_seed) for fitted in self.fits]
        weighted = np.stack(densities) + np.log(self.weights)[:, None]
        return np.asarray(np.logaddexp.reduce(weighted, axis=0))

    @property
    def converged(self) -> bool:
        """Whether the chains of every form agree."""
        return all(fitted.convergence.passed for fitted in self.fits)

    def __str__(self) -> str:
        table = self.scores.to_string(float_format=lambda value: f"{value:.3f}", na_rep="-")
        return f"{table}\n{self.reason}"

    def _form_of_draws(self, random_seed: int | None) -> np.ndarray:
        """The form of each draw, (chain, draw). Its share of the draws is its weight, to within one
        draw."""
        sizes = self.fits[0].idata["posterior"].sizes
        shape = (sizes["chain"], sizes["draw"])
        seed = self.fits[0].seed(random_seed)
        n = shape[0] * shape[1]
        edges = np.round(np.cumsum(self.weights) * n).astype(int)
        form = np.searchsorted(edges, np.arange(n), side="right")
        return np.random.default_rng([seed, n]).permutation(form).reshape(shape)


def average(specs: Sequence[ModelSpec | str], runs: Runs, **sampling: Unpack[Sampling]) -> Average:
    """Fit several law forms and weigh them by leave-future-out log score.

    The runs of each group are ordered by the product of the inputs (the input itself for a learning
    curve; compute for size and data). The third quarter is predicted from the smaller half, and the
    largest quarter from all smaller runs (`FUTURES`). With fewer than `FEWEST` hidden runs all
    forms weigh the same, and ``reason`` says so.

    Parameters
    ----------
    specs : what to fit, or names of laws: at least two, whose laws have the same inputs and
        response. The runs may have been read for any.
    runs, **sampling : as in `bayeslaw.fit`.

    Returns
    -------
    Average

    Raises
    ------
    SpecError : fewer than two specs, or laws of other inputs. As `bayeslaw.fit` for the rest.

    Examples
    --------
    >>> mixture = bl.average(["power", "shifted_power"], runs, random_seed=1)
    >>> print(mixture)
    >>> mixture.bands({"data_size": 1e11})
    """
    if len(specs) < 2:
        raise SpecError(f"average was given {len(specs)} spec; give two or more, or use fit.")
    forms = [as_spec(spec, runs) for spec in specs]
    _require_same_data([spec.law for spec in forms], runs.law)
    sampling["random_seed"] = seed_or_new(sampling.get("random_seed"))
    splits = [split for split in futures(runs) if split.hidden.any() and split.seen.any()]
    count = int(sum(split.hidden.sum() for split in splits))
    per_run = np.full(len(forms), np.nan)
    if count >= FEWEST:
        unit = _units(forms, runs)
        density = np.stack([_densities(spec, runs, splits, unit, sampling) for spec in forms])
        weights, per_run = stacked(density), density.sum(axis=1) / count
        of_curves = "" if density.shape[1] == count else f" of {density.shape[1]} curves"
        reason = (
            f"Weights by the log score of {count} runs{of_curves} predicted from smaller ones"
            " (stacking)."
        )
    else:
        weights = np.full(len(forms), 1 / len(forms))
        reason = (
            f"Equal weights: only {count} runs could be hidden, and fewer than {FEWEST} cannot tell"
            " the forms apart."
        )
    fits = tuple(fit(spec, runs.with_law(spec.law), **sampling) for spec in forms)
    names = pd.Index([spec.law.name for spec in forms], name="law")
    scores = pd.DataFrame({"weight": weights, "log_density": per_run}, index=names)
    return Average(fits, weights, scores, reason)


def _require_same_data(laws: Sequence[Law], of_runs: Law) -> None:
    """Raise SpecError unless all laws have the inputs and the response of the runs."""
    for law in laws:
        if set(law.inputs) != set(of_runs.inputs) or law.response != of_runs.response:
            raise SpecError(
                f"The law {law.name} has other inputs or another response than the runs, which were"
                f" read for {of_runs.name}."
            )


def _densities(
    spec: ModelSpec,
    runs: Runs,
    splits: Sequence[Future],
    unit: np.ndarray,
    sampling: Sampling,
) -> np.ndarray:
    """The joint log density of the hidden runs of each unit and split, (observation,), from fits to
    the smaller runs.
    """
    of_law = runs.with_law(spec.law)
    fits = fit_each(spec, of_law, [split.seen for split in splits], **sampling)
    densities = [
        joint_log_density(fitted, of_law.table[split.hidden], unit[split.hidden])
        for fitted, split in zip(fits, splits, strict=True)
    ]
    return np.concatenate(densities)


def _units(forms: Sequence[ModelSpec], runs: Runs) -> np.ndarray:
    """What counts as one observation, a label for each run: the run itself, or its curve where a
    form has a discrepancy along curves.
    """
    by = [
        set(resolve(spec, runs.with_law(spec.law)).spec.curve_by or ())
        for spec in forms
        if spec.discrepancy.along_curves
    ]
    if not by:
        return np.arange(len(runs))
    return joined_labels(sorted(set.intersection(*by)), runs.table)


@dataclass(frozen=True, slots=True)
class Future:
    """Runs that are predicted from smaller ones, each (run,): ``seen`` and ``hidden``."""

    seen: np.ndarray
    hidden: np.ndarray


def futures(runs: Runs) -> list[Future]:
    """The leave-future-out splits: in each group, larger runs are predicted from smaller ones.

    >>> [int(split.hidden.sum()) for split in futures(runs)]
    [18, 18]
    """
    size = pd.Series(np.prod(list(runs.inputs.values()), axis=0))
    in_group = size.groupby(joined_labels(runs.populations, runs.table))
    place = (in_group.rank(method="first") / in_group.transform("size")).to_numpy() - 1e-9
    return [Future(place <= seen, (place > seen) & (place <= end)) for seen, end in FUTURES]


def stacked(density: np.ndarray) -> np.ndarray:
    """The stacking weights, (form,), from log densities (form, observation), by expectation
    maximisation: each step raises the score.

    >>> stacked(np.log([[0.9, 0.9, 0.1], [0.1, 0.1, 0.9]])).round(2)
    array([0.57, 0.43])
    """
    forms = len(density)
    weights = np.full(forms, 1 / forms)
    likelihood = np.exp(density - density.max(axis=0))
    for _ in range(5000):
        share = weights[:, None] * likelihood
        new = (share / share.sum(axis=0)).sum(axis=1) + 1.0
        new /= new.sum()
        if abs(new - weights).max() < 1e-10:
            break
        weights = new
    return weights
