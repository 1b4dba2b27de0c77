"""What every stage is shown, and each stage against another way to its numbers."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.neuron.fi_curve import firing_rate
from isotau.convert.neuron.lif_constants import PUBLISHED
from isotau.convert.records import spikes as packed
from isotau.convert.records.spikes import Spikes, count, mean_rate, select, window
from isotau.convert.records.trials import refine
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import RateRun, simulate_rate
from isotau.convert.to_lif.conversion import Candidate, Conversion, unit_rates
from isotau.convert.to_lif.search_lambda import rate_to_lif
from isotau.jobs import stages
from isotau.jobs.run_config import run_seeds
from isotau.jobs.stages import (
    TrialPlan,
    chip_messages,
    chip_stage,
    lava_loads,
    lava_stage,
    lif_stage,
    measure_quiet,
    rate_stage,
    score_stage,
)
from isotau.sim.engines import reference
from isotau.sim.tasks import GO_NOGO, MANTE, RDM, Task, fixation


def test_calibrated_units_are_heard_at_their_neurons_own_rate(carried):
    """The f–I curve at unit·x + v_leak − v_th, worked out without the table."""
    rate, conversion = carried.rate, carried.conversion
    inputs = carried.plan.test.inputs
    run = simulate_rate(rate, inputs, seed=0, keep_x=True)
    hz = unit_rates(rate, conversion, run)
    constants = conversion.constants
    x = run.x[::20, ::4, ::8]
    drive = constants.unit * x + constants.v_leak - constants.v_th
    own = firing_rate(drive.ravel(), constants).reshape(x.shape)
    np.testing.assert_allclose(hz[::20, ::4, ::8], own, rtol=1e-3, atol=1e-3)


def test_scaled_units_are_heard_at_r_over_lambda(scaled):
    rate, conversion = scaled.rate, scaled.conversion
    inputs = scaled.plan.test.inputs
    run = simulate_rate(rate, inputs, seed=0, keep_x=True)
    hz = unit_rates(rate, conversion, run)
    logistic = 1 / (1 + np.exp(-2 * run.x))
    np.testing.assert_allclose(hz, conversion.chosen.inverse_lambda * logistic)


def test_every_copy_is_heard_and_no_more_than_once_a_step(carried):
    conversion = carried.conversion
    wide = dataclasses.replace(
        carried.conversion.rate,
        **{
            name: np.repeat(getattr(conversion.rate, name), 2, axis=0)
            for name in ("w_in", "bias", "tau", "dale", "x0", "readout_bias")
        },
        w_rec=np.zeros((96, 96)),
        w_out=np.zeros((1, 96)),
        m_vectors=np.zeros((0, 0)),
        n_vectors=np.zeros((0, 0)),
    )
    relu = dataclasses.replace(conversion, rate=wide, method="scale")
    rates = np.array([[[0.5, 1e6] * 24]])
    run = RateRun(rates, np.zeros((1, 1, 1)), rates)
    fast = dataclasses.replace(carried.rate, activation="relu")
    hz = unit_rates(fast, relu, run)[0, 0]
    lone = 0.5 * conversion.chosen.inverse_lambda
    np.testing.assert_allclose(hz, [lone, lone, 1000.0, 1000.0] * 24)


def test_the_observer_hears_the_rates(carried, monkeypatch):
    """Poisson counts, with the noise of the rate network averaged over all."""
    stage = carried.stages["rate"]
    run = simulate_rate(
        carried.rate,
        carried.plan.test.inputs,
        seed=5,
        keep_x=True,
    )
    expected = unit_rates(carried.rate, carried.conversion, run).mean(axis=(0, 1))
    heard = count(stage.spikes, width=1500).mean(axis=(0, 1)) / 1.5
    # 12 trials of 1.5 s: SD of a count of 50 Hz is 1.7 Hz; noise of the network adds
    np.testing.assert_allclose(heard, expected, atol=7)
    assert heard.mean() == pytest.approx(expected.mean(), rel=0.02)
    # a few trials at a time, where states are many
    monkeypatch.setattr(stages, "MOST_STATES", 3 * 75 * carried.rate.n)
    parts = rate_stage(carried.rate, carried.conversion, carried.plan)
    assert parts.outputs.shape == stage.outputs.shape
    assert parts.right.mean() >= 0.9
    assert mean_rate(parts.spikes) == pytest.approx(mean_rate(stage.spikes), rel=0.02)


def go_nogo(rate_net, burn_in: float) -> tuple[Conversion, TrialPlan]:
    """A random network of Go-NoGo's channels and what it is to be shown."""
    net = dataclasses.replace(rate_net, w_in=rate_net.w_in[:, :1])
    blank = Candidate(
        inverse_lambda=30.0,
        drive=0.0,
        output_gain=1.0,
        unit=1e-3,
        amplitude=None,
        accuracy=0.0,
        accuracy_ungained=0.0,
        error=0.0,
    )
    conversion = Conversion(
        network=rate_to_lif(net, inverse_lambda=30.0, from_x0=burn_in == 0),
        rate=net,
        constants=dataclasses.replace(PUBLISHED, burn_in=burn_in),
        method="scale",
        chosen=blank,
        candidates=(blank,),
    )
    rng = np.random.default_rng(0)
    plan = TrialPlan(
        task=GO_NOGO,
        test=GO_NOGO.draw(5, rng),
        quiet=fixation(1, dt=net.dt).draw(4, rng),
        burn_in=burn_in,
        dt=1e-3,
        seeds=run_seeds(1),
    )
    return conversion, plan


def test_the_lif_stage_burns_in_as_before(rate_net):
    """Silence before the trial is `simulate_lif`'s own burn-in, spike for spike."""
    conversion, plan = go_nogo(rate_net, 0.2)
    # Without noise, whose steps count from the trial on in one and from −200 in other.
    net = dataclasses.replace(conversion.network, noise_std=0.0)
    stage = lif_stage(net, plan)
    shown = refine(plan.test, 1e-3).inputs
    direct = simulate_lif(net, shown, seed=None, burn_in=200).spikes
    np.testing.assert_array_equal(stage.spikes.bits, direct.bits)
    assert stage.whole.steps == 1200 and stage.quiet.spikes.steps == 1050


def test_without_burn_in_a_stage_starts_at_f0(rate_net):
    """The first output is one step's decay off W_out f0, but for the first spikes."""
    conversion, plan = go_nogo(rate_net, 0.0)
    lif = conversion.network
    assert lif.f0.all()
    stage = lif_stage(lif, plan)
    first = np.unpackbits(stage.whole.bits[0], axis=-1, bitorder="little")[:, : lif.n]
    keep = np.exp(-1e-3 / lif.tau_syn)
    f = lif.f0 * keep + first * (1 - keep) / 1e-3
    np.testing.assert_allclose(stage.outputs[0, :, 0], f @ lif.w_out[0] + lif.b_out)


def test_engines_are_interchangeable(carried):
    plan = dataclasses.replace(carried.plan, quiet=None, engine="reference")
    sent = chip_messages(carried.fixed, plan)
    other = chip_stage(carried.fixed, carried.quantization, plan, sent)
    ours = carried.stages["fixed"]
    np.testing.assert_array_equal(other.stage.spikes.bits, ours.spikes.bits)
    np.testing.assert_array_equal(other.stage.outputs, ours.outputs)
    assert set(other.spikes) == {"task"} and other.stage.quiet is None
    assert set(carried.chip.spikes) == {"task", "quiet"}
    assert other.diagnostics.spikes.sum() == carried.chip.diagnostics.spikes.sum()


def test_lava_counts_what_it_does_not_share(carried):
    """With the engine in its place, whose spikes are then changed."""
    plan = dataclasses.replace(carried.plan, lava_trials=1)
    loads = lava_loads(carried.chip.sent, plan)
    assert [load.batch for load in loads.values()] == [1, plan.quiet.batch]
    lava = {
        name: reference.run(carried.fixed, load.messages, seed=load.seed).spikes
        for name, load in loads.items()
    }
    task, chip = carried.chip.spikes["task"], carried.chip
    same = lava_stage(carried.fixed, chip, lava, plan)
    quiet = lava["quiet"]
    whole = quiet.steps * quiet.batch + 1500
    assert same.mismatches == 0 and same.compared == whole * carried.fixed.n
    np.testing.assert_array_equal(
        same.stage.whole.bits, select(window(task, 0), slice(0, 1)).bits
    )
    bits = task.bits.copy()
    bits[10, 0, 0] ^= 1
    bits[11, 0, 2] ^= 4
    bits[12, 1, 0] ^= 1
    changed = chip.spikes | {"task": dataclasses.replace(task, bits=bits)}
    off = lava_stage(carried.fixed, chip._replace(spikes=changed), lava, plan)
    assert off.mismatches == 2


def test_timescales_of_the_engines_spikes_are_not_estimated_again(carried):
    plan = dataclasses.replace(carried.plan, lava_trials=1)
    lava = {
        "task": select(carried.chip.spikes["task"], slice(1)),
        "quiet": carried.chip.spikes["quiet"],
    }
    known = carried.chip.stage.quiet
    same = lava_stage(carried.fixed, carried.chip, lava, plan).stage.quiet
    assert same.timescales is known.timescales
    fewer = lava["quiet"].bits.copy()
    fewer[:, 0] = 0
    lava["quiet"] = dataclasses.replace(lava["quiet"], bits=fewer)
    other = lava_stage(carried.fixed, carried.chip, lava, plan).stage.quiet
    assert (other.timescales.rate < known.timescales.rate).any()


def plan(task: Task, burn_in: float) -> TrialPlan:
    return TrialPlan(
        task=task,
        test=task.draw(3, np.random.default_rng(0)),
        quiet=None,
        burn_in=burn_in,
        dt=1e-3,
        seeds=run_seeds(0),
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
    stage = score_stage(whole, 200, outputs, made.test, RDM, None)
    assert stage.whole is whole and stage.spikes.steps == 1500
    np.testing.assert_array_equal(stage.spikes.bits, bits[200:])
    assert stage.right.all() and stage.right_strictly.all() and stage.quiet is None


def test_chance_has_the_rates_and_no_timescale():
    """Neurons that all fire in bouts of one trial; their Poisson twins never do."""
    rng = np.random.default_rng(0)
    slow = np.repeat(rng.random((6, 40, 30)) < 0.5, 200, axis=0)
    raster = (rng.random((1200, 40, 30)) < 0.05) & slow
    recording = Spikes(bits=packed.pack(raster), n=30, dt=1e-3, engine="test")
    quiet = measure_quiet(recording, plan(RDM, 0.0))
    assert quiet.spikes is recording
    known = np.isfinite(quiet.timescales.tau).sum()
    assert known > 20 > np.isfinite(quiet.chance.tau).sum()
    np.testing.assert_allclose(
        quiet.chance.rate.mean(), quiet.timescales.rate.mean(), rtol=0.02
    )
