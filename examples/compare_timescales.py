"""Timescales of the LIF network and of its fixed-point version, neuron by neuron.

Usage: python examples/compare_timescales.py [NETWORK.mat]
"""

import sys
from pathlib import Path

import numpy as np

import isotau
from isotau.sim.engines import reference

SHIPPED = Path(__file__).parent / "data" / "go_nogo_N200.mat"
BURN_IN, TRIALS, STEPS = 200, 50, 1050


def main(path: Path) -> None:
    rate = isotau.read_rate(path).net
    lif = isotau.rate_to_lif(rate, inverse_lambda=25.0)

    # 50 trials of 1.05 s without input, as in the published analysis.
    silence = np.zeros((STEPS, TRIALS, rate.n_in))
    run = isotau.simulate_lif(lif, silence, seed=1, burn_in=BURN_IN)
    fixed = isotau.prepare(lif, silence, run=run, input_peak=1.0).fixed
    longer = np.zeros((BURN_IN + STEPS, TRIALS, rate.n_in))
    chip = reference.run(fixed, isotau.messages(fixed, longer), seed=2).spikes

    before = isotau.kim(run.spikes).tau
    after = isotau.kim(isotau.window(chip, BURN_IN)).tau
    for name, tau in (("LIF", before), ("fixed point", after)):
        known = tau[np.isfinite(tau)]
        median = f"{1e3 * np.median(known):.0f} ms" if known.size else "none"
        print(f"{name}: {known.size} of {rate.n} with a timescale, median {median}")
    both = np.isfinite(before) & np.isfinite(after)
    spread = np.log(after[both] / before[both])
    print(f"in both: {both.sum()}", end="")
    if both.sum() > 1:
        print(f", ratio {np.exp(np.median(spread)):.2f}, SD of log {spread.std():.2f}")
    else:
        print()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED)
