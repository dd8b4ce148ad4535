"""Saving a fit: one NetCDF file with the draws, the runs, and the spec as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from bayeslaw.atomic import atomic_write
from bayeslaw.errors import BayeslawError, SamplingError, StorageError
from bayeslaw.posterior.draws import Convergence, Draws
from bayeslaw.runs.files import ROW
from bayeslaw.runs.table import Runs
from bayeslaw.spec.design import Design
from bayeslaw.spec.spec import ModelSpec

if TYPE_CHECKING:
    import xarray as xr

#: The format's number, which grows when the file's meaning changes. Older formats are read, newer
#: ones refused.
FORMAT = 1
#: The attribute of the file that holds everything but the draws and the runs.
ATTRIBUTE = "bayeslaw"


def save(fit: Draws, path: str | Path) -> Path:
    """Write a fit to one NetCDF file, by an atomic write: an interrupted save changes nothing.

    The file opens in xarray and ArviZ as a DataTree with the groups posterior, sample_stats and
    observed_data, and the table of runs as ``runs``. The root's attribute ``bayeslaw`` holds spec,
    seed, convergence and versions as JSON.

    Raises
    ------
    StorageError : the folder does not exist or cannot be written.
    """
    path = Path(path)
    with atomic_write(path) as part:
        tree_of(fit).to_netcdf(part, engine="h5netcdf")
    return path


def tree_of(fit: Draws) -> xr.DataTree:
    """A fit as the DataTree that `save` writes."""
    import xarray as xr

    datasets = {name: node.to_dataset() for name, node in fit.idata.children.items()}
    tree = xr.DataTree.from_dict({**datasets, "runs": dataset_of(fit.runs.table)})
    runs = {
        "columns": [str(c) for c in fit.runs.table.columns],
        "groups": list(fit.runs.groups),
        "source": fit.runs.source,
        "notes": list(fit.runs.notes),
        "warnings": list(fit.runs.warnings),
    }
    meta = {
        "format": FORMAT,
        "spec": fit.spec.to_json(),
        "random_seed": fit.random_seed,
        "convergence": asdict(fit.convergence),
        "warnings": list(fit.warnings),
        "versions": dict(fit.versions),
        "runs": runs,
    }
    tree.attrs[ATTRIBUTE] = json.dumps(meta)
    return tree


def dataset_of(table: pd.DataFrame, dim: str = ROW) -> xr.Dataset:
    """A table as a Dataset with its rows along ``dim``.

    Numbers and booleans are stored as they are, everything else as text.
    """
    import xarray as xr

    columns = {}
    for name, x in table.items():
        is_plain = is_numeric_dtype(x) and not (is_bool_dtype(x) and x.hasnans)
        values = x.to_numpy() if is_plain else x.astype(str).to_numpy(object)
        columns[str(name)] = (dim, values)
    return xr.Dataset(columns, coords={dim: table.index.to_numpy(object)})


def table_of(stored: xr.Dataset, columns: Sequence[str], dim: str = ROW) -> pd.DataFrame:
    """The table that `dataset_of` stored, with its columns in the order of ``columns``."""
    return pd.DataFrame(
        {name: stored[name].values for name in columns},
        index=pd.Index(stored[dim].values, name=ROW, dtype=object),
    )


def opened(path: str | Path) -> xr.DataTree:
    """The contents of a NetCDF file that bayeslaw wrote, loaded into memory.

    Raises
    ------
    StorageError : there is no such file, bayeslaw did not write it, or it is incomplete.
    """
    import xarray as xr

    path = Path(path)
    if not path.is_file():
        raise StorageError(f"There is no file {path}.")
    try:
        with xr.open_datatree(path, engine="h5netcdf") as on_disk:
            tree = on_disk.load()
    except Exception as error:  # a damaged file raises OSError, KeyError, ValueError, RuntimeError
        raise StorageError(
            f"{path} cannot be read: it is not a NetCDF file, or it was cut short"
            f" ({type(error).__name__}). Save the fit again."
        ) from error
    if ATTRIBUTE not in tree.attrs:
        raise StorageError(
            f"{path} is a NetCDF file, but not a fit saved by bayeslaw. It has the groups"
            f" {', '.join(tree.children) or 'none'}."
        )
    return tree


def draws_of(tree: xr.DataTree, path: str | Path) -> Draws:
    """The draws in a tree that `tree_of` made; ``path`` is named in messages.

    Raises
    ------
    StorageError : the format is newer than this version, or the file is damaged.
    UnknownNameError : its law is not registered.
    """
    try:
        meta = json.loads(tree.attrs[ATTRIBUTE])
        if meta["format"] > FORMAT:
            raise StorageError(
                f"{path} was saved by bayeslaw {meta['versions'].get('bayeslaw')}, in format"
                f" {meta['format']}; this version reads up to {FORMAT}. Upgrade bayeslaw."
            )
        draws = _draws_from(tree, meta)
        draws.require_finite()
        return draws
    except SamplingError as error:
        raise StorageError(f"{path} cannot be used. {error}") from error
    except BayeslawError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(
            f"{path} was saved by bayeslaw and is damaged: {error!r}. Save the fit again."
        ) from error


def _draws_from(tree: xr.DataTree, meta: dict[str, Any]) -> Draws:
    """The draws in a tree; ``meta`` is what its attribute holds."""
    import xarray as xr

    spec = ModelSpec.from_json(meta["spec"])
    table = table_of(tree["runs"].to_dataset(), meta["runs"].pop("columns"))
    texts: dict[str, Any] = {
        key: value if key == "source" else tuple(value) for key, value in meta["runs"].items()
    }
    runs = Runs(law=spec.law, table=table, **texts)
    attempts = tuple(meta["convergence"].pop("attempts"))
    convergence = Convergence(**meta["convergence"], attempts=attempts)
    idata = xr.DataTree.from_dict(
        {name: node.to_dataset() for name, node in tree.children.items() if name != "runs"}
    )
    return Draws(
        design=Design.of(spec, runs),
        runs=runs,
        idata=idata,
        convergence=convergence,
        random_seed=meta["random_seed"],
        warnings=tuple(meta["warnings"]),
        versions=meta["versions"],
    )
