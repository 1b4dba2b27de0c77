"""κ: where a network's activity stands along its low-rank modes, at every stage.

The state of a network of weights m nᵀ/N is x = Σ κ_r m_r + Σ v_s I_s + b. For spiking
stages the synaptic current, in units of x, takes the place of x − b: it obeys the same
equation, with filtered spikes in the place of rates.

The synaptic currents of a spiking network, recomputed from its spikes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from isotau.convert.chip import arithmetic
from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.sparse import transposed
from isotau.convert.records.fixedpoint import (
    FixedPointNetwork,
    WeightBlock,
    resets,
)
from isotau.convert.records.lif import LIFNetwork, decay_fraction
from isotau.convert.records.spikes import Spikes, unpack


def currents(
    spikes: Spikes,
    net: LIFNetwork | FixedPointNetwork,
    drive: np.ndarray,
    *,
    i0: Float64[np.ndarray, "batch n"] | None = None,
) -> Iterator[Float64[np.ndarray, "batch n"]]:
    """Return an iterator over the steps that gives each synaptic current, in volts.

    It is the current that the membrane takes in that step: after its jump, before its
    decay, without the noise of the current, which no spike tells. Of a fixed-point
    network u is recomputed in the chip's integers, bit for bit, and divided by what a
    volt is worth.

    Args:
        spikes: of the network, from its first step on: earlier ones are not known.
        net: the network.
        drive: steps × batch × channel: the inputs of a `LIFNetwork`, the messages of a
            `FixedPointNetwork`.
        i0: what is left of the current when the first step starts, in volts; None for
            the network's own start.

    Raises:
        ValueError: spikes, drive or i0 that do not fit the network.
    """
    if spikes.n != net.n or abs(spikes.dt - net.dt) > 1e-9 * net.dt:
        raise ValueError(
            f"spikes: got {spikes.n} neurons in steps of {spikes.dt} s, need {net.n} "
            f"in steps of {net.dt} s; give the network that made them"
        )
    need = spikes.steps, spikes.batch, net.n_in
    if np.shape(drive) != need:
        raise ValueError(
            f"drive: got shape {np.shape(drive)}, need {need} (steps × batch × channel)"
        )
    shape = spikes.batch, net.n
    if i0 is not None:
        i0 = validation.floats("i0", i0, shape, "batch × neuron")
    # The membrane takes dv/4096 of u: at dv = 0 a volt would be worth infinitely much.
    if isinstance(net, FixedPointNetwork) and not net.dv.all():
        raise ValueError(
            f"dv: got 0 for neuron {int(np.argmin(net.dv))}, need more: without leak "
            "no current is worth a volt; quantize with a shorter tau_mem"
        )
    if isinstance(net, LIFNetwork):
        return _of_lif(spikes, net, np.asarray(drive, np.float64), i0)
    return _of_chip(spikes, net, np.asarray(drive), i0)


def _of_lif(
    spikes: Spikes, net: LIFNetwork, inputs: np.ndarray, i0: np.ndarray | None
) -> Iterator[np.ndarray]:
    """Yield i ← i e^(−dt/τ_syn) + W_in x + W_rec z, with z the spikes before."""
    keep = 1 - decay_fraction(net.tau_syn, net.dt)
    i = np.tile(net.i0, (spikes.batch, 1)) if i0 is None else i0
    fired, w_rec = np.zeros((spikes.batch, net.n)), transposed(net.w_rec)
    for t in range(spikes.steps):
        # (L1): jump, hand over, decay; spikes of a step arrive in the next.
        i = i + inputs[t] @ net.w_in.T + fired @ w_rec
        yield i
        i = i * keep
        fired = unpack(spikes.bits[t], net.n).astype(np.float64)


def _of_chip(
    spikes: Spikes, net: FixedPointNetwork, messages: np.ndarray, i0: np.ndarray | None
) -> Iterator[np.ndarray]:
    """Yield u / (state_scale · a_mem): dv/4096 of a volt's integers reach v a step."""
    du = net.du.astype(np.int64)
    volt = net.u_per_volt
    u = np.tile(net.u0.astype(np.int64), (spikes.batch, 1))
    if i0 is not None:
        # The chip decays u before it adds; where du is full, nothing is left of it.
        keep = 1 - (du + arithmetic.DU_OFFSET) / arithmetic.DECAY_UNITY
        u = np.rint(i0 * volt / np.where(keep > 0, keep, 1.0)).astype(np.int64)
    weights = [transposed(block.weights) for block in net.blocks]
    ring = np.zeros((net.slots, spikes.batch, net.n), dtype=np.int64)
    for t in range(spikes.steps):
        # The chip's own arithmetic, wrap-around included: (H1) to (H5) in order.
        slot = t % net.slots
        u = arithmetic.update_u(u * (not resets(net, t)), ring[slot], du)
        yield u / volt
        ring[slot] = 0
        fired = unpack(spikes.bits[t], net.n)
        for block, matrix in zip(net.blocks, weights, strict=True):
            arrival = (t + 1 + block.delay) % net.slots
            sent = _sent(block, matrix, fired, messages[t])
            ring[arrival] = arithmetic.wrap_int32(ring[arrival] + sent)


def _sent(
    block: WeightBlock, weights: np.ndarray, fired: np.ndarray, messages: np.ndarray
) -> np.ndarray:
    """Return what one connection hands over, as the reference engine has it."""
    source = fired if block.source == "recurrent" else messages
    source = source != 0 if block.binary else source
    # float64 holds every sum of a block exactly, and BLAS is faster than integers.
    total = source[:, block.pre].astype(np.float64) @ weights
    return arithmetic.delivered(total.astype(np.int64), block.weight_exp)


Directions = Float64[np.ndarray, "n k"]


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class KappaAgreement:
    """How near κ of a spiking stage is to the rate network's, for every mode.

    The first three are taken over all steps and trials; the others over the means of
    the trials of each condition, in which the spikes' own noise is averaged out.

    Attributes:
        rmse: root mean square of the difference, in units of κ.
        nrmse: the same in units of the standard deviation of the rate network's κ; NaN
            where that does not vary.
        correlation: Pearson's; NaN where one of the two does not vary.
        conditions: the labels that occur, ascending.
        rate_means: mean κ of the rate network, condition × step × mode.
        spiking_means: mean κ of the spiking network, condition × step × mode.
        condition_rmse: of the means, condition × mode.
        condition_nrmse: the same in the unit of `nrmse`.
        condition_correlation: of the means over time, condition × mode.
    """

    rmse: Float64[np.ndarray, " rank"]
    nrmse: Float64[np.ndarray, " rank"]
    correlation: Float64[np.ndarray, " rank"]
    conditions: Int64[np.ndarray, " conditions"]
    rate_means: Float64[np.ndarray, "conditions steps rank"]
    spiking_means: Float64[np.ndarray, "conditions steps rank"]
    condition_rmse: Float64[np.ndarray, "conditions rank"]
    condition_nrmse: Float64[np.ndarray, "conditions rank"]
    condition_correlation: Float64[np.ndarray, "conditions rank"]

    def __post_init__(self) -> None:
        """Freeze every field."""
        fields: dict[str, Any] = {
            name: np.array(getattr(self, name)) for name in self.__slots__
        }
        for array in fields.values():
            array.setflags(write=False)
        validation.freeze(self, fields)


def kappa(
    x: Float64[np.ndarray, "*trials n"],
    m_vectors: Directions,
    *,
    inputs: Directions | None = None,
    offset: Float64[np.ndarray, " n"] | float = 0.0,
) -> Float64[np.ndarray, "*trials rank"]:
    """Return κ, the coefficients of m in the least-squares x ≈ offset + m κ + I v.

    What lies along the input directions is not counted as κ, even where m and I
    overlap. Exact for units of one τ that start in the span of offset, m and I; else
    the projection.

    Args:
        x: states, unit last.
        m_vectors: from `Factors`.
        inputs: directions to regress out, a network's `w_in`; None for none.
        offset: constant part of x: a network's bias.

    Raises:
        ValueError: m, inputs or offset that do not fit x, or an m that the other
            directions make up.
    """
    # (K4)
    n = np.shape(x)[-1] if np.ndim(x) else 0
    reader = _reader(m_vectors, inputs, n)
    return (np.asarray(x, dtype=np.float64) - _offset(offset, n)) @ reader.T


def spiking_kappa(
    spikes: Spikes,
    net: LIFNetwork | FixedPointNetwork,
    drive: np.ndarray,
    m_vectors: Directions,
    *,
    inputs: Directions | None = None,
    unit: float = 1e-3,
    offset: Float64[np.ndarray, " n"] | float = 0.0,
    i0: Float64[np.ndarray, "batch n"] | None = None,
) -> Float64[np.ndarray, "steps batch rank"]:
    """Return κ of a spiking network, read from its synaptic currents.

    It is `kappa` of current / unit, with the currents that `currents` finds in the
    spikes. Where several neurons stand for one unit, repeat the rows of m and inputs.

    Args:
        spikes: of the network, from its first step on.
        net: the network; its currents do not hold the constant drive.
        drive: inputs or messages, see `currents`.
        m_vectors: from `Factors` of the rate network.
        inputs: the rate network's `w_in`.
        unit: volts that stand for 1 of the rate network's x.
        offset: part of the current that is no κ, in units of x. Where rates are carried
            as r + c, with a bias of −c W 1 to make up for it, the offset is c W 1.
        i0: current before the first step, see `currents`.
    """
    unit = validation.number("unit", unit, positive=True)
    reader = _reader(m_vectors, inputs, spikes.n)
    constant = _offset(offset, spikes.n)
    # (K11): step by step, since the currents of all steps at once would fill memory.
    kappas = np.empty((spikes.steps, spikes.batch, reader.shape[0]))
    for t, current in enumerate(currents(spikes, net, drive, i0=i0)):
        kappas[t] = (current / unit - constant) @ reader.T
    return kappas


def compare_kappa(
    rate: Float64[np.ndarray, "steps batch rank"],
    spiking: Float64[np.ndarray, "fine batch rank"],
    labels: Int64[np.ndarray, " batch"] | None = None,
) -> KappaAgreement:
    """Return how near the κ of a spiking network is to the rate network's.

    Args:
        rate: κ of the rate network.
        spiking: κ of the same trials, in the same steps or a whole number of shorter
            ones; of these the last in each step of the rate network is taken.
        labels: condition of each trial; None for one condition.

    Raises:
        ValueError: shapes or labels that do not fit.
    """
    rate, spiking = np.asarray(rate, np.float64), np.asarray(spiking, np.float64)
    steps = validation.length("rate", rate, ndim=3)
    fine = validation.length("spiking", spiking, ndim=3)
    if rate.shape[1:] != spiking.shape[1:] or fine % steps:
        raise ValueError(
            f"spiking: got shape {spiking.shape}, need {rate.shape} or a multiple of "
            "its steps (steps × batch × mode)"
        )
    # The last of the fine steps: there the rate network's step ends, too.
    spiking = spiking[fine // steps - 1 :: fine // steps]
    batch, flat = rate.shape[1], (-1, rate.shape[2])
    condition = (
        np.zeros(batch, dtype=np.int64) if labels is None else np.asarray(labels)
    )
    if condition.shape != (batch,):
        raise ValueError(
            f"labels: got shape {condition.shape}, need {(batch,)} (trial)"
        )
    conditions = np.unique(condition)
    means = [
        np.stack([k[:, condition == label].mean(axis=1) for label in conditions])
        for k in (rate, spiking)
    ]
    # (K14)
    rmse, correlation = _near(rate.reshape(flat), spiking.reshape(flat))
    spread = rate.reshape(flat).std(axis=0)
    spread = np.where(spread > 0, spread, np.nan)
    # Of the means over trials: the spikes' own noise is averaged out in them.
    near = [_near(a, b) for a, b in zip(*means, strict=True)]
    condition_rmse = np.stack([each[0] for each in near])
    return KappaAgreement(
        rmse=rmse,
        nrmse=rmse / spread,
        correlation=correlation,
        conditions=conditions,
        rate_means=means[0],
        spiking_means=means[1],
        condition_rmse=condition_rmse,
        condition_nrmse=condition_rmse / spread,
        condition_correlation=np.stack([each[1] for each in near]),
    )


def _near(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return RMSE and correlation of each column; NaN where one does not vary."""
    rmse = np.sqrt(((a - b) ** 2).mean(axis=0))
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    size = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return rmse, (a * b).sum(axis=0) / np.where(size > 0, size, np.nan)


def _offset(offset: np.ndarray | float, n: int) -> np.ndarray:
    """Return the offset of each unit, checked."""
    shape = (n,) if np.ndim(offset) else ()
    return validation.floats("offset", offset, shape, "unit")


def _reader(
    m_vectors: np.ndarray, inputs: np.ndarray | None, n: int
) -> Float64[np.ndarray, "rank n"]:
    """Return the rows of the pseudo-inverse of [m, I] that belong to m."""
    rank = validation.length("m_vectors", m_vectors, axis=1)
    m = validation.floats("m_vectors", m_vectors, (n, rank), "unit × mode")
    others = np.zeros((n, 0))
    if inputs is not None:
        columns = validation.length("inputs", inputs, axis=1)
        others = validation.floats("inputs", inputs, (n, columns), "unit × input")
    # Columns of length 1, so that no unit decides what counts as dependent.
    size = np.sqrt((m**2).sum(axis=0))
    length = np.sqrt((others**2).sum(axis=0))
    others = others[:, length > 0] / length[length > 0]
    found = np.linalg.matrix_rank(others, tol=1e-9) if others.size else 0
    both = np.hstack([m / np.where(size > 0, size, 1.0), others])
    if np.linalg.matrix_rank(both, tol=1e-9) < rank + found:
        raise ValueError(
            "m_vectors: got a column that the others and the inputs make up, need "
            "independent ones; leave it or the inputs out"
        )
    return np.linalg.pinv(both)[:rank] / size[:, None]
