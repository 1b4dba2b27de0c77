"""Every engine gives the reference engine's bits on a thousand random networks.

Half are extreme: u wraps, v saturates, registers and exponents sit at the ends of their
ranges. Delays, resets and binary inputs are drawn on top.
"""

from functools import partial

import numpy as np
import pytest

from benchmarks.engine.random_networks import conformance_case, started
from isotau.convert.chip import arithmetic
from isotau.convert.ground.sparse import SparseWeights
from isotau.convert.records.weight_form import sparsified
from isotau.sim.engines import compiled, reference, synapses
from isotau.sim.engines.engine import ENGINES as TABLE
from isotau.sim.engines.engine import engine_named

ENGINES = {name: engine_named(name) for name in TABLE if name != "reference"}
MORE = ENGINES | {"compiled, one thread": partial(compiled.run, threads=1)}
GROUPS, EACH = 20, 50
STEPS = 40
COUNTS = ("sum_wraps", "u_wraps", "v_low", "v_high")


def assert_alike(ours, theirs, number):
    np.testing.assert_array_equal(theirs.spikes.bits, ours.spikes.bits, str(number))
    for name in ("u", "v"):
        got, expected = getattr(theirs, name), getattr(ours, name)
        np.testing.assert_array_equal(got, expected, f"{name} of {number}")
    for name in ("u", "v", "rest", "ring"):
        got, expected = getattr(theirs.state, name), getattr(ours.state, name)
        np.testing.assert_array_equal(got, expected, f"state.{name} of {number}")
    assert theirs.state.step == ours.state.step
    for name in COUNTS:
        got, expected = getattr(theirs.overflow, name), getattr(ours.overflow, name)
        np.testing.assert_array_equal(got, expected, f"{name} of {number}")


@pytest.mark.slow
@pytest.mark.parametrize(
    "group",
    [0, 1, *(pytest.param(k, marks=pytest.mark.long) for k in range(2, GROUPS))],
)
def test_a_thousand_random_networks(group):
    for number in range(group * EACH, (group + 1) * EACH):
        net, sent, chosen = conformance_case(number, STEPS)
        chosen |= {"record": ("u", "v"), "count_overflow": True}
        ours = reference.run(net, sent, **chosen)
        for engine in ENGINES.values():
            assert_alike(ours, engine(net, sent, **chosen), number)


def test_the_random_networks_reach_the_extremes():
    limit = arithmetic.STATE_LIMIT
    runs = [
        reference.run(
            *conformance_case(k, STEPS)[:2], record=("u", "v"), count_overflow=True
        )
        for k in range(0, 40, 2)
    ]
    for name in COUNTS:
        assert any(getattr(run.overflow, name).any() for run in runs), name
    assert any(run.v.min() == 1 - limit for run in runs)
    assert any(np.abs(run.u.astype(np.int64)).max() > limit for run in runs)
    assert np.mean([run.spikes.bits.any() for run in runs]) > 0.9


@pytest.mark.parametrize("number", range(24))
def test_engines_start_alike(number):
    net, sent, chosen = conformance_case(number, STEPS)
    net = started(net, number)
    chosen |= {"record": ("u", "v"), "count_overflow": True}
    ours = reference.run(net, sent, **chosen)
    rested = reference.run(*conformance_case(number, STEPS)[:2], **chosen)
    # Most differ from a start at zero; a reset in the first step makes them alike.
    reset_at_once = net.reset_interval and 1 % net.reset_interval == (
        net.reset_offset % net.reset_interval
    )
    assert (ours.u[0] != rested.u[0]).any() or reset_at_once
    for engine in MORE.values():
        assert_alike(ours, engine(net, sent, **chosen), number)


@pytest.mark.parametrize("number", range(24))
def test_sparse_weights_give_the_bits_of_dense_ones(number, monkeypatch):
    # Networks as small as these are dense to the compiled engine.
    monkeypatch.setattr(synapses, "SMALL", 0)
    monkeypatch.setattr(synapses, "CROWDED", 2)
    net, sent, chosen = conformance_case(number, STEPS)
    chosen |= {"record": ("u", "v"), "count_overflow": True}
    ours = reference.run(net, sent, **chosen)
    sparse = sparsified(net)
    assert any(isinstance(b.weights, SparseWeights) for b in sparse.blocks)
    for engine in (reference.run, *MORE.values()):
        for form in (sparse, net):
            assert_alike(ours, engine(form, sent, **chosen), number)


@pytest.mark.parametrize("name", MORE)
@pytest.mark.parametrize("number", [1, 2, 8, 29])
def test_a_run_in_chunks_is_one_long_run(name, number):
    """Across engines, too: the state of one goes on in another."""
    net, sent, chosen = conformance_case(number, STEPS)
    whole = reference.run(net, sent, record=("u", "v"), **chosen)
    state, bits, us = None, [], []
    engines = [MORE[name], reference.run, MORE[name], MORE[name]]
    for engine, part in zip(engines, np.array_split(sent, 4), strict=True):
        run = engine(net, part, state=state, record=("u",), **chosen)
        state = run.state
        bits.append(run.spikes.bits)
        us.append(run.u)
    np.testing.assert_array_equal(np.concatenate(bits), whole.spikes.bits)
    np.testing.assert_array_equal(np.concatenate(us), whole.u)
    np.testing.assert_array_equal(state.v, whole.state.v)


@pytest.mark.parametrize("name", MORE)
def test_trials_do_not_depend_on_their_batch(name):
    net, sent, _ = conformance_case(30, STEPS)
    sent = np.repeat(sent[:, :1], 4, axis=1)
    together = MORE[name](net, sent, seed=5).spikes.bits
    for k in range(4):
        alone = MORE[name](net, sent[:, k : k + 1], seed=5, first_trial=k)
        np.testing.assert_array_equal(alone.spikes.bits[:, 0], together[:, k])


@pytest.mark.parametrize("name", MORE)
def test_chosen_neurons_are_kept_in_their_order(name):
    net, sent, chosen = conformance_case(39, STEPS)
    whole = reference.run(net, sent, record=("u", "v"), **chosen)
    some = [net.n - 1, 0, net.n // 2]
    run = MORE[name](net, sent, record=("v",), neurons=some, **chosen)
    assert run.u is None
    np.testing.assert_array_equal(run.v, whole.v[:, :, some])
