"""The noise on tensors against that of `isotau.convert.chip.philox`."""

import re

import numpy as np
import pytest
import torch

from isotau.convert.chip import philox
from isotau.sim.engines.torch_chip import membrane_samples

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(
            not torch.cuda.is_available(), reason="torch finds no CUDA device"
        ),
    ),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("n", [1, 8, 9, 300])
@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**63, 2**64 - 1, 0x0123456789ABCDEF])
def test_same_samples(device, n, seed):
    trials = np.array([0, 1, 2, 77, 2**31, 2**32 - 1])
    for steps in (range(4), range(2**31 - 2, 2**31 + 2), range(2**32 - 3, 2**32)):
        made = membrane_samples(seed, steps, torch.tensor(trials, device=device), n)
        for k, step in enumerate(steps):
            expected = philox.membrane_samples(seed, step, trials, n)
            np.testing.assert_array_equal(made[k].cpu().numpy(), expected)


@pytest.mark.parametrize("steps", [range(-1, 3), range(2**32 - 1, 2**32 + 1)])
def test_steps_that_the_counter_has_not(steps):
    text = f"steps: got {steps.start} to {steps.stop - 1}, need 0 to 2^32 − 1"
    with pytest.raises(ValueError, match=re.escape(text)):
        membrane_samples(0, steps, torch.arange(2), 3)
