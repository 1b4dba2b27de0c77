"""The one recipe by which a LIF network becomes a network in the chip's integers.

1. Record on given inputs how far the network's states go (`simulate_lif`).
2. Start a step earlier (`await_input`), unless that costs the states resolution.
3. Quantize with those ranges (`quantize`).
4. Put what truncated sums lose into biases and input weights (`restore_drive`).
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from isotau.convert.ground.errors import DoesNotFit
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork, Ranges
from isotau.convert.simulate.lif_dynamics import LIFRun, simulate_lif
from isotau.convert.simulate.vectors.shared_noise import fill_channels
from isotau.convert.to_fixed.lost_drive import (
    fold_drive,
    lost_drive,
    restore_drive,
)
from isotau.convert.to_fixed.quantization_report import (
    QuantizationReport,
    report_quantization,
)
from isotau.convert.to_fixed.quantize import (
    USUAL,
    QuantizeConfig,
    quantize,
    state_scale,
)
from isotau.convert.to_fixed.start_state import await_input

RESOLUTION = 0.9
"""Share of its state scale that a network keeps, at least, if it starts early."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PreparedNetwork:
    """A LIF network in the chip's integers, and what was found out on the way.

    Attributes:
        fixed: the network on the chip; `made_from` names the LIF network.
        report: every parameter before and after, without what truncation takes.
        run: the LIF network on the inputs: its spikes and the ranges of its states.
        input_peak: largest |input| that was reckoned with.
        early: the LIF network as it was quantized: a step before its start where that
            cost no resolution, the network itself otherwise.
        folded: `early` with what truncation takes in its v_leak and w_in: what tuning
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
    lost = lost_drive(rounded, run.spikes, filled)
    folded = fold_drive(early, rounded, lost)
    restored = restore_drive(rounded, lost, folded, config)
    return PreparedNetwork(
        fixed=dataclasses.replace(restored, made_from=net.fingerprint),
        # Of the rounding alone: what truncation takes is no error of a parameter.
        report=report_quantization(net, rounded, run.ranges),
        run=run,
        input_peak=peak,
        early=early,
        folded=folded,
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
