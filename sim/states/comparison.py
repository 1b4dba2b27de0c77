"""`StateComparison`: two stages compared by their states, and every unit in a table."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

from isotau.convert.ground.representation import short_repr
from isotau.sim.states.decide import Decision, Margins, share_of_errors
from isotau.sim.states.frames import frame_of
from isotau.sim.states.memory_states import Switching
from isotau.sim.states.of_units import HALF, not_beyond, not_within
from isotau.sim.states.paired import PairedTau
from isotau.sim.states.state_shape import StateShape

if TYPE_CHECKING:
    import pandas


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StateComparison:
    """Two stages compared by their states.

    Attributes:
        a: name of the first stage.
        b: name of the second.
        decision: what was found.
        pair: every unit's timescales at both.
        floor: of the first stage's two runs: half as many trials.
        memory: states that each of the stages visits; with several, timescales are
            those within a state.
        look: at which it was decided, from 1.
        trials: of each stage, both runs together.
        length: of a trial, in seconds.
        margins: what counts as preserved.
        shapes: more of each stage's autocorrelations.
        lengths: trials that were tried, shortest first: how long, in seconds, and the
            median τ of the first stage in them, in seconds.
        units: what they are, in the plural.
    """

    a: str
    b: str
    decision: Decision
    pair: PairedTau
    floor: PairedTau
    memory: tuple[Switching, Switching]
    look: int
    trials: int
    length: float
    margins: Margins
    shapes: tuple[StateShape, StateShape]
    lengths: tuple[tuple[float, float], ...] = ()
    units: str = "neurons"

    @property
    def surely_beyond(self) -> Bool[np.ndarray, " n"]:
        """Units that are shown, each by itself, to be beyond their margin."""
        tail = share_of_errors(self.margins.alpha, self.look)
        return not_beyond(self.pair, self.margins.unit) < tail

    def to_frame(self) -> "pandas.DataFrame":
        """Return a row for each unit: times in seconds, ratios b over a.

        Raises:
            ImportError: without pandas (`pip install isotau[frames]`).
        """
        pair, unit = self.pair, self.margins.unit
        columns: dict[str, np.ndarray] = {"unit": np.arange(len(pair.both))}
        for name, tau, shape in zip(
            (self.a, self.b), (pair.a, pair.b), self.shapes, strict=True
        ):
            low, high = tau.interval()
            columns |= {
                f"tau_{name}": tau.tau,
                f"low_{name}": low,
                f"high_{name}": high,
                f"sd_{name}": tau.sd,
                f"tau_integral_{name}": shape.tau_integral,
                f"tau_exponential_{name}": shape.tau_exponential,
                f"offset_{name}": shape.offset,
                f"frequency_{name}": shape.frequency,
                f"damping_time_{name}": shape.damping_time,
            }
        columns |= {
            "ratio": np.exp(pair.log_ratio),
            "ratio_error": pair.error,
            "kept": not_within(pair, unit) < HALF,
            "lost": self.surely_beyond,
        }
        return frame_of(columns)
