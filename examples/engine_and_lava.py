"""The same fixed-point network in the reference engine and in Lava, spike for spike.

Usage: python examples/engine_and_lava.py [NETWORK.mat]
"""

import sys
from pathlib import Path

import numpy as np

import isotau
from isotau.sim.engines import reference
from isotau.sim.tasks import GO_NOGO

SHIPPED = Path(__file__).parent / "data" / "go_nogo_N200.mat"


def main(path: Path) -> None:
    rate = isotau.read_rate(path).net
    trials = isotau.refine(GO_NOGO.draw(4, np.random.default_rng(1)), 1e-3)
    lif = isotau.rate_to_lif(rate, inverse_lambda=25.0)
    fixed = isotau.prepare(lif, trials.inputs, seed=2).fixed

    sent = isotau.messages(fixed, trials.inputs)
    engine = reference.run(fixed, sent, seed=3).spikes
    lava = isotau.run_lava(fixed, sent, seed=3).spikes

    rates = isotau.mean_rate(engine), isotau.mean_rate(lava)
    print("engine: {:.2f} Hz, Lava: {:.2f} Hz".format(*rates))
    differing = int(np.unpackbits(engine.bits ^ lava.bits).sum())
    print(f"spikes that differ: {differing}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED)
