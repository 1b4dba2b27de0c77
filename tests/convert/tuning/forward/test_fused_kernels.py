"""Tuning's forward pass and the LIF stage are one step: the same spikes and tape."""

import numpy as np
import pytest
import torch

from isotau.convert.records.spikes import unpack
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.tuning.forward.fused import Fused
from isotau.convert.tuning.forward.units import in_units, unit_of


@pytest.mark.parametrize(
    ("dtype", "kind"), [(np.float32, torch.float32), (np.float64, torch.float64)]
)
@pytest.mark.parametrize("width", [None, 0.3])
def test_spikes_are_those_of_the_lif_stage(lif_net, dtype, kind, width):
    """Noise included, and in units of a power of two."""
    inputs = np.random.default_rng(1).standard_normal((300, 4, 2))
    run = simulate_lif(lif_net, inputs, seed=6, dtype=dtype, record=("v",))
    if width is None:
        module = LIFModule(lif_net, dtype=kind)
    else:
        unit = unit_of(lif_net, width)
        module = LIFModule(in_units(lif_net, unit), dtype=kind, unit=unit)
    fused = Fused().prepare(module)
    with torch.no_grad():
        state, spikes = fused.start(4), []
        for lo, hi in ((0, 110), (110, 300)):
            shown = torch.tensor(inputs[lo:hi]).to(kind)
            part, state, _ = fused.run(shown, state, seed=6, step=lo)
            spikes.append(part)
    raster = torch.cat(spikes).numpy() > 0
    assert raster.sum() > 300
    np.testing.assert_array_equal(raster, unpack(run.spikes.bits, 20))
    v = (state.v * module.unit).numpy()
    # torch's and numpy's exponentials differ in the last bit of a float64
    np.testing.assert_allclose(v, run.v[-1], rtol=0 if dtype == np.float32 else 1e-13)
