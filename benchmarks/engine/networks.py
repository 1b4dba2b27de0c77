"""The networks that `benchmarks.engine` measures, and how busy they are.

Dense N × N recurrent weights of the full 8 bits in two blocks, 80 % excitatory and
20 % inhibitory neurons, the latter four times as strong; no inputs, no noise. A common
bias, searched for, sets how many neurons spike.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmarks.engine.random_networks import unscaled
from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.records.chip_state import ChipState
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.convert.records.spikes import unpack

DU, DV, VTH = 400, 120, 2000
"""Registers of every neuron: τ of about 10 ms and 34 ms in steps of 1 ms."""
BIAS_EXP = 6
EXPONENTS = {50: -4, 200: -5, 1000: -6, 2000: -7}
"""Weight exponent of the excitatory block: input varies equally at every size."""
STRONGER = 2
"""Inhibition is 2^2 times as strong."""
BUSY = 0.04
"""Share of neurons that spikes in a step."""
RANGE = (0.03, 0.05)
"""Shares that count as `BUSY`."""
WARM_UP = 200
"""Steps until the activity no longer remembers its start."""


def network(n: int, bias: int) -> FixedPointNetwork:
    """Return the network of n neurons; biases are spread by ±20 % around `bias`."""
    rng = np.random.default_rng(n)
    excitatory = n * 4 // 5
    spread = rng.uniform(0.8, 1.2, n)
    blocks = tuple(
        WeightBlock(
            source="recurrent",
            pre=pre,
            weights=rng.integers(low, high, (n, len(pre)), endpoint=True),
            weight_exp=EXPONENTS[n] + stronger,
            num_weight_bits=8,
            sign_mode=mode,
        )
        for pre, low, high, stronger, mode in (
            (np.arange(excitatory), 0, 255, 0, SignMode.EXCITATORY),
            (np.arange(excitatory, n), -255, 0, STRONGER, SignMode.INHIBITORY),
        )
    )
    return FixedPointNetwork(
        blocks=blocks,
        n_in=1,
        du=np.full(n, DU),
        dv=np.full(n, DV),
        vth=np.full(n, VTH),
        bias_mant=np.round(bias * spread),
        bias_exp=np.full(n, BIAS_EXP),
        refractory=np.zeros(n),
        noise_exp=None,
        **unscaled(n),
    )


def silence(net: FixedPointNetwork, steps: int, batch: int) -> np.ndarray:
    """Return messages of nothing."""
    return np.zeros((steps, batch, net.n_in), dtype=np.int32)


def activity(bits: np.ndarray, n: int) -> float:
    """Return the share of neurons that spikes in a step."""
    return float(unpack(bits, n).mean())


def warmed_up(run: Callable, net: FixedPointNetwork, batch: int) -> ChipState:
    """Return a state in which the trials of a batch have come apart, by noise."""
    # Without noise all trials of a batch would stay the same for ever.
    noisy = replace(net, noise_exp=15)
    return run(noisy, silence(net, WARM_UP, batch), seed=1).state._replace(step=0)


def busy(run: Callable, n: int, share: float = BUSY, steps: int = 300) -> int:
    """Return the bias at which about `share` of the neurons spikes in a step."""
    # Activity rises with the bias, so that halving the range finds it.
    low, high = 0, 3400
    while high - low > 1:
        middle = (low + high) // 2
        net = network(n, middle)
        bits = run(net, silence(net, WARM_UP + steps, 1)).spikes.bits[WARM_UP:]
        low, high = (middle, high) if activity(bits, n) < share else (low, middle)
    return high
