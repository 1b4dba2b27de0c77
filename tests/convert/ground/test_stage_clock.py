"""What a clock notes of stages, against sleeps and work of known kinds."""

import time

import numpy as np
import pytest

from isotau.convert.ground.stage_clock import StageClock


def test_waiting_takes_time_and_no_processor():
    clock = StageClock()
    with clock("waiting"):
        time.sleep(0.05)
    with clock("nothing"):
        pass
    (waiting, nothing) = clock.costs
    assert waiting.stage == "waiting" and waiting.wall_s >= 0.05
    assert waiting.cpu_s < waiting.wall_s
    assert nothing.wall_s < waiting.wall_s


def test_the_peak_stays_where_it_was():
    clock = StageClock()
    with clock("large"):
        np.ones(8_000_000)
    with clock("small"):
        pass
    large, small = clock.costs
    assert small.peak_mb >= large.peak_mb > 64


def test_a_stage_that_fails_is_not_noted():
    clock = StageClock()
    with pytest.raises(ZeroDivisionError), clock("broken"):
        1 / 0  # noqa: B018
    assert clock.costs == []
