"""Train the Go-NoGo network of the examples and write it in spikeRNN's format.

python examples/data/make_go_nogo.py --out examples/data/go_nogo_N200.mat

Takes less than a minute on one core. The same seed gives the same weights on the same
machine and releases of numpy and torch; elsewhere the last digits differ, and grow in
training to another network that does as well.
"""

import argparse
import sys

import numpy as np

import isotau
from isotau.sim.tasks import GO_NOGO

SEED = 5
CONFIG = isotau.TrainConfig(n=200, tau_min=0.020, tau_max=0.100, min_trials=25_600)
TRIALS = 400


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="go_nogo_N200.mat", help="file to write")
    parser.add_argument("--seed", type=int, default=SEED)
    chosen = parser.parse_args()
    trained = isotau.train(GO_NOGO.draw, GO_NOGO.score_strict, CONFIG, seed=chosen.seed)
    if not trained.converged:
        sys.stderr.write(f"seed {chosen.seed}: no success, nothing written\n")
        return 1
    path = isotau.write_spikernn(
        trained.net, chosen.out, tau_range=(CONFIG.tau_min, CONFIG.tau_max)
    )
    rng = np.random.default_rng([chosen.seed, 1])
    trials = GO_NOGO.draw(TRIALS, rng)
    outputs = isotau.simulate_rate(
        isotau.read_rate(path).net, trials.inputs, seed=chosen.seed
    ).outputs
    right = GO_NOGO.score(outputs, trials).mean()
    sys.stdout.write(
        f"{path}: {trained.losses.size} updates, {right:.4f} right of {TRIALS} trials\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
