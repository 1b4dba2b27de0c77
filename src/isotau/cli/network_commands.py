"""The commands that take a network: read it, carry it, say what came of it."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from isotau.cli import options

if TYPE_CHECKING:
    from isotau.convert.ground.stage_clock import StageClock
    from isotau.convert.read.conventions import Read
    from isotau.convert.records.rate import RateRNN
    from isotau.jobs.pipeline import Result
    from isotau.jobs.run_config import RunConfig


@options.spread
def run(
    network: options.Network,
    carrying: options.Carrying,
    assumptions: options.AssumedOptions,
    trials: options.Trials = 400,
    timescale_trials: Annotated[
        int,
        typer.Option(help="Trials of 1.05 s without input, for the timescales."),
    ] = 50,
    lava_trials: Annotated[
        int, typer.Option(help="How many of the scored trials also run in Lava.")
    ] = 8,
    out: options.Out = Path("isotau-out"),
) -> None:
    """Run the whole chain on one network and write a report.

    Reads the network, converts it to LIF neurons, quantizes it to Loihi's fixed
    point, simulates every stage, runs some of the trials through Lava and checks
    them spike by spike, and estimates the neurons' timescales at every stage.

    Needs about 17 s on two cores for 200 units.
    """
    # Heavy imports wait until they are needed, so that --help is quick.
    from isotau.cli.progress import bars
    from isotau.convert.ground.stage_clock import StageClock
    from isotau.jobs.pipeline import run_pipeline
    from isotau.targets.on_lava.lava_compat import LavaMissing
    from isotau.targets.on_lava.to_lava import LavaError

    read = read_network(network, assumptions, out)
    config = configure(
        read.net,
        carrying,
        trials=trials,
        timescale_trials=timescale_trials,
        lava_trials=lava_trials,
    )
    # Lava runs last and in child processes: its failures say what to install or change.
    try:
        clock = StageClock()
        result = run_pipeline(
            read.net, config, progress=bars, clock=clock, meanwhile=_import_reports
        )
    except (LavaError, LavaMissing) as error:
        raise typer.TyperException(str(error)) from error
    _leave(result, network, read, out, clock)


@options.spread
def convert(
    network: options.Network,
    carrying: options.Carrying,
    assumptions: options.AssumedOptions,
    trials: options.Trials = 400,
    out: options.Out = Path("isotau-out"),
) -> None:
    """Convert and quantize one network and say how well that went.

    Leaves the network at every stage, which units disagree with their neurons and why,
    and the task's accuracy; without Lava and without timescales.
    """
    from isotau.cli.progress import bars
    from isotau.convert.ground.stage_clock import StageClock
    from isotau.jobs.pipeline import carry

    read = read_network(network, assumptions, out)
    config = configure(read.net, carrying, trials=trials)
    clock = StageClock()
    result = carry(read.net, config, progress=bars, clock=clock)
    _leave(result, network, read, out, clock)


def configure(
    net: "RateRNN",
    carrying: options.Carrying,
    *,
    trials: int,
    timescale_trials: int = 50,
    lava_trials: int = 1,
) -> "RunConfig":
    """Return what is to be done; without a name the task is one that fits."""
    from isotau.convert.neuron.lif_constants import PUBLISHED
    from isotau.convert.to_fixed.quantize import QuantizeConfig
    from isotau.convert.to_lif.chip_step import with_step
    from isotau.convert.to_lif.choice_search import Budget
    from isotau.convert.to_lif.teacher import CalibrateConfig
    from isotau.jobs.run_config import RunConfig
    from isotau.sim.tasks.choose_task import choose_task

    step = options.seconds(carrying.step_ms)
    return RunConfig(
        task=choose_task(net, carrying.task).name,
        method=carrying.method,
        copies=carrying.copies,
        budget=Budget(
            copies=carrying.max_copies,
            rate=carrying.max_rate,
            seconds=carrying.max_seconds,
        ),
        constants=PUBLISHED if step is None else with_step(PUBLISHED, step),
        fit_step=step is None,
        calibration=CalibrateConfig(
            current_noise=carrying.current_noise, trim=carrying.trim
        ),
        search_trials=carrying.search_trials,
        engine=carrying.engine,
        seed=carrying.seed,
        quantization=QuantizeConfig(num_weight_bits=carrying.bits),
        trials=trials,
        timescale_trials=timescale_trials,
        lava_trials=lava_trials,
    )


def read_network(
    network: Path, assumptions: options.AssumedOptions, out: Path
) -> "Read":
    """Return the network in a file, after saying what was assumed of it."""
    from isotau.convert.read.read_rate import read_rate

    # What cannot be written is refused before minutes of work, not after.
    options.check_folder(out)
    read = read_rate(network, **assumptions.for_reader())
    # Before the long steps: a wrong assumption is worth an interrupt.
    typer.echo(read.conventions.describe())
    return read


def _import_reports() -> None:
    """Import what a result is written and drawn by."""
    importlib.import_module("isotau.reports.report")
    importlib.import_module("isotau.sim.plot.draw")


def _leave(
    result: "Result", network: Path, read: "Read", out: Path, clock: "StageClock"
) -> None:
    """Write a result into a folder and print what it comes to."""
    from isotau.jobs.origin import describe_input
    from isotau.reports import report

    # The table is made from the written file: what is read is what was left.
    source = describe_input(network, read.conventions)
    path = report.write(result, out, source, clock=clock)
    written = report.read(path)
    Console().print(report.table(written))
    typer.echo(report.verdict(written))
    for line in report.warnings(written):
        typer.echo(line)
    typer.echo(f"Report: {path}")
