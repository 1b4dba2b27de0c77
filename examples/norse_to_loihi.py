"""A recurrent cell of Norse becomes Loihi's integers, placed on the chip's cores.

Usage: python examples/norse_to_loihi.py
"""

from pathlib import Path

import numpy as np
import torch
from norse.torch import LIFParameters, LIFRecurrentCell

import isotau
from isotau.sim.engines import compiled

DATA = Path(__file__).parent / "data"
DT, N = 1e-3, 40


@torch.no_grad()
def main() -> None:
    with np.load(DATA / "letters_test.npz") as file:
        events = np.unpackbits(file["calibration_events"], axis=0)[:, :50].astype(float)
    generator = torch.Generator().manual_seed(1)
    w_in = 3 * torch.randn(N, 12, generator=generator)
    w_rec = torch.randn(N, N, generator=generator) / N**0.5
    parameters = LIFParameters(tau_syn_inv=torch.tensor(200.0))  # 5 ms; τ_mem is 10 ms
    weights = {"input_weights": w_in, "recurrent_weights": w_rec}
    cell = LIFRecurrentCell(12, N, parameters, **weights, autapses=True, dt=DT)

    lif = isotau.from_norse(cell).net
    run = isotau.simulate_lif(lif, events, seed=None)
    state, differing, raster = None, 0, isotau.unpack(run.spikes.bits, N)
    for x, ours in zip(torch.from_numpy(events).float(), raster, strict=True):
        spikes, state = cell(x, state)
        differing += int((spikes.numpy() != ours).sum())
    print(f"spikes: {raster.sum()}; other than in Norse: {differing}")

    # Input events are 0 or 1: as spikes they also suit Loihi 1.
    config = isotau.QuantizeConfig(spiking_input=True)
    fixed = isotau.prepare(lif, events, config=config, run=run).fixed
    for chip in ("loihi1", "loihi2"):
        print(f"{chip}:\n{isotau.describe_findings(isotau.check(fixed, chip))}")
    sent = isotau.messages(fixed, events)
    engine = compiled.run(fixed, sent).spikes
    print(
        isotau.describe_cost(isotau.cost(fixed, engine, isotau.LOIHI2, messages=sent))
    )


main()
