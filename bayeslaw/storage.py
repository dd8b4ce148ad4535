"""A fit on disk: one NetCDF file with the draws, the runs, and the spec as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from bayeslaw.errors import BayeslawError, StorageError
from bayeslaw.files import whole
from bayeslaw.fit import Fit
from bayeslaw.runs import Runs
from bayeslaw.spec import ModelSpec
from bayeslaw.tables import ROW

#: Raised when the file's meaning changes; a file of an older format is read, of a newer one refused.
FORMAT = 1
ATTRIBUTE = "bayeslaw"


def save(fit: Fit, path: str | Path) -> Path:
    """Write a fit to one NetCDF file, whole or not at all: an interrupted save leaves the file that was there.

    The file opens in xarray and ArviZ as a DataTree (posterior, sample_stats, observed_data, and the table as ``runs``).
    The root's attribute ``bayeslaw`` holds spec, seed, convergence and versions as JSON.

    Raises
    ------
    StorageError : the folder does not exist or cannot be written.
    """
    import xarray as xr

    path = Path(path)
    text, numbers = fit.runs.table.select_dtypes(exclude="number"), fit.runs.table.select_dtypes(include="number")
    columns: dict[str, Any] = {str(name): (ROW, x.astype(str).to_numpy(object)) for name, x in text.items()}
    columns |= {str(name): (ROW, x.to_numpy()) for name, x in numbers.items()}
    tree = xr.DataTree.from_dict(
        {
            **{name: node.to_dataset() for name, node in fit.idata.children.items()},
            "runs": xr.Dataset(columns, coords={ROW: fit.runs.table.index.to_numpy(object)}),
        }
    )
    tree.attrs[ATTRIBUTE] = json.dumps(
        {
            "format": FORMAT,
            "spec": fit.spec.to_json(),
            "random_seed": fit.random_seed,
            "convergence": asdict(fit.convergence),
            "warnings": list(fit.warnings),
            "versions": dict(fit.versions),
            "runs": {
                "columns": [str(c) for c in fit.runs.table.columns],
                "groups": list(fit.runs.groups),
                "source": fit.runs.source,
                "notes": list(fit.runs.notes),
                "warnings": list(fit.runs.warnings),
            },
        }
    )
    with whole(path) as part:
        tree.to_netcdf(part, engine="h5netcdf")
    return path


def load(path: str | Path) -> Fit:
    """Read a fit that `save` wrote, with this or an earlier version of bayeslaw.

    Raises
    ------
    StorageError : no such file, not a saved fit, cut short, or written by a newer format.
    UnknownNameError : its law is not registered: import the module that registers it first.
    """
    import xarray as xr

    from bayeslaw.sampling import Convergence

    path = Path(path)
    if not path.is_file():
        raise StorageError(f"There is no file {path}.")
    try:
        with xr.open_datatree(path, engine="h5netcdf") as opened:
            tree = opened.load()
    except Exception as error:  # h5py and xarray raise OSError, KeyError, ValueError, RuntimeError on wrong or cut files
        raise StorageError(
            f"{path} cannot be read: it is not a NetCDF file, or it was cut short ({type(error).__name__}). Save the fit again."
        ) from error
    if ATTRIBUTE not in tree.attrs:
        raise StorageError(
            f"{path} is a NetCDF file, but not a fit saved by bayeslaw. It has the groups {', '.join(tree.children) or 'none'}."
        )
    try:
        meta = json.loads(tree.attrs[ATTRIBUTE])
        if meta["format"] > FORMAT:
            raise StorageError(
                f"{path} was saved by bayeslaw {meta['versions'].get('bayeslaw')}, in format {meta['format']}; this version reads up to {FORMAT}. Upgrade bayeslaw."
            )
        spec = ModelSpec.from_json(meta["spec"])
        stored = tree["runs"].to_dataset()
        table = pd.DataFrame(
            {name: stored[name].values for name in meta["runs"].pop("columns")}, index=pd.Index(stored[ROW].values, name=ROW, dtype=object)
        )
        about: dict[str, Any] = {key: value if key == "source" else tuple(value) for key, value in meta["runs"].items()}
        attempts = tuple(meta["convergence"].pop("attempts"))
        convergence = Convergence(**meta["convergence"], attempts=attempts)
        idata = xr.DataTree.from_dict({name: node.to_dataset() for name, node in tree.children.items() if name != "runs"})
        return Fit(
            spec,
            Runs(law=spec.law, table=table, **about),
            idata,
            convergence,
            meta["random_seed"],
            tuple(meta["warnings"]),
            meta["versions"],
        )
    except BayeslawError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"{path} was saved by bayeslaw and is damaged: {error!r}. Save the fit again.") from error
