import numpy as np
import pytest

from isotau.convert.neuron.fi_curve import lif_table
from isotau.targets.onnx_model.float_inputs import (
    add_activation,
    add_inputs,
    add_noise,
    add_state,
)
from isotau.targets.onnx_model.graph import Graph, to_model

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def opened(graph):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        to_model(graph, {}).SerializeToString(), options
    )


def test_a_state_left_out_is_the_start_of_every_trial():
    graph = Graph("state")
    graph.input("batch", "int64", [1])
    state = add_state(graph, "v", "float64", [1.5, 2.5])
    graph.output(state, "float64", ["rows", 2])
    session = opened(graph)
    three = np.array([3])
    assert session.run(None, {"batch": three})[0].tolist() == [[1.5, 2.5]] * 3
    given = np.arange(6.0).reshape(3, 2)
    assert (session.run(None, {"batch": three, "v": given})[0] == given).all()


def test_noise_left_out_is_one_zero_a_step():
    graph = Graph("noise")
    graph.input("steps", "int64", [1])
    noise = add_noise(graph, "float32", step=False)
    graph.output(noise, "float32", ["a", "b", "c"])
    session = opened(graph)
    assert session.run(None, {"steps": np.array([5])})[0].shape == (5, 1, 1)
    given = np.ones((5, 2, 4), np.float32)
    made = session.run(None, {"steps": np.array([5]), "noise": given})[0]
    assert (made == given).all()


def test_two_precisions_there_are():
    assert add_inputs(Graph("g"), "float32", 2, step=True) == (("batch",), "inputs")
    with pytest.raises(ValueError, match="dtype: got 'double', need one of float32"):
        add_inputs(Graph("g"), "double", 2, step=True)


def values(x, activation, ceiling=None, dtype="float64"):
    graph = Graph("phi")
    graph.input("x", dtype, ["k"])
    graph.output(add_activation(graph, "x", activation, ceiling, dtype), dtype, ["k"])
    model = to_model(graph, {}).SerializeToString()
    return onnxruntime.InferenceSession(model).run(None, {"x": x.astype(dtype)})[0]


def test_the_lif_activation_is_linear_between_the_points_of_its_table():
    table = lif_table()
    x = np.linspace(-30, 90, 5001)
    places = table.start + table.step * np.arange(table.values.size)
    expected = np.interp(x, places, table.values)
    assert values(x, "lif") == pytest.approx(expected, abs=1e-11)
    assert values(x, "lif", dtype="float32") == pytest.approx(expected, abs=1e-5)


def test_a_ceiling_cuts():
    x = np.array([-5.0, 0.1, 3.0])
    assert values(x, "relu", 0.5).tolist() == [0, 0.1, 0.5]


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="activation: got 'gelu', need one of sigmoid"):
        add_activation(Graph("phi"), "x", "gelu", None, "float64")
