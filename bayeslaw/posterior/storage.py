"""Saving a fit: one NetCDF file with the draws, the runs, and the spec as JSON."""

from __future__ import annotations

import json
import operator
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pandas as pd

from bayeslaw.errors import SamplingError, StorageError, UnknownNameError
from bayeslaw.laws.base import Law
from bayeslaw.laws.kl import Logarithmic
from bayeslaw.laws.registry import laws
from bayeslaw.posterior import netcdf
from bayeslaw.posterior.draws import Convergence, Draws
from bayeslaw.posterior.predict import predict
from bayeslaw.runs.files import ROW
from bayeslaw.runs.table import Runs
from bayeslaw.spec.design import Design
from bayeslaw.spec.spec import ModelSpec

if TYPE_CHECKING:
    import xarray as xr

#: The format's number, which grows when the file's meaning changes. Older formats are read, newer
#: ones refused. Format 1: laws of KL sampled alpha at d = 1, and wrote a KL of 0 as 1e-6.
FORMAT = 2
ZERO_KL_OF_FORMAT_1 = 1e-6
#: The attribute of the file that holds everything but the draws and the runs.
ATTRIBUTE = "bayeslaw"
#: The attribute, never written, of a tree that was read from a file without a digest.
UNSEALED = "bayeslaw_unsealed"
#: The note of a fit that was read from such a file.
WITHOUT_DIGEST = (
    "The file of this fit is of an earlier bayeslaw and has no digest, so that damage to it would"
    " not show. Save it again."
)


def save(fit: Draws, path: str | Path) -> Path:
    """Write a fit to one NetCDF file, by an atomic write: an interrupted save changes nothing.

    The file opens in xarray and ArviZ as a DataTree with the groups posterior, sample_stats and
    observed_data, and the table of runs as ``runs``. The root's attribute ``bayeslaw`` holds spec,
    seed, convergence and versions as JSON.

    Raises
    ------
    StorageError : the folder does not exist or cannot be written, or the disk is full. The fit is
        still there: save it elsewhere.
    """
    netcdf.write(tree_of(fit), path)
    return Path(path)


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


def dataset_of(table: pd.DataFrame) -> xr.Dataset:
    """A table as a Dataset with its rows along one dimension, whose name no column has.

    The variable of a column has its name, percent-encoded where a NetCDF file does not allow it.
    Numbers and truth values are stored as they are. Every other value keeps its kind: text, number,
    truth value or missing.
    """
    import xarray as xr

    dim = ROW
    while dim in table.columns:
        dim += "_"
    columns = {}
    for name, x in table.items():
        values = x.to_numpy()
        if values.dtype.kind not in "biuf":
            values = x.astype(object).map(_without_surrogates).to_numpy(object)
        columns[encoded(str(name))] = (dim, values)
    return xr.Dataset(columns, coords={dim: table.index.to_numpy(object)})


def _without_surrogates(value: Any) -> Any:
    """A value; of text, with "?" for each half of a surrogate pair, which no file can hold."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def encoded(name: str) -> str:
    """The name of a column as a NetCDF file and xarray allow it.

    >>> encoded("train/loss"), encoded("")
    ('train%2Floss', '%')
    """
    characters = [
        quote(x, safe="", errors="surrogatepass") if x in "/%" or not x.isprintable() else x
        for x in name
    ]
    joined = "".join(characters)
    return {"": "%", ".": "%2E", "..": "%2E%2E"}.get(joined, joined)


def table_of(stored: xr.Dataset, columns: Sequence[str]) -> pd.DataFrame:
    """The table that `dataset_of` stored, with its columns in the order of ``columns``."""
    (dim,) = stored.dims
    # The first version did not encode names.
    names = {name: encoded(name) if encoded(name) in stored else name for name in columns}
    index = pd.Index(stored[dim].values, name=ROW, dtype=object)
    return pd.DataFrame(
        {name: stored[variable].values for name, variable in names.items()}, index=index
    )


def opened(path: str | Path) -> xr.DataTree:
    """The contents of a NetCDF file that bayeslaw wrote.

    Raises
    ------
    StorageError : there is no such file, bayeslaw did not write it, or it is damaged.
    """
    tree, sealed = netcdf.read(path)
    if ATTRIBUTE not in tree.attrs:
        raise StorageError(
            f"{path} is a NetCDF file, but not a fit saved by bayeslaw. It has the groups"
            f" {', '.join(tree.children) or 'none'}."
        )
    if not sealed:
        tree.attrs[UNSEALED] = 1
    return tree


def draws_of(tree: xr.DataTree, path: str | Path) -> Draws:
    """The draws in a tree that `tree_of` made; ``path`` is named in messages.

    Raises
    ------
    StorageError : the format is newer than this version, or a part of the file is missing or of
        another type.
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
        # Whatever is asked later reads these parts: what is missing is found now.
        if len(draws.runs):
            predict(draws, draws.runs.table.iloc[:1])
        return draws
    except SamplingError as error:
        raise StorageError(f"{path} cannot be used. {error}") from error
    except (StorageError, UnknownNameError):
        raise
    except Exception as error:  # a part of another type fails in any way
        raise StorageError(
            f"{path} was saved by bayeslaw and is damaged: {error!r}. Save the fit again."
        ) from error


def _draws_from(tree: xr.DataTree, meta: dict[str, Any]) -> Draws:
    """The draws in a tree; ``meta`` is what its attribute holds."""
    import xarray as xr

    first = meta["format"] < 2
    spec = ModelSpec.from_json(_as_in_format_1(meta["spec"]) if first else meta["spec"])
    table = table_of(tree["runs"].to_dataset(), meta["runs"].pop("columns"))
    if first and "kl" in spec.law.inputs:
        kl = table["kl"].replace(ZERO_KL_OF_FORMAT_1, spec.law.inputs["kl"].none)
        table = table.assign(kl=kl)
    texts: dict[str, Any] = {
        key: str(value) if key == "source" else _texts(value) for key, value in meta["runs"].items()
    }
    runs = Runs(law=spec.law, table=table, **texts)
    idata = xr.DataTree.from_dict(
        {name: node.to_dataset() for name, node in tree.children.items() if name != "runs"}
    )
    warnings = _texts(meta["warnings"])
    if UNSEALED in tree.attrs:
        warnings = (*warnings, WITHOUT_DIGEST)
    return Draws(
        design=Design.of(spec, runs),
        runs=runs,
        idata=idata,
        convergence=_convergence(meta["convergence"]),
        random_seed=operator.index(meta["random_seed"]),
        warnings=warnings,
        versions={str(name): str(version) for name, version in meta["versions"].items()},
    )


def _as_in_format_1(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of a file of format 1, with what it did not say."""
    law = dict(spec["law"])
    if issubclass(laws().get(law["name"], Law), Logarithmic):
        law["alpha_at"] = "nat"
    return {**spec, "law": law}


def _convergence(stored: Mapping[str, Any]) -> Convergence:
    """The convergence that was stored; a diagnostic that is no number has not passed."""
    values: dict[str, Any] = {"attempts": _texts(stored["attempts"])}
    for diagnostic in ("rhat", "ess_bulk", "ess_tail"):
        values[diagnostic] = float(stored[diagnostic])
        values[f"{diagnostic}_variable"] = str(stored[f"{diagnostic}_variable"])
    return Convergence(divergences=operator.index(stored["divergences"]), **values)


def _texts(values: Any) -> tuple[str, ...]:
    """A list of texts.

    Raises
    ------
    TypeError : it is something else.
    """
    if not (isinstance(values, list) and all(isinstance(x, str) for x in values)):
        raise TypeError(f"{values!r} is not a list of texts")
    return tuple(values)
