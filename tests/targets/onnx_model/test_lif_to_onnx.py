from itertools import pairwise

import numpy as np
import pytest
import torch

from isotau.convert.records.lif import LIFNetwork
from isotau.convert.simulate.norse_module import LIFModule, StepNoise
from isotau.targets.onnx_model.lif_to_onnx import (
    STATES,
    lif_step_to_onnx,
    lif_to_onnx,
    start,
)

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

N, N_IN, N_OUT, STEPS, BATCH = 30, 3, 2, 300, 6
INPUTS = np.random.default_rng(0).normal(size=(STEPS, BATCH, N_IN))
NOISE = np.random.default_rng(1).normal(size=(STEPS, BATCH, N))
NOISES = {"noise": NOISE, "current_noise": NOISE[:, ::-1, ::-1].copy()}


def network(**changes):
    rng = np.random.default_rng(2)
    fields = {
        "w_in": 0.02 * rng.normal(size=(N, N_IN)),
        "w_rec": 0.06 * rng.normal(size=(N, N)) / N**0.5,
        "w_out": rng.normal(size=(N_OUT, N)) / N,
        "b_out": rng.normal(size=N_OUT),
        "tau_syn": rng.uniform(0.005, 0.05, N),
        "tau_mem": rng.uniform(0.005, 0.02, N),
        "tau_out": rng.uniform(0.01, 0.1, N),
        "v_th": rng.uniform(-0.045, -0.04, N),
        "v_leak": rng.uniform(-0.065, -0.038, N),
        "v_reset": np.full(N, -0.065),
        "refractory": 1e-3 * rng.integers(0, 5, N),
        "noise_std": 0.0,
        "dt": 1e-3,
        "i0": 0.01 * rng.normal(size=N),
        "v0": rng.uniform(-0.065, -0.046, N),
        "f0": rng.uniform(0, 10, N),
    }
    return LIFNetwork(**fields | changes)


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def run(model, feeds):
    opened = session(model)
    names = [entry.name for entry in opened.get_outputs()]
    return dict(zip(names, opened.run(None, feeds), strict=True))


def by_norse(net, noise=None):
    module = LIFModule(net)
    state, spikes = module.initial_state(BATCH), []
    with torch.inference_mode():
        for t in range(STEPS):
            pushed = StepNoise()
            if noise is not None:
                sizes = zip(module.noise_per_step(), noise, strict=True)
                pushed = StepNoise(*(size * torch.tensor(x[t]) for size, x in sizes))
            state = module.step(
                torch.tensor(INPUTS[t]), state, module.norse_parameters(), pushed
            )
            spikes.append(state.lif.z)
        outputs = module.read_out(spikes).numpy()
    return torch.stack(spikes).numpy(), outputs, state


@pytest.mark.parametrize("noisy", [False, True])
def test_the_spikes_are_those_of_norse(noisy):
    net = network(noise_std=0.003 * noisy, current_noise_std=0.004 * noisy)
    feeds = {"inputs": INPUTS} | (NOISES if noisy else {})
    made = run(lif_to_onnx(net), feeds)
    spikes, outputs, end = by_norse(net, NOISES.values() if noisy else None)
    assert spikes.sum() > 1000 and (spikes.sum(axis=(0, 1)) > 0).mean() > 0.8
    assert (made["spikes"] == spikes).all()
    assert made["outputs"] == pytest.approx(outputs, rel=1e-10, abs=1e-10)
    assert made["v_after"] == pytest.approx(end.lif.v.numpy(), abs=1e-14)
    assert made["i_after"] == pytest.approx(end.lif.i.numpy(), abs=1e-14)
    assert (made["rest_after"] == end.refractory_left.numpy()).all()
    assert (made["z_after"] == spikes[-1]).all()


def test_in_float32_all_but_few_spikes_agree():
    net = network(noise_std=0.003, current_noise_std=0.004)
    feeds = {"inputs": INPUTS} | NOISES
    feeds = {name: values.astype("f4") for name, values in feeds.items()}
    made = run(lif_to_onnx(net, dtype="float32"), feeds)
    spikes, _, _ = by_norse(net, NOISES.values())
    both = ((made["spikes"] > 0) & (spikes > 0)).sum()
    assert both / ((made["spikes"] > 0) | (spikes > 0)).sum() > 0.98


def test_one_neuron_by_hand():
    net = LIFNetwork(
        w_in=[[0.5]],
        w_rec=[[0.25]],
        w_out=[[2.0]],
        b_out=[1.0],
        tau_syn=[0.001 / np.log(2)],
        tau_mem=[0.001 / np.log(2)],
        tau_out=[0.001 / np.log(2)],
        v_th=[1.0],
        v_leak=[0.0],
        v_reset=[-0.5],
        refractory=[0.002],
        noise_std=0.0,
        dt=0.001,
        v0=[0.0],
    )
    # every decay halves: i = 4 → v = 0 + (0 − 0 + 4)/2 = 2 > 1, and so on
    made = run(
        lif_to_onnx(net), {"inputs": np.array([8.0, 0, 0, 0, 8.0])[:, None, None]}
    )
    assert made["spikes"].ravel().tolist() == [1, 0, 0, 0, 1]
    f = np.array([500, 250, 125, 62.5, 531.25])
    assert made["outputs"].ravel() == pytest.approx(2 * f + 1, rel=1e-12)
    # i before each step's decay: 4, 2 + 0.25, 1.125, 0.5625, 0.28125 + 4
    assert made["i_after"].item() == pytest.approx(4.28125 / 2, rel=1e-12)
    assert made["v_after"].item() == -0.5 and made["rest_after"].item() == 2


def test_all_that_is_remembered_goes_in_and_out():
    net = network(noise_std=0.003)
    feeds = {"inputs": INPUTS, "noise": NOISE}
    opened = session(lif_to_onnx(net))
    names = [entry.name for entry in opened.get_outputs()]
    whole = dict(zip(names, opened.run(None, feeds), strict=True))
    for model, cuts in (
        (opened, [0, 1, 77, STEPS]),
        (session(lif_step_to_onnx(net)), range(STEPS + 1)),
    ):
        state = {name: value[None] for name, value in start(net).items()}
        spikes, outputs = [], []
        for begin, end in pairwise(cuts):
            now = slice(begin, end) if model is opened else begin
            piece = {name: value[now] for name, value in feeds.items()} | state
            made = dict(zip(names, model.run(None, piece), strict=True))
            state = {name: made[output] for name, output in STATES.items()}
            spikes.append(made["spikes"].reshape(-1, BATCH, N))
            outputs.append(made["outputs"].reshape(-1, BATCH, N_OUT))
        assert (np.concatenate(spikes) == whole["spikes"]).all()
        assert np.concatenate(outputs) == pytest.approx(whole["outputs"], rel=1e-12)


def test_another_precision_is_refused():
    with pytest.raises(ValueError, match="dtype: got 'int64', need one of float32"):
        lif_to_onnx(network(), dtype="int64")
    with pytest.raises(ValueError, match="dtype: got 'half', need one of float32"):
        lif_step_to_onnx(network(), dtype="half")
