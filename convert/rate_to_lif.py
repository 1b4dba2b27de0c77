"""Rate → LIF: one scalar λ carries a rate network onto integrate-and-fire neurons.

Kim, Li & Sejnowski 2019, doi:10.1073/pnas.1905926116. A unit's rate r is stood for by
λ times the firing rate of a neuron; so recurrent and output weights are scaled by λ,
input weights and τ are kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64

from isotau.convert.lif import LIFNetwork, decay_fraction
from isotau.convert.lif_dynamics import simulate_lif
from isotau.convert.progress import Progress, silent
from isotau.convert.rate import RateRNN
from isotau.convert.readout import read_out
from isotau.convert.spikes import Spikes, select
from isotau.convert.trials import Trials, refine

GRID = tuple(float(value) for value in range(20, 80, 5))
"""The published values of 1/λ, in Hz."""
DRIVES = (0.0, 0.5e-3, 1e-3)
"""Constant drives beside the published bias, tried near the best 1/λ, in volts."""
Score = Callable[[np.ndarray, Trials], np.ndarray]
"""Outputs (steps × batch × output) and trials in; who was right out (batch, bool)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LIFConstants:
    """The neuron that a rate unit becomes; defaults as published, except `dt`.

    Attributes:
        tau_mem: membrane time constant, in seconds.
        v_th: threshold, in volts.
        v_reset: reset, in volts.
        v_leak: rest plus constant drive, in volts; the published one is the threshold.
        refractory: absolute refractory period, in seconds.
        noise_std: stationary SD of the membrane noise, in volts.
        unit: volts that stand for 1 of the rate network's x.
        dt: step, in seconds.
        burn_in: zero input before every trial, in seconds, from rest.
    """

    tau_mem: float = 10e-3
    v_th: float = -40e-3
    v_reset: float = -65e-3
    v_leak: float = -40e-3
    refractory: float = 2e-3
    noise_std: float = 1e-3
    unit: float = 1e-3
    dt: float = 1e-3
    burn_in: float = 0.2

    @property
    def burn_in_steps(self) -> int:
        """Steps of zero input before every trial."""
        return round(self.burn_in / self.dt)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Candidate:
    """One value of 1/λ and how the network did with it on the search's trials.

    Attributes:
        inverse_lambda: 1/λ, in Hz.
        drive: constant drive added to every neuron, in volts.
        output_gain: factor on λ W_out that matches the output's amplitude.
        amplitude: mean of the largest output where the target asks for one, before
            the gain; None where it never does.
        accuracy: fraction of trials right, with the gain.
        accuracy_ungained: the same with the gain at 1, as published.
        error: mean squared difference to the target, with the gain.
    """

    inverse_lambda: float
    drive: float
    output_gain: float
    amplitude: float | None
    accuracy: float
    accuracy_ungained: float
    error: float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Conversion:
    """A converted network, the value that was chosen, and all that were tried."""

    network: LIFNetwork
    chosen: Candidate
    candidates: tuple[Candidate, ...]


def rate_to_lif(
    rate: RateRNN,
    *,
    inverse_lambda: float,
    output_gain: float = 1.0,
    drive: float = 0.0,
    constants: LIFConstants = LIFConstants(),
) -> LIFNetwork:
    """Return the LIF network for one 1/λ.

    With q = 1 − exp(−dt/τ) a spike adds λ W_rec q/dt units to i, so that a constant
    firing rate f gives i = λ W_rec f; an input x adds q W_in x, the filter that it
    passes in the rate network; a bias b moves v_leak.

    Args:
        rate: the network; its activation must be bounded or its rates small.
        inverse_lambda: 1/λ, firing rate that stands for r = 1, in Hz.
        output_gain: further factor on the output weights.
        drive: added to every v_leak, in volts.
        constants: of the neurons.
    """
    if not inverse_lambda > 0:
        raise ValueError(f"inverse_lambda: got {inverse_lambda} Hz, need more than 0")
    q = decay_fraction(rate.tau, constants.dt)[:, None]
    every = np.ones(rate.n)
    return LIFNetwork(
        w_in=constants.unit * q * rate.w_in,
        w_rec=constants.unit * q / (constants.dt * inverse_lambda) * rate.w_rec,
        w_out=output_gain / inverse_lambda * rate.w_out,
        b_out=rate.b_out,
        tau_syn=rate.tau,
        tau_mem=constants.tau_mem * every,
        v_th=constants.v_th * every,
        v_leak=constants.v_leak + drive + constants.unit * rate.bias,
        v_reset=constants.v_reset * every,
        refractory=constants.refractory * every,
        noise_std=constants.noise_std,
        dt=constants.dt,
    )


def search_lambda(
    rate: RateRNN,
    trials: Trials,
    *,
    score: Score,
    seed: int,
    grid: Sequence[float] = GRID,
    drives: Sequence[float] = DRIVES,
    match_output: bool = True,
    constants: LIFConstants = LIFConstants(),
    progress: Progress = silent,
) -> Conversion:
    """Return the LIF network at the best 1/λ.

    First every 1/λ of the grid runs on every trial, in one batch, with the published
    constants. Then the best, and the values half a grid step to either side, run with
    every drive, again in one batch. The best has the highest accuracy on `trials`, and
    among equals the smallest output error. Report its accuracy on other trials: the
    choice was made on these.

    Args:
        rate: the network.
        trials: what the search runs on; resampled to the neurons' dt.
        score: the task's rule.
        seed: of the membrane noise, the same noise for every candidate.
        grid: values of 1/λ, in Hz.
        drives: constant drives to try, in volts; (0.0,) for the published bias alone.
        match_output: fit a gain on the output to the target for every candidate, by
            least squares; otherwise the published mapping, whose amplitude is often 2
            to 4 times too large.
        constants: of the neurons.
        progress: is given the steps as they pass.
    """
    values = np.unique(np.asarray(grid, dtype=np.float64))
    if not values.size or not (values > 0).all():
        raise ValueError(f"grid: got {grid}, need values of 1/λ in Hz, greater than 0")
    fine = refine(trials, constants.dt)
    base = rate_to_lif(rate, inverse_lambda=1.0, constants=constants)

    def attempt(pairs: list[tuple[float, float]]) -> list[Candidate]:
        spikes = simulate_lif(
            base,
            fine.inputs,
            generator=torch.Generator().manual_seed(seed),
            burn_in=constants.burn_in_steps,
            scalings=[(1.0 / value, drive) for value, drive in pairs],
            progress=progress,
        ).spikes
        parts = [
            select(spikes, slice(k * fine.batch, (k + 1) * fine.batch))
            for k in range(len(pairs))
        ]
        return [
            _judge(rate, *pair, part, fine, score, match_output)
            for pair, part in zip(pairs, parts, strict=True)
        ]

    tried = attempt([(float(value), 0.0) for value in values])
    best = max(tried, key=_merit).inverse_lambda
    nearby = [(value, drive) for value in _around(best, values) for drive in drives]
    known = {(c.inverse_lambda, c.drive) for c in tried}
    fresh = [pair for pair in nearby if pair not in known]
    tried += attempt(fresh) if fresh else []
    chosen = max(tried, key=_merit)
    network = rate_to_lif(
        rate,
        inverse_lambda=chosen.inverse_lambda,
        output_gain=chosen.output_gain,
        drive=chosen.drive,
        constants=constants,
    )
    return Conversion(network=network, chosen=chosen, candidates=tuple(tried))


def _merit(candidate: Candidate) -> tuple[float, float]:
    return candidate.accuracy, -candidate.error


def _around(best: float, grid: np.ndarray) -> list[float]:
    """Return `best` and the middles between it and its neighbours on the grid."""
    below, above = grid[grid < best], grid[grid > best]
    near = [best]
    near += [float(below[-1] + best) / 2] if below.size else []
    near += [float(above[0] + best) / 2] if above.size else []
    return sorted(near)


def _judge(
    rate: RateRNN,
    inverse_lambda: float,
    drive: float,
    spikes: Spikes,
    trials: Trials,
    score: Score,
    match_output: bool,
) -> Candidate:
    """Return how one candidate did, with the output gain that suits it."""
    raw = read_out(
        spikes,
        w_out=rate.w_out / inverse_lambda,
        b_out=np.zeros(rate.n_out),
        tau=rate.tau,
    )
    gain = _gain(raw, trials, rate.b_out) if match_output else 1.0
    outputs = gain * raw + rate.b_out
    asked = np.abs(trials.targets).max(axis=(0, 2)) > 0
    peaks = np.abs(raw + rate.b_out).max(axis=(0, 2))[asked]
    return Candidate(
        inverse_lambda=float(inverse_lambda),
        drive=float(drive),
        output_gain=gain,
        amplitude=float(peaks.mean()) if peaks.size else None,
        accuracy=float(score(outputs, trials).mean()),
        accuracy_ungained=float(score(raw + rate.b_out, trials).mean()),
        error=float(((outputs - trials.targets)[trials.mask] ** 2).mean()),
    )


def _gain(
    raw: Float64[np.ndarray, "steps batch n_out"],
    trials: Trials,
    b_out: Float64[np.ndarray, " n_out"],
) -> float:
    """Return the factor g > 0 with g·raw + b_out nearest the target, or 1."""
    wanted = (trials.targets - b_out)[trials.mask]
    have = raw[trials.mask]
    power = float((have**2).sum())
    gain = float((have * wanted).sum()) / power if power > 0 else 1.0
    return gain if gain > 0 else 1.0
