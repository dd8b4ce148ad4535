"""The files of a study are published in one step: whatever kills the process, they are all of one
study. And the folder of a study, where they cannot be written.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from helpers import SMALL, written

import bayeslaw as bl
from bayeslaw.atomic import settle, write_together
from bayeslaw.errors import StorageError
from bayeslaw.study.run import FILES, STORE
from bayeslaw.text import csv_of

#: A process for each folder that publishes other files over those in it, and kills itself before
#: the n-th thing that it does to the file system. Prints the exit codes.
KILLED = """
import os, sys
from pathlib import Path
from bayeslaw.atomic import write_together

CHANGES = {"open", "os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir"}
CHANGES |= {"os.symlink", "shutil.rmtree"}

def publish(folder, last):
    done = 0
    def count(event, arguments):
        nonlocal done
        if event in CHANGES and (event != "open" or "w" in str(arguments[1])):
            done += 1
            if done > last:
                os._exit(9)
    sys.addaudithook(count)
    names = ("report.html", "bands.csv", "fit.nc")
    new = {name: lambda path: path.write_text("new") for name in names}
    write_together(folder, folder / ".bayeslaw", new, drop=["peaks.csv"])

for argument in sys.argv[1:]:
    folder, last = argument.split(":")
    process = os.fork()
    if not process:
        publish(Path(folder), int(last))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
"""


def killed(folders: Mapping[Path, int]) -> list[int]:
    """The exit codes of processes that publish in folders, killed after so many steps."""
    arguments = [f"{folder}:{last}" for folder, last in folders.items()]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True, check=True
    )
    return [int(code) for code in done.stdout.split()]


OLD = {"report.html": "old", "bands.csv": "old", "peaks.csv": "old"}
NEW = {"report.html": "new", "bands.csv": "new", "fit.nc": "new"}


def found(folder: Path) -> dict[str, str]:
    """What a reader finds under the names of a study's files."""
    return {name: (folder / name).read_text() for name in FILES if (folder / name).is_file()}


def write(text: str) -> Callable[[Path], object]:
    return partial(Path.write_text, data=text)


def made(folder: Path) -> Path:
    """A folder with the files of a study, and one of the user."""
    (folder / STORE).mkdir(parents=True)
    for name, text in OLD.items():
        (folder / name).write_text(text)
    (folder / "mine.txt").write_text("mine")
    return folder


def test_killed_at_any_step_all_files_are_of_one_study(tmp_path: Path) -> None:
    folders = {made(tmp_path / str(last)): last for last in range(80)}
    codes, seen = killed(folders), []
    for folder in folders:
        seen.append(found(folder))
        assert seen[-1] in (OLD, NEW)
        settle(folder, folder / STORE)
        assert found(folder) == seen[-1]
        assert not [path for path in folder.iterdir() if path.is_symlink()]
        assert (folder / "mine.txt").read_text() == "mine"
    # Each was killed a step later, the last ones not at all: old files, then new ones.
    steps = codes.count(9)
    assert codes == [9] * steps + [0] * (len(codes) - steps)
    assert seen == [OLD] * seen.count(OLD) + [NEW] * seen.count(NEW)
    assert 5 < seen.count(OLD) < steps - 5 < len(codes) - 10


def test_after_a_kill_the_next_study_is_published(tmp_path: Path) -> None:
    folder = made(tmp_path / "out")
    for last in (20, 30):
        assert killed({folder: last}) == [9]
    write_together(folder, folder / STORE, {"report.html": write("third")}, drop=[*OLD, *NEW])
    assert found(folder) == {"report.html": "third"}
    assert {path.name for path in folder.iterdir()} == {"report.html", "mine.txt", STORE}


def test_a_file_that_cannot_be_written_leaves_the_others_as_they_were(tmp_path: Path) -> None:
    folder = made(tmp_path / "out")

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="No space left"):
        write_together(folder, folder / STORE, {"report.html": write("new"), "bands.csv": full})
    assert found(folder) == OLD
    assert not list((folder / STORE).iterdir())


def test_a_link_of_the_user_is_written_through(tmp_path: Path) -> None:
    folder = made(tmp_path / "out")
    (tmp_path / "served.html").write_text("old")
    (folder / "report.html").unlink()
    (folder / "report.html").symlink_to(tmp_path / "served.html")
    write_together(folder, folder / STORE, {"report.html": write("new"), "fit.nc": write("new")})
    assert (folder / "report.html").is_symlink()
    assert (tmp_path / "served.html").read_text() == "new"


def test_without_symbolic_links_files_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made(tmp_path / "out")

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", refuse)
    write_together(folder, folder / STORE, dict.fromkeys(NEW, write("new")), drop=list(OLD))
    assert found(folder) == NEW


@pytest.mark.parametrize("what", ["the folder is a file", "a file is a folder", "a long name"])
def test_what_cannot_be_written_is_told_before_anything_is_sampled(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bayeslaw.study.run.fit", None)  # whoever came so far would stumble
    study, out = written(tmp_path), tmp_path / "out"
    if what == "the folder is a file":
        out.write_text("mine")
    elif what == "a file is a folder":
        (out / "bands.csv").mkdir(parents=True)
    else:
        out = tmp_path / ("x" * 300)
    with pytest.raises(StorageError):
        bl.run_study(study, out, progressbar=False)
    with pytest.raises(StorageError):
        bl.run_study(study, out, progressbar=False, stored=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to the administrator")
def test_a_folder_that_is_read_only_is_told_before_anything_is_sampled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bayeslaw.study.run.fit", None)
    study, out = written(tmp_path), tmp_path / "out"
    out.mkdir(mode=0o500)
    with pytest.raises(StorageError):
        bl.run_study(study, out, progressbar=False)


def test_a_folder_of_a_name_that_the_study_does_not_write_is_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reached(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bayeslaw.study.run.fit", reached)
    (tmp_path / "out" / "peaks.csv").mkdir(parents=True)
    with pytest.raises(KeyboardInterrupt):
        bl.run_study(written(tmp_path, SMALL), tmp_path / "out", progressbar=False)


def test_texts_in_csv_are_texts_to_a_spreadsheet() -> None:
    labels = ["=1+1", "+1", "-x", "@SUM(A1)", "\tx", "qa", "'quoted", ""]
    table = pd.DataFrame({"=task": labels, "x": [-1.5] * len(labels), "ok": True})
    lines = csv_of(table).splitlines()
    assert lines[:3] == ["'=task,x,ok", "'=1+1,-1.5,True", "'+1,-1.5,True"]
    safe = pd.read_csv(pd.io.common.StringIO(csv_of(table)), keep_default_na=False)
    assert list(safe["'=task"]) == ["'=1+1", "'+1", "'-x", "'@SUM(A1)", "'\tx", *labels[5:]]
    raw = pd.read_csv(pd.io.common.StringIO(csv_of(table, raw=True)), keep_default_na=False)
    assert list(raw["=task"]) == labels
