"""What an ONNX file cannot hold of a network, and what it needs to run."""

from isotau.convert.ground.errors import Finding, Severity, neuron_range
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.stage import FloatNetwork, Network

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
    kinds = (RateRNN, LIFNetwork, FixedPointNetwork)
    if not isinstance(net, kinds):
        raise TypeError(
            f"net: got {type(net).__name__}, need RateRNN, LIFNetwork or "
            "FixedPointNetwork"
        )
    if isinstance(net, FixedPointNetwork):
        found = _of_fixed(net)
    else:
        found = _of_rate(net) if isinstance(net, RateRNN) else _of_lif(net)
        found += _of_floats(net)
    return [*_of_size(net), *found, _of_runtime(net)]


def _of_size(net: Network) -> list[Finding]:
    if isinstance(net, FixedPointNetwork):
        size = sum(block.weights.size for block in net.blocks)
    else:
        size = 8 * (net.w_rec.size + net.w_in.size + net.w_out.size)
    if size + OVERHEAD <= MAX_BYTES:
        return []
    weights = f"weights: got {size} bytes, need less than {MAX_BYTES}"
    half = not isinstance(net, FixedPointNetwork) and size // 2 + OVERHEAD <= MAX_BYTES
    if half:
        return [Finding(Severity.WARNING, "weights", weights, "only float32 fits")]
    split = "split the network"
    return [Finding(Severity.ERROR, "weights", weights, split)]


def _of_rate(net: RateRNN) -> list[Finding]:
    found = []
    if net.x0_std:
        found.append(
            Finding(
                Severity.INFO,
                "x0_std",
                f"x0_std: got {net.x0_std:g}, need a start state drawn outside",
                "the input x takes it; left out, trials start at x0",
            )
        )
    if net.activation == "lif":
        found.append(
            Finding(
                Severity.INFO,
                "activation",
                "activation: got lif, need an operator of ONNX",
                "it becomes the table that isotau itself interpolates",
            )
        )
    if net.rank:
        found.append(
            Finding(
                Severity.INFO,
                "m_vectors, n_vectors",
                f"factors: got rank {net.rank}, need one matrix",
                "the graph multiplies by w_rec; the factors are in the metadata",
            )
        )
    return found


def _of_lif(net: LIFNetwork) -> list[Finding]:
    found = []
    if net.population.any():
        found.append(
            Finding(
                Severity.INFO,
                "population",
                f"population: got {int(net.population.max()) + 1}, need one",
                "the graph has all neurons in one; the numbers are in the metadata",
            )
        )
    held = net.refractory > 0
    if held.any():
        found.append(
            Finding(
                Severity.INFO,
                neuron_range(held),
                "refractory: got periods in seconds, need steps",
                f"they are held for whole steps of dt = {net.dt:g} s",
            )
        )
    return found


def _of_floats(net: FloatNetwork) -> list[Finding]:
    found = []
    if net.noise_std:
        found.append(
            Finding(
                Severity.WARNING,
                "noise_std",
                f"noise_std: got {net.noise_std:g}, need samples from outside",
                "the input noise takes standard normal ones; left out, there is none",
            )
        )
    spiking = isinstance(net, LIFNetwork)
    found.append(
        Finding(
            Severity.INFO,
            "dtype",
            "numbers: got 53 bits, need 24 in float32",
            "a spike may move by a step and others follow; float64 keeps all"
            if spiking
            else "states differ by about 1e-6 of the largest, more in chaos; float64 "
            "keeps all",
        )
    )
    return found


def _of_fixed(net: FixedPointNetwork) -> list[Finding]:
    found = [
        Finding(
            Severity.INFO,
            "w_out",
            "readout: got floats, need integers on the chip",
            "it is a float64 part of the graph, only if asked for",
        )
    ]
    if net.noise_exp is not None:
        found.append(
            Finding(
                Severity.INFO,
                "noise_exp",
                f"noise_exp: got {net.noise_exp}, need a seed",
                "the inputs seed and first_trial give the engines' samples; left out, "
                "both are 0",
            )
        )
    return found


def _of_runtime(net: Network) -> Finding:
    fixed = isinstance(net, FixedPointNetwork)
    return Finding(
        Severity.INFO,
        "runtime",
        f"model: got opset {OPSET}, IR version {IR_VERSION} and Scan, need a runtime "
        "that has them",
        f"onnxruntime {RUNTIME} or newer, on the CPU"
        + ("; its 64-bit integers are BigInt64Array in JavaScript" if fixed else ""),
    )
