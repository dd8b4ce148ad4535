"""Whether a coverage is too low to be chance: simulated models that are right, and too sure."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bayeslaw.validation.scores import PIT_BINS, Replicates, regions


def correlated(shape: tuple[int, int], rho: float, rng: np.random.Generator) -> np.ndarray:
    """Standard normal numbers, those of a row with correlation ``rho``."""
    common = rng.standard_normal((shape[0], 1))
    return np.sqrt(rho) * common + np.sqrt(1 - rho) * rng.standard_normal(shape)


def p_values(runs: int, rho: float, sd: float, repeats: int = 400) -> np.ndarray:
    """P-values over simulated backtests whose hidden runs have ``sd`` times the model's."""
    rng = np.random.default_rng([runs, int(100 * rho)])
    p = []
    for _ in range(repeats):
        replicates = Replicates(0.9)
        draws, observed = correlated((500, runs), rho, rng), sd * correlated((1, runs), rho, rng)
        for some in np.array_split(np.arange(runs), 2):  # as blocks of runs
            replicates.add(draws[:, some], observed[0, some])
        p.append(replicates.p_of_coverage())
    return np.array(p)


@pytest.mark.parametrize("rho", [0.0, 0.6])
@pytest.mark.parametrize("runs", [3, 14, 30])
def test_a_model_that_is_right_seldom_fails_the_gate(runs: int, rho: float) -> None:
    """At most 5 % of simulated backtests, with three errors of 400 of them; a coverage below .8 by
    itself is no rare event.
    """
    p = p_values(runs, rho, 1.0)
    assert (p < 0.05).mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(p))


def test_a_coverage_below_a_fixed_bound_is_no_rare_event() -> None:
    """What the bound of .8 did: one of 3 runs missed is enough."""
    rng = np.random.default_rng(1)
    inside = abs(correlated((4000, 3), 0.0, rng)) < 1.645
    assert (inside.mean(axis=1) < 0.8).mean() == pytest.approx(1 - 0.9**3, abs=0.03)


@pytest.mark.parametrize(("runs", "least"), [(14, 0.9), (30, 0.99)])
def test_a_model_that_is_too_sure_fails_the_gate(runs: int, least: float) -> None:
    assert (p_values(runs, 0.0, 3.0) < 0.05).mean() > least


def test_regions_of_independent_runs_are_the_binomial_ones() -> None:
    """Of coverage and of the PIT, over two splits; in steps of a run."""
    rng = np.random.default_rng(3)
    splits = [Replicates(0.9, (0.5, 0.9)) for _ in range(2)]
    for replicates in splits:
        replicates.add(rng.standard_normal((4000, 20)), rng.standard_normal(20))
    table = regions(splits)
    assert table["measure"].tolist() == ["coverage"] * 2 + ["pit"] * PIT_BINS
    for row in table.itertuples():
        p = row.at if row.measure == "coverage" else 1 / PIT_BINS
        low, high = stats.binom.ppf([0.05, 0.95], 40, p) / 40
        assert row.low == pytest.approx(low, abs=1 / 40 + 1e-9)
        assert row.high == pytest.approx(high, abs=1 / 40 + 1e-9)


def test_regions_of_runs_that_err_together_are_wider() -> None:
    rng = np.random.default_rng(4)
    width = {}
    for rho in (0.0, 0.6):
        replicates = Replicates(0.9)
        replicates.add(correlated((2000, 30), rho, rng), np.zeros(30))
        table = regions([replicates])
        width[rho] = (table["high"] - table["low"]).groupby(table["measure"]).mean()
    assert (width[0.6] > 1.3 * width[0.0]).all()
