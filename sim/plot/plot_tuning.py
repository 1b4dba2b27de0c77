"""Learning curves of a tuning: each function draws on the axes that it is given."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from isotau.convert.tuning.evaluate import TuneEvaluation
from isotau.sim.plot.draw import picture
from isotau.sim.plot.on_axes import GREY, STAGE_COLOURS

COLOURS = {"task": STAGE_COLOURS[0], "rates": STAGE_COLOURS[1]} | {
    "timescales": STAGE_COLOURS[2],
    "total": "black",
}
OTHER = STAGE_COLOURS[3]
WINDOW = 15
"""A line is the running median over one in so many of the updates."""
SHORT = "trials shorter than 50 ms"
ABOVE: Any = {
    "loc": "lower left",
    "bbox_to_anchor": (0.0, 1.0),
    "borderaxespad": 0.2,
    "columnspacing": 1.0,
    "handlelength": 1.0,
}
BEST: Any = {"color": GREY, "ls": ":", "lw": 1.2, "zorder": 0}


def curves(
    path: str | os.PathLike[str],
    losses: Sequence[Mapping[str, float]],
    evaluations: Sequence[TuneEvaluation],
    *,
    best: int,
) -> Path:
    """Draw a tuning's losses, accuracies and firing rates; return the path.

    Args:
        path: of the PNG.
        losses: of every update: each part, and "total".
        evaluations: on held-out trials, the one before tuning first.
        best: update of the best evaluation.
    """
    with picture(path, 1, 3, size=(10.5, 3.0)) as grid:
        loss_curves(grid[0, 0], losses, evaluations, best=best)
        accuracy_curve(grid[0, 1], evaluations, best=best)
        rate_curve(grid[0, 2], evaluations, best=best)
    return Path(path)


def loss_curves(
    axes: Axes,
    losses: Sequence[Mapping[str, float]],
    evaluations: Sequence[TuneEvaluation],
    *,
    best: int,
) -> Axes:
    """Draw each part of the loss over updates, held-out ones as dots.

    The sum is left out where it has one part. The scale is logarithmic where losses
    differ by more than a factor of 10 and none is 0 or less. What is no finite number
    is not drawn.
    """
    names = dict.fromkeys(
        name for part in (*losses, *(e.losses for e in evaluations)) for name in part
    )
    # Of two names one is the total, and the same as the other.
    parts = [name for name in names if name != "total" or len(names) > 2]
    losses_drawn: list[np.ndarray] = []
    for name in parts:
        colour = COLOURS.get(name, OTHER)
        update, loss = _series(
            range(len(losses)), [sizes.get(name) for sizes in losses]
        )
        # Batches differ by chance: the median shows where the loss goes.
        axes.plot(update, loss, color=colour, alpha=0.3, lw=0.7)
        axes.plot(update, _running_median(loss), color=colour, lw=1.6, label=name)
        where = [e.update for e in evaluations]
        held = _series(where, [e.losses.get(name) for e in evaluations])
        axes.plot(*held, "o", color=colour, ms=3.5, mec="white", mew=0.5)
        losses_drawn += [loss, held[1]]
    # A loss that falls by a factor of ten is a flat line at the end on a linear scale.
    values = np.concatenate([*losses_drawn, np.zeros(0)])
    if values.size and 0 < 10 * values.min() < values.max():
        axes.set_yscale("log")
    _over_updates(axes, best)
    axes.set(ylabel="loss", xlabel="updates (line: tuned on, dots: held out)")
    axes.legend(**ABOVE, ncols=max(1, len(parts)))
    return axes


def accuracy_curve(
    axes: Axes, evaluations: Sequence[TuneEvaluation], *, best: int
) -> Axes:
    """Draw the accuracy on held-out trials over updates, the best one marked."""
    where = [e.update for e in evaluations]
    right = [e.accuracy for e in evaluations]
    axes.plot(where, right, "o-", color="black", ms=3.5, lw=1.4)
    for evaluation in evaluations:
        if evaluation.update == best:
            axes.plot(best, evaluation.accuracy, "o", ms=9, mfc="none", mec="black")
            axes.set_title(f"best: {evaluation.accuracy:.3f} at update {best}")
    # From chance of two answers up, so that pictures of runs compare.
    axes.set(ylabel="held-out accuracy", ylim=(min([*right, 0.5]) - 0.04, 1.04))
    return _over_updates(axes, best)


def rate_curve(axes: Axes, evaluations: Sequence[TuneEvaluation], *, best: int) -> Axes:
    """Draw the mean firing rate on held-out trials over updates.

    Trials shorter than a bin of 50 ms have none, and the axes say so.
    """
    where, rates = _series(
        [e.update for e in evaluations], [e.rate for e in evaluations]
    )
    axes.plot(where, rates, "o-", color="black", ms=3.5, lw=1.4)
    if not rates.size:
        middle: Any = {"transform": axes.transAxes, "ha": "center", "va": "center"}
        axes.text(0.5, 0.5, SHORT, color=GREY, **middle)
    axes.set(ylabel="mean firing rate (Hz)", ylim=(0, 1.15 * max([*rates, 1.0])))
    return _over_updates(axes, best)


def _over_updates(axes: Axes, best: int) -> Axes:
    axes.axvline(best, **BEST)
    axes.set(xlabel="updates")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return axes


def _series(
    where: Sequence[int], values: Sequence[float | None]
) -> tuple[np.ndarray, np.ndarray]:
    """Return what is a finite number, and where."""
    # A loss that overflowed has no place, and would take the scale with it.
    x = np.array([np.nan if value is None else value for value in values], dtype=float)
    finite = np.isfinite(x)
    return np.array(where, dtype=float)[finite], x[finite]


def _running_median(values: np.ndarray) -> np.ndarray:
    # Windows grow with the tuning: a line is as smooth, however many updates it has.
    half = len(values) // (2 * WINDOW)
    return np.array(
        [np.median(values[max(0, k - half) : k + half + 1]) for k in range(len(values))]
    )
