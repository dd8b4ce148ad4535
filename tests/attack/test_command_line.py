"""The command line with arguments of any kind: an answer, or a message and exit code 1 or 2."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from attack.strategies import LONGEST, attack, lanes, outcome
from helpers import STORED, grouped_table
from hypothesis import strategies as st
from typer.main import get_command

import bayeslaw as bl
import bayeslaw.fitting
from bayeslaw.cli import app, run
from bayeslaw.errors import BayeslawError
from bayeslaw.spec.settings import SamplerSettings

#: Exit codes: done, not converged, refused, no-go and inconclusive.
CODES = (0, 1, 2, 10, 11)
COMMANDS: dict[str, Any] = dict(get_command(app).commands)

#: Values that make sense for some option, and others.
VALUES = (
    *("data_size=1e10", "data_size=1e9,1e10", "task=task0", "task=new", "task=task0,task1", "x=1"),
    *("data_size=nan", "data_size=-1", "data_size=1e999", "loss=1", "=", "a=", "=b", "a=b=c", "a"),
    *("power", "chinchilla", "power:input=kl", "power:", ":", "os:system", "power:input=data_size"),
    *("runs.csv", "fit.nc", "points.csv", "study.toml", "none.csv", "no/such/x", "folder", "."),
    *("x" * 300, "x" * 5000, "\x1b[31m", "[/red]", "é漢", "-", "--", "", " ", "a\nb", "\u2028"),
    *("data_size > 1e8", "task == 'task0'", "data_size >", "loss", "1 < 2", "data_size=1"),
    *("alpha=1 + (1 | task)", "alpha=1 + (1 | task), (1 | x)", "A=(", "sigma=1", "A=1"),
    *("alpha_at_centre=LogNormal:median=0.3,sigma=0.1", "sigma=-1", "sigma=0.1", "sigma=nan"),
    *("alpha_at_centre=Normal:mu=0,sigma=1e400", "x=LogNormal:median=1", "sigma=Beta:"),
    *("normal", "student_t", "curve", "none", "grid", "mean", "run", "nutpie", "pymc", "stan"),
    *("0", "1", "-1", "0.5", "0.9", "2", "nan", "inf", "-inf", "1e400", "1" * 400, "1.5", "1e9"),
    *("out.csv", "out.svg", "out.xyz", "fit2.nc", "folder/out.csv", "finetuning", "pretraining"),
    *("task0=1", "task0=-1", "task0=nan", "1e10=1", "1e10=1,1e10=2", "data_size", "task", "loss"),
)
#: For an option, values that it is meant to have.
SOUND = {
    "--law": ["power", "power:input=data_size", "chinchilla"],
    "--at": ["data_size=1e10", "task=task0", "data_size=1e9,1e10"],
    "--option": ["task=task0,task1", "data_size=1e9,1e10"],
    "--output": ["out.csv", "fit2.nc", "out"],
    "--where": ["data_size > 1e8", "task != 'task0'"],
    "--effect": ["alpha=1 + (1 | task)", "A=1"],
    "--prior": ["sigma=0.1", "alpha_at_centre=LogNormal:median=0.3,sigma=0.1"],
    "--holdout": ["data_size > 1e8"],
    "--largest": ["data_size=2"],
    "--rolling": ["data_size=2"],
    "--target": ["0.8", "1.0"],
    "--cost": ["task0=1", "task1=2"],
    "--group": ["task"],
    "--plot": ["out.svg"],
    "--points": ["points.csv"],
    "--options": ["points.csv"],
    "--seed": ["1"],
    "--kind": ["mean", "run"],
    "--prob": ["0.5", "0.9"],
    "--template": ["study.toml"],
}
#: For an argument of a command, values that it is meant to have.
ARGUMENTS = {
    "runs": ["runs.csv"],
    "fitted": ["fit.nc"],
    "study": ["study.toml"],
    "journey": ["pretraining"],
    "name": ["power"],
}


class ReachedError(BayeslawError):
    """All that is checked before sampling was right."""


class Settings(SamplerSettings):
    """Settings that are checked, and with which nothing is sampled."""

    @classmethod
    def of(cls, *arguments: Any, **options: Any) -> Any:
        SamplerSettings.of(*arguments, **options)
        raise ReachedError("Nothing is sampled here.")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with runs, a fit, points and a study, in a process that samples nothing."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch, chdir(folder):
        patch.setattr(bayeslaw.fitting, "SamplerSettings", Settings)
        patch.setenv("TMPDIR", str(folder))
        yield folder


def furnish(folder: Path) -> None:
    """The files that arguments name, as they were."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    grouped_table().to_csv(folder / "runs.csv", index=False)
    shutil.copy(STORED / "grouped.nc", folder / "fit.nc")
    (folder / "points.csv").write_text("data_size,task,cost\n1e10,task0,1\n1e11,new,2\n")
    template = Path(bl.__file__).parent / "study" / "templates" / "pretraining.toml"
    shutil.copy(template, folder / "study.toml")
    (folder / "folder").mkdir()


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A command with some of its options, each with a value that suits it, or another."""
    name = draw(st.sampled_from(sorted(COMMANDS)))
    # As often as not, everything but one thing makes sense.
    sense = draw(st.sampled_from([0.0, 0.8, 0.95]))

    def value(known: list[str]) -> str:
        makes_sense = known and draw(st.floats(0, 1)) < sense
        return draw(st.sampled_from(known if makes_sense else VALUES))

    parts: list[list[str]] = []
    options = []
    for param in COMMANDS[name].params:
        if param.param_type_name == "argument":
            parts.append([value(ARGUMENTS.get(param.name, []))])
        elif param.required and draw(st.integers(0, 9)):
            parts.append([param.opts[0], value(SOUND.get(param.opts[0], []))])
        else:
            options.append(param)
    for _ in range(draw(st.integers(0, 4))):
        param = options[draw(st.integers(0, len(options) - 1))]
        flag = draw(st.sampled_from([*param.opts, *param.secondary_opts]))
        known = SOUND.get(param.opts[0], [])
        parts.append([flag] if getattr(param, "is_flag", False) else [flag, value(known)])
    if draw(st.integers(0, 19)) == 0:
        parts.append([draw(st.sampled_from(VALUES))])
    return [name, *(x for part in draw(st.permutations(parts)) for x in part)]


def called(argv: list[str]) -> tuple[Any, str, str]:
    """The exit code, and what was printed."""
    printed, told = io.StringIO(), io.StringIO()
    with redirect_stdout(printed), redirect_stderr(told):
        code = outcome(lambda: run(argv))
    return code, printed.getvalue(), told.getvalue()


def answer_or_message(argv: list[str], folder: Path) -> None:
    furnish(folder)
    code, printed, told = called(argv)
    assert code in CODES, argv
    assert "Traceback" not in told
    if code == 2:
        assert "Error: " in told and len(told) <= LONGEST, told[:300]
    assert "\x1b" not in printed + told, argv
    assert not list(folder.rglob(".bayeslaw-*"))
    pairs = [tuple(argv[i : i + 2]) for i in range(len(argv) - 1) if argv[i] in REPEATED]
    keys = [(flag, value.split("=")[0]) for flag, value in pairs if "=" in value]
    assert code != 0 or len(set(keys)) == len(keys) or "--help" in argv, f"given twice: {argv}"


#: Options whose values are names with values, none of which may be given twice.
REPEATED = ("--at", "--cost", "--option", "--scale", "--column", "--effect", "--prior", "--largest")


@lanes
def test_any_command_line_is_answered_or_refused(tries: int, place: Path) -> None:
    attack(tries, command_lines(), lambda argv: answer_or_message(argv, place), share=0.5)


SINGLE = {
    "check": ["runs.csv", "--law", "power", "--where", "loss > 0"],
    "predict": ["fit.nc", "--at", "data_size=1e10", "--at", "task=task0", "--kind", "mean"],
    "decide": ["fit.nc", "--option", "task=task0,task1", "--at", "data_size=1e10", "--target", "1"],
}


@pytest.mark.parametrize("command", SINGLE)
def test_what_is_asked_once_may_not_be_said_twice(command: str, place: Path) -> None:
    furnish(place)
    assert called([command, *SINGLE[command]])[0] == 0
    flag, value = SINGLE[command][-2:]
    code, _, told = called([command, *SINGLE[command], flag, value])
    assert code == 2
    assert flag in told
