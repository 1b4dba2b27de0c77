"""Files: every record comes back bit for bit, and no damaged file does harm."""

import dataclasses
import io
import json
import os
import re
import stat
import zipfile

import numpy as np
import pytest

from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.ground import files, npz
from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.records import storage
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes
from isotau.convert.records.trials import Trials

RNG = np.random.default_rng(5)
N = 3
M = RNG.normal(size=(N, 2))


def block(source, columns, mode):
    sign = {SignMode.MIXED: 1, SignMode.EXCITATORY: 2, SignMode.INHIBITORY: -2}[mode]
    return WeightBlock(
        source=source,
        pre=np.arange(columns, dtype=np.int32),
        weights=(2 * sign * np.ones((N, columns))).astype(np.int16),
        weight_exp=-2,
        num_weight_bits=8,
        sign_mode=mode,
    )


RECORDS = {
    "RateRNN": RateRNN(
        w_rec=M @ np.array([[1.0, 0.0], [2.0, 0.5], [0.0, 1.0]]).T / N,
        w_in=RNG.normal(size=(N, 2)),
        w_out=RNG.normal(size=(1, N)),
        bias=np.array([-0.0, 5e-324, 1e308]),
        b_out=np.array([1 / 3]),
        tau=np.array([0.02, 0.05, 0.1]),
        dale=np.zeros(N, dtype=np.int8),
        activation="softplus",
        noise_std=0.1,
        dt=0.005,
        ceiling=20.0,
        x0=np.array([0.1, -0.0, -3.0]),
        x0_std=0.0,
        readout_bias=np.array([1 / 7, 0.0, 1.0]),
        m_vectors=M,
        n_vectors=np.array([[1.0, 0.0], [2.0, 0.5], [0.0, 1.0]]),
    ),
    "LIFNetwork": LIFNetwork(
        w_in=RNG.normal(size=(N, 1)),
        w_rec=RNG.normal(size=(N, N)),
        w_out=RNG.normal(size=(2, N)),
        b_out=np.zeros(2),
        tau_syn=np.full(N, 0.03),
        tau_mem=np.full(N, 0.01),
        v_th=np.full(N, -0.04),
        v_leak=np.full(N, -0.04),
        v_reset=np.full(N, -0.065),
        refractory=np.full(N, 0.002),
        noise_std=0.001,
        dt=0.001,
        i0=np.array([0.001, -0.002, 0.0]),
        v0=np.array([-0.05, -0.06, -0.07]),
        f0=np.array([12.0, 0.0, 1 / 3]),
    ),
    "FixedPointNetwork": FixedPointNetwork(
        blocks=(
            block("input", 1, SignMode.EXCITATORY),
            block("recurrent", 2, SignMode.INHIBITORY),
            block("recurrent", 3, SignMode.MIXED),
        ),
        n_in=1,
        du=np.array([1, 2, 4095], dtype=np.uint16),
        dv=np.array([0, 2, 4095], dtype=np.uint16),
        vth=np.full(N, 512, dtype=np.int32),
        bias_mant=np.array([-4096, 0, 4095], dtype=np.int16),
        bias_exp=np.array([-16, 0, 7], dtype=np.int8),
        refractory=np.array([0, 2, 63], dtype=np.uint8),
        noise_exp=None,
        state_scale=1e7 / 3,
        v_reset=np.full(N, -0.065),
        input_scale=100.0,
        dt=0.001,
        w_out=RNG.normal(size=(1, N)),
        b_out=np.zeros(1),
        tau_out=np.full(N, 0.02),
        made_from="ab",
        u0=np.array([1 - 2**23, 0, 2**23 - 1], dtype=np.int32),
        v0=np.array([0, -1, 5], dtype=np.int32),
        f0=np.array([12.0, 0.0, 1 / 3]),
    ),
    "Trials": Trials(
        inputs=RNG.normal(size=(4, 2, 1)),
        targets=RNG.normal(size=(4, 2, 1)),
        mask=RNG.random((4, 2)) < 0.5,
        labels=np.array([-7, 7]),
        dt=0.005,
        task="go-nogo",
    ),
    "Spikes": Spikes(
        bits=RNG.integers(0, 2**N, (6, 2, 1)).astype(np.uint8),
        n=N,
        dt=0.001,
        engine="recorded",
        network="µ",
    ),
}
SPIKES = RECORDS["Spikes"]
HEADER = {
    "format": 1,
    "kind": "Spikes",
    "fields": {"n": 3, "dt": 0.001, "engine": "recorded", "network": ""},
}


def alike(a, b):
    """Compare two records field by field, bit by bit."""
    assert type(a) is type(b)
    for field in dataclasses.fields(a):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if isinstance(x, np.ndarray):
            assert (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes())
        elif field.name == "blocks":
            for one, other in zip(x, y, strict=True):
                alike(one, other)
        else:
            assert type(x) is type(y)
            assert x == y


def write(path, header, **arrays):
    np.savez(path, isotau=np.array(json.dumps(header)), **arrays)
    return path


@pytest.mark.parametrize("kind", RECORDS)
def test_round_trip(kind, tmp_path):
    record = RECORDS[kind]
    path = storage.save(record, tmp_path / "deep" / "record.npz")
    back = storage.load(path, type(record))
    alike(record, back)
    assert storage.same(record, back)


@pytest.mark.parametrize("kind", RECORDS)
def test_a_file_holds_the_fields_and_one_header(kind, tmp_path):
    storage.save(RECORDS[kind], tmp_path / "record.npz")
    with np.load(tmp_path / "record.npz", allow_pickle=False) as file:
        names = {name.split(".")[0] for name in file.files} - {"isotau"}
        header = json.loads(str(file["isotau"]))
    fields = {field.name for field in dataclasses.fields(RECORDS[kind])}
    assert names | set(header["fields"]) == fields
    assert header["kind"] == kind


def test_same_tells_blocks_and_signed_zeros_apart():
    net, rate = RECORDS["FixedPointNetwork"], RECORDS["RateRNN"]
    assert not storage.same(net, dataclasses.replace(net, blocks=net.blocks[::-1]))
    assert not storage.same(rate, dataclasses.replace(rate, bias=np.abs(rate.bias)))
    assert not storage.same(net, rate)


def test_wrong_kind(tmp_path):
    path = storage.save(SPIKES, tmp_path / "a.npz")
    with pytest.raises(UnreadableFile, match=r"a\.npz: got a Spikes, need a RateRNN"):
        storage.load(path, RateRNN)


def test_other_format(tmp_path):
    path = write(tmp_path / "a.npz", HEADER | {"format": 3}, bits=SPIKES.bits)
    with pytest.raises(UnreadableFile, match="got format 3, need 1 or 2; update"):
        storage.load(path, Spikes)


@pytest.mark.parametrize("name", ["bits", "n", "dt", "engine"])
def test_missing_field(name, tmp_path):
    fields = {k: v for k, v in HEADER["fields"].items() if k != name}
    arrays = {} if name == "bits" else {"bits": SPIKES.bits}
    path = write(tmp_path / "a.npz", HEADER | {"fields": fields}, **arrays)
    with pytest.raises(UnreadableFile, match=f"field {name} of Spikes is missing"):
        storage.load(path, Spikes)


def test_a_field_with_a_default_may_be_missing(tmp_path):
    fields = {k: v for k, v in HEADER["fields"].items() if k != "network"}
    path = write(tmp_path / "a.npz", HEADER | {"fields": fields}, bits=SPIKES.bits)
    assert storage.load(path, Spikes).network == ""


NEWER = {
    "RateRNN": ("x0", "readout_bias", "m_vectors", "n_vectors"),
    "LIFNetwork": ("i0", "v0", "f0"),
    "FixedPointNetwork": ("u0", "v0", "f0"),
}
"""Arrays that files of the first releases lack."""


def write_old(kind, path, **changed):
    """Write a record as it was written before it had a start state and factors."""
    record, arrays, plain = RECORDS[kind], {}, {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if field.name in (*NEWER[kind], "ceiling", "x0_std"):
            continue
        if field.name == "blocks":
            plain["blocks"] = []
            for k, one in enumerate(value):
                arrays |= {
                    f"blocks.{k}.pre": one.pre,
                    f"blocks.{k}.weights": one.weights,
                }
                names = ("source", "weight_exp", "num_weight_bits", "sign_mode")
                plain["blocks"].append({name: getattr(one, name) for name in names})
        elif isinstance(value, np.ndarray):
            arrays[field.name] = value
        else:
            plain[field.name] = value
    header = {"format": 1, "kind": kind, "fields": plain | changed}
    return write(path, header, **arrays)


@pytest.mark.parametrize("kind", NEWER)
def test_files_without_the_newer_fields_still_load(kind, tmp_path):
    old = storage.load(write_old(kind, tmp_path / "a.npz"), type(RECORDS[kind]))
    usual = {name: np.zeros(0) for name in NEWER[kind]}
    if kind == "RateRNN":
        usual |= {"x0_std": 0.01}
    alike(old, dataclasses.replace(RECORDS[kind], **usual))


@pytest.mark.parametrize(
    ("activation", "ceiling"), [("relu", 20), ("softplus", 20), ("sigmoid", None)]
)
def test_old_files_of_clipped_activations_stay_clipped(activation, ceiling, tmp_path):
    """Before there was a ceiling, relu and softplus had one of 20."""
    path = write_old("RateRNN", tmp_path / "a.npz", activation=activation)
    assert storage.load(path, RateRNN).ceiling == ceiling
    path = write_old("RateRNN", path, activation=activation, ceiling=None)
    assert storage.load(path, RateRNN).ceiling is None


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ([1], "its isotau header is damaged"),
        ({"format": 1}, "its isotau header is damaged"),
        (HEADER | {"fields": [1]}, "got [1], need the fields by name"),
        (HEADER | {"fields": {**HEADER["fields"], "n": "x"}}, "n: got dtype"),
        (HEADER | {"fields": {**HEADER["fields"], "n": 1}}, "got spikes beyond neuron"),
    ],
)
def test_damaged_header(header, text, tmp_path):
    path = write(tmp_path / "a.npz", header, bits=np.full((1, 1, 1), 6, np.uint8))
    with pytest.raises(UnreadableFile, match=re.escape(text)):
        storage.load(path, Spikes)


def test_damaged_blocks(tmp_path):
    header = {"format": 1, "kind": "FixedPointNetwork", "fields": {"blocks": [3]}}
    with pytest.raises(UnreadableFile, match="got 3, need the fields by name"):
        storage.load(write(tmp_path / "a.npz", header), FixedPointNetwork)


def test_header_that_is_no_json(tmp_path):
    np.savez(tmp_path / "a.npz", isotau=np.array("{"))
    with pytest.raises(UnreadableFile, match="its isotau header is damaged"):
        storage.load(tmp_path / "a.npz", Spikes)


def test_header_that_nests_too_deep(tmp_path):
    np.savez(tmp_path / "a.npz", isotau=np.array("[" * 100_000))
    with pytest.raises(UnreadableFile, match="its isotau header is damaged"):
        storage.load(tmp_path / "a.npz", Spikes)


def test_header_that_is_too_large_to_be_one(tmp_path, monkeypatch):
    storage.save(SPIKES, tmp_path / "a.npz")
    monkeypatch.setattr(storage, "MAX_HEADER", 100)
    for read in (storage.kind_of, lambda path: storage.load(path, Spikes)):
        with pytest.raises(UnreadableFile, match=r"a\.npz: got an isotau header of"):
            read(tmp_path / "a.npz")


def test_no_header(tmp_path):
    np.savez(tmp_path / "a.npz", bits=SPIKES.bits)
    with pytest.raises(UnreadableFile, match=r"got an \.npz without an isotau header"):
        storage.load(tmp_path / "a.npz", Spikes)


def test_no_file_no_zip_no_npy(tmp_path):
    with pytest.raises(UnreadableFile, match=r"none\.npz: no such file"):
        storage.load(tmp_path / "none.npz", Spikes)
    with pytest.raises(UnreadableFile, match=r"not a readable \.npz file"):
        storage.load(tmp_path, Spikes)
    (tmp_path / "a.npz").write_text("text")
    with pytest.raises(UnreadableFile, match=r"not a readable \.npz file"):
        storage.load(tmp_path / "a.npz", Spikes)
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("isotau.npy", "text")
    with pytest.raises(UnreadableFile, match=r"not a readable \.npz file"):
        storage.load(tmp_path / "b.npz", Spikes)


def test_truncated_anywhere(tmp_path):
    whole = storage.save(SPIKES, tmp_path / "a.npz").read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / "a.npz").write_bytes(whole[:length])
        with pytest.raises(UnreadableFile):
            storage.load(tmp_path / "a.npz", Spikes)


def test_a_damaged_byte_is_harmless(tmp_path):
    """A changed byte gives the same record (it was unused) or an UnreadableFile."""
    path = storage.save(SPIKES, tmp_path / "a.npz")
    whole = path.read_bytes()
    for k in range(0, len(whole), 3):
        path.write_bytes(whole[:k] + bytes([whole[k] ^ 0xFF]) + whole[k + 1 :])
        try:
            alike(storage.load(path, Spikes), SPIKES)
        except UnreadableFile:
            continue


def npy(shape, descr, content=b""):
    """Return an .npy member with a header that claims any shape."""
    stream = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + content


def test_a_header_that_claims_more_than_it_holds(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("bits.npy", npy((1 << 40,), "|u1", b"abc"))
    with pytest.raises(UnreadableFile, match=r"bits\.npy claims 1099511627776 bytes"):
        storage.load(tmp_path / "a.npz", Spikes)


def test_too_much_data(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(1000, np.uint8), b=np.zeros(1))
    with pytest.raises(
        UnreadableFile, match="got arrays of 1008 bytes or more, need at"
    ):
        npz.read_npz(tmp_path / "a.npz", max_bytes=1007)
    assert set(npz.read_npz(tmp_path / "a.npz", max_bytes=1008)) == {"a", "b"}


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_pickles_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    objects = np.array([Bomb()] * 20, dtype=object)
    np.savez("a.npz", isotau=np.array(json.dumps(HEADER)), bits=objects)
    with pytest.raises(UnreadableFile, match="bits: got an array of Python objects"):
        storage.load("a.npz", Spikes)
    assert not (tmp_path / "exploded").exists()


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path):
    path = files.write_text(tmp_path / "a.txt", "old")
    with pytest.raises(KeyboardInterrupt), files.atomic(path) as stream:
        stream.write(b"half of the ne")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_nothing_is_seen_before_all_is_written(tmp_path):
    with files.atomic(tmp_path / "a.txt") as stream:
        stream.write(b"new")
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_bytes() == b"new"


def test_a_target_that_cannot_be_replaced(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match="a"):
        files.write_text(tmp_path / "a", "text")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_files_get_the_usual_permissions(tmp_path):
    (tmp_path / "plain").touch()
    path = files.write_text(tmp_path / "µ.txt", "µ ± 1")
    assert path.read_bytes() == "µ ± 1".encode()
    mode = stat.S_IMODE(path.stat().st_mode)
    assert mode == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@pytest.mark.parametrize("kind", RECORDS)
def test_a_file_says_itself_which_record_it_holds(tmp_path, kind):
    path = storage.save(RECORDS[kind], tmp_path / "record.npz")
    record = storage.load(path)
    assert type(record).__name__ == kind
    assert storage.same(record, RECORDS[kind])


@pytest.mark.parametrize("kind", ["Timescales", ["RateRNN"], None])
def test_other_records_are_refused_by_name(tmp_path, kind):
    header = json.dumps({"format": storage.FORMAT, "kind": kind, "fields": {}})
    np.savez(tmp_path / "a.npz", isotau=np.array(header))
    with pytest.raises(UnreadableFile, match=r"got a .*, need one of RateRNN, LIFNet"):
        storage.load(tmp_path / "a.npz")
