import pickle
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from torch import nn

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.read.kinds import READERS, find_reader
from isotau.convert.read.read_rate import read_rate
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.storage import same, save
from isotau.targets.onnx_model.model_file import write_onnx as write_model
from isotau.targets.onnx_model.rate_to_onnx import rate_to_onnx

N = 6
SHIPPED = Path(__file__).resolve().parents[3] / "examples/data/go_nogo_N200.mat"


def network():
    rng = np.random.default_rng(0)
    return RateRNN(
        w_rec=rng.normal(size=(N, N)),
        w_in=rng.normal(size=(N, 2)),
        w_out=rng.normal(size=(1, N)),
        bias=rng.normal(size=N),
        b_out=np.ones(1),
        tau=np.linspace(0.05, 0.1, N),
        dale=np.zeros(N),
        activation="tanh",
        noise_std=0.05,
        dt=0.02,
    )


def matlab(**more):
    rng = np.random.default_rng(0)
    return {
        "w": np.abs(rng.normal(size=(N, N))),
        "m": np.diag([1.0, 1, 1, 1, -1, -1]),
        "som_m": np.ones((N, N)),
        "w_in": rng.normal(size=(N, 1)),
        "w_out": rng.normal(size=(1, N)),
        "taus": np.array([[7.0]]),
        "activation": "sigmoid",
        **more,
    }


def write_v7(path):
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in matlab().items():
            if isinstance(value, str):
                codes = np.array([[ord(c)] for c in value], dtype=np.uint16)
                file.create_dataset(name, data=codes)
                file[name].attrs["MATLAB_class"] = np.bytes_("char")
            else:
                file.create_dataset(name, data=value.T)
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


def write_plain(path):
    net = network()
    fields = {name: getattr(net, name) for name in ("w_rec", "w_in", "w_out", "tau")}
    with path.open("wb") as stream:
        np.savez(stream, **fields, dt=net.dt, activation="tanh")


def write_psychrnn(path):
    net = network()
    values = {"W_rec": net.w_rec, "W_in": net.w_in, "W_out": net.w_out}
    with path.open("wb") as stream:
        np.savez(stream, **values, b_rec=net.bias, b_out=net.b_out, dale_ratio=None)


def lowrank():
    torch.manual_seed(0)
    shapes = {"wi": (2, N), "si": (2,), "m": (N, 1), "n": (N, 1), "wo": (N, 1)}
    return {name: torch.randn(shape) for name, shape in shapes.items()}


def full_rank():
    state = lowrank()
    return {"wrec": torch.randn(N, N), **{k: state[k] for k in ("wi", "si", "wo")}}


def write_onnx(path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    helper = onnx.helper
    net = network()
    weights = {"W": net.w_in[None], "R": net.w_rec[None]}
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("RNN", ["x", "W", "R"], ["Y"], hidden_size=N)],
        "net",
        [helper.make_tensor_value_info("x", kind, None)],
        [helper.make_tensor_value_info("Y", kind, None)],
        [
            onnx.numpy_helper.from_array(value.astype(np.float32), name)
            for name, value in weights.items()
        ],
    )
    path.write_bytes(helper.make_model(graph).SerializeToString())


WRITERS = {
    "isotau .rate.npz": lambda path: save(network(), path),
    "plain .npz": write_plain,
    "PsychRNN .npz": write_psychrnn,
    "spikeRNN .mat": lambda path: scipy.io.savemat(path, matlab(), appendmat=False),
    "spikeRNN .mat 7.3": write_v7,
    "torch.nn.RNN": lambda path: torch.save(nn.RNN(2, N).state_dict(), path),
    "low-rank": lambda path: torch.save(lowrank(), path),
    "low-rank of old": lambda path: torch.save(
        lowrank(), path, _use_new_zipfile_serialization=False
    ),
    "low-rank, full": lambda path: torch.save(full_rank(), path),
    "ONNX": write_onnx,
    "isotau .onnx": lambda path: write_model(rate_to_onnx(network()), path),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_the_content_decides_and_not_the_name(tmp_path, kind):
    path = tmp_path / "network.bin"
    WRITERS[kind](path)
    names = [reader.name for reader in READERS]
    family = next(name for name in names if kind.startswith(name))
    assert find_reader(path).name == family
    net, said = read_rate(path)
    assert net.n == N
    lines = said.describe().splitlines()
    assert lines[0].startswith("read as: ") and len(lines) > 6


def test_isotaus_own_file_is_taken_as_it_is(tmp_path):
    net, said = read_rate(save(network(), tmp_path / "a.npz"))
    assert same(net, network())
    assert {item.source for item in said.items} == {"file"}
    assert said.find("tau").value == "0.05 to 0.1 s"


def test_assumptions_reach_the_reader(tmp_path):
    path = tmp_path / "a"
    WRITERS["torch.nn.RNN"](path)
    net, said = read_rate(path, alpha=0.5, dt=0.01, noise_std=0.1, activation="relu")
    assert (net.dt, net.tau[0], net.noise_std) == pytest.approx((0.01, 0.02, 0.1))
    assert net.activation == "relu"
    assert said.find("alpha").source == "argument"
    WRITERS["low-rank, full"](path)
    assert read_rate(path, scaled=True).conventions.find("scale").source == "argument"
    WRITERS["spikeRNN .mat"](path)
    assert read_rate(path, dt=0.01).net.tau[0] == pytest.approx(0.07)
    WRITERS["PsychRNN .npz"](path)
    assert read_rate(path, rec_noise=0.1, alpha=0.5).net.noise_std == 0.1


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("isotau .rate.npz", {"dt": 0.1}, r"got dt, need isotau \.rate\.npz .* no arg"),
        ("plain .npz", {"alpha": 0.1}, r"got alpha, need plain \.npz .* dt, tau, noi"),
        (
            "spikeRNN .mat",
            {"tau": 0.1, "readout": "fc"},
            r"got tau, readout, need spikeRNN \.mat fil",
        ),
        (
            "torch.nn.RNN",
            {"scaled": True},
            r"got scaled, need torch\.nn\.RNN files read",
        ),
        ("low-rank", {"rec_noise": 0.1}, "got rec_noise, need low-rank files"),
        ("low-rank", {"alpha": 0.3, "dt": 0.02, "tau": 0.1}, r"alpha: got 0\.3 beside"),
    ],
)
def test_assumptions_that_a_file_leaves_no_room_for(tmp_path, kind, given, message):
    WRITERS[kind](tmp_path / "a")
    with pytest.raises(ValueError, match=message):
        read_rate(tmp_path / "a", **given)


class Trap:
    """An object that makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", [2, 4])
def test_pickles_are_refused_and_not_run(tmp_path, protocol):
    sprung = tmp_path / "sprung"
    (tmp_path / "a").write_bytes(pickle.dumps(Trap(sprung), protocol=protocol))
    with pytest.raises(UnreadableFile, match="got a pickle, which can run anything"):
        read_rate(tmp_path / "a")
    assert not sprung.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"",
            r"got a file that begins with b'', need one of isotau \.rate\.npz, plain",
        ),
        (b"hello", r"got a file that begins with b'hello', need one of"),
        (b"PK\x03\x04", "File is not a zip file"),
        (b"\x08\x07garbage", "need an ONNX model|onnx is not installed"),
        (b"\x89HDF\r\n\x1a\n", "MATLAB 5 or 7.3"),
        (bytes(124) + b"\x00\x01IM", "without w, m, som_m"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    if content.startswith(b"\x08"):
        pytest.importorskip("onnx", reason="onnx is not installed")
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(UnreadableFile, match=message):
        read_rate(tmp_path / "a")


def test_zip_files_of_another_kind_and_absent_ones_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("word/document.xml", "text")
    with pytest.raises(
        UnreadableFile, match=r"got a zip file with document\.xml, need"
    ):
        read_rate(tmp_path / "a.zip")
    with pytest.raises(UnreadableFile, match="none: no such file"):
        read_rate(tmp_path / "none")
    with pytest.raises(UnreadableFile, match="Is a directory"):
        read_rate(tmp_path)


def test_the_shipped_network_is_read():
    net, said = read_rate(SHIPPED)
    assert (net.n, said.family) == (200, "spikeRNN .mat")
