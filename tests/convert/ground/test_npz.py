"""What only `read_npz` refuses; its callers' tests have the rest."""

import io
import struct
import zipfile

import numpy as np
import pytest

from isotau.convert.ground import npz as module
from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.npz import read_npz, write_npz

GIB = 1 << 30


def npy(value):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(value))
    return stream.getvalue()


def headed(text):
    """Return an array's file with this header and 64 bytes."""
    head = text.encode("latin1").ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + bytes(64)


def write(path, members, kind=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def test_numbers_and_text_come_as_numpy_wrote_them(tmp_path):
    wrote = {
        "a": np.arange(6.0).reshape(2, 3).T,
        "b": np.array("text"),
        "c": np.zeros((0, 4), ">i2"),
        "d": np.array([1 + 2j]),
        "e": np.array([b"x", b"yz"]),
        "f": np.array([True, False]),
    }
    np.savez_compressed(tmp_path / "a.npz", **wrote)
    found = read_npz(tmp_path / "a.npz", max_bytes=1000)
    assert set(found) == set(wrote)
    for name, array in found.items():
        assert array.dtype == wrote[name].dtype
        np.testing.assert_array_equal(array, wrote[name])


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3L,)}" + "(" * 9,
        "{'descr': '<f8', 'fortran_order': False, 'shape': " + "-" * 50 + "'1'}",
        "{'descr': '\\d', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-3,)}",
        "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '|V0', 'fortran_order': False, 'shape': (1099511627776,)}",
        "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (3,)}",
        "{'descr': ('<f8', (2,)), 'fortran_order': False, 'shape': (3,)}",
        "'\\d'\n  1",
    ],
)
def test_damaged_headers_are_refused_without_a_warning(header, tmp_path):
    path = write(tmp_path / "a.npz", [("a.npy", headed(header))])
    with pytest.raises(UnreadableFile, match=r"a\.npz: not a readable \.npz file"):
        read_npz(path, max_bytes=GIB)


def test_a_header_of_python_2_is_read(tmp_path):
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (8L,)}"
    path = write(tmp_path / "a.npz", [("a.npy", headed(header))])
    assert read_npz(path, max_bytes=GIB)["a"].tolist() == [0.0] * 8


def test_a_header_that_claims_less_than_it_holds(tmp_path):
    """Or the sum of what is left would never be looked at."""
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (7,)}"
    path = write(tmp_path / "a.npz", [("a.npy", headed(header))])
    with pytest.raises(UnreadableFile, match="a holds more than it claims"):
        read_npz(path, max_bytes=GIB)


def test_a_name_may_come_once(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        path = write(tmp_path / "a.npz", [("a.npy", npy(1.0)), ("a.npy", npy(2.0))])
    with pytest.raises(UnreadableFile, match="got a twice, need it once"):
        read_npz(path, max_bytes=GIB)


def test_other_ways_of_packing_are_refused(tmp_path):
    path = write(tmp_path / "a.npz", [("a.npy", npy(1.0))], zipfile.ZIP_LZMA)
    with pytest.raises(UnreadableFile, match="a is packed otherwise than by DEFLATE"):
        read_npz(path, max_bytes=GIB)


def test_very_many_members_are_refused(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", a=1, b=2, c=3)
    monkeypatch.setattr(module, "MAX_MEMBERS", 2)
    with pytest.raises(UnreadableFile, match="it has more than 2 members"):
        read_npz(tmp_path / "a.npz", max_bytes=GIB)


def test_large_arrays_may_not_come_from_next_to_nothing(tmp_path, monkeypatch):
    """Numbers count eight bytes each, as which they are used; packed spikes one."""
    monkeypatch.setattr(module, "MUCH", 80_000)
    for name, size, kept in (("a", 10_001, False), ("a", 10_000, True)):
        np.savez_compressed(tmp_path / "a.npz", **{name: np.zeros(size, np.uint8)})
        if kept:
            read_npz(tmp_path / "a.npz", max_bytes=GIB)
            continue
        with pytest.raises(UnreadableFile, match="got arrays of 80008 bytes in a file"):
            read_npz(tmp_path / "a.npz", max_bytes=GIB)
    np.savez_compressed(tmp_path / "a.npz", bits=np.zeros(80_000, np.uint8))
    assert read_npz(tmp_path / "a.npz", max_bytes=GIB)["bits"].size == 80_000
    np.savez(tmp_path / "a.npz", a=np.zeros(10_001, np.uint8))  # uncompressed
    assert read_npz(tmp_path / "a.npz", max_bytes=GIB)["a"].size == 10_001


def test_an_array_may_have_so_many_elements(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.zeros(9))
    with pytest.raises(UnreadableFile, match=r"a: claims shape \(9,\), need at most 8"):
        read_npz(tmp_path / "a.npz", max_bytes=GIB, max_elements=8)


def test_what_is_written_is_what_numpy_reads(tmp_path):
    wrote = {"a": np.arange(12.0).reshape(3, 4), "bits": np.zeros((0, 2, 1), np.uint8)}
    for name in ("one.npz", "two.npz"):
        with (tmp_path / name).open("wb") as stream:
            write_npz(stream, wrote)
    with np.load(tmp_path / "one.npz", allow_pickle=False) as arrays:
        assert list(arrays) == ["a", "bits"]
        for name, values in wrote.items():
            np.testing.assert_array_equal(arrays[name], values)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.npz") as archive:
        assert {i.compress_type for i in archive.infolist()} == {zipfile.ZIP_DEFLATED}
