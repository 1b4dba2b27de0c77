"""Checkpoints that are damaged, or of another tuning."""

import dataclasses
import json

import numpy as np
import pytest

from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.tuning.checkpoint import digest
from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.convert.tuning.loss.objective import Objective
from isotau.convert.tuning.tune_loop import tune

QUICK = TuneConfig(batch=4, updates=2, evaluate_every=2, evaluate_trials=4)


@pytest.fixture
def left(small, signs, tmp_path):
    path = tmp_path / "left.npz"
    tune(small, signs, config=QUICK, checkpoint=path)
    return path


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"seed": 5}, "seed"),
        ({"learning_rate": 0.3}, "learning_rate"),
        ({"train": ("w_rec",)}, "train"),
    ],
)
def test_another_configuration_is_named(small, signs, left, changes, name):
    config = dataclasses.replace(QUICK, **changes)
    with pytest.raises(ValueError, match=f"got a checkpoint of {name} .*; remove the"):
        tune(small, signs, config=config, checkpoint=left)


def test_another_network_is_named(small, signs, left):
    other = dataclasses.replace(small, noise_std=0.0)
    with pytest.raises(ValueError, match="got a checkpoint of network"):
        tune(other, signs, config=QUICK, checkpoint=left)


def test_another_objective_is_named(small, signs, left):
    with pytest.raises(ValueError, match="got a checkpoint of objective"):
        tune(
            small,
            signs,
            objective=Objective(task="norm"),
            config=QUICK,
            checkpoint=left,
        )


def rewritten(path, change):
    with np.load(path) as file:
        arrays = dict(file)
    change(arrays)
    np.savez(path, **arrays)


def drop_parameter(arrays):
    del arrays["now.w_rec"]


def other_shape(arrays):
    arrays["now.w_rec"] = np.zeros((3, 3), np.float32)


def no_header(arrays):
    del arrays["header"]


def bad_json(arrays):
    arrays["header"] = np.array("{")


def bad_rng(arrays):
    header = json.loads(str(arrays["header"]))
    header["rng"] = {"bit_generator": "MT"}
    arrays["header"] = np.array(json.dumps(header))


def bad_chance(arrays):
    arrays["chance"] = np.zeros(3, np.uint8)


@pytest.mark.parametrize(
    "change", [drop_parameter, other_shape, no_header, bad_json, bad_rng, bad_chance]
)
def test_damage_is_named(small, signs, left, change):
    rewritten(left, change)
    with pytest.raises(UnreadableFile, match="not a tuning checkpoint"):
        tune(small, signs, config=QUICK, checkpoint=left)


def test_what_is_no_npz_is_refused(small, signs, tmp_path):
    path = tmp_path / "text.npz"
    path.write_text("hello")
    with pytest.raises(UnreadableFile):
        tune(small, signs, config=QUICK, checkpoint=path)


def test_digest_sees_every_number():
    one = {"a": np.arange(3.0), "b": (1, "x", None)}
    two = {"a": np.arange(3.0), "b": (1, "x", None)}
    assert digest(one) == digest(two)
    two["a"] = np.array([0.0, 1.0, np.nextafter(2.0, 3.0)])
    assert digest(one) != digest(two)
    assert digest((1, (2,))) != digest(((1,), 2))
    assert digest(np.zeros(4)) != digest(np.zeros((2, 2)))
