import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks.engine.random_networks import random_network
from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.sim.engines import reference
from isotau.targets.onnx_model import verify_onnx as module
from isotau.targets.onnx_model.fixed_to_onnx import fixed_step_to_onnx, fixed_to_onnx
from isotau.targets.onnx_model.lif_to_onnx import lif_step_to_onnx, lif_to_onnx
from isotau.targets.onnx_model.rate_to_onnx import rate_step_to_onnx, rate_to_onnx
from isotau.targets.onnx_model.verify_onnx import (
    Difference,
    Verified,
    agreement,
    as_json,
    compare,
    describe,
    verify_onnx,
)

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

N = 10
RNG = np.random.default_rng(0)
RATE = RateRNN(
    w_rec=RNG.normal(size=(N, N)) / N**0.5,
    w_in=RNG.normal(size=(N, 2)),
    w_out=RNG.normal(size=(1, N)),
    bias=RNG.normal(size=N),
    b_out=np.zeros(1),
    tau=RNG.uniform(0.02, 0.1, N),
    dale=np.zeros(N),
    activation="softplus",
    noise_std=0.1,
    dt=0.01,
)
LIF = LIFNetwork(
    w_in=RNG.normal(size=(N, 2)),
    w_rec=RNG.normal(size=(N, N)),
    w_out=RNG.normal(size=(1, N)),
    b_out=np.ones(1),
    tau_syn=RNG.uniform(0.005, 0.02, N),
    tau_mem=RNG.uniform(0.005, 0.02, N),
    v_th=np.ones(N),
    v_leak=RNG.uniform(0, 1.1, N),
    v_reset=np.zeros(N),
    refractory=np.full(N, 2e-3),
    noise_std=0.1,
    dt=1e-3,
)
FIXED = random_network(np.random.default_rng(1), N, extreme=True)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.onnx"


def write(path, model):
    path.write_bytes(model.SerializeToString())
    return path


def verified(path, net, **options):
    chosen = {"trials": 4, "steps": 40, "engine": reference.run} | options
    return verify_onnx(path, net, **chosen)


def parameter(model, name):
    (tensor,) = (t for t in model.graph.initializer if t.name == name)
    return tensor


def change(model, name, value):
    parameter(model, name).CopyFrom(numpy_helper.from_array(value, name))
    return model


@pytest.mark.parametrize("make", [rate_to_onnx, rate_step_to_onnx])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_rate_network_is_its_file(path, make, dtype):
    told = verified(write(path, make(RATE, dtype=dtype)), RATE)
    assert told.identical and told.dtype == dtype and told.kind == "RateRNN"
    assert {one.name for one in told.compared} == {"outputs", "rates", "x", "state.x"}


@pytest.mark.parametrize("make", [lif_to_onnx, lif_step_to_onnx])
def test_a_spiking_network_is_its_file(path, make):
    told = verified(write(path, make(LIF)), LIF)
    assert told.identical and told.agreement == 1 and told.spikes > 50
    assert "state.rest" in {one.name for one in told.compared}


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (fixed_to_onnx, {}),
        (fixed_to_onnx, {"record": ("u", "v"), "readout": True}),
        (fixed_step_to_onnx, {"readout": True}),
    ],
)
def test_a_fixed_point_network_is_its_file_to_the_bit(path, make, options):
    told = verified(write(path, make(FIXED, **options)), FIXED)
    assert told.identical and told.spikes > 100 and told.marked
    names = {one.name for one in told.compared}
    assert {"spikes", "u", "v", "state.ring", "state.step"} <= names
    assert ("outputs" in names) == bool(options)
    assert "identical, bit for bit" in describe(told)


def test_one_other_weight_is_found(path):
    model = rate_to_onnx(RATE, dtype="float64")
    bias = RATE.bias.copy()
    bias[3] += 1e-6
    told = verified(write(path, change(model, "bias", bias)), RATE)
    assert not told.identical and told.first.neuron in (0, 3)
    assert "DIFFERENT" in describe(told)
    assert verified(path, RATE, tolerance=1e-3).identical


def test_other_thresholds_are_found(path):
    edited = change(fixed_to_onnx(FIXED), "vth", FIXED.vth // 2)
    told = verified(write(path, edited), FIXED)
    assert not told.identical and told.first.step is not None
    assert told.agreement < 1


def test_a_file_of_another_network_is_told_before_it_runs(path):
    other = replace(RATE, dt=0.011)
    write(path, rate_to_onnx(other))
    both = f"{other.fingerprint[:12]}.*{RATE.fingerprint[:12]}"
    with pytest.raises(UnreadableFile, match=f"made from another network.*{both}"):
        verified(path, RATE)
    model = rate_to_onnx(other)
    del model.metadata_props[:]
    told = verified(write(path, model), RATE)
    assert not told.identical and not told.marked


def test_a_file_of_another_shape_is_refused(path):
    model = lif_to_onnx(LIF)
    del model.metadata_props[:]
    with pytest.raises(UnreadableFile, match=r"inputs: got .*need inputs, noise, x"):
        verified(write(path, model), RATE)
    model = rate_to_onnx(replace(RATE, w_in=np.ones((N, 3))))
    del model.metadata_props[:]
    with pytest.raises(UnreadableFile, match="Got invalid dimensions for input"):
        verified(write(path, model), RATE)


def test_arguments_out_of_range_are_refused(path):
    write(path, rate_to_onnx(RATE))
    with pytest.raises(ValueError, match="trials: got 0, need 1 to"):
        verify_onnx(path, RATE, trials=0)
    with pytest.raises(ValueError, match="steps: got 1, need 2 to"):
        verify_onnx(path, RATE, steps=1)
    with pytest.raises(ValueError, match="seed: got -1, need 0 to"):
        verify_onnx(path, RATE, seed=-1)
    with pytest.raises(ValueError, match="timeout_s: got -1"):
        verify_onnx(path, RATE, timeout_s=-1)
    with pytest.raises(ValueError, match="tolerance: got nan"):
        verify_onnx(path, RATE, tolerance=np.nan)
    with pytest.raises(UnreadableFile, match=r"absent\.onnx: no such file"):
        verify_onnx(path.with_name("absent.onnx"), RATE)


def test_without_onnxruntime_the_package_is_named(path, monkeypatch):
    monkeypatch.setattr(
        "isotau.targets.onnx_model.session.find_spec", lambda name: None
    )
    with pytest.raises(ImportError, match="onnxruntime: got no such package"):
        verify_onnx(path, RATE)


def hostile(nodes, inputs=("inputs", "noise", "x"), initializers=()):
    """A model that takes and gives what a rate network's does, and is another."""
    dims = {"x": ["b", N], "noise": ["t", "b", N], "inputs": ["t", "b", 2]}
    outputs = {"outputs": ["t", "b", 1], "rates": ["t", "b", N], "x_after": ["b", N]}

    def values(names, shapes):
        return [
            helper.make_tensor_value_info(k, TensorProto.FLOAT, shapes[k])
            for k in names
        ]

    graph = helper.make_graph(
        list(nodes),
        "net",
        values(inputs, dims),
        values(outputs, outputs),
        [numpy_helper.from_array(np.asarray(v), k) for k, v in initializers],
    )
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


def node(kind, inputs, outputs, **attributes):
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


FAITHLESS = (
    node("MatMul", "inputs two", "outputs"),
    node("Identity", "noise", "rates"),
    node("Identity", "x", "x_after"),
)
TWO = ("two", np.ones((2, 1), np.float32))


def test_a_model_that_runs_and_does_something_else_differs(path):
    told = verified(write(path, hostile(FAITHLESS, initializers=[TWO])), RATE)
    assert not told.identical and not told.marked and told.first.step == 0


def test_endless_loops_are_not_run(path):
    body = helper.make_graph(
        [node("Identity", "go", "go_on")],
        "body",
        [
            helper.make_tensor_value_info("k", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("go_on", TensorProto.BOOL, [])],
    )
    loop = helper.make_node("Loop", ["most", "yes"], [], body=body)
    constants = [TWO, ("most", np.array(2**62)), ("yes", np.array(True))]
    write(path, hostile([loop, *FAITHLESS], initializers=constants))
    with pytest.raises(UnreadableFile, match="Loop"):
        verified(path, RATE)


def test_a_model_that_takes_too_long_is_ended(path):
    # 2 · 8192³ operations, again and again: minutes on any machine
    nodes = [node("ConstantOfShape", "large", "m0")]
    nodes += [node("MatMul", f"m{k} m{k}", f"m{k + 1}") for k in range(8)]
    nodes += [node("ReduceSum", "m8", "sum", keepdims=0), *FAITHLESS]
    nodes += [node("Add", "rates_of sum", "rates")]
    nodes[-3] = node("Identity", "noise", "rates_of")
    constants = [TWO, ("large", np.array([8192, 8192]))]
    write(path, hostile(nodes, initializers=constants))
    begun = time.monotonic()
    with pytest.raises(
        UnreadableFile, match="got no result after 2 s, need one; raise"
    ):
        verified(path, RATE, timeout_s=2)
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("length", [2**33, 2**62])
def test_a_model_that_asks_for_too_much_memory_is_refused(path, length):
    nodes = [
        node("ConstantOfShape", "large", "zeros"),
        node("ReduceSum", "zeros", "sum", keepdims=0),
        node("MatMul", "inputs two", "outputs"),
        node("Add", "noise sum", "rates"),
        node("Identity", "x", "x_after"),
    ]
    constants = [TWO, ("large", np.array([length]))]
    write(path, hostile(nodes, initializers=constants))
    with pytest.raises(UnreadableFile, match=r"net\.onnx: got an error of onnxr"):
        verified(path, RATE)


def test_outputs_without_end_are_refused(path):
    nodes = [
        node("Gather", "noise again", "rates"),
        node("MatMul", "inputs two", "outputs"),
        node("Identity", "x", "x_after"),
    ]
    again = ("again", np.zeros(10_000, np.int64))
    write(path, hostile(nodes, initializers=[TWO, again]))
    with pytest.raises(UnreadableFile, match=r"outputs: got \d+ bytes, need at most"):
        verified(path, RATE)


def test_data_elsewhere_operators_of_others_and_no_models_are_refused(path):
    model = rate_to_onnx(RATE)
    tensor = parameter(model, "w_rec")
    onnx.external_data_helper.set_external_data(tensor, "../secret")
    tensor.ClearField("raw_data")
    with pytest.raises(UnreadableFile, match="w_rec has its data elsewhere"):
        verified(write(path, model), RATE)
    custom = [helper.make_node("Steal", ["x"], ["y"], domain="evil"), *FAITHLESS]
    with pytest.raises(UnreadableFile, match="evil:Steal"):
        verified(write(path, hostile(custom, initializers=[TWO])), RATE)
    path.write_bytes(rate_to_onnx(RATE).SerializeToString()[:-300])
    with pytest.raises(UnreadableFile, match=r"net\.onnx: .*need"):
        verified(path, RATE)
    path.write_bytes(b"no model at all")
    with pytest.raises(UnreadableFile, match="need an ONNX model"):
        verified(path, RATE)


def test_a_file_beyond_the_limit_is_not_read(path, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    with pytest.raises(UnreadableFile, match="need at most 1000"):
        verified(write(path, rate_to_onnx(RATE)), RATE)


def test_a_crash_is_an_error_with_its_signal(path, monkeypatch):
    write(path, rate_to_onnx(RATE))
    dies = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    run = module.supervise
    monkeypatch.setattr(
        module, "supervise", lambda command, limit: run([command[0], "-c", dies], limit)
    )
    with pytest.raises(UnreadableFile, match=r"got a crash \(signal 11: it said noth"):
        verified(path, RATE)
    fails = "raise SystemExit('no such luck')"
    monkeypatch.setattr(
        module,
        "supervise",
        lambda command, limit: run([command[0], "-c", fails], limit),
    )
    with pytest.raises(UnreadableFile, match=r"got a crash \(status 1: no such luck"):
        verified(path, RATE)


def test_results_of_another_shape_are_refused(path):
    nodes = [*FAITHLESS[:1], FAITHLESS[2], node("Gather", "noise first", "rates")]
    constants = [TWO, ("first", np.array([0]))]
    shapes = r"rates: got shape \(2, 4, 10\), need shape \(40, 4, 10\)"
    with pytest.raises(UnreadableFile, match=shapes):
        verified(write(path, hostile(nodes, initializers=constants)), RATE)


@pytest.mark.parametrize("make", [rate_to_onnx, lif_to_onnx, fixed_to_onnx])
def test_the_example_of_the_documentation_runs(path, make):
    page = Path(__file__).resolve().parents[3] / "docs" / "onnx.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.S)
    nets = {rate_to_onnx: RATE, lif_to_onnx: LIF, fixed_to_onnx: FIXED}
    write(path, make(nets[make]))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=path.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0 and not done.stderr
    assert f"(100, 4, {N})" in done.stdout


STEPS, BATCH, NEURONS = 6, 2, 3


def outputs():
    spikes = np.zeros((STEPS, BATCH, NEURONS), np.uint8)
    spikes[::2] = 1
    v = np.random.default_rng(0).normal(size=(STEPS, BATCH, NEURONS))
    return {"spikes": spikes, "v": v, "state.v": v[-1].copy()}


def copied(values, **changes):
    return {name: value.copy() for name, value in values.items()} | changes


def result(compared, first, **changes):
    fields = {
        "path": "net.onnx",
        "kind": "LIFNetwork",
        "dtype": "float64",
        "trials": BATCH,
        "steps": STEPS,
        "seed": 0,
        "compared": compared,
        "first": first,
        "spikes": 18,
        "agreement": 1.0,
        "marked": True,
        "runtime": "1.31.1",
    }
    return Verified(**fields | changes)


def test_equal_outputs_do_not_differ():
    need = outputs()
    compared, first = compare(copied(need), need, 1e-9)
    assert first is None
    assert [one.values for one in compared] == [36, 36, 6]
    assert all(one.different == 0 and one.largest == 0 for one in compared)
    assert result(compared, first).identical


def test_the_first_difference_is_the_earliest():
    need = outputs()
    got = copied(need)
    got["state.v"][0, 0] += 1
    got["v"][5, 0, 1] += 1
    got["v"][3, 1, 2] = 7
    compared, first = compare(got, need, 1e-9)
    assert first == Difference(3, 1, 2, "v", 7.0, need["v"][3, 1, 2])
    assert [one.different for one in compared] == [0, 2, 1]


def test_floats_may_differ_by_a_part_of_the_trials_largest():
    need = outputs()
    need["v"][:, 1] *= 1000
    got = copied(need)
    got["v"] *= 1 + 1e-5
    assert compare(got, need, 2e-5)[1] is None
    got["v"][0, 0, 0] += 1e-3
    first = compare(got, need, 2e-5)[1]
    assert (first.step, first.trial, first.neuron, first.name) == (0, 0, 0, "v")


def test_after_its_first_other_spike_a_trial_is_not_compared():
    need = outputs()
    got = copied(need)
    got["spikes"][2, 1, 0] = 0
    got["v"][2:, 1] += 5
    got["state.v"][1] += 5
    compared, first = compare(got, need, 1e-9)
    assert first == Difference(2, 1, 0, "spikes", 0.0, 1.0)
    assert [one.different for one in compared] == [1, 0, 0]
    got["v"][1, 1, 0] += 5
    assert compare(got, need, 1e-9)[1].step == 1


def test_integers_must_be_equal_however_large():
    need = {"state.step": np.array(2**60), "ring": np.zeros((1, 1, 2), np.int64)}
    got = {"state.step": np.array(2**60 + 1), "ring": np.zeros((1, 1, 2), np.int32)}
    compared, first = compare(got, need, 0.5)
    assert compared[0].different == 1 and compared[1].different == 0
    assert first.step is None and first.neuron == 0 and first.name == "step"


def test_infinities_and_no_numbers_are_equal_to_themselves_alone():
    need = {"x": np.array([[[np.inf, -np.inf, np.nan, 1.0]]])}
    assert compare(copied(need), need, 1e-9)[1] is None
    for k, other in enumerate((-np.inf, np.nan, 0.0, np.inf)):
        got = copied(need)
        got["x"][0, 0, k] = other
        assert compare(got, need, 1e-9)[1].neuron == k


def test_agreement_is_the_share_of_spikes_in_both():
    a, b = np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0])
    assert agreement(a, b) == pytest.approx(1 / 3)
    assert agreement(a, a) == agreement(0 * a, 0 * a) == 1


def test_the_result_in_words():
    need = outputs()
    good = result(*compare(copied(need), need, 1e-9))
    assert "net.onnx: identical within the tolerance; LIFNetwork" in describe(good)
    assert "spikes: 0 of 36 differ\n" in describe(good)
    fixed = replace(good, kind="FixedPointNetwork", marked=False, spikes=0)
    assert "identical, bit for bit" in describe(fixed)
    assert "does not say which network" in describe(fixed)
    assert "no neuron fired" in describe(fixed)
    got = copied(need)
    got["v"][3, 1, 2] = 7
    bad = result(*compare(got, need, 1e-9))
    assert "DIFFERENT" in describe(bad)
    assert "first difference: v of 2, step 3, trial 1: got 7, need" in describe(bad)
    got = copied(need)
    got["state.v"][0, 1] = 7
    after = describe(result(*compare(got, need, 1e-9)))
    assert "first difference: v of 1, after the last step, trial 0" in after


def test_the_result_as_plain_data():
    need = outputs()
    got = copied(need)
    got["v"][0, 0, 0] = np.inf
    plain = as_json(result(*compare(got, need, 1e-9)))
    text = json.dumps(plain, allow_nan=False)
    assert json.loads(text)["first"]["got"] == "inf"
    assert plain["identical"] is False and len(plain["compared"]) == 3
