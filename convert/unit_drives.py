"""What each neuron of a LIF network was driven by, worked out from all spikes."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64

from isotau.convert import validation
from isotau.convert.activation import activate
from isotau.convert.fi_curve import FICurve, curve, evaluate
from isotau.convert.lif import LIFNetwork, decay_fraction
from isotau.convert.lif_constants import PUBLISHED
from isotau.convert.progress import Progress, silent
from isotau.convert.rate import RateRNN
from isotau.convert.spikes import Spikes, unpack


class BinnedUnits(NamedTuple):
    """Means over time bins of a LIF run; neuron k stands for unit k.

    `fired` is in Hz, `drive` in volts above threshold; `curve` is the f–I curve at the
    drive, in Hz, and `activation` φ at the x that the drive stands for.
    """

    fired: Float64[np.ndarray, "bins batch n"]
    drive: Float64[np.ndarray, "bins batch n"]
    curve: Float64[np.ndarray, "bins batch n"]
    activation: Float64[np.ndarray, "bins batch n"]


def bin_units(
    rate: RateRNN,
    net: LIFNetwork,
    spikes: Spikes,
    inputs: Float64[np.ndarray, "steps batch n_in"],
    *,
    unit: Float64[np.ndarray, " n"],
    offset: Float64[np.ndarray, " n"],
    width: float,
    progress: Progress = silent,
) -> BinnedUnits:
    """Return rates and drives of every neuron in time bins.

    The drives follow from the spikes by the equations of `LIFNetwork`, from i0 on.
    Curve and activation are averaged after they are taken, at every step.

    Args:
        rate: gives φ.
        net: whose spikes they are.
        spikes: of the run; steps after the last whole bin are left out.
        inputs: of the run, in steps of `net.dt`.
        unit: volts that stand for 1 of x.
        offset: drive at x = 0, in volts above threshold.
        width: of a bin, in seconds, a multiple of `net.dt`.
        progress: is given the steps as they pass.
    """
    if rate.n != net.n or spikes.n != net.n or spikes.dt != net.dt:
        raise ValueError(
            f"spikes: got {spikes.n} neurons in steps of {spikes.dt} s, need {rate.n} "
            f"in steps of {net.dt} s: one for each unit, from this network"
        )
    inputs = validation.floats(
        "inputs",
        inputs,
        (spikes.steps, spikes.batch, net.n_in),
        "steps × batch × input",
    )
    per_bin = steps_per_bin(width, net.dt)
    bins = spikes.steps // per_bin
    if bins < 1:
        raise ValueError(
            f"width: got {width} s, need at most the trial's "
            f"{spikes.steps * spikes.dt} s"
        )
    binned = np.zeros((4, bins, spikes.batch, net.n))
    kept = 1 - decay_fraction(net.tau_syn, net.dt)
    leak, groups = net.v_leak - net.v_th, _curves(net)
    z = np.zeros((spikes.batch, net.n))
    i = z + net.i0
    for t in progress(range(bins * per_bin), "drives from spikes"):
        fired, drives, rates, phi = binned[:, t // per_bin]
        i += inputs[t] @ net.w_in.T + z @ net.w_rec.T
        drive = i + leak
        z = unpack(spikes.bits[t], net.n).astype(np.float64)
        fired += z / net.dt
        drives += drive
        for some, fi in groups:
            rates[:, some] += evaluate(fi, drive[:, some])
        phi += activate((drive - offset) / unit, rate.activation, rate.ceiling)
        i *= kept
    return BinnedUnits(*(binned / per_bin))


def bin_rates(
    rate: RateRNN,
    rates: Float64[np.ndarray, "steps batch n"],
    spikes: Spikes,
    *,
    width: float,
) -> Float64[np.ndarray, "bins batch n"]:
    """Return a rate network's r in the bins that `bin_units` makes of these spikes."""
    steps = validation.length("rates", rates, ndim=3)
    rates = validation.floats(
        "rates", rates, (steps, spikes.batch, rate.n), "steps × batch × unit"
    )
    lasts = steps * rate.dt
    if abs(lasts - spikes.steps * spikes.dt) > 1e-6:
        raise ValueError(
            f"rates: got {lasts} s, need {spikes.steps * spikes.dt} s as the spikes "
            "have; run both networks on the same trials"
        )
    per_bin = steps_per_bin(width, rate.dt)
    bins = steps // per_bin
    split = rates[: bins * per_bin].reshape(bins, per_bin, spikes.batch, rate.n)
    return split.mean(axis=1)


def average_trials(
    x: Float64[np.ndarray, "bins batch n"], labels: npt.ArrayLike | None
) -> np.ndarray:
    """Return means over the trials of each label; `x` itself if there are none."""
    if labels is None:
        return x
    given = np.asarray(labels)
    if given.shape != x.shape[1:2]:
        raise ValueError(
            f"labels: got shape {given.shape}, need {x.shape[1:2]}, one per trial"
        )
    parts = [x[:, given == label].mean(axis=1) for label in np.unique(given)]
    return np.stack(parts, axis=1)


def steps_per_bin(width: float, dt: float) -> int:
    """Return how many steps of dt make a bin; ValueError unless they are whole."""
    parts = width / dt
    if round(parts) < 1 or abs(parts - round(parts)) > 1e-6:
        raise ValueError(f"width: got {width} s, need a multiple of dt = {dt} s")
    return round(parts)


def _curves(net: LIFNetwork) -> list[tuple[np.ndarray, FICurve]]:
    """Return which neurons share an f–I curve, and the curve."""
    kinds, which = np.unique(
        np.stack([net.tau_mem, net.v_th - net.v_reset, net.refractory], axis=1),
        axis=0,
        return_inverse=True,
    )
    shared = replace(PUBLISHED, v_th=0.0, v_leak=0.0, dt=net.dt, refractory=0.0)
    return [
        (
            np.flatnonzero(which.ravel() == k),
            curve(
                replace(
                    shared,
                    tau_mem=tau,
                    v_reset=-swing,
                    refractory=rest,
                    noise_std=net.noise_std,
                )
            ),
        )
        for k, (tau, swing, rest) in enumerate(kinds.tolist())
    ]
