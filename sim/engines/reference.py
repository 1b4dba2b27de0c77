"""The reference engine: the chip's time step in numpy, a batch of trials at a time.

Slow, plain and the definition: other engines and Lava must give these bits.
"""

from typing import Any, NamedTuple

import numpy as np

from isotau.convert.chip import arithmetic
from isotau.convert.chip.philox import MEMBRANE, SYNAPSE, noise_samples
from isotau.convert.ground.sparse import transposed
from isotau.convert.records import spikes
from isotau.convert.records.chip_state import ChipState
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock, resets
from isotau.sim.engines.engine import Engine
from isotau.sim.engines.run import EngineJob, Recording


class Registers(NamedTuple):
    """A network's numbers as the step uses them: int64, biases and threshold scaled."""

    blocks: list[tuple[WeightBlock, Any]]
    """Each connection with its weights as float64, pre × post, dense or sparse."""
    du: np.ndarray
    dv: np.ndarray
    bias: np.ndarray
    threshold: np.ndarray
    refractory: np.ndarray


class StepResult(NamedTuple):
    """One time step's outcome: the next state, who spiked, and what left its range."""

    state: ChipState
    fired: np.ndarray
    a: np.ndarray
    u_unwrapped: np.ndarray
    v_unclipped: np.ndarray


def registers(net: FixedPointNetwork) -> Registers:
    """Return the network's registers, ready for `step`."""
    return Registers(
        blocks=[(b, transposed(b.weights)) for b in net.blocks],
        du=net.du.astype(np.int64),
        dv=net.dv.astype(np.int64),
        bias=arithmetic.effective_bias(net.bias_mant, net.bias_exp),
        threshold=net.vth.astype(np.int64) << arithmetic.INPUT_SHIFT,
        refractory=net.refractory.astype(np.int64),
    )


def step(
    chip: Registers,
    state: ChipState,
    messages: np.ndarray,
    *,
    noise: np.ndarray | int = 0,
    current_noise: np.ndarray | int = 0,
    reset: bool = False,
) -> StepResult:
    """Return the outcome of one time step.

    Args:
        chip: from `registers`.
        state: before the step; not changed.
        messages: trial × channel; they arrive with the next step or, where a block has
            a delay, later.
        noise: trial × neuron, or 0; added to v in this step.
        current_noise: as well; added to u.
        reset: whether u and v are set to 0 first: (H2).
    """
    slot = state.step % len(state.ring)
    a = state.ring[slot].astype(np.int64)  # (H1)
    u_before, v_before = (state.u * (not reset), state.v * (not reset))
    u_unwrapped = arithmetic.update_u_unwrapped(
        u_before.astype(np.int64), a, chip.du, current_noise
    )
    u = arithmetic.wrap_u(u_unwrapped)  # (H5)
    drive = chip.bias + noise  # (H6)
    v_unclipped = arithmetic.update_v_unclipped(
        v_before.astype(np.int64), u, chip.dv, drive
    )
    v = np.where(state.rest > 0, 0, arithmetic.clip_v(v_unclipped))  # (H7), (H8)
    fired = v > chip.threshold  # (H9)
    rest = np.where(fired, chip.refractory, np.maximum(state.rest - 1, 0))  # (H10)
    ring = state.ring.astype(np.int64)
    ring[slot] = 0
    for block, weights in chip.blocks:
        arrival = (state.step + 1 + block.delay) % len(ring)
        sent = _delivered(block, weights, fired, messages)
        ring[arrival] = arithmetic.wrap_int32(ring[arrival] + sent)  # (H12)
    after = ChipState(
        u=u.astype(np.int32),
        v=np.where(fired, 0, v).astype(np.int32),  # (H11)
        rest=rest.astype(np.int32),
        ring=ring.astype(np.int32),
        step=state.step + 1,
    )
    return StepResult(after, fired, a, u_unwrapped, v_unclipped)


def simulate(job: EngineJob, recording: Recording) -> ChipState:
    """Fill the recording of a job and return the state at its end."""
    net, now = job.net, job.state
    trials = np.arange(job.messages.shape[1]) + job.first_trial
    chip = registers(net)
    for t in job.progress(range(len(job.messages)), "reference engine"):
        result = step(
            chip,
            now,
            job.messages[t],
            noise=_noise(net.noise_exp, MEMBRANE, job.seed, now.step, trials),
            current_noise=_noise(
                net.current_noise_exp, SYNAPSE, job.seed, now.step, trials
            ),
            reset=resets(net, now.step),
        )
        if recording.counts is not None:
            _count(recording.counts, result, now)
        now = result.state
        recording.bits[t] = spikes.pack(result.fired)
        for trace, values in ((recording.u, now.u), (recording.v, now.v)):
            if len(trace):
                trace[t] = values[:, job.neurons]
    return now


def _delivered(
    block: WeightBlock, weights: Any, fired: np.ndarray, messages: np.ndarray
) -> np.ndarray:
    """Return what one connection hands over, trial × neuron: (H12), (H13).

    The sum is taken in float64, which is exact: |weight · message| ≤ 2^39, and fewer
    than 2^14 columns stay below 2^53.
    """
    source = fired if block.source == "recurrent" else messages
    source = source != 0 if block.binary else source
    total = source[:, block.pre].astype(np.float64) @ weights
    return arithmetic.delivered(total.astype(np.int64), block.weight_exp)


def _noise(
    exponent: np.ndarray, stream: int, seed: int, t: int, trials: np.ndarray
) -> np.ndarray | int:
    """Return what a step's noise adds to v or u, trial × neuron; 0 where all is 0."""
    if not exponent.any():
        return 0
    sample = noise_samples(seed, t, trials, len(exponent), stream)
    return arithmetic.scale_noise(sample, exponent)


def _count(counts: np.ndarray, result: StepResult, before: ChipState) -> None:
    """Add what left its range in one step; a resting neuron's v is not looked at."""
    limit = arithmetic.STATE_LIMIT
    awake = before.rest <= 0
    shifted, u = result.a << arithmetic.INPUT_SHIFT, result.u_unwrapped
    outside = (
        shifted != arithmetic.wrap_int32(shifted),
        u != arithmetic.wrap_u(u),
        awake & (result.v_unclipped < 1 - limit),
        awake & (result.v_unclipped > limit - 1),
    )
    counts += np.array([kind.sum(axis=0) for kind in outside])


run = Engine("reference", simulate)
