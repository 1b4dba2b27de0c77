"""Files of torch that claim more than they hold; the readers' tests have the rest."""

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.read import read_torch_rnn as module
from isotau.convert.read.read_torch_rnn import read_state, read_torch_rnn
from isotau.convert.simulate.rate_dynamics import simulate_rate

N, N_IN, N_OUT, STEPS, BATCH = 12, 3, 2, 60, 4


class Model(nn.Module):
    """A recurrent layer and a readout, as tutorials write it."""

    def __init__(self, kind=nn.RNN, readout=True, **settings):
        super().__init__()
        torch.manual_seed(0)
        self.rnn = kind(N_IN, N, **settings)
        if readout:
            self.fc = nn.Linear(N, N_OUT)

    def forward(self, x):
        h, _ = self.rnn(x)
        return self.fc(h) if hasattr(self, "fc") else h


def own_outputs(net, inputs):
    return simulate_rate(net, inputs, seed=0, noise=False).outputs


def outputs_of(model, inputs):
    with torch.no_grad():
        return model.double()(torch.tensor(inputs)).numpy()


@pytest.fixture(scope="module")
def inputs():
    return np.random.default_rng(2).normal(size=(STEPS, BATCH, N_IN))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_a_file_gives_what_torch_gives(tmp_path, inputs, nonlinearity, bias):
    model = Model(nonlinearity=nonlinearity, bias=bias)
    torch.save(model.state_dict(), tmp_path / "net.pt")
    net, said = read_torch_rnn(tmp_path / "net.pt", activation=nonlinearity)
    expected = outputs_of(model, inputs)
    assert own_outputs(net, inputs) == pytest.approx(expected, abs=1e-9)
    assert said.family == "torch.nn.RNN"
    assert said.find("readout") == ("readout", "fc", "file", "found by its shape")
    assert said.find("alpha")[:3] == ("alpha", "1", "default")
    assert said.find("activation").source == "argument"
    assert (net.dt, net.noise_std, net.x0_std) == (0.02, 0.0, 0.0)


def test_a_module_tells_its_nonlinearity_itself(inputs):
    model = Model(nonlinearity="relu")
    net, said = read_torch_rnn(model)
    assert said.find("activation") == ("activation", "relu", "file", "")
    assert own_outputs(net, inputs) == pytest.approx(
        outputs_of(model, inputs), abs=1e-6
    )
    with pytest.raises(
        ValueError, match="activation: got 'tanh', need 'relu', the mod"
    ):
        read_torch_rnn(model, activation="tanh")


def test_state_dicts_do_not_tell_it_and_tanh_is_said_to_be_assumed():
    said = read_torch_rnn(Model().state_dict()).conventions.find("activation")
    assert said == ("activation", "tanh", "default", "state dicts do not name it")


def test_without_a_readout_the_outputs_are_the_units(inputs):
    model = Model(readout=False)
    net, said = read_torch_rnn(model.rnn)
    assert own_outputs(net, inputs) == pytest.approx(
        outputs_of(model, inputs), abs=1e-6
    )
    assert said.find("readout").source == "default"
    assert np.array_equal(net.w_out, np.eye(N))


def test_a_cell_is_a_layer(inputs):
    torch.manual_seed(1)
    cell = nn.RNNCell(N_IN, N)
    net = read_torch_rnn(cell).net
    with torch.no_grad():
        h, rows = torch.zeros(BATCH, N), []
        for u in torch.tensor(inputs, dtype=torch.float32):
            h = cell(u, h)
            rows.append(h)
    assert own_outputs(net, inputs) == pytest.approx(
        torch.stack(rows).numpy(), abs=1e-5
    )


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus"])
def test_a_leak_and_another_activation_are_taken_as_arguments(inputs, activation):
    file = {k: v.double().numpy() for k, v in Model().state_dict().items()}
    net, said = read_torch_rnn(
        Model().state_dict(), alpha=0.25, tau=0.08, activation=activation
    )
    phi = {
        "tanh": np.tanh,
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "softplus": lambda x: np.log1p(np.exp(x)),
    }[activation]
    x, rows = np.zeros((BATCH, N)), []
    for u in inputs:
        drive = phi(x) @ file["rnn.weight_hh_l0"].T + u @ file["rnn.weight_ih_l0"].T
        drive = drive + file["rnn.bias_hh_l0"] + file["rnn.bias_ih_l0"]
        x = 0.75 * x + 0.25 * drive
        rows.append(phi(x) @ file["fc.weight"].T + file["fc.bias"])
    assert own_outputs(net, inputs) == pytest.approx(np.array(rows), abs=1e-9)
    assert (net.dt, net.tau[0]) == pytest.approx((0.02, 0.08))
    assert said.find("alpha").source == "argument"


def test_without_leak_a_sigmoid_layer_starts_at_rate_zero(inputs):
    file = {k: v.double().numpy() for k, v in Model().state_dict().items()}
    net = read_torch_rnn(Model().state_dict(), activation="sigmoid").net
    h, rows = np.zeros((BATCH, N)), []
    for u in inputs:
        x = h @ file["rnn.weight_hh_l0"].T + u @ file["rnn.weight_ih_l0"].T
        h = 1 / (1 + np.exp(-x - file["rnn.bias_hh_l0"] - file["rnn.bias_ih_l0"]))
        rows.append(h @ file["fc.weight"].T + file["fc.bias"])
    assert own_outputs(net, inputs) == pytest.approx(np.array(rows), abs=1e-9)


def test_one_of_two_readouts_is_chosen_by_name():
    more = nn.Linear(N, 5).state_dict(prefix="value.")
    both = Model().state_dict() | more
    with pytest.raises(UnreadableFile, match="readout: got fc, value, need one; name"):
        read_torch_rnn(both)
    with pytest.raises(
        UnreadableFile, match=r"got value\.weight, value\.bias, need on"
    ):
        read_torch_rnn(both, readout="fc")
    net, said = read_torch_rnn(both, readout="value", ignore=("fc",))
    assert net.n_out == 5
    assert said.find("readout").source == "argument"
    assert said.ignored == ("fc.weight", "fc.bias")
    assert read_torch_rnn(both, ignore=("value",)).net.n_out == N_OUT
    with pytest.raises(UnreadableFile, match=r"readout: got head, need .*: fc, value"):
        read_torch_rnn(both, readout="head")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            Model(nn.LSTM),
            r"weight_hh_l0: got the gates of LSTM cells, need a plain RNN",
        ),
        (Model(nn.GRU), r"weight_hh_l0: got the gates of GRU cells, need a plain RNN"),
        (Model(nn.LSTM, False, proj_size=5), "weight_hr: got an LSTM with projection"),
        (Model(num_layers=2), r"layers: got 2 \(rnn\._l0, rnn\._l1\), need one"),
        (Model(readout=False, bidirectional=True), "bidirectional: got a reverse dir"),
        (
            nn.Linear(3, 4),
            r"weight_hh_l0: got only weight, bias, need a torch.nn.RNN's",
        ),
        (nn.Identity(), r"Identity: got no tensors \(empty\), need a state dict"),
    ],
)
def test_other_networks_are_refused_by_name(model, message):
    with pytest.raises(UnreadableFile, match=message):
        read_torch_rnn(model)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"weight_hh_l0": torch.zeros(N, 5)},
            r"hh_l0: got shape \(12, 5\), need a squa",
        ),
        (
            {"weight_hh_l0": torch.zeros(N)},
            r"weight_hh_l0: got shape \(12,\), need any",
        ),
        (
            {"weight_ih_l0": torch.zeros(5, 3)},
            r"ih_l0: got shape \(5, 3\), need 12 × a",
        ),
        (
            {"weight_ih_l0": torch.full((N, 3), torch.inf)},
            r"ih_l0: got NaN or infinity",
        ),
        ({"bias_hh_l0": torch.zeros(5)}, r"bias_hh_l0: got shape \(5,\), need 12"),
        ({"encoder": torch.zeros(5)}, r"got encoder, need only what makes"),
        (
            {"weight_ih_l0": torch.eye(N).to_sparse()},
            r"sparse_coo tensor, need a dense",
        ),
        ({"weight_ih_l0": torch.empty(N, 3, device="meta")}, r"tensor, need a dense"),
        (
            {"weight_ih_l0": torch.zeros(1).expand(N, 10**9)},
            r"ih_l0: got shape \(12, 1000000000\), need at most 33554432 elements",
        ),
    ],
)
def test_what_is_not_as_needed_is_named(changed, message):
    with pytest.raises(UnreadableFile, match=message):
        read_torch_rnn(nn.RNN(N_IN, N).state_dict() | changed)


def test_half_precision_and_arrays_are_read():
    state = nn.RNN(N_IN, N).to(torch.bfloat16).state_dict()
    expected = state["weight_hh_l0"].float().numpy()
    assert np.array_equal(read_torch_rnn(state).net.w_rec, expected)
    arrays = {k: v.float().numpy() for k, v in state.items()}
    assert np.array_equal(read_torch_rnn(arrays).net.w_rec, expected)


def test_a_tensor_that_only_claims_to_be_there_is_refused(tmp_path):
    state = nn.RNN(N_IN, N).state_dict()
    state["weight_hh_l0"] = torch.zeros(1).expand(10**6, 10**6)
    torch.save(state, tmp_path / "net.pt")
    assert (tmp_path / "net.pt").stat().st_size < 10_000
    with pytest.raises(UnreadableFile, match=r"need at most 33554432 elements"):
        read_torch_rnn(tmp_path / "net.pt")


class Trap:
    """An object that makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_nothing_in_a_file_is_executed(tmp_path, form):
    path, sprung = tmp_path / "net.pt", tmp_path / "sprung"
    held = {"weight_hh_l0": Trap(sprung)}
    if form == "pickle":
        path.write_bytes(pickle.dumps(held))
    else:
        torch.save(held, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(UnreadableFile, match=r"without running|are not read"):
        read_torch_rnn(path)
    assert not sprung.exists()


def test_whole_modules_and_programs_are_refused(tmp_path):
    torch.save(nn.RNN(N_IN, N), tmp_path / "net.pt")
    with pytest.raises(
        UnreadableFile, match=r"need a state dict; save module\.state_d"
    ):
        read_torch_rnn(tmp_path / "net.pt")
    torch.save([torch.zeros(3)], tmp_path / "net.pt")
    with pytest.raises(UnreadableFile, match=r"got a list, need a state dict"):
        read_torch_rnn(tmp_path / "net.pt")
    torch.save({"epoch": 3}, tmp_path / "net.pt")
    with pytest.raises(UnreadableFile, match=r"got no tensors \(epoch\), need a state"):
        read_torch_rnn(tmp_path / "net.pt")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused(tmp_path):
    torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "net.pt")
    with pytest.raises(UnreadableFile, match="got TorchScript, which is a program"):
        read_torch_rnn(tmp_path / "net.pt")


def test_absent_large_and_other_files_are_refused(tmp_path, monkeypatch):
    with pytest.raises(UnreadableFile, match=r"none\.pt: no such file"):
        read_torch_rnn(tmp_path / "none.pt")
    with pytest.raises(UnreadableFile, match="cannot be read"):
        read_torch_rnn(tmp_path)
    (tmp_path / "net.pt").write_bytes(b"hello")
    with pytest.raises(UnreadableFile, match=r"another kind of file, need one of torc"):
        read_torch_rnn(tmp_path / "net.pt")
    torch.save(nn.RNN(N_IN, N).state_dict(), tmp_path / "net.pt")
    monkeypatch.setattr("isotau.convert.read.read_torch_rnn.MAX_BYTES", 100)
    with pytest.raises(UnreadableFile, match=r"got \d+ bytes, need at most 100"):
        read_torch_rnn(tmp_path / "net.pt")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("legacy", [False, True])
def test_damaged_files_are_read_or_refused_and_nothing_else(tmp_path, legacy):
    rng, path, refused = np.random.default_rng(5), tmp_path / "net.pt", 0
    torch.save(Model().state_dict(), path, _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    for k in range(150):
        damaged = bytearray(whole)
        for at in rng.integers(len(damaged), size=4):
            damaged[at] = rng.integers(256)
        if k % 10 == 0:
            del damaged[rng.integers(len(damaged)) :]
        path.write_bytes(damaged)
        try:
            read_torch_rnn(path)
        except UnreadableFile:
            refused += 1
    assert refused > 30


def test_a_shared_prefix_is_taken_off():
    state = {f"module.net.{k}": v for k, v in Model().state_dict().items()}
    assert set(read_state(state).values) == set(Model().state_dict())


STATE = {"w": torch.arange(24.0).reshape(4, 6), "b": torch.arange(5)}


def write(path, state, *, legacy=False):
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    return path


@pytest.mark.parametrize("legacy", [False, True])
def test_tensors_come_as_arrays(legacy, tmp_path):
    found = read_state(write(tmp_path / "a.pt", STATE, legacy=legacy)).values
    assert found["w"].dtype == np.float64 and found["b"].dtype == np.int64
    for name, tensor in STATE.items():
        np.testing.assert_array_equal(found[name], tensor.numpy())


def test_a_zip_may_not_be_compressed(tmp_path):
    """torch never does, and zeros would unpack to a thousand times the file."""
    whole = write(tmp_path / "a.pt", {"w": torch.zeros(10**6)}).read_bytes()
    with (
        zipfile.ZipFile(io.BytesIO(whole)) as archive,
        zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in archive.namelist():
            packed.writestr(name, archive.read(name))
    with pytest.raises(UnreadableFile, match=r"its members claim \d+ bytes of"):
        read_state(tmp_path / "a.pt")


def test_an_older_file_may_not_claim_more_than_its_bytes(tmp_path):
    path = write(tmp_path / "a.pt", STATE, legacy=True)
    whole, number = path.read_bytes(), b"K\x18"  # 24 elements
    assert whole.count(number) == 1
    path.write_bytes(whole.replace(number, b"J\xff\xff\xff\x7f"))
    with pytest.raises(UnreadableFile, match="it claims 2147483647 of something in"):
        read_state(path)


def test_all_tensors_together_have_a_limit(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "MAX_ELEMENTS", 28)
    path = write(tmp_path / "a.pt", STATE)
    with pytest.raises(UnreadableFile, match=r"b: got shape \(5,\), need at most 28"):
        read_state(path)


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@pytest.mark.parametrize("legacy", [False, True])
def test_conjugates_and_what_has_no_array(legacy, tmp_path):
    twice = torch.complex(STATE["w"], STATE["w"])
    path = write(tmp_path / "a.pt", {"w": twice.conj()}, legacy=legacy)
    np.testing.assert_array_equal(read_state(path).values["w"].imag, -STATE["w"])
    with pytest.raises(UnreadableFile, match="state dict: w: "):
        read_state({"w": torch.zeros(3, dtype=torch.complex32)})


@pytest.mark.parametrize("legacy", [False, True])
def test_what_torch_says_of_itself_is_not_passed_on(legacy, tmp_path):
    """Its warnings of other pickle protocols, and of its own older classes."""
    path = write(tmp_path / "a.pt", STATE, legacy=legacy)
    whole = bytearray(path.read_bytes())
    # Older files begin with a mark of 14 bytes that has to stay.
    place = whole.index(b"\x80\x02M" if legacy else b"\x80\x02}", 14)
    whole[place + 1] = 3
    path.write_bytes(whole)
    assert read_state(path).values["b"].tolist() == [0, 1, 2, 3, 4]
