import pytest

from benchmarks.house.checkout import Checkout
from benchmarks.house.names import (
    documented_names,
    imported_names,
    measure_names,
    unseen_by_mypy,
)

LAZY = """
    from importlib import import_module
    from typing import Any

    from isotau.records import Network as Network

    _LATER = {"convert": "isotau.records", "tune": "isotau.records"}


    def __getattr__(name: str) -> Any:
        return getattr(import_module(_LATER[name]), name)
"""
VISIBLE = """
    from importlib import import_module
    from typing import TYPE_CHECKING

    from isotau.records import Network as Network

    if TYPE_CHECKING:
        from isotau.records import convert as convert
        from isotau.records import tune as tune

    _LATER = {"isotau.records": ("convert", "tune")}

    if not TYPE_CHECKING:

        def __getattr__(name):
            return getattr(import_module("isotau.records"), name)

    def __dir__() -> list[str]:
        return ["Network", "convert", "tune", "_LATER"]
"""
RECORDS = """
    class Network: ...


    def convert(net: Network) -> int:
        return 1


    def tune(net: Network) -> str:
        return ""
"""
PROJECT = '[tool.mypy]\nmypy_path = "$MYPY_CONFIG_FILE_DIR/src"\nstrict = true\n'


def test_names_are_read_from_pages_and_examples(tree):
    root = tree(
        {
            "README.md": "`isotau.run(net)`, isotau.stop. `isotau.sim.tasks` "
            "`isotau.sim`\n`docs/isotau.png` lives in isotau.\n",
            "docs/a.md": "from isotau import one, two as second\nmy_isotau.three()\n",
            "examples/b.py": "from isotau import (\n    four,\n    five,\n)\n"
            "isotau.six.seven\nimport isotau.sim\n",
            "src/isotau/__init__.py": "",
            "src/isotau/sim/__init__.py": "",
            "docs/c.md": "Entry points of the group `isotau.readers`.\n",
            "convert/read.py": 'GROUP = "isotau.readers"\n',
        }
    )
    names = {"run", "stop", "one", "two", "four", "five"}
    assert documented_names(root) == names


def test_names_are_read_from_the_stub_too(tree):
    root = tree(
        {
            "src/isotau/__init__.py": "from isotau.a import b as b\nimport os\n",
            "src/isotau/__init__.pyi": "from isotau.c import d as e, f as _g\n",
        }
    )
    assert imported_names(root) == {"b", "e"}


def measure(tree, init):
    root = tree(
        {
            "pyproject.toml": PROJECT,
            "README.md": "`isotau.convert(net)` and `isotau.absent`\n",
            "src/isotau/__init__.py": init,
            "src/isotau/records.py": RECORDS,
        }
    )
    return measure_names(Checkout(root))


@pytest.mark.slow
def test_names_that_load_later_are_hidden_from_tools(tree):
    measures = measure(tree, LAZY)
    assert measures["public"] == 4
    assert measures["not_in_dir"] == ["absent", "convert", "tune"]
    assert measures["unknown_to_mypy"] == ["absent", "convert", "tune"]
    assert measures["unseen"] == 3
    assert measures["mypy_accepts_any_name"]


@pytest.mark.slow
def test_names_that_are_declared_are_seen(tree):
    measures = measure(tree, VISIBLE)
    assert measures["public"] == 4
    assert measures["not_in_dir"] == measures["unknown_to_mypy"] == ["absent"]
    assert not measures["mypy_accepts_any_name"]


def test_an_interpreter_without_mypy_is_an_error(tree):
    with pytest.raises(RuntimeError, match="mypy: got no verdict on any name"):
        unseen_by_mypy(Checkout(tree({}), "echo"), ["convert"])
