"""The command line: parse, call, save, print."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

import isotau

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


@app.command()
def run(
    network: Annotated[
        Path,
        typer.Argument(
            metavar="NETWORK",
            help="A trained rate network: spikeRNN .mat (v5 or v7.3) or isotau "
            ".rate.npz.",
            show_default=False,
        ),
    ],
    task: Annotated[
        str, typer.Option(help="The task that the network was trained on.")
    ] = "go-nogo",
    trials: Annotated[
        int, typer.Option(help="Trials on which the stages are scored.")
    ] = 400,
    search_trials: Annotated[
        int, typer.Option(help="Other trials, on which the scaling 1/λ is chosen.")
    ] = 150,
    timescale_trials: Annotated[
        int,
        typer.Option(help="Trials of 1.05 s without input, for the timescales."),
    ] = 50,
    lava_trials: Annotated[
        int, typer.Option(help="How many of the scored trials also run in Lava.")
    ] = 8,
    engine: Annotated[
        str,
        typer.Option(help="What simulates the chip: compiled, reference or torch."),
    ] = "compiled",
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0,
    out: Annotated[
        Path, typer.Option(help="Folder for artefacts, pictures and report.json.")
    ] = Path("isotau-out"),
) -> None:
    """Run the whole chain on one network and write a report.

    Reads the network, converts it to LIF neurons in Norse, quantizes it to Loihi's
    fixed point, simulates every stage, runs some of the trials through Lava and checks
    them spike by spike, and estimates the neurons' timescales at every stage.

    Needs about half a minute on two cores for 200 units.
    """
    # Heavy imports wait until they are needed, so that --help is quick.
    from isotau import pipeline, report
    from isotau.progress import bars
    from isotau.run_config import RunConfig
    from isotau.targets.lava_compat import LavaMissing
    from isotau.targets.to_lava import LavaError

    config = RunConfig(
        task=task,
        trials=trials,
        search_trials=search_trials,
        timescale_trials=timescale_trials,
        lava_trials=lava_trials,
        engine=engine,
        seed=seed,
    )
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"--out: got {out}, a file; need a folder")
    rate = pipeline.read_network(network)
    source = pipeline.describe_input(network)
    try:
        result = pipeline.run_pipeline(rate, config, progress=bars)
    except (LavaError, LavaMissing) as error:
        _fail(str(error), 1)
    path = report.write(result, out, source)
    written = report.read(path)
    Console().print(report.table(written))
    typer.echo(report.verdict(written))
    for line in report.warnings(written):
        typer.echo(line)
    typer.echo(f"Report: {path}")


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
    from isotau.sim.trace import describe, read_trace, replay, single_neuron

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
    typer.echo(describe(found))
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
