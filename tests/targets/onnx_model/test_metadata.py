import json

import numpy as np
import onnx
import pytest

from benchmarks.engine.random_networks import random_network
from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.records.storage import fingerprint
from isotau.targets.onnx_model.model_file import FORMAT, properties, read_properties


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
    assert said["fingerprint"] == fingerprint(net)
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
