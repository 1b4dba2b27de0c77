"""Joules and seconds from counted operations and published figures, as ranges."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from isotau.convert.records import spikes as packed
from isotau.convert.records.spikes import Spikes
from isotau.targets.loihi.limits import Figure, Operations
from isotau.targets.loihi.place import Placement
from isotau.targets.loihi.traffic import Reach

CHUNK = 1 << 22
"""Neuron-steps whose raster is unpacked at a time."""


@dataclass(frozen=True, slots=True)
class Span:
    """The lowest and the highest estimate."""

    low: float
    high: float


def energy(
    of: Operations,
    counted: dict[str, float],
    updates: int,
    travelled: tuple[float | None, float | None],
) -> dict[str, Span]:
    """Return joules of a trial by kind of operation."""
    spikes = counted["spikes"]
    return {
        "synapses": Span(
            of.synapse_j.low * counted["synaptic_operations"],
            of.synapse_j.high * counted["entries_read"],
        ),
        "neuron updates": total(
            [
                scaled(of.silent_update_j, updates - spikes),
                scaled(of.spiking_update_j, spikes),
                scaled(of.spike_j, spikes),
            ]
        ),
        "messages": scaled(
            of.message_j, counted["messages"] + counted["input_messages"]
        ),
        "hops": total(
            [
                scaled(of.hop_east_west_j, travelled[0] or 0.0),
                scaled(of.hop_north_south_j, travelled[1] or 0.0),
            ]
        ),
    }


def time(
    of: Operations,
    placement: Placement,
    spikes: Spikes,
    messages: np.ndarray | None,
    reached: tuple[Reach, Reach],
) -> Span:
    """Return seconds of a trial: the slowest core of each step, and the barrier.

    At best a core's updates and synapses overlap; at worst all it does comes in turn.
    """
    recurrent, inputs = reached
    on_core = (placement.core[:, None] == np.arange(placement.cores)).astype(float)
    neurons = on_core.sum(axis=0)
    sending = on_core * recurrent.lists.sum(axis=1)[:, None]
    low = high = 0.0
    for z, x in _chunks(spikes, messages, len(inputs.lists)):
        fired = z @ on_core
        quiet = neurons - fired
        updates = of.silent_update_s.low * quiet + of.spiking_update_s.low * fired
        adds = of.synapse_s.low * (z @ recurrent.synapses + x @ inputs.synapses)
        low += np.maximum(updates, adds).max(axis=1).sum()
        busy = of.silent_update_s.high * quiet
        busy += (of.spiking_update_s.high + of.spike_s.high) * fired
        busy += of.synapse_s.high * (z @ recurrent.entries + x @ inputs.entries)
        busy += of.message_in_s.high * (z @ recurrent.lists + x @ inputs.lists)
        busy += of.message_out_s.high * (z @ sending)
        high += busy.max(axis=1).sum()
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


def scaled(figure: Figure, number: float) -> Span:
    """Return what a number of operations takes."""
    return Span(figure.low * number, figure.high * number)


def times(span: Span | None, factor: float) -> Span | None:
    """Return a span times a number; None stays None."""
    return None if span is None else Span(span.low * factor, span.high * factor)


def total(spans: Iterable[Span]) -> Span:
    """Return the sum of spans."""
    listed = list(spans)
    return Span(sum(s.low for s in listed), sum(s.high for s in listed))
