"""What a figure of bands shows: the runs of each curve; where it has none, others, moved to it."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import stored

import bayeslaw as bl
from bayeslaw.posterior.sweep import sweep


@pytest.fixture(scope="module")
def chinchilla() -> bl.Fit:
    return stored("chinchilla")


def test_runs_are_moved_to_a_slice_that_nobody_ran(chinchilla: bl.Fit) -> None:
    """A dot lies as far from the curve that is drawn as its run lies from the law at its own
    inputs; without the move all lie far above.
    """
    runs = chinchilla.runs.table
    bands = chinchilla.bands({"model_size": [7e10], "data_size": [1.4e12]})
    swept = sweep(chinchilla, bands, x="model_size")
    assert swept.moved == ("data_size",)
    assert swept.named_runs() == "runs, moved here by the law"
    assert (swept.runs["data_size"] == 1.4e12).all()
    assert list(swept.runs["model_size"]) == list(runs["model_size"])
    own = chinchilla.bands(runs[["model_size", "data_size"]], "mean")["median"].to_numpy()
    residual = np.log(runs["loss"].to_numpy() / own)
    curve = swept.curves.sort_values("model_size")
    drawn = np.interp(
        np.log(swept.runs["model_size"]), np.log(curve["model_size"]), np.log(curve["median"])
    )
    apart = np.log(swept.runs["loss"].to_numpy()) - drawn
    np.testing.assert_allclose(apart, residual, atol=0.004)
    assert np.abs(np.log(runs["loss"].to_numpy()) - drawn).max() > 0.1
    assert swept.asked[["model_size", "data_size"]].values.tolist() == [[7e10, 1.4e12]]


def test_runs_of_the_slice_stay_where_they_are(chinchilla: bl.Fit) -> None:
    runs = chinchilla.runs.table
    size = runs["model_size"].iloc[0]
    bands = chinchilla.bands({"model_size": [size], "data_size": [1.4e12]})
    swept = sweep(chinchilla, bands, x="data_size")
    assert not swept.moved
    assert swept.runs.equals(runs[runs["model_size"] == size])


def test_each_curve_has_runs_of_its_own() -> None:
    """A known task has its runs; one that nobody ran has those of all tasks."""
    fit = stored("grouped")
    runs = fit.runs.table
    bands = fit.bands({"data_size": [1e10], "task": ["task0", "new"]}, new_groups=True)
    swept = sweep(fit, bands)
    assert swept.by == ("task",)
    counts = swept.runs["task"].value_counts()
    assert counts.to_dict() == {"new": len(runs), "task0": (runs["task"] == "task0").sum()}
    kept = swept.runs[swept.runs["task"] == "task0"]
    assert kept["loss"].tolist() == runs.loc[runs["task"] == "task0", "loss"].tolist()
    # how tasks scatter is what the band of a new one shows
    others = swept.runs[swept.runs["task"] == "new"]
    assert sorted(others["loss"]) == sorted(runs["loss"])
    assert (swept.moved, swept.elsewhere) == ((), ("task",))
    assert swept.named_runs() == "runs, or those of another task"


def test_published_coefficients_have_a_curve_without_runs() -> None:
    fit = bl.known("chinchilla", E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)
    swept = sweep(fit, fit.bands({"model_size": [7e10], "data_size": [1.4e12]}))
    assert not len(swept.runs)
    assert swept.curves["model_size"].nunique() == len(swept.curves)
