"""What is shown to every stage, and what a stage keeps."""

import numpy as np
import pytest

from isotau.convert.records import spikes as packed
from isotau.convert.records.spikes import Spikes
from isotau.jobs.run_config import draw_seeds
from isotau.jobs.stages import Plan, finish, listen
from isotau.sim.tasks import MANTE, RDM, Task


def plan(task: Task, burn_in: float) -> Plan:
    return Plan(
        task=task,
        test=task.draw(3, np.random.default_rng(0)),
        quiet=None,
        burn_in=burn_in,
        dt=1e-3,
        seeds=draw_seeds(0),
    )


@pytest.mark.parametrize(
    ("task", "burn_in", "steps"), [(MANTE, 0.2, 40), (RDM, 0.2, 10), (RDM, 0.21, 10)]
)
def test_every_stage_settles_as_long(task, burn_in, steps):
    made = plan(task, burn_in)
    assert made.lead(task.dt) == steps
    assert made.lead(1e-3) * 1e-3 == pytest.approx(steps * task.dt)


def test_a_context_stands_before_the_trial():
    made = plan(MANTE, 0.1)
    shown, inputs = made.shown(made.test, 1e-3), made.test.inputs
    assert shown.shape == (100 + 2500, 3, 4)
    np.testing.assert_array_equal(shown[:100, :, 2:], inputs[:1, :, 2:].repeat(100, 0))
    assert not shown[:100, :, :2].any()
    np.testing.assert_array_equal(shown[100::5], inputs)
    alone = plan(MANTE, 0.0)
    np.testing.assert_array_equal(alone.shown(alone.test, MANTE.dt), inputs)


def test_what_stands_before_a_trial_does_not_count():
    made, rng = plan(RDM, 0.2), np.random.default_rng(1)
    bits = packed.pack(rng.random((1700, 3, 16)) < 0.02)
    whole = Spikes(bits=bits, n=16, dt=1e-3, engine="test")
    outputs = np.sign(made.test.targets.sum(axis=0)) + np.zeros((75, 3, 1))
    stage = finish(whole, 200, outputs, made.test, RDM, None)
    assert stage.whole is whole and stage.spikes.steps == 1500
    np.testing.assert_array_equal(stage.spikes.bits, bits[200:])
    assert stage.right.all() and stage.right_strictly.all() and stage.quiet is None


def test_chance_has_the_rates_and_no_timescale():
    """Neurons that all fire in bouts of one trial; their Poisson twins never do."""
    rng = np.random.default_rng(0)
    slow = np.repeat(rng.random((6, 40, 30)) < 0.5, 200, axis=0)
    raster = (rng.random((1200, 40, 30)) < 0.05) & slow
    recording = Spikes(bits=packed.pack(raster), n=30, dt=1e-3, engine="test")
    quiet = listen(recording, plan(RDM, 0.0))
    assert quiet.spikes is recording
    known = np.isfinite(quiet.timescales.tau).sum()
    assert known > 20 > np.isfinite(quiet.chance.tau).sum()
    np.testing.assert_allclose(
        quiet.chance.rate.mean(), quiet.timescales.rate.mean(), rtol=0.02
    )
