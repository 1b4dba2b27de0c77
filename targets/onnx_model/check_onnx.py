"""What an ONNX file cannot hold of a network, and what it needs to run."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from isotau.convert.ground.errors import Finding, error, info, warning
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.stage import FloatNetwork, Network
from isotau.convert.records.weight_form import findings_of_form
from isotau.convert.simulate.vectors.shared_noise import findings_of_channels

OPSET = 18
"""The oldest with bitwise operators, which the noise needs."""
IR_VERSION = 8
"""Of the same release, onnx 1.13."""
MAX_BYTES = (1 << 31) - 1
"""Protobuf's limit on one message, which a model is."""
OVERHEAD = 1 << 20
"""Bytes of a model besides its weights, about; delays of many slots need no more."""
RUNTIME = "1.18"
"""Oldest onnxruntime that is tested."""


def check_onnx(net: Network) -> list[Finding]:
    """Return what is to be known before a network becomes an ONNX file."""
    kinds = {
        RateRNN: (_of_rate, _of_floats),
        LIFNetwork: (_of_lif, findings_of_channels, _of_floats),
        FixedPointNetwork: (_of_fixed, findings_of_channels),
    }
    if type(net) not in kinds:
        raise TypeError(
            f"net: got {type(net).__name__}, need RateRNN, LIFNetwork or "
            "FixedPointNetwork"
        )
    # What may be an error comes first.
    checks: tuple[Any, ...] = (
        *(findings_of_form, _of_size),
        *kinds[type(net)],
        _of_runtime,
    )
    return [finding for check in checks for finding in check(net)]


def _of_size(net: Network) -> Iterator[Finding]:
    fixed = isinstance(net, FixedPointNetwork)
    if isinstance(net, FixedPointNetwork):
        size = sum(math.prod(b.weights.shape) for b in net.blocks)  # a byte each
    else:
        size = 8 * (net.n * net.n + net.w_in.size + net.w_out.size)
    if size + OVERHEAD <= MAX_BYTES:
        return
    # Floats of half the size may fit, bytes of integers have no smaller type.
    message = f"weights: got {size} bytes, need less than {MAX_BYTES}"
    if not fixed and size // 2 + OVERHEAD <= MAX_BYTES:
        yield warning("weights", message, "only float32 fits")
    else:
        yield error("weights", message, "split the network")


def _of_rate(net: RateRNN) -> Iterator[Finding]:
    if net.x0_std:
        yield info(
            "x0_std",
            f"x0_std: got {net.x0_std:g}, need a start state drawn outside",
            "the input x takes it; left out, trials start at x0",
        )
    if net.activation == "lif":
        yield info(
            "activation",
            "activation: got lif, need an operator of ONNX",
            "it becomes the table that isotau itself interpolates",
        )
    if net.rank:
        yield info(
            "m_vectors, n_vectors",
            f"factors: got rank {net.rank}, need one matrix",
            "the graph multiplies by w_rec; the factors are in the metadata",
        )


def _of_lif(net: LIFNetwork) -> Iterator[Finding]:
    if net.population.any():
        yield info(
            "population",
            f"population: got {int(net.population.max()) + 1}, need one",
            "the graph has all neurons in one; the numbers are in the metadata",
        )
    if net.refractory.any():
        yield info(
            net.refractory > 0,
            "refractory: got periods in seconds, need steps",
            f"they are held for whole steps of dt = {net.dt:g} s",
        )


def _of_floats(net: FloatNetwork) -> Iterator[Finding]:
    # ONNX's own random operators leave the samples to the runtime.
    inputs = {"noise_std": "noise", "current_noise_std": "current_noise"}
    for name, feed in inputs.items():
        largest = np.max(getattr(net, name, 0.0))
        if largest > 0:
            yield warning(
                name,
                f"{name}: got {largest:g}, need samples from outside",
                f"the input {feed} takes standard normal ones; left out, there is none",
            )
    if isinstance(net, RateRNN) and net.shared_noise.any():
        yield warning(
            "shared_noise",
            f"shared_noise: got {net.shared_noise.shape[1]} sources of noise that "
            "units share, need an input of the graph",
            "left out: the graph has each unit's own noise alone",
        )
    # Without chaos a rate network forgets a rounding; a spike that moved stays moved.
    action = (
        "states differ by about 1e-6 of the largest, more in chaos; float64 keeps all"
    )
    if isinstance(net, LIFNetwork):
        action = "a spike may move by a step and others follow; float64 keeps all"
    yield info("dtype", "numbers: got 53 bits, need 24 in float32", action)


def _of_fixed(net: FixedPointNetwork) -> Iterator[Finding]:
    yield info(
        "w_out",
        "readout: got floats, need integers on the chip",
        "it is a float64 part of the graph, only if asked for",
    )
    # A graph holds no generator: counters and keys come of these two numbers (P1).
    if net.noisy:
        yield info(
            "noise_exp, current_noise_exp",
            "noise: got random numbers of the engines, need a seed",
            "the inputs seed and first_trial give the engines' samples; left out, both "
            "are 0",
        )


def _of_runtime(net: Network) -> Iterator[Finding]:
    fixed = isinstance(net, FixedPointNetwork)
    # For whoever runs the file: nothing else states what it needs.
    yield info(
        "runtime",
        f"model: got opset {OPSET}, IR version {IR_VERSION} and Scan, need a runtime "
        "that has them",
        f"onnxruntime {RUNTIME} or newer, on the CPU"
        + ("; its 64-bit integers are BigInt64Array in JavaScript" if fixed else ""),
    )
