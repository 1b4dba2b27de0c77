"""`Chip`: what a core and a chip hold, and what an operation costs; Loihi 1 and 2.

Each number comes with its source. None stands for "no public number": nothing is
checked against it. `dataclasses.replace` makes a chip with other numbers.

Two sources of energies and times differ by what they are. Davies et al. 2018, table 2:
simulated before silicon, at 0.75 V, and said to agree with early silicon. SANA-FE
(Boyle et al. 2025): regressions on measurements of a Nahuku board.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

DAVIES = "Davies et al. 2018, doi:10.1109/MM.2018.112130359"
TABLE_2 = f"{DAVIES}, table 2"
SANA_FE = (
    "SANA-FE, doi:10.1109/TCAD.2025.3537971, sanafe/examples/loihi.yaml (measured)"
)
FRADY = "Frady et al. 2020, doi:10.1145/3381755.3398695, table 1 (measured)"


@dataclass(frozen=True, slots=True)
class Figure:
    """A published number: lowest and highest value, and where they are from."""

    low: float
    high: float
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Operations:
    """What one operation takes, in joules or seconds.

    Attributes:
        synapse_j: reading one entry of a synapse list and adding it.
        silent_update_j: updating a neuron that does not spike.
        spiking_update_j: updating one that does.
        spike_j: issuing a spike, on top of the update.
        message_j: sending one spike message to one core.
        hop_east_west_j: passing one message to the next tile in a row.
        hop_north_south_j: passing one message to the next tile in a column.
        synapse_s: time of `synapse_j`.
        silent_update_s: time of `silent_update_j`.
        spiking_update_s: time of `spiking_update_j`.
        spike_s: time of `spike_j`.
        message_out_s: time that the sending core spends on a message.
        message_in_s: time that the receiving core spends on it.
        barrier_s: synchronizing all cores of one chip at the end of a step.
        static_w: leakage of one chip, in watts.
    """

    synapse_j: Figure
    silent_update_j: Figure
    spiking_update_j: Figure
    spike_j: Figure
    message_j: Figure
    hop_east_west_j: Figure
    hop_north_south_j: Figure
    synapse_s: Figure
    silent_update_s: Figure
    spiking_update_s: Figure
    spike_s: Figure
    message_out_s: Figure
    message_in_s: Figure
    barrier_s: Figure
    static_w: Figure


# Where both sources have a number the range spans them; what SANA-FE alone tells apart
# starts at 0.
LOIHI1_OPERATIONS = Operations(
    synapse_j=Figure(
        23.6e-12, 35.5e-12, f"{TABLE_2} (minimum); {SANA_FE}, dense (sparse: 33.6 pJ)"
    ),
    silent_update_j=Figure(
        52e-12,
        81e-12,
        f"{TABLE_2}, inactive and active; {SANA_FE} lies between (72.8 pJ)",
    ),
    spiking_update_j=Figure(81e-12, 81e-12, f"{TABLE_2}, active"),
    spike_j=Figure(0.0, 69.3e-12, f"not told apart in {TABLE_2}; {SANA_FE}"),
    message_j=Figure(1.7e-12, 111e-12, f"{TABLE_2}, within a tile; {SANA_FE}"),
    hop_east_west_j=Figure(3.0e-12, 3.0e-12, f"{TABLE_2}; {SANA_FE}"),
    hop_north_south_j=Figure(4.0e-12, 4.2e-12, f"{TABLE_2}; {SANA_FE}"),
    synapse_s=Figure(
        3.5e-9, 4.7e-9, f"{TABLE_2} (maximum); {SANA_FE}, sparse (dense: 3.8 ns)"
    ),
    silent_update_s=Figure(5.3e-9, 9.7e-9, f"{TABLE_2}, inactive; {SANA_FE}"),
    spiking_update_s=Figure(8.4e-9, 9.7e-9, f"{TABLE_2}, active; {SANA_FE}"),
    spike_s=Figure(0.0, 30.0e-9, f"not told apart in {TABLE_2}; {SANA_FE}"),
    message_out_s=Figure(0.0, 5.1e-9, f"not in {TABLE_2}; {SANA_FE}"),
    message_in_s=Figure(0.0, 16.0e-9, f"not in {TABLE_2}; {SANA_FE}"),
    barrier_s=Figure(
        113e-9, 1.8e-6, f"{TABLE_2}, one tile (32 tiles: 465 ns); {SANA_FE}, 29 tiles"
    ),
    static_w=Figure(
        3.34 / 32, 3.34 / 32, f"{FRADY}: 3.34 W for 32 chips, voltage not stated"
    ),
)


LIMITS: Mapping[str, str] = MappingProxyType(
    {
        "neurons": "neurons",
        "delay_slots": "delay accumulators",
        "memory_bits": "bits of synapse memory",
        "in_axons": "input axons",
        "out_axons": "output axons",
        "compartment_profiles": "compartment profiles",
        "threshold_profiles": "threshold profiles",
        "synapse_formats": "synapse formats",
        "noise_kinds": "kinds of noise",
    }
)
"""What a core has only so much of: fields of `Chip`, and what they are called."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chip:
    """A neuromorphic chip as far as it is public.

    Attributes:
        name: what to call it.
        cores: neuromorphic cores on a chip.
        cores_per_tile: cores that share a router.
        mesh: columns and rows of tiles.
        neurons: compartments on a core.
        delay_slots: accumulators for delayed input on a core, over all its neurons.
        memory_bits: bits of synapse memory of a core.
        neuron_bits: bits of that memory that a neuron's state takes.
        in_axons: synapse lists on a core.
        out_axons: entries on a core that send a spike to a list on a core.
        compartment_profiles: combinations of du, dv, refractory period and noise.
        threshold_profiles: values of vth.
        synapse_formats: combinations of exponent, bits, signs and list format.
        weight_bits: bits that a weight may be stored in.
        index_bits: bits that the target of a synapse may be stored in.
        list_synapses: entries of a synapse list that share one header.
        header_bits: bits of that header.
        word_bits: a list is rounded up to words of so many bits.
        delay_max: longest delay beyond the first step, in steps.
        refractory_max: longest period at reset, in steps.
        state_bits: bits of u and v, with sign.
        message_bits: bits of a graded spike; 0 where a spike is just a spike.
        noise: whether the neuron circuit itself can add noise, to u or to v.
        noise_kinds: combinations of what noise goes to and exponent on a core.
        operations: energies and times.
        sources: where each of these numbers is from, by the name of the field.
    """

    name: str
    cores: int
    cores_per_tile: int | None
    mesh: tuple[int, int] | None
    neurons: int
    delay_slots: int | None
    memory_bits: int
    neuron_bits: int
    in_axons: int | None
    out_axons: int | None
    compartment_profiles: int | None
    threshold_profiles: int | None
    synapse_formats: int | None
    weight_bits: tuple[int, ...]
    index_bits: tuple[int, ...]
    list_synapses: int
    header_bits: int
    word_bits: int
    delay_max: int | None
    refractory_max: int | None
    state_bits: int
    message_bits: int
    noise: bool
    noise_kinds: int | None
    operations: Operations | None
    sources: Mapping[str, str]


def limit(chip: Chip, name: str) -> int | None:
    """Return how much of one of `LIMITS` a core has; None without a public number."""
    value: int | None = getattr(chip, name)
    return value


def unknown(chip: Chip) -> tuple[str, ...]:
    """Return the fields for which no number is public."""
    return tuple(f.name for f in fields(chip) if getattr(chip, f.name) is None)


_NENGO = "nengo-loihi 1.1.0"
_BRIEF = "Intel, Taking Neuromorphic Computing to the Next Level with Loihi 2 (2021)"
_ORCHARD = "Orchard et al. 2021, doi:10.1109/SiPS52927.2021.00053"
_LAVA = "lava-nc 0.10.0"
_NOT_PUBLISHED = "not published"
_LOWER = "not published; counted without it, which gives a lower bound"


def _chip(name: str, **facts: tuple[Any, str]) -> Chip:
    """Return a chip of facts: each a number, and where it is from."""
    sources = {field: source for field, (_, source) in facts.items()}
    numbers = {field: number for field, (number, _) in facts.items()}
    return Chip(name=name, sources=MappingProxyType(sources), **numbers)


LOIHI1 = _chip(
    "Loihi 1",
    cores=(128, f"{DAVIES}, p. 86"),
    cores_per_tile=(4, f"{DAVIES}, table 2 (128 cores on up to 32 tiles)"),
    mesh=((8, 4), "SANA-FE, sanafe/examples/loihi.yaml; not in Davies et al. 2018"),
    neurons=(1024, f"{DAVIES}, p. 86 and 89"),
    # Neurons with longer delays take the accumulators of others.
    delay_slots=(
        1024 * 8,
        f"{DAVIES}, p. 92: 8 delay units at 1,024 neurons, up to "
        "62 steps with fewer; that their product is fixed is a reading of that",
    ),
    memory_bits=(16384 * 64, f"{DAVIES}, p. 89: 128 KB in words of 64 bits"),
    neuron_bits=(0, f"{_BRIEF}: 24 bytes in a memory of their own"),
    in_axons=(4096, f"{DAVIES}, p. 89, constraint 4"),
    out_axons=(4096, f"{DAVIES}, p. 89, constraint 3"),
    compartment_profiles=(32, f"{_NENGO}, hardware/validate.py"),
    threshold_profiles=(
        16,
        f"{_NENGO}, hardware/validate.py; its hardware/builder.py allows 7",
    ),
    synapse_formats=(
        15,
        f"{_NENGO}, hardware/validate.py: 16; number 0 stays "
        "unused (hardware/nxsdk_objects.py)",
    ),
    weight_bits=((1, 2, 3, 4, 5, 6, 8), f"{_NENGO}, block.py, WEIGHT_BITS_MAP"),
    index_bits=((0, 6, 7, 8, 9, 10, 11, 12), f"{_NENGO}, block.py, INDEX_BITS_MAP"),
    list_synapses=(64, f"{_NENGO}, block.py, bits_per_axon"),
    header_bits=(10, f"{_NENGO}, block.py, bits_per_axon"),
    word_bits=(64, f"{_NENGO}, block.py, bits_per_axon"),
    delay_max=(62, f"{DAVIES}, p. 92"),
    refractory_max=(
        63,
        f"brian2-loihi 0.5.2: register 1 to 64; {_NENGO} allows one less",
    ),
    state_bits=(
        24,
        "Dey & Dimitrov 2022, doi:10.3389/fnins.2022.883360; "
        f"{_LAVA}, proc/lif/models.py",
    ),
    # A spike is a spike: only Loihi 2 has graded ones.
    message_bits=(0, f"{_BRIEF}: binary spike events"),
    noise=(True, f"{_NENGO}, hardware/validate.py, enable_noise"),
    noise_kinds=(
        1,
        f"{_NENGO}, hardware/builder.py: all blocks of a core agree on what noise goes "
        "to, its exponent and its offset",
    ),
    operations=(LOIHI1_OPERATIONS, "see isotau.targets.loihi.limits"),
)

# Little of it is published: limits that are None are not checked, and lists are counted
# without headers, so that memory is a lower bound.
LOIHI2 = _chip(
    "Loihi 2",
    cores=(128, f"{_BRIEF}: up to 128; systems in use have 120 or more a chip"),
    cores_per_tile=(None, _NOT_PUBLISHED),
    mesh=(None, _NOT_PUBLISHED),
    neurons=(
        8192,
        f"{_ORCHARD} and doi:10.48550/arXiv.2310.03251, as others quote "
        f"them; {_BRIEF}: 1 million on a chip",
    ),
    delay_slots=(None, _NOT_PUBLISHED),
    memory_bits=(
        192 * 1024 * 8,
        f"{_BRIEF}: 192 KB a core for everything, shared freely",
    ),
    # Two states of 24 bits; a program's own variables come on top.
    neuron_bits=(48, f"u and v alone ({_BRIEF}: 0 to 4,096 bytes); lower bound"),
    in_axons=(None, _NOT_PUBLISHED),
    out_axons=(None, _NOT_PUBLISHED),
    compartment_profiles=(None, _NOT_PUBLISHED),
    threshold_profiles=(None, _NOT_PUBLISHED),
    synapse_formats=(None, _NOT_PUBLISHED),
    weight_bits=(
        (1, 2, 3, 4, 5, 6, 7, 8),
        f"{_LAVA}, proc/dense/process.py: up to 8; that fewer take "
        "less memory is a lower bound",
    ),
    index_bits=(tuple(range(14)), _LOWER),
    list_synapses=(64, _LOWER),
    header_bits=(0, _LOWER),
    word_bits=(1, _LOWER),
    delay_max=(None, f"not published; DelayDense of {_LAVA} names none"),
    refractory_max=(None, f"not published; the LIF of {_LAVA} has no such register"),
    state_bits=(24, f"{_LAVA}, proc/lif/models.py"),
    message_bits=(32, f"{_BRIEF}: payloads of up to 32 bits"),
    noise=(
        False,
        f"{_ORCHARD}: random bits for own neuron programs; the LIF of {_LAVA} has none",
    ),
    noise_kinds=(None, "not published; a neuron program draws what it wants"),
    operations=(None, "no per-operation energies or times were published"),
)

CHIPS: Mapping[str, Chip] = MappingProxyType({"loihi1": LOIHI1, "loihi2": LOIHI2})
"""By the name that commands and files give them."""
