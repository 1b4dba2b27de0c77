"""Compiles what `isotau run` needs, so that no run has to: `python -m` this module.

numba keeps what it has compiled beside the code, or where NUMBA_CACHE_DIR says. A
network of random weights goes through every stage but Lava, on few trials: the compiled
loops are chosen by what a network has, noise or delays, and not by its weights.
"""

import sys
import time

import numpy as np

from isotau.convert.records.rate import RateRNN
from isotau.jobs.pipeline import carry
from isotau.jobs.run_config import RunConfig

UNITS, EXCITATORY = 200, 160
DENSITY, GAIN = 0.2, 1.5
CONFIG = RunConfig(
    task="go-nogo", trials=6, search_trials=6, timescale_trials=3, lava_trials=1
)
"""As few trials as there may be."""


def random_network(seed: int = 0) -> RateRNN:
    """Return a network of Go-NoGo's size and signs that has learned nothing."""
    rng = np.random.default_rng(seed)
    signs = np.where(np.arange(UNITS) < EXCITATORY, 1, -1)
    weights = np.abs(rng.standard_normal((UNITS, UNITS)))
    weights *= rng.random((UNITS, UNITS)) < DENSITY
    # Inhibition balances: neither silence nor saturation, whose rates do not change.
    weights *= np.where(signs > 0, 1.0, EXCITATORY / (UNITS - EXCITATORY))
    return RateRNN(
        w_rec=GAIN * signs * weights / np.sqrt(UNITS * DENSITY),
        w_in=rng.standard_normal((UNITS, 1)),
        w_out=rng.standard_normal((1, UNITS)) / UNITS,
        bias=np.zeros(UNITS),
        b_out=np.zeros(1),
        tau=rng.uniform(0.02, 0.1, UNITS),
        dale=signs,
        activation="sigmoid",
        noise_std=0.1,
        dt=0.005,
    )


def main() -> None:
    """Compile, and say how long it took."""
    start = time.perf_counter()
    carry(random_network(), CONFIG, timescales=True)
    seconds = time.perf_counter() - start
    sys.stdout.write(f"isotau: its loops are compiled ({seconds:.0f} s)\n")


if __name__ == "__main__":
    main()
