import numpy as np
import pytest
from scipy.special import expit

from benchmarks.engine.random_networks import random_network
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.sim.engines import reference
from isotau.targets.onnx_model.expected_run import expected_run


def drawn(net, seed=0, engine=None):
    return expected_run(net, trials=4, steps=20, seed=seed, engine=engine)


def test_a_rate_network_is_run_on_the_noise_that_is_fed():
    rng = np.random.default_rng(0)
    net = RateRNN(
        w_rec=rng.normal(size=(2, 2)),
        w_in=rng.normal(size=(2, 1)),
        w_out=rng.normal(size=(1, 2)),
        bias=rng.normal(size=2),
        b_out=np.zeros(1),
        tau=np.array([0.1, 0.2]),
        dale=np.zeros(2),
        activation="sigmoid",
        noise_std=0.5,
        dt=0.05,
    )
    trial = drawn(net)
    x, alpha = trial.feeds["x"], net.dt / net.tau
    for t in range(20):
        drive = expit(x) @ net.w_rec.T + trial.feeds["inputs"][t] @ net.w_in.T
        x = (1 - alpha) * x + alpha * (drive + net.bias)
        x = x + 0.5 * trial.feeds["noise"][t]
        assert trial.need["x"][t] == pytest.approx(x, abs=1e-12)
    assert (trial.need["state.x"] == trial.need["x"][-1]).all()
    assert trial.sequences == ("inputs", "noise")


def test_a_spiking_network_is_run_on_the_noise_that_is_fed():
    net = LIFNetwork(
        w_in=[[0.0]],
        w_rec=[[0.0]],
        w_out=[[1.0]],
        b_out=[0.0],
        tau_syn=[0.01],
        tau_mem=[0.01],
        v_th=[1e9],
        v_leak=[0.0],
        v_reset=[-1.0],
        refractory=[0.0],
        noise_std=0.5,
        dt=1e-3,
    )
    trial = drawn(net)
    v, keep = -1.0, np.exp(-0.1)
    for t in range(20):
        v = v * keep + 0.5 * np.sqrt(1 - keep**2) * trial.feeds["noise"][t]
        assert trial.need["v"][t] == pytest.approx(v, abs=1e-12)
    assert not trial.need["spikes"].any()


def test_a_fixed_point_network_gets_messages_up_to_overflow():
    rng = np.random.default_rng(1)
    net = random_network(rng, 8, extreme=False)
    trial = drawn(net, engine=reference.run)
    messages = trial.feeds["messages"]
    largest = np.abs(messages).max(axis=(0, 2))
    assert largest[0] < 6 and largest[3] > 1e5
    assert 0.2 < (messages == 0).mean() < 0.8
    assert trial.need["u"].shape == (20, 4, 8) and "state.ring" in trial.need


def test_the_seed_decides_and_an_engine_is_needed():
    net = random_network(np.random.default_rng(1), 8, extreme=False)
    same = [drawn(net, engine=reference.run) for _ in range(2)]
    assert (same[0].feeds["messages"] == same[1].feeds["messages"]).all()
    other = drawn(net, seed=1, engine=reference.run)
    assert (same[0].feeds["messages"] != other.feeds["messages"]).any()
    with pytest.raises(ValueError, match="engine: got None, need one for a Fixed"):
        drawn(net)
