"""What a table can tell about each parameter of a law, before anything is compiled.

The law is fitted without groups by regularised least squares; the sensitivities there, against the
prior's width, say what the data add to the prior. It serves two ends: named warnings for designs
that cannot identify a parameter, and a first guess at the parametrisation of group effects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bayeslaw.defaults import COLLINEAR_ABOVE, PRIOR_SHARE_MAX
from bayeslaw.laws.base import Param
from bayeslaw.priors import Prior
from bayeslaw.runs.table import Runs
from bayeslaw.spec.spec import ModelSpec, designs, population_name

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


def sensitivity(resolved: ModelSpec, runs: Runs) -> Sensitivity:
    """Fit the law to all runs as one group, and differentiate it there.

    Parameters pinned by a "Constant" prior are left out: there is nothing to learn about them.
    """
    from scipy.optimize import least_squares

    law, link, unit = resolved.law, resolved.law.response.link, runs.typical_response
    priors = {
        name: resolved.priors[population_name(name, param)] for name, param in law.params.items()
    }
    summaries = {name: prior_on_link(priors[name], law.params[name], unit) for name in law.params}
    names = tuple(name for name, (_, sd) in summaries.items() if sd > 0)
    location = np.array([summaries[name][0] for name in names])
    sd = np.array([summaries[name][1] for name in names])
    pinned = {
        name: law.params[name].link.inverse(at)
        for name, (at, width) in summaries.items()
        if width == 0
    }
    y = link.forward(runs.y)
    prior_noise = float(prior_quantiles(resolved.priors["sigma"], unit, (0.5,))[0])

    def expected(theta: np.ndarray) -> np.ndarray:
        at_centre = {
            name: law.params[name].link.inverse(value)
            for name, value in zip(names, theta, strict=True)
        } | pinned
        with np.errstate(all="ignore"):
            return np.broadcast_to(
                link.forward(
                    law.at_centred(
                        law.given(runs.table),
                        law.in_units_of_centre(at_centre),
                        runs.centre_of(runs.table),
                    )
                ),
                y.shape,
            )

    def residuals(theta: np.ndarray) -> np.ndarray:
        return np.nan_to_num(
            np.concatenate([(expected(theta) - y) / prior_noise, (theta - location) / sd]),
            nan=1e6,
            posinf=1e6,
            neginf=-1e6,
        )

    theta = least_squares(residuals, location, loss="soft_l1", max_nfev=200).x
    steps = np.eye(len(names)) * STEP
    jacobian = np.stack(
        [(expected(theta + step) - expected(theta - step)) / (2 * STEP) for step in steps], axis=1
    )
    grouped = any(
        design.formula.groups or design.formula.by
        for design in designs(resolved, runs.table).values()
    )
    # Where groups differ, the pooled residuals are mostly their differences, and the prior's noise
    # is the better guess.
    noise = (
        prior_noise
        if grouped
        else max(1.4826 * float(np.median(np.abs(expected(theta) - y))), prior_noise / 2)
    )
    sampled = {
        name: float(law.params[name].link.inverse(value))
        for name, value in zip(names, theta, strict=True)
    } | pinned
    return Sensitivity(names, jacobian, sd, noise, law.from_centre(sampled, runs.centre))


def identifiability_warnings(resolved: ModelSpec, runs: Runs, found: Sensitivity) -> list[str]:
    """What the table cannot identify, in words with the numbers."""
    law, messages = resolved.law, []
    constant = [name for name, x in runs.inputs.items() if np.ptp(x) == 0]
    messages += [
        f"{name} has one value, {runs.inputs[name][0]:g}, in all {len(runs)} runs: its exponent is"
        " its prior. Add runs at other values, or pin the exponent."
        for name in constant
    ]
    varying = [name for name in runs.inputs if name not in constant]
    for i, a in enumerate(varying):
        for b in varying[:i]:
            r = float(np.corrcoef(np.log(runs.inputs[a]), np.log(runs.inputs[b]))[0, 1])
            if abs(r) > COLLINEAR_ABOVE:
                messages.append(
                    f"log {b} and log {a} have correlation {r:.3f} over the {len(runs)} runs (as"
                    " with a fixed ratio of the two): their exponents cannot be told apart. Add"
                    " runs at other ratios."
                )
    share = dict(zip(found.names, found.prior_share(), strict=True))
    unknown = {name: value for name, value in share.items() if value > PRIOR_SHARE_MAX}
    if unknown:
        parts = ", ".join(f"{name} ({value:.0%})" for name, value in unknown.items())
        messages.append(
            f"{law.name}: the {len(runs)} runs leave the prior of {parts} nearly as wide as it was"
            " (posterior over prior standard deviation): the answers that rest on it are the"
            " prior's."
        )
    messages += _peaks_beyond(runs, found)
    if len(runs) < len(found.names):
        messages.append(
            f"{law.name} has {len(found.names)} parameters and the table {len(runs)} runs."
        )
    return messages


def _peaks_beyond(runs: Runs, found: Sensitivity) -> list[str]:
    """Curves that have not peaked, of laws that have a peak: taken together, by their form, with
    the two KLs.
    """
    law, messages = runs.law, []
    for quantity in (name for name in law.quantities if name.startswith("kl_peak")):
        method = quantity.removeprefix("kl_peak").strip("_")
        own = runs.table if not method else runs.table[runs.table["method"] == method]
        if not len(own):
            continue
        peak, largest = float(law.value(quantity, **found.params)), float(own["kl"].max())
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
    # rounded as it always was: the first centring, and with it a seed's draws, follow from it
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


def first_centring(resolved: ModelSpec, runs: Runs) -> dict[str, np.ndarray]:
    """How far to centre each group's deviation, (level,) by the term's variable, before anything
    was sampled.

    One less the share of the deviation's prior variance that the group's own runs leave, while the
    parameters that differ by the same groups are free to.
    """
    met = designs(resolved, runs.table)
    if not any(design.formula.groups for design in met.values()):
        return {}
    found = sensitivity(resolved, runs)
    scale = {
        name: float(prior_quantiles(prior, 1.0, (0.5,))[0])
        for name, prior in resolved.priors.items()
        if name.endswith("_sigma")
    }
    centring = {}
    for name, design in met.items():
        for term in design.formula.groups:
            levels = len(design.levels[str(term)])
            if name not in found.names:  # the noise's scale, or a pinned parameter
                centring[f"{name}_{term}"] = np.zeros(levels)
                continue
            own = found.names.index(name)
            sd = np.array([scale.get(f"{other}_{term}_sigma", 1e-9) for other in found.names])
            index = design.index(term, runs.table)
            left = np.array(
                [found.prior_share(index == level, sd)[own] ** 2 for level in range(levels)]
            )
            centring[f"{name}_{term}"] = 1 - left
    return centring
