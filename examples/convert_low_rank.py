"""A tanh network of rank 2 on the chip, by both methods, and how far κ goes astray.

Made by hand for the random-dot task: the first mode integrates the input, the second
listens to the first and is read out. Usage: python examples/convert_low_rank.py
"""

import numpy as np

import isotau
from isotau.sim.engines import compiled
from isotau.sim.lowrank import (
    compare_kappa,
    kappa,
    spiking_kappa,
)
from isotau.sim.tasks import RDM


def build(rng: np.random.Generator) -> isotau.RateRNN:
    """Two modes, 160 units, τ = 100 ms, in steps of 20 ms."""
    N = 160
    e = np.sqrt(N) * np.linalg.qr(rng.normal(size=(N, 3)))[0]
    m, n = 2 * e[:, :2], e @ [[0.65, 0.5], [0.0, 0.5], [0.5, 0.0]]
    weights = {"w_rec": m @ n.T / N, "w_in": 2 * e[:, 2:], "w_out": 1.6 * e.T[1:2] / N}
    rest = {"bias": np.zeros(N), "b_out": [0.0], "dale": np.zeros(N), "noise_std": 0.05}
    rest |= {"tau": np.full(N, 0.1), "dt": 0.02, "m_vectors": m, "n_vectors": n}
    return isotau.RateRNN(activation="tanh", **weights, **rest)


def main() -> None:
    net = build(rng := np.random.default_rng(1))
    shown, test = RDM.draw(60, rng), RDM.draw(100, rng)
    run = isotau.simulate_rate(net, test.inputs, seed=2, keep_x=True)
    rate = kappa(run.x, net.m_vectors, inputs=net.w_in, offset=net.bias)
    print(f"rate network: accuracy {RDM.score_strict(run.outputs, test).mean():.2f}")
    fine = isotau.refine(test, 1e-3)
    for method in ("calibrate", "scale"):
        config = isotau.ConvertConfig(method=method)
        found = isotau.convert_rate(
            net, shown, score=RDM.score_strict, seed=2, config=config
        )
        lif, unit = found.network, found.constants.unit
        chip = isotau.prepare(lif, isotau.refine(shown, lif.dt).inputs).fixed
        sent = isotau.messages(chip, fine.inputs)
        spikes = compiled.run(chip, sent, seed=3).spikes
        outputs = isotau.network_outputs(chip, spikes)
        right = RDM.score_strict(outputs, fine).mean()
        basis = {"m_vectors": found.rate.m_vectors, "inputs": found.rate.w_in}
        chips = spiking_kappa(spikes, chip, sent, unit=unit, **basis)
        near = compare_kappa(rate, chips).correlation.round(3)
        print(f"{method} to the chip: accuracy {right:.2f}, κ correlates by {near}")


if __name__ == "__main__":
    main()
