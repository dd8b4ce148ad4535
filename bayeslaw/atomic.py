"""Atomic writes: a file is written completely or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bayeslaw.errors import StorageError


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """A temporary file beside ``path``, which replaces ``path`` when the block succeeds.

    If the block fails, the temporary file is deleted and ``path`` is unchanged.

    Raises
    ------
    StorageError : the folder does not exist, or cannot be written.
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix
        )
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}. Check that the folder exists and may be"
            " written."
        ) from error
    os.close(handle)
    part = Path(name)
    try:
        yield part
        # mkstemp makes a file that only its owner can read; this one gets the usual permissions.
        part.chmod(0o666 & ~_umask())
        part.replace(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        part.unlink(missing_ok=True)


def _umask() -> int:
    """The permissions that new files do not get; reading them needs setting them."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
