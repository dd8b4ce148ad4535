"""The data sets that ship with bayeslaw, by name; simulated ones have that word in the name."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from bayeslaw.errors import UnknownNameError


def folder() -> Path:
    """The folder of the data: inside an installed package, or at the top of a checkout."""
    installed = Path(str(files("bayeslaw"))) / "data"
    return installed if installed.is_dir() else installed.parent.parent / "data"


def datasets() -> dict[str, dict[str, Any]]:
    """The manifest of each data set, by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder().glob("*.json"))}


def dataset(name: str) -> pd.DataFrame:
    """A data set by its name.

    Returns
    -------
    DataFrame, whose ``attrs["manifest"]`` holds the source, the columns, and for simulated data
    the seed and the true values.

    Raises
    ------
    UnknownNameError : there is no data set of that name.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> list(bl.dataset("pretraining_simulated").columns)
    ['model_size', 'data_size', 'compute', 'loss', 'heldout']
    """
    known = datasets()
    if name not in known:
        raise UnknownNameError("data set", name, known)
    table = pd.read_csv(folder() / f"{name}.csv")
    table.attrs["manifest"] = known[name]
    return table
