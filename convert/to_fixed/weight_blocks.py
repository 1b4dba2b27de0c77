"""Real weights → blocks of mantissas, none of them ruined by its largest weight.

A block has one exponent, set by its largest weight. Where a few weights are much larger
than the rest, one exponent rounds many of the others to zero: the large ones then get
a block of their own, or are clipped. `QuantizeConfig` chooses.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float64, Int64

from isotau.convert.chip import arithmetic as chip
from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.ground import validation
from isotau.convert.ground.errors import DoesNotFit
from isotau.convert.ground.sparse import (
    Weights,
    dense,
    occupied,
    values_of,
    where,
    with_values,
)
from isotau.convert.records.fixedpoint import SOURCES, WeightBlock

OUTLIERS = ("split", "clip", "keep", "fit")
SIGNS = (SignMode.EXCITATORY, SignMode.INHIBITORY)
KINDS = (*SOURCES, *(f"{source}.{sign.value}" for source in SOURCES for sign in SIGNS))
"""Names of kinds of blocks, the coarser first."""
RUINED = 0.05
"""Share of a block's weights that may be zero only because of its largest ones."""
FAR = 2
"""Exponents by which outliers lie above the rest; a Gaussian's largest lie one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantizeConfig:
    """How a network is quantized.

    Attributes:
        headroom: factor left between the largest |u| and deepest v that were recorded
            and the limit of 2^23; at least 1.
        num_weight_bits: bits of a weight, 1 … 8: one number, or one for each kind of
            block by the names in `KINDS`: "input", "recurrent", or finer
            "recurrent.excitatory" and so on, which go before; what has no name has 8.
            With one bit a weight is 0 or the block's one magnitude.
        state_scale: integers per volt; None to choose the largest that fits.
        outliers: "split" gives the weights beyond `percentile` a block of their own
            where they are much larger and would round more than one in twenty of the
            others to zero, and changes nothing elsewhere; "clip" cuts every block at
            `percentile`; "keep" lets the largest weight decide; "fit" takes the
            exponent of the least squared error and cuts what lies beyond its grid,
            which is what few bits want.
        percentile: of the magnitudes of a block's weights that are not 0.
        spiking_input: whether every input is 0 or one positive number, and enters as
            spikes: Loihi 1 has no messages with numbers.
    """

    headroom: float = 2.0
    num_weight_bits: int | Mapping[str, int] = field(default=8, hash=False)
    state_scale: float | None = None
    outliers: str = "split"
    percentile: float = 99.0
    spiking_input: bool = False

    def __post_init__(self) -> None:
        """Check the fields, and copy the table of bits."""
        # Written so that NaN is refused too.
        if not self.headroom >= 1:
            raise ValueError(f"headroom: got {self.headroom}, need at least 1")
        if self.state_scale is not None:
            validation.number("state_scale", self.state_scale, positive=True)
        percentile = validation.number("percentile", self.percentile, positive=True)
        if percentile > 100:
            raise ValueError(f"percentile: got {percentile}, need at most 100")
        validation.choice("outliers", self.outliers, OUTLIERS)
        bits = checked_bits(self.num_weight_bits)
        validation.freeze(self, {"num_weight_bits": bits, "percentile": percentile})


def weight_blocks(
    source: str,
    weights: Weights,
    post: Int64[np.ndarray, " n"],
    pre: Int64[np.ndarray, " columns"],
    config: QuantizeConfig,
) -> tuple[WeightBlock, ...]:
    """Return the blocks that hold real weights, in units of 2^6 of state.

    Every pair of populations has blocks of its own, split by sign.

    Args:
        source: "input" or "recurrent".
        weights: post × pre, dense or sparse; blocks are of the same form.
        post: population of each row.
        pre: population of each column.
        config: choices.

    Raises:
        DoesNotFit: a weight needs an exponent that the chip has not.
    """
    blocks: list[WeightBlock] = []
    for row in np.unique(post):
        for column in np.unique(pre):
            # Populations have scales of their own: their weights share no exponent.
            part = where(weights, post == row, pre == column)
            for mode, signed in zip(SIGNS, of_signs(part), strict=True):
                bits = bits_of(config.num_weight_bits, source, mode)
                for tier in _tiers(signed, mode, bits, config):
                    fit = config.outliers == "fit"
                    blocks.append(_block(source, mode, tier, bits, fit))
    return tuple(blocks)


def of_signs(weights: Weights) -> tuple[Weights, Weights]:
    """Return the positive weights, the others 0, and likewise the negative ones."""
    values = values_of(weights)
    return (
        with_values(weights, np.maximum(values, 0)),
        with_values(weights, np.minimum(values, 0)),
    )


def checked_bits(bits: int | Mapping[str, int]) -> int | dict[str, int]:
    """Return bits per weight, one number or one for each named kind of block, checked.

    Raises:
        ValueError: a name that is not in `KINDS`.
        DoesNotFit: a number of bits beyond 1 … 8.
    """
    most = chip.WEIGHT_BITS_MAX
    # A copy: the caller's table may change, and configurations are compared.
    if not isinstance(bits, Mapping):
        return validation.whole("num_weight_bits", bits, 1, most)
    return {
        validation.choice("num_weight_bits", kind, KINDS): validation.whole(
            f"num_weight_bits[{kind!r}]", number, 1, most
        )
        for kind, number in bits.items()
    }


def bits_of(bits: int | Mapping[str, int], source: str, mode: SignMode) -> int:
    """Return the bits of a block's weights.

    The name of source and sign goes before that of the source; what has no name has 8.
    """
    if not isinstance(bits, Mapping):
        return bits
    usual = bits.get(source, chip.WEIGHT_BITS_MAX)
    return bits.get(f"{source}.{mode.value}", usual)


def clipped(
    source: str,
    blocks: Iterable[WeightBlock],
    weights: Float64[np.ndarray, "n columns"],
) -> Bool[np.ndarray, "n columns"]:
    """Return which weights were cut at the top of their block, not only rounded.

    Args:
        source: of the weights.
        blocks: from `weight_blocks`; those of the other source do not count.
        weights: that were given to it.
    """
    reach = np.full(weights.shape, np.inf)
    for block in blocks:
        if block.source != source:
            continue
        step = chip.grid_step(block.num_weight_bits, block.sign_mode)
        # Half a step more is rounding, which is no cut; and a little for its own error.
        mantissas = dense(block.weights, "finding the weights that were cut")
        size = np.abs(mantissas.astype(np.float64)) + 0.5 * step * (1 + 1e-9)
        most = np.where(mantissas != 0, size * 2.0**block.weight_exp, np.inf)
        reach[:, block.pre] = np.minimum(reach[:, block.pre], most)
    return np.abs(weights) > reach  # (U13)


def largest_weight(bits: int) -> int:
    """Return the largest weight of a one-signed block, in units of 2^6 of state."""
    return _top(bits, SignMode.EXCITATORY) << chip.WEIGHT_EXP_MAX


def _tiers(
    part: Weights, mode: SignMode, bits: int, config: QuantizeConfig
) -> Iterator[Weights]:
    """Yield matrices that add up to a part's weights, the largest weights last."""
    values = values_of(part)
    magnitudes = np.abs(values[values != 0])
    if not magnitudes.size:
        return
    if config.outliers in ("keep", "fit"):
        yield part
        return
    common = float(np.percentile(magnitudes, config.percentile, method="lower"))
    if config.outliers == "clip":
        yield with_values(part, np.clip(values, -common, common))
        return
    # (F20): the exponents of all weights and of the common ones.
    step, top = chip.grid_step(bits, mode), _top(bits, mode)
    coarse = _exponent(float(magnitudes.max()), step, top)
    fine = max(_exponent(common, step, top), chip.WEIGHT_EXP_MIN)
    ruined = _zeroed(magnitudes, step, coarse) - _zeroed(magnitudes, step, fine)
    if coarse < fine + FAR or ruined <= RUINED:
        yield part
        return
    large = np.abs(values) > (top + 0.5 * step) * 2.0**fine
    yield with_values(part, np.where(large, 0.0, values))
    # Among the large ones, a few may again be much larger than the rest.
    rest = with_values(part, np.where(large, values, 0.0))
    yield from _tiers(rest, mode, bits, config)


def _zeroed(magnitudes: np.ndarray, step: int, exponent: int) -> float:
    """Return the share of weights that an exponent rounds to zero."""
    return float(np.mean(magnitudes <= 0.5 * step * 2.0**exponent))


def _top(bits: int, mode: SignMode) -> int:
    """Return the largest mantissa, (F18)."""
    step = chip.grid_step(bits, mode)
    return (256 // step - 1) * step


def _exponent(peak: float, step: int, top: int) -> int:
    """Return the smallest exponent that holds a weight, (F17)."""
    return int(np.ceil(np.log2(peak / (top + 0.5 * step))))


def _fitting(magnitudes: np.ndarray, step: int, top: int, coarse: int) -> int:
    """Return the exponent up to `coarse` that gives the least squared error, (F19)."""
    best, least = coarse, np.inf
    for exponent in range(coarse, chip.WEIGHT_EXP_MIN - 1, -1):
        unit, end = step * 2.0**exponent, top * 2.0**exponent
        rounded = np.minimum(unit * np.rint(magnitudes / unit), end)
        error = float(np.square(magnitudes - rounded).sum())
        if error < least:
            best, least = exponent, error
        # What is cut off grows with every lower exponent.
        if np.square(np.maximum(magnitudes - end, 0)).sum() >= least:
            break
    return best


def _block(
    source: str, mode: SignMode, weights: Weights, bits: int, fit: bool
) -> WeightBlock:
    """Return the block of weights of one sign; columns without any are left out."""
    pre, part = occupied(weights)
    values = values_of(part)
    # Half a step above the top still rounds down to it.
    step, top = chip.grid_step(bits, mode), _top(bits, mode)
    peak = float(np.abs(values).max())
    exponent = _exponent(peak, step, top)
    if fit:
        coarse = int(np.clip(exponent, chip.WEIGHT_EXP_MIN, chip.WEIGHT_EXP_MAX))
        exponent = _fitting(np.abs(values[values != 0]), step, top, coarse)
    if exponent > chip.WEIGHT_EXP_MAX:
        raise DoesNotFit(
            f"{source} weights: got {peak:.4g} in units of 2^6, need at most "
            f"{top << chip.WEIGHT_EXP_MAX}; lower state_scale or clip the weights"
        )
    # Weights below the finest grid are rounded on it, many of them to 0.
    exponent = max(exponent, chip.WEIGHT_EXP_MIN)
    nearest = step * np.rint(values / (step * 2.0**exponent))
    return WeightBlock(
        source=source,
        pre=pre,
        weights=with_values(part, np.clip(nearest, -top, top)),  # (F18)
        weight_exp=exponent,
        num_weight_bits=bits,
        sign_mode=mode,
    )
