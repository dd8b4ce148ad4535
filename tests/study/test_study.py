"""Study files: every fault at once and before anything slow; one run's numbers again in the next,
however the one before ended.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import REPOSITORY, SMALL, simulated_curves, unsampled, written
from pydantic import ValidationError

import bayeslaw as bl
from bayeslaw.atomic import TEMPORARY
from bayeslaw.checks import CheckResult
from bayeslaw.cli import run
from bayeslaw.errors import UNSEEN, StorageError, StudyError
from bayeslaw.study.prepare import prepare
from bayeslaw.study.result import DecisionFile, StudyResult
from bayeslaw.study.run import FILES, STORE
from bayeslaw.study.schema import read_study
from bayeslaw.study.store import code_of_results, read_checks, read_names
from bayeslaw.validation.storage import load_backtest, save_backtest

pytestmark = pytest.mark.filterwarnings("ignore::bayeslaw.errors.BayeslawWarning")

TEMPLATES = Path(bl.__file__).parent / "study" / "templates"


def numbers(folder: Path) -> dict[str, str]:
    """What a study found, but for where and when."""
    decision = json.loads((folder / "decision.json").read_text())
    decision.pop("provenance")
    return {"decision": json.dumps(decision)} | {
        path.name: path.read_text() for path in folder.glob("*.csv")
    }


def test_a_study_is_what_its_parts_are(outcome: StudyResult, home: Path) -> None:
    """Each part by the function of its name, on the same fit."""
    fit = outcome.fit
    pd.testing.assert_frame_equal(
        outcome.bands, fit.bands({"data_size": [2e9, 4e9], "task": ["task0", "<b>bold</b>"]})
    )
    options = {"task": ["task0", "task1", "<b>bold</b>"]}
    again = bl.decide(
        fit,
        options,
        0.75,
        at={"data_size": 4e9},
        cost=[10, 20, 30],
        value=100,
        checks=outcome.checks,
        backtest=outcome.backtest,
    )
    assert outcome.decision is not None
    pd.testing.assert_frame_equal(outcome.decision.table, again.table)
    assert (outcome.decision.verdict, outcome.decision.reasons) == (again.verdict, again.reasons)
    candidates = pd.DataFrame({"data_size": [1e9, 1e9, 2e9, 2e9], "task": ["task0", "task1"] * 2})
    ranked = bl.next_runs(
        fit,
        candidates,
        options,
        at={"data_size": 4e9},
        cost=[1, 2, 1, 2],
        budget=3,
        target=0.75,
        value=100,
        option_cost=[10, 20, 30],
    )
    pd.testing.assert_frame_equal(outcome.next_runs, ranked)
    tested = bl.backtest(
        outcome.prepared.spec,
        outcome.prepared.runs,
        "data_size > 3e8",
        baselines=["line"],
        draws=250,
        tune=300,
        random_seed=1,
        progressbar=False,
    )
    pd.testing.assert_frame_equal(outcome.backtest.points, tested.points)
    assert {path.name for path in (home / "out").iterdir()} == {
        "fit.nc",
        "bands.csv",
        "backtest.csv",
        "next_runs.csv",
        "decision.json",
        "report.html",
        STORE,
    }
    np.testing.assert_array_equal(
        bl.load(home / "out" / "fit.nc").idata["posterior"]["E"], fit.idata["posterior"]["E"]
    )


def test_the_decision_file_has_its_schema(outcome: StudyResult, home: Path) -> None:
    found = json.loads((home / "out" / "decision.json").read_text())
    read = DecisionFile.model_validate(found)
    assert read.verdict == outcome.decision.verdict
    assert len(read.options) == 3
    assert read.met == "at or below"
    assert read.checks
    assert read.next_runs
    assert read.backtest
    assert read.provenance["random seed"] == "1"
    with pytest.raises(ValidationError):
        DecisionFile.model_validate(found | {"verdict": "maybe"})
    documented = json.loads((REPOSITORY / "docs" / "decision.schema.json").read_text())
    assert documented == DecisionFile.model_json_schema()


def test_a_second_run_computes_what_changed_and_nothing_else(
    outcome: StudyResult, home: Path
) -> None:
    before = numbers(home / "out")
    said: list[str] = []
    again = bl.run_study(home / "study.toml", home / "out", progressbar=False, say=said.append)
    assert again.reused == ("fit", "checks", "backtest")
    assert numbers(home / "out") == before
    # Another question of the same fit; the parts that it does not ask for are gone.
    other = home / "other.toml"
    other.write_text(SMALL.replace("loss = 0.75", "loss = 0.7").split("[next_runs]")[0])
    asked = bl.run_study(other, home / "out", progressbar=False)
    assert asked.reused == again.reused
    assert asked.decision.target == 0.7
    assert not (home / "out" / "next_runs.csv").exists()
    # Another seed, another prior, another table: other results.
    for name, text in (
        ("seed", SMALL.replace("[runs]", "seed = 2\n[runs]", 1)),
        ("prior", SMALL.replace("sigma = 0.5", "sigma = 0.6")),
    ):
        other.write_text(text)
        with pytest.raises(StorageError, match="has no fit of this study as it stands"):
            bl.run_study(other, home / "out", progressbar=False, stored=True)
        assert name
    table = simulated_curves()
    table.loc[0, "loss"] *= 1.0001
    (home / "second").mkdir()
    (home / "second" / "study.toml").write_text(SMALL)
    table.to_csv(home / "second" / "simulated.csv", index=False)
    with pytest.raises(StorageError, match="has no fit"):
        bl.run_study(home / "second" / "study.toml", home / "out", progressbar=False, stored=True)


def test_a_result_that_was_cut_short_is_made_again(
    outcome: StudyResult, home: Path, tmp_path: Path
) -> None:
    before = numbers(home / "out")
    store = home / "out" / STORE
    kept = {path: path.read_bytes() for path in store.glob("checks-*")}
    for path in kept:
        path.write_text('[{"name": "R-h')
    again = bl.run_study(home / "study.toml", home / "out", progressbar=False)
    assert "checks" not in again.reused
    assert "fit" in again.reused
    assert [c.message for c in again.checks] == [c.message for c in outcome.checks]
    assert numbers(home / "out").keys() >= before.keys()
    # What a killed run left behind is swept after an hour, and not before: another run may be
    # writing it.
    stale, fresh = store / f"{TEMPORARY}stale.nc", store / f"{TEMPORARY}fresh.nc"
    for path in (stale, fresh):
        path.write_text("half")
    os.utime(stale, (time.time() - 7200,) * 2)
    bl.run_study(home / "study.toml", home / "out", progressbar=False)
    assert not stale.exists()
    assert fresh.exists()
    fresh.unlink()


def test_a_backtest_on_disk_is_the_backtest(outcome: StudyResult, tmp_path: Path) -> None:
    tested = outcome.backtest
    assert tested is not None
    again = load_backtest(save_backtest(tested, tmp_path / "backtest.nc"))
    assert tested.regions is not None
    pd.testing.assert_frame_equal(again.regions, tested.regions)
    pd.testing.assert_frame_equal(again.points, tested.points, check_dtype=False)
    pd.testing.assert_frame_equal(again.scores(), tested.scores())
    assert again.converged == tested.converged
    assert again.probs == tested.probs
    assert list(again.fits) == list(tested.fits)
    assert again.coverage_p == tested.coverage_p
    assert again.coverage_p.keys() == tested.fits.keys()
    assert 0 <= tested.p_of_coverage <= 1
    assert again.groups == tested.groups
    with pytest.raises(StorageError, match="not a saved backtest"):
        load_backtest(outcome.fit.save(tmp_path / "fit.nc"))


#: What is replaced in the small study, and what is said of it.
BROKEN = {
    "not TOML": ("[study]", "[study", "line 2: It is not TOML"),
    "no name": (
        'name = "Small <script>alert(1)</script> & co"\n',
        "",
        "line 2, study.name: It is missing",
    ),
    "a misspelt section": (
        "[decision]",
        "[descision]",
        "descision: There is no such key. Did you mean 'decision'?",
    ),
    "a misspelt key": (
        "draws = 250",
        "drwas = 250",
        "line 13, sampling.drwas: There is no such key. Did you mean 'draws'?",
    ),
    "text for a number": ("draws = 250", 'draws = "many"', "line 13, sampling.draws: It is 'many'"),
    "a negative number": (
        "draws = 250",
        "draws = -3",
        "sampling.draws: It is -3: it must be greater than or equal to 1",
    ),
    "no such law": (
        'name = "power"',
        'name = "powr"',
        "line 4, study.law: There is no law named 'powr'. Did you mean 'power'",
    ),
    "no such file": ("simulated.csv", "simulted.csv", "Did you mean 'simulated.csv'"),
    "no such column": (
        'groups = ["task"]',
        'groups = ["tsk"]',
        "line 7, runs.groups: groups names tsk",
    ),
    "a column that is not there": (
        'groups = ["task"]',
        'columns = { loss = "losss" }',
        "the table has no such column",
    ),
    "no rows": (
        'groups = ["task"]',
        'groups = ["task"]\nwhere = "data_size > 1e12"',
        "there are no rows",
    ),
    "an expression that cannot be read": (
        'groups = ["task"]',
        'groups = ["task"]\nwhere = "import os"',
        "runs",
    ),
    "a prior of no variable": (
        "alpha_at_centre = {",
        "alfa = {",
        "line 11, model.priors.alfa: priors has alfa, and the model has no such variable",
    ),
    "a prior that is none": (
        "LogNormal",
        "LogNormla",
        "There is no prior distribution 'LogNormla'",
    ),
    "a formula that cannot be read": (
        "[model.priors]",
        '[model.effects]\nalpha = "1 + (1 | tsk)"\n[model.priors]',
        "model.effects.alpha: The formula of alpha",
    ),
    "nothing hidden": ("data_size > 3e8", "data_size > 3e12", "backtest"),
    "a point outside the law": (
        "data_size = [2e9, 4e9]",
        "data_size = [-2e9, 4e9]",
        "line 20, predict.1.data_size: The points to predict has",
    ),
    "a target of another response": (
        "target = { loss = 0.75 }",
        "target = { accuracy = 0.75 }",
        "line 23, decision.target: It is a target for accuracy, and the response of the law is",
    ),
    "thresholds the wrong way round": (
        'unit = "USD"',
        'unit = "USD"\ngo_at = 0.1',
        "no_go_at below go_at",
    ),
    "costs of no options": (
        "task0 = 10",
        "taks0 = 10",
        (
            "cost names taks0, task1, <b>bold</b>, and no input and no group of the model has all"
            " of these names as values. Did you mean 'task0'"
        ),
    ),
    "costs too few": (
        "cost = [1, 2, 1, 2]",
        "cost = [1, 2]",
        (
            "line 30, next_runs.cost: cost must be a positive number for each of the 4 candidates;"
            " it has 2"
        ),
    ),
    "an option in what the model does not know": (
        'cost = { task0 = 10, task1 = 20, "<b>bold</b>" = 30 }',
        'options = { taks = ["a", "b"] }',
        (
            "taks is neither an input of power nor a group of the model, and would change nothing."
            " Did you mean 'task'"
        ),
    ),
    "costs that would be multiplied out": (
        "candidates = { data_size = [1e9, 2e9],",
        "candidates = { cost = [1, 2], data_size = [1e9, 2e9],",
        "cost is a list inside a table whose lists are combined in all ways",
    ),
    "rows that lack a key": (
        'candidates = { data_size = [1e9, 2e9], task = ["task0", "task1"] }',
        'candidates = [{ data_size = 1e9, task = "task0" }, { data_size = 2e9 }]',
        "Some rows have no task, which others have",
    ),
    "no such baseline": (
        '["line"]',
        '["lines"]',
        "backtest: There is no baseline 'lines'. Did you mean 'line'",
    ),
    "a loss that is none": (
        "loss = 0.75",
        "loss = -2",
        "decision.target: target is -2, and it must be a positive number",
    ),
    "text for a cost": (
        'cost = { task0 = 10, task1 = 20, "<b>bold</b>" = 30 }',
        'cost = "5"',
        "line 25, decision.cost: It is '5'",
    ),
    "a section that is a number": ("[sampling]", "[other]", "other: There is no such key"),
    "compute that nothing splits": (
        "[next_runs]",
        "[allocate]\ncompute = 1e24\n[next_runs]",
        "line 28, allocate: power is not a law of model_size and data_size",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_study_gets_one_message_and_writes_nothing(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, says = BROKEN[what]
    assert SMALL.count(old) >= 1
    path = written(tmp_path, SMALL.replace(old, new, 1))
    monkeypatch.setattr("bayeslaw.study.run.fit", None)  # whoever came so far would stumble
    assert run(["run", str(path), "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("Error: ")
    assert said.count("Error:") == 1
    assert says in said.replace("\n    ", " "), said
    assert "Traceback" not in said
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "simulated.csv",
        "study.toml",
    ]


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    """Of the schema together, and then of what it means together."""
    text = (
        SMALL.replace("draws = 250", "drwas = 250")
        .replace("value = 100", 'value = "much"')
        .replace("chains = 4", "chains = 1")
    )
    with pytest.raises(StudyError) as schema:
        read_study(written(tmp_path, text))
    assert [fault.column for fault in schema.value.faults] == [
        "sampling.chains",
        "sampling.drwas",
        "decision.value",
    ]
    text = (
        SMALL.replace("data_size > 3e8", "data_sise > 3e8")
        .replace("loss = 0.75", "accuracy = 0.75")
        .replace("[2e9, 4e9]", '"big"')
        .replace("task0 = 10", "task9 = 10")
    )
    with pytest.raises(StudyError) as meaning:
        prepare(written(tmp_path, text))
    assert [fault.column.split(".")[0] for fault in meaning.value.faults] == [
        "backtest",
        "predict",
        "decision",
        "decision",
    ]
    assert all(fault.row.startswith("line ") for fault in meaning.value.faults)


def test_a_folder_keeps_what_is_not_the_studys(
    outcome: StudyResult, home: Path, tmp_path: Path
) -> None:
    """A study run in a folder with other files, old and hidden ones too: they stay."""
    bl.run_study(home / "study.toml", home / "out", progressbar=False)
    own = [
        home / "out" / name for name in (".pre-commit-config.yaml", ".env.local", "allocation.csv")
    ]
    for path in own:
        path.write_text("mine")
        os.utime(path, (time.time() - 7200,) * 2)
    bl.run_study(home / "study.toml", home / "out", progressbar=False)
    assert all(path.read_text() == "mine" for path in own)
    for path in own:
        path.unlink()
    with pytest.raises(StorageError, match="no results of a study"):
        bl.run_study(home / "study.toml", tmp_path / "never", stored=True)
    assert not (tmp_path / "never").exists()
    (tmp_path / "study.toml").write_text(SMALL)
    assert run(["demo", "-o", str(tmp_path)]) == 2
    assert (tmp_path / "study.toml").read_text() == SMALL


#: Labels that a page, a terminal, a spreadsheet or a C program would take for something else.
LABELS = ("a\x07", "\x1b[31mred", "=1+1", "nul\0", "\u202eevil", "two\nlines", "\x85", "\uffff")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:(overflow|invalid value):RuntimeWarning")  # of the prior
def test_labels_are_carried_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the table through the fit to bands, decision and page, whatever is in them."""
    unsampled(monkeypatch)
    monkeypatch.setattr("bayeslaw.study.run.check", lambda fit: [CheckResult("x", True, 1, 1, "x")])
    table = pd.concat(
        simulated_curves().query("task == 'task0'").assign(task=label) for label in LABELS
    )
    written(tmp_path)
    table.to_parquet(tmp_path / "simulated.parquet")
    listed = json.dumps(LABELS)
    (tmp_path / "study.toml").write_text(
        SMALL.split("[backtest]")[0]
        .replace(".csv", ".parquet")
        .replace("[model.priors]", '[model.effects]\nalpha = "1"\nE = "1"\n[model.priors]')
        .replace("sigma = 0.5", "sigma = 0.05")
        + f"[[predict]]\ndata_size = 2e9\ntask = {listed}\n"
        + "[decision]\ntarget = { loss = 0.75 }\nat = { data_size = 4e9 }\n"
        + f"options = {{ task = {listed} }}\n"
    )
    out = tmp_path / "out"
    bl.run_study(tmp_path / "study.toml", out, progressbar=False, raw_csv=True)
    bands = pd.read_csv(out / "bands.csv", keep_default_na=False)
    assert tuple(bands["task"]) == LABELS
    decision = json.loads((out / "decision.json").read_text())
    assert tuple(row["task"] for row in decision["options"]) == LABELS
    loaded = bl.load(out / "fit.nc")
    assert tuple(dict.fromkeys(loaded.runs.table["task"])) == LABELS
    assert set(LABELS) == set(loaded.design.predictors["A"].levels["1|task"])
    page = (out / "report.html").read_text(encoding="utf-8")
    assert not UNSEEN.search(page)
    for shown in ("a\\x07", "\\x1b[31mred", "=1+1", "nul\\x00", "\\u202eevil", "\\x85", "\\uffff"):
        assert shown in page


@pytest.mark.parametrize(
    "foreign", ["{}", "[]", "3", "[1]", '[{"name": 1}]', "[" * 5000, "\xff", '[{"a": 1}]']
)
def test_foreign_json_in_the_store_is_computed_again(
    foreign: str, outcome: StudyResult, home: Path, tmp_path: Path
) -> None:
    path = tmp_path / "checks.json"
    path.write_bytes(foreign.encode("latin-1"))
    with pytest.raises(StorageError):
        read_checks(path)
    assert read_names(path) == set()
    (stored,) = (home / "out" / STORE).glob("checks-*")
    assert [check.message for check in read_checks(stored)] == [x.message for x in outcome.checks]


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_files_of_init_are_valid_and_explained(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "study.toml"
    assert run(["init", path.stem.replace("_", "-"), "-o", str(out)]) == 0
    assert run(["run", str(out), "--dry-run"]) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["study.toml"]
    assert "has no fault" in capsys.readouterr().out
    prepared = prepare(out)
    assert "simulated" in prepared.runs.source
    assert prepared.options is not None
    assert prepared.study.backtest is not None
    lines = [line for line in out.read_text().splitlines() if line.strip()]
    assert sum("#" in line for line in lines) > len(lines) / 3
    assert run(["init", path.stem.replace("_", "-"), "-o", str(out)]) == 2  # what is there stays
    assert "--force" in capsys.readouterr().err


def test_the_gate_of_a_study(
    outcome: StudyResult, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = {"go": 0, "no-go": 10, "inconclusive": 11}[outcome.decision.verdict]
    assert (
        run(["run", str(home / "study.toml"), "-o", str(home / "out"), "--gate", "--quiet"]) == code
    )
    assert capsys.readouterr().out.strip() == outcome.decision.verdict.upper()
    assert run(["run", str(home / "study.toml"), "-o", str(home / "out"), "--json"]) == 0
    DecisionFile.model_validate(json.loads(capsys.readouterr().out))
    assert run(["report", str(home / "study.toml"), "-o", str(home / "out")]) == 0
    assert "report.html" in capsys.readouterr().out
    blank = home / "forecast.toml"
    blank.write_text(SMALL.split("[decision]")[0])
    # of the same fit
    assert run(["run", str(blank), "-o", str(home / "out"), "--gate", "--quiet"]) == 2
    assert "nothing to gate" in capsys.readouterr().err


def run_command(study: Path, out: Path) -> list[str]:
    """``bayeslaw run STUDY -o OUT --quiet``, as arguments of a process of its own."""
    main = "from bayeslaw.cli import main; main()"
    return [sys.executable, "-c", main, "run", str(study), "-o", str(out), "--quiet"]


@pytest.mark.slow
def test_killed_at_any_moment_the_next_run_has_the_same_numbers(
    outcome: StudyResult, home: Path, tmp_path: Path
) -> None:
    """kill -9 at ten random moments of one study; every file that is there is whole at every
    moment.
    """
    bl.run_study(home / "study.toml", home / "out", progressbar=False)
    expected = numbers(home / "out")
    path = written(tmp_path)
    command = run_command(path, tmp_path / "out")
    rng = np.random.default_rng(5)
    killed = 0
    for moment in rng.uniform(1, 25, 10):
        process = subprocess.Popen(command, start_new_session=True)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
        for file in (tmp_path / "out").glob("*.*"):
            if file.name in FILES and file.suffix == ".json":
                DecisionFile.model_validate_json(file.read_text())
            elif file.name in FILES and file.suffix == ".html":
                assert file.read_text().rstrip().endswith("</html>")
    assert killed >= 3
    assert subprocess.run(command, check=False).returncode == 0
    assert numbers(tmp_path / "out") == expected


@pytest.mark.slow
def test_two_runs_at_once_do_not_harm_each_other(
    outcome: StudyResult, home: Path, tmp_path: Path
) -> None:
    bl.run_study(home / "study.toml", home / "out", progressbar=False)
    path = written(tmp_path)
    command = run_command(path, tmp_path / "out")
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert numbers(tmp_path / "out") == numbers(home / "out")
    assert not [p for p in (tmp_path / "out").rglob(".*.*") if p.is_file()]


def test_results_do_not_depend_on_the_code_that_shows_them() -> None:
    """An edit of the report computes nothing again; one of a law, or of a model, does."""
    names = {str(path.relative_to(Path(bl.__file__).parent)) for path in code_of_results()}
    assert not any(name.startswith(("study/report/", "plots/", "cli/", "demos/")) for name in names)
    assert {"laws/base.py", "model/build.py", "study/run.py", "spec/resolve.py"} <= names
