"""What NIR cannot say about a network, all at once."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from isotau.convert.ground.errors import (
    Finding,
    Severity,
    error,
    info,
    of_severity,
    warning,
)
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.stage import Network
from isotau.convert.records.weight_form import findings_of_form
from isotau.convert.to_fixed.dequantize import dequantize, findings_of_dequantizing

ASIDE = "kept in the metadata, which other readers ignore"


def check_nir(net: Network) -> list[Finding]:
    """Return everything that NIR cannot hold, or holds in another way."""
    if isinstance(net, RateRNN):
        message = f"got a rate network ({net.activation}), need spiking neurons"
        return [error("activation", message, "convert it first (`isotau convert`)")]
    if isinstance(net, LIFNetwork):
        return [*findings_of_form(net), *_of_neurons(net), *_of_form(net)]
    integers = warning(
        "integers",
        "got states of 24 bits, truncated every step; need real numbers",
        "written in SI units without rounding or overflow; scales in the metadata",
    )
    findings = [*findings_of_dequantizing(net), integers]
    # What is refused would keep the network from being looked at further.
    if of_severity(findings, Severity.ERROR):
        net = _without_errors(net)
    return findings + check_nir(dequantize(net))


def _without_errors(net: FixedPointNetwork) -> FixedPointNetwork:
    """Return the network without what is refused, to find what else there is."""
    return replace(
        net,
        blocks=tuple(replace(block, delay=0) for block in net.blocks),
        dv=np.maximum(net.dv, 1),
        vth=np.maximum(net.vth, 1),
        reset_interval=0,
    )


def _of_neurons(net: LIFNetwork) -> Iterator[Finding]:
    """Yield what a reader will do otherwise than the network."""
    # No node has a field for these; isotau itself reads them back.
    if net.refractory.any():
        yield warning(
            net.refractory > 0,
            f"refractory: got up to {1e3 * float(net.refractory.max()):g} ms, need 0",
            f"{ASIDE}: they let these neurons spike again at once",
        )
    for name, what in (
        ("noise_std", "the membrane"),
        ("current_noise_std", "the synaptic current"),
    ):
        std: np.ndarray = getattr(net, name)
        if std.any():
            yield warning(
                std > 0,
                f"{name}: got noise in {what}, up to {std.max():g} V, need none",
                f"{ASIDE}: they run the network without noise",
            )
    if len(net.input_noise_std):
        yield warning(
            "input_noise_std",
            f"input_noise_std: got noise in the last {len(net.input_noise_std)} input "
            "channels, need none",
            f"{ASIDE}: send it, of these standard deviations, or they have none",
        )
    for name, start, need in (
        ("i0", 0.0, "0"),
        ("v0", net.v_reset, "v_reset"),
        ("f0", 0.0, "0"),
    ):
        moved = getattr(net, name) != start
        if moved.any():
            yield warning(
                moved,
                f"{name}: got a start state, need {need} before the first step",
                f"{ASIDE}: they start at {need}",
            )


def _of_form(net: LIFNetwork) -> Iterator[Finding]:
    """Yield what is said in another way."""
    yield info(
        "tau_syn, tau_mem, tau_out",
        "got exact exponential decays, need continuous time",
        "nodes name dt/(1 − exp(−dt/τ)), right for readers that step with dt/τ; "
        "scheme 'exact' names τ",
    )
    # NIR states no start: readers begin at 0, which is to be the reset.
    if net.v_reset.any():
        yield info(
            net.v_reset != 0,
            "v_reset: got other than 0 V, need the potential where readers start",
            "all potentials are written as above v_reset",
        )
    # Readers differ most in what they do with a drive.
    driven = net.v_leak != net.v_reset
    if driven.any():
        yield info(
            driven,
            "v_leak: got other than v_reset, need readers that know it",
            "written as v_leak; Norse 1.1.0 applies it twice, others refuse or drop it "
            "(see docs/nir.md)",
        )
    populations = int(net.population.max()) + 1
    if populations > 1:
        yield info(
            "population",
            f"got {populations} populations, need one recurrent loop",
            "written as one CubaLIF node; the numbers stand in the metadata",
        )
