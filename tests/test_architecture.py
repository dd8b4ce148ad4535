"""The shape of the package: imports run downwards, heavy libraries load late, files stay small.

``python tests/test_architecture.py [PACKAGE_FOLDER]`` prints rooms, storeys, arrows and circles.
"""

from __future__ import annotations

import ast
import importlib
import re
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "bayeslaw"
FILES = sorted(PACKAGE.rglob("*.py"))

#: Storeys from the ground up (ARCHITECTURE.md): a module imports its own storey and those below.
#: A storey is a folder, or modules of the root that belong together.
STOREYS = [
    ["errors", "defaults", "priors", "text", "atomic"],
    ["learnt"],
    ["laws"],
    ["runs"],
    ["spec"],
    ["curves"],
    ["posterior"],
    ["model"],
    ["fitted", "fitting", "learning"],
    ["answers"],
    ["validation"],
    ["checks"],
    ["decisions"],
    ["plots"],
    ["study"],
    ["__init__", "demos", "cli"],
]

#: Who may import a library that is slow to load, or that belongs in one place.
ALLOWED = {
    "pymc": ["model"],
    "pytensor": ["model"],
    "nutpie": ["model"],
    "numba": ["curves", "model"],
    "matplotlib": ["plots", "cli"],
}


def room(module: str) -> str:
    """The room of a module of the package, given without ``bayeslaw.``: its folder, or itself."""
    return module.split(".")[0]


def storey(module: str) -> int:
    return next(i for i, rooms in enumerate(STOREYS) if room(module) in rooms)


def module_of(path: Path, package: Path = PACKAGE) -> str:
    """``runs.table`` of ``bayeslaw/runs/table.py``; ``runs`` of its ``__init__.py``."""
    dotted = ".".join(path.relative_to(package).with_suffix("").parts)
    return dotted.removesuffix(".__init__")


@cache
def imports(path: Path) -> set[str]:
    """Everything that a file imports, in functions and for the type checker too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@cache
def arrows(package: Path = PACKAGE) -> dict[str, set[str]]:
    """Each module of the package, and the modules of the package that it imports."""
    files = {module_of(path, package): path for path in sorted(package.rglob("*.py"))}
    drawn: dict[str, set[str]] = {}
    for module, path in files.items():
        drawn[module] = set()
        for name in imports(path):
            head, _, rest = name.partition(".")
            while head == "bayeslaw" and rest and rest not in files:
                rest = rest.rpartition(".")[0]
            if head == "bayeslaw" and rest and rest != module:
                drawn[module].add(rest)
    return drawn


def circles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The sets of nodes that reach each other (Tarjan 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for other in graph[node]:
            if other not in order:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], order[other])
        if low[node] == order[node]:
            circle = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(circle) > 1:
                found.append(sorted(circle))

    for node in graph:
        if node not in order:
            visit(node)
    return found


def between_rooms(graph: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """The arrows of a graph of modules between their rooms."""
    rooms: dict[str, set[str]] = {room(module): set() for module in graph}
    for module, others in graph.items():
        rooms[room(module)] |= {room(other) for other in others} - {room(module)}
    return rooms


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downwards(path: Path) -> None:
    module = module_of(path) or "__init__"
    up = [other for other in arrows()[module_of(path)] if storey(other) > storey(module)]
    assert not up, f"{module} imports from above: {up}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_libraries_are_imported_in_their_rooms_only(path: Path) -> None:
    here = room(module_of(path))
    for name in imports(path):
        head = name.split(".")[0]
        assert here in ALLOWED.get(head, [here]), f"{here} imports {head}"
        if here == "laws":
            standard = ["__future__", "abc", "collections", "dataclasses", "typing", "numpy"]
            registry = ["importlib", "pathlib", "sys"] if path.stem == "registry" else []
            own = ("bayeslaw.laws", "bayeslaw.errors", "bayeslaw.learnt", "bayeslaw.priors")
            assert head in (*standard, *registry) or name.startswith(own), f"laws import {name}"
        if here == "plots":
            draws = ("bayeslaw.posterior", "bayeslaw.fitted", "bayeslaw.fitting")
            assert not name.startswith(draws), "plots draw tables, not fits"


def test_no_circle_of_files() -> None:
    assert circles(arrows()) == []


def test_no_circle_of_rooms() -> None:
    assert circles(between_rooms(arrows())) == []


def test_no_module_has_the_name_of_a_public_function() -> None:
    """But for two folders, `laws` and `plots`, whose names are public."""
    import bayeslaw as bl

    modules = {path.stem for path in FILES if path.stem != "__init__" and "plots" not in path.parts}
    assert modules & set(bl.__all__) == {"errors"}


def test_the_package_imports_light() -> None:
    """The package and its command line load nothing; checking a study file loads what its runs
    need."""
    heavy = (
        "pandas",
        "xarray",
        "pymc",
        "pytensor",
        "nutpie",
        "matplotlib",
        "arviz_stats",
        "formulae",
        "scipy",
        "pydantic",
        "jinja2",
        "numba",
    )
    assert loaded("import bayeslaw, bayeslaw.cli", heavy) == []
    assert loaded("from bayeslaw.study import schema", heavy) == ["pydantic"]
    study = PACKAGE / "study" / "templates" / "finetuning.toml"
    code = f"from bayeslaw.study.prepare import prepare; prepare({str(study)!r})"
    assert loaded(code, heavy) == ["pandas", "pydantic"]


def loaded(code: str, modules: Sequence[str]) -> list[str]:
    """Which modules a fresh interpreter has after some code."""
    code = f"{code}; import sys; print(*sorted(set(sys.modules) & {set(modules)}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.split()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_are_small(path: Path) -> None:
    assert path.read_text().count("\n") <= 500, "a module of this length usually holds two ideas"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_first_line_says_what_a_module_is_for(path: Path) -> None:
    assert path.read_text().startswith(('"""', 'r"""'))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_command_line_prints(path: Path) -> None:
    tree = ast.parse(path.read_text())
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    called = {function.id for function in calls if isinstance(function, ast.Name)}
    assert room(module_of(path)) == "cli" or not called & {"print", "exit", "breakpoint"}


def test_the_public_face() -> None:
    """Every name of __all__ is there as what it is meant to be, documented, and known to type
    checkers."""
    import bayeslaw as bl

    # A function whose folder has its name (laws) stays the function, whatever was imported before.
    test_every_module_imports()
    for name in bl.__all__:
        value = getattr(bl, name)
        assert (value.__doc__ or "").strip(), name
        assert callable(value) != (name in ("errors", "plots")), name
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text())
    (listed,) = (ast.literal_eval(node.value) for node in stub.body if isinstance(node, ast.Assign))
    shown = [name for name in dir(bl) if not name.startswith("_")]
    assert sorted(listed) == sorted(bl.__all__) == sorted(shown)


def test_the_page_lists_every_folder_in_the_order_of_storeys() -> None:
    """The table of ARCHITECTURE.md: the modules of the root, and the folders. Files that the page
    names exist."""
    page = (PACKAGE.parent / "ARCHITECTURE.md").read_text()
    table = page.split("## Folders")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `([\w./]+)` \|", table, flags=re.MULTILINE)
    folders = {path.parent for path in FILES} - {PACKAGE}
    root = {path.name for path in PACKAGE.glob("[!_]*.py")}
    assert sorted(listed) == sorted({f"{x.relative_to(PACKAGE)}/" for x in folders} | root)
    storeys = [storey(name.removesuffix(".py").rstrip("/").replace("/", ".")) for name in listed]
    assert storeys == sorted(storeys)
    named = re.findall(r"`((?:\w+/)*\w+\.py)`", page)
    places = (PACKAGE, PACKAGE.parent)
    missing = [name for name in named if not any((place / name).is_file() for place in places)]
    assert named and not missing


def test_public_functions_have_docstrings() -> None:
    for path in FILES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"


def test_every_module_imports() -> None:
    for path in FILES:
        importlib.import_module(f"bayeslaw.{module_of(path)}".rstrip("."))


def report(package: Path) -> str:
    """Rooms, storeys, arrows and circles, in words."""
    graph = {module: others for module, others in arrows(package).items() if module}
    rooms = between_rooms(graph)
    up = back_up(rooms)
    lines = [
        f"{len(graph)} modules in {len(rooms)} rooms (folders, and modules of the root)",
        f"{sum(map(len, rooms.values()))} arrows between rooms, {len(up)} of them back up: {up}",
        f"{height(rooms)} storeys",
        f"circles of rooms: {circles(rooms) or 'none'}",
        f"circles of files: {circles(graph) or 'none'}",
        f"{nodes_a_line(package):.2f} syntax nodes a line that is not blank, the modules' median",
    ]
    return "\n".join(lines)


def nodes_a_line(package: Path) -> float:
    """Syntax nodes for each line that is not blank: the median over modules."""
    density = []
    for path in package.rglob("*.py"):
        text = path.read_text()
        lines = sum(bool(line.strip()) for line in text.splitlines())
        density.append(sum(1 for _ in ast.walk(ast.parse(text))) / max(lines, 1))
    return statistics.median(density)


def components(rooms: Mapping[str, set[str]]) -> dict[str, str]:
    """Each room's circle by the name of its first room; a room in no circle is its own."""
    return {name: name for name in rooms} | {
        name: circle[0] for circle in circles(rooms) for name in circle
    }


def back_up(rooms: Mapping[str, set[str]]) -> list[str]:
    """The fewest arrows that must run back up, whichever way the rooms of circles are stacked:
    found greedily, the room with the fewest unmet needs first."""
    unmet = {name: set(others) for name, others in rooms.items()}
    found: list[str] = []
    while unmet:
        lowest = min(unmet, key=lambda name: (len(unmet[name] & unmet.keys()), name))
        found += [f"{lowest} -> {other}" for other in sorted(unmet[lowest] & unmet.keys())]
        del unmet[lowest]
    return found


def height(rooms: Mapping[str, set[str]]) -> int:
    """Storeys: the longest way down, a circle counted as one."""
    of = components(rooms)

    def below(name: str, seen: frozenset[str]) -> int:
        down = {other for member in rooms if of[member] == name for other in rooms[member]}
        parts = {of[other] for other in down} - {name} - seen
        return 1 + max((below(part, seen | {name}) for part in parts), default=0)

    return max(below(name, frozenset()) for name in set(of.values()))


if __name__ == "__main__":
    sys.stdout.write(report(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE) + "\n")
