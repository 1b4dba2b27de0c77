"""A trained rate network becomes LIF neurons, then Loihi's integers.

Usage: python examples/convert_and_quantize.py [NETWORK.mat]
"""

import sys
from pathlib import Path

import numpy as np

import isotau
from isotau.sim.tasks import GO_NOGO

SHIPPED = Path(__file__).parent / "data" / "go_nogo_N200.mat"


def main(path: Path) -> None:
    rate = isotau.read_rate(path).net
    trials = GO_NOGO.draw(60, np.random.default_rng(1))

    found = isotau.search_lambda(rate, trials, score=GO_NOGO.score, seed=2)
    best = found.chosen
    print(f"1/λ = {best.inverse_lambda:.1f} Hz, accuracy {best.accuracy:.2f} in search")

    # The state's range on typical input decides the scale of the integers.
    inputs = isotau.refine(trials, found.network.dt).inputs
    run = isotau.simulate_lif(
        found.network,
        inputs,
        seed=3,
        burn_in=found.constants.burn_in_steps,
    )
    prepared = isotau.prepare(found.network, inputs, run=run)

    for block in prepared.fixed.blocks:
        n, columns = block.weights.shape
        print(
            f"{block.source:9} {block.sign_mode.value:10} {n} × {columns}, "
            f"exponent {block.weight_exp}"
        )
    report = prepared.report
    for parameter in report.parameters:
        print(
            f"{parameter.name:8} rms error {parameter.rms:.1e}, "
            f"{parameter.zeroed} of {parameter.total} rounded to zero"
        )
    print(f"room above the largest current: {report.headroom_u:.1f} times")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED)
