"""Pictures of a run, as PNG files. Milliseconds on every axis of time."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float64
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path as DrawnPath
from matplotlib.ticker import MaxNLocator
from PIL import Image

from isotau.convert.ground.files import atomic
from isotau.convert.records.spikes import Spikes, unpack
from isotau.convert.records.trials import Trials
from isotau.sim.plot.on_axes import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    PINK,
    RED,
    SKY,
    STAGE_COLOURS,
    TAU_EDGES,
    identity,
    log_scale,
    plain,
    say,
    stacked_bars,
)
from isotau.sim.timescales.records.record import Status, Timescales

Target = str | os.PathLike[str]

DPI = 200
LEVEL = 4
"""Of the files' compression: a fifth larger than by the usual 6, in half its time."""
MOST_TICKS = 1 << 11
"""Of one line: matplotlib's renderer refuses very long ones."""
TAU_TICKS = (5, 10, 20, 50, 100, 200, 500)
SIGNS = (1, "excitatory", "#0072B2"), (-1, "inhibitory", "#D55E00"), (0, "mixed", GREY)
LOOKS = {
    Status.OK.value: (BLUE, ""),
    Status.NOT_IDENTIFIABLE.value: (ORANGE, ""),
    Status.TOO_FEW_SPIKES.value: ("#BDBDBD", ""),
    Status.AT_BOUND.value: (SKY, "////"),
    Status.NO_DECAY.value: (RED, ""),
    Status.TOO_LONG.value: (GREEN, "\\\\\\\\"),
    Status.LATE_PEAK.value: (PINK, ""),
    Status.NEGATIVE_AMPLITUDE.value: (PINK, "////"),
    Status.UNDEFINED.value: (GREY, "...."),
    Status.FIT_FAILED.value: ("black", ""),
}
"""Colour and hatching of every status."""
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@contextmanager
def picture(
    path: Target,
    rows: int = 1,
    columns: int = 1,
    *,
    size: tuple[float, float],
    heights: Sequence[float] | None = None,
    shared: bool = False,
) -> Iterator[np.ndarray]:
    """Give rows × columns of axes; once all are drawn write them as PNG.

    Args:
        path: of the PNG.
        rows: of axes.
        columns: of axes.
        size: of the figure, in inches.
        heights: of the rows, relative to each other; None for equal ones.
        shared: whether all axes have the same limits.
    """
    with matplotlib.rc_context(STYLE):
        # A figure of its own, not pyplot's: nothing stays open, no setting is changed.
        layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08)
        figure = Figure(figsize=size, dpi=DPI, layout=layout)
        canvas = FigureCanvasAgg(figure)
        yield figure.subplots(
            rows,
            columns,
            sharex=shared,
            sharey=shared,
            squeeze=False,
            height_ratios=heights,
        )
        # Once: `savefig` would lay it out, draw it without ink, and do both again.
        canvas.draw()
        pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        with atomic(path) as stream:
            pixels.save(stream, format="png", dpi=(DPI, DPI), compress_level=LEVEL)


def rasters(
    path: Target,
    stages: Mapping[str, Spikes],
    trials: Mapping[str, int],
    dale: Sequence[int] | np.ndarray,
    *,
    stimulus: tuple[float, float] | None = None,
) -> Path:
    """Draw who spiked when: a row per stage, a column per trial; return the path.

    Args:
        path: of the PNG.
        stages: spikes of the same trials in each stage, in the order of the rows.
        trials: title of a column and index of its trial.
        dale: +1, −1 or 0 for each neuron; excitatory neurons are drawn below, then
            inhibitory ones, then those of mixed sign.
        stimulus: start and end of the stimulus, in seconds, to be shaded.
    """
    _some("stages", stages)
    _some("trials", trials)
    # Checked before a file is begun: a picture is written whole or not at all.
    signs = np.asarray(dale)
    for stage, recording in stages.items():
        _same(f"dale for stage {stage!r}", signs.shape, (recording.n,))
        last = recording.batch - 1
        for title, k in trials.items():
            if not 0 <= k <= last:
                raise ValueError(f"trials[{title!r}]: got {k}, need 0 to {last}")
    size = 1.2 + 3.4 * len(trials), 0.9 + 1.8 * len(stages)
    with picture(path, len(stages), len(trials), size=size, shared=True) as grid:
        for row, (stage, recording) in zip(grid, stages.items(), strict=True):
            row[0].set_ylabel(f"{stage}\nneuron")
            for axes, k in zip(row, trials.values(), strict=True):
                _raster(axes, recording, k, signs, stimulus)
        for k, title in enumerate(trials):
            grid[0, k].set_title(title)
            grid[-1, k].set_xlabel("time (ms)")
        handles = [
            Line2D([], [], color=colour, lw=3, label=label)
            for sign, label, colour in SIGNS
            if (signs == sign).any()
        ]
        grid[0, 0].figure.legend(
            handles=handles, loc="outside upper right", ncols=len(handles)
        )
    return Path(path)


def outputs(
    path: Target,
    stages: Mapping[str, tuple[Float64[np.ndarray, "steps batch n_out"], Trials]],
    *,
    names: Mapping[int, str] | None = None,
    rule: Sequence[float] = (),
) -> Path:
    """Draw mean ± SD of the output per condition; return the path.

    A row per stage, a column per output; a target is dashed, where it counts.

    Args:
        path: of the PNG.
        stages: each stage's output traces, and the trials that they answer.
        names: what each label means.
        rule: heights of lines to draw, as the 0.7 and 0.3 by which trials are scored.
    """
    _some("stages", stages)
    # All stages answer the same task, so the widest tells how many outputs it has.
    columns = max(trials.targets.shape[2] for _, trials in stages.values())
    for stage, (traces, trials) in stages.items():
        need = (trials.steps, trials.batch, columns)
        _same(f"stages[{stage!r}]", np.shape(traces), need)
    labels = sorted({int(label) for _, t in stages.values() for label in t.labels})
    named = [(names or {}).get(label, f"condition {label}") for label in labels]
    # A label has one colour at every stage, also where others do not occur.
    colours = dict(zip(labels, STAGE_COLOURS * len(labels), strict=False))
    size = 1.6 + 4.0 * columns, 0.9 + 1.6 * len(stages)
    with picture(path, len(stages), columns, size=size, shared=True) as grid:
        for row, (stage, (traces, trials)) in zip(grid, stages.items(), strict=True):
            for k, axes in enumerate(row):
                _traces(axes, np.asarray(traces)[:, :, k], trials, k, colours)
                for height in rule:
                    axes.axhline(height, color=GREY, lw=0.8, ls=":", zorder=1)
            row[0].set_ylabel(f"{stage}\noutput")
        for k in range(columns):
            grid[-1, k].set_xlabel("time (ms)")
            grid[0, k].set_title(f"output {k + 1}" if columns > 1 else "")
        handles: list[Artist] = [
            Line2D([], [], color=colours[label], label=name)
            for label, name in zip(labels, named, strict=True)
        ]
        handles.append(Patch(color=GREY, alpha=0.25, lw=0, label="± SD"))
        handles.append(Line2D([], [], color=GREY, lw=1, ls="--", label="target"))
        if rule:
            handles.append(Line2D([], [], color=GREY, ls=":", label="criterion"))
        grid[0, 0].figure.legend(handles=handles, loc="outside upper center", ncols=5)
    return Path(path)


def tau_histograms(path: Target, stages: Mapping[str, Timescales]) -> Path:
    """Draw how each stage's timescales are distributed; return the path.

    A row per stage, in the papers' bins, with the median; the dashed outline repeats
    the first stage. Titles count the neurons with a timescale, and among them those
    outside 5 to 501 ms, which the picture does not show.
    """
    _some("stages", stages)
    size = 5.6, 0.6 + 1.35 * len(stages)
    with picture(path, len(stages), size=size, shared=True) as grid:
        edges, first = TAU_EDGES, None
        for k, (stage, timescales) in enumerate(stages.items()):
            axes, colour = grid[k, 0], STAGE_COLOURS[k % len(STAGE_COLOURS)]
            ms = 1e3 * timescales.tau[np.isfinite(timescales.tau)]
            # The published bins at every stage, whatever τ there are.
            counts, _ = np.histogram(ms, edges)
            # Faint, so that the first stage's outline is seen on top.
            axes.stairs(counts, edges, color=colour, alpha=0.45, fill=True)
            if first is not None:
                axes.stairs(first, edges, color=GREY, lw=1, ls="--")
            first = counts if first is None else first
            title = f"{stage}: n = {ms.size} of {timescales.n}"
            if ms.size:
                title += f", median {np.median(ms):.0f} ms"
                axes.axvline(float(np.median(ms)), color=colour, lw=1.8)
            if ms.size > counts.sum():
                title += f", {ms.size - counts.sum()} outside"
            axes.set_title(title, loc="left")
            axes.set_ylabel("neurons")
        log_scale(axes, "x", 0.97 * edges[0], 1.03 * edges[-1], TAU_TICKS)
        axes.set_xlabel("timescale τ (ms)")
        axes.set_ylim(0, max(1.0, axes.get_ylim()[1]))
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    return Path(path)


def tau_against(
    path: Target,
    before: Timescales,
    after: Timescales,
    names: tuple[str, str],
    *,
    band: float = 0.25,
) -> Path:
    """Draw each neuron's timescale after against before; return the path.

    The band is ±`band` of the value before; neurons with one on one side are counted.
    """
    # Neuron k of one is neuron k of the other: nothing else ties them together.
    if before.n != after.n:
        raise ValueError(f"after: got {after.n} neurons, need {before.n} as before")
    if not 0 < band < 1:
        raise ValueError(f"band: got {band}, need a fraction between 0 and 1")
    # A neuron with τ on one side alone has no place, but is counted in the title.
    has = np.isfinite(before.tau), np.isfinite(after.tau)
    in_both = np.logical_and(*has)
    x, y = 1e3 * before.tau[in_both], 1e3 * after.tau[in_both]
    with picture(path, size=(4.4, 4.6)) as grid:
        axes = grid[0, 0]
        ends = 0.85 * min([5.0, *x, *y]), 1.2 * max([500.0, *x, *y])
        identity(axes, ends, (1 - band, 1 + band), f"±{band:.0%}")
        axes.scatter(x, y, s=18, color=STAGE_COLOURS[0], alpha=0.65, lw=0, zorder=3)
        # Square, so that the identity is at 45°.
        axes.set(aspect="equal")
        axes.set(xlabel=f"τ {names[0]} (ms)", ylabel=f"τ {names[1]} (ms)")
        grid[0, 0].figure.legend(loc="outside lower center", ncols=2)
        title = f"{x.size} of {before.n} neurons in both"
        if x.size:
            title += f", {np.mean(np.abs(y / x - 1) <= band):.0%} within ±{band:.0%}"
        only = [
            f"only {name}: {np.sum(h & ~in_both)}"
            for name, h in zip(names, has, strict=True)
        ]
        axes.set_title(f"{title}\n{', '.join(only)}", loc="left", fontsize=8)
        if not x.size:
            say(axes, "no neuron has a timescale in both")
    return Path(path)


def identified(axes: Axes, timescales: Mapping[str, Timescales]) -> Axes:
    """Draw what became of the neurons of every stage, as stacked bars of statuses."""
    rows = {
        f"{plain(name)}\nn = {taus.n}": {
            status.value: taus.status.count(status) for status in Status
        }
        for name, taus in timescales.items()
    }
    return stacked_bars(axes, rows, LOOKS)


def _raster(
    axes: Axes,
    recording: Spikes,
    trial: int,
    signs: np.ndarray,
    stimulus: tuple[float, float] | None,
) -> None:
    """Draw one trial: a vertical tick per spike, neurons ordered by sign."""
    if stimulus is not None:
        axes.axvspan(1e3 * stimulus[0], 1e3 * stimulus[1], color=PALE, lw=0, zorder=0)
    raster, lowest = unpack(recording.bits[:, trial], recording.n), 0
    tall = max(0.8, recording.n / 90)  # stays visible where neurons are thin lines
    # Neurons of a sign lie together, in the order of the legend, from below.
    for sign, _, colour in SIGNS:
        members = np.flatnonzero(signs == sign)
        step, position = np.nonzero(raster[:, members])
        _ticks(axes, 1e3 * recording.dt * step, lowest + position + 0.5, tall, colour)
        lowest += members.size
    axes.set(xlim=(0, 1e3 * recording.dt * recording.steps), ylim=(0, recording.n))


def _ticks(axes: Axes, x: np.ndarray, y: np.ndarray, tall: float, colour: str) -> None:
    """Draw vertical ticks about points, as one line for many of them."""
    # Axes.vlines makes a path of each, which takes most of the time of a raster.
    for k in range(0, x.size, MOST_TICKS):
        place = x[k : k + MOST_TICKS]
        ends = np.empty((place.size, 2, 2))
        ends[..., 0] = place[:, None]
        ends[..., 1] = y[k : k + MOST_TICKS, None] + np.array([-tall, tall]) / 2
        moves = np.tile([DrawnPath.MOVETO, DrawnPath.LINETO], place.size)
        line = PathPatch(
            DrawnPath(ends.reshape(-1, 2), moves),
            fill=False,
            edgecolor=colour,
            linewidth=0.9,
            # On whole pixels, so that all ticks are equally dark.
            snap=True,
        )
        line.set_in_layout(False)
        axes.add_artist(line)


def _traces(
    axes: Axes, traces: np.ndarray, trials: Trials, output: int, colours: dict[int, str]
) -> None:
    """Draw the mean, spread and target of each condition for one output."""
    time = 1e3 * trials.dt * np.arange(trials.steps)
    for label in np.unique(trials.labels):
        chosen, colour = trials.labels == label, colours[int(label)]
        mean, spread = traces[:, chosen].mean(axis=1), traces[:, chosen].std(axis=1)
        # SD, not its error: how far single trials go is what decides answers.
        edges = mean - spread, mean + spread
        axes.fill_between(time, *edges, color=colour, alpha=0.2, lw=0)
        axes.plot(time, mean, color=colour, lw=1.5)
        # Where the target does not count, any output is right.
        counts = trials.mask[:, chosen].any(axis=1)
        target = trials.targets[:, chosen, output].mean(axis=1)
        target = np.where(counts, target, np.nan)
        axes.step(time, target, where="post", color=colour, lw=1, ls="--")
    axes.set_xlim(0, 1e3 * trials.dt * trials.steps)


def _some(name: str, value: Mapping[str, Any]) -> None:
    if not value:
        raise ValueError(f"{name}: got none, need at least one")


def _same(name: str, shape: tuple[int, ...], need: tuple[int, ...]) -> None:
    if shape != need:
        raise ValueError(f"{name}: got shape {shape}, need {need}")
