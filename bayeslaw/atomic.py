"""Atomic writes: a file is written completely or not at all, and so are several files together."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
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


def write_together(
    folder: Path,
    area: Path,
    files: Mapping[str, Callable[[Path], object]],
    drop: Iterable[str] = (),
) -> None:
    """Write several files of a folder in one step. Whoever reads them finds all as they were or all
    of the new ones, at any moment, and also if the process is killed at any moment.

    The new files are written in ``area``. Then each name in the folder becomes a symbolic link
    there, by which it still shows what it had; one rename makes all links show the new files; and
    the new files take the places of the links. Links that a killed process left show its last step
    until `settle` is called. A name that is a link of somebody else's is written through, after the
    others. Where a file system has no symbolic links, files are replaced one by one.

    Parameters
    ----------
    folder : of the files.
    area : a folder inside it, for what is only there meanwhile.
    files : for each name, what writes the file to a path.
    drop : names of files to remove in the same step.

    Raises
    ------
    StorageError : a file cannot be written; then all are as they were.
    """
    try:
        work = Path(tempfile.mkdtemp(dir=area, prefix=TEMPORARY))
        try:
            work.chmod(0o777 & ~_umask())
            new = work / NEW
            new.mkdir()
            for name, write in files.items():
                with atomic_write(new / name) as part:
                    write(part)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        with _alone(area):
            settle(folder, area)
            try:
                _show(folder, work, list(files), [name for name in drop if name not in files])
            finally:
                settle(folder, area)
        # No link shows what is in it any more.
        shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror or error}.") from error


#: Names inside the folder of `write_together`: the new files, and the old ones.
NEW, OLD = "new", "old"


def _show(folder: Path, work: Path, files: list[str], drop: list[str]) -> None:
    """Show the new files in ``work`` by the names in the folder, at once."""
    old, new, shown, following = (work / name for name in (OLD, NEW, "shown", "next"))
    through = [name for name in files if (folder / name).is_symlink()]
    names = [name for name in (*files, *drop) if name not in through]
    try:
        old.mkdir()
        for name in names:
            if (folder / name).is_file():
                _linked_or_copied(folder / name, old / name)
        shown.symlink_to(OLD)
        for name in names:
            (work / name).symlink_to(os.path.relpath(shown / name, folder))
            (work / name).replace(folder / name)
        following.symlink_to(NEW)
        following.replace(shown)
    except (OSError, NotImplementedError):  # no symbolic links here
        for name in names:
            if name in files:
                (new / name).replace(folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
    for name in through:
        with atomic_write(folder / name) as part:
            shutil.copyfile(new / name, part)


def settle(folder: Path, area: Path) -> None:
    """Put files in the places of the links that `write_together` made, as they show them; a link to
    nothing is removed.
    """
    ours = f"{os.path.relpath(area, folder)}{os.sep}{TEMPORARY}"
    for path in folder.iterdir():
        if not (path.is_symlink() and str(path.readlink()).startswith(ours)):
            continue
        if path.is_file():
            part = area / f"{TEMPORARY}{os.getpid()}-{path.name}"
            part.unlink(missing_ok=True)
            _linked_or_copied(path.resolve(), part)
            part.replace(path)
        else:
            path.unlink(missing_ok=True)


def _linked_or_copied(source: Path, target: Path) -> None:
    """A second name of a file; a copy where the file system has no second names."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process is in this block for the same folder, where the system can tell
    that."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


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


def is_file(path: str | Path) -> bool:
    """Whether there is such a file; there is none by a name that no file can have."""
    return _is(Path.is_file, path)


def is_folder(path: str | Path) -> bool:
    """Whether there is such a folder; there is none by a name that no folder can have."""
    return _is(Path.is_dir, path)


def _is(kind: Callable[[Path], bool], path: str | Path) -> bool:
    try:
        return kind(Path(path))
    except (OSError, ValueError):  # too long a name, or NUL in it
        return False


def swept_clean(folder: Path) -> None:
    """Delete the temporary files and folders of processes that were killed."""
    for path in folder.glob(f"{TEMPORARY}*"):
        with suppress(OSError):  # another process has just finished it
            old = time.time() - path.stat().st_mtime > ABANDONED_AFTER
            if old and path.is_file():
                path.unlink(missing_ok=True)
            elif old and (path / NEW).is_dir():  # of `write_together`
                shutil.rmtree(path, ignore_errors=True)


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
