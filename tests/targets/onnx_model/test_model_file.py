import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks.engine.random_networks import random_network
from isotau.convert.ground.errors import UnreadableFile
from isotau.targets.onnx_model import model_file
from isotau.targets.onnx_model.fixed_to_onnx import fixed_to_onnx
from isotau.targets.onnx_model.graph import DIGEST, Graph, digest, to_model
from isotau.targets.onnx_model.model_file import (
    FORMAT,
    properties,
    read_model,
    read_properties,
    write_onnx,
)


def model():
    return fixed_to_onnx(random_network(np.random.default_rng(3), 9, extreme=True))


def put(path, made):
    """A file that says it is unchanged."""
    del made.metadata_props[:]
    helper.set_model_props(made, {DIGEST: digest(made)})
    path.write_bytes(made.SerializeToString())
    return path


def test_a_model_comes_back(tmp_path):
    path = write_onnx(model(), tmp_path / "a" / "net.onnx")
    assert read_model(path) == model()
    assert [p.name for p in path.parent.iterdir()] == ["net.onnx"]


def test_the_same_network_gives_the_same_file(tmp_path):
    first, second = (write_onnx(model(), tmp_path / name) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_an_invalid_model_is_not_written(tmp_path):
    made = model()
    made.graph.node[3].op_type = "Nothing"
    with pytest.raises(onnx.checker.ValidationError, match="Nothing"):
        write_onnx(made, tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_an_edited_model_is_refused_unless_asked_for(tmp_path):
    made = model()
    made.graph.doc_string = "edited"
    path = tmp_path / "net.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(UnreadableFile, match="not the one isotau wrote, need it unch"):
        read_model(path)
    assert read_model(path, unchanged=False) == made


def test_what_is_no_model_is_refused(tmp_path):
    path = tmp_path / "net.onnx"
    with pytest.raises(UnreadableFile, match="No such file"):
        read_model(path)
    path.write_bytes(b"\xff" * 40)
    with pytest.raises(UnreadableFile, match="need an ONNX model"):
        read_model(path)
    path.write_bytes(b"")
    with pytest.raises(UnreadableFile, match="got no nodes, need an ONNX model"):
        read_model(path)
    with pytest.raises(UnreadableFile, match="bytes, need at most 10"):
        read_model(write_onnx(model(), path), max_bytes=10)
    made = model()
    del made.metadata_props[:]
    path.write_bytes(made.SerializeToString())
    with pytest.raises(UnreadableFile, match="got no graph_sha256"):
        read_model(path)


def test_an_invalid_graph_is_refused(tmp_path):
    made = model()
    made.graph.node[0].input[0] = "nowhere"
    with pytest.raises(UnreadableFile, match="need a valid model"):
        read_model(put(tmp_path / "net.onnx", made))


def test_operators_from_elsewhere_are_refused(tmp_path):
    path = tmp_path / "net.onnx"
    made = model()
    made.graph.node[0].domain = "com.custom"
    with pytest.raises(UnreadableFile, match=r"got operator com\.custom:"):
        read_model(put(path, made))
    made = model()
    made.graph.node[0].op_type = "Loop"
    with pytest.raises(UnreadableFile, match=r"got operator :Loop in .* need one of A"):
        read_model(put(path, made))
    made = model()
    made.opset_import.append(helper.make_opsetid("com.custom", 1))
    with pytest.raises(UnreadableFile, match=r"got com\.custom, need ONNX's own"):
        read_model(put(path, made))
    made = model()
    made.functions.add().name = "f"
    with pytest.raises(UnreadableFile, match="got functions, need ONNX's own"):
        read_model(put(path, made))


def test_data_in_other_files_is_refused(tmp_path):
    path = tmp_path / "net.onnx"
    made = model()
    tensor = made.graph.initializer[0]
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../secret"
    with pytest.raises(UnreadableFile, match="has its data elsewhere"):
        read_model(put(path, made))
    del tensor.external_data[:]
    tensor.data_location = TensorProto.EXTERNAL
    with pytest.raises(UnreadableFile, match="has its data elsewhere"):
        read_model(put(path, made))


def test_tensors_that_claim_too_much_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    made = model()
    tensor = next(t for t in made.graph.initializer if t.name == "du")
    tensor.dims[0] = 2**40
    with pytest.raises(UnreadableFile, match=r"du holds 18 bytes, need 2199023255552"):
        read_model(put(path, made))
    tensor.dims[0] = -1
    with pytest.raises(UnreadableFile, match="du holds 18 bytes"):
        read_model(put(path, made))
    tensor.dims[0] = 2**40
    tensor.ClearField("raw_data")
    with pytest.raises(UnreadableFile, match="du claims 2199023255552 bytes, need at"):
        read_model(put(path, made))
    made = model()
    made.graph.initializer[0].data_type = 777
    with pytest.raises(UnreadableFile, match="has type 777, need numbers"):
        read_model(put(path, made))
    made = model()
    made.graph.sparse_initializer.add()
    with pytest.raises(UnreadableFile, match="got sparse tensors"):
        read_model(put(path, made))


def test_tensors_in_attributes_and_bodies_are_looked_at(tmp_path):
    path = tmp_path / "net.onnx"
    made = model()
    body = next(n for n in made.graph.node if n.op_type == "Scan")
    graph = next(a.g for a in body.attribute if a.name == "body")
    tensor = numpy_helper.from_array(np.zeros(3), "inside")
    tensor.dims[0] = 5
    graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))
    with pytest.raises(UnreadableFile, match="inside holds 24 bytes, need 40"):
        read_model(put(path, made))


def test_deep_graphs_are_refused(tmp_path):
    deep = Graph("deep")
    deep.output(deep.input("x", np.int64, [1]), np.int64, [1], name="y")
    made = to_model(deep, {})
    for _ in range(model_file.MAX_DEPTH + 1):
        outer = helper.make_graph(
            [helper.make_node("Scan", ["x"], ["y"], body=made.graph)],
            "outer",
            made.graph.input,
            made.graph.output,
        )
        made.graph.CopyFrom(outer)
    with pytest.raises(UnreadableFile, match="got graphs deeper than 4, need fewer"):
        read_model(put(tmp_path / "net.onnx", made))


def test_damaged_files_are_clear_errors(tmp_path):
    """Cut off or with a bit turned over: an error, or a change outside the graph."""
    good = write_onnx(model(), tmp_path / "good.onnx").read_bytes()
    graph, rng = read_model(tmp_path / "good.onnx").graph, np.random.default_rng(4)
    path, refused = tmp_path / "bad.onnx", 0
    for _ in range(300):
        bad = bytearray(good[: rng.integers(len(good))] if rng.random() < 0.3 else good)
        if len(bad) == len(good):
            bad[rng.integers(len(bad))] ^= 1 << rng.integers(8)
        path.write_bytes(bad)
        try:
            assert read_model(path).graph == graph
        except UnreadableFile:
            refused += 1
    assert refused > 200


def network():
    return random_network(np.random.default_rng(0), 5, extreme=False)


def model_with(texts):
    model = onnx.ModelProto()
    onnx.helper.set_model_props(model, texts)
    return model


def test_what_is_said_is_read_again():
    net = network()
    fields = {"dt": net.dt, "taus": np.array([1.5, 2.5]), "noise_exp": None}
    texts = properties(net, "scan", fields)
    said = read_properties(model_with(texts))
    assert said["kind"] == "FixedPointNetwork"
    assert said["graph"] == "scan"
    assert said["fingerprint"] == net.fingerprint
    assert (said["dt"], said["taus"], said["noise_exp"]) == (1e-3, [1.5, 2.5], None)
    assert (said["format"], type(said["isotau"])) == (FORMAT, str)


def test_one_number_stands_for_many_that_are_equal():
    texts = properties(network(), "step", {"tau_out": np.full(200, 0.02)})
    assert texts["tau_out"] == "0.02"


def test_numbers_keep_every_bit():
    value = np.random.default_rng(1).random(50)
    texts = properties(network(), "step", {"tau_out": value})
    np.testing.assert_array_equal(json.loads(texts["tau_out"]), value)


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ({}, "got no format and fingerprint"),
        ({"format": "1"}, "got no format and fingerprint"),
        ({"format": "1", "fingerprint": "{"}, "need JSON; the file is damaged"),
        ({"format": "1", "fingerprint": "[" * 10**5}, "need JSON"),
        ({"format": "9", "fingerprint": '""'}, "got format 9, need 1; update isotau"),
        ({"format": "1", "fingerprint": "0" * (2**26 + 1)}, "need at most 67108864"),
    ],
)
def test_other_models_are_refused(texts, told):
    with pytest.raises(UnreadableFile, match=told):
        read_properties(model_with(texts))
