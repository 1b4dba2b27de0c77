"""`Conversion`: a converted network, how it was made, and what else was tried."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from isotau.convert.ground.representation import short_repr
from isotau.convert.neuron.fi_curve import curve, evaluate
from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.records.lif import LIFNetwork, decay_fraction
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.trials import Trials
from isotau.convert.simulate.rate_dynamics import RateRun
from isotau.convert.to_lif.change_variables import copies_of

METHODS = ("calibrate", "scale")
"""Of conversion, for any activation and as published."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Candidate:
    """One network that was tried and how it did on the trials of the choice.

    The figures have defaults that lose against any that are measured.

    Attributes:
        inverse_lambda: 1/λ, firing rate that stands for r = 1, in Hz; that of the
            prior for a calibrated network.
        drive: constant drive added to every neuron, in volts.
        output_gain: factor on λ W_out that matches the output's amplitude; 1 for a
            calibrated network, whose output weights are fitted.
        unit: volts that stand for 1 of the rate network's x.
        rounds: closed-loop rounds of the calibration; None for a network scaled by λ.
        amplitude: mean of the largest |output| in the trials whose target asks for
            one, before the gain; None where none does.
        accuracy: fraction of trials right, with the gain.
        accuracy_ungained: fraction right with the gain at 1, as published.
        error: mean squared difference to the target where it counts, with the gain.
        trials: on how many trials these figures stand; fewer than there are for one
            that was given up early.
        copies: neurons for each unit.
        mean_rate: of all neurons in these trials, in Hz.
        swing: volts that a typical state moves a calibrated neuron's drive; None, as
            `offset`, `ridge`, `rest` and `lag` (`CalibrateConfig`), for others.
        gain: factor on all recurrent weights after the fit (`loop_gain`).
        trimmed: whether synapses were trimmed (`trim_tau`).
        membrane_noise: largest stationary SD of a membrane's noise, in volts.
        tau_ratio: median ratio of the state's τ at rest, LIF over rate; None, as all
            that follows, where it was not looked at: see `state_match.StateMatch`.
        sd_ratio: the same of its standard deviation.
        state_distance: how far the states at rest are apart, in all.
        task_distance: the same in these trials.
        elsewhere: whether at rest it is in another state than the rate network.
    """

    inverse_lambda: float
    drive: float = 0.0
    output_gain: float = 1.0
    unit: float
    rounds: int | None = None
    amplitude: float | None = None
    accuracy: float = 0.0
    accuracy_ungained: float = 0.0
    error: float = np.inf
    trials: int = 0
    copies: int = 1
    mean_rate: float = 0.0
    swing: float | None = None
    offset: float | None = None
    ridge: float | None = None
    rest: float | None = None
    lag: float | None = None
    gain: float = 1.0
    trimmed: bool = False
    membrane_noise: float = 0.0
    tau_ratio: float | None = None
    sd_ratio: float | None = None
    state_distance: float | None = None
    task_distance: float | None = None
    elsewhere: bool = False


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Conversion:
    """A converted network, the candidate that was chosen, and all that were tried.

    Attributes:
        network: the chosen one.
        rate: the rate network that it stands for, unit by neuron; with a population
            code it has more units than the one that was converted.
        constants: of the neurons.
        method: one of `METHODS`.
        chosen: which candidate `network` is.
        candidates: all, in the order in which they were tried.
        residual: share of the recurrent drive's variance that each fit of the
            calibration left; empty for a network scaled by λ.
        state_floor: distance of the states of two runs of the rate network; None where
            states were not looked at.
        why: in words, why this one was chosen.
    """

    network: LIFNetwork
    rate: RateRNN
    constants: LIFConstants
    method: str
    chosen: Candidate
    candidates: tuple[Candidate, ...]
    residual: tuple[float, ...] = ()
    state_floor: float | None = None
    why: str = ""


def merit(candidate: Candidate) -> tuple[int, float, float]:
    """Return what candidates are ordered by: accuracy, then the smaller error.

    Those that were given up early come last: their figures flatter by fewer trials.
    """
    return candidate.trials, candidate.accuracy, -candidate.error


def answer_amplitude(
    outputs: Float64[np.ndarray, "steps batch n_out"], trials: Trials
) -> float | None:
    """Return the mean of the largest |output| in scored steps, over trials that ask.

    A trial asks for an answer if its target is not 0 in some scored step; None where
    no trial does.
    """
    counts = trials.mask[:, :, None]
    # trials that ask for 0 would only say how well the network keeps still
    answers = (counts & (trials.targets != 0)).any(axis=(0, 2))
    peaks = np.abs(np.where(counts, outputs, 0.0)).max(axis=(0, 2))[answers]
    return float(peaks.mean()) if peaks.size else None


def expected_rates(
    conversion: Conversion, x: Float64[np.ndarray, "steps batch n"]
) -> Float64[np.ndarray, "steps batch n"]:
    """Return the firing rates, in Hz, that stand for states x of the rate network.

    From the neurons' f–I curve: the rate of a neuron whose drive holds still.

    Args:
        conversion: of the network.
        x: of every unit that has a neuron: a unit's copies have drives of their own.
    """
    constants = conversion.constants
    common = constants.v_leak - constants.v_th + conversion.chosen.drive
    drive = common + _set_apart(conversion)
    return evaluate(curve(constants), constants.unit * x + drive)


def _set_apart(conversion: Conversion) -> Float64[np.ndarray, " n"]:
    """Return how far each neuron's drive is from its unit's mean over copies: (C34)."""
    leak, (place, _) = conversion.network.v_leak, copies_of(conversion.rate)
    unit = np.cumsum(place == 0) - 1
    return np.asarray(leak - (np.bincount(unit, leak) / np.bincount(unit))[unit])


def unit_rates(
    rate: RateRNN, conversion: Conversion, run: RateRun
) -> Float64[np.ndarray, "steps batch n"]:
    """Return the firing rates, in Hz, that stand for a run of the rate network.

    One for each LIF neuron: by the neuron's f–I curve where it was calibrated, by r/λ
    where the network was scaled. No neuron of the observer has more than a spike in a
    step, so rates end at 1/dt.

    Args:
        rate: the network.
        conversion: of this network.
        run: of this network, with x kept if it was calibrated.
    """
    # copies of a unit stand side by side (C12)
    copies = conversion.rate.n // rate.n
    if conversion.method == "calibrate":
        assert run.x is not None
        x = run.x if copies == 1 else np.repeat(run.x, copies, axis=-1)
        hz = expected_rates(conversion, x)  # (C30)
    else:
        # The sigmoid network that a tanh network is scaled as has r = (1 + tanh x)/2.
        r = (1 + run.rates) / 2 if rate.activation == "tanh" else run.rates
        hz = r * conversion.chosen.inverse_lambda
        hz = hz if copies == 1 else np.repeat(hz, copies, axis=-1)
    return np.minimum(hz, 1 / conversion.constants.dt, out=hz)


def summarize_noise(conversion: Conversion) -> dict[str, float | str]:
    """Return for a report what noise there is, and what became of the rate network's.

    It is the source of the timescales at rest; root mean squares over neurons, in mV.
    """
    membrane, current = (
        1e3 * float(np.sqrt(np.mean(std**2)))
        for std in (conversion.network.noise_std, conversion.network.current_noise_std)
    )
    shared, share = _shared(conversion.network)
    if current or share:
        own = f"SD {current:.3g} mV"
        if share:
            sources = len(conversion.network.input_noise_std)
            own += (
                f"; of what they share, from {sources} input "
                f"channel{'s' * (sources != 1)}, {shared:.3g} mV: {share:.0%} of the "
                "variance"
            )
        said = f"The currents have the rate network's noise ({own})."
    elif conversion.rate.noisy:
        said = "The rate network's noise was not carried, and with it its timescales."
    else:
        said = (
            "The rate network has no noise: at rest nothing of it has a timescale; "
            "--noise-std gives it some."
        )
    return {
        "noise_std_mv": membrane,
        "current_noise_std_mv": current,
        "shared_noise_std_mv": shared,
        "shared_part": share,
        "said": said,
    }


def _shared(net: LIFNetwork) -> tuple[float, float]:
    """Return the SD at rest of what neurons share of noise, and its part of all.

    The first as a root mean square over neurons, in mV; the second of the variance that
    noise brings into the currents, the median over neurons that have any.
    """
    per_step = net.w_in[:, net.n_shown :] * net.input_noise_std
    shared = np.square(per_step).sum(axis=1) / decay_fraction(net.tau_syn / 2, net.dt)
    total = shared + net.current_noise_std**2
    noisy = total > 0
    part = float(np.median(shared[noisy] / total[noisy])) if noisy.any() else 0.0
    return 1e3 * float(np.sqrt(shared.mean())), part
