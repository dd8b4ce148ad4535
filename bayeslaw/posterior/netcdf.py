"""NetCDF files of any text, behind which stands the digest of their bytes.

HDF5 crashes on a full disk, and may read other numbers from a damaged file, or hang. So a file is
made in memory and written as plain bytes, and its digest is compared before HDF5 reads it. The
digest stands behind the data, where other programs do not look: the file is an ordinary NetCDF file
for xarray, ArviZ and ncdump. A file without a digest is first read in a process of its own, which
may crash or hang.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayeslaw.atomic import atomic_write
from bayeslaw.errors import StorageError

if TYPE_CHECKING:
    import xarray as xr

#: What stands before the digest, at the end of a file.
SEAL = b"\nbayeslaw sha256 "
#: The bytes behind the data: the seal, 64 hexadecimal digits, and the end of the line.
SEAL_LENGTH = len(SEAL) + 64 + 1
#: The attribute of the root of a file that has a digest.
SEALED = "bayeslaw_sealed"
#: How a file begins that HDF5 wrote.
SIGNATURE = b"\x89HDF\r\n\x1a\n"
#: Seconds that HDF5 may take to read a file without a digest.
PATIENCE = 30.0
#: The attribute of a variable whose texts are JSON, because some are missing or not plain.
JSON = "bayeslaw_json"


def write(tree: xr.DataTree, path: str | Path) -> None:
    """Write a tree to a NetCDF file, whole or not at all.

    Raises
    ------
    StorageError : the folder does not exist or cannot be written, or the disk is full.
    """
    stored = _each_dataset(tree, _encoded)
    stored.attrs |= {SEALED: 1}
    data = bytes(stored.to_netcdf(engine="h5netcdf"))
    with atomic_write(path) as part:
        part.write_bytes(data + _seal(data))


def read(path: str | Path) -> tuple[xr.DataTree, bool]:
    """The tree in a file that `write` wrote, and whether its digest was compared.

    A file of bayeslaw 0.1.0 has no digest, nor has one of another program.

    Raises
    ------
    StorageError : there is no such file, it is damaged, or it is not a NetCDF file.
    """
    import xarray as xr

    path = Path(path)
    try:
        if not path.is_file():
            raise StorageError(f"There is no file {path}.")
        data = path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror or error}.") from error
    whole, seal = data[:-SEAL_LENGTH], data[-SEAL_LENGTH:]
    sealed = seal == _seal(whole)
    if not sealed:
        _require_readable(path, data)
    try:
        with xr.open_datatree(io.BytesIO(whole if sealed else data), engine="h5netcdf") as x:
            tree = x.load()
    except Exception as error:  # a damaged file raises OSError, KeyError, ValueError, RuntimeError
        raise _unreadable(path, type(error).__name__) from error
    if not sealed:
        return tree, False
    del tree.attrs[SEALED]
    return _each_dataset(tree, _decoded), True


def _seal(data: bytes) -> bytes:
    """What stands behind the data of a file."""
    return SEAL + hashlib.sha256(data).hexdigest().encode() + b"\n"


def _unreadable(path: Path, why: str) -> StorageError:
    return StorageError(
        f"{path} cannot be read: it is not a NetCDF file, or it was cut short ({why}). Save the fit"
        " again."
    )


#: Reads all of a file with HDF5. Where there is no h5py, nothing is learnt from it. The alarm ends
#: a reader that hangs and whose parent was killed.
_READER = """
import signal
import sys
if hasattr(signal, "alarm"):
    signal.alarm(int(sys.argv[2]))
try:
    import h5py
except ImportError:
    sys.exit()
def read(name, part):
    for key in part.attrs:
        part.attrs[key]
    if isinstance(part, h5py.Dataset):
        part[()]
with h5py.File(sys.argv[1], "r") as file:
    read("/", file)
    file.visititems(read)
"""


def _require_readable(path: Path, data: bytes) -> None:
    """Raise StorageError if a file has lost its digest, or HDF5 cannot read all of it."""
    if SEALED.encode() in data:
        raise StorageError(
            f"{path} is damaged: it was cut short, or its bytes are not those that were written."
            " Save it again."
        )
    if not data.startswith(SIGNATURE):
        raise _unreadable(path, "it does not begin as one")
    command = [
        sys.executable,
        "-P",
        "-W",
        "ignore",
        "-c",
        _READER,
        str(path),
        f"{2 * PATIENCE:.0f}",
    ]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired as error:
        raise _unreadable(path, f"HDF5 did not finish within {PATIENCE:g} s") from error
    except OSError:  # no process can be started here
        return
    if done.returncode:
        raise _unreadable(path, "HDF5 failed")


def _each_dataset(tree: xr.DataTree, change: Callable[[xr.Dataset], xr.Dataset]) -> xr.DataTree:
    """A tree whose datasets are changed one by one."""
    import xarray as xr

    return xr.DataTree.from_dict(
        {node.path: change(node.to_dataset(inherit=False)) for node in tree.subtree}
    )


def _encoded(dataset: xr.Dataset) -> xr.Dataset:
    """A dataset with texts that a NetCDF file can hold."""
    texts = {}
    for name, x in dataset.variables.items():
        if x.dtype.kind not in "biuf":
            values, is_json = _plain_texts(np.asarray(x.values, object))
            texts[name] = (x.dims, values, x.attrs | ({JSON: 1} if is_json else {}))
    return _with(dataset, texts)


def _decoded(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset of which `_encoded` made this one."""
    values = {}
    for name, x in dataset.variables.items():
        if JSON in x.attrs:
            texts = np.asarray(x.values, object)
            of_json = _objects([json.loads(text) for text in texts.ravel()], texts.shape)
            attrs = {key: value for key, value in x.attrs.items() if key != JSON}
            values[name] = (x.dims, of_json, attrs)
    return _with(dataset, values)


def _with(dataset: xr.Dataset, variables: Mapping[Hashable, Any]) -> xr.Dataset:
    """A dataset with other values of some variables and coordinates."""
    coords = {name: x for name, x in variables.items() if name in dataset.coords}
    others = {name: x for name, x in variables.items() if name not in coords}
    return dataset.assign(others).assign_coords(coords)


def _plain_texts(values: np.ndarray) -> tuple[np.ndarray, bool]:
    """Values as texts that HDF5 can hold, and whether they are JSON.

    HDF5 ends a text at its first NUL, and has no missing text.
    """
    if all(isinstance(x, str) and "\0" not in x for x in values.ravel()):
        return values, False
    return _objects([json.dumps(_plain(x)) for x in values.ravel()], values.shape), True


def _plain(value: Any) -> Any:
    """A value as JSON has it: text, truth values, numbers, None where it is missing."""
    import pandas as pd

    if isinstance(value, np.generic):
        value = value.item()
    if value is None or (np.ndim(value) == 0 and pd.isna(value)):
        return None
    return value if isinstance(value, str | bool | int | float) else str(value)


def _objects(values: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    """An array of objects, whatever they are."""
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(shape)
