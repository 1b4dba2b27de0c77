"""A network of rank 2 and its LIF version, read through κ, and a picture of both.

Made by hand so that it remembers the sign of its input.
Usage: python examples/read_low_rank.py [PICTURE.png]
"""

import sys
from pathlib import Path

import numpy as np
import torch

import isotau
from isotau.sim.lowrank import (
    compare_kappa,
    exact,
    factors,
    fixed_points,
    full_modes,
    kappa,
    spiking_kappa,
)
from isotau.sim.plot import plot_lowrank as draw


def build(rng: np.random.Generator) -> isotau.RateRNN:
    """Units with the LIF neuron's own f–I curve; a bias balances the recurrence."""
    N = 600
    e = np.sqrt(N) * np.linalg.qr(rng.normal(size=(N, 3)))[0]
    m, n = 4 * e[:, :2], e[:, :2] * [2.0, 1.3]
    w_rec, zeros = m @ n.T / N, np.zeros(N)
    weights = {"w_rec": w_rec, "w_in": 4 * e @ [[0.8], [0.6], [0.5]], "w_out": n.T[:1]}
    rest = {"bias": -w_rec.sum(1) / 2, "b_out": [0.0], "dale": zeros, "noise_std": 0.0}
    rest |= {"tau": zeros + 0.05, "dt": 5e-3, "m_vectors": m, "n_vectors": n}
    return isotau.RateRNN(activation="lif", **weights, **rest)


def main(path: Path) -> None:
    net = build(rng := np.random.default_rng(1))
    modes, sign = factors(net), np.repeat([1, -1], 8)
    inputs = (np.arange(200) // 40 == 1)[:, None, None] * sign[:, None]
    x = isotau.simulate_rate(net, inputs, rng=rng, keep_x=True).x - net.bias
    lif, fine = isotau.rate_to_lif(net, inverse_lambda=50.0), np.repeat(inputs, 5, 0)
    spikes = isotau.simulate_lif(lif, fine, generator=torch.Generator()).spikes
    rate = kappa(x, modes.m_vectors, inputs=net.w_in)
    spiking = spiking_kappa(spikes, lif, fine, modes.m_vectors, inputs=net.w_in)
    print("correlation of κ:", compare_kappa(rate, spiking, sign).correlation.round(3))

    reduced = exact(net, modes)
    points = fixed_points(reduced, rng.uniform(-2, 2, (40, 2)))
    for point in points:
        taus = (1e3 * point.modes.timescales).round()
        print(f"{point.kind} at κ = {point.kappa.round(2)}, timescales {taus} ms")
    with draw.picture(path, 2, 2, size=(8.6, 6.4)) as grid:
        stages = {"rate": (rate, net.dt), "LIF": (spiking, lif.dt)}
        draw.kappa_traces(grid[0], stages, sign, names={1: "input +1", -1: "input −1"})
        paths = {"rate, input +1": rate[:, 0], "LIF, input +1": spiking[:, 0]}
        draw.flow_field(grid[1, 0], reduced, points, reach=4.0, paths=paths)
        of_all = full_modes(net, modes.m_vectors @ points[0].kappa + net.bias)
        draw.spectrum(grid[1, 1], of_all, reduced=points[0].modes)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("low-rank.png"))
