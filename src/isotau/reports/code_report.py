"""What `isotau code` leaves: timescales, one picture, a JSON file, and one table."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from isotau.convert.ground import files
from isotau.jobs.code_network import CodeConfig, NetworkCode
from isotau.jobs.origin import versions
from isotau.sim.coding.memory_code import MemoryCode, numbers
from isotau.sim.plot import plot_coding
from isotau.sim.plot.draw import picture
from isotau.sim.timescales.records import record

NUMBERS, PICTURE = "code.json", "memory_code.png"
GROUPS = ("long", "short")


def write(
    code: NetworkCode, config: CodeConfig, out: Path, source: Mapping[str, Any]
) -> Path:
    """Write a network's memory code into a folder; return the path of its numbers.

    `code.json`, `memory_code.png` and, for each stage, its `.timescales.csv`.

    Args:
        code: to write.
        config: by which it was measured.
        out: the folder; made if need be, files of the same names are replaced.
        source: what is to be said of the input, from `pipeline.describe_input`.
    """
    for stage, timescales in code.timescales.items():
        record.write_csv(timescales, out / f"{stage}.timescales.csv")
    draw(code.codes, out / PICTURE)
    text = json.dumps(summarize(code, config) | dict(source), indent=2, allow_nan=False)
    return files.write_text(out / NUMBERS, text + "\n")


def summarize(code: NetworkCode, config: CodeConfig) -> dict[str, Any]:
    """Return what is to be said of a memory code, but for its input."""
    stages = code.result.stages
    return {
        "task": config.run.task,
        "seed": config.run.seed,
        "method": config.run.method,
        "n_trials": config.run.trials,
        "quiet": {
            "n_trials": config.quiet_trials,
            "length_s": config.length,
            "settle_s": config.settle,
        },
        "stages": {
            stage: {
                "accuracy": float(stages[stage].right.mean()),
                "timescales": record.summary(code.timescales[stage]),
                **numbers(measured),
                "off_over_on_as_published": {
                    name: ratio if np.isfinite(ratio) else None
                    for name, ratio in code.as_published[stage].items()
                },
            }
            for stage, measured in code.codes.items()
        },
        "versions": versions(),
    }


def draw(codes: Mapping[str, MemoryCode], path: Path) -> Path:
    """Draw every stage's matrices, their difference and its decoders in a row."""
    with picture(path, len(codes), 4, size=(14.5, 0.5 + 2.6 * len(codes))) as grid:
        plot_coding.cross_temporal_stages(grid[:, :2], codes, groups=GROUPS)
        for row, code in zip(grid, codes.values(), strict=True):
            # Without enough units of either kind there is nothing to take apart.
            if code.clusters is None:
                row[2].set_axis_off()
            else:
                level = 1 - code.config.level
                plot_coding.difference(row[2], code.clusters, level=level)
            lives = {name: group.half_life for name, group in code.groups.items()}
            known = {name: life for name, life in lives.items() if life is not None}
            plot_coding.decoding_course(row[3], known)
    return path


def table(report: Mapping[str, Any]) -> Table:
    """Return a row per stage: how stably long and short units hold, and how noisily.

    Half-lives and Fano factors are of long and short units matched in number and rate.
    """
    title = f"{report['input']}, {report['task']}, {report['n_trials']} trials"
    rows = Table(title=title)
    rows.add_column("stage")
    for heading in (
        "accuracy",
        "off/on, long",
        "short",
        "half-life, long",
        "short",
        "Fano, long",
        "short",
    ):
        rows.add_column(heading, justify="right")
    for name, stage in report["stages"].items():
        # More units hold longer, and busier ones vary less: compare equal groups.
        matched = [stage["groups"][f"{group}_matched"] for group in GROUPS]
        rows.add_row(
            name,
            f"{stage['accuracy']:.3f}",
            *(_text(stage["groups"][g]["stability"]["value"]) for g in GROUPS),
            *(_half_life(group["half_life"]) for group in matched),
            *(_text(stage["fano"][f"{group}_matched"]["fano"]) for group in GROUPS),
        )
    return rows


def sentences(report: Mapping[str, Any]) -> list[str]:
    """Return a line per stage: which units hold the stimulus more stably."""
    return [
        f"{name}: off over on the diagonal "
        f"{_text(stage['groups']['long']['stability']['value'])} for τ > "
        f"{1e3 * stage['long_above_s']:.0f} ms, "
        f"{_text(stage['groups']['short']['stability']['value'])} for τ < "
        f"{1e3 * stage['short_below_s']:.0f} ms; matched in rate, long less short "
        f"{_text(stage['long_less_short']['value'])}, {_on_clusters(stage['clusters'])}"
        for name, stage in report["stages"].items()
    ]


def _on_clusters(clusters: Mapping[str, Any]) -> str:
    if not clusters["shuffled"]:
        return "too few units to test."
    level = 0.05  # as the picture outlines them
    signs = [
        sign
        for sign, p in zip(clusters["signs"], clusters["p"], strict=True)
        if p <= level
    ]
    more, less = signs.count(1), signs.count(-1)
    return (
        f"more in {more} and less in {less} clusters with p ≤ {level:g} "
        f"({clusters['shuffled']} shuffled)."
    )


def _half_life(life: Mapping[str, Any] | None) -> str:
    """Return a half-life in milliseconds, or why there is none."""
    if life is None:
        return "no units"
    if life["seconds"] is not None:
        return f"{1e3 * life['seconds']:.0f} ms"
    # Still above half at the end of the delay, or never above chance.
    longest = 1e3 * life["longest_lag_s"]
    return f"> {longest:.0f} ms" if life["status"].startswith("never") else "no code"


def _text(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}".replace("-", "−")
