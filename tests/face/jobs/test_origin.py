"""What reports say of their input."""

import hashlib

import numpy as np
import pytest
from scipy.io import savemat

from isotau.convert.read.conventions import Conventions
from isotau.convert.read.read_rate import read_rate
from isotau.convert.records import storage
from isotau.jobs.origin import (
    describe_assumptions,
    describe_input,
    names_of,
    read_networks,
    versions,
)


def test_the_report_names_its_input(tmp_path, rate_net, low_rank_file):
    path = storage.save(rate_net, tmp_path / "a.rate.npz")
    said = describe_input(path, read_rate(path).conventions)
    assert said["input"] == "a.rate.npz"
    assert said["input_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert said["input_inverse_lambda"] is None
    assert said["input_conventions"]["family"] == "isotau .rate.npz"
    assumed = describe_input(low_rank_file, read_rate(low_rank_file).conventions)
    assert assumed["input_conventions"]["alpha"]["value"] == "0.2"
    assert assumed["input_conventions"]["alpha"]["source"] == "default"
    assert describe_input(path)["input_conventions"] is None


def test_the_authors_own_lambda_is_told(tmp_path, rate_net):
    items = read_rate(storage.save(rate_net, tmp_path / "a.rate.npz")).conventions.items
    savemat(tmp_path / "b.mat", {"opt_scaling_factor": np.uint8(25)})
    said = Conventions(family="spikeRNN .mat", items=items)
    assert describe_input(tmp_path / "b.mat", said)["input_inverse_lambda"] == 25.0
    savemat(tmp_path / "c.mat", {"N": 3.0})
    assert describe_input(tmp_path / "c.mat", said)["input_inverse_lambda"] is None


def test_versions_are_of_packages_that_are_there():
    known = versions()
    assert known["numpy"] == np.__version__ and known["python"].count(".") == 2
    assert "not installed as a package" not in known["torch"]


def test_versions_name_what_decides_the_numbers():
    found = versions()
    assert {"python", "numpy", "torch", "norse", "lava-nc"} <= set(found)
    assert found["norse"].startswith("1.1")


def test_networks_are_read_with_what_was_assumed(low_rank_file, tmp_path, rate_net):
    (tmp_path / "net.pt").write_bytes(low_rank_file.read_bytes())
    two = [low_rank_file, tmp_path / "net.pt"]
    found, task = read_networks(two, {"alpha": 0.5}, "rdm")
    assert task == "rdm"
    names = [network.name for network in found]
    assert names == [f"{path.parent.name}/net" for path in two]
    assert all(n.origin["input"] == "net.pt" for n in found)
    (said,) = describe_assumptions(found)
    assert said.startswith(f"2 from {names[0]}\nread as: low-rank")
    assert "alpha: 0.5 (argument)" in said
    assert describe_assumptions(found[:1])[0].startswith("read as: low-rank")
    other = storage.save(rate_net, tmp_path / "other.rate.npz")
    with pytest.raises(ValueError, match=r"other\.rate\.npz: network: got 2 inputs"):
        read_networks([low_rank_file, other], {}, "rdm")


def test_names_differ(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    names = names_of([a / "x.rate.npz", a / "y.npz", a / "a.b.mat"])
    assert names == ["x", "y", "a.b"]
    assert names_of([a / "x.npz", b / "x.npz"]) == ["a/x", "b/x"]
    assert names_of([a / "x.npz", a / "x.mat"]) == ["x.npz", "x.mat"]
    assert names_of([]) == []
    with pytest.raises(ValueError, match="got this file twice, need every file once"):
        names_of([a / "x.npz", b / ".." / "a" / "x.npz"])
