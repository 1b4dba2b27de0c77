"""One network's timescales: of every unit, as exact as asked, and with its status."""

import dataclasses
import sys

import numpy as np
import pytest

from isotau.convert.records.rate import RateRNN
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.to_fixed.quantize import quantize
from isotau.sim.states import StateBudget, state_tau
from isotau.sim.states.autocovariance import BLOCKS, autocovariance_blocks
from isotau.sim.states.measure_network import (
    PRECISE,
    SHARE,
    is_precise,
    measure_states,
    states_of,
)
from isotau.sim.tasks import TASKS

TAU = np.linspace(0.03, 0.06, 12)
ONCE = StateBudget(seconds=0)


@pytest.fixture
def alone() -> RateRNN:
    """Units that hear nothing of each other: each remembers for its own τ."""
    n = len(TAU)
    return RateRNN(
        w_rec=np.zeros((n, n)),
        w_in=np.ones((n, 1)),
        w_out=np.ones((1, n)),
        bias=np.zeros(n),
        b_out=[0.0],
        tau=TAU,
        dale=np.zeros(n),
        activation="tanh",
        noise_std=0.1,
        dt=0.005,
    )


def memory_of_steps(net):
    """τ of x, which keeps 1 − dt/τ in a step."""
    return -net.dt / np.log1p(-net.dt / net.tau)


def test_every_unit_has_its_timescale(alone):
    found = measure_states(alone, budget=StateBudget(seconds=60))
    truth = memory_of_steps(alone)
    low, high = found.tau.interval()
    assert ((low < truth) & (truth < high)).mean() > 0.7
    np.testing.assert_allclose(found.tau.tau, truth, rtol=0.15)
    assert set(found.statuses) == {"ok"} and found.n == len(TAU)
    assert found.memory.states == 1 and not found.shape.oscillating.any()
    assert (found.length, found.observable, found.epoch) == (4.0, "state", "rest")
    assert found.tau.trials == found.trials


def test_trials_are_added_until_intervals_are_narrow(alone):
    slow = dataclasses.replace(alone, tau=4 * TAU)
    once = measure_states(slow, budget=ONCE)
    assert once.trials == 2 * BLOCKS and not is_precise(once.tau)
    found = measure_states(slow, budget=StateBudget(seconds=60))
    assert found.trials > once.trials
    assert np.mean(found.tau.interval()[1] <= 1.1 * found.tau.tau) >= 0.95
    # No more of them than may be.
    few = measure_states(slow, budget=StateBudget(seconds=60, trials=BLOCKS))
    assert few.trials == 2 * BLOCKS


def test_nearly_all_units_that_move_count(states):
    def tau_of(tau, trials):
        x = states(tau, 400, trials, 0.01, 0)
        x[..., -1] = 1.0  # does not move
        return state_tau(autocovariance_blocks(x, 0.01, 200))

    exact = tau_of([0.05] * 19 + [3.0, 0.05], 400)
    assert exact.beyond.sum() == 1 and exact.moving.sum() == 20
    assert is_precise(exact)
    assert not is_precise(tau_of([0.05] * 18 + [3.0, 3.0, 0.05], 400))
    assert not is_precise(tau_of([0.2] * 21, 40))
    assert (PRECISE, SHARE) == (0.10, 0.95)


def test_every_status_is_told(silent_neurons):
    tau = np.array([0.04, 0.05, 30.0, 0.05])
    noise = np.array([1e-3, 1e-3, 1e-3, 0.0])
    net = silent_neurons(tau, current_noise_std=noise)
    found = measure_states(net, budget=ONCE)
    assert found.statuses == ("ok", "ok", "beyond the window", "does not move")
    np.testing.assert_allclose(found.tau.tau[:2], tau[:2], rtol=0.2)
    columns = found.columns()
    assert list(columns) == [
        "unit", "tau_s", "low_s", "high_s", "sd", "tau_integral_s",
        "tau_exponential_s", "offset", "oscillating", "frequency_hz", "damping_s",
        "status",
    ]  # fmt: skip
    for name in ("tau_s", "low_s", "high_s"):
        assert np.isnan(columns[name]).tolist() == [False, False, True, True], name
    assert columns["sd"][3] == 0 and (columns["sd"][:3] > 0).all()


def test_the_chip_has_the_neurons_timescales(silent_neurons):
    net = silent_neurons(np.array([0.03, 0.05]))
    ranges = simulate_lif(net, np.zeros((400, 10, 1)), seed=0).ranges
    fixed = quantize(net, ranges, input_peak=0.0)
    found = measure_states(fixed, budget=StateBudget(seconds=60))
    np.testing.assert_allclose(found.tau.tau, net.tau_syn, rtol=0.2)


def test_channels_of_noise_go_on_at_rest(silent_neurons):
    """Neurons whose only noise comes through such channels move."""
    net = silent_neurons(
        np.array([0.04, 0.05]), current_noise_std=0.0, w_in=1e-3 * np.eye(2)[:, ::-1]
    )
    assert set(measure_states(net, budget=ONCE).statuses) == {"does not move"}
    noisy = dataclasses.replace(net, input_noise_std=[1.0])
    found = measure_states(noisy, budget=ONCE)
    assert found.statuses == ("ok", "does not move")


def test_memory_states_are_told_apart():
    """Two states that are kept: τ is that within one, and none is beyond."""
    n = 8
    mode = np.ones(n)
    net = RateRNN(
        w_rec=1.3 * np.outer(mode, mode) / n,
        w_in=np.ones((n, 1)),
        w_out=np.ones((1, n)),
        bias=np.zeros(n),
        b_out=[0.0],
        tau=np.full(n, 0.02),
        dale=np.zeros(n),
        activation="tanh",
        noise_std=0.3,
        dt=0.005,
    )
    found = measure_states(net, budget=ONCE)
    assert found.memory.states == 2
    assert np.nanmedian(found.tau.tau) < 0.1


@pytest.mark.parametrize(
    ("observable", "n"), [("state", 24), ("rate", 24), ("output", 1)]
)
def test_what_is_watched_in_a_part_of_the_task(rate_net, observable, n):
    options = {"observable": observable, "epoch": "delay", "task": "dms-750"}
    found = measure_states(rate_net, budget=ONCE, **options)
    assert found.n == n and (found.observable, found.epoch) == (observable, "delay")
    assert found.tau.known.mean() > 0.9
    # By its name or itself.
    options["task"] = TASKS["dms-750"]
    again = measure_states(rate_net, budget=ONCE, **options)
    np.testing.assert_array_equal(again.tau.tau, found.tau.tau)


def test_the_seed_makes_the_noise(alone):
    first, same, other = (
        measure_states(alone, budget=ONCE, seed=seed).tau.tau for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, same)
    assert (first != other).all()


def test_looks_are_told_of(alone):
    told = []

    def progress(steps, what):
        told.append(what)
        return steps

    measure_states(alone, budget=ONCE, progress=progress)
    assert told == ["looks at states"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epoch": "delay"}, "task: got none, need the task whose delay is watched"),
        ({"task": "sleep"}, "task: got 'sleep', need one of go-nogo"),
        ({"task": "mante"}, "network: got 1 input, 1 output and steps of 5 ms, need 4"),
        (
            {"task": TASKS["mante"]},
            "task: got mante of 4 inputs, need one of the network's 1",
        ),
        ({"task": "go-nogo", "epoch": "delay"}, "need one of a task with a delay"),
        ({"task": "go-nogo", "epoch": "sleep"}, "epoch: got 'sleep'"),
        ({"observable": "speed"}, "observable: got 'speed', need one of state"),
        ({"observable": "kappa"}, "got kappa for a network without factors"),
        ({"seed": -1}, "seed: got -1, need 0 to"),
    ],
)
def test_what_does_not_fit_is_refused(alone, options, message):
    with pytest.raises(ValueError, match=message):
        measure_states(alone, **options)
    if "seed" not in options:
        with pytest.raises(ValueError, match=message):
            states_of(alone, **options)


def test_neurons_of_another_task_are_refused(lif_net):
    with pytest.raises(ValueError, match="need one of the network's 2"):
        measure_states(lif_net, task="mante")


def test_a_table_has_a_row_for_every_unit(alone):
    found = measure_states(alone, budget=ONCE)
    frame = found.to_frame()
    assert list(frame.columns) == list(found.columns())
    np.testing.assert_array_equal(frame["tau_s"], found.columns()["tau_s"])
    assert list(frame["unit"]) == list(range(len(TAU)))
    assert list(frame["status"]) == list(found.statuses)
    assert "n=12" in repr(found) and "length=4 s" in repr(found)


def test_without_pandas_it_is_said_what_to_do(alone, monkeypatch):
    found = measure_states(alone, budget=ONCE)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"got no pandas, need it; pip install"):
        found.to_frame()
