import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from isotau.targets.onnx_model.check_onnx import IR_VERSION, OPSET
from isotau.targets.onnx_model.graph import (
    DIGEST,
    Graph,
    digest,
    to_model,
)


def affine():
    """y = 2x + 1, with a bias that may be given."""
    graph = Graph("affine")
    x = graph.input("x", np.int64, ["batch", 3])
    bias = graph.input("bias", np.int64, (), 1)
    y = graph.op("Add", graph.op("Mul", x, graph.constant(2)), bias)
    graph.output(y, np.int64, ["batch", 3], name="y")
    return graph


def test_a_model_computes_what_was_built():
    model = to_model(affine(), {"who": '"me"'})
    x = np.arange(6).reshape(2, 3)
    run = ReferenceEvaluator(model).run
    np.testing.assert_array_equal(run(None, {"x": x})[0], 2 * x + 1)
    given = {"x": x, "bias": np.array(-4)}
    np.testing.assert_array_equal(run(None, given)[0], 2 * x - 4)


def test_a_model_says_its_versions_and_properties():
    model = to_model(affine(), {"who": '"me"'}, "doc")
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]
    assert (model.ir_version, model.doc_string) == (IR_VERSION, "doc")
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert said == {"who": '"me"', DIGEST: digest(model)}


def test_the_digest_sees_a_change():
    model = to_model(affine(), {})
    before = digest(model)
    model.doc_string = "beside the graph"
    assert digest(model) == before
    model.graph.node[0].op_type = "Sub"
    assert digest(model) != before


def test_equal_constants_are_one_and_names_are_unique():
    graph = Graph("g")
    assert graph.constant(5) == graph.constant(5)
    assert graph.constant(5) != graph.constant(5, np.int32)
    assert graph.constant(5) != graph.constant([5])
    assert graph.constant([1, 2]) != graph.constant([[1, 2]])
    x = graph.input("x", np.int64, ())
    assert graph.op("Neg", x, name="a") != graph.op("Neg", x, name="a")


def test_a_body_leaves_its_constants_to_the_outermost_graph():
    graph = Graph("outer")
    body = Graph("body", around=graph)
    inner = Graph("inner", around=body)
    assert inner.constant(7) == graph.constant(7)
    assert not body.initializers
    assert len(graph.initializers) == 1


def test_an_invalid_graph_is_refused_by_onnx():
    graph = Graph("bad")
    x = graph.input("x", np.int64, [2])
    graph.output(graph.op("NoSuchOperator", x), np.int64, [2])
    with pytest.raises(onnx.checker.ValidationError, match="NoSuchOperator"):
        to_model(graph, {})


def test_a_cast_to_fewer_bits_wraps():
    graph = Graph("wrap")
    x = graph.input("x", np.int64, [3])
    graph.output(graph.cast(x, np.int32), np.int32, [3], name="y")
    run = pytest.importorskip("onnxruntime").InferenceSession(
        to_model(graph, {}).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (got,) = run.run(None, {"x": np.array([2**31, -(2**31) - 1, 2**33 + 5])})
    assert got.tolist() == [-(2**31), 2**31 - 1, 5]
