"""Fit a law to runs: the posterior, and what it rests on."""

from __future__ import annotations

import platform
import secrets
import warnings as warnings_module
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from bayeslaw import defaults
from bayeslaw.errors import ConvergenceWarning, IdentifiabilityWarning, SpecError
from bayeslaw.laws.registry import law as find_law
from bayeslaw.runs import Runs
from bayeslaw.spec import ModelSpec, resolve

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.predict import Kind, Points
    from bayeslaw.sampling import Convergence, Sampler


@dataclass(frozen=True, slots=True)
class Fit:
    """A law fitted to runs. Made by `fit` or `load`, never changed.

    Attributes
    ----------
    spec : what was fitted, every formula and prior written out.
    runs : the table it was fitted to.
    idata : DataTree with groups posterior, sample_stats, observed_data, as PyMC and ArviZ know it.
    convergence : the chains' verdict, which every result derived from the fit carries.
    random_seed : gives the same draws again, and seeds the predictions.
    warnings : what the table cannot identify, and what did not converge.
    versions : of the libraries that made it.
    """

    spec: ModelSpec
    runs: Runs
    idata: xr.DataTree
    convergence: Convergence
    random_seed: int
    warnings: tuple[str, ...]
    versions: Mapping[str, str]

    def summary(self, var_names: Sequence[str] | None = None, *, ci_prob: float = 0.9) -> pd.DataFrame:
        """A row a variable: mean, sd, equal-tailed interval, effective sample sizes, R-hat. Default: all but the groups' deviations."""
        from bayeslaw.predict import summary

        return summary(self, var_names, ci_prob=ci_prob)

    def predict(self, points: Points, kind: Kind = "run", *, random_seed: int | None = None) -> xr.DataArray:
        """The posterior predictive at new points, (chain, draw, point): see `bayeslaw.predict.predict`."""
        from bayeslaw.predict import predict

        return predict(self, points, kind, random_seed=random_seed)

    def bands(
        self, points: Points, kind: Kind = "run", probs: Sequence[float] = defaults.PROBS, *, random_seed: int | None = None
    ) -> pd.DataFrame:
        """Mean, median and equal-tailed bands at new points, a row a point: see `bayeslaw.predict.bands`."""
        from bayeslaw.predict import bands

        return bands(self, points, kind, probs, random_seed=random_seed)

    def quantity(self, name: str) -> xr.DataArray:
        """A parameter or a quantity of the law over the draws, (chain, draw[, group]): see `bayeslaw.quantities.quantity`."""
        from bayeslaw.quantities import quantity

        return quantity(self, name)

    def save(self, path: str | Path) -> Path:
        """Write the fit to one NetCDF file, whole or not at all: see `bayeslaw.storage.save`."""
        from bayeslaw.storage import save

        return save(self, path)


def fit(
    spec: ModelSpec | str,
    runs: Runs,
    *,
    draws: int = defaults.DRAWS,
    tune: int = defaults.TUNE,
    chains: int = defaults.CHAINS,
    random_seed: int | None = None,
    sampler: Sampler = "nutpie",
    target_accept: float = defaults.TARGET_ACCEPT,
    attempts: int = defaults.ATTEMPTS,
    cores: int | None = None,
    progressbar: bool = True,
) -> Fit:
    """Sample the posterior of a law's parameters given runs.

    Parameters
    ----------
    spec : what to fit, or the name of a law, for its defaults.
    runs : from `bayeslaw.read_runs`.
    draws, tune, chains : per chain; chains.
    random_seed : same seed, same numbers. None: one is drawn, and kept in the fit.
    sampler : "nutpie", "pymc" or "numpyro" (the latter needs the extra ``numpyro``).
    target_accept : acceptance rate that sets the step size.
    attempts : how many tries until the chains converge. After the first the remedies are: a smaller step after divergences,
        another parametrisation of the group effects, more tuning and draws. What was tried is in ``fit.convergence``.
    cores : processes or threads; None: as many as there are, up to the chains.
    progressbar : show the sampler's progress.

    Returns
    -------
    Fit

    Raises
    ------
    SpecError, SamplingError. Warns `IdentifiabilityWarning`, and `ConvergenceWarning` if the last attempt failed.
    """
    from bayeslaw.identifiability import identifiability_warnings, sensitivity
    from bayeslaw.model import build
    from bayeslaw.sampling import Compiled, Effort, converge

    for name, value in {"draws": draws, "tune": tune, "chains": chains, "attempts": attempts}.items():
        if not value >= 1:
            raise SpecError(f"{name} is {value}, and it must be at least 1.")
    if not 0 < target_accept < 1:
        raise SpecError(f"target_accept is {target_accept}, and it must be between 0 and 1.")
    if sampler not in ("nutpie", "pymc", "numpyro"):
        raise SpecError(f"sampler is {sampler!r}, and it must be nutpie, pymc or numpyro.")
    if find_spec(sampler) is None:
        raise SpecError(f"{sampler} is not installed: pip install 'bayeslaw[{sampler}]'.")
    if isinstance(spec, str):  # the runs' own law keeps its options
        spec = ModelSpec(runs.law if spec == runs.law.name else find_law(spec))
    resolved = resolve(spec, runs)
    found = sensitivity(resolved, runs)
    notes = identifiability_warnings(resolved, runs, found)
    for note in notes:
        warnings_module.warn(note, IdentifiabilityWarning, stacklevel=2)
    seed = secrets.randbits(31) if random_seed is None else int(random_seed)
    effort = Effort(draws, tune, chains, target_accept, seed, cores, progressbar)

    verdict, tree = converge(Compiled(build(resolved, runs), sampler=sampler), effort, attempts)
    if not verdict.passed:
        failure = (
            f"The chains did not converge after {len(verdict.attempts)} attempts: {verdict}. Results from this fit are not to be relied on."
        )
        warnings_module.warn(failure, ConvergenceWarning, stacklevel=2)
        notes.append(failure)
    return Fit(resolved, runs, tree, verdict, seed, tuple(notes), _versions(sampler))


def _versions(sampler: str) -> dict[str, str]:
    names = ["bayeslaw", "pymc", "arviz-stats", "numpy", *([sampler] if sampler != "pymc" else [])]
    return {"python": platform.python_version(), "sampler": sampler, **{name: version(name) for name in names}}
