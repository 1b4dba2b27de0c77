"""docs/results/targets-foreign.md and targets-foreign.json, from the figures."""

import json
from pathlib import Path
from typing import Any

from isotau.convert.ground.files import write_text

TITLES = {
    "snntorch": "Trained in snnTorch 1.0.0, read from the file of its own exporter",
    "norse": "Trained in Norse 1.1, through `to_nir` and `from_nir`",
}
TEXT = """\
12 inputs, 256 steps, a recurrent hidden layer of 40 current-based LIF neurons, a
spiking readout of 7, reset to zero: the sizes of the recorded Braille letters of the
NIR paper. The letters here are synthetic (`benchmarks.foreign.letters`); none of that
recording is in them, so accuracies do not compare with the paper's. A sweep's class is
the readout neuron with most spikes.

Quantization alone: state scales from the ranges visited in the calibration sweeps, no
training. Float and fixed: share of right test sweeps; difference with its 95 %
interval over the same sweeps. Same step, ±1 step: share of the spikes of both rasters
that have a partner in the other, each used once. Cosine: of the rasters; of rates: of
the spike counts of every sweep and neuron. How alike rasters can be is shown by the
float network with its own weights off by 0.1 % (standard deviation, independent).\
"""
AIM = 0.03
"""Largest loss of accuracy that was aimed at, with weights of 8 bits."""


def write_page(folder: Path, figures: dict[str, Any], made: dict[str, Any]) -> None:
    """Write the page and its figures."""
    content = {"provenance": made, "aim": AIM, "figures": figures}
    text = json.dumps(content, indent=1, allow_nan=False)
    write_text(folder / "targets-foreign.json", text + "\n")
    lines = ["# Networks of others in fixed point: figures", "", *_head(made)]
    for name, found in figures.items():
        lines += _network(TITLES[name], found)
    write_text(folder / "targets-foreign.md", "\n".join(lines) + "\n")


def _head(made: dict[str, Any]) -> list[str]:
    versions = made["versions"]
    parts = ", in parts (`--only`)" if made["in_parts"] else ""
    dirty = " with uncommitted changes" if made["uncommitted"] else ""
    return [
        "Every figure stands in `targets-foreign.json` too. Made by",
        f"`{made['command']}`{parts}, at commit {made['commit']}{dirty}, on "
        f"{made['machine']}, Python {versions['python']}, torch {versions['torch']}, "
        f"numpy {versions['numpy']}.",
        "",
        *TEXT.splitlines(),
        "",
    ]


def _network(title: str, found: dict[str, Any]) -> list[str]:
    sweeps, spikes, off = found["sweeps"], found["spikes"], found["differing"]
    rows = [row for row in found["rows"] if not row["outlier"]]
    spoiled = [row for row in found["rows"] if row["outlier"]]
    eight = next(row for row in rows if row["bits"] == 8)
    verdict = "met" if eight["low"] > -AIM else "not met"
    return [
        f"## {title}",
        "",
        f"{sweeps['calibration']} sweeps for calibration, {sweeps['test']} for the "
        f"test; {found['spikes_per_hidden']:.1f} spikes per hidden neuron and sweep.",
        f"Accuracy in the framework {found['framework']:.4f}, of the `LIFNetwork` "
        f"{found['lif']:.4f}. Spikes that differ",
        f"between the two: {off['readout']} of {spikes['readout']} in the readout "
        f"(sweeps: {off['sweeps']}), {off['hidden']} of {spikes['hidden']}",
        "in the hidden layer (of sweeps whose hidden spikes were kept).",
        "",
        f"8 bits: {eight['fixed']:.4f}, {_interval(eight)}. Aim: a loss below {AIM}; "
        f"{verdict}, with the whole interval.",
        "",
        *_accuracies(rows, outliers=False),
        "Rasters of the float network and the chip:",
        "",
        *_rasters([*rows, found["jitter"]]),
        "The same network with the most negative weight of its loop 30 times as large,",
        "by what is done with outliers. (To clip it is to undo the change, so the chip",
        "can then do better than the float network.)",
        "",
        *_accuracies(spoiled, outliers=True),
        _overflows(found["rows"]),
        "",
    ]


def _accuracies(rows: list[dict[str, Any]], *, outliers: bool) -> list[str]:
    head = ["float", "fixed", "difference", "weights to 0 (in, rec)", "blocks"]
    head = ["bits", *["outliers"] * outliers, *head, "hidden, ±1 step"]
    lines = [
        [
            str(row["bits"]),
            *[row["outliers"]] * outliers,
            f"{row['lif']:.4f}",
            f"{row['fixed']:.4f}",
            _interval(row),
            _zeroed(row),
            str(row["blocks"]),
            f"{row['hidden']['within_a_step']:.3f}",
        ]
        for row in rows
    ]
    return _table(head, lines)


def _rasters(rows: list[dict[str, Any]]) -> list[str]:
    names = ("same_step", "within_a_step", "cosine", "rate_cosine")
    lines = [
        [
            str(row.get("bits", "float, ± 0.1 %")),
            layer,
            *(f"{row[layer][name]:.3f}" for name in names),
        ]
        for row in rows
        for layer in ("hidden", "readout")
    ]
    head = ["bits", "layer", "same step", "±1 step", "cosine", "of rates"]
    return _table(head, lines)


def _interval(row: dict[str, Any]) -> str:
    return f"{row['difference']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f})"


def _overflows(rows: list[dict[str, Any]]) -> str:
    """Return in which runs numbers left their range."""
    some = [
        f"{row['bits']} bits, {row['outliers']}{' with the outlier' * row['outlier']}: "
        f"{row['overflow']}"
        for row in rows
        if row["overflow"]
    ]
    return f"Numbers that left their range: {'; '.join(some) or 'none in any run'}."


def _zeroed(row: dict[str, Any]) -> str:
    return ", ".join(f"{100 * row['zeroed'][name]:.0f} %" for name in ("w_in", "w_rec"))


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [*("| " + " | ".join(line) + " |" for line in lines), ""]
