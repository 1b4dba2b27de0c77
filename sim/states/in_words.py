"""A comparison of states in a sentence, and in numbers for JSON."""

import math
from typing import Any

import numpy as np

from isotau.sim.states.comparison import StateComparison
from isotau.sim.states.decide import Outcome
from isotau.sim.states.memory_states import Switching
from isotau.sim.states.paired import PairedTau

NAMES = {"rate": "rate network", "lif": "LIF", "fixed": "chip"}
"""Of stages, for people."""
RHYTHMIC = 0.05
"""Share of units that oscillate from which they are told of."""
TAIL = 0.025
"""Of the intervals that are shown, at either end."""


def sentence(comparison: StateComparison) -> str:
    """Return what was found about two stages, and by how much."""
    decision, pair = comparison.decision, comparison.pair
    a, b = (NAMES.get(name, name) for name in (comparison.a, comparison.b))
    said = {
        Outcome.PRESERVED: f"Timescales are preserved from {a} to {b}",
        Outcome.SHIFTED: f"Timescales are shifted by {decision.ratio - 1:+.1%} from "
        f"{a} to {b}, {_inside(comparison)}",
        Outcome.NOT_PRESERVED: f"Timescales are not preserved from {a} to {b}",
        Outcome.NOT_IDENTIFIABLE: f"It cannot be told yet whether timescales are "
        f"preserved from {a} to {b} ({decision.lacking})",
    }[decision.outcome]
    margins = comparison.margins
    parts = [f"{said}: {_medians(comparison)}{_ratio(pair, margins.ratio)}"]
    parts.append(
        f"{decision.within} of {decision.units} {comparison.units} within "
        f"{margins.unit:.0%}"
    )
    parts.extend(_spread(comparison))
    if decision.beyond:
        parts.append(f"{decision.beyond} surely not")
    parts.extend(_oscillating(comparison))
    slow = int(pair.beyond.sum())
    if slow:
        parts.append(
            f"{slow} remember for longer than {pair.a.window:g} s at both, and count "
            "as kept"
        )
    text = "; ".join(parts) + "."
    if any(memory.states > 1 for memory in comparison.memory):
        text += (
            " The network has memory states, and this is said of timescales within "
            f"one; a state is kept for {_dwell(comparison.memory[0])} in the {a} and "
            f"{_dwell(comparison.memory[1])} in the {b}."
        )
    return text + _too_short(comparison)


def summary(comparison: StateComparison) -> dict[str, Any]:
    """Return the numbers of a comparison, ready for JSON; None where there is none."""
    decision, pair, floor = comparison.decision, comparison.pair, comparison.floor
    low, high = pair.network.ends(TAIL)
    return {
        "a": comparison.a,
        "b": comparison.b,
        "verdict": decision.outcome.value,
        "lacking": decision.lacking,
        "definitions": {
            name: _definition(comparison, name)
            for name in ("tau_integral", "tau_exponential")
        },
        "oscillating": [int(shape.oscillating.sum()) for shape in comparison.shapes],
        "frequency_hz": [_median(shape.frequency) for shape in comparison.shapes],
        "damping_s": [_median(shape.damping_time) for shape in comparison.shapes],
        "median_tau_s": [_number(x) for x in _median_tau(pair)],
        "ratio": [_number(math.exp(x)) for x in (pair.network.value, low, high)],
        "decided_on": [_number(x) for x in (decision.low, decision.high)],
        "units": decision.units,
        "with_tau": int(pair.both.sum()),
        "within": decision.within,
        "beyond": decision.beyond,
        "most_within": [_number(x) for x in _most_within(comparison)],
        "beyond_units": np.flatnonzero(comparison.surely_beyond).tolist(),
        "beyond_the_window": np.flatnonzero(pair.beyond).tolist(),
        "scatter": _number(pair.scatter),
        "true_scatter": _number(pair.true_scatter),
        "order": _number(pair.order),
        "shape": _number(pair.shape),
        "distribution": _number(pair.distribution),
        "floor": {
            name: _number(getattr(floor, name))
            for name in ("scatter", "order", "shape", "distribution")
        },
        "memory": [_memory(memory) for memory in comparison.memory],
        "trials": comparison.trials,
        "length_s": comparison.length,
        "lengths_tried": [
            {"length_s": length, "median_tau_s": _number(tau)}
            for length, tau in comparison.lengths
        ],
        "look": comparison.look,
    }


def _inside(comparison: StateComparison) -> str:
    """Return where the interval of a shift lies."""
    decision, margin = comparison.decision, 1 + comparison.margins.ratio
    inside = 1 / margin < decision.low and decision.high < margin
    return "within the margin" if inside else "about as far as the margin"


def _spread(comparison: StateComparison) -> list[str]:
    """Return within what most units are, if it is known."""
    if not np.isfinite(comparison.decision.spread.error):
        return []
    most, low, high = (100 * x for x in _most_within(comparison))
    share = comparison.margins.share
    return [f"all but {share:.0%} within {most:.1f} % (95 % {low:.1f}–{high:.1f} %)"]


def _most_within(comparison: StateComparison) -> list[float]:
    """Return within what all but a share of the units are, as of a Gaussian: (A13).

    Beside it the ends of its interval.
    """
    spread, margins = comparison.decision.spread, comparison.margins
    widths = np.array([np.sqrt(max(0.0, spread.square)), *spread.ends(TAIL)])
    # As many SDs as the margin of a unit has of the SD that it may be.
    return list(np.expm1(widths * np.log1p(margins.unit) / margins.spread))


def _definition(comparison: StateComparison, name: str) -> dict[str, Any]:
    """Return medians and their ratio by another definition of τ, of units with both."""
    first, second = (getattr(shape, name) for shape in comparison.shapes)
    both = np.isfinite(first) & np.isfinite(second)
    logs = np.log(second[both] / first[both])
    return {
        "units": int(both.sum()),
        "median_tau_s": [_median(first[both]), _median(second[both])],
        "ratio": math.exp(np.median(logs)) if logs.size else None,
    }


def _oscillating(comparison: StateComparison) -> list[str]:
    """Return at which stages neurons oscillate, and how fast; few are left out."""
    return [
        f"{int(shape.oscillating.sum())} oscillate in the {NAMES.get(name, name)} "
        f"(median {np.nanmedian(shape.frequency):.3g} Hz)"
        for name, shape in zip(
            (comparison.a, comparison.b), comparison.shapes, strict=True
        )
        if shape.oscillating.mean() > RHYTHMIC
    ]


def _too_short(comparison: StateComparison) -> str:
    """Return whether τ follows the trials' length, as of a slower process."""
    lengths = [each for each in comparison.lengths if np.isfinite(each[1])]
    if len(lengths) < 2 or not comparison.pair.beyond.any():
        return ""
    tried = ", ".join(f"{1e3 * tau:.3g} ms in {length:g} s" for length, tau in lengths)
    return f" Trials are too short for some: their median τ follows them ({tried})."


def _median(values: np.ndarray) -> float | None:
    """Return the median of what is known; None of nothing."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else None


def _medians(comparison: StateComparison) -> str:
    a, b = _median_tau(comparison.pair)
    if not np.isfinite(a):
        return f"no median, as none of the {comparison.units} has a τ at both"
    return f"median {1e3 * a:.3g} → {1e3 * b:.3g} ms"


def _median_tau(pair: PairedTau) -> tuple[float, float]:
    """Return the median τ of the neurons that have one at both stages."""
    if not pair.both.any():
        return np.nan, np.nan
    return tuple(float(np.median(x.tau[pair.both])) for x in (pair.a, pair.b))  # type: ignore[return-value]


def _ratio(pair: PairedTau, margin: float) -> str:
    if not np.isfinite(pair.network.value):
        return ""
    ends = (math.exp(x) for x in pair.network.ends(TAIL))
    return " (ratio {:.3f}, 95 % {:.3f}–{:.3f}; margin ±{:.0%})".format(
        math.exp(pair.network.value), *ends, margin
    )


def _dwell(memory: Switching) -> str:
    """Return how long a state is kept, with its interval."""
    low, high = memory.interval()
    if not memory.switches:
        return f"more than {low:.3g} s"
    return f"{memory.dwell:.3g} s ({low:.3g} to {high:.3g})"


def _memory(memory: Switching) -> dict[str, Any]:
    return {
        "states": memory.states,
        "switches": memory.switches,
        "dwell_s": [_number(x) for x in (memory.dwell, *memory.interval())],
        "between": memory.between,
        "seconds": memory.seconds,
    }


def _number(value: float) -> float | None:
    """Return a number as JSON has it, which knows no NaN and no infinity."""
    return float(value) if np.isfinite(value) else None
