"""Do the units with long timescales carry the stable code, also on the chip?

Usage: python examples/memory_code.py

Carries a working-memory network (delay of 750 ms) to the chip, measures its timescales
without input, and compares how well the first stimulus is told apart over the delay in
units with long and with short ones. Draws the matrices into memory_code.png.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import isotau
from isotau.jobs.preserve import run_quiet
from isotau.sim.coding import (
    FIRST_STIMULUS,
    CodingConfig,
    StageData,
    measure_stages,
    respond,
)
from isotau.sim.plot import plot_coding

NETWORK = Path(__file__).parent / "data" / "dms_750_N200.rate.npz"


def main() -> None:
    rate = isotau.load(NETWORK, isotau.RateRNN)
    result = isotau.carry(
        rate, isotau.RunConfig(task="dms-750", method="calibrate", trials=80)
    )
    quiet = run_quiet(result, trials=100, length=1.0, settle=0.5, seed=1)
    data = {}
    for stage, twice in quiet.items():
        done = result.stages[stage]
        responses = respond(done.spikes, done.trials.labels, FIRST_STIMULUS, every=0.01)
        data[stage] = StageData([responses], [isotau.ml(twice.first)])
    config = CodingConfig(draws=2, splits=4)
    codes = measure_stages(data, np.random.default_rng(0), config)
    for stage, code in codes.items():
        short, long = (1e3 * edge for edge in code.edges)
        held = {name: code.groups[name].stability.value for name in ("long", "short")}
        print(
            f"{stage}: off over on the diagonal {held['long']:.2f} for τ > {long:.0f} "
            f"ms, {held['short']:.2f} for τ < {short:.0f} ms"
        )
    _, axes = plt.subplots(len(codes), 2, figsize=(6, 8), layout="constrained")
    plot_coding.cross_temporal_stages(axes, codes)
    plt.savefig("memory_code.png", dpi=120)


if __name__ == "__main__":
    main()
