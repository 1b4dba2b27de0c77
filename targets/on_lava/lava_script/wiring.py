"""The network as Lava processes. Import it after `accept_lava` of run.py."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core import run_configs
from lava.magma.core.run_conditions import RunSteps
from lava.proc.dense.process import Dense
from lava.proc.io import sink, source
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.sparse.process import DelaySparse, Sparse
from lava.utils.weightutils import SignMode
from scipy.sparse import csr_matrix

from isotau.targets.on_lava.lava_script.network import (
    CONFIGS,
    HW_MESSAGE_BITS,
    StoredNetwork,
)

SIM_MESSAGE_BITS = 32
"""Declares messages as numbers instead of spikes; Lava keeps them in int32."""
STREAMS = {"noise": 0, "current_noise": 5}
"""Streams of random numbers, as `isotau.convert.chip.philox` has them for v and u."""
Group = npt.NDArray[np.intp]
Seed = int | npt.NDArray[np.uint64]


def run_trial(
    net: StoredNetwork,
    messages: npt.NDArray[np.int32],
    groups: list[Group],
    config: str,
    *,
    seed: int,
    trial: int,
) -> npt.NDArray[np.bool_]:
    """Return the spikes of one trial from power-up, steps × neurons.

    Args:
        net: the network.
        messages: steps × channels.
        groups: the neurons of each LIF process.
        config: a key of `CONFIGS`.
        seed: of the membrane noise.
        trial: number of the trial, on which the noise depends too.
    """
    hardware, steps = config.endswith("-hw"), len(messages)
    trials = np.array([trial])
    populations = [population(net, group, seed, trials) for group in groups]
    wire(net, messages, populations, groups, hardware)
    sinks = []
    for lif, group in zip(populations, groups, strict=True):
        port, shape = lif.s_out, (len(group),)
        if hardware:
            adapter = adapters().NxToPyAdapter(shape=shape)
            port.connect(adapter.inp)
            port = adapter.out
        sinks.append(sink.RingBuffer(shape=shape, buffer=steps))
        port.connect(sinks[-1].a_in)
    # Without the tag Lava would choose its floating-point models.
    models = getattr(run_configs, CONFIGS[config])(select_tag="fixed_pt")
    for lif in populations:
        if lif.runtime is None:  # a run takes along all that is connected
            lif.run(condition=RunSteps(num_steps=steps), run_cfg=models)
    spikes = np.zeros((steps, net.n), dtype=bool)
    for buffer, group in zip(sinks, groups, strict=True):
        spikes[:, group] = buffer.data.get().T != 0
    for runtime in {id(lif.runtime): lif.runtime for lif in populations}.values():
        runtime.stop()
    return spikes


def population(
    net: StoredNetwork, group: Group, seed: Seed, trials: npt.NDArray[np.int64]
) -> Any:
    """Return some of the neurons as one LIF process.

    Lava's documentation asks for one du, dv and vth for a process; its simulation also
    takes one for each neuron.

    Args:
        net: the network.
        group: the neurons. Several trials side by side are copies of the network,
            whose neurons are counted on: neuron k of trial t is t·n + k.
        seed: of the membrane noise, one for all trials or one for each.
        trials: number of each trial, on which the noise depends too.
    """

    def of_group(name: str) -> Any:
        values = net.arrays[name][group % net.n].astype(np.int32)
        single = name in ("du", "dv", "vth") and np.ptp(values) == 0
        return int(values[0]) if single else values

    names = ("du", "dv", "vth", "bias_mant", "bias_exp")
    registers = {"shape": (len(group),), "u": of_group("u0"), "v": of_group("v0")}
    registers |= {name: of_group(name) for name in names}
    if net.plain["reset_interval"]:
        for name in ("reset_interval", "reset_offset"):
            registers[name] = net.plain[name]
    noises = {name: net.arrays[f"{name}_exp"] for name in ("noise", "current_noise")}
    silent = not any(exponents.any() for exponents in noises.values())
    if silent and not net.arrays["refractory"].any():
        return (LIFReset if net.plain["reset_interval"] else LIF)(**registers)
    # Lava's own LIF has neither noise nor refractory periods; this one runs only in
    # simulation. Its folder holds nothing else, as Lava imports all that is there.
    from isotau.targets.on_lava.lava_lif.noisy_lif import NoisyLIF

    # Only what they need: Lava copies them into the process of the neurons.
    sources: dict[str, Any] = {
        name: partial(noise, exponents, STREAMS[name], group, seed, trials)
        for name, exponents in noises.items()
        if exponents.any()
    }
    return NoisyLIF(refractory=of_group("refractory"), **sources, **registers)


def noise(
    noise_exp: npt.NDArray[Any],
    stream: int,
    group: Group,
    seed: Seed,
    trials: npt.NDArray[np.int64],
    step: int,
) -> Any:
    """Return what noise adds to v or u of some neurons in one step."""
    from isotau.convert.chip.arithmetic import scale_noise
    from isotau.convert.chip.philox import noise_samples

    seeds = np.broadcast_to(np.asarray(seed, dtype=np.uint64), trials.shape)
    n = len(noise_exp)
    samples = np.empty((len(trials), n), dtype=np.int64)
    for value in np.unique(seeds):
        own = seeds == value
        samples[own] = noise_samples(int(value), step, trials[own], n, stream)
    return scale_noise(samples, noise_exp).ravel()[group].astype(np.int32)


def wire(
    net: StoredNetwork,
    messages: npt.NDArray[np.int32],
    populations: list[Any],
    groups: list[Group],
    hardware: bool,
) -> None:
    """Connect sources to populations and populations to one another.

    A block's sum is shifted by its exponent as a whole. Cut into several connections it
    is shifted in parts, which rounds differently if the exponent is below 0.
    """
    sources: dict[bool, Any] = {}
    ends = list(zip(populations, groups, strict=True))
    for block in net.blocks:
        weights = full_weights(net, block)
        if block["source"] == "recurrent":
            senders = [(lif.s_out, group) for lif, group in ends]
        else:
            binary = block["binary"]
            if binary not in sources:
                sources[binary] = input_port(messages, binary, hardware)
            senders = [(sources[binary], np.arange(net.plain["n_in"]))]
        bits = HW_MESSAGE_BITS if hardware else SIM_MESSAGE_BITS
        for lif, group in ends:
            for port, columns in senders:
                part = weights[np.ix_(group, columns)]
                if part.any():  # Lava's Sparse needs a weight
                    joint = connection(block, part, bits)
                    port.connect(joint.s_in)
                    joint.a_out.connect(lif.a_in)


def full_weights(net: StoredNetwork, block: Mapping[str, Any]) -> npt.NDArray[np.int32]:
    """Return a block's weights from every neuron or channel of its source."""
    width = net.n if block["source"] == "recurrent" else net.plain["n_in"]
    weights = np.zeros((net.n, width), dtype=np.int32)
    weights[:, block["pre"]] = block["weights"]
    return weights


def input_port(messages: npt.NDArray[np.int32], binary: bool, hardware: bool) -> Any:
    """Return the port of a source that sends the messages, or spikes where not 0."""
    data = (messages != 0).astype(np.int32) if binary else messages
    sender = source.RingBuffer(data=np.ascontiguousarray(data.T))
    if not hardware:
        return sender.s_out
    bits = {} if binary else {"num_message_bits": HW_MESSAGE_BITS}
    adapter = adapters().PyToNxAdapter(shape=(data.shape[1],), **bits)
    sender.s_out.connect(adapter.inp)
    return adapter.out


def connection(block: Mapping[str, Any], weights: Any, message_bits: int) -> Any:
    """Return a block, or a part of it, as a Lava connection.

    Args:
        block: the block.
        weights: post × pre, as an array or as a matrix of scipy's.
        message_bits: what a graded message may have.
    """
    graded = block["source"] == "input" and not block["binary"]
    settings = {
        "weight_exp": block["weight_exp"],
        "num_weight_bits": block["num_weight_bits"],
        "sign_mode": SignMode[block["sign_mode"].upper()],
        "num_message_bits": message_bits if graded else 0,
    }
    if not block["delay"]:
        kind = Dense if isinstance(weights, np.ndarray) else Sparse
        return kind(weights=weights, **settings)
    # Not DelayDense: it sums in 64 bits, and shifts a sum beyond 32 to the right before
    # it is wrapped. Lava knows scipy's matrices alone and hangs on its newer arrays.
    stored = csr_matrix(weights)
    # Lava checks for this very type of integer.
    delays = stored.astype(bool).astype(np.int64) * block["delay"]
    return DelaySparse(weights=stored, delays=delays, **settings)


def adapters() -> Any:
    """Return the module with the chip's input and output of Intel's extension."""
    try:
        from lava.proc.embedded_io import spike
    except ImportError as error:
        raise SystemExit(
            f"run.py: got {error}, need the extension lava-loihi, which Intel gives to "
            "members of its research community; simulate with --config loihi2-sim"
        ) from error
    return spike
