"""What `benchmarks.engine` prints: the cost of a step, and ratios with targets."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.page import MISSING, MarkdownTable, PageSection, three_digits

RATIO_SIZES = (200, 1000)
"""Numbers of neurons for which there are targets."""
TARGETS = (
    # name, N = 200, N = 1000, the slower, the faster; each an engine and its batch
    ("Lava, run only", 1000, 350, ("Lava", 1), ("compiled", 100)),
    ("Lava, spikes read", 10000, 3000, ("Lava, spikes read", 1), ("compiled", 100)),
    ("Norse float, batch 100", 10, 8, ("Norse", 100), ("compiled", 100)),
    ("Brian2 C++, run only", 10, 20, ("Brian2", 1), ("compiled", 100)),
    # Of the ceiling, 7.8 and 18.5 times as fast as plain C where both were measured,
    # the target is 1/2.5.
    ("plain C, one thread", 3.1, 7.4, ("plain C", 100), ("compiled", 100)),
)
LIMITS = (
    ("membrane noise", 2, ("compiled, noise", 100), ("compiled", 100)),
    ("u and v of 10 neurons", None, ("compiled, u and v", 100), ("compiled", 100)),
    ("overflow counted", None, ("compiled, counting", 100), ("compiled", 100)),
    ("batch 1, per core", 2, ("compiled, 1 thread", 1), ("compiled, 1 thread", 100)),
    ("one thread", None, ("compiled, 1 thread", 100), ("compiled", 100)),
)
"""What, at most how many times slower than what; None for no limit."""
Rows = Sequence[dict[str, Any]]


def engine_page(figures: Mapping[str, Any]) -> PageSection:
    """Return the page, in the form in which README has its tables."""
    machine, rows = figures["machine"], figures["rows"]
    networks = [
        f"N = {net['n']}: bias {net['bias']}·2^6, {net['activity']:.2%} of neurons "
        "spike in a step"
        for net in figures["networks"]
    ]
    starts = [f"{call}: {seconds:.2f} s" for call, seconds in figures["start"].items()]
    repeats = statistics.median(row["repeats"] for row in rows)
    return PageSection(
        "What a time step costs",
        [
            f"{machine['cpu']}, {machine['cores']} cores; medians of {repeats:g}.",
            networks,
            _costs(rows),
            _ratios(figures["ratios"]),
            *([starts] if starts else []),
        ],
    )


def ratios(rows: Rows) -> list[dict[str, Any]]:
    """Return how many times faster ours is than others, and slower with options."""
    cost, results = _times(rows), []
    targets = [(name, (a, b), True, *pair) for name, a, b, *pair in TARGETS]
    limits = [(name, (most, most), False, *pair) for name, most, *pair in LIMITS]
    for name, needs, at_least, slow, fast in targets + limits:
        for n, need in zip(RATIO_SIZES, needs, strict=True):
            # A rival that is not installed, or left out by --quick, has no row.
            if (*slow, n) not in cost or (*fast, n) not in cost:
                continue
            ratio = cost[(*slow, n)] / cost[(*fast, n)]
            met = None if need is None else (ratio >= need) == at_least
            row = {"what": name, "n": n, "at_least": at_least}
            results.append({**row, "need": need, "ratio": ratio, "met": met})
    return results


def _times(rows: Rows) -> dict[tuple[str, int, int], float]:
    """Return µs per trial and step by engine, batch and n."""
    return {(r["engine"], r["batch"], r["n"]): r["us_per_trial_step"] for r in rows}


def _costs(rows: Rows) -> MarkdownTable:
    cost = _times(rows)
    sizes = sorted({row["n"] for row in rows})
    lines = []
    for engine, batch in dict.fromkeys((r["engine"], r["batch"]) for r in rows):
        cells = [cost.get((engine, batch, n)) for n in sizes]
        texts = [MISSING if cell is None else three_digits(cell) for cell in cells]
        lines.append([engine, str(batch), *texts])
    head = ["µs per trial and step", "batch", *(f"N = {n}" for n in sizes)]
    return MarkdownTable(head, lines)


def _ratios(results: Rows) -> MarkdownTable:
    cells: dict[tuple[str, bool], dict[int, str]] = {}
    for row in results:
        sign = "≥" if row["at_least"] else "≤"
        need = "" if row["need"] is None else f" ({sign} {row['need']:,})"
        missed = "" if row["met"] in (True, None) else " **missed**"
        text = f"{three_digits(row['ratio'])}×{need}{missed}"
        cells.setdefault((row["what"], row["at_least"]), {})[row["n"]] = text
    lines = [
        [
            ("faster than " if faster else "slower: ") + name,
            *(by_n.get(n, MISSING) for n in RATIO_SIZES),
        ]
        for (name, faster), by_n in cells.items()
    ]
    head = ["ours, batch 100 (needed)", *(f"N = {n}" for n in RATIO_SIZES)]
    return MarkdownTable(head, lines)
