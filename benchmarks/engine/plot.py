"""The picture of `benchmarks.engine`: cost against N, batch and activity."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.optimize import nnls

from benchmarks.engine.networks import EXPONENTS
from isotau.convert.ground.files import atomic

CURVES = (
    # engine, batch, colour, label
    ("Lava, spikes read", 1, "#D55E00", "Lava, spikes read"),
    ("Lava", 1, "#E69F00", "Lava, run only"),
    ("Norse", 100, "#CC79A7", "Norse, batch 100"),
    ("Brian2", 1, "#56B4E9", "Brian2 C++"),
    ("plain C", 100, "#666666", "plain C, 1 thread"),
    ("torch", 100, "#009E73", "isotau torch, batch 100"),
    ("compiled", 100, "#0072B2", "isotau compiled, batch 100"),
)
COLOURS = dict(
    zip(EXPONENTS, ("#56B4E9", "#0072B2", "#009E73", "#D55E00"), strict=True)
)
UNIT = "µs per trial and step"
DPI = 150
HEADROOM = 10
"""Factor by which the axes go on above the points, for the legend."""


def draw(path: Path, figures: dict[str, Any]) -> None:
    """Draw what `measure.everything` returned, with its growth."""
    figure = Figure(figsize=(13, 4), layout="constrained")
    FigureCanvasAgg(figure)
    by_n, by_batch, by_share = figure.subplots(1, 3)
    against_n(by_n, figures["rows"])
    against_batch(by_batch, figures["against_batch"])
    against_activity(by_share, figures["against_activity"])
    for axes in (by_n, by_batch, by_share):
        axes.set(xscale="log", yscale="log", ylabel=UNIT)
        axes.title.set_size(9)
        axes.spines[["top", "right"]].set_visible(False)
        bottom, top = axes.get_ylim()
        axes.set_ylim(bottom, top * HEADROOM)
        axes.legend(frameon=False, fontsize=7, loc="upper left", ncols=2)
    with atomic(path) as stream:
        figure.savefig(stream, format="png", dpi=DPI)


def against_n(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Draw each engine's cost by the number of neurons."""
    for engine, batch, colour, label in CURVES:
        curve = [r for r in rows if (r["engine"], r["batch"]) == (engine, batch)]
        if curve:
            line(axes, curve, "n", colour, label)
    axes.set(xlabel="neurons N", title="4 % of the neurons spiking")


def against_batch(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Draw the compiled engine's and Norse's cost by the number of trials."""
    styles = {"compiled": "isotau compiled", "Norse": "Norse"}
    for engine, label in styles.items():
        for n in sorted({row["n"] for row in rows}):
            curve = [r for r in rows if (r["engine"], r["n"]) == (engine, n)]
            dashes = "-" if engine == "compiled" else "--"
            line(axes, curve, "batch", COLOURS[n], f"{label}, N = {n}", dashes)
    axes.set(xlabel="trials in a batch", title="4 % of the neurons spiking")


def against_activity(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Draw the cost on one thread, and one sum of four terms fitted to all of it."""
    cost = np.array([row["us_per_trial_step"] for row in rows])
    work = np.array([terms(row["n"], row["activity"]) for row in rows])
    # Relative errors count alike, at the cheap end and at the dear one.
    coefficients, _ = nnls(work / cost[:, None], np.ones(len(cost)))
    for n, colour in COLOURS.items():
        curve = [row for row in rows if row["n"] == n]
        line(axes, curve, "activity", colour, f"N = {n}", "")
        shares = np.geomspace(curve[0]["activity"], curve[-1]["activity"])
        axes.plot(shares, terms(n, shares).T @ coefficients, color=colour, lw=1)
    start, neuron, spike, synapse = coefficients * 1e3
    axes.set(
        xlabel="share of neurons spiking in a step",
        title=f"one thread; lines: {start:.0f} ns + N·{neuron:.2g} ns\n"
        f"+ spikes·({spike:.2g} ns + fan-out·{synapse:.2g} ns)",
    )


def terms(n: int, share: float | np.ndarray) -> np.ndarray:
    """Return 1, N, spikes, and spikes × fan-out of a step."""
    return np.array([1 + 0 * share, n + 0 * share, n * share, n * n * share])


def line(
    axes: Axes,
    rows: list[dict[str, Any]],
    key: str,
    colour: str,
    label: str,
    dashes: str = "-",
) -> None:
    """Draw rows as points and a line, by one of their entries."""
    xs = [row[key] for row in rows]
    ys = [row["us_per_trial_step"] for row in rows]
    axes.plot(xs, ys, marker="o", ms=4, ls=dashes, color=colour, label=label)
