"""Start states set back, and what that does to a network on the chip."""

import dataclasses

import numpy as np
import pytest
import torch

from isotau.convert.records.lif import Ranges
from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.to_fixed.quantize import messages, quantize
from isotau.convert.to_fixed.start_state import await_input, set_back


@pytest.mark.parametrize("seed", range(10))
def test_a_state_set_back_comes_forward_again(seed):
    rng = np.random.default_rng(seed)
    n = 8
    a_syn, a_mem = rng.uniform(0.05, 0.9, n), rng.uniform(0.05, 0.9, n)
    a_syn[0], a_mem[1] = 1.0, 1.0
    i0, v0 = rng.normal(size=n), rng.normal(size=n)
    i0[0] = 0
    v_leak, lag = rng.normal(size=n), rng.integers(0, 4, n)
    v0[1] = v_leak[1] + i0[1] / (1 - a_syn[1])  # the one state that it can have
    begin = set_back(
        i0, v0, lag, a_syn=a_syn, a_mem=a_mem, v_leak=v_leak, v_th=np.full(n, 1e9)
    )
    i, v = begin.i0, begin.v0
    for k in range(3):
        now = lag > k
        v = np.where(now, v + a_mem * (v_leak - v + i), v)
        i = np.where(now, i * (1 - a_syn), i)
    np.testing.assert_allclose(i, i0, rtol=1e-9)
    np.testing.assert_allclose(v, v0, rtol=1e-9, atol=1e-9)
    assert not begin.early.any()


def test_a_state_that_would_have_spiked_stays():
    begin = set_back(
        np.zeros(3),
        np.array([0.0, 0.0, 2.0]),
        np.array([1, 2, 1]),
        a_syn=np.full(3, 0.5),
        a_mem=np.full(3, 0.5),
        v_leak=np.full(3, -3.0),
        v_th=np.ones(3),
    )
    np.testing.assert_array_equal(begin.early, [False, True, True])
    np.testing.assert_array_equal(begin.v0, [3, 0, 2])


@torch.no_grad()
def test_the_chip_then_comes_one_step_later_as_a_whole(lif_net, run_in_floats):
    """The chip in floats has its parameters and no rounding of states."""
    net = dataclasses.replace(
        lif_net,
        noise_std=0.0,
        refractory=np.zeros(20),
        v_leak=np.linspace(-0.05, -0.036, 20),
        i0=np.linspace(-2e-3, 2e-3, 20),
    )
    ranges = Ranges(*np.full((3, 20), 0.02))
    inputs = 0.5 * np.random.default_rng(0).random((60, 4, 2))
    _, fired = LIFModule(net)(torch.tensor(inputs))
    same = {}
    for name, start in (("as it is", net), ("set back", await_input(net))):
        made = quantize(start, ranges, input_peak=1.0)
        sent = messages(made, inputs)
        chip = run_in_floats(made, sent)
        same[name] = (chip[1:40] == fired.numpy()[:39]).mean()
        if name == "set back":
            assert not chip[0].any()
    assert fired.sum() > 100
    assert same["set back"] > 0.985 > same["as it is"] + 0.005, same


def test_filters_are_set_back_too(lif_net):
    tau = np.where(np.arange(20) % 2, 0.02, 1e-3 / 50)
    net = dataclasses.replace(lif_net, tau_out=tau, f0=np.where(tau > 0.01, 30.0, 0.0))
    begin = await_input(net)
    np.testing.assert_allclose(begin.f0[1::2], 30.0 * np.exp(1 / 20))
    np.testing.assert_array_equal(begin.f0[::2], 0.0)
