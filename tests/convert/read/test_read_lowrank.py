import numpy as np
import pytest
import torch

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.read.read_lowrank import read_lowrank
from isotau.convert.simulate.rate_dynamics import simulate_rate

N, RANK, N_IN, N_OUT, STEPS, BATCH = 16, 2, 3, 2, 60, 4


def state(*, full=False, **changed):
    """Return a state dict of the family; None leaves a key out."""
    torch.manual_seed(0)
    recurrence = (
        {"wrec": 1.5 * torch.randn(N, N) / N**0.5}
        if full
        else {"m": torch.randn(N, RANK), "n": 3 * torch.randn(N, RANK)}
    )
    values = {
        "wi": torch.randn(N_IN, N),
        "si": torch.rand(N_IN) + 0.5,
        **recurrence,
        "b": 0.5 * torch.randn(N),
        "wo": torch.randn(N, N_OUT),
        "so": torch.rand(N_OUT) + 0.5,
        "h0": torch.randn(N),
    }
    return {k: v for k, v in (values | changed).items() if v is not None}


def outputs_of_the_family(file, inputs, *, alpha=0.2, divided=True):
    """Return the outputs by the family's equations, a loop over trials and steps."""
    get = {k: v.double() for k, v in file.items()}
    n, zero = len(get["h0"]), torch.zeros(len(get["h0"])).double()
    scale = n if divided else 1
    answer = []
    for trial in inputs.transpose(1, 0, 2):
        h, rows = get["h0"].clone(), []
        for u in torch.tensor(trial):
            r = torch.tanh(h + get.get("b", zero))
            fed = get["m"] @ (get["n"].T @ r) if "m" in get else get["wrec"] @ r
            h = h + alpha * (-h + fed / scale + u @ (get["wi"] * get["si"][:, None]))
            rows.append(torch.tanh(h) @ (get["wo"] * get["so"]) / scale)
        answer.append(torch.stack(rows))
    return torch.stack(answer, dim=1).numpy()


def own_outputs(net, inputs):
    return simulate_rate(net, inputs, seed=0, noise=False).outputs


@pytest.fixture(scope="module")
def inputs():
    return np.random.default_rng(2).normal(size=(STEPS, BATCH, N_IN))


@pytest.mark.parametrize("legacy", [False, True])
def test_a_low_rank_file_gives_the_networks_own_output(tmp_path, inputs, legacy):
    file, path = state(), tmp_path / "net.pt"
    torch.save(file, path, _use_new_zipfile_serialization=not legacy)
    net, said = read_lowrank(path)
    expected = outputs_of_the_family(file, inputs)
    assert np.abs(expected).max() > 0.1
    assert own_outputs(net, inputs) == pytest.approx(expected, abs=1e-9)
    assert net.rank == RANK and net.n_out == N_OUT
    assert (net.activation, net.noise_std, net.x0_std) == ("tanh", 0.05, 0.0)
    assert (net.dt, net.tau[0]) == pytest.approx((0.02, 0.1))
    assert said.family == "low-rank state dict, rank 2"
    assert said.find("noise").value == "0.05 per step, not scaled"
    assert said.find("transposes").value == "wi channel × unit; wo unit × channel"
    assert "published code recurs from φ(h0)" in said.find("bias").note


@pytest.mark.parametrize("divided", [False, True])
def test_a_full_rank_file_gives_the_networks_own_output(inputs, divided):
    file = state(full=True)
    if divided:
        file["wrec"] = file["wrec"] * N
    net, said = read_lowrank(file, scaled=divided or None)
    expected = outputs_of_the_family(file, inputs, divided=divided)
    assert own_outputs(net, inputs) == pytest.approx(expected, abs=1e-9)
    assert net.rank == 0 and said.family == "full-rank state dict"
    assert said.find("scale").source == ("argument" if divided else "default")


def test_other_times_and_noise_are_taken_as_arguments(inputs):
    file = state()
    net, said = read_lowrank(file, alpha=0.1, dt=0.005, noise_std=0.01)
    expected = outputs_of_the_family(file, inputs, alpha=0.1)
    assert own_outputs(net, inputs) == pytest.approx(expected, abs=1e-9)
    assert (net.dt, net.tau[0], net.noise_std) == pytest.approx((0.005, 0.05, 0.01))
    for name in ("alpha", "dt", "tau", "noise"):
        assert said.find(name).source == "argument"
    assert read_lowrank(file, activation="relu").net.activation == "relu"


@pytest.mark.parametrize("stored", [("wi",), ("wo",), ("wi", "wo")])
def test_transposed_weights_are_turned_by_their_shape(inputs, stored):
    file = state()
    turned = state(**{key: file[key].T.contiguous() for key in stored})
    net, said = read_lowrank(turned)
    expected = outputs_of_the_family(file, inputs)
    assert own_outputs(net, inputs) == pytest.approx(expected, abs=1e-9)
    assert ("wi unit × channel" in said.find("transposes").value) == ("wi" in stored)


def test_vectors_are_one_channel():
    file = state()
    net, said = read_lowrank(
        state(wi=file["wi"][0], si=file["si"][:1], wo=file["wo"][:, 0], so=None)
    )
    assert net.w_in[:, 0] == pytest.approx((file["wi"][0] * file["si"][0]).numpy())
    assert net.w_out[0] == pytest.approx((file["wo"][:, 0] / N).numpy())
    assert "so absent: 1" in said.find("transposes").value


def test_what_need_not_be_there_is_zero_or_one(inputs):
    file = state(b=None, h0=None, si=None)
    net, said = read_lowrank(file)
    complete = file | {"h0": torch.zeros(N), "si": torch.ones(N_IN)}
    expected = outputs_of_the_family(complete, inputs)
    assert own_outputs(net, inputs) == pytest.approx(expected, abs=1e-9)
    assert said.find("start").source == said.find("bias").source == "default"
    assert read_lowrank(state(b=torch.zeros(N))).conventions.find("bias") == (
        "bias",
        "b = 0",
        "file",
        "",
    )


def test_products_may_stand_beside_or_for_their_factors(inputs):
    file = state()
    products = {
        "wi_full": file["wi"] * file["si"][:, None],
        "wo_full": file["wo"] * file["so"],
    }
    expected = outputs_of_the_family(file, inputs)
    beside = file | products | {"wrec": file["m"] @ file["n"].T / N}
    alone = state(wi=None, si=None, wo=None, so=None) | products
    for given in (beside, alone):
        assert own_outputs(read_lowrank(given).net, inputs) == pytest.approx(
            expected, abs=1e-6
        )


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict"])
def test_checkpoints_are_opened_and_their_rest_is_named(tmp_path, wrapper):
    prefixed = {f"module.{key}": value for key, value in state().items()}
    torch.save({wrapper: prefixed, "epoch": 3, "loss": 0.1}, tmp_path / "a.pt")
    net, said = read_lowrank(tmp_path / "a.pt")
    assert net.n == N
    assert said.ignored == ("epoch", "loss")
    assert "ignored: loss" in said.describe()


def test_relics_and_what_is_named_are_left_out():
    extra = {"rec_noise": torch.zeros(1), "probe": torch.zeros(2)}
    said = read_lowrank(state() | extra, ignore=("probe",)).conventions
    assert set(said.ignored) == {"rec_noise", "probe"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"probe": torch.zeros(2)}, r"got probe, need only what makes .* in ignore"),
        ({"wi": None}, r"wi: got nothing, need an array"),
        ({"wo": None}, r"wo: got nothing, need an array"),
        ({"n": None}, r"n: got nothing, need an array"),
        ({"n": torch.zeros(N, 3)}, r"n: got shape \(16, 3\), need 16 × 2"),
        ({"m": torch.zeros(N)}, r"m: got shape \(16,\), need 16 × any"),
        ({"m": torch.tensor(1.0)}, r"m: got one number, need a matrix"),
        ({"wi": torch.tensor(1.0)}, r"wi: got one number, need channel × unit"),
        ({"wi": torch.zeros(5, 7)}, r"wi: got shape \(5, 7\), need 16 × any"),
        ({"si": torch.zeros(2)}, r"si: got shape \(2,\), need 3 \(channel\)"),
        ({"h0": torch.zeros(2, N)}, r"h0: got shape \(2, 16\), need 1 × 16"),
        ({"b": torch.full((N,), torch.nan)}, r"b: got NaN or infinity"),
        ({"wi_full": torch.ones(N_IN, N)}, r"wi_full: got values .* off wi times si"),
        (
            {"wi_full": torch.ones(2, N)},
            r"wi_full: got shape \(2, 16\), need \(3, 16\)",
        ),
        ({"wrec": torch.eye(N)}, r"wrec: got values .* off m nᵀ/N, need agreement"),
        ({"gaussian_basis": torch.ones(2, N)}, r"statistics of a mixture of Gaussians"),
        ({"m": torch.zeros(N, RANK, dtype=torch.cfloat)}, r"m: got dtype complex"),
    ],
)
def test_what_is_not_as_needed_is_named(changed, message):
    with pytest.raises(UnreadableFile, match=message) as caught:
        read_lowrank(state(**changed))
    assert str(caught.value).startswith("state dict: ")


def test_other_files_and_contradictory_arguments_are_refused():
    with pytest.raises(UnreadableFile, match=r"wrec: got nothing, need an array"):
        read_lowrank({"weight": torch.zeros(3, 3)})
    with pytest.raises(ValueError, match=r"scaled: got False, need True: low-rank"):
        read_lowrank(state(), scaled=False)
    with pytest.raises(ValueError, match=r"alpha: got 0\.3 beside dt = 0\.02 s"):
        read_lowrank(state(), alpha=0.3, dt=0.02, tau=0.1)
    with pytest.raises(ValueError, match=r"activation: got 'step', need one of"):
        read_lowrank(state(), activation="step")
    with pytest.raises(UnreadableFile, match=r"ignore: got probe, need names that are"):
        read_lowrank(state(), ignore=("probe",))


def test_a_first_step_by_the_published_order_differs_only_through_the_bias(inputs):
    """The published loop starts from tanh(h0), this family's equation tanh(h0 + b)."""
    file = state(b=torch.zeros(N))
    net = read_lowrank(file).net
    start = np.tanh(file["h0"].double().numpy())
    r = np.tanh(net.x0)
    assert r == pytest.approx(start, abs=1e-15)
