import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from isotau.convert.rate import RateRNN
from isotau.convert.rate_dynamics import simulate_rate
from isotau.convert.read_spikernn import read_spikernn

FOREIGN = (
    Path(__file__).resolve().parents[2] / "../shared/data/spikernn_gonogo_N200.mat"
)


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


@pytest.mark.parametrize("activation", ["sigmoid", "relu", "softplus"])
def test_steps_are_those_of_a_loop_over_single_units(activation: str) -> None:
    net = small_net(activation=activation)
    rng = np.random.default_rng(1)
    inputs, x0 = rng.normal(size=(6, 2, 2)), rng.normal(size=(2, 4))
    rates, outputs = simulate_rate(net, inputs, rng=rng, noise=False, x0=x0)

    def sigma(x: float) -> float:
        if activation == "sigmoid":
            return 1 / (1 + math.exp(-x))
        return min(
            20.0, max(0.0, x) if activation == "relu" else math.log1p(math.exp(x))
        )

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
            assert rates[t, k] == pytest.approx(after, rel=1e-12)
            for q in range(3):
                o = sum(float(net.w_out[q, j]) * after[j] for j in range(4))
                assert outputs[t, k, q] == pytest.approx(o + float(net.b_out[q]))


def test_an_isolated_unit_relaxes_as_the_closed_form_says() -> None:
    net = small_net(w_rec=np.zeros((4, 4)), bias=np.zeros(4))
    inputs = np.zeros((30, 1, 2))
    x0 = np.full((1, 4), 2.0)
    run = simulate_rate(net, inputs, rng=np.random.default_rng(0), noise=False, x0=x0)
    steps = np.arange(1, 31)[:, None]
    assert logit(run.rates[:, 0]) == pytest.approx(2.0 * (1 - 0.005 / net.tau) ** steps)


def test_noise_is_not_scaled_by_the_step() -> None:
    net = small_net(w_rec=np.zeros((4, 4)), bias=np.zeros(4))
    inputs = np.zeros((300, 500, 2))
    x = logit(simulate_rate(net, inputs, rng=np.random.default_rng(2)).rates[200:])
    keep = 1 - 0.005 / net.tau
    expected = 0.1 / np.sqrt(1 - keep**2)
    assert x.std(axis=(0, 1)) == pytest.approx(expected, rel=0.05)


def test_the_first_state_is_drawn_close_to_zero() -> None:
    net = small_net(w_rec=np.zeros((4, 4)), bias=np.zeros(4), tau=np.full(4, 1e6))
    rng = np.random.default_rng(3)
    x = logit(simulate_rate(net, np.zeros((1, 2000, 2)), rng=rng, noise=False).rates)
    assert x.std() == pytest.approx(0.01, rel=0.05)
    assert abs(x.mean()) < 0.0005


def test_the_generator_decides() -> None:
    inputs = np.zeros((5, 2, 2))
    runs = [
        simulate_rate(small_net(), inputs, rng=np.random.default_rng(seed)).rates
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_inputs_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"inputs: got shape \(5, 2, 3\), need"):
        simulate_rate(small_net(), np.zeros((5, 2, 3)), rng=np.random.default_rng(0))


def test_a_first_state_of_another_width_is_refused() -> None:
    rng, x0 = np.random.default_rng(0), np.zeros((2, 5))
    with pytest.raises(ValueError, match=r"x0: got shape \(2, 5\), need \(2, 4\)"):
        simulate_rate(small_net(), np.zeros((5, 2, 2)), rng=rng, x0=x0)


@pytest.mark.skipif(not FOREIGN.exists(), reason="the foreign network is not here")
def test_stored_states_follow_each_other_up_to_the_noise() -> None:
    net, stored = read_spikernn(FOREIGN), scipy.io.loadmat(FOREIGN)
    x, r, u = stored["x"][..., 0].astype(float), stored["r"][..., 0], stored["u"]
    x0, inputs = x[:-1], u.T[:-1].astype(float)[None]
    rng = np.random.default_rng(0)
    run = simulate_rate(net, inputs, rng=rng, noise=False, x0=x0)
    noise = x[1:] - logit(run.rates[0])
    assert noise.std() == pytest.approx(0.1, rel=0.02)
    assert abs(noise.mean()) < 0.003
    assert 1 / (1 + np.exp(-x)) == pytest.approx(r, abs=1e-6)
