"""What quantizing a LIF network for a chip will run into, as far as one can foresee."""

from collections.abc import Iterator

import numpy as np

from isotau.convert.chip import arithmetic
from isotau.convert.ground.errors import Finding, Severity, neuron_range
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork, decay_fraction, refractory_steps
from isotau.convert.to_fixed.weight_blocks import WeightConfig, weight_blocks
from isotau.targets.loihi.limits import Chip

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
CLOSE = 0.05
"""Relative error of a time constant that is worth a warning."""
FEW = 0.05
"""Share of weights that may round to zero without a warning."""


def lif_outlook(net: LIFNetwork, chip: Chip) -> Iterator[Finding]:
    """Yield what the registers of a chip cannot hold of a LIF network."""
    for name, offset in (("tau_syn", arithmetic.DU_OFFSET), ("tau_mem", 0)):
        yield from _of_tau(net, name, offset)
    steps = refractory_steps(net)
    too_long = steps > arithmetic.REFRACTORY_MAX
    if too_long.any():
        yield Finding(
            ERROR,
            neuron_range(too_long),
            f"refractory: got up to {steps.max()} steps, need at most "
            f"{arithmetic.REFRACTORY_MAX}",
            "raise dt or shorten it",
        )
    if (steps > 0).any() and chip.refractory_max is None:
        yield Finding(
            WARNING,
            neuron_range(steps > 0),
            f"refractory: got up to {steps.max()} steps, need 0 "
            f"({chip.sources['refractory_max']})",
            "write a neuron program of your own for it, or drop it",
        )
    yield from _of_noise(net, chip)
    yield from _of_weights(net)
    if chip.message_bits == 0:
        yield Finding(
            WARNING,
            "w_in",
            f"input: got channels of any value, need spikes ({chip.name} has no graded "
            "ones)",
            "encode the input as spikes, or take Loihi 2",
        )


def sketch(net: LIFNetwork) -> FixedPointNetwork:
    """Return integers of the network's structure: what it needs of cores, no dynamics.

    Profiles and weight blocks are those that quantizing gives at a scale at which the
    largest weight takes its whole range; thresholds are merely told apart.
    """
    n = net.n
    clear = np.zeros(n, dtype=np.int64)
    channels = np.zeros(net.n_in, dtype=np.int64)
    groups = net.population
    above = np.stack([groups, net.v_th - net.v_reset])
    return FixedPointNetwork(
        blocks=(
            *weight_blocks("input", _full(net.w_in), groups, channels, WeightConfig()),
            *weight_blocks(
                "recurrent", _full(net.w_rec), groups, groups, WeightConfig()
            ),
        ),
        n_in=net.n_in,
        du=_register(net.tau_syn, net.dt, arithmetic.DU_OFFSET),
        dv=_register(net.tau_mem, net.dt, 0),
        vth=np.unique(above, axis=1, return_inverse=True)[1].reshape(-1) + 1,
        bias_mant=clear,
        bias_exp=clear,
        refractory=np.minimum(refractory_steps(net), arithmetic.REFRACTORY_MAX),
        noise_exp=None,
        state_scale=np.ones(n),
        v_reset=net.v_reset,
        input_scale=1.0,
        dt=net.dt,
        w_out=net.w_out,
        b_out=net.b_out,
        tau_out=net.tau_out,
        population=groups,
    )


def _full(weights: np.ndarray) -> np.ndarray:
    """Return weights, the largest scaled to the largest mantissa."""
    peak = np.abs(weights).max()
    return weights if peak == 0 else weights * (255 / peak)


def _register(tau: np.ndarray, dt: float, offset: int) -> np.ndarray:
    """Return the decay register nearest to τ."""
    lost = np.rint(arithmetic.DECAY_UNITY * decay_fraction(tau, dt)).astype(np.int64)
    return np.clip(lost - offset, 0, arithmetic.DECAY_MAX)


def _of_tau(net: LIFNetwork, name: str, offset: int) -> Iterator[Finding]:
    tau: np.ndarray = getattr(net, name)
    too_long = arithmetic.DECAY_UNITY * decay_fraction(tau, net.dt) < 0.5
    if too_long.any():
        yield Finding(
            ERROR,
            neuron_range(too_long),
            f"{name}: got up to {tau.max():.4g} s, need less than "
            f"{2 * arithmetic.DECAY_UNITY * net.dt:.4g} s",
            "raise dt",
        )
    lost = (_register(tau, net.dt, offset) + offset) / arithmetic.DECAY_UNITY
    # One without memory has none in either case.
    slow = (tau > net.dt) & ~too_long & (lost < 1)
    kept = np.where(slow, -net.dt / np.log1p(-np.where(slow, lost, 0.5)), tau)
    far = np.abs(kept / tau - 1) > CLOSE
    if far.any():
        worst = int(np.argmax(np.abs(kept / tau - 1)))
        yield Finding(
            WARNING,
            neuron_range(far),
            f"{name}: got {tau[worst]:.4g} s for neuron {worst}, need one that the "
            f"register has (nearest: {kept[worst]:.4g} s)",
            f"rounded; raise dt for time constants nearer than {CLOSE:.0%}",
        )


def _of_noise(net: LIFNetwork, chip: Chip) -> Iterator[Finding]:
    if net.noise_std == 0:
        return
    if not chip.noise:
        yield Finding(
            WARNING,
            "noise_std",
            f"noise: got {net.noise_std:g} V, need none ({chip.sources['noise']})",
            "write a neuron program of your own for it, or set noise_std to 0",
        )
    if np.ptp(net.tau_mem) > 1e-9 * net.tau_mem.max():
        yield Finding(
            ERROR,
            "noise_std",
            f"noise: got it with tau_mem from {net.tau_mem.min():.4g} to "
            f"{net.tau_mem.max():.4g} s, need one amplitude for all neurons",
            "set noise_std to 0 or give all the same tau_mem",
        )
    elif chip.noise:
        yield Finding(
            INFO,
            "noise_std",
            "noise: got Gaussian noise, need uniform noise of an amplitude 2^k",
            "the state scale is chosen so that its standard deviation is kept",
        )


def _of_weights(net: LIFNetwork) -> Iterator[Finding]:
    """Yield how many weights eight bits round to zero."""
    blocks = sketch(net).blocks
    for source, weights in (("input", net.w_in), ("recurrent", net.w_rec)):
        wanted = np.count_nonzero(weights)
        kept = sum(np.count_nonzero(b.weights) for b in blocks if b.source == source)
        lost = wanted - kept
        if not lost:
            continue
        yield Finding(
            WARNING if lost > FEW * wanted else INFO,
            "w_in" if source == "input" else "w_rec",
            f"weights: got {wanted} that are not 0, need 8 bits",
            f"about {lost} of them round to 0",
        )
