"""The network as Lava processes. Import it after `accept_lava` of run.py."""

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core import run_configs
from lava.magma.core.run_conditions import RunSteps
from lava.proc.dense.process import Dense
from lava.proc.io import sink, source
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.sparse.process import DelaySparse
from lava.utils.weightutils import SignMode
from scipy.sparse import csr_matrix

from isotau.targets.on_lava.lava_script.network import HW_MESSAGE_BITS, Network

CONFIGS = {
    "loihi1-sim": "Loihi1SimCfg",
    "loihi2-sim": "Loihi2SimCfg",
    "loihi1-hw": "Loihi1HwCfg",
    "loihi2-hw": "Loihi2HwCfg",
}
"""Lava's run configurations. The simulations give the same spikes, to the bit."""
SIM_MESSAGE_BITS = 32
Group = npt.NDArray[np.intp]


def run_trial(
    net: Network,
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
    populations = [population(net, group, seed, trial) for group in groups]
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
    chosen = getattr(run_configs, CONFIGS[config])(select_tag="fixed_pt")
    for lif in populations:
        if lif.runtime is None:  # a run takes along all that is connected
            lif.run(condition=RunSteps(num_steps=steps), run_cfg=chosen)
    spikes = np.zeros((steps, net.n), dtype=bool)
    for kept, group in zip(sinks, groups, strict=True):
        spikes[:, group] = kept.data.get().T != 0
    for runtime in {id(lif.runtime): lif.runtime for lif in populations}.values():
        runtime.stop()
    return spikes


def population(net: Network, group: Group, seed: int, trial: int) -> Any:
    """Return some of the neurons as one LIF process.

    Lava's documentation asks for one du, dv and vth for a process; its simulation also
    takes one for each neuron.
    """

    def of_group(name: str) -> Any:
        values = net.arrays[name][group].astype(np.int32)
        single = name in ("du", "dv", "vth") and np.ptp(values) == 0
        return int(values[0]) if single else values

    registers = {
        "shape": (len(group),),
        "u": of_group("u0"),
        "v": of_group("v0"),
        **{name: of_group(name) for name in ("du", "dv", "vth")},
        **{name: of_group(name) for name in ("bias_mant", "bias_exp")},
    }
    if net.plain["reset_interval"]:
        for name in ("reset_interval", "reset_offset"):
            registers[name] = net.plain[name]
    if net.plain["noise_exp"] is None and not net.arrays["refractory"].any():
        return (LIFReset if net.plain["reset_interval"] else LIF)(**registers)
    # Lava's own LIF has neither noise nor refractory periods; this one runs only in
    # simulation. Its folder holds nothing else, as Lava imports all that is there.
    from isotau.targets.on_lava.lava_lif.noisy_lif import NoisyLIF

    silent = net.plain["noise_exp"] is None
    return NoisyLIF(
        refractory=of_group("refractory"),
        noise=None if silent else partial(noise, net, group, seed, trial),
        **registers,
    )


def noise(net: Network, group: Group, seed: int, trial: int, step: int) -> Any:
    """Return what the membrane noise adds to v of some neurons in one step."""
    from isotau.convert.chip.arithmetic import scale_noise
    from isotau.convert.chip.philox import membrane_samples

    samples = membrane_samples(seed, step, np.array([trial]), net.n)
    return scale_noise(samples[0, group], net.plain["noise_exp"]).astype(np.int32)


def wire(
    net: Network,
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
    for block in net.blocks:
        recurrent, binary = block["source"] == "recurrent", block["binary"]
        width = net.n if recurrent else net.plain["n_in"]
        weights = np.zeros((net.n, width), dtype=np.int32)
        weights[:, block["pre"]] = block["weights"]
        if not recurrent and binary not in sources:
            sources[binary] = input_port(messages, binary, hardware)
        senders = [
            (lif.s_out, group) for lif, group in zip(populations, groups, strict=True)
        ]
        if not recurrent:
            senders = [(sources[binary], np.arange(width))]
        for lif, group in zip(populations, groups, strict=True):
            for port, columns in senders:
                part = weights[np.ix_(group, columns)]
                if part.any():  # Lava's Sparse needs a weight
                    joint = connection(block, part, hardware)
                    port.connect(joint.s_in)
                    joint.a_out.connect(lif.a_in)


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


def connection(
    block: dict[str, Any], weights: npt.NDArray[np.int32], hardware: bool
) -> Any:
    """Return a block, or a part of it, as a Lava connection."""
    graded = block["source"] == "input" and not block["binary"]
    bits = HW_MESSAGE_BITS if hardware else SIM_MESSAGE_BITS
    chosen = {
        "weight_exp": block["weight_exp"],
        "num_weight_bits": block["num_weight_bits"],
        "sign_mode": SignMode[block["sign_mode"].upper()],
        "num_message_bits": bits if graded else 0,
    }
    if not block["delay"]:
        return Dense(weights=weights, **chosen)
    # Lava checks for this type of integer. Not DelayDense, which sums in 64 bits.
    stored = csr_matrix(weights)
    delays = stored.astype(bool).astype(np.int64) * block["delay"]
    return DelaySparse(weights=stored, delays=delays, **chosen)


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
