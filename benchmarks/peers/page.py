"""What docs/results/peers.md says, from the figures in peers.json."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from benchmarks.page import (
    MISSING,
    Block,
    MarkdownTable,
    PageSection,
    ends,
    made_by,
    number,
)
from benchmarks.peers.scores import share

Row = Mapping[str, Any]
FEWEST = 20
"""Units that both have a τ of, below which a comparison decides nothing."""
MOSTLY = 0.9
"""Share of the units that a method must have a τ of to count as the best."""
BETTER, NOT_WORSE, WORSE = "better than all", "not worse", "worse"
NEITHER, UNKNOWN, SILENT = "neither shown", "not compared", "without a τ of ours"
"""What comparisons can say, and what is hoped for."""
MINUTES = "abcTau"
"""The method that takes minutes for a unit."""
NOTES = {
    "state τ": "ours: the fall to 1/e of the autocovariance about the mean of the "
    "trials, by `autocovariance_blocks` and `state_tau`; its interval leaves out "
    "blocks of trials",
    "ml": "ours: `isotau.ml`; of spikes, τ that it believes. Of states every sample, "
    "in pieces of 0.5 s; by default it takes every fifth, and loses τ below 20 ms",
    "ml, every value": "its best value whatever the status. Where data say little, it "
    "is drawn to the middle of what is looked at, which is a help where τ lies there",
    "exponential": "ours: `isotau.exponential`, bins of 50 ms",
    "kim": "ours: `isotau.kim`, bins of 50 ms",
    "direct, corrected": "ours: `direct(corrected=True)`",
    "direct fit": "no one's: an exponential through the autocorrelation within trials",
    "abcTau": "approximate Bayesian fit of an Ornstein–Uhlenbeck process, or of gamma "
    "spikes of dispersion 1: 100 accepted samples a step, 15 steps at most, until 2 % "
    "are accepted (its own example: 500, 60, 0.3 %); τ evenly from 0 to 1 s; the peak "
    "of the posterior, and its middle 95 %. Its steps of Euler's rule, a sample or bin "
    "long, are undone",
    "voytek, ACF": "`ACF`: mean over trials of each trial's autocorrelation to 1 s, "
    "exponential with an offset; of spikes from lag 1 on",
    "voytek, ACF + cosine": "the same with a damped oscillation",
    "voytek, AR(1) of PSD": "`ARPSD` as `PSD.fit(method='ar')` calls it, windows "
    "of 1 s",
    "voytek, AR(1) by Burg": "`burg` of order 1, mean over trials: of a sampled "
    "Ornstein–Uhlenbeck process the exact model, of anything else not",
    "voytek, Burg, one mean": "the same with `demean=False`, about the mean of all "
    "data",
    "voytek, PSD, knee": "`PSD`: a Lorentzian through the spectrum, windows of 1 s",
    "LevinaLab, AIC": "`comp_ac_fft` and `model_comp`: one or two exponentials by AIC "
    "to lag 30, the slower one; of spikes from lag 1 on",
    "mrestimator": "`stationarymean`, lags to half a trial, exponential; intervals of "
    "100 resamples for the first 10 units",
    "mrestimator, by trials": "`trialseparated`, exponential with an offset",
}
GROUPS = {
    "states": "States: Ornstein–Uhlenbeck, trials of 4 s",
    "short": "States: Ornstein–Uhlenbeck, trials of 1 s",
    "spikes": "Spikes: 10 Hz, doubly stochastic Poisson",
}


def peers_page(figures: Mapping[str, Any]) -> PageSection:
    """Return the page."""
    book = _Book(figures)
    note = f"seed {figures['provenance']['seed']}"
    return PageSection(
        "Our timescales beside those of others",
        [
            made_by(
                figures["provenance"], "benchmarks.peers", "peers.json", notes=[note]
            ),
            f"Same data for all, {figures['units']} units a cell, with known answers. "
            "Error: of ln τ of single units, root mean square (RMSE): 0.1 is 10 %. "
            "Units without a τ are not in it; how many have one is said.",
            _answer(book),
            _had(book, figures["packages"]),
            *(_group(book, group, title) for group, title in GROUPS.items()),
            _shapes(book),
            _few(book),
            _coverage(book),
            _cost(book),
        ],
    )


class _Book:
    """The figures, to be looked up."""

    def __init__(self, figures: Mapping[str, Any]) -> None:
        self.cells: list[Row] = figures["cells"]
        self.rows = {(row["cell"], row["method"]): row for row in figures["rows"]}
        told = {row["method"] for row in figures["rows"]}
        # In the order of their notes; each must have one.
        self.methods = sorted(told, key=[*NOTES].index)
        self.comparisons: list[Row] = figures["comparisons"]

    def of_group(self, *groups: str) -> list[Row]:
        return [cell for cell in self.cells if cell["group"] in groups]

    def against(self, cell: Row, ours: str) -> list[Row]:
        """Comparisons that can decide, the worst for us first."""
        found = [
            row
            for row in self.comparisons
            if (row["cell"], row["ours"]) == (cell["name"], ours)
            and row["units"] >= FEWEST
        ]
        return sorted(found, key=lambda row: -row["ratio"])

    def silent(self, cell: Row, ours: str) -> bool:
        """Whether ours has a τ of too few of enough units."""
        row = self.rows[cell["name"], ours]
        return bool(row["with_tau"] < FEWEST <= row["units"])

    def verdict(self, cell: Row, ours: str) -> str:
        """What can be said of ours beside all others."""
        return SILENT if self.silent(cell, ours) else says(self.against(cell, ours))


def nearest(row: Row) -> Row:
    """Return the score by that meaning of the truth by which the error is smallest."""
    scores: list[Row] = list(row["by"].values())
    return min(
        scores, key=lambda each: np.inf if each["rmse"] is None else each["rmse"]
    )


def says(comparisons: Sequence[Row]) -> str:
    """Return what comparisons of one method of ours with all others show."""
    if not comparisons:
        return UNKNOWN
    if all(row["high"] < 1 for row in comparisons):
        return BETTER
    if any(row["low"] > 1 for row in comparisons):
        return WORSE
    return NEITHER


def _answer(book: _Book) -> PageSection:
    """Return whether ours are better, as far as it was shown."""
    one = book.of_group("states", "short")
    other, spikes = book.of_group("shapes"), book.of_group("spikes")
    return PageSection(
        "Better than every other at states, not worse at spikes?",
        [
            [
                _said(book, one, "state τ", "states of one timescale", BETTER),
                _said(book, one, "ml", "states of one timescale", BETTER),
                _said(book, other, "state τ", "states of other shapes", BETTER),
                _said(book, other, "ml", "states of other shapes", BETTER),
                _said(book, spikes, "ml", "spikes", NOT_WORSE),
                _said(book, spikes, "ml, every value", "spikes", NOT_WORSE),
            ],
            "Ratio: our RMSE over that of the method of others that comes off best "
            "beside ours, on units that both have a τ of; 95 % by resampling units. "
            f"Fewer than {FEWEST} such units decide nothing. Where there are several "
            "timescales, each method is judged by the one it comes nearest to. Better: "
            "the interval is below 1 beside every method of others. Bold and worse: "
            "beside one it is above 1. What is not shown to be worse is not thereby "
            "shown to be as good.",
            _ratios(book, [*one, *other], "state τ", "ml"),
            _ratios(book, spikes, "ml", "ml, every value"),
        ],
    )


def _said(book: _Book, cells: Sequence[Row], ours: str, what: str, target: str) -> str:
    """Return one claim and whether it was met, in words."""
    verdicts = {cell["name"]: book.verdict(cell, ours) for cell in cells}
    counts = Counter(verdicts.values())
    judged = len(cells) - counts[UNKNOWN]
    missed = counts[WORSE] + counts[SILENT]
    reached = counts[BETTER] if target == BETTER else judged - missed
    met = "met" if judged and reached == judged else "not met"
    parts = [f"{word} in {counts[word]}" for word in (BETTER, NEITHER, WORSE)]
    parts += [f"{word} in {counts[word]}" for word in (SILENT, UNKNOWN) if counts[word]]
    worse = [
        f"{name} ({book.against(cell, ours)[0]['theirs']})"
        for cell in cells
        if verdicts[name := cell["name"]] == WORSE
    ]
    named = f": {'; '.join(worse)}" if worse else ""
    rows = [book.rows[cell["name"], ours] for cell in cells]
    least = min((row["with_tau"] / row["units"] for row in rows), default=1.0)
    some = (
        f" It has a τ of {100 * least:.0f} % of the units or more." if least < 1 else ""
    )
    return (
        f"`{ours}` at {what}: {target}, **{met}**. Of {len(cells)} cells, "
        f"{', '.join(parts)}{named}.{some}"
    )


def _ratios(book: _Book, cells: Sequence[Row], *ours: str) -> MarkdownTable:
    rows = []
    for cell in cells:
        line = [cell["name"]]
        for method in ours:
            found = book.against(cell, method)
            if not found:
                line += [SILENT if book.silent(cell, method) else MISSING, MISSING]
                continue
            worst = found[0]
            ratio = f"{worst['ratio']:.2f} {ends(worst['low'], worst['high'])}"
            bold = f"**{ratio}**" if says(found) == WORSE else ratio
            line += [f"{bold}, {worst['units']}", worst["theirs"]]
        rows.append(line)
    head = [name for method in ours for name in (f"`{method}`: ratio, units", "beside")]
    return MarkdownTable(["data", *head], rows)


def _had(book: _Book, packages: Sequence[Row]) -> PageSection:
    """Return which packages were had, and what each method is."""
    had = []
    for one in packages:
        version = one["version"] or one["commit"]
        name = f"{one['peer']}, {version}" if version else one["peer"]
        state = "had" if one["reason"] is None else f"not had: {one['reason']}"
        lost = "".join(
            f"; {part} not had: {why}" for part, why in one["missing"].items()
        )
        had.append(f"{name}: {state}{lost}.")
    shown = [f"`{name}`: {NOTES[name]}." for name in book.methods]
    return PageSection(
        "What was had, and what each method is",
        [had, "The names in the tables:", shown],
    )


def _group(book: _Book, group: str, title: str) -> PageSection:
    """Return the errors of all methods at a group of cells."""
    cells = book.of_group(group)
    blocks: list[Block] = [
        "RMSE of ln τ, bias of the median, and units with a τ where that is not all. "
        f"Bold: the smallest error of those with a τ of {100 * MOSTLY:.0f} % of at "
        f"least {FEWEST} units."
    ]
    if group == "spikes":
        blocks.append(
            "Linear: the rate is an Ornstein–Uhlenbeck process of 10 ± 5 Hz, cut at 0. "
            "Log: its logarithm is one, and the rate 10 ± 10 Hz; then τ of the "
            "logarithm or the fall of the rate's own autocovariance to 1/e counts, "
            "whichever a method comes nearer to."
        )
    for size in dict.fromkeys(cell["size"] for cell in cells):
        some = [cell for cell in cells if cell["size"] == size]
        blocks.append(PageSection(size.capitalize(), [_errors(book, some)]))
    return PageSection(title, blocks)


def _errors(book: _Book, cells: Sequence[Row]) -> MarkdownTable:
    """Return a table of methods × cells."""
    best = {cell["name"]: _best(book, cell) for cell in cells}
    rows = []
    for method in book.methods:
        line = [method]
        for cell in cells:
            row = book.rows.get((cell["name"], method))
            line.append(_cell(row, bold=method == best[cell["name"]]))
        if any(entry != MISSING for entry in line[1:]):
            rows.append(line)
    several = len({cell["process"] for cell in cells}) > 1
    head = [
        f"{cell['process']} {cell['label']}" if several else cell["label"]
        for cell in cells
    ]
    return MarkdownTable(["method", *head], rows)


def _best(book: _Book, cell: Row) -> str | None:
    """Return the method with the smallest error at a cell."""
    found = [
        (nearest(row)["rmse"], name)
        for name in book.methods
        if (row := book.rows.get((cell["name"], name)))
        and row["units"] >= FEWEST
        and row["with_tau"] >= MOSTLY * row["units"]
    ]
    return min(found)[1] if found else None


def _cell(row: Row | None, *, bold: bool) -> str:
    """Return one method's error, bias and number of units."""
    if row is None:
        return MISSING
    if not row["with_tau"]:
        return f"0 of {row['units']}"
    score = nearest(row)
    error = f"{score['rmse']:.3f}"
    bias = 100 * np.expm1(score["bias"])
    some = f", {row['with_tau']} of {row['units']}"
    all_of_many = row["with_tau"] == row["units"] >= FEWEST
    marked = f"**{error}**" if bold else error
    return f"{marked}, {bias:+.0f} %{'' if all_of_many else some}"


def _shapes(book: _Book) -> PageSection:
    """Return the states with more than one timescale, by every meaning of it."""
    blocks: list[Block] = [
        "Trials of 4 s. Median τ found in ms, then the RMSE of ln τ by each meaning of "
        "the truth. No method is to blame for meaning another one; a small error by "
        "one of them says which it means.",
    ]
    cells = book.of_group("shapes")
    for label in dict.fromkeys(cell["label"] for cell in cells):
        some = [cell for cell in cells if cell["label"] == label]
        names = list(some[0]["truths"])
        head = ["method"]
        for cell in some:
            head.append(f"{cell['size']}: median")
            head += [f"{name}, {1000 * cell['truths'][name]:.0f} ms" for name in names]
        rows = []
        for method in book.methods:
            line = [method]
            for cell in some:
                row = book.rows.get((cell["name"], method))
                if row is None or row["median_s"] is None:
                    line += [f"0 of {row['units']}" if row else MISSING]
                    line += [MISSING] * len(names)
                    continue
                line.append(f"{1000 * row['median_s']:.1f}")
                line += [number(row["by"][name]["rmse"], ".3f") for name in names]
            if any(entry != MISSING for entry in line[1:]):
                rows.append(line)
        blocks.append(PageSection(_title(label), [MarkdownTable(head, rows)]))
    return PageSection("States of other shapes", blocks)


def _title(label: str) -> str:
    if "through" in label:
        return f"{label.replace(' through', ' seen through a low-pass filter of')}"
    return f"The sum of {label.replace('+', 'and')}"


def _few(book: _Book) -> PageSection:
    """Return what takes minutes for a unit, beside ours on the same units."""
    rows = [
        [
            found["cell"],
            f"`{found['ours']}`",
            str(found["units"]),
            f"{found['theirs_rmse']:.3f}",
            f"{found['ours_rmse']:.3f}",
            f"{found['ratio']:.2f} {ends(found['low'], found['high'])}",
        ]
        for found in book.comparisons
        if found["theirs"] == MINUTES and found["units"] > 1
    ]
    head = ["data", "ours", "units", "RMSE, abcTau's", "RMSE, ours", "ratio"]
    return PageSection(
        "Beside abcTau, on few units",
        [
            "The same units for both. It takes minutes for each with the settings of "
            f"its example; here it is given less. Fewer than {FEWEST} units decide "
            "nothing.",
            MarkdownTable(head, rows),
        ],
    )


def _coverage(book: _Book) -> PageSection:
    """Return how often intervals hold the truth."""
    groups = (*GROUPS, "shapes")
    rows = []
    for method in book.methods:
        line = [method]
        for group in groups:
            scores = [
                nearest(row)
                for cell in book.of_group(group)
                if (row := book.rows.get((cell["name"], method)))
            ]
            covered = share(
                sum(score["covered"] for score in scores),
                sum(score["bounded"] for score in scores),
            )
            line.append(_interval(covered))
        if any(entry != MISSING for entry in line[1:]):
            rows.append(line)
    head = ["method", "states, 4 s", "states, 1 s", "spikes", "other shapes"]
    return PageSection(
        "Intervals of 95 % that hold the truth (%)",
        [
            "Over all cells of a group, of units that have an interval; in brackets "
            "the exact interval. Where there are several timescales, that one counts "
            "which the method comes nearest to.",
            MarkdownTable(head, rows),
        ],
    )


def _interval(covered: Row | None) -> str:
    if covered is None:
        return MISSING
    low, high = 100 * covered["low"], 100 * covered["high"]
    return f"{100 * covered['share']:.1f} {ends(low, high, '.1f')}"


def _cost(book: _Book) -> PageSection:
    """Return what a neuron takes."""
    columns = {
        "40 × 4 s": ("states", "40 × 4 s"),
        "200 × 4 s": ("states", "200 × 4 s"),
        "40 × 1 s": ("short", "40 × 1 s"),
        "spikes, 200 × 2 s": ("spikes", "200 × 2 s"),
    }
    rows = []
    for method in book.methods:
        line = [method]
        for group, size in columns.values():
            seconds = [
                row["seconds"]
                for cell in book.of_group(group)
                if cell["size"] == size
                and (row := book.rows.get((cell["name"], method)))
            ]
            line.append(f"{1000 * median(seconds):.3g}" if seconds else MISSING)
        rows.append(line)
    return PageSection(
        "Cost (ms of one core for a neuron)",
        [
            "The process's own time, median over the cells. mrestimator's includes "
            "resamples for its first 10 units.",
            MarkdownTable(["method", *columns], rows),
        ],
    )
