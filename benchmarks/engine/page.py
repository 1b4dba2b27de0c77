"""What `benchmarks.engine` prints: the cost of a step, and ratios with targets."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.page import MISSING, MarkdownTable, PageSection, three_digits

RATIO_SIZES = (200, 1000)
"""Numbers of neurons for which there are targets."""
TARGETS = (
    # name, N = 200, N = 1000, the slower, the faster; each an engine and its batch
    ("an earlier commit", 2.2, 2, ("compiled, earlier commit", 100), ("compiled", 100)),
    ("Lava, run only", 2000, 600, ("Lava", 1), ("compiled", 100)),
    (
        "Lava, spikes read",
        *(15000, 12000),
        ("Lava, spikes read", 1),
        ("compiled", 100),
    ),
    ("Norse float, batch 100", 14, 15, ("Norse", 100), ("compiled", 100)),
    ("Brian2 C++, run only", 10, 20, ("Brian2", 1), ("compiled", 100)),
    ("plain C, one thread", 9, 16, ("plain C", 100), ("compiled", 100)),
)
CEILING = {200: 7.8, 1000: 18.5}
"""How many times as fast as plain C a step is that was written by hand for AVX-512, on
two threads, without noise, counts or traces, where both were measured."""
VARIANTS = ("compiled", "compiled, noise", "compiled, counting", "compiled, u and v")
LIMITS = (
    ("membrane noise", 1.25, ("compiled, noise", 100), ("compiled", 100)),
    ("u and v of 10 neurons", 1.1, ("compiled, u and v", 100), ("compiled", 100)),
    ("overflow counted", 1.15, ("compiled, counting", 100), ("compiled", 100)),
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
            _ceilings(rows),
            *([starts] if starts else []),
            *_activities(figures),
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


def _ceilings(rows: Rows) -> MarkdownTable:
    """Return how each variant stands to the step that was written by hand."""
    cost, lines = _times(rows), []
    for engine in VARIANTS:
        cells = []
        for n in RATIO_SIZES:
            ours, plain = cost.get((engine, 100, n)), cost.get(("plain C", 100, n))
            if ours is None or plain is None:
                cells.append(MISSING)
                continue
            cells.append(three_digits(ours / plain * CEILING[n]))
        lines.append([engine, *cells])
    head = ["cost in that of a step by hand, AVX-512"]
    return MarkdownTable([*head, *(f"N = {n}" for n in RATIO_SIZES)], lines)


def _activities(figures: Mapping[str, Any]) -> list[MarkdownTable | str]:
    """Return the cost against activity, beside a product of all weights."""
    rows = figures.get("against_activity")
    if not rows:
        return []
    dense = {row["n"]: row["us_per_trial_step"] for row in figures["dense"]}
    sizes = sorted({row["n"] for row in rows})
    cells = {n: [row for row in rows if row["n"] == n] for n in sizes}
    lines = []
    for turn in zip(*(cells[n] for n in sizes), strict=True):
        line = [
            f"{row['activity']:.2%}: {three_digits(row['us_per_trial_step'])}"
            for row in turn
        ]
        lines.append(line)
    lines.append([f"dense: {three_digits(dense[n])}" for n in sizes])
    text = (
        "One thread, 20 trials; in each cell the share of the neurons that spikes in a "
        "step, and the cost. The last row is torch's product of bytes of all weights "
        "and 128 trials' spikes alone, without neurons, shifts and packing. The engine "
        "adds the rows of spikes at every activity: where the product is faster, more "
        "than one neuron in twelve spikes in a step of 1 ms, 80 times a second, and it "
        "is only for a hundred trials that wait for each other in every step, with the "
        "weights in another order. A trial's threads do not share its neurons: they "
        "would meet in every step, which at N = 2000 takes 9 µs."
    )
    return [text, MarkdownTable([f"N = {n}" for n in sizes], lines)]
