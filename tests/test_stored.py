"""Stored fits are what their script would make now, but for the draws: else they are made anew by
``tests/stored/make.py``.
"""

from __future__ import annotations

import pytest
from helpers import STORED as STORED_AT
from helpers import stored
from stored.make import STORED

from bayeslaw.model.build import build
from bayeslaw.model.effects import RAW
from bayeslaw.spec.resolve import resolve


@pytest.mark.parametrize("name", sorted(STORED))
def test_a_stored_fit_is_of_the_spec_and_the_model_that_stand_now(name: str) -> None:
    fit, runs = stored(name), STORED[name].runs()
    design = resolve(STORED[name].spec, runs)
    assert fit.design == design
    model = build(design, runs)
    kept = {v.name for v in [*model.free_RVs, *model.deterministics] if not v.name.endswith(RAW)}
    posterior = fit.idata["posterior"].to_dataset()
    assert set(posterior) == kept
    for variable in kept:
        dims = model.named_vars_to_dims.get(variable, ())
        assert posterior[variable].dims[2:] == tuple(dims), variable
        for dim in dims:
            assert list(posterior[dim].values) == list(model.coords[dim]), dim
    assert list(fit.runs.table) == list(runs.table)
    assert fit.runs.y == pytest.approx(runs.y, rel=1e-12)


def test_stored_fits_are_small() -> None:
    for path in STORED_AT.glob("*.nc"):
        assert path.stat().st_size < 300_000, path.name
