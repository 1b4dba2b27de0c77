"""Pictures of a memory code: each function draws on the axes that it is given."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.image import AxesImage

from isotau.sim.coding.clusters import Clusters, significant
from isotau.sim.coding.decoding import Fall, HalfLife
from isotau.sim.coding.discriminability import Discriminability, Interval
from isotau.sim.coding.memory_code import MemoryCode
from isotau.sim.plot.on_axes import GREY, SIGNED, STAGE_COLOURS, minus

COLOURS, MISSING = "magma", "#D9D9D9"
NAMES = {
    "all": "all units",
    "long": "long τ",
    "short": "short τ",
    "long_matched": "long τ, matched",
    "short_matched": "short τ, matched",
}
GROUP_COLOURS = {
    "all": GREY,
    "long": STAGE_COLOURS[0],
    "short": STAGE_COLOURS[1],
    "long_matched": STAGE_COLOURS[0],
    "short_matched": STAGE_COLOURS[1],
}
Epochs = Mapping[str, tuple[float, float]]
"""Names of stimuli with their start and end, in seconds."""


def cross_temporal(
    axes: Axes, discriminability: Discriminability, *, epochs: Epochs | None = None
) -> Axes:
    """Draw discriminability at t₁ (up) against t₂, in colours from 0 to 1.

    Args:
        axes: where to; they get a title with the number of units.
        discriminability: to draw.
        epochs: stimuli, whose edges are drawn.
    """
    _matrix(
        axes,
        discriminability.matrix,
        discriminability.times,
        cmap=COLOURS,
        vmin=0,
        vmax=1,
    )
    for start, stop in (epochs or {}).values():
        for edge in (1e3 * start, 1e3 * stop):
            thin: Any = {"color": "white", "lw": 0.6, "ls": ":"}
            axes.axvline(edge, **thin)
            axes.axhline(edge, **thin)
    networks = (
        f"{discriminability.networks} network{'s' * (discriminability.networks != 1)}"
    )
    axes.set_title(f"{discriminability.units:.0f} units, {networks}", fontsize=8)
    return axes


def cross_temporal_stages(
    grid: np.ndarray,
    codes: Mapping[str, MemoryCode],
    *,
    groups: Sequence[str] = ("long", "short"),
    epochs: Epochs | None = None,
) -> np.ndarray:
    """Draw the matrices of groups of units, a row per stage, a column per group.

    Args:
        grid: axes, stages × groups.
        codes: memory code of each stage.
        groups: which, as in `isotau.sim.coding.memory_code.GROUPS`.
        epochs: stimuli, whose edges are drawn.
    """
    need = (len(codes), len(groups))
    if np.shape(grid) != need:
        raise ValueError(f"grid: got axes {np.shape(grid)}, need {need}")
    for row, (stage, code) in zip(grid, codes.items(), strict=True):
        for axes, name in zip(row, groups, strict=True):
            group = code.groups[name]
            cross_temporal(axes, group.discriminability, epochs=epochs)
            stability = _in_text(group.stability)
            axes.set_title(
                f"{axes.get_title()}\noff/on diagonal {stability}", fontsize=8
            )
            # Labels at the edges of the grid alone leave the matrices their room.
            axes.set(xlabel="", ylabel="")
        row[0].set_ylabel(f"{stage}\ntime t₁ (ms)")
    for axes, name in zip(grid[0], groups, strict=True):
        axes.set_title(f"{NAMES[name]}: {axes.get_title()}", fontsize=8)
    for axes in grid[-1]:
        axes.set_xlabel("time t₂ (ms)")
    # All matrices have one scale, so one bar tells of all.
    image = grid[0, 0].get_images()[0]
    _bar(image, list(np.ravel(grid)), "discriminability")
    return grid


def difference(axes: Axes, clusters: Clusters, *, level: float = 0.05) -> Axes:
    """Draw long less short, with the clusters outlined that chance does not make.

    Args:
        axes: where to.
        clusters: a difference and its clusters.
        level: clusters with at most this p are outlined.
    """
    # White is no difference, whatever the sign of the largest.
    finite = clusters.difference[np.isfinite(clusters.difference)]
    largest = float(np.abs(finite).max()) if finite.size else 1.0
    scale: Any = {"cmap": SIGNED, "vmin": -largest, "vmax": largest}
    image = _matrix(axes, clusters.difference, clusters.times, **scale)
    outlined = significant(clusters, level)
    _outline(axes, outlined, clusters.times)
    count = int((clusters.p <= level).sum())
    summary = f"{count or 'no'} cluster{'s' * (count != 1)} with p ≤ {level:g}"
    axes.set_title(f"long − short: {summary}", fontsize=8)
    _bar(image, [axes], "difference")
    return axes


def decoding_course(
    axes: Axes, lives: Mapping[str, HalfLife], *, names: Mapping[str, str] | None = None
) -> Axes:
    """Draw accuracy by time since training, with half-lives where there are some.

    The band is the interval of the accuracy, the thin line the falling curve that was
    fitted, the diamond the half-life with its interval. Units that were not matched are
    dashed.

    Args:
        axes: where to.
        lives: half-lives of groups of units, or of stages.
        names: what each is called; by default as groups are.
    """
    if not lives:
        raise ValueError("lives: got none, need at least one")
    for k, (key, life) in enumerate(lives.items()):
        # Stages have other names than groups: they take their colours in order.
        colour = GROUP_COLOURS.get(key, STAGE_COLOURS[k % len(STAGE_COLOURS)])
        time = 1e3 * life.lags
        edges = life.accuracy_low, life.accuracy_high
        axes.fill_between(time, *edges, color=colour, alpha=0.18, lw=0)
        name = (names or NAMES).get(key, key)
        # Units that were not matched differ in number and rate: dashed, not to compare.
        dashes = "--" if key in ("long", "short") else "-"
        line: Any = {"color": colour, "lw": 1.6, "ls": dashes}
        axes.plot(time, life.accuracy, **line, label=_life(name, life))
        axes.plot(time, life.fitted, color=colour, lw=0.7)
        if life.status is Fall.OK:
            half = life.chance + (life.fitted[0] - life.chance) / 2
            # An interval without an upper end goes on to the edge of the picture.
            ends = 1e3 * np.array([life.low, min(life.high, life.lags[-1])])
            if np.isfinite(ends).all():
                axes.plot(ends, [half, half], color=colour, lw=1.2)
            axes.plot(1e3 * life.value, half, "D", color=colour, ms=5, mec="white")
    first = next(iter(lives.values()))
    axes.axhline(first.chance, color=GREY, lw=0.8, ls="--", zorder=0)
    axes.set(xlim=(0, 1e3 * first.lags[-1]), ylim=(None, 1.02))
    axes.set(xlabel="time since training (ms)", ylabel="decoding accuracy")
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), title="half-life")
    return axes


def _matrix(
    axes: Axes, matrix: np.ndarray, times: np.ndarray, **scale: Any
) -> AxesImage:
    """Draw a matrix with a cell around every time; NaN in grey."""
    # Times are those of cells' centres; a single one has no width of its own.
    half = (times[1] - times[0]) / 2 if times.size > 1 else 0.5
    low, high = 1e3 * (times[0] - half), 1e3 * (times[-1] + half)
    image = axes.imshow(
        np.ma.masked_invalid(matrix),
        origin="lower",
        extent=(low, high, low, high),
        interpolation="nearest",
        **scale,
    )
    axes.set_facecolor(MISSING)
    axes.set(xlabel="time t₂ (ms)", ylabel="time t₁ (ms)")
    return image


def _outline(
    axes: Axes,
    mask: Bool[np.ndarray, "samples samples"],
    times: Float64[np.ndarray, " samples"],
) -> None:
    """Draw a line around every region of a mask, along the edges of its cells."""
    # A line stands wherever two neighbours differ; beyond the edge all is False.
    step = times[1] - times[0]
    edge = 1e3 * (times[0] + step * (np.arange(times.size + 1) - 0.5))
    padded = np.pad(mask, 1)
    row, column = np.nonzero(padded[1:, 1:-1] != padded[:-1, 1:-1])
    flat = np.stack([[edge[column], edge[column + 1]], [edge[row], edge[row]]])
    row, column = np.nonzero(padded[1:-1, 1:] != padded[1:-1, :-1])
    tall = np.stack([[edge[column], edge[column]], [edge[row], edge[row + 1]]])
    # x or y, end, line → line, end, x or y
    lines = np.concatenate([flat, tall], axis=2).T
    axes.add_collection(LineCollection(list(lines), colors="black", linewidths=1.2))


def _bar(image: AxesImage, axes: list[Axes], label: str) -> None:
    figure = axes[0].figure
    figure.colorbar(image, ax=axes, label=label, shrink=0.8, aspect=30)


def _in_text(interval: Interval) -> str:
    """Return a number with its interval."""
    if not np.isfinite(interval.value):
        return "undefined"
    text = f"{interval.value:.2f}"
    # Of a single network there is a value and no interval.
    if np.isfinite([interval.low, interval.high]).all():
        text += f" ({interval.low:.2f} to {interval.high:.2f})"
    return minus(text)


def _life(name: str, life: HalfLife) -> str:
    """Return a name with its half-life in milliseconds."""
    if life.status is Fall.NO_CODE:
        return f"{name}: {life.status.value}"
    if life.status is Fall.NEVER:
        return f"{name}: > {1e3 * life.lags[-1]:.0f} ms"
    text = f"{name}: {1e3 * life.value:.0f} ms"
    if np.isfinite(life.low):
        high = f"{1e3 * life.high:.0f}" if np.isfinite(life.high) else "∞"
        text += f" ({1e3 * life.low:.0f} to {high})"
    return text
