"""The shipped data: simulated, and saying so; reproduced by their script; true to the published
table.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import simulate_overoptimization
import simulate_pretraining

import bayeslaw as bl
from bayeslaw.errors import UnknownNameError
from bayeslaw.runs.datasets import datasets


@pytest.mark.parametrize("name", sorted(datasets()))
def test_a_set_is_what_its_script_writes_and_its_manifest_says(
    name: str, script: ModuleType
) -> None:
    table = bl.dataset(name)
    manifest = table.attrs["manifest"]
    assert manifest["simulated"] is True
    assert "simulated" in name
    assert set(table.columns) == set(manifest["columns"])
    assert len(table) == manifest["rows"]
    if name.startswith("finetuning"):
        again = script.simulate(manifest["seed"], inferior_16b="inferior" in name)
    elif name.startswith("pretraining"):
        again = simulate_pretraining.simulate(manifest["seed"])
    else:
        again, deviation = simulate_overoptimization.simulate(manifest["seed"])
        assert deviation == manifest["truth"]["deviation_of_log_beta_gold"]
    pd.testing.assert_frame_equal(table, again, check_exact=False, rtol=1e-12, check_dtype=False)


def test_the_largest_models_are_held_out() -> None:
    for name in ("finetuning_simulated", "finetuning_simulated_inferior_16b"):
        table = bl.dataset(name)
        assert (table["heldout"] == (table["model_size"] == 16e9)).all()


def test_simulated_overoptimization_has_the_papers_design_and_autocorrelated_noise() -> None:
    table = bl.dataset("overoptimization_simulated")
    assert table.groupby("method")["reward_model_size"].nunique().to_dict() == {"bon": 9, "rl": 9}
    assert table["policy_size"].nunique() == 2
    rng = np.random.default_rng(1)
    d = simulate_overoptimization.D
    error = np.array([simulate_overoptimization.correlated(d, rng) for _ in range(4000)])
    shared, length, noise = (
        simulate_overoptimization.SHARED,
        simulate_overoptimization.LENGTH,
        simulate_overoptimization.NOISE,
    )
    expected = shared**2 * np.exp(-abs(d[:, None] - d) / length) + noise**2 * np.eye(len(d))
    np.testing.assert_allclose(np.cov(error.T), expected, atol=5 * shared**2 / np.sqrt(2000))


def test_the_variants_differ_in_the_inferior_checkpoint_alone() -> None:
    a, b = bl.dataset("finetuning_simulated"), bl.dataset("finetuning_simulated_inferior_16b")
    differ = a["loss"] != b["loss"]
    assert (differ == (a["heldout"] & (a["llm"] == "en_zh"))).all()
    np.testing.assert_allclose(
        np.log(b.loc[differ, "loss"] / a.loc[differ, "loss"]), 0.08, atol=1e-5
    )


def test_the_simulation_has_the_published_scale(script: ModuleType) -> None:
    """papers.md 2.3, computed from table 4: En-De FMT at 1B and 1M examples 1.066; En-De LoRA at
    100K 1.096.
    """
    many = pd.concat([script.simulate(seed) for seed in range(40)])
    at = many[(many["model_size"] == 1e9) & (many["task"] == "wmt_en_de")]
    for method, data, loss in (("fmt", 1e6, 1.066), ("lora", 1e5, 1.096)):
        found = at.loc[(at["method"] == method) & (at["finetuning_data"] == data), "loss"]
        assert abs(found.mean() - loss) < 4 * found.std() / np.sqrt(len(found)) + 5e-4


def test_unknown_sets_are_named() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'finetuning_simulated'"):
        bl.dataset("finetuning_simulate")


def test_runs_of_a_simulated_set_carry_its_name() -> None:
    table = bl.dataset("finetuning_simulated")
    assert (
        bl.read_runs(table[~table["heldout"]], "finetuning_multiplicative").source
        == "finetuning_simulated"
    )
