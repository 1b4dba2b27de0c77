"""Inputs from files, sound and not."""

import numpy as np
import pytest

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.read.read_inputs import read_inputs
from isotau.convert.records import storage
from isotau.convert.records.trials import Trials

RNG = np.random.default_rng(0)
VALUES = RNG.integers(0, 2, (7, 4, 3))


def test_npz_npy_and_trials_give_the_same(tmp_path):
    labels = np.array([0, 2, 1, 1])
    np.savez(tmp_path / "a.npz", inputs=VALUES, labels=labels, dt=0.004)
    np.save(tmp_path / "b.npy", VALUES.astype(bool))
    trials = Trials(
        inputs=VALUES,
        targets=np.zeros((7, 4, 1)),
        mask=np.ones((7, 4), dtype=bool),
        labels=labels,
        dt=0.004,
        task="x",
    )
    storage.save(trials, tmp_path / "c.npz")
    for name in ("a.npz", "b.npy", "c.npz"):
        read = read_inputs(tmp_path / name, n_in=3)
        assert read.values.dtype == np.float64
        np.testing.assert_array_equal(read.values, VALUES)
        if name == "b.npy":
            assert read.labels is None and read.dt is None
        else:
            np.testing.assert_array_equal(read.labels, labels)
            assert read.dt == 0.004


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"inputs": VALUES[0]}, r"inputs: got shape \(4, 3\), need 3 axes"),
        (
            {"inputs": VALUES[:, :, :2]},
            r"inputs: got shape \(7, 4, 2\), need \(7",
        ),
        ({"inputs": VALUES[:0]}, r"inputs: got shape \(0, 4, 3\), need a step"),
        ({"inputs": VALUES * np.nan}, "inputs: got nan at"),
        ({"inputs": VALUES * 1j}, "inputs: got .* no array of real numbers"),
        ({"x": VALUES}, "got the arrays x, need inputs and"),
        ({"inputs": VALUES, "y": VALUES}, "got the arrays inputs, y, need inputs and"),
        ({"inputs": VALUES, "labels": np.zeros(3, int)}, r"labels: got shape"),
        ({"inputs": VALUES, "labels": np.full(4, 0.5)}, "labels: got dtype float64"),
        (
            {"inputs": VALUES, "labels": np.full(4, -1)},
            r"labels: got -1 at",
        ),
        (
            {"inputs": VALUES, "dt": np.ones(2)},
            r"dt: got shape \(2,\), need one number",
        ),
        ({"inputs": VALUES, "dt": 0.0}, "dt: got 0.0, need"),
    ],
)
def test_wrong_arrays_are_named(tmp_path, arrays, text):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UnreadableFile, match="a.npz: " + text):
        read_inputs(tmp_path / "a.npz", n_in=3)


def test_damaged_files_are_named(tmp_path):
    with pytest.raises(UnreadableFile, match=r"no\.npy: no such file"):
        read_inputs(tmp_path / "no.npy", n_in=3)
    path = tmp_path / "a.npy"
    np.save(path, VALUES)
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(UnreadableFile, match="claims 672 bytes and holds 664"):
        read_inputs(path, n_in=3)
    path.write_bytes(whole.replace(b"(7, 4, 3)", b"(1<<9,3,)"))
    with pytest.raises(UnreadableFile, match=r"not a readable \.npy file"):
        read_inputs(path, n_in=3)
    np.save(path, np.array([{}], dtype=object))
    with pytest.raises(UnreadableFile, match=r"a\.npy: "):
        read_inputs(path, n_in=3)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(UnreadableFile, match=r"not a readable \.npz file"):
        read_inputs(path, n_in=3)
