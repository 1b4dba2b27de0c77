"""Neurons on cores, under all limits of a core at once.

Neurons are taken by population, then by noise and profile, then by number, and fill one
core after the other; a core closes when the next neuron would break a limit. Equal
neurons so come on as few cores as possible. What a core sends is known only once all
are placed: where that breaks the limit of output axons, the core is split in two. How
full the cores then are is told in rows, as text, CSV or JSON.
"""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

from isotau.convert.ground import validation
from isotau.convert.ground.errors import DoesNotFit
from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.sparse import row_lists
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.targets.loihi import demand as synapses
from isotau.targets.loihi.demand import Demand, demand
from isotau.targets.loihi.limits import LIMITS, Chip, limit, unknown

REMEDIES = {
    "delay_slots": "shorten the delays of its inputs",
    "memory_bits": "prune its inputs or use fewer weight bits",
    "in_axons": "prune its inputs",
    "out_axons": "prune its targets",
    "synapse_formats": "give more blocks the same exponent, bits, signs and delay",
}
PROFILES = ("compartment_profiles", "threshold_profiles")


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Placement:
    """Which neuron is on which core, and what every core then uses.

    Attributes:
        chip: the chip.
        core: core of each neuron; core k is number k mod `chip.cores` of chip
            k // `chip.cores`.
        population: population of each neuron, as in the network.
        used: what each core uses of each of `LIMITS`.
        closed_by: which of `LIMITS` kept the next neuron from each core, "" for the
            last.
        dense: whether a block's lists are dense on a core, block × core.
    """

    chip: Chip
    core: Int64[np.ndarray, " n"]
    population: Int64[np.ndarray, " n"]
    used: dict[str, Int64[np.ndarray, " cores"]]
    closed_by: tuple[str, ...]
    dense: Bool[np.ndarray, "blocks cores"]

    @property
    def cores(self) -> int:
        """Number of cores with neurons."""
        return len(self.closed_by)

    @property
    def chips(self) -> int:
        """Number of chips with neurons."""
        return -(-self.cores // self.chip.cores)


class _Core(NamedTuple):
    """What counts of a core, however it came to its neurons."""

    n: int
    lengths: list[np.ndarray]
    """For each block how many sources have 0, 1, 2, … synapses on the core."""
    profiles: frozenset[int]
    thresholds: frozenset[int]
    noises: frozenset[int]
    """Kinds of noise, −1 among them for neurons without."""


class _Net(NamedTuple):
    """A network as it is placed: what its neurons need, and whom they listen to."""

    net: FixedPointNetwork
    chip: Chip
    needs: Demand
    inputs: list[tuple[np.ndarray, np.ndarray]]
    """For each block where each neuron's synapses begin, and their columns."""

    def columns(self, block: int, neurons: Sequence[int]) -> np.ndarray:
        """Return the columns of a block that end at some neurons, one after another."""
        starts, columns = self.inputs[block]
        return np.concatenate([columns[starts[j] : starts[j + 1]] for j in neurons])


class _Closed(NamedTuple):
    """The neurons of a core that is full, and which limit closed it; "" for none."""

    neurons: list[int]
    by: str


def place(net: FixedPointNetwork, chip: Chip, *, chips: int | None = 1) -> Placement:
    """Return neurons on cores: each on one, no limit broken.

    Args:
        net: the network.
        chip: the chip; a limit without a public number (None) is not checked.
        chips: how many chips there are; None for as many as it takes.

    Raises:
        DoesNotFit: one neuron alone breaks a limit, or there are too few cores; the
            message names the limit, what was measured and what helps.
    """
    if chips is not None:
        chips = validation.whole("chips", chips, 1, 1 << 20)
    # First what no placement can mend: the message then names a neuron, not a core.
    needs = demand(net, chip)
    problems = misfits(needs, chip)
    if problems:
        raise DoesNotFit(" | ".join(problems))
    known = _Net(net, chip, needs, [row_lists(block.weights) for block in net.blocks])
    full = _split(known, _fill(known), chips)
    core = np.empty(net.n, dtype=np.int64)
    # Cores are numbered as they were filled: neighbours in order share a core.
    for number, closed in enumerate(full):
        core[closed.neurons] = number
    # Counted anew from the neurons: splitting has changed what cores hold.
    ends = [_core(known, closed.neurons) for closed in full]
    uses = [_use(known, end) for end in ends]
    totals = {name: np.array([use[name] for use in uses]) for name in uses[0]}
    totals["out_axons"] = _out_axons(known, full)
    dense = [[part.dense for part in _lists(known, end)] for end in ends]
    return Placement(
        chip=chip,
        core=core,
        population=net.population,
        used={name: totals[name] for name in LIMITS},
        closed_by=tuple(closed.by for closed in full),
        dense=np.array(dense, dtype=bool).reshape(len(full), len(net.blocks)).T,
    )


def misfits(needs: Demand, chip: Chip) -> list[str]:
    """Return the limits that a neuron breaks alone, so that no placement can help.

    One entry for each limit, on the neuron that breaks it most.
    """
    problems = []
    for name in ("memory_bits", "in_axons", "out_axons"):
        # The worst alone: hundreds of neurons may break one limit for one reason.
        numbers: np.ndarray = getattr(needs, name)
        worst = int(numbers.argmax())
        most = limit(chip, name)
        if most is not None and numbers[worst] > most:
            problems.append(_alone(chip, name, int(numbers[worst]), worst))
    return problems


def _alone(chip: Chip, name: str, number: int, neuron: int) -> str:
    return (
        f"{name}: got {number} {LIMITS[name]} for neuron {neuron} alone, need at most "
        f"{limit(chip, name)} (a core of {chip.name}); {REMEDIES[name]}"
    )


class _Filling:
    """A core while it fills.

    Its counts change in place: to count all of its neurons again for each new one would
    take n² times longer, and to copy the counts of all sources N times.
    """

    def __init__(self, known: _Net) -> None:
        self.known = known
        self.neurons: list[int] = []
        self.counts = [np.zeros(len(b.pre), np.int64) for b in known.net.blocks]
        self.core = _Core(
            0, [np.zeros(1, np.int64)] * len(self.counts), *[frozenset[int]()] * 3
        )

    def joined(self, neuron: int) -> _Core:
        """Return what counts of the core if a neuron came on it."""
        needs, lengths = self.known.needs, []
        for k, (counts, before) in enumerate(
            zip(self.counts, self.core.lengths, strict=True)
        ):
            # Every list that the neuron is on becomes one longer.
            own = counts[self.known.columns(k, [neuron])]
            after = np.zeros(len(before) + 1, np.int64)
            after[:-1] = before
            after += np.bincount(own + 1, minlength=len(after))
            after[1:-1] -= np.bincount(own, minlength=len(before))[1:]
            lengths.append(after)
        return _Core(
            self.core.n + 1,
            lengths,
            self.core.profiles | {int(needs.compartment_profile[neuron])},
            self.core.thresholds | {int(needs.threshold_profile[neuron])},
            self.core.noises | {int(needs.noise_kind[neuron])},
        )

    def take(self, neuron: int, core: _Core) -> None:
        """Put a neuron on the core, which is then as `joined` says."""
        self.neurons.append(neuron)
        self.core = core
        for k, counts in enumerate(self.counts):
            counts[self.known.columns(k, [neuron])] += 1


def _fill(known: _Net) -> list[_Closed]:
    """Return neurons on cores that break no limit but perhaps that of output axons."""
    needs = known.needs
    # The last key is the first to sort by. Neurons of a population so stay together.
    profiles = (needs.threshold_profile, needs.compartment_profile, needs.noise_kind)
    order = np.lexsort((*profiles, known.net.population))
    full: list[_Closed] = []
    filling = _Filling(known)
    for neuron in order.tolist():
        # Greedy, in order: no neuron comes back to a core that was closed, which keeps
        # the time linear and populations together.
        joined = filling.joined(neuron)
        broken = _broken(known.chip, _use(known, joined))
        if broken and filling.neurons:
            full.append(_Closed(filling.neurons, broken))
            filling = _Filling(known)
            joined = filling.joined(neuron)
            broken = _broken(known.chip, _use(known, joined))
        if broken:
            number = _use(known, joined)[broken]
            raise DoesNotFit(_alone(known.chip, broken, number, neuron))
        filling.take(neuron, joined)
    return [*full, _Closed(filling.neurons, "")]


def _core(known: _Net, neurons: list[int]) -> _Core:
    """Return what counts of a core with some neurons."""
    lengths = [
        np.bincount(
            np.bincount(known.columns(k, neurons), minlength=len(block.pre)),
            minlength=len(neurons) + 1,
        )
        for k, block in enumerate(known.net.blocks)
    ]
    return _Core(
        len(neurons),
        lengths,
        frozenset(known.needs.compartment_profile[neurons].tolist()),
        frozenset(known.needs.threshold_profile[neurons].tolist()),
        frozenset(known.needs.noise_kind[neurons].tolist()),
    )


def _lists(known: _Net, core: _Core) -> list[synapses.Lists]:
    return [
        synapses.lists_of_lengths(known.chip, block, lengths, core.n)
        for block, lengths in zip(known.net.blocks, core.lengths, strict=True)
    ]


def _use(known: _Net, core: _Core) -> dict[str, int]:
    """Return what a core uses of each limit; its output axons depend on the others."""
    n, chip = core.n, known.chip
    pairs = zip(known.net.blocks, _lists(known, core), strict=True)
    # A block without a synapse on this core takes none of its axons or formats.
    present = [(block, lists) for block, lists in pairs if lists.number]
    # Lists that agree in all of this share a format; sparse ones also name neurons.
    formats = {
        (
            block.weight_exp,
            synapses.weight_bits(chip, block),
            synapses.delay_bits(block),
            block.sign_mode,
            lists.dense or synapses.index_bits(chip, n),
        )
        for block, lists in present
    }
    return {
        # In the order of `LIMITS`: the first that breaks is the one that is named.
        "neurons": n,
        "delay_slots": n * synapses.delay_slots([block for block, _ in present]),
        "memory_bits": n * chip.neuron_bits + sum(lists.bits for _, lists in present),
        "in_axons": sum(lists.number for _, lists in present),
        "compartment_profiles": len(core.profiles),
        "threshold_profiles": len(core.thresholds),
        "synapse_formats": len(formats),
        "noise_kinds": len(core.noises - {-1}),
    }


def _broken(chip: Chip, use: dict[str, int]) -> str:
    """Return the first limit that a core breaks, "" if none."""
    for name, number in use.items():
        most = limit(chip, name)
        if most is not None and number > most:
            return name
    return ""


def _out_axons(known: _Net, full: Sequence[_Closed]) -> Int64[np.ndarray, " cores"]:
    """Return the lists that the neurons of each core feed, on all cores."""
    fed = np.zeros(known.net.n, dtype=np.int64)
    for k, block in enumerate(known.net.blocks):
        # Input channels are sent by an embedded processor, whose axons are its own.
        if block.source == "recurrent":
            for closed in full:
                fed[block.pre[np.unique(known.columns(k, closed.neurons))]] += 1
    return np.array([fed[closed.neurons].sum() for closed in full])


def _split(known: _Net, full: list[_Closed], chips: int | None) -> list[_Closed]:
    """Return the cores, halved where they send to more lists than they may.

    Raises:
        DoesNotFit: a single neuron does, or there are too few cores.
    """
    chip = known.chip
    while True:
        _enough(chip, full, chips)
        most = chip.out_axons
        out = _out_axons(known, full)
        # Halves feed more lists in all, so that each round is counted anew.
        if most is None or (out <= most).all():
            return full
        halved: list[_Closed] = []
        for closed, number in zip(full, out.tolist(), strict=True):
            neurons = closed.neurons
            if number <= most:
                halved.append(closed)
            elif len(neurons) == 1:
                raise DoesNotFit(_alone(chip, "out_axons", number, neurons[0]))
            else:
                # In half: lists follow the neurons, so that each sends to about half.
                middle = len(neurons) // 2
                halved.append(_Closed(neurons[:middle], "out_axons"))
                halved.append(_Closed(neurons[middle:], closed.by))
        full = halved


def _enough(chip: Chip, full: Sequence[_Closed], chips: int | None) -> None:
    if chips is None or len(full) <= chips * chip.cores:
        return
    number = -(-len(full) // chip.cores)
    # What closes most cores is what to mend.
    by, times = Counter(closed.by for closed in full if closed.by).most_common(1)[0]
    # More chips always help; profiles may be merged where they are what is short.
    remedy = f"allow chips={number}"
    if by in PROFILES:
        remedy += " or merge profiles (isotau.targets.on_lava.profiles.group_profiles)"
    raise DoesNotFit(
        f"cores: got {len(full)}, need at most {chips * chip.cores} ({chips} of "
        f"{chip.name}; {LIMITS[by]} closed {times} of them); {remedy}"
    )


TITLES = {
    "neurons": "neurons",
    "delay_slots": "delays",
    "memory_bits": "memory",
    "in_axons": "axons in",
    "out_axons": "axons out",
    "compartment_profiles": "profiles",
    "threshold_profiles": "thresholds",
    "synapse_formats": "formats",
    "noise_kinds": "noises",
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
        use = {name: int(placement.used[name][k]) for name in LIMITS}
        share = {
            name: use[name] / number
            for name, number in most.items()
            if number is not None
        }
        on_core = placement.population[placement.core == k]
        rows.append(
            CoreUse(
                chip=k // chip.cores,
                core=k % chip.cores,
                populations=tuple(sorted(set(on_core.tolist()))),
                used=use,
                share=share,
                # Of what a core has one or none it is not full.
                tightest=max(
                    share.keys() - {"noise_kinds"}, key=lambda name: share[name]
                ),
                closed_by=placement.closed_by[k],
            )
        )
    return rows


def tightest_core(placement: Placement) -> CoreUse:
    """Return the core whose tightest limit has the largest share of all."""
    return max(utilization(placement), key=lambda row: row.share[row.tightest])


def describe_placement(placement: Placement, *, rows: int = 16) -> str:
    """Return the placement as text: a summary and the first `rows` cores."""
    # The tightest limit first: it says what to change.
    chip, table = placement.chip, utilization(placement)
    top = tightest_core(placement)
    chips = "1 chip" if placement.chips == 1 else f"{placement.chips} chips"
    lines = [
        f"{chip.name}: {len(placement.core)} neurons on {placement.cores} of "
        f"{placement.chips * chip.cores} cores ({chips}); tightest: "
        f"{top.used[top.tightest]} of {limit(chip, top.tightest)} "
        f"{LIMITS[top.tightest]}"
    ]
    open_limits = [LIMITS[name] for name in unknown(chip) if name in LIMITS]
    if open_limits:
        said = ", ".join(open_limits)
        lines.append(f"no public number, so not checked: {said}; a lower bound")
    head = ["core", "populations", *(TITLES[name] for name in LIMITS), "closed by"]
    cells = [head]
    for row in table[:rows]:
        name = f"{row.chip}:{row.core}" if placement.chips > 1 else str(row.core)
        closed_by = LIMITS[row.closed_by] if row.closed_by else "-"
        cells.append([name, _list(row.populations), *_share_filled(row), closed_by])
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


def _share_filled(row: CoreUse) -> list[str]:
    """Return each limit's use, in percent where a core's capacity is public."""
    return [
        f"{row.used[name]} ({100 * row.share[name]:.0f} %)"
        if name in row.share
        else str(row.used[name])
        for name in LIMITS
    ]


def _list(populations: tuple[int, ...]) -> str:
    return ", ".join(map(str, populations[:4])) + " …" * (len(populations) > 4)
