"""A saved fit comes back as it was, or is refused: whatever its table holds, and however its file
is damaged.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from attack.strategies import attack, lanes, outcome, texts
from helpers import REPOSITORY, stored
from hypothesis import strategies as st

import bayeslaw as bl
from bayeslaw.errors import StorageError
from bayeslaw.spec.design import Design

#: A fit that was sampled, and saved in the newest format; and one in the first.
SAVED = REPOSITORY / "tests" / "stored" / "three_losses.nc"
FIRST = REPOSITORY / "tests" / "golden" / "chinchilla_simulated_0.1.0.nc"
#: Files of the first format that are damaged, and saves that are killed.
DAMAGES, KILLS = 20, 100


@st.composite
def damages(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes of which some were changed, lost, repeated or added: once, or at two places."""
    for _ in range(draw(st.sampled_from([1, 1, 1, 2]))):
        # As often near one of the ends, where signatures and digests stand, as anywhere.
        near = st.integers(0, min(200, len(data)))
        at = draw(st.integers(0, len(data)) | near | near.map(lambda x, data=data: len(data) - x))
        length = draw(st.sampled_from([1, 1, 8, 100, 4096]))
        before, there, after = data[:at], data[at : at + length], data[at + length :]
        match draw(st.integers(0, 6)):
            case 0:
                data = before
            case 1:
                data = before + bytes([x ^ draw(st.integers(1, 255)) for x in there[:1]])
                data += there[1:] + after
            case 2:
                data = before + bytes(len(there)) + after
            case 3:
                data = before + after
            case 4:
                data = before + there + there + after
            case 5:
                data = data + draw(st.binary(min_size=1, max_size=100))
            case 6:
                data = before + draw(st.binary(min_size=len(there[:8]), max_size=8)) + after
    return data


@lanes
def test_no_damaged_file_is_read(tries: int, tmp_path: Path) -> None:
    path, whole = tmp_path / "fit.nc", SAVED.read_bytes()

    def refused(data: bytes) -> None:
        path.write_bytes(data)
        loaded = outcome(lambda: bl.load(path))
        assert isinstance(loaded, StorageError) or data == whole

    attack(tries, damages(whole), refused, share=2.5)


#: Loads a file again and again, as it was damaged, and prints what comes of each.
LOADER = """
import sys, warnings
from pathlib import Path
import bayeslaw as bl
from bayeslaw.errors import StorageError
warnings.simplefilter("ignore")
path = Path(sys.argv[1])
for line in sys.stdin:
    path.write_bytes(bytes.fromhex(line))
    try:
        bl.load(path)
        said = "loaded"
    except StorageError as error:
        said = f"StorageError {len(str(error))}"
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
    print(said, flush=True)
"""


@pytest.mark.slow
def test_a_damaged_file_of_the_first_format_ends_no_process(tmp_path: Path) -> None:
    """It has no digest, so that damage may not show; but nothing hangs, and nothing crashes. The
    files are read in a process of their own.
    """
    whole = FIRST.read_bytes()
    rng = np.random.default_rng(1)
    lines = [one_damage(whole, rng).hex() for _ in range(DAMAGES)]
    done = subprocess.run(
        [sys.executable, "-c", LOADER, str(tmp_path / "fit.nc")],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert len(said) == DAMAGES
    assert [x for x in said if x != "loaded" and not x.startswith("StorageError")] == []


def one_damage(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes of which some were changed, lost or repeated."""
    at, length = int(rng.integers(len(data))), int(rng.choice([1, 8, 100, 4096]))
    before, after = data[:at], data[at + length :]
    kinds = [
        before,
        before + bytes([data[at] ^ int(rng.integers(1, 256))]) + data[at + 1 :],
        before + bytes(length) + after,
        before + rng.bytes(length) + after,
        before + after,
        before + data[at : at + length] * 2 + after,
    ]
    return kinds[int(rng.integers(len(kinds)))]


any_name = texts.filter(lambda x: len(x) < 200)
any_cell = any_name | st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats()
#: Labels that runs can have: text that is not empty.
any_label = st.text(min_size=1, max_size=30) | any_name.filter(bool)


@st.composite
def relabelled(draw: st.DrawFn) -> bl.Fit:
    """A stored fit whose groups have other labels, and whose runs have more columns."""
    fit = stored("grouped")
    groups = sorted(fit.runs.table["task"].unique())
    labels = draw(st.lists(any_label, min_size=len(groups), max_size=len(groups), unique=True))
    new = dict(zip(groups, sorted(labels), strict=True))
    table = fit.runs.table.assign(task=fit.runs.table["task"].map(new).astype(object))
    for name in draw(st.lists(any_name, max_size=3, unique=True)):
        if name not in table:
            cells = [draw(any_cell) for _ in range(3)]
            column = pd.Series([cells[i % 3] for i in range(len(table))], table.index, dtype=object)
            table[name] = column.infer_objects() if draw(st.booleans()) else column
    runs = replace(
        fit.runs,
        table=table,
        source=draw(any_name),
        notes=tuple(draw(st.lists(any_name, max_size=2))),
    )
    idata = fit.idata.map_over_datasets(
        lambda x: x.assign_coords(task=[new[y] for y in x["task"].values]) if "task" in x else x
    )
    return replace(
        fit,
        runs=runs,
        design=Design.of(fit.spec, runs),
        idata=idata,
        warnings=tuple(draw(st.lists(any_name, max_size=2))),
    )


def equal(a: object, b: object) -> bool:
    """Whether two cells are equal; a gap is equal to a gap."""
    if isinstance(a, str) or isinstance(b, str):
        return a == b
    if pd.isna(a) or pd.isna(b):
        return bool(pd.isna(a) and pd.isna(b))
    return bool(a == b)


@lanes
def test_any_text_and_any_label_come_back(tries: int, tmp_path: Path) -> None:
    path = tmp_path / "fit.nc"

    def comes_back(fit: bl.Fit) -> None:
        assert not isinstance(outcome(lambda: fit.save(path)), StorageError)
        back = outcome(lambda: bl.load(path))
        assert isinstance(back, bl.Fit), back
        table = fit.runs.table
        assert list(back.runs.table.columns) == list(table.columns)
        assert list(back.runs.table.index) == list(table.index)
        for name in table:
            pairs = zip(table[name].tolist(), back.runs.table[name].tolist(), strict=True)
            for was, is_now in pairs:
                assert equal(was, is_now), f"column {name!r}: {was!r} came back as {is_now!r}"
        assert (back.runs.source, back.runs.notes) == (fit.runs.source, fit.runs.notes)
        assert back.warnings == fit.warnings
        labels = list(table["task"].unique())
        points = {"data_size": 1e10, "task": labels}
        assert back.bands(points, "mean").equals(fit.bands(points, "mean"))

    attack(tries, relabelled(), comes_back, share=0.1)


#: Saves two fits by turns under one name in a process that is killed, and reads what is there. In
#: every second one their bytes are known beforehand, so that most of its time is the file's.
SAVER = """
import json, os, random, signal, sys, time
from dataclasses import replace
from pathlib import Path
import xarray as xr
import bayeslaw as bl
from bayeslaw.atomic import ABANDONED_AFTER, TEMPORARY
fit, path, kills = bl.load(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
fits = [replace(fit, random_seed=seed) for seed in (1, 2)]
serialised, known = xr.DataTree.to_netcdf, {}
def kept(tree, **options):
    key = tree.attrs["bayeslaw"]
    if key not in known:
        known[key] = bytes(serialised(tree, **options))
    return known[key]
def seconds():
    begin = time.perf_counter()
    for fit in fits:
        fit.save(path)
    return time.perf_counter() - begin
seen, rng = [], random.Random(1)
for i in range(kills):
    xr.DataTree.to_netcdf = kept if i % 2 else serialised
    longest = seconds()
    child = os.fork()
    if child == 0:
        while True:
            seconds()
    time.sleep(rng.uniform(0, longest))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    seen.append(bl.load(path).random_seed)
left = [*path.parent.glob(f"{TEMPORARY}*")]
for other in left:
    long_ago = time.time() - 2 * ABANDONED_AFTER
    os.utime(other, (long_ago, long_ago))
fit.save(path)
after = [x.name for x in path.parent.iterdir()]
print(json.dumps({"seen": seen, "left": len(left), "after": after}))
"""


@pytest.mark.slow
def test_a_save_that_is_killed_leaves_a_whole_file(tmp_path: Path) -> None:
    """kill -9 at any moment: the file is the old one or the new one, and what is left beside it is
    swept away later.
    """
    command = [sys.executable, "-W", "ignore", "-c", SAVER, str(SAVED), str(tmp_path / "fit.nc")]
    done = subprocess.run([*command, str(KILLS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told["seen"]) == KILLS
    assert set(told["seen"]) <= {1, 2}
    assert told["after"] == ["fit.nc"]
    assert told["left"]  # some kills hit a save while it wrote


#: Saves a fit where there is not enough space, over a file that is there.
FILLER = """
import resource, sys
from pathlib import Path
import bayeslaw as bl
from bayeslaw.errors import StorageError
fit, path, limit = bl.load(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
fit.save(path)
old = path.read_bytes()
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
else:
    (path.parent / "other").write_bytes(bytes(len(old)))
for _ in range(3):
    try:
        fit.save(path)
        print("saved")
    except StorageError as error:
        print("refused", "cannot be written" in str(error))
print("whole", path.read_bytes() == old, sorted(x.name for x in path.parent.iterdir()))
print("bands", len(fit.bands({"data_size": [1e9, 1e10]})))
"""


def filled(folder: Path, limit: int, *before: str) -> list[str]:
    """What `FILLER` prints."""
    command = [*before, sys.executable, "-W", "ignore", "-c", FILLER]
    done = subprocess.run(
        [*command, str(SAVED), str(folder / "fit.nc"), str(limit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("limit", [4096, len(SAVED.read_bytes()) - 200])
def test_where_no_file_may_be_so_large_the_old_one_stays(limit: int, tmp_path: Path) -> None:
    lines = filled(tmp_path, limit)
    assert lines == [*["refused True"] * 3, "whole True ['fit.nc']", "bands 2"]


@pytest.mark.slow
def test_on_a_full_disk_the_old_file_stays(tmp_path: Path) -> None:
    """A disk of memory with room for one fit and a half, where the system lets a user mount one."""
    size = int(2.5 * SAVED.stat().st_size)
    mounted = f'mount -t tmpfs -o size={size} none {tmp_path} && exec "$@"'
    before = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounted, "sh"]
    tried = shutil.which("unshare") and subprocess.run([*before, "true"], check=False)
    if not tried or tried.returncode:
        pytest.skip("no file system can be mounted here")
    lines = filled(tmp_path, 0, *before)
    assert lines == [*["refused True"] * 3, "whole True ['fit.nc', 'other']", "bands 2"]
