import json
from typing import Any

import numpy as np
import pytest

from isotau.convert.ground.errors import DoesNotFit
from isotau.convert.ground.settings import describe_settings
from isotau.convert.training import TrainConfig


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"n": 0}, r"n: got 0, need 1 to"),
        ({"max_iterations": -1}, r"max_iterations: got -1, need 0 to"),
        ({"gain": 0.0}, r"gain: got 0\.0, need numbers greater than 0"),
        ({"clip": 0.0}, r"clip: got 0\.0, need numbers greater than 0"),
        ({"ceiling": -1.0}, r"ceiling: got -1\.0, need numbers greater than 0"),
        ({"noise_std": -0.1}, r"noise_std: got -0\.1, need numbers of at least 0"),
        ({"rate_penalty": -1}, r"rate_penalty: got -1\.0, need numbers of at least 0"),
        ({"p_inh": 1.5}, r"p_inh: got 1\.5, need 0 to 1"),
        ({"sst_fraction": 2.0}, r"sst_fraction: got 2\.0, need 0 to 1"),
        ({"overlap": float("nan")}, r"overlap: got nan, need finite numbers"),
        ({"tau_max": 0.01}, r"tau_max: got 0\.01 s, need at least 0\.02 \(tau_min\)"),
        ({"activation": "step"}, r"activation: got 'step', need one of sigmoid"),
        ({"loss": "l1"}, r"loss: got 'l1', need one of norm, mse"),
        ({"train_inputs": "all"}, r"train_inputs: got 'all', need one of fixed"),
        ({"train_outputs": "all"}, r"train_outputs: got 'all', need one of fixed"),
        ({"rank": 0, "p_inh": None}, r"rank: got 0, need 1 to 200"),
        ({"rank": 2}, r"rank: got 2 with Dale's law or a mask.* set p_inh"),
        ({"motif_mask": np.ones((3, 3), dtype=np.int8)}, r"need \(200, 200\)"),
    ],
)
def test_a_configuration_is_checked(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainConfig(**changed)


def test_a_mask_holds_zeros_and_ones() -> None:
    with pytest.raises(DoesNotFit, match=r"motif_mask: got 2 at \[0, 1\], need 0 to 1"):
        TrainConfig(n=2, motif_mask=[[0, 2], [1, 1]])


def test_units_of_mixed_signs_and_no_limits_are_fine() -> None:
    config = TrainConfig(p_inh=None, clip=None, ceiling=None, rank=2)
    assert config.p_inh is None and config.rank == 2


def test_a_description_is_json_and_tells_masks_apart() -> None:
    mask = np.ones((4, 4), dtype=np.int8)
    one = describe_settings(TrainConfig(n=4, motif_mask=mask))
    mask[1, 2] = 0
    other = describe_settings(TrainConfig(n=4, motif_mask=mask))
    assert json.loads(json.dumps(one)) == one
    assert {name for name in one if one[name] != other[name]} == {"motif_mask"}
    assert describe_settings(TrainConfig())["motif_mask"] is None
