"""The float stages beside plain loops: Norse's step in torch, matrix products in numpy.

Rivals run in turn in one process, by one thread each, and CPU time is counted: what
else the machine does changes it little. With two threads each the clock on the wall
counts, which idle cores alone make a fair one. A ratio is that of a round.
"""

from collections.abc import Callable
from itertools import product
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from isotau.convert.neuron.activation import activate
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import pack, unpack
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.norse_module import LIFModule, StepNoise
from isotau.convert.simulate.rate_dynamics import simulate_rate

ROUNDS = 5
EVERY = 5
"""Steps between two recorded currents."""
SIZES = {50: 200, 200: 100, 1000: 20}
"""Steps by number of neurons."""


def lif_network(n: int, seed: int = 0) -> LIFNetwork:
    """Return a network of which some 4 % of the neurons spike in a step."""
    rng = np.random.default_rng(seed)
    return LIFNetwork(
        w_in=2e-3 * rng.normal(size=(n, 2)),
        w_rec=4e-3 / np.sqrt(n) * rng.normal(size=(n, n)),
        w_out=rng.normal(size=(2, n)) / n,
        b_out=np.zeros(2),
        tau_syn=rng.uniform(0.02, 0.1, n),
        tau_mem=np.full(n, 0.01),
        v_th=np.full(n, -0.04),
        v_leak=np.full(n, -0.0385),
        v_reset=np.full(n, -0.065),
        refractory=np.full(n, 2e-3),
        noise_std=4e-3,
        dt=1e-3,
    )


def rate_network(n: int, rank: int, seed: int = 0) -> RateRNN:
    """Return a sigmoid network, of the rank, or of full rank for 0."""
    rng = np.random.default_rng(seed)
    m, k = rng.normal(size=(2, n, rank))
    factors = {"m_vectors": m, "n_vectors": k} if rank else {}
    return RateRNN(
        w_rec=m @ k.T / n if rank else 1.5 / np.sqrt(n) * rng.normal(size=(n, n)),
        w_in=rng.normal(size=(n, 2)),
        w_out=rng.normal(size=(2, n)) / n,
        bias=np.zeros(n),
        b_out=np.zeros(2),
        tau=rng.uniform(0.02, 0.1, n),
        dale=np.zeros(n, np.int8),
        activation="sigmoid",
        noise_std=0.1,
        dt=0.005,
        **factors,
    )


def norse_loop(net: LIFNetwork, inputs: np.ndarray, *, noisy: bool) -> np.ndarray:
    """Return Norse's spikes, packed; with noise and currents recorded if noisy."""
    module, generator = LIFModule(net, dtype=torch.float32), torch.Generator()
    parameters, per_step = module.norse_parameters(), module.noise_per_step().v
    state, bits, currents = module.initial_state(inputs.shape[1]), [], []
    with torch.inference_mode():
        for t, x in enumerate(torch.tensor(inputs, dtype=torch.float32)):
            noise = StepNoise()
            if noisy:
                drawn = torch.randn(state.lif.v.shape, generator=generator)
                noise = StepNoise(per_step * drawn)
            state = module.step(x, state, parameters, noise)
            bits.append(pack(state.lif.z.numpy() > 0))
            if noisy and t % EVERY == EVERY - 1:
                currents.append(state.lif.i.numpy().copy())
    return np.stack(bits)


def numpy_loop(net: RateRNN, inputs: np.ndarray) -> np.ndarray:
    """Return the outputs of a plain loop, noise from numpy."""
    rng, batch = np.random.default_rng(0), inputs.shape[1]
    gain = net.dt / net.tau
    recurrent = np.ascontiguousarray((net.w_rec * gain[:, None]).T)
    drive = inputs @ (net.w_in * gain[:, None]).T + net.bias * gain
    x = rng.normal(net.x0, net.x0_std, (batch, net.n))
    r, rates = activate(x, net.activation), np.empty((*inputs.shape[:2], net.n))
    for t in range(len(inputs)):
        x = (1.0 - gain) * x + r @ recurrent + drive[t]
        x += net.noise_std * rng.standard_normal((batch, net.n))
        r = rates[t] = activate(x, net.activation)
    return rates @ net.w_out.T + net.b_out


def in_turn(
    plain: Callable[[], object],
    stage: Callable[[], object],
    units: int,
    threads: int = 1,
) -> dict[str, float]:
    """Return µs per unit of work, and the median of the ratios.

    They are of CPU time with one thread, of time on the wall with more.
    """
    clock = process_time if threads == 1 else perf_counter
    seconds: dict[str, list[float]] = {"plain": [], "stage": []}
    # torch has threads of its own, which only it can hold back.
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    with threadpool_limits(threads):
        for k in range(ROUNDS + 1):
            for name, call in (("plain", plain), ("stage", stage)):
                start = clock()
                call()
                if k:  # the first round compiles and fills caches
                    seconds[name].append(clock() - start)
    torch.set_num_threads(before)
    ratios = [a / b for a, b in zip(seconds["plain"], seconds["stage"], strict=True)]
    times = {name: 1e6 * median(values) / units for name, values in seconds.items()}
    return times | {"ratio": median(ratios)}


def lif_speed(n: int, batch: int, *, noisy: bool, threads: int = 1) -> dict[str, Any]:
    """Return what a step of a trial costs in Norse's loop and in the LIF stage."""
    net, steps = lif_network(n), SIZES[n] * (10 if batch == 1 else 1)
    inputs = np.random.default_rng(1).normal(size=(steps, batch, 2))
    options: dict[str, Any] = {"seed": None}
    if noisy:
        options = {"seed": 0, "record": ("i",), "every": EVERY}
    figures = in_turn(
        lambda: norse_loop(net, inputs, noisy=noisy),
        lambda: simulate_lif(net, inputs, threads=threads, **options),
        steps * batch,
        threads,
    )
    return {"n": n, "batch": batch, "noise": noisy} | figures


def rate_speed(n: int, rank: int, *, threads: int = 1) -> dict[str, Any]:
    """Return what a step of a trial costs in a numpy loop and in the rate stage."""
    net, steps = rate_network(n, rank), SIZES[n]
    inputs = np.random.default_rng(1).normal(size=(steps, 100, 2))
    figures = in_turn(
        lambda: numpy_loop(net, inputs),
        lambda: simulate_rate(net, inputs, seed=0, threads=threads),
        steps * 100,
        threads,
    )
    return {"n": n, "rank": rank} | figures


def agreement() -> list[dict[str, Any]]:
    """Return in how many trials, of 1 s and with noise, a spike is not Norse's."""
    rows = []
    for n, batch in ((50, 200), (200, 50), (1000, 10)):
        net = lif_network(n)
        inputs = np.random.default_rng(2).normal(size=(1000, batch, 2))
        for width in ("float32", "float64"):
            run = simulate_lif(net, inputs, seed=3, dtype=width)
            raster = unpack(run.spikes.bits, n)
            module = LIFModule(net, dtype=getattr(torch, width))
            with torch.inference_mode():
                shown = torch.tensor(inputs).to(module.w_in)
                theirs = module(shown, seed=3)[1].numpy() > 0
            differs = raster != theirs
            rows.append(
                {
                    "n": n,
                    "width": width,
                    "trials": batch,
                    "differ": int(differs.any(axis=(0, 2)).sum()),
                    "share of spikes": float(differs.sum() / theirs.sum()),
                    "spikes in a step": float(theirs.mean()),
                }
            )
    return rows


def measure() -> dict[str, Any]:
    """Return all figures of the page."""
    return {
        "agreement": agreement(),
        "lif": [
            lif_speed(n, batch, noisy=noisy)
            for n, batch, noisy in product(SIZES, (1, 100), (False, True))
        ],
        "rate": [rate_speed(n, rank) for n, rank in product(SIZES, (0, 2))],
        "two threads": {
            "lif": [lif_speed(n, 100, noisy=True, threads=2) for n in SIZES],
            "rate": [
                rate_speed(n, rank, threads=2) for n, rank in product(SIZES, (0, 2))
            ],
        },
    }
