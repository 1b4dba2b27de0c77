"""Pictures of a comparison of two stages over networks, on the axes that are given."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from isotau.sim.plot import on_axes
from isotau.sim.plot.draw import LOOKS
from isotau.sim.plot.on_axes import BLUE, GREY, PALE, RED, TITLE, ZERO
from isotau.sim.plot.plot_agreement import (
    BAND,
    Names,
    counted,
    margin_name,
    ratio_scale,
    unless,
)
from isotau.sim.preservation.bootstrap import totals
from isotau.sim.preservation.compare_curves import Curves, curve_levels
from isotau.sim.preservation.compare_curves import mean_curves as means_over_networks
from isotau.sim.preservation.pairings import mean_of_defined
from isotau.sim.preservation.preservation import Preservation
from isotau.sim.preservation.verdict import Estimate
from isotau.sim.tasks.accuracy import NORMAL_95

FATES = {
    "kept": LOOKS["ok"],
    **{f"lost: {status}": look for status, look in LOOKS.items() if status != "ok"},
    "gained": ("#B7D7EC", "////"),
    "neither": (PALE, ""),
}
"""Colour and hatching of what becomes of a neuron."""
FARTHEST = 2.0
"""In log: an interval that reaches farther does not make a forest wider."""


def mean_curves(
    axes: Axes,
    curves: Sequence[Curves],
    *,
    bin_width: float,
    names: Names = ("a", "b"),
) -> Axes:
    """Draw the mean autocorrelations of both stages, over networks, and the floor.

    The band around stage a holds stage b in 95 % of cases if the two differ by no more
    than a stage and its repeat: ± 1.96 √(m/2N), from m, the mean square difference of
    a run and its repeat over N networks, both stages and all lags.
    """
    axes.axhline(0, **ZERO)
    axes.set(xlabel="lag (ms)", ylabel="mean autocorrelation")
    axes.set_title(counted(len(curves), "network"), **TITLE)
    if not curves:
        on_axes.say(axes, "no network to show")
        return axes
    # As the comparison sums them: a neuron without a value in one run is in none.
    lags = curves[0].lags
    runs = means_over_networks(totals(curve_levels(curves)), lags)
    a, b = (mean_of_defined(runs[:, k : k + 2].mean(axis=1), axis=0) for k in (0, 2))
    squares = mean_of_defined((runs[:, 1::2] - runs[:, ::2]) ** 2, axis=1)
    networks = np.maximum(np.isfinite(squares).sum(axis=0), 1)
    m = mean_of_defined(squares.ravel())
    floor = NORMAL_95 * np.sqrt(m / (2 * networks))
    time = 1e3 * bin_width * np.arange(1, lags + 1)
    look: Any = {"color": BLUE, "alpha": 0.2, "lw": 0, "label": "noise floor (95 %)"}
    axes.fill_between(time, a - floor, a + floor, **look)
    axes.plot(time, a, "o-", color=BLUE, ms=4, lw=1.6, label=names[0])
    axes.plot(time, b, "s--", color=RED, ms=4, lw=1.6, label=names[1])
    axes.set_xlim(0, None)
    on_axes.legend_below(axes, 3)
    if not np.isfinite([a, b]).any():
        on_axes.say(axes, "no neuron has an autocorrelation in all runs")
    return axes


def forest(
    axes: Axes, preservation: Preservation, *, names: Names = ("a", "b")
) -> Axes:
    """Draw the mean ratio of every network, and of all, with its interval.

    Beside a network's name is how many of its neurons have a timescale in both stages;
    those without a say are named last. The bands are the margins of equivalence. Axes
    want 0.2 inches a network.
    """
    pooled, config = preservation.endpoints[0], preservation.config
    shifts = [network.shift for network in preservation.by_network] + [pooled.estimate]
    reach = _forest_reach(shifts, config.shift_margin)
    for margin, colour in (
        (config.shift_margin, PALE),
        (config.strict_margin, "#CBCBCB"),
    ):
        look: Any = {**BAND, "color": colour, "label": margin_name(margin)}
        axes.axvspan(np.exp(-margin), np.exp(margin), **look)
    axes.axvline(1, **ZERO)
    # Those without a say are named, so that no one looks for them in vain.
    labels = [f"{n.name} ({n.neurons:.0f})" for n in preservation.by_network]
    silent = [f"{name} (no say)" for name, _ in preservation.left_out]
    last = len(labels) + len(silent) + 0.4
    for y, shift in zip([*range(len(labels)), last], shifts, strict=True):
        look = {"color": RED, "ms": 7} if y == last else {"color": BLUE, "ms": 4}
        # An interval that leaves the picture ends in an arrow.
        ends = np.exp(np.clip([shift.low, shift.high], -reach, reach))
        axes.plot(ends, [y, y], color=look["color"], lw=look["ms"] / 3)
        rim: Any = {"marker": "D" if y == last else "o", "mec": "white", "mew": 0.5}
        axes.plot([np.exp(shift.value)], [y], ls="", **look, **rim)
        if shift.low < -reach:
            axes.plot([np.exp(-reach)], [y], "<", clip_on=False, **look)
        if shift.high > reach:
            axes.plot([np.exp(reach)], [y], ">", clip_on=False, **look)
    ratio_scale(axes, "x", reach)
    axes.set_ylim(last + 0.7, -0.7)
    _name_rows(axes, [*labels, *silent], last)
    for text in axes.get_yticklabels()[len(labels) : -1]:
        text.set_color(GREY)
    verdict = f"{preservation.method}: {preservation.verdict.value}"
    axes.set_title(f"{verdict} ({preservation.scope})", **TITLE)
    level = f"mean ratio and {pooled.level:.0%} interval"
    axes.set_xlabel(f"τ {names[1]} / τ {names[0]}, {level}")
    on_axes.legend_below(axes)
    return unless(axes, len(labels), "no network has a say")


def attrition_bars(
    axes: Axes, preservation: Preservation, *, names: Names = ("a", "b")
) -> Axes:
    """Draw who keeps a timescale, from stage a to b and from each to its repeat.

    Of all networks' neurons: kept, lost with the later run's reason, gained, neither.
    """
    tables = {
        f"{names[0]} → {names[1]}": preservation.attrition,
        f"{names[0]} → repeat": preservation.attrition_a,
        f"{names[1]} → repeat": preservation.attrition_b,
    }
    # Reasons are those of the later run: the earlier one had a timescale.
    rows = {
        name: {
            "kept": table.both,
            **{f"lost: {status}": count for status, count in table.lost.items()},
            "gained": table.only_second,
            "neither": table.neither,
        }
        for name, table in tables.items()
    }
    return on_axes.stacked_bars(axes, rows, FATES)


def _name_rows(axes: Axes, names: Sequence[str], last: float) -> None:
    """Name a forest's rows, in letters as small as their number asks for."""
    # Many networks in a low picture would have their names on top of each other.
    height = 72 * axes.bbox.height / axes.figure.dpi  # in points
    size = float(np.clip(0.8 * height / (last + 1.4), 3.5, 8))
    labels = [on_axes.plain(_short(name)) for name in names]
    axes.set_yticks([*range(len(labels)), last], [*labels, "all"], fontsize=size)
    axes.tick_params(axis="y", length=0)


def _forest_reach(shifts: Sequence[Estimate], margin: float) -> float:
    """Return how far a forest's axis goes, in log: all estimates, most intervals."""
    values = np.abs([shift.value for shift in shifts])
    ends = np.abs([(shift.low, shift.high) for shift in shifts]).ravel()
    ends = ends[np.isfinite(ends)]
    # One network of few neurons has an interval beside which all others are points.
    far = float(np.quantile(ends, 0.9)) if ends.size else 0.0
    return 1.1 * max([1.4 * margin, min(far, FARTHEST), *values[np.isfinite(values)]])


def _short(label: str) -> str:
    """Return a name of at most 32 letters, its middle left out if it is longer."""
    # The end of a name tells networks of one series apart, the start the series.
    return label if len(label) <= 32 else f"{label[:15]}…{label[-16:]}"
