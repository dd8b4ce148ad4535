"""Points and arguments of any kind are answered from a stored fit, or refused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import pytest
from attack.strategies import attack, broken, lanes, numbers, outcome, texts, values
from helpers import stored
from hypothesis import strategies as st

import bayeslaw as bl
from bayeslaw.errors import BayeslawError
from bayeslaw.posterior.points import grid

#: A stored fit, and points that it can be asked for.
FITS: dict[str, dict[str, Any]] = {
    "grouped": {"data_size": [1e8, 1e10], "task": ["task0", "new"]},
    "chinchilla": {"model_size": [1e9, 7e10], "data_size": 1.4e12},
    "a_group_without_a_method": {"kl": 10.0, "method": "rl", "reward_model_size": [3e6, 3e9]},
}


@pytest.fixture(scope="module")
def fits() -> dict[str, bl.Fit]:
    return {name: stored(name) for name in FITS}


@dataclass
class Asked:
    """A fit, points, and other arguments."""

    fit: str
    points: Any
    options: dict[str, Any]


@st.composite
def points(draw: st.DrawFn, fit: str) -> Any:
    """Points with up to two things changed; or a table of another fit's."""
    if draw(st.integers(0, 4)) == 0:
        law = {"grouped": "power", "chinchilla": "chinchilla"}.get(fit, "overoptimization")
        return draw(broken(bl.law(law), most=2))
    asked = dict(FITS[fit])
    names = [*asked, "no_such_column", "", "loss", "chain", "point", "unseen", "compute", "n"]
    for _ in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from(names))
        match draw(st.integers(0, 3)):
            case 0:
                asked[name] = draw(values)
            case 1:
                asked[name] = draw(st.lists(values, max_size=3))
            case 2:
                asked.pop(name, None)
            case 3:
                asked[name] = draw(texts)
    return asked


def some(draw: st.DrawFn, options: dict[str, st.SearchStrategy[Any]], most: int) -> dict[str, Any]:
    """Some of the arguments."""
    chosen = draw(st.sets(st.sampled_from(sorted(options)), max_size=most))
    return {name: draw(options[name]) for name in sorted(chosen)}


seeds = st.sampled_from([None, 0, 1, -1, 2**31, 2**63, 2**64, 10**30, math.nan, 1.5, "1", True])
probabilities = st.lists(numbers | st.sampled_from([0.5, 0.9, 0.999999]), max_size=3)


@st.composite
def asked_for_bands(draw: st.DrawFn) -> Asked:
    fit = draw(st.sampled_from(sorted(FITS)))
    kinds = st.sampled_from(["mean", "latent", "run", "runs", "", None])
    options = {"kind": kinds, "probs": probabilities, "random_seed": seeds}
    return Asked(fit, draw(points(fit)), some(draw, options, 2))


def bands_or_refusal(asked: Asked, fits: dict[str, bl.Fit]) -> None:
    fit = fits[asked.fit]
    bands = outcome(lambda: fit.bands(asked.points, **asked.options))
    if isinstance(bands, BayeslawError):
        return
    table = grid(asked.points)
    assert len(bands) == len(table)
    assert asked.options.get("kind", "run") in ("mean", "latent", "run")
    for p in asked.options.get("probs", ()):
        assert 0 < p < 1
    for name in fit.law.inputs:
        assert np.isfinite(bands[name].to_numpy(float)).all()
        assert (bands[name].to_numpy(float) > 0).all()
    lower = [c for c in bands if str(c).startswith("lower_")]
    assert not bands["median"].isna().any()
    for name in lower:
        upper = str(name).replace("lower_", "upper_")
        assert (bands[name] <= bands["median"]).all() and (bands["median"] <= bands[upper]).all()
    seed = asked.options.get("random_seed")
    assert seed is None or (isinstance(seed, Real) and seed == seed and seed >= 0)


@lanes
def test_bands_at_any_points_or_a_refusal(tries: int, fits: dict[str, bl.Fit]) -> None:
    attack(tries, asked_for_bands(), lambda asked: bands_or_refusal(asked, fits))


@st.composite
def asked_to_decide(draw: st.DrawFn) -> Asked:
    fit = draw(st.sampled_from(sorted(FITS)))
    amounts = numbers | st.sampled_from([0.2, 0.5, 0.8, 2.0, 1e4])
    cost = (
        st.lists(amounts, max_size=4)
        | st.dictionaries(
            st.sampled_from(["task0", "new", "1e9", "7e10", "x"]), amounts, max_size=3
        )
        | amounts
        | texts
    )
    options = {
        "at": st.dictionaries(st.sampled_from([*FITS[fit], "x", "cost"]), values, max_size=2),
        "cost": cost,
        "value": amounts,
        "go_at": amounts,
        "no_go_at": amounts,
        "far": amounts,
        "checks": st.sampled_from([None, [], ()]),
        "random_seed": seeds,
    }
    target = draw(st.sampled_from([1.0, 2.0, 0.5]) | amounts)
    return Asked(fit, draw(points(fit)), {"target": target, **some(draw, options, 2)})


def real(value: Any) -> bool:
    """Whether a value is a finite number."""
    if not isinstance(value, Real | Decimal | np.bool_):
        return False
    try:
        return math.isfinite(value)
    except (OverflowError, ValueError):
        return False


def decision_or_refusal(asked: Asked, fits: dict[str, bl.Fit]) -> None:
    decision = outcome(lambda: bl.decide(fits[asked.fit], asked.points, **asked.options))
    if isinstance(decision, BayeslawError):
        return
    options = asked.options
    for name in ("target", "value", "go_at", "no_go_at", "far"):
        assert options.get(name) is None or real(options[name]), f"{name} = {options[name]!r}"
    assert "far" not in options or options["far"] >= 0, options["far"]
    cost = options.get("cost", [])
    amounts = cost.values() if isinstance(cost, dict) else cost
    assert all(real(x) and x >= 0 for x in amounts), cost
    assert decision.table["p_target"].between(0, 1).all()
    assert len(str(decision)) <= 10_000
    assert decision.to_json()["verdict"] in ("go", "no-go", "inconclusive")


@lanes
def test_a_decision_between_any_options_or_a_refusal(tries: int, fits: dict[str, bl.Fit]) -> None:
    attack(tries, asked_to_decide(), lambda asked: decision_or_refusal(asked, fits))


def test_the_points_before_they_are_changed_are_answered(fits: dict[str, bl.Fit]) -> None:
    for name, fit in fits.items():
        assert isinstance(outcome(lambda fit=fit, name=name: fit.bands(FITS[name])), pd.DataFrame)
