"""The table of estimators: every row is a function that takes what the row says."""

import inspect
import subprocess
import sys
from pkgutil import resolve_name

import numpy as np
import pytest

import isotau.sim.timescales as timescales
from isotau.convert.records.spikes import SpikeTimes
from isotau.sim.timescales import ESTIMATORS, Timescales

TRIALS = 30


@pytest.fixture(scope="module")
def recording():
    rng = np.random.default_rng(0)
    counts = rng.poisson(20, TRIALS)
    return SpikeTimes(
        times=rng.uniform(0, 1, counts.sum()),
        trial=np.repeat(np.arange(TRIALS), counts),
        neuron=np.zeros(counts.sum(), dtype=int),
        trials=np.array([TRIALS]),
        duration=1.0,
    )


def test_their_order_is_that_of_the_command_line():
    assert list(ESTIMATORS) == [
        *("ml", "exponential", "kim", "kim_pfc"),
        *("direct", "acw", "integral", "sttc"),
    ]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_row_is_a_public_function_and_its_options(name, recording):
    estimator = ESTIMATORS[name]
    function = resolve_name(estimator.function)
    assert getattr(timescales, name, function) is function
    options = inspect.signature(function).parameters
    assert estimator.progress == ("progress" in options)
    widths = [option for option in ("bin_width", "lag") if option in options]
    assert widths == ([estimator.width] if estimator.width else [])
    assert 0 < estimator.chance < 0.5
    found = estimator(recording)
    assert isinstance(found, Timescales)
    assert found.method == name
    again = function(recording)
    assert found.estimate.tobytes() == again.estimate.tobytes()


def test_a_list_of_them_waits_for_no_library():
    code = (
        "import sys; from isotau.sim.timescales import ESTIMATORS; "
        "print(sorted({'scipy', 'numba', 'torch'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names_that_load_late_are_listed():
    assert {"ml", "Timescales", "ESTIMATORS"} <= set(dir(timescales))
    for name in timescales.__all__:
        assert getattr(timescales, name) is not None
    with pytest.raises(AttributeError, match="no_such"):
        timescales.no_such  # noqa: B018
