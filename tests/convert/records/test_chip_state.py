"""Where a run of the chip starts."""

import dataclasses
import re

import numpy as np
import pytest

from benchmarks.engine.random_networks import random_network
from isotau.convert.records.chip_state import check_state, initial_state

NET = random_network(np.random.default_rng(0), 6, extreme=False)


def test_a_network_with_delays_has_room_for_them():
    late = dataclasses.replace(NET.blocks[0], delay=62)
    net = dataclasses.replace(NET, blocks=(late, *NET.blocks[1:]))
    assert initial_state(net, 5).ring.shape == (63, 5, 6)
    assert initial_state(NET, 5).ring.shape == (1, 5, 6)


def test_power_up_is_the_start_state_in_every_trial():
    net = dataclasses.replace(NET, u0=np.arange(6), v0=-np.arange(6))
    state = initial_state(net, 3)
    assert state.u.tolist() == [list(range(6))] * 3
    assert (state.v == -state.u).all()
    assert (state.u.dtype, state.v.dtype) == (np.int32, np.int32)
    assert not state.rest.any() and not state.ring.any() and state.step == 0


@pytest.mark.parametrize(
    ("field", "shape", "text"),
    [
        (
            "u",
            (3, 6),
            "state.u: got shape (3, 6), need (2, 6); go on with the network ",
        ),
        ("v", (2, 7), "state.v: got shape (2, 7), need (2, 6)"),
        ("rest", (6,), "state.rest: got shape (6,), need (2, 6)"),
        ("ring", (2, 2, 6), "state.ring: got shape (2, 2, 6), need (1, 2, 6)"),
    ],
)
def test_a_state_of_another_network_or_batch_is_named(field, shape, text):
    state = initial_state(NET, 2)
    check_state(state, 2, NET.n, NET.slots)
    changed = state._replace(**{field: np.zeros(shape, np.int32)})
    with pytest.raises(ValueError, match=re.escape(text)):
        check_state(changed, 2, NET.n, NET.slots)
