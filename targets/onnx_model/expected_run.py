"""What a network itself makes of random trials, to hold an ONNX file against."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from isotau.convert.records import spikes
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork, decay_fraction
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.stage import Network
from isotau.convert.simulate.normal_kernels import draw
from isotau.convert.simulate.norse_module import LIFModule, StepNoise
from isotau.convert.simulate.rate_dynamics import draw_start, simulate_rate
from isotau.convert.simulate.readout import network_outputs
from isotau.convert.simulate.vectors.normals import RATE, Place
from isotau.targets.onnx_model import lif_to_onnx, rate_to_onnx
from isotau.targets.onnx_model.float_inputs import CURRENT_NOISE, INPUTS, NOISE

NOISES = (NOISE, CURRENT_NOISE)
"""Inputs of a LIF model, in the order of `StepNoise`."""

AMPLITUDES = (1.0, 4.0, 16.0, 64.0)
"""Standard deviation of the inputs, trial by trial in turn, from weak to strong."""
PART = 0.5
"""Part of the inputs that is not 0."""
WILD = 2.0**16
"""Further factor on the strongest messages, so that sums and states overflow."""
MESSAGE_MAX = 2**31 - 1
Engine = Callable[..., Any]
"""`run` of one of `isotau.sim.engines`: (net, messages, seed=, record=) → run."""


class ExpectedRun(NamedTuple):
    """What to feed an ONNX file and what it must give.

    Attributes:
        feeds: inputs by name; steps × batch × channel, states batch × neuron.
        sequences: those of them that have a value for each step.
        states: output by the input that takes it up.
        traced: those of these inputs whose state is compared after every step.
        outputs: outputs that have a value for each step.
        need: values by the name of the output or traced state, steps × batch × unit;
            the state after the last step has "state." before its name.
        optional: states and outputs that a file need not have.
    """

    feeds: dict[str, npt.NDArray[Any]]
    sequences: tuple[str, ...]
    states: dict[str, str]
    traced: tuple[str, ...]
    outputs: tuple[str, ...]
    need: dict[str, npt.NDArray[Any]]
    optional: tuple[str, ...] = ()


def expected_run(
    net: Network, *, trials: int, steps: int, seed: int, engine: Engine | None
) -> ExpectedRun:
    """Return random trials and what a network of any kind makes of them.

    Half of the inputs are 0, the others Gaussian, of `AMPLITUDES` in turn.
    """
    rng = np.random.default_rng([seed, 0])
    shape = (steps, trials, net.n_in)
    inputs = rng.standard_normal(shape) * (rng.random(shape) < PART)
    # Weak ones show rounding, strong ones overflow and saturation.
    inputs *= np.resize(AMPLITUDES, trials)[:, None]
    if isinstance(net, FixedPointNetwork):
        return _fixed(net, inputs, seed, engine)
    if isinstance(net, RateRNN):
        return _rate(net, inputs, seed)
    return _lif(net, inputs, seed)


def _fixed(
    net: FixedPointNetwork,
    inputs: npt.NDArray[np.float64],
    seed: int,
    engine: Engine | None,
) -> ExpectedRun:
    """Return what an engine makes of inputs sent as messages."""
    if engine is None:
        raise ValueError(
            "engine: got None, need one for a FixedPointNetwork; pass "
            "isotau.sim.engines.reference.run"
        )
    scaled = inputs * net.input_scale
    # Every fourth trial, the strongest.
    scaled[:, len(AMPLITUDES) - 1 :: len(AMPLITUDES)] *= WILD
    messages = np.rint(scaled).clip(-MESSAGE_MAX, MESSAGE_MAX).astype(np.int64)
    feeds: dict[str, npt.NDArray[Any]] = {"messages": messages}
    # A file without noise has no such inputs.
    if net.noisy:
        feeds["seed"] = np.array(seed, np.uint64)
        feeds["first_trial"] = np.array(0, np.int64)
    run = engine(net, messages, seed=seed, record=("u", "v"))
    raster = spikes.unpack(run.spikes.bits, net.n).astype(np.uint8)
    outputs = network_outputs(net, run.spikes)
    # Under both names: of the state after each step, and of the recorded trace.
    traces = {"u": run.u, "v": run.v, "u_trace": run.u, "v_trace": run.v}
    end = {name: np.asarray(value) for name, value in run.state._asdict().items()}
    return ExpectedRun(
        feeds=feeds,
        sequences=("messages",),
        states={name: f"{name}_after" for name in (*end, "f")},
        traced=("u", "v"),
        outputs=("spikes", "outputs", "u_trace", "v_trace"),
        need={"spikes": raster, "outputs": outputs, **traces, **_named(end)},
        optional=("outputs", "u_trace", "v_trace", "f"),
    )


def _rate(net: RateRNN, inputs: npt.NDArray[np.float64], seed: int) -> ExpectedRun:
    """Return what a rate network makes of inputs, with start state and noise drawn."""
    steps, batch, _ = inputs.shape
    x0 = draw_start(net, seed, batch)
    feeds = {INPUTS: inputs, "x": x0}
    if net.noise_std:
        # The samples that `simulate_rate` has.
        samples = draw(Place(seed, RATE, 0), (steps, batch, net.n))
        feeds |= {NOISE: samples.astype(np.float64)}
    run = simulate_rate(net, inputs, seed=seed, x0=x0, keep_x=True)
    x = np.asarray(run.x)
    return ExpectedRun(
        feeds=feeds,
        sequences=(INPUTS, NOISE) if NOISE in feeds else (INPUTS,),
        states=rate_to_onnx.STATES,
        traced=("x",),
        outputs=rate_to_onnx.OUTPUTS,
        need={
            "outputs": run.outputs,
            "rates": run.rates,
            "x": x,
            **_named({"x": x[-1]}),
        },
    )


def _lif(net: LIFNetwork, inputs: npt.NDArray[np.float64], seed: int) -> ExpectedRun:
    """Return what a LIF network makes of inputs and noise, by Norse's step."""
    steps, batch, _ = inputs.shape
    feeds: dict[str, npt.NDArray[Any]] = {INPUTS: inputs}
    rng = np.random.default_rng([seed, 2])
    for name, std in zip(NOISES, (net.noise_std, net.current_noise_std), strict=True):
        if std.any():
            feeds[name] = rng.standard_normal((steps, batch, net.n))
    # Step by step by hand, as the module itself draws its noise.
    module = LIFModule(net)
    parameters, per_step = module.norse_parameters(), module.noise_per_step()
    state = module.initial_state(batch)
    loss = decay_fraction(net.tau_out, net.dt)
    f = np.tile(net.f0, (batch, 1))
    traces: dict[str, list[np.ndarray]] = {k: [] for k in ("spikes", "i", "v", "f")}
    with torch.inference_mode():
        for t in range(steps):
            noise = StepNoise(
                *(
                    None if size is None else size * torch.from_numpy(feeds[name][t])
                    for name, size in zip(NOISES, per_step, strict=True)
                )
            )
            state = module.step(torch.from_numpy(inputs[t]), state, parameters, noise)
            z = state.lif.z.numpy()
            f = f * (1 - loss) + z * (loss / net.dt)  # (L12)
            now = (z.astype(np.uint8), state.lif.i.numpy(), state.lif.v.numpy(), f)
            for trace, value in zip(traces.values(), now, strict=True):
                trace.append(value)
    need = {name: np.stack(values) for name, values in traces.items()}
    # The file goes on from all five states; of z and rest only the last is compared.
    end = {name: need[name][-1] for name in ("i", "v", "f")}
    end |= {"z": need["spikes"][-1], "rest": state.refractory_left.numpy()}
    return ExpectedRun(
        feeds=feeds,
        sequences=tuple(feeds),
        states=lif_to_onnx.STATES,
        traced=("i", "v", "f"),
        outputs=lif_to_onnx.OUTPUTS,
        need=need | {"outputs": need["f"] @ net.w_out.T + net.b_out, **_named(end)},
    )


def _named(end: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    return {f"state.{name}": value for name, value in end.items()}
