"""Files of sparse networks: bit for bit there and back, and no trust in their sizes."""

import json
import re

import numpy as np
import pytest

from benchmarks.engine.random_networks import conformance_case
from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.records import storage
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.weight_form import sparsified


@pytest.fixture
def members(lif_net, tmp_path):
    """Write a sparse network, its members changed, and return the path."""
    storage.save(sparsified(lif_net), tmp_path / "whole.npz")

    def write(change):
        with np.load(tmp_path / "whole.npz") as whole:
            arrays = dict(whole)
        header = json.loads(str(arrays["isotau"]))
        change(arrays, header)
        arrays["isotau"] = np.array(json.dumps(header))
        np.savez(tmp_path / "changed.npz", **arrays)
        return tmp_path / "changed.npz"

    return write


def test_there_and_back(lif_net, tmp_path):
    for net in (sparsified(lif_net), sparsified(conformance_case(3, 5)[0])):
        back = storage.load(storage.save(net, tmp_path / "a.npz"))
        assert storage.same(back, net)


def test_only_files_with_sparse_weights_need_a_newer_isotau(lif_net, tmp_path):
    for net, version in ((lif_net, 1), (sparsified(lif_net), 2)):
        with np.load(storage.save(net, tmp_path / "a.npz")) as arrays:
            assert json.loads(str(arrays["isotau"]))["format"] == version


def shape(value):
    def change(arrays, header):
        header["fields"]["w_rec"] = value

    return change


def array(name, value):
    def change(arrays, header):
        arrays[f"w_rec.{name}"] = value

    return change


def without(name):
    def change(arrays, header):
        del arrays[f"w_rec.{name}"]

    return change


def other_field(arrays, header):
    for name in ("data", "indices", "indptr"):
        arrays[f"tau_mem.{name}"] = arrays[f"w_rec.{name}"]
    header["fields"]["tau_mem"] = {"shape": [20, 20]}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (shape(None), "w_rec: got shape None, need two whole numbers"),
        (shape([20, 20]), "w_rec: got shape None, need two whole numbers"),
        (shape({"shape": [20]}), "w_rec: got shape [20], need two whole numbers"),
        (shape({"shape": [20, 2e9]}), "w_rec: got shape [20, 2000000000.0], need two"),
        (shape({"shape": [20, 21]}), "w_rec.indptr: got shape (21,), need (22,)"),
        (shape({"shape": [1 << 31, 20]}), "w_rec.shape: got 2147483648 × 20"),
        # What the claimed size would take is never taken.
        (shape({"shape": [(1 << 31) - 1, 20]}), "w_in: got shape (20, 2), need (21474"),
        (without("indices"), "w_rec.indices: got no such array, need one"),
        (without("data"), "w_rec.data: got no such array, need one"),
        (array("indices", np.full(400, 20)), "w_rec.indices: got 20 to 20, need 0 to"),
        (array("data", np.full(400, np.inf)), "w_rec.data: got inf at [0], need finit"),
        (array("data", np.zeros(400)), "w_rec.data: got a weight of 0, need others"),
        (other_field, "tau_mem: got sparse weights, need a dense array"),
    ],
)
def test_files_that_contradict_themselves(change, text, members):
    assert storage.load(members(lambda arrays, header: None), LIFNetwork).n == 20
    with pytest.raises(UnreadableFile, match=re.escape(text)):
        storage.load(members(change), LIFNetwork)
