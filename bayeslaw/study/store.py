"""Results keyed by content: what a result follows from is its name, so that nothing is computed
twice and nothing stale is read.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

import bayeslaw
from bayeslaw.atomic import atomic_write
from bayeslaw.errors import StorageError
from bayeslaw.laws.base import Law
from bayeslaw.runs.table import Runs

#: What numbers depend on beside data and spec.
LIBRARIES = ("bayeslaw", "pymc", "pytensor", "nutpie", "numpy", "scipy", "arviz-stats")
#: A file that a run which was killed was writing; no run takes longer to write one.
ABANDONED_AFTER = 3600.0


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of results. Each is written whole under a name of its own, so that runs at the same
    time only ever find finished ones.

    It may be deleted at any time: what is missing is computed again.
    """

    folder: Path

    @classmethod
    def at(cls, folder: Path) -> Store:
        """The store in a folder of its own, which is made; what killed runs left half-written is
        swept.
        """
        folder.mkdir(parents=True, exist_ok=True)
        swept_clean(folder.glob(".*.*"))
        return cls(folder)

    def keep[T](
        self,
        kind: str,
        key: str,
        ending: str,
        load: Callable[[Path], T],
        make: Callable[[], T],
        save: Callable[[T, Path], object],
    ) -> tuple[T, bool]:
        """The result of that key, and whether it was there: loaded, or made and saved. One that
        cannot be read is made again.
        """
        path = self.folder / f"{kind}-{key}{ending}"
        if path.is_file():
            try:
                return load(path), True
            except StorageError:
                path.unlink(missing_ok=True)
        result = make()
        save(result, path)
        return result, False


def swept_clean(temporary: Iterable[Path]) -> None:
    """Delete the temporary files of runs that were killed."""
    for path in temporary:
        try:
            if path.is_file() and time.time() - path.stat().st_mtime > ABANDONED_AFTER:
                path.unlink(missing_ok=True)
        except OSError:  # another run has just finished it
            continue


def key_of(*parts: Any) -> str:
    """A name for what follows from these parts: plain data, and the versions of the libraries and
    of this package's own code.
    """
    text = json.dumps([*parts, versions(), _own_code()], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def runs_digest(runs: Runs) -> str:
    """A name for a table of runs and for what its columns mean."""
    table = runs.table
    digest = hashlib.sha256(
        json.dumps(
            [
                runs.law.to_json(),
                list(map(str, table.columns)),
                list(runs.groups),
                list(map(str, table.index)),
            ]
        ).encode()
    )
    digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    digest.update(law_code(runs.law).encode())
    return digest.hexdigest()[:16]


def law_code(law: Law) -> str:
    """The module of a law of the user's own; "" for one of the package, whose code has a digest of
    its own.
    """
    try:
        return (
            ""
            if type(law).__module__.startswith("bayeslaw.")
            else inspect.getsource(sys.modules[type(law).__module__])
        )
    except (OSError, TypeError):  # typed in at a prompt
        return type(law).__qualname__


def versions() -> dict[str, str]:
    """The versions that a result follows from."""
    return {name: version(name) for name in LIBRARIES}


@cache
def _own_code() -> str:
    """A digest of the code that results follow from: in a checkout the version stays while the code
    changes. What only lays results out is left out, so that a report's edit computes nothing anew.
    """
    digest = hashlib.sha256()
    root = Path(bayeslaw.__file__).parent
    for path in sorted(root.rglob("*.py")):
        if not path.is_relative_to(root / "study" / "report") and (
            path.relative_to(root).parts[0] not in ("plots", "cli", "demos")
        ):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def read_json(path: Path) -> Any:
    """A JSON result.

    Raises
    ------
    StorageError : it is not whole.
    """
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} cannot be read: {error}.") from error


def write_json(data: Mapping[str, Any] | list[Any], path: Path) -> None:
    """A JSON result, whole or not at all."""
    with atomic_write(path) as part:
        part.write_text(json.dumps(data, indent=2) + "\n")
