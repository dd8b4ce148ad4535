"""Fit a law to runs: the posterior, and what it rests on."""

from __future__ import annotations

import platform
import secrets
import warnings as warnings_module
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayeslaw import defaults
from bayeslaw.curves.binning import binned
from bayeslaw.errors import (
    ConvergenceWarning,
    IdentifiabilityWarning,
    RunsWarning,
    SpecError,
    UnknownNameError,
    suggest,
)
from bayeslaw.laws.registry import law as find_law
from bayeslaw.priors import Prior
from bayeslaw.runs.scores import BASELINE, BASELINE_SE, baseline_labels
from bayeslaw.runs.table import Runs
from bayeslaw.spec.spec import ModelSpec, all_covariates, designs, resolve, shared_labels

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.model.sampling import Convergence, Effort, Sampler
    from bayeslaw.posterior.parameters import Kind
    from bayeslaw.posterior.predict import Points


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

    def summary(
        self, var_names: Sequence[str] | None = None, *, ci_prob: float = 0.9
    ) -> pd.DataFrame:
        """A row a variable: mean, sd, equal-tailed interval, effective sample sizes, R-hat.
        Default: all but the groups' deviations.
        """
        from bayeslaw.posterior.predict import summary

        return summary(self, var_names, ci_prob=ci_prob)

    def predict(
        self, points: Points, kind: Kind = "run", *, random_seed: int | None = None
    ) -> xr.DataArray:
        """The posterior predictive at new points, (chain, draw, point): see
        `bayeslaw.posterior.predict.predict`.
        """
        from bayeslaw.posterior.predict import predict

        return predict(self, points, kind, random_seed=random_seed)

    def bands(
        self,
        points: Points,
        kind: Kind = "run",
        probs: Sequence[float] = defaults.PROBS,
        *,
        random_seed: int | None = None,
    ) -> pd.DataFrame:
        """Mean, median and equal-tailed bands at new points, a row a point: see
        `bayeslaw.posterior.predict.bands`.
        """
        from bayeslaw.posterior.predict import bands

        return bands(self, points, kind, probs, random_seed=random_seed)

    def quantity(self, name: str, **at: float) -> xr.DataArray:
        """A parameter or a quantity of the law over the draws, (chain, draw[, group]): see
        `bayeslaw.posterior.quantities.quantity`.
        """
        from bayeslaw.posterior.quantities import quantity

        return quantity(self, name, **at)

    def known(self, *params: str) -> dict[str, xr.DataArray]:
        """What this fit knows of parameters, as ``fixed`` of `fit` takes it: the posterior medians
        of all their variables.

        Raises
        ------
        UnknownNameError : the model has no such parameter. SpecError : what is sampled of it is
            relative to this table's centre, and means another thing for another table; or its
            groups are not pooled (``0 + group``).
        """
        posterior, met = self.idata["posterior"].to_dataset(), designs(self.spec, self.runs.table)
        found: dict[str, xr.DataArray] = {}
        for name in params:
            if name not in self.spec.params:
                raise UnknownNameError("parameter", name, self.spec.params)
            param, formula = self.spec.params[name], met[name].formula
            if param.at_centre or formula.by:
                why = (
                    f"is sampled as {param.at_centre}, which is of this table alone"
                    if param.at_centre
                    else f"has the formula {formula}, a value for each group"
                )
                raise SpecError(
                    f"{name} of {self.spec.law.name} {why}: it cannot be taken as known elsewhere."
                )
            terms = [f"{name}_{term}{end}" for term in formula.groups for end in ("", "_sigma")]
            own = [name, *(f"{name}_{covariate}" for covariate in formula.covariates), *terms]
            found |= {variable: posterior[variable].median(("chain", "draw")) for variable in own}
        return found

    def save(self, path: str | Path) -> Path:
        """Write the fit to one NetCDF file, whole or not at all: see `bayeslaw.posterior.storage.save`."""
        from bayeslaw.posterior.storage import save

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
    target_accept: float | None = None,
    attempts: int = defaults.ATTEMPTS,
    cores: int | None = None,
    progressbar: bool = True,
    fixed: Mapping[str, xr.DataArray | float] | None = None,
) -> Fit:
    """Sample the posterior of a law's parameters given runs.

    Parameters
    ----------
    spec : what to fit, or the name of a law, for its defaults.
    runs : from `bayeslaw.read_runs`.
    draws, tune, chains : per chain; chains.
    random_seed : same seed, same numbers, on one machine with the same libraries. None: one is
        drawn, and kept in the fit.
    sampler : "nutpie", "pymc" or "numpyro" (the latter needs the extra ``numpyro``).
    target_accept : acceptance rate that sets the step size. None: `defaults.TARGET_ACCEPT`, or
        `defaults.TARGET_ACCEPT_CURVES` where each curve has a path of its own and nothing is in
        common.
    attempts : how many tries until the chains converge. After the first the remedies are: a smaller
        step after divergences, another parametrisation of the group effects, more tuning and draws.
        What was tried is in ``fit.convergence``.
    cores : processes or threads; None: as many as there are, up to the chains.
    progressbar : show the sampler's progress.
    fixed : variables of the model whose values are known, such as ``other_fit.known("E", "beta")``:
        the second of two steps. What is uncertain about them is then in no band. Group deviations
        that are known are not in the spec of the fit: fitting that again estimates them.

    Returns
    -------
    Fit

    Raises
    ------
    SpecError, SamplingError. Warns `IdentifiabilityWarning`, `RunsWarning` where long curves enter
    as averages, and `ConvergenceWarning` if the last attempt failed.
    """
    from bayeslaw.model.build import build
    from bayeslaw.model.sampling import Compiled, converge

    pinned = {name: float(value) for name, value in (fixed or {}).items() if np.ndim(value) == 0}
    wanted = meant(spec, runs)
    resolved = resolve(
        replace(
            wanted,
            priors={**wanted.priors, **{name: Prior.of(value) for name, value in pinned.items()}},
        ),
        runs,
    )
    deviations = _fixed_deviations(
        resolved, runs, {name: value for name, value in (fixed or {}).items() if name not in pinned}
    )
    effort = _effort(
        resolved,
        draws,
        tune,
        chains,
        target_accept,
        random_seed,
        sampler,
        attempts,
        cores,
        progressbar,
    )
    if sampler == "numpyro" and resolved.departs.kind == "curve":
        raise SpecError(
            "numpyro cannot sample a discrepancy along curves. Use nutpie or pymc, or set"
            " discrepancy to 'none'."
        )
    runs, told = binned(resolved, runs)
    for note in told:
        warnings_module.warn(note, RunsWarning, stacklevel=2)
    notes = told + _identifiability(resolved, runs)
    if fixed:
        notes.append(f"Taken as known, with no uncertainty: {', '.join(fixed)}.")
    verdict, tree = converge(
        Compiled(build(resolved, runs, fixed=deviations), sampler=sampler), effort, attempts
    )
    return _fitted(resolved, runs, tree, verdict, effort, sampler, notes)


def _fixed_deviations(
    resolved: ModelSpec, runs: Runs, fixed: Mapping[str, Any]
) -> dict[str, dict[str, float]]:
    """Known deviations by variable and group.

    Raises
    ------
    SpecError : the model has no such deviations, or a group of the runs is not among them.
    """
    found = {}
    levels = {
        f"{name}_{term}": groups
        for name, design in designs(resolved, runs.table).items()
        for term, groups in design.levels.items()
    }
    for variable, values in fixed.items():
        if variable not in levels:
            raise SpecError(
                f"fixed has {variable}, and the model has no such"
                f" deviations.{suggest(variable, levels)}"
            )
        if getattr(values, "ndim", 0) != 1 or not getattr(values, "coords", None):
            raise SpecError(
                f"fixed has {variable}, and its values must be a DataArray over groups, as"
                " Fit.known gives it."
            )
        known = dict(
            zip(map(str, values[values.dims[0]].values), map(float, values.values), strict=True)
        )
        if missing := [group for group in levels[variable] if group not in known]:
            raise SpecError(
                f"fixed has no value of {variable} for {', '.join(missing)}, which the runs have."
            )
        found[variable] = known
    return found


def fit_each(
    spec: ModelSpec | str,
    runs: Runs,
    parts: Sequence[np.ndarray],
    *,
    draws: int = defaults.DRAWS,
    tune: int = defaults.TUNE,
    chains: int = defaults.CHAINS,
    random_seed: int | None = None,
    target_accept: float | None = None,
    attempts: int = defaults.ATTEMPTS,
    cores: int | None = None,
    progressbar: bool = True,
) -> list[Fit]:
    """Fit one spec to several parts of a table, with one compile.

    Parameters
    ----------
    parts : for each fit, which runs it sees, (run,), boolean. Defaults of the spec that depend on
        the table, such as effects, are those for the runs that any part sees.

    The others are those of `fit`. A covariate is centred at the mean of its own part, and a long
    curve is averaged within its own part, which a compiled model cannot follow: then each part is
    compiled.

    Returns
    -------
    A fit for each part, as `fit` gives it.

    Raises
    ------
    As `fit`.
    """
    from bayeslaw.model.build import SEEN, build
    from bayeslaw.model.sampling import Compiled, converge

    union = np.logical_or.reduce(parts)
    resolved = resolve(meant(spec, runs), runs.rows(union))
    effort = _effort(
        resolved,
        draws,
        tune,
        chains,
        target_accept,
        random_seed,
        "nutpie",
        attempts,
        cores,
        progressbar,
    )
    again: dict[str, Any] = {
        "draws": draws,
        "tune": tune,
        "chains": chains,
        "target_accept": target_accept,
        "attempts": attempts,
        "cores": cores,
    }
    apart = all_covariates(resolved) or binned(resolved, runs.rows(union))[1]
    if len(parts) == 1 or apart:
        return [
            fit(
                resolved,
                runs.rows(seen),
                random_seed=effort.random_seed,
                progressbar=progressbar,
                **again,
            )
            for seen in parts
        ]
    compiled = Compiled(build(resolved, runs.rows(union), parts=True), refit=True)
    fits = []
    for seen in parts:
        part = runs.rows(seen)
        data = {SEEN: seen[union].astype(float), "typical_response": part.typical_response}
        data |= {
            f"centre_{name}": value for name, value in _centre_of(part, runs.rows(union)).items()
        }
        notes = _identifiability(resolved, part)
        verdict, tree = converge(compiled, effort, attempts, data)
        fits.append(
            _fitted(
                resolved,
                part,
                _restricted(tree, resolved, part, seen[union]),
                verdict,
                effort,
                "nutpie",
                notes,
            )
        )
    return fits


def _centre_of(part: Runs, union: Runs) -> dict[str, Any]:
    """The centre that a part of the runs has, for all of them; where it has no run of a group,
    which says nothing then, that of all.
    """
    own, all_of = part.centre_of(union.table), union.centre_of(union.table)
    return {
        name: np.where(np.isnan(value), all_of[name], value) if np.ndim(value) else value
        for name, value in own.items()
    }


def _restricted(
    tree: xr.DataTree, resolved: ModelSpec, part: Runs, seen: np.ndarray
) -> xr.DataTree:
    """The draws without the groups that the part has no run of: their deviations are draws of the
    prior.
    """
    import xarray as xr

    posterior = tree["posterior"].to_dataset()
    kept = {
        term.split("|")[-1]: list(levels)
        for design in designs(resolved, part.table).values()
        for term, levels in design.levels.items()
    }
    kept |= (
        {BASELINE: sorted(set(baseline_labels(part.table)))} if BASELINE_SE in part.table else {}
    )
    kept |= {"in_common": sorted(set(shared_labels(resolved, part.table)))}
    posterior = posterior.sel(
        {dim: levels for dim, levels in kept.items() if dim in posterior.dims}
    )
    observed = (
        tree["observed_data"]
        .to_dataset()
        .isel(run=seen)
        .assign_coords(run=np.arange(int(seen.sum())))
    )
    return xr.DataTree.from_dict(
        {
            "posterior": posterior,
            "sample_stats": tree["sample_stats"].to_dataset(),
            "observed_data": observed,
        }
    )


def _effort(
    resolved: ModelSpec,
    draws: int,
    tune: int,
    chains: int,
    target_accept: float | None,
    random_seed: int | None,
    sampler: str,
    attempts: int,
    cores: int | None,
    progressbar: bool,
) -> Effort:
    """The sampling effort, checked."""
    from bayeslaw.model.sampling import Effort

    for name, value in {
        "draws": draws,
        "tune": tune,
        "chains": chains,
        "attempts": attempts,
    }.items():
        if not value >= 1:
            raise SpecError(f"{name} is {value}, and it must be at least 1.")
    if target_accept is None:
        own_paths = resolved.departs.kind == "curve" and not resolved.departs.has_shared
        target_accept = defaults.TARGET_ACCEPT_CURVES if own_paths else defaults.TARGET_ACCEPT
    if not 0 < target_accept < 1:
        raise SpecError(f"target_accept is {target_accept}, and it must be between 0 and 1.")
    if sampler not in ("nutpie", "pymc", "numpyro"):
        raise SpecError(f"sampler is {sampler!r}, and it must be nutpie, pymc or numpyro.")
    if find_spec(sampler) is None:
        raise SpecError(f"{sampler} is not installed: pip install 'bayeslaw[{sampler}]'.")
    return Effort(draws, tune, chains, target_accept, seeded(random_seed), cores, progressbar)


def seeded(random_seed: int | None) -> int:
    """The seed that was given, or one that is drawn."""
    return secrets.randbits(31) if random_seed is None else int(random_seed)


def meant(spec: ModelSpec | str, runs: Runs) -> ModelSpec:
    """The spec, from a spec or the name of a law. The runs' own law keeps its options."""
    return (
        ModelSpec(runs.law if spec == runs.law.name else find_law(spec))
        if isinstance(spec, str)
        else spec
    )


def _identifiability(resolved: ModelSpec, runs: Runs) -> list[str]:
    from bayeslaw.spec.identifiability import identifiability_warnings, sensitivity

    notes = identifiability_warnings(resolved, runs, sensitivity(resolved, runs))
    for note in notes:
        warnings_module.warn(note, IdentifiabilityWarning, stacklevel=3)
    return notes


def _fitted(
    resolved: ModelSpec,
    runs: Runs,
    tree: xr.DataTree,
    verdict: Convergence,
    effort: Effort,
    sampler: str,
    notes: Sequence[str],
) -> Fit:
    """The fit, with a warning where the chains did not converge."""
    if not verdict.passed:
        failure = (
            f"The chains did not converge after {len(verdict.attempts)} attempts: {verdict}."
            " Results from this fit are not to be relied on."
        )
        warnings_module.warn(failure, ConvergenceWarning, stacklevel=3)
        notes = [*notes, failure]
    return Fit(resolved, runs, tree, verdict, effort.random_seed, tuple(notes), _versions(sampler))


def _versions(sampler: str) -> dict[str, str]:
    names = ["bayeslaw", "pymc", "arviz-stats", "numpy", *([sampler] if sampler != "pymc" else [])]
    return {
        "python": platform.python_version(),
        "sampler": sampler,
        **{name: version(name) for name in names},
    }
