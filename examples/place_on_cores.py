"""A network with many time constants on the cores of a chip: placement, cost, picture.

Usage: python examples/place_on_cores.py [NETWORK.mat] [PICTURE.png]
"""

import sys
from pathlib import Path

import numpy as np
import torch

import isotau
from isotau.convert.records.trials import refine
from isotau.convert.to_fixed.quantize import messages
from isotau.sim.engines import reference
from isotau.sim.tasks import GO_NOGO
from isotau.targets.loihi.cost import cost
from isotau.targets.loihi.cost import describe as describe_cost
from isotau.targets.loihi.limits import LOIHI1
from isotau.targets.loihi.neurobench import neurobench
from isotau.targets.loihi.place import describe, place
from isotau.targets.loihi.plot_placement import plot_placement
from isotau.targets.loihi.traffic import traffic
from isotau.targets.on_lava.profiles import group_profiles

SHIPPED = Path(__file__).parent / "data" / "go_nogo_N200.mat"


def main(path: Path, picture: Path) -> None:
    rate = isotau.read_rate(path).net
    trials = refine(GO_NOGO.draw(4, np.random.default_rng(1)), 1e-3)
    lif = isotau.rate_to_lif(rate, inverse_lambda=25.0)
    generator = torch.Generator().manual_seed(2)
    run = isotau.simulate_lif(lif, trials.inputs, generator=generator)
    fixed = isotau.quantize(lif, run.ranges, input_peak=1.0)

    placement = place(fixed, LOIHI1)
    print(describe(placement))
    grouped = group_profiles(fixed)
    print(f"with 32 profiles: {place(grouped.net, LOIHI1).cores} core")
    print(f"largest change of a τ: {np.exp(np.abs(grouped.log_tau_syn).max()) - 1:.1%}")

    sent = messages(fixed, trials.inputs)
    spikes = reference.run(fixed, sent, seed=3).spikes
    print(describe_cost(cost(fixed, spikes, LOIHI1, placement, sent)))
    for name, value in neurobench(fixed, spikes, sent).items():
        print(f"{name}: {value}")

    axes = plot_placement(placement, traffic=traffic(fixed, placement, spikes))
    axes.figure.savefig(picture, dpi=200)
    print(f"wrote {picture}")


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    main(*(given + [SHIPPED, Path("placement.png")][len(given) :]))
