import struct

import h5py
import numpy as np
import pytest

from isotau.targets.nir_graph.nir_file import Texts

NAMES = ["one", "", "zwei·π", "a longer text than the others" * 9]


def written(path, **given):
    with h5py.File(path, "w", **given) as file:
        data = file.create_dataset("a", data=NAMES, dtype=h5py.string_dtype())
        return data.id.get_offset()


@pytest.mark.parametrize("given", [{}, {"userblock_size": 512}, {"libver": "latest"}])
def test_texts_are_those_that_h5py_wrote(tmp_path, given):
    offset = written(tmp_path / "t.h5", **given)
    with open(tmp_path / "t.h5", "rb") as stream:
        base = given.get("userblock_size", 0)
        assert Texts(stream, base, 1 << 20).read(offset, 4) == NAMES


def spoiled(path, change):
    """Return the error of reading the file after its bytes were changed."""
    offset = written(path)
    data = bytearray(path.read_bytes())
    heap = data.find(b"GCOL")
    change(data, offset, heap)
    path.write_bytes(data)
    with open(path, "rb") as stream, pytest.raises(ValueError) as caught:
        Texts(stream, 0, 1 << 20).read(offset, 4)
    return str(caught.value)


def test_damage_is_told(tmp_path):
    def put(kind, value):
        def change(data, offset, heap):
            places = {"length": (offset, "<I"), "address": (offset + 4, "<Q")}
            places |= {"number": (offset + 12, "<I"), "size": (heap + 8, "<Q")}
            where, code = places[kind]
            struct.pack_into(code, data, where, value)

        return change

    def still(data, offset, heap):
        data[heap + 16 : heap + 32] = bytes(16)

    def text(data, offset, heap):
        data[heap + 32] = 0xFF

    path = tmp_path / "t.h5"
    assert "text of 4294967295 bytes is missing" in spoiled(
        path, put("length", -1 % 2**32)
    )
    assert "got no collection of texts" in spoiled(path, put("address", 8))
    assert "beyond the end" in spoiled(path, put("address", 1 << 40))
    assert "beyond the end" in spoiled(path, put("address", (1 << 64) - 1))
    assert "text of 3 bytes is missing" in spoiled(path, put("number", 77))
    assert "got no collection" in spoiled(path, put("size", 1 << 50))
    assert "beyond the end" in spoiled(path, put("size", 1 << 16))
    assert "has no end" in spoiled(path, still)
    assert "codec can't decode" in spoiled(path, text)


def test_a_chain_of_too_many_objects_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("isotau.targets.nir_graph.nir_file.MAX_HEAP_OBJECTS", 2)
    offset = written(tmp_path / "t.h5")
    with open(tmp_path / "t.h5", "rb") as stream:
        with pytest.raises(ValueError, match="has no end"):
            Texts(stream, 0, 1 << 20).read(offset, 4)


def test_arrays_of_texts(tmp_path):
    with h5py.File(tmp_path / "t.h5", "w") as file:
        pairs = np.array([["a", "b"], ["c", "d"]], dtype=object)
        data = file.create_dataset("a", data=pairs, dtype=h5py.string_dtype())
        offset = data.id.get_offset()
    with open(tmp_path / "t.h5", "rb") as stream:
        assert Texts(stream, 0, 1 << 20).read(offset, 4) == ["a", "b", "c", "d"]
