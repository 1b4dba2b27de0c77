"""One network's timescales: that of every unit's state, in as many trials as it takes.

Trials are added, each time as many as there have been, until nearly every unit's τ is
known well enough or the time is spent. Where the network has memory states, timescales
are those within one.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from isotau.convert.ground import validation
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.stage import Network, stage_name
from isotau.sim.states.autocovariance import BLOCKS
from isotau.sim.states.frames import frame_of
from isotau.sim.states.memory_states import Switching
from isotau.sim.states.observables import epoch_of, network_source
from isotau.sim.states.sequence import (
    StateBudget,
    StateSource,
    WatchedStage,
    first_look,
    tried_lengths,
)
from isotau.sim.states.state_shape import StateShape, state_shape
from isotau.sim.states.state_tau import StateTau, state_tau
from isotau.sim.tasks.task import Task

if TYPE_CHECKING:
    import pandas

SECONDS = 10.0
"""For which a network is watched, at most, if nothing else is said."""
PRECISE, SHARE = 0.10, 0.95
"""Up to which a τ's interval may reach beyond it, and share of the units whose does."""
OK, BEYOND, STILL = "ok", "beyond the window", "does not move"
"""What a unit's status can be."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MeasuredStates:
    """Timescales of one network.

    Attributes:
        tau: of every unit's state.
        shape: more of the autocorrelations.
        memory: states that the network visits; with several, timescales are those
            within a state.
        trials: that were looked at.
        length: of a trial, in seconds.
        observable: what was watched.
        epoch: when.
    """

    tau: StateTau
    shape: StateShape
    memory: Switching
    trials: int
    length: float
    observable: str
    epoch: str

    @property
    def n(self) -> int:
        """How many units."""
        return len(self.tau.tau)

    @property
    def statuses(self) -> tuple[str, ...]:
        """What became of every unit: it has a τ, is too slow, or does not move."""
        known, beyond = self.tau.known, self.tau.beyond
        return tuple(
            OK if known[k] else BEYOND if beyond[k] else STILL for k in range(self.n)
        )

    def columns(self) -> dict[str, np.ndarray]:
        """Return every unit's numbers by their names: the columns of a table.

        Times are in seconds, frequencies in Hz; τ and its 95 % interval are NaN unless
        the status is ok, and what an autocorrelation does not tell is NaN.
        """
        low, high = self.tau.interval()
        shape = self.shape
        return {
            "unit": np.arange(self.n),
            "tau_s": np.where(self.tau.known, self.tau.tau, np.nan),
            "low_s": low,
            "high_s": high,
            "sd": self.tau.sd,
            "tau_integral_s": shape.tau_integral,
            "tau_exponential_s": shape.tau_exponential,
            "offset": shape.offset,
            "oscillating": shape.oscillating,
            "frequency_hz": shape.frequency,
            "damping_s": shape.damping_time,
            "status": np.array(self.statuses, dtype=object),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """Return a row for each unit, with the columns of `columns`.

        Raises:
            ImportError: without pandas (`pip install isotau[frames]`).
        """
        return frame_of(self.columns())


def measure_states(
    net: Network,
    *,
    observable: str = "state",
    epoch: str = "rest",
    task: Task | str | None = None,
    budget: StateBudget | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> MeasuredStates:
    """Return the timescales of a network's states, unit by unit.

    Trials are doubled until 95 % of the units that move have a τ whose 95 % interval
    is within ±10 %, or the budget is spent.

    Args:
        net: a rate, LIF or fixed-point network.
        observable: state (x, i or u), rate (spikes filtered with 20 ms; a rate
            network's rates), kappa (of a low-rank rate network's modes), or output.
        epoch: rest, fixation, delay or after; all but rest need a task.
        task: what is shown, or its name.
        budget: what it may cost; ten seconds if not given.
        seed: of all noise.
        progress: is given the looks as they pass.

    Raises:
        ValueError: an epoch without a task, or a network that does not fit the task or
            the observable.
    """
    validation.whole("seed", seed, 0, 2**63 - 1)
    source = states_of(net, observable=observable, epoch=epoch, task=task)
    budget = budget or StateBudget(seconds=SECONDS)
    begun = time.monotonic()
    words = np.random.SeedSequence(seed).generate_state(3, np.uint64)
    first, *runs = (int(word >> np.uint64(1)) for word in words)
    model = first_look(source, first)
    # What it takes to find the length is taken from the same budget.
    lengths = tried_lengths(source, model, first, begun + budget.seconds / 4)
    watched = WatchedStage(
        source=source, length=lengths[-1][0], seeds=(runs[0], runs[1]), model=model
    )
    for _ in progress(range(1, 65), "looks at states"):
        last = time.monotonic()
        watched.watch(max(BLOCKS, watched.begun))
        seen = watched.seen()
        tau = state_tau(seen)
        took = time.monotonic() - last
        if is_precise(tau) or 2 * watched.begun > budget.trials:
            break
        # The next look has twice as many new trials as this one had.
        if time.monotonic() + 2 * took > begun + budget.seconds:
            break
    return MeasuredStates(
        tau=tau,
        shape=state_shape(seen),
        memory=watched.memory,
        trials=2 * watched.trials,
        length=watched.length,
        observable=observable,
        epoch=epoch,
    )


def states_of(
    net: Network,
    *,
    observable: str = "state",
    epoch: str = "rest",
    task: Task | str | None = None,
) -> StateSource:
    """Return where the states come from that `measure_states` measures.

    Args:
        net: as for `measure_states`.
        observable: likewise.
        epoch: likewise.
        task: likewise.

    Raises:
        ValueError: as `measure_states`.
    """
    name = stage_name(net)
    # First: what cannot be watched is told before what is shown.
    interval = network_source(net, name, observable=observable).interval
    shown = epoch_of(net, epoch, task, interval)
    return network_source(net, name, observable=observable, epoch=shown)


def is_precise(tau: StateTau) -> bool:
    """Return whether nearly all units that move have a τ that is known well enough."""
    high = tau.interval()[1]
    with np.errstate(invalid="ignore"):
        precise = high <= (1 + PRECISE) * tau.tau
    return bool(precise.sum() >= SHARE * tau.moving.sum())
