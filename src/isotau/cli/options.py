"""Arguments and options of the commands; those that go together are records.

A command takes a record as one parameter, and `spread` shows its fields to Typer.
Nothing here needs torch, so that --help is quick.
"""

import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from isotau.sim.engines.engine import ENGINES

# A table of names of modules: none of the engines is imported for it.
DEFAULT_ENGINE = next(iter(ENGINES))


def any_of(names: Iterable[str]) -> str:
    """Return "a, b or c."."""
    *most, last = names
    return f"{', '.join(most)} or {last}."


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command whose records of options are single options to Typer.

    Every parameter that is a dataclass gives way to its fields. A field that two of
    them share is one option, with the text of the first.
    """
    signature = inspect.signature(command, eval_str=True)
    records: dict[str, Any] = {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if is_dataclass(parameter.annotation)
    }
    options: dict[str, inspect.Parameter] = {}
    for name, parameter in signature.parameters.items():
        # By keyword alone: options without a default may then follow those with one.
        if name not in records:
            options[name] = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            continue
        hints = get_type_hints(records[name], include_extras=True)
        for field in fields(records[name]):
            option = inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=hints[field.name],
            )
            options.setdefault(field.name, option)

    # The docstring is the help, the name the command's: both come along.
    @functools.wraps(command)
    def run(**values: Any) -> None:
        arguments = {k: v for k, v in values.items() if k in signature.parameters}
        for name, record in records.items():
            # Shared fields reach every record that has them.
            chosen = {field.name: values[field.name] for field in fields(record)}
            arguments[name] = record(**chosen)
        command(**arguments)

    # Typer reads both: the signature for defaults, the annotations for types.
    run.__dict__["__signature__"] = signature.replace(parameters=[*options.values()])
    run.__annotations__ = {name: each.annotation for name, each in options.items()}
    return run


def unset(text: str, *names: str) -> Any:
    """Return an option that has no default to show."""
    return typer.Option(*names, help=text, show_default=False)


Network = Annotated[
    Path,
    typer.Argument(
        metavar="NETWORK",
        help="A trained rate network: spikeRNN .mat, a state dict of torch.nn.RNN or "
        "of the low-rank papers (.pt), ONNX, PsychRNN or plain .npz, .rate.npz.",
        show_default=False,
    ),
]
AnyNetwork = Annotated[
    Path,
    typer.Argument(
        metavar="NETWORK",
        help="A network of any stage: .fixed.npz, .lif.npz, NIR, or a trained rate "
        "network as `isotau run` takes it.",
        show_default=False,
    ),
]
SHOWN = (
    "What the network is shown: .npz with inputs (steps × trials × channels){}, or "
    ".npy."
)
Inputs = Annotated[Path, unset(SHOWN.format(" and, if you have them, labels"))]
OptionalInputs = Annotated[Path | None, unset(SHOWN.format(""))]
TaskName = Annotated[
    str | None,
    unset("The task that the network was trained on; go-nogo for one that fits it."),
]
Method = Annotated[
    str,
    typer.Option(
        help="calibrate: refit weights to the neurons' spikes. scale: one factor λ, as "
        "published."
    ),
]
Copies = Annotated[int, typer.Option(help="LIF neurons for each unit.")]
MaxCopies = Annotated[
    int,
    typer.Option(
        help="calibrate: as many neurons for each unit are tried, where fewer do not "
        "keep its state."
    ),
]
MaxRate = Annotated[
    float | None,
    unset("calibrate: mean firing rate that a network may have in the task, in Hz."),
]
MaxSeconds = Annotated[
    float,
    typer.Option(
        help="calibrate: seconds after which nothing else is tried, once a network "
        "answers well enough."
    ),
]
CurrentNoise = Annotated[
    float,
    typer.Option(
        help="Share of the rate network's noise that goes to the synaptic "
        "currents, 0 for none. Timescales at rest are the memory of this noise."
    ),
]
Trim = Annotated[
    bool,
    typer.Option(
        help="Whether every τ_syn is trimmed in the end, until its neuron's state at "
        "rest remembers as long as the unit's; --no-trim keeps the units' own τ."
    ),
]
StepMs = Annotated[
    float | None,
    unset(
        "Step of the LIF neurons and the chip, in ms; if not given 1, or the shortest "
        "at which the chip's registers hold the network's longest time constants."
    ),
]
Trials = Annotated[int, typer.Option(help="Trials on which the stages are scored.")]
SearchTrials = Annotated[
    int,
    typer.Option(help="Other trials, on which the conversion is made and chosen."),
]
Bits = Annotated[int, typer.Option(help="Bits of a weight on the chip, 1 to 8.")]
Engine = Annotated[
    str,
    typer.Option(help=f"What simulates the chip: {', '.join(ENGINES)}."),
]
Seed = Annotated[int, typer.Option(help="Seed of everything that is drawn.")]
Out = Annotated[Path, typer.Option(help="Folder for everything that is left.")]


@dataclass(frozen=True, kw_only=True)
class AssumedOptions:
    """What the file of a rate network does not state."""

    dt_ms: Annotated[
        float | None, unset("What the file does not state: step, in ms.")
    ] = None
    tau_ms: Annotated[
        float | None, unset("What the file does not state: τ of every unit, in ms.")
    ] = None
    alpha: Annotated[float | None, unset("What the file does not state: dt/τ.")] = None
    noise_std: Annotated[
        float | None,
        unset("What the file does not state: SD of the noise on x in each step."),
    ] = None
    activation: Annotated[
        str | None,
        unset(
            "What the file does not state: activation: sigmoid, tanh, relu, softplus "
            "or lif."
        ),
    ] = None
    readout: Annotated[
        str | None,
        unset(
            "What the file does not state: name of the linear readout in a torch state "
            "dict."
        ),
    ] = None

    def for_reader(self) -> dict[str, Any]:
        """Return the arguments of `read_rate` that they stand for, in its units."""
        return {
            "dt": seconds(self.dt_ms),
            "tau": seconds(self.tau_ms),
            "alpha": self.alpha,
            "noise_std": self.noise_std,
            "activation": self.activation,
            "readout": self.readout,
        }


@dataclass(frozen=True, kw_only=True)
class NirReading:
    """What a NIR file leaves open."""

    dt_ms: Annotated[
        float | None, unset("NIR: step, in ms; inferred or 1 if not given.")
    ] = None
    time_unit: Annotated[
        str | None, unset("NIR: unit of the file's time constants: s, ms or steps.")
    ] = None
    scheme: Annotated[
        str | None,
        unset(
            "NIR: how τ became a decay: euler (dt/τ; if not given) or exact "
            "(exponential)."
        ),
    ] = None
    refractory_steps: Annotated[
        int | None,
        unset("NIR: steps at reset after a spike; snnTorch's reset to zero has 1."),
    ] = None

    def for_reader(self) -> dict[str, Any]:
        """Return the arguments of `open_network` that are given, in its units.

        Those that are not given are left out: a file of another kind refuses any.
        """
        values = {
            "dt": seconds(self.dt_ms),
            "time_unit": self.time_unit,
            "scheme": self.scheme,
            "refractory_steps": self.refractory_steps,
        }
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Carrying:
    """How a rate network comes to the chip: what `run` and `convert` share."""

    task: TaskName = None
    method: Method = "calibrate"
    copies: Copies = 1
    max_copies: MaxCopies = 1
    max_rate: MaxRate = None
    max_seconds: MaxSeconds = 60.0
    current_noise: CurrentNoise = 1.0
    trim: Trim = True
    step_ms: StepMs = None
    # Not `trials`: what is scored differs from command to command.
    bits: Bits = 8
    search_trials: SearchTrials = 150
    engine: Engine = DEFAULT_ENGINE
    seed: Seed = 0


def seconds(ms: float | None) -> float | None:
    """Return milliseconds as seconds, None as None."""
    return None if ms is None else 1e-3 * ms


def check_folder(out: Path) -> None:
    """Refuse an output folder that is a file.

    Raises:
        NotADirectoryError: it is.
    """
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"--out: got {out}, a file; need a folder")
