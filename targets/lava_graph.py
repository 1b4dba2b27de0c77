"""A `FixedPointNetwork` as Lava processes: populations, connections and a source.

The trials of a batch are copies of the network side by side in one population; the
copies are not connected.
"""

from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Int32
from scipy import sparse

from isotau.convert import arithmetic
from isotau.convert.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.convert.philox import membrane_samples
from isotau.targets.lava_compat import load

MESSAGE_BITS = 32
"""Declares input messages as numbers instead of spikes; Lava keeps them in int32."""


def build(
    net: FixedPointNetwork,
    messages: Int32[np.ndarray, "steps batch n_in"],
    *,
    seed: int,
    first_trial: int,
) -> Any:
    """Return the population of a network wired up in Lava, ready to be recorded from.

    It is Lava's own `LIF` or `LIFReset` where that is enough, and `NoisyLIF` where the
    network has membrane noise or refractory periods. Run it with the tag "fixed_pt"
    alone, and for no more steps than there are messages: the source begins again after
    them.
    """
    steps, copies, _ = messages.shape
    population = _population(net, copies, seed, first_trial)
    # Blocks without any weight deliver nothing, and Lava's Sparse needs a weight.
    blocks = [block for block in net.blocks if block.weights.any()]
    source: Any = None
    if any(block.source == "input" for block in blocks):
        data = np.ascontiguousarray(messages.reshape(steps, -1).T)
        source = load("lava.proc.io.source").RingBuffer(data=data)
    for block in blocks:
        connection = _connection(net, block, copies)
        origin = population if block.source == "recurrent" else source
        origin.s_out.connect(connection.s_in)
        connection.a_out.connect(population.a_in)
    return population


def _population(
    net: FixedPointNetwork, copies: int, seed: int, first_trial: int
) -> Any:
    """Return copies·n neurons; every register is an array with one number for each.

    Lava declares du, dv and vth as one number for the population and does not look;
    its models compute elementwise with whatever integers they are given.
    """

    def tiled(register: np.ndarray, dtype: type[np.integer[Any]]) -> np.ndarray:
        return np.tile(register.astype(dtype), copies)

    registers: dict[str, Any] = {
        "shape": (copies * net.n,),
        "u": tiled(net.u0, np.int32),
        "v": tiled(net.v0, np.int32),
        "du": tiled(net.du, np.int32),
        "dv": tiled(net.dv, np.int32),
        "vth": tiled(net.vth, np.int32),
        "bias_mant": tiled(net.bias_mant, np.int16),
        "bias_exp": tiled(net.bias_exp, np.int16),
    }
    if net.reset_interval:
        registers["reset_interval"] = net.reset_interval
        registers["reset_offset"] = net.reset_offset
    if net.noise_exp is None and not net.refractory.any():
        stock = load("lava.proc.lif.process")
        return (stock.LIFReset if net.reset_interval else stock.LIF)(**registers)
    load("lava.proc.lif.process")
    # Imported here, because defining the class imports Lava.
    from isotau.targets.lava_lif.noisy_lif import NoisyLIF

    trials = np.arange(first_trial, first_trial + copies)
    return NoisyLIF(
        refractory=tiled(net.refractory, np.int32),
        noise=None
        if net.noise_exp is None
        else partial(noise, net.noise_exp, seed, trials, net.n),
        **registers,
    )


def noise(
    noise_exp: int, seed: int, trials: np.ndarray, n: int, step: int
) -> np.ndarray:
    """Return the membrane noise of a step in all copies, one after the other."""
    sample = membrane_samples(seed, step, trials, n)
    return arithmetic.scale_noise(sample, noise_exp).ravel().astype(np.int32)


def _connection(net: FixedPointNetwork, block: WeightBlock, copies: int) -> Any:
    """Return one block as a connection from all of its source's columns.

    Delayed ones are `DelaySparse` even for one copy: `DelayDense` sums in 64 bits, and
    shifts a sum beyond 32 to the right before it is wrapped.
    """
    recurrent = block.source == "recurrent"
    weights = np.zeros((net.n, net.n if recurrent else net.n_in), dtype=np.int32)
    weights[:, block.pre] = block.weights
    modes = load("lava.utils.weightutils").SignMode
    chosen = {
        "weight_exp": block.weight_exp,
        "num_weight_bits": block.num_weight_bits,
        "sign_mode": modes[block.sign_mode.name],
        "num_message_bits": 0 if recurrent or block.binary else MESSAGE_BITS,
    }
    if copies == 1 and not block.delay:
        return load("lava.proc.dense.process").Dense(weights=weights, **chosen)
    # Lava knows scipy's matrices alone and hangs on its newer arrays.
    diagonal = sparse.csr_matrix(
        sparse.kron(sparse.identity(copies, dtype=np.int32), weights, format="csr")
    )
    stock = load("lava.proc.sparse.process")
    if not block.delay:
        return stock.Sparse(weights=diagonal, **chosen)
    # Lava checks for this very type of integer.
    delays = diagonal.astype(bool).astype(np.int64) * block.delay
    return stock.DelaySparse(weights=diagonal, delays=delays, **chosen)
