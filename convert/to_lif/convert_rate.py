"""`convert_rate`: any rate network to the LIF network that stands for it."""

import dataclasses
from dataclasses import dataclass, field

import numpy as np

from isotau.convert.ground import validation
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.trials import Score, Trials, refine, subset
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.simulate.readout import network_outputs
from isotau.convert.to_lif.calibrate import Calibration, calibrate
from isotau.convert.to_lif.change_variables import replicate
from isotau.convert.to_lif.conversion import METHODS, Candidate, Conversion, merit
from isotau.convert.to_lif.race_candidates import judge
from isotau.convert.to_lif.search_lambda import search_lambda
from isotau.convert.to_lif.state_match import (
    RestingState,
    match,
    rest_of_lif,
    rest_of_rate,
)
from isotau.convert.to_lif.teacher import CalibrateConfig

FITTED = 2 / 3
"""Share of the trials that the weights are fitted on; the others choose."""
ATTEMPTS: tuple[tuple[float, float | None], ...] = (
    (1.0, None),
    (2.0, 0.0),
    (0.5, None),
    (2.0, None),
)
"""Multiples of the calibration's swing, and offsets (`CalibrateConfig`), tried in turn
until one is good enough."""
CARRIED: tuple[tuple[float, float | None], ...] = ((2.0, None), (1.0, None))
"""What is tried before these where noise is carried. More swing makes spikes count
less, and their rhythm with them; too much puts some networks into another state."""
CLOSE = 0.45
"""Distance of the states at rest (C32) at which no other is looked for."""
FIRST = {"softplus": (2.0, 0.0), "relu": (1.0, -4e-3)}
"""What is tried before these. A softplus unit far below zero still says something, and
a relu unit just below it is about to, where the neuron nearest in shape is silent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertConfig:
    """How to convert.

    Attributes:
        method: "calibrate" refits the weights to the neurons' spikes, for any
            activation; "scale" is the published mapping with one λ.
        copies: LIF neurons for each unit, a population code.
        constants: of the neurons; "calibrate" chooses `unit`, `v_leak` and no burn-in.
        calibration: for "calibrate".
        good_enough: accuracy, as a fraction of the rate network's on the same trials,
            at which "calibrate" stops trying other neurons (`ATTEMPTS`).
    """

    method: str = "calibrate"
    copies: int = 1
    constants: LIFConstants = field(default_factory=LIFConstants)
    calibration: CalibrateConfig = field(default_factory=CalibrateConfig)
    good_enough: float = 0.99

    def __post_init__(self) -> None:
        """Check the choices."""
        validation.choice("method", self.method, METHODS)
        validation.whole("copies", self.copies, 1, 1 << 10)
        validation.number("good_enough", self.good_enough, minimum=0)


def convert_rate(
    rate: RateRNN,
    trials: Trials,
    *,
    score: Score,
    seed: int,
    config: ConvertConfig = ConvertConfig(),
    progress: Progress = silent,
) -> Conversion:
    """Return the LIF network that stands for a rate network.

    Args:
        rate: the network.
        trials: what it is shown, in its own steps, at least 3; fit and choice are made
            on them, so report accuracy on others.
        score: the task's rule.
        seed: of all noise.
        config: how.
        progress: is given the steps as they pass.

    Raises:
        ValueError: fewer than 3 trials, or trials that do not fit the network.
    """
    if trials.batch < 3:
        raise ValueError(
            f"trials: got {trials.batch}, need at least 3 to fit and judge"
        )
    # copies come first: each is then calibrated, or searched for, as a unit
    wide = replicate(rate, config.copies) if config.copies > 1 else rate
    if config.method == "scale":
        return search_lambda(
            wide,
            trials,
            score=score,
            seed=seed,
            lag=config.calibration.lag,
            constants=config.constants,
            progress=progress,
        )
    resting = None
    if rate.noise_std > 0 and config.calibration.current_noise > 0:
        resting = rest_of_rate(rate, seed=seed)
    return _calibrated(wide, trials, score, seed, config, resting, progress)


def _calibrated(
    rate: RateRNN,
    trials: Trials,
    score: Score,
    seed: int,
    config: ConvertConfig,
    resting: RestingState | None,
    progress: Progress,
) -> Conversion:
    """Return the best of the calibrations, of which one after another is tried."""
    # judged on others, or the fit with the most freedom would win
    fitted = max(2, round(FITTED * trials.batch))
    fit_trials, judged = (
        subset(trials, part) for part in (slice(0, fitted), slice(fitted, None))
    )
    outputs = simulate_rate(rate, judged.inputs, seed=seed).outputs
    # a share of what the rate network itself can do, which may be little
    enough = config.good_enough * float(score(outputs, judged).mean())
    attempts: list[tuple[Candidate, Calibration]] = []
    base = config.calibration
    # what suits the activation, if anything is known of it
    first: list[tuple[float, float | None]] = []
    if rate.activation in FIRST:
        first.append(FIRST[rate.activation])
    # what keeps the state at rest, if it moves there
    first += CARRIED if resting is not None else ()
    pairs = [
        (factor, offset if base.offset is None else base.offset)
        for factor, offset in (*first, *ATTEMPTS)
    ]
    # with an offset of the user's own, some of them fall together
    for number, (factor, offset) in enumerate(dict.fromkeys(pairs), 1):
        calibration = calibrate(
            rate,
            fit_trials,
            constants=config.constants,
            config=dataclasses.replace(base, swing=factor * base.swing, offset=offset),
            seed=seed,
            progress=progress,
        )
        fine = refine(judged, calibration.constants.dt)
        # a round may also make a network worse: each is a candidate
        for rounds in range(len(calibration.networks)):
            candidate = _try(calibration, rounds, fine, score, seed, progress)
            candidate = dataclasses.replace(candidate, swing=factor * base.swing)
            if resting is not None:
                candidate = _look(
                    calibration, candidate, resting, rate.dt, config, seed
                )
            attempts.append((candidate, calibration))
        right = [pair for pair in attempts if pair[0].accuracy >= enough]
        if any(_is_close(pair[0]) for pair in right) or (
            right and number >= len(first)
        ):
            break
    # the best of all, not the last: among networks good enough the state at rest
    # decides, or where it does not move the error
    if right and resting is not None:
        best, calibration = min(right, key=lambda pair: _distance(pair[0]))
    else:
        best, calibration = max(attempts, key=lambda pair: merit(pair[0]))
    assert best.rounds is not None
    return Conversion(
        network=calibration.networks[best.rounds],
        rate=rate,
        constants=calibration.constants,
        method="calibrate",
        chosen=best,
        candidates=tuple(candidate for candidate, _ in attempts),
        residual=calibration.residual,
    )


def _distance(candidate: Candidate) -> float:
    return np.inf if candidate.state_distance is None else candidate.state_distance


def _is_close(candidate: Candidate) -> bool:
    """Return whether no better state at rest is looked for; without one none is."""
    return candidate.state_distance is None or candidate.state_distance <= CLOSE


def _look(
    calibration: Calibration,
    candidate: Candidate,
    resting: RestingState,
    dt: float,
    config: ConvertConfig,
    seed: int,
) -> Candidate:
    """Return a candidate with what its state at rest is beside the rate network's."""
    assert candidate.rounds is not None
    found = match(
        resting,
        rest_of_lif(
            calibration.networks[candidate.rounds],
            unit=candidate.unit,
            dt=dt,
            copies=config.copies,
            seed=seed,
        ),
    )
    return dataclasses.replace(
        candidate,
        # JSON has no number for none.
        tau_ratio=found.tau_ratio if np.isfinite(found.tau_ratio) else None,
        sd_ratio=found.sd_ratio,
        state_distance=found.distance,
    )


def _try(
    calibration: Calibration,
    rounds: int,
    trials: Trials,
    score: Score,
    seed: int,
    progress: Progress,
) -> Candidate:
    """Return how one calibrated network does."""
    network = calibration.networks[rounds]
    # every candidate has the same noise: only what differs decides
    spikes = simulate_lif(
        network,
        trials.inputs,
        seed=seed,
        progress=progress,
    ).spikes
    raw = network_outputs(network, spikes, biased=False)
    candidate = Candidate(
        inverse_lambda=calibration.inverse_lambda,
        unit=calibration.constants.unit,
        rounds=rounds,
    )
    # no gain: the output weights are a fit of their own (C24)
    return judge(raw, network.b_out, trials, score, candidate, match_output=False)
