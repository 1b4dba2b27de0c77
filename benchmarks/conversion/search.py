"""How long a search for λ takes, beside one trial as the original code computes it."""

import time
from typing import Any

import numpy as np

from benchmarks.repository import NETWORKS
from isotau.convert.read.read_rate import read_rate
from isotau.convert.records.rate import RateRNN
from isotau.convert.to_lif.search_lambda import GRID, search_lambda
from isotau.sim.tasks import GO_NOGO

NETWORK = NETWORKS / "go_nogo_N200.mat"
FINE = 0.05e-3
"""Step of the original code, in seconds."""
RISE, TAU_MEM, REFRACTORY = 2e-3, 10e-3, 2e-3
V_TH, V_RESET, SPREAD = -40.0, -65.0, 95.0
"""In mV; v starts anywhere within SPREAD above V_RESET."""
NOISE = 0.1
"""Standard deviation of the noise added to v in each fine step, in mV."""


def time_search() -> dict[str, Any]:
    """Return the seconds of a search of 12 values on 100 trials, and of one trial."""
    net = read_rate(NETWORK).net
    trials = GO_NOGO.draw(100, np.random.default_rng(1))
    # Once unmeasured: the first run loads and compiles what the others find ready.
    search_lambda(net, trials, score=GO_NOGO.score, seed=1, grid=GRID[:1])
    grid_seconds = []
    for _ in range(3):
        start = time.perf_counter()
        search_lambda(net, trials, score=GO_NOGO.score, seed=1, grid=GRID, drives=())
        grid_seconds.append(time.perf_counter() - start)
    start = time.perf_counter()
    search_lambda(net, trials, score=GO_NOGO.score, seed=1)
    continuous = time.perf_counter() - start
    rng = np.random.default_rng(2)
    original = []
    for k in range(3):
        start = time.perf_counter()
        one_trial(net, trials.inputs[:, k], 25.0, rng)
        original.append(time.perf_counter() - start)
    return {
        "grid_seconds": float(np.median(grid_seconds)),
        "continuous_search_seconds": continuous,
        "one_original_trial_seconds": float(np.median(original)),
        "original_grid_seconds": float(np.median(original)) * len(GRID) * 100,
    }


def one_trial(
    net: RateRNN, inputs: np.ndarray, inverse_lambda: float, rng: np.random.Generator
) -> np.ndarray:
    """Return the output of one trial in steps of 0.05 ms, as spikeRNN computes it.

    Double-exponential synapses with each neuron's own decay on its summed input, input
    straight to the membrane, noise in every fine step; one output per fine step.
    Source: Kim, Li & Sejnowski 2019, doi:10.1073/pnas.1905926116, equations and table.
    """
    n, fine = net.n, round(net.dt / FINE)
    weights = np.ascontiguousarray(net.w_rec.T) / inverse_lambda
    decay, rise = np.exp(-FINE / net.tau), np.exp(-FINE / RISE)
    # What a spike adds to h, so that the current it leads to has an area of 1.
    jump = 1.0 / (RISE * net.tau)
    v = V_RESET + SPREAD * rng.random(n)
    current, h, filtered, h_out = (np.zeros(n) for _ in range(4))
    last = np.full(n, -1.0)  # s, of each neuron's last spike: none yet
    outputs = np.empty((len(inputs) * fine, net.n_out))
    readout = net.w_out / inverse_lambda
    for t in range(len(outputs)):
        # The constant drive V_TH holds a neuron without input just at its threshold.
        drive = current + V_TH + net.w_in @ inputs[t // fine]
        free = t * FINE > last + REFRACTORY
        v = v + np.where(free, FINE / TAU_MEM * (drive - v), 0.0)
        v += NOISE * rng.standard_normal(n)
        fired = v >= V_TH
        last[fired] = t * FINE
        current = current * decay + h * FINE
        h = h * rise + weights[fired].sum(axis=0) * jump
        filtered = filtered * decay + h_out * FINE
        h_out = h_out * rise + fired * jump
        v[fired] = V_RESET
        outputs[t] = readout @ filtered
    return outputs
