"""The command line, from end to end on real files: what it prints, writes and returns."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import REPOSITORY, STORED, public_path, stored
from typer.main import get_command

import bayeslaw as bl
from bayeslaw.cli import app, run
from bayeslaw.cli.arguments import points
from bayeslaw.cli.terminal import print_fit, print_table, save_fit
from bayeslaw.errors import StorageError
from bayeslaw.spec.resolve import resolve
from bayeslaw.validation.splits import selected


def test_check_fit_predict_on_public_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The three commands of the README, on Hoffmann et al.'s digitised runs."""
    table = str(public_path("chinchilla/svg_extracted_data.csv"))
    options = [
        "--law",
        "chinchilla",
        "--column",
        "model_size=Model Size",
        "--column",
        "compute=Training FLOP",
        "--where",
        "loss < 3.445",
    ]
    assert run(["check", table, *options]) == 0
    assert "240 runs" in capsys.readouterr().out
    saved = tmp_path / "chinchilla.nc"
    assert (
        run(
            [
                "fit",
                table,
                *options,
                "-o",
                str(saved),
                "--seed",
                "1",
                "--draws",
                "300",
                "--tune",
                "500",
            ]
        )
        == 0
    )
    printed = capsys.readouterr().out
    assert "alpha" in printed
    assert "passed  R-hat" in printed
    assert "seed 1" in printed
    assert bl.load(saved).runs.centre["model_size"] > 1e8

    bands, picture = tmp_path / "bands.csv", tmp_path / "bands.png"
    assert (
        run(
            [
                "predict",
                str(saved),
                "--at",
                "model_size=70e9",
                "--at",
                "data_size=1.4e12",
                "-o",
                str(bands),
                "--plot",
                str(picture),
            ]
        )
        == 0
    )
    row = pd.read_csv(bands).iloc[0]
    assert row["lower_90"] < row["lower_50"] < row["median"] < row["upper_50"] < row["upper_90"]
    # Published corrected law at Chinchilla's own scale: 1.82 + 482 / 70e9^.348 + 2085 / 1.4e12^.366
    # = 1.97 (Besiroglu et al. 2024)
    assert abs(row["median"] - 1.97) < 0.02
    assert row["distance_model_size"] == pytest.approx(
        np.log10(70e9 / bl.load(saved).runs.table["model_size"].max())
    )
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bands.csv", "bands.png", "chinchilla.nc"]


def test_laws_lists_every_law(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["laws"]) == 0
    printed = capsys.readouterr().out
    for name, law in bl.laws().items():
        assert name in printed
        assert law.formula in printed
        for option, values in law.choices.items():
            assert f"{name}:{option}={getattr(law, option)}" in printed
            assert f"{option} is one of {', '.join(values)}" in printed
    assert run(["laws", "--json"]) == 0
    listed = {law["name"]: law["options"] for law in json.loads(capsys.readouterr().out)}
    assert set(listed) == set(bl.laws())
    assert listed["chinchilla"] == {}
    assert listed["allocation"]["of"]["default"] == "model_size"
    assert run(["laws", "chinchila"]) == 2
    assert "Did you mean 'chinchilla'" in capsys.readouterr().err


@pytest.mark.parametrize("command", sorted(get_command(app).commands))
def test_every_command_has_help_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command, "--help"]) == 0
    printed = capsys.readouterr().out
    assert "Usage" in printed
    assert "Example" in printed
    assert f"bayeslaw {command}" in (REPOSITORY / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "none.csv", "--law", "chinchilla"], "no such file"),
        (["check", "none.csv"], "--law"),
        (["fit", "none.csv", "--law", "chinchilla", "-o", "no/such/folder/fit.nc"], "no folder"),
        (["check", "none.csv", "--law", "finetuning_additive:factor=depth"], "must be one of"),
        (["check", "none.csv", "--law", "chinchilla", "--column", "model_size"], "name=value"),
        (["check", "none.csv", "--law", "chinchilla", "--scale", "model_size=big"], "not a number"),
        (["predict", "none.nc", "--at", "model_size=1e9"], "no file"),
        (["predict"], "FIT"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_mistakes_get_one_message_and_code_2(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_predict_needs_a_place_and_draws_what_it_can(
    grouped_fit: bl.Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = str(grouped_fit.save(tmp_path / "fit.nc"))
    assert run(["predict", saved]) == 2
    assert "--at" in capsys.readouterr().err
    assert (
        run(
            [
                "predict",
                saved,
                "--at",
                "data_size=1e10,1e11",
                "--at",
                "task=task0,new",
                "--plot",
                str(tmp_path / "b.svg"),
            ]
        )
        == 0
    )
    assert "unseen" in capsys.readouterr().out
    assert (
        run(
            [
                "predict",
                saved,
                "--at",
                "data_size=1e10",
                "--at",
                "task=task0",
                "--plot",
                str(tmp_path / "b.xyz"),
            ]
        )
        == 2
    )
    assert "cannot be drawn" in capsys.readouterr().err
    points = tmp_path / "points.csv"
    points.write_text("data_size,task\n1e10,task0\n-1,task1\n")
    assert run(["predict", saved, "--points", str(points)]) == 2
    assert "must be above 0" in capsys.readouterr().err


def test_predict_warns_of_a_group_that_no_run_has(
    grouped_fit: bl.Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt task is no other forecast without a word; one that is meant is none to warn of."""
    command = ["predict", str(grouped_fit.save(tmp_path / "fit.nc")), "--at", "data_size=1e10"]
    assert run([*command, "--at", "task=taks0"]) == 0
    warned = capsys.readouterr()
    assert "Warning: No run has task taks0. Did you mean 'task0'" in warned.err
    assert "--new-group" in warned.err
    assert run([*command, "--at", "task=taks0", "--new-group"]) == 0
    meant = capsys.readouterr()
    assert meant.err == ""
    assert meant.out == warned.out
    assert run(command) == 2
    missing = capsys.readouterr().err
    assert "--at task=..." in missing
    assert "The runs have task0, task1, task2, task3, task4, task5." in missing


def test_a_summary_says_where_the_centre_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_fit(stored("chinchilla"), checks=[])
    said = "..._at_centre: at model size 1B, data size 20B, the geometric mean of each input."
    assert said in capsys.readouterr().out


def test_ctrl_c_writes_nothing(tmp_path: Path) -> None:
    """An interrupt while sampling ends with code 130 and no file."""
    table = tmp_path / "runs.csv"
    sizes, data = np.meshgrid(np.geomspace(1e8, 1e10, 8), np.geomspace(1e9, 1e11, 8))
    pd.DataFrame(
        {
            "model_size": sizes.ravel(),
            "data_size": data.ravel(),
            "loss": (1.8 + 400 / sizes**0.34 + 2000 / data**0.36).ravel(),
        }
    ).to_csv(table)
    code = (
        "import os, signal, threading, sys; import nutpie; from bayeslaw import cli\n"
        "sample = nutpie.sample\n"
        "def interrupted(*args, **settings):\n"
        "    threading.Timer(2, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "    return sample(*args, **settings)\n"
        "nutpie.sample = interrupted\n"
        # a test run in the background would inherit that it is ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"sys.exit(cli.run(['fit', {str(table)!r}, '--law', 'chinchilla', '-o',"
        f" {str(tmp_path / 'fit.nc')!r}, '--draws', '2000000', '--quiet']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 130, done.stderr
    assert "Nothing was left half-written" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["runs.csv"]


def test_backtest_on_public_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Hoffmann et al.'s runs: what is beyond 3e20 FLOP, from what is below 1e20 FLOP."""
    table = (
        pd.read_csv(public_path("chinchilla/svg_extracted_data.csv"))
        .nsmallest(240, "loss")
        .rename(columns={"Training FLOP": "compute"})
    )
    runs = tmp_path / "runs.csv"
    table[(table["compute"] < 1e20) | (table["compute"] > 3e20)].to_csv(runs, index=False)
    options = [
        "--law",
        "skaling",
        "--column",
        "model_size=Model Size",
        "--no-baselines",
        "--seed",
        "1",
        "--holdout",
        "compute > 3e20",
    ]
    files = [tmp_path / name for name in ("points.csv", "coverage.png", "panels.png")]
    code = run(
        [
            "backtest",
            str(runs),
            *options,
            "-o",
            str(files[0]),
            "--plot",
            str(files[1]),
            "--panels",
            str(files[2]),
        ]
    )
    printed = capsys.readouterr().out
    assert code == 0
    assert "of 63 hidden runs lie within their 90 % band" in printed
    assert "coverage_90" in printed
    points = pd.read_csv(files[0])
    assert len(points) == 63
    assert set(points["method"]) == {"bayeslaw"}
    assert points["inside_90"].mean() > 0.8
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in files[1:])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "one of holdout, largest and rolling"),
        (["--largest", "model_size=1.5"], "write a whole number"),
        (["--holdout", "loss >"], "loss >"),
        (["--holdout", "loss > 1", "--discrepancy", "curves"], "must be one of none, curve, grid"),
    ],
)
def test_a_backtest_that_cannot_be_meant(
    options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "runs.csv"
    pd.DataFrame(
        {"model_size": [1e8, 2e8, 4e8], "data_size": [1e9, 2e9, 3e9], "loss": [3.0, 2.9, 2.8]}
    ).to_csv(path, index=False)
    assert run(["backtest", str(path), "--law", "chinchilla", *options]) == 2
    assert says in capsys.readouterr().err


OWN = """
from dataclasses import dataclass
from bayeslaw.laws import INPUTS, Law, Param, Response
from bayeslaw.priors import lognormal

@dataclass(frozen=True)
class Plain(Law):
    r\"\"\"A plain power law: .. math:: L = A x^-a\"\"\"
    name, formula, source = "plain", "A * data_size^-a", "a user's module"
    response = Response("loss", "nats", scale="log", plausible=(0.01, 100.0))
    params = {
        "A": Param("A", "loss at one token", lognormal(10.0, 2.0)),
        "a": Param("a", "exponent", lognormal(0.1, 0.5)),
    }
    arguments = {"data_size": INPUTS["data_size"]}

    @staticmethod
    def expected(*, data_size, A, a):
        return A * data_size**-a
"""


def test_a_law_of_ones_own_is_imported_only_when_allowed(tmp_path: Path) -> None:
    """In processes of their own, as a user has it: a module beside the table, fitted, and predicted
    from in a second process.
    """
    (tmp_path / "own_laws.py").write_text(OWN)
    x = np.geomspace(1e6, 1e9, 12)
    noise = np.random.default_rng(1).normal(0, 0.01, 12)
    pd.DataFrame({"data_size": x, "loss": 12 * x**-0.1 * np.exp(noise)}).to_csv(
        tmp_path / "runs.csv", index=False
    )

    def bayeslaw(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from bayeslaw.cli import main; main()", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    refused = bayeslaw("check", "runs.csv", "--law", "own_laws:Plain")
    assert refused.returncode == 2
    assert "runs the code of own_laws" in refused.stderr
    assert "--allow-import" in refused.stderr
    assert not (tmp_path / "__pycache__").exists()  # nothing of it was run
    shown = bayeslaw("laws", "own_laws:Plain", "--allow-import")
    assert shown.returncode == 0
    assert "loss = A * data_size^-a" in shown.stdout
    fitted = bayeslaw(
        "fit",
        "runs.csv",
        "--law",
        "own_laws:Plain",
        "--allow-import",
        "-o",
        "own.nc",
        "--draws",
        "300",
        "--tune",
        "500",
        "--seed",
        "1",
    )
    assert fitted.returncode == 0, fitted.stderr
    predict = ("predict", "own.nc", "--at", "data_size=1e10", "-o", "bands.csv")
    unknown = bayeslaw(*predict)
    assert unknown.returncode == 2
    assert "no law named 'plain'" in unknown.stderr
    assert bayeslaw(*predict, "--law", "own_laws:Plain", "--allow-import").returncode == 0
    row = pd.read_csv(tmp_path / "bands.csv").iloc[0]
    assert row["lower_90"] < 12 * 1e10**-0.1 < row["upper_90"]


def test_what_is_no_law_is_not_imported_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "half_laws.py").write_text(
        "from bayeslaw.laws import Law\nclass Half(Law):\n    name = 'half'\nnot_a_class = 3\n"
    )
    (tmp_path / "leaving.py").write_text("raise SystemExit(3)\n")
    for path, says in (
        ("half_laws:Other", "half_laws:Other is missing"),
        ("half_laws:not_a_class", "must be a subclass of bayeslaw.laws.base.Law"),
        (
            "half_laws:Half",
            "is a law without formula, source, response, params, arguments, expected",
        ),
        ("no_such_module:Plain", "cannot be imported: ModuleNotFoundError"),
        ("leaving:Plain", "cannot be imported: SystemExit"),
    ):
        with pytest.raises(bl.errors.SpecError, match=says):
            bl.law(path, allow_import=True)
    assert "half" not in bl.laws()
    assert str(tmp_path) not in sys.path


def test_a_decision_with_its_gate(
    tmp_path: Path, grouped_fit: bl.Fit, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a saved fit to a verdict, as a pipeline reads it."""
    saved = str(grouped_fit.save(tmp_path / "fit.nc"))
    options = [
        saved,
        "--option",
        "task=task0,task1",
        "--at",
        "data_size=5e9",
        "--cost",
        "task0=10",
        "--cost",
        "task1=20",
    ]
    losses = grouped_fit.predict(
        {"task": ["task0", "task1"], "data_size": 5e9}, "run"
    ).values.reshape(-1, 2)
    easy, hard = float(losses.max() + 1), float(losses.min() / 2)
    converged = grouped_fit.convergence.passed
    assert run(["decide", *options, "--target", str(easy), "--gate"]) == (0 if converged else 11)
    printed = capsys.readouterr().out
    assert "p_target" in printed
    assert "task0" in printed
    assert run(["decide", *options, "--target", str(hard), "--gate", "--quiet"]) == (
        10 if converged else 11
    )
    assert capsys.readouterr().out == ""
    assert run(["decide", *options, "--target", str(easy), "--json", "--value", "100"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["options"][0]["cost"] == 10
    assert plain["evpi"] is not None
    assert plain["verdict"] in ("go", "inconclusive")
    for wrong, says in (
        ([saved, "--target", "1"], "Say what the options are"),
        (
            [x.replace("data_size=5e9", "data_size=1e9,2e9") for x in [*options, "--target", "1"]],
            "has several values",
        ),
        ([*options[:-2], "--target", "1"], "no column of the options has only these values"),
    ):
        assert run(["decide", *wrong]) == 2
        assert says in capsys.readouterr().err


LABELS = ("[/red]", "[bold]x", "a\x1b[31mred", "b\x07", ":smile:", "\u202eevil")


def test_labels_are_printed_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Markup, commands to the terminal and turned text in a user's labels are text."""
    x = np.geomspace(1e6, 1e9, 6)
    table = pd.concat(
        [pd.DataFrame({"data_size": x, "loss": 12 * x**-0.1, "task": name}) for name in LABELS]
    )
    path = tmp_path / "runs.csv"
    table.to_csv(path, index=False)
    assert run(["check", str(path), "--law", "power"]) == 0
    printed = capsys.readouterr().out
    for shown in ("[/red]", "[bold]x", "a\\x1b[31mred", "b\\x07", ":smile:", "\\u202eevil"):
        assert shown in printed
    print_table(pd.DataFrame({"[b]": list(LABELS)}))
    printed = capsys.readouterr().out
    assert "[b]" in printed
    assert "[/red]" in printed
    assert "\x1b" not in printed


@pytest.mark.parametrize(
    ("option", "name"),
    [("--column", "loss=a"), ("--scale", "loss=2"), ("--at", "data_size=1e9")],
)
def test_an_option_that_names_a_thing_twice_is_a_fault(
    option: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = REPOSITORY / "tests" / "golden" / "chinchilla_simulated_0.1.0.nc"
    command = ["check", "runs.csv", "--law", "power"]
    if option == "--at":
        command = ["predict", str(saved)]
    assert run([*command, option, name, option, name]) == 2
    assert "twice" in capsys.readouterr().err


def options_of(command: str) -> list[tuple[str, bool, bool]]:
    """The options of a command: a name, whether it is a flag, whether it may be repeated."""
    params = get_command(app).commands[command].params
    named = [x for x in params if x.param_type_name == "option" and x.name != "help"]
    return [(x.opts[0], x.is_flag, x.multiple) for x in named]


@pytest.mark.parametrize("command", sorted(get_command(app).commands))
def test_an_option_with_one_value_is_given_once(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last would win without a word."""
    single = [(name, flag) for name, flag, multiple in options_of(command) if not multiple]
    assert single
    for name, flag in single:
        assert run([command, *([name] if flag else [name, "1", f"{name}=2"]), name, "3"]) == 2
        said = capsys.readouterr().err
        assert f"{name} is given twice" in said, said


TABLE = REPOSITORY.parent / "shared" / "failing" / "04-where-own-column-names" / "runs.csv"


def test_columns_may_be_called_as_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In filters, groups and splits, where the file's name means one thing."""
    table = pd.DataFrame(
        {
            "num params": [1e8, 2e8, 4e8, 8e8] * 2,
            "num_params": [1e8, 2e8, 4e8, 8e8] * 2,
            "Corpus": ["web", "code"] * 4,
            "ppl": [3.0, 2.9, 2.8, 2.7, 3.1, 3.0, 2.9, 2.8],
        }
    )
    path = tmp_path / "runs.csv"
    table.to_csv(path, index=False)
    columns = ["-c", "model_size=num_params", "-c", "loss=ppl", "-c", "dataset=Corpus"]
    command = [str(path), "--law", "power:input=model_size", *columns]
    assert (
        run(["check", *command, "--where", "num_params < 5e8 and ppl < 3.05", "-g", "Corpus"]) == 0
    )
    printed = capsys.readouterr().out
    assert "5 runs" in printed
    assert "dataset            2 groups" in printed
    scaled = ["check", *command, "--scale", "model_size=10", "--where", "num_params < 5e8"]
    assert run(scaled) == 2
    assert "num_params is called model_size here, and multiplied by 10" in capsys.readouterr().err
    # A name that means something here means that: no column is called after another.
    swapped = [str(path), "--law", "power:input=model_size", "-c", "model_size=num_params"]
    assert run(["check", *swapped, "-c", "loss=ppl", "--where", "model_size < 5e8"]) == 0
    runs = bl.read_runs(path, "power", columns={"data_size": "num_params", "loss": "ppl"})
    hidden = selected(resolve(bl.ModelSpec("power"), runs), runs, "num_params > 5e8", None, None)[1]
    assert [int(rows.sum()) for rows in hidden.values()] == [2]
    largest = selected(resolve(bl.ModelSpec("power"), runs), runs, None, {"num_params": 1}, None)[1]
    np.testing.assert_array_equal(*[*hidden.values(), *largest.values()])


@pytest.mark.skipif(not TABLE.is_file(), reason="the failing inputs are not there")
def test_the_filter_of_a_stranger(capsys: pytest.CaptureFixture[str]) -> None:
    columns = ["-c", "model_size=num_params", "-c", "loss=perplexity"]
    command = ["check", str(TABLE), "--law", "power:input=model_size", *columns]
    assert run([*command, "--where", "num_params < 9e8"]) == 0
    assert "rows satisfy num_params < 9e8" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["backtest", "RUNS", "--law", "power", "--largest", "data_size=nan"], "whole number"),
        (["backtest", "RUNS", "--law", "power", "--rolling", "data_size=1e300"], "whole number"),
        (
            [
                "backtest",
                "RUNS",
                "--law",
                "power",
                "--holdout",
                "loss > 2.9",
                "--holdout",
                "loss > 2.9",
            ],
            "twice",
        ),
        (["fit", "RUNS", "--law", "power", "-o", "x" * 300], "too long"),
        (["init", "-o", "x" * 300], "too long"),
        (["demo", "-o", "x" * 300], "too long"),
        (["run", "x" * 300 + ".toml"], "no such file"),
        (["report", "x" * 300 + ".toml"], "no such file"),
        (
            ["decide", "FIT", "--option", "task=a", "--option", "task=b", "--target", "1"],
            "--option has task twice",
        ),
        (
            [
                "decide",
                "FIT",
                "--option",
                "task=task0",
                "--at",
                "data_size=1e9",
                "--target",
                "1",
                "--cost",
                "7e9=1",
                "--cost",
                "7000000000=2",
            ],
            "two spellings",
        ),
        (
            [
                "decide",
                "FIT",
                "--option",
                "task=task0",
                "--at",
                "data_size=1e9",
                "--target",
                "1",
                "--cost",
                "task0=-1",
            ],
            "at least 0",
        ),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_slow(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bayeslaw.validation.backtesting.fit_each", None)
    table = pd.DataFrame({"data_size": [1e8, 2e8, 4e8], "loss": [3.0, 2.9, 2.8]})
    table.to_csv("runs.csv", index=False)
    files = {"RUNS": "runs.csv", "FIT": str(STORED / "grouped.nc")}
    assert run([files.get(x, x) for x in arguments]) == 2
    assert says in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["runs.csv"]


def test_labels_of_digits_are_no_numbers() -> None:
    asked = points(["task=007,7,12345678901234567", "data_size=1e9"])
    assert asked == {"task": ["007", 7.0, "12345678901234567"], "data_size": [1e9]}


def test_a_fit_that_cannot_be_saved_is_saved_elsewhere(
    grouped_fit: bl.Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the folder went away while the chains ran."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(StorageError, match="The fit is not lost") as caught:
        save_fit(grouped_fit, tmp_path / "gone" / "fit.nc")
    (saved,) = tmp_path.iterdir()
    assert str(saved) in str(caught.value)
    assert bl.load(saved).spec == grouped_fit.spec
