"""What docs/results/stages.md says, from the figures in stages.json."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.page import (
    MarkdownTable,
    PageSection,
    made_by,
    percent,
    three_digits,
)


def stages_page(figures: Mapping[str, Any]) -> PageSection:
    """Return the page."""
    provenance, parts = figures["provenance"], figures["figures"]
    return PageSection(
        "Float stages: figures",
        [
            made_by(provenance, "benchmarks.stages", "stages.json"),
            "CPU time in µs per step and trial, one thread each, medians of "
            f"{parts['rounds']} rounds in which the two take turns; ratios are medians "
            "of the rounds'. The stages share trials among threads that meet once in "
            "some 256 steps; torch's meet in every operation.",
            _lif(parts["lif"]),
            _rate(parts["rate"]),
            *([_shared(parts["two threads"])] if "two threads" in parts else []),
            _agreement(parts["agreement"]),
        ],
    )


def _cells(row: Mapping[str, Any]) -> list[str]:
    times = [three_digits(row[name]) for name in ("plain", "stage")]
    return [*times, f"{three_digits(row['ratio'])}×"]


def _lif(rows: Sequence[Mapping[str, Any]]) -> PageSection:
    head = ["N", "batch", "noise, currents", "Norse's loop", "LIF stage", "ratio"]
    cells = [
        [
            *(str(row["n"]), str(row["batch"]), "yes" if row["noise"] else "no"),
            *_cells(row),
        ]
        for row in rows
    ]
    text = (
        "Norse's `lif_step` in float32, in a loop that packs the spikes; with noise it "
        "draws torch's normal numbers and keeps the currents of every fifth step, as "
        "calibration does. The LIF stage does that and the ranges of (L16), too."
    )
    return PageSection("LIF stage", [text, MarkdownTable(head, cells)])


def _rate(rows: Sequence[Mapping[str, Any]]) -> PageSection:
    head = ["N", "rank", "numpy loop", "rate stage", "ratio"]
    cells = [[str(row["n"]), str(row["rank"] or "full"), *_cells(row)] for row in rows]
    text = (
        "Sigmoid networks with noise, 100 trials, all in float64. At full rank and "
        "N = 1000 nearly all of either's time is the product of N × N weights, which "
        "numpy does as fast."
    )
    return PageSection("Rate stage", [text, MarkdownTable(head, cells)])


def _shared(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> PageSection:
    head = ["stage", "N", "rank", "plain loop", "stage", "ratio"]
    cells = [
        [
            *(name, str(row["n"])),
            "–" if "rank" not in row else str(row["rank"] or "full"),
            *_cells(row),
        ]
        for name, of_stage in (("LIF", rows["lif"]), ("rate", rows["rate"]))
        for row in of_stage
    ]
    text = (
        "Time on the wall in µs per step and trial, two threads each, 100 trials; the "
        "LIF stage with noise and recorded currents. Here it counts, too, how well a "
        "second core is used."
    )
    return PageSection("Two threads", [text, MarkdownTable(head, cells)])


def _agreement(rows: Sequence[Mapping[str, Any]]) -> PageSection:
    head = ["N", "width", "trials", "with another spike", "% of spikes", "% in a step"]
    cells = [
        [
            *(str(row["n"]), row["width"], str(row["trials"]), str(row["differ"])),
            percent(row["share of spikes"], ".4f"),
            percent(row["spikes in a step"]),
        ]
        for row in rows
    ]
    text = (
        "Trials of 1 s with the same noise, in the LIF stage and in Norse's step. "
        "Every operation is Norse's in its order, but torch's product adds the weights "
        "of a step's spikes in an order of its own: in float32 a potential that comes "
        "within such a rounding of the threshold may fall on the other side, and the "
        "trial then goes another way. In float64 the exponentials of torch and numpy "
        "may differ in the last bit as well."
    )
    return PageSection("Agreement with Norse", [text, MarkdownTable(head, cells)])
