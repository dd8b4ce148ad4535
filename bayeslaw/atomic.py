"""Atomic writes: a file is written completely or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bayeslaw.errors import StorageError

#: How the names of temporary files begin.
TEMPORARY = ".bayeslaw-"
#: Seconds after which a temporary file is that of a killed process; no file takes so long to write.
ABANDONED_AFTER = 3600.0
#: Bytes that a disk must have left before something slow begins whose result is to be written.
SPACE = 1_000_000


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """A temporary file beside ``path``, which replaces ``path`` when the block succeeds.

    If the block fails, the temporary file is deleted and ``path`` is unchanged. Where ``path`` is a
    symbolic link, the file that it points to is replaced. Temporary files of processes that were
    killed are deleted after `ABANDONED_AFTER`.

    Raises
    ------
    StorageError : the folder does not exist or cannot be written, or the disk is full.
    """
    path = _behind_links(path)
    part = _temporary(path)
    try:
        yield part
        # mkstemp makes a file that only its owner can read; this one gets the usual permissions.
        part.chmod(0o666 & ~_umask())
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        part.unlink(missing_ok=True)
    swept_clean(path.parent)


def require_writable(path: str | Path) -> None:
    """Raise StorageError if a file cannot be written there: to be called before anything slow.

    A temporary file is made in its folder and deleted.
    """
    path = _behind_links(path)
    _temporary(path).unlink(missing_ok=True)
    if path.is_dir():
        raise StorageError(
            f"{path} is a folder, and cannot be written as a file: name a file in it."
        )
    free = shutil.disk_usage(path.parent).free
    if free < SPACE:
        raise StorageError(f"{path} cannot be written: its disk has only {free:,} bytes left.")


def swept_clean(folder: Path) -> None:
    """Delete the temporary files of processes that were killed."""
    for path in folder.glob(f"{TEMPORARY}*"):
        with suppress(OSError):  # another process has just finished it
            if path.is_file() and time.time() - path.stat().st_mtime > ABANDONED_AFTER:
                path.unlink(missing_ok=True)


def _behind_links(path: str | Path) -> Path:
    """The file that a symbolic link points to; the path itself if it is none."""
    path = Path(path)
    try:
        return path.resolve() if path.is_symlink() else path
    except (OSError, ValueError):  # what is wrong with the path is told when it is written
        return path


def _temporary(path: Path) -> Path:
    """A new, empty file in the folder of ``path``, with its ending."""
    try:
        with suppress(FileNotFoundError):
            path.lstat()  # refuses a name that is too long
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY, suffix=path.suffix)
        os.close(handle)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        if isinstance(error, FileNotFoundError):
            reason = f"there is no folder {path.parent}"
        raise StorageError(
            f"{path} cannot be written: {reason}. Check that the folder exists and may be written."
        ) from error
    return Path(name)


def _umask() -> int:
    """The permissions that new files do not get; reading them needs setting them."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
