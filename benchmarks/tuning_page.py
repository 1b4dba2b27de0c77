"""docs/results/tuning.md and tuning.json, from the figures."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isotau.convert.storage import write_text

TEXT = """\
Every stage of a network sees the same test trials, none of which tuning has seen, with
the noise of all on. Accuracy is the task's published rule. Surrogate: SuperSpike of
a tenth of v_th − v_reset, slope 0.3 at threshold. What trains: input, recurrent and
output weights and the output's constant, Dale's law and absent synapses kept.\
"""
SECTIONS = ("speed", "memory", "networks", "bits", "timescales", "methods", "device")
AIM_SPEED, WISHED_SPEED = 4.0, 8.0
AIM_LOSS = 0.01


def write_page(folder: Path, figures: dict[str, Any], made: dict[str, Any]) -> None:
    """Write the page and its figures."""
    content = {"provenance": made, "figures": figures}
    text = json.dumps(content, indent=1, allow_nan=False)
    write_text(folder / "tuning.json", text + "\n")
    lines = ["# Tuning by gradient: figures", "", *_head(figures, made)]
    for name in SECTIONS:
        if name in figures:
            lines += ["", *WRITERS[name](figures[name]["rows"])]
    write_text(folder / "tuning.md", "\n".join(lines) + "\n")


def _head(figures: dict[str, Any], made: dict[str, Any]) -> list[str]:
    versions = made["versions"]
    commits = sorted({part["made"]["commit"] for part in figures.values()})
    dirty = any(part["made"]["uncommitted"] for part in figures.values())
    return [
        "Every figure stands in `tuning.json` too. Made by",
        f"`{made['command']}`, part by part (`--only`), at commit "
        f"{', '.join(commits)}{' with uncommitted changes' if dirty else ''}, on "
        f"{made['machine']},",
        f"Python {versions['python']}, torch {versions['torch']}, "
        f"numpy {versions['numpy']}. No GPU was at hand.",
        "",
        *TEXT.splitlines(),
    ]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table's lines."""
    return [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def _speed(rows: list[dict[str, Any]]) -> list[str]:
    said = [
        [
            f"{row['neurons']}",
            f"{row['steps']}",
            f"{row['batch']}",
            "yes" if row["readout"] else "no",
            f"{100 * row['share']:.1f} %",
            f"{1e3 * row['norse_cell_s']:.0f}",
            f"{1e3 * row['norse_loop_s']:.0f}",
            f"{1e3 * row['fused_s']:.1f}",
            f"**{row['norse_cell_over_fused']:.1f}×**",
            f"{row['spikes_that_differ']}",
            f"{row['gradients_differ']:.1e}",
            f"{row['norse_cell_mib']:.0f}, {row['fused_mib']:.0f}",
        ]
        for row in rows
    ]
    first = rows[0]
    return [
        "## A training step (`speed`)",
        "",
        "Forward, a fixed random weighting of spikes (or outputs) as loss, backward;",
        f"float32, {first['threads']} threads, medians of {first['repetitions']} turns "
        "(ms); ratios are medians",
        "over turns. Aim: "
        f"{AIM_SPEED:.0f}× at N = 200, T = 1000, batch 32 (wish: {WISHED_SPEED:.0f}×), "
        "memory no larger.",
        "Weights are any float32 numbers here: torch's matrix product sums in an order",
        "of its own, so a spike may differ where v comes within rounding of the",
        "threshold. In float64, and where the sums are exact, none does (tests).",
        "",
        *table(
            (
                *("N", "T", "batch", "readout", "spikes a step", "Norse's cell"),
                *("Norse's step", "fused", "cell / fused", "spikes that differ"),
                *("gradients differ", "MiB: cell, fused"),
            ),
            said,
        ),
    ]


def _memory(rows: list[dict[str, Any]]) -> list[str]:
    steps = sorted({row["steps"] for row in rows})
    methods = list(dict.fromkeys(row["method"] for row in rows))
    found = {(row["method"], row["steps"]): row for row in rows}
    return [
        "## Memory by the length of a trial (`memory`)",
        "",
        "MiB by which the peak of a process grew for one gradient, N = 200, batch 8.",
        "",
        *table(
            ("method", *(f"T = {number}" for number in steps)),
            [
                [
                    method,
                    *(f"{found[method, number]['grown_mib']:.0f}" for number in steps),
                ]
                for method in methods
            ],
        ),
    ]


def _stages(accuracy: dict[str, float]) -> str:
    return " / ".join(f"{accuracy[stage]:.3f}" for stage in ("rate", "lif", "fixed"))


def _networks(rows: list[dict[str, Any]]) -> list[str]:
    said = []
    for row in rows:
        after, minutes = "", ""
        if "after" in row:
            low, high = row["interval"]
            after = f"{_stages(row['after'])} ({low:+.3f} to {high:+.3f})"
            minutes = f"{row['seconds_to_convert_and_tune'] / 60:.1f}"
        said.append(
            [
                row["name"],
                row["task"],
                row["method"],
                _stages(row["before"]),
                f"{row['lost']:+.3f}",
                after or "not tuned",
                minutes,
            ]
        )
    tuned = [row for row in rows if "after" in row]
    kept = sum(row["lost_after"] <= AIM_LOSS + 1e-9 for row in tuned)
    slow = max((row["seconds_to_convert_and_tune"] for row in tuned), default=0.0)
    return [
        "## Networks whose conversion lost accuracy (`networks`)",
        "",
        f"Tuned through the chip's arithmetic where rate − chip exceeded {AIM_LOSS}.",
        f"Aim: at most {AIM_LOSS} lost afterwards, in less than ten minutes: "
        f"{kept} of {len(tuned)}, the slowest",
        f"in {slow / 60:.1f} minutes with conversion and scoring. Accuracies: "
        "rate / LIF / chip; interval: chip − rate,",
        "95 %, paired.",
        "",
        *table(
            (
                *("network", "task", "conversion", "as converted", "lost", "tuned"),
                "minutes",
            ),
            said,
        ),
    ]


def _bits(found: list[dict[str, Any]]) -> list[str]:
    lines = [
        "## Bits per weight (`bits`)",
        "",
        "plain: rounded as `quantize` does; fit: each block's exponent with the least",
        "squared error; tuned: from there, through the chip's arithmetic. Timescales",
        "of the chip against those of the rate network and of the float LIF network as",
        "converted: verdict, and the shift of log τ by `ml` with its interval.",
    ]
    for network in found:
        said = [
            [
                f"{row['bits']}",
                row["way"],
                f"{row['accuracy']['fixed']:.3f}",
                f"{row['rate_hz']:.1f}",
                *(_verdict(row[f"{stage}_to_fixed"]) for stage in ("rate", "lif")),
            ]
            for row in network["rows"]
        ]
        lines += [
            "",
            f"### {network['name']}: {network['task']}, N = {network['n']}",
            "",
            *table(
                ("bits", "way", "accuracy", "Hz", "rate to chip", "LIF to chip"), said
            ),
        ]
    return lines


def _verdict(told: dict[str, Any]) -> str:
    value, low, high = told["intervals"]["ml"]["shift"]
    if value is None or low is None:
        return told["verdict"]
    return f"{told['verdict']}: {value:+.2f} ({low:+.2f} to {high:+.2f})"


def _timescales(found: list[dict[str, Any]]) -> list[str]:
    lines = [
        "## Timescales (`timescales`)",
        "",
        "The shift of log τ by `ml`, with its interval, and the interval's width,",
        "before and after tuning in floats, with the term that keeps autocorrelations",
        "(of the rate network's observer, or of the LIF network before) and without.",
    ]
    for network in found:
        rows = []
        for row in network["rows"]:
            cells = [row["way"], f"{row['accuracy']['fixed']:.3f}"]
            for stage in ("rate", "lif"):
                told = row[f"{stage}_to_fixed"]
                _, low, high = told["intervals"]["ml"]["shift"]
                width = "" if low is None or high is None else f"{high - low:.3f}"
                cells += [_verdict(told), width]
            rows.append(cells)
        lines += [
            "",
            f"### {network['name']}: {network['task']}",
            "",
            *table(
                (
                    *("way", "accuracy", "rate to chip", "width"),
                    *("LIF to chip", "width"),
                ),
                rows,
            ),
        ]
    return lines


def _methods(rows: list[dict[str, Any]]) -> list[str]:
    said = [
        [
            row["method"],
            f"{row['learning_rate']:g}",
            f"{row['accuracy']:.3f}",
            f"{row['loss']:.4f}",
            f"{1e3 * row['seconds_per_update']:.0f}",
        ]
        for row in rows
    ]
    return [
        "## Four ways to find gradients (`methods`)",
        "",
        "Go-NoGo from scratch, N = 100, no membrane noise (EventProp cannot have it),",
        "the same updates and trials; each method with the best of three learning",
        "rates, median of three networks. An update of FPTT is a batch: ten steps of",
        "Adam.",
        "",
        *table(("method", "learning rate", "accuracy", "loss", "ms an update"), said),
    ]


def _device(found: list[dict[str, Any]]) -> list[str]:
    (network,) = found
    levels = list(network["rows"][0]["accuracies"])
    said = [
        [
            row["way"],
            *(
                f"{sum(row['accuracies'][k]) / len(row['accuracies'][k]):.3f} "
                f"({min(row['accuracies'][k]):.3f})"
                for k in levels
            ),
        ]
        for row in network["rows"]
    ]
    return [
        "## Imprecise devices (`device`)",
        "",
        f"{network['name']}, float LIF stage, on {network['devices']} devices each of "
        "whose weights err by a",
        "number of its own (standard deviation as a share of the typical weight); mean",
        f"accuracy (least). Noise in tuning: {network['tuned_for']}; coarse: steps of "
        f"1/{network['levels']} of the largest weight.",
        "",
        *table(("way", *levels), said),
    ]


WRITERS = {
    "speed": _speed,
    "memory": _memory,
    "networks": _networks,
    "bits": _bits,
    "timescales": _timescales,
    "methods": _methods,
    "device": _device,
}
