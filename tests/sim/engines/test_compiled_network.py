"""A network arranged for loops: what is left out, and where memory lies."""

import dataclasses

import numpy as np
import pytest

from benchmarks.engine.random_networks import random_network
from isotau.convert.chip.vector_rows import COLUMNS
from isotau.sim.engines import compiled, compiled_network, reference
from isotau.sim.engines.compiled_network import REACH, variant
from isotau.sim.engines.engine import check


def network(**changes):
    rng = np.random.default_rng(3)
    net = random_network(rng, 70, extreme=False, bare=True)
    return dataclasses.replace(net, **changes)


def silence(net, steps=3, batch=2):
    return np.zeros((steps, batch, net.n_in), dtype=np.int64)


def test_rows_begin_at_a_cache_line():
    net = network()
    compiled_net, room = (
        compiled_network.compile_network(net),
        (compiled_network.room_for(net)),
    )
    for x in (*compiled_net, *room):
        if isinstance(x, np.ndarray) and x.dtype.itemsize <= 4 and x.ndim == 1:
            if x is not room.numbers:
                assert x.ctypes.data % compiled_network.ALIGNMENT == 0
    assert compiled_net.bias.shape == (2 * COLUMNS,)
    assert not compiled_net.bias[70:].any()


def test_what_a_run_has_no_need_of_is_left_out():
    net = network()
    bare = variant(check(net, silence(net)))
    assert bare.refractory is None
    assert bare.keep_u.dtype == np.float32
    spiking = tuple(b for b in net.blocks if b.source == "recurrent")
    without = network(blocks=spiking)
    assert variant(check(without, silence(without))).wide is None
    assert variant(check(net, silence(net))).wide is not None


def test_rest_of_a_state_counts_as_a_refractory_period():
    net = network()
    sent = silence(net)
    state = reference.run(net, sent).state
    rest = np.ones_like(state.rest)
    tired = state._replace(rest=rest)
    assert variant(check(net, sent, state=tired)).refractory is not None
    ours, theirs = (
        engine.run(net, sent, state=tired, record=("v",))
        for engine in (compiled, reference)
    )
    np.testing.assert_array_equal(ours.v, theirs.v)
    np.testing.assert_array_equal(ours.state.rest, theirs.state.rest)


@pytest.mark.parametrize("where", ["messages", "ring", "u", "v"])
def test_products_are_wide_where_a_state_may_be(where):
    net = network()
    sent, state = silence(net, 40), reference.run(net, silence(net)).state
    assert variant(check(net, sent, state=state)).keep_u.dtype == np.float32
    if where == "messages":
        sent[:, 1, :] = 2**20
    else:
        far = getattr(state, where).copy()
        far[..., 3] = REACH + 1 if where == "ring" else -(2**31)
        state = state._replace(**{where: far})
    job = check(net, sent, state=state)
    assert variant(job).keep_u.dtype == variant(job).keep_v.dtype == np.float64
    ours, theirs = (
        engine.run(net, sent, state=state, record=("u", "v"))
        for engine in (compiled, reference)
    )
    np.testing.assert_array_equal(ours.u, theirs.u)
    np.testing.assert_array_equal(ours.v, theirs.v)


def test_narrow_products_hold_up_to_their_bound():
    """What arrives is as much as float32 is trusted with, step after step."""
    rng = np.random.default_rng(1)
    net = network(du=rng.integers(0, 9, 70), blocks=())
    sent = silence(net, 1, 9)
    now = {name: reference.run(net, sent).state for name in ("ours", "theirs")}
    now = {k: s._replace(u=np.full_like(s.u, -(2**24))) for k, s in now.items()}
    us = []
    for _ in range(20):
        ring = rng.integers(-REACH, REACH, (1, 9, 70), endpoint=True)
        for name, engine in (("ours", compiled), ("theirs", reference)):
            state = now[name]._replace(ring=ring.astype(np.int32))
            assert variant(check(net, sent, state=state)).keep_u.dtype == np.float32
            now[name] = engine.run(net, sent, state=state).state
        np.testing.assert_array_equal(now["ours"].u, now["theirs"].u)
        np.testing.assert_array_equal(now["ours"].v, now["theirs"].v)
        us.append(now["ours"].u)
    assert np.abs(us[0]).max() > 2**23 - 2**18
