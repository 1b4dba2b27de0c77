"""Files that appear whole, and tables that keep every digit."""

import csv
import json

import pytest

from isotau.convert.ground.files import atomic, write_table


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "file.bin"
    with pytest.raises(RuntimeError, match="half"), atomic(path) as stream:
        stream.write(b"part")
        raise RuntimeError("half")
    assert list(path.parent.iterdir()) == []
    with atomic(path) as stream:
        stream.write(b"all")
    assert path.read_bytes() == b"all" and list(path.parent.iterdir()) == [path]


def test_a_table_keeps_its_settings_and_every_digit(tmp_path):
    rows = [(0, "a, b", 0.1 + 0.2), (1, "c", float("nan"))]
    path = write_table(tmp_path / "t.csv", {"width": 0.05}, ("k", "name", "x"), rows)
    assert b"\r" not in path.read_bytes()
    head, *lines = path.read_text().splitlines()
    assert json.loads(head.removeprefix("# ")) == {"width": 0.05}
    table = list(csv.reader(lines))
    assert table[0] == ["k", "name", "x"] and table[1] == ["0", "a, b", repr(0.1 + 0.2)]
    assert table[2][2] == "nan"
