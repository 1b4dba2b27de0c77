import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isotau.convert.ground.errors import DoesNotFit
from isotau.convert.records.weight_form import sparsified
from isotau.targets.loihi.demand import demand
from isotau.targets.loihi.limits import LIMITS, LOIHI1, LOIHI2, limit
from isotau.targets.loihi.place import (
    as_csv,
    as_json,
    describe_placement,
    misfits,
    place,
    utilization,
)

TINY = replace(
    LOIHI1,
    name="tiny",
    cores=1000,
    neurons=5,
    delay_slots=5 * 32,
    memory_bits=64 * 22,
    in_axons=22,
    out_axons=60,
    compartment_profiles=3,
    threshold_profiles=2,
    synapse_formats=3,
)


def counted(net, chip, core, k):
    """What core k uses, counted synapse by synapse."""
    on = [j for j in range(net.n) if core[j] == k]
    use = dict.fromkeys(LIMITS, 0)
    use["neurons"] = len(on)
    use["compartment_profiles"] = len(
        {(net.du[j], net.dv[j], net.refractory[j]) for j in on}
    )
    use["threshold_profiles"] = len({int(net.vth[j]) for j in on})
    slots, formats, memory = 8, set(), 0
    for block in net.blocks:
        lists = [
            [j for j in on if block.weights[j, column]]
            for column in range(len(block.pre))
        ]
        lists = [targets for targets in lists if targets]
        use["in_axons"] += len(lists)
        if not lists:
            continue
        while slots < block.delay + 2:
            slots *= 2
        index = next(b for b in chip.index_bits if 1 << b >= len(on))
        entry = 8 + len(f"{block.delay:b}") * (block.delay > 0)
        # at most 64 neurons here: one header each
        dense = sum(-(-(len(on) * entry + 10) // 64) for _ in lists)
        sparse = sum(-(-(len(t) * (entry + index) + 10) // 64) for t in lists)
        memory += 64 * min(dense, sparse)
        formats.add(
            (block.weight_exp, entry, block.sign_mode, dense <= sparse or index)
        )
    use["delay_slots"] = slots * len(on)
    use["memory_bits"] = memory + chip.neuron_bits * len(on)
    use["synapse_formats"] = len(formats)
    for block in net.blocks:
        if block.source == "recurrent":
            for column, pre in enumerate(block.pre):
                if core[pre] == k:
                    posts = np.flatnonzero(block.weights[:, column])
                    use["out_axons"] += len({core[j] for j in posts.tolist()})
    return use


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 10**6), n=st.integers(6, 20))
def test_every_neuron_once_and_no_limit_broken(random_net, seed, n):
    net = random_net(seed, n)
    try:
        placement = place(net, TINY)
    except DoesNotFit as error:
        assert "alone" in str(error)
        return
    core = placement.core
    assert core.shape == (n,)
    assert set(core.tolist()) == set(range(placement.cores))
    for k in range(placement.cores):
        use = counted(net, TINY, core, k)
        for name in LIMITS:
            assert placement.used[name][k] == use[name], name
            assert use[name] <= limit(TINY, name), name
    again = place(net, TINY)
    assert (again.core == core).all()


@pytest.mark.parametrize("seed", range(6))
def test_sparse_weights_come_on_the_same_cores(random_net, seed):
    net = random_net(seed, n=40)
    chip = replace(LOIHI1, neurons=6, in_axons=60, out_axons=200)
    ours, theirs = (place(n, chip, chips=None) for n in (net, sparsified(net)))
    assert ours.core.tolist() == theirs.core.tolist()
    assert ours.closed_by == theirs.closed_by
    assert (ours.dense == theirs.dense).all()
    for name, used in ours.used.items():
        assert used.tolist() == theirs.used[name].tolist()


def test_most_draws_of_the_property_are_placed(random_net):
    placed = 0
    for seed in range(30):
        try:
            placed += place(random_net(seed), TINY).cores > 1
        except DoesNotFit:
            continue
    assert placed > 20


@pytest.mark.parametrize("n", [1, 1023, 1024, 1025, 3000])
def test_unconnected_neurons_take_as_few_cores_as_their_number_allows(make_network, n):
    placement = place(make_network([], n), LOIHI1)
    assert placement.cores == -(-n // 1024)


@pytest.mark.parametrize("n", [200, 600, 1024])
def test_all_to_all_takes_as_few_cores_as_memory_allows(make_block, make_network, n):
    net = make_network([make_block(np.full((n, n), 4))], n)
    placement = place(net, LOIHI1)

    def words(neurons):  # of one list of 8-bit weights
        full, rest = divmod(neurons, 64)
        return 9 * full + -(-(8 * rest + 10) // 64) * (rest > 0)

    most = max(m for m in range(1, 1025) if n * words(m) <= 16384)
    assert placement.cores == -(-n // most)
    assert set(placement.closed_by) <= {"memory_bits", ""}
    assert placement.dense.all()


@pytest.mark.parametrize("n", [1, 32, 33, 200])
def test_a_profile_for_each_neuron_takes_a_core_for_each_32(make_network, n):
    net = make_network([], n, du=np.arange(n)[::-1])
    placement = place(net, LOIHI1)
    assert placement.cores == -(-n // 32)
    assert place(net, LOIHI2).cores == 1
    net = make_network([], n, vth=np.arange(1, n + 1))
    assert place(net, LOIHI1).cores == -(-n // 16)


def test_equal_profiles_come_together(make_network):
    # 64 profiles, twice each, in turn: 2 cores and not 4
    net = make_network([], 128, du=np.arange(128) % 64)
    placement = place(net, LOIHI1)
    assert placement.cores == 2
    assert placement.used["compartment_profiles"].tolist() == [32, 32]


def test_populations_come_one_after_the_other(make_network):
    population = np.arange(60) % 3
    placement = place(
        make_network([], 60, population=population), replace(LOIHI1, neurons=20)
    )
    for k in range(3):
        assert set(population[placement.core == k]) == {k}


@pytest.mark.parametrize(("delay", "cores"), [(6, 1), (7, 2), (62, 8)])
def test_delays_leave_room_for_fewer_neurons(make_block, make_network, delay, cores):
    weights = np.full((1024, 1), 2)
    net = make_network([make_block(weights, "input", delay=delay)], 1024)
    assert place(net, LOIHI1).cores == cores


def test_formats(make_block, make_network):
    blocks = [
        make_block(np.eye(20, dtype=int)[:, [k]] * 8, pre=[k], weight_exp=k - 8)
        for k in range(16)
    ]
    placement = place(make_network(blocks, 20), LOIHI1)
    assert placement.cores == 2
    assert placement.closed_by == ("synapse_formats", "")


def test_a_core_that_sends_to_too_many_lists_is_split(make_block, make_network):
    chip = replace(LOIHI1, neurons=4, out_axons=6)
    weights = np.zeros((12, 12), dtype=int)
    weights[4:, :4] = 2
    placement = place(make_network([make_block(weights)], 12), chip)
    assert placement.core.tolist() == [0, 0, 1, 1, *[2] * 4, *[3] * 4]
    assert placement.used["out_axons"].tolist() == [4, 4, 0, 0]
    assert placement.closed_by == ("out_axons", "neurons", "neurons", "")


def test_more_than_one_chip(make_network):
    chip = replace(LOIHI1, cores=2)
    net = make_network([], 5000)
    assert place(net, chip, chips=3).chips == 3
    assert place(net, chip, chips=None).cores == 5
    with pytest.raises(DoesNotFit, match=r"cores: got 5, need at most 2 .*chips=3"):
        place(net, chip)
    net = make_network([], 200, du=np.arange(200))
    with pytest.raises(DoesNotFit, match=r"compartment profiles closed 6.*group_prof"):
        place(net, chip)
    with pytest.raises(DoesNotFit, match="chips: got 0"):
        place(net, chip, chips=0)


def test_a_neuron_that_fits_on_no_core(make_block, make_network):
    crowd = make_network([make_block(np.full((2, 5000), 4), "input")], 2, n_in=5000)
    with pytest.raises(
        DoesNotFit,
        match=r"in_axons: got 5000 input axons for neuron 0 alone, need at most 4096",
    ):
        place(crowd, LOIHI1)
    small = replace(LOIHI1, memory_bits=640)
    both = misfits(demand(crowd, small), small)
    assert [problem.split(":")[0] for problem in both] == ["memory_bits", "in_axons"]
    assert "320000 bits of synapse memory" in both[0]
    assert "prune its inputs" in both[0]


def test_a_single_neuron_that_sends_to_too_many_cores(make_block, make_network):
    chip = replace(LOIHI1, neurons=1, out_axons=3)
    net = make_network([make_block(np.full((5, 5), 4))], 5)
    with pytest.raises(DoesNotFit, match="out_axons: got 5 output axons for neuron 0"):
        place(net, chip)


def test_a_single_neuron_with_too_many_formats(make_block, make_network):
    blocks = [make_block([[8]], pre=[0], weight_exp=k - 8) for k in range(16)]
    with pytest.raises(DoesNotFit, match="synapse_formats: got 16 synapse formats"):
        place(make_network(blocks, 1), LOIHI1)


@pytest.fixture
def net(make_block, make_network):
    n = 40
    return make_network(
        [make_block(np.full((n, n), 4))],
        n,
        du=np.arange(n),
        population=np.arange(n) // 30,
    )


def test_shares_and_what_is_tightest(net):
    first, second = utilization(place(net, LOIHI1))
    assert first.used["neurons"] == 32
    assert first.share["neurons"] == 32 / 1024
    assert first.share["compartment_profiles"] == 1
    assert (first.tightest, first.closed_by) == (
        "compartment_profiles",
        "compartment_profiles",
    )
    assert (first.populations, second.populations) == ((0, 1), (1,))
    # the 8 left share their memory in 40 lists of two words
    assert second.used["memory_bits"] == 40 * 128
    assert second.closed_by == ""


def test_limits_without_a_number_have_no_share(net):
    (row,) = utilization(place(net, LOIHI2))
    assert set(row.share) == {"neurons", "memory_bits"}
    assert row.used["in_axons"] == 40
    text = describe_placement(place(net, LOIHI2))
    assert "no public number, so not checked: delay accumulators, input axons" in text
    assert "lower bound" in text


def test_text(net):
    text = describe_placement(place(net, LOIHI1))
    assert text.startswith(
        "Loihi 1: 40 neurons on 2 of 128 cores (1 chip); tightest: 32 of 32 "
        "compartment profiles"
    )
    assert "32 (100 %)" in text
    assert "and 1 more" in describe_placement(place(net, LOIHI1), rows=1)


def test_text_of_several_chips(net):
    text = describe_placement(place(net, replace(LOIHI1, cores=1), chips=None))
    assert "on 2 of 2 cores (2 chips)" in text
    assert "\n 1:0 " in text


def test_csv_and_json_say_the_same(net):
    placement = place(net, LOIHI1)
    plain = as_json(placement)
    assert json.loads(json.dumps(plain)) == plain
    rows = list(csv.DictReader(io.StringIO(as_csv(placement))))
    assert len(rows) == len(plain) == 2
    for written, row in zip(rows, plain, strict=True):
        for name in LIMITS:
            assert int(written[name]) == row[name]
            assert float(written[f"{name}_share"]) == row[f"{name}_share"]
    assert rows[0]["populations"] == "0 1"
    assert as_json(place(net, LOIHI2))[0]["in_axons_share"] is None
