"""What a table of runs can say about each parameter of a law, before anything is compiled.

The law is fitted without groups by regularised least squares. The sensitivities of the response
there, compared with the width of the prior, show what the runs add to the prior. They serve two
purposes: warnings about parameters that the runs cannot identify, and a first guess at the
parametrisation of group effects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayeslaw.defaults import COLLINEAR_ABOVE, PRIOR_SHARE_MAX
from bayeslaw.laws.base import Law, Param
from bayeslaw.priors import Prior
from bayeslaw.runs.table import Runs
from bayeslaw.spec.design import Design
from bayeslaw.spec.spec import population_name

#: Runs to which the law is fitted before it is differentiated at all of them.
FITTED_RUNS = 5_000
#: Step of the central differences, on the unconstrained scale.
STEP = 1e-5


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The law fitted to all runs as one group, and the response's sensitivity to each parameter.

    Attributes
    ----------
    names : the free parameters.
    jacobian : change of the expected response, on its scale, per unit of each parameter on its
        unconstrained scale, (run, param).
    prior_sd : the prior's width on the unconstrained scale, (param,).
    noise : scale of the residuals. It is at least half of the prior's median, so that a perfect fit
        does not make every parameter look known.
    params : the law's fitted parameters, in the paper's units.
    """

    names: tuple[str, ...]
    jacobian: np.ndarray
    prior_sd: np.ndarray
    noise: float
    params: Mapping[str, float]

    def prior_share(
        self, rows: np.ndarray | slice = slice(None), prior_sd: np.ndarray | None = None
    ) -> np.ndarray:
        """Posterior over prior standard deviation given some runs, (param,).

        It is 1 for a parameter about which these runs say nothing.
        """
        sd = self.prior_sd if prior_sd is None else prior_sd
        scaled = self.jacobian[rows] * sd / self.noise
        covariance = np.linalg.inv(np.eye(len(sd)) + scaled.T @ scaled)
        return np.asarray(np.sqrt(np.diag(covariance)))


def sensitivity(design: Design, runs: Runs) -> Sensitivity:
    """Fit the law to all runs as one group, and differentiate it there.

    Parameters pinned by a "Constant" prior are left out, since they are not estimated.
    """
    from scipy.optimize import least_squares

    pooled = PooledLaw.of(design, runs)
    y = design.law.response.link.forward(runs.y)
    some = _some_rows(len(runs))
    of_some, y_of_some = pooled.at_rows(some), y[some]
    location, sd = pooled.location, pooled.prior_sd
    (prior_noise,) = prior_quantiles(design.priors["sigma"], runs.typical_response, (0.5,))

    def residuals(theta: np.ndarray) -> np.ndarray:
        from_runs = (of_some.expected(theta) - y_of_some) / prior_noise
        from_priors = (theta - location) / sd
        both = np.concatenate([from_runs, from_priors])
        return np.asarray(np.nan_to_num(both, nan=1e6, posinf=1e6, neginf=-1e6))

    theta = least_squares(residuals, location, loss="soft_l1", max_nfev=200).x
    noise = float(prior_noise)
    if design.is_pooled:
        # Where groups differ, the residuals are mostly differences between groups, and the prior's
        # noise is the better guess.
        spread = 1.4826 * float(np.median(np.abs(of_some.expected(theta) - y_of_some)))
        noise = max(spread, float(prior_noise) / 2)
    # NumPy's numbers overflow to infinity, where Python's raise.
    params = {name: np.float64(x) for name, x in pooled.sampled(theta).items()}
    centre = {name: np.float64(x) for name, x in runs.centre.items()}
    with np.errstate(all="ignore"):
        in_papers_units = design.law.from_centre(params, centre)
    return Sensitivity(pooled.names, pooled.jacobian(theta), sd, noise, in_papers_units)


def _some_rows(runs: int) -> np.ndarray | slice:
    """All runs, or of very many a random part, in order: it tells where the law lies as well."""
    if runs <= FITTED_RUNS:
        return slice(None)
    return np.sort(np.random.default_rng(0).choice(runs, FITTED_RUNS, replace=False))


@dataclass(frozen=True, slots=True)
class PooledLaw:
    """A law without groups, as a function of its free parameters on their unconstrained scale.

    Attributes
    ----------
    names : the free parameters; the others are pinned.
    location, prior_sd : location and width of the free parameters' priors, (param,) each.
    pinned : the values of the pinned parameters, on their own scale.
    given : the inputs of each run as the law takes them, (run,) each.
    centre : the centre of each input, a number or (run,).
    """

    law: Law
    names: tuple[str, ...]
    location: np.ndarray
    prior_sd: np.ndarray
    pinned: Mapping[str, float]
    given: Mapping[str, np.ndarray]
    centre: Mapping[str, Any]

    @classmethod
    def of(cls, design: Design, runs: Runs) -> PooledLaw:
        """The law of a design, with its priors in units of the runs' typical response."""
        law, unit = design.law, runs.typical_response
        on_link = {
            name: prior_on_link(design.priors[population_name(name, param)], param, unit)
            for name, param in law.params.items()
        }
        names = tuple(name for name, (_, sd) in on_link.items() if sd > 0)
        location = np.array([on_link[name][0] for name in names])
        prior_sd = np.array([on_link[name][1] for name in names])
        pinned = {
            name: law.params[name].link.inverse(value)
            for name, (value, sd) in on_link.items()
            if sd == 0
        }
        given, centre = law.given(runs.table), runs.centre_of(runs.table)
        return cls(law, names, location, prior_sd, pinned, given, centre)

    def at_rows(self, rows: np.ndarray | slice) -> PooledLaw:
        """The same law at some of the runs."""
        given = {name: x[rows] for name, x in self.given.items()}
        centre = {name: x[rows] if np.ndim(x) else x for name, x in self.centre.items()}
        return replace(self, given=given, centre=centre)

    def sampled(self, theta: np.ndarray) -> dict[str, Any]:
        """Every parameter as it is sampled, on its own scale, from the free ones."""
        free = zip(self.names, theta, strict=True)
        return {name: self.law.params[name].link.inverse(x) for name, x in free} | dict(self.pinned)

    def __len__(self) -> int:
        """How many runs there are."""
        return len(next(iter(self.given.values())))

    def expected(self, theta: np.ndarray) -> np.ndarray:
        """The law at the runs, (run,), on the response's scale."""
        law = self.law
        with np.errstate(all="ignore"):  # the optimiser may try values at which the law overflows
            natural = law.in_units_of_centre(self.sampled(theta))
            response = law.at_centred(self.given, natural, self.centre)
            return np.broadcast_to(law.response.link.forward(response), (len(self),))

    def jacobian(self, theta: np.ndarray) -> np.ndarray:
        """The derivatives of `expected`, (run, param), by central differences."""
        steps = np.eye(len(self.names)) * STEP
        with np.errstate(invalid="ignore"):  # the law may overflow at both ends of a step
            columns = [
                (self.expected(theta + step) - self.expected(theta - step)) / (2 * STEP)
                for step in steps
            ]
        return np.reshape(columns, (len(steps), len(self))).T  # no columns, if all are pinned


def identifiability_warnings(design: Design, runs: Runs, at: Sensitivity) -> list[str]:
    """Messages, with numbers, on what the runs cannot identify. ``at`` is their `sensitivity`."""
    messages = [*_one_value(runs), *_collinear(runs), *_unknown(design.law, runs, at)]
    messages += _peaks_beyond(runs, at)
    if len(runs) < len(at.names):
        messages.append(
            f"{design.law.name} has {len(at.names)} free parameters, more than the"
            f" {len(runs)} runs: its answers rest on the priors. Add runs, or choose a law with"
            " fewer parameters."
        )
    return messages


def _one_value(runs: Runs) -> list[str]:
    """A message for each input that does not vary, and for a response that does not."""
    messages = []
    if len(runs) > 1 and np.ptp(runs.y) == 0:
        messages.append(
            f"{runs.law.response.name} is {runs.y[0]:g} in all {len(runs)} runs, so they show no"
            " effect of any input. Look whether the column is the right one."
        )
    return messages + [
        f"{name} has one value, {x[0]:g}, in all {len(runs)} runs, so they say nothing about its"
        " exponent, which keeps its prior. Add runs at other values, or pin the exponent."
        for name, x in runs.inputs.items()
        if np.ptp(x) == 0
    ]


def _collinear(runs: Runs) -> list[str]:
    """A message for each pair of inputs that vary together."""
    logs = {name: np.log(x) for name, x in runs.inputs.items() if np.ptp(x) > 0}
    names, messages = list(logs), []
    for i, second in enumerate(names):
        for first in names[:i]:
            r = float(np.corrcoef(logs[second], logs[first])[0, 1])
            if abs(r) > COLLINEAR_ABOVE:
                messages.append(
                    f"log {first} and log {second} have correlation {r:.3f} over the {len(runs)}"
                    " runs (as with a fixed ratio of the two): their exponents cannot be told"
                    " apart. Add runs at other ratios."
                )
    return messages


def _unknown(law: Law, runs: Runs, at: Sensitivity) -> list[str]:
    """A message on the parameters about which the runs say next to nothing."""
    share = dict(zip(at.names, at.prior_share(), strict=True))
    unknown = {name: value for name, value in share.items() if value > PRIOR_SHARE_MAX}
    if not unknown:
        return []
    parts = ", ".join(f"{name} ({value:.0%})" for name, value in unknown.items())
    return [
        f"{law.name}: the {len(runs)} runs say next to nothing about {parts} (in brackets: the"
        " standard deviation of the posterior as a share of the prior's). Answers that depend on"
        " these parameters come from their priors: add runs that inform them, or give priors that"
        " you can defend."
    ]


def _peaks_beyond(runs: Runs, at: Sensitivity) -> list[str]:
    """A message for each form of a law with a peak whose runs, pooled, have not reached it."""
    law, messages = runs.law, []
    for quantity in (name for name in law.quantities if name.startswith("kl_peak")):
        method = quantity.removeprefix("kl_peak").strip("_")
        table = runs.table
        if method:
            table = table[table["method"] == method]
        if not len(table):
            continue
        peak, largest = float(law.value(quantity, **at.params)), float(table["kl"].max())
        if peak > largest:
            messages.append(
                f"{f'{method}: ' * bool(method)}taken together, the {len(table)} runs reach KL ="
                f" {largest:.3g}, but {law.name} puts their peak at KL = {peak:.3g}, where no run"
                " has been: it rests on the form of the law. Continue some runs to higher KL, or"
                " report the interval of the peak, not its median."
            )
    return messages


def prior_quantiles(prior: Prior, unit: float, probs: np.ndarray | tuple[float, ...]) -> np.ndarray:
    """Quantiles of a prior, (prob,), where ``unit`` is the typical response."""
    if prior.distribution == "Constant":
        return np.full(len(probs), prior.in_units(unit)["value"])
    # SciPy's lognorm rounds differently in the last bit, which would change the first centring, and
    # with it the draws that a seed gives.
    if prior.distribution == "LogNormal":
        from scipy import stats

        mu, sigma = prior.in_units(unit).values()
        return np.asarray(np.exp(stats.norm.ppf(probs, mu, sigma)))
    return np.asarray(prior.in_scipy(unit).ppf(probs), float)


def prior_on_link(prior: Prior, param: Param, unit: float) -> tuple[float, float]:
    """Median and half the central 68 % interval of a prior, on the unconstrained scale."""
    low, middle, high = (
        float(param.link.forward(q)) for q in prior_quantiles(prior, unit, (0.16, 0.5, 0.84))
    )
    return middle, (high - low) / 2


def first_centring(
    design: Design, runs: Runs, at: Sensitivity | None = None
) -> dict[str, np.ndarray]:
    """How far to centre each group's deviation before anything is sampled.

    It is 1 minus the share of the deviation's prior variance that remains given the group's own
    runs, with every parameter that differs by the same groups free.

    Parameters
    ----------
    design, runs : what is fitted, and to what.
    at : their `sensitivity`; None: it is computed.

    Returns
    -------
    By the variable of a group term, the centring of each group, (level,), between 0 and 1.
    """
    if not any(predictor.formula.groups for predictor in design.predictors.values()):
        return {}
    at = sensitivity(design, runs) if at is None else at
    scale = {
        name: float(prior_quantiles(prior, 1.0, (0.5,))[0])
        for name, prior in design.priors.items()
        if name.endswith("_sigma")
    }
    centring = {}
    for name, predictor in design.predictors.items():
        for term in predictor.formula.groups:
            levels = len(predictor.levels[str(term)])
            if name not in at.names:  # the noise's scale, or a pinned parameter
                centring[f"{name}_{term}"] = np.zeros(levels)
                continue
            column = at.names.index(name)
            sd = np.array([scale.get(f"{other}_{term}_sigma", 1e-9) for other in at.names])
            group = predictor.index(term, runs.table)
            shares = [at.prior_share(group == level, sd)[column] for level in range(levels)]
            centring[f"{name}_{term}"] = 1 - np.array(shares) ** 2
    return centring
