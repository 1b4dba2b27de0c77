"""The stages as plain numpy has them: what their speed is held against."""

import numpy as np

from isotau.convert.neuron.activation import activate
from isotau.convert.records.lif import LIFNetwork, decay_fraction
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes, unpack

SIZE, TURNS = 300, 6


def plain_lif(
    net: LIFNetwork, inputs: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the raster of a LIF network, step by step, in float32."""
    batch = inputs.shape[1]
    single = {
        name: np.asarray(getattr(net, name), dtype=np.float32)
        for name in ("w_in", "w_rec", "v_th", "v_leak", "v_reset")
    }
    loss = np.float32(decay_fraction(net.tau_syn, net.dt))
    a = decay_fraction(net.tau_mem, net.dt).astype(np.float32)
    spread = (net.noise_std * np.sqrt(a * (2 - a))).astype(np.float32)
    hold = np.rint(net.refractory / net.dt)
    i = np.zeros((batch, net.n), np.float32)
    v, left = i + single["v_reset"], np.zeros((batch, net.n))
    z, raster = np.zeros_like(i), []
    for x in inputs.astype(np.float32):
        i = i + x @ single["w_in"].T + z @ single["w_rec"].T
        noise = spread * rng.standard_normal((batch, net.n), dtype=np.float32)
        v = v + a * (single["v_leak"] - v + i) + noise
        v = np.where(left > 0, single["v_reset"], v)
        fired = v > single["v_th"]
        v = np.where(fired, single["v_reset"], v)
        left = np.where(fired, hold, np.maximum(left - 1, 0))
        z = fired.astype(np.float32)
        i = i * (1 - loss)
        raster.append(fired)
    return np.stack(raster)


def plain_rate(
    net: RateRNN, inputs: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the outputs of a rate network, one product for each step and matrix."""
    gain, batch = net.dt / net.tau, inputs.shape[1]
    x = rng.normal(net.x0, net.x0_std, (batch, net.n))
    r, outputs = activate(x, net.activation, net.ceiling), []
    for u in inputs:
        drive = r @ net.w_rec.T + u @ net.w_in.T + net.bias
        x = (1 - gain) * x + gain * drive
        x = x + net.noise_std * rng.standard_normal((batch, net.n))
        r = activate(x, net.activation, net.ceiling)
        outputs.append(r @ net.w_out.T + net.b_out)
    return np.stack(outputs)


def unpacked_counts(spikes: Spikes, width: int) -> np.ndarray:
    """Return counts in bins of a raster that is unpacked as a whole."""
    raster = unpack(spikes.bits, spikes.n)
    bins = spikes.steps // width
    split = raster[: bins * width].reshape(bins, width, spikes.batch, spikes.n)
    return split.sum(axis=1)


def yardstick() -> float:
    """Return a number that takes a fixed amount of products and logarithms."""
    values = np.linspace(0.1, 1.0, SIZE * SIZE).reshape(SIZE, SIZE)
    for _ in range(TURNS):
        values = np.log1p(values @ values.T / SIZE)
    return float(values.sum())
