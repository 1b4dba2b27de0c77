"""The main job's own promises; its numbers are checked through the command line."""

import numpy as np
import pytest

from isotau.convert.read.read_rate import read_rate
from isotau.jobs.pipeline import (
    carry,
    run_pipeline,
    tune_rate,
)
from isotau.jobs.run_config import RunConfig, how_to_convert, run_seeds
from isotau.sim.tasks import TASKS


def test_a_network_that_does_not_fit_is_refused(rate_net):
    with pytest.raises(ValueError, match=r"network: got 2 inputs, 1 output"):
        run_pipeline(rate_net, RunConfig())


def test_trials_come_in_the_networks_own_steps(low_rank_file):
    """A network of 5 ms does a task of 20 ms; each of its steps is held four times."""
    rate = read_rate(low_rank_file, dt=0.005, tau=0.1).net
    config = RunConfig(
        task="rdm", trials=8, search_trials=6, lava_trials=1, timescale_trials=3
    )
    made = carry(rate, config)
    assert made.plan.test.dt == 0.005 and made.plan.test.steps == 4 * 75
    assert made.stages["rate"].outputs.shape == (300, 8, 1)
    assert made.stages["fixed"].outputs.shape == (1500, 8, 1)
    for stage in made.stages.values():
        assert stage.right.mean() >= 0.75 and stage.quiet is None


def test_a_calibrated_network_does_its_task(carried):
    """The stages see the same trials and start in the rate network's state."""
    assert carried.plan.burn_in == 0 and carried.plan.lead(1e-3) == 0
    labels = carried.plan.test.labels
    for stage in carried.stages.values():
        assert stage.right.mean() >= 0.9
        np.testing.assert_array_equal(stage.trials.labels, labels)
        assert stage.quiet.spikes.steps == 1060  # 53 steps of 20 ms
    lif, fixed = carried.conversion.network, carried.fixed
    # The chip starts a step early: its input comes a step late.
    assert lif.f0.all() and fixed.made_from == lif.fingerprint
    decayed = fixed.f0 * np.exp(-fixed.dt / fixed.tau_out)
    np.testing.assert_allclose(decayed, lif.f0, rtol=1e-12)


def test_tuning_that_was_not_asked_for_is_refused(rate_net):
    with pytest.raises(ValueError, match="tuning: got none, need how to tune; set Run"):
        tune_rate(rate_net, RunConfig())


def test_configuration_is_checked():
    with pytest.raises(ValueError, match="task: got 'x', need one of"):
        RunConfig(task="x")
    with pytest.raises(ValueError, match="timescale_trials: got 2, need 3"):
        RunConfig(timescale_trials=2)
    with pytest.raises(ValueError, match="search_trials: got 3, need 4"):
        RunConfig(search_trials=3)
    with pytest.raises(ValueError, match="seed: got -1"):
        RunConfig(seed=-1)
    with pytest.raises(ValueError, match="method: got 'guess', need one of calibrate"):
        RunConfig(method="guess")
    with pytest.raises(ValueError, match="copies: got 0"):
        RunConfig(copies=0)
    with pytest.raises(ValueError, match="engine: got 'brian', need one of compiled"):
        RunConfig(engine="brian")
    assert set(TASKS) >= {"go-nogo", "xor", "mante", "rdm", "romo"}


def test_the_configuration_of_the_conversion_is_part_of_it():
    config = RunConfig(method="scale", copies=3)
    made = how_to_convert(config)
    assert (made.method, made.copies) == ("scale", 3)
    assert made.constants is config.constants
    assert made.calibration is config.calibration


def test_seeds_differ_and_repeat():
    first, again, other = run_seeds(1), run_seeds(1), run_seeds(2)
    assert first == again
    assert len(set(first) | set(other)) == 2 * len(first)
    assert all(0 <= seed < 2**63 for seed in first)
    assert np.array(first).dtype == np.int64
