import numpy as np
import pytest

from isotau.convert.neuron.fi_curve import lif_table
from isotau.targets.onnx_model.float_inputs import add_activation
from isotau.targets.onnx_model.graph import Graph, to_model

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


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
