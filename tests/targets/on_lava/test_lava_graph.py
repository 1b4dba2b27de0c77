import subprocess
import sys

import pytest


@pytest.mark.lava
@pytest.mark.parametrize(
    ("noise_exp", "refractory", "interval", "expected"),
    [
        (None, 0, 0, "LIF"),
        (None, 0, 5, "LIFReset"),
        (9, 0, 0, "NoisyLIF"),
        (None, 1, 5, "NoisyLIF"),
    ],
)
def test_lavas_own_neuron_is_used_where_it_is_enough(
    noise_exp, refractory, interval, expected
):
    """In a process of its own, as Lava sets how Python starts processes."""
    script = f"""
import numpy as np
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.targets.on_lava.lava_child import build
one = np.ones(1)
net = FixedPointNetwork(
    blocks=(), n_in=1, du=one, dv=one, vth=one, bias_mant=one, bias_exp=one,
    refractory={refractory} * one, noise_exp={noise_exp}, state_scale=1.0,
    reset_interval={interval}, v_reset=one, input_scale=1.0, dt=1.0,
    w_out=np.ones((1, 1)), b_out=one, tau_out=one)
messages = np.zeros((2, 1, 1), dtype=np.int32)
zero = np.zeros(1, dtype=np.int64)
print(type(build(net, messages, seeds=zero, trials=zero)).__name__)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == expected


@pytest.mark.lava
@pytest.mark.parametrize("refractory", [0, 1])
def test_every_copy_starts_in_the_networks_state(refractory):
    script = f"""
import numpy as np
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.targets.on_lava.lava_child import build
one = np.ones(2)
net = FixedPointNetwork(
    blocks=(), n_in=1, du=one, dv=one, vth=one, bias_mant=one, bias_exp=one,
    refractory={refractory} * one, noise_exp=None, state_scale=1.0,
    v_reset=one, input_scale=1.0, dt=1.0, w_out=np.ones((1, 2)), b_out=np.ones(1),
    tau_out=one, u0=[-8388607, 3], v0=[5, 8388607])
messages = np.zeros((2, 2, 1), dtype=np.int32)
zeros = np.zeros(2, dtype=np.int64)
built = build(net, messages, seeds=zeros, trials=zeros)
print(built.u.init.tolist(), built.v.init.tolist())
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == (
        "[-8388607, 3, -8388607, 3] [5, 8388607, 5, 8388607]"
    )
