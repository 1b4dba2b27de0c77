"""The float twin: the same time step without rounding, wrapping or clipping.

What differs between its spikes and an engine's is due to the chip's arithmetic alone;
what differs between it and the float LIF network is due to the rounding of parameters.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Integer
from numba import njit

from isotau.convert import arithmetic
from isotau.convert.fixedpoint import FixedPointNetwork
from isotau.convert.philox import MASK
from isotau.convert.spikes import Spikes
from isotau.convert.storage import fingerprint
from isotau.sim.engines import kernels
from isotau.sim.engines.run import check

NAME = "twin"
INPUT_UNIT = float(1 << arithmetic.INPUT_SHIFT)
NOISE_EXP = 7
"""The exponent at which noise samples are whole; the twin scales them afterwards."""


@dataclass(frozen=True, slots=True, eq=False)
class TwinRun:
    """Spikes, and the highest |u| and lowest v of each neuron, in the chip's units."""

    spikes: Spikes
    u_peak: Float64[np.ndarray, " n"]
    v_low: Float64[np.ndarray, " n"]


class TwinPlan(NamedTuple):
    """A network in floats; weights of one source, kind and delay are one matrix."""

    weights: Float64[np.ndarray, "groups sources n"]
    kinds: np.ndarray
    delays: np.ndarray
    keep_u: np.ndarray
    keep_v: np.ndarray
    bias: np.ndarray
    threshold: np.ndarray
    refractory: np.ndarray
    reset: tuple[int, int]
    noise: float
    start: tuple[np.ndarray, np.ndarray]


def run_twin(
    net: FixedPointNetwork,
    messages: Integer[np.ndarray, "steps batch n_in"],
    *,
    seed: int = 0,
    first_trial: int = 0,
) -> TwinRun:
    """Return what the network would do if the chip computed with real numbers.

    u ← u (1 − (du + 1)/4096) + 64 Σ w·message·2^weight_exp and v ← v (1 − dv/4096) + u
    + bias + noise in float64; threshold, reset, refractory period, delays and the noise
    samples are the engines'. Arguments and errors as `isotau.sim.engines.run.check`.
    """
    job = check(
        net,
        messages,
        seed=seed,
        first_trial=first_trial,
        record=(),
        neurons=None,
        state=None,
    )
    steps, batch, _ = job.messages.shape
    plan = twin_plan(net)
    bits = np.zeros((steps, batch, (net.n + 7) // 8), dtype=np.uint8)
    key = np.array([seed & MASK, seed >> 32], dtype=np.uint64)
    extremes = np.zeros((batch, 2, net.n))
    edges = np.linspace(0, batch, min(os.cpu_count() or 1, batch) + 1).astype(int)

    def part(k: int) -> None:
        lo, hi = int(edges[k]), int(edges[k + 1])
        some = slice(lo, hi)
        _run(
            plan,
            net.slots,
            job.messages[:, some],
            bits[:, some],
            extremes[some],
            key,
            first_trial + lo,
        )

    with ThreadPoolExecutor(len(edges) - 1) as pool:
        list(pool.map(part, range(len(edges) - 1)))
    return TwinRun(
        Spikes(bits=bits, n=net.n, dt=net.dt, engine=NAME, network=fingerprint(net)),
        u_peak=extremes[:, 0].max(axis=0),
        v_low=extremes[:, 1].min(axis=0),
    )


@lru_cache(maxsize=8)
def twin_plan(net: FixedPointNetwork) -> TwinPlan:
    """Return the network in floats; the last few are kept."""
    groups: dict[tuple[int, int], np.ndarray] = {}
    for block in net.blocks:
        graded = kernels.BINARY if block.binary else kernels.GRADED
        kind = kernels.SPIKES if block.source == "recurrent" else graded
        matrix = groups.setdefault(
            (kind, block.delay), np.zeros((max(net.n, net.n_in), net.n))
        )
        matrix[block.pre] += block.weights.T * 2.0**block.weight_exp
    du = net.du + float(arithmetic.DU_OFFSET)
    bias = net.bias_mant * 2.0 ** net.bias_exp.astype(float)
    noise = 0.0 if net.noise_exp is None else 2.0 ** (net.noise_exp - NOISE_EXP)
    interval = net.reset_interval
    return TwinPlan(
        weights=np.array(list(groups.values())).reshape(len(groups), -1, net.n),
        kinds=np.array([kind for kind, _ in groups], dtype=np.int64),
        delays=np.array([delay for _, delay in groups], dtype=np.int64),
        keep_u=1 - du / arithmetic.DECAY_UNITY,
        keep_v=1 - net.dv / arithmetic.DECAY_UNITY,
        bias=bias,
        threshold=net.vth * INPUT_UNIT,
        refractory=net.refractory.astype(np.int64),
        reset=(interval, net.reset_offset % interval if interval else 0),
        noise=noise,
        start=(net.u0.astype(np.float64), net.v0.astype(np.float64)),
    )


@njit(nogil=True, cache=True)
def _send(arriving, weights, kind, spiking, many, sent):
    """Add what one group of connections delivers."""
    if kind == kernels.SPIKES:
        for k in range(many):
            arriving += weights[spiking[k]]
        return
    for c in range(sent.shape[0]):
        if sent[c] != 0:
            number = float(sent[c]) if kind == kernels.GRADED else 1.0
            arriving += weights[c] * number


@njit(nogil=True, cache=True)
def _run(plan, slots, messages, bits, extremes, key, first_trial):
    """Run trials one after the other; see `kernels.run_trials`."""
    weights, kinds, delays, keep_u, keep_v, bias, threshold, refractory = plan[:8]
    (interval, offset), noise_scale, (u0, v0) = plan[8], plan[9], plan[10]
    steps, batch = messages.shape[0], messages.shape[1]
    n = bias.shape[0]
    noise = np.zeros((n + 7) // 8 * 8, np.int32)
    spiking = np.zeros(n, np.int64)
    for trial in range(batch):
        u, v, rest = u0.copy(), v0.copy(), np.zeros(n, np.int64)
        ring = np.zeros((slots, n))
        for t in range(steps):
            if interval > 0 and (t + 1) % interval == offset:
                u[:] = 0.0
                v[:] = 0.0
            if noise_scale > 0:
                kernels.draw_noise(
                    noise, key, t, first_trial + trial, (n + 7) // 8, NOISE_EXP
                )
            a, many = ring[t % slots], 0
            for j in range(n):
                u[j] = u[j] * keep_u[j] + INPUT_UNIT * a[j]
                v[j] = v[j] * keep_v[j] + u[j] + bias[j] + noise_scale * noise[j]
                a[j] = 0.0
                if rest[j] > 0:
                    rest[j] -= 1
                    v[j] = 0.0
                extremes[trial, 0, j] = max(extremes[trial, 0, j], abs(u[j]))
                extremes[trial, 1, j] = min(extremes[trial, 1, j], v[j])
                if v[j] > threshold[j]:
                    v[j] = 0.0
                    rest[j] = refractory[j]
                    bits[t, trial, j // 8] |= np.uint8(1 << (j % 8))
                    spiking[many] = j
                    many += 1
            for g in range(kinds.shape[0]):
                arriving = ring[(t + 1 + delays[g]) % slots]
                _send(arriving, weights[g], kinds[g], spiking, many, messages[t, trial])
