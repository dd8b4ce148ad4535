"""No call of the package changes the session: matplotlib, warnings, locale, random state."""

from __future__ import annotations

import locale
import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
import nbformat
import numpy as np
import pandas as pd
import pytest
from helpers import grouped_table, stored
from nbclient import NotebookClient

import bayeslaw as bl

#: The first figure of a kernel is one of the package; and whether figures are still displayed.
FIRST_FIGURE = """
import numpy as np
import pandas as pd
from bayeslaw import plots
plots.pit(pd.DataFrame({"method": "bayeslaw", "pit": np.linspace(0.01, 0.99, 40)}))
import matplotlib.pyplot as plt
assert plt.isinteractive()
"""


def state() -> dict[str, Any]:
    """What of the session a package could change."""
    return {
        "matplotlib": dict(mpl.rcParams),
        "warnings": list(warnings.filters),
        "locale": locale.setlocale(locale.LC_ALL),
        "random": np.random.get_state()[1].tolist(),  # noqa: NPY002
        "print": np.get_printoptions(),
        "errors": np.geterr(),
        "pandas": pd.get_option("display.max_columns"),
        "folder": Path.cwd(),
    }


def calls(folder: Path) -> None:
    """Some of everything that the package does, sampling left out."""
    bl.read_runs(grouped_table(), "power")
    fit = stored("grouped")
    bl.load(fit.save(folder / "fit.nc"))
    bands = fit.bands({"data_size": [1e8, 1e9], "task": "task0"})
    bl.decide(fit, {"data_size": [1e8, 1e9], "task": "task0"}, 1.0)
    bl.plots.bands(bands, x="data_size", runs=fit.runs.table, by=["task"])


@pytest.mark.filterwarnings("ignore::bayeslaw.errors.BayeslawWarning")
def test_no_call_changes_the_session(tmp_path: Path) -> None:
    mpl.use("Agg")
    before = state()
    x = np.geomspace(1e6, 1e9, 12)
    runs = bl.read_runs(pd.DataFrame({"data_size": x, "loss": 12 * x**-0.1}), "power")
    spec = bl.ModelSpec("power", discrepancy="none", noise="normal")
    bl.fit(spec, runs, draws=50, tune=100, chains=2, attempts=1, random_seed=1, progressbar=False)
    bl.check(stored("grouped"))
    calls(tmp_path)
    first = state()
    # Libraries set warnings, and one draws random numbers, when they are imported.
    imports = {"warnings": None, "random": None}
    assert first | imports == before | imports
    calls(tmp_path)
    assert state() == first


def test_the_first_figure_of_a_kernel_leaves_the_display_on() -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(FIRST_FIGURE)])
    NotebookClient(notebook, timeout=60).execute()
