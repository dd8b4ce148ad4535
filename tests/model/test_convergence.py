"""Convergence is judged on every variable, and what cannot be judged has not passed."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from helpers import stored

import bayeslaw as bl
from bayeslaw.checks.convergence import check_convergence
from bayeslaw.model.convergence import convergence
from bayeslaw.posterior.draws import Convergence


def part_of(fit: bl.Fit, **kept: slice) -> xr.DataTree:
    """A copy of some chains, or some draws, of a fit."""
    groups = ("posterior", "sample_stats")
    return xr.DataTree.from_dict(
        {name: fit.idata[name].to_dataset().isel(kept).copy(deep=True) for name in groups}
    )


@pytest.mark.parametrize(
    "kept",
    [{"draw": slice(0, n)} for n in (1, 2, 3)] + [{"chain": slice(0, 1)}],
    ids=["one draw", "two draws", "three draws", "one chain"],
)
def test_too_few_draws_or_chains_to_judge_do_not_pass(
    grouped_fit: bl.Fit, kept: dict[str, slice]
) -> None:
    reached = convergence(part_of(grouped_fit, **kept))
    assert not reached.passed
    assert "R-hat not known" in str(reached)
    assert reached.badness > convergence(part_of(grouped_fit)).badness


@pytest.mark.filterwarnings("ignore::bayeslaw.errors.BayeslawWarning")
@pytest.mark.parametrize("sampling", [{"draws": 3, "chains": 2}, {"draws": 200, "chains": 1}])
def test_a_fit_of_too_few_draws_or_chains_decides_nothing(
    grouped_fit: bl.Fit, sampling: dict[str, int]
) -> None:
    fit = bl.fit(
        bl.ModelSpec("power", effects=dict.fromkeys(("A", "alpha", "E"), "1"), discrepancy="none"),
        grouped_fit.runs,
        tune=100,
        random_seed=1,
        attempts=1,
        progressbar=False,
        **sampling,
    )
    assert not fit.convergence.passed
    option = {"data_size": 1e8}
    for target in (1e-3, 1e3):
        decision = bl.decide(fit, option, target, checks=[])
        assert decision.verdict == "inconclusive"
        assert "R-hat" in decision.reasons[0]


def test_a_variable_that_is_stuck_in_all_chains_does_not_pass(grouped_fit: bl.Fit) -> None:
    tree = part_of(grouped_fit)
    tree["posterior"]["alpha_at_centre"][:] = 0.3
    assert np.isnan(convergence(tree).rhat)
    assert convergence(tree).rhat_variable == "alpha_at_centre"


def test_one_stuck_element_of_a_variable_does_not_pass(grouped_fit: bl.Fit) -> None:
    tree = part_of(grouped_fit)
    tree["posterior"]["A_1|task"][:, :, 0] = 0.0
    assert not convergence(tree).passed


def test_what_the_model_pins_is_not_judged(grouped_fit: bl.Fit) -> None:
    tree = part_of(grouped_fit)
    tree["posterior"]["alpha_at_centre"][:] = 0.3
    assert convergence(tree, ["alpha_at_centre"]).passed


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("diagnostic", ["rhat", "ess_bulk", "ess_tail"])
def test_a_diagnostic_that_is_not_finite_fails(diagnostic: str, value: float) -> None:
    good = {"rhat": 1.0, "ess_bulk": 1e3, "ess_tail": 1e3}
    reached = Convergence(
        **good | {diagnostic: value},
        rhat_variable="a",
        ess_bulk_variable="a",
        ess_tail_variable="a",
        divergences=0,
    )
    assert not reached.passed
    assert reached.badness > (0, 1.0)


def test_the_check_says_that_a_diagnostic_is_not_known() -> None:
    fit = stored("grouped")
    reached = convergence(part_of(fit, chain=slice(0, 1)))
    results = check_convergence(bl.Fit(fit.design, fit.runs, fit.idata, reached, 1, (), {}))
    assert [result.passed for result in results if result.name == "R-hat"] == [False]
    assert "not known" in str(results[0])


def test_draws_that_are_not_finite_are_refused(grouped_fit: bl.Fit) -> None:
    tree = grouped_fit.idata.copy(deep=True)
    tree["posterior"]["E_at_centre"][0, :3] = np.nan
    fit = bl.Fit(grouped_fit.design, grouped_fit.runs, tree, grouped_fit.convergence, 1, (), {})
    option = {"task": "task0", "data_size": 1e8}
    for ask in (
        lambda: fit.bands(option),
        lambda: fit.predict(option),
        lambda: fit.quantity("alpha"),
        lambda: bl.decide(fit, option, 1.0),
    ):
        with pytest.raises(bl.errors.SamplingError, match=r"not finite numbers: E_at_centre \(3\)"):
            ask()
