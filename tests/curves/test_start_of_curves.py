"""Rows with none of an input, such as step 0: where they lie on their curve, and that nothing which
takes a logarithm of the input meets them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers import unsampled

import bayeslaw as bl
from bayeslaw.curves.binning import binned
from bayeslaw.defaults import CURVE_POINTS
from bayeslaw.errors import BayeslawWarning
from bayeslaw.laws.base import NONE
from bayeslaw.posterior.sweep import sweep
from bayeslaw.spec.resolve import resolve

LAW = bl.law("sigmoid_compute", input="step")


def runs(steps: int = 8) -> bl.Runs:
    """Two curves of simulated pass rates, measured at step 0 too."""
    step = np.arange(steps) * 4.0
    rates = {"a": 0.05 + 0.7 * step / (step + 20), "b": 0.3 + 0.5 * step / (step + 10)}
    parts = [
        pd.DataFrame({"model": model, "step": step, "pass_rate": rate})
        for model, rate in rates.items()
    ]
    return bl.read_runs(pd.concat(parts, ignore_index=True), LAW)


@pytest.mark.parametrize("own", [("matern", "local"), ("wiener",)])
def test_a_row_at_zero_lies_where_curves_start(own: tuple[str, ...]) -> None:
    spec = resolve(bl.ModelSpec(LAW, discrepancy={"kind": "curve", "own": own}), runs()).spec
    assert spec.discrepancy.start == pytest.approx(np.log10(4))
    t = spec.axis.forward(np.array([NONE, 4.0, 40.0, 2.0]))
    np.testing.assert_allclose(t, np.log10([4, 4, 40, 2]))
    without = runs().rows(runs().inputs["step"] > NONE)
    start = resolve(bl.ModelSpec(LAW), without).spec.discrepancy.start
    assert start is None


def test_a_row_at_zero_is_averaged_with_no_other() -> None:
    many = runs(CURVE_POINTS + 20)
    shorter, _ = binned(resolve(bl.ModelSpec(LAW), many), many)
    at_zero = shorter.table[shorter.table["step"] == NONE]
    assert at_zero["pass_rate"].tolist() == pytest.approx([0.05, 0.3])
    assert at_zero["averaged"].tolist() == [1, 1]
    assert shorter.table["step"].nsmallest(3).iloc[-1] == pytest.approx(4)


@pytest.mark.slow
def test_answers_and_figures_start_at_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """With draws of the prior: where answers are searched and figures drawn does not depend on
    them."""
    import matplotlib.pyplot as plt

    unsampled(monkeypatch)
    with pytest.warns(BayeslawWarning):
        fit = bl.fit(LAW.name, runs(), draws=20, tune=20, chains=2, random_seed=1)
    assert np.isfinite(fit.predict(fit.runs.table).values).all()
    swept = sweep(fit, fit.bands({"step": [48.0], "model": ["a", "b"]}))
    assert swept.curves["step"].min() == pytest.approx(4, rel=1e-3)
    solution = bl.solve_for(fit, "step", 0.5, {"model": "a"})
    assert solution.attrs["lower_bound"] == pytest.approx(0.04)
    axes = bl.plots.bands(**swept.arguments(LAW))
    assert axes[0].get_xlim()[0] > 1
    plt.close("all")
