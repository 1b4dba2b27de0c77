"""The commands that take a network: read it, carry it, say what came of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from isotau.cli import options

if TYPE_CHECKING:
    from isotau.convert.read.conventions import Read
    from isotau.convert.records.rate import RateRNN
    from isotau.jobs.pipeline import Result
    from isotau.jobs.run_config import RunConfig


def run(
    network: options.Network,
    task: options.TaskName = None,
    method: options.Method = "calibrate",
    copies: options.Copies = 1,
    trials: options.Trials = 400,
    search_trials: options.SearchTrials = 150,
    timescale_trials: Annotated[
        int,
        typer.Option(help="Trials of 1.05 s without input, for the timescales."),
    ] = 50,
    lava_trials: Annotated[
        int, typer.Option(help="How many of the scored trials also run in Lava.")
    ] = 8,
    engine: options.Engine = "compiled",
    seed: options.Seed = 0,
    out: options.Out = Path("isotau-out"),
    dt_ms: options.DtMs = None,
    tau_ms: options.TauMs = None,
    alpha: options.Alpha = None,
    noise_std: options.NoiseStd = None,
    activation: options.Activation = None,
    readout: options.Readout = None,
) -> None:
    """Run the whole chain on one network and write a report.

    Reads the network, converts it to LIF neurons in Norse, quantizes it to Loihi's
    fixed point, simulates every stage, runs some of the trials through Lava and checks
    them spike by spike, and estimates the neurons' timescales at every stage.

    Needs about half a minute on two cores for 200 units.
    """
    # Heavy imports wait until they are needed, so that --help is quick.
    from isotau.cli.progress import bars
    from isotau.jobs.pipeline import run_pipeline
    from isotau.targets.on_lava.shim.lava_compat import LavaMissing
    from isotau.targets.on_lava.to_lava import LavaError

    assumed = options.assumptions(
        dt_ms=dt_ms,
        tau_ms=tau_ms,
        alpha=alpha,
        noise_std=noise_std,
        activation=activation,
        readout=readout,
    )
    read = _read(network, assumed, out)
    config = _configure(
        read.net,
        task,
        method=method,
        copies=copies,
        trials=trials,
        search_trials=search_trials,
        timescale_trials=timescale_trials,
        lava_trials=lava_trials,
        engine=engine,
        seed=seed,
    )
    try:
        result = run_pipeline(read.net, config, progress=bars)
    except (LavaError, LavaMissing) as error:
        raise typer.TyperException(str(error)) from error
    _leave(result, network, read, out)


def convert(
    network: options.Network,
    task: options.TaskName = None,
    method: options.Method = "calibrate",
    copies: options.Copies = 1,
    trials: options.Trials = 400,
    search_trials: options.SearchTrials = 150,
    engine: options.Engine = "compiled",
    seed: options.Seed = 0,
    out: options.Out = Path("isotau-out"),
    dt_ms: options.DtMs = None,
    tau_ms: options.TauMs = None,
    alpha: options.Alpha = None,
    noise_std: options.NoiseStd = None,
    activation: options.Activation = None,
    readout: options.Readout = None,
) -> None:
    """Convert and quantize one network and say how well that went.

    Leaves the network at every stage, which units disagree with their neurons and why,
    and the task's accuracy; without Lava and without timescales.
    """
    from isotau.cli.progress import bars
    from isotau.jobs.pipeline import carry

    assumed = options.assumptions(
        dt_ms=dt_ms,
        tau_ms=tau_ms,
        alpha=alpha,
        noise_std=noise_std,
        activation=activation,
        readout=readout,
    )
    read = _read(network, assumed, out)
    config = _configure(
        read.net,
        task,
        method=method,
        copies=copies,
        trials=trials,
        search_trials=search_trials,
        lava_trials=1,
        engine=engine,
        seed=seed,
    )
    _leave(carry(read.net, config, progress=bars), network, read, out)


def _read(network: Path, assumed: dict[str, Any], out: Path) -> "Read":
    """Return the network in a file, after saying what was assumed of it."""
    from isotau.convert.read.read_rate import read_rate

    options.check_folder(out)
    read = read_rate(network, **assumed)
    typer.echo(read.conventions.describe())
    return read


def _configure(net: "RateRNN", task: str | None, **choices: Any) -> "RunConfig":
    """Return what is to be done; without a name the task is one that fits."""
    from isotau.jobs.run_config import RunConfig
    from isotau.sim.tasks.choose_task import choose_task

    return RunConfig(task=choose_task(net, task).name, **choices)


def _leave(result: "Result", network: Path, read: "Read", out: Path) -> None:
    """Write a result into a folder and print what it comes to."""
    from isotau.jobs.pipeline import describe_input
    from isotau.reports import report

    path = report.write(result, out, describe_input(network, read.conventions))
    written = report.read(path)
    Console().print(report.table(written))
    typer.echo(report.verdict(written))
    for line in report.warnings(written):
        typer.echo(line)
    typer.echo(f"Report: {path}")
