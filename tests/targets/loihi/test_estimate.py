from dataclasses import replace

import numpy as np
import pytest

from isotau.convert.records.spikes import select
from isotau.targets.loihi import estimate
from isotau.targets.loihi.cost import cost
from isotau.targets.loihi.estimate import Span
from isotau.targets.loihi.limits import LOIHI1, LOIHI1_OPERATIONS, Figure


def test_spans():
    assert estimate.scaled(Figure(1.0, 2.0, "here"), 3) == Span(3.0, 6.0)
    assert estimate.times(Span(1.0, 2.0), 0.5) == Span(0.5, 1.0)
    assert estimate.times(None, 0.5) is None
    assert estimate.total([Span(1.0, 2.0), Span(3.0, 5.0)]) == Span(4.0, 7.0)
    assert estimate.total([]) == Span(0, 0)


def test_energy_by_kind():
    counted = {
        "spikes": 10.0,
        "synaptic_operations": 100.0,
        "entries_read": 200.0,
        "messages": 30.0,
        "input_messages": 5.0,
    }
    parts = estimate.energy(LOIHI1_OPERATIONS, counted, 1000, (7.0, 2.0))
    expected = {
        "synapses": (2360, 7100),
        "neuron updates": (990 * 52 + 810, 990 * 81 + 810 + 693),
        "messages": (35 * 1.7, 35 * 111),
        "hops": (21 + 8, 21 + 8.4),
    }
    assert set(parts) == set(expected)
    for kind, (low, high) in expected.items():
        assert parts[kind].low == pytest.approx(1e-12 * low, rel=1e-12)
        assert parts[kind].high == pytest.approx(1e-12 * high, rel=1e-12)
    unknown = estimate.energy(LOIHI1_OPERATIONS, counted, 1000, (None, None))
    assert unknown["hops"] == Span(0, 0)


def test_chunks_and_batches_change_nothing(random_net, random_spikes, monkeypatch):
    net = random_net(2)
    _, spikes = random_spikes(2, net, steps=11, batch=3)
    chip = replace(LOIHI1, neurons=4)
    messages = np.random.default_rng(0).integers(0, 2, (11, 3, net.n_in))
    whole = cost(net, spikes, chip, messages=messages)
    monkeypatch.setattr(estimate, "CHUNK", 1)
    small = cost(net, spikes, chip, messages=messages)
    assert small.time_s.low == pytest.approx(whole.time_s.low, rel=1e-12)
    each = [
        cost(net, select(spikes, trial), chip, messages=messages[:, trial]).time_s.high
        for trial in (slice(0, 1), slice(1, 2), slice(2, 3))
    ]
    assert np.mean(each) == pytest.approx(whole.time_s.high, rel=1e-12)
