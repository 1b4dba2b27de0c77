"""Public names that `dir(isotau)` leaves out or that mypy sees nothing of."""

import ast
import json
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.house.checkout import Checkout
from benchmarks.house.tree import read_modules

ABSENT = "no_such"
"""A name that isotau has not, and that mypy has to refuse."""
USE = re.compile(r"(?<![\w./])isotau\.([A-Za-z]\w*)(?![\w.]*\.?\w)")
IMPORT = re.compile(r"\bfrom isotau import (?:\(([^)]*)\)|([^\n(]*))")
GROUP = re.compile(r"""^\w+ = ["']isotau\.(\w+)["']$""", re.MULTILINE)
"""A group of entry points, under a name of isotau's."""
ASK = """
import json, isotau
loading = []
for table in vars(isotau).values():
    if isinstance(table, dict):
        for key, value in table.items():
            if isinstance(value, str) and value.startswith("isotau."):
                loading.append(key)
            if str(key).startswith("isotau.") and isinstance(value, (tuple, list)):
                loading.extend(value)
listed = [name for name in dir(isotau) if not name.startswith("_")]
print(json.dumps({"listed": listed, "loading": loading}))
"""
"""Whatever its name, the table of names that load on first use has places in it."""


def documented_names(root: Path) -> set[str]:
    """Return the names that README, pages and examples use as isotau's own.

    A module is no such name: `isotau.sim.tasks`, or `isotau.pipeline`, which is a file;
    nor is a group of entry points, such as `isotau.readers`.
    """
    texts = [root / "README.md", *root.glob("docs/*.md"), *root.glob("examples/*.py")]
    names: set[str] = set()
    for path in texts:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        names |= set(USE.findall(text))
        for group in IMPORT.findall(text):
            names |= {
                part.split(" as ")[0].strip() for part in "".join(group).split(",")
            }
    face = root / "src" / "isotau"
    modules = {path.stem for path in face.glob("*") if path.suffix in ("", ".py")}
    # `isotau.pipeline` in a text is the file, if there is one of that name.
    groups = {
        name for module in read_modules(root) for name in GROUP.findall(module.text)
    }
    return names - modules - groups - {""}


def imported_names(root: Path) -> set[str]:
    """Return the public names that isotau's `__init__` or its stub imports from it."""
    names: set[str] = set()
    for suffix in (".py", ".pyi"):
        path = root / "src" / "isotau" / f"__init__{suffix}"
        tree = ast.parse(path.read_text(encoding="utf-8") if path.is_file() else "")
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith(
                "isotau."
            ):
                names |= {alias.asname or alias.name for alias in node.names}
    return {name for name in names if not name.startswith("_")}


def unseen_by_mypy(checkout: Checkout, names: Iterable[str]) -> tuple[set[str], bool]:
    """Return the names whose type mypy does not know, and whether it refuses no name.

    Args:
        checkout: whose mypy and settings are used.
        names: of isotau.

    Raises:
        RuntimeError: mypy did not run.
    """
    candidates = [*sorted(names), ABSENT]
    lines = ["import isotau", *(f"reveal_type(isotau.{name})" for name in candidates)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reveal.py"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        settings = str(checkout.root / "pyproject.toml")
        mypy = checkout.run(
            "-m", "mypy", "--no-pretty", "--config-file", settings, str(path)
        )
    verdicts = re.findall(r"reveal\.py:(\d+): (\w+): (.*)", mypy.stdout)
    # Silence would read as no name seen, where mypy has not even begun.
    if not verdicts:
        raise RuntimeError(
            f"mypy: got no verdict on any name, need one for each:\n{mypy.stdout}"
            f"{mypy.stderr[-2000:]}"
        )
    visible, refused = set(), set()
    for line, kind, text in verdicts:
        name = candidates[int(line) - 2]
        # Beside an error mypy reveals the type as Any, which says no more.
        if kind == "error":
            refused.add(name)
        elif "Revealed type" in text and '"Any"' not in text:
            visible.add(name)
    return set(candidates) - {ABSENT} - (visible - refused), ABSENT not in refused


def measure_names(checkout: Checkout) -> dict[str, Any]:
    """Return the public names, and those that tools do not see."""
    runtime = json.loads(checkout.run_checked("-c", ASK))
    documented = documented_names(checkout.root)
    names = documented | set(runtime["loading"]) | imported_names(checkout.root)
    # What tools list need not be what they know the type of: both are asked.
    hidden = names - set(runtime["listed"])
    untyped, accepts_all = unseen_by_mypy(checkout, names)
    return {
        "public": len(names),
        "unseen": len(hidden | untyped),
        "not_in_dir": sorted(hidden),
        "unknown_to_mypy": sorted(untyped),
        "mypy_accepts_any_name": accepts_all,
        "documented": sorted(documented),
    }
