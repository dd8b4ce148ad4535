"""A fit's draws laid out for a table of points: each parameter at each point, with groups never
seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal
from zlib import crc32

import numpy as np
import pandas as pd

from bayeslaw.errors import SpecError
from bayeslaw.runs.scores import BASELINE, BASELINE_ERROR, BASELINE_SE, baseline_labels, noise_scale
from bayeslaw.spec.formula import Design, GroupTerm, cells, linear_predictor
from bayeslaw.spec.spec import covariate_columns, designs, group_columns, population_name

if TYPE_CHECKING:
    import xarray as xr

    from bayeslaw.fitting import Fit

Kind = Literal["mean", "latent", "run"]

DIMS = ("chain", "draw")


@dataclass(frozen=True, slots=True)
class Posterior:
    """A fit's draws laid out for a table of points, chains and draws joined as ``sample``.

    ``designs`` know every group of the table: those never seen in the runs stand after the fit's
    own, and ``deviations`` ((sample, level) by term's variable) holds their draws, or zeros for
    ``kind="mean"``.
    """

    fit: Fit
    designs: Mapping[str, Design]
    draws: Mapping[str, np.ndarray]
    deviations: dict[str, np.ndarray]

    @classmethod
    def of(
        cls, fit: Fit, table: pd.DataFrame, kind: Kind, random_seed: int | None = None
    ) -> Posterior:
        posterior = fit.idata["posterior"].to_dataset()
        samples = samples_of(fit)
        draws = {
            str(name): x.values.reshape(samples, *x.shape[2:]) for name, x in posterior.items()
        }
        seed = fit.random_seed if random_seed is None else int(random_seed)
        met, deviations = {}, {}
        for name, design in designs(fit.spec, fit.runs.table).items():
            levels = dict(design.levels)
            if design.formula.by and (
                strangers := strangers_of(design, design.formula.by_term, table)
            ):
                raise SpecError(
                    f"{name} has the formula {design.formula}: its groups are not pooled, so"
                    f" {', '.join(strangers)} cannot be predicted. Use 1 + (1 |"
                    f" {design.formula.by})."
                )
            for term in design.formula.groups:
                variable = f"{name}_{term}"
                strangers = strangers_of(design, term, table)
                levels[str(term)] = (*levels[str(term)], *strangers)
                new = [
                    (
                        _new_deviation(variable, stranger, seed, draws)
                        if kind != "mean"
                        else np.zeros(samples)
                    )
                    for stranger in strangers
                ]
                deviations[variable] = np.column_stack([draws[variable], *new])
            met[name] = replace(design, levels=levels)
        return cls(fit, met, draws, deviations)

    def without(self, column: str) -> Posterior:
        """The same without the deviations of groups that a column makes: along it, what single
        settings deviate by is not the law's.
        """
        own = [
            f"{param}_{term}"
            for param, design in self.designs.items()
            for term in design.formula.groups
            if column in term.factor
        ]
        return replace(
            self,
            deviations=self.deviations
            | {variable: 0 * self.deviations[variable] for variable in own},
        )

    def located(self, table: pd.DataFrame) -> np.ndarray:
        """The law's curve at rows of a table, (sample, row), on the response's scale."""
        law, runs = self.fit.spec.law, self.fit.runs
        distinct, cell = cells(
            table, [*group_columns(self.fit.spec), *covariate_columns(self.fit.spec)]
        )
        natural = law.in_units_of_centre(self.sampled_parameters(distinct))
        at_rows = {
            name: x if x.shape[1] == 1 else x[:, cell]
            for name, x in natural.items()
            if name in law.params
        }
        return law.response.link.forward(
            law.at_centred(law.given(table), at_rows, runs.centre_of(table))
        )

    def sampled_parameters(self, table: pd.DataFrame) -> dict[str, Any]:
        """The law's parameters as they are sampled, (sample, point), or (sample, 1) where no effect
        makes them differ.
        """
        return {name: self._parameter(name, table) for name in self.fit.spec.law.params}

    def law_parameters(self, table: pd.DataFrame) -> dict[str, Any]:
        """The law's parameters in the paper's units, shaped as `sampled_parameters`."""
        return self.fit.spec.law.from_centre(
            self.sampled_parameters(table), self.fit.runs.centre_of(table)
        )

    def noise_parameters(self, table: pd.DataFrame) -> dict[str, Any]:
        """The parameters of noise and discrepancy, (sample, point) or (sample, 1); sigma is that of
        each row, its standard error within.
        """
        law = self.fit.spec.law
        found = {
            name: self._parameter(name, table)
            for name in self.fit.spec.params
            if name not in law.params
        }
        return found | {"sigma": noise_scale(found["sigma"], table, law)}

    def baseline_error(self, table: pd.DataFrame) -> np.ndarray | float:
        """What the error of a baseline adds to the rows that are measured from it, (sample, row); 0
        where the table has none.
        """
        if BASELINE_SE not in table:
            return 0.0
        known = self.fit.idata["posterior"].coords.get(BASELINE)
        labels = baseline_labels(table)
        of = [] if known is None else [str(label) for label in known.values]
        drawn: dict[str, np.ndarray] = {}
        for label in set(labels):
            rng = np.random.default_rng([self.fit.random_seed, crc32(f"baseline {label}".encode())])
            drawn[label] = (
                self.draws[BASELINE_ERROR][:, of.index(label)]
                if label in of
                else rng.standard_normal(samples_of(self.fit))
            )
        return np.column_stack([drawn[label] for label in labels]) * table[BASELINE_SE].to_numpy(
            float
        )

    def _parameter(self, name: str, table: pd.DataFrame) -> np.ndarray:
        design, param = self.designs[name], self.fit.spec.params[name]
        intercept = param.link.forward(self.draws[population_name(name, param)])
        by = design.formula.by_term
        at_points = intercept[:, None] if by is None else intercept[:, design.index(by, table)]
        coefficients = {
            str(x): self.draws[f"{name}_{x}"][:, None] for x in design.formula.covariates
        }
        deviations = {
            str(term): self.deviations[f"{name}_{term}"] for term in design.formula.groups
        }
        return param.link.inverse(
            linear_predictor(at_points, design, coefficients, deviations, table)
        )


def samples_of(fit: Fit) -> int:
    """Draws of all chains."""
    sizes = fit.idata["posterior"].sizes
    return int(sizes["chain"] * sizes["draw"])


def thinned(fit: Fit, draws: int) -> Fit:
    """The fit with so many of its draws, evenly spread, as one chain; all of them where it has no
    more.
    """
    import xarray as xr

    kept = np.linspace(0, samples_of(fit) - 1, min(draws, samples_of(fit))).astype(int)
    posterior = fit.idata["posterior"].to_dataset()
    some = {
        str(name): (("chain", "draw", *x.dims[2:]), x.values.reshape(-1, *x.shape[2:])[kept][None])
        for name, x in posterior.transpose(*DIMS, ...).items()
    }
    coords = {name: x for name, x in posterior.coords.items() if name not in DIMS}
    return with_draws(
        fit, xr.Dataset(some, coords=coords | {"chain": [0], "draw": np.arange(len(kept))})
    )


def with_draws(fit: Fit, draws: xr.Dataset) -> Fit:
    """The fit with other draws of its variables, such as those of the prior, so that all that is
    computed of a posterior is computed of them.
    """
    import xarray as xr

    return replace(fit, idata=xr.DataTree.from_dict({"posterior": draws}))


def over_draws(
    fit: Fit,
    variables: Mapping[str, np.ndarray],
    dims: Sequence[str] = (),
    coords: Mapping[str, Any] | None = None,
    /,
    **attrs: Any,
) -> xr.Dataset:
    """Values for each draw, (sample, ...), as variables with dims chain, draw and those of
    ``dims``; whether the fit had converged is among the attributes, of each of them too.
    """
    import xarray as xr

    posterior = fit.idata["posterior"]
    attrs |= {"converged": int(fit.convergence.passed)}
    laid_out = {
        name: ((*DIMS, *dims), by_chain(fit, values), attrs) for name, values in variables.items()
    }
    return xr.Dataset(
        laid_out,
        coords={dim: posterior[dim].values for dim in DIMS} | dict(coords or {}),
        attrs=attrs,
    )


def by_chain(fit: Fit, values: np.ndarray) -> np.ndarray:
    """(sample, ...) as (chain, draw, ...)."""
    sizes = fit.idata["posterior"].sizes
    return np.reshape(values, (sizes["chain"], sizes["draw"], *np.shape(values)[1:]))


def strangers_of(design: Design, term: GroupTerm | None, table: pd.DataFrame) -> list[str]:
    """The groups of the table that the runs did not have; "" stands for a missing one."""
    assert term is not None
    return sorted(set(term.labels(table)) - set(design.levels[str(term)]))


def _new_deviation(
    variable: str, stranger: str, seed: int, draws: Mapping[str, np.ndarray]
) -> np.ndarray:
    """The deviation of a group never seen, (sample,), from its population.

    Its random numbers follow from its name, so that it is the same whatever else is predicted
    beside it.
    """
    scale = draws[f"{variable}_sigma"]
    return scale * np.random.default_rng(
        [seed, crc32(f"{variable} {stranger}".encode())]
    ).standard_normal(len(scale))
