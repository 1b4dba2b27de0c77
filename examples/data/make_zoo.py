"""Train the zoo: one network for each of three more tasks, from the recipes.

python examples/data/make_zoo.py --out examples/data

Takes a few minutes on one core. The same seed gives the same weights on the same
machine and releases of numpy and torch; elsewhere the last digits differ, and grow in
training to other networks that do as well. The low-rank network is written as a plain
.npz with its factors, which is a hundred times smaller than its matrix.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

import isotau
from isotau.convert.ground import files
from isotau.convert.records import storage

ZOO = {
    "dms_750_N200.rate.npz": "dms-750",
    "mante_N250.rate.npz": "mante",
    "dms_lowrank_N512.npz": "dms-lowrank",
}
SEED = 11
TRIALS = 200
FACTORS = ("m_vectors", "n_vectors", "w_in", "w_out", "b_out", "bias", "tau", "x0")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(), help="folder to write to")
    parser.add_argument("--only", nargs="*", default=[*ZOO], choices=[*ZOO])
    chosen = parser.parse_args()
    failed = 0
    for name in chosen.only:
        request = isotau.TrainRequest(task=ZOO[name], count=1, seed=SEED)
        with tempfile.TemporaryDirectory() as folder:
            trained = isotau.train_networks(request, Path(folder)).stages[-1][0]
        if not trained.converged:
            sys.stderr.write(f"{name}: no success, nothing written\n")
            failed = 1
            continue
        write(trained.net, chosen.out / name)
        sys.stdout.write(f"{name}: {score(chosen.out / name, ZOO[name]):.3f} right\n")
    return failed


def write(net: isotau.RateRNN, path: Path) -> None:
    """Write a network, one of low rank by its factors."""
    if not net.rank:
        storage.save(net, path)
        return
    arrays = {name: getattr(net, name).astype(np.float32) for name in FACTORS}
    plain = {"activation": net.activation, "dt": net.dt, "noise_std": net.noise_std}
    with files.atomic(path) as stream:
        np.savez_compressed(stream, **arrays, **plain)


def score(path: Path, task: str) -> float:
    """Return the accuracy of the network in a file on fresh trials."""
    rng = np.random.default_rng([SEED, 1])
    trials = isotau.TASKS[task].draw(TRIALS, rng)
    outputs = isotau.simulate_rate(
        isotau.read_rate(path).net, trials.inputs, seed=SEED
    ).outputs
    return float(isotau.TASKS[task].score_strict(outputs, trials).mean())


if __name__ == "__main__":
    sys.exit(main())
