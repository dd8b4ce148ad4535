"""The README cannot drift: its example runs, its code has the right types, its table of laws is the
registry.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import bayeslaw as bl
from bayeslaw.study.schema import read_study

README = (Path(__file__).parents[1] / "README.md").read_text()
#: The Python code, block by block.
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_the_example_is_short_and_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = BLOCKS[0]
    assert len(code.splitlines()) <= 15
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    printed = capsys.readouterr().out
    assert "upper_90" in printed and "passed  R-hat" in printed and "FAILED" not in printed
    assert bl.load(tmp_path / "finetuning.nc").convergence.passed


def test_every_block_of_code_has_the_right_types(tmp_path: Path) -> None:
    """Each block, with the imports of those before it, passes mypy."""
    imports: list[str] = []
    for i, code in enumerate(BLOCKS):
        (tmp_path / f"block_{i}.py").write_text("\n".join([*imports, code]))
        imports += [x for x in code.splitlines() if x.startswith(("import ", "from "))]
    # A law's `expected` names its own arguments: the package is checked without `override` too.
    options = ["--check-untyped-defs", "--ignore-missing-imports", "--disable-error-code=override"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file=", *options, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    assert len(BLOCKS) >= 5 and done.returncode == 0, done.stdout + done.stderr


def test_the_table_of_laws_is_the_registry() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+?) \| (.+?) \|$", README, flags=re.MULTILINE)
    assert rows == [
        (name, cls().response.name, cls.formula, cls.source) for name, cls in bl.laws().items()
    ]


def test_the_figure_is_there() -> None:
    paths = re.findall(r"!\[.*?\]\((.*?)\)", README)
    assert len(paths) == 2
    for path in paths:
        assert (Path(__file__).parents[1] / path).read_bytes()[:4] == b"\x89PNG"


def test_the_study_file_is_one(tmp_path: Path) -> None:
    """The README's study file has no key and no value that a study file does not know."""
    (text,) = re.findall(r"```toml\n(.*?)```", README, flags=re.DOTALL)
    (tmp_path / "study.toml").write_text(text)
    study, _ = read_study(tmp_path / "study.toml")
    assert (
        study.decision is not None
        and study.next_runs is not None
        and study.decision.cost == {"lora": 12000, "fmt": 90000}
    )
