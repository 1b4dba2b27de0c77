"""docs/results/tuning.md and tuning.json, from the figures."""

import json
from pathlib import Path
from typing import Any

from benchmarks.tuning import tables
from isotau.convert.ground.files import write_text

TEXT = """\
Every stage of a network sees the same test trials, none of which tuning has seen, with
the noise of all on. Accuracy is the task's published rule. Surrogate: SuperSpike of
a tenth of v_th − v_reset, slope 0.3 at threshold. What trains: input, recurrent and
output weights and the output's constant, Dale's law and absent synapses kept.\
"""
SECTIONS = (
    *("speed", "memory", "networks", "bits", "letters", "timescales"),
    *("methods", "device"),
)
AIM_SPEED, WISHED_SPEED = 4.0, 8.0
AIM_LOSS = tables.AIM_LOSS


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
        "threshold, and from there on the network and its gradient are others. In",
        "float64, and where the sums are exact, none does (tests).",
        "",
        *tables.table(
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
        *tables.table(
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
        *tables.table(
            (
                *("network", "task", "conversion", "as converted", "lost", "tuned"),
                "minutes",
            ),
            said,
        ),
    ]


WRITERS = {
    "speed": _speed,
    "memory": _memory,
    "networks": _networks,
    "bits": tables.bits,
    "letters": tables.letters,
    "timescales": tables.timescales,
    "methods": tables.methods,
    "device": tables.device,
}
