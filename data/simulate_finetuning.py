"""Write the simulated finetuning runs of this folder: ``uv run python
data/simulate_finetuning.py``.

Losses follow the multiplicative law of Zhang et al. 2024 with the coefficients of their table 4
(model size), over their own design (section 3), with noise, and with a deviation of each pretrained
checkpoint that all its finetunings share. The losses of the paper are not public: nothing here was
measured.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

import bayeslaw as bl

SEED = 20240227
#: Standard deviation of the noise, and of a checkpoint's deviation, of the log loss.
NOISE, CHECKPOINT = 0.005, 0.010
#: What the inferior 16B checkpoint adds to its log loss (Zhang et al. 2024, section 5: pretraining
#: instability of the En-Zh 16B).
INFERIOR = 0.08

MODEL_SIZES = (1e9, 2e9, 4e9, 8e9, 16e9)
#: task -> the base model's corpus (Zhang et al. 2024, section 3).
LLM = {"wmt_en_de": "en_de", "wmt_en_zh": "en_zh", "mlsum": "en_de"}
PET_DATA = (8e3, *np.arange(1e4, 1.01e5, 1e4))
FMT_DATA = {
    "wmt_en_de": (1e5, *np.arange(5e5, 4.51e6, 5e5)),
    "wmt_en_zh": (1e6, 2e6, 3e6, 4e6, 5e6, 1e7, 1.5e7, 2e7, 2.5e7),
    "mlsum": tuple(np.arange(1e5, 9.01e5, 1e5)),
}
#: (task, method) -> A_m, alpha_m, beta, E of table 4.
TABLE_4 = {
    ("wmt_en_de", "fmt"): (1.2e5, 0.52, 0.15, 0.75),
    ("wmt_en_de", "prompt"): (3.9e3, 0.40, 0.051, 0.62),
    ("wmt_en_de", "lora"): (2.1e3, 0.36, 0.081, 0.62),
    ("wmt_en_zh", "fmt"): (3.3e3, 0.34, 0.14, 1.0),
    ("wmt_en_zh", "prompt"): (8.5e2, 0.33, 0.015, 0.77),
    ("wmt_en_zh", "lora"): (6.6e2, 0.31, 0.025, 0.73),
    ("mlsum", "fmt"): (3.3e2, 0.24, 0.087, 0.98),
    ("mlsum", "prompt"): (23.0, 0.10, 0.025, 0.00051),
    ("mlsum", "lora"): (26.0, 0.11, 0.03, 0.2),
}


def simulate(seed: int, *, inferior_16b: bool = False) -> pd.DataFrame:
    """Simulated runs, a row a run; the 1B to 8B runs of a seed are the same whether or not its 16B
    En-Zh checkpoint is inferior.
    """
    rng = np.random.default_rng(seed)
    law = bl.law("finetuning_multiplicative")
    checkpoints = {
        (llm, size): rng.normal(0, CHECKPOINT) for size in MODEL_SIZES for llm in ("en_de", "en_zh")
    }
    if inferior_16b:
        checkpoints["en_zh", 16e9] += INFERIOR
    rows = []
    for size in MODEL_SIZES:
        for (task, method), (a, alpha, beta, e) in TABLE_4.items():
            data = np.array(FMT_DATA[task] if method == "fmt" else PET_DATA)
            expected = law.evaluate(
                {"model_size": size, "finetuning_data": data},
                {"A": a, "alpha": alpha, "beta": beta, "E": e},
            )
            loss = expected * np.exp(checkpoints[LLM[task], size] + rng.normal(0, NOISE, len(data)))
            rows += [
                (task, method, LLM[task], size, d, round(float(y), 6), size == 16e9)
                for d, y in zip(data, loss, strict=True)
            ]
    return pd.DataFrame(
        rows, columns=["task", "method", "llm", "model_size", "finetuning_data", "loss", "heldout"]
    )


def main() -> None:
    here = Path(__file__).parent
    for name, inferior in (
        ("finetuning_simulated", False),
        ("finetuning_simulated_inferior_16b", True),
    ):
        table = simulate(SEED, inferior_16b=inferior)
        table.to_csv(here / f"{name}.csv", index=False)
        manifest = {
            "name": name,
            "simulated": True,
            "description": (
                "Simulated finetuning losses of 1B-16B models, three methods, three tasks; the 16B"
                " runs are marked heldout. Nothing was measured."
            ),
            "script": "data/simulate_finetuning.py",
            "seed": SEED,
            "rows": len(table),
            "source": (
                "Zhang et al. 2024, arXiv 2402.17193: law eq. 1, coefficients of table 4 (model"
                " size), design of section 3"
            ),
            "truth": {
                "law": "finetuning_multiplicative",
                "parameters": {
                    f"{task}:{method}": dict(zip(("A", "alpha", "beta", "E"), values, strict=True))
                    for (task, method), values in TABLE_4.items()
                },
                "noise_sd_of_log_loss": NOISE,
                "checkpoint_sd_of_log_loss": CHECKPOINT,
                "inferior_16b_en_zh_added_to_log_loss": INFERIOR if inferior else 0.0,
            },
            "columns": {
                "task": "what was finetuned for",
                "method": "fmt (full), lora, prompt",
                "llm": "corpus of the base model",
                "model_size": "parameters",
                "finetuning_data": "examples",
                "loss": "nats per token (simulated)",
                "heldout": "the 16B runs",
            },
        }
        (here / f"{name}.json").write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main()
