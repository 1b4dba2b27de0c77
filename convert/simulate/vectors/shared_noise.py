"""Noise that neurons share: drawn here, and sent through input channels.

A compartment draws noise of its own; what several have in common has to come from
outside. The last channels of a network with `input_noise_std` carry it: one draw for
the LIF stage, the chip's messages, and whoever sends them.
"""

import numpy as np
from jaxtyping import Float64

from isotau.convert.ground.errors import Finding, info
from isotau.convert.ground.validation import noise_counter
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.simulate.vectors.normals import SHARED, normals_of_steps

CHUNK = 1 << 20
"""Numbers that are drawn at a time."""


def fill_channels(
    net: LIFNetwork | FixedPointNetwork,
    inputs: Float64[np.ndarray, "steps batch channels"],
    *,
    seed: int | None,
    first_trial: int = 0,
) -> Float64[np.ndarray, "steps batch n_in"]:
    """Return inputs with the noise that neurons share behind what is shown: (L20).

    Inputs of all channels, and those of a network without such noise, are returned as
    they are.

    Args:
        net: the network.
        inputs: of its shown channels, in its own steps.
        seed: of the noise, 0 ≤ seed < 2^64; None for none, where channels are 0.
        first_trial: number of the first trial.

    Raises:
        ValueError: a seed or trial number that the noise has not.
    """
    inputs = np.asarray(inputs)
    sources = len(net.input_noise_std)
    if not sources or inputs.ndim != 3 or inputs.shape[2] != net.n_shown:
        return inputs  # of another number of channels the engines complain
    steps, batch, _ = inputs.shape
    filled = np.zeros((steps, batch, net.n_in))
    filled[..., : net.n_shown] = inputs
    if seed is not None:
        drawn = shared_normals(seed, SHARED, (steps, batch, sources), first_trial)
        filled[..., net.n_shown :] = net.input_noise_std * drawn
    return filled


def findings_of_channels(net: LIFNetwork | FixedPointNetwork) -> list[Finding]:
    """Return a finding for whoever runs a network whose channels carry noise."""
    sources = len(net.input_noise_std)
    if not sources:
        return []
    return [
        info(
            "input_noise_std",
            f"input_noise_std: got noise in the last {sources} of {net.n_in} input "
            "channels, need somebody who sends it",
            "inputs and messages that isotau makes have it (fill_channels); without, "
            "neurons share no noise",
        )
    ]


def shared_normals(
    seed: int, stream: int, shape: tuple[int, int, int], first_trial: int
) -> Float64[np.ndarray, "steps batch sources"]:
    """Return standard normal numbers for each step, trial and source, (P8) to (P11).

    Args:
        seed: 0 ≤ seed < 2^64.
        stream: of the generator.
        shape: steps, trials and sources.
        first_trial: number of the first trial.

    Raises:
        ValueError: a seed or trial number that the noise has not.
    """
    steps, batch, sources = shape
    seed, first_trial = noise_counter(seed, first_trial, batch)
    trials, drawn = first_trial + np.arange(batch), np.empty(shape)
    stride = max(1, CHUNK // max(1, batch * sources))
    for lo in range(0, steps, stride):
        span = np.arange(lo, min(lo + stride, steps))
        drawn[span] = normals_of_steps(seed, stream, span, trials, sources)
    return drawn
