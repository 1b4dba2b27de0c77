"""The reference engine: the chip's time step in numpy, a batch of trials at a time.

Slow, plain and the definition: other engines and Lava must give these bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Integer

from isotau.convert import arithmetic, spikes, validation
from isotau.convert.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.convert.philox import membrane_samples
from isotau.convert.progress import Progress, silent
from isotau.convert.spikes import Spikes
from isotau.convert.storage import fingerprint

NAME = "reference"
RECORDABLE = ("u", "v")


class State(NamedTuple):
    """What the network remembers between two steps; every array is trial × column."""

    u: np.ndarray
    v: np.ndarray
    rest: np.ndarray
    """Steps left at reset."""
    spikes: np.ndarray
    """Spikes of the step before, waiting in the recurrent connections."""
    messages: np.ndarray
    """Input messages of the step before, waiting in the input connections."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What a run left behind.

    Attributes:
        spikes: all spikes.
        u: steps × batch × n, int32, after each step; None unless recorded.
        v: the same for v, after the reset.
    """

    spikes: Spikes
    u: np.ndarray | None
    v: np.ndarray | None


class Registers(NamedTuple):
    """A network's numbers as the step uses them: int64, biases and threshold scaled."""

    blocks: list[tuple[WeightBlock, np.ndarray]]
    """Each connection with its weights as float64, pre × post."""
    du: np.ndarray
    dv: np.ndarray
    bias: np.ndarray
    threshold: np.ndarray
    refractory: np.ndarray


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


def initial_state(net: FixedPointNetwork, batch: int) -> State:
    """Return the state at power-up: all zero, nothing under way."""
    zeros = np.zeros((batch, net.n), dtype=np.int64)
    return State(
        u=zeros,
        v=zeros,
        rest=zeros,
        spikes=np.zeros((batch, net.n), dtype=bool),
        messages=np.zeros((batch, net.n_in), dtype=np.int64),
    )


def step(
    chip: Registers, state: State, messages: np.ndarray, noise: np.ndarray | int
) -> State:
    """Return the state one time step later.

    `messages` (trial × channel) arrive with the next step, as everything that passes
    a connection does; `noise` (trial × neuron, or 0) is added to v in this one.
    """
    a = np.zeros_like(state.u)
    for block, weights in chip.blocks:
        source = state.spikes if block.source == "recurrent" else state.messages
        a = a + _delivered(block, weights, source)
    u = arithmetic.update_u(state.u, arithmetic.wrap_int32(a), chip.du)
    v = arithmetic.update_v(state.v, u, chip.dv, chip.bias + noise)
    v = np.where(state.rest > 0, 0, v)
    fired = v > chip.threshold
    rest = np.where(fired, chip.refractory, np.maximum(state.rest - 1, 0))
    return State(u, np.where(fired, 0, v), rest, fired, messages)


def run(
    net: FixedPointNetwork,
    messages: Integer[np.ndarray, "steps batch n_in"],
    *,
    seed: int = 0,
    first_trial: int = 0,
    record: Sequence[str] = (),
    progress: Progress = silent,
) -> Run:
    """Run a batch of trials from power-up and return their spikes.

    Args:
        net: the network.
        messages: what the input channels send; int32, steps × batch × channel.
        seed: of the membrane noise; trial k of the batch draws the noise of trial
            `first_trial` + k whatever the batch.
        first_trial: number of the first trial.
        record: "u", "v" or both, to keep them for every step.
        progress: is given the steps as they pass.

    Raises:
        ValueError: messages of another shape or beyond int32, an unknown variable.
    """
    for name in record:
        validation.choice("record", name, RECORDABLE)
    steps, batch = validation.length("messages", messages, ndim=3), messages.shape[1]
    inputs = validation.integers(
        "messages",
        messages,
        (steps, batch, net.n_in),
        "steps × batch × channel",
        dtype=np.int64,
        low=-(2**31),
        high=2**31 - 1,
    )
    trials = np.arange(first_trial, first_trial + batch)
    bits = np.empty((steps, batch, (net.n + 7) // 8), dtype=np.uint8)
    kept = {name: np.empty((steps, batch, net.n), dtype=np.int32) for name in record}
    chip = registers(net)
    state = initial_state(net, batch)
    for t in progress(range(steps), "reference engine"):
        state = step(chip, state, inputs[t], _noise(net, seed, t, trials))
        bits[t] = spikes.pack(state.spikes)
        for name, values in kept.items():
            values[t] = getattr(state, name)
    made = Spikes(bits=bits, n=net.n, dt=net.dt, engine=NAME, network=fingerprint(net))
    return Run(made, kept.get("u"), kept.get("v"))


def _delivered(
    block: WeightBlock, weights: np.ndarray, source: np.ndarray
) -> np.ndarray:
    """Return what one connection hands over, trial × neuron.

    The sum is taken in float64, which is exact: |weight · message| ≤ 2^39, and fewer
    than 2^14 columns stay below 2^53.
    """
    total = source[:, block.pre].astype(np.float64) @ weights
    return arithmetic.delivered(total.astype(np.int64), block.weight_exp)


def _noise(
    net: FixedPointNetwork, seed: int, t: int, trials: np.ndarray
) -> np.ndarray | int:
    if net.noise_exp is None:
        return 0
    sample = membrane_samples(seed, t, trials, net.n)
    return arithmetic.scale_noise(sample, net.noise_exp)
