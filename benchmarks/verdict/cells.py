"""Pairs of stages whose timescales are known: how often each outcome is reached.

Units are Ornstein–Uhlenbeck processes, sampled exactly. Trials are added as for
networks, without a clock, so that what is decided does not depend on the machine.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from scipy.signal import lfilter
from threadpoolctl import threadpool_limits

from isotau.sim.states import (
    Margins,
    Outcome,
    StateBudget,
    StateSource,
    StateTrials,
    compare_states,
)
from isotau.sim.states.in_words import TAIL

INTERVAL, LENGTH = 0.02, 4.0
"""Seconds between samples, and of a trial."""
FASTEST, SLOWEST = 0.04, 0.2
"""Seconds: τ are spread evenly on a log scale between."""
TRIALS = 160
"""Of each of a stage's two runs, at most, if a cell does not say otherwise."""
DWELL = 3.0
"""Seconds for which a memory state is kept."""
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One kind of pair.

    Attributes:
        name: what the second stage is.
        change: makes its τ of the first one's.
        wrong: outcomes that are errors.
        ratio: the network's true ratio; None where units differ.
        units: how many.
        memory: whether both stages switch between two memory states.
        shared: share of every unit's noise that is one noise of all.
        trials: of each of a stage's two runs, at most.
    """

    name: str
    change: Change
    wrong: tuple[Outcome, ...]
    ratio: float | None = 1.0
    units: int = 30
    memory: bool = False
    shared: float = 0.0
    trials: int = TRIALS


def times(factor: float) -> Change:
    """Return a change of all τ by a factor."""
    return lambda tau, _: factor * tau


def some(share: float, factor: float) -> Change:
    """Return a change of a share of the τ by a factor."""

    def change(tau: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        off = rng.permutation(len(tau)) < round(share * len(tau))
        return np.where(off, factor * tau, tau)

    return change


def scattered(sd: float) -> Change:
    """Return a change of every τ by a factor of its own: their logs have this SD.

    Quantiles of a Gaussian, dealt out at random: as many units are beyond a margin in
    every pair.
    """

    def change(tau: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        dealt = stats.norm.ppf((np.arange(len(tau)) + 0.5) / len(tau))
        return np.asarray(tau * np.exp(sd * rng.permutation(dealt)))

    return change


SAME = (Outcome.NOT_PRESERVED, Outcome.SHIFTED)
GONE = (Outcome.PRESERVED,)
EDGE = f"scatter of {Margins().spread:.3f}, the margin"
COUNT = "6 % of the units slower by 20 %"
CELLS = (
    Cell(name="the same", change=times(1.0), wrong=SAME),
    Cell(name="the same", change=times(1.0), wrong=SAME, units=10),
    Cell(name="the same", change=times(1.0), wrong=SAME, units=100),
    Cell(name="the same, memory states", change=times(1.0), wrong=SAME, memory=True),
    Cell(name="the same, shared noise", change=times(1.0), wrong=SAME, shared=0.5),
    Cell(name="scatter of 0.03", change=scattered(0.03), wrong=SAME),
    Cell(
        name="slower by 5 %",
        change=times(1.05),
        wrong=(Outcome.PRESERVED, Outcome.NOT_PRESERVED),
        ratio=1.05,
    ),
    Cell(name="slower by 10 %, the margin", change=times(1.1), wrong=GONE, ratio=1.1),
    Cell(name="faster by 10 %", change=times(0.9), wrong=GONE, ratio=0.9),
    Cell(
        name="slower by 10 %, memory states",
        change=times(1.1),
        wrong=GONE,
        ratio=1.1,
        memory=True,
    ),
    Cell(name="slower by 20 %", change=times(1.2), wrong=GONE, ratio=1.2),
    Cell(name=EDGE, change=scattered(Margins().spread), wrong=GONE, ratio=None),
    Cell(
        name=EDGE,
        change=scattered(Margins().spread),
        wrong=GONE,
        ratio=None,
        units=100,
    ),
    Cell(
        name=f"{EDGE}, shared noise",
        change=scattered(Margins().spread),
        wrong=GONE,
        ratio=None,
        shared=0.5,
    ),
    Cell(
        name=f"{EDGE}, memory states",
        change=scattered(Margins().spread),
        wrong=GONE,
        ratio=None,
        memory=True,
    ),
    Cell(name=COUNT, change=some(0.06, 1.2), wrong=(), ratio=None, units=100),
    Cell(
        name="10 % of the units slower by 30 %",
        change=some(0.1, 1.3),
        wrong=GONE,
        ratio=None,
        trials=2 * TRIALS,
    ),
    Cell(
        name="10 % of the units slower by 30 %",
        change=some(0.1, 1.3),
        wrong=GONE,
        ratio=None,
        units=100,
        trials=2 * TRIALS,
    ),
    Cell(
        name="scatter of 0.07",
        change=scattered(0.07),
        wrong=(Outcome.NOT_PRESERVED,),
        ratio=1.0,
    ),
    Cell(name="scatter of 0.12", change=scattered(0.12), wrong=GONE, ratio=None),
    Cell(name="scatter of 0.25", change=scattered(0.25), wrong=GONE, ratio=None),
)


def measure_cell(cell: Cell, pairs: int, seed: int) -> dict[str, Any]:
    """Return how often each outcome is reached, and how often intervals are right."""
    outcomes: Counter[str] = Counter()
    covered: list[bool] = []
    of_units: list[float] = []
    trials: list[int] = []
    with threadpool_limits(1):
        for number in range(pairs):
            rng = np.random.default_rng([seed, number])
            tau = np.geomspace(FASTEST, SLOWEST, cell.units)
            stages = (tau, cell.change(tau, rng))
            (found,) = compare_states(
                [
                    _source(name, value, cell)
                    for name, value in zip("ab", stages, strict=True)
                ],
                [("a", "b")],
                budget=StateBudget(seconds=1e9, trials=cell.trials),
                seed=int(rng.integers(2**62)),
            )
            outcomes[found.decision.outcome.value] += 1
            trials.append(found.trials)
            low, high = found.pair.network.ends(TAIL)
            if cell.ratio is not None:
                covered.append(bool(low <= np.log(cell.ratio) <= high))
            ends = found.pair.a.interval()
            known = found.pair.a.known
            of_units.append(float(((ends[0] <= tau) & (tau <= ends[1]))[known].mean()))
    return {
        "name": cell.name,
        "pairs": pairs,
        "units": cell.units,
        "outcomes": {each.value: outcomes[each.value] for each in Outcome},
        "wrong": sum(outcomes[each.value] for each in cell.wrong),
        "errors": [each.value for each in cell.wrong],
        "covered": float(np.mean(covered)) if covered else None,
        "units_covered": float(np.mean(of_units)),
        "seconds_simulated": LENGTH * float(np.median(trials)),
    }


def _source(name: str, tau: np.ndarray, cell: Cell) -> StateSource:
    """Return a stage of such units."""
    keep = np.exp(-INTERVAL / tau)
    means = 5 * np.random.default_rng(0).standard_normal((2, len(tau)))

    def draw(trials: int, first: int, length: float, seed: int) -> StateTrials:
        rng = np.random.default_rng([seed, first])
        # One more sample, as it was before the first, from which each one starts.
        steps = round(length / INTERVAL)
        x = rng.standard_normal((steps + 1, trials, len(tau)))
        if cell.shared:
            common = rng.standard_normal((steps + 1, trials, 1))
            x *= np.sqrt(1 - cell.shared)
            x += np.sqrt(cell.shared) * common
        for k, a in enumerate(keep):
            start, noise = x[:1, :, k] * a, x[1:, :, k] * np.sqrt(1 - a**2)
            x[1:, :, k], _ = lfilter([1], [1, -a], noise, axis=0, zi=start)
        x = x[1:]
        if cell.memory:
            begin = rng.integers(2, size=trials)
            changes = rng.random((steps, trials)) < INTERVAL / DWELL
            x += means[(begin + changes.cumsum(axis=0)) % 2]
        return StateTrials(x)

    return StateSource(name=name, interval=INTERVAL, n=len(tau), draw=draw)
