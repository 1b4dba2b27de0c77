"""The reference engine: the chip's time step in numpy, a batch of trials at a time.

Slow, plain and the definition: other engines and Lava must give these bits.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Integer

from isotau.convert.chip import arithmetic
from isotau.convert.chip.philox import membrane_samples
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.records import spikes
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock, resets
from isotau.convert.records.spikes import Spikes
from isotau.convert.records.storage import fingerprint
from isotau.sim.engines.diagnostics import raise_first
from isotau.sim.engines.run import (
    Overflow,
    Run,
    State,
    check,
    count_payloads,
    overflowed,
)

NAME = "reference"


class Registers(NamedTuple):
    """A network's numbers as the step uses them: int64, biases and threshold scaled."""

    blocks: list[tuple[WeightBlock, np.ndarray]]
    """Each connection with its weights as float64, pre × post."""
    du: np.ndarray
    dv: np.ndarray
    bias: np.ndarray
    threshold: np.ndarray
    refractory: np.ndarray


class Stepped(NamedTuple):
    """One time step's outcome: the next state, who spiked, and what left its range."""

    state: State
    fired: np.ndarray
    a: np.ndarray
    u_unwrapped: np.ndarray
    v_unclipped: np.ndarray


def registers(net: FixedPointNetwork) -> Registers:
    """Return the network's registers, ready for `step`."""
    return Registers(
        blocks=[(b, np.ascontiguousarray(b.weights.T, np.float64)) for b in net.blocks],
        du=net.du.astype(np.int64),
        dv=net.dv.astype(np.int64),
        bias=arithmetic.effective_bias(net.bias_mant, net.bias_exp),
        threshold=net.vth.astype(np.int64) << arithmetic.INPUT_SHIFT,
        refractory=net.refractory.astype(np.int64),
    )


def step(
    chip: Registers,
    state: State,
    messages: np.ndarray,
    *,
    noise: np.ndarray | int = 0,
    reset: bool = False,
) -> Stepped:
    """Return the outcome of one time step.

    Args:
        chip: from `registers`.
        state: before the step; not changed.
        messages: trial × channel; they arrive with the next step or, where a block has
            a delay, later.
        noise: trial × neuron, or 0; added to v in this step.
        reset: whether u and v are set to 0 first.
    """
    slot = state.step % len(state.ring)
    a = state.ring[slot].astype(np.int64)
    u_before, v_before = (state.u * (not reset), state.v * (not reset))
    u_unwrapped = arithmetic.update_u_unwrapped(u_before.astype(np.int64), a, chip.du)
    u = arithmetic.wrap_u(u_unwrapped)
    drive = chip.bias + noise
    v_unclipped = arithmetic.update_v_unclipped(
        v_before.astype(np.int64), u, chip.dv, drive
    )
    v = np.where(state.rest > 0, 0, arithmetic.clip_v(v_unclipped))
    fired = v > chip.threshold
    rest = np.where(fired, chip.refractory, np.maximum(state.rest - 1, 0))
    ring = state.ring.astype(np.int64)
    ring[slot] = 0
    for block, weights in chip.blocks:
        arrival = (state.step + 1 + block.delay) % len(ring)
        sent = _delivered(block, weights, fired, messages)
        ring[arrival] = arithmetic.wrap_int32(ring[arrival] + sent)
    after = State(
        u=u.astype(np.int32),
        v=np.where(fired, 0, v).astype(np.int32),
        rest=rest.astype(np.int32),
        ring=ring.astype(np.int32),
        step=state.step + 1,
    )
    return Stepped(after, fired, a, u_unwrapped, v_unclipped)


def run(
    net: FixedPointNetwork,
    messages: Integer[np.ndarray, "steps batch n_in"],
    *,
    seed: int = 0,
    first_trial: int = 0,
    record: Sequence[str] = (),
    neurons: Sequence[int] | np.ndarray | None = None,
    state: State | None = None,
    count_overflow: bool = False,
    strict: bool = False,
    progress: Progress = silent,
) -> Run:
    """Run a batch of trials and return their spikes.

    Arguments and errors are those of `isotau.sim.engines.run.check`; `count_overflow`
    fills `Run.overflow`, `progress` is given the steps as they pass.

    Raises:
        ChipOverflow: `strict` was asked for and a number left its range.
    """
    job = check(
        net,
        messages,
        seed=seed,
        first_trial=first_trial,
        record=record,
        neurons=neurons,
        state=state,
    )
    steps, batch, _ = job.messages.shape
    trials = np.arange(first_trial, first_trial + batch)
    bits = np.empty((steps, batch, (net.n + 7) // 8), dtype=np.uint8)
    shape = (steps, batch, len(job.neurons))
    kept = {name: np.empty(shape, dtype=np.int32) for name in job.record}
    overflow = Overflow(*np.zeros((4, net.n), dtype=np.int64))
    if count_overflow or strict:
        overflow.sum_wraps[:] = count_payloads(net, job.messages)
    chip, now = registers(net), job.state
    for t in progress(range(steps), "reference engine"):
        noise = _noise(net, seed, now.step, trials)
        reset = resets(net, now.step)
        done = step(chip, now, job.messages[t], noise=noise, reset=reset)
        if count_overflow or strict:
            _count(overflow, done, now)
        now = done.state
        bits[t] = spikes.pack(done.fired)
        for name, values in kept.items():
            values[t] = getattr(now, name)[:, job.neurons]
    made = Spikes(bits=bits, n=net.n, dt=net.dt, engine=NAME, network=fingerprint(net))
    if strict and overflowed(overflow):
        raise_first(
            run,
            net,
            job.messages,
            seed=seed,
            first_trial=first_trial,
            state=job.state,
        )
    counted = overflow if count_overflow or strict else None
    return Run(made, kept.get("u"), kept.get("v"), now, counted)


def _delivered(
    block: WeightBlock, weights: np.ndarray, fired: np.ndarray, messages: np.ndarray
) -> np.ndarray:
    """Return what one connection hands over, trial × neuron.

    The sum is taken in float64, which is exact: |weight · message| ≤ 2^39, and fewer
    than 2^14 columns stay below 2^53.
    """
    source = fired if block.source == "recurrent" else messages
    source = source != 0 if block.binary else source
    total = source[:, block.pre].astype(np.float64) @ weights
    return arithmetic.delivered(total.astype(np.int64), block.weight_exp)


def _noise(
    net: FixedPointNetwork, seed: int, t: int, trials: np.ndarray
) -> np.ndarray | int:
    if net.noise_exp is None:
        return 0
    sample = membrane_samples(seed, t, trials, net.n)
    return arithmetic.scale_noise(sample, net.noise_exp)


def _count(overflow: Overflow, done: Stepped, before: State) -> None:
    """Add what left its range in one step; a resting neuron's v is not looked at."""
    limit = arithmetic.STATE_LIMIT
    awake = before.rest <= 0
    shifted = done.a << arithmetic.INPUT_SHIFT
    overflow.sum_wraps[:] += (shifted != arithmetic.wrap_int32(shifted)).sum(axis=0)
    u = done.u_unwrapped
    overflow.u_wraps[:] += (u != arithmetic.wrap_u(u)).sum(axis=0)
    overflow.v_low[:] += (awake & (done.v_unclipped < 1 - limit)).sum(axis=0)
    overflow.v_high[:] += (awake & (done.v_unclipped > limit - 1)).sum(axis=0)
