"""Parameters of stacked networks, their start, and networks of lower rank."""

from typing import Any

import numpy as np
import pytest
import torch

from isotau.convert.records.rate import RateRNN
from isotau.convert.records.storage import same
from isotau.convert.training import TrainConfig, truncate
from isotau.convert.training.parameters import (
    Stack,
    as_rate_rnn,
    as_steps,
    effective,
    from_net,
    initial,
    join,
    pick,
)
from isotau.sim.tasks import GO_NOGO

DT = GO_NOGO.dt


def start(config: TrainConfig, seed: int = 0) -> Stack:
    trials = GO_NOGO.draw(1, np.random.default_rng(seed))
    return initial(config, trials, torch.Generator().manual_seed(seed))


def begun(config: TrainConfig, seed: int = 0) -> RateRNN:
    return as_rate_rnn(start(config, seed), config, DT)


def test_networks_start_as_published() -> None:
    net = begun(TrainConfig(n=400, inhibition=3.0))
    inhibitory = net.dale == -1
    assert 0.14 < inhibitory.mean() < 0.26
    assert (net.w_rec != 0).mean() == pytest.approx(0.2, abs=0.01)
    scale = 1.5 / np.sqrt(400 * 0.2) * np.sqrt(2 / np.pi)
    for columns, factor in ((~inhibitory, 1.0), (inhibitory, -3.0)):
        weights = net.w_rec[:, columns]
        mean = weights[weights != 0].mean()
        assert mean == pytest.approx(factor * scale, rel=0.05)
    assert net.w_in.std() == pytest.approx(1.0, rel=0.15)
    assert net.w_out.std() == pytest.approx(0.01, rel=0.15)
    assert np.median(net.tau) == pytest.approx(0.06, rel=0.1)
    assert net.x0_std == 0.01 and net.ceiling is None and net.rank == 0


def test_without_dale_signs_are_mixed() -> None:
    net = begun(TrainConfig(n=300, p_inh=None, p_rec=0.5, gain=0.8))
    weights = net.w_rec[net.w_rec != 0]
    assert not net.dale.any()
    assert weights.std() == pytest.approx(0.8 / np.sqrt(150), rel=0.02)
    assert weights.mean() == pytest.approx(0, abs=0.002)


def test_sst_units_get_no_inhibition() -> None:
    net = begun(TrainConfig(n=200, p_inh=0.3, p_rec=0.5, sst_fraction=0.4))
    inhibitory = np.flatnonzero(net.dale == -1)
    received = (net.w_rec[:, inhibitory] != 0).any(axis=1)
    spared = np.flatnonzero(~received)
    assert spared.size == round(0.4 * inhibitory.size)
    assert np.isin(spared, inhibitory).all()
    assert (net.w_rec[spared] > 0).any(axis=1).all()


def test_masked_connections_are_absent() -> None:
    mask = np.ones((30, 30), dtype=np.int8)
    mask[4:9, 11:20] = 0
    for p_inh in (0.2, None):
        config = TrainConfig(n=30, p_rec=1.0, p_inh=p_inh, motif_mask=mask)
        assert np.array_equal(begun(config).w_rec != 0, mask != 0)


def test_low_rank_factors_overlap_as_asked() -> None:
    config = TrainConfig(n=4000, rank=2, p_inh=None, overlap=1.5)
    m, n = (start(config).trained[name][0].numpy() for name in ("m", "n"))
    overlaps = m.T @ n / 4000
    assert np.diag(overlaps) == pytest.approx(1.5, abs=0.15)
    assert overlaps[0, 1] == pytest.approx(0, abs=0.15)
    assert m.std() == pytest.approx(1, rel=0.05)
    assert (n - 1.5 * m).std() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"train_inputs": "weights", "train_bias": True, "p_inh": None},
        {"train_inputs": "gains", "train_outputs": "gains", "rank": 2, "p_inh": None},
        {"tau_min": 0.03, "tau_max": 0.03, "train_outputs": "fixed"},
    ],
)
def test_steps_are_those_of_the_record(changed: dict[str, Any]) -> None:
    config = TrainConfig(**({"n": 30} | changed))
    stack = start(config)
    for name in ("gain_in", "gain_out", "bias"):
        if name in stack.trained:
            stack.trained[name] += 0.7
    net = as_rate_rnn(stack, config, DT)
    steps = as_steps(effective(stack, config), DT)
    w = steps.first if steps.second is None else steps.first @ steps.second
    gain = DT / net.tau
    assert w[0].numpy().T == pytest.approx(net.w_rec * gain[:, None], abs=1e-6)
    assert steps.keep[0, 0].numpy() == pytest.approx(1 - gain, abs=1e-6)
    assert steps.w_in[0, :-1].numpy().T == pytest.approx(
        net.w_in * gain[:, None], abs=1e-6
    )
    assert steps.w_in[0, -1].numpy() == pytest.approx(net.bias * gain, abs=1e-6)
    assert steps.w_out[0].numpy() == pytest.approx(net.w_out, abs=1e-6)
    assert ("tau" in stack.trained) == (config.tau_max > config.tau_min)


@pytest.mark.parametrize(
    "changed",
    [
        {"p_inh": 0.3, "tau_max": 0.05},
        {"p_inh": None, "activation": "relu", "ceiling": 20.0},
        {"p_inh": None, "rank": 2, "tau_max": 0.02},
    ],
)
def test_a_network_comes_back_as_it_was_given(changed: dict[str, Any]) -> None:
    config = TrainConfig(**({"n": 25} | changed))
    net = begun(config, seed=4)
    again = as_rate_rnn(from_net(net, config), config, DT)
    for name in ("w_rec", "w_in", "w_out", "b_out", "bias", "x0", "m_vectors"):
        assert np.array_equal(getattr(net, name), getattr(again, name)), name
    assert again.tau == pytest.approx(net.tau, rel=1e-5)
    assert np.array_equal(net.dale, again.dale)


def test_factors_may_be_given_up() -> None:
    config = TrainConfig(n=25, p_inh=None)
    low = truncate(begun(config), 3)
    again = as_rate_rnn(from_net(low, config), config, DT)
    assert again.rank == 0
    assert again.w_rec == pytest.approx(low.w_rec, abs=1e-6)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            {"n": 26},
            r"start: got \(n, rank, activation, ceiling\) = \(25, .* need \(26",
        ),
        ({"activation": "tanh"}, r"start: got .*'sigmoid'.*need .*'tanh'"),
        ({"rank": 1}, r"start: got .* \(25, None.* need \(25, 1"),
        ({"p_inh": 0.2}, r"start: got units of mixed signs, need p_inh None"),
        ({"tau_max": 0.021}, r"start: got τ from .* need 0\.02 to 0\.021; widen"),
    ],
)
def test_a_start_must_fit(wanted: dict[str, Any], message: str) -> None:
    net = begun(TrainConfig(n=25, p_inh=None))
    config = TrainConfig(**({"n": 25, "p_inh": None} | wanted))
    with pytest.raises(ValueError, match=message):
        from_net(net, config)


def test_a_readout_bias_is_refused(rate_net: RateRNN) -> None:
    import dataclasses

    net = dataclasses.replace(rate_net, readout_bias=np.full(24, 0.1))
    with pytest.raises(ValueError, match="start: got a readout bias"):
        from_net(net, TrainConfig(n=24))


def test_networks_join_and_part() -> None:
    config = TrainConfig(n=12)
    three = join([start(config, seed) for seed in range(3)])
    for k in range(3):
        assert same(as_rate_rnn(three, config, DT, k), begun(config, k))
    swapped = pick(three, torch.tensor([2, 0]))
    assert same(as_rate_rnn(swapped, config, DT, 0), begun(config, 2))


def test_the_whole_rank_loses_nothing(rate_net: RateRNN) -> None:
    low = truncate(rate_net, 24)
    assert low.rank == 24 and not low.dale.any()
    assert low.w_rec == pytest.approx(rate_net.w_rec, abs=1e-12)
    assert np.array_equal(low.w_in, rate_net.w_in)


def test_what_is_lost_is_what_the_singular_values_say(rate_net: RateRNN) -> None:
    low = truncate(rate_net, 3)
    sizes = np.sqrt(np.linalg.eigvalsh(rate_net.w_rec.T @ rate_net.w_rec))[::-1]
    lost = np.linalg.norm(rate_net.w_rec - low.w_rec)
    assert lost == pytest.approx(np.linalg.norm(sizes[3:]))
    lengths = [np.linalg.norm(v, axis=0) for v in (low.m_vectors, low.n_vectors)]
    assert lengths[0] == pytest.approx(lengths[1])
    assert lengths[0] ** 2 / 24 == pytest.approx(sizes[:3])


def test_more_rank_than_units_is_refused(rate_net: RateRNN) -> None:
    with pytest.raises(ValueError, match="rank: got 25, need 1 to 24"):
        truncate(rate_net, 25)
