"""Stages are watched until it is known whether they share their timescales.

Trials are added, each time as many as there have been, until every comparison is
decided or the time is spent. Every stage is run twice, with noise of its own: together
the runs are compared with other stages, and with each other they are the floor.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from isotau.convert.ground import validation
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.sim.states.autocovariance import (
    BLOCKS,
    BlockedAutocovariance,
    added,
    autocovariance_blocks,
)
from isotau.sim.states.comparison import StateComparison
from isotau.sim.states.decide import Margins, Outcome, decide
from isotau.sim.states.memory_states import (
    MemoryModel,
    Switching,
    find_memory_states,
    switching,
)
from isotau.sim.states.paired import PairedTau, paired
from isotau.sim.states.state_shape import StateShape, state_shape
from isotau.sim.states.state_tau import StateTau, state_tau

SHORTEST, LONGEST = 4.0, 32.0
"""Seconds of a trial: at first, and at most where units remember for longer."""
FIRST = 100
"""Trials in which memory states are looked for, at most, at every look."""
BEYOND = 0.05
"""Share of the units that may remember for longer than the window."""
BEGIN = 320.0
"""Seconds of each run before anything is decided: memory states may be rare."""
LEAST = 0.2
"""Share of the trials that there are for which it is worth to look again."""
MOST_NUMBERS = 1 << 23
"""Of all units in the trials that are held at a time."""


Lengths = tuple[tuple[float, float], ...]


@short_repr
class StateTrials(NamedTuple):
    """What units did in some trials.

    Attributes:
        x: states.
        conditions: of the trials, each of which has a mean of its own; None of trials
            that are all alike.
    """

    x: Float64[np.ndarray, "samples trials n"]
    conditions: Int64[np.ndarray, " trials"] | None = None


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StateSource:
    """Where states of one stage come from.

    Attributes:
        name: of the stage.
        interval: seconds between two samples.
        n: units.
        draw: returns what they do in so many trials from the first one on, for so many
            seconds, by a seed.
        longest: seconds that a trial can have, at most.
        held: numbers of a sample that drawing takes, if more than units.
        units: what they are, in the plural.
    """

    name: str
    interval: float
    n: int
    draw: Callable[[int, int, float, int], StateTrials]
    longest: float = LONGEST
    held: int = 0
    units: str = "neurons"

    @property
    def numbers(self) -> int:
        """Numbers of a sample that are held."""
        return max(self.n, self.held)


@dataclass(frozen=True, kw_only=True, slots=True)
class StateBudget:
    """What a comparison may cost.

    Attributes:
        seconds: after which no more trials are begun.
        trials: of each of a stage's two runs, at most.
    """

    seconds: float = 30.0
    trials: int = 1 << 14

    def __post_init__(self) -> None:
        """Check every number."""
        validation.number("seconds", self.seconds, minimum=0)
        validation.whole("trials", self.trials, BLOCKS, 1 << 24)


@short_repr
class ShownSoFar(NamedTuple):
    """What a stage has shown of its timescales.

    Attributes:
        tau: of both runs together.
        shape: of their autocorrelations.
        floor: one run beside the other.
    """

    tau: StateTau
    shape: StateShape
    floor: PairedTau


@short_repr
@dataclass(kw_only=True, slots=True, eq=False)
class WatchedStage:
    """A stage, and what two runs of it have shown so far.

    Trials that were begun and do not count were watched without knowing all states.

    Attributes:
        source: where its states come from.
        length: of a trial, in seconds.
        seeds: of the two runs.
        model: memory states that are known.
        begun: trials of each run that were begun.
        trials: of each run that count.
        runs: autocovariances of both; None before any trial.
        memory: how long memory states are kept.
    """

    source: StateSource
    length: float
    seeds: tuple[int, int]
    model: MemoryModel
    begun: int = 0
    trials: int = 0
    runs: list[BlockedAutocovariance] | None = None
    memory: Switching = field(default_factory=Switching)

    def watch(self, trials: int) -> None:
        """Add so many trials to each of the two runs.

        Where they visit more memory states than were known, all begins anew with them.
        """
        interval = self.source.interval
        samples = round(self.length / interval)
        # Blocks want as many trials each: whole rounds of them.
        together = (
            max(1, MOST_NUMBERS // (samples * self.source.numbers * BLOCKS)) * BLOCKS
        )
        for first in range(self.begun, self.begun + trials, together):
            count = min(together, self.begun + trials - first)
            drawn = [
                self.source.draw(count, first, self.length, seed) for seed in self.seeds
            ]
            self._know(drawn)
            parts = [self._measured(each, samples // 2) for each in drawn]
            pairs = zip(self.runs, parts, strict=True) if self.runs else None
            self.runs = [added(*pair) for pair in pairs] if pairs else parts
            self.trials += count
        self.begun += trials

    def _know(self, drawn: Sequence[StateTrials]) -> None:
        """Look for memory states that were not known."""
        shown = np.concatenate(
            [about_conditions(each)[:, :FIRST] for each in drawn], axis=1
        )
        if self.model.knows(shown, self.source.interval):
            return
        found = find_memory_states(shown, self.source.interval)
        if found.count > self.model.count:
            self.model, self.runs, self.trials = found, None, 0
            self.memory = Switching()

    def _measured(self, drawn: StateTrials, lags: int) -> BlockedAutocovariance:
        """Return the autocovariances of trials within their memory states."""
        interval, x = self.source.interval, about_conditions(drawn)
        labels = self.model.labels(x, interval)
        inner = self.model.within(x, labels)
        self.memory = self.memory.plus(switching(x, inner, labels, interval))
        return autocovariance_blocks(
            inner.x, interval, lags, conditions=drawn.conditions, seen=inner.seen
        )

    def lengthen(self, length: float) -> None:
        """Begin anew with trials of so many seconds."""
        self.length, self.runs, self.trials = length, None, 0
        self.memory = Switching()

    def seen(self) -> BlockedAutocovariance:
        """Return the autocovariances of both runs together."""
        assert self.runs is not None
        return added(*self.runs)

    def shown(self) -> ShownSoFar:
        """Return what both runs have shown of the timescales."""
        assert self.runs is not None
        seen = self.seen()
        return ShownSoFar(
            tau=state_tau(seen),
            shape=state_shape(seen),
            floor=paired(*map(state_tau, self.runs)),
        )


def compare_states(
    stages: Sequence[StateSource],
    pairs: Sequence[tuple[str, str]],
    *,
    margins: Margins | None = None,
    budget: StateBudget | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> list[StateComparison]:
    """Return whether stages share their timescales, from as many trials as that takes.

    Args:
        stages: of the same units; the first one's memory says how long trials are.
        pairs: names of the stages that are compared.
        margins: what counts as preserved.
        budget: what it may cost.
        seed: of all noise.
        progress: is given the looks as they pass.

    Raises:
        ValueError: stages of other units or intervals, or a name that is none of them.
    """
    margins, budget = margins or Margins(), budget or StateBudget()
    _check(stages, pairs)
    words = np.random.SeedSequence(seed).generate_state(3 * len(stages), np.uint64)
    seeds = [int(word >> np.uint64(1)) for word in words]
    models = {stage.name: first_look(stage, seeds[k]) for k, stage in enumerate(stages)}
    # Only now: what is drawn first may have had to be compiled.
    begun = time.monotonic()
    until = begun + budget.seconds / 4
    lengths = tried_lengths(stages[0], models[stages[0].name], seeds[0], until)
    watched = {
        stage.name: WatchedStage(
            source=stage,
            length=lengths[-1][0],
            seeds=(seeds[len(stages) + 2 * k], seeds[len(stages) + 2 * k + 1]),
            model=models[stage.name],
        )
        for k, stage in enumerate(stages)
    }
    decided: dict[tuple[str, str], StateComparison] = {}
    share = 1.0
    for look in progress(range(1, 65), "looks at states"):
        last = time.monotonic()
        undecided = [pair for pair in pairs if _open(decided.get(pair))]
        needed = {name for pair in undecided for name in pair}
        for name in needed:
            stage = watched[name]
            more = share * stage.begun if stage.begun else BEGIN / stage.length
            stage.watch(_rounds(min(more, budget.trials)))
        shown = {name: watched[name].shown() for name in needed}
        for first, second in undecided:
            decided[first, second] = _compared(
                watched[first],
                watched[second],
                shown[first],
                shown[second],
                lengths=lengths,
                look=look,
                margins=margins,
            )
        before = lengths[-1][0]
        lengths = _longer(watched, [decided[pair] for pair in undecided], lengths)
        most = max(watched[name].begun for name in needed)
        if not any(map(_open, decided.values())) or 2 * most > budget.trials:
            break
        # The next look takes twice as long as this one, or what time is left for it;
        # of longer trials the more.
        now = time.monotonic()
        takes = 2 * (now - last) * lengths[-1][0] / before
        share = min(1.0, (begun + budget.seconds - now) / takes)
        if share < LEAST:
            break
    return [decided[pair] for pair in pairs]


def _rounds(trials: float) -> int:
    """Return about so many trials: whole rounds of blocks, one at least."""
    return BLOCKS * max(1, int(trials // BLOCKS))


def _longer(
    watched: Mapping[str, WatchedStage],
    compared: Sequence[StateComparison],
    lengths: Lengths,
) -> Lengths:
    """Make trials twice as long if units turn out to remember for longer than these.

    What was watched then counts no more. Returns which lengths were tried.
    """
    pairs = [each.pair for each in compared if _open(each)]
    short = any(
        stage.beyond.sum() > BEYOND * max(1, stage.moving.sum())
        for pair in pairs
        for stage in (pair.a, pair.b)
    )
    length = 2 * lengths[-1][0]
    if not short or length > min(stage.source.longest for stage in watched.values()):
        return lengths
    for stage in watched.values():
        stage.lengthen(length)
    known = pairs[0].a.tau[pairs[0].a.known]
    median = float(np.median(known)) if known.size else np.nan
    return (*lengths[:-1], (lengths[-1][0], median), (length, np.nan))


def _open(comparison: StateComparison | None) -> bool:
    if comparison is None:
        return True
    return comparison.decision.outcome is Outcome.NOT_IDENTIFIABLE


def _compared(
    a: WatchedStage,
    b: WatchedStage,
    first: ShownSoFar,
    second: ShownSoFar,
    *,
    lengths: Lengths,
    look: int,
    margins: Margins,
) -> StateComparison:
    """Return what two stages say at a look."""
    pair = paired(first.tau, second.tau)
    return StateComparison(
        a=a.source.name,
        b=b.source.name,
        decision=decide(pair, margins, look, (first.floor, second.floor)),
        pair=pair,
        floor=first.floor,
        memory=(a.memory, b.memory),
        look=look,
        trials=2 * min(a.trials, b.trials),
        length=a.length,
        margins=margins,
        shapes=(first.shape, second.shape),
        lengths=lengths,
        units=a.source.units,
    )


def about_conditions(drawn: StateTrials) -> Float64[np.ndarray, "samples trials n"]:
    """Return states about the mean of their condition, where trials have one.

    What all trials of a condition do is no memory state.
    """
    if drawn.conditions is None:
        return drawn.x
    x = drawn.x.copy()
    for group in np.unique(drawn.conditions):
        mine = drawn.conditions == group
        x[:, mine] -= x[:, mine].mean(axis=1, keepdims=True)
    return x


def first_look(stage: StateSource, seed: int) -> MemoryModel:
    """Return which memory states a stage visits; its trials are for nothing else.

    Args:
        stage: where the states come from.
        seed: of its noise.
    """
    length = min(SHORTEST, stage.longest)
    each = round(length / stage.interval) * stage.numbers
    trials = int(np.clip(MOST_NUMBERS // each, BLOCKS, FIRST))
    drawn = stage.draw(trials, 0, length, seed)
    return find_memory_states(about_conditions(drawn), stage.interval)


def tried_lengths(
    stage: StateSource, model: MemoryModel, seed: int, until: float
) -> Lengths:
    """Return which lengths of trials were tried for what a stage remembers.

    The last one is long enough, or the longest; with each the median τ in it.

    Args:
        stage: where the states come from.
        model: its memory states.
        seed: of its noise.
        until: time of `time.monotonic` after which nothing longer is tried.
    """
    length, interval = min(SHORTEST, stage.longest), stage.interval
    tried: list[tuple[float, float]] = []
    while True:
        drawn = stage.draw(BLOCKS, 0, length, seed)
        x = about_conditions(drawn)
        inner = model.within(x, model.labels(x, interval))
        tau = state_tau(
            autocovariance_blocks(
                inner.x,
                interval,
                len(x) // 2,
                conditions=drawn.conditions,
                seen=inner.seen,
            )
        )
        known = tau.tau[tau.known]
        tried.append((length, float(np.median(known)) if known.size else np.nan))
        enough = tau.beyond.sum() <= BEYOND * max(1, tau.moving.sum())
        if enough or 2 * length > stage.longest or time.monotonic() > until:
            return tuple(tried)
        length *= 2


def _check(stages: Sequence[StateSource], pairs: Sequence[tuple[str, str]]) -> None:
    """Refuse stages that cannot be compared."""
    names = [stage.name for stage in stages]
    for stage in stages:
        for name in ("n", "interval"):
            ours, theirs = getattr(stages[0], name), getattr(stage, name)
            if ours != theirs:
                raise ValueError(
                    f"{name}: got {theirs} at {stage.name}, need {ours} as at "
                    f"{names[0]}"
                )
    for pair in pairs:
        for name in pair:
            validation.choice("pairs", name, tuple(names))
