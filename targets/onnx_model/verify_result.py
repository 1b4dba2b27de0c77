"""What came of comparing an ONNX file with a network, and the comparison itself.

What a network itself makes of random trials, to hold an ONNX file against.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from isotau.convert.records import spikes
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork, decay_fraction
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.stage import FloatNetwork, Network
from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.simulate.readout import network_outputs
from isotau.targets.onnx_model import lif_to_onnx, rate_to_onnx
from isotau.targets.onnx_model.float_inputs import INPUTS, NOISE

AMPLITUDES = (1.0, 4.0, 16.0, 64.0)
"""Standard deviation of the inputs, trial by trial in turn, from weak to strong."""
PART = 0.5
"""Part of the inputs that is not 0."""
WILD = 2.0**16
"""Further factor on the strongest messages, so that sums and states overflow."""
MESSAGE_MAX = 2**31 - 1
Engine = Callable[..., Any]
"""`run` of one of `isotau.sim.engines`: (net, messages, seed=, record=) → run."""


class Trial(NamedTuple):
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


def trial_of(
    net: Network, *, trials: int, steps: int, seed: int, engine: Engine | None
) -> Trial:
    """Return random trials and what a network of any kind makes of them.

    Half of the inputs are 0, the others Gaussian, of `AMPLITUDES` in turn.
    """
    rng = np.random.default_rng([seed, 0])
    shape = (steps, trials, net.n_in)
    inputs = rng.standard_normal(shape) * (rng.random(shape) < PART)
    inputs *= np.resize(AMPLITUDES, trials)[:, None]
    if isinstance(net, FixedPointNetwork):
        return _fixed(net, inputs, seed, engine)
    return (
        _rate(net, inputs, seed)
        if isinstance(net, RateRNN)
        else _lif(net, inputs, seed)
    )


def _fixed(
    net: FixedPointNetwork,
    inputs: npt.NDArray[np.float64],
    seed: int,
    engine: Engine | None,
) -> Trial:
    """Return what an engine makes of inputs sent as messages."""
    if engine is None:
        raise ValueError(
            "engine: got None, need one for a FixedPointNetwork; pass "
            "isotau.sim.engines.reference.run"
        )
    scaled = inputs * net.input_scale
    scaled[:, len(AMPLITUDES) - 1 :: len(AMPLITUDES)] *= WILD
    messages = np.rint(scaled).clip(-MESSAGE_MAX, MESSAGE_MAX).astype(np.int64)
    feeds: dict[str, npt.NDArray[Any]] = {"messages": messages}
    if net.noise_exp is not None:
        feeds["seed"] = np.array(seed, np.uint64)
        feeds["first_trial"] = np.array(0, np.int64)
    run = engine(net, messages, seed=seed, record=("u", "v"))
    raster = spikes.unpack(run.spikes.bits, net.n).astype(np.uint8)
    outputs = network_outputs(net, run.spikes)
    traces = {"u": run.u, "v": run.v, "u_trace": run.u, "v_trace": run.v}
    end = {name: np.asarray(value) for name, value in run.state._asdict().items()}
    return Trial(
        feeds=feeds,
        sequences=("messages",),
        states={name: f"{name}_after" for name in (*end, "f")},
        traced=("u", "v"),
        outputs=("spikes", "outputs", "u_trace", "v_trace"),
        need={"spikes": raster, "outputs": outputs, **traces, **_named(end)},
        optional=("outputs", "u_trace", "v_trace", "f"),
    )


def _rate(net: RateRNN, inputs: npt.NDArray[np.float64], seed: int) -> Trial:
    """Return what a rate network makes of inputs, with start state and noise drawn."""
    steps, batch, _ = inputs.shape
    start = np.random.default_rng([seed, 1])
    x0 = start.normal(net.x0, net.x0_std, (batch, net.n))
    feeds = {INPUTS: inputs, "x": x0} | _noise(net, steps, batch, seed)
    # It draws from the same source what `_noise` drew at once.
    rng = np.random.default_rng([seed, 2])
    run = simulate_rate(net, inputs, rng=rng, x0=x0, keep_x=True)
    x = np.asarray(run.x)
    return Trial(
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


def _lif(net: LIFNetwork, inputs: npt.NDArray[np.float64], seed: int) -> Trial:
    """Return what a LIF network makes of inputs and noise, by Norse's step."""
    steps, batch, _ = inputs.shape
    feeds = {INPUTS: inputs} | _noise(net, steps, batch, seed)
    module = LIFModule(net)
    parameters, per_step = module.norse_parameters(), module.noise_per_step()
    state = module.initial_state(batch)
    loss = decay_fraction(net.tau_out, net.dt)
    f = np.tile(net.f0, (batch, 1))
    kept: dict[str, list[np.ndarray]] = {k: [] for k in ("spikes", "i", "v", "f")}
    with torch.inference_mode():
        for t in range(steps):
            noise = None
            if NOISE in feeds:
                noise = per_step * torch.from_numpy(feeds[NOISE][t])
            state = module.step(torch.from_numpy(inputs[t]), state, parameters, noise)
            z = state.lif.z.numpy()
            f = f * (1 - loss) + z * (loss / net.dt)
            now = (z.astype(np.uint8), state.lif.i.numpy(), state.lif.v.numpy(), f)
            for name, value in zip(kept, now, strict=True):
                kept[name].append(value)
    need = {name: np.stack(values) for name, values in kept.items()}
    end = {name: need[name][-1] for name in ("i", "v", "f")}
    end |= {"z": need["spikes"][-1], "rest": state.refractory_left.numpy()}
    return Trial(
        feeds=feeds,
        sequences=(INPUTS, NOISE) if NOISE in feeds else (INPUTS,),
        states=lif_to_onnx.STATES,
        traced=("i", "v", "f"),
        outputs=lif_to_onnx.OUTPUTS,
        need=need | {"outputs": need["f"] @ net.w_out.T + net.b_out, **_named(end)},
    )


def _noise(
    net: FloatNetwork, steps: int, batch: int, seed: int
) -> dict[str, npt.NDArray[Any]]:
    if not net.noise_std:
        return {}
    rng = np.random.default_rng([seed, 2])
    return {NOISE: rng.standard_normal((steps, batch, net.n))}


def _named(end: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    return {f"state.{name}": value for name, value in end.items()}


Arrays = Mapping[str, npt.NDArray[np.generic]]
STATE = "state."
"""Before the names of what the network remembers after the last step."""
TINY = float(np.finfo(np.float32).tiny)
"""Magnitude below which differences are not relative."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first value that differs: earliest step, then trial, then neuron or output.

    Attributes:
        step: number of the step, from 0; None for the state after the last.
        trial: number of the trial, from 0.
        neuron: number of the neuron or output.
        name: of the output.
        got: what the file gave.
        need: what the network gives.
    """

    step: int | None
    trial: int
    neuron: int
    name: str
    got: float
    need: float


@dataclass(frozen=True, slots=True)
class Compared:
    """How one output agreed.

    Attributes:
        name: of the output; with "state." before it, after the last step.
        values: how many were compared.
        different: how many differ by more than the tolerance.
        largest: largest |difference|; for floats as a part of the largest magnitude
            that the output has in the trial.
        tolerance: largest one that counts as none; 0 for exact.
    """

    name: str
    values: int
    different: int
    largest: float
    tolerance: float


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of running an ONNX file beside the network that it should hold.

    Attributes:
        path: of the file.
        kind: of the network, "FixedPointNetwork", "LIFNetwork" or "RateRNN".
        dtype: of the file's numbers, "int64", "float32" or "float64".
        trials: how many were run.
        steps: of each trial.
        seed: of inputs and noise.
        compared: one for each output.
        first: the first difference, None if there is none.
        spikes: how many spikes the network has; 0 for a rate network.
        agreement: share of the spikes of either that both have; 1 without spikes.
        marked: whether the file names the network that it was made from.
        runtime: version of onnxruntime.
    """

    path: str
    kind: str
    dtype: str
    trials: int
    steps: int
    seed: int
    compared: tuple[Compared, ...]
    first: Difference | None
    spikes: int
    agreement: float
    marked: bool
    runtime: str

    @property
    def identical(self) -> bool:
        """Whether nothing differs: not a bit, or for floats not by the tolerance."""
        return self.first is None


def describe(verified: Verified) -> str:
    """Return the result as text: the verdict, then one line for each output."""
    at = verified.first
    exact = verified.kind == "FixedPointNetwork"
    alike = "identical, bit for bit" if exact else "identical within the tolerance"
    lines = [
        f"{verified.path}: {alike if at is None else 'DIFFERENT'}; {verified.kind}, "
        f"{verified.dtype}, {verified.trials} trials of {verified.steps} steps, seed "
        f"{verified.seed}, onnxruntime {verified.runtime}"
    ]
    if at is not None:
        when = "after the last step" if at.step is None else f"step {at.step}"
        lines.append(
            f"first difference: {at.name} of {at.neuron}, {when}, trial {at.trial}: "
            f"got {at.got:.17g}, need {at.need:.17g}"
        )
    for one in verified.compared:
        told = f"{one.name}: {one.different} of {one.values} differ"
        if one.tolerance:
            told += f" by more than {one.tolerance:g} (largest {one.largest:.2g})"
            told += " of a trial's largest"
        lines.append(told)
    if verified.kind != "RateRNN":
        lines.append(
            f"spikes: {verified.spikes} in the network, {verified.agreement:.2%} of "
            "those of either are in both"
        )
        if not verified.spikes:
            lines.append("no neuron fired: raise steps, or give inputs that drive it")
    if not verified.marked:
        lines.append("the file does not say which network it was made from")
    return "\n".join(lines)


def as_json(verified: Verified) -> dict[str, Any]:
    """Return the result as plain data; infinities and NaN as text."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [plain(inner) for inner in value]
        odd = isinstance(value, float) and not math.isfinite(value)
        return str(value) if odd else value

    return {"identical": verified.identical, **plain(asdict(verified))}


def compare(
    got: Arrays, need: Arrays, tolerance: float
) -> tuple[tuple[Compared, ...], Difference | None]:
    """Return how each output agreed, and the first difference.

    Integers must be equal. Floats may differ by `tolerance` times the largest magnitude
    that the output has in the same trial. Once a trial's spikes differ it goes another
    way: its floats are compared up to that step.

    Args:
        got: what the file gave: steps × batch × unit, with "state." batch × unit.
        need: the same of the network.
        tolerance: relative, for floats.
    """
    same = _alike(got, need)
    compared, found = [], []
    for name, wanted in need.items():
        exact = wanted.dtype.kind in "biu"
        allowed = 0.0 if exact else tolerance
        off = _distance(got[name], wanted)
        if not exact:
            off = off / _size(wanted)
            if same is not None:
                still = same[-1] if name.startswith(STATE) else same
                off = np.where(still[..., None], off, 0.0)
        wrong = off > allowed
        compared.append(
            Compared(
                name=name,
                values=int(wanted.size),
                different=int(np.count_nonzero(wrong)),
                largest=float(off.max(initial=0)),
                tolerance=allowed,
            )
        )
        if wrong.any():
            found.append(_first(name, wrong, got[name], wanted))
    last = np.inf
    found.sort(key=lambda d: (last if d.step is None else d.step, d.trial, d.neuron))
    return tuple(compared), found[0] if found else None


def agreement(got: np.ndarray, need: np.ndarray) -> float:
    """Return the share of the spikes of either raster that both have; 1 for none."""
    either = int(np.count_nonzero((got != 0) | (need != 0)))
    both = int(np.count_nonzero((got != 0) & (need != 0)))
    return both / either if either else 1.0


def _alike(got: Arrays, need: Arrays) -> np.ndarray | None:
    """Return steps × batch, true until a trial's spikes differ; None without spikes."""
    if "spikes" not in need:
        return None
    off = (got["spikes"] != need["spikes"]).any(axis=-1)
    return ~np.logical_or.accumulate(off, axis=0)


def _distance(got: np.ndarray, need: np.ndarray) -> np.ndarray:
    """Return |got − need|; 0 where both are the same infinity or no number."""
    if need.dtype.kind in "biu":
        # A difference of 64-bit integers may wrap, but never to 0.
        off = np.abs(got.astype(np.float64) - need.astype(np.float64))
        return np.where(got != need, np.maximum(off, 1.0), 0.0)
    with np.errstate(invalid="ignore"):
        off = np.abs(got.astype(np.float64) - need)
    same = (got == need) | (np.isnan(got) & np.isnan(need))
    return np.where(same, 0.0, np.where(np.isnan(off), np.inf, off))


def _size(need: np.ndarray) -> np.ndarray:
    """Return the largest finite magnitude of each trial, along its axis."""
    magnitude = np.where(np.isfinite(need), np.abs(need), 0.0)
    along = tuple(axis for axis in range(need.ndim) if axis != need.ndim - 2)
    return np.maximum(magnitude.max(axis=along, keepdims=True), TINY)


def _first(
    name: str, wrong: np.ndarray, got: np.ndarray, need: np.ndarray
) -> Difference:
    place = tuple(int(k) for k in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
    within = (0, 0, 0, *place)  # a state may be a number
    return Difference(
        step=None if name.startswith(STATE) else within[-3],
        trial=within[-2],
        neuron=within[-1],
        name=name.removeprefix(STATE),
        got=float(got[place]),
        need=float(need[place]),
    )
