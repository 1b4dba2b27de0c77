"""The tables of bits, timescales, methods and devices on the page of tuning."""

from collections.abc import Sequence
from typing import Any

AIM_LOSS = 0.01


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table's lines."""
    return [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def bits(found: list[dict[str, Any]]) -> list[str]:
    """Return the section on bits per weight."""
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


def letters(rows: list[dict[str, Any]]) -> list[str]:
    """Return the section on the network that snnTorch trained."""
    ways = ("split", "clip", "fit", "tuned")
    tuned = {row["bits"]: row["tuned"] for row in rows}
    said = [
        [
            f"{row['bits']}",
            *(f"{row[way]:.4f}" for way in ways),
            f"{row['seconds']:.0f}",
        ]
        for row in rows
    ]
    return [
        "## Bits per weight, a network that snnTorch trained (`letters`)",
        "",
        "40 recurrent and 7 readout neurons, read from snnTorch's own file;",
        f"1400 test sweeps on the chip; {rows[0]['float']:.4f} in floats. Rounded in",
        "three ways with large weights, and tuned through the chip's arithmetic on",
        "the 4200 sweeps of training. From 8 bits to 4, tuned: "
        f"{tuned[4] - tuned[8]:+.4f}; aim: a loss of at most {AIM_LOSS}.",
        "",
        *table(("bits", *ways, "s to tune"), said),
    ]


def timescales(found: list[dict[str, Any]]) -> list[str]:
    """Return the section on timescales."""
    lines = [
        "## Timescales (`timescales`)",
        "",
        "The shift of log τ by `ml`, with its interval, and the interval's width,",
        "as converted, tuned in floats, with the term that keeps the autocorrelations",
        "of the LIF network before (its weight 10), and with the readout alone tuned,",
        "which leaves every spike where it was.",
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
            f"### {network['name']}: {network['task']}, conversion {network['method']}",
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


def methods(rows: list[dict[str, Any]]) -> list[str]:
    """Return the section on ways to find gradients."""
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
        "the same updates and trials; each method with the best of four learning",
        "rates, median of three networks. An update of FPTT is a batch: ten steps of",
        "Adam. EventProp's gradient is cut every 100 steps. Accuracy and loss on",
        "held-out trials, of the evaluation with the least loss.",
        "",
        *table(("method", "learning rate", "accuracy", "loss", "ms an update"), said),
    ]


def device(found: list[dict[str, Any]]) -> list[str]:
    """Return the section on imprecise devices."""
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
