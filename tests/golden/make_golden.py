"""Write the saved fit and backtest that every later version must read:
``uv run python tests/golden/make_golden.py``. Run once a format, not again: these were written by
the version before modules moved into folders.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

import bayeslaw as bl
from bayeslaw.validation.storage import save_backtest

rng = np.random.default_rng(0)
sizes, data = np.meshgrid([1e8, 1e9, 1e10], [2e9, 2e10, 2e11, 2e12])
params = {"A": 482.0, "B": 2085.0, "E": 1.82, "alpha": 0.348, "beta": 0.366}
loss = bl.law("chinchilla").evaluate({"model_size": sizes, "data_size": data}, params) * np.exp(
    rng.normal(0, 0.005, sizes.shape)
)
table = pd.DataFrame(
    {
        "model_size": sizes.ravel(),
        "data_size": data.ravel(),
        "loss": loss.ravel(),
        "note": "simulated",
    }
)
fit = bl.fit(
    "chinchilla",
    bl.read_runs(table, "chinchilla"),
    draws=50,
    tune=300,
    chains=2,
    random_seed=1,
    attempts=1,
    progressbar=False,
)
path = fit.save(Path(__file__).parent / f"chinchilla_simulated_{bl.__version__}.nc")
bands = fit.bands({"model_size": 70e9, "data_size": 1.4e12}, "mean")
path.with_suffix(".json").write_text(
    json.dumps(bands[["median", "lower_90", "upper_90"]].to_numpy()[0].tolist())
)

curves = pd.DataFrame(
    [
        (task, x, level * (x / 3e7) ** -0.15 * float(np.exp(rng.normal(0, 0.01))))
        for task, level in {"task0": 1.0, "task1": 1.2, "task2": 0.8}.items()
        for x in np.geomspace(1e6, 1e9, 12)
    ],
    columns=["task", "data_size", "loss"],
)
tested = bl.backtest(
    bl.ModelSpec("power", discrepancy="none"),
    bl.read_runs(curves, "power"),
    "data_size > 3e8",
    baselines=["line"],
    draws=12,
    tune=300,
    chains=2,
    attempts=1,
    random_seed=1,
    progressbar=False,
)
save_backtest(tested, path.with_name(f"backtest_simulated_{bl.__version__}.nc"))
