"""The command line: parse, call, save, print."""

import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

import isotau
from isotau.cli import (
    foreign_commands,
    network_commands,
    options,
    target_commands,
    timescale_commands,
    tune_command,
)

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Carry a trained rate RNN to simulated Loihi and measure its timescales.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"isotau {isotau.__version__}")
        raise typer.Exit()


def _recipe(text: str) -> Any:
    """Return an option that changes a recipe."""
    return typer.Option(help=text, show_default=False)


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """Carry a trained rate RNN to simulated Loihi and measure its timescales."""


app.command()(network_commands.run)
app.command()(network_commands.convert)
app.command()(tune_command.tune)
app.command()(timescale_commands.preserve)
app.command()(timescale_commands.timescales)
app.command()(timescale_commands.compare)
app.command()(foreign_commands.quantize)
app.command()(foreign_commands.simulate)
app.command()(target_commands.check)
app.command()(target_commands.export)
app.command()(target_commands.verify)
app.command()(target_commands.place)


@app.command()
def train(
    task: Annotated[
        str, typer.Option(help="What to train on; there is a recipe for each task.")
    ] = "go-nogo",
    count: Annotated[int, typer.Option(help="Networks, trained at once.")] = 40,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0,
    out: Annotated[
        Path, typer.Option(help="Folder for networks, checkpoints and curves.json.")
    ] = Path("isotau-trained"),
    units: Annotated[int | None, _recipe("Units of each network.")] = None,
    tau_min_ms: Annotated[float | None, _recipe("Shortest τ, in ms.")] = None,
    tau_max_ms: Annotated[float | None, _recipe("Longest τ, in ms.")] = None,
    activation: Annotated[
        str | None, _recipe("Activation: sigmoid, tanh, relu, softplus or lif.")
    ] = None,
    noise_std: Annotated[
        float | None, _recipe("SD of the noise on x in each step of training.")
    ] = None,
    batch: Annotated[int | None, _recipe("Trials per update.")] = None,
    updates: Annotated[
        int | None, _recipe("Updates of the last stage after which training ends.")
    ] = None,
) -> None:
    """Train rate networks on a task, many at once.

    What is not given is as the task's recipe has it. Interrupted, the same command goes
    on from where it was.
    """
    from isotau.cli.progress import bars
    from isotau.jobs.train import TrainRequest, summary, train_networks

    options.check_folder(out)
    request = TrainRequest(
        task=task,
        count=count,
        seed=seed,
        n=units,
        tau_min=None if tau_min_ms is None else 1e-3 * tau_min_ms,
        tau_max=None if tau_max_ms is None else 1e-3 * tau_max_ms,
        activation=activation,
        training_noise_std=noise_std,
        batch=batch,
        max_iterations=updates,
    )
    typer.echo(summary(train_networks(request, out, progress=bars)))


@app.command()
def trace(
    recording: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="CSV with the columns input, v and spike, one row per step.",
            show_default=False,
        ),
    ],
    du: Annotated[int, typer.Option(help="Register of current decay, 0 to 4095.")],
    dv: Annotated[int, typer.Option(help="Register of voltage decay, 0 to 4095.")],
    vth: Annotated[int, typer.Option(help="Threshold register, 0 to 131071.")],
    weight: Annotated[int, typer.Option(help="Weight of the input, −255 to 255.")],
    weight_exp: Annotated[int, typer.Option(help="Exponent of the weight.")] = 0,
    bias_mant: Annotated[int, typer.Option(help="Mantissa of the bias.")] = 0,
    bias_exp: Annotated[int, typer.Option(help="Exponent of the bias.")] = 0,
    refractory: Annotated[int, typer.Option(help="Steps at reset after a spike.")] = 0,
    lag: Annotated[
        int | None,
        typer.Option(help="Rows from an input to its effect; found if not given."),
    ] = None,
    tolerance: Annotated[
        int, typer.Option(help="Rows within which spikes count as near.")
    ] = 2,
    v_scale: Annotated[
        float, typer.Option(help="Chip units per unit of the recorded v.")
    ] = 1.0,
) -> None:
    """Check a recorded neuron against the chip's arithmetic.

    Replays the recorded input through a neuron with the given registers. Status 1 if
    its spikes or v differ from the recorded ones.
    """
    from isotau.sim.engines.trace import (
        describe_replay,
        read_trace,
        replay,
        single_neuron,
    )

    neuron = single_neuron(
        du=du,
        dv=dv,
        vth=vth,
        weight=weight,
        weight_exp=weight_exp,
        bias_mant=bias_mant,
        bias_exp=bias_exp,
        refractory=refractory,
    )
    recorded = read_trace(recording)
    found = replay(recorded, neuron, lag=lag, tolerance=tolerance, v_scale=v_scale)
    if recorded.ignored:
        typer.echo(f"Columns ignored: {', '.join(recorded.ignored)}")
    typer.echo(describe_replay(found))
    if not found.agrees:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; bad input is one line on standard error and status 2."""
    try:
        status = app(standalone_mode=False)
    except typer.TyperException as error:
        _fail(error.format_message(), error.exit_code)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except (ValueError, OSError) as error:
        _fail(str(error), 2)
    if status == 130:
        _fail("interrupted", 130)
    sys.exit(status or 0)


def _fail(message: str, status: int) -> NoReturn:
    line = " ".join(message.split())
    typer.echo(f"isotau: {line}", err=True)
    sys.exit(status)
