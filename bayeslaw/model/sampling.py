"""Compile a model once, sample it, sample it again on other data; say whether the chains converged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import arviz_stats
import numpy as np
import pymc as pm
import pytensor
import xarray as xr
from pymc.model.transform.optimization import freeze_dims_and_data

from bayeslaw.defaults import (
    DIVERGENCES_MAX,
    ESS_MIN,
    LOW_RANK_DIMENSIONS,
    PILOT_CHAINS,
    PILOT_DRAWS,
    PILOT_TUNE,
    RHAT_MAX,
    TARGET_ACCEPT_CAREFUL,
)
from bayeslaw.errors import SamplingError
from bayeslaw.model.build import CENTRING, DEVIATION, RAW

Sampler = Literal["nutpie", "pymc", "numpyro"]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much to sample, and how carefully."""

    draws: int
    tune: int
    chains: int
    target_accept: float
    random_seed: int
    cores: int | None = None
    progressbar: bool = True


@dataclass(frozen=True, slots=True)
class Convergence:
    """Whether the chains agree: the worst of each diagnostic, and the variable that has it.

    ``attempts`` tells what was tried, in order, and what each gave.
    """

    rhat: float
    rhat_variable: str
    ess_bulk: float
    ess_bulk_variable: str
    ess_tail: float
    ess_tail_variable: str
    divergences: int
    attempts: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        return self.mixed and self.divergences <= DIVERGENCES_MAX

    @property
    def mixed(self) -> bool:
        """Whether the chains agree, and move enough."""
        return self.rhat <= RHAT_MAX and min(self.ess_bulk, self.ess_tail) >= ESS_MIN

    @property
    def badness(self) -> tuple[int, float]:
        """For choosing the least bad of several attempts: how many criteria fail, then the R-hat."""
        failed = (
            (self.rhat > RHAT_MAX)
            + (min(self.ess_bulk, self.ess_tail) < ESS_MIN)
            + (self.divergences > DIVERGENCES_MAX)
        )
        return int(failed), self.rhat

    def __str__(self) -> str:
        return (
            f"R-hat {self.rhat:.4f} ({self.rhat_variable}), bulk ESS {self.ess_bulk:.0f}"
            f" ({self.ess_bulk_variable}), tail ESS {self.ess_tail:.0f} ({self.ess_tail_variable}),"
            f" {self.divergences} divergences"
        )


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

    def pilot(self, effort: Effort, data: Data | None = None) -> dict[str, np.ndarray]:
        """A short run, to centre each group's deviation by how much its runs say: ``data`` for
        `sample`.

        One less the share of the deviation's prior variance that is left in the pilot's posterior,
        given the other groups: the optimum for Gaussian data (Papaspiliopoulos et al. 2007,
        Statistical Science 22(1), section 4). Given the others, because what all groups have in
        common, such as the intercept, is not for the centring to settle.
        """
        drawn = self.draw(effort, data)["posterior"].to_dataset()
        used, of = self.model[CENTRING].get_value(), np.asarray(self.model.coords[DEVIATION])
        best = np.empty(len(used))
        for variable in dict.fromkeys(of):
            if f"{variable}{RAW}" not in drawn:  # it is known (`bayeslaw.model.build.build`, fixed)
                best[of == variable] = used[of == variable]
                continue
            scale, deviation, raw = (
                drawn[name].values for name in (f"{variable}_sigma", variable, f"{variable}{RAW}")
            )
            # Solve the definition of raw (bayeslaw.model.build) for what the group inherits, and add what
            # it deviates.
            c = used[of == variable]
            value = (raw - deviation / scale[..., None] ** (1 - c)) / c + deviation
            covariance = np.atleast_2d(np.cov(value.reshape(-1, len(c)).T))
            left = (
                1 / np.diag(np.linalg.pinv(covariance, hermitian=True))
                if len(c) < effort.draws / 4
                else np.diag(covariance)
            )
            best[of == variable] = 1 - left / (scale**2).mean()
        return {CENTRING: np.clip(best, 0.0, 1.0)}

    def sample(self, effort: Effort, data: Data | None = None) -> xr.DataTree:
        """Draw from the posterior.

        Parameters
        ----------
        effort : chains, draws, seed.
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
        tree = self.draw(effort, data)
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

    def draw(self, effort: Effort, data: Data | None = None) -> xr.DataTree:
        """What the sampler returns, raw variables and all."""
        if set(data or {}) - {CENTRING} and not self.refit:
            raise SamplingError(
                "This model was compiled with its data frozen. Compile it with refit=True to sample"
                " it on other data."
            )
        return (
            self._sample_nutpie(effort, data)
            if self.sampler == "nutpie"
            else self._sample_pymc(effort, data)
        )

    def _sample_nutpie(self, effort: Effort, data: Data | None) -> xr.DataTree:
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
            with rounding_alike():
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
            draws=effort.draws,
            tune=effort.tune,
            chains=effort.chains,
            cores=effort.cores,
            seed=effort.random_seed,
            target_accept=effort.target_accept,
            adaptation=adaptation,
            progress_bar=effort.progressbar,
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

    def _sample_pymc(self, effort: Effort, data: Data | None) -> xr.DataTree:
        with self.model, rounding_alike():
            if data:
                pm.set_data(dict(data))
            try:
                return pm.sample(
                    draws=effort.draws,
                    tune=effort.tune,
                    chains=effort.chains,
                    cores=effort.cores,
                    random_seed=effort.random_seed,
                    nuts_sampler=self.sampler,
                    nuts={"target_accept": effort.target_accept},
                    progressbar=effort.progressbar,
                    quiet=not effort.progressbar,
                    compute_convergence_checks=False,
                )
            except (RuntimeError, pm.exceptions.SamplingError) as error:
                raise SamplingError(_no_start(error)) from error


def rounding_alike() -> AbstractContextManager[Any]:
    """While it lasts, what PyTensor compiles rounds as it is written.

    Fast mathematics lets the compiler reorder sums, which it does by what it inlines: otherwise in
    the process that fills the compiler's cache than in those that read it. The last bit of a log
    density is enough for chains to part, and the same seed gave other draws. Measured on
    Chinchilla's 240 runs and on simulated curves: no slower.
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


def converge(
    compiled: Compiled, effort: Effort, attempts: int, data: Data | None = None
) -> tuple[Convergence, xr.DataTree]:
    """Sample until the chains converge, or ``attempts`` are used up; the best attempt and its
    draws. ``data`` as for `Compiled.sample`.

    After the first attempt the remedies are a smaller step against divergences, and more tuning and
    draws, with group effects centred anew by a longer pilot, against chains that disagree: both,
    where both are the case. ``attempts`` of the result tells what was tried.
    """
    grouped = CENTRING in compiled.model
    given = dict(data or {})
    short = replace(
        effort,
        tune=min(PILOT_TUNE, max(200, effort.tune // 2)),
        draws=min(PILOT_DRAWS, max(100, effort.draws // 2)),
        chains=PILOT_CHAINS,
    )
    centring = compiled.pilot(short, given) if grouped else {}
    tried: list[tuple[Convergence, xr.DataTree]] = []
    history: list[str] = []
    action = "as asked"
    while True:
        tree = compiled.sample(effort, given | centring)
        verdict = convergence(tree)
        tried.append((verdict, tree))
        history.append(f"{action}: {verdict}")
        if verdict.passed or len(tried) == attempts:
            best, tree = min(tried, key=lambda attempt: attempt[0].badness)
            return replace(best, attempts=tuple(history)), tree
        remedies = []
        if verdict.divergences and effort.target_accept < TARGET_ACCEPT_CAREFUL:
            effort = replace(effort, target_accept=TARGET_ACCEPT_CAREFUL)
            remedies.append(f"target_accept {TARGET_ACCEPT_CAREFUL}")
        if not verdict.mixed or not remedies:
            effort = replace(effort, tune=2 * effort.tune, draws=2 * effort.draws)
            centring = (
                compiled.pilot(replace(effort, chains=PILOT_CHAINS), given) if grouped else {}
            )
            remedies.append(
                "twice the tuning and draws"
                + ", group effects centred anew by a longer pilot" * grouped
            )
        action = ", ".join(remedies)


def convergence(tree: xr.DataTree) -> Convergence:
    """The worst R-hat, bulk and tail effective sample size over all variables, and the divergences.

    Vehtari et al. 2021, arXiv 1903.08008. Variables that do not vary, such as pinned ones, are left
    out.
    """
    posterior = tree["posterior"].to_dataset()
    posterior = posterior[
        [
            name
            for name, x in posterior.items()
            if (np.ptp(x.values.reshape(-1, *x.shape[2:]), axis=0) > 0).any()
        ]
    ]
    rhat, rhat_variable = _worst(arviz_stats.rhat(posterior), largest=True)
    bulk, bulk_variable = _worst(arviz_stats.ess(posterior, method="bulk"), largest=False)
    tail, tail_variable = _worst(arviz_stats.ess(posterior, method="tail"), largest=False)
    divergences = int(tree["sample_stats"]["diverging"].sum())
    return Convergence(rhat, rhat_variable, bulk, bulk_variable, tail, tail_variable, divergences)


def _worst(diagnostic: xr.Dataset, *, largest: bool) -> tuple[float, str]:
    worst, where = (-np.inf if largest else np.inf), ""
    for name, values in diagnostic.data_vars.items():
        finite = values.values[np.isfinite(values.values)]
        extreme = (
            (finite.max(initial=-np.inf) if largest else finite.min(initial=np.inf))
            if finite.size
            else None
        )
        if extreme is not None and (extreme > worst if largest else extreme < worst):
            worst, where = float(extreme), str(name)
    return worst, where


def _no_start(error: Exception) -> str:
    return (
        f"The sampler could not start: {str(error).splitlines()[0] if str(error) else error!r}."
        " Check the units of the inputs (bayeslaw check), and priors of your own that exclude the"
        " data."
    )
