import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch

from isotau.convert.neuron.activation import activate
from isotau.convert.read.read_spikernn import read_spikernn
from isotau.convert.records.rate import RateRNN
from isotau.convert.simulate import shares
from isotau.convert.simulate.rate_dynamics import draw_start, simulate_rate
from isotau.convert.simulate.vectors.normals import (
    RATE,
    RATE_SHARED,
    RATE_START,
    Place,
    normals,
)

SHIPPED = Path(__file__).resolve().parents[3] / "examples/data/go_nogo_N200.mat"


def small_net(**changed: Any) -> RateRNN:
    rng = np.random.default_rng(0)
    fields: dict[str, Any] = {
        "w_rec": rng.normal(size=(4, 4)),
        "w_in": rng.normal(size=(4, 2)),
        "w_out": rng.normal(size=(3, 4)),
        "bias": rng.normal(size=4),
        "b_out": rng.normal(size=3),
        "tau": np.array([0.02, 0.03, 0.05, 0.1]),
        "dale": np.zeros(4),
        "activation": "sigmoid",
        "noise_std": 0.1,
        "dt": 0.005,
    }
    return RateRNN(**(fields | changed))


def logit(r: np.ndarray) -> np.ndarray:
    return np.log(r / (1 - r))


@pytest.mark.parametrize("ceiling", [None, 0.6])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "softplus"])
def test_steps_are_those_of_a_loop_over_single_units(
    activation: str, ceiling: float | None
) -> None:
    shift = np.array([0.3, -0.2, 0.0, 1.0])
    net = small_net(activation=activation, ceiling=ceiling, readout_bias=shift)
    rng = np.random.default_rng(1)
    inputs, x0 = rng.normal(size=(6, 2, 2)), rng.normal(size=(2, 4))
    run = simulate_rate(net, inputs, seed=0, noise=False, x0=x0, keep_x=True)
    assert run.x is not None
    phi = {
        "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
        "tanh": math.tanh,
        "relu": lambda x: max(0.0, x),
        "softplus": lambda x: math.log1p(math.exp(x)),
    }

    def sigma(x: float) -> float:
        return min(phi[activation](x), math.inf if ceiling is None else ceiling)

    for k in range(2):
        x = [float(value) for value in x0[k]]
        for t in range(6):
            r = [sigma(value) for value in x]
            for i in range(4):
                share = 0.005 / float(net.tau[i])
                drive = float(net.bias[i])
                drive += sum(float(net.w_rec[i, j]) * r[j] for j in range(4))
                drive += sum(float(net.w_in[i, c] * inputs[t, k, c]) for c in range(2))
                x[i] = (1 - share) * x[i] + share * drive
            after = [sigma(value) for value in x]
            assert run.rates[t, k] == pytest.approx(after, rel=1e-12, abs=1e-12)
            assert run.x[t, k] == pytest.approx(x, rel=1e-12, abs=1e-12)
            read = [sigma(x[j] + float(shift[j])) for j in range(4)]
            for q in range(3):
                o = sum(float(net.w_out[q, j]) * read[j] for j in range(4))
                assert run.outputs[t, k, q] == pytest.approx(o + float(net.b_out[q]))


def test_an_isolated_unit_relaxes_as_the_closed_form_says() -> None:
    net = small_net(w_rec=np.zeros((4, 4)), bias=np.zeros(4))
    inputs = np.zeros((30, 1, 2))
    x0 = np.full((1, 4), 2.0)
    run = simulate_rate(net, inputs, seed=0, noise=False, x0=x0)
    steps = np.arange(1, 31)[:, None]
    assert logit(run.rates[:, 0]) == pytest.approx(2.0 * (1 - 0.005 / net.tau) ** steps)


def test_noise_is_not_scaled_by_the_step() -> None:
    net = small_net(w_rec=np.zeros((4, 4)), bias=np.zeros(4))
    inputs = np.zeros((300, 500, 2))
    x = logit(simulate_rate(net, inputs, seed=2).rates[200:])
    keep = 1 - 0.005 / net.tau
    expected = 0.1 / np.sqrt(1 - keep**2)
    assert x.std(axis=(0, 1)) == pytest.approx(expected, rel=0.05)


def test_the_first_state_is_drawn_close_to_zero() -> None:
    net = small_net(w_rec=np.zeros((4, 4)), bias=np.zeros(4), tau=np.full(4, 1e6))
    x = logit(simulate_rate(net, np.zeros((1, 2000, 2)), seed=0, noise=False).rates)
    assert x.std() == pytest.approx(0.01, rel=0.05)
    assert abs(x.mean()) < 0.0005


def test_the_first_state_has_the_networks_own_mean_and_spread() -> None:
    mean = np.array([-1.0, 0.0, 0.5, 2.0])
    net = small_net(w_rec=np.zeros((4, 4)), bias=np.zeros(4), tau=np.full(4, 1e6))
    net = dataclasses.replace(net, x0=mean, x0_std=0.2)
    inputs = np.zeros((1, 4000, 2))
    x = simulate_rate(net, inputs, seed=0, noise=False, keep_x=True).x
    assert x is not None
    assert x[0].mean(axis=0) == pytest.approx(mean, abs=4 * 0.2 / np.sqrt(4000))
    assert x[0].std(axis=0) == pytest.approx(np.full(4, 0.2), rel=0.05)


def test_states_are_kept_only_where_asked_for() -> None:
    inputs = np.zeros((3, 1, 2))
    net = small_net(readout_bias=np.ones(4))
    assert simulate_rate(net, inputs, seed=0).x is None
    x = simulate_rate(net, inputs, seed=0, keep_x=True).x
    assert x is not None and x.shape == (3, 1, 4)


def test_with_a_step_of_tau_there_is_no_leak() -> None:
    """The discrete network x ← W r + W_in u + b of `torch.nn.RNN`."""
    net = small_net(tau=np.full(4, 0.005), activation="tanh")
    inputs = np.random.default_rng(1).normal(size=(8, 2, 2))
    torch.manual_seed(0)
    cell = torch.nn.RNN(2, 4, bias=True).double()
    with torch.no_grad():
        cell.weight_hh_l0.copy_(torch.tensor(net.w_rec))
        cell.weight_ih_l0.copy_(torch.tensor(net.w_in))
        cell.bias_ih_l0.copy_(torch.tensor(net.bias))
        cell.bias_hh_l0.zero_()
        expected = cell(torch.tensor(inputs))[0].numpy()
    x0 = np.zeros((2, 4))
    run = simulate_rate(net, inputs, seed=0, noise=False, x0=x0)
    np.testing.assert_allclose(run.rates, expected, atol=1e-12)


def test_the_seed_decides() -> None:
    inputs = np.zeros((5, 2, 2))
    runs = [simulate_rate(small_net(), inputs, seed=seed).rates for seed in (1, 1, 2)]
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def net_of(n: int, rank: int, **changed: Any) -> RateRNN:
    """A network of several panels, all that a step has in it."""
    rng = np.random.default_rng(n)
    m, k = rng.normal(size=(n, rank)), rng.normal(size=(n, rank))
    w = m @ k.T / n if rank else rng.normal(size=(n, n)) / np.sqrt(n)
    fields: dict[str, Any] = {
        "w_rec": w,
        "w_in": rng.normal(size=(n, 2)),
        "w_out": rng.normal(size=(3, n)),
        "bias": rng.normal(size=n),
        "tau": rng.uniform(0.02, 0.1, n),
        "dale": np.zeros(n),
        "x0": rng.normal(size=n),
        "x0_std": 0.3,
    }
    if rank:
        fields |= {"m_vectors": m, "n_vectors": k}
    return small_net(**(fields | changed))


def numpy_loop(
    net: RateRNN, inputs: np.ndarray, seed: int, trials: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """States and outputs by a plain loop, with the noise of the numpy twin."""
    start = normals(Place(seed, RATE_START, 0), trials, net.n).astype(float)
    x, gain, states = net.x0 + net.x0_std * start, net.dt / net.tau, []
    for t, u in enumerate(inputs):
        r = activate(x, net.activation, net.ceiling)
        x = (1 - gain) * x + gain * (r @ net.w_rec.T + u @ net.w_in.T + net.bias)
        x = x + net.noise_std * normals(Place(seed, RATE, t), trials, net.n).astype(
            float
        )
        states.append(x)
    read = activate(np.array(states) + net.readout_bias, net.activation, net.ceiling)
    return np.array(states), read @ net.w_out.T + net.b_out


@pytest.mark.parametrize("n", [5, 16, 70])
@pytest.mark.parametrize("rank", [0, 1, 3])
@pytest.mark.parametrize("activation", ["tanh", "lif"])
def test_runs_are_those_of_a_loop_in_numpy(n: int, rank: int, activation: str) -> None:
    shift = np.linspace(-1, 1, n)
    net = net_of(n, rank, activation=activation, readout_bias=shift, ceiling=0.9)
    inputs = np.random.default_rng(1).normal(size=(60, 13, 2))
    run = simulate_rate(net, inputs, seed=2**40, first_trial=3, keep_x=True)
    states, outputs = numpy_loop(net, inputs, 2**40, np.arange(3, 16))
    np.testing.assert_allclose(run.x, states, rtol=0, atol=1e-12)
    np.testing.assert_allclose(run.outputs, outputs, rtol=0, atol=1e-11)
    rates = activate(states, activation, 0.9)
    np.testing.assert_allclose(run.rates, rates, rtol=0, atol=1e-12)


def test_factors_that_give_the_weights_nearly_are_not_run() -> None:
    """Of a file in float32: their product is 1e-7 off the weights that it has."""
    net = net_of(16, 2)
    factors = {k: getattr(net, k).astype(np.float32) for k in ("m_vectors",)}
    rounded = dataclasses.replace(net, **factors)
    plain = dataclasses.replace(net, m_vectors=(), n_vectors=())
    inputs = np.random.default_rng(1).normal(size=(30, 4, 2))
    runs = [simulate_rate(k, inputs, seed=0).rates for k in (rounded, plain)]
    np.testing.assert_array_equal(*runs)


@pytest.mark.parametrize("rank", [0, 2])
def test_a_trial_does_not_depend_on_batch_stride_or_threads(
    rank: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = net_of(70, rank, readout_bias=np.ones(70))
    inputs = np.random.default_rng(0).normal(size=(50, 90, 2))

    def run(first: int, last: int, **kwargs: int) -> tuple[np.ndarray, np.ndarray]:
        made = simulate_rate(net, inputs[:, first:last], seed=7, **kwargs)
        return made.rates, made.outputs

    whole = run(0, 90, threads=1)
    for other in (run(0, 90, threads=3), run(0, 90)):
        for a, b in zip(whole, other, strict=True):
            np.testing.assert_array_equal(a, b)
    for a, b in zip(whole, run(70, 81, first_trial=70), strict=True):
        np.testing.assert_array_equal(a[:, 70:81], b)
    monkeypatch.setattr(shares, "STRIDE", 7)
    monkeypatch.setattr(shares, "TRIALS", 1)
    for a, b in zip(whole, run(0, 90), strict=True):
        np.testing.assert_array_equal(a, b)


def test_start_states_are_drawn_by_the_trials_number() -> None:
    net = net_of(5, 0)
    whole = draw_start(net, 3, 8)
    np.testing.assert_array_equal(draw_start(net, 3, 2, first_trial=6), whole[6:])
    assert (draw_start(net, 4, 8) != whole).all()


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"seed": 2**64}, r"seed: got 18446744073709551616, need 0 to 2\^64"),
        ({"seed": 0, "first_trial": -1}, "first_trial: got -1, need 0 to"),
    ],
)
def test_counters_out_of_range_are_named(wrong: dict[str, int], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        simulate_rate(small_net(), np.zeros((5, 2, 2)), **wrong)


def test_inputs_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"inputs: got shape \(5, 2, 3\), need"):
        simulate_rate(small_net(), np.zeros((5, 2, 3)), seed=0)


def test_a_first_state_of_another_width_is_refused() -> None:
    x0 = np.zeros((2, 5))
    with pytest.raises(ValueError, match=r"x0: got shape \(2, 5\), need \(2, 4\)"):
        simulate_rate(small_net(), np.zeros((5, 2, 2)), seed=0, x0=x0)


def test_states_of_the_published_step_follow_each_other_up_to_the_noise() -> None:
    """The step is written from the arrays of a spikeRNN file, as its authors train."""
    net, file = read_spikernn(SHIPPED).net, scipy.io.loadmat(SHIPPED)
    w = (file["w"] @ file["m"]) * file["som_m"]
    low, high = file["taus"].ravel()[[0, -1]]
    share = 1 / (1 + np.exp(-file["taus_gaus"]))
    alpha = 1 / (low + (high - low) * share)
    rng = np.random.default_rng(0)
    u = rng.normal(size=(file["w_in"].shape[1], 200))
    x = np.zeros((200, net.n))
    for t in range(1, 200):
        r = 1 / (1 + np.exp(-x[t - 1][:, None]))
        drive = w @ r + file["w_in"] @ u[:, t - 1 : t]
        x[t] = ((1 - alpha) * x[t - 1][:, None] + alpha * drive).ravel()
        x[t] += 0.1 * rng.normal(size=net.n)
    run = simulate_rate(net, u.T[:-1][None], seed=0, noise=False, x0=x[:-1])
    noise = x[1:] - logit(run.rates[0])
    assert noise.std() == pytest.approx(0.1, rel=0.02)
    assert abs(noise.mean()) < 0.003


def test_noise_that_units_share_adds_up_as_a_loop_adds_it() -> None:
    """Drawn once for all units, after the step, and not scaled by dt/τ."""
    loadings = np.random.default_rng(4).standard_normal((6, 2))
    net = small_net(noise_std=0.0, x0_std=0.0)
    n = net.n
    net = dataclasses.replace(net, shared_noise=np.resize(loadings, (n, 2)))
    inputs = np.random.default_rng(5).standard_normal((7, 3, net.n_in))
    x = simulate_rate(net, inputs, seed=8, first_trial=2, keep_x=True).x
    assert x is not None
    expected = np.tile(net.x0, (3, 1))
    for t in range(7):
        r = activate(expected, net.activation, net.ceiling)
        drive = r @ net.w_rec.T + inputs[t] @ net.w_in.T + net.bias
        drawn = normals(Place(8, RATE_SHARED, t), 2 + np.arange(3), 2)
        gain = net.dt / net.tau
        expected = (1 - gain) * expected + gain * drive
        expected += drawn.astype(np.float64) @ net.shared_noise.T
        np.testing.assert_allclose(x[t], expected, atol=1e-12)
    quiet = simulate_rate(net, inputs, seed=8, noise=False, keep_x=True).x
    without = dataclasses.replace(net, shared_noise=np.zeros((0, 0)))
    np.testing.assert_array_equal(
        quiet, simulate_rate(without, inputs, seed=8, keep_x=True).x
    )
