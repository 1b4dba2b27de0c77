"""What docs/results/slow.md says, from the figures in slow.json."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.page import Block, MarkdownTable, PageSection, made_by, number

METHOD = """\
Rate networks of tanh units about 0, with small private noise, whose answers are
known. *Units*: no recurrence, a quarter of them with each τ. *Modes*: units of 30 ms,
weights with an eigenvalue for each time constant. *Integrator*: one mode of 10 s.
*Ring*: a bump that may stand at any angle, and diffuses by its noise. Converted by
the defaults (`calibrate`), on trials of 2 s with a cue of 0.2 s. States (x, i, u) are
looked at along the networks' patterns, without input."""
READING = """\
τ: slope of the log of the autocorrelation between τ/5 (1 s at most) and τ (4 s at
most). Floor: the second of two runs of the LIF stage over the first. *Off by* is what
the LIF network's λ differs from the rate network's, 30 ms (1/τ_rate − 1/τ_LIF): of a
mode 1/(1 − λ) times as slow as its units, the fit of the drive must be as good as 1 −
λ. Residual: share of the drive's variance that the fit leaves. *Cue*: time constant
of what is left of a cue, of which noise leaves little to be seen beside modes that it
excites."""
STAGES = ("rate", "lif", "fixed")
TITLES = {
    "units": "slow units",
    "modes": "slow modes",
    "integrator": "integrator",
    "ring": "ring",
}


def slow_page(figures: Mapping[str, Any]) -> PageSection:
    """Return the page."""
    made = made_by(figures["provenance"], "benchmarks.equal_tau.slow", "slow.json")
    return PageSection("Slow networks: figures", [made, *slow_blocks(figures["rows"])])


def slow_blocks(rows: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Return method and tables, for this page or for another that has them too.

    Args:
        rows: from `benchmarks.equal_tau.slow.measure_slow`.
    """
    return [METHOD, _budgets(rows), _modes(rows), _cues(rows), _rings(rows)]


def _budgets(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return for how long each conversion was looked for."""
    made: dict[float, dict[str, None]] = {}
    for row in rows:
        name = f"{TITLES[row['network']]} × {row['copies']}"
        made.setdefault(row["budget_s"], {})[name] = None
    parts = [f"{seconds:g} s for {', '.join(names)}" for seconds, names in made.items()]
    return f"Budgets of the conversions, by copies: {'; '.join(parts)}."


def _groups(
    rows: Sequence[Mapping[str, Any]], field: str
) -> list[dict[str, Mapping[str, Any]]]:
    """Return the rows of the networks that have a field, stages together."""
    groups: dict[tuple[Any, ...], dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        if field in row:
            key = row["network"], row.get("pattern", 0), row["copies"]
            groups.setdefault(key, {})[row["stage"]] = row
    return [groups[key] for key in sorted(groups, key=_order)]


def _order(key: tuple[Any, ...]) -> tuple[Any, ...]:
    return list(TITLES).index(key[0]), *key[1:]


def _modes(rows: Sequence[Mapping[str, Any]]) -> PageSection:
    table = []
    for group in _groups(rows, "tau"):
        rate, lif, fixed = (group[stage] for stage in STAGES)
        off = None
        if rate["measured"] and lif["measured"]:
            off = 0.03 * (1 / rate["measured"] - 1 / lif["measured"])
        table.append(
            [
                TITLES[lif["network"]],
                number(lif["tau"]),
                str(lif["copies"]),
                *(number(row["measured"]) for row in (rate, lif, fixed)),
                _ratio(lif["measured"], rate["measured"]),
                _ratio(fixed["measured"], lif["measured"]),
                _ratio(lif["again"], lif["measured"]),
                number(lif["sd"] / rate["sd"]),
                number(off, ".4f") if lif["network"] != "units" else "",
                number(lif["residual"], ".4f"),
            ]
        )
    head = ["network", "τ (s)", "copies", "rate", "LIF", "fixed", "LIF/rate"]
    head += ["fixed/LIF", "floor", "SD", "λ off by", "residual"]
    return PageSection("Time constants at rest", [READING, MarkdownTable(head, table)])


def _cues(rows: Sequence[Mapping[str, Any]]) -> PageSection:
    table = [
        [
            TITLES[group["lif"]["network"]],
            number(group["lif"]["tau"]),
            str(group["lif"]["copies"]),
            *(number(group[stage]["kept"]) for stage in STAGES),
        ]
        for group in _groups(rows, "kept")
    ]
    head = ["network", "τ (s)", "copies", *STAGES]
    return PageSection("What is left of a cue (s)", [MarkdownTable(head, table)])


def _rings(rows: Sequence[Mapping[str, Any]]) -> PageSection:
    table = [
        [
            str(group["lif"]["copies"]),
            stage,
            number(1e3 * group[stage]["diffusion"]),
            number(1e3 * group[stage]["measured"]),
            number(group[stage]["expected_deg"], ".1f"),
            number(group[stage]["moved_deg"], ".1f"),
            number(group[stage]["height"]),
        ]
        for group in _groups(rows, "diffusion")
        for stage in STAGES
    ]
    head = ["copies", "stage", "D known", "D (10⁻³ rad²/s)", "° known", "° in 4 s"]
    text = """\
The angle of the bump, from 1 s after its cue on: its diffusion constant from what it
moves in half a second, and the root mean square of what it moves in all, noise and
drift together; beside the closed form of the rate network. Height: of the bump, along
the patterns."""
    return PageSection("Ring", [text, MarkdownTable([*head, "height"], table)])


def _ratio(value: float | None, reference: float | None) -> str:
    return number(value / reference if value and reference else None)
