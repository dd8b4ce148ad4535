"""Published coefficients: a law without runs, with the paper's own answers, and without a band."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import stored

import bayeslaw as bl
from bayeslaw.errors import SpecError
from bayeslaw.fitting import _sampled
from bayeslaw.spec.centre import centred
from bayeslaw.spec.identifiability import identifiability_warnings, sensitivity
from bayeslaw.spec.resolve import resolve

#: Hoffmann et al. 2022, approach 3.
HOFFMANN = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
POINT = {"model_size": 7e10, "data_size": 1.4e12}


@pytest.fixture(scope="module")
def hoffmann() -> bl.Fit:
    return bl.known("chinchilla", **HOFFMANN)


def loss(model_size: float, data_size: float) -> float:
    """Their equation 4."""
    return 1.69 + 406.4 / model_size**0.34 + 410.7 / data_size**0.28


def test_answers_are_those_of_the_formula(hoffmann: bl.Fit) -> None:
    """The optimum of the BigCode project's notebook, at 1.62e20 FLOP."""
    coefficients = {"E": 1.62, "A": 406.4, "B": 410.7, "alpha": 0.336, "beta": 0.283}
    best = bl.allocate(bl.known("chinchilla", **coefficients), compute=1.62e20)
    assert best["model_size"].item() == pytest.approx(0.993e9, rel=1e-3)
    assert best["data_size"].item() == pytest.approx(27.2e9, rel=1e-3)
    assert hoffmann.predict(POINT).item() == pytest.approx(loss(7e10, 1.4e12), rel=1e-12)
    table = bl.isoflop(hoffmann, 1e22, [1e9, 1e10])
    np.testing.assert_allclose(
        table["median"], [loss(n, 1e22 / 6 / n) for n in table["model_size"]]
    )
    assert bl.isoloss(hoffmann, 2.0, [7e10])["p_none"].item() == 0
    assert bl.allocation_penalty(hoffmann, POINT)["penalty"].item() > 0
    at = {"model_size": 7e10}
    needed = bl.solve_for(hoffmann, "data_size", 2.0, at, bounds=(1e9, 1e14)).item()
    assert loss(7e10, needed) == pytest.approx(2.0, rel=1e-6)
    with pytest.raises(SpecError, match="no runs to say where to search: give bounds"):
        bl.solve_for(hoffmann, "data_size", 2.0, at)
    assert hoffmann.quantity("size_exponent").item() == pytest.approx(0.28 / 0.62)
    assert hoffmann.quantity("A").item() == pytest.approx(406.4)


def test_it_claims_no_band_and_decides_nothing(hoffmann: bl.Fit) -> None:
    (row,) = hoffmann.bands(POINT).to_dict("records")
    assert row["lower_90"] == row["median"] == row["upper_90"]
    assert not row["converged"]
    assert np.isnan(row["distance_model_size"])
    assert row["unseen"] == ""
    assert str(hoffmann.convergence) == "not sampled"
    assert "no uncertainty" in hoffmann.warnings[0]
    assert repr(hoffmann) == (
        "<chinchilla with published coefficients, not sampled: no uncertainty>"
    )
    assert "406" in str(hoffmann)
    assert "sigma" not in str(hoffmann)
    (result,) = bl.check(hoffmann)
    assert result.passed is False
    decision = bl.decide(hoffmann, POINT, 3.0)
    assert decision.verdict == "inconclusive"
    assert "nothing was sampled" in decision.reasons[0]
    assert not any("k-hat" in reason for reason in decision.reasons)
    summary = hoffmann.summary()
    assert summary.loc["A", "mean"] == 406.4
    assert summary["r_hat"].isna().all()


def test_it_is_saved_and_loaded(hoffmann: bl.Fit, tmp_path: Path) -> None:
    again = bl.load(hoffmann.save(tmp_path / "known.nc"))
    assert repr(again) == repr(hoffmann)
    assert again.predict(POINT).item() == hoffmann.predict(POINT).item()
    assert len(again.runs) == 0


@pytest.mark.parametrize("name", bl.laws())
def test_every_law_takes_its_own_coefficients(name: str) -> None:
    """What is sampled at one unit of each input gives the paper's parameters back, and the formula
    its response: of parameters at which the law's priors put it, for a table around some centre.
    """
    law = bl.law(name)
    centre = {
        column: float(np.sqrt(np.prod(np.clip(spec.plausible, 1e-4, 1e12))))
        for column, spec in law.inputs.items()
    }
    unit = stored("grouped").runs.typical_response
    sampled = {
        parameter: 1.1
        if param.prior.distribution == "Constant"
        else float(param.prior.in_scipy(unit).ppf(0.6))
        for parameter, param in law.params.items()
    }
    natural = {key: float(x) for key, x in law.from_centre(sampled, centre).items()}
    natural = {key: natural[key] for key in law.params}
    fit = bl.known(law, **natural)
    inputs = {column: 1.3 * x for column, x in centre.items()}
    switches = {argument: float(i % 2) for i, argument in enumerate(law.switches)}
    columns = {
        switch.column: switch.on if switches[argument] else switch.off
        for argument, switch in law.switches.items()
    }
    selectors = {spec.selector: "x" for spec in law.inputs.values() if spec.selector}
    found = fit.predict({**inputs, **columns, **selectors}).item()
    expected = float(law.evaluate({**inputs, **switches}, natural))
    assert found == pytest.approx(expected, rel=1e-6)


def test_every_faulty_coefficient_is_told_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        bl.known("chinchilla", E=1.69, A=float("nan"), alfa=0.34, beta=-0.28)
    text = str(caught.value)
    assert "(A, B, E, alpha, beta) have 5 faults" in text
    assert "alfa is not a parameter of chinchilla. Did you mean 'alpha'" in text
    assert "A is nan, and it must be a finite number" in text
    assert "B is missing: loss due to data, at one token" in text
    assert "alpha is missing" in text
    assert "beta is -0.28, and it must be a positive number" in text
    with pytest.raises(SpecError, match=r"chinchilla cannot have these parameters: .*A = -1"):
        bl.known("chinchilla", **{**HOFFMANN, "A": -1.0})


def test_a_coefficient_beyond_floats_is_a_fault() -> None:
    with pytest.raises(SpecError, match="E is an integer of some 400 digits, and it must be"):
        bl.known("chinchilla", E=10**400, A=406.4, B=410.7, alpha=0.34, beta=0.28)


def test_published_coefficients_are_fixed_at_the_centre_of_the_runs() -> None:
    fit = stored("chinchilla")
    runs, law = fit.runs, fit.law
    spec = bl.ModelSpec(law, discrepancy="none")
    found = _sampled(spec, runs, HOFFMANN)
    assert set(found) == {"E", "A_at_centre", "B_at_centre", "alpha", "beta"}
    again = law.from_centre(centred(law, HOFFMANN, runs.centre), runs.centre)
    for name, value in HOFFMANN.items():
        assert float(again[name]) == pytest.approx(value, rel=1e-9)
    # A is known at the centre where alpha is known too, whatever the other parameters are
    few = _sampled(spec, runs, {"A": 406.4, "alpha": 0.34})
    assert few["A_at_centre"] == pytest.approx(406.4 * runs.centre["model_size"] ** -0.34)
    assert few["alpha"] == 0.34
    with pytest.raises(SpecError, match="fixed has A, which alpha decides too"):
        _sampled(spec, runs, {"A": 406.4})
    assert _sampled(spec, runs, {"alpha": 0.3, "sigma": 0.1}) == {"alpha": 0.3, "sigma": 0.1}


def test_a_law_of_which_everything_is_known_has_nothing_to_identify() -> None:
    fit = stored("chinchilla")
    priors = _sampled(bl.ModelSpec("chinchilla"), fit.runs, HOFFMANN)
    design = resolve(bl.ModelSpec("chinchilla", priors=priors), fit.runs)
    at = sensitivity(design, fit.runs)
    assert at.names == ()
    assert identifiability_warnings(design, fit.runs, at) == []


def test_runs_of_one_law_are_taken_by_another() -> None:
    runs = stored("chinchilla").runs
    skaling = runs.with_law(bl.law("skaling"))
    assert skaling.law.name == "skaling"
    assert len(skaling) == len(runs)
    with pytest.raises(SpecError, match="read for chinchilla, whose columns are model_size"):
        runs.with_law(bl.law("finetuning_additive"))
