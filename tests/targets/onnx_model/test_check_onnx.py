import re
from dataclasses import replace

import numpy as np
import pytest

from isotau.convert.ground.errors import Severity, exit_status
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.targets.onnx_model import check_onnx as module
from isotau.targets.onnx_model.check_onnx import check_onnx

N = 5
RATE = RateRNN(
    w_rec=np.zeros((N, N)),
    w_in=np.zeros((N, 1)),
    w_out=np.zeros((1, N)),
    bias=np.zeros(N),
    b_out=np.zeros(1),
    tau=np.ones(N),
    dale=np.zeros(N),
    activation="tanh",
    noise_std=0.0,
    dt=0.01,
    x0_std=0.0,
)
LIF = LIFNetwork(
    w_in=np.zeros((N, 1)),
    w_rec=np.zeros((N, N)),
    w_out=np.zeros((1, N)),
    b_out=np.zeros(1),
    tau_syn=np.ones(N),
    tau_mem=np.ones(N),
    v_th=np.ones(N),
    v_leak=np.zeros(N),
    v_reset=np.zeros(N),
    refractory=np.zeros(N),
    noise_std=0.0,
    dt=0.01,
)
FIXED = FixedPointNetwork(
    blocks=(),
    n_in=1,
    du=np.zeros(N),
    dv=np.zeros(N),
    vth=np.ones(N),
    bias_mant=np.zeros(N),
    bias_exp=np.zeros(N),
    refractory=np.zeros(N),
    noise_exp=None,
    state_scale=np.ones(N),
    v_reset=np.zeros(N),
    input_scale=1.0,
    dt=0.01,
    w_out=np.zeros((1, N)),
    b_out=np.zeros(1),
    tau_out=np.ones(N),
)


def found(net):
    return {finding.place: finding for finding in check_onnx(net)}


@pytest.mark.parametrize("net", [RATE, LIF, FIXED])
def test_what_every_network_is_told(net):
    told = found(net)
    assert "opset 18" in told["runtime"].message
    assert "onnxruntime" in told["runtime"].action
    assert exit_status(check_onnx(net)) == 0


def test_noise_in_floats_has_to_come_from_outside():
    for net in (RATE, LIF):
        told = found(replace(net, noise_std=0.25))
        assert told["noise_std"].severity is Severity.WARNING
        assert "got 0.25" in told["noise_std"].message
        assert "noise_std" not in found(net)


def test_noise_in_integers_is_in_the_graph():
    told = found(replace(FIXED, noise_exp=7))
    assert told["noise_exp, current_noise_exp"].severity is Severity.INFO
    assert "seed and first_trial" in told["noise_exp, current_noise_exp"].action


def test_what_is_told_of_rate_networks():
    factors = {"m_vectors": np.ones((N, 1)), "n_vectors": np.zeros((N, 1))}
    told = found(replace(RATE, x0_std=0.1, activation="lif", **factors))
    assert {"x0_std", "activation", "m_vectors, n_vectors", "dtype"} <= set(told)


def test_what_is_told_of_spiking_networks():
    told = found(
        replace(LIF, refractory=[0, 0.01, 0.01, 0, 0.02], population=[0, 0, 1, 1, 1])
    )
    assert {"neurons 1-2, 4", "population", "dtype"} <= set(told)
    assert "got 2" in told["population"].message


def test_weights_that_one_message_cannot_hold(monkeypatch):
    monkeypatch.setattr(module, "OVERHEAD", 0)
    monkeypatch.setattr(module, "MAX_BYTES", 200)
    told = found(RATE)["weights"]
    assert told.severity is Severity.WARNING and "float32" in told.action
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    told = found(RATE)["weights"]
    assert told.severity is Severity.ERROR
    assert re.search("got 280 bytes, need less than 100", told.message)
    assert "weights" not in found(FIXED)


def test_another_record_is_refused():
    with pytest.raises(TypeError, match="net: got list, need RateRNN, LIFNetwork or"):
        check_onnx([])
