"""What every engine takes and gives: messages in; spikes, states and counts out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, Int64

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.spikes import Spikes

RECORDABLE = ("u", "v")
MAX_COLUMNS = 1 << 14
"""Weights times payloads of as many channels sum exactly in float64: 2^14 · 2^39."""


@short_repr
class State(NamedTuple):
    """All that a network remembers between two steps; a run goes on from it exactly.

    `ring` holds what is under way in connections: `ring[k]` arrives at the next step
    whose number is k modulo the number of slots.
    """

    u: Int32[np.ndarray, "batch n"]
    v: Int32[np.ndarray, "batch n"]
    rest: Int32[np.ndarray, "batch n"]
    """Steps left at reset."""
    ring: Int32[np.ndarray, "slots batch n"]
    step: int
    """Steps since power-up; decides noise, resets and the place in the ring."""


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
    state: State
    overflow: Overflow | None = None


def overflowed(counted: Overflow) -> bool:
    """Return whether something left its range that changes the dynamics.

    v cut at the top does not: the neuron spikes and is reset all the same, as the
    largest threshold is 2^23 − 64.
    """
    kinds = (counted.sum_wraps, counted.u_wraps, counted.v_low)
    return any(bool(count.any()) for count in kinds)


def count_payloads(
    net: FixedPointNetwork, messages: Int64[np.ndarray, "steps batch n_in"]
) -> Int64[np.ndarray, " n"]:
    """Return how often a connection's sum of weights times payloads left 32 bits.

    A message is looked at when it is sent, before and after the shift by weight_exp.
    """
    counts = np.zeros(net.n, dtype=np.int64)
    for block in net.blocks:
        if block.source != "input" or block.binary:
            continue
        weights = block.weights.T.astype(np.float64)
        factor = 2.0 ** max(block.weight_exp, 0)
        for sent in messages:
            totals = np.abs(sent[:, block.pre].astype(np.float64) @ weights) * factor
            counts += (totals >= 2.0**31).sum(axis=0)
    return counts


def initial_state(net: FixedPointNetwork, batch: int) -> State:
    """Return the state at power-up: u0 and v0, nobody at rest, nothing under way."""
    return State(
        u=np.tile(net.u0, (batch, 1)),
        v=np.tile(net.v0, (batch, 1)),
        rest=np.zeros((batch, net.n), dtype=np.int32),
        ring=np.zeros((net.slots, batch, net.n), dtype=np.int32),
        step=0,
    )


class Job(NamedTuple):
    """The checked arguments of a run."""

    messages: Int64[np.ndarray, "steps batch n_in"]
    neurons: Int64[np.ndarray, " k"]
    state: State
    seed: int
    first_trial: int
    record: tuple[str, ...]


def check(
    net: FixedPointNetwork,
    messages: np.ndarray,
    *,
    seed: int,
    first_trial: int,
    record: Sequence[str],
    neurons: Sequence[int] | np.ndarray | None,
    state: State | None,
) -> Job:
    """Return an engine's arguments, checked.

    Args:
        net: the network.
        messages: what the input channels send; steps × batch × channel, int32.
        seed: of the membrane noise, 0 … 2^64 − 1.
        first_trial: number of the first trial; trial k draws the noise of
            `first_trial` + k whatever the batch.
        record: "u", "v" or both, to keep them for every step.
        neurons: indices of the neurons whose u and v are kept; None for all.
        state: where to start; None for power-up.

    Raises:
        ValueError: messages, neurons or a state that do not fit the network, an unknown
            variable, a seed or trial number that the noise has not.
    """
    for name in record:
        validation.choice("record", name, RECORDABLE)
    for k, block in enumerate(net.blocks):
        if block.source == "input" and len(block.pre) > MAX_COLUMNS:
            raise ValueError(
                f"blocks[{k}].pre: got {len(block.pre)} input channels, need at most "
                f"{MAX_COLUMNS} for exact sums; split the block"
            )
    steps = validation.length("messages", messages, ndim=3)
    batch = validation.length("messages", messages, axis=1, ndim=3)
    if not 0 <= seed < 1 << 64:
        raise ValueError(f"seed: got {seed}, need 0 to 2^64 − 1")
    chosen = np.arange(net.n) if neurons is None else np.asarray(neurons)
    return Job(
        messages=validation.integers(
            "messages",
            messages,
            (steps, batch, net.n_in),
            "steps × batch × channel",
            dtype=np.int64,
            low=-(2**31),
            high=2**31 - 1,
        ),
        neurons=validation.integers(
            "neurons",
            chosen,
            chosen.shape,
            "neuron",
            dtype=np.int64,
            low=0,
            high=net.n - 1,
        ),
        state=_check_state(net, batch, state),
        seed=seed,
        first_trial=validation.whole("first_trial", first_trial, 0, 2**32 - batch),
        record=tuple(record),
    )


def _check_state(net: FixedPointNetwork, batch: int, state: State | None) -> State:
    if state is None:
        return initial_state(net, batch)
    need = initial_state(net, batch)
    for name in ("u", "v", "rest", "ring"):
        got, wanted = np.shape(getattr(state, name)), getattr(need, name).shape
        if got != wanted:
            raise ValueError(
                f"state.{name}: got shape {got}, need {wanted}; go on with the network "
                "and batch that the state came from"
            )
    return state
