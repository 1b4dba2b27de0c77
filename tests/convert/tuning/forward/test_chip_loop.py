"""The loop over torch's step: its integers, and that it changes nothing it is given."""

import numpy as np
import torch

from isotau.convert.records.lif import Ranges
from isotau.convert.records.spikes import unpack
from isotau.convert.simulate.norse_module import TRAINABLE, LIFModule
from isotau.convert.to_fixed.quantize import messages
from isotau.convert.tuning.forward.chip import ChipDynamics
from isotau.convert.tuning.forward.units import in_units, unit_of
from isotau.sim.engines import reference


def test_the_state_holds_the_engines_integers_and_is_not_changed(lif_net):
    unit, swing = unit_of(lif_net, 0.2), lif_net.v_th - lif_net.v_reset
    module = LIFModule(
        in_units(lif_net, unit), dtype=torch.float64, train=TRAINABLE, unit=unit
    )
    ranges = Ranges(2 * swing, 2 * swing, 2 * swing)
    prepared = ChipDynamics(lif_net, unit, ranges, 2.0, compiled=False).prepare(module)
    fixed = prepared.fixed
    inputs = np.random.default_rng(0).uniform(-2, 2, (80, 3, 2))
    run = reference.run(fixed, messages(fixed, inputs), seed=3, record=("u", "v"))
    parts, state = [], prepared.start(3)
    for cut in (slice(0, 30), slice(30, 80)):
        before = [part.detach().clone() for part in state]
        spikes, after, _ = prepared.run(
            torch.tensor(inputs[cut]), state, seed=3, step=cut.start
        )
        for part, value in zip(state, before, strict=True):
            assert torch.equal(part, value)
        parts.append(spikes.detach().numpy())
        np.testing.assert_array_equal(after.i.detach(), run.u[cut.stop - 1])
        np.testing.assert_array_equal(after.v.detach(), run.v[cut.stop - 1])
        np.testing.assert_array_equal(after.rest, _rest(fixed, run, cut.stop))
        state = after
    raster = unpack(run.spikes.bits, fixed.n)
    np.testing.assert_array_equal(np.concatenate(parts), raster)
    assert 0.005 < raster.mean() < 0.5


def _rest(fixed, run, stop):
    """Return the steps left at reset after some steps, from the spikes alone."""
    left = np.zeros((run.spikes.batch, fixed.n), dtype=np.int64)
    for fired in unpack(run.spikes.bits, fixed.n)[:stop]:
        left = np.where(fired, fixed.refractory, np.maximum(left - 1, 0))
    return left
