"""What a fit holds: its design, its runs, its draws, and whether the chains converged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Self
from zlib import crc32

import numpy as np

from bayeslaw.defaults import DIVERGENCES_MAX, ESS_MIN, RHAT_MAX
from bayeslaw.errors import SamplingError, SpecError
from bayeslaw.laws.base import Law
from bayeslaw.runs.table import Runs
from bayeslaw.spec.design import Design
from bayeslaw.spec.settings import checked_seed
from bayeslaw.spec.spec import ModelSpec, population_name

if TYPE_CHECKING:
    import xarray as xr

#: The kinds of prediction, explained in `bayeslaw.posterior.predict`.
Kind = Literal["mean", "latent", "run"]

#: Dimensions of every result over the draws.
DIMS = ("chain", "draw")


@dataclass(frozen=True, slots=True)
class Convergence:
    """Whether the chains agree: the worst value of each diagnostic, and the variable that has it.

    ``attempts`` lists what was tried, in order, with the diagnostics that each attempt reached.
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
    def sampled(self) -> bool:
        """Whether there are chains at all: published coefficients have none."""
        return self.attempts != NOT_SAMPLED.attempts

    @property
    def passed(self) -> bool:
        """Whether every diagnostic is known, and on the right side of its threshold
        (`bayeslaw.defaults`).
        """
        return self.mixed and self.divergences <= DIVERGENCES_MAX

    @property
    def mixed(self) -> bool:
        """Whether the chains agree and have enough effective draws, divergences aside."""
        return all(self.met)

    @property
    def badness(self) -> tuple[int, float]:
        """How many criteria fail, and the R-hat: the best of several attempts has the least."""
        chains_agree, *enough = self.met
        passed = (chains_agree, all(enough), self.divergences <= DIVERGENCES_MAX)
        return passed.count(False), self.rhat if np.isfinite(self.rhat) else np.inf

    @property
    def met(self) -> tuple[bool, bool, bool]:
        """Whether R-hat, bulk and tail ESS are known and on the right side of their thresholds."""
        return (
            bool(np.isfinite(self.rhat)) and self.rhat <= RHAT_MAX,
            bool(np.isfinite(self.ess_bulk)) and self.ess_bulk >= ESS_MIN,
            bool(np.isfinite(self.ess_tail)) and self.ess_tail >= ESS_MIN,
        )

    def __str__(self) -> str:
        if not self.sampled:
            return "not sampled"
        return (
            f"R-hat {shown(self.rhat, '.4f')} ({self.rhat_variable}), bulk ESS"
            f" {shown(self.ess_bulk, '.0f')} ({self.ess_bulk_variable}), tail ESS"
            f" {shown(self.ess_tail, '.0f')} ({self.ess_tail_variable}),"
            f" {self.divergences} divergences"
        )


#: The convergence of published coefficients: nothing is known, and nothing passes.
NOT_SAMPLED = Convergence(np.nan, "", np.nan, "", np.nan, "", 0, ("not sampled",))


def shown(diagnostic: float, as_format: str) -> str:
    """A diagnostic as text: "not known" where it is not finite.

    >>> shown(1.00371, ".4f"), shown(float("nan"), ".4f")
    ('1.0037', 'not known')
    """
    return format(diagnostic, as_format) if np.isfinite(diagnostic) else "not known"


@dataclass(frozen=True, slots=True)
class Draws:
    """Draws of the parameters of a law, with all that is needed to predict from them.

    `bayeslaw.Fit` is a `Draws` with methods. The functions of the package take `Draws`.

    Attributes
    ----------
    design : what was fitted, resolved for the runs.
    runs : the runs it was fitted to.
    idata : DataTree with the groups posterior, sample_stats and observed_data, as in PyMC and
        ArviZ.
    convergence : whether the chains agree. Every result derived from the draws says so too.
    random_seed : the seed that gives the same draws again; also that of the predictions.
    warnings : what the runs cannot identify, and what did not converge.
    versions : the version of each library that made the draws.
    """

    design: Design
    runs: Runs
    idata: xr.DataTree
    convergence: Convergence
    random_seed: int
    warnings: tuple[str, ...]
    versions: Mapping[str, str]

    @property
    def spec(self) -> ModelSpec:
        """What was fitted, every formula and prior written out."""
        return self.design.spec

    @property
    def law(self) -> Law:
        """The law that was fitted."""
        return self.design.law

    @property
    def posterior(self) -> xr.Dataset:
        """The draws of each variable, dims (chain, draw, ...)."""
        return self.idata["posterior"].to_dataset()

    @property
    def samples(self) -> int:
        """How many draws there are in all chains together."""
        sizes = self.idata["posterior"].sizes
        return int(sizes["chain"] * sizes["draw"])

    def require_finite(self) -> None:
        """Raise SamplingError if a draw is not a finite number: nothing can be said from it.

        Parameters in the paper's units may overflow where those that are sampled do not, and no
        prediction reads them.
        """
        params = self.design.params.items()
        converted = [name for name, param in params if population_name(name, param) != name]
        faulty = {
            str(name): int((~np.isfinite(x.values)).sum())
            for name, x in self.posterior.items()
            if name not in converted
        }
        words = [f"{name} ({count})" for name, count in faulty.items() if count]
        if words:
            raise SamplingError(
                f"The fit has draws that are not finite numbers: {', '.join(words)}. Fit again; if"
                " it happens again, look at the units of the inputs and at your priors."
            )

    def seed(self, random_seed: int | None) -> int:
        """``random_seed``, or else the fit's own, so that a saved fit predicts the same again.

        Raises
        ------
        SpecError : it is no whole number from 0 to 2^64 - 1.
        """
        return self.random_seed if random_seed is None else checked_seed(random_seed)

    def with_draws(self, posterior: xr.Dataset) -> Self:
        """The same fit with other draws of its variables, such as draws from the prior.

        Whatever can be computed from a posterior can then be computed from these draws.
        """
        import xarray as xr

        return replace(self, idata=xr.DataTree.from_dict({"posterior": posterior}))

    def thinned(self, draws: int) -> Self:
        """The same fit with at most ``draws`` of its draws, evenly spread, as one chain."""
        import xarray as xr

        kept = np.linspace(0, self.samples - 1, min(draws, self.samples)).astype(int)
        posterior = self.posterior
        variables = {}
        for name, x in posterior.transpose(*DIMS, ...).items():
            joined = x.values.reshape(-1, *x.shape[2:])
            variables[str(name)] = ((*DIMS, *x.dims[2:]), joined[kept][None])
        coords = {name: x for name, x in posterior.coords.items() if name not in DIMS}
        coords |= {"chain": [0], "draw": np.arange(len(kept))}
        return self.with_draws(xr.Dataset(variables, coords=coords))

    def by_chain(self, values: np.ndarray) -> np.ndarray:
        """An array (sample, ...) in the shape (chain, draw, ...)."""
        sizes = self.idata["posterior"].sizes
        return np.reshape(values, (sizes["chain"], sizes["draw"], *np.shape(values)[1:]))

    def dataset(
        self,
        variables: Mapping[str, np.ndarray],
        dims: Sequence[str] = (),
        coords: Mapping[str, Any] | None = None,
        /,
        **attrs: Any,
    ) -> xr.Dataset:
        """Arrays (sample, ...) as a Dataset with dims chain, draw and ``dims``.

        The attribute ``converged``, 1 or 0, is on the Dataset and on each variable.
        """
        import xarray as xr

        attrs |= {"converged": int(self.convergence.passed)}
        chains_and_draws = {dim: self.idata["posterior"][dim].values for dim in DIMS}
        with_dims = {
            name: ((*DIMS, *dims), self.by_chain(values), attrs)
            for name, values in variables.items()
        }
        return xr.Dataset(with_dims, coords=chains_and_draws | dict(coords or {}), attrs=attrs)


def stream(seed: int, name: str) -> np.random.Generator:
    """A random-number generator of its own for each name.

    What is drawn for a group or a curve is then the same, whatever else is predicted with it.
    """
    return np.random.default_rng([seed, crc32(name.encode())])


def require_kind(kind: str, allowed: Sequence[str] = ("mean", "latent", "run")) -> None:
    """Raise SpecError unless ``kind`` is one of ``allowed``."""
    if kind not in allowed:
        *most, last = map(repr, allowed)
        known = f"{', '.join(most)} or {last}" if most else last
        raise SpecError(f"kind is {kind!r}, and it must be {known}.", key="kind")
