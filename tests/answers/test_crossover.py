"""Where two methods tie: the closed form of the paper, SciPy, and simulated runs whose truth is
known.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import bayeslaw as bl
from bayeslaw.errors import SpecError, UnknownNameError
from bayeslaw.laws.finetuning import critical_power

pytestmark = pytest.mark.filterwarnings("ignore::bayeslaw.errors.BayeslawWarning")

#: Zhang et al. 2024 (arXiv 2402.17193), table 4, (A, alpha) of model size and of pretraining data,
#: beta; and table 5, (H, gamma) of both.
TABLE_4: dict[str, tuple[tuple[float, float], tuple[float, float], float]] = {
    "en_de:fmt": ((1.2e5, 0.52), (6.3e2, 0.21), 0.15),
    "en_de:prompt": ((3.9e3, 0.40), (2.7e2, 0.21), 0.051),
    "en_de:lora": ((2.1e3, 0.36), (1.4e2, 0.18), 0.081),
    "en_zh:fmt": ((3.3e3, 0.34), (2.4e2, 0.17), 0.14),
    "en_zh:prompt": ((8.5e2, 0.33), (2e2, 0.20), 0.015),
    "en_zh:lora": ((6.6e2, 0.31), (1.3e2, 0.18), 0.025),
    "mlsum:fmt": ((3.3e2, 0.24), (42.0, 0.11), 0.087),
    "mlsum:prompt": ((23.0, 0.10), (16.0, 0.069), 0.025),
    "mlsum:lora": ((26.0, 0.11), (17.0, 0.073), 0.03),
}
TABLE_5: dict[tuple[str, str, str], tuple[tuple[float, float], tuple[float, float]]] = {
    ("en_de", "fmt", "prompt"): ((3.7e14, -1.2), (3.7e3, -0.0015)),
    ("en_de", "fmt", "lora"): ((2e24, -2.4), (6.9e8, -0.5)),
    ("en_de", "prompt", "lora"): ((1.6e-9, 1.5), (7.7e-10, 1.2)),
    ("en_zh", "fmt", "prompt"): ((6.1e4, -0.12), (5.0, 0.26)),
    ("en_zh", "fmt", "lora"): ((1.6e6, -0.3), (2.7e2, 0.093)),
    ("en_zh", "prompt", "lora"): ((1.8e-11, 1.9), (8.6e-19, 2.1)),
    ("mlsum", "fmt", "prompt"): ((3.6e18, -2.1), (3.7e6, -0.63)),
    ("mlsum", "fmt", "lora"): ((1.2e17, -1.8), (1e7, -0.63)),
    ("mlsum", "prompt", "lora"): ((0.00045, 2.3), (1.6e2, -0.63)),
}
#: What half a unit of the last printed digit does: A has two digits, alpha and beta two or three
#: decimals.
ROUNDING = {"A": 0.03, "alpha": 0.005, "beta": 0.0005}
#: MLSum, prompt against LoRA, model size: the published entry does not follow from table 4 at all
#: (gamma -2.0 there), a slip.
SLIP = ("mlsum", "prompt", "lora")


@pytest.mark.parametrize("sweep", [0, 1], ids=["model_size", "pretraining_data"])
@pytest.mark.parametrize("row", TABLE_5, ids=lambda row: "-".join(row))
def test_critical_sizes_of_table_5_follow_from_table_4(
    row: tuple[str, str, str], sweep: int
) -> None:
    """Within the rounding of table 4, which the small difference of two betas magnifies."""
    task, one, other = row
    first, second = (
        {
            "A": np.array(TABLE_4[f"{task}:{m}"][sweep][0]),
            "alpha": TABLE_4[f"{task}:{m}"][sweep][1],
            "beta": TABLE_4[f"{task}:{m}"][2],
        }
        for m in (one, other)
    )
    H, gamma = critical_power(first, second)
    H_printed, gamma_printed = TABLE_5[row][sweep]
    steeper = abs(first["beta"] - second["beta"])
    slack = {
        "gamma": 2 * ROUNDING["alpha"] / steeper + abs(gamma) * 2 * 0.005 / steeper + 0.05,
        "log_H": 2 * ROUNDING["A"] / steeper + abs(np.log(H)) * 2 * 0.005 / steeper,
    }
    if row == SLIP and sweep == 0:
        assert np.sign(gamma) != np.sign(gamma_printed)
        return
    assert abs(gamma - gamma_printed) <= slack["gamma"]
    assert abs(np.log(H) - np.log(H_printed)) <= slack["log_H"]


# ---- Simulated runs


@pytest.fixture(scope="module")
def fit(readme_example: tuple[str, str, Path]) -> bl.Fit:
    """The simulated runs of 1B to 8B models, as the README fits them."""
    return bl.load(readme_example[2] / "finetuning.nc")


LLM = {"wmt_en_de": "en_de", "wmt_en_zh": "en_zh", "mlsum": "en_de"}


def true_ties(
    task: str, pair: tuple[str, str], size: float, low: float, high: float
) -> list[float]:
    """Where the truth of the simulation ties, by SciPy."""
    truth = bl.dataset("finetuning_simulated").attrs["manifest"]["truth"]["parameters"]
    law = bl.law("finetuning_multiplicative")

    def difference(log_data: Any) -> Any:
        losses = [
            law.evaluate(
                {"model_size": size, "finetuning_data": np.exp(log_data)}, truth[f"{task}:{m}"]
            )
            for m in pair
        ]
        return losses[0] - losses[1]

    grid = np.linspace(np.log(low), np.log(high), 4000)
    values = difference(grid)
    return [
        float(np.exp(optimize.brentq(difference, grid[i], grid[i + 1])))
        for i in np.flatnonzero(np.diff(np.sign(values)))
    ]


def test_crossovers_of_simulated_runs_cover_the_truth(fit: bl.Fit) -> None:
    """All pairs of methods on the sizes that were seen: 90 % intervals hold the truth in most of
    them, and where there is no tie that is likely.
    """
    covered, total = 0, 0
    for task, llm in LLM.items():
        for pair in (("lora", "fmt"), ("prompt", "fmt"), ("prompt", "lora")):
            for size in (1e9, 4e9):
                found = bl.crossover(
                    fit,
                    "finetuning_data",
                    pair,
                    {"task": task, "llm": llm, "model_size": size},
                    bounds=(1e3, 1e8),
                )
                ties = true_ties(task, pair, size, 1e3, 1e8)
                p = found.attrs["p_crossover"]
                throughout = sum(found.attrs[f"p_{method}_throughout"] for method in pair)
                assert p + throughout == pytest.approx(1)  # every draw is accounted for
                if ties:
                    low, high = found["crossover"].quantile([0.05, 0.95])
                    covered, total = covered + int(low <= ties[0] <= high), total + 1
                    assert p > 0.5
                else:
                    assert p < 0.5
    # Both sizes of a pair move with the same draws: of five pairs that miss with probability .1
    # each, three or more do with .009, two with .07.
    assert total >= 8
    assert covered >= total - 4


def test_the_band_at_the_point_named_by_the_paper_covers(fit: bl.Fit) -> None:
    """Full finetuning against prompt tuning on En-De at 1B: the truth of the simulation ties at
    2.4e5 examples.
    """
    found = bl.crossover(
        fit,
        "finetuning_data",
        ("prompt", "fmt"),
        {"task": "wmt_en_de", "llm": "en_de", "model_size": 1e9},
    )
    (truth,) = true_ties("wmt_en_de", ("prompt", "fmt"), 1e9, 80, 2.5e9)
    low, high = found["crossover"].quantile([0.05, 0.95])
    assert low <= truth <= high
    assert truth == pytest.approx(2.41e5, rel=0.01)
    assert found.attrs["p_prompt_below"] == 1
    assert found.attrs["by"] == "method"
    assert set(np.unique(found["below"])) == {"prompt"}
    assert set(np.unique(found["above"])) == {"fmt"}


def test_each_draw_against_scipy(fit: bl.Fit) -> None:
    """E differs: the tie of a draw is the root that ``scipy.optimize.brentq`` finds of its
    predicted curves.
    """
    at = {"task": "wmt_en_zh", "llm": "en_zh", "model_size": 2e9}
    drawn = bl.crossover(fit, "finetuning_data", ("lora", "fmt"), at)["crossover"].values.ravel()
    grid = np.geomspace(1e4, 1e8, 400)
    curves = fit.predict(
        {**at, "method": ["lora", "fmt"], "finetuning_data": grid}, "mean"
    ).values.reshape(len(drawn), 2, 400)
    for i in range(0, len(drawn), 187):
        gap = np.log(curves[i, 0] / curves[i, 1])
        (step,) = np.flatnonzero(np.diff(np.sign(gap)))
        root = optimize.brentq(
            lambda x, gap=gap: np.interp(x, np.log(grid), gap),
            np.log(grid[step]),
            np.log(grid[step + 1]),
        )
        assert drawn[i] == pytest.approx(np.exp(root), rel=1e-4)
    exact = fit.predict(
        {**at, "method": ["lora", "fmt"], "finetuning_data": float(drawn[5])}, "mean"
    ).values.reshape(len(drawn), 2)[5]
    assert exact[0] == pytest.approx(exact[1], rel=1e-9)


def test_one_irreducible_loss_is_the_closed_form() -> None:
    """`finetuning_factors` with E in common: the closed form of eq. 3, and bisection of the same
    draws, agree.
    """
    rng = np.random.default_rng(1)
    rows = []
    for method, (level, beta) in {"lora": (0.5, 0.05), "fmt": (0.6, 0.15)}.items():
        for size in (1e9, 2e9, 4e9):
            data = np.geomspace(1e4, 1e6, 6)
            loss = 0.7 + level * (size / 2e9) ** -0.3 * (data / 1e5) ** -beta
            rows += [
                (method, "model_size", size, x, y)
                for x, y in zip(data, loss * np.exp(rng.normal(0, 0.002, 6)), strict=True)
            ]
    table = pd.DataFrame(
        rows, columns=["method", "factor", "factor_size", "finetuning_data", "loss"]
    )
    runs = bl.read_runs(table, "finetuning_factors")
    fit = bl.fit(
        bl.ModelSpec("finetuning_factors", effects={"E": "1"}),
        runs,
        draws=500,
        tune=500,
        random_seed=1,
        progressbar=False,
    )
    at = {"factor": "model_size", "factor_size": 2e9}
    exact = bl.crossover(fit, "finetuning_data", ("lora", "fmt"), at)
    H, gamma = critical_power(
        *(
            {
                name: (
                    fit.quantity(name)
                    .sel(group=fit.quantity(name)["method"].values == m)
                    .values.ravel()
                    if "group" in fit.quantity(name).dims
                    else fit.quantity(name).values.ravel()
                )
                for name in ("A", "alpha", "beta")
            }
            for m in ("lora", "fmt")
        )
    )
    tied = ~np.isnan(exact["crossover"].values.ravel())
    np.testing.assert_allclose(
        exact["crossover"].values.ravel()[tied], (H * 2e9**gamma)[tied], rtol=1e-9
    )
    low, high = exact["crossover"].quantile([0.005, 0.995])
    assert low <= 1e5 * (0.6 / 0.5) ** (1 / 0.1) <= high


def test_a_never_seen_size_shares_its_deviation(fit: bl.Fit) -> None:
    """Both methods start from one checkpoint: what it deviates moves both, and the crossover
    hardly.
    """
    at = {"task": "wmt_en_de", "llm": "en_de", "model_size": 3e9}
    mean, latent = (
        bl.crossover(fit, "finetuning_data", ("prompt", "fmt"), at, kind=kind)
        for kind in ("mean", "latent")
    )
    assert latent.attrs["kind"] == "latent"
    assert float(latent["crossover"].median()) == pytest.approx(
        float(mean["crossover"].median()), rel=0.1
    )


def test_a_bound_at_a_size_that_was_run_changes_nothing(fit: bl.Fit) -> None:
    """Along model size the curve is the law's: what the checkpoint at a bound deviates by is not
    carried along it.
    """
    at = {"task": "wmt_en_de", "llm": "en_de", "finetuning_data": 1e6}
    on, off = (
        bl.crossover(fit, "model_size", ("prompt", "fmt"), at, bounds=(low, 1e11))
        for low in (1e9, 1.0001e9)
    )
    assert on.attrs["p_crossover"] == pytest.approx(off.attrs["p_crossover"], abs=0.01)
    np.testing.assert_allclose(on["crossover"].median(), off["crossover"].median(), rtol=1e-3)


def test_what_pays_is_of_the_law(fit: bl.Fit) -> None:
    """A step of nothing gains nothing, though one size was run and the other not."""
    at = {
        "model_size": 8e9,
        "finetuning_data": 1e5,
        "task": "mlsum",
        "llm": "en_de",
        "method": "lora",
    }
    tiny = bl.which_pays(fit, at, 1.00001)
    assert (tiny["gain"].abs() < 1e-5).all()
    assert (tiny["gain"] > 0).all()
    double = bl.which_pays(fit, at, np.int64(2)).set_index("input")
    assert double.loc["model_size", "p_best"] > 0.9  # alpha .11 against beta .03 in the truth
    with pytest.raises(SpecError, match="'mean' or 'latent'"):
        bl.which_pays(fit, at, kind="run")


def test_what_is_relative_to_a_table_cannot_be_taken_elsewhere(fit: bl.Fit) -> None:
    with pytest.raises(
        SpecError, match="E of finetuning_multiplicative is sampled as irreducible share"
    ):
        fit.known("E")


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"over": "tokens"}, UnknownNameError, "no input named 'tokens'"),
        ({"between": ("lora", "lora")}, SpecError, "must be two groups"),
        (
            {"between": ("lora", "full")},
            SpecError,
            "no grouping column has both values. Name the column",
        ),
        ({"between": ("lora", "full"), "by": "method"}, SpecError, "no run has that method"),
        ({"by": "metod"}, SpecError, "the runs have no such column"),
        ({"at": {"model_size": 1e9}}, SpecError, "the model predicts the same for lora and fmt"),
        (
            {"at": {"taks": "mlsum", "model_size": 1e9}},
            SpecError,
            "at has taks, .* Did you mean 'task'",
        ),
        (
            {"at": {"task": ["mlsum"], "model_size": 1e9}},
            SpecError,
            "at has several values of task",
        ),
        ({"bounds": (1e3, None)}, SpecError, "must be positive"),
        ({"bounds": (0, 1)}, SpecError, "must be positive, the lower one first"),
        ({"kind": "run"}, SpecError, "must be 'mean' or 'latent'"),
        ({"at": {"method": "lora"}}, SpecError, "which is what is compared: leave it out"),
    ],
)
def test_a_crossover_that_cannot_be_meant(
    fit: bl.Fit, arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    meant = {
        "over": "finetuning_data",
        "between": ("lora", "fmt"),
        "at": {"task": "mlsum", "llm": "en_de", "model_size": 1e9},
        **arguments,
    }
    with pytest.raises(error, match=says):
        bl.crossover(fit, **meant)
