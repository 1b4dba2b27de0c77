"""What docs/results/chain.md says, from the figures in chain.json."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.page import (
    MISSING,
    Block,
    MarkdownTable,
    PageSection,
    made_by,
    number,
    three_digits,
)

METHOD = """\
Every command runs in a process of its own. Warm: the median of the runs; new: the
first one, whose numba cache is empty. CPU counts all threads and child processes, Lava
among them; the memory is the largest resident set of one process. The network is
`examples/data/go_nogo_N200.mat` with the defaults of each command, where nothing else
is said."""


def chain_page(figures: Mapping[str, Any]) -> PageSection:
    """Return the page."""
    options = f" --against {figures['against']}" if figures["against"] else ""
    notes = [
        f"{figures['repeats']} warm run{'s' * (figures['repeats'] > 1)} of each",
        f"at a load of {figures['load']:.1f} by other work before the first",
    ]
    return PageSection(
        "The chain: figures",
        [
            made_by(
                figures["provenance"],
                "benchmarks.chain",
                "chain.json",
                options=options,
                notes=notes,
            ),
            METHOD,
            PageSection("Commands", [_commands(figures["after"])]),
            *_against(figures),
            *_stages(figures["after"]),
            _peers(figures["peers"]),
        ],
    )


def _commands(rows: Sequence[Mapping[str, Any]]) -> MarkdownTable:
    """Return wall time, CPU time and memory of every command."""
    return MarkdownTable(
        ["command", "warm, s", "goal", "new, s", "goal", "CPU, s", "CPU new, s", "MB"],
        [
            [
                row["name"],
                f"{row['warm']['wall_s']:.1f}",
                number(row["goal"][0], ".0f"),
                f"{row['cold']['wall_s']:.1f}",
                number(row["goal"][1], ".0f"),
                f"{row['warm']['cpu_s']:.1f}",
                f"{row['cold']['cpu_s']:.1f}",
                f"{max(row[k]['peak_mb'] for k in ('warm', 'cold')):.0f}",
            ]
            for row in rows
        ],
    )


def _against(figures: Mapping[str, Any]) -> list[Block]:
    """Return the same of an earlier commit, as multiples of today's."""
    if figures["before"] is None:
        return []
    today = {row["name"]: row for row in figures["after"]}
    rows = []
    for row in figures["before"]:
        now = today[row["name"]]
        cells = [row["name"]]
        for kind, unit in (
            *(("warm", "wall_s"), ("cold", "wall_s")),
            *(("warm", "cpu_s"), ("warm", "peak_mb")),
        ):
            ratio = row[kind][unit] / now[kind][unit]
            form = ".0f" if unit == "peak_mb" else ".1f"
            cells.append(f"{row[kind][unit]:{form}} ({ratio:.1f}×)")
        rows.append(cells)
    head = ["command", "warm, s", "new, s", "CPU warm, s", "MB warm"]
    return [
        PageSection(
            f"The same at commit {figures['against']}",
            ["In brackets: as a multiple of today's.", MarkdownTable(head, rows)],
        )
    ]


def _stages(rows: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Return where the time of the commands goes that write it down."""
    sections: list[Block] = []
    for row in rows:
        if not row["stages"]:
            continue
        lines = [
            [
                stage["stage"],
                f"{stage['wall_s']:.2f}",
                f"{stage['cpu_s']:.2f}",
                f"{stage['peak_mb']:.0f}",
            ]
            for stage in row["stages"]
        ]
        told = sum(stage["wall_s"] for stage in row["stages"])
        rest = row["walls"][-1] - told
        lines.append(["start, imports, end", f"{rest:.2f}", MISSING, MISSING])
        sections.append(
            PageSection(
                f"Stages of `isotau {row['name']}`, warm",
                [
                    "Of the last run, from its `timing.json`, one after another; what "
                    "runs beside a stage is in its CPU time, child processes are not. "
                    "MB: the peak so far.",
                    MarkdownTable(["stage", "s", "CPU, s", "MB"], lines),
                ],
            )
        )
    return sections


def _peers(rows: Sequence[Mapping[str, Any]]) -> PageSection:
    """Return what others take for the same steps."""
    cells = [
        [
            row["step"],
            row["peer"],
            MISSING if row["ours_s"] is None else f"{1e3 * row['ours_s']:.3g} ms",
            MISSING if row["peer_s"] is None else f"{1e3 * row['peer_s']:.3g} ms",
            MISSING
            if row["ours_s"] is None or row["peer_s"] is None
            else f"{three_digits(row['peer_s'] / row['ours_s'])}×",
        ]
        for row in rows
    ]
    return PageSection(
        "The same step by others",
        [
            "In one process, interleaved, medians.",
            MarkdownTable(["step", "by", "ours", "theirs", "ratio"], cells),
        ],
    )
