"""Pictures of two stages compared by their states, on the axes that are given."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from isotau.sim.plot import on_axes
from isotau.sim.plot.on_axes import BLUE, GREY, RED, STAGE_COLOURS, TITLE, ZERO
from isotau.sim.plot.plot_agreement import counted
from isotau.sim.states.comparison import StateComparison
from isotau.sim.states.in_words import NAMES
from isotau.sim.states.state_tau import StateTau

FALLEN = 0.05
"""Autocorrelation below which no more lags are shown."""
DASHES = ("-", (0, (3.5, 1.5)), (0, (1.2, 1.2)))
"""Of the stages' lines, which often lie on each other."""
WIDTHS = (3.0, 2.0, 2.0)
INSIDE = 0.985
"""Place along an axis of what would lie beyond it."""
STAGES = tuple(NAMES)


def tau_of_units(axes: Axes, comparison: StateComparison) -> Axes:
    """Draw every unit's τ at stage b against that at a, with 95 % intervals.

    The band is the margin of a unit; those that are shown to be beyond it are marked.
    Triangles on the rim are units that remember for longer than the window at one
    stage; the title counts those that do at both.

    Args:
        axes: where to.
        comparison: of two stages.
    """
    pair, margin = comparison.pair, comparison.margins.unit
    off = comparison.surely_beyond
    known = [1e3 * stage.tau[stage.known] for stage in (pair.a, pair.b)]
    ends = on_axes.limits(np.concatenate(known))
    factors = 1 / (1 + margin), 1 + margin
    on_axes.identity(axes, ends, factors, f"within {margin:.0%}")
    for name, units, colour, alpha in (
        ("others", pair.both & ~off, BLUE, 0.7),
        ("surely beyond", pair.both & off, RED, 1.0),
    ):
        if not units.any():
            continue
        _intervals(axes, pair.a, pair.b, units, colour, ends)
        look: Any = {"s": 12, "color": colour, "alpha": alpha, "lw": 0, "zorder": 4}
        places = 1e3 * pair.a.tau[units], 1e3 * pair.b.tau[units]
        axes.scatter(*places, label=f"{name}: {units.sum()}", **look)
    rim = ends[1] ** INSIDE * ends[0] ** (1 - INSIDE)
    _on_the_rim(axes, comparison, off, rim)
    title = f"{pair.both.sum()} of {len(off)} units have τ at both"
    if pair.beyond.any():
        title += f", {pair.beyond.sum()} longer than {pair.a.window:.2g} s at both"
    axes.set_title(title, **TITLE)
    first, second = (NAMES.get(name, name) for name in (comparison.a, comparison.b))
    axes.set(xlabel=f"τ {first} (ms)", ylabel=f"τ {second} (ms)", aspect="equal")
    on_axes.legend_below(axes)
    if not pair.both.any():
        on_axes.say(axes, "no unit has a timescale at both")
    return axes


def autocorrelations(axes: Axes, comparisons: Sequence[StateComparison]) -> Axes:
    """Draw the median autocorrelation of the units that move, stage by stage.

    The band holds the middle half of them. Of a stage in several comparisons that with
    the most trials is drawn; lags go on until all medians have fallen below 0.05.

    Args:
        axes: where to.
        comparisons: of the same network's stages.
    """
    axes.axhline(0, **ZERO)
    axes.set_ylabel("autocorrelation")
    stages = _stages(comparisons)
    curves = {name: _quartiles(tau) for name, tau in stages.items() if tau.moving.any()}
    last = max((_last_lag(stages[name], curves[name]) for name in curves), default=1.0)
    scale, unit = (1e3, "ms") if last < 1 else (1.0, "s")
    for k, (name, curve) in enumerate(curves.items()):
        look, tau = k % len(DASHES), stages[name]
        colour = _colour(name, k)
        lag = scale * np.linspace(0, tau.window, curve.shape[1])
        axes.fill_between(lag, curve[0], curve[2], color=colour, alpha=0.1, lw=0)
        lines: Any = {"color": colour, "ls": DASHES[look]}
        axes.plot(lag, curve[[0, 2]].T, **lines, lw=0.8, alpha=0.6)
        axes.plot(lag, curve[1], **lines, lw=WIDTHS[look], label=NAMES.get(name, name))
    axes.set(xlabel=f"lag ({unit})", xlim=(0, scale * last))
    low = min((float(curve[0].min()) for curve in curves.values()), default=0.0)
    axes.set_ylim(min(-0.05, 1.05 * low), 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    if not curves:
        on_axes.say(axes, "no unit moves")
        return axes
    units = max(len(tau.tau) for tau in stages.values())
    axes.set_title(f"median and quartiles of {counted(units, 'unit')}", **TITLE)
    # What τ is read off at, where there is room beside the curves.
    axes.axhline(np.exp(-1.0), **ZERO)
    axes.annotate(
        "1/e",
        (1, np.exp(-1.0)),
        xycoords=("axes fraction", "data"),
        xytext=(-2, 2),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=8,
        color=GREY,
    )
    on_axes.legend_below(axes, 3)
    return axes


def _intervals(
    axes: Axes,
    a: StateTau,
    b: StateTau,
    units: Bool[np.ndarray, " n"],
    colour: str,
    ends: tuple[float, float],
) -> None:
    """Draw the intervals of units at both stages, no farther than the axes go."""
    # One that leaves the axes would be drawn over their labels.
    (left, right), (low, high) = (
        (np.clip(1e3 * end[units], *ends) for end in stage.interval())
        for stage in (a, b)
    )
    bars: Any = {"color": colour, "alpha": 0.25, "lw": 0.8, "zorder": 2}
    axes.hlines(1e3 * b.tau[units], left, right, **bars)
    axes.vlines(1e3 * a.tau[units], low, high, **bars)


def _on_the_rim(
    axes: Axes, comparison: StateComparison, off: Bool[np.ndarray, " n"], rim: float
) -> None:
    """Draw units that remember for longer than the window at one stage alone."""
    a, b = comparison.pair.a, comparison.pair.b
    for known, slow, marker, name in (
        (a, b, "^", comparison.b),
        (b, a, ">", comparison.a),
    ):
        units = known.known & slow.beyond
        if not units.any():
            continue
        tau = 1e3 * known.tau[units]
        at = np.full(tau.shape, rim)
        x, y = (tau, at) if known is a else (at, tau)
        colours = np.where(off[units], RED, BLUE)
        window = f"{slow.window:.2g} s in the {NAMES.get(name, name)}"
        label = f"longer than {window}: {units.sum()}"
        axes.scatter(x, y, c=colours, marker=marker, s=26, lw=0, zorder=5)
        # Some may be beyond the margin and others not: the legend has neither colour.
        axes.plot([], [], marker, color=GREY, ms=5, mew=0, label=label)


def _stages(comparisons: Sequence[StateComparison]) -> dict[str, StateTau]:
    """Return what is known best of every stage, in the order of the chain."""
    best: dict[str, StateTau] = {}
    for each in comparisons:
        for name, tau in ((each.a, each.pair.a), (each.b, each.pair.b)):
            if name not in best or tau.trials > best[name].trials:
                best[name] = tau
    order = [name for name in STAGES if name in best]
    return {name: best[name] for name in (*order, *best)}


def _colour(name: str, k: int) -> str:
    """Return a stage's colour: its own, or that of its place."""
    place = STAGES.index(name) if name in STAGES else k
    return STAGE_COLOURS[place % len(STAGE_COLOURS)]


def _quartiles(tau: StateTau) -> Float64[np.ndarray, "3 lags"]:
    """Return the quartiles over units that move of the autocorrelation at each lag."""
    moving = tau.autocorrelation[:, tau.moving]
    return np.percentile(moving, (25, 50, 75), axis=1)


def _last_lag(tau: StateTau, curve: Float64[np.ndarray, "3 lags"]) -> float:
    """Return the first lag at which a median has fallen, or the window, in seconds."""
    fallen = curve[1] < FALLEN
    lag = int(np.argmax(fallen)) if fallen.any() else len(fallen) - 1
    return tau.window * max(lag, 1) / max(len(fallen) - 1, 1)
