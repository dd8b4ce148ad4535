"""From a law's parameters in the paper's units to what is sampled at the table's centre: the way
back of `bayeslaw.laws.base.Law.from_centre`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bayeslaw.errors import SpecError
from bayeslaw.laws.base import Law

#: The most by which a parameter may differ, on its unconstrained scale, from the one asked for.
CLOSE = 1e-8


def centred(
    law: Law,
    params: Mapping[str, float],
    centre: Mapping[str, float],
    free: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """What is sampled, by the names of the parameters, where the paper's parameters have these
    values and the table has this centre.

    The equations of `Law.at_centre` are solved numerically on the unconstrained scale of what is
    sampled.

    Parameters
    ----------
    params : the parameters that are known.
    centre : of each input.
    free : what is sampled in place of every other parameter of the law.

    Raises
    ------
    SpecError : no value of what is sampled gives these parameters.

    Examples
    --------
    >>> law = find_law("chinchilla")
    >>> params = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
    >>> centred(law, params, {"model_size": 1e9, "data_size": 1e10})["A"]
    0.354...
    """
    from scipy.optimize import root

    names = [name for name in params if law.params[name].at_centre]
    if not names:
        return dict(params)
    links = [law.params[name].link for name in names]
    wanted = np.array([params[name] for name in names])

    def sampled(unconstrained: np.ndarray) -> dict[str, Any]:
        values = {
            name: link.inverse(x)  # a NumPy number, which overflows to infinity
            for name, link, x in zip(names, links, unconstrained, strict=True)
        }
        return {**params, **values}

    def solved(start: np.ndarray, at: Mapping[str, float]) -> np.ndarray | None:
        """The solution for a centre, from a start; None if it is not reached."""

        def missed(unconstrained: np.ndarray) -> np.ndarray:
            found = law.from_centre({**(free or {}), **sampled(unconstrained)}, at)
            reached = np.array([found[name] for name in names])
            return np.asarray(_compressed(reached) - _compressed(wanted))

        found = root(missed, start, tol=1e-13)
        close = np.isfinite(found.fun).all() and np.abs(found.fun).max() < CLOSE
        return np.asarray(found.x) if close else None

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for start in _starts(law, names):
            # First for a table in the middle of what is plausible, where priors are at home.
            place: np.ndarray | None = start
            for at in _way(law, centre):
                place = None if place is None else solved(place, at)
            if place is not None:
                return {name: float(x) for name, x in sampled(place).items()}
    shown = ", ".join(f"{name} = {value:g}" for name, value in params.items())
    raise SpecError(
        f"{law.name} cannot have these parameters: {shown}. Each must be in the paper's units and"
        " in its range (bayeslaw laws)."
    )


def _compressed(values: np.ndarray) -> np.ndarray:
    """Values over many decades, and of both signs, on a scale that is logarithmic far from 0."""
    return np.arcsinh(values * 1e12)


def _way(law: Law, centre: Mapping[str, float]) -> list[dict[str, float]]:
    """Centres from the middle of the plausible inputs to ``centre``, in steps of some factor 3."""
    logs = {}
    for name, spec in law.inputs.items():
        low, high = np.log(np.maximum(spec.plausible, 1e-6))
        logs[name] = (low + high) / 2, float(np.log(centre[name]))
    farthest = max((abs(b - a) for a, b in logs.values()), default=0.0)
    shares = np.linspace(0, 1, 2 + int(farthest))
    return [{name: float(np.exp(a + x * (b - a))) for name, (a, b) in logs.items()} for x in shares]


def _starts(law: Law, names: Sequence[str]) -> list[np.ndarray]:
    """Where the search starts: at the medians of the priors, and around them."""
    medians = []
    for name in names:
        param = law.params[name]
        prior = param.prior
        constant = prior.distribution == "Constant"
        median = dict(prior.parameters)["value"] if constant else prior.in_scipy(1.0).median()
        medians.append(float(param.link.forward(float(median))))
    rng, middle = np.random.default_rng(0), np.array(medians)
    around = [middle + scale * rng.standard_normal(len(names)) for scale in (0.5, 1.0, 2.0) * 3]
    return [middle, *around]
