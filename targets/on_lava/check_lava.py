"""What Lava, simulated or on a chip, cannot hold of a network: all of it at once."""

from collections.abc import Iterator

import numpy as np

from isotau.convert.chip import arithmetic
from isotau.convert.ground.errors import DoesNotFit, Finding, error, info, warning
from isotau.convert.ground.sparse import values_of
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.stage import Network
from isotau.convert.records.weight_form import findings_of_form
from isotau.convert.simulate.vectors.shared_noise import findings_of_channels
from isotau.convert.to_fixed.decay_registers import too_long
from isotau.targets.on_lava.profiles import (
    COMPARTMENTS,
    THRESHOLDS,
    findings_of_grouping,
    group_profiles,
)

IN_SIMULATION = (
    "simulated by isotau's process NoisyLIF, with the reference engine's bits; refused "
    "on a chip: set it to {} to run there"
)
NOT_TRIED = "simulated with the same bits; not tried on a chip"


def check_lava(net: Network, *, chip: str = "loihi2") -> list[Finding]:
    """Return every finding about running a network in Lava.

    Warnings are about a chip: Lava's simulation runs every `FixedPointNetwork`. Of
    records that are not yet integers only what can be foreseen is named.

    Args:
        net: the network.
        chip: "loihi1" or "loihi2".
    """
    if isinstance(net, RateRNN):
        return [_stage("rate network", "isotau convert, then isotau quantize")]
    if isinstance(net, LIFNetwork):
        return [_stage("LIF network", "isotau quantize"), *_of_lif(net)]
    return [
        *findings_of_form(net),
        *_of_neurons(net),
        *findings_of_channels(net),
        *_of_profiles(net),
        *_of_blocks(net, chip),
        *_of_runs(net),
    ]


def _stage(stage: str, command: str) -> Finding:
    message = f"network: got a {stage}, need integers"
    return info("network", message, f"run {command} first")


def _of_lif(net: LIFNetwork) -> Iterator[Finding]:
    """Yield what quantizing will run into."""
    for name in ("tau_syn", "tau_mem"):
        tau = getattr(net, name)
        # A register that rounds to 0 would never decay (F2, F3).
        slow = too_long(tau, net.dt)
        if slow.any():
            yield error(
                slow,
                f"{name}: got {tau.max():.4g} s, need less than "
                f"{2 * arithmetic.DECAY_UNITY * net.dt:.4g} s for a decay register",
                "raise dt",
            )
    # Quantizing may make fewer of them: two τ can round to one register.
    pairs = _kinds(net.tau_syn, net.tau_mem)
    if pairs > COMPARTMENTS:
        yield warning(
            "tau_syn, tau_mem",
            f"time constants: got {pairs} different pairs, need at most {COMPARTMENTS} "
            "profiles on a core",
            "grouped for a chip; check the quantized network for the loss",
        )
    # What only isotau's own process has runs in simulation, never on a chip.
    for name in ("noise_std", "current_noise_std"):
        std: np.ndarray = getattr(net, name)
        if std.any():
            message = f"{name}: got up to {std.max():.4g} V, need 0 in Lava's LIF"
            yield warning(name, message, IN_SIMULATION.format(0))
    yield from _of_refractory(net.refractory, f"{net.refractory.max():.4g} s")


def _of_refractory(periods: np.ndarray, longest: str) -> Iterator[Finding]:
    if periods.any():
        message = f"refractory: got up to {longest}, need 0 in Lava's LIF"
        yield warning(periods > 0, message, IN_SIMULATION.format(0))


def _of_neurons(net: FixedPointNetwork) -> Iterator[Finding]:
    for name in ("noise_exp", "current_noise_exp"):
        exponents: np.ndarray = getattr(net, name)
        if exponents.any():
            message = f"{name}: got up to {exponents.max()}, need none in Lava's LIF"
            yield warning(name, message, IN_SIMULATION.format(0))
    yield from _of_refractory(net.refractory, f"{net.refractory.max()} steps")
    negative = net.bias_exp < 0
    if negative.any():
        yield info(
            negative,
            f"bias_exp: got {net.bias_exp.min()}, need 0 to 7 on a chip",
            "written with exponent 0 for a chip, which is the same bias",
        )
    started = (net.u0 != 0) | (net.v0 != 0)
    if started.any():
        yield info(
            started,
            "u0, v0: got a start other than rest, need to set it in every trial",
            "handed to Lava as LIF's u and v; not tried on a chip",
        )


def _of_profiles(net: FixedPointNetwork) -> Iterator[Finding]:
    """Yield what sharing profiles costs, and how many Lava processes they make."""
    rows = (
        ("du, dv, refractory", _kinds(net.du, net.dv, net.refractory), COMPARTMENTS),
        ("vth", _kinds(net.vth), THRESHOLDS),
    )
    # Only where a core has too few profiles is anything grouped.
    crowded = [row for row in rows if row[1] > row[2]]
    for name, count, most in crowded:
        yield warning(
            name,
            f"{name}: got {count} profiles, need at most {most} on a core",
            "grouped for a chip as follows; simulation keeps every neuron's own",
        )
    if crowded:
        try:
            yield from findings_of_grouping(group_profiles(net))
        except DoesNotFit as refusal:
            action = "give export_lava a grouping of your own, by group_profiles"
            yield warning("profiles", str(refusal), action)
        return
    # Lava's simulation takes a register for every neuron; its documentation does not.
    kinds = _kinds(net.du, net.dv, net.vth)
    if kinds > 1:
        yield info(
            "du, dv, vth",
            f"profiles: got {kinds} of du, dv and vth together, need one in a LIF "
            "process by Lava's documentation",
            "one process for each on a chip, one for all in simulation",
        )


def _of_blocks(net: FixedPointNetwork, chip: str) -> Iterator[Finding]:
    # On a chip there is one process for each kind of neuron, and a block is cut up.
    several = _kinds(net.du, net.dv, net.vth) > 1
    for k, block in enumerate(net.blocks):
        place = f"blocks[{k}]"
        if not values_of(block.weights).any():
            message = "weights: got zeros alone, need one that is not for a connection"
            yield info(place, message, "left out, which changes nothing")
            continue
        # Spikes come from channels that send 0 and 1; all else has a size.
        graded = block.source == "input" and not block.binary
        if graded and chip == "loihi1":
            yield warning(
                place,
                "binary: got graded messages, need spikes on Loihi 1",
                "simulated; refused on the chip: send spikes (binary=True)",
            )
        elif graded:
            yield info(
                place,
                "messages: got numbers, need at most 24 bits on the chip",
                "sent as graded spikes; larger ones are refused there",
            )
        if block.delay:
            message = f"delay: got {block.delay} further steps, need a DelaySparse"
            yield info(place, message, NOT_TRIED)
        # Sums are shifted in parts then, each of them rounded down.
        if block.weight_exp < 0 and several and block.source == "recurrent":
            yield warning(
                place,
                f"weight_exp: got {block.weight_exp}, need 0 or more for a block that "
                "is cut into several connections",
                "each part is floored by itself on a chip: at most one unit each",
            )


def _of_runs(net: FixedPointNetwork) -> Iterator[Finding]:
    if net.reset_interval:
        message = f"reset_interval: got {net.reset_interval} steps, need a LIFReset"
        yield info("reset_interval", message, NOT_TRIED)
    # Zeros are what an exported network without a readout has.
    if net.w_out.any():
        yield info(
            "w_out, b_out, tau_out",
            f"w_out: got {net.n_out} outputs, need none: Lava delivers spikes",
            "read out off the chip, from the spikes, by isotau",
        )


def _kinds(*registers: np.ndarray) -> int:
    """Return how many different combinations the neurons have."""
    return len(np.unique(np.stack(registers, axis=1), axis=0))
