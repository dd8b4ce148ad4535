"""The unit of KL must not decide the answer: per token, per sequence or in bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayeslaw as bl
from bayeslaw.errors import RunsWarning, SpecError
from bayeslaw.laws.kl import Logarithmic
from bayeslaw.model.build import build
from bayeslaw.spec.resolve import resolve

#: Every law of KL.
LAWS = [name for name in bl.laws() if "kl" in bl.law(name).inputs]
UNITS = [1e-4, 1e-2, 1e2, 1e4]
#: Those whose models differ most; the others are slow checks.
DISTINCT = ("overoptimization_bon", "overoptimization_rl", "overoptimization_rl_rate")

pytestmark = pytest.mark.filterwarnings("ignore::bayeslaw.errors.RunsWarning")


def table_of(law: str, unit: float) -> pd.DataFrame:
    """Simulated scores against KL of two reward models, with KL in another unit."""
    kl = np.geomspace(0.3, 60.0, 10)
    parts = []
    for size, beta in (("small", 0.5), ("large", 0.35)):
        d = np.sqrt(kl)
        score = d * (1.4 - beta * np.log(d)) * np.exp(0.02 * np.cos(5 * d))
        parts.append(
            pd.DataFrame(
                {
                    "reward_model_data": size,
                    "kl": kl * unit,
                    "gold_score": score,
                    "proxy_score": score,
                    "gold_rate": 1 / (1 + np.exp(0.3 - score / 5)),
                    "rounds": 2.0,
                    "method": ["bon", "rl"] * 5,
                }
            )
        )
    start = parts[0].iloc[:1].assign(kl=0.0, gold_score=0.0, proxy_score=0.0, gold_rate=0.42)
    return pd.concat([start, *parts], ignore_index=True)


@pytest.mark.parametrize("name", LAWS)
def test_a_curve_is_the_same_in_every_unit(name: str) -> None:
    """From what is sampled to the response, in closed form; and the peak moves with the unit."""
    law = bl.law(name)
    rng = np.random.default_rng(1)
    params: dict[str, Any] = {param: rng.uniform(0.2, 0.8, 5) for param in law.params}
    inputs: dict[str, Any] = {input_: np.linspace(1, 9, 5) for input_ in law.inputs}
    inputs |= dict.fromkeys(law.switches, 1.0)
    centre = dict.fromkeys(law.inputs, 3.0)

    def at(unit: float) -> tuple[np.ndarray, np.ndarray | None]:
        natural = law.from_centre(params, centre | {"kl": 3.0 * unit})
        response = law.evaluate(inputs | {"kl": inputs["kl"] * unit}, natural)
        peak = next((q for q in law.quantities if q.startswith("kl_peak")), None)
        return response, None if peak is None else law.value(peak, **natural)

    expected, peak = at(1.0)
    for unit in UNITS:
        found, moved = at(unit)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
        if peak is not None:
            np.testing.assert_allclose(moved, peak * unit, rtol=1e-9)


@pytest.mark.parametrize(
    "name",
    [name if name in DISTINCT else pytest.param(name, marks=pytest.mark.slow) for name in LAWS],
)
def test_the_posterior_is_the_same_in_every_unit(name: str) -> None:
    """The log density of the model at a point, its discrepancy along curves and its priors with it,
    of runs whose KL is in another unit.
    """

    def log_density(unit: float) -> float:
        runs = bl.read_runs(table_of(name, unit), name)
        model = build(resolve(bl.ModelSpec(name), runs), runs)
        point = {key: 0 * x + 0.1 for key, x in model.initial_point(random_seed=1).items()}
        terms = model.compile_logp(mode="FAST_COMPILE", sum=False)(point)
        return float(sum(np.sum(term) for term in terms))

    expected = log_density(1.0)
    assert np.isfinite(expected)
    assert log_density(1e-4) == pytest.approx(expected, rel=1e-7)


def test_a_score_that_falls_at_once_can_be_said() -> None:
    """With KL per token a curve that peaks at .01 has a negative alpha in the paper's formula."""
    law = bl.law("overoptimization_rl")
    natural = law.from_centre({"alpha": 1.5, "beta": 1.0}, {"kl": 0.02})
    assert natural["alpha"] < 0
    assert 1e-3 < law.value("kl_peak", **natural) < 0.02


def test_alpha_at_one_nat_is_the_papers() -> None:
    law = bl.law("overoptimization_rl", alpha_at="nat")
    natural = law.from_centre({"alpha": 1.5, "beta": 1.0}, {"kl": 4.0})
    assert natural == {"alpha": 0.75, "beta": 0.5}
    with pytest.raises(SpecError, match="alpha_at is 'token'"):
        bl.law("overoptimization_rl", alpha_at="token")


@pytest.mark.filterwarnings("error::bayeslaw.errors.RunsWarning")
def test_a_table_that_looks_like_kl_per_token_is_told() -> None:
    for name in LAWS:
        table = table_of(name, 1e-2)
        if isinstance(bl.law(name), Logarithmic):
            with pytest.warns(RunsWarning, match="mean per token"):
                bl.read_runs(table, name)
        else:
            bl.read_runs(table, name)
        bl.read_runs(table_of(name, 1.0), name)
