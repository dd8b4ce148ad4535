"""What a table can tell about each parameter of a law, before anything is compiled.

The law is fitted without groups by regularised least squares; the sensitivities there, against the
prior's width, say what the data add to the prior. It serves two ends: named warnings for designs
that cannot identify a parameter, and a first guess at the parametrisation of group effects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayeslaw.defaults import COLLINEAR_ABOVE, PRIOR_SHARE_MAX
from bayeslaw.laws.base import Law, Param
from bayeslaw.priors import Prior
from bayeslaw.runs.table import Runs
from bayeslaw.spec.design import Design
from bayeslaw.spec.spec import population_name

#: Step of the central differences, on the unconstrained scale.
STEP = 1e-5


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The law fitted to all runs as one group.

    ``jacobian`` (run, param) : change of the expected response, on its scale, per unit of each
        parameter on its
    unconstrained scale. ``prior_sd`` (param,) : the prior's width there. ``noise`` : scale of the
        residuals, never below
    half of the prior's median, so that a perfect fit does not make every parameter look known.
    ``params`` : the law's parameters there, in the paper's units.
    """

    names: tuple[str, ...]
    jacobian: np.ndarray
    prior_sd: np.ndarray
    noise: float
    params: Mapping[str, float]

    def prior_share(
        self, rows: np.ndarray | slice = slice(None), prior_sd: np.ndarray | None = None
    ) -> np.ndarray:
        """Posterior standard deviation over prior standard deviation, per parameter, from some
        runs: 1 where they say nothing.
        """
        sd = self.prior_sd if prior_sd is None else prior_sd
        scaled = self.jacobian[rows] * sd / self.noise
        return np.sqrt(np.diag(np.linalg.inv(np.eye(len(sd)) + scaled.T @ scaled)))


def sensitivity(design: Design, runs: Runs) -> Sensitivity:
    """Fit the law to all runs as one group, and differentiate it there.

    Parameters pinned by a "Constant" prior are left out: there is nothing to learn about them.
    """
    from scipy.optimize import least_squares

    pooled = PooledLaw.of(design, runs)
    y = design.law.response.link.forward(runs.y)
    location, sd = pooled.location, pooled.prior_sd
    (prior_noise,) = prior_quantiles(design.priors["sigma"], runs.typical_response, (0.5,))

    def residuals(theta: np.ndarray) -> np.ndarray:
        of_runs = (pooled.expected(theta) - y) / prior_noise
        of_priors = (theta - location) / sd
        both = np.concatenate([of_runs, of_priors])
        return np.nan_to_num(both, nan=1e6, posinf=1e6, neginf=-1e6)

    theta = least_squares(residuals, location, loss="soft_l1", max_nfev=200).x
    noise = float(prior_noise)
    if design.is_pooled:
        # Where groups differ, the residuals are mostly their differences, and the prior's noise is
        # the better guess.
        spread = 1.4826 * float(np.median(np.abs(pooled.expected(theta) - y)))
        noise = max(spread, float(prior_noise) / 2)
    params = {name: float(x) for name, x in pooled.sampled(theta).items()}
    in_papers_units = design.law.from_centre(params, runs.centre)
    return Sensitivity(pooled.names, pooled.jacobian(theta), sd, noise, in_papers_units)


@dataclass(frozen=True, slots=True)
class PooledLaw:
    """A law of all runs as one group, as a function of its free parameters on their unconstrained
    scale.

    Attributes
    ----------
    names : the free parameters; the others are pinned.
    location, prior_sd : of their priors, (param,) each.
    pinned : the others' values, on their own scale.
    """

    law: Law
    runs: Runs
    names: tuple[str, ...]
    location: np.ndarray
    prior_sd: np.ndarray
    pinned: Mapping[str, float]

    @classmethod
    def of(cls, design: Design, runs: Runs) -> PooledLaw:
        """The law of a design, its priors in units of the runs' typical response."""
        law = design.law
        at = {
            name: prior_on_link(
                design.priors[population_name(name, param)], param, runs.typical_response
            )
            for name, param in law.params.items()
        }
        names = tuple(name for name, (_, sd) in at.items() if sd > 0)
        location = np.array([at[name][0] for name in names])
        prior_sd = np.array([at[name][1] for name in names])
        pinned = {
            name: law.params[name].link.inverse(value)
            for name, (value, sd) in at.items()
            if sd == 0
        }
        return cls(law, runs, names, location, prior_sd, pinned)

    def sampled(self, theta: np.ndarray) -> dict[str, Any]:
        """Every parameter, as it is sampled, on its own scale."""
        free = zip(self.names, theta, strict=True)
        return {name: self.law.params[name].link.inverse(x) for name, x in free} | dict(self.pinned)

    def expected(self, theta: np.ndarray) -> np.ndarray:
        """The law at the runs, (run,), on the response's scale."""
        law, table = self.law, self.runs.table
        with np.errstate(all="ignore"):  # the optimiser may step to where the law overflows
            natural = law.in_units_of_centre(self.sampled(theta))
            response = law.at_centred(law.given(table), natural, self.runs.centre_of(table))
            return np.broadcast_to(law.response.link.forward(response), (len(self.runs),))

    def jacobian(self, theta: np.ndarray) -> np.ndarray:
        """(run, param), by central differences."""
        steps = np.eye(len(self.names)) * STEP
        columns = [
            (self.expected(theta + step) - self.expected(theta - step)) / (2 * STEP)
            for step in steps
        ]
        return np.stack(columns, axis=1)


def identifiability_warnings(design: Design, runs: Runs, at: Sensitivity) -> list[str]:
    """What the table cannot identify, in words with the numbers. ``at`` is their `sensitivity`."""
    messages = [*_one_value(runs), *_collinear(runs), *_unknown(design.law, runs, at)]
    messages += _peaks_beyond(runs, at)
    if len(runs) < len(at.names):
        messages.append(
            f"{design.law.name} has {len(at.names)} parameters and the table {len(runs)} runs."
        )
    return messages


def _one_value(runs: Runs) -> list[str]:
    """Inputs that do not vary."""
    return [
        f"{name} has one value, {x[0]:g}, in all {len(runs)} runs: its exponent is its prior. Add"
        " runs at other values, or pin the exponent."
        for name, x in runs.inputs.items()
        if np.ptp(x) == 0
    ]


def _collinear(runs: Runs) -> list[str]:
    """Pairs of inputs that vary together."""
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
    """Parameters of which the runs say next to nothing."""
    share = dict(zip(at.names, at.prior_share(), strict=True))
    unknown = {name: value for name, value in share.items() if value > PRIOR_SHARE_MAX}
    if not unknown:
        return []
    parts = ", ".join(f"{name} ({value:.0%})" for name, value in unknown.items())
    return [
        f"{law.name}: the {len(runs)} runs leave the prior of {parts} nearly as wide as it was"
        " (posterior over prior standard deviation): the answers that rest on it are the prior's."
    ]


def _peaks_beyond(runs: Runs, at: Sensitivity) -> list[str]:
    """Curves that have not peaked, of laws that have a peak: taken together, by their form, with
    the two KLs.
    """
    law, messages = runs.law, []
    for quantity in (name for name in law.quantities if name.startswith("kl_peak")):
        method = quantity.removeprefix("kl_peak").strip("_")
        own = runs.table if not method else runs.table[runs.table["method"] == method]
        if not len(own):
            continue
        peak, largest = float(law.value(quantity, **at.params)), float(own["kl"].max())
        if peak > largest:
            messages.append(
                f"{f'{method}: ' * bool(method)}taken together, the {len(own)} runs reach KL ="
                f" {largest:.3g} and peak at KL = {peak:.3g} by the form of {law.name}: where they"
                " peak rests on that form. Go further with some of them, or read the interval of"
                " the peak, not its median."
            )
    return messages


def prior_quantiles(prior: Prior, unit: float, probs: np.ndarray | tuple[float, ...]) -> np.ndarray:
    """Quantiles of a prior, (prob,), where ``unit`` is the typical response."""
    if prior.distribution == "Constant":
        return np.full(len(probs), prior.in_units(unit)["value"])
    # Rounded as it always was: the first centring, and with it a seed's draws, follow from it.
    if prior.distribution == "LogNormal":
        from scipy import stats

        mu, sigma = prior.in_units(unit).values()
        return np.exp(stats.norm.ppf(probs, mu, sigma))
    return np.asarray(prior.in_scipy(unit).ppf(probs), float)


def prior_on_link(prior: Prior, param: Param, unit: float) -> tuple[float, float]:
    """Median and half the central 68 % interval of a prior, on the parameter's unconstrained scale."""
    low, middle, high = (
        float(param.link.forward(q)) for q in prior_quantiles(prior, unit, (0.16, 0.5, 0.84))
    )
    return middle, (high - low) / 2


def first_centring(
    design: Design, runs: Runs, at: Sensitivity | None = None
) -> dict[str, np.ndarray]:
    """How far to centre each group's deviation, (level,) by the term's variable, before anything
    was sampled.

    One less the share of the deviation's prior variance that the group's own runs leave, while the
    parameters that differ by the same groups are free to. ``at`` is the `sensitivity` of the design
    and the runs; None: it is computed.
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
            own = at.names.index(name)
            sd = np.array([scale.get(f"{other}_{term}_sigma", 1e-9) for other in at.names])
            group = predictor.index(term, runs.table)
            shares = [at.prior_share(group == level, sd)[own] for level in range(levels)]
            centring[f"{name}_{term}"] = 1 - np.array(shares) ** 2
    return centring
