"""Running a network on inputs that a user gives."""

from typing import NamedTuple

import numpy as np
import torch

from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.read.read_inputs import Inputs
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.spikes import Spikes, mean_rate
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.readout import read_out
from isotau.convert.to_fixed.quantize import messages
from isotau.sim.engines.engine import engine_named


@short_repr
class Simulated(NamedTuple):
    """What a network did, and the class that it put each trial into.

    The class is the output with the largest mean.
    """

    spikes: Spikes
    classes: np.ndarray
    accuracy: float | None
    """Share of trials whose class is the label; None without labels."""


def simulate_on(
    net: LIFNetwork | FixedPointNetwork,
    inputs: Inputs,
    *,
    engine: str = "compiled",
    seed: int = 0,
    progress: Progress = silent,
) -> Simulated:
    """Return what a network does on given inputs.

    Args:
        net: the network; a float one runs in Norse.
        inputs: what it is shown, in steps of its dt.
        engine: simulates the chip, one of `isotau.sim.engines.engine.ENGINES`.
        seed: of the membrane noise.
        progress: is given the steps as they pass.

    Raises:
        ValueError: inputs that do not belong to the network, another engine.
    """
    check_inputs(net, inputs)
    if isinstance(net, LIFNetwork):
        generator = torch.Generator().manual_seed(seed)
        run = simulate_lif(net, inputs.values, generator=generator, progress=progress)
        spikes = run.spikes
    else:
        run_chip = engine_named(engine)
        sent = messages(net, inputs.values)
        spikes = run_chip(net, sent, seed=seed, progress=progress).spikes
    classes = classify(net, spikes)
    right = None
    if inputs.labels is not None:
        right = float((classes == inputs.labels).mean())
    return Simulated(spikes, classes, right)


def classify(net: LIFNetwork | FixedPointNetwork, spikes: Spikes) -> np.ndarray:
    """Return the output with the largest mean of every trial."""
    outputs = read_out(
        spikes, w_out=net.w_out, b_out=net.b_out, tau=net.tau_out, f0=net.f0
    )
    return outputs.mean(axis=0).argmax(axis=1)


def check_inputs(net: LIFNetwork | FixedPointNetwork, inputs: Inputs) -> None:
    """Refuse inputs of another step, and labels beyond the outputs.

    Raises:
        ValueError: either.
    """
    if inputs.dt is not None and abs(inputs.dt / net.dt - 1) > 1e-6:
        raise ValueError(
            f"dt: got inputs of {inputs.dt} s, need {net.dt} s, the network's; resample"
        )
    if inputs.labels is not None and inputs.labels.max() >= net.n_out:
        raise ValueError(
            f"labels: got {inputs.labels.max()}, need less than {net.n_out}, the "
            "network's outputs"
        )


def describe(run: Simulated) -> str:
    """Return what came of a run in a line or two."""
    spikes = run.spikes
    lines = [
        f"{spikes.n} neurons, {spikes.batch} trials of {spikes.steps} steps: "
        f"{mean_rate(spikes):.2f} Hz on average"
    ]
    if run.accuracy is not None:
        lines.append(f"accuracy: {run.accuracy:.3f}")
    return "\n".join(lines)
