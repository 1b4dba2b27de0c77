"""What NIR cannot say about a network, all at once."""

from dataclasses import replace

import numpy as np

from isotau.convert.ground.errors import Finding, Severity, neuron_range, of_severity
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.stage import Network
from isotau.convert.to_fixed.dequantize import dequantize, findings_of_dequantizing

ASIDE = "kept in the metadata, which other readers ignore"


def check_nir(net: Network) -> list[Finding]:
    """Return everything that NIR cannot hold, or holds in another way."""
    if isinstance(net, RateRNN):
        return [
            Finding(
                Severity.ERROR,
                "activation",
                f"got a rate network ({net.activation}), need spiking neurons",
                "convert it first (`isotau convert`)",
            )
        ]
    if isinstance(net, LIFNetwork):
        return _of_neurons(net) + _of_form(net)
    found = findings_of_dequantizing(net)
    found.append(
        Finding(
            Severity.WARNING,
            "integers",
            "got states of 24 bits, truncated every step; need real numbers",
            "written in SI units without rounding or overflow; scales in the metadata",
        )
    )
    if of_severity(found, Severity.ERROR):
        net = _without_errors(net)
    return found + check_nir(dequantize(net))


def _without_errors(net: FixedPointNetwork) -> FixedPointNetwork:
    """Return the network without what is refused, to find what else there is."""
    noisy = net.noise_exp is not None and not (
        np.ptp(net.dv) or np.ptp(net.state_scale)
    )
    return replace(
        net,
        blocks=tuple(replace(block, delay=0) for block in net.blocks),
        dv=np.maximum(net.dv, 1),
        vth=np.maximum(net.vth, 1),
        reset_interval=0,
        noise_exp=net.noise_exp if noisy else None,
    )


def _of_neurons(net: LIFNetwork) -> list[Finding]:
    """Return what a reader will do otherwise than the network."""
    found = []
    held = net.refractory > 0
    if held.any():
        longest = float(net.refractory.max()) * 1e3
        found.append(
            Finding(
                Severity.WARNING,
                neuron_range(held),
                f"refractory: got up to {longest:g} ms, need 0",
                f"{ASIDE}: they let these neurons spike again at once",
            )
        )
    if net.noise_std:
        found.append(
            Finding(
                Severity.WARNING,
                "noise_std",
                f"got membrane noise of {net.noise_std:g} V, need none",
                f"{ASIDE}: they run the network without noise",
            )
        )
    for name, usual in (("i0", 0.0), ("v0", net.v_reset), ("f0", 0.0)):
        moved = getattr(net, name) != usual
        if moved.any():
            need = "v_reset" if name == "v0" else "0"
            found.append(
                Finding(
                    Severity.WARNING,
                    neuron_range(moved),
                    f"{name}: got a start state, need {need} before the first step",
                    f"{ASIDE}: they start at {need}",
                )
            )
    return found


def _of_form(net: LIFNetwork) -> list[Finding]:
    """Return what is said in another way."""
    found = [
        Finding(
            Severity.INFO,
            "tau_syn, tau_mem, tau_out",
            "got exact exponential decays, need continuous time",
            "nodes name dt/(1 − exp(−dt/τ)), right for readers that step with dt/τ; "
            "scheme 'exact' names τ",
        )
    ]
    if net.v_reset.any():
        found.append(
            Finding(
                Severity.INFO,
                neuron_range(net.v_reset != 0),
                "v_reset: got other than 0 V, need the potential where readers start",
                "all potentials are written as above v_reset",
            )
        )
    driven = net.v_leak != net.v_reset
    if driven.any():
        found.append(
            Finding(
                Severity.INFO,
                neuron_range(driven),
                "v_leak: got other than v_reset, need readers that know it",
                "written as v_leak; Norse 1.1.0 applies it twice, others refuse or "
                "drop it (see docs/nir.md)",
            )
        )
    several = int(net.population.max()) + 1
    if several > 1:
        found.append(
            Finding(
                Severity.INFO,
                "population",
                f"got {several} populations, need one recurrent loop",
                "written as one CubaLIF node; the numbers stand in the metadata",
            )
        )
    return found
