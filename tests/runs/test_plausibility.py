"""What a table looks like: units, directions, floors, checkpoints; and that public tables look like
what they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import grouped_table, public_path

import bayeslaw as bl
from bayeslaw.errors import RunsWarning
from bayeslaw.laws import Law
from bayeslaw.runs.plausibility import plausibility_warnings

#: With coefficients of Besiroglu et al. 2024: a grid of three sizes and four data sizes.
SIZE = np.repeat([1e8, 3e8, 1e9], 4)
DATA = np.tile([2e9, 6e9, 2e10, 6e10], 3)
LOSS = 1.82 + 482 / SIZE**0.348 + 2085 / DATA**0.366


def grid(**columns: Any) -> pd.DataFrame:
    """The grid, with columns replaced or added."""
    return pd.DataFrame({"model_size": SIZE, "data_size": DATA, "loss": LOSS} | columns)


def said(frame: pd.DataFrame, law: str | Law = "chinchilla", **options: Any) -> tuple[str, ...]:
    """The warnings of a table, each given as a warning and kept with the runs."""
    with pytest.warns(RunsWarning) as caught:
        runs = bl.read_runs(frame, law, **options)
    assert tuple(str(warning.message) for warning in caught) == runs.warnings
    return runs.warnings


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            {"loss": np.exp(LOSS + 2)},
            ["outside 0.1 to 20 nats per token", "a perplexity", "np.log"],
        ),
        ({"loss": 100 / LOSS}, ["outside 0.1 to 20", "rises with model_size", "score"]),
        ({"loss": 1e9 * LOSS}, ["outside 0.1 to 20", "probably in another unit: scale"]),
        ({"loss": 1e-9 * LOSS}, ["outside 0.1 to 20", "subtracted", "scale={'loss': ...}"]),
        ({"loss": 1 / LOSS}, ["rises with model_size (", " and data_size (", "a score"]),
        ({"model_size": SIZE / 1e9}, ["scale={'model_size': 1e9} for billions"]),
        ({"data_size": DATA / 1e9}, ["{'data_size': 1e9} for billions", "1e12 for trillions"]),
        ({"model_size": SIZE / 1e4}, ["tokens a parameter", "scale={'model_size': 1e6}"]),
        ({"data_size": DATA / 1e6}, ["tokens a parameter", "scale={'data_size': 1e6}"]),
    ],
)
def test_a_column_in_another_unit_or_of_another_kind(
    columns: Mapping[str, Any], words: list[str]
) -> None:
    texts = " ".join(said(grid(**columns)))
    assert all(word in texts for word in words), texts


def test_a_good_table_says_nothing() -> None:
    assert bl.read_runs(grid(), "chinchilla").warnings == ()


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ("val_ppl", "by its name a perplexity. The loss of this law is the logarithm"),
        ("c4_bpb", "by its name in bits"),
        ("gsm8k/acc", "by its name a score"),
    ],
)
def test_the_name_of_a_column_tells_where_its_values_cannot(own: str, words: str) -> None:
    frame = grid().rename(columns={"loss": own})
    (text,) = said(frame, columns={"loss": own})
    assert words in text
    scaled = bl.read_runs(frame, "chinchilla", columns={"loss": own}, scale={"loss": np.log(2)})
    assert scaled.warnings == ()


def test_a_rate_that_falls_and_a_loss_that_rises() -> None:
    x = np.arange(1.0, 7.0)
    rate = pd.DataFrame({"step": x, "pass_rate": 0.6 / x})
    (text,) = said(rate, bl.law("sigmoid_compute", input="step"))
    assert "pass_rate falls with step" in text
    assert "1 minus it is the pass_rate" in text
    (text,) = said(
        rate.rename(columns={"pass_rate": "loss"}).assign(loss=x), bl.law("power", input="step")
    )
    assert "loss rises with step (rank correlation 1.00 over 6 runs)" in text


def test_scores_that_are_not_relative() -> None:
    d = np.array([0.05, 1.0, 2.0, 4.0, 6.0])
    relative = pd.DataFrame({"kl": d**2, "gold_score": d * (1 - 0.3 * np.log(d))})
    assert bl.read_runs(relative, "overoptimization_rl").warnings == ()
    (text,) = said(relative.assign(gold_score=relative["gold_score"] - 9), "overoptimization_rl")
    assert "gold_score is below 0 in 100% of the runs nearest the initial policy" in text
    (text,) = said(relative.assign(gold_score=relative["gold_score"] + 9), "overoptimization_rl")
    assert "gold_score is 9.09494 at KL = 0.0025" in text
    assert "bl.relative_scores subtracts" in text


def test_curves_that_turn() -> None:
    """Overfitting, and a policy that collapses; and no curve that only ends with noise."""
    x = np.tile(np.geomspace(1e6, 1e9, 10), 2)
    frame = pd.DataFrame({"task": np.repeat(["a", "b"], 10), "data_size": x})
    falls = 3 * (x / 1e6) ** -0.2
    (text,) = said(frame.assign(loss=falls + 0.2 * x / 1e8), "power")
    assert "loss rises again with data_size in 2 of 2 curves, past the lowest of each" in text
    noise = np.where(np.arange(20) % 2, 1.02, 1.0)
    assert bl.read_runs(frame.assign(loss=falls * noise), "power").warnings == ()
    step = np.arange(1.0, 13.0)
    rate = pd.DataFrame({"step": step, "pass_rate": 0.5 - 0.01 * abs(step - 7)})
    (text,) = said(rate, bl.law("sigmoid_compute", input="step"))
    assert "pass_rate falls again with step in 1 of 1 curves, past the highest of each" in text


def test_all_runs_near_a_floor() -> None:
    """A loss of which 98 % is noise of the targets; and one that is as flat at its start only."""
    x = np.geomspace(3e4, 6e5, 8)
    frame = pd.DataFrame({"data_size": x, "loss": 0.24 + 180 / x})
    (text,) = said(frame, "power")
    assert "near a floor: over a factor of 20 in data_size, loss falls by" in text
    assert "E_at_centre a prior, such as Beta(alpha=20, beta=1)" in text
    flat_at_first = frame.assign(loss=0.24 - 1e-8 * x)
    assert bl.read_runs(flat_at_first, "power").warnings == ()
    assert bl.read_runs(grouped_table(), "power").warnings == ()


def checkpoints(tokens: np.ndarray, **columns: Any) -> pd.DataFrame:
    """Rows of three model sizes at the same tokens."""
    size, data = map(np.ravel, np.meshgrid([1e8, 3e8, 1e9], tokens, indexing="ij"))
    loss = 1.82 + 482 / size**0.348 + 2085 / data**0.366
    return pd.DataFrame({"model_size": size, "data_size": data, "loss": loss} | columns)


def test_checkpoints_of_one_run_are_told() -> None:
    """Those in equal steps, those with a count of steps, and more than anybody trains; and not the
    same sizes in a geometric grid."""
    in_equal_steps, geometric = 1e9 * np.arange(1, 9), 1e9 * 2.0 ** np.arange(8)
    counted = checkpoints(geometric, step=np.tile(geometric / 1e6, 3))
    many = checkpoints(np.geomspace(1e9, 1e11, 60))
    for frame, how in (
        (checkpoints(in_equal_steps), "in equal steps"),
        (counted, "with a count of steps"),
        (many, "in 40 rows or more"),
    ):
        (text,) = said(frame)
        rows = len(frame)
        assert f"{rows} of {rows} rows rise in data_size {how} at one model_size" in text
        assert "bands too narrow for other models" in text
        assert "curve_by=['model_size']" in text
    assert bl.read_runs(checkpoints(geometric), "chinchilla").warnings == ()
    last = checkpoints(in_equal_steps).groupby("model_size").tail(1)
    assert bl.read_runs(last, "chinchilla").warnings == ()


# Public tables
# ----------------------------------------------------------------------------------------------

COMPUTE = {"model_size": "Model Size", "compute": "Training FLOP"}
OVERTRAINING = {"model_size": "params", "data_size": "tokens", "loss": "loss_c4_val"}
REPEATED = {"model_size": "params", "data_size": "tokens", "unique_data": "unique_tokens"}
GRIDS = {
    "model_size": "N",
    "data_size": "D",
    "learning_rate": "lr",
    "batch_size": "bs",
    "loss": "smooth loss",
}
CURVES = {"task": "Task", "model": "Model", "data_size": "Seen Examples", "loss": "Loss"}
FINETUNING: Mapping[str, Any] = {
    "columns": {"model": "config name", "model_size": "size"},
    "melt_into": "finetuning_data",
    "groups": ["family", "model"],
    "where": "finetuning_data > 0",
}
GOLD = {"gold_score": "gold_score_std", "reward_model_data": "proxy_data_size"}
ISOFLOP = {"model_size": "params", "data_size": "tokens", "compute": "budget"}
#: Every public table that tests or benchmarks read: the file, the law, and how it is read.
READ: list[tuple[str, str, Mapping[str, Any]]] = [
    ("chinchilla/svg_extracted_data.csv", "chinchilla", {"columns": COMPUTE}),
    ("chinchilla/svg_extracted_data.csv", "isoflop", {"columns": COMPUTE}),
    ("ladders/isoflops.csv", "skaling", {"columns": ISOFLOP, "groups": ["experiment"]}),
    ("ladders/farseer_train.csv", "skaling", {"columns": {"model_size": "N", "data_size": "D"}}),
    (
        "pretraining/overtraining_models.csv",
        "skaling",
        {"columns": OVERTRAINING, "groups": ["dataset"]},
    ),
    (
        "pretraining/data_constrained_losses.csv",
        "data_constrained",
        {"columns": REPEATED, "groups": [], "where": "in_published_182 == 1"},
    ),
    (
        "hyperparameters/step_law_grid.csv",
        "step_law",
        {"columns": GRIDS, "scale": {"batch_size": 2048}, "where": "data_size < 1e13"},
    ),
    (
        "learning_curves/vision_birds_imagenet.csv",
        "saturating_power",
        {"columns": CURVES, "groups": ["task", "model"]},
    ),
    ("finetuning/flan.csv", "finetuning_rectified", FINETUNING),
    ("finetuning/wmt19.csv", "finetuning_rectified", FINETUNING),
    ("overoptimization/bon_reward_model_data.csv", "overoptimization_bon", {"columns": GOLD}),
    (
        "overoptimization/grpo_run.csv",
        "overoptimization_rl_rate",
        {"columns": {"gold_rate": "gold_acc", "kl": "kl_seq_est"}},
    ),
]


@pytest.mark.parametrize(
    ("file", "law", "options"), READ, ids=[f"{file}-{law}" for file, law, _ in READ]
)
def test_public_tables_look_like_what_they_are(
    file: str, law: str, options: Mapping[str, Any]
) -> None:
    """Their README describes them as in the right unit, and their rows as runs of their own."""
    frame = pd.read_csv(public_path(file))
    own = {name: column for name, column in options.get("columns", {}).items() if column in frame}
    if file.startswith("hyperparameters"):
        frame = frame.drop(columns="loss")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RunsWarning)
        runs = bl.read_runs(frame, law, **options)
    assert plausibility_warnings(runs.table, runs.law, runs.groups, own) == []
