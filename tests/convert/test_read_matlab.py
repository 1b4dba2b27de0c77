"""Any variable of a `.mat` file; what a network needs is tested with its reader."""

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from isotau.convert import read_matlab
from isotau.convert.errors import UnreadableFile
from isotau.convert.read_matlab import read_variables
from isotau.convert.read_spikernn import ALL, read_spikernn_variables


@pytest.mark.parametrize("compressed", [False, True])
def test_what_is_asked_for_comes_as_scipy_wrote_it(tmp_path, compressed):
    rng = np.random.default_rng(0)
    wrote = {
        "x": rng.standard_normal((7, 3, 1)).astype(np.float32),
        "all_perfs": rng.random((1, 12)),
        "scaling_factors": np.arange(20, 80, 5, dtype=np.uint8)[None],
        "activation": "sigmoid",
        "other": np.ones((50, 50)),
    }
    path = tmp_path / "net.mat"
    savemat(path, wrote, do_compression=compressed)
    found = read_spikernn_variables(path)
    assert set(found) == set(wrote) - {"other"}
    assert found.pop("activation") == "sigmoid"
    for name, array in found.items():
        assert array.dtype == wrote[name].dtype
        np.testing.assert_array_equal(array, wrote[name])


def test_version_7_3_has_its_axes_turned(tmp_path):
    path = tmp_path / "net.mat"
    array = np.arange(6.0).reshape(2, 3)
    with h5py.File(path, "w") as file:
        file["u"] = array.T
    np.testing.assert_array_equal(read_variables(path, ["u", "o"])["u"], array)


def test_every_key_of_the_format_is_known():
    format_ = """w m som_m w_in w_out b_out taus_gaus taus N som_N tr exc inh activation
    x r o u target w0 w_in0 taus_gaus0 x0 r0 losses eval_perf_mean eval_loss_mean
    eval_os eval_labels opt_scaling_factor all_perfs scaling_factors"""
    assert sorted(ALL) == sorted(format_.split())


def test_a_file_beyond_the_limit_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "net.mat"
    savemat(path, {"w": np.eye(3)})
    monkeypatch.setattr(read_matlab, "MAX_FILE", 100)
    with pytest.raises(UnreadableFile, match="it has more than 100 bytes"):
        read_variables(path, ["w"])
