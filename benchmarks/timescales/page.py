"""What docs/results/timescales.md says, from the figures in timescales.json."""

from collections.abc import Callable, Mapping
from math import exp
from typing import Any

from benchmarks.page import (
    MISSING,
    Block,
    MarkdownTable,
    PageSection,
    interval,
    made_by,
    number,
    percent,
)

PUBLISHED = {
    "Pearson, per neuron": ("21.4", "43.3", "75.1", "0.06"),
    "iSTTC": ("22.6", "45.7", "77.6", "0.04"),
    "abcTau (8222 units)": ("28.9", "55.6", "84.7", "211"),
}
"""% of units within 25, 50 and 100 % of the truth, and seconds per unit."""
STUDY = {"dms-750": "DMS, delay 750 ms", "mante": "Mante", "go-nogo": "Go-NoGo"}
GROUPS = ("all", "long", "short", "long_matched", "short_matched")
NONE = (None, None, None)


def timescales_page(figures: Mapping[str, Any]) -> PageSection:
    """Return the page, of the parts that have been measured."""
    provenance, parts = figures["provenance"], figures["figures"]
    blocks: list[Block] = [
        made_by(
            provenance,
            "benchmarks.timescales",
            "timescales.json",
            notes=[f"seed {provenance['seed']}"],
        )
    ]
    if provenance["quick"]:
        blocks.append("**Made with --quick: too few data to believe.**")
    sections: dict[str, Callable[[Any], PageSection]] = {
        "hawkes": _hawkes,
        "cells": _cells,
        "nulls": _nulls,
        "published": _published,
        "several": _several,
        "speed": _speed,
    }
    blocks += [
        section(parts[name]) for name, section in sections.items() if name in parts
    ]
    # Parts of trained networks are named by study and method.
    studies = [part for name, part in parts.items() if " " in name]
    if studies:
        blocks += [
            _preservation(studies),
            *_sensitivities(studies),
            *_memory_code(studies),
        ]
    return PageSection("Timescales: figures", blocks)


def _hawkes(part: dict[str, Any]) -> PageSection:
    rows = []
    for method, score in part["methods"].items():
        within = [percent(score[f"within_{k}"]) for k in (25, 50, 100)]
        cells = [MISSING] * 4
        if "kept" in score:  # a constant guess judges no unit
            cells = [
                percent(score["kept"], ".0f"),
                percent(score["kept_within_25"]),
                percent(score["coverage"]),
                f"{1e3 * score['seconds_per_neuron']:.2g} ms",
            ]
        rows.append([method, *within, *cells])
    for name, (*within, seconds) in PUBLISHED.items():
        rows.append([f"{name}, published", *within, *[MISSING] * 3, f"{seconds} s"])
    by_rate = [
        [
            name,
            str(score["n"]),
            percent(score["within_25"]),
            percent(score["kept"], ".0f"),
            percent(score["kept_within_25"]),
            percent(score["coverage"]),
        ]
        for name, score in part["ml_by_rate"].items()
    ]
    return PageSection(
        f"Hawkes benchmark: 40 trials of 1 s, {part['methods']['ml']['n']} units",
        [
            "Rates 0.01–10 Hz, α 0.1–0.9, τ 50–300 ms, all uniform: the benchmark of "
            "iSTTC, by a generator of our own. % of *all* units within 25, 50, 100 % "
            "of the truth; units without a value count as wrong. Kept: those that the "
            "method itself believes. A constant guess of 225 ms is within 25 % of "
            "nearly half of such τ: this figure alone says little of an estimator. No "
            "method is told the range of τ. Published lines count what their authors "
            "count.",
            MarkdownTable(
                [
                    *("method", "25 %", "50 %", "100 %", "kept", "kept: 25 %"),
                    *("interval holds the truth", "per unit"),
                ],
                rows,
            ),
            "`ml` by rate:",
            MarkdownTable(
                ["rate", "units", "25 %", "kept", "kept: 25 %", "interval holds"],
                by_rate,
            ),
        ],
    )


def _cells(cells: list[dict[str, Any]]) -> PageSection:
    rows = []
    for cell in cells:
        place = f"{cell['rate']:.0f} ± {cell['sd']:.0f}"
        for method, score in cell["methods"].items():
            bias = score["median_bias"]
            rows.append(
                [
                    place,
                    f"{1e3 * cell['tau']:.0f}",
                    method,
                    percent(score["within_25"], ".0f"),
                    percent(score["kept"], ".0f"),
                    percent(score["kept_within_25"], ".0f"),
                    percent(None if bias is None else bias - 1, "+.0f"),
                    number(score["kept_sd_log"]),
                    percent(score["coverage"]),
                ]
            )
            place = ""
    n = cells[0]["methods"]["ml"]["n"]
    return PageSection(
        f"Doubly stochastic Poisson neurons: 50 trials of 1 s, {n} units a line",
        [
            "The rate is a rectified Ornstein–Uhlenbeck process. Rectifying makes it "
            "decay a little faster than its τ, which nevertheless counts as the truth. "
            "Bias: of the median of all values, in %. SD: of log τ among those kept.",
            MarkdownTable(
                [
                    *("Hz", "τ (ms)", "method", "within 25 %", "kept", "kept: 25 %"),
                    *("bias", "SD", "interval holds the truth"),
                ],
                rows,
            ),
        ],
    )


def _nulls(processes: list[dict[str, Any]]) -> PageSection:
    methods = list(processes[0]["kept"])
    rows = [
        [
            process["process"],
            str(process["n"]),
            *(percent(process["kept"][method]) for method in methods),
            percent(process["at_bound"]),
        ]
        for process in processes
    ]
    head = ["process", "units", *methods, "`ml` at its shortest or longest τ"]
    return PageSection(
        "Neurons without a timescale that are given one (%)",
        [
            "50 trials of 1 s. Gamma trains of order below 1 come in bursts, whose "
            "length is a timescale of the spikes if not of a rate; above 1 they are "
            "regular. `exponential, bootstrap` keeps what 100 resamples of the trials "
            "bear out.",
            MarkdownTable(head, rows),
        ],
    )


def _published(processes: list[dict[str, Any]]) -> PageSection:
    rows = [
        [
            process["process"],
            str(process["repeats"]),
            f"{1e3 * process['mean']:.2f} ± {1e3 * process['sd']:.2f}",
            f"{1e3 * process['corrected_mean']:.2f}",
        ]
        for process in processes
    ]
    return PageSection(
        "The published direct fit, reproduced",
        [
            "Ornstein–Uhlenbeck process, τ = 20 ms, 500 trials of 1 s, direct fit "
            "within trials: published 16.9 ± 0.3 ms. The published data were made in "
            "Euler steps of 1 ms, whose own τ is 19.5 ms.",
            MarkdownTable(["process", "repeats", "fit (ms)", "corrected (ms)"], rows),
        ],
    )


def _several(processes: list[dict[str, Any]]) -> PageSection:
    rows = [
        [
            process["process"],
            str(process["n"]),
            *map(str, process["said"]),
            ", ".join(f"{1e3 * tau:.0f}" for tau in process["median_taus"] if tau),
        ]
        for process in processes
    ]
    return PageSection(
        "One timescale or two",
        [
            "40 ± 35 Hz, 200 trials of 2 s. One: 100 ms; two: 20 and 300 ms, equal "
            "parts.",
            MarkdownTable(
                ["truth", "units", "said none", "one", "two", "medians (ms)"], rows
            ),
        ],
    )


def _speed(part: dict[str, Any]) -> PageSection:
    return PageSection(
        "Speed",
        [
            f"`ml` with intervals, {part['networks']} networks of {part['neurons']} "
            f"neurons (50 trials of 1 s): {part['seconds']:.0f} s."
        ],
    )


def _preservation(studies: list[dict[str, Any]]) -> PageSection:
    rows = []
    for study in studies:
        name = _name(study)
        for stages, comparison in study["comparisons"].items():
            for method, result in comparison["methods"].items():
                numbers = result["numbers"]
                rows.append(
                    [
                        name,
                        stages,
                        f"**{comparison['verdict']}**" if method == "ml" else "",
                        method,
                        result["verdict"],
                        f"{result['n_networks']} of {study['networks']}",
                        _ratio(*result["shift"]),
                        interval(*result["scatter"]),
                        interval(*result["loss"]),
                        interval(*numbers.get("correlation", NONE)),
                        interval(*numbers.get("disattenuated", NONE)),
                    ]
                )
                name, stages = "", ""
            curves = comparison["curves"]["verdict"]
            rows.append(["", "", "", "curves", curves, *[MISSING] * 6])
    return PageSection(
        "Trained networks: are timescales preserved?",
        [
            "Without input, every stage run twice. Verdict in bold: of all estimators "
            "together. Ratio of τ (margin 0.80–1.25), scatter of log τ beyond the "
            "repeat's (margin 0.22), loss of neurons with a timescale beyond the "
            "repeat's (margin 0.10); 90 % intervals. Rate stage: seen through a "
            "Poisson observer.",
            MarkdownTable(
                [
                    *("networks", "stages", "verdict", "estimator", "says"),
                    *("have a say", "τ ratio", "scatter", "loss", "correlation"),
                    "disattenuated",
                ],
                rows,
            ),
            "What was found (`ml`), and what the chip's truncation leaves of the "
            "synapses' time constants (median, 5th and 95th percentile over neurons):",
            _quartiles(studies),
        ],
    )


def _quartiles(studies: list[dict[str, Any]]) -> MarkdownTable:
    rows = []
    for study in studies:
        name = _name(study)
        for stage, by_method in study["timescales"].items():
            timescales, accuracy = by_method["ml"], study["accuracy"][stage]
            median, quartiles = MISSING, MISSING
            if timescales["quartiles_s"] is not None:
                taus = [f"{1e3 * tau:.0f}" for tau in timescales["quartiles_s"]]
                median, quartiles = taus[1], f"{taus[0]}–{taus[2]}"
            rows.append(
                [
                    name,
                    stage,
                    f"{sum(accuracy) / len(accuracy):.3f}",
                    f"{timescales['rate_hz']:.1f}",
                    f"{timescales['identified']} of {timescales['neurons']}",
                    median,
                    quartiles,
                ]
            )
            name = ""
        # The last row of a study is the chip's.
        low, middle, high = study["tau_syn_effective"]["ratio_quantiles"]
        rows[-1][1] += (
            f" (τ_syn at the amplitudes visited: {middle:.3f} of nominal, "
            f"{low:.3f}–{high:.3f})"
        )
    head = ["networks", "stage", "accuracy", "Hz", "with a timescale", "median (ms)"]
    return MarkdownTable([*head, "quartiles"], rows)


def _sensitivities(studies: list[dict[str, Any]]) -> list[Block]:
    columns = ("distance", "shift", "scatter", "loss", "wasserstein")
    head = ["error", "distance", "shift", "scatter", "loss", "Wasserstein", "verdict"]
    sections: list[Block] = []
    for study in studies:
        sweep = study["sensitivity"]
        if sweep is None:
            continue
        rows = [
            [
                f"{100 * error:+.0f} %",
                *(number(sweep[name][k]) for name in columns),
                sweep["verdicts"][k],
            ]
            for k, error in enumerate(sweep["errors"])
        ]
        sections.append(
            PageSection(
                f"λ set wrong ({STUDY[study['study']]}, {sweep['networks']} networks)",
                [
                    "1/λ too large by so much; the chip against the chip at the right "
                    "λ. The distance counts shift, scatter and loss in units of their "
                    "margins. Kendall's τ of distance and error: "
                    f"{sweep['trends']['distance']:.2f}.",
                    MarkdownTable(head, rows),
                ],
            )
        )
    return sections


def _memory_code(studies: list[dict[str, Any]]) -> list[Block]:
    rows = []
    for study in studies:
        for stage, code in (study["memory_code"] or {}).items():
            if "refused" in code:
                rows.append([_name(study), stage, code["refused"], *[MISSING] * 6])
                continue
            stabilities = [code["groups"][name]["stability"] for name in GROUPS]
            carries = {True: "yes", False: "no", None: "not shown"}
            rows.append(
                [
                    _name(study),
                    stage,
                    *(
                        interval(figure["value"], figure["low"], figure["high"])
                        for figure in (*stabilities, code["long_less_short"])
                    ),
                    carries[code["long_carries_stable_code"]],
                ]
            )
    if not rows:
        return []
    return [
        PageSection(
            "The memory code in the delay",
            [
                "Discriminability of the first stimulus between times more than 250 ms "
                "apart, over that at one time (1: a stable code). Long and short: "
                "above the third and below the first quartile of the stage's own τ; "
                "matched in number and rate. Intervals leave out one network in turn.",
                MarkdownTable(
                    [
                        *("networks", "stage", "all", "long", "short"),
                        *("long, matched", "short, matched", "long less short"),
                        "long-τ units carry the stable code",
                    ],
                    rows,
                ),
            ],
        )
    ]


def _name(study: dict[str, Any]) -> str:
    return f"{STUDY[study['study']]}, {study['method']}"


def _ratio(shift: float | None, low: float | None, high: float | None) -> str:
    """Return a shift of log τ as a ratio of τ."""
    if shift is None:
        return MISSING
    return interval(exp(shift), None if low is None else exp(low), exp(high or 0))
