"""What Loihi 1 or 2 cannot hold of a network, all at once.

Of a LIF network that is what quantizing it will run into, as far as one can foresee.
"""

from collections.abc import Iterator

import numpy as np

from isotau.convert.chip import arithmetic
from isotau.convert.ground.errors import DoesNotFit, Finding, error, info, warning
from isotau.convert.ground.sparse import Weights, values_of, with_values
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.stage import Network
from isotau.convert.simulate.vectors.shared_noise import findings_of_channels
from isotau.convert.to_fixed.decay_registers import (
    TAU_CLOSE,
    missed,
    nearest_register,
    nearest_tau,
    too_long,
)
from isotau.convert.to_fixed.weight_blocks import QuantizeConfig, weight_blocks
from isotau.targets.loihi import demand as synapses
from isotau.targets.loihi.demand import Demand, demand, noise_kinds
from isotau.targets.loihi.limits import LIMITS, Chip, limit, unknown
from isotau.targets.loihi.place import PROFILES, misfits, place, tightest_core

OWN_PROGRAM = "write a neuron program of your own for it, or "
MERGE = (
    "merge profiles (isotau.targets.on_lava.profiles.group_profiles) for fewer cores"
)
FEW = 0.05
"""Share of weights that may round to zero without a warning."""


def check_loihi(net: Network, chip: Chip) -> list[Finding]:
    """Return everything that a chip cannot hold of a network, or holds otherwise.

    A `LIFNetwork` is looked at as quantizing would leave it: with every weight kept,
    and the cores counted for that.
    """
    # A rate network has no registers: there is nothing to look at yet.
    if isinstance(net, RateRNN):
        message = f"stage: got a rate network ({net.activation}), need integers"
        return [error("network", message, "run isotau convert, then isotau quantize")]
    if isinstance(net, LIFNetwork):
        message = "stage: got a LIF network in floats, need integers"
        # Foreseen, not measured: quantizing decides the scale, and so what is lost.
        stage = info("network", message, "run isotau quantize, then check its result")
        outlook = *lif_outlook(net, chip), *findings_of_channels(net)
        return [stage, *outlook, *_of_cores(sketch(net), chip)]
    return [
        *_of_neurons(net, chip),
        *findings_of_channels(net),
        *_of_input(net, chip),
        *_of_delays(net, chip),
        *_of_runs(net, chip),
        *_of_cores(net, chip),
    ]


def _of_neurons(net: FixedPointNetwork, chip: Chip) -> Iterator[Finding]:
    """Yield what registers cannot hold."""
    # The engines take negative exponents; the register does not.
    small = net.bias_exp < 0
    if small.any():
        yield error(
            small,
            f"bias_exp: got down to {net.bias_exp.min()}, need 0 to "
            f"{arithmetic.BIAS_EXP_MAX}",
            "replace bias_mant by arithmetic.effective_bias and bias_exp by 0",
        )
    # A threshold of 0 is a register that some checks refuse.
    flat = net.vth == 0
    if chip.threshold_profiles is not None and flat.any():
        yield warning(
            flat,
            "vth: got 0, need at least 1 (nengo-loihi, hardware/validate.py)",
            "set 1; the neurons then need 64 more units of v",
        )
    yield from _of_refractory(net.refractory, chip)
    longest = net.refractory == arithmetic.REFRACTORY_MAX
    if longest.any() and chip.refractory_max is not None:
        # The sources differ by one on what the register counts.
        yield warning(
            longest,
            f"refractory: got {arithmetic.REFRACTORY_MAX} steps, need one less to be "
            f"sure ({chip.sources['refractory_max']})",
            "shorten it by a step, or try it on the chip",
        )
    yield from _of_noise_on_chip(net, chip)


def _of_noise_on_chip(net: FixedPointNetwork, chip: Chip) -> Iterator[Finding]:
    if not net.noisy:
        return
    both = (net.noise_exp > 0) & (net.current_noise_exp > 0)
    if both.any() and chip.noise:
        yield warning(
            both,
            "noise: got it in u and in v of a neuron, need one of them "
            f"({chip.sources['noise_kinds']})",
            "set noise_std to 0 and keep that of the current, or take Loihi 2's "
            "programmable neuron",
        )
    kinds = int(noise_kinds(net).max()) + 1
    if chip.noise_kinds is not None and kinds > chip.noise_kinds:
        yield info(
            "noise_exp, current_noise_exp",
            f"noise: got {kinds} kinds (target and exponent), need one on a core",
            "placed on cores of their own",
        )
    # The chip's generator is its own: no seed gives the engines' samples.
    if chip.noise:
        yield info(
            "noise_exp, current_noise_exp",
            "noise: got the engines' random numbers, need the chip's own",
            "of the same distribution; spikes agree in statistics, not one by one",
        )
    else:
        yield warning(
            "noise_exp, current_noise_exp",
            f"noise: got noise in u or v, need none ({chip.sources['noise']})",
            f"{OWN_PROGRAM}drop it",
        )


def _of_refractory(steps: np.ndarray, chip: Chip) -> Iterator[Finding]:
    if steps.any() and chip.refractory_max is None:
        yield warning(
            steps > 0,
            f"refractory: got up to {steps.max()} steps, need 0 "
            f"({chip.sources['refractory_max']})",
            f"{OWN_PROGRAM}drop it",
        )


def _of_input(net: FixedPointNetwork, chip: Chip) -> Iterator[Finding]:
    """Yield what input channels may send."""
    for k, block in enumerate(net.blocks):
        place = f"block {k} (input)"
        if block.source != "input":
            continue
        # Spikes are what a channel can always send.
        if block.binary:
            yield info(
                place,
                "messages: got spikes from outside, need a source of them",
                "have an embedded processor send them, step by step",
            )
        elif chip.message_bits == 0:
            yield error(
                place,
                f"messages: got signed integers, need spikes ({chip.name} has no "
                "graded ones)",
                "encode the input as spikes and set binary=True, or take Loihi 2",
            )
        else:
            yield info(
                place,
                f"messages: got signed integers, need at most {chip.message_bits} bits",
                "sent as graded spikes by an embedded processor",
            )


def _of_delays(net: FixedPointNetwork, chip: Chip) -> Iterator[Finding]:
    """Yield what becomes of delays."""
    for k, block in enumerate(net.blocks):
        if not block.delay:
            continue
        place, delay = f"block {k} ({block.source})", f"delay: got {block.delay} steps"
        # A published limit first; without one nothing can be promised.
        if chip.delay_max is not None and block.delay > chip.delay_max:
            message = f"{delay}, need at most {chip.delay_max}"
            yield error(
                place, message, "shorten it, or add neurons that pass spikes on"
            )
        elif chip.delay_slots is None:
            message = f"{delay}, need no more than the chip holds, "
            yield info(place, f"{message}which is not published", "taken as possible")
        else:
            slots = synapses.delay_slots([block])
            yield info(
                place,
                f"{delay}, need {slots} accumulators a neuron",
                f"at most {chip.delay_slots // slots} of its neurons come on a core",
            )


def _of_runs(net: FixedPointNetwork, chip: Chip) -> Iterator[Finding]:
    """Yield what must be done around a run."""
    # Networks of others reset by the clock; the chip knows only spikes.
    if net.reset_interval:
        yield warning(
            "reset_interval",
            f"reset: got one every {net.reset_interval} steps, need none "
            f"({chip.name} has no register for it)",
            "have an embedded processor write u and v",
        )
    # Registers are 0 at power-up: a start state must be written.
    started = (net.u0 != 0) | (net.v0 != 0)
    if started.any():
        yield info(
            started,
            "u0, v0: got a start state, need 0 at power-up",
            "have the host write u and v before each trial",
        )
    yield info(
        "w_out",
        f"readout: got {net.n_out} real outputs, need integers",
        "computed off the chip, from the spikes that it sends",
    )


def _of_cores(net: FixedPointNetwork, chip: Chip) -> Iterator[Finding]:
    """Yield whether the network fits on cores, and on how many."""
    needs = demand(net, chip)
    problems = misfits(needs, chip)
    yield from (_misfit(problem, chip) for problem in problems)
    yield from _of_profiles(needs, chip)
    # Said aloud: what is not public was not checked, and may still be broken.
    hidden = [LIMITS[name] for name in unknown(chip) if name in LIMITS]
    if hidden:
        yield info(
            chip.name,
            f"limits: got no public number for {', '.join(hidden)}, need one to check",
            f"not checked; what is counted for {chip.name} is a lower bound",
        )
    if problems:  # no placement can help
        return
    try:
        placement = place(net, chip, chips=None)
    except DoesNotFit as refusal:
        yield _misfit(str(refusal), chip)
        return
    core = tightest_core(placement)
    message = (
        f"cores: got {placement.cores}, need at most {chip.cores} a chip (tightest: "
        f"{core.used[core.tightest]} of {limit(chip, core.tightest)} "
        f"{LIMITS[core.tightest]})"
    )
    if placement.chips == 1:
        yield info(chip.name, message, "see isotau.targets.loihi.place")
    else:
        yield warning(chip.name, message, f"needs {placement.chips} chips")


def _misfit(text: str, chip: Chip) -> Finding:
    """Return the text of a refusal, "what: got X, need Y; what to do", as an error."""
    message, _, action = text.rpartition("; ")
    return error(chip.name, message, action)


def _of_profiles(needs: Demand, chip: Chip) -> Iterator[Finding]:
    for name in PROFILES:
        # More profiles than a core has only spread the network over more cores.
        most, number = limit(chip, name), getattr(needs, name)
        if most is not None and number > most:
            yield warning(
                "all neurons",
                f"{name}: got {number}, need at most {most} a core",
                f"spread over at least {-(-number // most)} cores, or {MERGE}",
            )


def lif_outlook(net: LIFNetwork, chip: Chip) -> Iterator[Finding]:
    """Yield what the registers of a chip cannot hold of a LIF network."""
    # The chip adds 1 to du and nothing to dv.
    for name, offset in (("tau_syn", arithmetic.DU_OFFSET), ("tau_mem", 0)):
        yield from _of_tau(net, name, offset)
    steps = net.refractory_steps
    beyond = steps > arithmetic.REFRACTORY_MAX
    if beyond.any():
        yield error(
            beyond,
            f"refractory: got up to {steps.max()} steps, need at most "
            f"{arithmetic.REFRACTORY_MAX}",
            "raise dt or shorten it",
        )
    yield from _of_refractory(steps, chip)
    if net.noisy:
        yield from _of_noise(net, chip)
    yield from _of_weights(net)
    if chip.message_bits == 0:
        yield warning(
            "w_in",
            f"input: got channels of any value, need spikes ({chip.name} has no graded "
            "ones)",
            "encode the input as spikes, or take Loihi 2",
        )


def sketch(net: LIFNetwork) -> FixedPointNetwork:
    """Return integers of the network's structure: what it needs of cores, no dynamics.

    Profiles and weight blocks are those that quantizing gives at a scale at which the
    largest weight takes its whole range; thresholds are merely told apart.
    """
    # Dynamics do not matter for cores: biases and start states are left at 0.
    zeros = np.zeros(net.n, dtype=np.int64)
    groups = net.population
    # Neurons of two populations get other scales, and so other thresholds.
    above = np.stack([groups, net.v_th - net.v_reset])
    sources = (("input", net.w_in, net.channel_group), ("recurrent", net.w_rec, groups))
    return FixedPointNetwork(
        blocks=tuple(
            block
            for source, weights, columns in sources
            for block in weight_blocks(
                source, _full(weights), groups, columns, QuantizeConfig()
            )
        ),
        n_in=net.n_in,
        du=nearest_register(net.tau_syn, net.dt, arithmetic.DU_OFFSET),
        dv=nearest_register(net.tau_mem, net.dt, 0),
        vth=np.unique(above, axis=1, return_inverse=True)[1].reshape(-1) + 1,
        bias_mant=zeros,
        bias_exp=zeros,
        refractory=np.minimum(net.refractory_steps, arithmetic.REFRACTORY_MAX),
        noise_exp=net.noise_std > 0,
        current_noise_exp=net.current_noise_std > 0,
        state_scale=np.ones(net.n),
        v_reset=net.v_reset,
        input_scale=1.0,
        dt=net.dt,
        w_out=net.w_out,
        b_out=net.b_out,
        tau_out=net.tau_out,
        population=groups,
        input_noise_std=net.input_noise_std,
    )


def _full(weights: Weights) -> Weights:
    """Return weights, the largest scaled to the largest mantissa."""
    values = values_of(weights)
    peak = np.abs(values).max(initial=0)
    return weights if peak == 0 else with_values(weights, values * (255 / peak))


def _of_tau(net: LIFNetwork, name: str, offset: int) -> Iterator[Finding]:
    tau: np.ndarray = getattr(net, name)
    # A register that rounds to 0 would never decay.
    beyond = too_long(tau, net.dt)
    if beyond.any():
        yield error(
            beyond,
            f"{name}: got up to {tau.max():.4g} s, need less than "
            f"{2 * arithmetic.DECAY_UNITY * net.dt:.4g} s",
            "raise dt",
        )
    nearest = np.where(beyond, tau, nearest_tau(tau, net.dt, offset))
    far = missed(tau, nearest, net.dt)
    if far.any():
        worst = int(np.argmax(np.abs(nearest / tau - 1)))
        yield warning(
            far,
            f"{name}: got {tau[worst]:.4g} s for neuron {worst}, need one that the "
            f"register has (nearest: {nearest[worst]:.4g} s)",
            f"rounded; raise dt for time constants nearer than {TAU_CLOSE:.0%}",
        )


def _of_noise(net: LIFNetwork, chip: Chip) -> Iterator[Finding]:
    places = "noise_std, current_noise_std"
    if not chip.noise:
        largest = max(net.noise_std.max(), net.current_noise_std.max())
        yield warning(
            places,
            f"noise: got up to {largest:g} V, need none ({chip.sources['noise']})",
            f"{OWN_PROGRAM}set {places} to 0",
        )
        return
    both = (net.noise_std > 0) & (net.current_noise_std > 0)
    if both.any():
        yield warning(
            both,
            "noise: got it in the current and in the membrane of a neuron, need one of "
            f"them ({chip.sources['noise_kinds']})",
            "set noise_std to 0 or take Loihi 2's programmable neuron",
        )
    for name, per_step in (
        ("noise_std", net.noise_per_step),
        ("current_noise_std", net.current_noise_per_step),
    ):
        sizes = per_step[per_step > 0]
        if sizes.size and np.ptp(sizes) > TAU_CLOSE * sizes.max():
            # Exponents are of two: what lies between them is rounded.
            yield warning(
                name,
                f"noise: got {sizes.min():.3g} to {sizes.max():.3g} V a step, need one "
                "amplitude times a power of two",
                "each neuron gets the nearest; the quantization report has them",
            )
    yield info(
        places,
        "noise: got Gaussian noise, need uniform noise of an amplitude 2^k",
        "the state scale is chosen so that its standard deviation is kept",
    )


def _of_weights(net: LIFNetwork) -> Iterator[Finding]:
    """Yield how many weights eight bits round to zero."""
    blocks = sketch(net).blocks
    sources = (("input", "w_in", net.w_in), ("recurrent", "w_rec", net.w_rec))
    for source, name, weights in sources:
        number = np.count_nonzero(values_of(weights))
        # As `sketch` scales them, which is the largest scale that keeps the peak.
        mantissas = [values_of(b.weights) for b in blocks if b.source == source]
        lost = number - sum(map(np.count_nonzero, mantissas))
        if lost:
            severity = warning if lost > FEW * number else info
            yield severity(
                name,
                f"weights: got {number} that are not 0, need 8 bits",
                f"about {lost} of them round to 0",
            )
