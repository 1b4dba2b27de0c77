"""What the commands that take a network share: their arguments and options."""

from pathlib import Path
from typing import Annotated, Any

import typer

from isotau.sim.engines.engine import ENGINES

Network = Annotated[
    Path,
    typer.Argument(
        metavar="NETWORK",
        help="A trained rate network: spikeRNN .mat, a state dict of torch.nn.RNN or "
        "of the low-rank papers (.pt), ONNX, PsychRNN or plain .npz, .rate.npz.",
        show_default=False,
    ),
]
TaskName = Annotated[
    str | None,
    typer.Option(
        help="The task that the network was trained on; go-nogo for one that fits it.",
        show_default=False,
    ),
]
Method = Annotated[
    str,
    typer.Option(
        help="calibrate: refit weights to the neurons' spikes. scale: one factor λ, as "
        "published."
    ),
]
Copies = Annotated[int, typer.Option(help="LIF neurons for each unit.")]
Trials = Annotated[int, typer.Option(help="Trials on which the stages are scored.")]
SearchTrials = Annotated[
    int,
    typer.Option(help="Other trials, on which the conversion is made and chosen."),
]
Engine = Annotated[
    str,
    typer.Option(help=f"What simulates the chip: {', '.join(ENGINES)}."),
]
Seed = Annotated[int, typer.Option(help="Seed of everything that is drawn.")]
Out = Annotated[Path, typer.Option(help="Folder for everything that is left.")]


def _assumed(text: str) -> Any:
    """Return an option that says what a file leaves open."""
    return typer.Option(
        help=f"What the file does not state: {text}", show_default=False
    )


DtMs = Annotated[float | None, _assumed("step, in ms.")]
TauMs = Annotated[float | None, _assumed("τ of every unit, in ms.")]
Alpha = Annotated[float | None, _assumed("dt/τ.")]
NoiseStd = Annotated[float | None, _assumed("SD of the noise on x in each step.")]
Activation = Annotated[
    str | None, _assumed("activation: sigmoid, tanh, relu, softplus or lif.")
]
Readout = Annotated[
    str | None, _assumed("name of the linear readout in a torch state dict.")
]


def assumptions(
    *,
    dt_ms: float | None,
    tau_ms: float | None,
    alpha: float | None,
    noise_std: float | None,
    activation: str | None,
    readout: str | None,
) -> dict[str, Any]:
    """Return what `read_rate` is to assume, in its units."""
    return {
        "dt": None if dt_ms is None else 1e-3 * dt_ms,
        "tau": None if tau_ms is None else 1e-3 * tau_ms,
        "alpha": alpha,
        "noise_std": noise_std,
        "activation": activation,
        "readout": readout,
    }


AnyNetwork = Annotated[
    Path,
    typer.Argument(
        metavar="NETWORK",
        help="A network of any stage: .fixed.npz, .lif.npz, NIR, or a trained rate "
        "network as `isotau run` takes it.",
        show_default=False,
    ),
]
Inputs = Annotated[
    Path,
    typer.Option(
        help="What the network is shown: .npz with inputs (steps × trials × channels) "
        "and, if you have them, labels; or .npy.",
        show_default=False,
    ),
]
OptionalInputs = Annotated[
    Path | None,
    typer.Option(
        help="What the network is shown: .npz with inputs (steps × trials × channels), "
        "or .npy.",
        show_default=False,
    ),
]


def _of_nir(text: str) -> Any:
    """Return an option that says what a NIR file leaves open."""
    return typer.Option(help=f"NIR: {text}", show_default=False)


NirDtMs = Annotated[float | None, _of_nir("step, in ms; inferred or 1 if not given.")]
TimeUnit = Annotated[
    str | None, _of_nir("unit of the file's time constants: s, ms or steps.")
]
Scheme = Annotated[
    str | None,
    _of_nir("how τ became a decay: euler (dt/τ; if not given) or exact (exponential)."),
]
RefractorySteps = Annotated[
    int | None,
    _of_nir("steps at reset after a spike; snnTorch's reset to zero has 1."),
]


def check_folder(out: Path) -> None:
    """Refuse an output folder that is a file.

    Raises:
        NotADirectoryError: it is.
    """
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"--out: got {out}, a file; need a folder")


def reading(
    dt_ms: float | None,
    time_unit: str | None,
    scheme: str | None,
    refractory_steps: int | None,
) -> dict[str, Any]:
    """Return what the command line says of a NIR file, for `from_nir`."""
    given = {
        "dt": None if dt_ms is None else 1e-3 * dt_ms,
        "time_unit": time_unit,
        "scheme": scheme,
        "refractory_steps": refractory_steps,
    }
    return {name: value for name, value in given.items() if value is not None}
