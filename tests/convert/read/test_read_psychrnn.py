import numpy as np
import pytest

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.read.read_psychrnn import read_psychrnn
from isotau.convert.simulate.rate_dynamics import simulate_rate

N, N_IN, N_OUT, STEPS, BATCH = 15, 2, 3, 80, 4
SIGNS = np.where(np.arange(N) < 12, 1.0, -1.0)


def variables(**changed):
    """Return what PsychRNN's `get_weights` has without Dale's law; "" leaves out."""
    rng = np.random.default_rng(0)
    values = {
        "init_state": rng.normal(size=(1, N)).astype(np.float32),
        "W_in": rng.normal(size=(N, N_IN)).astype(np.float32),
        "W_rec": (1.2 * rng.normal(size=(N, N)) / N**0.5).astype(np.float32),
        "W_out": rng.normal(size=(N_OUT, N)).astype(np.float32),
        "b_rec": rng.normal(size=N).astype(np.float32),
        "b_out": rng.normal(size=N_OUT).astype(np.float32),
        "Dale_rec": np.eye(N, dtype=np.float32),
        "Dale_out": np.eye(N, dtype=np.float32),
        "input_connectivity": (rng.random((N, N_IN)) < 0.7).astype(np.float32),
        "rec_connectivity": (rng.random((N, N)) < 0.7).astype(np.float32),
        "output_connectivity": (rng.random((N_OUT, N)) < 0.7).astype(np.float32),
        "dale_ratio": None,
    }
    return {k: v for k, v in (values | changed).items() if not isinstance(v, str)}


def dale(**changed):
    signs = {"Dale_rec": np.diag(SIGNS), "Dale_out": np.diag((SIGNS > 0) * 1.0)}
    return variables(**{**signs, "dale_ratio": 0.8, **changed})


@pytest.fixture
def write(tmp_path):
    def write_(values):
        np.savez(tmp_path / "weights.npz", **values)
        return tmp_path / "weights.npz"

    return write_


def outputs_of_psychrnn(file, inputs, *, alpha, law):
    """Return outputs by PsychRNN's forward pass, unit by unit."""
    get = {k: np.asarray(v, dtype=float) for k, v in file.items() if v is not None}
    w_in = get["W_in"] * get["input_connectivity"]
    w_rec = get["W_rec"] * get["rec_connectivity"]
    w_out = get["W_out"] * get["output_connectivity"]
    if law:
        w_in = abs(w_in)
        w_rec = abs(w_rec) @ get["Dale_rec"]
        w_out = abs(w_out) @ get["Dale_out"]
    answer = np.empty((len(inputs), inputs.shape[1], N_OUT))
    for trial in range(inputs.shape[1]):
        x = get["init_state"].ravel()
        for t, u in enumerate(inputs[:, trial]):
            r = [max(value, 0.0) for value in x]
            x = [
                (1 - alpha) * x[i]
                + alpha * (w_rec[i] @ r + w_in[i] @ u + get["b_rec"][i])
                for i in range(N)
            ]
            answer[t, trial] = w_out @ np.maximum(x, 0) + get["b_out"]
    return answer


@pytest.fixture(scope="module")
def inputs():
    return np.random.default_rng(2).normal(size=(STEPS, BATCH, N_IN))


def own_outputs(net, inputs):
    return simulate_rate(net, inputs, seed=0, noise=False).outputs


def test_without_dale_a_file_gives_the_networks_own_output(write, inputs):
    file = variables()
    net, said = read_psychrnn(write(file))
    expected = outputs_of_psychrnn(file, inputs, alpha=0.1, law=False)
    assert own_outputs(net, inputs) == pytest.approx(expected, abs=1e-9)
    assert (net.dt, net.tau[0]) == pytest.approx((0.01, 0.1))
    assert (net.activation, net.noise_std, net.ceiling) == ("relu", 0.0, None)
    assert not net.dale.any()
    assert said.find("Dale's law").value == "no"
    assert said.find("masks").value == "input, rec, output"


@pytest.mark.parametrize("saved", ["raw", "effective"])
def test_with_dale_a_file_gives_the_networks_own_output(write, inputs, saved):
    file = dale()
    expected = outputs_of_psychrnn(file, inputs, alpha=0.25, law=True)
    if saved == "effective":
        file["W_in"] = abs(file["W_in"]) * file["input_connectivity"]
        file["W_rec"] = abs(file["W_rec"]) * file["rec_connectivity"] * SIGNS
        file["W_out"] = abs(file["W_out"]) * file["output_connectivity"] * (SIGNS > 0)
    net, said = read_psychrnn(write(file), dt=0.005, tau=0.02)
    assert own_outputs(net, inputs) == pytest.approx(expected, abs=1e-9)
    assert net.dale.tolist() == SIGNS.tolist()
    assert not np.signbit(net.w_rec[net.w_rec == 0]).any()
    assert said.find("alpha") == ("alpha", "0.25", "argument", "from dt and tau")


def test_signs_speak_where_the_ratio_is_absent(write):
    assert read_psychrnn(write(dale(dale_ratio=""))).net.dale.min() == -1
    assert not read_psychrnn(write(variables(dale_ratio=""))).net.dale.any()
    assert not read_psychrnn(write(variables(dale_ratio=0.0))).net.dale.any()


def test_masks_of_old_files_are_applied(write, inputs):
    file = variables()
    parts = ("input", "rec", "output")
    old = {f"{part}_Connectivity": file[f"{part}_connectivity"] for part in parts}
    renamed = variables(**dict.fromkeys((f"{part}_connectivity" for part in parts), ""))
    expected = outputs_of_psychrnn(file, inputs, alpha=0.1, law=False)
    net = read_psychrnn(write(renamed | old)).net
    assert own_outputs(net, inputs) == pytest.approx(expected, abs=1e-9)


def test_what_need_not_be_there(write):
    names = ("input_connectivity", "rec_connectivity", "output_connectivity")
    file = variables(
        **dict.fromkeys((*names, "init_state", "Dale_rec", "Dale_out"), "")
    )
    net, said = read_psychrnn(write(file))
    assert not net.x0.any()
    assert said.find("masks").value == "none"
    assert said.find("start").source == "default"
    start = np.arange(N, dtype=float)
    assert read_psychrnn(write(variables(init_state=start))).net.x0.tolist() == [*start]


def test_what_the_optimizer_left_is_named_and_ignored(write):
    slots = {"W_rec/Adam": np.ones((N, N)), "b_out/Adam_1": np.ones(N_OUT)}
    said = read_psychrnn(write(variables(**slots))).conventions
    assert set(said.ignored) == {"W_rec/Adam", "b_out/Adam_1", "Dale_out"}
    with pytest.raises(UnreadableFile, match=r"got V/Adam, need only what makes"):
        read_psychrnn(write(variables(**{"V/Adam": np.ones(2)})))


def test_noise_is_given_in_either_form(write):
    path = write(variables())
    net, said = read_psychrnn(path, rec_noise=0.2, alpha=0.5)
    assert net.noise_std == pytest.approx(0.2)
    assert said.find("noise").note == "√(2 alpha) times rec_noise = 0.2"
    assert read_psychrnn(path, noise_std=0.3).net.noise_std == 0.3
    with pytest.raises(
        ValueError, match=r"rec_noise: got 0\.2 beside noise_std = 0\.3"
    ):
        read_psychrnn(path, rec_noise=0.2, noise_std=0.3)


def test_another_transfer_function_is_an_argument(write):
    said = read_psychrnn(write(variables()), activation="sigmoid").conventions
    assert said.find("activation") == ("activation", "sigmoid", "argument", "")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (variables(W_rec=""), r"W_rec: got nothing, need an array"),
        (variables(b_out=""), r"b_out: got nothing"),
        (variables(W_f=np.ones((2, 2))), r"W_f: got an LSTM, need PsychRNN's Basic"),
        (variables(extra=np.ones(2)), r"got extra, need only what makes"),
        (variables(W_rec=np.ones((N, 4))), r"W_rec: got shape \(15, 4\), need 15 × 15"),
        (variables(W_in=np.ones((4, 2))), r"W_in: got shape \(4, 2\), need 15 × any"),
        (variables(rec_connectivity=np.ones(3)), r"rec_connectivity: got shape \(3,\)"),
        (variables(b_rec=np.full(N, np.inf)), r"b_rec: got NaN or infinity"),
        (variables(init_state=np.ones((2, N))), r"init_state: got shape \(2, 15\)"),
        (dale(dale_ratio=0.0), r"Dale_rec: got inhibitory units, need none, as dale_r"),
        (dale(Dale_rec=""), r"Dale_rec: got nothing, need the signs of units"),
        (dale(Dale_rec=np.ones((N, N))), r"Dale_rec: got another matrix, need a diag"),
        (
            dale(Dale_out=np.diag(SIGNS)),
            r"Dale_out: got another .* diagonal of 0 and 1",
        ),
        (variables(W_rec=np.array([{}])), r"W_rec: got an array of Python objects"),
    ],
)
def test_what_is_not_as_needed_is_named(write, values, message):
    with pytest.raises(UnreadableFile, match=message):
        read_psychrnn(write(values))
