"""Random fixed-point networks that reach every edge of the arithmetic.

For showing that two engines, or an engine and a target, give the same bits: mild ones
behave like networks that people quantize; extreme ones wrap u, saturate v, have
registers, exponents and widths at the ends of their ranges, and some of them delays,
binary inputs and resets.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Int64

from isotau.convert.chip import arithmetic
from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock

DENSITIES = (0.1, 0.5, 1.0)
REFRACTORY = (0, 1, 2, 5, arithmetic.REFRACTORY_MAX)
DELAYS = (0, 0, 0, 1, 2, 7, arithmetic.DELAY_MAX)
RESETS = (0, 0, 0, 1, 7, 50)
"""Steps between resets; 1 is one in every step."""


def unscaled(n: int) -> dict[str, Any]:
    """Return the fields of n neurons that only lead back to volts and to outputs.

    Where integers are compared and timed they say nothing: scales are 1, a step is
    1 ms, and the one output has no weights.
    """
    return {
        "state_scale": np.ones(n),
        "v_reset": np.zeros(n),
        "input_scale": 1.0,
        "dt": 1e-3,
        "w_out": np.zeros((1, n)),
        "b_out": np.zeros(1),
        "tau_out": np.ones(n),
    }


def random_network(
    rng: np.random.Generator, n: int, *, extreme: bool, bare: bool = False
) -> FixedPointNetwork:
    """Return a random network of n neurons, 1 to 4 inputs and 4 weight blocks.

    Args:
        rng: decides everything.
        n: number of neurons.
        extreme: draw on the edges of every range.
        bare: without noise and refractory periods, as Lava's own LIF is.
    """

    def register(low: int, high: int, *edges: int) -> np.ndarray:
        values = rng.integers(low, high + 1, n)
        at_edge = rng.random(n) < (0.3 if extreme else 0.0)
        return np.where(at_edge, rng.choice([*edges, low, high], n), values)

    n_in = int(rng.integers(1, 5))
    sources = ["recurrent", "input", *rng.choice(["recurrent", "input"], 2).tolist()]
    most = 23 if extreme else 16
    own = np.random.default_rng([int(rng.integers(6, most + 1)), n])
    noises = {
        name: np.zeros(n) if bare else _exponents(own, n, most)
        for name in ("noise_exp", "current_noise_exp")
    }
    net = FixedPointNetwork(
        blocks=tuple(random_block(rng, s, n, n_in, extreme=extreme) for s in sources),
        n_in=n_in,
        **noises,
        refractory=np.zeros(n) if bare else rng.choice(REFRACTORY, n),
        du=register(50, 3000, 0, arithmetic.DECAY_MAX),
        dv=register(10, 1000, 0, arithmetic.DECAY_MAX),
        vth=register(200, 5000, 0, arithmetic.VTH_MAX),
        bias_mant=register(
            -100, 400, arithmetic.BIAS_MANT_MIN, arithmetic.BIAS_MANT_MAX
        ),
        bias_exp=register(0, 4, arithmetic.BIAS_EXP_MIN, -3, arithmetic.BIAS_EXP_MAX),
        **unscaled(n),
    )
    return _with_delays_and_resets(rng, net) if extreme else net


def _exponents(rng: np.random.Generator, n: int, most: int) -> np.ndarray:
    """Return no noise, noise alike everywhere, or of each neuron its own or none."""
    alike, own = rng.integers(6, most + 1), rng.integers(0, most + 1, n)
    return np.stack([np.zeros(n), np.full(n, alike), own])[rng.integers(3)]


def _with_delays_and_resets(
    rng: np.random.Generator, net: FixedPointNetwork
) -> FixedPointNetwork:
    return replace(
        net,
        blocks=tuple(
            replace(
                block,
                delay=int(rng.choice(DELAYS)),
                binary=bool(rng.random() < 0.3),
            )
            for block in net.blocks
        ),
        reset_interval=int(rng.choice(RESETS)),
        reset_offset=int(rng.integers(100)),
    )


def random_block(
    rng: np.random.Generator, source: str, n: int, n_in: int, *, extreme: bool
) -> WeightBlock:
    """Return a block with random columns, sign mode, bits and exponent."""
    width = n if source == "recurrent" else n_in
    pre = np.flatnonzero(rng.random(width) < 0.8)
    pre = pre if len(pre) else np.array([0])
    mode = list(SignMode)[rng.integers(3)]
    bits = int(rng.integers(1, 9)) if extreme else 8
    low = 0 if mode is SignMode.EXCITATORY else -255
    high = 0 if mode is SignMode.INHIBITORY else 255
    weights = rng.integers(low, high + 1, (n, len(pre)))
    weights *= rng.random(weights.shape) < rng.choice(DENSITIES)
    return WeightBlock(
        source=source,
        pre=pre,
        weights=arithmetic.on_grid(weights, bits, mode),
        weight_exp=int(rng.integers(-8, 8) if extreme else rng.integers(-3, 2)),
        num_weight_bits=bits,
        sign_mode=mode,
    )


def random_messages(
    rng: np.random.Generator,
    net: FixedPointNetwork,
    steps: int,
    batch: int,
    *,
    extreme: bool,
) -> Int64[np.ndarray, "steps batch n_in"]:
    """Return messages of −60 to 99, one in five of any 32 bits in extreme cases."""
    shape = (steps, batch, net.n_in)
    mild = rng.integers(-60, 100, shape)
    if not extreme:
        return mild
    wild = rng.integers(-(2**31), 2**31, shape)
    return np.where(rng.random(shape) < 0.2, wild, mild)


def conformance_case(
    number: int, steps: int
) -> tuple[FixedPointNetwork, Int64[np.ndarray, "steps batch n_in"], dict[str, int]]:
    """Return network and messages of one case, and the arguments of its run.

    1 to 300 neurons, most of them few; every other case is extreme. What claims to give
    the reference engine's bits is shown the first thousand.
    """
    rng = np.random.default_rng([19, number])
    extreme = number % 2 == 0
    n = int(rng.integers(1, 301)) if number % 10 == 9 else int(rng.integers(1, 61))
    net = random_network(rng, n, extreme=extreme, bare=number % 4 < 2)
    blocks = [
        replace(
            block,
            delay=int(rng.integers(0, 63)) if rng.random() < 0.3 else 0,
            binary=bool(block.source == "input" and rng.random() < 0.3),
        )
        for block in net.blocks
    ]
    net = replace(
        net,
        blocks=tuple(blocks),
        reset_interval=int(rng.integers(0, 30)) if rng.random() < 0.3 else 0,
        reset_offset=int(rng.integers(0, 30)),
    )
    batch = int(rng.integers(1, 4))
    sent = random_messages(rng, net, steps, batch, extreme=extreme)
    return net, sent, {"seed": 2**63 + number, "first_trial": number % 7}


def started(net: FixedPointNetwork, number: int) -> FixedPointNetwork:
    """Return a case's network with u0 and v0 drawn; every other case is extreme."""
    rng, limit = np.random.default_rng([20, number]), arithmetic.STATE_LIMIT
    high = limit if number % 2 == 0 else limit >> 8
    u0, v0 = rng.integers(1 - high, high, (2, net.n))
    return replace(net, u0=u0, v0=v0)
