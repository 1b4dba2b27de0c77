"""The torch step's rules against `arithmetic`, on the edges of every range."""

import re

import numpy as np
import pytest
import torch

from isotau.convert.chip import arithmetic, philox
from isotau.convert.chip.torch_step import (
    ChipTensors,
    advance,
    deliver,
    noise_samples,
    on_chip,
    scaled_noise,
    wrap_int32,
)

EDGES = np.concatenate(
    [
        centre + np.arange(-3, 4)
        for centre in (0, 2**23, -(2**23), 3 * 2**23, 2**31, -(2**31), 2**40, 2**24)
    ]
)


def tensor(x):
    return torch.tensor(np.asarray(x, dtype=np.float64))


def test_wraps_are_the_chips():
    np.testing.assert_array_equal(
        wrap_int32(tensor(EDGES)).numpy(), arithmetic.wrap_int32(EDGES)
    )


@pytest.mark.parametrize("wide", [True, False])
def test_a_step_is_that_of_arithmetic(wide):
    rng = np.random.default_rng(0)
    n, top = 4000, 2**31 if wide else 2**25
    edges = EDGES[np.abs(EDGES) < top]
    u = np.where(rng.random(n) < 0.3, rng.choice(edges, n), rng.integers(-top, top, n))
    v, a = rng.integers(1 - 2**23, 2**23, n), rng.integers(-top >> 6, top >> 6, n)
    if wide:
        a = np.where(rng.random(n) < 0.1, rng.integers(-top, top, n), a)
    rest, drive = rng.integers(0, 3, n), rng.integers(-(2**24), 2**24, n)
    du, dv = rng.integers(0, 4096, (2, n))
    vth, refractory = rng.integers(0, 2**17, n), rng.integers(0, 64, n)
    chip = ChipTensors(
        *(tensor(4095 - du), tensor(4096 - dv), tensor(np.zeros(n))),
        *(tensor(vth * 64), tensor(refractory), None, None, wide),
    )
    state = on_chip(*(tensor(x)[None] for x in (u, v, rest)))
    counts, peak = torch.zeros(4, n), torch.empty_like(state.v)
    advance(chip, state, tensor(a)[None], tensor(drive), counts=counts, peak=peak)
    before = arithmetic.update_u_unwrapped(u, a, du)
    u_after = arithmetic.wrap_u(before)
    unclipped = arithmetic.update_v_unclipped(v, u_after, dv, drive)
    v_peak = arithmetic.clip_v(unclipped)
    fired = (rest <= 0) & (v_peak > vth * 64)
    expected = {
        "u": u_after,
        "v": np.where(fired | (rest > 0), 0, v_peak),
        "rest": np.where(fired, refractory, np.maximum(rest - 1, 0)),
        "fired": fired,
    }
    for name, value in expected.items():
        np.testing.assert_array_equal(getattr(state, name)[0].numpy(), value, name)
    np.testing.assert_array_equal(peak[0].numpy(), v_peak)
    left_range = [
        arithmetic.wrap_int32(a << 6) != a << 6,
        before != u_after,
        (rest <= 0) & (unclipped < 1 - 2**23),
        (rest <= 0) & (unclipped > 2**23 - 1),
    ]
    np.testing.assert_array_equal(counts.numpy(), np.array(left_range))
    assert 0.05 < fired.mean() < 0.95 and all(x.any() for x in left_range[1:])


@pytest.mark.parametrize("exponent", [-8, -1, 0, 7])
@pytest.mark.parametrize("wide", [True, False])
def test_sums_are_shifted_as_a_whole(exponent, wide):
    total = np.array([5, -5, 255, -1, 2**20])
    total = np.append(total, [2**31 - 1, -(2**31), 2**35]) if wide else total
    arriving = tensor(np.full(len(total), 2**31 - 10 if wide else 3))
    before = arriving.numpy().astype(np.int64)
    deliver(arriving, tensor(total), exponent, wide=wide)
    sent = before + arithmetic.delivered(total, exponent)
    np.testing.assert_array_equal(arriving.numpy(), arithmetic.wrap_int32(sent))


@pytest.mark.parametrize("stream", [philox.MEMBRANE, philox.SYNAPSE])
def test_noise_is_scaled_by_each_neurons_exponent(device, stream):
    exponents, trials = np.array([1, 6, 7, 23, 0]), np.arange(2)
    scaled = scaled_noise(
        *(tensor(exponents).to(device), stream),
        seed=5,
        steps=range(7, 9),
        trials=torch.tensor(trials, device=device),
    )
    for k, step in enumerate((7, 8)):
        samples = philox.noise_samples(5, step, trials, 5, stream)
        expected = arithmetic.scale_noise(samples, exponents)
        np.testing.assert_array_equal(scaled[k].cpu().numpy(), expected)
        assert not expected[:, 4].any()


@pytest.mark.parametrize("n", [1, 8, 9, 300])
@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**63, 2**64 - 1, 0x0123456789ABCDEF])
def test_samples_are_those_of_philox(device, n, seed):
    trials = np.array([0, 1, 2, 77, 2**31, 2**32 - 1])
    for steps in (range(4), range(2**31 - 2, 2**31 + 2), range(2**32 - 3, 2**32)):
        made = noise_samples(seed, steps, torch.tensor(trials, device=device), n)
        for k, step in enumerate(steps):
            expected = philox.noise_samples(seed, step, trials, n)
            np.testing.assert_array_equal(made[k].cpu().numpy(), expected)


@pytest.mark.parametrize("steps", [range(-1, 3), range(2**32 - 1, 2**32 + 1)])
def test_steps_that_the_counter_has_not(steps):
    text = f"steps: got {steps.start} to {steps.stop - 1}, need 0 to 2^32 − 1"
    with pytest.raises(ValueError, match=re.escape(text)):
        noise_samples(0, steps, torch.arange(2), 3)
