"""The main job's own promises; its numbers are checked through the command line."""

import hashlib

import numpy as np
import pytest
from scipy.io import savemat

from isotau.convert import storage
from isotau.convert.errors import UnreadableFile
from isotau.pipeline import describe_input, read_network, run_pipeline
from isotau.run_config import RunConfig, draw_seeds


def test_content_decides_the_reader(tmp_path, rate_net):
    path = storage.save(rate_net, tmp_path / "odd.mat")
    assert storage.same(read_network(path), rate_net)


def test_unreadable_networks_are_named(tmp_path):
    with pytest.raises(UnreadableFile, match=r"none: No such file"):
        read_network(tmp_path / "none")


def test_the_report_names_its_input(tmp_path, rate_net):
    path = storage.save(rate_net, tmp_path / "a.rate.npz")
    said = describe_input(path)
    assert said["input"] == "a.rate.npz"
    assert said["input_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert said["input_inverse_lambda"] is None
    savemat(tmp_path / "b.mat", {"opt_scaling_factor": np.uint8(25)})
    assert describe_input(tmp_path / "b.mat")["input_inverse_lambda"] == 25.0


def test_a_network_of_another_shape_is_refused(rate_net):
    with pytest.raises(ValueError, match="network: got 2 inputs and 1 outputs, need 1"):
        run_pipeline(rate_net, RunConfig())


def test_configuration_is_checked():
    with pytest.raises(ValueError, match="task: got 'x', need one of go-nogo"):
        RunConfig(task="x")
    with pytest.raises(ValueError, match="timescale_trials: got 2, need 3"):
        RunConfig(timescale_trials=2)
    with pytest.raises(ValueError, match="seed: got -1"):
        RunConfig(seed=-1)


def test_seeds_differ_and_repeat():
    first, again, other = draw_seeds(1), draw_seeds(1), draw_seeds(2)
    assert first == again
    assert len(set(first) | set(other)) == 2 * len(first)
    assert all(0 <= seed < 2**63 for seed in first)
    assert np.array(first).dtype == np.int64
