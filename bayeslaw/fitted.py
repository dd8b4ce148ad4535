"""A law fitted to runs: the draws, with the questions that they answer as methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pandas as pd

from bayeslaw import defaults
from bayeslaw.posterior.draws import Draws, Kind

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.posterior.points import Points


@dataclass(frozen=True, slots=True)
class Fit(Draws):
    """A law fitted to runs. Made by `bayeslaw.fit` or `bayeslaw.load`, never changed.

    Attributes
    ----------
    spec : what was fitted, every formula and prior written out.
    design : the same, resolved for the runs.
    runs : the table it was fitted to.
    idata : DataTree with groups posterior, sample_stats, observed_data, as PyMC and ArviZ know it.
    convergence : whether the chains agree, which every result derived from the fit carries.
    random_seed : gives the same draws again, and seeds the predictions.
    warnings : what the table cannot identify, and what did not converge.
    versions : of the libraries that made it.
    """

    @classmethod
    def of(cls, draws: Draws) -> Self:
        """Draws, with the methods of a fit."""
        return cls(**{field.name: getattr(draws, field.name) for field in fields(Draws)})

    def summary(
        self, var_names: Sequence[str] | None = None, *, ci_prob: float = 0.9
    ) -> pd.DataFrame:
        """A row a variable: mean, sd, equal-tailed interval, effective sample sizes, R-hat; see
        `bayeslaw.posterior.bands.summary`. Default: all but the groups' deviations."""
        from bayeslaw.posterior.bands import summary

        return summary(self, var_names, ci_prob=ci_prob)

    def predict(
        self, points: Points, kind: Kind = "run", *, random_seed: int | None = None
    ) -> xr.DataArray:
        """The posterior predictive at new points, (chain, draw, point): see
        `bayeslaw.posterior.predict.predict`."""
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
        `bayeslaw.posterior.bands.bands`."""
        from bayeslaw.posterior.bands import bands

        return bands(self, points, kind, probs, random_seed=random_seed)

    def quantity(self, name: str, **at: float) -> xr.DataArray:
        """A parameter or a quantity of the law over the draws, (chain, draw[, group]): see
        `bayeslaw.posterior.quantities.quantity`."""
        from bayeslaw.posterior.quantities import quantity

        return quantity(self, name, **at)

    def known(self, *params: str) -> dict[str, xr.DataArray]:
        """What this fit knows of parameters, as ``fixed`` of `bayeslaw.fit` takes it: see
        `bayeslaw.posterior.known.known`."""
        from bayeslaw.posterior.known import known

        return known(self, *params)

    def save(self, path: str | Path) -> Path:
        """Write the fit to one NetCDF file, whole or not at all: see
        `bayeslaw.posterior.storage.save`."""
        from bayeslaw.posterior.storage import save

        return save(self, path)


def load(path: str | Path) -> Fit:
    """Read a fit that `Fit.save` wrote, with this or an earlier version of bayeslaw.

    Raises
    ------
    StorageError : no such file, not a saved fit, cut short, or written by a newer format.
    UnknownNameError : its law is not registered: import the module that registers it first.
    """
    from bayeslaw.posterior.storage import draws_of, opened

    return Fit.of(draws_of(opened(path), path))
