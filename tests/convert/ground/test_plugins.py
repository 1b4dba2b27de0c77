import sys

import pytest

from isotau.convert.ground.plugins import BrokenPlugin, plugins

GROUP = "isotau.parts"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that puts a package with entry points on the path."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(code, **entries):
        (tmp_path / "lab_parts.py").write_text(code)
        info = tmp_path / "lab_parts-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-parts\n")
        lines = [f"{name} = {value}" for name, value in entries.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines]))

    yield write
    sys.modules.pop("lab_parts", None)


def test_parts_come_with_their_names(install):
    install("PART = 3", part="lab_parts:PART")
    assert list(plugins(GROUP, int)) == [("isotau.parts part of lab-parts", 3)]


def test_without_packages_there_is_nothing():
    assert not list(plugins(GROUP, int))


@pytest.mark.parametrize(
    ("code", "entry", "message"),
    [
        ("1 / 0", "lab_parts:PART", "ZeroDivisionError: division by zero; update or"),
        ("", "lab_parts:PART", "AttributeError: .*PART"),
        ("", "no_such_module:PART", "ModuleNotFoundError: .*no_such_module"),
        ("PART = '3'", "lab_parts:PART", "TypeError: got a str, need a int"),
    ],
)
def test_broken_parts_are_named_and_left_out(install, code, entry, message):
    install(f"FINE = 7\n{code}", broken=entry)
    with pytest.warns(BrokenPlugin, match=f"parts broken of lab-parts: {message}"):
        assert not list(plugins(GROUP, int))
