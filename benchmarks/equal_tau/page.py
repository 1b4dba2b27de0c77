"""What docs/results/equal_tau.md says, from the figures in equal_tau.json."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.equal_tau.families import FILES, SHIPPED, TRAINED
from benchmarks.equal_tau.summary import ALL, FAMILIES, in_family, missed
from benchmarks.page import (
    MISSING,
    Block,
    MarkdownTable,
    PageSection,
    made_by,
    number,
    percent,
)

TITLES = TRAINED | {FILES: "low-rank files", ALL: "all", SHIPPED: "shipped"}
FIGURES = {
    "ratio": ("median τ ratio", ".3f"),
    "sd_log": ("SD of log ratio", ".3f"),
    "correlation": ("correlation of log τ", ".3f"),
    "acf_rms": ("rms difference of autocorrelations", ".3f"),
    "sd_ratio": ("SD of the state, ratio", ".3f"),
    "accuracy lost": ("accuracy, rate − fixed (mean)", ".4f"),
    "fallen": ("networks below .95 that had 1.000", ".0f"),
    "spikes with τ": ("spikes: neurons with τ, fixed / rate", ".2f"),
    "spikes' τ ratio": ("spikes: τ ratio, fixed / rate", ".2f"),
    "seconds": ("seconds: conversion, choice, quantization", ".0f"),
}
PAIRS = {
    "rate to lif": "LIF / rate",
    "rate to fixed": "fixed / rate",
    "lif to fixed": "fixed / LIF",
}
SITUATIONS = {"rest": "at rest", "epoch": "in the task's epoch", "": ""}


def equal_tau_page(figures: Mapping[str, Any]) -> PageSection:
    """Return the page, of the networks that have been measured."""
    provenance, sizes = figures["provenance"], figures["sizes"]
    networks, rows = figures["networks"], figures["summary"]
    blocks: list[Block] = [
        made_by(provenance, "benchmarks.equal_tau", "equal_tau.json"),
    ]
    if figures["quick"]:
        blocks.append("**Made with --quick: too few data to believe.**")
    blocks.append(_method(sizes))
    for copies in sorted({row["copies"] for row in rows}):
        blocks.append(_goals(copies, rows))
    blocks += [
        _misses(networks),
        *(_by_network(copies, networks) for copies in _copies(networks)),
        _memory(networks),
        _chosen(networks),
    ]
    return PageSection("Equal τ: figures", blocks)


def _method(sizes: Mapping[str, Any]) -> str:
    return (
        "Synaptic states, all units: x of the rate network, i of the LIF neurons and u "
        "on the chip in units of x, the mean over a unit's copies, sampled in the rate "
        f"network's steps in {sizes['trials']} trials. At rest: {sizes['rest']:g} s "
        f"without input after {sizes['settle']:g} s of the same. The task's epoch, "
        f"lengthened to {sizes['epoch']:g} s: the delay (DMS), the fixation with its "
        "cue (Mante), what follows the cue (Go-NoGo), about the mean of trials that "
        "were shown the same. τ is where the autocovariance about the trials' mean "
        "falls to 1/e, up to lags of 1 s, or half the recording. The floor is two runs "
        "of the first stage with other noise. Medians over networks, but for accuracy. "
        f"Accuracy of {sizes['scored']} trials. Converted by the defaults, `--copies` "
        "apart. Shipped networks were looked at in development and count in no other "
        "column."
    )


def _goals(copies: int, rows: Sequence[Mapping[str, Any]]) -> PageSection:
    """Return the table of goals for networks with so many copies."""
    own = [row for row in rows if row["copies"] == copies]
    there = [f for f in FAMILIES if any(row["cells"][f]["networks"] for row in own)]
    table = []
    place: tuple[str, str] | None = None
    for row in own:
        name, form = FIGURES[row["figure"]]
        here = row["situation"], row["pair"]
        heading = ", ".join(
            filter(None, (PAIRS.get(row["pair"], ""), SITUATIONS[row["situation"]]))
        )
        cells = [_judged(row["cells"][family], form) for family in there]
        table.append([heading if here != place else "", name, row["goal"], *cells])
        place = here
    counts = ", ".join(
        f"{own[0]['cells'][family]['networks']} {TITLES[family]}" for family in there
    )
    return PageSection(
        f"Goals, {_neurons(copies)}",
        [
            f"Networks: {counts}. In brackets the floor.",
            MarkdownTable(
                ["", "figure", "goal", *(TITLES[family] for family in there)], table
            ),
        ],
    )


def _judged(cell: Mapping[str, Any], form: str) -> str:
    """Return a value, its floor, and whether the goal is met."""
    if cell["value"] is None:
        return MISSING
    floor = "" if cell["floor"] is None else f" ({cell['floor']:{form}})"
    said = {True: "met", False: "**missed**", None: ""}[cell["met"]]
    return f"{cell['value']:{form}}{floor} {said}".strip()


def _misses(networks: Sequence[Mapping[str, Any]]) -> PageSection:
    """Return who misses at rest, and what the figures say of it."""
    rows = []
    for network in networks:
        failed, why = missed(network), network["why"]
        if not failed or network["family"] == SHIPPED:
            continue
        compared = network["states"]["rest"]["rate to lif"]
        rows.append(
            [
                _name(network),
                str(network["copies"]),
                ", ".join(FIGURES[name][0] for name in failed),
                f"{why['far']} of {network['n']} ({why['too_fast']})",
                *(_beside(why[key]) for key in ("tau_ms", "weights", "rate_hz")),
                number(why["error_weights_correlation"]),
                number(why["sd_tau_correlation"]),
                number(compared["mean_off"]),
                percent(why["saturated"], ".0f"),
                percent(why["beyond"], ".0f"),
                ", ".join(why["causes"]) or "none named",
            ]
        )
    head = [
        *("network", "copies", "misses", "units far off (too fast)"),
        *("their τ, others' (ms)", "summed weights", "Hz"),
        *("error and weights", "SD and τ ratio", "mean off (SD)"),
        *("saturated (%)", "beyond the window (%)", "cause"),
    ]
    counts = _cause_counts(networks)
    return PageSection(
        "Who misses, and why",
        [
            "LIF beside rate at rest. Far off: a τ ratio beyond e^±0.3; of those units "
            "and of the others the median of τ, of the summed |recurrent weights| in "
            "units of x, and of the rate. Correlations over units: of |log τ ratio| "
            "with the summed weights, and of log SD ratio with log τ ratio. A cause is "
            "named by figures alone: *another state* where the mean state is off by "
            "more than one SD or the SD by a factor of 2; *shot noise* where errors go "
            "with summed weights (above 0.5) or SD ratios with τ ratios (below −0.5); "
            "*saturation* where more than 5 % of units fire near the highest rate; "
            "*slower than the window* where more than 10 % have no τ within it.",
            *counts,
            MarkdownTable(head, rows) if rows else "No network misses a goal.",
        ],
    )


def _cause_counts(networks: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Return per family how many networks miss something, and the causes' counts."""
    entries = []
    for copies in _copies(networks):
        for family in FAMILIES[:-1]:
            members = [
                network
                for network in networks
                if network["copies"] == copies and in_family(network, family)
            ]
            failing = [network for network in members if missed(network)]
            if not failing or family == ALL:
                continue
            causes: dict[str, int] = {}
            for network in failing:
                for cause in network["why"]["causes"] or ["none named"]:
                    causes[cause] = causes.get(cause, 0) + 1
            named = ", ".join(f"{cause} {count}" for cause, count in causes.items())
            entries.append(
                f"{TITLES[family]}, {_neurons(copies)}: {len(failing)} of "
                f"{len(members)} miss some goal; {named}."
            )
    return [entries] if entries else []


def _by_network(copies: int, networks: Sequence[Mapping[str, Any]]) -> PageSection:
    rows = []
    for network in networks:
        if network["copies"] != copies:
            continue
        name = _name(network)
        for situation in ("rest", "epoch"):
            compared = network["states"][situation]
            for pair, title in PAIRS.items():
                first = pair.split()[0]
                figures, floor = compared[pair], compared["floor"][first]
                rows.append(
                    [
                        name,
                        situation,
                        title,
                        *(_ms(tau) for tau in figures["tau_s"]),
                        f"{figures['with_tau'][2]} of {figures['units']}",
                        *(
                            _with_floor(figures[key], floor[key])
                            for key in list(FIGURES)[:5]
                        ),
                        *_answers(network, situation, pair),
                    ]
                )
                name = ""
    head = [
        *("network", "situation", "stages", "τ (ms)", "τ then", "units with τ"),
        *("ratio", "SD of log", "correlation", "ACF rms", "SD ratio"),
        *("accuracy", "Hz", "s"),
    ]
    return PageSection(
        f"Network by network, {_neurons(copies)}",
        [
            "In brackets the floor. Accuracy rate/LIF/fixed; Hz of LIF neurons in the "
            "task; seconds of conversion, choice and quantization, in brackets "
            "those of all cores.",
            MarkdownTable(head, rows),
        ],
    )


def _answers(network: Mapping[str, Any], situation: str, pair: str) -> list[str]:
    """Return accuracies, rate and seconds, once for each network."""
    if (situation, pair) != ("rest", "rate to lif"):
        return [""] * 3
    answers = network["answers"]
    accuracy = "/".join(f"{stage['accuracy']:.3f}" for stage in answers.values())
    seconds = f"{network['seconds']:.0f} ({network['cpu_seconds']:.0f})"
    return [accuracy, f"{answers['lif']['rate_hz']:.1f}", seconds]


def _memory(networks: Sequence[Mapping[str, Any]]) -> PageSection:
    """Return what lies within windows of a second and what between them."""
    rows = []
    for copies in _copies(networks):
        for family in FAMILIES:
            members = [
                network["states"]["rest"]
                for network in networks
                if network["copies"] == copies and in_family(network, family)
            ]
            if not members:
                continue
            for pair, title in PAIRS.items():
                if pair == "rate to fixed":
                    continue
                first = pair.split()[0]
                shares = [m[pair]["between_share"] for m in members]
                rows.append(
                    [
                        TITLES[family] if first == "rate" else "",
                        str(copies),
                        title,
                        *(
                            _median_floor(members, pair, first, key)
                            for key in ("ratio", "sd_log", "sd_ratio")
                        ),
                        *(_median([s[k] for s in shares]) for k in (0, 1)),
                        _median([m[pair]["between_sd_ratio"] for m in members]),
                    ]
                )
    head = [
        *("networks", "copies", "stages", "τ ratio within", "SD of log within"),
        *("SD ratio within", "share between", "share between, then"),
        "SD ratio between",
    ]
    return PageSection(
        "Within a state and between states",
        [
            "A network with several memory states sits in one of them for seconds, and "
            "moments over all trials are then those of the states that happened to be "
            "visited. At rest, in windows of 1 s: within, about each trial's own mean; "
            "between, those means over trials, as a share of the variance and as a "
            "ratio of SDs. Medians over networks, in brackets the floor.",
            MarkdownTable(head, rows),
        ],
    )


def _chosen(networks: Sequence[Mapping[str, Any]]) -> PageSection:
    """Return what the conversion tried and took."""
    rows = []
    for network in networks:
        chosen = network["chosen"]
        rows.append(
            [
                _name(network),
                str(network["copies"]),
                str(len(network["candidates"])),
                ", ".join(
                    f"{name} {value:.3g}"
                    if isinstance(value, float)
                    else f"{name} {value}"
                    for name, value in chosen.items()
                    if value is not None and name in SAID
                ),
                network["why_chosen"],
            ]
        )
    return PageSection(
        "What was tried and chosen",
        [
            "Candidates tried, and of the one chosen what its conversion says; all "
            "candidates stand in the `.json`.",
            MarkdownTable(["network", "copies", "tried", "chosen", "why"], rows),
        ],
    )


SAID = (
    *("swing", "offset", "ridge", "rest", "lag", "rounds", "gain", "trimmed"),
    "membrane_noise",
    *("mean_rate", "accuracy", "tau_ratio", "sd_ratio"),
    *("state_distance", "task_distance"),
)
"""Fields of a candidate that the page names."""


def _median_floor(
    members: Sequence[Mapping[str, Any]], pair: str, first: str, key: str
) -> str:
    value = _median([m[pair]["within"][key] for m in members])
    floor = _median([m["floor"][first]["within"][key] for m in members])
    return f"{value} ({floor})"


def _median(values: Sequence[float | None], form: str = ".3f") -> str:
    there = [value for value in values if value is not None]
    return f"{float(np.median(there)):{form}}" if there else MISSING


def _with_floor(value: float | None, floor: float | None) -> str:
    return f"{number(value, '.3f')} ({number(floor, '.3f')})"


def _beside(pair: Sequence[float | None]) -> str:
    return ", ".join(number(value, ".3g") for value in pair)


def _ms(seconds: float | None) -> str:
    return MISSING if seconds is None else f"{1e3 * seconds:.0f}"


def _copies(networks: Sequence[Mapping[str, Any]]) -> list[int]:
    return sorted({network["copies"] for network in networks})


def _neurons(copies: int) -> str:
    return "one neuron per unit" if copies == 1 else f"{copies} neurons per unit"


def _name(network: Mapping[str, Any]) -> str:
    name = network["name"].removeprefix("net_")
    # Of a file the name alone tells which network it is.
    own = network["family"] in (FILES, SHIPPED)
    return name if own else f"{TITLES[network['family']]} {name}"
