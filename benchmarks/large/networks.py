"""Random networks with few of all connections, quantized."""

from dataclasses import replace

import numpy as np

from isotau.convert.ground.sparse import SparseWeights
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork, Ranges
from isotau.convert.to_fixed.quantize import quantize

EXCITATORY = 0.8
"""Share of neurons; the others' weights are four times as large."""


def large_lif(n: int, density: float, *, dt: float = 1e-3) -> LIFNetwork:
    """Return a balanced network whose neurons fire some 10 to 20 times a second.

    Args:
        n: number of neurons.
        density: share of the n² connections that are there.
        dt: step, in seconds.
    """
    rng = np.random.default_rng(2026)
    fan_out = round(density * n)
    # Drawn with replacement, and drawn again where twice the same: never n² numbers.
    targets = np.sort(rng.integers(0, n, (n, fan_out)), axis=1)
    first = np.diff(targets, axis=1, prepend=-1) > 0
    sign = np.where(np.arange(n) < EXCITATORY * n, 1.0, -4.0)
    volts = 1e-3 / np.sqrt(fan_out) * rng.random((n, fan_out)) * sign[:, None]
    w_rec = SparseWeights(
        shape=(n, n),
        data=volts[first],
        indices=targets[first],
        indptr=np.append(0, np.cumsum(first.sum(axis=1))),
    )
    every = np.ones(n)
    return LIFNetwork(
        w_in=1e-3 * rng.standard_normal((n, 2)),
        w_rec=w_rec,
        w_out=rng.standard_normal((1, n)) / n,
        b_out=[0.0],
        tau_syn=0.02 * every,
        tau_mem=0.01 * every,
        v_th=-0.04 * every,
        v_leak=-0.0395 + 1e-3 * rng.standard_normal(n),
        v_reset=-0.065 * every,
        refractory=0.002 * every,
        noise_std=0.0,
        dt=dt,
    )


def large_chip(n: int, density: float) -> FixedPointNetwork:
    """Return such a network in the chip's integers, at given ranges of its states."""
    every = np.ones(n)
    ranges = Ranges(i_peak=0.05 * every, i_rms=0.01 * every, v_low=0.005 * every)
    chip = quantize(large_lif(n, density), ranges, input_peak=1.0, traced=False)
    # Neurons begin apart from one another, not all at reset.
    v0 = np.random.default_rng(1).random(n) * (chip.vth.astype(np.int64) << 6)
    return replace(chip, v0=v0.astype(np.int64))
