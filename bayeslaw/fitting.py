"""Fit a law to runs: the posterior, and what it rests on."""

from __future__ import annotations

import platform
import warnings as warnings_module
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from bayeslaw.curves.binning import binned
from bayeslaw.errors import (
    ConvergenceWarning,
    IdentifiabilityWarning,
    RunsWarning,
    SpecError,
    suggest,
)
from bayeslaw.fitted import Fit
from bayeslaw.laws.registry import law as find_law
from bayeslaw.priors import Prior
from bayeslaw.runs.measurement import BASELINE, BASELINE_SE, baseline_labels
from bayeslaw.runs.table import Runs
from bayeslaw.spec.design import Design
from bayeslaw.spec.resolve import resolve
from bayeslaw.spec.settings import Sampler, SamplerSettings, Sampling
from bayeslaw.spec.spec import ModelSpec

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.posterior.draws import Convergence


def fit(
    spec: ModelSpec | str,
    runs: Runs,
    *,
    sampler: Sampler = "nutpie",
    fixed: Mapping[str, xr.DataArray | float] | None = None,
    **sampling: Unpack[Sampling],
) -> Fit:
    """Sample the posterior of a law's parameters given runs.

    Parameters
    ----------
    spec : what to fit, or the name of a law, for its defaults.
    runs : from `bayeslaw.read_runs`.
    sampler : "nutpie", "pymc" or "numpyro" (the latter needs the extra ``numpyro``).
    fixed : variables of the model whose values are known, such as ``other_fit.known("E", "beta")``:
        the second of two steps. What is uncertain about them is then in no band. Group deviations
        that are known are not in the spec of the fit: fitting that again estimates them.
    **sampling : ``draws, tune, chains, random_seed, target_accept, attempts, cores, progressbar``:
        see `bayeslaw.spec.settings.Sampling`.

    Returns
    -------
    Fit

    Raises
    ------
    SpecError, SamplingError. Warns `IdentifiabilityWarning`, `RunsWarning` where long curves enter
    as averages, and `ConvergenceWarning` if the last attempt failed.

    Examples
    --------
    ``bl.fit("chinchilla", runs, random_seed=1)``; with options of the model
    ``bl.fit(bl.ModelSpec("chinchilla", noise="laplace"), runs, draws=2000)``.
    """
    spec = as_spec(spec, runs)
    pinned = {name: float(value) for name, value in (fixed or {}).items() if np.ndim(value) == 0}
    priors = {name: Prior.of(value) for name, value in pinned.items()}
    design = resolve(spec.replaced(priors={**spec.priors, **priors}), runs)
    others = {name: value for name, value in (fixed or {}).items() if name not in pinned}
    deviations = _fixed_deviations(design, others)
    settings = SamplerSettings.of(sampling, design.spec, sampler)
    notes = [f"Taken as known, with no uncertainty: {', '.join(fixed)}."] if fixed else []
    return _fitted(design, runs, settings, deviations, notes)


def _fitted(
    design: Design,
    runs: Runs,
    settings: SamplerSettings,
    fixed: Mapping[str, Mapping[str, float]],
    more_notes: Sequence[str],
) -> Fit:
    """The fit of a design that is resolved for these runs."""
    from bayeslaw.model.build import build
    from bayeslaw.model.convergence import converge
    from bayeslaw.model.sampling import Compiled
    from bayeslaw.spec.identifiability import sensitivity

    runs, notes = binned(design, runs)
    if notes:
        design = design.for_runs(runs)
    for note in notes:
        warnings_module.warn(note, RunsWarning, stacklevel=3)
    at = sensitivity(design, runs)
    notes = [*notes, *_identifiability(design, runs, at), *more_notes]
    model = build(design, runs, fixed=fixed, sensitivity=at)
    verdict, tree = converge(Compiled(model, sampler=settings.sampler), settings)
    return _with_verdict(design, runs, tree, verdict, settings, notes)


def _fixed_deviations(design: Design, fixed: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Known deviations by variable and group.

    Raises
    ------
    SpecError : the model has no such deviations, or a group of the runs is not among them.
    """
    levels = {
        f"{name}_{term}": groups
        for name, predictor in design.predictors.items()
        for term, groups in predictor.levels.items()
    }
    deviations = {}
    for variable, values in fixed.items():
        if variable not in levels:
            raise SpecError(
                f"fixed has {variable}, and the model has no such"
                f" deviations.{suggest(variable, levels)}",
                key="fixed",
            )
        if getattr(values, "ndim", 0) != 1 or not getattr(values, "coords", None):
            raise SpecError(
                f"fixed has {variable}, and its values must be a DataArray over groups, as"
                " Fit.known gives it.",
                key="fixed",
            )
        groups = map(str, values[values.dims[0]].values)
        known = dict(zip(groups, map(float, values.values), strict=True))
        if missing := [group for group in levels[variable] if group not in known]:
            raise SpecError(
                f"fixed has no value of {variable} for {', '.join(missing)}, which the runs have.",
                key="fixed",
            )
        deviations[variable] = known
    return deviations


def fit_each(
    spec: ModelSpec | str,
    runs: Runs,
    parts: Sequence[np.ndarray],
    **sampling: Unpack[Sampling],
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
    from bayeslaw.model.build import build
    from bayeslaw.model.convergence import converge
    from bayeslaw.model.sampling import Compiled
    from bayeslaw.spec.identifiability import sensitivity

    in_any = np.logical_or.reduce(parts)
    union = runs.rows(in_any)
    design = resolve(as_spec(spec, runs), union)
    settings = SamplerSettings.of(sampling, design.spec)
    if len(parts) == 1 or design.numeric_columns or binned(design, union)[1]:
        each = [runs.rows(seen) for seen in parts]
        return [_fitted(design.for_runs(part), part, settings, {}, []) for part in each]
    compiled = Compiled(build(design, union, parts=True), refit=True)
    fits = []
    for seen in parts:
        part, seen_of_union = runs.rows(seen), seen[in_any]
        own = design.for_runs(part)
        data = _data_of_part(part, union, seen_of_union)
        notes = _identifiability(own, part, sensitivity(own, part))
        verdict, tree = converge(compiled, settings, data)
        tree = _restricted(tree, own, part, seen_of_union)
        fits.append(_with_verdict(own, part, tree, verdict, settings, notes))
    return fits


def _data_of_part(part: Runs, union: Runs, seen: np.ndarray) -> dict[str, Any]:
    """What a compiled model of the union is given for a part: which runs are seen, (run,), and the
    part's typical response and centre."""
    from bayeslaw.model.build import SEEN

    data: dict[str, Any] = {
        SEEN: seen.astype(float),
        "typical_response": part.typical_response,
    }
    of_union = union.centre_of(union.table)
    for name, value in part.centre_of(union.table).items():
        if np.ndim(value):
            # Of a group that the part has no run of, the centre is that of all runs.
            value = np.where(np.isnan(value), of_union[name], value)
        data[f"centre_{name}"] = value
    return data


def _restricted(tree: xr.DataTree, design: Design, part: Runs, seen: np.ndarray) -> xr.DataTree:
    """The draws without the groups that the part has no run of: their deviations are draws of the
    prior."""
    import xarray as xr

    kept = {
        term.split("|")[-1]: list(levels)
        for predictor in design.predictors.values()
        for term, levels in predictor.levels.items()
    }
    if BASELINE_SE in part.table:
        kept[BASELINE] = sorted(set(baseline_labels(part.table)))
    kept["in_common"] = sorted(set(design.shared_labels(part.table)))
    posterior = tree["posterior"].to_dataset()
    posterior = posterior.sel({dim: x for dim, x in kept.items() if dim in posterior.dims})
    observed = tree["observed_data"].to_dataset().isel(run=seen)
    groups = {
        "posterior": posterior,
        "sample_stats": tree["sample_stats"].to_dataset(),
        "observed_data": observed.assign_coords(run=np.arange(int(seen.sum()))),
    }
    return xr.DataTree.from_dict(groups)


def as_spec(spec: ModelSpec | str, runs: Runs) -> ModelSpec:
    """The spec, from a spec or the name of a law. The runs' own law keeps its options."""
    if isinstance(spec, ModelSpec):
        return spec
    return ModelSpec(runs.law if spec == runs.law.name else find_law(spec))


def _identifiability(design: Design, runs: Runs, at: Any) -> list[str]:
    """What the runs cannot identify, warned of."""
    from bayeslaw.spec.identifiability import identifiability_warnings

    notes = identifiability_warnings(design, runs, at)
    for note in notes:
        warnings_module.warn(note, IdentifiabilityWarning, stacklevel=4)
    return notes


def _with_verdict(
    design: Design,
    runs: Runs,
    tree: xr.DataTree,
    verdict: Convergence,
    settings: SamplerSettings,
    notes: Sequence[str],
) -> Fit:
    """The fit, with a warning where the chains did not converge."""
    if not verdict.passed:
        failure = (
            f"The chains did not converge after {len(verdict.attempts)} attempts: {verdict}."
            " Results from this fit are not to be relied on."
        )
        warnings_module.warn(failure, ConvergenceWarning, stacklevel=4)
        notes = [*notes, failure]
    versions = _versions(settings.sampler)
    return Fit(design, runs, tree, verdict, settings.random_seed, tuple(notes), versions)


def _versions(sampler: str) -> dict[str, str]:
    names = ["bayeslaw", "pymc", "arviz-stats", "numpy"]
    names += [sampler] if sampler != "pymc" else []
    versions = {name: version(name) for name in names}
    return {"python": platform.python_version(), "sampler": sampler, **versions}
