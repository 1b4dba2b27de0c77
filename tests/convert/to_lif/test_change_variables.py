"""Changes of variables: the changed network's run is the first one's, step for step."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.records.rate import RateRNN
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.to_lif.change_variables import (
    copies_of,
    replicate,
    tanh_to_sigmoid,
)

N, RANK = 12, 2


def some_net(rank=0, **changed):
    """A random network with every field that a change of variables may forget."""
    rng = np.random.default_rng(rank)
    m, n = rng.standard_normal((2, N, RANK))
    fields = {
        "w_rec": m @ n.T / N if rank else rng.standard_normal((N, N)) / 3,
        "w_in": rng.standard_normal((N, 2)),
        "w_out": rng.standard_normal((3, N)),
        "bias": rng.standard_normal(N),
        "b_out": rng.standard_normal(3),
        "tau": rng.uniform(0.005, 0.1, N),
        "dale": np.zeros(N, dtype=np.int8),
        "activation": "tanh",
        "noise_std": 0.2,
        "dt": 0.005,
        "ceiling": 0.7,
        "x0": rng.standard_normal(N),
        "x0_std": 0.5,
        "readout_bias": rng.standard_normal(N),
    }
    factors = {"m_vectors": m, "n_vectors": n} if rank else {}
    return RateRNN(**(fields | factors | changed))


def run(net, *, noise=True, x0=None):
    inputs = np.random.default_rng(9).standard_normal((60, 4, 2))
    return simulate_rate(net, inputs, seed=0, noise=noise, x0=x0, keep_x=True)


@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("ceiling", [None, 0.7, 0.1])
@pytest.mark.parametrize("rank", [0, RANK])
def test_a_sigmoid_network_runs_as_its_tanh_network(rank, ceiling, noise):
    """The same draws: x0 and the noise scale with y = 2x."""
    net = some_net(rank, ceiling=ceiling)
    changed = tanh_to_sigmoid(net)
    assert changed.activation == "sigmoid"
    ours, theirs = run(net, noise=noise), run(changed, noise=noise)
    np.testing.assert_allclose(theirs.outputs, ours.outputs, atol=1e-10)
    np.testing.assert_allclose(theirs.x, 2 * ours.x, atol=1e-10)
    np.testing.assert_allclose(2 * theirs.rates - 1, ours.rates, atol=1e-10)
    assert np.ptp(ours.outputs) > 1


def test_a_low_rank_network_keeps_its_rank():
    changed = tanh_to_sigmoid(some_net(RANK))
    assert changed.rank == RANK
    np.testing.assert_allclose(
        changed.m_vectors @ changed.n_vectors.T / N, changed.w_rec, atol=1e-12
    )


def test_what_does_not_change_does_not():
    net = some_net()
    changed = tanh_to_sigmoid(net)
    for name in ("tau", "dale", "dt", "n_vectors"):
        np.testing.assert_array_equal(getattr(changed, name), getattr(net, name))


def test_other_activations_are_refused():
    with pytest.raises(ValueError, match="activation: got relu, need tanh; other"):
        tanh_to_sigmoid(some_net(activation="relu"))


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("rank", [0, RANK])
def test_copies_without_noise_run_as_their_unit(rank, copies):
    net = some_net(rank)
    x0 = np.random.default_rng(1).standard_normal((4, N))
    ours = run(net, noise=False, x0=x0)
    wide = replicate(net, copies)
    theirs = run(wide, noise=False, x0=np.repeat(x0, copies, axis=1))
    assert (wide.n, wide.rank) == (N * copies, rank)
    np.testing.assert_allclose(theirs.outputs, ours.outputs, atol=1e-10)
    np.testing.assert_allclose(theirs.x, np.repeat(ours.x, copies, axis=2), atol=1e-10)


def test_copies_with_their_units_noise_run_as_their_unit():
    """Noise comes in through a channel for each unit, which its copies hear, too."""
    net = some_net()
    w_in = np.hstack([net.w_in, np.diag(net.tau / net.dt)])
    net = dataclasses.replace(net, w_in=w_in)
    rng = np.random.default_rng(3)
    inputs = rng.standard_normal((60, 4, 2 + N))
    inputs[..., 2:] *= 0.1
    x0 = rng.standard_normal((4, N))
    outputs = []
    for copies in (1, 4):
        wide, start = replicate(net, copies), np.repeat(x0, copies, axis=1)
        made = simulate_rate(wide, inputs, seed=0, noise=False, x0=start)
        outputs.append(made.outputs)
    np.testing.assert_allclose(*outputs, atol=1e-10)
    inputs[..., 2:] = 0
    still = simulate_rate(net, inputs, seed=0, noise=False, x0=x0)
    assert np.abs(outputs[0] - still.outputs).max() > 0.1


def test_copies_hand_on_the_noise_of_their_unit():
    """Uncoupled units near 0: noise √copies as large is averaged to the unit's."""
    net = some_net(
        w_rec=np.zeros((N, N)), bias=np.zeros(N), readout_bias=np.zeros(N), x0_std=0.0
    )
    net = dataclasses.replace(net, noise_std=0.02, ceiling=None, x0=np.zeros(N))
    inputs, spread = np.zeros((400, 20, 2)), []
    for copies in (1, 9):
        wide = replicate(net, copies)
        outputs = simulate_rate(wide, inputs, seed=2).outputs
        spread.append(outputs[100:].var(axis=(0, 1)))
    assert wide.noise_std == pytest.approx(3 * net.noise_std)
    np.testing.assert_allclose(spread[0] / spread[1], 1, rtol=0.25)


def test_copies_keep_dales_law(rate_net):
    wide = replicate(rate_net, 2)
    assert wide.dale.tolist() == np.repeat(rate_net.dale, 2).tolist()
    assert not (wide.w_rec * wide.dale < 0).any()


@pytest.mark.parametrize("copies", [0, 1025])
def test_numbers_of_copies_are_checked(copies):
    with pytest.raises(ValueError, match=f"copies: got {copies}, need 1 to 1024"):
        replicate(some_net(), copies)


@pytest.mark.parametrize("rank", [0, RANK])
def test_copies_are_recognized(rank):
    net = some_net(rank)
    place, count = copies_of(net)
    assert not place.any() and (count == 1).all()
    place, count = copies_of(replicate(net, 3))
    assert place.tolist() == [0, 1, 2] * N and (count == 3).all()


@pytest.mark.parametrize("field", ["w_in", "bias", "tau", "x0", "readout_bias"])
def test_a_unit_that_differs_in_one_number_is_no_copy(field):
    wide = replicate(some_net(), 2)
    changed = np.array(getattr(wide, field))
    changed[3] *= 1.5
    place, count = copies_of(dataclasses.replace(wide, **{field: changed}))
    assert place[:6].tolist() == [0, 1, 0, 0, 0, 1]
    assert count[:6].tolist() == [2, 2, 1, 1, 2, 2]


def test_what_units_share_of_noise_their_copies_share():
    loadings = np.random.default_rng(1).standard_normal((N, 2))
    net = some_net(shared_noise=loadings)
    wide = replicate(net, 2)
    np.testing.assert_array_equal(wide.shared_noise, np.repeat(loadings, 2, axis=0))
    assert copies_of(wide)[1].tolist() == [2] * 2 * N
    changed = run(tanh_to_sigmoid(net))
    np.testing.assert_allclose(changed.x, 2 * run(net).x, atol=1e-10)
