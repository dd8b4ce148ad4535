r"""Learn from ladders of runs what a new ladder will be like: the population of a law's parameters,
and how wrong the law is beyond the runs that a fit has seen.

Both are learnt family by family. With :math:`p_0` a wide prior, :math:`\theta` the draws of a
parameter given all runs of a ladder, and F families,

.. math::
    \hat\eta = \arg\max_\eta \; p(\eta) \prod_f \Big( \prod_{l \in f}
        \mathrm{E}_l \frac{p(\theta \mid \eta)}{p_0(\theta)} \Big)^{1 / |f|}

A LogNormal population becomes the predictive for a new family: its standard deviation is widened by
:math:`\sqrt{(1 + 1/F) \, (F - 1) / (F - 3)}`, that of a Student-t with F - 1 degrees of freedom.
The misfit has the scales under which the hidden runs of each ladder's splits are likeliest, times
their prior (`SCALES`), where the draws of a ladder are weighted to the population of the *other*
families.

References
----------
Population from posteriors under another prior: Hogg, Myers, Bovy 2010, arXiv 1008.4146, eq. 8.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

from bayeslaw.errors import SpecError, listed
from bayeslaw.fitting import fit
from bayeslaw.learnt.misfit import Distances, Misfit
from bayeslaw.learnt.record import Record
from bayeslaw.posterior.draws import Draws
from bayeslaw.posterior.misfit import distances
from bayeslaw.posterior.parameters import Parameters
from bayeslaw.posterior.points import checked_points
from bayeslaw.posterior.predict import predict
from bayeslaw.priors import Prior, lognormal
from bayeslaw.runs.table import Runs
from bayeslaw.spec.noise import log_density
from bayeslaw.spec.settings import Sampling
from bayeslaw.spec.spec import ModelSpec

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

LAW = "pretraining"
#: The wide priors under which ladders are fitted to learn from them.
WIDE: Mapping[str, Prior] = {
    "alpha_at_centre": lognormal(0.25, 0.6),
    "beta_at_centre": lognormal(1.0, 0.4),
    "k": lognormal(0.7, 0.5),
    "E_at_centre": Prior("Beta", alpha=1.5, beta=1.5),
}
#: Fewest families to learn from. The misfit of each is learnt under the population of the others,
#: and the predictive of fewer than four has no variance.
FEWEST_FAMILIES = 5
#: What is known of the spread of a population before there are families: that of logarithms is
#: near .3, and a Beta counts as some 6 observations; each within a factor of 2.7.
SPREAD, COUNT, WITHIN = 0.3, 6.0, 0.6
#: What is known of the misfit before there are ladders, per decade; within a factor of 12.
SCALES, SCALES_WITHIN = (0.005, 0.01), 1.5
#: Draws of the parameters with which hidden runs are scored.
DRAWS = 300
#: Degrees of freedom at which a Student-t is a normal.
NORMAL = 100.0


@dataclass(frozen=True)
class Ladder:
    """Runs to learn from.

    Attributes
    ----------
    family : who made them. Ladders of one family count together as one.
    name : which of theirs it is.
    runs : all of them.
    splits : pairs of masks, (run,), boolean: the runs that a fit sees, and those that it is then
        asked for.
    """

    family: str
    name: str
    runs: Runs
    splits: Sequence[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Forecast:
    """The hidden runs of a split, as foretold under the wide priors.

    Attributes
    ----------
    variables : the draws of what is learnt, (sample,), by name.
    error : what was observed less what was foretold, on the response's scale, (sample, run).
    noise : the parameters of the noise, (sample, run) or (sample, 1).
    distance : how far the hidden runs lie beyond those seen.
    """

    variables: Mapping[str, np.ndarray]
    error: np.ndarray
    noise: Mapping[str, np.ndarray]
    distance: Distances


@dataclass(frozen=True)
class Studied:
    """A ladder with what its fits under the wide priors say. Made by `study_ladder`.

    Attributes
    ----------
    variables : the draws given all runs, (sample,), by name.
    forecasts : of the splits.
    sizes : the runs seen and hidden in each split.
    converged : whether the chains of all runs, and of each split, agree.
    """

    ladder: Ladder
    variables: Mapping[str, np.ndarray]
    forecasts: Sequence[Forecast]
    sizes: Sequence[tuple[int, int]]
    converged: Sequence[bool]


def learn(
    ladders: Sequence[Ladder],
    *,
    provenance: Mapping[str, Any] | None = None,
    **sampling: Unpack[Sampling],
) -> Record:
    """What ladders of runs teach about the law `pretraining`.

    Parameters
    ----------
    ladders : of at least `FEWEST_FAMILIES` families.
    provenance : what to say about where they are from.
    **sampling : as for `bayeslaw.fit`.

    Returns
    -------
    Record. ``bl.ModelSpec("pretraining", priors=record.priors, misfit=record.misfit)`` uses it;
    ``record.to_json()`` is a file's content, and `Record.from_json` reads it back.

    Raises
    ------
    SpecError : too few families, or a split that is not two masks of its ladder's runs.
    Other errors : as `bayeslaw.fit`.

    Examples
    --------
    >>> ladder = Ladder("ours", "2026", runs, [(compute < 1e20, compute > 3e20)])
    >>> record = bl.learn([ladder, *others], random_seed=1)
    >>> bl.fit(bl.ModelSpec("pretraining", priors=record.priors, misfit=record.misfit), new_runs)
    """
    checked = [_checked(ladder) for ladder in ladders]
    _require_families({ladder.family for ladder in checked})
    return record_from([study_ladder(ladder, **sampling) for ladder in checked], provenance)


def study_ladder(ladder: Ladder, **sampling: Unpack[Sampling]) -> Studied:
    """Fit a ladder, and each of its splits, under the wide priors.

    Raises
    ------
    SpecError : a ladder without a split, or a split that is not two masks of its runs.
    """
    ladder = _checked(ladder)
    spec = ModelSpec(LAW, priors=WIDE, misfit="none")
    whole = fit(spec, ladder.runs, **sampling)
    forecasts, sizes, converged = [], [], [whole.convergence.passed]
    for seen, hidden in ladder.splits:
        part = fit(spec, ladder.runs.rows(seen), **sampling)
        forecasts.append(_forecast(part, ladder.runs.table[hidden]))
        sizes.append((int(seen.sum()), int(hidden.sum())))
        converged.append(part.convergence.passed)
    return Studied(ladder, _variables(whole), forecasts, sizes, converged)


def _checked(ladder: Ladder) -> Ladder:
    """A ladder whose splits are masks of its runs."""
    who, n = f"{ladder.family}, {ladder.name}", len(ladder.runs)
    if not len(ladder.splits):
        raise SpecError(f"{who} has no split, and a misfit is learnt from hidden runs.")
    splits = []
    for split in ladder.splits:
        masks = [np.asarray(mask) for mask in split]
        if len(masks) != 2 or any(x.dtype != bool or x.shape != (n,) for x in masks):
            raise SpecError(f"A split of {who} must be two masks, true or false, of its {n} runs.")
        seen, hidden = masks
        if not seen.any() or not hidden.any() or (seen & hidden).any():
            raise SpecError(f"A split of {who} sees no run, hides none, or hides one that it sees.")
        splits.append((seen, hidden))
    return replace(ladder, splits=splits)


def _variables(of: Draws) -> dict[str, np.ndarray]:
    return {name: of.posterior[name].values.ravel() for name in WIDE}


def _forecast(part: Draws, hidden: pd.DataFrame) -> Forecast:
    """What a fit foretells of hidden runs."""
    response = part.law.response
    points = checked_points(part.design, part.runs, hidden)
    latent = predict(part, points, "latent").values.reshape(part.samples, -1)
    y = response.link.forward(hidden[response.name].to_numpy(float))
    return Forecast(
        variables=_variables(part),
        error=y - response.link.forward(latent),
        noise=Parameters.at(part, points, "run").of_noise(points),
        distance=distances(part, points),
    )


def record_from(studied: Sequence[Studied], provenance: Mapping[str, Any] | None = None) -> Record:
    """What studied ladders teach. Leave a family's ladders out to judge on them what the others
    teach.

    Raises
    ------
    SpecError : too few families.
    """
    from bayeslaw import __version__

    families = sorted({one.ladder.family for one in studied})
    _require_families(families)
    of_others = {
        family: populations([one for one in studied if one.ladder.family != family])
        for family in families
    }
    return Record(
        law=LAW,
        priors=populations(studied),
        misfit=_misfit(studied, of_others),
        sets=[
            {
                "family": one.ladder.family,
                "set": one.ladder.name,
                "seen": seen,
                "hidden": hidden,
                "converged": one.converged[0] and one.converged[i + 1],
            }
            for one in studied
            for i, (seen, hidden) in enumerate(one.sizes)
        ],
        provenance={
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "bayeslaw": __version__,
            **(provenance or {}),
        },
    )


def _require_families(families: Collection[str]) -> None:
    if len(families) < FEWEST_FAMILIES:
        raise SpecError(
            f"There are {len(families)} families of ladders ({listed(sorted(families)) or 'none'}),"
            f" and a population needs {FEWEST_FAMILIES}."
        )


def populations(studied: Sequence[Studied]) -> dict[str, Prior]:
    """The population of each variable over families, as the predictive for a new family."""
    return {name: _population(name, wide, studied) for name, wide in WIDE.items()}


def _population(name: str, wide: Prior, studied: Sequence[Studied]) -> Prior:
    """The population of one variable."""
    from scipy import stats

    families = [one.ladder.family for one in studied]
    beta = wide.distribution == "Beta"
    prior_of_spread = stats.norm(np.log(COUNT if beta else SPREAD), WITHIN)
    # All draws in one array, and where each ladder's begin.
    draws = [one.variables[name] for one in studied]
    together, sizes = np.concatenate(draws), np.array([len(x) for x in draws])
    first = np.cumsum(sizes) - sizes
    under_wide = _log_density(wide, together)
    share = np.array([1 / families.count(family) for family in families])

    def objective(eta: np.ndarray) -> float:
        log_ratio = _log_density(_as_prior(beta, eta), together) - under_wide
        of_ladders = np.logaddexp.reduceat(log_ratio, first) - np.log(sizes)
        return -float(share @ of_ladders) - float(prior_of_spread.logpdf(eta[1]))

    start = [0.0, np.log(COUNT)] if beta else [dict(wide.parameters)["mu"], np.log(SPREAD)]
    eta = np.array(_lowest(objective, np.array(start)).x)
    if not beta:
        n = len(set(families))
        eta[1] += np.log((1 + 1 / n) * (n - 1) / (n - 3)) / 2
    learnt = _as_prior(beta, eta)
    rounded = {key: float(f"{value:.4g}") for key, value in learnt.parameters}
    return Prior(learnt.distribution, relative=False, **rounded)


def _as_prior(beta: bool, eta: np.ndarray) -> Prior:
    """The population with these numbers: location and log spread of a LogNormal, or logit of the
    mean and log count of a Beta.
    """
    location, spread = (float(x) for x in np.clip(eta, -30, 30))
    if not beta:
        return Prior("LogNormal", mu=location, sigma=float(np.exp(spread)))
    mean, count = 1 / (1 + np.exp(-location)), np.exp(spread)
    return Prior("Beta", alpha=float(mean * count), beta=float((1 - mean) * count))


def _log_density(prior: Prior, x: np.ndarray) -> np.ndarray:
    return np.asarray(prior.in_scipy(1.0).logpdf(x))


def _lowest(objective: Callable[[np.ndarray], float], start: np.ndarray) -> OptimizeResult:
    from scipy.optimize import minimize

    options = {"xatol": 0.02, "fatol": 0.002, "maxiter": 200}
    return minimize(objective, start, method="Nelder-Mead", options=options)


def weights(forecast: Forecast, priors: Mapping[str, Prior]) -> np.ndarray:
    """The weights that make draws under the wide priors draws under others, (sample,)."""
    log_weights = sum(
        _log_density(priors[name], forecast.variables[name])
        - _log_density(wide, forecast.variables[name])
        for name, wide in WIDE.items()
    )
    weights = np.exp(log_weights - np.max(log_weights))
    return np.asarray(weights / weights.sum())


def _misfit(studied: Sequence[Studied], priors_of: Mapping[str, Mapping[str, Prior]]) -> Misfit:
    """The scales of the misfit under which hidden runs are likeliest, every family counting once;
    the draws of a family's ladders are weighted to its priors in ``priors_of``.
    """
    from scipy import stats

    rng = np.random.default_rng(0)
    prepared: dict[str, list[tuple[Forecast, np.ndarray]]] = {}
    for one in studied:
        priors = priors_of[one.ladder.family]
        for forecast in one.forecasts:
            of_draws = weights(forecast, priors)
            kept = rng.choice(len(of_draws), DRAWS, p=of_draws)
            prepared.setdefault(one.ladder.family, []).append((forecast, kept))
    known = stats.norm(np.log(SCALES), SCALES_WITHIN)

    def objective(log_scales: np.ndarray) -> float:
        misfit = Misfit(*map(float, np.exp(np.clip(log_scales, -20, 2))))
        log_likelihood = sum(
            np.mean([_log_score(f, kept, misfit) for f, kept in of_family])
            for of_family in prepared.values()
        )
        return -float(log_likelihood) - float(known.logpdf(log_scales).sum())

    scales = np.exp(_lowest(objective, np.log(SCALES)).x)
    return Misfit(*(float(f"{scale:.3g}") for scale in scales))


def _log_score(forecast: Forecast, kept: np.ndarray, misfit: Misfit) -> float:
    """The mean log predictive density of the hidden runs of a split, with a misfit.

    The sum of misfit and noise is taken as a Student-t whose squared scale is the sum of theirs,
    and whose degrees of freedom are the mean of theirs, weighted by the squared scales. Draws of
    the misfit in its place would have to reach the farthest run, and would favour wide misfits.
    """
    of_misfit = (misfit.loadings(forecast.distance) ** 2).sum(axis=1)
    of_noise = forecast.noise["sigma"][kept] ** 2
    total = of_misfit + of_noise
    nu = forecast.noise["nu"][kept] if "nu" in forecast.noise else NORMAL
    params = {
        "sigma": np.sqrt(total),
        "nu": (of_misfit * misfit.nu + of_noise * nu) / total,
    }
    of_draws = log_density("student_t", params, forecast.error[kept])
    return float(np.mean(np.logaddexp.reduce(of_draws, axis=0) - np.log(len(of_draws))))
