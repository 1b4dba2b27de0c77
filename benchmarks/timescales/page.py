"""docs/results/timescales.md and timescales.json, from the figures of every part."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.timescales.tables import network_tables, table
from isotau.convert.ground.files import write_text

PUBLISHED = {
    "Pearson, per neuron": ("21.4", "43.3", "75.1", "0.06"),
    "iSTTC": ("22.6", "45.7", "77.6", "0.04"),
    "abcTau (8222 units)": ("28.9", "55.6", "84.7", "211"),
}


def write_page(
    folder: Path, figures: dict[str, Any], made: dict[str, Any], sizes: dict[str, Any]
) -> None:
    """Write the page and its figures."""
    content = {"provenance": made, "sizes": sizes, "figures": figures}
    text = json.dumps(content, indent=1, allow_nan=False)
    write_text(folder / "timescales.json", text + "\n")
    sections: list[tuple[str, Callable[[Any], list[str]]]] = [
        ("hawkes", _hawkes),
        ("cells", _cells),
        ("nulls", _nulls),
        ("published", _published),
        ("several", _several),
        ("speed", _speed),
    ]
    lines = ["# Timescales: figures", "", *_head(made)]
    for name, section in sections:
        if name in figures:
            lines += section(figures[name])
    studies = [found for name, found in figures.items() if " " in name]
    if studies:
        lines += network_tables(studies)
    write_text(folder / "timescales.md", "\n".join(lines) + "\n")


def _head(made: dict[str, Any]) -> list[str]:
    versions = made["versions"]
    parts = ", in parts (`--only`)" if made["in_parts"] else ""
    dirty = " with uncommitted changes" if made["uncommitted"] else ""
    quick = ["**Made with --quick: too few data to believe.**", ""]
    return [
        "Every figure stands in `timescales.json` too. Made by",
        f"`{made['command']}`{parts}, at commit {made['commit']}{dirty}, seed "
        f"{made['seed']}, on {made['machine']}, Python {versions['python']}, "
        f"torch {versions['torch']}, numpy {versions['numpy']}.",
        "",
        *(quick if made["quick"] else []),
    ]


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f}"


def _bias(value: float | None) -> str:
    return "–" if value is None else f"{100 * (value - 1):+.0f}"


def _hawkes(found: dict[str, Any]) -> list[str]:
    rows = []
    for method, score in found["methods"].items():
        within = [_percent(score[f"within_{k}"]) for k in (25, 50, 100)]
        more = ["–"] * 4
        if "kept" in score:
            seconds = score["seconds_per_neuron"]
            more = [
                _percent(score["kept"], 0),
                _percent(score["kept_within_25"]),
                _percent(score["coverage"]),
                f"{1e3 * seconds:.2g} ms",
            ]
        rows.append([method, *within, *more])
    for name, (a, b, c, seconds) in PUBLISHED.items():
        rows.append([f"{name}, published", a, b, c, "–", "–", "–", f"{seconds} s"])
    slow = [
        [
            name,
            str(score["n"]),
            _percent(score["within_25"]),
            _percent(score["kept"], 0),
            _percent(score["kept_within_25"]),
            _percent(score["coverage"]),
        ]
        for name, score in found["ml_by_rate"].items()
    ]
    n = found["methods"]["ml"]["n"]
    return [
        f"## Hawkes benchmark: 40 trials of 1 s, {n} units",
        "",
        "Rates 0.01–10 Hz, α 0.1–0.9, τ 50–300 ms, all uniform: the benchmark of",
        "iSTTC, by a generator of our own. % of *all* units within 25, 50, 100 % of",
        "the truth; units without a value count as wrong. Kept: those that the method",
        "itself believes. A constant guess of 225 ms is within 25 % of nearly half",
        "of such τ: this figure alone says little of an estimator. No method is told",
        "the range of τ. Published lines count what their authors count.",
        "",
        *table(
            ["method", "25 %", "50 %", "100 %", "kept", "kept: 25 %",
             "interval holds the truth", "per unit"],
            rows,
        ),
        "`ml` by rate:",
        "",
        *table(
            ["rate", "units", "25 %", "kept", "kept: 25 %", "interval holds"], slow
        ),
    ]  # fmt: skip


def _cells(cells: list[dict[str, Any]]) -> list[str]:
    rows = []
    for cell in cells:
        place = f"{cell['rate']:.0f} ± {cell['sd']:.0f}"
        for method, score in cell["methods"].items():
            sd = score["kept_sd_log"]
            rows.append(
                [
                    place,
                    f"{1e3 * cell['tau']:.0f}",
                    method,
                    _percent(score["within_25"], 0),
                    _percent(score["kept"], 0),
                    _percent(score["kept_within_25"], 0),
                    _bias(score["median_bias"]),
                    "–" if sd is None else f"{sd:.2f}",
                    _percent(score["coverage"]),
                ]
            )
            place = ""
    n = cells[0]["methods"]["ml"]["n"]
    return [
        f"## Doubly stochastic Poisson neurons: 50 trials of 1 s, {n} units a line",
        "",
        "The rate is a rectified Ornstein–Uhlenbeck process. Rectifying makes it decay",
        "a little faster than its τ, which nevertheless counts as the truth. Bias: of",
        "the median of all values, in %. SD: of log τ among those kept.",
        "",
        *table(
            ["Hz", "τ (ms)", "method", "within 25 %", "kept", "kept: 25 %", "bias",
             "SD", "interval holds the truth"],
            rows,
        ),
    ]  # fmt: skip


def _nulls(rows: list[dict[str, Any]]) -> list[str]:
    methods = list(rows[0]["kept"])
    return [
        "## Neurons without a timescale that are given one (%)",
        "",
        "50 trials of 1 s. Gamma trains of order below 1 come in bursts, whose length",
        "is a timescale of the spikes if not of a rate; above 1 they are regular.",
        "`exponential, bootstrap` keeps what 100 resamples of the trials bear out.",
        "",
        *table(
            ["process", "units", *methods, "`ml` at its shortest or longest τ"],
            [
                [
                    row["process"],
                    str(row["n"]),
                    *(_percent(row["kept"][method]) for method in methods),
                    _percent(row["at_bound"]),
                ]
                for row in rows
            ],
        ),
    ]


def _published(rows: list[dict[str, Any]]) -> list[str]:
    return [
        "## The published direct fit, reproduced",
        "",
        "Ornstein–Uhlenbeck process, τ = 20 ms, 500 trials of 1 s, direct fit within",
        "trials: published 16.9 ± 0.3 ms. The published data were made in Euler steps",
        "of 1 ms, whose own τ is 19.5 ms.",
        "",
        *table(
            ["process", "repeats", "fit (ms)", "corrected (ms)"],
            [
                [
                    row["process"],
                    str(row["repeats"]),
                    f"{1e3 * row['mean']:.2f} ± {1e3 * row['sd']:.2f}",
                    f"{1e3 * row['corrected_mean']:.2f}",
                ]
                for row in rows
            ],
        ),
    ]


def _several(rows: list[dict[str, Any]]) -> list[str]:
    return [
        "## One timescale or two",
        "",
        "40 ± 35 Hz, 200 trials of 2 s. One: 100 ms; two: 20 and 300 ms, equal parts.",
        "",
        *table(
            ["truth", "units", "said none", "one", "two", "medians (ms)"],
            [
                [
                    row["process"],
                    str(row["n"]),
                    *map(str, row["said"]),
                    ", ".join(f"{1e3 * tau:.0f}" for tau in row["median_taus"] if tau),
                ]
                for row in rows
            ],
        ),
    ]


def _speed(found: dict[str, Any]) -> list[str]:
    return [
        "## Speed",
        "",
        f"`ml` with intervals, {found['networks']} networks of {found['neurons']} "
        f"neurons (50 trials of 1 s): {found['seconds']:.0f} s.",
        "",
    ]
