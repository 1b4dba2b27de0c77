"""Running isotau's fixed-point ONNX models in onnxruntime."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import onnx
from jaxtyping import Float64, Int32, Integer

from isotau.convert.ground import validation
from isotau.convert.ground.errors import UnreadableFile
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.records import spikes as packed
from isotau.convert.records.chip_state import ChipState, check_state
from isotau.convert.records.spikes import Spikes
from isotau.targets.onnx_model.fixed_to_onnx import STATE
from isotau.targets.onnx_model.model_file import read_model, read_properties

NAME = "onnx"
AT_ONCE = 1 << 24
"""Spikes that onnxruntime is asked for at a time, each a byte."""
FATAL = 4
"""Level of onnxruntime's log at which errors, which are raised, are not printed too."""
GRAPHS = ("scan", "step")
"""Kinds of models: over time, and of one step."""


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class OnnxRun:
    """What a run left behind.

    Attributes:
        spikes: all spikes.
        u: steps × batch × neuron after each step; None unless the model records it.
        v: the same for v, after the reset.
        state: where the run stopped; give it to the next, or to an engine, to go on.
        outputs: of the readout; None if the model has none.
        f: filtered spike trains after the last step, in Hz; likewise.
    """

    spikes: Spikes
    u: Int32[np.ndarray, "steps batch n"] | None
    v: Int32[np.ndarray, "steps batch n"] | None
    state: ChipState
    outputs: Float64[np.ndarray, "steps batch n_out"] | None
    f: Float64[np.ndarray, "batch n"] | None


class OpenModel(NamedTuple):
    """A model ready to run: from `open_model`."""

    session: Any
    properties: dict[str, Any]
    takes: frozenset[str]
    gives: tuple[str, ...]


def open_model(
    model: onnx.ModelProto | str | os.PathLike[str], *, threads: int = 1
) -> OpenModel:
    """Return a fixed-point model, or the file that holds one, loaded in onnxruntime.

    Raises:
        ImportError: onnxruntime is not installed.
        UnreadableFile: see `read_model`; or no fixed-point model of isotau's, or
            onnxruntime refuses it.
    """
    # Before the file is read, so that a missing package is not blamed on it.
    need_onnxruntime("models")
    threads = validation.whole("threads", threads, 1, 1024)
    if isinstance(model, onnx.ModelProto):
        return _open(model, threads)
    whole = read_model(model)
    try:
        return _open(whole, threads)
    except UnreadableFile as error:
        raise UnreadableFile(f"{os.fspath(model)}: {error}") from error


def need_onnxruntime(what: str) -> None:
    """Raise ImportError where onnxruntime is not installed."""
    if find_spec("onnxruntime") is None:
        raise ImportError(
            f"onnxruntime: got no such package, need it to run ONNX {what}; pip "
            "install onnxruntime"
        )


def start_session(model: onnx.ModelProto, threads: int, **settings: Any) -> Any:
    """Return an onnxruntime session for a model; what it raises is `refusals`.

    Args:
        model: from memory, so that what was inspected is what runs.
        threads: for one operator; operators run one after the other.
        settings: further ones of `onnxruntime.SessionOptions`.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = FATAL
    # By name, as the options are attributes of a class of C++.
    for name, value in settings.items():
        setattr(options, name, value)
    # Threads that wait in a loop for work would take the cores of other runs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def refusals() -> tuple[type[Exception], ...]:
    """Return onnxruntime's errors, which have no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    kinds = (getattr(state, name) for name in dir(state))
    return tuple(
        kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Exception)
    )


def _open(model: onnx.ModelProto, threads: int) -> OpenModel:
    """Return a model loaded in onnxruntime."""
    # First what isotau wrote: onnxruntime would run any other model as well.
    properties = _properties(model)
    try:
        session = start_session(model, threads)
    except refusals() as error:
        raise UnreadableFile(
            f"model: got {error} from onnxruntime, need a model that it runs"
        ) from error
    # Inputs with a default are initializers that a feed may replace.
    optional = session.get_overridable_initializers()
    return OpenModel(
        session=session,
        properties=properties,
        takes=frozenset(entry.name for entry in (*session.get_inputs(), *optional)),
        gives=tuple(entry.name for entry in session.get_outputs()),
    )


def _properties(model: onnx.ModelProto) -> dict[str, Any]:
    """Return a fixed-point model's properties, with those that a run needs checked."""
    properties = read_properties(model)
    kind = properties.get("kind")
    if kind != "FixedPointNetwork":
        raise UnreadableFile(
            f"metadata_props: got a model of a {kind}, need one of a FixedPointNetwork"
        )
    # A file with the right kind may still be damaged or forged.
    try:
        validation.choice("graph", properties["graph"], GRAPHS)
        for name in ("n", "n_in", "slots"):
            validation.whole(name, properties[name], 1, 1 << 24)
        validation.number("dt", properties["dt"], positive=True)
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableFile(
            f"metadata_props: got {error}, need what isotau wrote; the file is damaged"
        ) from error
    return properties


def run_onnx(
    model: onnx.ModelProto | str | os.PathLike[str] | OpenModel,
    messages: Integer[np.ndarray, "steps batch n_in"],
    *,
    seed: int = 0,
    first_trial: int = 0,
    state: Any = None,
    f: Float64[np.ndarray, "batch n"] | None = None,
    threads: int = 1,
    progress: Progress = silent,
) -> OnnxRun:
    """Return what onnxruntime makes of a batch of trials.

    Long runs go through the model in parts, so that no more is in memory than spikes
    packed and what the model records; a model of one step is run step by step.

    Args:
        model: from `fixed_to_onnx` or `fixed_step_to_onnx`, a file of one, or what
            `open_model` returned, which saves loading it again.
        messages: what the input channels send, within 32 bits.
        seed: of the membrane noise, 0 … 2^64 − 1.
        first_trial: number of the first trial, for the noise.
        state: where to start, also an engine's; None for power-up.
        f: filtered spike trains at the start, in Hz; None for those at power-up.
        threads: that onnxruntime may use; not looked at if the model is open.
        progress: is given the parts as they pass.

    Raises:
        ValueError: messages or a state that do not fit the network, a seed or trial
            number that the noise has not.
    """
    opened = model
    if not isinstance(opened, OpenModel):
        opened = open_model(opened, threads=threads)
    properties = opened.properties
    feeds = _feeds(opened, messages, seed, first_trial, state, f)
    sent = feeds.pop("messages")
    steps, batch = sent.shape[:2]
    # As many steps at once as spikes fit: all of a run may not, at a byte each.
    by_step = properties["graph"] == "step"
    part = 1 if by_step else max(1, AT_ONCE // (batch * properties["n"]))
    parts: dict[str, list[np.ndarray]] = {}
    after: dict[str, np.ndarray] = {}
    for begin in progress(range(0, steps, part), "onnxruntime"):
        now = sent[begin] if by_step else sent[begin : begin + part]
        results = _call(opened, feeds | {"messages": now})
        # What one part leaves is what the next begins with.
        after = {k: v for k, v in results.items() if k.endswith("_after")}
        feeds |= {name.removesuffix("_after"): value for name, value in after.items()}
        # An eighth of the memory, and what `Spikes` holds.
        results["spikes"] = packed.pack(results["spikes"])
        for name in results.keys() - after.keys():
            # A model of one step has no axis of time.
            value = results[name][None] if by_step else results[name]
            parts.setdefault(name, []).append(value)
    whole = {name: np.concatenate(values) for name, values in parts.items()}
    origin = {
        "dt": properties["dt"],
        "engine": NAME,
        "network": properties["fingerprint"],
    }
    return OnnxRun(
        spikes=Spikes(bits=whole["spikes"], n=properties["n"], **origin),
        u=whole.get("u_trace"),
        v=whole.get("v_trace"),
        state=_state(after),
        outputs=whole.get("outputs"),
        f=after.get("f_after"),
    )


def _feeds(
    opened: OpenModel,
    messages: np.ndarray,
    seed: int,
    first_trial: int,
    state: Any,
    f: np.ndarray | None,
) -> dict[str, np.ndarray]:
    """Return the inputs of a model, checked as the engines check them."""
    properties = opened.properties
    sent = validation.messages(messages, properties["n_in"])
    batch = sent.shape[1]
    seed, first_trial = validation.noise_counter(seed, first_trial, batch)
    feeds = {
        "messages": sent,
        "seed": np.array(seed, np.uint64),
        "first_trial": np.array(first_trial, np.int64),
    }
    if state is not None:
        check_state(state, batch, properties["n"], properties["slots"])
        feeds |= {name: np.asarray(getattr(state, name), np.int64) for name in STATE}
    if f is not None:
        feeds["f"] = validation.floats(
            "f", f, (batch, properties["n"]), "batch × neuron"
        )
    return feeds


def _call(opened: OpenModel, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return a model's outputs by name; it gets those of the values that it takes."""
    feeds = {name: value for name, value in values.items() if name in opened.takes}
    return dict(zip(opened.gives, opened.session.run(None, feeds), strict=True))


def _state(after: Mapping[str, np.ndarray]) -> ChipState:
    # Within int32 by the step itself, which wraps and saturates.
    u, v, rest, ring = (after[f"{name}_after"].astype(np.int32) for name in STATE[:-1])
    return ChipState(u, v, rest, ring, int(after["step_after"]))
