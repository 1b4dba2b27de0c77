"""What docs/results/targets-onnx.md says, from the figures in targets-onnx.json."""

from collections.abc import Mapping
from typing import Any

from benchmarks.page import MISSING, MarkdownTable, PageSection, made_by

N_IN = 4
"""Input channels of the networks that are timed."""
TARGET_TIME, TARGET_SIZE = 3.0, 2.0
"""At most so many times the reference engine's time, and bytes per weight."""


def onnx_page(figures: Mapping[str, Any]) -> PageSection:
    """Return the page."""
    identity = figures["identity"]
    engines = list(figures["cost"][0]["us_per_step"])
    rows = [
        [
            str(run["n"]),
            str(run["batch"]),
            run["with"] or MISSING,
            *(f"{run['us_per_step'][name]:.3g}" for name in engines),
            f"{run['times_the_reference']:.2f}",
            f"{run['bytes_per_weight']:.2f}",
        ]
        for run in figures["cost"]
    ]
    head = ["N", "batch", "with", *engines, "ONNX / reference", "bytes per weight"]
    return PageSection(
        "ONNX: figures",
        [
            made_by(
                figures["provenance"],
                "benchmarks.targets.onnx_graph",
                "targets-onnx.json",
                packages=["onnx", "onnxruntime"],
            ),
            f"Of {identity['networks']} random networks, half of them extreme, "
            f"{identity['differing']} differ from the reference engine in a bit of a "
            f"spike, of u, of v or of the last state ({identity['values']:,} values, "
            f"{identity['spikes']:,} spikes compared).",
            "µs per step of a whole batch, one thread each, medians of interleaved "
            f"runs; dense recurrent weights in two blocks and {N_IN} graded inputs. "
            f"Needed: at most {TARGET_TIME:g} times the reference at N = 200 and batch "
            f"32, at most {TARGET_SIZE:g} bytes per weight.",
            MarkdownTable(head, rows),
            f"Peak of the process with all its imports: {figures['peak_mib']:.0f} MiB.",
        ],
    )
