"""Pictures of a low-rank reading: each function draws on the axes that it is given."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm
from matplotlib.ticker import MaxNLocator

from isotau.sim.lowrank.dynamics import FixedPoint, Modes, Reduced, flow
from isotau.sim.lowrank.overlaps import Overlaps
from isotau.sim.plot.on_axes import GREY, PALE, SIGNED, STAGE_COLOURS, minus

MARKS: dict[str, Any] = {
    "stable": {"marker": "o", "color": "black"},
    "saddle": {"marker": "D", "color": "white"},
    "unstable": {"marker": "o", "color": "white"},
}
"""Fixed points: what attracts is filled."""
DARK = 0.65
"""Fraction of the largest value from which on numbers are written in white."""


def kappa_traces(
    axes: Sequence[Axes],
    stages: Mapping[str, tuple[Float64[np.ndarray, "steps batch rank"], float]],
    labels: Int64[np.ndarray, " batch"],
    *,
    mode: int = 0,
    names: Mapping[int, str] | None = None,
) -> Sequence[Axes]:
    """Draw one κ over time, a stage on each axes: mean ± SD of every condition.

    Args:
        axes: as many as stages; they get the same limits.
        stages: κ of the same trials in each stage, and its step in seconds.
        labels: condition of each trial.
        mode: which κ, from 0.
        names: what each label means.
    """
    if len(axes) != len(stages):
        raise ValueError(f"axes: got {len(axes)}, need {len(stages)}, one per stage")
    labels = np.asarray(labels)
    for panel, (stage, (traces, dt)) in zip(axes, stages.items(), strict=True):
        if (
            traces.ndim != 3
            or traces.shape[1] != labels.size
            or (not 0 <= mode < traces.shape[2])
        ):
            raise ValueError(
                f"stages[{stage!r}]: got shape {traces.shape}, need {labels.size} "
                f"trials and more than {mode} modes (steps × batch × mode)"
            )
        # κ is that after a step, so that stages of other steps end at one time.
        time = 1e3 * dt * (1 + np.arange(len(traces)))
        for label, colour in zip(np.unique(labels), _colours(), strict=False):
            # By condition: over all trials κ of opposite signs would cancel.
            chosen = traces[:, labels == label, mode]
            mean, spread = chosen.mean(axis=1), chosen.std(axis=1)
            edges = mean - spread, mean + spread
            panel.fill_between(time, *edges, color=colour, alpha=0.2, lw=0)
            name = (names or {}).get(int(label), f"condition {label}")
            panel.plot(time, mean, color=colour, lw=1.5, label=name)
        panel.axhline(0, color=PALE, lw=0.8, zorder=0)
        panel.set(xlabel="time (ms)", ylabel=f"κ{_low(mode + 1)}", xlim=(0, time[-1]))
        panel.set_title(stage)
    # One scale for all stages: κ is to be compared across them.
    low, high = zip(*(panel.get_ylim() for panel in axes), strict=True)
    for panel in axes:
        panel.set_ylim(min(low), max(high))
    axes[0].legend(loc="best", handlelength=1.2, title="mean ± SD")
    return axes


def overlap_matrix(axes: Axes, overlaps: Overlaps) -> Axes:
    """Draw aᵀb/N of n (rows; below them the outputs w) with m, I and b."""
    # What is listened to, by what is driven: m with n is the coupling of modes (K6).
    rows = np.concatenate([overlaps.columns("n"), overlaps.columns("w")])
    columns = np.concatenate([overlaps.columns(letter) for letter in "mIb"])
    named = [_label(name) for name in overlaps.names]
    _heat(axes, overlaps.matrix[np.ix_(rows, columns)])
    axes.set_xticks(range(columns.size), [named[k] for k in columns])
    axes.set_yticks(range(rows.size), [named[k] for k in rows])
    axes.set_title("overlap aᵀb/N")
    return axes


def spectrum(axes: Axes, modes: Modes, *, reduced: Modes | None = None) -> Axes:
    """Draw eigenvalues in the complex plane, with the line where modes stop decaying.

    Args:
        axes: where to.
        modes: of all units, from `full_modes`.
        reduced: of κ, drawn as rings around what they should agree with.
    """
    values = modes.eigenvalues
    points: Any = {"s": 14, "color": STAGE_COLOURS[0], "alpha": 0.6, "lw": 0}
    axes.scatter(values.real, values.imag, label="all units", **points, zorder=3)
    if reduced is not None:
        of_kappa = reduced.eigenvalues
        ring: Any = {"s": 70, "facecolors": "none", "edgecolors": STAGE_COLOURS[5]}
        at = of_kappa.real, of_kappa.imag
        axes.scatter(*at, label="κ alone", lw=1.4, **ring, zorder=4)
        values = np.concatenate([values, of_kappa])
    # 0 is always in view: how far a mode is from it is its timescale.
    span = max(float(np.ptp([0.0, *values.real])), 1e-9)
    axes.set_xlim(
        min(0.0, values.real.min()) - 0.08 * span,
        max(0.0, values.real.max()) + 0.12 * span,
    )
    # Real modes alone leave no height; a line of points needs some all the same.
    tall = 1.15 * max(float(np.abs(values.imag).max()), 0.15 * span)
    axes.set_ylim(-tall, tall)
    axes.axvspan(0, axes.get_xlim()[1], color=PALE, lw=0, zorder=0)
    axes.axvline(0, color=GREY, lw=1, ls="--", label="edge of stability", zorder=1)
    axes.axhline(0, color=PALE, lw=0.8, zorder=0)
    slowest = modes.timescales[0]  # NaN, which is not above 0, where a mode grows
    speed = f"slowest: {1e3 * slowest:.0f} ms" if slowest > 0 else "unstable"
    axes.set(xlabel="real part (1/s)", ylabel="imaginary part (1/s)")
    axes.set_title(f"eigenvalues, {speed}")
    axes.legend(loc="upper left", handletextpad=0.3)
    return axes


def flow_field(
    axes: Axes,
    reduced: Reduced,
    points: Sequence[FixedPoint],
    *,
    reach: float,
    paths: Mapping[str, Float64[np.ndarray, "steps 2"]] | None = None,
) -> Axes:
    """Draw where κ of two modes goes from everywhere, its fixed points, and paths.

    Args:
        axes: where to.
        reduced: dynamics of rank 2.
        points: from `fixed_points`.
        reach: largest |κ| to show.
        paths: κ over time, as of single trials or means of conditions.
    """
    if reduced.rank != 2:
        raise ValueError(f"reduced: got rank {reduced.rank}, need 2 for a plane")
    line = np.linspace(-reach, reach, 41)
    plane = np.stack(np.meshgrid(line, line), axis=-1)
    change = flow(reduced, plane)
    speed = np.linalg.norm(change, axis=-1)
    mesh = axes.pcolormesh(line, line, speed, cmap="Greys", shading="gouraud")
    # The fastest is a light grey, on which lines and marks are seen.
    mesh.set_clim(0, 1.8 * float(speed.max()))
    lines: Any = {"color": GREY, "linewidth": 0.6, "arrowsize": 0.7, "density": 1.1}
    axes.streamplot(line, line, change[..., 0], change[..., 1], **lines, zorder=1)
    # Thinner and thinner, so that paths on top of each other are all seen.
    widths = (3.2, *[1.4] * len(paths or {}))
    styles = zip((paths or {}).items(), widths, _colours(), strict=False)
    for (name, path), width, colour in styles:
        axes.plot(*np.transpose(path), color=colour, lw=width, label=name, zorder=3)
    _mark(axes, {point: tuple(point.kappa) for point in points})
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.set(xlabel=f"κ{_low(1)}", ylabel=f"κ{_low(2)}", title="flow of κ")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    if paths or points:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    return axes


def flow_line(
    axes: Axes, reduced: Reduced, points: Sequence[FixedPoint], *, reach: float
) -> Axes:
    """Draw how fast κ of a single mode changes from everywhere, and its fixed points.

    Args:
        axes: where to.
        reduced: dynamics of rank 1.
        points: from `fixed_points`.
        reach: largest |κ| to show.
    """
    if reduced.rank != 1:
        raise ValueError(f"reduced: got rank {reduced.rank}, need 1 for a line")
    line = np.linspace(-reach, reach, 201)
    axes.axhline(0, color=GREY, lw=0.8, ls="--", zorder=0)
    axes.plot(line, flow(reduced, line[:, None])[:, 0], color=STAGE_COLOURS[0], lw=1.6)
    _mark(axes, {point: (point.kappa[0], 0.0) for point in points})
    axes.set(xlabel=f"κ{_low(1)}", ylabel="dκ/dt (1/s)", title="flow of κ")
    axes.set_xlim(-reach, reach)
    if points:
        axes.legend(loc="best")
    return axes


def _mark(axes: Axes, places: Mapping[FixedPoint, tuple[float, ...]]) -> None:
    """Draw fixed points at their places, each kind with its own mark."""
    for kind, mark in MARKS.items():
        of_kind = [place for point, place in places.items() if point.kind == kind]
        if of_kind:
            x, y = np.transpose(of_kind)
            axes.scatter(x, y, s=42, label=kind, edgecolors="black", zorder=4, **mark)


def _heat(axes: Axes, values: np.ndarray) -> None:
    """Draw a matrix in colours symmetric about 0, with its numbers."""
    # A matrix of zeros has no range to scale by.
    largest = float(np.abs(values).max()) or 1.0
    axes.imshow(values, cmap=SIGNED, norm=CenteredNorm(halfrange=1.15 * largest))
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if abs(value) > DARK * largest else "black"
        text = minus(f"{value:.2f}".replace("-0.00", "0.00"))
        place: Any = {"ha": "center", "va": "center", "fontsize": 7.5}
        axes.text(column, row, text, color=colour, **place)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _colours() -> list[str]:
    return list(STAGE_COLOURS) * 4


def _low(number: int) -> str:
    """Return a number as a subscript."""
    return "".join(chr(ord("₀") + int(digit)) for digit in str(number))


def _label(name: str) -> str:
    return name[0] + (_low(int(name[1:])) if name[1:] else "")
