"""What Loihi 1 or 2 cannot hold of a network, all at once."""

from collections.abc import Iterator

from isotau.convert.chip import arithmetic
from isotau.convert.ground.errors import DoesNotFit, Finding, Severity, neuron_range
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.stage import Network
from isotau.targets.loihi import demand as synapses
from isotau.targets.loihi.demand import Demand, demand
from isotau.targets.loihi.lif_outlook import lif_outlook, sketch
from isotau.targets.loihi.limits import LIMITS, Chip, limit, unknown
from isotau.targets.loihi.place import PROFILES, misfits, place, utilization

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
OWN_PROGRAM = "write a neuron program of your own for it, or drop it"
MERGE = (
    "merge profiles (isotau.targets.on_lava.profiles.group_profiles) for fewer cores"
)


def check_loihi(net: Network, chip: Chip) -> list[Finding]:
    """Return everything that a chip cannot hold of a network, or holds otherwise.

    A `LIFNetwork` is looked at as quantizing would leave it, as far as that can be
    foreseen: with every weight kept, and the cores counted for that.
    """
    if isinstance(net, RateRNN):
        return [
            Finding(
                ERROR,
                "network",
                f"stage: got a rate network ({net.activation}), need integers",
                "run isotau convert, then isotau quantize",
            )
        ]
    if isinstance(net, LIFNetwork):
        stage = Finding(
            INFO,
            "network",
            "stage: got a LIF network in floats, need integers",
            "run isotau quantize, then check its result",
        )
        return [stage, *lif_outlook(net, chip), *_of_cores(sketch(net), chip)]
    return [
        *_of_neurons(net, chip),
        *_of_input(net, chip),
        *_of_blocks(net, chip),
        *_of_runs(net, chip),
        *_of_cores(net, chip),
    ]


def _of_neurons(net: FixedPointNetwork, chip: Chip) -> Iterator[Finding]:
    """Yield what registers cannot hold."""
    small = net.bias_exp < 0
    if small.any():
        yield Finding(
            ERROR,
            neuron_range(small),
            f"bias_exp: got down to {net.bias_exp.min()}, need 0 to "
            f"{arithmetic.BIAS_EXP_MAX}",
            "replace bias_mant by arithmetic.effective_bias and bias_exp by 0",
        )
    if chip.threshold_profiles is not None and (net.vth == 0).any():
        yield Finding(
            WARNING,
            neuron_range(net.vth == 0),
            "vth: got 0, need at least 1 (nengo-loihi, hardware/validate.py)",
            "set 1; the neurons then need 64 more units of v",
        )
    held = net.refractory > 0
    if held.any() and chip.refractory_max is None:
        yield Finding(
            WARNING,
            neuron_range(held),
            f"refractory: got up to {net.refractory.max()} steps, need 0 "
            f"({chip.sources['refractory_max']})",
            OWN_PROGRAM,
        )
    longest = net.refractory == arithmetic.REFRACTORY_MAX
    if longest.any() and chip.refractory_max is not None:
        yield Finding(
            WARNING,
            neuron_range(longest),
            f"refractory: got {arithmetic.REFRACTORY_MAX} steps, need one less to be "
            f"sure ({chip.sources['refractory_max']})",
            "shorten it by a step, or try it on the chip",
        )
    if net.noise_exp is not None:
        yield _of_noise(chip)


def _of_noise(chip: Chip) -> Finding:
    if chip.noise:
        return Finding(
            INFO,
            "noise_exp",
            "noise: got the engines' random numbers, need the chip's own",
            "of the same distribution; spikes agree in statistics, not one by one",
        )
    return Finding(
        WARNING,
        "noise_exp",
        f"noise: got membrane noise, need none ({chip.sources['noise']})",
        OWN_PROGRAM,
    )


def _of_input(net: FixedPointNetwork, chip: Chip) -> Iterator[Finding]:
    """Yield what input channels may send."""
    for k, block in enumerate(net.blocks):
        if block.source != "input":
            continue
        if block.binary:
            yield Finding(
                INFO,
                f"block {k} (input)",
                "messages: got spikes from outside, need a source of them",
                "have an embedded processor send them, step by step",
            )
        elif chip.message_bits == 0:
            yield Finding(
                ERROR,
                f"block {k} (input)",
                f"messages: got signed integers, need spikes ({chip.name} has no "
                "graded ones)",
                "encode the input as spikes and set binary=True, or take Loihi 2",
            )
        else:
            yield Finding(
                INFO,
                f"block {k} (input)",
                f"messages: got signed integers, need at most {chip.message_bits} bits",
                "sent as graded spikes by an embedded processor",
            )


def _of_blocks(net: FixedPointNetwork, chip: Chip) -> Iterator[Finding]:
    """Yield what becomes of delays."""
    for k, block in enumerate(net.blocks):
        if not block.delay:
            continue
        where = f"block {k} ({block.source})"
        if chip.delay_max is not None and block.delay > chip.delay_max:
            yield Finding(
                ERROR,
                where,
                f"delay: got {block.delay} steps, need at most {chip.delay_max}",
                "shorten it, or add neurons that pass spikes on",
            )
        elif chip.delay_slots is None:
            yield Finding(
                INFO,
                where,
                f"delay: got {block.delay} steps, need no more than the chip holds, "
                "which is not published",
                "taken as possible",
            )
        else:
            slots = synapses.delay_slots([block])
            yield Finding(
                INFO,
                where,
                f"delay: got {block.delay} steps, need {slots} accumulators a neuron",
                f"at most {chip.delay_slots // slots} of its neurons come on a core",
            )


def _of_runs(net: FixedPointNetwork, chip: Chip) -> Iterator[Finding]:
    """Yield what must be done around a run."""
    if net.reset_interval:
        yield Finding(
            WARNING,
            "reset_interval",
            f"reset: got one every {net.reset_interval} steps, need none "
            f"({chip.name} has no register for it)",
            "have an embedded processor write u and v",
        )
    if net.u0.any() or net.v0.any():
        yield Finding(
            INFO,
            neuron_range((net.u0 != 0) | (net.v0 != 0)),
            "u0, v0: got a start state, need 0 at power-up",
            "have the host write u and v before each trial",
        )
    yield Finding(
        INFO,
        "w_out",
        f"readout: got {net.n_out} real outputs, need integers",
        "computed off the chip, from the spikes that it sends",
    )


def _of_cores(net: FixedPointNetwork, chip: Chip) -> Iterator[Finding]:
    """Yield whether the network fits on cores, and on how many."""
    needs = demand(net, chip)
    problems = misfits(needs, chip)
    for problem in problems:
        what, _, remedy = problem.rpartition("; ")
        yield Finding(ERROR, chip.name, what, remedy)
    yield from _of_profiles(needs, chip)
    hidden = [LIMITS[name] for name in unknown(chip) if name in LIMITS]
    if hidden:
        yield Finding(
            INFO,
            chip.name,
            f"limits: got no public number for {', '.join(hidden)}, need one to check",
            f"not checked; what is counted for {chip.name} is a lower bound",
        )
    if problems:
        return
    try:
        placement = place(net, chip, chips=None)
    except DoesNotFit as error:
        what, _, remedy = str(error).rpartition("; ")
        yield Finding(ERROR, chip.name, what, remedy)
        return
    tight = max(utilization(placement), key=lambda row: row.share[row.tightest])
    found = (
        f"cores: got {placement.cores}, need at most {chip.cores} a chip (tightest: "
        f"{tight.used[tight.tightest]} of {limit(chip, tight.tightest)} "
        f"{LIMITS[tight.tightest]})"
    )
    if placement.chips == 1:
        yield Finding(INFO, chip.name, found, "see isotau.targets.loihi.place")
    else:
        yield Finding(WARNING, chip.name, found, f"needs {placement.chips} chips")


def _of_profiles(needs: Demand, chip: Chip) -> Iterator[Finding]:
    for name in PROFILES:
        most, number = limit(chip, name), getattr(needs, name)
        if most is not None and number > most:
            yield Finding(
                WARNING,
                "all neurons",
                f"{name}: got {number}, need at most {most} a core",
                f"spread over at least {-(-number // most)} cores, or {MERGE}",
            )
