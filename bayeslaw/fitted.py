"""A law fitted to runs: the draws, with methods for what can be asked of them."""

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
    spec : what was fitted, with every formula and prior written out.
    design : the same, resolved for the runs.
    runs : the runs it was fitted to.
    idata : DataTree with the groups posterior, sample_stats and observed_data, as in PyMC and
        ArviZ.
    convergence : whether the chains agree. Every result derived from the fit says so too.
    random_seed : the seed that gives the same draws again; also that of the predictions.
    warnings : what the runs cannot identify, and what did not converge.
    versions : the version of each library that made the fit.
    """

    @classmethod
    def of(cls, draws: Draws) -> Self:
        """The fit that has these draws."""
        return cls(**{field.name: getattr(draws, field.name) for field in fields(Draws)})

    def summary(
        self, var_names: Sequence[str] | None = None, *, ci_prob: float = 0.9
    ) -> pd.DataFrame:
        """Mean, interval and diagnostics, one row per variable.

        See `bayeslaw.posterior.bands.summary`. Default: all but the deviations of groups.
        """
        from bayeslaw.posterior.bands import summary

        return summary(self, var_names, ci_prob=ci_prob)

    def predict(
        self, points: Points, kind: Kind = "run", *, random_seed: int | None = None
    ) -> xr.DataArray:
        """The posterior predictive at new points, (chain, draw, point).

        See `bayeslaw.posterior.predict.predict`.
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
        """Mean, median and equal-tailed bands at new points, one row per point.

        See `bayeslaw.posterior.bands.bands`.
        """
        from bayeslaw.posterior.bands import bands

        return bands(self, points, kind, probs, random_seed=random_seed)

    def quantity(self, name: str, **at: float) -> xr.DataArray:
        """A parameter or a quantity of the law over the draws, (chain, draw[, group]).

        See `bayeslaw.posterior.quantities.quantity`.
        """
        from bayeslaw.posterior.quantities import quantity

        return quantity(self, name, **at)

    def known(self, *params: str) -> dict[str, xr.DataArray]:
        """Parameters as this fit estimates them, for ``fixed`` of a second `bayeslaw.fit`.

        See `bayeslaw.posterior.known.known`.
        """
        from bayeslaw.posterior.known import known

        return known(self, *params)

    def save(self, path: str | Path) -> Path:
        """Write the fit to one NetCDF file, by an atomic write.

        See `bayeslaw.posterior.storage.save`.
        """
        from bayeslaw.posterior.storage import save

        return save(self, path)


def load(path: str | Path) -> Fit:
    """Read a fit that `Fit.save` wrote, with this or an earlier version of bayeslaw.

    Raises
    ------
    StorageError : there is no such file, it is not a saved fit, it is incomplete, or its format is
        newer than this version of bayeslaw.
    UnknownNameError : its law is not registered. Import the module that registers it first.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> path = fit.save("pretraining.nc")
    >>> bl.load(path).law.name
    'chinchilla'
    """
    from bayeslaw.posterior.storage import draws_of, opened

    return Fit.of(draws_of(opened(path), path))
