"""A law fitted to runs, or with published coefficients: the draws, with methods for what can be
asked of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from bayeslaw import defaults
from bayeslaw.laws.registry import law as find_law
from bayeslaw.posterior.draws import Draws, Kind

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.laws.base import Law
    from bayeslaw.posterior.points import Points


@dataclass(frozen=True, slots=True)
class Fit(Draws):
    """A law fitted to runs. Made by `bayeslaw.fit`, `bayeslaw.known` or `bayeslaw.load`, and
    never changed.

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

    def __repr__(self) -> str:
        return f"<{self._about()}>"

    def __str__(self) -> str:
        """What was fitted, the summary with three digits, and what there is to say about it."""
        from bayeslaw.posterior.bands import centre_in_words

        table = self.summary()
        centre = centre_in_words(self)
        lines = [
            self._about(),
            table.drop(columns="at", errors="ignore").to_string(float_format="{:.3g}".format),
        ]
        if "at" in table:
            lines.append(f"..._at_centre: at {centre}")
        return "\n".join([*lines, *(f"warning: {text}" for text in self.warnings)])

    def _about(self) -> str:
        """What was fitted to what, and whether the chains agree, in one line."""
        if not self.convergence.sampled:
            return f"{self.law.name} with {self.runs.source}, not sampled: no uncertainty"
        agree = "converged" if self.convergence.passed else "NOT converged"
        return (
            f"{self.law.name} fitted to {len(self.runs):,} runs from {self.runs.source}:"
            f" {self.samples:,} draws, {agree}"
        )

    def summary(
        self, var_names: Sequence[str] | None = None, *, ci_prob: float = 0.9
    ) -> pd.DataFrame:
        """Mean, interval and diagnostics, one row per variable.

        See `bayeslaw.posterior.bands.summary`. Default: all but the deviations of groups.
        """
        from bayeslaw.posterior.bands import summary

        return summary(self, var_names, ci_prob=ci_prob)

    def predict(
        self,
        points: Points,
        kind: Kind = "run",
        *,
        new_groups: bool = False,
        random_seed: int | None = None,
    ) -> xr.DataArray:
        """The posterior predictive at new points, (chain, draw, point).

        See `bayeslaw.posterior.predict.predict`. A group that no run has, such as a misspelt task,
        is predicted as a new one, with a RunsWarning unless ``new_groups`` says that it is meant.
        """
        from bayeslaw.posterior.points import warn_of_new_groups
        from bayeslaw.posterior.predict import predict

        if not new_groups:
            warn_of_new_groups(self, points)
        return predict(self, points, kind, random_seed=random_seed)

    def bands(
        self,
        points: Points,
        kind: Kind = "run",
        probs: Sequence[float] = defaults.PROBS,
        *,
        new_groups: bool = False,
        random_seed: int | None = None,
    ) -> pd.DataFrame:
        """Mean, median and equal-tailed bands at new points, one row per point.

        See `bayeslaw.posterior.bands.bands`; ``new_groups`` as in `predict`.
        """
        from bayeslaw.posterior.bands import bands
        from bayeslaw.posterior.points import warn_of_new_groups

        if not new_groups:
            warn_of_new_groups(self, points)
        return bands(self, points, kind, probs, random_seed=random_seed)

    def quantity(self, name: str, **at: float) -> xr.DataArray:
        """A parameter or a quantity of the law over the draws, (chain, draw[, group]).

        See `bayeslaw.posterior.quantities.quantity`.
        """
        from bayeslaw.posterior.quantities import quantity

        return quantity(self, name, **at)

    def known(self, *params: str) -> dict[str, xr.DataArray]:
        """Parameters as this fit estimates them, for ``fixed`` of a second `bayeslaw.fit`.

        See `bayeslaw.posterior.coefficients.known`.
        """
        from bayeslaw.posterior.coefficients import known

        return known(self, *params)

    def save(self, path: str | Path) -> Path:
        """Write the fit to one NetCDF file, by an atomic write.

        See `bayeslaw.posterior.storage.save`.
        """
        from bayeslaw.posterior.storage import save

        return save(self, path)


def known(law: str | Law | Mapping[str, Any], **coefficients: float) -> Fit:
    """A law with published coefficients, as a `Fit` of one draw: for `bayeslaw.allocate`,
    `bayeslaw.isoflop` and whatever else is asked of a law.

    It has no uncertainty: the ends of every band are its median, no convergence is claimed, and
    nothing is decided from it.

    Parameters
    ----------
    law : a law, the name of one, or a mapping with a name and options.
    **coefficients : every parameter of the law, in the paper's units.

    Returns
    -------
    Fit

    Raises
    ------
    SpecError : coefficients that are missing, unknown, or out of their range: all in one message.
    UnknownNameError : there is no such law.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> fit = bl.known("chinchilla", E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)
    >>> best = bl.allocate(fit, compute=1e21)
    >>> round(float(best["model_size"].item()) / 1e9, 1)
    2.8
    """
    from bayeslaw.posterior.coefficients import published

    return Fit.of(published(find_law(law), coefficients))


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
