"""What quantization does to the states of a network without input.

u of the chip is held against i of the LIF network it was made from, in volts, neuron by
neuron. How far two runs of the LIF network are apart, with other noise, is the floor.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from isotau.convert.ground.representation import short_repr
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.spikes import Spikes
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.to_fixed.quantize import messages
from isotau.convert.to_lif.state_match import RestingState, match, resting_state
from isotau.sim.engines import compiled

TRIALS, FEWEST = 30, 4
"""Of a look; as many as `MOST_NUMBERS` allows, and never fewer."""
SETTLE, SAMPLES, LAGS = 100, 400, 100
"""Samples before the look and of it, and lags of the autocorrelation."""
INTERVAL, PER_TAU = 5e-3, 4
"""Seconds between two samples at most; where currents are fast, samples per τ_syn."""
MOST_NEURONS = 500
"""Neurons that are looked at, evenly spread over those of a larger network."""
MOST_NUMBERS = 1 << 25
"""Of all neurons, or all input channels, in all steps of a look."""
HELD_NUMBERS = 1 << 25
"""Of u on the chip that are held at a time."""


class StateChange(NamedTuple):
    """How far the second of two states at rest is from the first.

    Attributes:
        sd_ratio: median ratio of the standard deviations.
        sd_worst: the ratio that is farthest from 1.
        tau_ratio: median ratio of τ at 1/e; NaN where no neuron has one in both.
        tau_scatter: standard deviation of ln of these ratios; NaN as well.
        taus: neurons that have a τ in both.
        autocorrelation_rms: root mean square difference of the autocorrelations.
        correlation_rms: the same of the correlations between neurons.
    """

    sd_ratio: float
    sd_worst: float
    tau_ratio: float
    tau_scatter: float
    taus: int
    autocorrelation_rms: float
    correlation_rms: float


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class KeptState:
    """Second moments of states at rest, before and after quantization.

    Attributes:
        neurons: numbers of those that were looked at.
        trials: of each run.
        interval: seconds between two samples.
        sd: standard deviation of i and of u, in volts.
        tau: of both, where the autocorrelation falls to 1/e, in seconds; NaN where it
            does not within `LAGS` samples.
        correlation: root mean square of the correlations between neurons before.
        change: from the LIF network to the chip.
        floor: from one run of the LIF network to another.
    """

    neurons: Int64[np.ndarray, " k"]
    trials: int
    interval: float
    sd: tuple[Float64[np.ndarray, " k"], Float64[np.ndarray, " k"]]
    tau: tuple[Float64[np.ndarray, " k"], Float64[np.ndarray, " k"]]
    correlation: float
    change: StateChange
    floor: StateChange


class _Look(NamedTuple):
    """When, where and how often states are looked at."""

    every: int
    trials: int
    neurons: np.ndarray

    def silence(self, channels: int) -> np.ndarray:
        """Return no input for the whole of a look, steps × trial × channel."""
        return np.zeros(((SETTLE + SAMPLES) * self.every, self.trials, channels))


def compare_at_rest(
    before: LIFNetwork, after: FixedPointNetwork, *, seed: int
) -> KeptState | None:
    """Return how alike states at rest are before and after quantization.

    None for a network without noise, all trials of which are alike.

    Args:
        before: the LIF network.
        after: its integers.
        seed: of the noise; the runs have trials of their own.

    Raises:
        ValueError: networks of other numbers of neurons or channels, or another dt.
    """
    for name in ("n", "n_in", "dt"):
        if getattr(before, name) != getattr(after, name):
            raise ValueError(
                f"{name}: got {getattr(after, name)} after quantization, need "
                f"{getattr(before, name)}; give a network and its own integers"
            )
    if not before.noisy and not before.input_noise_std.any():
        return None
    look = _look(before)
    currents = [
        _currents(before, look, seed, run * look.trials) for run in range(2)
    ] + [_chip_currents(after, look, seed, 2 * look.trials)]
    states = [resting_state(x, LAGS) for x in currents]
    interval = look.every * before.dt
    return KeptState(
        neurons=look.neurons,
        trials=look.trials,
        interval=interval,
        sd=(states[0].sd, states[2].sd),
        tau=(states[0].tau * interval, states[2].tau * interval),
        correlation=_rms(_correlation(states[0])),
        change=_change(states[0], states[2]),
        floor=_change(states[0], states[1]),
    )


def summarize(kept: KeptState | None) -> dict[str, Any] | None:
    """Return the numbers for JSON; None for a network without noise."""
    if kept is None:
        return None
    return {
        "neurons": len(kept.neurons),
        "trials": kept.trials,
        "interval_ms": 1e3 * kept.interval,
        "sd_mv": [1e3 * _rms(sd) for sd in kept.sd],
        "median_tau_ms": [_median_ms(tau) for tau in kept.tau],
        "correlation_rms": kept.correlation,
        "change": _plain(kept.change),
        "floor": _plain(kept.floor),
    }


def describe(numbers: dict[str, Any] | None) -> str:
    """Return what `summarize` gives in a sentence; nothing without noise."""
    if numbers is None:
        return ""
    change, floor = numbers["change"], numbers["floor"]

    def beside(name: str) -> str:
        values = (
            "none" if value is None else f"{value:.3f}"
            for value in (change[name], floor[name])
        )
        return "{} ({})".format(*values)

    return (
        "States at rest, u of the chip over i of the LIF network (floor: two runs of "
        f"the latter): SD {beside('sd_ratio')}, of the worst neuron "
        f"{beside('sd_worst')}; τ {beside('tau_ratio')}, SD of its logarithm "
        f"{beside('tau_scatter')}; rms difference of autocorrelations "
        f"{beside('autocorrelation_rms')}, of correlations between neurons "
        f"{beside('correlation_rms')}."
    )


def _look(net: LIFNetwork) -> _Look:
    """Return a look that suits the time constants and the size of a network."""
    interval = min(INTERVAL, float(np.median(net.tau_syn)) / PER_TAU)
    every = max(1, round(interval / net.dt))
    size = (SETTLE + SAMPLES) * every * max(net.n, net.n_in)
    places = np.linspace(0, net.n - 1, min(net.n, MOST_NEURONS))
    return _Look(
        every=every,
        trials=int(np.clip(MOST_NUMBERS // size, FEWEST, TRIALS)),
        neurons=np.unique(places.round().astype(np.int64)),
    )


def _currents(
    net: LIFNetwork, look: _Look, seed: int, first_trial: int
) -> Float64[np.ndarray, "samples trials k"]:
    """Return i of a LIF network at rest, in volts."""
    run = simulate_lif(
        net,
        look.silence(net.n_shown),
        seed=seed,
        first_trial=first_trial,
        record=("i",),
        neurons=look.neurons.tolist(),
        every=look.every,
        keep_spikes=False,
    )
    assert run.i is not None
    return run.i[SETTLE:].astype(np.float64)


def _chip_currents(
    net: FixedPointNetwork, look: _Look, seed: int, first_trial: int
) -> Float64[np.ndarray, "samples trials k"]:
    """Return u of its integers at rest, in volts of the LIF network's i: (F1)."""
    silence = look.silence(net.n_shown)
    sent = messages(net, silence, seed=seed, first_trial=first_trial)
    current, _ = sampled_currents(
        net,
        sent,
        seed=seed,
        first_trial=first_trial,
        every=look.every,
        neurons=look.neurons,
    )
    return current[SETTLE:]


def sampled_currents(
    net: FixedPointNetwork,
    sent: np.ndarray,
    *,
    seed: int,
    first_trial: int,
    every: int,
    neurons: Int64[np.ndarray, " k"] | None = None,
) -> tuple[Float64[np.ndarray, "samples trials k"], Spikes]:
    """Return u at the end of every so many steps, in volts of i, and the spikes.

    Args:
        net: the network.
        sent: messages, step × trial × channel.
        seed: of the noise.
        first_trial: number of the first trial.
        every: steps of a sample.
        neurons: that are looked at; None for all.
    """
    count = net.n if neurons is None else len(neurons)
    # The engine records every step: a part of the run at a time is held.
    size = every * max(1, HELD_NUMBERS // (every * sent.shape[1] * count))
    state, samples, bits = None, [], []
    for start in range(0, len(sent), size):
        run = compiled.run(
            net,
            sent[start : start + size],
            seed=seed,
            first_trial=first_trial,
            record=("u",),
            neurons=neurons,
            state=state,
            # For the loop that is compiled for a run's stages, not for the counts.
            count_overflow=True,
        )
        assert run.u is not None
        state = run.state
        samples.append(run.u[every - 1 :: every])
        bits.append(run.spikes.bits)
    per_volt = net.u_per_volt if neurons is None else net.u_per_volt[neurons]
    spikes = replace(run.spikes, bits=np.concatenate(bits))
    return np.concatenate(samples) / per_volt, spikes


def _correlation(state: RestingState) -> Float64[np.ndarray, " pairs"]:
    """Return the correlations between neurons, each with every other."""
    # What does not move goes with nothing.
    size = np.where(state.sd > 0, state.sd, np.inf)
    correlation = state.covariance / np.outer(size, size)
    return np.asarray(correlation[~np.eye(len(size), dtype=bool)])


def _change(first: RestingState, second: RestingState) -> StateChange:
    """Return how two states differ."""
    difference = match(first, second)
    moving = first.sd > 0
    sds = second.sd[moving] / first.sd[moving]
    both = np.isfinite(first.tau) & np.isfinite(second.tau)
    logs = np.log(second.tau[both] / first.tau[both])
    # A state that stands still after quantization is as far off as can be.
    with np.errstate(divide="ignore"):
        worst = int(np.argmax(np.abs(np.log(sds)))) if sds.size else 0
    return StateChange(
        sd_ratio=difference.sd_ratio,
        sd_worst=float(sds[worst]) if sds.size else 1.0,
        tau_ratio=difference.tau_ratio,
        tau_scatter=float(logs.std()) if logs.size else float("nan"),
        taus=int(both.sum()),
        autocorrelation_rms=difference.autocorrelation_error,
        correlation_rms=_rms(_correlation(second) - _correlation(first)),
    )


def _rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(x**2))) if x.size else 0.0


def _median_ms(tau: np.ndarray) -> float | None:
    finite = tau[np.isfinite(tau)]
    return 1e3 * float(np.median(finite)) if finite.size else None


def _plain(change: StateChange) -> dict[str, float | int | None]:
    return {
        name: value if np.isfinite(value) else None
        for name, value in change._asdict().items()
    }
