"""The README cannot drift: its example runs, its code has the right types, its table of laws is the
registry.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from helpers import README as README_FILE
from helpers import REPOSITORY

import bayeslaw as bl
from bayeslaw.study.schema import read_study

README = README_FILE.read_text()
#: The Python code, block by block.
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_the_example_is_short_and_runs(readme_example: tuple[str, str, Path]) -> None:
    code, printed, folder = readme_example
    assert len(code.splitlines()) <= 15
    assert "upper_90" in printed
    assert "passed  R-hat" in printed
    assert "FAILED" not in printed
    assert bl.load(folder / "finetuning.nc").convergence.passed


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
        cwd=REPOSITORY,
    )
    assert len(BLOCKS) >= 5
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_table_of_laws_is_the_registry() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+?) \| (.+?) \|$", README, flags=re.MULTILINE)
    assert rows == [
        (name, cls().response.name, cls.formula, cls.source) for name, cls in bl.laws().items()
    ]


def test_the_figure_is_there() -> None:
    paths = re.findall(r"!\[.*?\]\((.*?)\)", README)
    assert len(paths) == 2
    for path in paths:
        assert (REPOSITORY / path).read_bytes()[:4] == b"\x89PNG"


def test_the_study_file_is_one(tmp_path: Path) -> None:
    """The README's study file has no key and no value that a study file does not know."""
    (text,) = re.findall(r"```toml\n(.*?)```", README, flags=re.DOTALL)
    (tmp_path / "study.toml").write_text(text)
    study, _ = read_study(tmp_path / "study.toml")
    assert study.decision is not None
    assert study.next_runs is not None
    assert study.decision.cost == {"lora": 12000, "fmt": 90000}
