"""A fixed-point network with some neurons' integers scaled and rounded again."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from isotau.convert import arithmetic
from isotau.convert.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.convert.quantize import fit_bias


def scale_states(
    net: FixedPointNetwork,
    of_drive: Float64[np.ndarray, " n"],
    of_state: Float64[np.ndarray, " n"],
) -> tuple[FixedPointNetwork, np.ndarray]:
    """Return the network with biases and states scaled, and how many were clipped.

    Args:
        net: the network.
        of_drive: factor of bias and u at power-up.
        of_state: factor of v at power-up and of the state scale.
    """
    exponents = net.bias_exp.astype(np.int64)
    mantissas, new = fit_bias(net.bias_mant * 2.0**exponents * of_drive)
    kept = of_drive == 1
    wanted = {
        "bias_mant": np.where(kept, net.bias_mant, mantissas),
        "u0": np.rint(net.u0 * of_drive),
        "v0": np.rint(net.v0 * of_state),
    }
    limit = arithmetic.STATE_LIMIT - 1
    ranges = {"bias_mant": (arithmetic.BIAS_MANT_MIN, arithmetic.BIAS_MANT_MAX)}
    held = {
        name: np.clip(values, *ranges.get(name, (-limit, limit)))
        for name, values in wanted.items()
    }
    clipped = np.sum([held[name] != wanted[name] for name in held], axis=0)
    scaled = replace(
        net,
        **held,
        bias_exp=np.where(kept, exponents, new),
        state_scale=net.state_scale * of_state,
    )
    return scaled, clipped


def scale_rows(
    net: FixedPointNetwork, factors: Float64[np.ndarray, " n"]
) -> tuple[FixedPointNetwork, np.ndarray, np.ndarray]:
    """Return the network with each neuron's incoming weights scaled, and the damage.

    What no longer fits a block's mantissas goes into a further block of a larger
    exponent. The second value is the rounding of each neuron's new weights, relative to
    the weights (root mean square), the third how many were beyond every exponent and
    are clipped.
    """
    blocks: list[WeightBlock] = []
    wrong, whole, clipped = np.zeros((3, net.n))
    for block in net.blocks:
        wanted = block.weights * factors[:, None]
        parts, beyond = _scaled(block, wanted)
        blocks += parts
        held = sum(2.0 ** (p.weight_exp - block.weight_exp) * p.weights for p in parts)
        unit = 4.0**block.weight_exp
        wrong += unit * ((held - wanted) ** 2).sum(axis=1)
        whole += unit * (wanted**2).sum(axis=1)
        clipped += beyond.sum(axis=1)
    error = np.sqrt(wrong / np.where(whole > 0, whole, 1.0))
    return replace(net, blocks=tuple(blocks)), error, clipped.astype(np.int64)


def _scaled(
    block: WeightBlock, wanted: Float64[np.ndarray, "n pre"]
) -> tuple[list[WeightBlock], np.ndarray]:
    """Return wanted mantissas as a block, those too large for it as another one.

    The second value marks what is too large for any exponent, and is clipped.
    """
    fitting, beyond = _on_grid(block, wanted)
    room = arithmetic.WEIGHT_EXP_MAX - block.weight_exp
    if not beyond.any() or not room:
        return [replace(block, weights=fitting)], beyond
    more = min(int(np.ceil(np.log2(np.abs(wanted[beyond]).max() / 256))) + 1, room)
    large, still = _on_grid(block, np.where(beyond, wanted, 0.0) / 2.0**more)
    own = replace(block, weights=large, weight_exp=block.weight_exp + more)
    return [replace(block, weights=np.where(beyond, 0, fitting)), own], still


def _on_grid(
    block: WeightBlock, wanted: Float64[np.ndarray, "n pre"]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest weights of a block's grid, and which had to be clipped."""
    step = arithmetic.grid_step(block.num_weight_bits, block.sign_mode)
    nearest = (step * np.rint(wanted / step)).astype(np.int64)
    fitting = arithmetic.on_grid(nearest, block.num_weight_bits, block.sign_mode)
    return fitting, fitting != nearest
