"""What `isotau lowrank` leaves: one picture, a JSON file, and one table."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from isotau.convert.ground import files
from isotau.jobs.origin import versions
from isotau.jobs.read_low_rank import LowRankReading, Rest
from isotau.reports.draw_run import MOST_COLOURS, MOST_COLUMNS, draw_kappa, spread
from isotau.reports.report import kappa_numbers
from isotau.sim.lowrank.dynamics import Modes
from isotau.sim.plot import plot_lowrank
from isotau.sim.plot.draw import picture

NUMBERS, PICTURE = "lowrank.json", "low_rank.png"
SLOWEST = 3
"""Modes of all units that the numbers tell of, at each fixed point."""


def write(reading: LowRankReading, out: Path, source: Mapping[str, Any]) -> Path:
    """Write a low-rank reading into a folder; return the path of its numbers.

    `lowrank.json` and `low_rank.png`.

    Args:
        reading: to write.
        out: the folder; made if need be, files of the same names are replaced.
        source: what is to be said of the input, from `pipeline.describe_input`.
    """
    draw(reading, out / PICTURE)
    text = json.dumps(summarize(reading) | dict(source), indent=2, allow_nan=False)
    return files.write_text(out / NUMBERS, text + "\n")


def summarize(reading: LowRankReading) -> dict[str, Any]:
    """Return what is to be said of a low-rank reading, but for its input."""
    config, overlaps = reading.result.config, reading.overlaps
    return {
        "task": config.task,
        "seed": config.seed,
        "method": config.method,
        "rank": reading.factors.rank,
        "energy": reading.factors.energy,
        "singular_values": reading.factors.singular_values.tolist(),
        "overlaps": {
            "names": list(overlaps.names),
            "matrix": overlaps.matrix.tolist(),
        },
        "kappa": kappa_numbers(reading.kappa),
        "tau_s": reading.reduced.tau,
        "fixed_points": [_rest(rest) for rest in reading.rests],
        "accuracy": {
            name: float(stage.right.mean())
            for name, stage in reading.result.stages.items()
        },
        "versions": versions(),
    }


def _rest(rest: Rest) -> dict[str, Any]:
    # Of hundreds of units nearly all decay with their own τ; the slow ones matter.
    slowest = Modes(eigenvalues=rest.all_units.eigenvalues[:SLOWEST])
    return {
        "kind": rest.point.kind,
        "kappa": rest.point.kappa.tolist(),
        **_modes(rest.point.modes),
        "in_steps": _modes(rest.in_steps),
        "slowest_of_all_units": _modes(slowest),
    }


def _modes(modes: Modes) -> dict[str, list[float | None]]:
    """Return timescales, None where a mode grows, and frequencies."""
    return {
        "timescales_s": [
            float(tau) if np.isfinite(tau) else None for tau in modes.timescales
        ],
        "frequencies_hz": modes.frequencies.tolist(),
    }


def draw(reading: LowRankReading, path: Path) -> Path:
    """Draw κ of every stage above what the vectors and the dynamics of κ look like.

    Eigenvalues are those at the first stable point, or at the first of all.
    """
    task, kappa = reading.result.plan.task, reading.kappa
    modes = min(reading.factors.rank, MOST_COLUMNS)
    columns = len(kappa.traces)
    size = 1.0 + 3.4 * columns, 4.6 + 2.1 * modes
    heights = (*[1.0] * modes, 1.7)
    with picture(path, modes + 1, columns, size=size, heights=heights) as grid:
        chosen = spread(kappa.trials.labels, MOST_COLOURS)
        draw_kappa(grid[:modes], kappa, chosen, task.conditions)
        overlaps, field, spectrum = grid[modes]
        plot_lowrank.overlap_matrix(overlaps, reading.overlaps)
        points = [rest.point for rest in reading.rests]
        # Flow has a picture on a line and in a plane; of more modes none.
        if reading.factors.rank == 2:
            plot_lowrank.flow_field(
                field,
                reading.reduced,
                points,
                reach=reading.reach,
                paths=_paths(reading),
            )
        elif reading.factors.rank == 1:
            plot_lowrank.flow_line(field, reading.reduced, points, reach=reading.reach)
        else:
            field.set_axis_off()
        stable = [rest for rest in reading.rests if rest.point.kind == "stable"]
        # What the network rests at is what timescales without input are seen around.
        for rest in (*stable, *reading.rests)[:1]:
            plot_lowrank.spectrum(spectrum, rest.all_units, reduced=rest.point.modes)
    return path


def _paths(reading: LowRankReading) -> dict[str, np.ndarray]:
    """Return the mean κ of one condition over time, before and on the chip."""
    labels = reading.kappa.trials.labels
    name = reading.result.plan.task.conditions[int(labels[0])]
    return {
        f"{name}, {stage}": reading.kappa.traces[stage][0][:, labels == labels[0]].mean(
            axis=1
        )
        for stage in ("rate", "fixed")
    }


def table(report: Mapping[str, Any]) -> Table:
    """Return a row per spiking stage and mode: how κ follows the rate network's."""
    title = (
        f"{report['input']}, {report['task']}, rank {report['rank']}, "
        f"{report['kappa']['n_trials']} trials"
    )
    rows = Table(title=title)
    for heading in ("stage", "accuracy", "mode"):
        rows.add_column(heading, justify="left" if heading == "stage" else "right")
    for heading in ("correlation of κ", "off by (SD)", "of means"):
        rows.add_column(heading, justify="right")
    rows.add_row("rate", f"{report['accuracy']['rate']:.3f}")
    for stage in [name for name in report["accuracy"] if name in report["kappa"]]:
        near = report["kappa"][stage]
        for mode in range(report["rank"]):
            columns = ("correlation", "nrmse", "nrmse_of_means")
            rows.add_row(
                "" if mode else stage,
                "" if mode else f"{report['accuracy'][stage]:.3f}",
                f"κ{mode + 1}",
                *(_number(near[column][mode]) for column in columns),
            )
    return rows


def sentences(report: Mapping[str, Any]) -> list[str]:
    """Return a line per fixed point: its kind, where it is and how fast κ nears it."""
    lines = []
    for point in report["fixed_points"]:
        where = ", ".join(_number(kappa, 2) for kappa in point["kappa"])
        # In steps: what an autocorrelation of the network itself would show.
        taus = ", ".join(
            "growing" if tau is None else f"{1e3 * tau:.0f} ms"
            for tau in point["in_steps"]["timescales_s"]
        )
        lines.append(f"{point['kind']} at κ = ({where}), timescales {taus}")
    return lines or ["no fixed point was found without input"]


def _number(value: float | None, digits: int = 3) -> str:
    return "none" if value is None else f"{value:.{digits}f}".replace("-", "−")
