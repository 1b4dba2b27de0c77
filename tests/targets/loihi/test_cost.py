import json
from dataclasses import replace

import numpy as np
import pytest

from isotau.convert.records.spikes import select
from isotau.convert.records.weight_form import sparsified
from isotau.targets.loihi.cost import (
    Span,
    as_json,
    cost,
    describe_cost,
    energy,
    scaled,
    total,
)
from isotau.targets.loihi.limits import LOIHI1, LOIHI1_OPERATIONS, LOIHI2, Figure
from isotau.targets.loihi.neurobench import neurobench
from isotau.targets.loihi.place import place

FOUR = replace(LOIHI1, neurons=4)


def counted_slowly(net, placement, raster, messages):
    """Counts of all trials, one event after the other."""
    steps, batch, _ = raster.shape
    total = dict.fromkeys(
        ("operations", "entries", "messages", "across", "input_messages"), 0
    )
    low = high = 0.0
    sizes = [int((placement.core == k).sum()) for k in range(placement.cores)]
    for t in range(steps):
        for b in range(batch):
            per_core = np.zeros((placement.cores, 5))  # adds, entries, in, out, spikes
            for number, block in enumerate(net.blocks):
                z = messages if block.source == "input" else raster
                for column, pre in enumerate(block.pre):
                    if not z[t, b, pre]:
                        continue
                    for k in range(placement.cores):
                        there = int(
                            (block.weights[placement.core == k, column] != 0).sum()
                        )
                        if not there:
                            continue
                        read = sizes[k] if placement.dense[number, k] else there
                        per_core[k, :3] += there, read, 1
                        total["operations"] += there
                        total["entries"] += read
                        if block.source == "input":
                            total["input_messages"] += 1
                            continue
                        home = placement.core[pre]
                        per_core[home, 3] += 1
                        total["messages"] += 1
                        total["across"] += home != k
            for neuron in np.flatnonzero(raster[t, b]):
                per_core[placement.core[neuron], 4] += 1
            adds, entries, arrived, sent, fired = per_core.T
            quiet = np.array(sizes) - fired
            low += max(np.maximum(5.3 * quiet + 8.4 * fired, 3.5 * adds)) + 113
            high += 1800 + max(
                9.7 * quiet + 39.7 * fired + 4.7 * entries + 16 * arrived + 5.1 * sent
            )
    return total, 1e-9 * low / batch, 1e-9 * high / batch


@pytest.mark.parametrize("seed", range(4))
def test_everything_counted_one_by_one(random_net, random_spikes, seed):
    net = random_net(seed)
    raster, spikes = random_spikes(seed, net, steps=9, batch=3)
    messages = np.random.default_rng(seed).integers(-1, 2, (9, 3, net.n_in))
    placement = place(net, FOUR)
    found = cost(net, spikes, FOUR, placement, messages)
    total, low, high = counted_slowly(net, placement, raster, messages)
    each = {
        "operations": found.synaptic_operations,
        "entries": found.entries_read,
        "messages": found.messages,
        "across": found.messages_across,
        "input_messages": found.input_messages,
    }
    for name, value in each.items():
        assert value * 3 == pytest.approx(total[name], rel=1e-12), name
    assert found.spikes * 3 == pytest.approx(raster.sum(), rel=1e-12)
    assert found.input_events * 3 == pytest.approx(np.count_nonzero(messages))
    assert found.neuron_updates == net.n * 9
    assert found.time_s.low == pytest.approx(low, rel=1e-9)
    assert found.time_s.high == pytest.approx(high, rel=1e-9)
    least = (
        23.6 * total["operations"]
        + 52 * (27 * net.n - raster.sum())
        + 81 * raster.sum()
        + 1.7 * (total["messages"] + total["input_messages"])
    )
    way = 3.0 * found.hops_east_west + 4.0 * found.hops_north_south
    assert found.energy_j.low == pytest.approx(1e-12 * (least / 3 + way), rel=1e-9)
    assert found.energy_per_step_j.low * 9 == pytest.approx(found.energy_j.low)
    for span in (found.energy_j, found.time_s, *found.energy_parts_j.values()):
        assert span.low <= span.high


@pytest.mark.parametrize("seed", range(3))
def test_sparse_weights_cost_the_same(random_net, random_spikes, seed):
    net = random_net(seed)
    _, spikes = random_spikes(seed, net)
    messages = np.random.default_rng(seed).integers(-1, 2, (20, 2, net.n_in))
    nets = net, sparsified(net)
    costs = [cost(each, spikes, LOIHI1, None, messages) for each in nets]
    assert costs[0] == costs[1]
    metrics = [neurobench(each, spikes, messages) for each in nets]
    assert metrics[0] == metrics[1]


def test_a_closed_form(make_block, make_network, random_spikes):
    # one core, all to all: every spike reads 50 entries, no hops
    n = 50
    net = make_network([make_block(np.full((n, n), 4))], n)
    raster, spikes = random_spikes(1, net, steps=40, batch=1)
    found = cost(net, spikes, LOIHI1)
    fired = int(raster.sum())
    assert found.synaptic_operations == found.entries_read == 50 * fired
    assert (found.cores, found.messages, found.messages_across) == (1, fired, 0)
    assert (found.hops_east_west, found.hops_north_south) == (0, 0)
    expected = 35.5 * 50 * fired + 81 * 2000 + 69.3 * fired + 111 * fired
    assert found.energy_j.high == pytest.approx(1e-12 * expected, rel=1e-12)
    assert found.static_w.low == pytest.approx(0.104, rel=0.01)
    assert found.static_j.low == pytest.approx(found.static_w.low * found.time_s.low)
    assert found.static_real_time_j.low == pytest.approx(0.04 * found.static_w.low)
    assert found.time_per_step_s.low * 40 == pytest.approx(found.time_s.low)


def test_chips_cost_leakage_each_and_their_links_are_left_out(
    make_network, random_spikes
):
    net = make_network([], 9)
    _, spikes = random_spikes(0, net)
    chip = replace(FOUR, cores=1)
    found = cost(net, spikes, chip)
    assert found.chips == 3
    assert found.static_w.low == pytest.approx(3 * 3.34 / 32)
    assert any("links between chips" in said for said in found.leaves_out)


def test_messages_between_chips(make_block, make_network, random_spikes):
    net = make_network([make_block(np.full((8, 8), 4))], 8)
    raster, spikes = random_spikes(0, net, batch=1)
    found = cost(net, spikes, replace(FOUR, cores=1))
    assert found.messages_between_chips == raster.sum()
    assert found.messages == 2 * raster.sum()


def test_no_figures_no_estimate(random_net, random_spikes):
    net = random_net(0)
    _, spikes = random_spikes(0, net)
    found = cost(net, spikes, LOIHI2)
    assert found.synaptic_operations > 0
    assert found.energy_parts_j == {}
    assert (found.energy_j, found.time_s, found.static_w) == (None, None, None)
    assert (found.energy_per_step_j, found.static_j) == (None, None)
    assert (found.hops_east_west, found.hops_north_south) == (None, None)
    assert "no per-operation figures were published" in describe_cost(found)
    assert json.loads(json.dumps(as_json(found)))["energy_j"] is None


def test_text_and_json(random_net, random_spikes):
    net = random_net(0)
    _, spikes = random_spikes(0, net)
    found = cost(net, spikes, FOUR)
    text = describe_cost(found)
    assert "energy, estimated: " in text and " to " in text
    assert "input: no messages were given" in text
    plain = json.loads(json.dumps(as_json(found)))
    assert plain["energy_j"] == {
        "low": found.energy_j.low,
        "high": found.energy_j.high,
    }
    assert plain["chip"] == "Loihi 1"


def test_what_does_not_belong_together(random_net, random_spikes, make_network):
    net = random_net(0)
    _, spikes = random_spikes(0, net)
    with pytest.raises(ValueError, match="spikes: got 12 neurons, need 5"):
        cost(make_network([], 5), spikes, LOIHI1)
    with pytest.raises(ValueError, match="placement: got 12 neurons on Loihi 2, need"):
        cost(net, spikes, LOIHI1, place(net, LOIHI2))
    with pytest.raises(ValueError, match=r"messages: got shape \(3, 1, 1\), need"):
        cost(net, spikes, LOIHI1, messages=np.zeros((3, 1, 1)))


def test_spans():
    assert scaled(Figure(1.0, 2.0, "here"), 3) == Span(3.0, 6.0)
    assert scaled(Span(1.0, 2.0), 0.5) == Span(0.5, 1.0)
    assert total([Span(1.0, 2.0), Span(3.0, 5.0)]) == Span(4.0, 7.0)
    assert total([]) == Span(0, 0)


def test_energy_by_kind():
    counted = {
        "spikes": 10.0,
        "synaptic_operations": 100.0,
        "entries_read": 200.0,
        "messages": 30.0,
        "input_messages": 5.0,
    }
    parts = energy(LOIHI1_OPERATIONS, counted, 1000, (7.0, 2.0))
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
    unknown = energy(LOIHI1_OPERATIONS, counted, 1000, (None, None))
    assert unknown["hops"] == Span(0, 0)


def test_chunks_and_batches_change_nothing(random_net, random_spikes, monkeypatch):
    net = random_net(2)
    _, spikes = random_spikes(2, net, steps=11, batch=3)
    chip = replace(LOIHI1, neurons=4)
    messages = np.random.default_rng(0).integers(0, 2, (11, 3, net.n_in))
    whole = cost(net, spikes, chip, messages=messages)
    monkeypatch.setattr("isotau.targets.loihi.cost.CHUNK", 1)
    small = cost(net, spikes, chip, messages=messages)
    assert small.time_s.low == pytest.approx(whole.time_s.low, rel=1e-12)
    each = [
        cost(net, select(spikes, trial), chip, messages=messages[:, trial]).time_s.high
        for trial in (slice(0, 1), slice(1, 2), slice(2, 3))
    ]
    assert np.mean(each) == pytest.approx(whole.time_s.high, rel=1e-12)
