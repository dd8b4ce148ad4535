"""A backtest on disk: one NetCDF file with the predictions, the runs that were seen, and the fit of
each split.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from bayeslaw.errors import BayeslawError, StorageError
from bayeslaw.fitted import Fit
from bayeslaw.posterior import netcdf
from bayeslaw.posterior.storage import ATTRIBUTE, dataset_of, draws_of, opened, table_of, tree_of
from bayeslaw.validation.backtesting import Backtest

#: How columns of true and false begin, which have a gap where a method has no band.
TRUTHS = "inside_"


def save_backtest(backtest: Backtest, path: str | Path) -> Path:
    """Write a backtest to one NetCDF file, whole or not at all.

    Raises
    ------
    StorageError : the folder does not exist or cannot be written, or the disk is full.

    Examples
    --------
    >>> save_backtest(backtest, "backtest.nc")
    """
    import xarray as xr

    truths = [name for name in backtest.points if str(name).startswith(TRUTHS)]
    points = backtest.points.astype(dict.fromkeys(truths, float))
    fits = {f"fits/{i}": tree_of(each) for i, each in enumerate(backtest.fits.values())}
    nodes = {
        f"{place}{node.path.rstrip('/')}": node.to_dataset()
        for place, tree in fits.items()
        for node in tree.subtree
    }
    tables = {"points": dataset_of(points), "seen": dataset_of(backtest.seen)}
    tree = xr.DataTree.from_dict({**tables, **nodes})
    tree.attrs[ATTRIBUTE] = json.dumps(
        {
            "points": [str(c) for c in points.columns],
            "seen": [str(c) for c in backtest.seen.columns],
            "splits": list(backtest.fits),
            "probs": list(backtest.probs),
            "seconds": dict(backtest.seconds),
            "response": backtest.response,
            "coverage_p": dict(backtest.coverage_p),
            "regions": None if backtest.regions is None else backtest.regions.to_dict("list"),
            "notes": list(backtest.notes),
        }
    )
    netcdf.write(tree, path)
    return Path(path)


def load_backtest(path: str | Path) -> Backtest:
    """Read a backtest that `save_backtest` wrote.

    Raises
    ------
    StorageError : no such file, not a saved backtest, or cut short.

    Examples
    --------
    >>> print(load_backtest("backtest.nc"))
    """
    tree = opened(path)
    try:
        meta = json.loads(tree.attrs[ATTRIBUTE])
        points, seen = (
            table_of(tree[name].to_dataset(), meta[name]) for name in ("points", "seen")
        )
        points = points.reset_index(drop=True).assign(
            **{c: _truths(points[c].to_numpy()) for c in points if c.startswith(TRUTHS)}
        )
        fits = {
            split: Fit.of(draws_of(tree.children["fits"].children[str(i)], path))
            for i, split in enumerate(meta["splits"])
        }
        return Backtest(
            points,
            seen,
            tuple(meta["probs"]),
            meta["seconds"],
            fits,
            meta["response"],
            meta.get("coverage_p", {}),
            pd.DataFrame(meta["regions"]) if meta.get("regions") else None,
            tuple(meta.get("notes", ())),
        )
    except BayeslawError:
        raise
    except Exception as error:  # a part of another type fails in any way
        raise StorageError(
            f"{path} is not a saved backtest, or it is damaged: {error!r}."
        ) from error


def _truths(column: np.ndarray) -> pd.Series:
    """True, False or a gap."""
    return pd.Series(column).map({1.0: True, 0.0: False}).astype(object)
