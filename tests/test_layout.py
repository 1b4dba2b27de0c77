"""The shape of the repository: packages, arrows between rooms, sizes."""

import ast
import re
import sys
from collections import Counter
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"convert": "convert", "targets": "targets", "sim": "sim"}
SOURCES = sorted(
    path
    for folder in (*FOLDERS, "src/isotau", "examples", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
    if not any(part.is_symlink() for part in path.parents)
)
PACKAGED = [p for p in SOURCES if p.relative_to(ROOT).parts[0] in (*FOLDERS, "src")]
OWN_LAVA = ("targets/on_lava/lava_lif/", "targets/on_lava/lava_script/")
MOST_MODULES = 15
MOST_LINES = 500
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS = {
    "sim/engines/compiled_kernels.py:run_trials": "the time step in order; each part "
    "of it that could stand alone does, and what is left shares some twenty arrays",
}


def is_init(path: Path) -> bool:
    return path.stem == "__init__"


def package_of(folder: Path) -> str:
    """Return the dotted name of a folder of sources, as it is installed."""
    parts = folder.relative_to(ROOT).parts
    return ".".join(("isotau", *(parts[2:] if parts[0] == "src" else parts)))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports(path: Path) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def test_every_package_is_listed():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = set(settings["tool"]["setuptools"]["packages"])
    packages = {package_of(path.parent) for path in PACKAGED if is_init(path)}
    assert listed == packages


def test_every_source_is_in_a_package():
    for path in SOURCES:
        if path.is_relative_to(ROOT / "examples") or "benchmarks" in path.parts:
            continue
        assert (path.parent / "__init__.py").exists(), path


@pytest.mark.parametrize(
    ("room", "forbidden"),
    [
        ("convert", ("isotau.targets", "isotau.sim")),
        ("targets", ("isotau.sim",)),
        ("sim", ("isotau.targets",)),
    ],
)
def test_imports_point_upstream(room, forbidden):
    faces = {f"isotau.{path.stem}" for path in (ROOT / "src/isotau").iterdir()}
    faces -= {f"isotau.{folder}" for folder in FOLDERS}
    for path in (ROOT / room).rglob("*.py"):
        for name in imports(path):
            assert not name.startswith(forbidden), f"{path}: imports {name}"
            assert ".".join(name.split(".")[:2]) not in faces, f"{path}: {name}"
            assert name != "isotau", f"{path}: imports the face"


def test_lava_comes_through_its_shim():
    for path in SOURCES:
        place = path.relative_to(ROOT).as_posix()
        # These are imported after it, or run without isotau.
        if place.startswith(OWN_LAVA):
            continue
        direct = {name for name in imports(path) if name.split(".")[0] == "lava"}
        assert not direct, f"{place}: imports {direct}"


def test_matplotlib_is_used_where_pictures_are_drawn():
    users = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if any(name.split(".")[0] == "matplotlib" for name in imports(path))
        and path.relative_to(ROOT).parts[0] not in ("benchmarks", "examples")
    }
    pictures = {path for path in users if path.startswith("sim/plot/")}
    assert users - pictures <= {"targets/loihi/plot_placement.py"}


def test_files_and_functions_are_short():
    for path in SOURCES:
        place = path.relative_to(ROOT).as_posix()
        if place not in LONG_FILES:
            assert path.read_text().count("\n") <= MOST_LINES, f"{place} is long"
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body
                first = body[1] if ast.get_docstring(node) and body[1:] else body[0]
                length = (node.end_lineno or 0) - first.lineno + 1
                name = f"{place}:{node.name}"
                assert length <= 60 or name in LONG_FUNCTIONS, f"{name}: {length}"


def test_folders_are_rooms():
    """No more modules in a folder than one can look over."""
    modules = Counter(path.parent for path in SOURCES if not is_init(path))
    crowded = {
        folder.relative_to(ROOT).as_posix(): count
        for folder, count in modules.items()
        if count > MOST_MODULES
    }
    assert not crowded


def test_folders_import_each_other_one_way():
    """The graph of folders has no cycle; a folder's `__init__` only hands names on."""
    folders = {package_of(path.parent) for path in PACKAGED}
    modules = {f"{package_of(p.parent)}.{p.stem}" for p in PACKAGED if not is_init(p)}
    arrows: dict[str, set[str]] = {folder: set() for folder in folders}
    for path in PACKAGED:
        if not is_init(path):
            names = imports(path)
            homes = {name.rpartition(".")[0] for name in names & modules}
            arrows[package_of(path.parent)] |= homes | (names & folders)
    for folder, targets in arrows.items():
        arrows[folder] = targets - {folder, "isotau"}
    tuple(TopologicalSorter(arrows).static_order())


def test_no_file_has_a_name_that_says_nothing():
    empty = {"utils", "util", "common", "helpers", "misc", "base"}
    assert not [path for path in SOURCES if path.stem in empty]


def test_every_module_has_a_test_of_its_name():
    tests = {path.stem.removeprefix("test_") for path in ROOT.glob("tests/**/*.py")}
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            if path.stem != "__init__" and "lava_lif" not in path.parts:
                assert path.stem in tests, f"{path.relative_to(ROOT)} has no test file"


def test_no_module_is_there_twice():
    """The root is on the path for `benchmarks`; a bare `sim` would be a second copy."""
    assert not set(FOLDERS) & set(sys.modules)


def test_nothing_unsafe_is_called():
    unsafe = re.compile(
        r"\bpickle\.loads?\(|allow_pickle=True|weights_only=False|\beval\(|\bexec\("
    )
    for path in SOURCES:
        assert not unsafe.search(path.read_text()), path
