import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.read.read_spikernn import read_spikernn, write_spikernn
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.storage import same
from isotau.convert.simulate.rate_dynamics import simulate_rate

SHIPPED = Path(__file__).resolve().parents[3] / "examples/data/go_nogo_N200.mat"
N = 7


def variables(**changed: Any) -> dict[str, Any]:
    """Return a file's variables as spikeRNN saves them; None leaves one out."""
    rng = np.random.default_rng(0)
    inh = np.array([0, 0, 1, 0, 1, 0, 0], dtype=bool)[:, None]
    w = np.maximum(rng.normal(size=(N, N)), 0).astype(np.float32)
    som_m = np.ones((N, N), dtype=np.float32)
    som_m[2, 4] = 0
    w[2, 4] = 3.0
    values: dict[str, Any] = {
        "w": w,
        "m": np.diag(np.where(inh[:, 0], -1, 1)).astype(np.float32),
        "som_m": som_m,
        "w_in": rng.normal(size=(N, 2)).astype(np.float32),
        "w_out": rng.normal(size=(1, N)).astype(np.float32),
        "b_out": np.float32(0.25),
        "taus": [4.0, 20.0],
        "taus_gaus": rng.normal(size=(N, 1)).astype(np.float32),
        "N": N,
        "som_N": 1,
        "exc": ~inh,
        "inh": inh,
        "activation": "sigmoid",
        "x": rng.normal(size=(30, N, 1)).astype(np.float32),
        "losses": np.zeros((1, 50)),
    }
    return {k: v for k, v in (values | changed).items() if v is not None}


def write_v5(path: Path, values: dict[str, Any], *, compressed: bool = True) -> Path:
    scipy.io.savemat(path, values, do_compression=compressed)
    return path


def write_v7(path: Path, values: dict[str, Any]) -> Path:
    """Write as MATLAB 7.3: a user block, axes reversed, text as uint16."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in values.items():
            if isinstance(value, str):
                codes = np.array([[ord(c)] for c in value], dtype=np.uint16)
                file.create_dataset(name, data=codes)
                file[name].attrs["MATLAB_class"] = np.bytes_("char")
            else:
                array = np.atleast_2d(value)
                array = array.astype(np.uint8) if array.dtype == bool else array
                file.create_dataset(name, data=array.T, compression="gzip")
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    return path


WRITERS: dict[str, Callable[[Path, dict[str, Any]], Path]] = {
    "v5": write_v5,
    "v5-plain": lambda path, values: write_v5(path, values, compressed=False),
    "v7.3": write_v7,
}


@pytest.fixture(params=WRITERS)
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the variables, some changed, in one format."""
    return lambda **changed: WRITERS[request.param](
        tmp_path / "net.mat", variables(**changed)
    )


def test_every_field_is_what_the_file_means(write: Callable[..., Path]) -> None:
    net, file = read_spikernn(write()).net, variables()
    for i in range(N):
        for j in range(N):
            sign = -1 if file["inh"][j, 0] else 1
            expected = sign * float(file["w"][i, j]) * float(file["som_m"][i, j])
            assert net.w_rec[i, j] == expected
    assert net.w_rec[2, 4] == 0
    assert net.dale.tolist() == [1, 1, -1, 1, -1, 1, 1]
    assert np.array_equal(net.w_in, file["w_in"])
    assert np.array_equal(net.w_out, file["w_out"])
    assert net.b_out.tolist() == [0.25]
    share = 1 / (1 + np.exp(-file["taus_gaus"].astype(float).ravel()))
    assert net.tau == pytest.approx(0.020 + share * 0.080, rel=1e-12)
    assert (net.activation, net.noise_std, net.dt) == ("sigmoid", 0.1, 0.005)
    assert not net.bias.any()


def test_no_zero_is_negative(write: Callable[..., Path]) -> None:
    w_rec = read_spikernn(write()).net.w_rec
    assert not np.signbit(w_rec[w_rec == 0]).any()


def test_all_formats_give_the_same_network(tmp_path: Path) -> None:
    nets = [
        read_spikernn(write(tmp_path / name, variables())).net
        for name, write in WRITERS.items()
    ]
    assert same(nets[0], nets[1]) and same(nets[0], nets[2])


def test_one_tau_is_fixed_and_needs_no_place_in_a_range(
    write: Callable[..., Path],
) -> None:
    net = read_spikernn(write(taus=[7.0], taus_gaus=None)).net
    assert net.tau == pytest.approx(np.full(N, 0.035))


def test_whole_numbers_are_read_as_such(write: Callable[..., Path]) -> None:
    net = read_spikernn(write(taus=np.array([4, 20], dtype=np.uint8))).net
    assert net.tau.min() > 0.02 and net.tau.max() < 0.1


def test_training_without_dale_leaves_mixed_signs(write: Callable[..., Path]) -> None:
    w, exc = np.random.default_rng(1).normal(size=(N, N)), np.ones((N, 1), dtype=bool)
    net, said = read_spikernn(write(w=w, m=np.eye(N), exc=exc, inh=~exc))
    assert said.find("Dale's law").value == "no, w has negative elements"
    assert not net.dale.any()
    assert np.array_equal(net.w_rec, w * variables()["som_m"])


def test_what_need_not_be_there(write: Callable[..., Path]) -> None:
    net = read_spikernn(write(b_out=None, N=None, exc=None, inh=None, x=None)).net
    assert net.b_out.tolist() == [0.0] and net.dale.min() == -1


@pytest.mark.parametrize(
    ("name", "meant"),
    [("clipped_relu", "relu"), ("relu", "relu"), ("softplus", "softplus")],
)
def test_other_activations_are_cut_at_20(
    write: Callable[..., Path], name: str, meant: str
) -> None:
    net, said = read_spikernn(write(activation=name))
    assert (net.activation, net.ceiling) == (meant, 20.0)
    assert said.find("activation").value == f"{meant}, cut at 20"


@pytest.mark.parametrize("activation", ["sigmoid", "relu", "softplus"])
def test_a_file_gives_the_networks_own_output(
    write: Callable[..., Path], activation: str
) -> None:
    """The loop is spikeRNN's, in its own words."""
    file = variables(activation=activation)
    net = read_spikernn(write(activation=activation)).net
    phi = {
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "relu": lambda x: np.clip(x, 0, 20),
        "softplus": lambda x: np.clip(np.log(np.exp(x) + 1), 0, 20),
    }[activation]
    w = file["w"].astype(float) @ file["m"] * file["som_m"]
    place = 1 / (1 + np.exp(-file["taus_gaus"].astype(float)))
    taus = place * (file["taus"][1] - file["taus"][0]) + file["taus"][0]
    inputs = np.random.default_rng(6).normal(size=(60, 1, 2))
    x, rows = np.full((N, 1), 0.01), []
    for u in inputs[:, 0]:
        x = (1 - 1 / taus) * x + (1 / taus) * (w @ phi(x) + file["w_in"] @ u[:, None])
        rows.append(file["w_out"] @ phi(x) + file["b_out"])
    run = simulate_rate(
        net,
        inputs,
        seed=7,
        noise=False,
        x0=np.full((1, N), 0.01),
    )
    assert run.outputs.ravel() == pytest.approx(np.ravel(rows), rel=1e-9, abs=1e-9)


def test_what_was_assumed_is_told(write: Callable[..., Path]) -> None:
    said = read_spikernn(write()).conventions
    assert said.family == "spikeRNN .mat"
    assert said.find("dt")[1:3] == ("0.005 s", "default")
    assert said.find("noise")[1:3] == ("0.1 per step, not scaled", "default")
    assert said.find("tau").source == "file"
    net, said = read_spikernn(write(), dt=0.01, noise_std=0.2)
    share = 1 / (1 + np.exp(-variables()["taus_gaus"].astype(float).ravel()))
    assert net.tau == pytest.approx(0.040 + share * 0.160, rel=1e-12)
    assert (net.dt, net.noise_std) == (0.01, 0.2)
    assert said.find("dt").source == said.find("noise").source == "argument"


def with_element(key: str, at: tuple[int, int], value: float) -> dict[str, Any]:
    array = np.array(variables()[key], dtype=np.float64, ndmin=2)
    array[at] = value
    return {key: array}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"w": None, "taus": None}, r"without w, taus, need all of w, m, som_m"),
        ({"taus_gaus": None}, r"taus_gaus: got nothing, need 7 × 1"),
        ({"activation": "tanh"}, r"activation: got 'tanh', need one of sigmoid"),
        ({"activation": np.eye(2)}, r"activation: got numbers, need text"),
        ({"m": "diagonal"}, r"m: got text, need numbers"),
        ({"w": np.ones((N, N + 1))}, r"w: got shape \(7, 8\), need a square matrix"),
        ({"w": np.ones((2, 2, 2))}, r"w: got shape \(2, 2, 2\), need a square"),
        ({"w_in": np.ones((N + 1, 1))}, r"w_in: got shape \(8, 1\), need 7 × any"),
        ({"w_out": np.ones((N, 1))}, r"w_out: got shape \(7, 1\), need any × 7"),
        ({"w_in": np.ones((N, 0))}, r"w_in: got shape \(7, 0\), need 7 × any"),
        ({"b_out": np.ones((2, 1))}, r"b_out: got shape \(2, 1\), need 1 × 1"),
        ({"taus_gaus": np.ones((N, 2))}, r"taus_gaus: got shape \(7, 2\), need 7 × 1"),
        ({"N": N + 1}, r"N: got 8, need 7, the size of w"),
        (with_element("w", (1, 2), np.nan), r"w: got NaN or infinity, need finite"),
        (with_element("w_in", (1, 1), np.inf), r"w_in: got NaN or infinity"),
        (with_element("m", (0, 0), 2), r"m: got another matrix, need a diagonal of"),
        (with_element("m", (0, 1), 1), r"m: got another matrix, need a diagonal of"),
        (with_element("som_m", (0, 0), 2), r"som_m: got other numbers, need 0 and 1"),
        (with_element("exc", (2, 0), 1), r"exc: got True for unit 2, need .* -1"),
        (with_element("inh", (0, 0), 1), r"inh: got True for unit 0, need .* \+1"),
        ({"taus": [20.0, 4.0]}, r"taus: got \[20\. +4\.\], need one number or two"),
        ({"taus": [0.5]}, r"taus: got \[0\.5\], need one number or two"),
        ({"taus": [1.0, 1e300]}, r"taus: got .*, need one number or two"),
        ({"taus": [1.0, 2.0, 3.0]}, r"taus: got \[1\. 2\. 3\.\], need one number"),
        ({"w": np.ones((N, N), dtype=np.complex128)}, r"w is no real array"),
    ],
)
def test_what_is_not_as_needed_is_named(
    write: Callable[..., Path], changed: dict[str, Any], message: str
) -> None:
    path = write(**changed)
    with pytest.raises(UnreadableFile, match=message) as caught:
        read_spikernn(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("value", [{"a": 1.0}, np.array([{}, 1], dtype=object)])
def test_structures_and_cells_are_refused(tmp_path: Path, value: Any) -> None:
    path = write_v5(tmp_path / "net.mat", variables(w=value))
    with pytest.raises(UnreadableFile, match="w is no real array and no text"):
        read_spikernn(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04K\x01.", bytes(4096)])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.mat"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match="it lacks the mark of either format"):
        read_spikernn(path)


def test_absent_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"none\.mat: no such file"):
        read_spikernn(tmp_path / "none.mat")
    with pytest.raises(UnreadableFile, match="cannot be read"):
        read_spikernn(tmp_path)


def element(code: int, content: bytes) -> bytes:
    padding = b"" if code == 15 else bytes(-len(content) % 8)
    return struct.pack("<II", code, len(content)) + content + padding


def matrix(name: str, shape: tuple[int, ...], data: bytes, *, code: int = 9) -> bytes:
    """Return a MATLAB 5 variable of class double, made by hand."""
    return element(
        14,
        element(6, struct.pack("<II", 6, 0))
        + element(5, np.array(shape, dtype="<i4").tobytes())
        + element(1, name.encode())
        + element(code, data),
    )


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("variable", "message"),
    [
        (matrix("w", (2**31 - 1, 2**31 - 1), b""), r"w claims shape \(2147483647, "),
        (matrix("w", (-3, 3), b""), r"w claims shape \(-3, 3\)"),
        (matrix("w", (3, 3), bytes(8)), r"w has 1 elements for shape \(3, 3\)"),
        (matrix("w", (1, 1), bytes(8), code=200), r"w is no real array"),
        (matrix("w", (1, 1), bytes(7)), r"buffer size must be a multiple"),
        (matrix("w", (1, 1), bytes(8 << 20)), r"w has|ends within a variable"),
        (matrix("w", (2, 2), bytes(32))[:60], r"ends within a variable|is no real"),
    ],
)
def test_files_made_to_harm_are_refused(
    tmp_path: Path, variable: bytes, message: str, compressed: bool
) -> None:
    path = tmp_path / "net.mat"
    body = element(15, zlib.compress(variable)) if compressed else variable
    path.write_bytes(b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + body)
    with pytest.raises(UnreadableFile, match=message):
        read_spikernn(path)


def test_an_array_that_only_claims_to_be_there_is_refused(tmp_path: Path) -> None:
    path = write_v7(tmp_path / "net.mat", variables(w=None))
    with h5py.File(path, "r+") as file:
        file.create_dataset("w", shape=(50_000, 50_000), dtype="f4", chunks=(9, 9))
    with pytest.raises(UnreadableFile, match=r"w claims shape \(50000, 50000\)"):
        read_spikernn(path)


def test_no_other_file_is_opened(tmp_path: Path) -> None:
    other = write_v7(tmp_path / "other.mat", variables())
    path = write_v7(tmp_path / "net.mat", variables(w=None, m=None))
    with h5py.File(path, "r+") as file:
        file["w"] = h5py.ExternalLink(str(other), "/w")
        layout = h5py.VirtualLayout((N, N), dtype=np.float32)
        layout[:] = h5py.VirtualSource(str(other), "m", shape=(N, N))
        file.create_virtual_dataset("m", layout)
    with pytest.raises(UnreadableFile, match="m is no real array"):
        read_spikernn(path)
    with h5py.File(path, "r+") as file:
        del file["m"]
        file["m"] = np.diag(np.diag(variables()["m"]))
    with pytest.raises(UnreadableFile, match="without w, need all of"):
        read_spikernn(path)


def test_damaged_files_are_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    whole = [write(tmp_path / k, variables()) for k, write in WRITERS.items()]
    contents = [path.read_bytes() for path in whole]
    path, refused = tmp_path / "damaged.mat", 0
    for k in range(300):
        damaged = bytearray(contents[k % 3])
        for at in rng.integers(len(damaged), size=3):
            damaged[at] = rng.integers(256)
        if k % 10 == 0:
            del damaged[rng.integers(len(damaged)) :]
        path.write_bytes(damaged)
        try:
            read_spikernn(path)
        except UnreadableFile:
            refused += 1
    assert refused > 100


def test_a_trained_network_is_what_scipy_reads() -> None:
    net, file = read_spikernn(SHIPPED).net, scipy.io.loadmat(SHIPPED)
    assert np.array_equal(net.w_rec, (file["w"] @ file["m"]) * file["som_m"])
    assert np.array_equal(net.w_in, file["w_in"])
    assert np.array_equal(net.w_out, file["w_out"])
    assert np.array_equal(net.b_out, file["b_out"].ravel())
    assert np.array_equal(net.dale == 1, file["exc"].ravel() == 1)
    assert 0.020 < net.tau.min() < net.tau.max() < 0.100


def some_net(**changed: Any) -> RateRNN:
    rng = np.random.default_rng(0)
    dale = np.array([1, 1, -1, 1, -1])
    fields: dict[str, Any] = {
        "w_rec": np.maximum(rng.normal(size=(5, 5)), 0) * dale + 0.0,
        "w_in": rng.normal(size=(5, 2)),
        "w_out": rng.normal(size=(3, 5)),
        "bias": np.zeros(5),
        "b_out": rng.normal(size=3),
        "tau": np.array([0.020, 0.031, 0.05, 0.0999, 0.1]),
        "dale": dale,
        "activation": "sigmoid",
        "noise_std": 0.1,
        "dt": 0.005,
    }
    return RateRNN(**(fields | changed))


def assert_close(a: RateRNN, b: RateRNN) -> None:
    for name in ("w_rec", "w_in", "w_out", "bias", "b_out"):
        assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-7)
    assert a.tau == pytest.approx(b.tau, rel=1e-9)
    assert np.array_equal(a.dale, b.dale)
    for name in ("activation", "ceiling", "noise_std", "dt"):
        assert getattr(a, name) == getattr(b, name)


@pytest.mark.parametrize("activation", ["sigmoid", "relu", "softplus"])
@pytest.mark.parametrize("tau_range", [None, (0.0199, 0.11)])
def test_reading_gives_back_what_was_written(
    tmp_path: Path, activation: str, tau_range: tuple[float, float] | None
) -> None:
    ceiling = None if activation == "sigmoid" else 20.0
    net = some_net(activation=activation, ceiling=ceiling)
    path = write_spikernn(net, tmp_path / "net.mat", tau_range=tau_range)
    assert_close(read_spikernn(path).net, net)


def test_numbers_of_single_precision_come_back_exactly(tmp_path: Path) -> None:
    net = some_net(w_rec=some_net().w_rec.astype(np.float32))
    again = read_spikernn(write_spikernn(net, tmp_path / "net.mat")).net
    assert np.array_equal(again.w_rec, net.w_rec)


def test_the_same_network_gives_the_same_file(tmp_path: Path) -> None:
    paths = [write_spikernn(some_net(), tmp_path / name) for name in ("a", "b")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert b"Created on" not in paths[0].read_bytes()[:128]


def test_equal_taus_are_written_as_one(tmp_path: Path) -> None:
    net = some_net(tau=np.full(5, 0.035))
    path = write_spikernn(net, tmp_path / "net.mat")
    assert scipy.io.loadmat(path)["taus"] == pytest.approx(np.array([[7.0]]))
    assert_close(read_spikernn(path).net, net)


def test_mixed_signs_are_written_as_training_without_dale(tmp_path: Path) -> None:
    w_rec = np.random.default_rng(1).normal(size=(5, 5))
    net = some_net(w_rec=w_rec, dale=np.zeros(5))
    assert_close(read_spikernn(write_spikernn(net, tmp_path / "net.mat")).net, net)


def test_the_file_is_as_the_format_says(tmp_path: Path) -> None:
    net = some_net()
    file = scipy.io.loadmat(write_spikernn(net, tmp_path / "net.mat"))
    assert file["w"].dtype == np.float32 and (file["w"] >= 0).all()
    effective = (file["w"] @ file["m"]) * file["som_m"]
    assert effective == pytest.approx(net.w_rec, rel=1e-7)
    assert (file["N"].item(), file["som_N"].item()) == (5, 0)
    assert file["exc"].ravel().tolist() == [1, 1, 0, 1, 0]
    assert file["inh"].ravel().tolist() == [0, 0, 1, 0, 1]
    assert (file["b_out"].shape, file["taus"].shape) == ((3, 1), (1, 2))
    assert file["taus_gaus"].shape == (5, 1)
    assert file["activation"].tolist() == ["sigmoid"]
    share = 1 / (1 + np.exp(-file["taus_gaus"].ravel()))
    low, high = file["taus"].ravel()
    assert 0.005 * (share * (high - low) + low) == pytest.approx(net.tau)


def test_all_that_the_format_cannot_hold_is_named_at_once(tmp_path: Path) -> None:
    net = some_net(
        bias=np.ones(5),
        noise_std=0.2,
        dt=0.001,
        dale=np.array([1, 0, -1, 1, -1]),
        activation="tanh",
        x0=np.ones(5),
        readout_bias=np.ones(5),
    )
    with pytest.raises(ValueError, match="network: got what spikeRNN's") as caught:
        write_spikernn(net, tmp_path / "net.mat")
    for part in (
        "bias: got a drive other than 0",
        "noise_std: got 0.2, need 0.1",
        "dt: got 0.001 s, need 0.005",
        "dale: got mixed signs in some units only",
        "activation: got tanh, need one of sigmoid, relu, softplus",
        "x0: got a start other than N(0, 0.01²)",
        "readout_bias: got other than 0",
    ):
        assert part in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_mixed_signs_need_a_negative_weight_to_be_told_apart(tmp_path: Path) -> None:
    net = some_net(w_rec=np.ones((5, 5)), dale=np.zeros(5))
    with pytest.raises(ValueError, match="mixed signs and no negative weight"):
        write_spikernn(net, tmp_path / "net.mat")


@pytest.mark.parametrize("tau_range", [(0.02, 0.2), (0.01, 0.1), (0.03, 0.05)])
def test_a_range_that_does_not_hold_every_tau_is_refused(
    tmp_path: Path, tau_range: tuple[float, float]
) -> None:
    with pytest.raises(
        ValueError, match=r"tau_range: got .* around the network's 0.02"
    ):
        write_spikernn(some_net(), tmp_path / "net.mat", tau_range=tau_range)


@pytest.mark.parametrize(
    ("activation", "ceiling", "text"),
    [
        ("sigmoid", 0.5, "ceiling: got 0.5, need None"),
        ("relu", None, "ceiling: got None, need 20.0"),
        ("softplus", 5.0, "ceiling: got 5.0, need 20.0"),
    ],
)
def test_another_ceiling_is_refused(
    tmp_path: Path, activation: str, ceiling: float | None, text: str
) -> None:
    net = some_net(activation=activation, ceiling=ceiling)
    with pytest.raises(ValueError, match=text):
        write_spikernn(net, tmp_path / "net.mat")
