"""What reports say of their input."""

import hashlib

import numpy as np
from scipy.io import savemat

from isotau.convert.read.conventions import Conventions
from isotau.convert.read.read_rate import read_rate
from isotau.convert.records import storage
from isotau.reports.origin import describe_input, versions


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
