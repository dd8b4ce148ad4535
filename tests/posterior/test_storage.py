"""A fit on disk: whole or not at all, the same when it comes back, and a clear error if not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from helpers import REPOSITORY

import bayeslaw as bl
from bayeslaw.errors import StorageError
from bayeslaw.posterior import storage

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
        assert back.predict(points, kind).identical(grouped_fit.predict(points, kind))
    assert back.bands(points).equals(grouped_fit.bands(points))
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
        },
        index=pd.Index(["row 2", "row 3"], name="row", dtype=object),
    )
    storage.dataset_of(table).to_netcdf(tmp_path / "table.nc", engine="h5netcdf")
    back = storage.table_of(xr.load_dataset(tmp_path / "table.nc", engine="h5netcdf"), list(table))
    pd.testing.assert_frame_equal(
        back[["n", "loss", "moe", "note"]], table[["n", "loss", "moe", "note"]], check_dtype=False
    )
    assert back["moe"].dtype == bool
    # a boolean that is missing is neither: such a column is text
    assert back["kept"].tolist() == ["True", ""]


def test_a_saved_fit_opens_in_xarray(grouped_fit: bl.Fit, tmp_path: Path) -> None:
    with xr.open_datatree(grouped_fit.save(tmp_path / "fit.nc"), engine="h5netcdf") as tree:
        assert set(tree.children) == {"posterior", "sample_stats", "observed_data", "runs"}
        assert tree["posterior"].sizes["chain"] == 4


def test_an_interrupted_save_leaves_the_file_that_was_there(
    grouped_fit: bl.Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = grouped_fit.save(tmp_path / "fit.nc")
    before = path.read_bytes()

    def stop(self: xr.DataTree, target: str, **_: object) -> None:
        Path(target).write_bytes(b"half a fi")
        raise KeyboardInterrupt

    monkeypatch.setattr(xr.DataTree, "to_netcdf", stop)
    with pytest.raises(KeyboardInterrupt):
        grouped_fit.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("keep", [0, 100, 5_000, 0.5, 0.98])
def test_a_cut_file_is_named(keep: float, grouped_fit: bl.Fit, tmp_path: Path) -> None:
    path = grouped_fit.save(tmp_path / "fit.nc")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep if keep > 1 or keep == 0 else keep * len(whole))])
    with pytest.raises(StorageError, match="cannot be read"):
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
    with xr.open_datatree(path, engine="h5netcdf") as opened:
        tree = opened.load()
    tree.attrs[storage.ATTRIBUTE] = json.dumps(json.loads(tree.attrs[storage.ATTRIBUTE]) | change)
    tree.to_netcdf(path, engine="h5netcdf")


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
