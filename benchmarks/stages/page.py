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
            f"Wall time in µs per step and trial, medians of {parts['rounds']} rounds "
            "in which rivals take turns; ratios are medians of the rounds'. The "
            f"machine had a load of {parts['load']:.1f} when this began, beside "
            f"{parts['threads']} cores: times are those of a machine with other work, "
            "ratios suffer less.",
            _lif(parts["lif"]),
            _rate(parts["rate"]),
            _agreement(parts["agreement"]),
        ],
    )


def _cells(row: Mapping[str, Any], first: str) -> list[str]:
    times, ratios = row["microseconds"], row["ratios"]
    return [
        three_digits(times[first]),
        *(three_digits(times[name]) for name in ratios),
        *(f"{three_digits(ratio)}×" for ratio in ratios.values()),
    ]


def _lif(rows: Sequence[Mapping[str, Any]]) -> PageSection:
    head = ["N", "batch", "noise, currents"]
    head += ["Norse's loop", "LIF stage, 1 thread", "all", "ratio, 1 thread", "all"]
    cells = [
        [
            *(str(row["n"]), str(row["batch"]), "yes" if row["noise"] else "no"),
            *_cells(row, "norse"),
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
    head = ["N", "rank", "numpy loop", "rate stage, 1 thread", "all"]
    head += ["ratio, 1 thread", "all"]
    cells = [
        [str(row["n"]), str(row["rank"] or "full"), *_cells(row, "numpy")]
        for row in rows
    ]
    text = (
        "Sigmoid networks with noise, 100 trials, float64; numpy's product has the "
        "threads that its library takes."
    )
    return PageSection("Rate stage", [text, MarkdownTable(head, cells)])


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
