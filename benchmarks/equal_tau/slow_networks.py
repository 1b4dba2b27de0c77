"""Rate networks that are slow by their recurrence, or by their τ, with known answers.

All are tanh networks about 0 with private noise, so small that a unit is nearly linear:
what noise takes from its gain is known (`benchmarks.synthetic.linear_networks`).
"""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from scipy.linalg import hadamard

from benchmarks.synthetic.linear_networks import mean_gain
from isotau.convert.ground import validation
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.trials import Trials

TAU, DT = 0.03, 0.005
"""Of a unit, and step, in seconds."""
SD = 0.05
"""Of a unit without connections."""
SLOW = (0.1, 0.3, 1.0, 3.0)
"""Time constants of modes, in seconds."""
CUE, BEFORE = 0.2, 0.2
"""Seconds of a cue, and before it."""
STRONG = 30.0
"""What a ring's cue is to that of a mode, which it moves by 1."""
READ = 20
"""Steps after a cue in which the output is to point its way."""


class SlowNetwork(NamedTuple):
    """A network and what is known of it.

    Attributes:
        rate: the network.
        patterns: along which its states are looked at, pattern × unit, of length 1.
        tau: time constant of each, in seconds.
        diffusion: of a ring's angle, in rad²/s; None where there is no ring.
    """

    rate: RateRNN
    patterns: Float64[np.ndarray, "patterns n"]
    tau: Float64[np.ndarray, " patterns"]
    diffusion: float | None = None


def mode_network(
    taus: tuple[float, ...] = SLOW, *, n: int = 128, seed: int = 0
) -> SlowNetwork:
    """Return units of 30 ms whose weights have an eigenvalue for each time constant.

    Along an eigenvector x decays by 1 − (1 − g λ) dt/τ in a step, g the mean of tanh'
    over the noise; λ is chosen for it, so that the time constants are those asked for.

    Args:
        taus: in seconds, longer than a unit's.
        n: units, a power of 2.
        seed: of the eigenvectors: orthogonal, in each of which all units weigh alike,
            so that all have the same gain.

    Raises:
        ValueError: a time constant that is not longer than a unit's, or another number
            of units.
    """
    for tau in taus:
        validation.number("taus", tau, minimum=TAU)
    rng = np.random.default_rng(seed)
    chosen = 1 + rng.choice(n - 1, len(taus), replace=False)
    patterns = hadamard(n)[chosen] / np.sqrt(n)
    kept = np.exp(-DT / np.array(taus))
    strength = 1 - (1 - kept) * TAU / DT  # g λ
    # Each pattern adds to a unit's variance what its slowness makes of the noise.
    slow = _step_sd() ** 2 / (1 - kept**2) - SD**2
    gain = mean_gain(float(np.sqrt(SD**2 + slow.sum() / n)))
    weights = (patterns.T * (strength / gain)) @ patterns
    return SlowNetwork(_network(weights, patterns), patterns, np.array(taus))


def slow_units(
    taus: tuple[float, ...] = SLOW, *, n: int = 100, seed: int = 0
) -> SlowNetwork:
    """Return units without recurrence, equal shares of which have each time constant.

    Raises:
        ValueError: a time constant that is not positive.
    """
    for tau in taus:
        validation.number("taus", tau, positive=True)
    share = np.arange(n) % len(taus)
    rng = np.random.default_rng(seed)
    patterns = np.stack(
        [(share == k) * rng.choice([-1, 1], n) for k in range(len(taus))]
    )
    patterns = patterns / np.linalg.norm(patterns, axis=1, keepdims=True)
    tau = -DT / np.log1p(-DT / np.array(taus))
    rate = _network(np.zeros((n, n)), patterns, np.array(taus)[share])
    return SlowNetwork(rate, patterns, tau)


def ring(*, n: int = 100, strength: float = 1.5) -> SlowNetwork:
    """Return a ring of units, whose bump of activity may stand at any angle.

    Weights are 2 g cos(θ_i − θ_j)/n. The bump has x_i = a cos(θ_i − φ) with
    a = 2 g ⟨cos θ tanh(a cos θ)⟩; noise moves φ like a walker, and each unit by
    tanh'(x_i) sin(θ_i − φ): with σ the SD of a step's noise, var φ grows in a step by
    σ² Σ w²/(a Σ w sin)², w_i = tanh'(x_i) sin(θ_i − φ).

    Args:
        n: units.
        strength: g, above 1.

    Raises:
        ValueError: a strength at which there is no bump.
    """
    if not strength > 1:
        raise ValueError(f"strength: got {strength}, need more than 1")
    angles = 2 * np.pi * np.arange(n) / n
    a = 1.0
    for _ in range(1000):
        a = 2 * strength * float(np.mean(np.cos(angles) * np.tanh(a * np.cos(angles))))
    along = np.sin(angles) / np.cosh(a * np.cos(angles)) ** 2
    moved = a * float(along @ np.sin(angles))
    diffusion = _step_sd() ** 2 * float(along @ along) / moved**2 / DT
    weights = 2 * strength / n * np.cos(angles[:, None] - angles)
    patterns = np.stack([np.cos(angles), np.sin(angles)]) * np.sqrt(2 / n)
    # Strong enough to choose the bump, also where noise has made one before.
    rate = _network(weights, STRONG * patterns)
    rate = dataclasses.replace(rate, w_out=patterns)
    return SlowNetwork(rate, patterns, np.full(2, np.inf), diffusion)


def cued(net: SlowNetwork, trials: int, seconds: float, seed: int) -> Trials:
    """Return trials with a cue along a random direction of the patterns.

    The targets are what the linear network, or the ring, makes of it: the output keeps
    the sign of what was cued, which is asked for up to its time constant.

    Args:
        net: the network.
        trials: how many.
        seconds: of a trial.
        seed: of the directions.
    """
    rng = np.random.default_rng(seed)
    steps, count = round(seconds / DT), len(net.patterns)
    direction = rng.standard_normal((trials, count))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    inputs = np.zeros((steps, trials, count))
    first, last = round(BEFORE / DT), round((BEFORE + CUE) / DT)
    inputs[first:last] = direction
    targets = np.zeros_like(inputs)
    time = DT * np.arange(steps - last)[:, None]
    targets[last:] = np.exp(-time / net.tau)[:, None] * direction
    # Read soon after the cue, where noise does not hide it.
    mask = np.zeros((steps, trials), dtype=bool)
    mask[last : last + READ] = True
    return Trials(
        inputs=inputs,
        targets=targets,
        mask=mask,
        labels=np.zeros(trials),
        dt=DT,
        task="slow",
    )


def agrees(
    outputs: Float64[np.ndarray, "steps batch patterns"], trials: Trials
) -> np.ndarray:
    """Return in which trials the output points to where the target does, within 60°."""
    seen = trials.mask[:, :, None]
    product = (outputs * trials.targets * seen).sum(axis=(0, 2))
    power = [(x**2 * seen).sum(axis=(0, 2)) for x in (outputs, trials.targets)]
    return product > 0.5 * np.sqrt(power[0] * power[1])


def _step_sd() -> float:
    """Return the SD of a step's noise of a unit with SD `SD`."""
    return SD * float(np.sqrt(1 - (1 - DT / TAU) ** 2))


def _network(
    weights: np.ndarray, patterns: np.ndarray, tau: np.ndarray | None = None
) -> RateRNN:
    """Return the rate network; inputs and outputs go along the patterns."""
    n = len(weights)
    tau = np.full(n, TAU) if tau is None else tau
    return RateRNN(
        w_rec=weights,
        # A cue moves a pattern that keeps all of it to 1.
        w_in=patterns.T * tau[:, None] / CUE,
        w_out=patterns,
        bias=np.zeros(n),
        b_out=np.zeros(len(patterns)),
        tau=tau,
        dale=np.zeros(n),
        activation="tanh",
        noise_std=_step_sd(),
        dt=DT,
    )
