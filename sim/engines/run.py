"""What every engine takes and gives: a job in; spikes, states and counts out."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, Int64, UInt8

from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.sparse import transposed
from isotau.convert.records.chip_state import ChipState
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.spikes import Spikes

STRICT = ("sum_wraps", "u_wraps", "v_low")
"""The overflows that are errors, in the order in which a step meets them. v cut at the
top is none: the neuron spikes and is reset all the same, as no threshold exceeds
2^23 − 64."""


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Overflow:
    """How often numbers left their range, per neuron, over all trials and steps.

    Attributes:
        sum_wraps: what the synaptic input adds to u left 32 bits, or already the sum
            of weights times payloads of one connection.
        u_wraps: u left 24 bits and was wrapped.
        v_low: v was cut at −(2^23 − 1).
        v_high: v was cut at 2^23 − 1.
    """

    sum_wraps: Int64[np.ndarray, " n"]
    u_wraps: Int64[np.ndarray, " n"]
    v_low: Int64[np.ndarray, " n"]
    v_high: Int64[np.ndarray, " n"]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What a run left behind.

    Attributes:
        spikes: all spikes.
        u: steps × batch × recorded neurons, int32, after each step; None unless
            recorded.
        v: the same for v, after the reset.
        state: where the run stopped; give it to the next to go on.
        overflow: counted if asked for, else None.
    """

    spikes: Spikes
    u: Int32[np.ndarray, "steps batch k"] | None
    v: Int32[np.ndarray, "steps batch k"] | None
    state: ChipState
    overflow: Overflow | None = None


class EngineJob(NamedTuple):
    """The checked arguments of a run."""

    net: FixedPointNetwork
    messages: Int64[np.ndarray, "steps batch n_in"]
    neurons: Int64[np.ndarray, " k"]
    """Places of the neurons that are recorded."""
    state: ChipState
    """Before the first step; not changed."""
    seed: int
    first_trial: int
    threads: int | None = None
    device: str | None = None
    progress: Progress = silent


class Recording(NamedTuple):
    """What an engine fills as it goes on."""

    bits: UInt8[np.ndarray, "steps batch bytes"]
    """Spikes, packed as in `Spikes`; may be a file."""
    u: Int32[np.ndarray, "_ batch k"]
    """Of the job's neurons after each step; without steps if it is not recorded."""
    v: Int32[np.ndarray, "_ batch k"]
    counts: Int64[np.ndarray, "4 n"] | None
    """What left its range, in the order of `Overflow`; None if it is not counted."""


def errors_of(counted: Overflow) -> list[str]:
    """Return which of the overflows that are errors a run had, in their order."""
    return [kind for kind in STRICT if getattr(counted, kind).any()]


def count_payloads(
    net: FixedPointNetwork, messages: Int64[np.ndarray, "steps batch n_in"]
) -> Int64[np.ndarray, " n"]:
    """Return how often a connection's sum of weights times payloads left 32 bits.

    A message is looked at when it is sent, before and after the shift by weight_exp.
    """
    counts = np.zeros(net.n, dtype=np.int64)
    for block in net.blocks:
        # Spikes add up to less than 2^8 · 2^14: only numbers take a sum so far.
        if block.source != "input" or block.binary:
            continue
        weights = transposed(block.weights)
        factor = 2.0 ** max(block.weight_exp, 0)
        # Most networks cannot come so far, whatever they are sent.
        reach = np.max(abs(weights).sum(axis=0), initial=0) * factor
        if np.abs(messages).max(initial=0) * reach < 2.0**31:
            continue
        for sent in messages:
            # float64 is exact here: see `engine.MAX_COLUMNS`
            totals = np.abs(sent[:, block.pre].astype(np.float64) @ weights) * factor
            counts += (totals >= 2.0**31).sum(axis=0)
    return counts
