"""How full the cores of a placement are: rows, text, CSV, JSON."""

import csv
import io
from dataclasses import dataclass
from typing import Any

from isotau.targets.chip.limits import LIMITS, limit, unknown
from isotau.targets.chip.place import Placement

TITLES = {
    "neurons": "neurons",
    "delay_slots": "delays",
    "memory_bits": "memory",
    "in_axons": "axons in",
    "out_axons": "axons out",
    "compartment_profiles": "profiles",
    "threshold_profiles": "thresholds",
    "synapse_formats": "formats",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class CoreUse:
    """How full one core is.

    Attributes:
        chip: number of the chip, from 0.
        core: number of the core on it, from 0.
        populations: whose neurons are on it, ascending.
        used: what it uses of each of `LIMITS`.
        share: the same as a fraction of what a core has; without the limits for which
            no number is public.
        tightest: the limit with the largest share.
        closed_by: the limit that kept the next neuron away, "" for none.
    """

    chip: int
    core: int
    populations: tuple[int, ...]
    used: dict[str, int]
    share: dict[str, float]
    tightest: str
    closed_by: str


def utilization(placement: Placement) -> list[CoreUse]:
    """Return one row for each core that has neurons."""
    chip = placement.chip
    most = {name: limit(chip, name) for name in LIMITS}
    rows = []
    for k in range(placement.cores):
        used = {name: int(placement.used[name][k]) for name in LIMITS}
        share = {
            name: used[name] / given
            for name, given in most.items()
            if given is not None
        }
        on_core = placement.population[placement.core == k]
        rows.append(
            CoreUse(
                chip=k // chip.cores,
                core=k % chip.cores,
                populations=tuple(sorted(set(on_core.tolist()))),
                used=used,
                share=share,
                tightest=max(share, key=lambda name: share[name]),
                closed_by=placement.closed_by[k],
            )
        )
    return rows


def describe(placement: Placement, *, rows: int = 16) -> str:
    """Return the placement as text: a summary and the first `rows` cores."""
    chip, table = placement.chip, utilization(placement)
    top = max(table, key=lambda row: row.share[row.tightest])
    most = limit(chip, top.tightest)
    lines = [
        f"{chip.name}: {len(placement.core)} neurons on {placement.cores} of "
        f"{placement.chips * chip.cores} cores ({_chips(placement.chips)}); tightest: "
        f"{top.used[top.tightest]} of {most} {LIMITS[top.tightest]}"
    ]
    open_limits = [LIMITS[name] for name in unknown(chip) if name in LIMITS]
    if open_limits:
        lines.append(
            f"no public number, so not checked: {', '.join(open_limits)}; a lower bound"
        )
    head = ["core", "populations", *(TITLES[name] for name in LIMITS), "closed by"]
    cells = [head]
    for row in table[:rows]:
        name = f"{row.chip}:{row.core}" if placement.chips > 1 else str(row.core)
        cells.append([name, _list(row.populations), *_fill(row), _words(row)])
    widths = [max(len(line[k]) for line in cells) for k in range(len(head))]
    for line in cells:
        padded = (cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        lines.append("  ".join(padded).rstrip())
    if len(table) > rows:
        lines.append(f"and {len(table) - rows} more")
    return "\n".join(lines)


def as_csv(placement: Placement) -> str:
    """Return the rows as CSV: numbers used, then shares."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(as_json(placement)[0]), lineterminator="\n")
    writer.writeheader()
    for row in as_json(placement):
        writer.writerow(row | {"populations": " ".join(map(str, row["populations"]))})
    return text.getvalue()


def as_json(placement: Placement) -> list[dict[str, Any]]:
    """Return the rows as plain data; a share without a public number is None."""
    return [
        {
            "chip": row.chip,
            "core": row.core,
            "populations": list(row.populations),
            **row.used,
            **{f"{name}_share": row.share.get(name) for name in LIMITS},
            "tightest": row.tightest,
            "closed_by": row.closed_by,
        }
        for row in utilization(placement)
    ]


def _fill(row: CoreUse) -> list[str]:
    """Return each limit's use, in percent where a core's capacity is public."""
    return [
        f"{row.used[name]} ({100 * row.share[name]:.0f} %)"
        if name in row.share
        else str(row.used[name])
        for name in LIMITS
    ]


def _words(row: CoreUse) -> str:
    return LIMITS[row.closed_by] if row.closed_by else "-"


def _chips(number: int) -> str:
    return "1 chip" if number == 1 else f"{number} chips"


def _list(populations: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, populations[:4]))
    return shown + (" …" if len(populations) > 4 else "")
