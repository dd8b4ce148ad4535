"""The shape of the package: imports run downwards, heavy libraries load late, files stay small."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import bayeslaw as bl

PACKAGE = Path(bl.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

#: Storeys from the ground up (DESIGN.md, section 3): a module imports its own storey and those
#: before it.
STOREYS = [
    ["errors", "defaults", "priors", "files"],
    ["laws"],
    [
        "expressions",
        "tables",
        "measurement",
        "derived",
        "bisection",
        "runs",
        "datasets",
        "noise",
        "effects",
        "discrepancy",
        "spec",
        "binning",
        "wording",
    ],
    [
        "identifiability",
        "kalman",
        "semivariance",
        "model",
        "sampling",
        "posterior",
        "paths",
        "likelihood",
        "power_scaling",
        "predict",
        "quantities",
        "peaks",
        "inverse",
        "crossover",
        "allocation",
        "fit",
        "storage",
        "average",
        "sweep",
    ],
    ["checks"],
    ["decisions"],
    ["plots"],
    ["study", "report"],
    ["demos", "__init__", "arguments", "cli"],
]


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def storey(module: str) -> int:
    return next(i for i, modules in enumerate(STOREYS) if module in modules)


def imports(path: Path) -> set[str]:
    """Every module that a file imports, inside functions too; not those for the type checker."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.If)
            and isinstance(node.test, ast.Name)
            and node.test.id == "TYPE_CHECKING"
        ):
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= (
                {f"{node.module}.{alias.name}" for alias in node.names}
                if node.module == "bayeslaw"
                else {node.module}
            )
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downwards(path: Path) -> None:
    own = name_of(path)
    for module in imports(path):
        head, *rest = module.split(".")
        if head == "bayeslaw" and rest:
            assert storey(rest[0]) <= storey(own), f"{own} imports {module} from above"
        if head in ("pymc", "pytensor", "nutpie", "numba"):
            assert own in ("model", "semivariance", "sampling", "kalman"), f"{own} imports {head}"
        if head == "matplotlib":
            assert own in ("plots", "cli"), f"{own} imports matplotlib"
        if own == "plots":
            assert module not in ("bayeslaw.fit", "bayeslaw.predict"), "plots draw tables, not fits"
        if own == "laws":
            standard = (
                "__future__",
                "abc",
                "collections",
                "dataclasses",
                "typing",
                *(("importlib", "pathlib", "sys") if path.stem == "registry" else ()),
            )
            assert head in (*standard, "numpy") or module.startswith(
                ("bayeslaw.laws", "bayeslaw.errors", "bayeslaw.priors")
            )


def test_the_package_imports_light() -> None:
    """The package and its command line load nothing; checking a study file loads what its runs
    need.
    """
    heavy = (
        "pandas",
        "xarray",
        "pymc",
        "pytensor",
        "nutpie",
        "matplotlib",
        "arviz_stats",
        "pandera",
        "formulae",
        "scipy",
        "pydantic",
        "jinja2",
    )
    assert loaded("import bayeslaw, bayeslaw.cli", heavy) == []
    assert loaded("from bayeslaw.study import schema", heavy) == ["pydantic"]
    study = PACKAGE / "study" / "templates" / "finetuning.toml"
    assert loaded(
        f"from bayeslaw.study.prepare import prepare; prepare({str(study)!r})", heavy
    ) == ["pandas", "pandera", "pydantic"]


def loaded(code: str, modules: Sequence[str]) -> list[str]:
    """Which modules a fresh interpreter has after some code."""
    code = f"{code}; import sys; print(*sorted(set(sys.modules) & {set(modules)}))"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_are_small_and_only_the_command_line_prints(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 410, "a module of this length usually holds two ideas"
    assert text.startswith(('"""', 'r"""')), "the first line says what the module is for"
    calls = {
        node.func.id
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    if name_of(path) != "cli":
        assert not calls & {"print", "exit", "breakpoint"}


def test_the_public_face() -> None:
    """Every name of __all__ is there as what it is meant to be, documented, and known to type
    checkers.
    """
    # a function whose file has its name (fit, peaks) stays the function, whatever was imported
    # before
    for path in FILES:
        importlib.import_module(
            ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
                ".__init__"
            )
        )
    for name in bl.__all__:
        value = getattr(bl, name)
        assert (value.__doc__ or "").strip(), name
        assert callable(value) != (name in ("errors", "plots")), name
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text())
    (listed,) = (ast.literal_eval(node.value) for node in stub.body if isinstance(node, ast.Assign))
    assert (
        sorted(listed)
        == sorted(bl.__all__)
        == sorted(name for name in dir(bl) if not name.startswith("_"))
    )


def test_public_functions_have_docstrings() -> None:
    for path in FILES:
        for node in ast.parse(path.read_text()).body:
            if (
                isinstance(node, ast.FunctionDef | ast.ClassDef)
                and not node.name.startswith("_")
                and name_of(path) not in ("demos",)
            ):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"


def test_every_module_imports() -> None:
    for path in FILES:
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        importlib.import_module(".".join(parts).removesuffix(".__init__"))
