"""A fit on disk: whole or not at all, the same when it comes back, and a clear error if not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from helpers import REPOSITORY

import bayeslaw as bl
from bayeslaw.atomic import ABANDONED_AFTER, TEMPORARY, require_writable
from bayeslaw.errors import StorageError
from bayeslaw.posterior import netcdf, storage

#: Saved by bayeslaw 0.1.0 (`fit("chinchilla", ...)` on 12 simulated runs, 2 chains of 50 draws):
#: every later version must read it.
GOLDEN = REPOSITORY / "tests" / "golden" / "chinchilla_simulated_0.1.0.nc"


def test_what_is_loaded_is_what_was_saved(grouped_fit: bl.Fit, tmp_path: Path) -> None:
    path = grouped_fit.save(tmp_path / "fit.nc")
    back = bl.load(path)
    assert back.spec == grouped_fit.spec
    assert back.convergence == grouped_fit.convergence
    assert (back.random_seed, back.warnings, dict(back.versions)) == (
        grouped_fit.random_seed,
        grouped_fit.warnings,
        dict(grouped_fit.versions),
    )
    assert back.runs.table.equals(grouped_fit.runs.table)
    assert (back.runs.groups, back.runs.notes) == (grouped_fit.runs.groups, grouped_fit.runs.notes)
    points = {"data_size": [1e8, 1e12], "task": ["task1", "new"]}
    for kind in ("mean", "run"):
        predicted = [fit.predict(points, kind, new_groups=True) for fit in (back, grouped_fit)]
        assert predicted[0].identical(predicted[1])
    bands = [fit.bands(points, new_groups=True) for fit in (back, grouped_fit)]
    assert bands[0].equals(bands[1])
    assert back.quantity("alpha").identical(grouped_fit.quantity("alpha"))
    assert list(tmp_path.iterdir()) == [path]


def test_columns_come_back_as_they_were(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "n": [1, 2],
            "loss": [2.5, np.nan],
            "moe": [True, False],
            "note": ["x", "True"],
            "kept": pd.array([True, None], dtype="boolean"),
            "mixed": np.array([1, None], dtype=object),
            "text": ["001", None],
        },
        index=pd.Index(["row 2", "row 3"], name="row", dtype=object),
    )
    back = through_a_file(table, tmp_path)
    pd.testing.assert_frame_equal(
        back[["n", "loss", "moe", "note"]], table[["n", "loss", "moe", "note"]], check_dtype=False
    )
    assert back["moe"].dtype == bool
    assert back["kept"].tolist() == [True, None]
    assert back["mixed"].tolist() == [1, None]
    assert back["text"].iloc[0] == "001"
    assert pd.isna(back["text"].iloc[1])


#: Names of columns, and texts, that trackers and people write.
NAMES = ("train/loss", "row", "row_", "", ".", "..", "%", "%2F", " ", "a b", "chain", "é", "a\x07")
TEXTS = ("", "a\0b", "nan", "None", "=1+1", "\x1b[31m", "[/red]", "漢字", '"', "null")


def through_a_file(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """A table that was written to a file and read from it."""
    tree = xr.DataTree.from_dict({"runs": storage.dataset_of(table)})
    netcdf.write(tree, folder / "table.nc")
    back, sealed = netcdf.read(folder / "table.nc")
    assert sealed
    return storage.table_of(back["runs"].to_dataset(), list(table))


def test_any_name_and_any_text_comes_back(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {name: list(TEXTS) for name in NAMES},
        index=[f"line {i}" for i in range(len(TEXTS))],
    )
    back = through_a_file(table, tmp_path)
    assert list(back) == list(NAMES)
    for name in NAMES:
        assert back[name].tolist() == list(TEXTS)


def test_a_saved_fit_opens_in_xarray(grouped_fit: bl.Fit, tmp_path: Path) -> None:
    with xr.open_datatree(grouped_fit.save(tmp_path / "fit.nc"), engine="h5netcdf") as tree:
        assert set(tree.children) == {"posterior", "sample_stats", "observed_data", "runs"}
        assert tree["posterior"].sizes["chain"] == 4


def test_an_interrupted_save_leaves_the_file_that_was_there(
    grouped_fit: bl.Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = grouped_fit.save(tmp_path / "fit.nc")
    before = path.read_bytes()

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", stop)  # the bytes are written, the file is not yet in place
    with pytest.raises(KeyboardInterrupt):
        grouped_fit.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("keep", [0, 100, 5_000, 0.5, 0.98])
def test_a_cut_file_is_named(keep: float, grouped_fit: bl.Fit, tmp_path: Path) -> None:
    path = grouped_fit.save(tmp_path / "fit.nc")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep if keep > 1 or keep == 0 else keep * len(whole))])
    with pytest.raises(StorageError, match=r"cannot be read|cut short"):
        bl.load(path)


def test_other_files_are_refused(tmp_path: Path, grouped_fit: bl.Fit) -> None:
    with pytest.raises(StorageError, match="no file"):
        bl.load(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("model_size,loss\n")
    with pytest.raises(StorageError, match="not a NetCDF file"):
        bl.load(tmp_path / "text.nc")
    xr.Dataset({"x": 1.0}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(StorageError, match="not a fit saved by bayeslaw"):
        bl.load(tmp_path / "other.nc")
    with pytest.raises(StorageError, match="folder exists"):
        grouped_fit.save(tmp_path / "no" / "fit.nc")


def rewrite(path: Path, change: dict) -> None:
    """Change entries of a saved fit's JSON."""
    tree, _ = netcdf.read(path)
    tree.attrs[storage.ATTRIBUTE] = json.dumps(json.loads(tree.attrs[storage.ATTRIBUTE]) | change)
    netcdf.write(tree, path)


def test_the_version_that_saved_does_not_matter_but_the_format_does(
    grouped_fit: bl.Fit, tmp_path: Path
) -> None:
    path = grouped_fit.save(tmp_path / "fit.nc")
    rewrite(path, {"versions": {"bayeslaw": "7.0", "pymc": "9"}})
    assert bl.load(path).versions["bayeslaw"] == "7.0"
    rewrite(path, {"format": storage.FORMAT + 1})
    with pytest.raises(StorageError, match="Upgrade bayeslaw"):
        bl.load(path)
    rewrite(path, {"format": storage.FORMAT, "random_seed": 1, "convergence": {}})
    with pytest.raises(StorageError, match="damaged"):
        bl.load(path)


def test_a_fit_saved_by_the_first_version_still_predicts_the_same() -> None:
    fit = bl.load(GOLDEN)
    bands = fit.bands({"model_size": 70e9, "data_size": 1.4e12}, "mean")
    np.testing.assert_allclose(
        bands[["median", "lower_90", "upper_90"]].to_numpy()[0],
        json.loads(GOLDEN.with_suffix(".json").read_text()),
        rtol=1e-9,
    )


def test_resaving_keeps_permissions_of_an_ordinary_file(
    grouped_fit: bl.Fit, tmp_path: Path
) -> None:
    path = grouped_fit.save(tmp_path / "fit.nc")
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes of which some were changed, lost, repeated or moved."""
    at, length = int(rng.integers(len(data))), int(rng.integers(1, 5000))
    kind = rng.integers(5)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes([data[at] ^ int(rng.integers(1, 256))]) + data[at + 1 :]
    if kind == 2:
        return data[:at] + rng.bytes(length) + data[at + length :]
    if kind == 3:
        return data[:at] + data[at + length :]
    return data[:at] + data[at : at + length] + data[at:]


def test_a_damaged_file_is_refused_before_it_is_read(grouped_fit: bl.Fit, tmp_path: Path) -> None:
    """Fifty kinds of damage at random: none is read, whatever it would say."""
    path = grouped_fit.save(tmp_path / "fit.nc")
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(50):
        path.write_bytes(damaged(whole, rng))
        with pytest.raises(StorageError, match=r"damaged|cannot be read"):
            bl.load(path)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("convergence", {"rhat": None}),
        ("convergence", []),
        ("random_seed", "1"),
        ("random_seed", None),
        ("warnings", "one"),
        ("warnings", None),
        ("versions", []),
        ("runs", {}),
        ("spec", {}),
    ],
)
def test_a_part_of_another_type_is_found_on_load(
    part: str, value: object, grouped_fit: bl.Fit, tmp_path: Path
) -> None:
    path = grouped_fit.save(tmp_path / "fit.nc")
    rewrite(path, {part: value})
    with pytest.raises(StorageError, match="damaged"):
        bl.load(path)


@pytest.mark.parametrize("missing", ["posterior", "runs", "posterior/sigma", "runs/loss"])
def test_a_part_that_is_missing_is_found_on_load(
    missing: str, grouped_fit: bl.Fit, tmp_path: Path
) -> None:
    tree = storage.tree_of(grouped_fit)
    group, _, variable = missing.partition("/")
    if variable:
        tree[group] = xr.DataTree(tree[group].to_dataset().drop_vars(variable))
    else:
        del tree[group]
    netcdf.write(tree, tmp_path / "fit.nc")
    with pytest.raises(StorageError, match="damaged"):
        bl.load(tmp_path / "fit.nc")


def test_draws_that_are_not_finite_are_refused_on_load(grouped_fit: bl.Fit, tmp_path: Path) -> None:
    tree = storage.tree_of(grouped_fit).copy(deep=True)
    tree["posterior"]["sigma"][0, 0] = np.nan
    netcdf.write(tree, tmp_path / "fit.nc")
    with pytest.raises(StorageError, match="not finite"):
        bl.load(tmp_path / "fit.nc")


def test_a_file_without_a_digest_is_read_with_a_note() -> None:
    assert storage.WITHOUT_DIGEST in bl.load(GOLDEN).warnings


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    """In a process that may write no file of more than 20,000 bytes."""
    code = (
        "import resource, sys, bayeslaw as bl\n"
        f"fit = bl.load({str(GOLDEN)!r})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "try:\n"
        f"    fit.save({str(tmp_path / 'fit.nc')!r})\n"
        "except bl.errors.StorageError as error:\n"
        "    print(error, len(fit.bands({'model_size': 7e10, 'data_size': 1.4e12})))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "cannot be written: File too large. 1" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_symbolic_link_is_written_through(grouped_fit: bl.Fit, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "fit.nc"
    link.symlink_to(tmp_path / "real" / "fit.nc")
    grouped_fit.save(link)
    assert link.is_symlink()
    assert bl.load(tmp_path / "real" / "fit.nc").spec == grouped_fit.spec


@pytest.mark.parametrize("name", ["a" * 300 + ".nc", "nul\0.nc", "no/such/fit.nc", "folder"])
def test_what_cannot_be_written_is_known_before(
    name: str, grouped_fit: bl.Fit, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        require_writable(tmp_path / name)
    with pytest.raises(StorageError, match="cannot be written"):
        grouped_fit.save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_name_may_be_as_long_as_the_disk_allows(grouped_fit: bl.Fit, tmp_path: Path) -> None:
    assert grouped_fit.save(tmp_path / ("a" * 252 + ".nc")).is_file()


def test_temporary_files_of_killed_processes_are_deleted_later(
    grouped_fit: bl.Fit, tmp_path: Path
) -> None:
    old, new = tmp_path / f"{TEMPORARY}old.nc", tmp_path / f"{TEMPORARY}new.nc"
    for path in (old, new):
        path.write_bytes(b"half a fi")
    long_ago = time.time() - 2 * ABANDONED_AFTER
    os.utime(old, (long_ago, long_ago))
    grouped_fit.save(tmp_path / "fit.nc")
    assert not old.exists()
    assert new.exists()


def test_a_last_byte_that_was_changed_is_damage(grouped_fit: bl.Fit, tmp_path: Path) -> None:
    path = grouped_fit.save(tmp_path / "fit.nc")
    path.write_bytes(path.read_bytes()[:-1] + b"\r")
    with pytest.raises(StorageError, match="damaged"):
        bl.load(path)


def test_a_file_that_has_lost_its_digest_is_refused_before_hdf5_reads_it(
    grouped_fit: bl.Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = grouped_fit.save(tmp_path / "fit.nc")
    whole = path.read_bytes()
    monkeypatch.setattr(xr, "open_datatree", None)
    monkeypatch.setattr(subprocess, "run", None)
    for data in (whole[: -netcdf.SEAL_LENGTH], whole[:-1], whole + b"\n", whole[:-40]):
        path.write_bytes(data)
        with pytest.raises(StorageError, match="damaged"):
            bl.load(path)


def test_a_file_without_a_digest_that_hdf5_cannot_read_in_time_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(netcdf, "PATIENCE", 0.001)
    with pytest.raises(StorageError, match=r"did not finish within 0\.001 s"):
        bl.load(GOLDEN)


@pytest.mark.slow
def test_a_file_without_a_digest_on_which_hdf5_hangs_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zeros where the first format has its heap of texts: HDF5 goes through it for ever."""
    monkeypatch.setattr(netcdf, "PATIENCE", 5.0)
    whole = GOLDEN.read_bytes()
    path = tmp_path / "fit.nc"
    path.write_bytes(whole[:4560] + bytes(4096) + whole[4560 + 4096 :])
    with pytest.raises(StorageError, match="did not finish"):
        bl.load(path)
