"""Real weights → blocks of mantissas, none of them ruined by its largest weight.

A block has one exponent, set by its largest weight. Where a few weights are much larger
than the rest, one exponent rounds many of the others to zero: the large ones then get
a block of their own, or are clipped.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from isotau.convert import arithmetic as chip
from isotau.convert.arithmetic import SignMode
from isotau.convert.errors import DoesNotFit
from isotau.convert.fixedpoint import WeightBlock

OUTLIERS = ("split", "clip", "keep")
RUINED = 0.05
"""Share of a block's weights that may be zero only because of its largest ones."""
FAR = 2
"""Exponents by which outliers lie above the rest; a Gaussian's largest lie one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightConfig:
    """How real weights become mantissas.

    Attributes:
        num_weight_bits: bits of a weight, 1 … 8.
        outliers: "split" gives the weights beyond `percentile` a block of their own
            where they are much larger and would round more than one in twenty of the
            others to zero, and changes nothing elsewhere; "clip" cuts every block at
            `percentile`; "keep" lets the largest weight decide.
        percentile: of the magnitudes of a block's weights that are not 0.
    """

    num_weight_bits: int = 8
    outliers: str = "split"
    percentile: float = 99.0


def weight_blocks(
    source: str,
    wanted: Float64[np.ndarray, "n columns"],
    post: Int64[np.ndarray, " n"],
    pre: Int64[np.ndarray, " columns"],
    config: WeightConfig,
) -> tuple[WeightBlock, ...]:
    """Return the blocks that hold real weights, in units of 2^6 of state.

    Every pair of populations has blocks of its own, split by sign.

    Args:
        source: "input" or "recurrent".
        wanted: weights, post × pre.
        post: population of each row.
        pre: population of each column.
        config: choices.

    Raises:
        DoesNotFit: a weight needs an exponent that the chip has not.
    """
    blocks: list[WeightBlock] = []
    for row in np.unique(post):
        for column in np.unique(pre):
            inside = (post == row)[:, None] & (pre == column)
            part = np.where(inside, wanted, 0.0)
            for mode, signed in (
                (SignMode.EXCITATORY, np.maximum(part, 0)),
                (SignMode.INHIBITORY, np.minimum(part, 0)),
            ):
                for tier in _tiers(signed, mode, config):
                    blocks.append(_block(source, mode, tier, config.num_weight_bits))
    return tuple(blocks)


def largest_weight(bits: int) -> int:
    """Return the largest weight of a one-signed block, in units of 2^6 of state."""
    return _top(bits, SignMode.EXCITATORY) << chip.WEIGHT_EXP_MAX


def _tiers(
    part: np.ndarray, mode: SignMode, config: WeightConfig
) -> Iterator[np.ndarray]:
    """Yield matrices that add up to a part's weights, the largest weights last."""
    magnitudes = np.abs(part[part != 0])
    if not magnitudes.size:
        return
    common = float(np.percentile(magnitudes, config.percentile, method="lower"))
    if config.outliers == "clip":
        yield np.clip(part, -common, common)
        return
    bits = config.num_weight_bits
    step, top = chip.grid_step(bits, mode), _top(bits, mode)
    coarse = _exponent(float(magnitudes.max()), step, top)
    fine = max(_exponent(common, step, top), chip.WEIGHT_EXP_MIN)
    ruined = _zeroed(magnitudes, step, coarse) - _zeroed(magnitudes, step, fine)
    if config.outliers == "keep" or coarse < fine + FAR or ruined <= RUINED:
        yield part
        return
    large = np.abs(part) > (top + 0.5 * step) * 2.0**fine
    yield np.where(large, 0.0, part)
    yield from _tiers(np.where(large, part, 0.0), mode, config)


def _zeroed(magnitudes: np.ndarray, step: int, exponent: int) -> float:
    """Return the share of weights that an exponent rounds to zero."""
    return float(np.mean(magnitudes <= 0.5 * step * 2.0**exponent))


def _top(bits: int, mode: SignMode) -> int:
    step = chip.grid_step(bits, mode)
    return (256 // step - 1) * step


def _exponent(peak: float, step: int, top: int) -> int:
    """Return the smallest exponent that holds a weight."""
    return int(np.ceil(np.log2(peak / (top + 0.5 * step))))


def _block(source: str, mode: SignMode, wanted: np.ndarray, bits: int) -> WeightBlock:
    pre = np.flatnonzero(wanted.any(axis=0))
    part = wanted[:, pre]
    step, top = chip.grid_step(bits, mode), _top(bits, mode)
    peak = float(np.abs(part).max())
    exponent = _exponent(peak, step, top)
    if exponent > chip.WEIGHT_EXP_MAX:
        raise DoesNotFit(
            f"{source} weights: got {peak:.4g} in units of 2^6, need at most "
            f"{top << chip.WEIGHT_EXP_MAX}; lower state_scale or clip the weights"
        )
    exponent = max(exponent, chip.WEIGHT_EXP_MIN)
    nearest = step * np.rint(part / (step * 2.0**exponent))
    return WeightBlock(
        source=source,
        pre=pre,
        weights=np.clip(nearest, -top, top),
        weight_exp=exponent,
        num_weight_bits=bits,
        sign_mode=mode,
    )
