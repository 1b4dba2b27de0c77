import pytest

from isotau.convert.ground.plugins import BrokenPlugin, plugins

GROUP = "isotau.parts"


def test_parts_come_with_their_names(install):
    install("lab_parts", "PART = 3", GROUP, part="lab_parts:PART")
    parts = [(entry.name, part) for entry, part in plugins(GROUP, int)]
    assert parts == [("part", 3)]


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
    install("lab_parts", f"FINE = 7\n{code}", GROUP, broken=entry)
    with pytest.warns(BrokenPlugin, match=f"parts broken of lab-parts: {message}"):
        assert not list(plugins(GROUP, int))
