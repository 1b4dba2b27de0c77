"""A network with many time constants on the cores of a chip: placement, cost, picture.

Usage: python examples/place_on_cores.py [NETWORK.mat] [PICTURE.png]
"""

import sys
from pathlib import Path

import numpy as np

import isotau
from isotau.sim.engines import reference
from isotau.sim.tasks import GO_NOGO

SHIPPED = Path(__file__).parent / "data" / "go_nogo_N200.mat"


def main(path: Path, picture: Path) -> None:
    rate = isotau.read_rate(path).net
    trials = isotau.refine(GO_NOGO.draw(4, np.random.default_rng(1)), 1e-3)
    lif = isotau.rate_to_lif(rate, inverse_lambda=25.0)
    fixed = isotau.prepare(lif, trials.inputs, seed=2).fixed

    placement = isotau.place(fixed, isotau.LOIHI1)
    print(isotau.describe_placement(placement))
    grouped = isotau.group_profiles(fixed)
    print(f"with 32 profiles: {isotau.place(grouped.net, isotau.LOIHI1).cores} core")
    print(f"largest change of a τ: {np.exp(np.abs(grouped.log_tau_syn).max()) - 1:.1%}")

    sent = isotau.messages(fixed, trials.inputs)
    spikes = reference.run(fixed, sent, seed=3).spikes
    print(
        isotau.describe_cost(isotau.cost(fixed, spikes, isotau.LOIHI1, placement, sent))
    )
    for name, value in isotau.neurobench(fixed, spikes, sent).items():
        print(f"{name}: {value}")

    axes = isotau.plot_placement(
        placement, traffic=isotau.traffic(fixed, placement, spikes)
    )
    axes.figure.savefig(picture, dpi=200)
    print(f"wrote {picture}")


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    main(*(given + [SHIPPED, Path("placement.png")][len(given) :]))
