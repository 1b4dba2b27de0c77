"""What running a network costs: counted operations, and an estimate of joules, seconds.

The counts are exact for the spikes given. The estimate multiplies them with published
figures; its range spans two sources that measured different things (see
`isotau.targets.loihi.limits`), and is no confidence interval.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Integer

from isotau.convert.records import spikes as packed
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.spikes import Spikes
from isotau.targets.loihi.limits import Chip, Figure, Operations
from isotau.targets.loihi.place import Placement, place
from isotau.targets.loihi.traffic import (
    Reach,
    hops,
    members,
    reach,
    spike_counts,
    traffic,
)

LEAVES_OUT = (
    "the embedded processors and the host, which feed input and read spikes",
    "the way of input messages to their cores",
    "latency of messages on the way (nanoseconds a hop)",
    "other supply voltages and temperatures",
    "the readout, which runs off the chip",
)
BETWEEN_CHIPS = "links between chips, which cost more than those on a chip"
DERIVED = (
    "energy_j",
    "energy_per_step_j",
    "time_per_step_s",
    "static_j",
    "static_real_time_j",
)
"""Properties of a `Cost` that JSON holds beside its fields."""
CHUNK = 1 << 22
"""Neuron-steps whose raster is unpacked at a time."""


@dataclass(frozen=True, slots=True)
class Span:
    """The lowest and the highest estimate."""

    low: float
    high: float


def scaled(figure: Figure | Span, number: float) -> Span:
    """Return what a number of operations takes."""
    return Span(figure.low * number, figure.high * number)


def total(spans: Iterable[Span]) -> Span:
    """Return the sum of spans."""
    listed = list(spans)
    return Span(sum(s.low for s in listed), sum(s.high for s in listed))


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a trial costs on average; counts are per trial.

    Attributes:
        chip: name of the chip.
        cores: cores in use.
        chips: chips in use.
        steps: steps of a trial.
        trials: trials that were counted.
        dt: length of a step in the network's own time, in seconds.
        spikes: spikes of all neurons.
        input_events: messages of input channels that are not 0.
        synaptic_operations: for each spike and input event its synapses that are not 0.
        entries_read: the same with the zeros that dense lists hold.
        neuron_updates: neurons times steps.
        messages: spike messages from core to core, a core to itself included: one for
            each list that a spike feeds.
        messages_across: of these, those between different cores.
        messages_between_chips: of these, those between chips.
        input_messages: messages of input events to cores.
        hops_east_west: tile hops of messages along rows; None if not public.
        hops_north_south: tile hops along columns.
        energy_parts_j: joules of a trial by kind; empty without published figures.
        time_s: seconds that the chip takes for a trial, as fast as it can; None
            without published figures.
        static_w: leakage of the chips in use, in watts; None likewise.
        leaves_out: what the estimate does not hold.
    """

    chip: str
    cores: int
    chips: int
    steps: int
    trials: int
    dt: float
    spikes: float
    input_events: float
    synaptic_operations: float
    entries_read: float
    neuron_updates: int
    messages: float
    messages_across: float
    messages_between_chips: float
    input_messages: float
    hops_east_west: float | None
    hops_north_south: float | None
    energy_parts_j: dict[str, Span]
    time_s: Span | None
    static_w: Span | None
    leaves_out: tuple[str, ...]

    @property
    def energy_j(self) -> Span | None:
        """Joules of a trial without leakage; None without published figures."""
        parts = self.energy_parts_j.values()
        return total(parts) if parts else None

    @property
    def energy_per_step_j(self) -> Span | None:
        """Joules of a step without leakage."""
        return self.energy_j and scaled(self.energy_j, 1 / self.steps)

    @property
    def time_per_step_s(self) -> Span | None:
        """Seconds that the chip takes for a step, on average."""
        return self.time_s and scaled(self.time_s, 1 / self.steps)

    @property
    def static_j(self) -> Span | None:
        """Joules of leakage during a trial as fast as the chip can."""
        if self.static_w is None or self.time_s is None:
            return None
        return Span(
            self.static_w.low * self.time_s.low, self.static_w.high * self.time_s.high
        )

    @property
    def static_real_time_j(self) -> Span | None:
        """Joules of leakage during a trial at the network's own pace."""
        return self.static_w and scaled(self.static_w, self.steps * self.dt)


def cost(
    net: FixedPointNetwork,
    spikes: Spikes,
    chip: Chip,
    placement: Placement | None = None,
    messages: Integer[np.ndarray, "steps batch n_in"] | None = None,
) -> Cost:
    """Return what a trial costs on average.

    Args:
        net: the network.
        spikes: what it did, from any engine.
        chip: whose figures count.
        placement: its neurons on cores, from `place`; made if not given, on as many
            chips as it takes.
        messages: what the input channels sent; without them input is not counted.

    Raises:
        ValueError: spikes or messages of another network, or a placement on another
            chip.
        DoesNotFit: the network cannot be placed.
    """
    # On as many chips as it takes: a cost is asked for before a chip is bought.
    placement = placement or place(net, chip, chips=None)
    _check(net, spikes, chip, placement, messages)
    recurrent, inputs = (reach(net, placement, s) for s in ("recurrent", "input"))
    rates = spike_counts(spikes)
    # Without messages input is left out, and `leaves_out` says so.
    events = np.zeros(net.n_in)
    if messages is not None:
        events = np.count_nonzero(messages, axis=(0, 1)) / spikes.batch
    flow = traffic(net, placement, spikes)
    number = np.arange(placement.cores) // chip.cores  # of each core's chip
    between = flow[number[:, None] != number].sum()
    # Unknown hops count as none, so that energy is a lower bound.
    distance = hops(chip, flow) or (None, None)

    def operations(of: str) -> float:  # (D4)
        pairs = ((rates, recurrent), (events, inputs))
        return float(sum(n @ getattr(reach, of).sum(axis=1) for n, reach in pairs))

    counts = {
        "spikes": float(rates.sum()),
        "input_events": float(events.sum()),
        "synaptic_operations": operations("synapses"),
        "entries_read": operations("entries"),
        "messages": float(flow.sum()),
        # A core to itself does not use the mesh.
        "messages_across": float(flow.sum() - np.trace(flow)),
        "messages_between_chips": float(between),
        "input_messages": float(events @ inputs.lists.sum(axis=1)),
    }
    updates = net.n * spikes.steps
    parts, time, static = {}, None, None
    # Of Loihi 2 no figures per operation are public: counts alone.
    if chip.operations is not None:
        parts = energy(chip.operations, counts, updates, distance)
        time = duration(
            chip.operations, placement, spikes, messages, (recurrent, inputs)
        )
        static = scaled(chip.operations.static_w, placement.chips)
    return Cost(
        chip=chip.name,
        cores=placement.cores,
        chips=placement.chips,
        steps=spikes.steps,
        trials=spikes.batch,
        dt=spikes.dt,
        neuron_updates=updates,
        hops_east_west=distance[0],
        hops_north_south=distance[1],
        energy_parts_j=parts,
        time_s=time,
        static_w=static,
        leaves_out=_left_out(placement, messages is None),
        **counts,
    )


def _check(
    net: FixedPointNetwork,
    spikes: Spikes,
    chip: Chip,
    placement: Placement,
    messages: np.ndarray | None,
) -> None:
    if spikes.n != net.n:
        raise ValueError(f"spikes: got {spikes.n} neurons, need {net.n}")
    if len(placement.core) != net.n or placement.chip.name != chip.name:
        raise ValueError(
            f"placement: got {len(placement.core)} neurons on {placement.chip.name}, "
            f"need {net.n} on {chip.name}; use place(net, chip)"
        )
    need = (spikes.steps, spikes.batch, net.n_in)
    if messages is not None and messages.shape != need:
        raise ValueError(f"messages: got shape {messages.shape}, need {need}")


def _left_out(placement: Placement, no_input: bool) -> tuple[str, ...]:
    links = (BETWEEN_CHIPS,) if placement.chips > 1 else ()
    inputs = ("input: no messages were given",) if no_input else ()
    return (*LEAVES_OUT, *links, *inputs)


def energy(
    of: Operations,
    counts: dict[str, float],
    updates: int,
    distance: tuple[float | None, float | None],
) -> dict[str, Span]:
    """Return joules of a trial by kind of operation (D6).

    Args:
        of: the chip's figures.
        counts: of a trial, by the names that `Cost` gives them.
        updates: neurons times steps.
        distance: tile hops along rows and along columns; None if not public.
    """
    spikes = counts["spikes"]
    # A neuron costs in every step, more in one in which it spikes.
    neurons = (
        scaled(of.silent_update_j, updates - spikes),
        scaled(of.spiking_update_j, spikes),
        scaled(of.spike_j, spikes),
    )
    hops = (
        scaled(of.hop_east_west_j, distance[0] or 0.0),
        scaled(of.hop_north_south_j, distance[1] or 0.0),
    )
    return {
        # At worst the zeros of dense lists cost as much as weights.
        "synapses": Span(
            of.synapse_j.low * counts["synaptic_operations"],
            of.synapse_j.high * counts["entries_read"],
        ),
        "neuron updates": total(neurons),
        "messages": scaled(of.message_j, counts["messages"] + counts["input_messages"]),
        "hops": total(hops),
    }


def duration(
    of: Operations,
    placement: Placement,
    spikes: Spikes,
    messages: np.ndarray | None,
    reached: tuple[Reach, Reach],
) -> Span:
    """Return seconds of a trial: the slowest core of each step, and the barrier (D7).

    At best a core's updates and synapses overlap; at worst all it does comes in turn.

    Args:
        of: the chip's figures.
        placement: neurons on cores.
        spikes: what they did.
        messages: what the input channels sent; None is not counted.
        reached: what an event of a neuron, and of a channel, does on each core.
    """
    recurrent, inputs = reached
    on_core = members(placement, np.ones(len(placement.core)))
    neurons = on_core.sum(axis=0)
    sending = members(placement, recurrent.lists.sum(axis=1))
    low = high = 0.0
    # A few steps at a time: the unpacked raster of a long run may not fit the memory.
    for z, x in _chunks(spikes, messages, inputs.lists.shape[0]):
        active = z @ on_core  # rows: a step of a trial; columns: cores
        quiet = neurons - active
        updates = of.silent_update_s.low * quiet + of.spiking_update_s.low * active
        # At best a core's two parts work side by side, and the longer one counts.
        adds = of.synapse_s.low * (z @ recurrent.synapses + x @ inputs.synapses)
        low += np.maximum(updates, adds).max(axis=1).sum()
        # At worst one after the other, with every zero of dense lists read.
        busy = of.silent_update_s.high * quiet
        busy += (of.spiking_update_s.high + of.spike_s.high) * active
        busy += of.synapse_s.high * (z @ recurrent.entries + x @ inputs.entries)
        busy += of.message_in_s.high * (z @ recurrent.lists + x @ inputs.lists)
        busy += of.message_out_s.high * (z @ sending)
        high += busy.max(axis=1).sum()
    # Every step ends when all cores are done, however little there was to do.
    barriers = spikes.steps * spikes.batch
    return Span(
        float(low + of.barrier_s.low * barriers) / spikes.batch,
        float(high + of.barrier_s.high * barriers) / spikes.batch,
    )


def _chunks(
    spikes: Spikes, messages: np.ndarray | None, n_in: int
) -> Iterator[tuple[Float64[np.ndarray, "m n"], Float64[np.ndarray, "m n_in"]]]:
    """Yield spikes and input events of some steps, a row per trial and step."""
    width = max(1, CHUNK // (spikes.batch * spikes.n))
    for start in range(0, spikes.steps, width):
        raster = packed.unpack(spikes.bits[start : start + width], spikes.n)
        z = raster.reshape(-1, spikes.n).astype(float)
        x = np.zeros((len(z), n_in))
        if messages is not None:
            x += (messages[start : start + width] != 0).reshape(-1, n_in)
        yield z, x


def describe_cost(cost: Cost) -> str:
    """Return the counts and the estimate as text."""
    lines = [
        f"{cost.chip}, {cost.cores} cores, per trial of {cost.steps} steps "
        f"(mean of {cost.trials}):",
        f"  spikes {cost.spikes:.4g}, input events {cost.input_events:.4g}",
        f"  synaptic operations {cost.synaptic_operations:.4g}, entries read "
        f"{cost.entries_read:.4g}",
        f"  neuron updates {cost.neuron_updates:.4g}",
        f"  messages {cost.messages:.4g}, between cores {cost.messages_across:.4g}",
    ]
    if cost.energy_j is None or cost.time_s is None or cost.static_j is None:
        lines.append("  energy and time: no per-operation figures were published")
    else:
        lines.append(f"  energy, estimated: {_range(cost.energy_j, 1e6, 'µJ')}")
        for kind, part in cost.energy_parts_j.items():
            lines.append(f"    {kind}: {_range(part, 1e6, 'µJ')}")
        lines += [
            f"  time, estimated: {_range(cost.time_s, 1e3, 'ms')} "
            f"(in the network: {1e3 * cost.steps * cost.dt:.4g} ms)",
            f"  leakage beside it: {_range(cost.static_j, 1e6, 'µJ')}",
        ]
    return "\n".join([*lines, f"  left out: {'; '.join(cost.leaves_out)}"])


def as_json(cost: Cost) -> dict[str, Any]:
    """Return counts and estimates as plain data."""
    spans = {name: getattr(cost, name) for name in DERIVED}
    return asdict(cost) | {
        name: None if span is None else asdict(span) for name, span in spans.items()
    }


def _range(span: Span, factor: float, unit: str) -> str:
    low, high = f"{factor * span.low:.3g}", f"{factor * span.high:.3g}"
    # A range that rounds to one number is written as one.
    return f"{low} {unit}" if low == high else f"{low} to {high} {unit}"
