"""Loihi fixed point → LIF: the float network that the integers stand for.

What the chip would do with unbounded, untruncated numbers. The chip takes a message one
step after it was sent, the float network in the same step: its inputs come one step
earlier.
"""

import numpy as np

from isotau.convert.chip import arithmetic as chip
from isotau.convert.ground.errors import (
    CannotExport,
    Finding,
    Severity,
    error,
    info,
    of_severity,
    warning,
)
from isotau.convert.ground.sparse import per_row, values_of, with_values
from isotau.convert.records.fixedpoint import (
    FixedPointNetwork,
    WeightBlock,
)
from isotau.convert.records.lif import MEMORYLESS, LIFNetwork
from isotau.convert.to_fixed.quantization_report import (
    dense_weights,
    noise_of,
    total_weights,
)

NOISES = {"noise_exp": "noise_std", "current_noise_exp": "current_noise_std"}
"""Fields of a `LIFNetwork` by those of a `FixedPointNetwork`."""


def findings_of_dequantizing(net: FixedPointNetwork) -> list[Finding]:
    """Return everything about a network that a `LIFNetwork` cannot hold."""
    findings = [
        info(
            "inputs",
            "got messages that arrive one step after they are sent, need input in the "
            "same step",
            "the float network answers one step earlier",
        )
    ]
    for k, block in enumerate(net.blocks):
        findings += _of_block(k, block)
    leakless, low = net.dv == 0, net.vth == 0
    if leakless.any():
        message = "got dv = 0, a membrane without leak, need a finite tau_mem"
        findings.append(error(leakless, message, "raise dv to 1 or more"))
    if low.any():
        message = "got vth = 0, need a threshold above reset"
        findings.append(error(low, message, "raise vth to 1 or more"))
    if net.reset_interval:
        findings.append(
            error(
                "reset_interval",
                f"got resets every {net.reset_interval} steps, need none",
                "set reset_interval to 0 and run one trial at a time",
            )
        )
    for name in ("noise_exp", "current_noise_exp"):
        if getattr(net, name).any():
            message = "got uniform noise, need Gaussian noise"
            consequence = f"{NOISES[name]} has the same standard deviation"
            findings.append(info(name, message, consequence))
    return findings


def dequantize(net: FixedPointNetwork) -> LIFNetwork:
    """Return the float network whose quantization gives these integers, up to rounding.

    W = weights · 2^(weight_exp + 6) / (state_scale · a_mem), times `input_scale` for
    inputs, with a_mem = dv/4096; τ = −dt/ln(1 − loss) for the losses per step, or
    dt/`MEMORYLESS` where a step loses all; v_leak from the bias, v_th from vth. The
    readout is the same.

    Raises:
        CannotExport: delays, resets, neurons without leak or threshold, or noise on
            neurons of several kinds; all are named.
    """
    findings = findings_of_dequantizing(net)
    if of_severity(findings, Severity.ERROR):
        raise CannotExport("LIFNetwork", findings)
    # (F4), and (F26) field by field.
    a_mem = net.dv / chip.DECAY_UNITY
    a_syn = (net.du + float(chip.DU_OFFSET)) / chip.DECAY_UNITY
    volt = net.u_per_volt
    unit = (1 << chip.INPUT_SHIFT) / volt
    w_rec = total_weights(net, "recurrent")
    bias = chip.effective_bias(net.bias_mant, net.bias_exp)
    threshold = net.vth * float(1 << chip.INPUT_SHIFT)
    # A step's noise, and what the leaky membrane makes of it at rest.
    noise_std, current_noise_std = noise_of(net)
    return LIFNetwork(
        w_in=dense_weights(net, "input") * net.input_scale * unit[:, None],
        w_rec=with_values(w_rec, values_of(w_rec) * per_row(w_rec, unit)),
        w_out=net.w_out,
        b_out=net.b_out,
        tau_syn=tau_of_loss(a_syn, net.dt),
        tau_mem=tau_of_loss(a_mem, net.dt),
        v_th=net.v_reset + threshold / net.state_scale,
        v_leak=net.v_reset + bias / volt,
        v_reset=net.v_reset,
        refractory=net.refractory * net.dt,
        noise_std=noise_std,
        dt=net.dt,
        # The chip decays u before it uses it, the float network i after.
        i0=net.u0 * (1 - a_syn) / volt,
        v0=net.v_reset + net.v0 / net.state_scale,
        f0=net.f0,
        tau_out=net.tau_out,
        population=net.population,
        current_noise_std=current_noise_std,
        input_noise_std=net.input_noise_std,
    )


def tau_of_loss(loss: np.ndarray, dt: float) -> np.ndarray:
    """Return the τ of which an exact exponential loses the given fraction in a step.

    −dt/ln(1 − loss), (L11), or dt/`MEMORYLESS` where nothing is left.
    """
    # Below the loss at which the logarithm ends: `where` picks, but both are computed.
    partial = np.minimum(loss, 1 - np.exp(-MEMORYLESS / 2))
    return np.where(loss < 1, -dt / np.log1p(-partial), dt / MEMORYLESS)


def _of_block(k: int, block: WeightBlock) -> list[Finding]:
    findings, place = [], f"blocks[{k}]"
    if block.delay:
        message = f"got a delay of {block.delay} steps, need 0"
        findings.append(error(place, message, "set delay to 0"))
    if block.binary and block.source == "input":
        findings.append(
            warning(
                place,
                "got binary inputs, of which any but 0 is one spike; need numbers",
                "inputs are multiplied: send 0 and 1 / input_scale only",
            )
        )
    return findings
