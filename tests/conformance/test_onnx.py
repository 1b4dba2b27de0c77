"""ONNX graphs give the reference engine's bits on the thousand random networks.

The cases are those of `test_engines.py`: half are extreme, with u that wraps, v that
saturates, delays, resets and messages of all 32 bits.
"""

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from benchmarks.engine.random_networks import conformance_case, started
from isotau.sim.engines import compiled, reference
from isotau.targets.onnx_model.fixed_to_onnx import fixed_step_to_onnx, fixed_to_onnx
from isotau.targets.onnx_model.session import open_model, run_onnx

pytest.importorskip("onnxruntime")
GROUPS, EACH = 20, 50
STEPS = 40


def assert_same_state(ours, theirs, number):
    for name in ("u", "v", "rest", "ring"):
        got, expected = getattr(theirs, name), getattr(ours, name)
        np.testing.assert_array_equal(got, expected, f"state.{name} of {number}")
    assert theirs.step == ours.step


def assert_alike(ours, theirs, number):
    np.testing.assert_array_equal(theirs.spikes.bits, ours.spikes.bits, str(number))
    assert theirs.spikes.network == ours.spikes.network
    for name in ("u", "v"):
        got, expected = getattr(theirs, name), getattr(ours, name)
        np.testing.assert_array_equal(got, expected, f"{name} of {number}")
    assert_same_state(ours.state, theirs.state, number)


@pytest.mark.slow
@pytest.mark.parametrize(
    "group",
    [0, 1, *(pytest.param(k, marks=pytest.mark.long) for k in range(2, GROUPS))],
)
def test_a_thousand_random_networks(group):
    for number in range(group * EACH, (group + 1) * EACH):
        net, sent, chosen = conformance_case(number, STEPS)
        ours = reference.run(net, sent, record=("u", "v"), **chosen)
        model = fixed_to_onnx(net, record=("u", "v"))
        assert_alike(ours, run_onnx(model, sent, **chosen), number)


@pytest.mark.parametrize("number", range(20))
def test_networks_start_alike(number):
    net, sent, chosen = conformance_case(number, STEPS)
    net = started(net, number)
    ours = reference.run(net, sent, record=("u", "v"), **chosen)
    model = fixed_to_onnx(net, record=("u", "v"))
    assert_alike(ours, run_onnx(model, sent, **chosen), number)


@pytest.mark.parametrize("number", range(16))
def test_a_step_at_a_time_is_the_run(number):
    net, sent, chosen = conformance_case(number, STEPS)
    net = started(net, number) if number % 3 == 0 else net
    ours = reference.run(net, sent, record=("u", "v"), **chosen)
    opened, state = open_model(fixed_step_to_onnx(net)), None
    for t in range(STEPS):
        run = run_onnx(opened, sent[t : t + 1], state=state, **chosen)
        state = run.state
        np.testing.assert_array_equal(run.spikes.bits[0], ours.spikes.bits[t])
        np.testing.assert_array_equal(state.u, ours.u[t])
        np.testing.assert_array_equal(state.v, ours.v[t])
    assert_same_state(ours.state, state, number)


@pytest.mark.parametrize("number", [1, 2, 8, 22, 29])
def test_a_run_in_parts_is_one_run(number):
    """Across engines, too: the state of one goes on in the other, and back."""
    net, sent, chosen = conformance_case(number, STEPS)
    whole = reference.run(net, sent, record=("u", "v"), **chosen)
    opened = open_model(fixed_to_onnx(net, record=("v",)))
    step = open_model(fixed_step_to_onnx(net))
    state, bits = None, []
    for k, part in enumerate(np.array_split(sent, [7, 20, 21, 30])):
        if k == 3:
            run = compiled.run(net, part, state=state, **chosen)
        else:
            run = run_onnx(step if k == 1 else opened, part, state=state, **chosen)
        state = run.state
        bits.append(run.spikes.bits)
    np.testing.assert_array_equal(np.concatenate(bits), whole.spikes.bits)
    assert_same_state(whole.state, state, number)


def test_trials_do_not_depend_on_their_batch():
    net, sent, _ = conformance_case(30, STEPS)
    sent = np.repeat(sent[:, :1], 4, axis=1)
    opened = open_model(fixed_to_onnx(net))
    together = run_onnx(opened, sent, seed=5).spikes.bits
    for k in range(4):
        alone = run_onnx(opened, sent[:, k : k + 1], seed=5, first_trial=k)
        np.testing.assert_array_equal(alone.spikes.bits[:, 0], together[:, k])


@pytest.mark.parametrize("number", [0, 3, 6, 11])
def test_onnx_itself_gives_the_same_bits(number):
    """The evaluator of the onnx package, written in numpy, is a second runtime.

    In onnx 1.16 its Scan loses an input if several go along, so it steps here.
    """
    net, sent, chosen = conformance_case(number, STEPS)
    ours = reference.run(net, sent[:12], **chosen)
    model = fixed_step_to_onnx(net)
    evaluator, given = ReferenceEvaluator(model), {}
    if net.noise_exp is not None:
        given["seed"] = np.array(chosen["seed"], np.uint64)
        given["first_trial"] = np.array(chosen["first_trial"])
    for now in sent[:12]:
        values = evaluator.run(None, given | {"messages": now})
        made = dict(zip(evaluator.output_names, values, strict=True))
        given |= {k[:-6]: v for k, v in made.items() if k.endswith("_after")}
    for name in ("u", "v", "rest", "ring"):
        np.testing.assert_array_equal(given[name], getattr(ours.state, name), name)


def kinds(graph):
    """The types of a graph's parameters, values and casts, bodies included."""
    found = {tensor.data_type for tensor in graph.initializer}
    for value in (*graph.value_info, *graph.input, *graph.output):
        found.add(value.type.tensor_type.elem_type)
    for node in graph.node:
        for attribute in node.attribute:
            found |= {attribute.i} if attribute.name == "to" else set()
            found |= kinds(attribute.g) if attribute.HasField("g") else set()
    return found


def test_the_graphs_hold_integers_alone():
    for number in range(12):
        net, _, _ = conformance_case(number, STEPS)
        model = fixed_to_onnx(net, record=("u", "v"))
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        for kind in kinds(inferred.graph):
            dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind))
            assert dtype.kind in "biu", dtype
