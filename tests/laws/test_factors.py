"""Sweeps of several factors in one table, jointly and in two steps; which input pays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import stored
from sweeps import ALPHA, REDUCIBLE, SIZES, TRUTH, simulated

import bayeslaw as bl
from bayeslaw.errors import RunsError, SpecError, UnknownNameError

pytestmark = pytest.mark.filterwarnings("ignore::bayeslaw.errors.BayeslawWarning")


@pytest.fixture(scope="module")
def runs() -> bl.Runs:
    return bl.read_runs(simulated(), "finetuning_factors")


@pytest.fixture(scope="module")
def joint(runs: bl.Runs) -> bl.Fit:
    return bl.fit("finetuning_factors", runs, draws=500, tune=500, random_seed=1, progressbar=False)


def test_effects_by_default_are_the_papers(joint: bl.Fit) -> None:
    assert {name: joint.spec.effects[name] for name in ("A", "alpha", "beta", "E")} == {
        "A": "1 + (1 | method:factor)",
        "alpha": "1 + (1 | method:factor)",
        "beta": "1 + (1 | method)",
        "E": "1 + (1 | method)",
    }


def test_each_factor_is_centred_on_its_own(runs: bl.Runs) -> None:
    at = runs.centre_of(pd.DataFrame({"factor": ["model_size", "pet_size"]}))["factor_size"]
    np.testing.assert_allclose(at, [np.exp(np.log(SIZES["model_size"]).mean()), 16.0])


def test_joint_fit_finds_the_truth_of_simulated_sweeps(joint: bl.Fit) -> None:
    assert joint.convergence.passed, joint.convergence
    for name in ("E", "beta"):
        drawn = joint.quantity(name)
        for method, known in TRUTH.items():
            own = drawn.isel(group=np.flatnonzero(drawn["method"].values == method)[0])
            low, high = own.quantile([0.005, 0.995])
            assert low <= known[name] <= high, (name, method)
    alpha = joint.quantity("alpha")
    for method, factor, group in zip(
        alpha["method"].values, alpha["factor"].values, range(alpha.sizes["group"]), strict=True
    ):
        if method == "fmt" and factor == "pet_size":
            continue  # no run: not a group of the truth
        low, high = alpha.isel(group=group).quantile([0.005, 0.995])
        assert low <= ALPHA[factor] <= high, (method, factor)
    # A in the paper's units: the loss at the base is E plus A X^-alpha D^-beta.
    at = {"factor": "model_size", "factor_size": 1e9, "finetuning_data": 1e5, "method": "lora"}
    band = joint.bands(at, kind="mean", probs=(0.99,)).iloc[0]
    assert band["lower_99"] <= TRUTH["lora"]["E"] + REDUCIBLE <= band["upper_99"]


def test_two_steps_are_the_same_spec(runs: bl.Runs, joint: bl.Fit) -> None:
    spec = bl.ModelSpec("finetuning_factors")
    first = stored("sweeps_of_two_factors")
    known = first.known("E", "beta")
    second = bl.fit(spec, runs, fixed=known, draws=500, tune=500, random_seed=1, progressbar=False)
    for name in ("E", "beta"):
        drawn = second.quantity(name)
        assert float(drawn.std(("chain", "draw")).max()) < 1e-12  # known: no uncertainty
        of_first = first.quantity(name)
        for method in TRUTH:
            medians = [
                float(x.isel(group=np.flatnonzero(x["method"].values == method)[0]).median())
                for x in (drawn, of_first)
            ]
            assert medians[0] == pytest.approx(medians[1], rel=0.02)
    assert any("Taken as known, with no uncertainty: E" in note for note in second.warnings)
    # A pinned E and beta leave alpha a narrower posterior than the joint fit has.
    assert float(second.quantity("alpha").std(("chain", "draw")).mean()) < float(
        joint.quantity("alpha").std(("chain", "draw")).mean()
    )
    with pytest.raises(SpecError, match="the model has no group effect of that name"):
        bl.fit(spec, runs, fixed={"E_1|task": known["E_1|method"]}, progressbar=False)
    with pytest.raises(SpecError, match="must be a DataArray over groups"):
        bl.fit(spec, runs, fixed={"E_1|method": np.zeros(2)}, progressbar=False)
    with pytest.raises(UnknownNameError, match="no parameter named 'gamma'"):
        first.known("gamma")


def test_a_larger_model_pays_more_than_more_pretraining(joint: bl.Fit) -> None:
    """The simulated truth has alpha .4 of model size, .2 of pretraining data: at twice the compute
    the former pays more, as the paper finds.
    """
    at = {"model_size": 1e9, "pretraining_data": 2.1e11, "finetuning_data": 1e5, "method": "lora"}
    found = bl.which_pays(joint, at).set_index("input")
    assert found["p_best"].sum() == pytest.approx(1)
    assert found.loc["model_size", "p_best"] > 0.99
    for name, exponent in (
        ("model_size", ALPHA["model_size"]),
        ("pretraining_data", ALPHA["pretraining_data"]),
        ("finetuning_data", TRUTH["lora"]["beta"]),
    ):
        truth = REDUCIBLE * (1 - 2**-exponent)
        assert (
            found.loc[name, "lower_90"] - 0.005 <= truth <= found.loc[name, "upper_90"] + 0.005
        ), name
    with pytest.raises(
        SpecError,
        match="size of each factor to compare by its name: model_size, pet_size, pretraining_data",
    ):
        bl.which_pays(
            joint,
            {"factor": "model_size", "factor_size": 1e9, "finetuning_data": 1e5, "method": "lora"},
        )
    many = bl.which_pays(joint, at, {"model_size": 2, "finetuning_data": 1e4}).set_index("input")
    assert many.loc["finetuning_data", "p_best"] > 0.9
    assert many.loc["finetuning_data", "times"] == 1e4
    for times, text in (
        ({"model_size": 2}, "two inputs or more"),
        ({"model_size": 2, "finetuning_data": 1}, "finetuning_data has 1"),
    ):
        with pytest.raises(SpecError, match=text):
            bl.which_pays(joint, at, times)
    with pytest.raises(UnknownNameError, match="no input to multiply named 'tokens'"):
        bl.which_pays(joint, at, {"model_size": 2, "tokens": 2})


def test_an_inverse_problem_in_one_factor(joint: bl.Fit) -> None:
    at = {"factor": "model_size", "finetuning_data": 1e5, "method": "lora"}
    target = TRUTH["lora"]["E"] + REDUCIBLE / 2
    drawn = bl.solve_for(joint, "factor_size", target, at)
    low, high = drawn.quantile([0.005, 0.995])
    assert low <= 1e9 * 2 ** (1 / ALPHA["model_size"]) <= high
    assert drawn.attrs["p_none"] < 0.02
    with pytest.raises(
        SpecError, match="give factor in at, one of model_size, pet_size, pretraining_data"
    ):
        bl.solve_for(joint, "factor_size", target, {"finetuning_data": 1e5, "method": "lora"})


def test_a_factor_of_no_run_has_no_unit(joint: bl.Fit) -> None:
    with pytest.raises(
        RunsError,
        match="row 0, column 'factor': 'vocabulary': no run has it, so the unit of factor_size",
    ):
        joint.predict(
            {"factor": "vocabulary", "factor_size": 3e4, "finetuning_data": 1e5, "method": "lora"}
        )
    with pytest.raises(RunsError, match="column 'factor': the column is missing"):
        bl.read_runs(simulated().drop(columns="factor"), "finetuning_factors")


def test_a_saved_joint_fit_predicts_the_same(joint: bl.Fit, tmp_path: Path) -> None:
    points = {
        "factor": "pretraining_data",
        "factor_size": [1e11, 4e11],
        "finetuning_data": 1e5,
        "method": ["fmt", "lora"],
    }
    again = bl.load(joint.save(tmp_path / "joint.nc"))
    np.testing.assert_array_equal(again.predict(points), joint.predict(points))


@pytest.mark.slow
def test_parts_of_a_table_have_their_own_centre(runs: bl.Runs, joint: bl.Fit) -> None:
    """One compile serves several parts; each is the fit of its own runs."""
    from bayeslaw.fitting import fit_each

    part = (runs.table["finetuning_data"] < 2e5).to_numpy() & ~(
        (runs.table["factor"] == "model_size") & (runs.table["factor_size"] > 5e9)
    ).to_numpy()
    parts = fit_each(
        "finetuning_factors",
        runs,
        [part, np.full(len(runs), True)],
        draws=500,
        tune=500,
        chains=2,
        attempts=1,
        random_seed=2,
        progressbar=False,
    )
    alone = bl.fit(
        "finetuning_factors",
        runs.rows(part),
        draws=500,
        tune=500,
        chains=2,
        attempts=1,
        random_seed=2,
        progressbar=False,
    )
    at = {"factor": "model_size", "factor_size": 8e9, "finetuning_data": 3e5, "method": "lora"}
    for one, other in ((parts[0], alone), (parts[1], joint)):
        a, b = (fit.predict(at, "mean").values.ravel() for fit in (one, other))
        assert abs(np.median(a) - np.median(b)) < 0.5 * np.std(b)
