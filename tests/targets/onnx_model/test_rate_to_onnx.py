from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import expit

from isotau.convert.records.rate import ACTIVATIONS, RateRNN
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.targets.onnx_model.rate_to_onnx import rate_step_to_onnx, rate_to_onnx

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

N, N_IN, N_OUT, STEPS, BATCH = 12, 3, 2, 60, 4
RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(STEPS, BATCH, N_IN))
NOISE = RNG.normal(size=(STEPS, BATCH, N))


def network(**changes):
    rng = np.random.default_rng(1)
    fields = {
        "w_rec": 1.2 * rng.normal(size=(N, N)) / N**0.5,
        "w_in": rng.normal(size=(N, N_IN)),
        "w_out": rng.normal(size=(N_OUT, N)) / N,
        "bias": rng.normal(size=N),
        "b_out": rng.normal(size=N_OUT),
        "tau": rng.uniform(0.02, 0.1, N),
        "dale": np.zeros(N),
        "activation": "sigmoid",
        "noise_std": 0.0,
        "dt": 0.005,
        "x0": rng.normal(size=N),
    }
    return RateRNN(**fields | changes)


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def run(model, feeds):
    opened = session(model)
    types = {"tensor(float)": np.float32, "tensor(double)": np.float64}
    dtype = types[opened.get_inputs()[0].type]
    names = [entry.name for entry in opened.get_outputs()]
    fed = {name: np.asarray(value, dtype) for name, value in feeds.items()}
    return dict(zip(names, opened.run(None, fed), strict=True))


def by_hand(net, phi, *, noise=None, x=None):
    """The equation, one trial and one unit after the other."""
    rates, outputs = np.empty((STEPS, BATCH, N)), np.empty((STEPS, BATCH, N_OUT))
    for b in range(BATCH):
        state = [float(k) for k in (net.x0 if x is None else x[b])]
        for t in range(STEPS):
            r = [phi(value) for value in state]
            for k, before in enumerate(list(state)):
                a = net.dt / net.tau[k]
                drive = sum(net.w_rec[k, j] * r[j] for j in range(N)) + net.bias[k]
                drive += sum(net.w_in[k, j] * INPUTS[t, b, j] for j in range(N_IN))
                state[k] = (1 - a) * before + a * drive
                if noise is not None:
                    state[k] += net.noise_std * noise[t, b, k]
            rates[t, b] = [phi(value) for value in state]
            read = [phi(v + s) for v, s in zip(state, net.readout_bias, strict=True)]
            outputs[t, b] = net.w_out @ read + net.b_out
    return rates, outputs


@pytest.mark.parametrize(("dtype", "off"), [("float32", 2e-6), ("float64", 1e-13)])
def test_the_graph_steps_as_the_equation_says(dtype, off):
    net = network(noise_std=0.1, readout_bias=np.linspace(-1, 1, N))
    made = run(rate_to_onnx(net, dtype=dtype), {"inputs": INPUTS, "noise": NOISE})
    rates, outputs = by_hand(net, expit, noise=NOISE)
    assert made["rates"] == pytest.approx(rates, abs=off)
    assert made["outputs"] == pytest.approx(outputs, abs=off)
    assert made["rates"].dtype == np.dtype(dtype)


@pytest.mark.parametrize("ceiling", [None, 0.5])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_is_that_of_the_record(activation, ceiling):
    net = network(activation=activation, ceiling=ceiling)
    x0 = np.random.default_rng(2).normal(size=(BATCH, N), scale=30)
    expected = simulate_rate(net, INPUTS, seed=0, x0=x0, keep_x=True)
    for dtype, off in (("float32", 1e-5), ("float64", 1e-12)):
        made = run(rate_to_onnx(net, dtype=dtype), {"inputs": INPUTS, "x": x0})
        largest = max(1, np.abs(expected.x).max())
        assert made["rates"] == pytest.approx(expected.rates, abs=off * largest)
        assert made["outputs"] == pytest.approx(expected.outputs, abs=off * largest)
        assert made["x_after"] == pytest.approx(expected.x[-1], abs=off * largest)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_far_states_neither_overflow_nor_vanish(activation):
    net = network(activation=activation, w_rec=np.zeros((N, N)), bias=np.zeros(N))
    far = np.array([-1e4, -745.2, -100, -40, -1e-9, 0, 1e-9, 40, 100, 710, 1e4, 3])
    slow = replace(net, tau=np.full(N, 1e6 * net.dt))
    made = run(
        rate_to_onnx(slow, dtype="float64"), {"inputs": 0 * INPUTS[:1, :1], "x": [far]}
    )
    x = made["x_after"][0]
    expected = {
        "sigmoid": expit(x),
        "tanh": np.tanh(x),
        "relu": np.where(x > 0, x, 0),
        "softplus": np.where(x > 40, x, np.log1p(np.exp(np.minimum(x, 40)))),
    }.get(activation)
    if expected is not None:
        assert made["rates"][0, 0] == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert np.isfinite(made["rates"]).all()


def test_noise_and_start_state_may_be_left_out():
    net = network(noise_std=0.3)
    model = rate_to_onnx(net, dtype="float64")
    quiet = run(model, {"inputs": INPUTS})
    given = {"noise": np.zeros((STEPS, BATCH, N)), "x": np.tile(net.x0, (BATCH, 1))}
    told = run(model, {"inputs": INPUTS, **given})
    assert all((quiet[name] == told[name]).all() for name in quiet)
    opened = session(model)
    assert [entry.name for entry in opened.get_inputs()] == ["inputs"]
    without = session(rate_to_onnx(network()))
    optional = without.get_overridable_initializers()
    assert [entry.name for entry in optional] == ["x"]


def test_pieces_and_single_steps_go_on_where_the_others_stopped():
    net = network(noise_std=0.1)
    feeds = {
        "inputs": INPUTS.astype(np.float32),
        "noise": NOISE.astype(np.float32),
    }
    opened = session(rate_to_onnx(net))
    whole = opened.run(None, feeds)
    x, outputs = None, []
    for begin, end in pairwise([0, 1, 20, STEPS]):
        piece = {name: value[begin:end] for name, value in feeds.items()}
        o, _, x = opened.run(None, piece | ({} if x is None else {"x": x}))
        outputs.append(o)
    assert np.concatenate(outputs) == pytest.approx(whole[0], abs=1e-6)
    assert x == pytest.approx(whole[2], abs=1e-6)
    step, x = session(rate_step_to_onnx(net)), np.tile(net.x0, (BATCH, 1))
    for t in range(STEPS):
        now = {name: value[t] for name, value in feeds.items()}
        o, r, x = step.run(None, now | {"x": x.astype(np.float32)})
        assert o == pytest.approx(whole[0][t], abs=1e-6)
        assert r == pytest.approx(whole[1][t], abs=1e-6)
    assert x == pytest.approx(whole[2], abs=1e-6)


def test_another_precision_is_refused():
    with pytest.raises(ValueError, match="dtype: got 'float16', need one of float32"):
        rate_to_onnx(network(), dtype="float16")
    with pytest.raises(ValueError, match="dtype: got 'int8', need one of float32"):
        rate_step_to_onnx(network(), dtype="int8")
