from dataclasses import replace

import numpy as np
import pytest

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.records.rate import ACTIVATIONS, RateRNN
from isotau.convert.records.storage import same

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from onnx import numpy_helper  # noqa: E402

from isotau.convert.read import read_onnx as module  # noqa: E402
from isotau.convert.read.read_onnx import is_own, read_onnx_scan  # noqa: E402
from isotau.targets.onnx_model.rate_to_onnx import rate_step_to_onnx, rate_to_onnx  # noqa: E402

N, N_IN, N_OUT = 8, 3, 2


def network(**changes):
    rng = np.random.default_rng(0)
    fields = {
        "w_rec": np.abs(rng.normal(size=(N, N))) * np.array([1, -1] * 4),
        "w_in": rng.normal(size=(N, N_IN)),
        "w_out": rng.normal(size=(N_OUT, N)),
        "bias": rng.normal(size=N),
        "b_out": rng.normal(size=N_OUT),
        "tau": rng.uniform(0.02, 0.1, N),
        "dale": np.array([1, -1] * 4),
        "activation": "sigmoid",
        "noise_std": 0.1 / 3,
        "dt": 0.005,
        "ceiling": 20 / 3,
        "x0": rng.normal(size=N),
        "x0_std": 0.1 / 7,
        "readout_bias": rng.normal(size=N),
    }
    return RateRNN(**fields | changes)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.onnx"


def write(path, model):
    path.write_bytes(model.SerializeToString())
    return path


def change(model, name, value):
    """Replace a property, or a parameter, or remove it."""
    for kept in (model.metadata_props, model.graph.initializer):
        for k, entry in reversed(list(enumerate(kept))):
            if name == getattr(entry, "key", getattr(entry, "name", "")):
                del kept[k]
    if isinstance(value, np.ndarray):
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    elif value is not None:
        model.metadata_props.add(key=name, value=value)
    return model


@pytest.mark.parametrize("make", [rate_to_onnx, rate_step_to_onnx])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_float64_model_gives_the_record_back(path, make, activation):
    net = network(activation=activation)
    write(path, make(net, dtype="float64"))
    read, said = read_onnx_scan(path)
    assert same(read, net)
    assert said.family == "isotau .onnx"
    assert said.find("record").value == "the record that was written, bit for bit"
    assert said.find("noise").value.startswith("0.0333") and is_own(path)


def test_factors_signs_and_defaults_come_back(path):
    m, n = np.ones((N, 1)), np.random.default_rng(1).normal(size=(N, 1))
    net = network(
        w_rec=m @ n.T / N,
        m_vectors=m,
        n_vectors=n,
        dale=np.zeros(N),
        ceiling=None,
        noise_std=0.0,
    )
    for bias in (np.zeros(N), -np.zeros(N)):
        net = replace(net, readout_bias=bias)
        write(path, rate_to_onnx(net, dtype="float64"))
        assert same(read_onnx_scan(path).net, net)


def test_a_float32_model_is_rounded_and_says_so(path):
    net = network()
    read, said = read_onnx_scan(write(path, rate_to_onnx(net)))
    assert read.w_rec.tolist() == net.w_rec.astype(np.float32).tolist()
    assert read.dt == net.dt and read.noise_std == net.noise_std
    assert "float32" in said.find("record").note


def test_a_changed_model_is_not_the_record(path):
    model = rate_to_onnx(network(), dtype="float64")
    write(path, change(model, "bias", np.zeros(N)))
    read, said = read_onnx_scan(path)
    assert not read.bias.any()
    assert said.find("record").value == "not the record that was written"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("kind", '"LIFNetwork"', "kind: got 'LIFNetwork', need 'RateRNN'"),
        ("kind", None, "kind: got None, need 'RateRNN'"),
        ("format", "2", "got format 2, need 1; update isotau"),
        ("dt", None, "got 'dt', need a rate network's model"),
        ("dt", "[1, 2]", "dt: got shape"),
        ("dt", "-1", "dt: got -1.0, need numbers greater than 0"),
        ("dt", "{", "need a rate network's model as isotau writes it"),
        ("dt", "[" * 100_000, "need a rate network's model as isotau writes it"),
        ("activation", '"gelu"', "activation: got 'gelu'"),
        ("dale", "[1, [2]]", "need a rate network's model"),
        ("w_rec", None, "w_rec: got nothing, need an array"),
        ("w_rec", np.zeros((N, N + 1)), r"w_rec: got shape \(8, 9\)"),
        ("tau", np.full(N, np.nan), "tau: got NaN or infinity"),
        ("x", np.zeros((2, N)), r"x: got shape \(2, 8\)"),
    ],
)
def test_a_damaged_model_is_refused_by_name(path, name, value, message):
    write(path, change(rate_to_onnx(network()), name, value))
    with pytest.raises(UnreadableFile, match=message):
        read_onnx_scan(path)


def test_data_elsewhere_and_claims_beyond_memory_are_refused(path):
    model = rate_to_onnx(network())
    (tensor,) = (t for t in model.graph.initializer if t.name == "w_rec")
    tensor.dims[:] = [1 << 20, 1 << 20]
    write(path, model)
    with pytest.raises(UnreadableFile, match="w_rec: got 1099511627776 elements"):
        read_onnx_scan(path)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    write(path, model)
    with pytest.raises(UnreadableFile, match="w_rec: got data in another file"):
        read_onnx_scan(path)


def test_what_is_no_model_is_refused(path, monkeypatch):
    with pytest.raises(UnreadableFile, match="No such file"):
        read_onnx_scan(path)
    assert not is_own(path)
    path.write_bytes(b"\x08\xff" * 50)
    with pytest.raises(UnreadableFile, match="need an ONNX model"):
        read_onnx_scan(path)
    assert not is_own(path)
    monkeypatch.setattr(module, "MAX_SCAN_BYTES", 50)
    with pytest.raises(UnreadableFile, match="got more than 50 bytes, need at most"):
        read_onnx_scan(path)
    assert not is_own(path)


def test_no_damage_gets_through_as_another_error(path):
    content = rate_to_onnx(network()).SerializeToString()
    rng = np.random.default_rng(2)
    refused = 0
    for k in range(300):
        damaged = bytearray(content)
        if k % 3:
            for place in rng.integers(len(content), size=int(rng.integers(1, 6))):
                damaged[place] ^= 1 << int(rng.integers(8))
        else:
            del damaged[int(rng.integers(len(content))) :]
        path.write_bytes(damaged)
        try:
            read_onnx_scan(path)
        except UnreadableFile as error:
            refused += str(error).startswith(str(path))
    assert refused > 100
