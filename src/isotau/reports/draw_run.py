"""The pictures of the main job: outputs, rasters, κ and timescales of every stage."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from isotau.convert.records.trials import Trials, subset
from isotau.jobs.compare_stages import KappaReading
from isotau.jobs.pipeline import Result
from isotau.jobs.stages import StageRun

MOST_COLUMNS = 3
MOST_COLOURS, MOST_LONG = 6, 4
"""Conditions that a picture has room for; those between are left out."""
LONG = 12
"""Letters in a name from which on it takes more room."""


def draw(result: Result, out: Path) -> None:
    """Draw what a result holds into a folder.

    outputs.png, and if there is something to draw: kappa.png for a low-rank network,
    rasters.png where Lava ran, tau_histograms.png and tau_rate_against_fixed.png where
    timescales were measured.
    """
    # Imported here: the stages need not wait for matplotlib.
    from isotau.sim.plot import draw as plot

    names = result.plan.task.conditions
    longest = max(len(name) for name in names.values())
    # Long names need more of the legend's room, so that fewer conditions fit.
    most = MOST_COLOURS if longest < LONG else MOST_LONG
    labels = spread(result.plan.test.labels, most)
    plot.outputs(
        out / "outputs.png",
        {name: _only(stage, labels) for name, stage in result.stages.items()},
        names=names,
        rule=result.plan.task.thresholds,
    )
    if result.kappa is not None:
        modes = min(result.kappa.traces["rate"][0].shape[2], MOST_COLUMNS)
        stages = len(result.kappa.traces)
        size = 1.0 + 2.7 * stages, 1.0 + 2.1 * modes
        with plot.picture(out / "kappa.png", modes, stages, size=size) as grid:
            draw_kappa(grid, result.kappa, labels, names)
    if "lava" in result.stages:
        _draw_rasters(result, out / "rasters.png")
    taus = {
        name: stage.quiet.timescales
        for name, stage in result.stages.items()
        if stage.quiet is not None
    }
    if taus:
        plot.tau_histograms(out / "tau_histograms.png", taus)
        plot.tau_against(
            out / "tau_rate_against_fixed.png",
            taus["rate"],
            taus["fixed"],
            ("rate", "fixed"),
        )


def _draw_rasters(result: Result, path: Path) -> None:
    from isotau.sim.plot import draw as plot

    trials = result.stages["lava"].trials
    names = result.plan.task.conditions
    examples = {
        names.get(label, f"condition {label}"): int(np.argmax(trials.labels == label))
        for label in spread(trials.labels, MOST_COLUMNS)
    }
    # The first trial of each condition: the same trials at every stage.
    inputs = trials.inputs[:, list(examples.values())]
    active = np.flatnonzero(inputs.any(axis=(1, 2)))
    stimulus = None
    # Input from end to end, such as noise, tells nothing where it is shaded.
    if 0 < active.size < trials.steps:
        stimulus = active[0] * trials.dt, (active[-1] + 1) * trials.dt
    plot.rasters(
        path,
        {name: stage.spikes for name, stage in result.stages.items()},
        examples,
        result.conversion.rate.dale,
        stimulus=stimulus,
    )


def draw_kappa(
    grid: np.ndarray,
    reading: KappaReading,
    conditions: list[int],
    names: Mapping[int, str],
) -> None:
    """Draw κ of some conditions: a row of axes per mode, a column per stage.

    Args:
        grid: axes, modes × stages.
        reading: κ of every stage.
        conditions: labels of those to draw.
        names: what labels mean.
    """
    from isotau.sim.plot import plot_lowrank

    labels = reading.trials.labels
    keep = np.isin(labels, conditions)
    stages = {
        name: (traces[:, keep], dt) for name, (traces, dt) in reading.traces.items()
    }
    for mode, row in enumerate(grid):
        plot_lowrank.kappa_traces(row, stages, labels[keep], mode=mode, names=names)
        row[0].get_legend().remove()
    # One legend for all, which would hide traces inside the axes.
    handles, texts = grid[0, 0].get_legend_handles_labels()
    grid[0, 0].figure.legend(
        handles, texts, loc="outside upper center", ncols=len(texts)
    )


def _only(stage: StageRun, labels: list[int]) -> tuple[np.ndarray, Trials]:
    """Return a stage's outputs and trials of some conditions."""
    trials = stage.trials
    keep = np.isin(trials.labels, labels)
    # Few Lava trials may have none of the conditions; an empty panel says less.
    if not keep.any():
        keep[:] = True
    return stage.outputs[:, keep], subset(trials, np.flatnonzero(keep))


def spread(labels: np.ndarray, most: int) -> list[int]:
    """Return at most so many labels that occur, evenly spread and with both ends."""
    distinct = np.unique(labels)
    # Both ends: for graded labels they are the extremes of the stimulus.
    places = np.linspace(0, distinct.size - 1, min(most, distinct.size))
    return [int(distinct[k]) for k in np.unique(places.round().astype(int))]
