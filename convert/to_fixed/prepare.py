"""The one recipe by which a LIF network becomes a network in the chip's integers.

1. Record on given inputs how far the network's states go (`simulate_lif`).
2. Start a step earlier (`await_input`), unless that costs the states resolution.
3. Quantize with those ranges (`quantize`).
4. Put what truncated inputs lose into the biases (`restore_drive`).

A block with a negative exponent delivers ⌊Σ weights · message · 2^exp⌋, in units of 2^6
of u: half a unit less, on average, in every step in which it is active. With a slow
current that decays by (du + 1)/4096 a step, such losses add up to millivolts.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from isotau.convert.chip import arithmetic as chip
from isotau.convert.ground import validation
from isotau.convert.ground.errors import DoesNotFit
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.sparse import SparseWeights, as_scipy
from isotau.convert.records.fixedpoint import (
    FixedPointNetwork,
    WeightBlock,
)
from isotau.convert.records.lif import LIFNetwork, Ranges
from isotau.convert.records.spikes import Spikes, unpack
from isotau.convert.simulate.lif_dynamics import LIFRun, simulate_lif
from isotau.convert.simulate.vectors.shared_noise import fill_channels
from isotau.convert.to_fixed.quantization_report import (
    QuantizationReport,
    report_quantization,
)
from isotau.convert.to_fixed.quantize import (
    USUAL,
    QuantizeConfig,
    fit_bias,
    messages,
    quantize,
    state_scale,
)
from isotau.convert.to_fixed.start_state import await_input

RESOLUTION = 0.9
"""Share of its state scale that a network keeps, at least, if it starts early."""
MOST_SAMPLES = 8192
"""Trial-steps that are looked at for what truncation takes; a mean needs no more."""
MOST_NUMBERS = 1 << 27
"""Of all neurons in all samples: a large network has fewer of them."""
CHUNK_NUMBERS = 1 << 23
"""Of all neurons in the samples that are looked at together."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PreparedNetwork:
    """A LIF network in the chip's integers, and what was found out on the way.

    Attributes:
        fixed: the network on the chip; `made_from` names the LIF network.
        report: every parameter before and after, without the correction of the biases.
        run: the LIF network on the inputs: its spikes and the ranges of its states.
        input_peak: largest |input| that was reckoned with.
        early: the LIF network as it was quantized: a step before its start where that
            cost no resolution, the network itself otherwise.
        folded: `early` with the correction of the biases in its v_leak: what tuning
            through the chip's arithmetic begins with.
    """

    fixed: FixedPointNetwork
    report: QuantizationReport
    run: LIFRun
    input_peak: float
    early: LIFNetwork
    folded: LIFNetwork


def prepare(
    net: LIFNetwork,
    inputs: Float64[np.ndarray, "steps batch n_in"],
    *,
    config: QuantizeConfig = USUAL,
    run: LIFRun | None = None,
    seed: int = 0,
    input_peak: float | None = None,
    progress: Progress = silent,
) -> PreparedNetwork:
    """Return a LIF network in the chip's integers, calibrated on typical inputs.

    Args:
        net: the network.
        inputs: typical ones, in steps of `net.dt`; `with_silence` adds trials of rest.
        config: choices of the quantizer.
        run: of the network on these inputs; None to make it here.
        seed: of the noise of that run.
        input_peak: largest |input| that the network will be shown; None for the
            largest in `inputs`.
        progress: is given the steps of the run as they pass.

    Raises:
        ValueError: inputs of another shape than the network's or the run's, or that
            are no spikes where the configuration says so.
        DoesNotFit: the network does not fit the chip; the message names the limit.
    """
    if run is None:
        run = simulate_lif(net, inputs, seed=seed, progress=progress)
    peak = float(np.abs(inputs).max()) if input_peak is None else input_peak
    filled = fill_channels(net, inputs, seed=seed)
    if config.spiking_input:
        check_spiking(inputs, peak)
    early = _start_early(net, run.ranges, config)
    # Not hashed: the network that was given is, and that takes most of the time.
    rounded = quantize(early, run.ranges, input_peak=peak, config=config, traced=False)
    # The LIF network's spikes: the chip's own are not known yet, and nearly the same.
    lost = mean_loss(rounded, run.spikes, filled)
    return PreparedNetwork(
        fixed=dataclasses.replace(
            restore_drive(rounded, lost), made_from=net.fingerprint
        ),
        # Of the rounding alone: what truncation takes is no error of a parameter.
        report=report_quantization(net, rounded, run.ranges),
        run=run,
        input_peak=peak,
        early=early,
        folded=fold_drive(early, rounded, lost),
    )


def check_spiking(inputs: Float64[np.ndarray, "steps batch n_in"], peak: float) -> None:
    """Refuse inputs that cannot enter as spikes.

    Args:
        inputs: what a network is shown.
        peak: the number that stands for a spike.

    Raises:
        ValueError: another number than 0 and `peak`, or a peak that is not positive.
    """
    odd = (inputs != 0) & (inputs != peak)
    if odd.any() or peak <= 0:
        number = inputs[odd][0] if odd.any() else peak
        raise ValueError(
            f"inputs: got {number} among them, need 0 and one positive number alone, "
            "to enter as spikes; leave spiking_input out"
        )


def mean_loss(
    net: FixedPointNetwork,
    spikes: Spikes,
    inputs: Float64[np.ndarray, "steps batch n_in"],
) -> Float64[np.ndarray, " n"]:
    """Return what truncation takes from each neuron's u in a step, on average, (F21).

    Args:
        net: the network.
        spikes: typical ones, of the LIF network it was made from or of its own.
        inputs: that were shown at the same time, at the network's dt.

    Raises:
        ValueError: spikes of another number of neurons, inputs of another shape.
    """
    if spikes.n != net.n:
        raise ValueError(f"spikes: got {spikes.n} neurons, need {net.n}")
    shape = (spikes.steps, spikes.batch, net.n_in)
    inputs = validation.floats("inputs", inputs, shape, "steps × batch × channel")
    # Steps evenly apart, so that the start, the stimulus and the end all count.
    most = min(MOST_SAMPLES, max(1, MOST_NUMBERS // net.n))
    stride = max(1, -(-spikes.steps * spikes.batch // most))
    steps = range(0, spikes.steps, stride)
    # Fractions are multiples of 2^-8, so that their sums are exact in any order.
    loss = np.zeros((len(net.blocks), net.n))
    together = max(1, CHUNK_NUMBERS // (net.n * spikes.batch))
    for first in range(0, len(steps), together):
        samples = list(steps[first : first + together])
        fired = unpack(spikes.bits[samples], net.n).reshape(-1, net.n)
        sent = messages(net, inputs[samples]).reshape(-1, net.n_in)
        for k, block in enumerate(net.blocks):
            if block.weight_exp >= 0:
                continue  # whole numbers: the floor takes nothing
            source = fired if block.source == "recurrent" else sent
            exact = _sums(block, source) * 2.0**block.weight_exp
            loss[k] += (exact - np.floor(exact)).sum(axis=0)
    mean = loss / (len(steps) * spikes.batch)
    return mean.sum(axis=0) * (1 << chip.INPUT_SHIFT)


def _sums(block: WeightBlock, source: np.ndarray) -> np.ndarray:
    """Return a connection's sums of weights times messages, sample × post."""
    source = source != 0 if block.binary else source
    heard = source[:, block.pre].astype(np.float64)
    if isinstance(block.weights, SparseWeights):
        from scipy.sparse import csr_array

        # Few neurons spike: of both factors what is not 0 alone is looked at.
        return (csr_array(heard) @ as_scipy(block.weights, np.float64).T).toarray()
    return heard @ block.weights.T.astype(float)


def restore_drive(
    net: FixedPointNetwork, loss: Float64[np.ndarray, " n"]
) -> FixedPointNetwork:
    """Return the network with biases that make up for what truncation takes, (F22).

    Args:
        net: the network.
        loss: from `mean_loss`.

    Raises:
        DoesNotFit: a bias leaves its register; quantize with more headroom.
    """
    # Exponents would be fitted anew, and to no other biases.
    if not loss.any():
        return net
    bias = chip.effective_bias(net.bias_mant, net.bias_exp) + _lost_drive(net, loss)
    mantissa, exponent = fit_bias(bias)
    return dataclasses.replace(net, bias_mant=mantissa, bias_exp=exponent)


def fold_drive(
    net: LIFNetwork, fixed: FixedPointNetwork, loss: Float64[np.ndarray, " n"]
) -> LIFNetwork:
    """Return the LIF network with what `restore_drive` adds in its v_leak, (F23).

    Quantized again, its biases make up for what truncation takes: a point from which
    tuning with the chip's arithmetic can go on.

    Args:
        net: the network.
        fixed: what it was quantized to.
        loss: from `mean_loss`, of `fixed`.
    """
    lost = _lost_drive(fixed, loss) / fixed.u_per_volt
    return dataclasses.replace(net, v_leak=net.v_leak + lost)


def _start_early(net: LIFNetwork, ranges: Ranges, config: QuantizeConfig) -> LIFNetwork:
    """Return the network a step before its start, if its states keep resolution, (F28).

    A fast current or filter set back by a step may be many times as large, and no
    state that the network ever visits would be worth its loss of resolution.
    """
    early, scale = await_input(net), state_scale(net, ranges, config)
    # A scale that was asked for is kept whole: the early start must fit at it.
    share = RESOLUTION if config.state_scale is None else 1.0
    free = dataclasses.replace(config, state_scale=None)
    try:
        most = state_scale(early, ranges, free)
    except DoesNotFit:
        # The network itself fits: a start that does not has no resolution at all.
        return net
    return early if (most >= share * scale).all() else net


def _lost_drive(net: FixedPointNetwork, loss: np.ndarray) -> np.ndarray:
    """Return by how much the bias must rise: u settles where it loses what comes in.

    A loss of a in every step leaves u lower by a · 4096/(du + 1).
    """
    return loss * (chip.DECAY_UNITY / (net.du.astype(np.int64) + chip.DU_OFFSET))
