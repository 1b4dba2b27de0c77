"""What docs/results/targets-foreign.md says, from the figures in its .json."""

from collections.abc import Mapping
from typing import Any

from benchmarks.page import MarkdownTable, PageSection, interval, made_by

TITLES = {
    "snntorch": "Trained in snnTorch 1.0.0, read from the file of its own exporter",
    "norse": "Trained in Norse 1.1, through `to_nir` and `from_nir`",
}
TASK = """\
12 inputs, 256 steps, a recurrent hidden layer of 40 current-based LIF neurons, a
spiking readout of 7, reset to zero: the sizes of the recorded Braille letters of the
NIR paper. The letters here are synthetic (`benchmarks/foreign/letters.py`); none of
that recording is in them, so accuracies do not compare with the paper's. A sweep's
class is the readout neuron with most spikes."""
METHOD = """\
Quantization alone: state scales from the ranges visited in the calibration sweeps, no
training. Float and fixed: share of right test sweeps; difference with its 95 %
interval over the same sweeps. Same step, ±1 step: share of the spikes of both rasters
that have a partner in the other, each used once. Cosine: of the rasters; of rates: of
the spike counts of every sweep and neuron. How alike rasters can be is shown by the
float network with its own weights off by 0.1 % (standard deviation, independent)."""
AIM = 0.03
"""Largest loss of accuracy that was aimed at, with weights of 8 bits."""


def foreign_page(figures: Mapping[str, Any]) -> PageSection:
    """Return the page, of the networks that have been measured."""
    return PageSection(
        "Networks of others in fixed point: figures",
        [
            made_by(
                figures["provenance"], "benchmarks.foreign", "targets-foreign.json"
            ),
            TASK,
            METHOD,
            *(
                _network(TITLES[name], network)
                for name, network in figures["figures"].items()
            ),
        ],
    )


def _network(title: str, network: dict[str, Any]) -> PageSection:
    sweeps, spikes, off = network["sweeps"], network["spikes"], network["differing"]
    rows = [row for row in network["rows"] if not row["outlier"]]
    spoiled = [row for row in network["rows"] if row["outlier"]]
    eight = next(row for row in rows if row["bits"] == 8)
    # The whole interval has to lie above the loss that is allowed.
    verdict = "met" if eight["low"] > -AIM else "not met"
    return PageSection(
        title,
        [
            f"{sweeps['calibration']} sweeps for calibration, {sweeps['test']} for the "
            f"test; {network['spikes_per_hidden']:.1f} spikes per hidden neuron and "
            f"sweep. Accuracy in the framework {network['framework']:.4f}, of the "
            f"`LIFNetwork` {network['lif']:.4f}. Spikes that differ between the two: "
            f"{off['readout']} of {spikes['readout']} in the readout (sweeps: "
            f"{off['sweeps']}), {off['hidden']} of {spikes['hidden']} in the hidden "
            "layer (of sweeps whose hidden spikes were kept).",
            f"8 bits: {eight['fixed']:.4f}, {_difference(eight)}. Aim: a loss below "
            f"{AIM}; {verdict}, with the whole interval.",
            _accuracies(rows, outliers=False),
            "Rasters of the float network and the chip:",
            _rasters([*rows, network["jitter"]]),
            "The same network with the most negative weight of its loop 30 times as "
            "large, by what is done with outliers. (To clip it is to undo the change, "
            "so the chip can then do better than the float network.)",
            _accuracies(spoiled, outliers=True),
            _overflows(network["rows"]),
        ],
    )


def _accuracies(runs: list[dict[str, Any]], *, outliers: bool) -> MarkdownTable:
    head = ["float", "fixed", "difference", "weights to 0 (in, rec)", "blocks"]
    rows = [
        [
            str(run["bits"]),
            *[run["outliers"]] * outliers,
            f"{run['lif']:.4f}",
            f"{run['fixed']:.4f}",
            _difference(run),
            ", ".join(f"{100 * run['zeroed'][x]:.0f} %" for x in ("w_in", "w_rec")),
            str(run["blocks"]),
            f"{run['hidden']['within_a_step']:.3f}",
        ]
        for run in runs
    ]
    head = ["bits", *["outliers"] * outliers, *head, "hidden, ±1 step"]
    return MarkdownTable(head, rows)


def _rasters(runs: list[dict[str, Any]]) -> MarkdownTable:
    names = ("same_step", "within_a_step", "cosine", "rate_cosine")
    rows = [
        [
            str(run.get("bits", "float, ± 0.1 %")),
            layer,
            *(f"{run[layer][name]:.3f}" for name in names),
        ]
        for run in runs
        for layer in ("hidden", "readout")
    ]
    return MarkdownTable(
        ["bits", "layer", "same step", "±1 step", "cosine", "of rates"], rows
    )


def _difference(run: dict[str, Any]) -> str:
    return interval(run["difference"], run["low"], run["high"], "+.4f")


def _overflows(runs: list[dict[str, Any]]) -> str:
    """Return in which runs numbers left their range."""
    overflows = [
        f"{run['bits']} bits, {run['outliers']}{' with the outlier' * run['outlier']}: "
        f"{run['overflow']}"
        for run in runs
        if run["overflow"]
    ]
    return (
        f"Numbers that left their range: {'; '.join(overflows) or 'none in any run'}."
    )
