"""What docs/results/large.md says, from the figures in large.json."""

from collections.abc import Mapping
from typing import Any

from benchmarks.page import (
    MISSING,
    MarkdownTable,
    PageSection,
    made_by,
    percent,
    three_digits,
)

STATE_BYTES = 4 * (7 + 3 + 3)
"""Of a neuron in a step: seven rows read and three written, and three of rest."""
FLOOR_BYTES = 16
"""Of a neuron for a block whose sums are floored: both sums and what arrives are read
and written once."""
SYNAPSE_BYTES, SUM_BYTES = 4, 8
"""Of a synapse of a neuron that spiked: its word, and the sum it is added to."""
TARGET_RATIO, TARGET_MIB = 3.0, 2048
"""At N = 10,000 and 1 %: times what the memory traffic needs, and memory."""
GOAL = (10_000, 0.01)


def large_page(figures: Mapping[str, Any]) -> PageSection:
    """Return the page."""
    return PageSection(
        "Large sparse networks: figures",
        [
            made_by(figures["provenance"], "benchmarks.large", "large.json"),
            "Random networks of four excitatory neurons to one inhibitory one, a share "
            "of all connections present, at 10 to 20 Hz in steps of 1 ms, without "
            "noise, 2 steps refractory, quantized to 8 bits. Each case ran in a "
            "process of its own, whose largest memory is given.",
            _engine(figures["engine"]),
            _chain(figures["chain"]),
        ],
    )


def _engine(cases: list[dict[str, Any]]) -> PageSection:
    rows = [
        [
            f"{case['n']:,}",
            percent(case["density"], "g") + " %",
            f"{case['synapses']:,}",
            str(case["batch"]),
            str(case["threads"]),
            three_digits(case["us"]),
            three_digits(case["cpu_us"]),
            three_digits(case["floor_us"]),
            f"{case['ratio']:.1f}",
            three_digits(case["spikes_per_step"]),
            f"{case['peak_mib']:.0f}",
        ]
        for case in cases
    ]
    head = ["N", "present", "synapses", "trials", "threads", "µs", "processor µs"]
    head += ["traffic µs", "ratio", "spikes", "MiB"]
    goal = [case for case in cases if (case["n"], case["density"]) == GOAL]
    ratios = [case["ratio"] for case in goal]
    met = (
        f" At N = {GOAL[0]:,} and {percent(GOAL[1], 'g')} % the ratio is "
        f"{min(ratios):.1f} to {max(ratios):.1f} (wanted: at most {TARGET_RATIO:g}) "
        f"and the memory {max(case['peak_mib'] for case in goal):.0f} MiB (wanted: at "
        f"most {TARGET_MIB})."
        if goal
        else ""
    )
    right = sum(case["same_as_reference"] for case in cases)
    dense = [case for case in cases if "same_as_dense" in case]
    return PageSection(
        "A time step of the compiled engine",
        [
            MarkdownTable(head, rows),
            "µs are those of a step of a trial, medians of five runs: by the clock, "
            "and of all processors together, which other programs on the machine "
            "lengthen less. Traffic is what a plain loop over arrays of the same sizes "
            "takes, in the same process and between the runs, for what a step reads "
            f"and writes: {STATE_BYTES} bytes of each neuron's state and "
            f"{FLOOR_BYTES} more for each sparse block whose sums are floored; "
            f"{SYNAPSE_BYTES} for each synapse of a neuron that spiked and {SUM_BYTES} "
            "for the sum that it is added to. (Networks of 1,000 neurons run as rows "
            "of bytes, which are faster there: a byte a neuron for each spike.) The "
            "ratio is processor time over traffic. Spikes are those of a step of a "
            "trial. MiB are of the whole process, of which "
            f"{cases[0]['base_mib']:.0f} are there before the network.{met}",
            f"In {right} of {len(cases)} cases the first steps have the reference "
            "engine's spikes, bit for bit, and in "
            f"{sum(case['same_as_dense'] for case in dense)} of {len(dense)} with "
            "1,000 neurons all steps those of the dense form.",
        ],
    )


def _chain(cases: list[dict[str, Any]]) -> PageSection:
    stages = list(cases[0]["seconds"])
    head = ["N", "synapses", *(f"{stage}, s" for stage in stages), "file MiB", "MiB"]
    rows = [
        [
            f"{case['n']:,}",
            f"{case['synapses']:,}",
            *(three_digits(case["seconds"][stage]) for stage in stages),
            three_digits(case["file_mib"]),
            f"{case['peak_mib']:.0f}",
        ]
        for case in cases
    ]
    chips = list(cases[0]["cores"])
    placed = MarkdownTable(
        ["N", *(f"{chip}: cores (chips)" for chip in chips), "LIF, Hz", "chip, Hz"],
        [
            [
                f"{case['n']:,}",
                *(f"{cores:,} ({number})" for cores, number in case["cores"].values()),
                f"{case['lif_hz']:.1f}",
                f"{case['chip_hz']:.1f}",
            ]
            for case in cases
        ],
    )
    refused = [f"{case['n']:,}" for case in cases if case["onnx"]]
    first = cases[0]
    return PageSection(
        "From the record to the cores",
        [
            f"{first['batch']} trials of {first['steps']} steps: a LIF network saved "
            "and loaded, run in floats, quantized with the ranges of that run, run on "
            "the simulated chip, placed on as many chips as it takes.",
            MarkdownTable(head, rows),
            placed,
            "As ONNX, whose products are dense, a network is refused with its size at "
            f"N = {', '.join(refused) or MISSING}.",
        ],
    )
