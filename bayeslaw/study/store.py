"""Stored results. The name of each is a digest of everything that it depends on, so that nothing is
computed twice and nothing stale is read.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

import bayeslaw
from bayeslaw.atomic import atomic_write, require_writable, swept_clean
from bayeslaw.checks import CheckResult
from bayeslaw.errors import BayeslawError, StorageError
from bayeslaw.laws.base import Law
from bayeslaw.runs.table import Runs

#: The libraries whose versions a result depends on.
LIBRARIES = ("bayeslaw", "pymc", "pytensor", "nutpie", "numpy", "scipy", "arviz-stats")


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of results. Each is written whole, so that runs at the same time read only finished
    ones.

    It may be deleted at any time: a missing result is computed again.
    """

    folder: Path

    @classmethod
    def at(cls, folder: Path) -> Store:
        """The store in a folder, which is made; temporary files of killed runs are deleted."""
        folder.mkdir(parents=True, exist_ok=True)
        swept_clean(folder)
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
        """A result, read if it is stored, otherwise computed and stored.

        Parameters
        ----------
        kind, key, ending : the name of the file is ``kind-key`` and the ending.
        load, make, save : read the result from a path, compute it, write it to a path. A file that
            cannot be read is computed again.

        Returns
        -------
        The result, and whether it was stored.
        """
        path = self.folder / f"{kind}-{key}{ending}"
        if path.is_file():
            try:
                return load(path), True
            except BayeslawError:
                path.unlink(missing_ok=True)
        require_writable(path)
        result = make()
        save(result, path)
        return result, False


def key_of(*parts: Any) -> str:
    """A name for a result that depends on these parts (plain data), on the versions of the
    libraries and on this package's own code.
    """
    text = json.dumps([*parts, versions(), _own_code()], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def runs_digest(runs: Runs) -> str:
    """A digest of a table of runs, of its law, and of which columns are groups."""
    table = runs.table
    columns, rows = list(map(str, table.columns)), list(map(str, table.index))
    about = [runs.law.to_json(), columns, list(runs.groups), rows]
    digest = hashlib.sha256(json.dumps(about).encode())
    digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    digest.update(law_code(runs.law).encode())
    return digest.hexdigest()[:16]


def law_code(law: Law) -> str:
    """The source of the module of a user's own law; "" for a law of the package, whose code is in
    the digest of the package.
    """
    module = type(law).__module__
    if module.startswith("bayeslaw."):
        return ""
    try:
        return inspect.getsource(sys.modules[module])
    except (OSError, TypeError):  # typed in at a prompt
        return type(law).__qualname__


def versions() -> dict[str, str]:
    """The versions of the libraries that a result depends on."""
    return {name: version(name) for name in LIBRARIES}


@cache
def _own_code() -> str:
    """A digest of the code that results depend on, because in a checkout the code changes while the
    version stays. Code that only shows results is left out: an edit of the report computes nothing
    again.
    """
    digest = hashlib.sha256()
    for path in code_of_results():
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def code_of_results() -> list[Path]:
    """The modules of the package that results depend on: all but those that only show them."""
    root = Path(bayeslaw.__file__).parent
    shows = [root / name for name in ("plots", "cli", "demos", "study/report")]
    modules = sorted(root.rglob("*.py"))
    return [x for x in modules if not any(x.is_relative_to(folder) for folder in shows)]


def read_json(path: Path) -> Any:
    """Read a JSON result.

    Raises
    ------
    StorageError : the file cannot be read, or it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise StorageError(f"{path} cannot be read: {error}.") from error


def read_checks(path: Path) -> list[CheckResult]:
    """Checks that were stored as JSON.

    Raises
    ------
    StorageError : the file cannot be read, or it has something else.
    """
    rows = read_json(path)
    try:
        checks = [CheckResult(**row) for row in rows]
        right = all(
            (check.passed is None or isinstance(check.passed, bool))
            and all(isinstance(x, int | float) for x in (check.value, check.threshold))
            and all(isinstance(x, str) for x in (check.name, check.message, check.advice))
            for check in checks
        )
    except TypeError as error:
        raise StorageError(f"{path} has no checks: {error}.") from error
    if not (checks and right):
        raise StorageError(f"{path} has no checks.")
    return checks


def read_names(path: Path) -> set[str]:
    """The names that a list on disk has; none where there is no list."""
    try:
        names = read_json(path)
    except StorageError:
        return set()
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


def write_json(data: Mapping[str, Any] | list[Any], path: Path) -> None:
    """Write a JSON result, whole or not at all."""
    with atomic_write(path) as part:
        part.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
