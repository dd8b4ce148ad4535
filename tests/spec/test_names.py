"""Columns that a model reads: names that something else has are refused before it is built."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import bayeslaw as bl
from bayeslaw.errors import SpecError
from bayeslaw.model.build import build
from bayeslaw.spec.resolve import PLAIN_NAME, TAKEN, resolve


def runs_grouped_by(name: str, law: str = "power") -> bl.Runs:
    """Simulated runs of two groups, told apart by a column of any name."""
    x = np.geomspace(1e6, 1e9, 12)
    table = pd.DataFrame(
        {
            "data_size": np.r_[x, x],
            "loss": np.r_[12 * x**-0.1, 13 * x**-0.1],
            name: ["a"] * 12 + ["b"] * 12,
        }
    )
    return bl.read_runs(table, law, groups=[name])


@pytest.mark.parametrize(
    "name",
    [
        *TAKEN,
        "E",
        "alpha",
        "sigma",
        "A_at_centre",
        "in",
        "None",
        "train/loss",
        "a b",
        "a\x07",
        "",
        ".",
        "1a",
        "a:b",
    ],
)
def test_a_group_of_such_a_name_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match=re.escape(f"named {name!r}")) as caught:
        resolve(bl.ModelSpec("power"), runs_grouped_by(name))
    assert "columns={" in str(caught.value)


@pytest.mark.parametrize("name", ["task", "é", "run", "point", "observed", "group_2", "_x"])
def test_a_group_of_another_name_is_built(name: str) -> None:
    runs = runs_grouped_by(name)
    build(resolve(bl.ModelSpec("power"), runs), runs)


@pytest.mark.parametrize("discrepancy", ["none", "curve", "grid"])
def test_every_name_of_a_model_is_taken(discrepancy: str) -> None:
    """Or it is no plain name, or the group's own."""
    runs = runs_grouped_by("task")
    design = resolve(bl.ModelSpec("power", discrepancy=discrepancy), runs)
    model = build(design, runs, parts=True)
    known = {*TAKEN, *design.params, "task", "run"}
    known |= {*design.priors, "x_data_size", "centre_data_size", "data_size_knot"}
    for name in {*model.named_vars, *model.coords}:
        plain = str(name).removesuffix("_raw")
        assert plain in known or plain == "semivariance" or not re.fullmatch(PLAIN_NAME, plain), (
            name
        )
