"""A network of rank 2, its LIF version and the chip, read through κ, and a picture.

Made by hand so that it remembers the sign of its input, as random dots ask for.
Usage: python examples/read_low_rank.py [PICTURE.png]
"""

import sys
from pathlib import Path

import numpy as np

import isotau
from isotau.reports import low_rank_report


def build(rng: np.random.Generator) -> isotau.RateRNN:
    """Units with the LIF neuron's own f–I curve; a bias balances the recurrence."""
    N = 200
    e = np.sqrt(N) * np.linalg.qr(rng.normal(size=(N, 3)))[0]
    m, n = 4 * e[:, :2], e[:, :2] * [2.0, 1.3]
    w_rec, zeros = m @ n.T / N, np.zeros(N)
    w_in, w_out = 4 * e @ [[0.8], [0.6], [0.5]], n.T[:1] / N
    weights = {"w_rec": w_rec, "w_in": w_in, "w_out": w_out}
    rest = {"bias": -w_rec.sum(1) / 2, "b_out": [0.0], "dale": zeros, "noise_std": 0.0}
    rest |= {"tau": zeros + 0.05, "dt": 5e-3, "m_vectors": m, "n_vectors": n}
    return isotau.RateRNN(activation="lif", **weights, **rest)


def main(path: Path) -> None:
    net = build(np.random.default_rng(1))
    config = isotau.RunConfig(task="rdm", trials=60, search_trials=40)
    reading = isotau.read_low_rank(net, config)
    for stage, near in reading.kappa.agreement.items():
        print(f"{stage}: correlation of κ: {near.correlation.round(3)}")
    for rest in reading.rests:
        taus = (1e3 * rest.point.modes.timescales).round()
        print(f"{rest.point.kind} at κ = {rest.point.kappa.round(2)}, {taus} ms")
    low_rank_report.draw(reading, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("low-rank.png"))
