import pytest

from isotau.convert.ground.errors import UnreadableFile
from isotau.targets.nir_graph.operations import (
    CannotImport,
    error,
    info,
    refuse,
    unreadable,
    warning,
)

FOUND = [error("a", "b", "c"), warning("d", "e", "f"), info("g", "h", "i")]


def test_only_errors_are_raised_and_all_findings_kept():
    refuse("x.nir", FOUND[1:])
    with pytest.raises(CannotImport, match=r"^x\.nir: cannot import: a: b; c$") as got:
        refuse("x.nir", FOUND)
    assert got.value.findings == tuple(FOUND) and not got.value.damaged


def test_damage_is_an_unreadable_file():
    with pytest.raises(UnreadableFile, match=r"^x\.nir: a: b; c \| a: b; c$"):
        unreadable("x.nir", FOUND + FOUND[:1])
