"""The picture of `engine.py`: cost against N, against batch, and against the work."""

from pathlib import Path
from typing import Any

import numpy as np
from engine_networks import EXPONENTS
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from isotau.convert.storage import atomic

SHOWN = (
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


def draw(path: Path, measured: dict[str, Any]) -> None:
    """Draw what `engine_measure.everything` returned, with its growth."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    FigureCanvasAgg(figure)
    by_n, by_batch, by_work = figure.subplots(1, 3)
    against_n(by_n, measured["rows"])
    against_batch(by_batch, measured["against_batch"])
    against_work(by_work, measured["against_activity"])
    for axes in (by_n, by_batch, by_work):
        axes.set(xscale="log", yscale="log", ylabel=UNIT)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=7)
    with atomic(path) as stream:
        figure.savefig(stream, format="png", dpi=DPI)


def against_n(axes: Axes, rows: list[dict[str, Any]]) -> None:
    for engine, batch, colour, label in SHOWN:
        chosen = [r for r in rows if (r["engine"], r["batch"]) == (engine, batch)]
        if chosen:
            line(axes, chosen, "n", colour, label)
    axes.set(xlabel="neurons N", title="4 % of the neurons spiking")


def against_batch(axes: Axes, rows: list[dict[str, Any]]) -> None:
    styles = {"compiled": "isotau compiled", "Norse": "Norse"}
    for engine, label in styles.items():
        for n in sorted({row["n"] for row in rows}):
            chosen = [r for r in rows if (r["engine"], r["n"]) == (engine, n)]
            dashes = "-" if engine == "compiled" else "--"
            line(axes, chosen, "batch", COLOURS[n], f"{label}, N = {n}", dashes)
    axes.set(xlabel="trials in a batch")


def against_work(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Draw the cost against N + spikes × fan-out, on one thread."""
    for row in rows:
        row["work"] = row["n"] * (1 + row["activity"] * row["n"])
    for n, colour in COLOURS.items():
        line(axes, [r for r in rows if r["n"] == n], "work", colour, f"N = {n}", "")
    work, cost = (
        np.array([row[key] for row in rows]) for key in ("work", "us_per_trial_step")
    )
    ends = np.array([work.min(), work.max()])
    label = "proportional"
    axes.plot(ends, ends * np.median(cost / work), color="#BBBBBB", label=label)
    axes.set(xlabel="N + spikes × fan-out, per step", title="0.5 to 16 % spiking")


def line(
    axes: Axes,
    rows: list[dict[str, Any]],
    key: str,
    colour: str,
    label: str,
    dashes: str = "-",
) -> None:
    xs = [row[key] for row in rows]
    ys = [row["us_per_trial_step"] for row in rows]
    axes.plot(xs, ys, marker="o", ms=4, ls=dashes, color=colour, label=label)
