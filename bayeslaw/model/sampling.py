"""Compile a model once, sample it, sample it again on other data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import xarray as xr
from pymc.model.transform.optimization import freeze_dims_and_data

from bayeslaw.defaults import LOW_RANK_DIMENSIONS
from bayeslaw.errors import SamplingError
from bayeslaw.model.build import CENTRING, DEVIATION
from bayeslaw.model.effects import RAW, Centring
from bayeslaw.spec.settings import Sampler, SamplerSettings

Data = Mapping[str, Any]


class Compiled:
    """A model, compiled when first sampled; sampling it again costs no compile.

    Parameters
    ----------
    model : from `bayeslaw.model.build.build`.
    sampler : "nutpie" (default; low-rank mass matrix up to `LOW_RANK_DIMENSIONS`), "pymc" or
        "numpyro".
    refit : keep the data replaceable, which `sample` on other data needs. Frozen data compile in
        half the time.
    """

    def __init__(self, model: pm.Model, *, sampler: Sampler = "nutpie", refit: bool = False):
        self.model = model
        self.sampler = sampler
        self.refit = refit
        self._nutpie: Any = None

    def pilot(self, settings: SamplerSettings, data: Data | None = None) -> dict[str, np.ndarray]:
        """A short run, to centre each group's deviation by how much its runs say: ``data`` for
        `sample`.

        One less the share of the deviation's prior variance that is left in the pilot's posterior,
        given the other groups: the optimum for Gaussian data (Papaspiliopoulos et al. 2007,
        Statistical Science 22(1), section 4). Given the others, because what all groups have in
        common, such as the intercept, is not for the centring to settle.
        """
        drawn = self.draw(settings, data)["posterior"].to_dataset()
        used = self.model[CENTRING].get_value()
        variable_of = np.asarray(self.model.coords[DEVIATION])
        best = np.empty(len(used))
        for variable in dict.fromkeys(variable_of):
            entries = variable_of == variable
            if f"{variable}{RAW}" not in drawn:  # it is fixed, and not sampled
                best[entries] = used[entries]
                continue
            scale, deviation, raw = (
                drawn[name].values for name in (f"{variable}_sigma", variable, f"{variable}{RAW}")
            )
            value = Centring(scale[..., None], used[entries]).value(raw, deviation)
            left = _variance_given_others(value.reshape(-1, entries.sum()), settings.draws / 4)
            best[entries] = 1 - left / (scale**2).mean()
        return {CENTRING: np.clip(best, 0.0, 1.0)}

    def sample(self, settings: SamplerSettings, data: Data | None = None) -> xr.DataTree:
        """Draw from the posterior.

        Parameters
        ----------
        settings : chains, draws, seed.
        data : names of ``pm.Data`` of the model -> other values of the same shape; needs
            ``refit=True``.

        Returns
        -------
        DataTree with posterior (the model's variables but for raw ones), sample_stats and
        observed_data.

        Raises
        ------
        SamplingError : no chain could start. KeyboardInterrupt stops all chains and nothing is
            returned.
        """
        tree = self.draw(settings, data)
        posterior = tree["posterior"].to_dataset()
        posterior = posterior.drop_vars(
            [str(name) for name in posterior if str(name).endswith(RAW)]
        )
        groups = {"posterior": posterior, "sample_stats": tree["sample_stats"].to_dataset()}
        y = (
            self.model["y"].get_value()
            if data is None or "y" not in data
            else np.asarray(data["y"])
        )
        groups["observed_data"] = xr.Dataset({"response": ("run", y)})
        return xr.DataTree.from_dict(
            {name: dataset.drop_attrs() for name, dataset in groups.items()}
        )

    def draw(self, settings: SamplerSettings, data: Data | None = None) -> xr.DataTree:
        """What the sampler returns, raw variables and all."""
        if set(data or {}) - {CENTRING} and not self.refit:
            raise SamplingError(
                "This model was compiled with its data frozen. Compile it with refit=True to sample"
                " it on other data."
            )
        return (
            self._sample_nutpie(settings, data)
            if self.sampler == "nutpie"
            else self._sample_pymc(settings, data)
        )

    def _sample_nutpie(self, settings: SamplerSettings, data: Data | None) -> xr.DataTree:
        import nutpie

        if self._nutpie is None:
            fixed = (
                [] if self.refit else [x.name for x in self.model.data_vars if x.name != CENTRING]
            )
            frozen = freeze_dims_and_data(self.model, data=fixed)
            spread = {
                x
                for x in frozen.free_RVs
                if not getattr(self.model[x.name].tag, "starts_at_prior", False)
            }
            with without_fastmath():
                self._nutpie = nutpie.compile_pymc_model(
                    frozen, freeze_model=False, jitter_rvs=spread
                )
        # What the log density does not depend on is not in the compiled model: a centre, the
        # typical response of priors in absolute units.
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
            return running.wait()
        except KeyboardInterrupt:
            running.cancel()  # nutpie would otherwise hand back the chains as far as they came
            raise
        except RuntimeError as error:
            raise SamplingError(_no_start(error)) from error

    def _sample_pymc(self, settings: SamplerSettings, data: Data | None) -> xr.DataTree:
        with self.model, without_fastmath():
            if data:
                pm.set_data(dict(data))
            try:
                return pm.sample(
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


def without_fastmath() -> AbstractContextManager[Any]:
    """Compile without fast-math, so that a seed gives the same draws with a cold or a warm cache.

    Fast-math lets the compiler reorder sums by what it inlines, which differs between the process
    that fills its cache and those that read it. The last bit of a log density is enough for chains
    to part. Measured on Chinchilla's 240 runs and on simulated curves: no slower.
    """
    return pytensor.config.change_flags(numba__fastmath=False)


def draw_prior(model: pm.Model, names: Sequence[str], draws: int, random_seed: int) -> xr.Dataset:
    """Draws of a model's variables from its prior, as one chain of a posterior.

    Without the compiler's optimisations, which take 6 to 22 s of a model with groups for 500 draws
    that take one.
    """
    variables = [model[name] for name in names]
    drawn = pm.draw(variables, draws=draws, random_seed=random_seed, mode="FAST_COMPILE")
    dims = {name: model.named_vars_to_dims.get(name, ()) for name in names}
    coords = {dim: list(model.coords[dim]) for of in dims.values() for dim in of}
    return xr.Dataset(
        {
            name: (("chain", "draw", *dims[name]), np.asarray(x)[None])
            for name, x in zip(names, drawn, strict=True)
        },
        coords=coords | {"chain": [0], "draw": np.arange(draws)},
    )


def _variance_given_others(values: np.ndarray, most: float) -> np.ndarray:
    """The variance of each of several groups' values, (sample, group), given the others; of more
    than ``most`` groups, whose covariance the sample does not determine, the variance itself."""
    covariance = np.atleast_2d(np.cov(values.T))
    if values.shape[1] < most:
        return 1 / np.diag(np.linalg.pinv(covariance, hermitian=True))
    return np.diag(covariance)


def _no_start(error: Exception) -> str:
    return (
        f"The sampler could not start: {str(error).splitlines()[0] if str(error) else error!r}."
        " Check the units of the inputs (bayeslaw check), and priors of your own that exclude the"
        " data."
    )
