"""Compile a model once, and sample it any number of times, with other data if wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

import numpy as np
import pymc as pm
import xarray as xr
from pymc.model.transform.optimization import freeze_dims_and_data
from pytensor.configdefaults import config
from pytensor.graph.traversal import ancestors

from bayeslaw.defaults import LOW_RANK_DIMENSIONS
from bayeslaw.errors import SamplingError
from bayeslaw.model.build import CENTRING, DEVIATION
from bayeslaw.model.effects import RAW, Centring
from bayeslaw.spec.settings import Sampler, SamplerSettings

Data = Mapping[str, Any]

#: The centring above which a group's value can be told from what is sampled in place of it.
LEAST_CENTRING = 1e-3


class Compiled:
    """A model that is compiled when it is first sampled, and not again.

    Parameters
    ----------
    model : from `bayeslaw.model.build.build`.
    sampler : "nutpie", with a low-rank mass matrix up to `LOW_RANK_DIMENSIONS`; "pymc" or
        "numpyro".
    refit : whether `sample` may be given other data. If not, the data are frozen, which compiles in
        half the time.
    """

    def __init__(self, model: pm.Model, *, sampler: Sampler = "nutpie", refit: bool = False):
        self.model = model
        self.sampler = sampler
        self.refit = refit
        self._nutpie: Any = None

    @property
    def pinned(self) -> list[str]:
        """The variables whose value is known before anything is sampled."""
        sampled = set(self.model.free_RVs)
        return [
            variable.name
            for variable in self.model.deterministics
            if sampled.isdisjoint(ancestors([variable]))
        ]

    def pilot(self, settings: SamplerSettings, data: Data | None = None) -> dict[str, np.ndarray]:
        """A short run that sets how far each group's deviation is centred; ``data`` for `sample`.

        See `centring`.
        """
        return self.centring(self.draw(settings, data), self.model[CENTRING].get_value())

    def centring(self, drawn: xr.DataTree, used: np.ndarray) -> dict[str, np.ndarray]:
        """How far each group's deviation is best centred, as ``data`` for `sample`.

        The centring of a group is 1 minus the share of its deviation's prior variance that remains
        in the posterior, given the other groups. That is optimal for Gaussian data
        (Papaspiliopoulos et al. 2007, Statistical Science 22(1), section 4). The other groups are
        given because centring cannot help with what all groups have in common, such as the
        intercept.

        Parameters
        ----------
        drawn : from `draw`.
        used : the centring with which they were drawn, (deviation,).
        """
        posterior = drawn["posterior"].to_dataset()
        variable_of = np.asarray(self.model.coords[DEVIATION])
        best = np.empty(len(used))
        for variable in dict.fromkeys(variable_of):
            entries = np.flatnonzero(variable_of == variable)
            # What is not centred at all does not say what its group's value is, and stays so; nor
            # do known deviations, which are not sampled.
            best[entries] = used[entries]
            centred = used[entries] > LEAST_CENTRING
            if f"{variable}{RAW}" not in posterior or not centred.any():
                continue
            scale = posterior[f"{variable}_sigma"].values
            deviation = posterior[variable].values[..., centred]
            raw = posterior[f"{variable}{RAW}"].values[..., centred]
            entries = entries[centred]
            value = Centring(scale[..., None], used[entries]).value(raw, deviation)
            values_of_groups = value.reshape(-1, len(entries))
            remaining = _variance_given_others(values_of_groups, posterior.sizes["draw"] / 4)
            best[entries] = 1 - remaining / (scale**2).mean()
        return {CENTRING: np.clip(best, 0.0, 1.0)}

    def sample(self, settings: SamplerSettings, data: Data | None = None) -> xr.DataTree:
        """Draw from the posterior.

        Parameters
        ----------
        settings : chains, draws, seed.
        data : for names of ``pm.Data`` of the model, other values of the same shape; needs
            ``refit=True``.

        Returns
        -------
        DataTree with the groups posterior (the model's variables without the raw ones),
        sample_stats and observed_data.

        Raises
        ------
        SamplingError : no chain could start.
        KeyboardInterrupt : all chains are stopped, and nothing is returned.
        """
        return self.finished(self.draw(settings, data), data)

    def finished(self, drawn: xr.DataTree, data: Data | None = None) -> xr.DataTree:
        """The result of `sample` from that of `draw`; ``data`` as for both."""
        posterior = drawn["posterior"].to_dataset()
        raw = [str(name) for name in posterior if str(name).endswith(RAW)]
        groups = {
            "posterior": posterior.drop_vars(raw),
            "sample_stats": drawn["sample_stats"].to_dataset(),
        }
        y = self.model["y"].get_value()
        if data is not None and "y" in data:
            y = np.asarray(data["y"])
        groups["observed_data"] = xr.Dataset({"response": ("run", y)})
        return xr.DataTree.from_dict(
            {name: _without_attributes(dataset) for name, dataset in groups.items()}
        )

    def draw(self, settings: SamplerSettings, data: Data | None = None) -> xr.DataTree:
        """The sampler's own result, with the raw variables; the arguments are those of `sample`."""
        if set(data or {}) - {CENTRING} and not self.refit:
            raise SamplingError(
                "This compiled model takes only the runs that it was compiled for. Compile it with"
                " refit=True to sample it on other data."
            )
        if self.sampler == "nutpie":
            return self._sample_nutpie(settings, data)
        return self._sample_pymc(settings, data)

    def _compile_nutpie(self) -> Any:
        """The model compiled by nutpie."""
        import nutpie

        fixed = []
        if not self.refit:
            fixed = [x.name for x in self.model.data_vars if x.name != CENTRING]
        frozen = freeze_dims_and_data(self.model, data=fixed)
        jittered = {
            x
            for x in frozen.free_RVs
            if not getattr(self.model[x.name].tag, "starts_at_prior", False)
        }
        with without_fastmath():
            return nutpie.compile_pymc_model(frozen, freeze_model=False, jitter_rvs=jittered)

    def _sample_nutpie(self, settings: SamplerSettings, data: Data | None) -> xr.DataTree:
        import nutpie

        if self._nutpie is None:
            self._nutpie = self._compile_nutpie()
        # The compiled model lacks data on which the log density does not depend, such as a typical
        # response if all priors are in absolute units.
        used = {variable.name for variable in self._nutpie.shared_var_keys}
        replaced = {
            name: value
            for name, value in (data or {}).items()
            if name in used or name not in self.model
        }
        compiled = self._nutpie.with_data(**replaced) if replaced else self._nutpie
        adaptation = "low_rank" if compiled.n_dim <= LOW_RANK_DIMENSIONS else "diag"
        running = nutpie.sample(
            compiled,
            draws=settings.draws,
            tune=settings.tune,
            chains=settings.chains,
            cores=settings.cores,
            seed=settings.random_seed,
            target_accept=settings.target_accept,
            adaptation=adaptation,
            progress_bar=settings.progressbar,
            save_warmup=False,
            blocking=False,
        )
        try:
            tree: xr.DataTree = running.wait()
        except KeyboardInterrupt:
            running.cancel()  # nutpie would otherwise return the unfinished chains
            raise
        except RuntimeError as error:
            raise SamplingError(_no_start(error)) from error
        return tree

    def _sample_pymc(self, settings: SamplerSettings, data: Data | None) -> xr.DataTree:
        with self.model, without_fastmath():
            if data:
                pm.set_data(dict(data))
            try:
                tree: xr.DataTree = pm.sample(
                    draws=settings.draws,
                    tune=settings.tune,
                    chains=settings.chains,
                    cores=settings.cores,
                    random_seed=settings.random_seed,
                    nuts_sampler=self.sampler,
                    nuts={"target_accept": settings.target_accept},
                    progressbar=settings.progressbar,
                    quiet=not settings.progressbar,
                    compute_convergence_checks=False,
                )
            except (RuntimeError, pm.exceptions.SamplingError) as error:
                raise SamplingError(_no_start(error)) from error
        return tree


def _without_attributes(dataset: xr.Dataset) -> xr.Dataset:
    """`xarray.Dataset.drop_attrs` of a shallow copy; xarray's own builds the dataset anew, variable
    by variable, which takes as long as sampling a small model.
    """
    bare = dataset.copy()
    bare.attrs = {}
    for variable in bare.variables.values():
        variable.attrs = {}
    return bare


def without_fastmath() -> AbstractContextManager[Any]:
    """Compile without fast-math, so that a seed gives the same draws with a cold or a warm cache.

    Fast-math lets the compiler reorder sums. The order depends on what it inlines, which differs
    between the process that fills the cache and those that read it. A difference in the last bit of
    a log density is enough for chains to diverge from each other. Measured on Chinchilla's 240 runs
    and on simulated curves, compiling without fast-math is no slower.
    """
    return cast(AbstractContextManager[Any], config.change_flags(numba__fastmath=False))


def draw_prior(model: pm.Model, names: Sequence[str], draws: int, random_seed: int) -> xr.Dataset:
    """Draws of a model's variables from its prior, as one chain of a posterior.

    The compiler's optimisations are switched off: for a model with groups they take 6 to 22 s, and
    500 draws without them take one.
    """
    variables = [model[name] for name in names]
    drawn = pm.draw(variables, draws=draws, random_seed=random_seed, mode="FAST_COMPILE")
    dims = {name: model.named_vars_to_dims.get(name, ()) for name in names}
    used_dims = dict.fromkeys(dim for dims_of_one in dims.values() for dim in dims_of_one)
    coords = {dim: list(model.coords[dim]) for dim in used_dims}
    with_dims = {
        name: (("chain", "draw", *dims[name]), np.asarray(x)[None])
        for name, x in zip(names, drawn, strict=True)
    }
    return xr.Dataset(with_dims, coords=coords | {"chain": [0], "draw": np.arange(draws)})


def _variance_given_others(values: np.ndarray, most: float) -> np.ndarray:
    """The variance of each group's value, (group,), given those of the others.

    ``values`` is (sample, group). With ``most`` groups or more, the sample does not determine their
    covariance, and the result is each group's variance by itself.
    """
    covariance = np.atleast_2d(np.cov(values.T))
    if values.shape[1] < most:
        # Draws that do not vary have no precision, and an infinite variance.
        with np.errstate(divide="ignore"):
            return np.asarray(1 / np.diag(np.linalg.pinv(covariance, hermitian=True)))
    return np.diag(covariance)


def _no_start(error: Exception) -> str:
    """The message about a sampler that could not start."""
    reason = str(error).splitlines()[0] if str(error) else repr(error)
    return (
        f"The sampler could not start: {reason}. Check the units of the inputs (bayeslaw check),"
        " and whether a prior of yours excludes the data."
    )
