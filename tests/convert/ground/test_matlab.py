"""Any variable of a `.mat` file; heaps of HDF5: whole ones pass, endless ones do not.

What a network needs is tested with its reader.
"""

import contextlib
import struct

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from isotau.convert.ground import matlab
from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.matlab import check_heaps, read_structs, read_variables
from isotau.convert.read.read_spikernn import ALL, read_spikernn_variables


@pytest.mark.parametrize("compressed", [False, True])
def test_what_is_asked_for_comes_as_scipy_wrote_it(tmp_path, compressed):
    rng = np.random.default_rng(0)
    wrote = {
        "x": rng.standard_normal((7, 3, 1)).astype(np.float32),
        "all_perfs": rng.random((1, 12)),
        "scaling_factors": np.arange(20, 80, 5, dtype=np.uint8)[None],
        "activation": "sigmoid",
        "other": np.ones((50, 50)),
    }
    path = tmp_path / "net.mat"
    savemat(path, wrote, do_compression=compressed)
    found = read_spikernn_variables(path)
    assert set(found) == set(wrote) - {"other"}
    assert found.pop("activation") == "sigmoid"
    for name, array in found.items():
        assert array.dtype == wrote[name].dtype
        np.testing.assert_array_equal(array, wrote[name])


def test_version_7_3_has_its_axes_turned(tmp_path):
    path = tmp_path / "net.mat"
    array = np.arange(6.0).reshape(2, 3)
    with h5py.File(path, "w") as file:
        file["u"] = array.T
    np.testing.assert_array_equal(read_variables(path, ["u", "o"])["u"], array)


def test_every_key_of_the_format_is_known():
    format_ = """w m som_m w_in w_out b_out taus_gaus taus N som_N tr exc inh activation
    x r o u target w0 w_in0 taus_gaus0 x0 r0 losses eval_perf_mean eval_loss_mean
    eval_os eval_labels opt_scaling_factor all_perfs scaling_factors"""
    assert sorted(ALL) == sorted(format_.split())


def test_a_file_beyond_the_limit_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "net.mat"
    savemat(path, {"w": np.eye(3)})
    monkeypatch.setattr(matlab, "MAX_FILE", 100)
    with pytest.raises(UnreadableFile, match="it has more than 100 bytes"):
        read_variables(path, ["w"])


def struct_array(elements, fields):
    array = np.zeros((1, len(elements)), dtype=[(name, object) for name in fields])
    for k, element in enumerate(elements):
        for name in fields:
            array[0, k][name] = element[name]
    return array


TRIALS = [
    [
        {"TS": np.arange(j + i + 1.0), "on": float(j), "note": "abc", "skip": 1j}
        for j in range(3 - i)
    ]
    for i in range(3)
]


def write_structs_v5(path, *, compressed=False):
    trials = [struct_array(each, ("TS", "on", "note", "skip")) for each in TRIALS]
    trials[2][0, 0]["on"] = np.zeros((0, 0))
    classes = struct_array([{"ntr": each} for each in trials], ("ntr",))
    data = {"class": classes, "cell": np.array([[1, "a"]], dtype=object)}
    savemat(path, {"other": np.eye(2), "D": data}, do_compression=compressed)


def write_structs_v7(path):
    """Write the same as MATLAB 7.3: references to each field of each element."""
    with h5py.File(path, "w", userblock_size=512) as file:
        kept = file.create_group("#refs#")

        def value(place, name, data):
            if isinstance(data, list) and len(data) == 1:
                group = place.create_group(name)
                for field, inner in data[0].items():
                    value(group, field, inner)
                return group
            if isinstance(data, list):
                group = place.create_group(name)
                for field in data[0]:
                    refs = group.create_dataset(field, (len(data), 1), h5py.ref_dtype)
                    for k, element in enumerate(data):
                        made = value(kept, f"r{len(kept)}", element[field])
                        refs[k, 0] = made.ref
                return group
            kind, array = "double", np.atleast_2d(data).T
            if isinstance(data, str):
                kind, array = "char", np.array([[ord(c)] for c in data], dtype="u2")
            empty = array.size == 0
            made = place.create_dataset(
                name, data=np.zeros(2, dtype="u8") if empty else array
            )
            made.attrs["MATLAB_class"] = np.bytes_(kind)
            if empty:
                made.attrs["MATLAB_empty"] = np.uint8(1)
            return made

        classes = [{"ntr": [dict(trial) for trial in trials]} for trials in TRIALS]
        classes[2]["ntr"][0]["on"] = np.zeros((0, 0))
        value(file, "D", [{"class": classes}])
        value(file, "other", np.eye(2))


WRITERS = {
    "v5": write_structs_v5,
    "v5-compressed": lambda path: write_structs_v5(path, compressed=True),
    "v7.3": write_structs_v7,
}


@pytest.fixture(params=WRITERS)
def structs(request, tmp_path):
    path = tmp_path / "structs.mat"
    WRITERS[request.param](path)
    return path


def test_structs_come_as_lists_of_their_elements(structs):
    (found,) = read_structs(structs, "D", ("class", "ntr", "TS", "on", "note"))
    assert [len(each["ntr"]) for each in found["class"]] == [3, 2, 1]
    for i, each in enumerate(found["class"]):
        for j, trial in enumerate(each["ntr"]):
            assert set(trial) == {"TS", "on", "note"}
            assert trial["TS"].ravel().tolist() == TRIALS[i][j]["TS"].tolist()
            assert trial["TS"].shape == (1, i + j + 1)
            assert trial["note"] == "abc"
            assert trial["on"].ravel().tolist() == ([] if i == 2 else [j])


def test_fields_that_are_not_wanted_are_not_read(structs):
    (found,) = read_structs(structs, "D", ("class", "ntr", "absent"))
    assert found["class"][1]["ntr"][0] == {}


def test_a_variable_that_is_not_there_is_none(structs):
    assert read_structs(structs, "E", ("class",)) is None


def test_what_is_no_struct_is_named(structs):
    with pytest.raises(UnreadableFile, match="other: got an array, need a struct arr"):
        read_structs(structs, "other", ("class",))
    with pytest.raises(UnreadableFile, match="skip is no real array and no text"):
        read_structs(structs, "D", ("class", "ntr", "skip"))
    with pytest.raises(UnreadableFile, match="D is no real array and no text"):
        read_variables(structs, ["D"])


def test_structs_beyond_the_limits_are_not_read(structs, monkeypatch):
    fields = ("class", "ntr", "TS")
    monkeypatch.setattr(matlab, "MAX_DEPTH", 1)
    with pytest.raises(UnreadableFile, match=r"is beyond \d+ parts, 1 levels"):
        read_structs(structs, "D", fields)
    monkeypatch.undo()
    monkeypatch.setattr(matlab, "MAX_PARTS", 9)
    with pytest.raises(UnreadableFile, match=r"is beyond 9 parts, 8 levels"):
        read_structs(structs, "D", fields)
    monkeypatch.undo()
    monkeypatch.setattr(matlab, "MAX_ELEMENTS", 15)
    with pytest.raises(UnreadableFile, match=r"claims shape .*, beyond 15 elements"):
        read_structs(structs, "D", fields)


def test_all_variables_together_have_a_limit(tmp_path, monkeypatch):
    savemat(tmp_path / "a.mat", {"u": np.eye(3), "o": np.eye(3)})
    monkeypatch.setattr(matlab, "MAX_ELEMENTS", 17)
    assert read_variables(tmp_path / "a.mat", ["u"])["u"].size == 9
    with pytest.raises(UnreadableFile, match=r"o claims shape \(3, 3\), beyond 17"):
        read_variables(tmp_path / "a.mat", ["u", "o"])


def test_few_elements_may_not_come_in_a_huge_chunk(tmp_path):
    """HDF5 unpacks a chunk as a whole."""
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file.create_dataset("u", (3,), "f8", chunks=(1 << 26,), maxshape=(None,))
    with pytest.raises(UnreadableFile, match=r"u has chunks of shape \(67108864,\)"):
        read_variables(tmp_path / "a.mat", ["u"])


def test_a_compressed_struct_may_not_claim_more_than_the_limit(tmp_path, monkeypatch):
    write_structs_v5(tmp_path / "a.mat", compressed=True)
    monkeypatch.setattr(matlab, "MAX_CONTENT", 100)
    with pytest.raises(UnreadableFile, match=r"D claims \d+ bytes"):
        read_structs(tmp_path / "a.mat", "D", ("class",))


def test_a_struct_that_ends_early_is_named(tmp_path):
    path = tmp_path / "a.mat"
    savemat(path, {"D": struct_array([{"a": 1.0}, {"a": 2.0}], ("a",))})
    data = bytearray(path.read_bytes())
    at = data.index(struct.pack("<2i", 1, 2))  # the shape: 1 × 2
    data[at : at + 8] = struct.pack("<2i", 1, 3)
    path.write_bytes(data)
    with pytest.raises(UnreadableFile, match=r"it ends before D\(3\).a"):
        read_structs(path, "D", ("a",))


def test_columns_of_a_struct_array_are_equally_long(tmp_path):
    path = tmp_path / "a.mat"
    with h5py.File(path, "w") as file:
        target = file.create_dataset("t", data=np.eye(1))
        for name, count in (("a", 2), ("b", 3)):
            refs = file.create_dataset(f"D/{name}", (count, 1), h5py.ref_dtype)
            refs[:, 0] = [target.ref] * count
    with pytest.raises(UnreadableFile, match="D has fields of different lengths"):
        read_structs(path, "D", ("a", "b"))


def test_an_attribute_of_another_type_is_not_read(tmp_path):
    path = tmp_path / "a.mat"
    with h5py.File(path, "w") as file:
        file["u"] = np.eye(2)
        file["u"].attrs["MATLAB_class"] = 1.5
    with pytest.raises(UnreadableFile, match="MATLAB_class is neither text nor a num"):
        read_variables(path, ["u"])


@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_structs_are_unreadable_or_read(tmp_path, compressed):
    """No other error, whatever byte is changed."""
    path = tmp_path / "structs.mat"
    write_structs_v5(path, compressed=compressed)
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(400):
        changed = bytearray(data)
        for at in rng.integers(len(data), size=rng.integers(1, 9)):
            changed[at] = rng.integers(256)
        path.write_bytes(changed[: rng.integers(len(data) // 2, 2 * len(data))])
        with contextlib.suppress(UnreadableFile):
            read_structs(path, "D", ("class", "ntr", "TS", "on"))


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
    monkeypatch.setattr(matlab, "MAX_SCAN", 63)
    check_heaps(path)
