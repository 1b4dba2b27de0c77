"""One search for a calibration: what is looked at, who is better, what it may cost."""

import dataclasses
import time
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from isotau.convert.ground import validation
from isotau.convert.ground.progress import Progress
from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import mean_rate
from isotau.convert.records.trials import Score, Trials, refine
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.simulate.readout import network_outputs
from isotau.convert.to_lif.calibrate import Calibration, calibrate_rounds
from isotau.convert.to_lif.change_variables import replicate
from isotau.convert.to_lif.conversion import Candidate, merit
from isotau.convert.to_lif.loop_gain import with_gain
from isotau.convert.to_lif.race_candidates import judge
from isotau.convert.to_lif.state_match import (
    RestingState,
    match,
    rest_of_lif,
    rest_of_rate,
    resting_state,
    task_lags,
    unit_states,
)
from isotau.convert.to_lif.teacher import CalibrateConfig
from isotau.convert.to_lif.trim_tau import trim_tau

CLOSE = 1.5
"""Distance of the states at which no other is looked for, in distances of two runs of
the rate network."""
GAIN, GAINS, SIZED = 0.02, 0.06, 0.05
"""Step of the loop gain, how far it goes, and error of ln of the states' size from
which other gains are looked at."""
HARMLESS = 1.1
"""Factor on the distance of the states that trimmed synapses may have."""
TRIMMING = 5.0
"""Looks that a trim takes: a network after each turn, the rate network, the result."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What a conversion may cost.

    Attributes:
        copies: neurons for each unit, at most; those that are asked for if more.
        rate: mean firing rate in the task, in Hz; None for any.
        seconds: after which no other calibration is tried, once one is right.
    """

    copies: int = 1
    rate: float | None = None
    seconds: float = 60.0

    def __post_init__(self) -> None:
        """Check every number."""
        validation.whole("copies", self.copies, 1, 1 << 10)
        if self.rate is not None:
            validation.number("rate", self.rate, positive=True)
        validation.number("seconds", self.seconds, minimum=0)


class Try(NamedTuple):
    """What is tried: how to calibrate, which neurons, and how many for each unit."""

    config: CalibrateConfig
    constants: LIFConstants
    copies: int


class TriedChoice(NamedTuple):
    """A calibrated network, how it did, and what was tried."""

    candidate: Candidate
    calibration: Calibration
    tried: Try


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StateReference:
    """States of the rate network, which those of LIF networks are compared with.

    Attributes:
        rest: without input.
        task: in the trials that choose.
        floor: how far two runs of the rate network are apart.
    """

    rest: RestingState
    task: RestingState
    floor: float


@dataclass(kw_only=True, slots=True, eq=False)
class ChoiceSearch:
    """One search: what it looks at, and what it has tried.

    Attributes:
        rate: the network.
        fitted: trials that weights are fitted on.
        judged: trials that choose.
        score: the task's rule.
        seed: of all noise.
        enough: accuracy that is good enough.
        budget: what the conversion may cost.
        reference: states to be kept; None where nothing moves at rest.
        progress: is given the steps as they pass.
        candidates: all, in the order in which they were tried.
        best: the best of them; of the others the networks are not kept.
        stop: time at which no further try begins.
        longest: seconds that a try took.
        longest_look: seconds that a look took.
        trims: whether synapses will be trimmed in the end, for which time is kept.
    """

    rate: RateRNN
    fitted: Trials
    judged: Trials
    score: Score
    seed: int
    enough: float
    budget: Budget
    reference: StateReference | None
    progress: Progress
    candidates: list[Candidate] = field(default_factory=list)
    best: TriedChoice | None = None
    stop: float = 0.0
    longest: float = 0.0
    longest_look: float = 0.0
    trims: bool = False

    def attempt(self, tried: Try, *, every_round: bool = True) -> None:
        """Calibrate, look, and keep what came of it.

        Args:
            tried: what is tried.
            every_round: whether further rounds also follow a network good enough.
        """
        begun = time.monotonic()
        wide = replicate(self.rate, tried.copies) if tried.copies > 1 else self.rate
        rounds = calibrate_rounds(
            wide,
            self.fitted,
            constants=tried.constants,
            config=tried.config,
            seed=self.seed,
            progress=self.progress,
        )
        for calibration in rounds:
            outcome = TriedChoice(self._look(calibration, tried), calibration, tried)
            self._keep(outcome)
            if self.reference is not None:
                outcome = self._regain(outcome)
            if not every_round and self.is_right(outcome.candidate):
                break
        self.longest = max(self.longest, time.monotonic() - begun)

    def _regain(self, first: TriedChoice) -> TriedChoice:
        """Look at a fit with other loop gains, and return the one that is nearest.

        A look takes much less than a fit. A step to the side where the states' size is
        nearer to the rate network's, and then to where a line through both has it
        right (C37).
        """
        sd_ratio = first.candidate.sd_ratio
        # a state that does not move, or was not looked at, has no size to go by
        if not sd_ratio or first.candidate.accuracy < self.enough:
            return first
        off = np.log(sd_ratio)
        if abs(off) < SIZED:
            return first
        stepped = self._gained(first, 1 - GAIN if off > 0 else 1 + GAIN)
        assert stepped.candidate.sd_ratio is not None
        slope = (np.log(stepped.candidate.sd_ratio) - off) / (
            stepped.candidate.gain - 1
        )
        outcomes = [first, stepped]
        # states that shrink with a higher gain follow something else
        if slope > 0:
            gain = np.clip(1 - off / slope, 1 - GAINS, 1 + GAINS)
            outcomes.append(self._gained(first, float(gain)))
        return max(outcomes, key=self._nearness)

    def _gained(self, first: TriedChoice, gain: float) -> TriedChoice:
        """Keep and return a fit with another loop gain."""
        assert self.reference is not None
        network = with_gain(
            first.calibration.networks[-1],
            gain,
            resting=self.reference.rest.mean,
            constants=first.calibration.constants,
        )
        calibration = first.calibration.ending_with(network)
        seen = self._look(calibration, first.tried)
        outcome = TriedChoice(
            dataclasses.replace(seen, gain=gain), calibration, first.tried
        )
        self._keep(outcome)
        return outcome

    def trim(self) -> None:
        """Trim the synapses of the best, and keep that unless it does harm.

        Trims are made for all units, so that a distance as great by `HARMLESS` of one
        look is no harm.
        """
        assert self.best is not None
        untrimmed, calibration, tried = self.best
        network = trim_tau(
            calibration.networks[-1],
            self.rate,
            constants=calibration.constants,
            copies=tried.copies,
            # other noise than that in which it is looked at
            seed=self.seed + 1,
            progress=self.progress,
        )
        if network is calibration.networks[-1]:
            return
        trimmed = calibration.ending_with(network)
        candidate = dataclasses.replace(
            self._look(trimmed, tried), gain=untrimmed.gain, trimmed=True
        )
        self.candidates.append(candidate)
        harmless = distance_of(candidate) <= HARMLESS * distance_of(untrimmed)
        # within the budget as before, or beyond it as before
        same = self.is_allowed(candidate) == self.is_allowed(untrimmed)
        if harmless and same and self.is_right(candidate):
            self.best = TriedChoice(candidate, trimmed, tried)

    def _keep(self, outcome: TriedChoice) -> None:
        """Note what was tried, and keep its network if it is the best."""
        self.candidates.append(outcome.candidate)
        if self.best is None or self._rank(outcome) > self._rank(self.best):
            self.best = outcome

    def is_right(self, candidate: Candidate) -> bool:
        """Return whether a network answers well enough, in the right state."""
        return candidate.accuracy >= self.enough and not candidate.elsewhere

    def is_allowed(self, candidate: Candidate) -> bool:
        """Return whether a network is right and within the budget."""
        limit = self.budget.rate
        within = limit is None or candidate.mean_rate <= limit
        return within and self.is_right(candidate)

    def is_close(self) -> bool:
        """Return whether no better one is to be looked for."""
        if self.best is None or not self.is_allowed(self.best.candidate):
            return False
        if self.reference is None:
            return True
        return distance_of(self.best.candidate) <= CLOSE * self.reference.floor

    def has_time(self, factor: float = 1.0) -> bool:
        """Return whether a try that takes so much longer would end in time."""
        kept = TRIMMING * self.longest_look if self.trims else 0.0
        return time.monotonic() + factor * self.longest + kept <= self.stop

    def _rank(self, outcome: TriedChoice) -> tuple[float, ...]:
        """Return what outcomes are ordered by, the best last.

        Of the networks that are allowed the one whose state is nearest is best; of
        those that are right but beyond the budget the one that fires least; of those
        that are not right the one that answers best.
        """
        candidate = outcome.candidate
        if not self.is_right(candidate):
            return (0, *merit(candidate))
        if not self.is_allowed(candidate):
            return (1, -candidate.mean_rate)
        if self.reference is None:
            return (2, *merit(candidate))
        return (2, -distance_of(candidate))

    def _nearness(self, outcome: TriedChoice) -> tuple[bool, float]:
        """Return what networks of one fit are ordered by, the best last."""
        candidate = outcome.candidate
        return self.is_right(candidate), -distance_of(candidate)

    def _look(self, calibration: Calibration, tried: Try) -> Candidate:
        """Return how the last network of a calibration does."""
        begun = time.monotonic()
        network, constants = calibration.networks[-1], calibration.constants
        fine = refine(self.judged, constants.dt)
        looking = self.reference is not None
        every = round(self.rate.dt / constants.dt)
        # every candidate has the same noise: only what differs decides
        run = simulate_lif(
            network,
            fine.inputs,
            seed=self.seed,
            record=("i",) if looking else (),
            every=every,
            progress=self.progress,
        )
        candidate = Candidate(
            inverse_lambda=calibration.inverse_lambda,
            unit=constants.unit,
            rounds=len(calibration.networks) - 1,
            mean_rate=mean_rate(run.spikes),
            copies=tried.copies,
            swing=tried.config.swing,
            offset=constants.v_leak - constants.v_th,
            ridge=tried.config.ridge,
            rest=tried.config.rest,
            lag=tried.config.lag,
            membrane_noise=float(network.noise_std.max()),
        )
        raw = network_outputs(network, run.spikes, biased=False)
        # no gain: the output weights are a fit of their own (C24)
        candidate = judge(
            raw, network.b_out, fine, self.score, candidate, match_output=False
        )
        if self.reference is None:
            return candidate
        assert run.i is not None
        states = unit_states(run.i, network, constants, tried.copies)
        compared = self._compare(candidate, calibration, tried, states)
        self.longest_look = max(self.longest_look, time.monotonic() - begun)
        return compared

    def _compare(
        self,
        candidate: Candidate,
        calibration: Calibration,
        tried: Try,
        states: np.ndarray,
    ) -> Candidate:
        """Return a candidate with what its states are beside the rate network's."""
        assert self.reference is not None
        at_rest = match(
            self.reference.rest,
            rest_of_lif(
                calibration.networks[-1],
                constants=calibration.constants,
                dt=self.rate.dt,
                copies=tried.copies,
                seed=self.seed,
            ),
        )
        lags = len(self.reference.task.autocorrelation)
        in_task = match(self.reference.task, resting_state(states, lags))
        return dataclasses.replace(
            candidate,
            # JSON has no number for none.
            tau_ratio=at_rest.tau_ratio if np.isfinite(at_rest.tau_ratio) else None,
            sd_ratio=at_rest.sd_ratio,
            state_distance=at_rest.distance,
            task_distance=in_task.distance,
            elsewhere=at_rest.elsewhere,
        )


def distance_of(candidate: Candidate) -> float:
    """Return how far a network's states are from the rate network's, in all."""
    if candidate.state_distance is None or candidate.task_distance is None:
        return np.inf
    return candidate.state_distance + candidate.task_distance


def reference_states(
    rate: RateRNN, judged: Trials, seed: int, *, look: bool
) -> tuple[np.ndarray, StateReference | None]:
    """Return the rate network's outputs, and its states if they are looked at."""
    runs = [
        simulate_rate(rate, judged.inputs, seed=number, keep_x=look)
        for number in ((seed, seed + 1) if look else (seed,))
    ]
    if not look:
        return runs[0].outputs, None
    lags = task_lags(judged.steps, rate.dt)
    task = [resting_state(run.x, lags) for run in runs if run.x is not None]
    rest = [rest_of_rate(rate, seed=number) for number in (seed, seed + 1)]
    floor = match(*rest).distance + match(*task).distance
    return runs[0].outputs, StateReference(rest=rest[0], task=task[0], floor=floor)
