"""The data sets that ship with bayeslaw, by name. Simulated ones say so in their name and manifest."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from bayeslaw.errors import UnknownNameError


def folder() -> Path:
    """Where the data are: inside an installed package, or at the top of a checkout."""
    installed = Path(str(files("bayeslaw"))) / "data"
    return installed if installed.is_dir() else installed.parent.parent / "data"


def datasets() -> dict[str, dict[str, Any]]:
    """Every data set's manifest, by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder().glob("*.json"))}


def dataset(name: str) -> pd.DataFrame:
    """A data set by name; its manifest (source, seed, truth, columns) is in ``.attrs["manifest"]``.

    Raises
    ------
    UnknownNameError : no data set of that name.
    """
    known = datasets()
    if name not in known:
        raise UnknownNameError("data set", name, known)
    table = pd.read_csv(folder() / f"{name}.csv")
    table.attrs["manifest"] = known[name]
    return table
