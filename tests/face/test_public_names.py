"""`import isotau` is quick, and every public name is seen by people and by tools."""

import ast
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import isotau
from isotau.convert.to_lif.convert_rate import convert_rate

ROOT = Path(__file__).resolve().parents[2]
STUB = ROOT / "src/isotau/__init__.pyi"
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
UNREAD = """
[[tool.mypy.overrides]]
module = [
  "PIL.*", "google.*", "matplotlib.*", "ml_dtypes.*", "numba.*", "onnx.*", "rich.*",
  "sympy.*", "torch.*",
]
follow_imports = "skip"
[[tool.mypy.overrides]]
module = ["isotau.*"]
ignore_errors = true
"""
FAR = 3
"""Folders down from `isotau` from which no example imports."""


def blocks(page: Path) -> list[str]:
    """Return the Python of a page, or of an example whole."""
    text = page.read_text()
    if page.suffix == ".py":
        return [text]
    return [
        textwrap.dedent(block)
        for block in re.findall(
            r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE
        )
    ]


def used_names(code: str) -> set[str]:
    """Return which names of `isotau` itself a piece of code uses."""
    tree = ast.parse(code)
    attributes = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "isotau"
    }
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "isotau"
        for alias in node.names
    }
    return attributes | imported


def test_every_public_name_is_there():
    for name in dir(isotau):
        assert getattr(isotau, name) is not None, name


def test_dir_lists_what_the_stub_says():
    tree = ast.parse(STUB.read_text())
    names = [
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert sorted(dir(isotau)) == sorted([*names, "__version__"])
    assert sorted(isotau.__all__) == sorted(dir(isotau))
    assert len(names) == len(set(names))


def test_what_pages_and_examples_use_is_public():
    used = {
        name
        for page in (*PAGES, *EXAMPLES)
        for b in blocks(page)
        for name in used_names(b)
    }
    assert used <= set(dir(isotau))
    assert len(used) >= 20


def test_examples_do_not_reach_far_down():
    for page in (*PAGES, *EXAMPLES):
        for code in blocks(page):
            for node in ast.walk(ast.parse(code)):
                if isinstance(node, ast.ImportFrom) and node.module:
                    depth = node.module.count(".")
                    mine = node.module.split(".")[0] == "isotau"
                    assert not mine or depth < FAR, f"{page.name}: {node.module}"


@pytest.mark.slow
def test_type_checkers_see_every_name(tmp_path):
    """No name is Any to mypy, and one that is not there is an error."""
    lines = ["import isotau", *(f"reveal_type(isotau.{name})" for name in dir(isotau))]
    script, config = tmp_path / "names.py", tmp_path / "pyproject.toml"
    script.write_text("\n".join([*lines, "isotau.no_such"]) + "\n")
    settings = (ROOT / "pyproject.toml").read_text()
    # A kind of record or function is known without what other libraries' sources
    # say, and without what functions do inside, which mypy leaves unread where it is to
    # ignore errors; `make lint` reads both.
    config.write_text(settings.replace("$MYPY_CONFIG_FILE_DIR", str(ROOT)) + UNREAD)
    command = [sys.executable, "-m", "mypy", "--config-file", str(config)]
    done = subprocess.run(
        [*command, "--cache-dir", str(tmp_path / "cache"), str(script)],
        capture_output=True, text=True, cwd=ROOT, timeout=300,
    )  # fmt: skip
    revealed = re.findall(r'Revealed type is "(.*)"', done.stdout)
    assert len(revealed) == len(dir(isotau)), done.stdout
    assert "Any" not in revealed
    assert re.findall(r"names\.py.*error: (.*)", done.stdout) == [
        'Module has no attribute "no_such"  [attr-defined]'
    ]


def test_the_conversion_is_not_hidden_by_the_folder_of_its_name():
    assert isotau.convert_rate is convert_rate


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="No isotau attribute rnn"):
        isotau.rnn  # noqa: B018


def test_heavy_libraries_wait():
    command = "import sys, isotau; print(sorted({'torch', 'scipy'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
