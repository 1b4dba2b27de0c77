"""Checkpoints: what comes back, whose they are, and what damaged ones say."""

import numpy as np
import pytest

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.records.checkpoint import (
    Checkpoint,
    damage_named,
    digest,
    fitting,
    read_checkpoint,
    write_checkpoint,
)

WHOSE = {"seed": 3, "train": ("w_rec",), "cut": None}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "run.npz"
    checkpoint = Checkpoint({"update": 4}, {"weights": np.arange(3.0)})
    write_checkpoint(path, WHOSE, checkpoint)
    return path


def test_what_was_written_comes_back(path):
    header, arrays = read_checkpoint(path, WHOSE, "tuning")
    assert header["update"] == 4 and set(arrays) == {"weights"}
    np.testing.assert_array_equal(arrays["weights"], np.arange(3.0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 4}, r"run.npz: got a checkpoint of seed 3, need 4; remove the file"),
        ({"extra": 1}, r"got a checkpoint of extra None, need 1"),
    ],
)
def test_another_runs_checkpoint_is_refused(path, changes, message):
    with pytest.raises(ValueError, match=message):
        read_checkpoint(path, WHOSE | changes, "tuning")


@pytest.mark.parametrize("header", [None, "{", "[]", "{}", '{"whose": 3}'])
def test_a_damaged_header_is_refused(path, header):
    members = {} if header is None else {"header": np.array(header)}
    np.savez(path, weights=np.zeros(1), **members)
    with pytest.raises(UnreadableFile, match="not a tuning checkpoint"):
        read_checkpoint(path, WHOSE, "tuning")


def test_arrays_of_another_layout_are_damage(path):
    like = np.zeros((2, 6))
    assert fitting(like, like) is like
    for array in (np.zeros((2, 6), np.float32), np.zeros(12)):
        with (
            pytest.raises(UnreadableFile, match=r"a training checkpoint \(got float"),
            damage_named(path, "training"),
        ):
            fitting(array, like)


def test_digest_sees_every_number():
    one = {"a": np.arange(3.0), "b": (1, "x", None)}
    two = {"a": np.arange(3.0), "b": (1, "x", None)}
    assert digest(one) == digest(two)
    two["a"] = np.array([0.0, 1.0, np.nextafter(2.0, 3.0)])
    assert digest(one) != digest(two)
    assert digest((1, (2,))) != digest(((1,), 2))
    assert digest(np.zeros(4)) != digest(np.zeros((2, 2)))
