"""What pictures share: colours, and what is drawn or written on axes in one way."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

STAGE_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
"""Okabe and Ito's colours, told apart by colour-blind readers."""
BLUE, ORANGE, GREEN, PINK, SKY, RED = STAGE_COLOURS
GREY, PALE = "#666666", "#E4E4E4"
SIGNED = "RdBu_r"
"""Colours of numbers of either sign."""
TAU_EDGES = 10.0 ** np.arange(0.7, 2.75, 0.1)
"""Bins of τ in ms, as in Kim & Sejnowski 2021, doi:10.1038/s41593-020-00753-w."""
LEGEND: Any = {"fontsize": 8, "frameon": False}
TITLE: Any = {"fontsize": 8, "loc": "left"}
ZERO: Any = {"color": GREY, "lw": 0.8, "ls": ":", "zorder": 1}


def stacked_bars(
    axes: Axes,
    rows: Mapping[str, Mapping[str, int]],
    looks: Mapping[str, tuple[str, str]],
) -> Axes:
    """Draw a bar for each row, the first on top, of shares that add to 100 %.

    Args:
        axes: where to.
        rows: neurons by what they are, of each row.
        looks: colour and hatching of what they are, in the order of the segments.
    """
    segments = [what for what in looks if any(row.get(what) for row in rows.values())]
    sums = np.array([max(sum(row.values()), 1) for row in rows.values()])
    start = np.zeros(len(rows))
    for what in segments:
        colour, hatch = looks[what]
        counts = np.array([row.get(what, 0) for row in rows.values()])
        share = 100 * counts / sums
        look: Any = {"color": colour, "hatch": hatch, "edgecolor": "white", "lw": 0.6}
        bars = axes.barh(range(len(rows)), share, 0.62, start, **look, label=what)
        numbers = [f"{counts[k]}" if share[k] > 5 else "" for k in range(len(rows))]
        # Rec. 601's weights of red, green and blue in how bright a colour looks.
        dark = np.dot(to_rgb(colour), (0.3, 0.59, 0.11)) < 0.55
        box: Any = {"facecolor": colour, "edgecolor": "none", "pad": 0.8}
        for text in axes.bar_label(bars, numbers, label_type="center", fontsize=8):
            text.set(color="white" if dark else "black", bbox=box)
        start = start + share
    axes.set(xlim=(0, 100), xlabel="share of neurons (%)")
    # From the top down, as the rows of a table.
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), list(rows), fontsize=8)
    legend_below(axes)
    if not segments:
        say(axes, "no neuron to show")
    return axes


def identity(
    axes: Axes, ends: tuple[float, float], factors: tuple[float, float], name: str
) -> None:
    """Draw x = y and a band between two multiples of x, on axes of τ in ms."""
    line = np.array(ends)
    edges = factors[0] * line, factors[1] * line
    axes.fill_between(line, *edges, color=PALE, lw=0, zorder=0, label=name)
    axes.plot(line, line, color=GREY, lw=1, zorder=1, label="identity")
    for which in ("x", "y"):
        log_scale(axes, which, *ends)


def log_scale(
    axes: Axes, which: str, low: float, high: float, ticks: Sequence[float] = ()
) -> None:
    """Give the axis x or y a logarithmic scale with few ticks, written in full."""
    tens = 10.0 ** np.arange(np.floor(np.log10(low)), np.log10(high) + 1)
    # The finest ticks of which at most eight fit.
    for steps in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        every = ticks or np.sort(np.outer(tens, steps).ravel())
        places = [float(tick) for tick in every if low <= tick <= high]
        if len(places) <= 8:
            break
    getattr(axes, f"set_{which}scale")("log")
    getattr(axes, f"set_{which}lim")(low, high)
    axis = getattr(axes, f"{which}axis")
    axis.set_major_locator(FixedLocator(places))
    axis.set_major_formatter(FixedFormatter([f"{tick:.10g}" for tick in places]))
    # Minor ticks of a short axis would be labelled too, in powers of ten.
    axis.set_minor_locator(NullLocator())


def limits(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Return the ends of an axis around τ in ms; 5 to 500 if there is none."""
    if not len(values):
        return 5.0, 500.0
    # Not less than a factor of six in all: single values stand in the middle.
    low, high = float(np.min(values)) / 1.3, float(np.max(values)) * 1.3
    middle = np.sqrt(low * high)
    return min(low, middle / 2.5), max(high, middle * 2.5)


def legend_below(axes: Axes, columns: int = 2) -> None:
    """Give axes a legend below their label, whatever their height, if it has lines."""
    # In inches: a share of the axes' height would be too near or too far.
    down = ScaledTranslation(0, -0.47, axes.figure.dpi_scale_trans)
    place: Any = {"bbox_to_anchor": (0.5, 0), "bbox_transform": axes.transAxes + down}
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper center", ncols=columns, **place, **LEGEND)


def say(axes: Axes, text: str) -> None:
    """Write in the middle of axes why there is nothing in them."""
    place: Any = {"xycoords": "axes fraction", "ha": "center", "va": "center"}
    axes.annotate(text, (0.5, 0.5), color=GREY, bbox={"color": "white"}, **place)


def plain(name: str) -> str:
    """Return a name as matplotlib shows it letter by letter, not as a formula."""
    return name.replace("$", r"\$")


def minus(text: str) -> str:
    """Return text whose hyphens before numbers are minus signs."""
    return text.replace("-", "−")
