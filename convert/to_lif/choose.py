"""The calibration of a network is chosen by looking: at its answers and at its state.

Which neuron suits a unit, and how the weights are fitted, differs from network to
network; a choice that keeps the timescales of one throws another into another state.
So calibrations are tried one after another and looked at on trials that no fit has
seen. Among those that answer as well as the rate network that one is taken whose state
differs least from the rate network's, in what it remembers and in what its units have
in common, without input and in the task. First the neurons' working points are tried,
then one further choice at a time, and last more neurons for each unit.
"""

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from isotau.convert.ground import validation
from isotau.convert.ground.progress import Progress
from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import mean_rate
from isotau.convert.records.trials import Score, Trials, refine, subset
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.simulate.readout import network_outputs
from isotau.convert.to_lif.calibrate import Calibration, calibrate_rounds
from isotau.convert.to_lif.change_variables import replicate
from isotau.convert.to_lif.conversion import Candidate, Conversion, merit
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

FITTED = 2 / 3
"""Share of the trials that the weights are fitted on; the others choose."""
WorkingPoints = tuple[tuple[float, float | None], ...]
ATTEMPTS: WorkingPoints = ((1.0, None), (2.0, 0.0), (0.5, None), (2.0, None))
"""Multiples of the calibration's swing, and offsets (`CalibrateConfig`), tried in turn
until one is good enough."""
CARRIED: WorkingPoints = ((4.0, 40e-3), (6.0, 60e-3), (2.0, 20e-3), (2.0, None))
"""What is tried before these where noise is carried. The more a state moves its neuron
the less a spike counts, and with it the rhythm of regular spikes; a neuron far above
threshold answers it by a line, and in time."""
FIRST: dict[str, WorkingPoints] = {
    "softplus": ((2.0, 0.0),),
    "relu": ((1.0, -4e-3),),
}
"""What is tried before these. A softplus unit far below zero still says something, and
a relu unit just below it is about to, where the neuron nearest in shape is silent."""
CLOSE = 1.5
"""Distance of the states at which no other is looked for, in distances of two runs of
the rate network."""
FIRMER, QUIETER, NOISIER = 10.0, 3.0, 3.0
"""Factors on the ridge, the trials without input and the membrane noise."""
SLOW = 1.03
"""Ratio of τ beyond which a lag is tried."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What a conversion may cost.

    Attributes:
        copies: neurons for each unit, at most; those that are asked for if more.
        rate: mean firing rate in the task, in Hz; None for any.
        seconds: after which no other calibration is tried.
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


class Outcome(NamedTuple):
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
    best: Outcome | None = None
    stop: float = 0.0
    longest: float = 0.0

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
            candidate = self._look(calibration, tried)
            self.candidates.append(candidate)
            outcome = Outcome(candidate, calibration, tried)
            if self.best is None or self._rank(outcome) > self._rank(self.best):
                self.best = outcome
            if not every_round and self.is_right(candidate):
                break
        self.longest = max(self.longest, time.monotonic() - begun)

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
        return time.monotonic() + factor * self.longest <= self.stop

    def _rank(self, outcome: Outcome) -> tuple[float, ...]:
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

    def _look(self, calibration: Calibration, tried: Try) -> Candidate:
        """Return how the last network of a calibration does."""
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
        return self._compare(candidate, calibration, tried, states)

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


def choose(
    rate: RateRNN,
    trials: Trials,
    *,
    score: Score,
    seed: int,
    config: CalibrateConfig,
    constants: LIFConstants,
    copies: int,
    budget: Budget,
    good_enough: float,
    progress: Progress,
) -> Conversion:
    """Return the best calibration of a rate network that was found.

    Args:
        rate: the network.
        trials: what it is shown, in its own steps, at least 4.
        score: the task's rule.
        seed: of all noise.
        config: of the calibration; swings and ridges tried are multiples of its own.
        constants: of the neurons.
        copies: neurons for each unit, at least.
        budget: what the conversion may cost.
        good_enough: accuracy, as a fraction of the rate network's on the same trials.
        progress: is given the steps as they pass.
    """
    begun = time.monotonic()
    # judged on others, or the fit with the most freedom would win; two of each kind
    # at least, as moments are about the mean of the trials
    fitted = min(max(2, round(FITTED * trials.batch)), trials.batch - 2)
    judged = subset(trials, slice(fitted, None))
    carried = rate.noise_std > 0 and config.current_noise > 0
    outputs, reference = _reference(rate, judged, seed, look=carried)
    search = ChoiceSearch(
        rate=rate,
        fitted=subset(trials, slice(0, fitted)),
        judged=judged,
        score=score,
        seed=seed,
        # a share of what the rate network itself can do, which may be little
        enough=good_enough * float(score(outputs, judged).mean()),
        budget=budget,
        reference=reference,
        progress=progress,
        stop=begun + budget.seconds,
    )
    base = Try(config, constants, copies)
    ended = _search(search, base)
    best = search.best
    assert best is not None
    wide = rate if best.tried.copies == 1 else replicate(rate, best.tried.copies)
    return Conversion(
        network=best.calibration.networks[-1],
        rate=wide,
        constants=best.calibration.constants,
        method="calibrate",
        chosen=best.candidate,
        candidates=tuple(search.candidates),
        residual=best.calibration.residual,
        state_floor=None if reference is None else reference.floor,
        why=_why(search, best.candidate, ended),
    )


def _search(search: ChoiceSearch, base: Try) -> str:
    """Try one thing after another; return what ended it."""
    carried = search.reference is not None
    first = FIRST.get(search.rate.activation, ())
    early = len(first) + len(CARRIED) * carried
    points = (*first, *(CARRIED if carried else ()), *ATTEMPTS)
    for number, tried in enumerate(_at_points(base, points), 1):
        # the points behind the first are for networks that are not right yet
        if number > early and any(map(search.is_right, search.candidates)):
            break
        if search.best is not None and not search.has_time():
            return "time"
        search.attempt(tried, every_round=not carried)
        if search.is_close():
            return "close"
    if not carried or search.best is None or not search.is_right(search.best.candidate):
        return "all"
    for vary in VARIATIONS:
        if (varied := vary(search.best)) is not None:
            if not search.has_time():
                return "time"
            search.attempt(varied)
            if search.is_close():
                return "close"
    # more neurons take longer: the fits are of as many weights squared
    while 2 * search.best.tried.copies <= search.budget.copies:
        more = 2 * search.best.tried.copies
        if not search.has_time(4.0):
            return "time"
        search.attempt(search.best.tried._replace(copies=more), every_round=False)
        if search.is_close():
            return "close"
        if search.best.tried.copies < more:
            break  # more did no good
    return "all"


def _at_points(base: Try, points: WorkingPoints) -> Iterator[Try]:
    """Yield what is tried at each of the working points, each once."""
    config = base.config
    pairs = [
        (factor, offset if config.offset is None else config.offset)
        for factor, offset in points
    ]
    # with an offset of the user's own, some of them fall together
    for factor, offset in dict.fromkeys(pairs):
        swing = factor * config.swing
        yield base._replace(
            config=dataclasses.replace(config, swing=swing, offset=offset)
        )


def _firmer(best: Outcome) -> Try:
    """Weights nearer to the rate network's own: least squares takes noise for doubt."""
    config = best.tried.config
    return best.tried._replace(
        config=dataclasses.replace(config, ridge=FIRMER * config.ridge)
    )


def _quieter(best: Outcome) -> Try:
    """More trials without input: large states of a task say little of rest."""
    config = best.tried.config
    return best.tried._replace(
        config=dataclasses.replace(config, rest=QUIETER * config.rest)
    )


def _sooner(best: Outcome) -> Try | None:
    """Faster synapses, where neurons are too slow: for the delay of their own."""
    ratio, config = best.candidate.tau_ratio, best.tried.config
    if ratio is None or ratio < SLOW:
        return None
    lag = config.lag + 0.5 * best.tried.constants.dt
    return best.tried._replace(config=dataclasses.replace(config, lag=lag))


def _noisier(best: Outcome) -> Try | None:
    """More membrane noise, where there may be some: it blurs the rhythm of spikes."""
    if not best.tried.config.membrane_noise:
        return None
    constants = best.tried.constants
    return best.tried._replace(
        constants=dataclasses.replace(
            constants, noise_std=NOISIER * constants.noise_std
        )
    )


VARIATIONS = (_firmer, _quieter, _sooner, _noisier)
"""What is tried at the best so far; None where it does not apply."""


def _reference(
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


def _why(search: ChoiceSearch, best: Candidate, ended: str) -> str:
    """Return in words why this one, and why no other was looked for."""
    tried = len(search.candidates)
    count = "One network was" if tried == 1 else f"{tried} networks were"
    if not search.is_right(best):
        said = "None of them answers well enough: the best of all."
    elif not search.is_allowed(best):
        said = (
            f"All that answer well enough fire at more than {search.budget.rate:g} Hz: "
            "the one that fires least."
        )
    elif search.reference is None:
        said = "It answers well enough."
    else:
        far = distance_of(best) / search.reference.floor
        said = (
            "Of those that answer well enough its state is nearest to the rate "
            f"network's: {far:.2g} times as far as that of the rate network's next run."
        )
    lost = sum(candidate.elsewhere for candidate in search.candidates)
    if lost:
        said += f" In another state, and left out: {lost}."
    endings = {
        "time": f" The search ended after {search.budget.seconds:g} s.",
        "close": " No nearer one was looked for.",
        "all": "",
    }
    return f"{count} tried. {said}{endings[ended]}"
