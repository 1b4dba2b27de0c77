"""Global heaps of HDF5: whole ones pass, endless ones do not."""

import struct

import h5py
import numpy as np
import pytest

from isotau.convert.ground import matlab as module
from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.matlab import check_heaps, read_variables

HEAP = b"GCOL\x01\0\0\0"


@pytest.fixture(params=["earliest", "latest"])
def path(request, tmp_path):
    """Return a file with texts of many lengths in several heaps, some of them freed."""
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "a.mat", "w", libver=request.param) as file:
        for k in range(300):
            file[f"t{k}"] = "x" * int(rng.integers(1, 90))
        for k in range(0, 300, 7):
            del file[f"t{k}"]
        file["u"] = np.eye(2)
    return tmp_path / "a.mat"


def test_whole_files_pass(path):
    assert path.read_bytes().count(HEAP) > 1
    check_heaps(path)
    assert read_variables(path, ["u"])["u"].tolist() == [[1, 0], [0, 1]]


def test_zeros_in_a_heap_are_endless(path):
    whole = bytearray(path.read_bytes())
    start = whole.rindex(HEAP)
    whole[start + 16 : start + 64] = bytes(48)
    path.write_bytes(whole)
    with pytest.raises(ValueError, match=f"its heap at byte {start} is damaged"):
        check_heaps(path)
    with pytest.raises(UnreadableFile, match=rf"a\.mat: .*its heap at byte {start}"):
        read_variables(path, ["u"])


@pytest.mark.parametrize("size", [0, 3, 1 << 40, (1 << 64) - 1])
def test_other_sizes_come_to_an_end(size, path):
    """HDF5 itself refuses them."""
    whole = bytearray(path.read_bytes())
    start = whole.index(HEAP)
    struct.pack_into("<Q", whole, start + 24, size)  # of the first object
    path.write_bytes(whole)
    check_heaps(path)


def test_a_heap_at_the_very_end_and_files_that_are_not_looked_through(
    tmp_path, monkeypatch
):
    path = tmp_path / "a.h5"
    path.write_bytes(b"")
    check_heaps(path)
    path.write_bytes(HEAP)
    check_heaps(path)
    path.write_bytes(HEAP + struct.pack("<Q", 64) + bytes(48))
    with pytest.raises(ValueError, match="its heap at byte 0 is damaged"):
        check_heaps(path)
    monkeypatch.setattr(module, "MAX_SCAN", 63)
    check_heaps(path)
