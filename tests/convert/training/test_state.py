from typing import Any

import numpy as np
import pytest

from isotau.convert.records.storage import same
from isotau.convert.training import TrainConfig
from isotau.convert.training.state import FAILED, begin, finish
from isotau.sim.tasks import GO_NOGO, MANTE


def test_each_seed_begins_its_own_network(few: Any) -> None:
    both, first = begin(GO_NOGO.draw, few(), [3, 8])
    (three, eight) = finish(both, few(), first.dt)
    alone, _ = begin(GO_NOGO.draw, few(), [8])
    assert same(eight.net, finish(alone, few(), first.dt)[0].net)
    assert not same(three.net, eight.net)
    assert first.task == "go-nogo" and both.running == [0, 1]


def test_results_say_how_far_each_network_came(few: Any) -> None:
    config = few(max_iterations=12)
    state, first = begin(GO_NOGO.draw, config, [0, 1, 2])
    state.losses[:] = np.arange(12)
    state.scores[:] = np.arange(8).reshape(4, 2)
    state.scores[2, 1:] = np.nan
    state.ended[1] = FAILED
    state.ended_at[:] = (12, 7, 7)
    full, failed, early = finish(state, config, first.dt)
    assert [one.status for one in (full, failed, early)] == [
        "exhausted",
        "failed",
        "stopped",
    ]
    assert failed.losses.tolist() == list(range(7)) and not full.converged
    assert [tuple(e) for e in failed.evaluations] == [(3, 0.0, 1.0), (6, 2.0, 3.0)]
    assert [tuple(e) for e in early.evaluations] == [(3, 0.0, 1.0)]


def test_a_start_must_be_as_many_as_the_seeds(few: Any) -> None:
    state, first = begin(GO_NOGO.draw, few(), [0])
    net = finish(state, few(), first.dt)[0].net
    with pytest.raises(ValueError, match=r"start: got 1 networks, need as .* \(2\)"):
        begin(GO_NOGO.draw, few(), [0, 1], [net])


def test_a_start_must_have_the_tasks_channels(few: Any) -> None:
    state, first = begin(GO_NOGO.draw, few(), [0])
    net = finish(state, few(), first.dt)[0].net
    with pytest.raises(ValueError, match=r"dt\) = \(1, 1, 0\.005\), the task's .*\(4,"):
        begin(MANTE.draw, TrainConfig(n=20), [0], [net])
