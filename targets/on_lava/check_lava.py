"""What Lava, simulated or on a chip, cannot hold of a network: all of it at once."""

import numpy as np

from isotau.convert.chip import arithmetic
from isotau.convert.ground.errors import DoesNotFit, Finding, Severity, neuron_range
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork, decay_fraction
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.stage import Network
from isotau.targets.on_lava.profiles import (
    COMPARTMENTS,
    THRESHOLDS,
    findings_of_grouping,
    group_profiles,
)

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
IN_SIMULATION = (
    "simulated by isotau's process NoisyLIF, with the reference engine's bits; refused "
    "on a chip: set it to {} to run there"
)


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
        *_of_neurons(net),
        *_of_profiles(net),
        *_of_blocks(net, chip),
        *_of_runs(net),
    ]


def _stage(got: str, command: str) -> Finding:
    return Finding(
        INFO, "network", f"network: got a {got}, need integers", f"run {command} first"
    )


def _of_lif(net: LIFNetwork) -> list[Finding]:
    """Return what quantizing will run into."""
    found = []
    for name in ("tau_syn", "tau_mem"):
        lost = arithmetic.DECAY_UNITY * decay_fraction(getattr(net, name), net.dt)
        if (lost < 0.5).any():
            longest = 2 * arithmetic.DECAY_UNITY * net.dt
            found.append(
                Finding(
                    ERROR,
                    neuron_range(lost < 0.5),
                    f"{name}: got {getattr(net, name).max():.4g} s, need less than "
                    f"{longest:.4g} s for a decay register",
                    "raise dt",
                )
            )
    kinds = _kinds(net.tau_syn, net.tau_mem)
    if kinds > COMPARTMENTS:
        found.append(
            Finding(
                WARNING,
                "tau_syn, tau_mem",
                f"time constants: got {kinds} different pairs, need at most "
                f"{COMPARTMENTS} profiles on a core",
                "grouped for a chip; check the quantized network for the loss",
            )
        )
    if net.noise_std > 0:
        got = f"noise_std: got {net.noise_std:.4g} V, need 0 in Lava's LIF"
        found.append(Finding(WARNING, "noise_std", got, IN_SIMULATION.format(0)))
    if net.refractory.any():
        resting = neuron_range(net.refractory > 0)
        got = (
            f"refractory: got up to {net.refractory.max():.4g} s, need 0 in Lava's LIF"
        )
        found.append(Finding(WARNING, resting, got, IN_SIMULATION.format(0)))
    return found


def _of_neurons(net: FixedPointNetwork) -> list[Finding]:
    found = []
    if net.noise_exp is not None:
        got = f"noise_exp: got {net.noise_exp}, need none in Lava's LIF"
        found.append(Finding(WARNING, "noise_exp", got, IN_SIMULATION.format(None)))
    if net.refractory.any():
        resting = neuron_range(net.refractory > 0)
        got = (
            f"refractory: got up to {net.refractory.max()} steps, need 0 in Lava's LIF"
        )
        found.append(Finding(WARNING, resting, got, IN_SIMULATION.format(0)))
    negative = net.bias_exp < 0
    if negative.any():
        found.append(
            Finding(
                INFO,
                neuron_range(negative),
                f"bias_exp: got {net.bias_exp.min()}, need 0 to 7 on a chip",
                "written with exponent 0 for a chip, which is the same bias",
            )
        )
    if net.u0.any() or net.v0.any():
        found.append(
            Finding(
                INFO,
                neuron_range((net.u0 != 0) | (net.v0 != 0)),
                "u0, v0: got a start other than rest, need to set it in every trial",
                "handed to Lava as LIF's u and v; not tried on a chip",
            )
        )
    return found


def _of_profiles(net: FixedPointNetwork) -> list[Finding]:
    """Return what sharing profiles costs, and how many Lava processes they make."""
    counts = {
        "du, dv, refractory": (_kinds(net.du, net.dv, net.refractory), COMPARTMENTS),
        "vth": (_kinds(net.vth), THRESHOLDS),
    }
    found = [
        Finding(
            WARNING,
            name,
            f"{name}: got {count} profiles, need at most {most} on a core",
            "grouped for a chip as follows; simulation keeps every neuron's own",
        )
        for name, (count, most) in counts.items()
        if count > most
    ]
    if found:
        try:
            return found + findings_of_grouping(group_profiles(net))
        except DoesNotFit as error:
            action = "give export_lava a grouping of your own, by group_profiles"
            return [*found, Finding(WARNING, "profiles", str(error), action)]
    kinds = _kinds(net.du, net.dv, net.vth)
    if kinds > 1:
        found.append(
            Finding(
                INFO,
                "du, dv, vth",
                f"profiles: got {kinds} of du, dv and vth together, need one in a LIF "
                "process by Lava's documentation",
                "one process for each on a chip, one for all in simulation",
            )
        )
    return found


def _of_blocks(net: FixedPointNetwork, chip: str) -> list[Finding]:
    found = []
    cut = _kinds(net.du, net.dv, net.vth) > 1
    for k, block in enumerate(net.blocks):
        place = f"blocks[{k}]"
        if not block.weights.any():
            got = "weights: got zeros alone, need one that is not for a connection"
            found.append(Finding(INFO, place, got, "left out, which changes nothing"))
            continue
        if block.source == "input" and not block.binary:
            if chip == "loihi1":
                got = "binary: got graded messages, need spikes on Loihi 1"
                action = "simulated; refused on the chip: send spikes (binary=True)"
                found.append(Finding(WARNING, place, got, action))
            else:
                got = "messages: got numbers, need at most 24 bits on the chip"
                action = "sent as graded spikes; larger ones are refused there"
                found.append(Finding(INFO, place, got, action))
        if block.delay:
            got = f"delay: got {block.delay} further steps, need a DelaySparse"
            action = "simulated with the same bits; not tried on a chip"
            found.append(Finding(INFO, place, got, action))
        if block.weight_exp < 0 and cut and block.source == "recurrent":
            got = (
                f"weight_exp: got {block.weight_exp}, need 0 or more for a block that "
                "is cut into several connections"
            )
            action = "each part is floored by itself on a chip: at most one unit each"
            found.append(Finding(WARNING, place, got, action))
    return found


def _of_runs(net: FixedPointNetwork) -> list[Finding]:
    found = []
    if net.reset_interval:
        got = f"reset_interval: got {net.reset_interval} steps, need a LIFReset"
        action = "simulated with the same bits; not tried on a chip"
        found.append(Finding(INFO, "reset_interval", got, action))
    if net.w_out.any():
        got = f"w_out: got {net.n_out} outputs, need none: Lava delivers spikes"
        action = "read out off the chip, from the spikes, by isotau"
        found.append(Finding(INFO, "w_out, b_out, tau_out", got, action))
    return found


def _kinds(*registers: np.ndarray) -> int:
    """Return how many different combinations the neurons have."""
    return len(np.unique(np.stack(registers, axis=1), axis=0))
