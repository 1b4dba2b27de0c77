import numpy as np
import pytest

from isotau.targets.onnx_model.float_inputs import add_noise, add_state, check_dtype
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
    batch = graph.input("batch", "int64", [1])
    state = add_state(graph, "v", "float64", [1.5, 2.5], batch)
    graph.output(state, "float64", ["rows", 2])
    session = opened(graph)
    three = np.array([3])
    assert session.run(None, {"batch": three})[0].tolist() == [[1.5, 2.5]] * 3
    given = np.arange(6.0).reshape(3, 2)
    assert (session.run(None, {"batch": three, "v": given})[0] == given).all()


def test_noise_left_out_is_one_zero_a_step():
    graph = Graph("noise")
    steps = graph.input("steps", "int64", [1])
    graph.output(add_noise(graph, "float32", 4, steps), "float32", ["a", "b", "c"])
    session = opened(graph)
    assert session.run(None, {"steps": np.array([5])})[0].shape == (5, 1, 1)
    given = np.ones((5, 2, 4), np.float32)
    made = session.run(None, {"steps": np.array([5]), "noise": given})[0]
    assert (made == given).all()


def test_two_precisions_there_are():
    assert check_dtype("float32") == "float32"
    with pytest.raises(ValueError, match="dtype: got 'double', need one of float32"):
        check_dtype("double")
