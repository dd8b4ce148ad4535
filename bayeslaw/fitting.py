"""Fit a law to runs: `fit` for one table, `fit_each` for several parts of one."""

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
from bayeslaw.spec.noise import RUN
from bayeslaw.spec.resolve import resolve
from bayeslaw.spec.settings import Sampler, SamplerSettings, Sampling
from bayeslaw.spec.spec import ModelSpec, population_name

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.posterior.draws import Convergence
    from bayeslaw.spec.identifiability import Sensitivity


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
    spec : what to fit, or the name of a law, which stands for its defaults.
    runs : from `bayeslaw.read_runs`, for this law or another one of the same inputs and response.
    sampler : "nutpie", "pymc" or "numpyro"; the last needs the extra ``numpyro``.
    fixed : variables of the model whose values are known, for the second of two fits:
        ``first.known("E", "beta")``; or published coefficients in the paper's units, ``{"E": 1.69,
        "A": 406.4, "alpha": 0.34}``. Their uncertainty is then in no band. Known deviations of
        groups are not part of the new fit's spec: fitting that spec again would estimate them.
    **sampling : ``draws, tune, chains, random_seed, target_accept, attempts, cores, progressbar``,
        explained in `bayeslaw.spec.settings.Sampling`.

    Returns
    -------
    Fit

    Raises
    ------
    SpecError : the spec does not suit the runs, or a setting is out of range.
    SamplingError : the sampler could not start.

    Warns
    -----
    IdentifiabilityWarning : the runs cannot identify a parameter.
    RunsWarning : long curves are averaged in bins.
    ConvergenceWarning : no attempt converged.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> runs = bl.read_runs(bl.dataset("pretraining_simulated"), "chinchilla")
    >>> fit = bl.fit("chinchilla", runs, draws=200, tune=200, random_seed=1, progressbar=False)
    >>> fit.predict({"model_size": 7e10, "data_size": 1.4e12}).dims
    ('chain', 'draw', 'point')
    """
    spec = as_spec(spec, runs)
    runs = runs.with_law(spec.law)
    pinned = {name: float(value) for name, value in (fixed or {}).items() if np.ndim(value) == 0}
    priors = {name: Prior.of(value) for name, value in _sampled(spec, runs, pinned).items()}
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
    """Fit a design that was resolved for these runs."""
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


def _sampled(spec: ModelSpec, runs: Runs, pinned: Mapping[str, float]) -> dict[str, float]:
    """The known values by what is sampled: a parameter in the paper's units that is sampled at the
    table's centre becomes its value there.

    Raises
    ------
    SpecError : that value depends on parameters that are not known.
    """
    from bayeslaw.spec.centre import centred

    law, params = spec.law, spec.law.params
    names = [name for name in pinned if name in params and params[name].at_centre]
    if not names:
        return dict(pinned)
    if selectors := [x.selector for x in law.inputs.values() if x.selector]:
        raise SpecError(
            f"fixed has {names[0]}, whose value at the table's centre differs by {selectors[0]}:"
            f" fix {population_name(names[0], params[names[0]])}.",
            key="fixed",
        )
    design = resolve(spec, runs)
    runs, _ = binned(design, runs)
    known = {name: pinned[name] for name in pinned if name in params}
    others = [name for name in params if name not in known]
    unit = runs.typical_response

    def somewhere(name: str, quantile: float) -> float:
        """A value that a parameter that is not known may have."""
        prior = design.priors[population_name(name, params[name])]
        if prior.distribution == "Constant":
            return float(prior.in_units(unit)["value"])
        return float(prior.in_scipy(unit).ppf(quantile))

    middle = {name: somewhere(name, 0.5) for name in others}
    sampled = centred(law, known, runs.centre, middle)
    for name in others:
        moved = centred(law, known, runs.centre, {**middle, name: somewhere(name, 0.9)})
        if differ := [x for x in names if not np.isclose(moved[x], sampled[x])]:
            raise SpecError(
                f"fixed has {', '.join(differ)}, which {name} decides too, because what is sampled"
                f" is {params[differ[0]].at_centre}. Fix {name} as well, or"
                f" {population_name(differ[0], params[differ[0]])}.",
                key="fixed",
            )
    renamed = {population_name(name, params[name]): value for name, value in sampled.items()}
    return {name: value for name, value in pinned.items() if name not in params} | renamed


def _fixed_deviations(design: Design, fixed: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The known deviations, by variable and group.

    Raises
    ------
    SpecError : the model has no such deviations, or a group of the runs has no value.
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
                f"fixed has {variable}, and the model has no group effect of that"
                f" name.{suggest(variable, levels)}",
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
    """Fit one spec to several parts of a table, compiling the model once.

    The parts are compiled one by one if the spec has covariates or a curve is averaged in bins: the
    mean of a covariate and the bins of a curve differ between parts, and a compiled model cannot
    change them.

    Parameters
    ----------
    spec, runs, **sampling : as for `fit`.
    parts : for each fit, which runs it uses, (run,), boolean. Defaults of the spec that depend on
        the table, such as effects, are those for all runs that any part uses.

    Returns
    -------
    A fit for each part, as from `fit`.

    Raises
    ------
    As `fit`.
    """
    from bayeslaw.model.build import build
    from bayeslaw.model.convergence import converge
    from bayeslaw.model.sampling import Compiled
    from bayeslaw.spec.identifiability import sensitivity

    in_any = np.logical_or.reduce(parts)
    spec = as_spec(spec, runs)
    runs = runs.with_law(spec.law)
    union = runs.rows(in_any)
    design = resolve(spec, union)
    settings = SamplerSettings.of(sampling, design.spec)
    if len(parts) == 1 or design.numeric_columns or binned(design, union)[1]:
        tables = [runs.rows(used) for used in parts]
        return [_fitted(design.for_runs(part), part, settings, {}, []) for part in tables]
    compiled = Compiled(build(design, union, parts=True), refit=True)
    fits = []
    for used in parts:
        part, used_of_union = runs.rows(used), used[in_any]
        part_design = design.for_runs(part)
        data = _data_of_part(part, union, used_of_union)
        notes = _identifiability(part_design, part, sensitivity(part_design, part))
        verdict, tree = converge(compiled, settings, data)
        tree = _restricted(tree, part_design, part, used_of_union)
        fits.append(_with_verdict(part_design, part, tree, verdict, settings, notes))
    return fits


def _data_of_part(part: Runs, union: Runs, seen: np.ndarray) -> dict[str, Any]:
    """The data of a part for a model that was compiled for the union of all parts.

    They are the runs that the part uses, ``seen``, (run,), and its typical response and centre.
    """
    from bayeslaw.model.build import SEEN

    data: dict[str, Any] = {
        SEEN: seen.astype(float),
        "typical_response": part.typical_response,
    }
    of_union = union.centre_of(union.table)
    for name, value in part.centre_of(union.table).items():
        if np.ndim(value):
            # A group that has no run in the part keeps its centre over all runs.
            value = np.where(np.isnan(value), of_union[name], value)
        data[f"centre_{name}"] = value
    return data


def _restricted(tree: xr.DataTree, design: Design, part: Runs, seen: np.ndarray) -> xr.DataTree:
    """The draws without the groups that have no run in the part, which are draws from the prior."""
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
    if RUN in posterior.dims:
        posterior = posterior.isel({RUN: seen}).assign_coords({RUN: np.arange(int(seen.sum()))})
    observed = tree["observed_data"].to_dataset().isel(run=seen)
    groups = {
        "posterior": posterior,
        "sample_stats": tree["sample_stats"].to_dataset(),
        "observed_data": observed.assign_coords(run=np.arange(int(seen.sum()))),
    }
    return xr.DataTree.from_dict(groups)


def as_spec(spec: ModelSpec | str, runs: Runs) -> ModelSpec:
    """The spec, from a spec or the name of a law; the name of the runs' law keeps its options."""
    if isinstance(spec, ModelSpec):
        return spec
    return ModelSpec(runs.law if spec == runs.law.name else find_law(spec))


def _identifiability(design: Design, runs: Runs, at: Sensitivity) -> list[str]:
    """Warn of what the runs cannot identify, and return the warnings."""
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
    """The fit, with a warning if the chains did not converge."""
    if not verdict.passed:
        failure = (
            f"The chains did not converge after {len(verdict.attempts)} attempts: {verdict}."
            " Do not rely on results from this fit."
        )
        warnings_module.warn(failure, ConvergenceWarning, stacklevel=4)
        notes = [*notes, failure]
    versions = _versions(settings.sampler)
    return Fit(design, runs, tree, verdict, settings.random_seed, tuple(notes), versions)


def _versions(sampler: str) -> dict[str, str]:
    """The versions of Python and of the libraries that draws depend on, and the sampler's name."""
    names = ["bayeslaw", "pymc", "arviz-stats", "numpy"]
    names += [sampler] if sampler != "pymc" else []
    versions = {name: version(name) for name in names}
    return {"python": platform.python_version(), "sampler": sampler, **versions}
